//! Every rule, in the words of the person who reads the refusal.

use std::path::Path;

use super::load::CONFIG_BYTES_MAX;
use super::tree::{Drive, Fail, PassbackMode};
use super::{Config, ConfigError, load, parse};
use crate::domain::{Colour, Direction, Rule};

/// A flap both ways by one relay, and a tripod on the way out.
const GOOD: &str = r#"gate = "g1"
data_dir = "data"
trust_file = "trust.toml"

[backend]
url = "http://127.0.0.1:9480"
list_keys = ["AAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA="]

[[list]]
name = "health"
pepper_file = "pepper"

[policy.exit]
green = "open"

[gpio]
driver = "rppal"
fire_loop = 4

[[lane]]
name = "a"
barrier = "flap"
fail = "safe"
directions = ["entry", "exit"]
release_ms = 5000
[lane.outputs]
release_entry = 17
release_exit = 17
green_light = 22
[lane.sensors]
entry_beam = { pin = 5, active = "low" }
exit_beam = 6
[[lane.reader]]
name = "a-camera"
direction = "entry"
camera = { device = "/dev/video0" }
[[lane.reader]]
name = "a-card"
direction = "exit"
id_card = { port = "ttyUSB0" }

[[lane]]
name = "b"
barrier = "tripod"
fail = "secure"
directions = ["exit"]
pulse_ms = 400
[lane.outputs]
release_exit = 27
[lane.sensors]
exit_rotor = 13
"#;

fn read(text: &str) -> Result<Config, ConfigError> {
    parse(Path::new("gate.toml"), text)
}

/// The refusal after `from` has become `to` in the good file.
#[track_caller]
fn refused(from: &str, to: &str) -> String {
    assert!(GOOD.contains(from), "{from} is not in the good file");
    read(&GOOD.replacen(from, to, 1))
        .expect_err("should be refused")
        .to_string()
}

#[track_caller]
fn says(from: &str, to: &str, sentence: &str) {
    let message = refused(from, to);
    assert!(message.contains(sentence), "{message}");
}

#[test]
fn a_good_file_is_read_with_its_defaults() {
    let config = read(GOOD).unwrap();
    assert_eq!(config.lanes.len(), 2);
    assert_eq!(config.lanes[0].fail, Fail::Safe);
    assert_eq!(config.lanes[1].pulse_ms.get(), 400);
    assert_eq!(config.lanes[0].readers[1].direction, Direction::Exit);
    assert_eq!(config.passback.mode, PassbackMode::Hard);
    let beam = config.lanes[0].sensors.entry_beam.unwrap();
    assert!(beam.pin.get() == 5 && !beam.level(true) && beam.level(false));
    assert!(config.backend.unwrap().resolve);
}

#[test]
fn an_exit_table_that_names_one_key_leaves_the_others_open() {
    let config = read(&GOOD.replace("green = \"open\"", "yellow = \"assist\"")).unwrap();
    assert_eq!(config.policy.exit.yellow, Rule::Assist);
    assert_eq!(config.policy.exit.red, Rule::Open);
    assert_eq!(config.policy.entry.red, Rule::Hold);
    let config = read(&GOOD.replace("[policy.exit]", "[policy.entry]")).unwrap();
    assert_eq!(config.policy.exit.red, Rule::Open);
}

#[test]
fn every_shipped_config_is_accepted() {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("hardware");
    let mut seen = 0;
    for entry in std::fs::read_dir(folder).unwrap() {
        let path = entry.unwrap().path();
        let is_toml = path.extension().is_some_and(|e| e == "toml");
        if is_toml && path.file_name().is_none_or(|name| name != "trust.toml") {
            let config = load(&path).unwrap_or_else(|e| panic!("{e}"));
            assert!(config.trust_file.is_absolute());
            seen += 1;
        }
    }
    assert!(seen > 0);
}

/// The example says "every key is shown, the rest are the defaults": with all of them switched on it reads the same.
#[test]
fn the_example_shows_true_defaults() {
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("hardware/example.toml");
    let plain = std::fs::read_to_string(path).unwrap();
    let shown: String = plain
        .lines()
        .filter(|line| {
            let instead = [
                "# chip",
                "# folder",
                "# entry_rotor",
                "# release_exit",
                "# url",
                "# certificate",
                "# key",
                "# ca",
                "# next_pepper_file",
                "# policy_file",
                "# area",
                "# trust_keys",
                "# directive_keys",
                "# time_zone",
                "# holidays",
                "# gpio",
                "# users",
                "# groups",
                "# area",
                "# below_beams",
                "# drive",
                "# duty_percent",
                "# green_light_exit",
                "# red_light_exit",
                "# middle_beams",
                "# low_beam",
                "# presence",
                "# opened",
                "# closed",
                "# pass_point",
                "# reset_point",
                "# rdm6300",
                "# wiegand",
                "# pn532",
                "# osdp",
            ];
            !instead.iter().any(|key| line.starts_with(key))
        })
        .map(|line| {
            let is_key = line.strip_prefix("# ").filter(|rest| {
                rest.split_once(" = ").is_some_and(|(key, _)| {
                    key.bytes().all(|b| b.is_ascii_lowercase() || b == b'_')
                })
            });
            match is_key {
                Some(rest) if !rest.starts_with("name") && !rest.starts_with("direction") => rest,
                _ => line,
            }
        })
        .flat_map(|line| [line, "\n"])
        .collect();
    assert!(shown.contains("\npulse_ms = 500") && shown.contains("\nunknown = \"hold\""));
    let (plain, shown) = (read(&plain).unwrap(), read(&shown).unwrap());
    assert_eq!(format!("{plain:?}"), format!("{shown:?}"));
}

#[test]
fn a_typo_is_refused_by_name_and_line() {
    let message = refused("release_ms = 5000", "relase_ms = 5000");
    assert!(
        message.starts_with("gate.toml: line 25, column 1: key `lane[0].relase_ms`: there is no such key here; is `release_ms` meant?"),
        "{message}"
    );
}

