//! Rules within one lane: what its barrier needs, and what its readers may be.

use std::path::Path;

use super::rules::{Broken, broken};
use super::schedule;
use super::sensor_rules;
use super::tree::{Barrier, Key, Lane, Osdp, Reader, Serial, Wiegand};
use crate::domain::{Direction, Mode};

/// Readers of one lane.
const READERS_MAX: usize = 8;
/// Positions of one key switch.
const KEYS_MAX: usize = 4;
/// Characters of a lane's or a reader's name.
const LABEL_LEN_MAX: usize = 32;
/// Line speeds of card modules and scanners.
const BAUDS: [u32; 5] = [9_600, 19_200, 38_400, 57_600, 115_200];
/// Formats of Wiegand lines whose parity is known.
const WIEGAND_BITS: [u16; 2] = [26, 34];
/// Highest address on an OSDP line; 127 is everybody.
const OSDP_ADDRESS_MAX: u8 = 126;
/// Characters of what a scanner puts before a code.
const PREFIX_LEN_MAX: usize = 16;
const WIDTHS: std::ops::RangeInclusive<u32> = 160..=1_920;
const HEIGHTS: std::ops::RangeInclusive<u32> = 120..=1_080;

/// Checks one lane but for its readers' devices; `at` is its key.
pub(super) fn check_lane(at: &str, lane: &Lane) -> Result<(), Broken> {
    check_label(&format!("{at}.name"), &lane.name)?;
    check_directions(at, lane)?;
    check_times(at, lane)?;
    check_barrier(at, lane)?;
    if lane.readers.len() > READERS_MAX {
        let sentence = format!(
            "{} readers are given; a lane has at most {READERS_MAX}",
            lane.readers.len()
        );
        return broken(format!("{at}.reader"), sentence);
    }
    Ok(())
}

/// Lane and reader names are metric labels and parts of records.
fn check_label(key: &str, name: &str) -> Result<(), Broken> {
    let allowed = |b: u8| b.is_ascii_alphanumeric() || b"._-".contains(&b);
    if (1..=LABEL_LEN_MAX).contains(&name.len())
        && !name.starts_with('.')
        && name.bytes().all(allowed)
    {
        return Ok(());
    }
    let sentence = format!(
        "a name has 1 to {LABEL_LEN_MAX} characters out of a-z, A-Z, 0-9, \".\", \"_\" and \"-\", and does not \
         start with a dot"
    );
    broken(key, sentence)
}

fn check_directions(at: &str, lane: &Lane) -> Result<(), Broken> {
    let key = format!("{at}.directions");
    match *lane.directions {
        [] => return broken(key, "empty: a lane serves \"entry\", \"exit\" or both"),
        [_] => {}
        [a, b] if a != b => {}
        [..] => return broken(key, "a direction stands here twice"),
    }
    check_mode(&format!("{at}.mode"), lane.mode, &lane.directions)
}

/// A lane that only lets in has to let in.
fn check_mode(key: &str, mode: Mode, directions: &[Direction]) -> Result<(), Broken> {
    let Some(needed) = schedule::needs(mode, directions) else {
        return Ok(());
    };
    let mode = mode.as_str();
    let sentence = format!("mode \"{mode}\" needs \"{needed}\" among the directions of the lane");
    broken(key, sentence)
}

/// Positions of a key switch.
pub(super) fn check_keys(at: &str, keys: &[Key], directions: &[Direction]) -> Result<(), Broken> {
    if keys.len() > KEYS_MAX {
        let sentence = format!(
            "{} positions are given; a key switch has at most {KEYS_MAX}",
            keys.len()
        );
        return broken(format!("{at}.key_switch"), sentence);
    }
    for (i, key) in keys.iter().enumerate() {
        check_mode(&format!("{at}.key_switch[{i}].mode"), key.mode, directions)?;
    }
    Ok(())
}

fn check_times(at: &str, lane: &Lane) -> Result<(), Broken> {
    let (release, pulse) = (lane.release_ms.get(), lane.pulse_ms.get());
    let obstruction = lane.obstruction_ms.get();
    if obstruction < release {
        let sentence = format!(
            "{obstruction} ms is shorter than release_ms ({release} ms): a person for whom the barrier is still \
             released would count as an obstruction"
        );
        return broken(format!("{at}.obstruction_ms"), sentence);
    }
    if lane.barrier == Barrier::Tripod && pulse > release {
        let sentence = format!(
            "{pulse} ms is longer than release_ms ({release} ms): the pulse is part of the release"
        );
        return broken(format!("{at}.pulse_ms"), sentence);
    }
    Ok(())
}

/// Relays that the barrier cannot do without.
fn check_barrier(at: &str, lane: &Lane) -> Result<(), Broken> {
    let outputs = &lane.outputs;
    for direction in &lane.directions {
        let line = match direction {
            Direction::Entry => outputs.release_entry,
            Direction::Exit => outputs.release_exit,
        };
        if line.is_none() {
            let sentence = format!("a lane that serves \"{direction}\" needs this relay");
            return broken(format!("{at}.outputs.release_{direction}"), sentence);
        }
    }
    sensor_rules::check(at, lane)
}

