//! `turnstiled codes read-image`: what a gate's camera would read in a picture.

use std::io::{self, Write};
use std::path::{Path, PathBuf};

use rustix::time::{ClockId, clock_gettime};
use serde::Serialize;

use super::sheet::Sheet;
use crate::drivers::camera::decode::CHARS_MAX;
use crate::drivers::camera::picture::load;
use crate::vision::{LumaImage, Reading, Tracker, read};

/// Pictures to read. The texts are printed: for tests and for the technician, not for passengers' codes.
#[derive(Debug, clap::Args)]
pub struct Args {
    /// One line of JSON a picture: file, texts, cpu_us.
    #[arg(long)]
    pub json: bool,
    /// The files are consecutive frames of one camera: what one frame tells of a code that it does not give away helps the next.
    #[arg(long)]
    pub clip: bool,
    /// Writes a contact sheet there, as PNG: the pictures, small, with a light border around those that were read.
    #[arg(long, value_name = "FILE")]
    pub sheet: Option<PathBuf>,
    /// PNG, JPEG, WebP or PGM files.
    #[arg(required = true, value_name = "FILE")]
    pub files: Vec<PathBuf>,
}

#[derive(Serialize)]
struct Line<'a> {
    file: String,
    texts: &'a [String],
    /// Thread time from luma to texts.
    cpu_us: u64,
    #[serde(skip_serializing_if = "Option::is_none")]
    stage: Option<&'static str>,
    #[serde(skip_serializing_if = "Option::is_none")]
    error: Option<String>,
}

/// Reads each picture by itself, or all of them as one clip. The exit code is 0 if every file was a picture, with a code or without; else 1.
///
/// # Errors
/// Only if `out` cannot be written.
pub fn run(args: &Args, out: &mut dyn Write) -> io::Result<u8> {
    let mut code = 0;
    let mut tracker = args.clip.then(Tracker::default);
    let mut sheet = args.sheet.is_some().then(Sheet::default);
    for file in &args.files {
        let line = match measure(file, tracker.as_mut(), sheet.as_mut()) {
            Ok((reading, cpu_us)) if args.json => json(file, &reading, cpu_us, None)?,
            Ok((reading, cpu_us)) => plain(file, &reading, cpu_us),
            Err(reason) => {
                code = 1;
                // Standard error may be closed; the exit code says it all the same.
                let name = harmless(&file.display().to_string());
                let _closed = writeln!(io::stderr(), "{name}: {reason}").is_err();
                if !args.json {
                    continue;
                }
                json(file, &Reading::default(), 0, Some(reason))?
            }
        };
        writeln!(out, "{line}")?;
    }
    if let (Some(sheet), Some(path)) = (&sheet, &args.sheet)
        && let Err(reason) = sheet.save(path)
    {
        code = 1;
        let _closed = writeln!(io::stderr(), "{}: {reason}", path.display()).is_err();
    }
    out.flush()?;
    Ok(code)
}

fn measure(
    file: &Path,
    tracker: Option<&mut Tracker>,
    sheet: Option<&mut Sheet>,
) -> Result<(Reading, u64), String> {
    let image = load(file).map_err(|error| {
        let source = std::error::Error::source(&error).map(ToString::to_string);
        source.map_or_else(|| error.to_string(), |why| format!("{error}: {why}"))
    })?;
    let begun = thread_time_us();
    let reading = look(&image, tracker);
    let took = thread_time_us().saturating_sub(begun);
    if let Some(sheet) = sheet {
        sheet.add(image.as_luma(), !reading.texts.is_empty(), reading.located);
    }
    Ok((reading, took))
}

fn look(image: &LumaImage, tracker: Option<&mut Tracker>) -> Reading {
    match tracker {
        Some(tracker) => tracker.read(image.as_luma()),
        None => read(image.as_luma()),
    }
}

/// Processor time of this thread: what decoding costs, whatever else the machine does.
fn thread_time_us() -> u64 {
    let time = clock_gettime(ClockId::ThreadCPUTime);
    let seconds = u64::try_from(time.tv_sec).unwrap_or(0);
    let nanos = u64::try_from(time.tv_nsec).unwrap_or(0);
    seconds * 1_000_000 + nanos / 1_000
}

fn json(file: &Path, reading: &Reading, cpu_us: u64, error: Option<String>) -> io::Result<String> {
    let line = Line {
        file: file.display().to_string(),
        texts: &reading.texts,
        cpu_us,
        stage: reading.stage,
        error,
    };
    serde_json::to_string(&line).map_err(io::Error::other)
}