#[test]
fn a_value_out_of_range_names_line_key_and_range() {
    assert_eq!(
        refused("release_ms = 5000", "release_ms = 5"),
        "gate.toml: line 25, column 14: key `lane[0].release_ms`: 5 ms is outside 500 to 30000 ms"
    );
    says(
        "fire_loop = 4",
        "fire_loop = 400",
        "key `gpio.fire_loop`: 400 is outside 0 to 255",
    );
    says(
        "fire_loop = 4",
        "fire_loop = { pin = -1 }",
        "key `gpio.fire_loop.pin`: -1 is outside 0 to 255",
    );
}

#[test]
fn passback_beyond_a_gate_has_a_name_and_a_backend_that_keeps_claims() {
    let with = |table: &str| {
        let text = format!("passback = {table}\n{GOOD}");
        read(&text).map(|config| (config.passback.mode, config.passback.area()))
    };
    let zone = r#"{ mode = "soft", scope = "zone", area = "line-2" }"#;
    assert_eq!(
        with(zone).unwrap(),
        (PassbackMode::Soft, Some("zone:line-2".into()))
    );
    for (table, sentence) in [
        (
            r#"{ scope = "station" }"#,
            "key `passback.area`: scope \"station\" and \"zone\" need the name",
        ),
        (
            r#"{ area = "line-2" }"#,
            "key `passback.area`: an area goes with scope",
        ),
        (r#"{ scope = "line" }"#, "`gate`, `station`, `zone`"),
    ] {
        let message = with(table).unwrap_err().to_string();
        assert!(message.contains(sentence), "{message}");
    }
    let key = GOOD
        .lines()
        .find(|line| line.starts_with("url = "))
        .unwrap();
    let off = GOOD.replacen(key, &format!("{key}\nclaims = false"), 1);
    let message = read(&format!("passback = {zone}\n{off}"))
        .unwrap_err()
        .to_string();
    assert!(message.contains("claims = true is needed"), "{message}");
    says(
        key,
        &format!("{key}\nclaim_ms = 151"),
        "key `backend.claim_ms`: 151 ms is outside 10 to 150 ms",
    );
}

#[test]
fn a_value_of_the_wrong_type_says_what_is_wanted() {
    assert_eq!(
        refused("release_ms = 5000", "release_ms = \"5 s\""),
        "gate.toml: line 25, column 14: key `lane[0].release_ms`: here stands string \"5 s\", but a whole number from \
         500 to 30000 ms is wanted"
    );
    says(
        "release_ms = 5000",
        "release_ms = 5.5",
        "here stands floating point `5.5`, but a whole number from 500",
    );
    says(
        "exit_beam = 6",
        "exit_beam = \"6\"",
        "a line number from 0 to 255, or { pin = 17, active = \"low\" }, is wanted",
    );
    says(
        "fail = \"safe\"",
        "fail = \"open\"",
        "\"open\" is not a choice here: `safe` or `secure`",
    );
    says(
        "gate = \"g1\"",
        "gate = \"g/1\"",
        "key `gate`: a name is made of",
    );
}

#[test]
fn a_missing_key_is_named() {
    says(
        "fail = \"safe\"\n",
        "",
        "line 20, column 1: key `lane[0].fail`: this key is missing, and it has no default",
    );
    says(
        "device = \"/dev/video0\"",
        "",
        "key `lane[0].reader[0].camera.device`: this key is missing",
    );
    says(
        "pin = 5, ",
        "",
        "key `lane[0].sensors.entry_beam.pin`: this key is missing",
    );
}

#[test]
fn a_gate_has_one_to_four_lanes() {
    let none = GOOD.split("[[lane]]").next().unwrap();
    let message = read(&format!("{none}\n")).unwrap_err().to_string();
    assert!(
        message.contains("key `lane`: this key is missing"),
        "{message}"
    );
    let empty = format!("lane = []\n{none}");
    let message = read(&empty).unwrap_err().to_string();
    assert!(
        message.contains("0 lanes are given; a gate has 1 to 4"),
        "{message}"
    );
    let third = GOOD.rsplit("[[lane]]").next().unwrap();
    let five = format!("{GOOD}\n[[lane]]{third}\n[[lane]]{third}\n[[lane]]{third}");
    let message = read(&five).unwrap_err().to_string();
    assert!(message.contains("5 lanes are given"), "{message}");
}

#[test]
fn names_are_labels_and_unique() {
    let rule = "a name has 1 to 32 characters out of";
    for bad in ["", "a b", "a\\\"b", "ä", ".a", &"x".repeat(33)] {
        says("name = \"a\"", &format!("name = \"{bad}\""), rule);
        says("name = \"a-card\"", &format!("name = \"{bad}\""), rule);
    }
    says(
        "name = \"b\"",
        "name = \"a\"",
        "key `lane[1].name`: \"a\" is the name of lane[0] already",
    );
    says(
        "name = \"a-card\"",
        "name = \"a-camera\"",
        "key `lane[0].reader[1].name`: \"a-camera\" is the name of lane[0].reader[0] already",
    );
}

#[test]
fn one_line_has_one_use() {
    says(
        "green_light = 22",
        "green_light = 17",
        "line 29, column 15: key `lane[0].outputs.green_light`: line 17 is used by lane[0].outputs.release_entry already",
    );
    says(
        "exit_beam = 6",
        "exit_beam = 4",
        "line 4 is used by gpio.fire_loop already",
    );
    says(
        "release_exit = 27",
        "release_exit = 17",
        "key `lane[1].outputs.release_exit`: line 17 is used by",
    );
    says(
        "release_exit = 17",
        "release_exit = { pin = 17, active = \"low\" }",
        "line 17 is release_entry too, with the other polarity",
    );
    says(
        "exit_rotor = 13",
        "exit_rotor = 27",
        "line 27 is used by lane[1].outputs.release_exit already",
    );
}

#[test]
fn two_flaps_do_not_share_a_relay() {
    let flaps = GOOD
        .replace("barrier = \"tripod\"", "barrier = \"flap\"")
        .replace("exit_rotor = 13", "entry_beam = 13\nexit_beam = 19");
    read(&flaps).unwrap();
    let message = read(&flaps.replace("release_exit = 27", "release_exit = 17"))
        .unwrap_err()
        .to_string();
    assert!(
        message.contains("line 17 is used by lane[0].outputs.release_entry already"),
        "{message}"
    );
}

#[test]
fn a_tripod_has_a_relay_for_each_direction() {
    let both = GOOD
        .replace(
            "directions = [\"exit\"]",
            "directions = [\"exit\", \"entry\"]",
        )
        .replace("release_exit = 27", "release_exit = 27\nrelease_entry = 27")
        .replace("exit_rotor = 13", "exit_rotor = 13\nentry_rotor = 19");
    let message = read(&both).unwrap_err().to_string();
    assert!(
        message.contains("only release_entry and release_exit of one leaf may share"),
        "{message}"
    );
    read(&both.replace("release_entry = 27", "release_entry = 21")).unwrap();
}

#[test]
fn each_gpio_driver_gets_what_it_needs() {
    says(
        "exit_beam = 6",
        "exit_beam = 28",
        "28 is no line of a Raspberry Pi; allowed are 0 to 27",
    );
    says(
        "\"rppal\"",
        "\"gpiocdev\"",
        "key `gpio.chip`: driver \"gpiocdev\" needs this key",
    );
    says(
        "\"rppal\"",
        "\"simulated\"",
        "key `gpio.folder`: driver \"simulated\" needs this key",
    );
    says(
        "\"rppal\"",
        "\"rppal\"\nchip = \"/dev/gpiochip0\"",
        "only driver \"gpiocdev\" has a chip",
    );
    says(
        "\"rppal\"",
        "\"rppal\"\nfolder = \"lines\"",
        "only driver \"simulated\" has a folder",
    );
    says("\"rppal\"", "\"sysfs\"", "`rppal`, `gpiocdev`, `simulated`");
    let chip = "\"gpiocdev\"\nchip = \"/dev/gpiochip0\"";
    read(
        &GOOD
            .replace("\"rppal\"", chip)
            .replace("exit_beam = 6", "exit_beam = 200"),
    )
    .unwrap();
}

#[test]
fn a_barrier_gets_what_it_needs_and_nothing_else() {
    says(
        "exit_beam = 6\n",
        "",
        "key `lane[0].sensors.exit_beam`: a flap needs both beams",
    );
    says(
        "release_entry = 17\n",
        "",
        "key `lane[0].outputs.release_entry`: a lane that serves \"entry\" needs this relay",
    );
    says(
        "release_exit = 27\n",
        "",
        "key `lane[1].outputs.release_exit`: a lane that serves \"exit\" needs this relay",
    );
    says(
        "exit_rotor = 13",
        "entry_rotor = 13",
        "key `lane[1].sensors.exit_rotor`: a tripod that serves \"exit\" needs this contact",
    );
    says(
        "exit_rotor = 13",
        "exit_rotor = 13\nexit_beam = 7",
        "a tripod has no beams",
    );
    says(
        "exit_beam = 6",
        "exit_beam = 6\nexit_rotor = 7",
        "a flap has no rotor",
    );
}

/// The flap of the good file as a gate that a motor drives.
fn swing() -> String {
    GOOD.replacen("barrier = \"flap\"", "barrier = \"swing\"", 1)
        .replace("exit_beam = 6", "exit_beam = 6\nopened = 9\nclosed = 10")
}

#[test]
fn each_kind_of_barrier_is_accepted_with_all_that_it_may_have() {
    let full = swing()
        .replace("\"swing\"", "\"full_height\"")
        .replace("opened = 9", "opened = 9\nmiddle_beams = [7, 8, 11, 12]\nlow_beam = 14\npresence = 15")
        .replace(
            "release_ms = 5000",
            "release_ms = 5000\ntravel_ms = 4000\nfollower_gap_ms = 0\ngroup_max = 8\nbelow_beams = \"companion\"",
        )
        .replace("green_light = 22", "green_light = 22\nred_light_exit = 23")
        .replace("pulse_ms = 400", "drive = \"hold\"\nduty_percent = 25")
        .replace("exit_rotor = 13", "exit_rotor = 13\npass_point = 18\nreset_point = 19");
    let config = read(&swing()).and_then(|_| read(&full)).unwrap();
    let [leaf, tripod] = &config.lanes[..] else {
        panic!("two lanes");
    };
    assert_eq!(leaf.sensors.lines().len(), 10);
    assert_eq!(tripod.drive, Some(Drive::Hold));
}

#[test]
#[expect(clippy::too_many_lines, reason = "a table of what is refused")]
fn what_belongs_to_another_kind_of_barrier_is_refused_by_its_key() {
    let says = |text: &str, from: &str, to: &str, sentence: &str| {
        let broken = text.replacen(from, to, 1);
        assert_ne!(broken, text);
        let message = read(&broken).unwrap_err().to_string();
        assert!(message.contains(sentence), "{message}");
    };
    let swing = swing();
    says(
        &swing,
        "opened = 9\n",
        "",
        "key `lane[0].sensors.opened`: a swing is driven by a motor",
    );
    says(
        &swing,
        "\nclosed = 10",
        "",
        "key `lane[0].sensors.closed`: a leaf that says when it is open",
    );
    says(
        &swing,
        "closed = 10",
        "closed = 10\npass_point = 7",
        "key `lane[0].sensors.pass_point`: a swing has no rotor",
    );
    says(
        GOOD,
        "exit_rotor = 13",
        "exit_rotor = 13\nclosed = 7",
        "key `lane[1].sensors.closed`: a tripod has no beams and no leaf",
    );
    says(
        GOOD,
        "exit_rotor = 13",
        "exit_rotor = 13\npass_point = 7",
        "key `lane[1].sensors.reset_point`: the points of 67 and 112 degrees come together",
    );
    says(
        GOOD,
        "release_ms = 5000",
        "drive = \"hold\"",
        "key `lane[0].drive`: a flap has no solenoid",
    );
    says(
        GOOD,
        "release_ms = 5000",
        "duty_percent = 10",
        "key `lane[0].duty_percent`: a flap has no solenoid",
    );
    says(
        GOOD,
        "release_ms = 5000",
        "below_beams = \"luggage\"",
        "key `lane[0].below_beams`: nothing is seen below the beams without sensors.low_beam",
    );
    says(
        GOOD,
        "pulse_ms = 400",
        "below_beams = \"luggage\"",
        "key `lane[1].below_beams`: a tripod has no beams",
    );
    says(
        GOOD,
        "exit_beam = 6",
        "exit_beam = 6\nmiddle_beams = [7, 8, 9, 10, 11]",
        "5 beams are given between the two outer ones; allowed are 0 to 4",
    );
    says(
        GOOD,
        "exit_beam = 6",
        "exit_beam = 6\nmiddle_beams = [27]",
        "line 27 is used by lane[0].sensors.middle_beams[0] already",
    );
    says(
        GOOD,
        "release_ms = 5000",
        "group_max = 9",
        "9 grants is outside 1 to 8 grants",
    );
    says(
        GOOD,
        "pulse_ms = 400",
        "duty_percent = 0",
        "0 percent is outside 1 to 100 percent",
    );
    says(
        &swing,
        "release_ms = 5000",
        "travel_ms = 100",
        "100 ms is outside 200 to 15000 ms",
    );
    says(
        GOOD,
        "release_ms = 5000",
        "follower_gap_ms = 10001",
        "10001 ms is outside 0 to 10000 ms",
    );
}

#[test]
fn directions_are_named_once_and_readers_stand_on_one_of_them() {
    says(
        "directions = [\"exit\"]",
        "directions = []",
        "key `lane[1].directions`: empty",
    );
    says(
        "[\"entry\", \"exit\"]",
        "[\"entry\", \"entry\"]",
        "a direction stands here twice",
    );
    says(
        "directions = [\"entry\", \"exit\"]",
        "directions = [\"entry\"]",
        "key `lane[0].reader[1].direction`: the lane does not serve \"exit\"",
    );
    says(
        "pulse_ms = 400",
        "mode = \"entry_only\"",
        "mode \"entry_only\" needs \"entry\" among the directions",
    );
}

#[test]
fn times_fit_each_other() {
    says(
        "release_ms = 5000",
        "release_ms = 20000",
        "key `lane[0].obstruction_ms`: 10000 ms is shorter than release_ms (20000 ms)",
    );
    says(
        "pulse_ms = 400",
        "pulse_ms = 4000\nrelease_ms = 3000",
        "key `lane[1].pulse_ms`: 4000 ms is longer than release_ms (3000 ms)",
    );
}

#[test]
fn a_reader_has_exactly_one_device_and_shares_it_with_nobody() {
    let rule = "line 33, column 1: key `lane[0].reader[0]`: a reader has exactly one of";
    says("camera = { device = \"/dev/video0\" }\n", "", rule);
    says("camera = {", "line = { port = \"x\" }\ncamera = {", rule);
    says(
        "id_card = { port = \"ttyUSB0\" }",
        "camera = { device = \"/dev/video0\" }",
        "/dev/video0 is the device of lane[0].reader[0] already",
    );
    let reader = "[[lane.reader]]\nname = \"a-camera\"\ndirection = \"entry\"\ncamera = { device = \"/dev/video0\" }\n";
    says(
        reader,
        &reader.repeat(8),
        "9 readers are given; a lane has at most 8",
    );
}

#[test]
fn device_settings_have_bounds() {
    says(
        "\"/dev/video0\"",
        "\"/dev/video0\", size = [100, 480]",
        "key `lane[0].reader[0].camera.size`: [100, 480] is outside [160, 120] to [1920, 1080] pixels",
    );
    says(
        "\"/dev/video0\"",
        "\"/dev/video0\", size = [640, 1081]",
        "is outside",
    );
    says(
        "\"/dev/video0\"",
        "\"/dev/video0\", size = [640]",
        "camera.size",
    );
    says(
        "\"/dev/video0\"",
        "\"/dev/video0\", fps = 0",
        "0 frames/s is outside 1 to 120 frames/s",
    );
    says(
        "\"ttyUSB0\"",
        "\"ttyUSB0\", baud = 4800",
        "key `lane[0].reader[1].id_card.baud`: 4800 is no speed of such a device; allowed are [9600, 19200, 38400, 57600, 115200]",
    );
}

#[test]
fn every_kind_of_serial_reader_is_taken_and_a_wrong_key_of_it_is_named() {
    let card = "id_card = { port = \"ttyUSB0\" }";
    let with = |device: &str| GOOD.replacen(card, device, 1);
    for good in [
        "line = { port = \"ttyUSB0\", end = \"line\", prefix = \"S1:\", aim_id = true }",
        "rdm6300 = { port = \"ttyUSB0\" }",
        "wiegand = { port = \"ttyUSB0\", form = \"text\", bits = [26, 34] }",
        "pn532 = { port = \"ttyUSB0\", baud = 115200 }",
    ] {
        let config = parse(Path::new("gate.toml"), &with(good));
        assert!(config.is_ok(), "{good}: {config:?}");
    }
    for (bad, sentence) in [
        (
            "wiegand = { port = \"x\", form = \"text\", bits = [37] }",
            "wiegand.bits`: [37] is not allowed; the formats with known parity are [26, 34]",
        ),
        (
            "wiegand = { port = \"x\", form = \"text\", bits = [] }",
            "wiegand.bits`",
        ),
        (
            "line = { port = \"x\", prefix = \"\\t\" }",
            "line.prefix`: a prefix has 0 to 16 characters",
        ),
        ("line = { port = \"x\", end = \"cr\" }", "line.end`"),
        (
            "rdm6300 = { port = \"x\", baud = 1200 }",
            "rdm6300.baud`: 1200 is no speed",
        ),
    ] {
        says(card, bad, sentence);
    }
}

#[test]
fn osdp_readers_share_a_line_and_nothing_else() {
    let card = "[[lane.reader]]\nname = \"a-card\"\ndirection = \"exit\"\nid_card = { port = \"ttyUSB0\" }\n";
    let reader = |name: &str, rest: &str| {
        format!(
            "[[lane.reader]]\nname = \"{name}\"\ndirection = \"exit\"\nosdp = {{ key_file = \"k\", {rest} }}\n"
        )
    };
    let two = |second: &str| reader("a", "port = \"x\", address = 0") + &reader("b", second);
    let good = GOOD.replacen(card, &two("port = \"x\", address = 1"), 1);
    let config = parse(Path::new("gate.toml"), &good);
    assert!(config.is_ok(), "{config:?}");
    for (second, sentence) in [
        (
            "port = \"x\", address = 0",
            "osdp.address`: 0 is the address of lane[0].reader[1] already",
        ),
        (
            "port = \"x\", address = 127",
            "osdp.address`: 127 is outside 0 to 126",
        ),
        (
            "port = \"x\", address = 1, baud = 9600",
            "osdp.baud`: lane[0].reader[1] has 115200 on the same line",
        ),
        (
            "port = \"/dev/video0\", address = 1",
            "/dev/video0 is the device of lane[0].reader[0] already",
        ),
    ] {
        says(card, &two(second), sentence);
    }
    says(
        card,
        &(reader("a", "port = \"x\", address = 0") + &card.replace("ttyUSB0", "x")),
        "x is the device of lane[0].reader[1] already",
    );
}

#[test]
fn nobody_is_held_on_the_way_out() {
    for key in [
        "green",
        "yellow",
        "red",
        "unknown",
        "not_applied",
        "query_failed",
        "timed_out",
        "stale",
        "clock_untrusted",
    ] {
        says(
            "green = \"open\"",
            &format!("{key} = \"hold\""),
            &format!(
                "line 14, column {}: key `policy.exit.{key}`: nobody is trapped",
                key.len() + 4
            ),
        );
    }
}

#[test]
fn plain_http_stays_on_this_machine() {
    for good in [
        "http://localhost:1",
        "http://[::1]:9480/",
        "http://127.3.2.1",
        "HTTP://127.0.0.1:80",
    ] {
        read(&GOOD.replace("http://127.0.0.1:9480", good)).unwrap();
    }
    let rule = "key `backend.url`: only plain HTTP to this machine is allowed";
    for far in [
        "http://10.0.0.1:80",
        "http://example.org",
        "http://localhost.example.org",
        "http://127.0.0.1.example.org",
        "http://127.0.0.1@example.org",
        "ftp://127.0.0.1",
        "http://0.0.0.0:80",
        "http://[::2]",
    ] {
        says("http://127.0.0.1:9480", far, rule);
    }
    for odd in [
        "http://u:p@127.0.0.1",
        "http://127.0.0.1/v1",
        "http://127.0.0.1/?a",
        "http://127.0.0.1/#a",
    ] {
        says(
            "http://127.0.0.1:9480",
            odd,
            "only scheme, host and port are allowed here",
        );
    }
    says(
        "http://127.0.0.1:9480",
        "127.0.0.1:9480",
        "this is no address",
    );
}

#[test]
fn list_keys_are_one_or_two_public_keys() {
    let key = "\"AAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA=\"";
    let other = "\"AQAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA=\"";
    read(&GOOD.replace(key, &format!("{key}, {other}"))).unwrap();
    says(key, "", "0 keys are given; allowed are 1 or 2");
    says(key, &[key; 3].join(","), "3 keys are given");
    says(
        key,
        &[key; 2].join(","),
        "key `backend.list_keys[1]`: the same key stands here twice",
    );
    says(
        key,
        "\"AAAA\"",
        "key `backend.list_keys[0]`: an Ed25519 public key has 32 bytes, this has 3",
    );
    says(key, "\"not base64\"", "this is not base64");
}

#[test]
fn the_trust_list_has_keys_of_its_own() {
    let lists = "list_keys = [\"AAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA=\"]";
    let with = |keys: &str| format!("{lists}\ntrust_keys = [{keys}]");
    let key = "\"AQAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA=\"";
    let config = read(&GOOD.replace(lists, &with(key))).unwrap();
    assert_eq!(config.backend.unwrap().trust_keys.len(), 1);
    says(
        lists,
        &with(&[key; 3].join(",")),
        "key `backend.trust_keys`: 3 keys are given",
    );
    says(
        lists,
        &with("\"AAAA\""),
        "key `backend.trust_keys[0]`: an Ed25519 public key has 32 bytes",
    );
    let shared = "\"AAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA=\"";
    says(
        lists,
        &with(&format!("{key}, {shared}")),
        "key `backend.trust_keys[1]`: this key signs lists; the trust list has a key of its own",
    );
}

#[test]
fn a_gate_follows_lists_of_different_names() {
    let list = "[[list]]\nname = \"health\"\npepper_file = \"pepper\"\n";
    says(
        list,
        &list.repeat(2),
        "line 13, column 8: key `list[1].name`: \"health\" is the name of list[0] already",
    );
    assert!(read(&GOOD.replace(list, "")).unwrap().lists.is_empty());
    let many: String = (0..17)
        .map(|n| list.replace("health", &format!("h{n}")))
        .collect();
    says(list, &many, "17 lists are given; a gate follows up to 16");
}

#[test]
fn relative_paths_start_at_the_config_file() {
    let text = GOOD
        .replace("\"rppal\"", "\"simulated\"\nfolder = \"lines\"")
        .replace(
            "pepper_file = \"pepper\"",
            "pepper_file = \"pepper\"\nnext_pepper_file = \"next\"",
        );
    let mut config = read(&text).unwrap();
    config.resolve_paths(Path::new("/etc/gate"));
    assert_eq!(config.data_dir, Path::new("/etc/gate/data"));
    assert_eq!(config.trust_file, Path::new("/etc/gate/trust.toml"));
    assert_eq!(config.lists[0].pepper_file, Path::new("/etc/gate/pepper"));
    assert_eq!(
        config.lists[0].next_pepper_file.as_deref(),
        Some(Path::new("/etc/gate/next"))
    );
    assert_eq!(
        config.gpio.folder.as_deref(),
        Some(Path::new("/etc/gate/lines"))
    );
    let readers = &config.lanes[0].readers;
    assert_eq!(
        readers[0].camera.as_ref().unwrap().device,
        Path::new("/dev/video0")
    );
    assert_eq!(
        readers[1].id_card.as_ref().unwrap().port,
        Path::new("/etc/gate/ttyUSB0")
    );
}

#[test]
fn a_file_that_cannot_be_read_or_is_no_config_is_refused() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("gate.toml");
    assert!(matches!(load(&path), Err(ConfigError::Read { .. })));
    assert!(matches!(load(folder.path()), Err(ConfigError::Read { .. })));
    std::fs::write(&path, [0xFF, 0xFE, 0]).unwrap();
    assert!(matches!(load(&path), Err(ConfigError::Read { .. })));
    std::fs::write(
        &path,
        "#".repeat(usize::try_from(CONFIG_BYTES_MAX).unwrap() + 1),
    )
    .unwrap();
    assert!(matches!(load(&path), Err(ConfigError::TooLarge { .. })));
    std::fs::write(&path, GOOD).unwrap();
    assert_eq!(load(&path).unwrap().data_dir, folder.path().join("data"));
}