/// Checks one reader; gives its kind and its device.
pub(super) fn check_reader<'a>(
    at: &str,
    lane: &Lane,
    reader: &'a Reader,
) -> Result<(&'static str, &'a Path), Broken> {
    check_label(&format!("{at}.name"), &reader.name)?;
    if !lane.directions.contains(&reader.direction) {
        let sentence = format!(
            "the lane does not serve \"{}\"; its directions name what it serves",
            reader.direction
        );
        return broken(format!("{at}.direction"), sentence);
    }
    let camera = reader.camera.as_ref();
    let mut given = devices(reader);
    let (Some(device), None) = (given.next(), given.next()) else {
        return broken(
            at,
            "a reader has exactly one of \"camera\", \"folder\", \"id_card\", \"line\", \"keyboard\", \"rdm6300\", \
             \"wiegand\", \"pn532\" and \"osdp\"",
        );
    };
    if let Some([width, height]) = camera.map(|camera| camera.size)
        && !(WIDTHS.contains(&width) && HEIGHTS.contains(&height))
    {
        let sentence = format!(
            "[{width}, {height}] is outside [{}, {}] to [{}, {}] pixels",
            WIDTHS.start(),
            HEIGHTS.start(),
            WIDTHS.end(),
            HEIGHTS.end()
        );
        return broken(format!("{at}.camera.size"), sentence);
    }
    let baud = |serial: &Option<Serial>| serial.as_ref().and_then(|serial| serial.baud);
    let (line, wiegand) = (reader.line.as_ref(), reader.wiegand.as_ref());
    for (key, baud) in [
        ("id_card", baud(&reader.id_card)),
        ("line", line.and_then(|line| line.baud)),
        ("rdm6300", baud(&reader.rdm6300)),
        ("wiegand", wiegand.and_then(|wiegand| wiegand.baud)),
        ("pn532", baud(&reader.pn532)),
        ("osdp", reader.osdp.as_ref().map(|osdp| osdp.baud)),
    ] {
        check_baud(&format!("{at}.{key}"), baud)?;
    }
    if let Some(osdp) = &reader.osdp
        && osdp.address > OSDP_ADDRESS_MAX
    {
        let sentence = format!("{} is outside 0 to {OSDP_ADDRESS_MAX}", osdp.address);
        return broken(format!("{at}.osdp.address"), sentence);
    }
    if let Some(line) = line {
        check_prefix(&format!("{at}.line"), &line.prefix)?;
    }
    if let Some(typing) = &reader.keyboard {
        check_prefix(&format!("{at}.keyboard"), &typing.prefix)?;
    }
    if let Some(wiegand) = wiegand {
        check_wiegand(&format!("{at}.wiegand"), wiegand)?;
    }
    Ok(device)
}

/// The devices of a reader, with their kinds: one, in a good config.
fn devices(reader: &Reader) -> impl Iterator<Item = (&'static str, &Path)> {
    let camera = reader.camera.as_ref();
    [
        camera.map(|camera| ("camera", &*camera.device)),
        reader
            .folder
            .as_ref()
            .map(|folder| ("folder", &*folder.path)),
        reader
            .id_card
            .as_ref()
            .map(|serial| ("id_card", &*serial.port)),
        reader.line.as_ref().map(|line| ("line", &*line.port)),
        reader
            .keyboard
            .as_ref()
            .map(|typing| ("keyboard", &*typing.device)),
        reader
            .rdm6300
            .as_ref()
            .map(|serial| ("rdm6300", &*serial.port)),
        reader
            .wiegand
            .as_ref()
            .map(|wiegand| ("wiegand", &*wiegand.port)),
        reader.pn532.as_ref().map(|serial| ("pn532", &*serial.port)),
        reader.osdp.as_ref().map(|osdp| ("osdp", &*osdp.port)),
    ]
    .into_iter()
    .flatten()
}

/// Readers of one line differ in their addresses and agree in the speed.
pub(super) fn check_osdp_line(
    at: &str,
    reader: &Osdp,
    earlier: &[(String, &Osdp)],
) -> Result<(), Broken> {
    for (first, other) in earlier
        .iter()
        .filter(|(_, other)| other.port == reader.port)
    {
        if other.address == reader.address {
            let sentence = format!("{} is the address of {first} already", reader.address);
            return broken(format!("{at}.osdp.address"), sentence);
        }
        if other.baud != reader.baud {
            let sentence = format!("{first} has {} on the same line", other.baud);
            return broken(format!("{at}.osdp.baud"), sentence);
        }
        if other.direction != reader.direction {
            let sentence = format!("{first} has another one on the same line");
            return broken(format!("{at}.osdp.direction"), sentence);
        }
    }
    Ok(())
}

fn check_prefix(at: &str, prefix: &str) -> Result<(), Broken> {
    let plain = |byte: u8| matches!(byte, b' '..=b'~');
    if prefix.len() > PREFIX_LEN_MAX || !prefix.bytes().all(plain) {
        let sentence =
            format!("a prefix has 0 to {PREFIX_LEN_MAX} characters out of ASCII, space to \"~\"");
        return broken(format!("{at}.prefix"), sentence);
    }
    Ok(())
}

fn check_wiegand(at: &str, wiegand: &Wiegand) -> Result<(), Broken> {
    let known = |bits: &u16| WIEGAND_BITS.contains(bits);
    if wiegand.bits.is_empty() || !wiegand.bits.iter().all(known) {
        let sentence = format!(
            "{:?} is not allowed; the formats with known parity are {WIEGAND_BITS:?}",
            wiegand.bits
        );
        return broken(format!("{at}.bits"), sentence);
    }
    Ok(())
}

fn check_baud(at: &str, baud: Option<u32>) -> Result<(), Broken> {
    match baud {
        Some(baud) if !BAUDS.contains(&baud) => {
            let sentence = format!("{baud} is no speed of such a device; allowed are {BAUDS:?}");
            broken(format!("{at}.baud"), sentence)
        }
        Some(_) | None => Ok(()),
    }
}
