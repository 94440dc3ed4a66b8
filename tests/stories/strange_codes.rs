//! Codes that no issuer would make: longer than any, with control characters, quotes, NUL, text that runs backwards.
//! Whoever shows one is told so, and what it says reaches nobody: no log, page, metric or record.

use std::fs;
use std::path::{Path, PathBuf};

use qrcode::{Color, EcLevel, QrCode};

use crate::outside::{Gate, command, home, photograph, waits_for};
use crate::site::text;
use crate::terminal::Scanner;

const LANES: &str = r#"
[gpio]
driver = "simulated"
folder = "lines"

[[lane]]
name = "in"
barrier = "flap"
fail = "secure"
directions = ["entry"]
outputs = { release_entry = 17 }
sensors = { entry_beam = 5, exit_beam = 6 }
reader = [
    { name = "camera", direction = "entry", folder = { path = "frames", fps = 15 } },
    { name = "scanner", direction = "entry", line = { port = "scanner" } },
]
"#;

/// Stands in every code of these stories.
const MARK: &str = "MARKER7Q";
/// The longest code that is looked at.
const CHARS_MAX: usize = 1_500;

/// A code as `length` characters, all of them printable.
fn long(length: usize) -> String {
    let start = format!("HC:{MARK}");
    let rest = "0123456789ABCDEFGHIJ".chars().cycle();
    start.chars().chain(rest).take(length).collect()
}

/// A picture of the bare code, sharp and large: what matters here is what it says.
fn print(home: &Path, name: &str, text: &str) {
    const MODULE: u32 = 5;
    const QUIET: u32 = 4;
    let code = QrCode::with_error_correction_level(text.as_bytes(), EcLevel::L).unwrap();
    let count = u32::try_from(code.width()).unwrap();
    let colours = code.to_colors();
    let side = (count + 2 * QUIET) * MODULE;
    let image = image::GrayImage::from_fn(side, side, |x, y| {
        let at = |at: u32| (at / MODULE).checked_sub(QUIET).filter(|at| *at < count);
        let dark = at(x)
            .zip(at(y))
            .is_some_and(|(x, y)| colours[usize::try_from(y * count + x).unwrap()] == Color::Dark);
        image::Luma([if dark { 20 } else { 235 }])
    });
    let hidden = home.join("frames").join(format!(".{name}"));
    image
        .save_with_format(&hidden, image::ImageFormat::Png)
        .unwrap();
    fs::rename(hidden, home.join("frames").join(name)).unwrap();
}

fn decisions(gate: &Gate) -> Vec<(String, String)> {
    let status = gate.status();
    let newest_first = status["decisions"].as_array().unwrap();
    let oldest_first = newest_first.iter().rev();
    oldest_first
        .map(|decision| (text(decision, "verdict"), text(decision, "reason")))
        .collect()
}

/// What the lane shows to whoever wants in.
fn prompt(gate: &Gate) -> String {
    let prompts = &gate.status()["lanes"][0]["prompts"][0];
    prompts[1].as_str().unwrap().to_owned()
}

/// What was shown stands nowhere: not in the log, on a page, in a metric, in any file of the gate.
fn is_told_to_nobody(gate: Gate, home: &Path) {
    let mut places = Vec::new();
    for page in ["/", "/metrics", "/status.json", "/readyz"] {
        places.push((PathBuf::from(page), gate.page(page).into_bytes()));
    }
    let log = gate.log();
    for line in &log {
        // A forged line would not start as ours do, with the date.
        assert!(line.starts_with("20"), "no line of ours: {line:?}");
        let tame = line
            .chars()
            .all(|c| !c.is_control() && !('\u{202A}'..='\u{202E}').contains(&c));
        assert!(tame, "{line:?}");
    }
    places.push(("the log".into(), log.join("\n").into_bytes()));
    gate.dies();
    files(&home.join("gate"), &mut places);
    assert!(places.len() > 6, "journal and cache are among them");
    for (place, bytes) in places {
        let found = bytes
            .windows(MARK.len())
            .any(|window| window == MARK.as_bytes());
        assert!(!found, "a code stands in {}", place.display());
    }
}

fn files(folder: &Path, out: &mut Vec<(PathBuf, Vec<u8>)>) {
    for entry in fs::read_dir(folder).unwrap() {
        let path = entry.unwrap().path();
        if path.is_dir() {
            files(&path, out);
        } else {
            out.push((path.clone(), fs::read(path).unwrap()));
        }
    }
}

fn refused(reason: &str) -> (String, String) {
    ("deny".into(), reason.into())
}

/// One code after the other before the camera; each gets its decision and its prompt.
fn shown_to_the_camera(codes: &[(String, (String, String), &str)]) {
    let folder = home(LANES);
    let home = folder.path();
    fs::create_dir(home.join("frames")).unwrap();
    let _scanner = Scanner::plug_in(&home.join("scanner"));
    let gate = Gate::start(home);
    for (n, (code, decision, shows)) in codes.iter().enumerate() {
        print(home, &format!("{n:02}.png"), code);
        waits_for(&format!("a decision on code {n}"), || {
            decisions(&gate).len() > n
        });
        assert_eq!(decisions(&gate)[n], *decision, "code {n}");
        waits_for(&format!("\"{shows}\" for code {n}"), || {
            prompt(&gate) == *shows
        });
    }
    assert_eq!(gate.line(17), Some('0'), "the barrier stays");
    let series =
        "turnstile_presentations_total{lane=\"in\",medium=\"qr_code\",result=\"malformed\"}";
    let malformed = codes
        .iter()
        .filter(|(_, decision, _)| decision.1 == "malformed");
    assert_eq!(
        gate.metric(series),
        u64::try_from(malformed.count()).unwrap()
    );
    is_told_to_nobody(gate, home);
}