proptest::proptest! {
    #[test]
    fn no_text_panics(text in ".{0,300}") {
        let _ = read(&text);
    }

    /// Damage to a good file gives a config or a refusal, never a panic.
    #[test]
    fn no_damage_panics(at in 0usize..1200, cut in 0usize..40, put in "[a-z0-9\\[\\]{}=\"., \n-]{0,12}") {
        let mut text = GOOD.to_owned();
        let at = at.min(text.len());
        let end = (at + cut).min(text.len());
        text.replace_range(at..end, &put);
        let _ = read(&text);
    }
}

const SECURE: &str = r#"url = "https://backend.example:9481"
certificate = "gate.pem"
key = "gate.key"
ca = "/etc/gate/ca.pem""#;

#[test]
fn tls_needs_certificate_key_and_authority_and_plain_http_has_no_use_for_them() {
    let plain = "url = \"http://127.0.0.1:9480\"";
    read(&GOOD.replace(plain, SECURE)).unwrap();
    for (line, key) in [
        ("certificate = \"gate.pem\"\n", "certificate"),
        ("key = \"gate.key\"\n", "key"),
        ("\nca = \"/etc/gate/ca.pem\"", "ca"),
    ] {
        let without = SECURE.replace(line, "");
        assert_ne!(without, SECURE);
        says(
            plain,
            &without,
            &format!("key `backend.{key}`: \"https\" needs this key"),
        );
        let with = format!("{plain}\n{}", line.trim());
        says(
            plain,
            &with,
            &format!("key `backend.{key}`: plain HTTP shows no certificate"),
        );
    }
    says(
        plain,
        &SECURE.replace(":9481", ":9481/v1"),
        "key `backend.url`: only scheme, host and port",
    );
}

