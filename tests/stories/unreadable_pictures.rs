//! Files that are no pictures: at the technician's hand, and in a folder that stands for a camera.

use std::fs;
use std::path::Path;

use crate::outside::{Gate, command, home, photograph, waits_for};

const LANES: &str = r#"
[gpio]
driver = "simulated"
folder = "lines"

[[lane]]
name = "out"
barrier = "flap"
fail = "safe"
directions = ["exit"]
outputs = { release_exit = 18 }
sensors = { entry_beam = 5, exit_beam = 6 }
reader = [{ name = "camera", direction = "exit", folder = { path = "frames", fps = 15 } }]
"#;

/// What people call pictures: torn, empty, lying about their size, and no picture at all.
fn no_pictures(folder: &Path) -> Vec<&'static str> {
    let whole = {
        photograph(folder, "whole.png", "HC:WHOLE", 1);
        let path = folder.join("frames/whole.png");
        let bytes = fs::read(&path).unwrap();
        fs::remove_file(path).unwrap();
        bytes
    };
    // The header's width and height, 4 bytes each, say 65535; the checksum behind them is wrong then, too.
    let mut huge = whole.clone();
    huge[16..24].copy_from_slice(&[0, 0, 0xFF, 0xFF, 0, 0, 0xFF, 0xFF]);
    let files: [(&str, &[u8]); 6] = [
        ("a-torn.png", &whole[..whole.len() / 2]),
        ("b-empty.png", b""),
        ("c-huge.png", &huge),
        ("d-text.jpg", b"<html>HC:GREEN</html>"),
        ("e-wide.pgm", b"P5 1000000000 1000000000 255\n"),
        ("f\nINFO a forged line.png", b"\x1b[31mnothing"),
    ];
    for (name, bytes) in files {
        fs::write(folder.join("frames").join(name), bytes).unwrap();
    }
    files.map(|(name, _)| name).into()
}

#[test]
fn read_image_says_of_each_file_what_is_wrong_and_reads_the_next() {
    let folder = home(LANES);
    fs::create_dir(folder.path().join("frames")).unwrap();
    let names = no_pictures(folder.path());
    photograph(folder.path(), "z-good.png", "HC:GOOD", 2);
    let paths: Vec<_> = names.iter().map(|name| format!("frames/{name}")).collect();
    let mut args = vec!["codes", "read-image", "--json"];
    args.extend(paths.iter().map(String::as_str));
    args.extend(["frames/z-good.png", "frames/not-there.png"]);
    let (code, said) = command(folder.path(), &args);
    assert_eq!(code, Some(1), "{said}");
    let lines: Vec<serde_json::Value> = said
        .lines()
        .filter(|line| line.starts_with('{'))
        .map(|line| serde_json::from_str(line).unwrap())
        .collect();
    assert_eq!(lines.len(), names.len() + 2, "{said}");
    for (line, path) in lines.iter().zip(&paths) {
        assert_eq!(line["file"], path.as_str());
        assert!(line["error"].is_string(), "{line}");
    }
    let good = &lines[names.len()];
    assert_eq!(good["texts"], serde_json::json!(["HC:GOOD"]));
    assert!(lines[names.len() + 1]["error"].is_string());
    // And in words, on standard error, without what steers a terminal.
    let (code, said) = command(folder.path(), &["codes", "read-image", &paths[5]]);
    assert_eq!(code, Some(1));
    assert!(said.contains("is not a PNG"), "{said}");
    assert!(!said.contains('\x1b'), "{said:?}");
}

#[test]
fn a_folder_with_files_that_are_no_pictures_goes_on_to_those_that_are() {
    let folder = home(LANES);
    fs::create_dir(folder.path().join("frames")).unwrap();
    let names = no_pictures(folder.path());
    photograph(folder.path(), "z-good.png", "HC:GOOD", 2);
    let gate = Gate::start(folder.path());
    // The passenger with a good picture is served, behind all of them.
    waits_for("released", || gate.line(18) == Some('1'));

    // The operator: a fault and a log line each, and the reader stays up.
    let faults = "turnstile_device_faults_total{device=\"camera\"}";
    waits_for("faults are counted", || {
        gate.metric(faults) >= u64::try_from(names.len()).unwrap()
    });
    assert_eq!(gate.metric("turnstile_device_up{device=\"camera\"}"), 1);
    let log = gate.log();
    let skipped: Vec<_> = log
        .iter()
        .filter(|line| line.contains("skipped a picture"))
        .collect();
    assert_eq!(skipped.len(), names.len(), "{log:#?}");
    assert!(
        skipped
            .iter()
            .all(|line| line.contains("WARN") && line.contains("file="))
    );
    let forged = log
        .iter()
        .any(|line| line.starts_with("INFO a forged line"));
    assert!(!forged, "a name cannot write into the log: {log:#?}");
    // One decision: nothing was read out of what is no picture.
    let decisions = || gate.status()["decisions"].as_array().unwrap().len();
    waits_for("the page shows the decision", || decisions() > 0);
    assert_eq!(decisions(), 1);
}