#[test]
fn a_code_with_control_characters_is_no_code_and_reaches_no_log() {
    let codes = [
        format!("HC:{MARK}\x1b[31mred\x07"),
        format!("HC:{MARK}\n2026-11-24T00:00:00Z  INFO decided verdict=\"grant\""),
        format!("HC:{MARK}\r\n\r\nHTTP/1.1 200 OK"),
        format!("HC:{MARK}\0nul"),
        format!("HC:{MARK}\u{9b}31m"),
        format!("HC:{MARK}\x1f{MARK}"),
    ];
    shown_to_the_camera(&codes.map(|code| (code, refused("malformed"), "not_recognised")));
}

#[test]
fn a_code_with_quotes_markup_or_text_that_runs_backwards_is_data_and_nothing_else() {
    // Without its list, this gate sends whoever wants in to staff.
    let staff = || ("assist".to_owned(), "stale_list".to_owned());
    shown_to_the_camera(&[
        (
            format!("HC:{MARK}\"'}},{{\"kind\":\"decision\"}}\\"),
            staff(),
            "see_staff",
        ),
        (
            format!("HC:{MARK}<script>alert(1)</script>&amp;"),
            staff(),
            "see_staff",
        ),
        (
            format!("HC:{MARK}{{lane=\"in\"}} 7'; DROP TABLE passages;--"),
            staff(),
            "see_staff",
        ),
        (
            format!("HC:{MARK}\u{202E}desrever\u{2066}"),
            staff(),
            "see_staff",
        ),
        (format!("HC:{MARK}🚇🎫健康码"), staff(), "see_staff"),
        (
            format!("🚇{MARK}"),
            refused("unknown_issuer"),
            "not_recognised",
        ),
        (
            format!("../../{MARK}%00%n%s"),
            refused("unknown_issuer"),
            "not_recognised",
        ),
    ]);
}

#[test]
fn a_code_longer_than_any_is_refused_at_the_camera_and_the_longest_is_not() {
    shown_to_the_camera(&[
        (long(CHARS_MAX + 1), refused("malformed"), "not_recognised"),
        (
            long(CHARS_MAX),
            ("assist".into(), "stale_list".into()),
            "see_staff",
        ),
    ]);
}

#[test]
fn a_code_longer_than_any_is_refused_at_a_scanner_and_spoiled_bytes_are_asked_for_again() {
    let folder = home(LANES);
    let home = folder.path();
    fs::create_dir(home.join("frames")).unwrap();
    let scanner = Scanner::plug_in(&home.join("scanner"));
    let gate = Gate::start(home);
    waits_for("the scanner is up", || {
        gate.metric("turnstile_device_up{device=\"scanner\"}") == 1
    });
    scanner.shows(&long(CHARS_MAX));
    waits_for("the longest is looked at", || {
        decisions(&gate) == [("assist".to_owned(), "stale_list".to_owned())]
    });
    scanner.shows(&long(CHARS_MAX + 500));
    waits_for("a longer one is refused", || {
        decisions(&gate).get(1) == Some(&refused("malformed"))
    });
    waits_for("and told so", || prompt(&gate) == "not_recognised");
    waits_for("the answer has been read", || prompt(&gate) == "idle");

    // Bytes that no scanner sends for a code: it may be noise, so nothing is decided; whoever is there shows it again.
    scanner.sends(format!("HC:{MARK}\x01\x1b[2J\"\r").as_bytes());
    waits_for("asked for again", || prompt(&gate) == "show_again");
    scanner.sends(b"HC:\xFF\xFE");
    scanner.sends(format!("{MARK}\u{202E}\0\r").as_bytes());
    waits_for("counted", || {
        gate.metric("turnstile_device_faults_total{device=\"scanner\"}") >= 3
    });
    assert_eq!(decisions(&gate).len(), 2, "nothing is decided on noise");
    scanner.shows(&format!("HC:{MARK}{MARK}"));
    waits_for("the next one is read", || decisions(&gate).len() == 3);
    is_told_to_nobody(gate, home);
}

#[test]
fn read_image_does_not_let_a_code_steer_the_terminal() {
    let folder = home(LANES);
    fs::create_dir(folder.path().join("frames")).unwrap();
    print(
        folder.path(),
        "a.png",
        "HC:\x1b[2J\u{202E}back\u{200B}\nwards",
    );
    photograph(folder.path(), "b.png", "HC:PLAIN", 3);
    let args = ["codes", "read-image", "frames/a.png", "frames/b.png"];
    let (code, said) = command(folder.path(), &args);
    assert_eq!(code, Some(0), "{said}");
    assert_eq!(said.lines().count(), 2, "{said:?}");
    assert!(
        said.contains("HC:PLAIN") && said.contains("back"),
        "{said:?}"
    );
    let steers = |c: char| c != '\n' && (c.is_control() || c == '\u{202E}' || c == '\u{200B}');
    assert!(!said.contains(steers), "{said:?}");
}