#[test]
fn a_secret_without_a_slash_is_a_credential_if_there_is_one_and_a_file_otherwise() {
    let plain = "url = \"http://127.0.0.1:9480\"";
    let credentials = tempfile::tempdir().unwrap();
    std::fs::write(credentials.path().join("gate.key"), "x").unwrap();
    std::fs::write(credentials.path().join("ca.pem"), "x").unwrap();
    let mut config = read(&GOOD.replace(plain, SECURE)).unwrap();
    config.resolve_secrets(Path::new("/etc/turnstiled"), Some(credentials.path()));
    let backend = config.backend.unwrap();
    let key = credentials.path().join("gate.key");
    assert_eq!(backend.key.as_deref(), Some(key.as_path()));
    let certificate = Path::new("/etc/turnstiled/gate.pem");
    assert_eq!(backend.certificate.as_deref(), Some(certificate));
    // A path is a path, whatever it ends in.
    assert_eq!(backend.ca.as_deref(), Some(Path::new("/etc/gate/ca.pem")));
}

/// The good file with another table before its lanes.
fn with(table: &str) -> String {
    GOOD.replacen("[gpio]", &format!("{table}\n[gpio]"), 1)
}

const NIGHT: &str = r#"[schedule]
time_zone = "Asia/Shanghai"
holidays = ["2026-10-01"]
[[schedule.span]]
lanes = ["a"]
from = "23:30"
to = "04:30"
mode = "closed""#;

