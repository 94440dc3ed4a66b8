//! Whoever writes a config wrongly is told the file, the line, the key and what is allowed; and the exit code is 78, so
//! that systemd does not try again.

use crate::outside::{command, home};

const LANES: &str = r#"
[gpio]
driver = "simulated"
folder = "lines"
fire_loop = 4

[[lane]]
name = "in"
barrier = "flap"
fail = "secure"
directions = ["entry"]
release_ms = 3000
debounce_ms = 10
obstruction_ms = 10000
outputs = { release_entry = 17, green_light = 22 }
sensors = { entry_beam = 5, exit_beam = 6 }

[[lane.reader]]
name = "scanner"
direction = "entry"
line = { port = "scanner", baud = 9600 }

[[lane]]
name = "out"
barrier = "tripod"
fail = "safe"
directions = ["exit"]
release_ms = 3000
pulse_ms = 500
outputs = { release_exit = 18 }
sensors = { exit_rotor = 13 }
"#;

/// Writes `wrong` for `right`; `check` and `run` both refuse it in the same words, which are to hold `words`.
#[track_caller]
fn is_refused(right: &str, wrong: &str, words: &[&str]) {
    assert_eq!(LANES.matches(right).count(), 1, "{right}");
    let folder = home(&LANES.replace(right, wrong));
    let text = std::fs::read_to_string(folder.path().join("gate.toml")).unwrap();
    let start = text.find(wrong).unwrap();
    let line = text[..start].lines().count() + usize::from(text[..start].ends_with('\n'));
    let checked = command(folder.path(), &["check", "gate.toml"]);
    let ran = command(folder.path(), &["run", "--config", "gate.toml"]);
    for (code, said) in [checked, ran] {
        assert_eq!(code, Some(78), "{said}");
        let at = format!("line {line}");
        for word in words.iter().chain(&["gate.toml", at.as_str()]) {
            assert!(said.contains(word), "no \"{word}\" in: {said}");
        }
        assert!(!said.contains("panicked"), "{said}");
    }
    assert!(
        !folder.path().join("gate").exists(),
        "nothing is touched before the config is good"
    );
}

#[test]
fn the_config_of_these_stories_is_good() {
    let folder = home(LANES);
    let (code, said) = command(folder.path(), &["check", "gate.toml"]);
    assert_eq!(code, Some(0), "{said}");
}

#[test]
fn an_unknown_key_is_named_with_those_that_exist() {
    is_refused(
        "debounce_ms = 10",
        "debonce_ms = 10",
        &["lane[0]", "debonce_ms", "debounce_ms"],
    );
    is_refused(
        "line = { port = \"scanner\", baud = 9600 }",
        "line = { port = \"scanner\", speed = 9600 }",
        &["lane[0].reader[0].line", "speed", "baud"],
    );
}

#[test]
fn a_wrong_type_is_told_what_is_wanted() {
    is_refused(
        "debounce_ms = 10",
        "debounce_ms = \"10\"",
        &["lane[0].debounce_ms", "a whole number from 0 to 200 ms"],
    );
    is_refused(
        "debounce_ms = 10",
        "debounce_ms = 1.5",
        &["lane[0].debounce_ms", "a whole number from 0 to 200 ms"],
    );
    is_refused(
        "directions = [\"exit\"]",
        "directions = \"exit\"",
        &["lane[1].directions", "a list in [ ]"],
    );
    is_refused(
        "fail = \"safe\"",
        "fail = \"soft\"",
        &["lane[1].fail", "soft", "safe", "secure"],
    );
}

#[test]
fn two_lanes_on_one_pin_are_both_named() {
    is_refused(
        "outputs = { release_exit = 18 }",
        "outputs = { release_exit = 17 }",
        &[
            "lane[1].outputs.release_exit",
            "line 17 is used by lane[0].outputs.release_entry",
        ],
    );
    is_refused(
        "sensors = { exit_rotor = 13 }",
        "sensors = { exit_rotor = 4 }",
        &[
            "lane[1].sensors.exit_rotor",
            "line 4 is used by gpio.fire_loop",
        ],
    );
    is_refused(
        "sensors = { exit_rotor = 13 }",
        "sensors = { exit_rotor = 256 }",
        &["lane[1].sensors.exit_rotor", "0 to 255"],
    );
}

#[test]
fn impossible_times_are_told_the_range() {
    let release = "release_ms = 3000\ndebounce";
    let of_range = ["lane[0].release_ms", "500 to 30000 ms"];
    for wrong in ["0", "-1", "499", "30001", "9223372036854775807"] {
        is_refused(
            release,
            &format!("release_ms = {wrong}\ndebounce"),
            &of_range,
        );
    }
    // Larger than any number of TOML.
    is_refused(
        release,
        "release_ms = 9223372036854775808\ndebounce",
        &["lane[0].release_ms"],
    );
    is_refused(
        "debounce_ms = 10",
        "debounce_ms = -10",
        &["lane[0].debounce_ms", "-10 ms", "0 to 200 ms"],
    );
}

#[test]
fn times_that_do_not_fit_each_other_are_both_named() {
    is_refused(
        "obstruction_ms = 10000",
        "obstruction_ms = 2000",
        &["lane[0].obstruction_ms", "2000 ms", "release_ms (3000 ms)"],
    );
    is_refused(
        "pulse_ms = 500",
        "pulse_ms = 4000",
        &["lane[1].pulse_ms", "4000 ms", "release_ms (3000 ms)"],
    );
}

#[test]
fn a_speed_that_no_module_has_is_told_those_that_exist() {
    is_refused(
        "line = { port = \"scanner\", baud = 9600 }",
        "line = { port = \"scanner\", baud = 9601 }",
        &["lane[0].reader[0].line.baud", "9601", "9600", "115200"],
    );
}
