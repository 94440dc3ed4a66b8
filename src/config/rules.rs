//! Rules that concern more than one key, or need more than a range: the gate, its backend, lists and lines.

use std::collections::BTreeMap;

use super::tree::{Barrier, Config, Gpio, GpioDriver, Osdp, PassbackScope};
use super::types::Line;
use super::{backend_rules, lane_rules, policy_rules, schedule, staff};
use crate::domain::certificate_rules;
pub(super) use crate::domain::policy::{Broken, broken};

/// Lanes of one gate.
const LANES_MAX: usize = 4;
/// Lists one gate follows.
const LISTS_MAX: usize = 16;
/// Highest BCM number that a Raspberry Pi brings to its header.
const BCM_PIN_MAX: u8 = 27;

/// Checks every rule; the first that does not hold is the answer.
pub(super) fn check(config: &Config) -> Result<(), Broken> {
    if let Some(backend) = &config.backend {
        backend_rules::check(backend)?;
    }
    check_lists(config)?;
    policy_rules::check_either(config)?;
    policy_rules::check("policy.", &config.policy)?;
    check_passback(config)?;
    certificate_rules::check(&config.certificates)?;
    check_gpio("gpio", &config.gpio)?;
    check_boards(config)?;
    if let Some(table) = &config.staff {
        staff::check(table)?;
    }
    check_lanes(config)?;
    schedule::check(config)?;
    config.chips().iter().try_for_each(check_lines)
}

fn check_lists(config: &Config) -> Result<(), Broken> {
    let lists = &config.lists;
    if lists.len() > LISTS_MAX {
        let sentence = format!(
            "{} lists are given; a gate follows up to {LISTS_MAX}, each a table [[list]]",
            lists.len()
        );
        return broken("list", sentence);
    }
    let mut names = BTreeMap::new();
    for (i, list) in lists.iter().enumerate() {
        if let Some(first) = names.insert(&list.name, i) {
            let sentence = format!("\"{}\" is the name of list[{first}] already", list.name);
            return broken(format!("list[{i}].name"), sentence);
        }
    }
    Ok(())
}

/// What other gates have seen is known to the backend, by the name of the area.
fn check_passback(config: &Config) -> Result<(), Broken> {
    let scope = config.passback.scope;
    match &config.passback.area {
        Some(_) if scope == PassbackScope::Gate => broken(
            "passback.area",
            "an area goes with scope \"station\" or \"zone\"; passback of this gate alone has none",
        ),
        None if scope != PassbackScope::Gate => broken(
            "passback.area",
            "scope \"station\" and \"zone\" need the name of the station or zone, the same at all its gates",
        ),
        Some(_)
            if !config
                .backend
                .as_ref()
                .is_some_and(|backend| backend.claims) =>
        {
            broken(
                "passback.scope",
                "what other gates have seen is known to the backend: [backend] with claims = true is needed, or scope = \"gate\"",
            )
        }
        Some(_) | None => Ok(()),
    }
}

/// A lane's own board has its lane's lines, and none of the gate's.
fn check_boards(config: &Config) -> Result<(), Broken> {
    for (i, lane) in config.lanes.iter().enumerate() {
        let Some(gpio) = &lane.gpio else { continue };
        let at = format!("lane[{i}].gpio");
        check_gpio(&at, gpio)?;
        if gpio.fire_loop.is_some() {
            let sentence = "the fire loop is the gate's: it belongs to [gpio]";
            return broken(format!("{at}.fire_loop"), sentence);
        }
        if !gpio.key_switch.is_empty() {
            let sentence = "the key switch of a lane is a key of the lane: lane.key_switch";
            return broken(format!("{at}.key_switch"), sentence);
        }
        if !config.gpio.key_switch.is_empty() {
            let sentence = format!(
                "the gate's key switch does not reach lane \"{}\", which has a board of its own; give each lane its \
                 key_switch",
                lane.name
            );
            return broken("gpio.key_switch", sentence);
        }
    }
    Ok(())
}

fn check_gpio(at: &str, gpio: &Gpio) -> Result<(), Broken> {
    match gpio.driver {
        GpioDriver::Gpiocdev if gpio.chip.is_none() => {
            return broken(
                format!("{at}.chip"),
                "driver \"gpiocdev\" needs this key: the character device, like \"/dev/gpiochip0\"",
            );
        }
        GpioDriver::Simulated if gpio.folder.is_none() => {
            return broken(
                format!("{at}.folder"),
                "driver \"simulated\" needs this key: the folder with one file a line",
            );
        }
        GpioDriver::Rppal | GpioDriver::Gpiocdev | GpioDriver::Simulated => {}
    }
    if gpio.chip.is_some() && gpio.driver != GpioDriver::Gpiocdev {
        return broken(format!("{at}.chip"), "only driver \"gpiocdev\" has a chip");
    }
    if gpio.folder.is_some() && gpio.driver != GpioDriver::Simulated {
        return broken(
            format!("{at}.folder"),
            "only driver \"simulated\" has a folder",
        );
    }
    Ok(())
}