#[test]
fn a_schedule_is_read_for_the_lanes_that_it_names() {
    let config = read(&with(NIGHT)).unwrap();
    let [a, b] = [0, 1].map(|n| config.schedule.of(&config.lanes[n]));
    assert_eq!((a.spans.len(), b.spans.len()), (1, 0));
    assert_eq!(
        (a.spans[0].from, a.spans[0].to, a.spans[0].days.len()),
        (1_410, 270, 8)
    );
    assert_eq!(a.calendar.zone.iana_name(), Some("Asia/Shanghai"));
}

#[test]
fn a_wrong_schedule_is_told_what_is_allowed() {
    for (from, to, sentence) in [
        (
            "Asia/Shanghai",
            "Asia/Nowhere",
            "key `schedule.time_zone`: \"Asia/Nowhere\" is not the IANA name",
        ),
        (
            "time_zone = \"Asia/Shanghai\"",
            "",
            "key `schedule.time_zone`: spans need a time zone",
        ),
        (
            "2026-10-01",
            "1.10.2026",
            "is not a date in quotes, like \"2026-12-25\"",
        ),
        (
            "\"23:30\"",
            "\"23:60\"",
            "key `schedule.span[0].from`: \"23:60\" is not a time of day",
        ),
        ("\"23:30\"", "\"24:00\"", "\"24:00\" is an end"),
        (
            "\"04:30\"",
            "430",
            "here stands integer `430`, but a time of day in quotes",
        ),
        (
            "\"closed\"",
            "\"emergency\"",
            "an emergency is no matter of the calendar",
        ),
        (
            "[\"a\"]",
            "[\"c\"]",
            "key `schedule.span[0].lanes[0]`: there is no lane \"c\"; this gate has a, b",
        ),
        (
            "lanes = [\"a\"]",
            "days = []",
            "key `schedule.span[0].days`: empty",
        ),
        (
            "lanes = [\"a\"]\nfrom = \"23:30\"\nto = \"04:30\"\nmode = \"closed\"",
            "from = \"23:30\"\nto = \"04:30\"\nmode = \"entry_only\"",
            "needs \"entry\" among the directions of lane \"b\"",
        ),
    ] {
        let text = with(&NIGHT.replacen(from, to, 1));
        let message = read(&text).expect_err(sentence).to_string();
        assert!(message.contains(sentence), "{message}");
    }
}

