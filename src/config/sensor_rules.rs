//! Which sensors and keys belong to which kind of barrier, and which it cannot do without.

use super::rules::{Broken, broken};
use super::tree::{Barrier, Lane, Sensors};
use crate::domain::{Direction, Sensor};

/// Checks the sensors of one lane, and the keys that only one kind of barrier has; `at` is its key.
pub(super) fn check(at: &str, lane: &Lane) -> Result<(), Broken> {
    let middle = lane.sensors.middle_beams.len();
    if middle > Sensors::MIDDLE_MAX {
        let sentence = format!(
            "{middle} beams are given between the two outer ones; allowed are 0 to {}",
            Sensors::MIDDLE_MAX
        );
        return broken(format!("{at}.sensors.middle_beams"), sentence);
    }
    match lane.barrier {
        Barrier::Tripod => check_tripod(at, lane),
        Barrier::Flap => check_leaf(at, lane, "flap"),
        Barrier::Swing => {
            check_leaf(at, lane, "swing").and_then(|()| check_motor(at, lane, "swing"))
        }
        Barrier::FullHeight => {
            check_leaf(at, lane, "full_height").and_then(|()| check_motor(at, lane, "full_height"))
        }
    }
}

fn check_tripod(at: &str, lane: &Lane) -> Result<(), Broken> {
    let sensors = &lane.sensors;
    let rotors = [
        ("entry_rotor", Direction::Entry, sensors.entry_rotor),
        ("exit_rotor", Direction::Exit, sensors.exit_rotor),
    ];
    for (name, direction, line) in rotors {
        if line.is_none() && lane.directions.contains(&direction) {
            let sentence = format!("a tripod that serves \"{direction}\" needs this contact");
            return broken(format!("{at}.sensors.{name}"), sentence);
        }
    }
    if let Some((key, ..)) = sensors
        .lines()
        .into_iter()
        .find(|(_, sensor, _)| !is_of_rotor(*sensor))
    {
        return broken(
            format!("{at}.sensors.{key}"),
            "a tripod has no beams and no leaf; this belongs to barrier = \"flap\", \"swing\" or \"full_height\"",
        );
    }
    let (pass, reset) = (sensors.pass_point, sensors.reset_point);
    let missing = match (pass, reset) {
        (Some(_), None) => Some("reset_point"),
        (None, Some(_)) => Some("pass_point"),
        (Some(_), Some(_)) | (None, None) => None,
    };
    if let Some(missing) = missing {
        return broken(
            format!("{at}.sensors.{missing}"),
            "the points of 67 and 112 degrees come together: pass_point and reset_point, or neither",
        );
    }
    if lane.below_beams.is_some() {
        return broken(
            format!("{at}.below_beams"),
            "a tripod has no beams to be below of",
        );
    }
    Ok(())
}

fn check_leaf(at: &str, lane: &Lane, kind: &str) -> Result<(), Broken> {
    let sensors = &lane.sensors;
    for (name, line) in [
        ("entry_beam", sensors.entry_beam),
        ("exit_beam", sensors.exit_beam),
    ] {
        if line.is_none() {
            let sentence = format!(
                "a {kind} needs both beams, entry_beam and exit_beam: it never closes on a body"
            );
            return broken(format!("{at}.sensors.{name}"), sentence);
        }
    }
    if let Some((key, ..)) = sensors
        .lines()
        .into_iter()
        .find(|(_, sensor, _)| is_of_rotor(*sensor))
    {
        let sentence =
            format!("a {kind} has no rotor; rotor contacts belong to barrier = \"tripod\"");
        return broken(format!("{at}.sensors.{key}"), sentence);
    }
    if sensors.opened.is_some() && sensors.closed.is_none() {
        let sentence = "a leaf that says when it is open says when it is shut too";
        return broken(format!("{at}.sensors.closed"), sentence);
    }
    if lane.below_beams.is_some() && sensors.low_beam.is_none() {
        let sentence = "nothing is seen below the beams without sensors.low_beam";
        return broken(format!("{at}.below_beams"), sentence);
    }
    let of_tripod = [
        ("drive", lane.drive.is_some()),
        ("duty_percent", lane.duty_percent.is_some()),
    ];
    match of_tripod.into_iter().find(|(_, given)| *given) {
        Some((key, _)) => {
            let sentence =
                format!("a {kind} has no solenoid; this belongs to barrier = \"tripod\"");
            broken(format!("{at}.{key}"), sentence)
        }
        None => Ok(()),
    }
}

/// A leaf that a motor drives says where it is: a relay that is welded or dead must show.
fn check_motor(at: &str, lane: &Lane, kind: &str) -> Result<(), Broken> {
    for (name, line) in [
        ("opened", lane.sensors.opened),
        ("closed", lane.sensors.closed),
    ] {
        if line.is_none() {
            let sentence = format!(
                "a {kind} is driven by a motor and needs both limit switches, opened and closed"
            );
            return broken(format!("{at}.sensors.{name}"), sentence);
        }
    }
    Ok(())
}

const fn is_of_rotor(sensor: Sensor) -> bool {
    matches!(
        sensor,
        Sensor::EntryRotor | Sensor::ExitRotor | Sensor::PassPoint | Sensor::ResetPoint
    )
}