fn plain(file: &Path, reading: &Reading, cpu_us: u64) -> String {
    let what = match (reading.texts.as_slice(), reading.located, reading.gave_up) {
        ([], _, true) => "given up: too many things that look like a code".into(),
        ([], true, false) => "a code was located and could not be read".into(),
        ([], false, false) => "no code".into(),
        (texts, ..)
            if texts
                .iter()
                .any(|text| text.chars().nth(CHARS_MAX).is_some()) =>
        {
            format!("a code longer than {CHARS_MAX} characters, which no gate takes")
        }
        (texts, ..) => texts.join(" | "),
    };
    let (name, what) = (harmless(&file.display().to_string()), harmless(&what));
    let ms = cpu_us as f64 / 1_000.0;
    format!("{name}: {what} ({ms:.1} ms)")
}

/// Out of a stranger's code or file name nothing reaches the terminal that steers it or turns the text around.
fn harmless(text: &str) -> String {
    text.chars()
        .map(|c| if steers(c) { '\u{FFFD}' } else { c })
        .collect()
}

/// Control characters, and those that are invisible or change the direction of what follows.
fn steers(c: char) -> bool {
    c.is_control()
        || matches!(c, '\u{061C}' | '\u{200B}'..='\u{200F}' | '\u{2028}'..='\u{202E}'
            | '\u{2060}'..='\u{2069}' | '\u{FEFF}')
}

#[cfg(test)]
mod tests {
    use super::*;

    fn run_on(json: bool, files: Vec<PathBuf>) -> (u8, String) {
        let mut out = Vec::new();
        let code = run(
            &Args {
                json,
                clip: false,
                sheet: None,
                files,
            },
            &mut out,
        )
        .unwrap();
        (code, String::from_utf8(out).unwrap())
    }

    #[test]
    fn a_file_that_is_no_picture_does_not_stop_the_others() {
        let folder = tempfile::tempdir().unwrap();
        let (bad, good) = (
            folder.path().join("bad.png"),
            folder.path().join("wall.pgm"),
        );
        std::fs::write(&bad, b"no picture").unwrap();
        std::fs::write(&good, [b"P5 8 8 255\n".as_slice(), &[90; 64]].concat()).unwrap();
        let (code, out) = run_on(true, vec![bad.clone(), good.clone()]);
        assert_eq!(code, 1);
        let lines: Vec<serde_json::Value> = out
            .lines()
            .map(|line| serde_json::from_str(line).unwrap())
            .collect();
        assert!(lines[0]["error"].as_str().unwrap().contains("PNG"));
        assert_eq!(lines[1]["texts"], serde_json::json!([]));
        assert!(lines[1]["cpu_us"].is_u64() && lines[1].get("error").is_none());

        let (code, out) = run_on(false, vec![good]);
        assert_eq!(code, 0);
        assert!(out.contains("no code"), "{out}");
    }

    #[cfg(feature = "lab")]
    #[test]
    fn a_clip_does_not_say_what_its_frames_do_not_show() {
        use crate::lab::screen::{View, render};
        let folder = tempfile::tempdir().unwrap();
        let phone = folder.path().join("0.pgm");
        let picture = render("RIDE-42", &View::at_rest(1), 1);
        let (width, height) = (picture.width(), picture.height());
        let head = format!("P5 {width} {height} 255\n");
        std::fs::write(&phone, [head.as_bytes(), picture.pixels()].concat()).unwrap();
        let wall = folder.path().join("1.pgm");
        let grey = vec![90; width * height];
        std::fs::write(&wall, [head.as_bytes(), &grey].concat()).unwrap();
        let mut out = Vec::new();
        let args = Args {
            json: true,
            clip: true,
            sheet: None,
            files: vec![phone.clone(), wall, phone],
        };
        assert_eq!(run(&args, &mut out).unwrap(), 0);
        let out = String::from_utf8(out).unwrap();
        let read: Vec<bool> = out.lines().map(|line| line.contains("RIDE-42")).collect();
        assert_eq!(read, [true, false, true]);
    }

    #[cfg(feature = "lab")]
    #[test]
    fn a_phone_in_a_picture_is_read() {
        use crate::lab::screen::{View, render};
        let folder = tempfile::tempdir().unwrap();
        let file = folder.path().join("phone.png");
        let picture = render("RIDE-42", &View::at_rest(1), 1);
        let (width, height) = (640, 480);
        image::GrayImage::from_raw(width, height, picture.into_pixels())
            .unwrap()
            .save(&file)
            .unwrap();
        let (code, out) = run_on(true, vec![file.clone()]);
        assert_eq!(code, 0);
        assert!(out.contains(r#""texts":["RIDE-42"]"#), "{out}");
        assert!(run_on(false, vec![file]).1.contains("RIDE-42"));
    }
}