#[test]
fn a_key_switch_has_lines_of_its_own_and_modes_that_its_lane_can_have() {
    let key = "key_switch = [{ line = 26, mode = \"maintenance\" }]\n[lane.outputs]";
    let config = read(&GOOD.replacen("[lane.outputs]", key, 1)).unwrap();
    assert_eq!(config.lanes[0].key_switch[0].line.pin.get(), 26);
    says(
        "[lane.outputs]",
        &key.replace("26", "17"),
        "line 17 is used by lane[0].outputs.release_entry already",
    );
    says(
        "fire_loop = 4",
        "fire_loop = 4\nkey_switch = [{ line = 26, mode = \"entry_only\" }]",
        "key `gpio.key_switch[0].mode`: mode \"entry_only\" needs \"entry\"",
    );
}

#[test]
fn whoever_may_act_is_named_by_name_or_number() {
    let config = read(&with("[staff]\nusers = [\"one\", 1002]")).unwrap();
    let staff = config.staff.unwrap();
    assert_eq!(
        staff.socket,
        std::path::PathBuf::from("/run/turnstiled/staff.sock")
    );
    assert_eq!(staff.users.len(), 2);
    for (users, sentence) in [
        ("[\"a b\"]", "a name has 1 to 64"),
        ("[-1]", "an id is a number"),
        ("[true]", "a name in quotes"),
    ] {
        let message = read(&with(&format!("[staff]\nusers = {users}")))
            .unwrap_err()
            .to_string();
        assert!(message.contains(sentence), "{message}");
    }
}