fn check_lanes(config: &Config) -> Result<(), Broken> {
    let lanes = &config.lanes;
    if !(1..=LANES_MAX).contains(&lanes.len()) {
        let sentence = format!(
            "{} lanes are given; a gate has 1 to {LANES_MAX}, each a table [[lane]]",
            lanes.len()
        );
        return broken("lane", sentence);
    }
    let mut lane_names = BTreeMap::new();
    let mut reader_names = BTreeMap::new();
    let mut devices = BTreeMap::new();
    let mut osdp = Vec::new();
    for (i, lane) in lanes.iter().enumerate() {
        let at = format!("lane[{i}]");
        lane_rules::check_lane(&at, lane)?;
        lane_rules::check_keys(&at, &lane.key_switch, &lane.directions)?;
        lane_rules::check_keys("gpio", &config.gpio.key_switch, &lane.directions)?;
        if let Some(first) = lane_names.insert(&lane.name, i) {
            let sentence = format!("\"{}\" is the name of lane[{first}] already", lane.name);
            return broken(format!("{at}.name"), sentence);
        }
        for (j, reader) in lane.readers.iter().enumerate() {
            let at = format!("{at}.reader[{j}]");
            let (kind, device) = lane_rules::check_reader(&at, lane, reader)?;
            if let Some(first) = reader_names.insert(&reader.name, at.clone()) {
                let sentence = format!("\"{}\" is the name of {first} already", reader.name);
                return broken(format!("{at}.name"), sentence);
            }
            // An OSDP line has several readers; each is checked against the others below.
            let shares = |first: &String| {
                let earlier = osdp
                    .iter()
                    .any(|(other, _): &(String, &Osdp)| other == first);
                earlier && reader.osdp.is_some()
            };
            let first = devices.get(device).cloned();
            let first = first.filter(|first| !shares(first));
            devices.entry(device).or_insert_with(|| at.clone());
            if let Some(settings) = &reader.osdp {
                lane_rules::check_osdp_line(&at, settings, &osdp)?;
                osdp.push((at.clone(), settings));
            }
            if let Some(first) = first {
                let sentence = format!("{} is the device of {first} already", device.display());
                return broken(format!("{at}.{kind}"), sentence);
            }
        }
    }
    Ok(())
}

/// One line has one use. Only a leaf that opens to both sides by one relay may name it twice.
fn check_lines(config: &Config) -> Result<(), Broken> {
    let fire = config.gpio.fire_loop;
    let fire = std::iter::once(("gpio.fire_loop".to_owned(), fire, None));
    let lanes = config.lanes.iter().enumerate().flat_map(|(i, lane)| {
        let leaf = (lane.barrier != Barrier::Tripod).then_some(i);
        let outputs = lane.outputs.lines().map(|(key, line)| {
            let leaf = leaf.filter(|_| key.starts_with("release"));
            (format!("lane[{i}].outputs.{key}"), line, leaf)
        });
        let sensors = lane.sensors.lines().into_iter();
        let sensors = sensors
            .map(move |(key, _, line)| (format!("lane[{i}].sensors.{key}"), Some(line), None));
        outputs.into_iter().chain(sensors)
    });
    let keys = config.lanes.iter().enumerate().flat_map(|(i, lane)| {
        let keys = lane.key_switch.iter().enumerate();
        keys.map(move |(j, key)| {
            (
                format!("lane[{i}].key_switch[{j}].line"),
                Some(key.line),
                None,
            )
        })
    });
    let of_gate = config.gpio.key_switch.iter().enumerate();
    let of_gate =
        of_gate.map(|(j, key)| (format!("gpio.key_switch[{j}].line"), Some(key.line), None));
    let mut used: BTreeMap<_, (String, Line, Option<usize>)> = BTreeMap::new();
    for (key, line, leaf) in fire.chain(lanes).chain(keys).chain(of_gate) {
        let Some(line) = line else { continue };
        let pin = line.pin.get();
        if config.gpio.driver == GpioDriver::Rppal && pin > BCM_PIN_MAX {
            let sentence =
                format!("{pin} is no line of a Raspberry Pi; allowed are 0 to {BCM_PIN_MAX} (BCM)");
            return broken(key, sentence);
        }
        match used.get(&line.pin) {
            None => {
                used.insert(line.pin, (key, line, leaf));
            }
            Some((_, first, first_leaf)) if leaf.is_some() && leaf == *first_leaf => {
                if first.active != line.active {
                    return broken(
                        key,
                        format!("line {pin} is release_entry too, with the other polarity"),
                    );
                }
            }
            Some((first, ..)) => {
                let sentence = format!(
                    "line {pin} is used by {first} already; only release_entry and release_exit of one leaf \
                     may share a line"
                );
                return broken(key, sentence);
            }
        }
    }
    Ok(())
}
