//! A device that is not there: told, tried for ever, and no matter to the readers beside it.

use std::thread::sleep;
use std::time::Duration;

use crate::outside::{Gate, command, home, waits_for};
use crate::terminal::Scanner;

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
reader = [
    { name = "scanner", direction = "exit", line = { port = "scanner" } },
    { name = "late", direction = "exit", line = { port = "late" } },
    { name = "card", direction = "exit", id_card = { port = "no-card" } },
    { name = "camera", direction = "exit", camera = { device = "no-video" } },
]
"#;

/// Lines of the log that complain about a device.
fn complaints(gate: &Gate, device: &str) -> Vec<String> {
    let log = gate.log().into_iter();
    log.filter(|line| line.contains("WARN") && line.contains(device))
        .collect()
}

#[test]
fn check_tells_which_devices_are_not_there_and_accepts_the_config() {
    let folder = home(LANES);
    let _scanner = Scanner::plug_in(&folder.path().join("scanner"));
    let (code, said) = command(folder.path(), &["check", "gate.toml"]);
    assert_eq!(code, Some(0), "it may be plugged in later: {said}");
    for (reader, key, device) in [
        (1, "line.port", "late"),
        (2, "id_card.port", "no-card"),
        (3, "camera.device", "no-video"),
    ] {
        let told = said
            .lines()
            .find(|line| line.contains(&format!("lane[0].reader[{reader}].{key}")));
        let told = told.unwrap_or_else(|| panic!("{key} is not told: {said}"));
        assert!(
            told.contains("gate.toml") && told.contains(device) && told.contains("not there"),
            "{told}"
        );
    }
    assert!(!said.contains("reader[0]"), "{said}");
}

#[test]
fn a_gate_starts_without_a_reader_tries_for_it_for_ever_and_serves_at_the_others() {
    let folder = home(LANES);
    let scanner = Scanner::plug_in(&folder.path().join("scanner"));
    let gate = Gate::start(folder.path());
    let up = |device| gate.metric(&format!("turnstile_device_up{{device=\"{device}\"}}"));
    waits_for("the scanner is up", || up("scanner") == 1);
    for device in ["late", "card", "camera"] {
        assert_eq!(up(device), 0, "{device}");
    }
    waits_for("each is told", || {
        ["late", "card", "camera"]
            .iter()
            .all(|device| !complaints(&gate, device).is_empty())
    });
    let ready = gate.page("/readyz");
    assert!(ready.starts_with("HTTP/1.1 503"), "{ready}");
    assert!(ready.contains("card is down"), "{ready}");

    // The passenger at the reader that is there.
    scanner.shows("HC:LEAVES");
    waits_for("released", || gate.line(18) == Some('1'));

    // One line a change, and not one a try.
    let before: Vec<_> = ["late", "card", "camera"]
        .map(|device| complaints(&gate, device).len())
        .into();
    assert!(
        before.iter().all(|lines| *lines <= 2),
        "{before:?}: {:#?}",
        gate.log()
    );
    sleep(Duration::from_secs(4));
    let after: Vec<_> = ["late", "card", "camera"]
        .map(|device| complaints(&gate, device).len())
        .into();
    assert_eq!(before, after, "{:#?}", gate.log());

    // Plugged in at last.
    let late = Scanner::plug_in(&folder.path().join("late"));
    waits_for("it is found", || up("late") == 1);
    waits_for("nobody is let through any more", || {
        gate.line(18) == Some('0')
    });
    late.shows("HC:LEAVES TOO");
    waits_for("released by the one that came late", || {
        gate.line(18) == Some('1')
    });
}

#[test]
fn a_gate_starts_without_its_relay_board_says_so_once_and_goes_on_trying() {
    let lanes = LANES
        .replace("driver = \"simulated\"", "driver = \"gpiocdev\"")
        .replace("folder = \"lines\"", "chip = \"no-chip\"");
    let folder = home(&lanes);
    let _scanner = Scanner::plug_in(&folder.path().join("scanner"));
    let (code, said) = command(folder.path(), &["check", "gate.toml"]);
    assert_eq!(code, Some(0), "{said}");
    assert!(
        said.contains("gpio.chip") && said.contains("no-chip"),
        "{said}"
    );

    let gate = Gate::start(folder.path());
    gate.logs("relays and sensors are offline");
    let up = |device| gate.metric(&format!("turnstile_device_up{{device=\"{device}\"}}"));
    waits_for("the scanner is up", || up("scanner") == 1);
    assert_eq!(up("lines"), 0);
    let ready = gate.page("/readyz");
    assert!(ready.contains("lines is down"), "{ready}");
    sleep(Duration::from_secs(3));
    let told = gate.log().into_iter();
    let told: Vec<_> = told
        .filter(|line| line.contains("relays and sensors are offline"))
        .collect();
    assert_eq!(told.len(), 1, "{told:#?}");
    assert!(told[0].contains("no-chip"), "{told:#?}");
}