#[test]
fn a_running_gate_takes_up_what_moves_no_device_and_names_the_rest() {
    let running = read(&with(NIGHT)).unwrap();
    let calm = with(&NIGHT.replace("23:30", "22:30"))
        .replacen("green = \"open\"", "green = \"assist\"", 1)
        .replacen("name = \"a\"", "name = \"a\"\nmode = \"closed\"", 1)
        .replacen("[policy.exit]", "stale_after_min = 5\n[policy.exit]", 1)
        .replacen("[gpio]", "[log]\nlevel = \"debug\"\n[gpio]", 1);
    let new = read(&calm).unwrap();
    let (taken, left) = super::take_up(&running, &new);
    assert_eq!(left, Vec::<String>::new());
    assert_eq!(taken, new);

    let text = calm
        .replacen("release_ms = 5000", "release_ms = 6000", 1)
        .replacen("fire_loop = 4", "fire_loop = 3", 1)
        .replacen("\"g1\"", "\"g2\"", 1);
    let new = read(&text).unwrap();
    let (taken, left) = super::take_up(&running, &new);
    assert_eq!(left, ["gate", "gpio", "lane[0]"]);
    assert_eq!(
        (taken.gate.as_str(), taken.lanes[0].release_ms.get()),
        ("g1", 5_000)
    );
    assert_eq!(taken.lanes[0].mode, new.lanes[0].mode);
}

#[test]
fn a_lane_may_have_a_relay_board_of_its_own_with_the_same_line_numbers() {
    let own = "gpio = { driver = \"gpiocdev\", chip = \"/dev/gpiochip4\" }\n[lane.outputs]\nrelease_exit = 17";
    let text = GOOD.replacen("[lane.outputs]\nrelease_exit = 27", own, 1);
    let boards = read(&text).unwrap().boards();
    let names: Vec<_> = boards
        .iter()
        .map(|board| (board.name.as_str(), board.lanes.len()))
        .collect();
    assert_eq!(names, [("lines", 1), ("lines.b", 1)]);
    for (from, to, sentence) in [
        (
            "/dev/gpiochip4\"",
            "/dev/gpiochip4\", fire_loop = 3",
            "key `lane[1].gpio.fire_loop`: the fire loop is the gate's",
        ),
        (
            ", chip = \"/dev/gpiochip4\"",
            "",
            "key `lane[1].gpio.chip`: driver \"gpiocdev\" needs this key",
        ),
        (
            "fire_loop = 4",
            "fire_loop = 4\nkey_switch = [{ line = 9, mode = \"free\" }]",
            "does not reach lane \"b\"",
        ),
        (
            "{ driver = \"gpiocdev\", chip = \"/dev/gpiochip4\" }",
            "{ driver = \"rppal\" }",
            "line 17 is used by lane[0].outputs.release_entry already",
        ),
    ] {
        let message = read(&text.replacen(from, to, 1))
            .expect_err(sentence)
            .to_string();
        assert!(message.contains(sentence), "{message}");
    }
}

