//! `turnstiled doctor camera NAME`: what one camera sees, in plain words. Never what a code in view says.

use std::io::Write;
use std::path::PathBuf;
use std::time::Duration;

use crate::cli::lane::seconds;
use crate::cli::{Failure, UNAVAILABLE, output};
use crate::config::{self, tree};
use crate::drivers::MonoClock;
use crate::drivers::camera::folder::FolderSource;
use crate::drivers::camera::look::Looks;
use crate::drivers::camera::v4l::V4lSource;
use crate::drivers::camera::{CameraError, FrameSource, Shape};
use crate::telemetry::log;
use crate::vision::{Luma, Tracker};

/// Exit code of a config that is none.
const CONFIG: u8 = 78;

/// Arguments.
#[derive(Debug, clap::Args)]
pub struct Args {
    /// Name of the camera in the config
    name: String,
    /// Config of the gate
    #[arg(long, default_value = "/etc/turnstiled/gate.toml")]
    config: PathBuf,
    /// How long it is looked: 5s, 1m
    #[arg(long = "for", value_name = "TIME", value_parser = seconds, default_value = "5s")]
    lasts: u32,
    /// Save the last picture there as a PGM file. It shows whoever stands before the camera: delete it after use
    #[arg(long, value_name = "FILE")]
    save: Option<PathBuf>,
}

/// Says what is wrong with the pictures; 0 if nothing is, 1 if something.
///
/// # Errors
/// [`Failure`] if it could not be found out.
pub fn run(args: &Args, out: &mut dyn Write) -> Result<u8, Failure> {
    log::start("error");
    let config = config::load(&args.config).map_err(|error| Failure::new(CONFIG, &error))?;
    let readers = || config.lanes.iter().flat_map(|lane| &lane.readers);
    let reader = readers().find(|reader| reader.name == args.name);
    let Some((source, fps)) = reader.and_then(source_of) else {
        let cameras = readers().filter(|reader| source_of(reader).is_some());
        let names: Vec<_> = cameras.map(|reader| reader.name.as_str()).collect();
        let (file, names) = (args.config.display(), names.join(", "));
        let sentence = format!("{file} has no camera \"{}\"; it has: {names}", args.name);
        return Err(Failure { code: 2, sentence });
    };
    let unavailable = |error: CameraError| Failure {
        code: UNAVAILABLE,
        sentence: format!(
            "{error}; if the gate runs it holds the camera: stop it for the time of this look"
        ),
    };
    let mut source = source().map_err(unavailable)?;
    let lasts = Duration::from_secs(args.lasts.into());
    let (looks, lasted, last) = watched(source.as_mut(), lasts).map_err(unavailable)?;
    let mut say = |line: String| writeln!(out, "{line}").map_err(|error| output(&error));
    say(looks.summary(lasted))?;
    if let (Some(path), Some((shape, luma))) = (&args.save, last) {
        save(path, shape, &luma)?;
        say(format!(
            "the last picture is in {}; delete it after use",
            path.display()
        ))?;
    }
    let complaints = looks.complaints(lasted, fps);
    if complaints.is_empty() {
        say("nothing is wrong with the picture".into())?;
    }
    for complaint in &complaints {
        say(complaint.clone())?;
    }
    Ok(u8::from(!complaints.is_empty()))
}

type Open = Box<dyn FnOnce() -> Result<Box<dyn FrameSource>, CameraError>>;

/// How its source is opened, and the rate that is wanted of it.
fn source_of(reader: &tree::Reader) -> Option<(Open, u32)> {
    if let Some(camera) = reader.camera.clone() {
        let fps = camera.fps.get();
        let open =
            move || V4lSource::open(&camera).map(|s| -> Box<dyn FrameSource> { Box::new(s) });
        return Some((Box::new(open), fps));
    }
    let folder = reader.folder.clone()?;
    let open = move || {
        let player = FolderSource::new(&folder).opened()?;
        Ok::<Box<dyn FrameSource>, CameraError>(Box::new(player))
    };
    // Each picture is played once: of a folder no rate can be asked.
    Some((Box::new(open), 0))
}

type Picture = (Shape, Vec<u8>);

/// Looks for so long. A camera that hangs hangs this command: it holds nothing else, and Ctrl-C ends it.
fn watched(
    source: &mut dyn FrameSource,
    lasts: Duration,
) -> Result<(Looks, Duration, Option<Picture>), CameraError> {
    let clock = MonoClock::start();
    let begun = clock.now();
    let (mut looks, mut tracker) = (Looks::default(), Tracker::default());
    let (mut luma, mut last) = (Vec::new(), None);
    while clock.now().since(begun) < lasts {
        match source.next(&mut luma) {
            Ok(Some(shape)) => {
                let picture = Luma::new(shape.width, shape.height, &luma)?;
                let reading = tracker.read(picture);
                looks.frame(picture, &reading, tracker.module());
                let (_, kept) = last.get_or_insert((shape, Vec::new()));
                std::mem::swap(kept, &mut luma);
                if let Some((kept_shape, _)) = &mut last {
                    *kept_shape = shape;
                }
            }
            Ok(None) => {}
            Err(CameraError::Damaged { .. }) => looks.damaged(),
            Err(error) => return Err(error),
        }
    }
    Ok((looks, clock.now().since(begun), last))
}

fn save(path: &PathBuf, shape: Shape, luma: &[u8]) -> Result<(), Failure> {
    let head = format!("P5 {} {} 255\n", shape.width, shape.height);
    std::fs::write(path, [head.as_bytes(), luma].concat()).map_err(|error| Failure {
        code: UNAVAILABLE,
        sentence: format!("{} cannot be written: {error}", path.display()),
    })
}