#[test]
fn rules_for_certificates_are_read() {
    let config = read(&format!(
        "{GOOD}\n[[certificate]]\nregion = [\"IT\"]\ndose = {{ from_days = 14, until_days = 270 }}\n\
         test = {{ nucleic_acid_hours = 72 }}\nrecovery = {{}}\nnot_met = \"red\"\n[[certificate]]\n"
    ));
    let rules = config.unwrap().certificates;
    let (first, last) = (&rules[0], &rules[1]);
    let dose = first.dose.as_ref().unwrap();
    assert_eq!(
        (dose.from_days, dose.until_days, dose.series),
        (14, Some(270), 2)
    );
    assert_eq!(first.test.as_ref().unwrap().positive_days, 10);
    assert_eq!(first.recovery.as_ref().unwrap().from_days, 11);
    assert_eq!(first.disease, [crate::domain::certificate::COVID_19]);
    assert_eq!((first.met, first.not_met), (Colour::Green, Colour::Red));
    assert!(last.region.is_none() && last.dose.is_none());
}

#[test]
fn a_rule_for_certificates_that_makes_no_sense_is_refused() {
    let refused = |rules: &str| match read(&format!("{GOOD}\n{rules}")) {
        Ok(_) => panic!("{rules} is taken"),
        Err(error) => error.to_string(),
    };
    for (keys, sentence) in [
        (
            "region = []",
            "key `certificate[0].region`: allowed are 1 to 256 names",
        ),
        (
            "disease = [\"\"]",
            "key `certificate[0].disease`: allowed are 1 to 256 names, none of them empty",
        ),
        (
            "dose = { until_days = 3654 }",
            "3654 days are outside 0 to 3653 days",
        ),
        (
            "dose = { from_days = 9, until_days = 8 }",
            "key `certificate[0].dose.until_days`: this is before dose.from_days",
        ),
        ("dose = { series = 3 }", "a series has 1 or 2 doses, not 3"),
        (
            "dose = { product = [] }",
            "key `certificate[0].dose.product`",
        ),
        (
            "test = { antigen_hours = 0 }",
            "0 hours are outside 1 to 720 hours",
        ),
        (
            "test = { nucleic_acid_hours = 721 }",
            "721 hours are outside 1 to 720 hours",
        ),
        (
            "test = { positive_days = 9999 }",
            "key `certificate[0].test.positive_days`",
        ),
        (
            "recovery = { until_days = 10 }",
            "key `certificate[0].recovery.until_days`: this is before recovery.from_days",
        ),
        ("met = \"blue\"", "blue"),
        ("doses = {}", "doses"),
        (
            "\n[[certificate]]\nregion = [\"IT\"]",
            "certificate[0] is for every region",
        ),
    ] {
        let message = refused(&format!("[[certificate]]\n{keys}\n"));
        assert!(message.contains(sentence), "{keys}: {message}");
    }
}

#[test]
#[expect(clippy::too_many_lines, reason = "the list of what is refused")]
fn a_policy_may_stand_in_a_file_of_its_own_and_in_one_place_only() {
    let folder = tempfile::tempdir().unwrap();
    let example = concat!(env!("CARGO_MANIFEST_DIR"), "/hardware/example.toml");
    let whole = std::fs::read_to_string(example).unwrap();
    let from = whole.find("[policy]\n").unwrap();
    let to = whole
        .find("# The same person in the same direction")
        .unwrap();
    let without = format!("{}{}", &whole[..from], &whole[to..]);
    let without = without.replace("# policy_file", "policy_file");
    let path = folder.path().join("gate.toml");
    let load = |config: &str, policy: &str| {
        std::fs::write(&path, config).unwrap();
        std::fs::write(folder.path().join("policy.toml"), policy).unwrap();
        crate::config::load(&path).map_err(|error| error.to_string())
    };
    let policy = "required = [\"health\", \"ride\", \"entitlement-3\"]\n[entry]\nyellow = \"open\"\n\
                  [exit]\nred = \"assist\"\n[[overlay]]\nregion = [44]\nentry = { yellow = \"hold\" }\n\
                  [[certificate]]\ntest = { nucleic_acid_hours = 48 }\n";
    let config = load(&without, policy).unwrap();
    assert!(config.policy.requires_health());
    assert_eq!(config.policy.required_entitlements(), 0b1001);
    assert_eq!(
        (config.policy.entry.yellow, config.policy.exit.red),
        (Rule::Open, Rule::Assist)
    );
    assert_eq!(
        (config.policy.overlay.len(), config.certificates.len()),
        (1, 1)
    );
    for (from, to, sentence) in [
        (
            "yellow = \"open\"",
            "yelow = \"open\"",
            "policy.toml: line 3, column 1: key `entry.yelow`",
        ),
        (
            "red = \"assist\"",
            "red = \"hold\"",
            "key `exit.red`: nobody is trapped",
        ),
        (
            "region = [44]\n",
            "",
            "key `overlay[0]`: an overlay names an `issuer` or a `region`",
        ),
        (
            "yellow = \"hold\"",
            "yellow = \"maybe\"",
            "key `overlay[0].entry.yellow`",
        ),
        (
            "entry = {",
            "exit = {",
            "key `overlay[0].exit`: nobody is trapped",
        ),
        ("\"ride\"", "\"fly\"", "\"fly\" is none of"),
        (
            "\"ride\"",
            "\"health\"",
            "key `required`: the same is required twice",
        ),
        ("48", "0", "key `certificate[0].test.nucleic_acid_hours`"),
    ] {
        assert!(policy.contains(from), "{from}");
        let said = load(&without, &policy.replacen(from, to, 1)).unwrap_err();
        assert!(said.contains(sentence), "{said}");
    }
    let twice = whole.replace("# policy_file", "policy_file");
    let said = load(&twice, policy).unwrap_err();
    assert!(
        said.contains("key `policy_file`: the policy is in that file"),
        "{said}"
    );
}
