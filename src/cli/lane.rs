//! `turnstiled lane`: what staff ask of the gate that runs on this machine, over its local socket.
//!
//! Exit codes: 0 done, 1 refused for now, 2 not understood, 69 no gate answers, 77 not allowed (`EX_NOPERM`).

use std::io::{self, BufRead as _, BufReader, Read as _, Write as _};
use std::os::unix::net::UnixStream;
use std::path::{Path, PathBuf};
use std::time::Duration;

use super::table::{Cell, Grade, has_colours, paint, table};
use super::{Failure, UNAVAILABLE, output};
use crate::config::staff::SOCKET;
use crate::domain::{Direction, Mode};
use crate::runtime::staff::wire::{FOR_S_MAX, REPLY_BYTES_MAX, Reply, Request, Result as Came};

/// Whoever asks may not.
const NOT_ALLOWED: u8 = 77;
/// Longest wait for the gate.
const PATIENCE: Duration = Duration::from_secs(10);

/// `turnstiled lane`
#[derive(Debug, clap::Args)]
pub struct Args {
    #[command(subcommand)]
    command: Command,
    /// Socket of the gate: key `staff.socket` of its config
    #[arg(long, global = true, value_name = "PATH", default_value = SOCKET)]
    socket: PathBuf,
    /// The answer as one line of JSON
    #[arg(long, global = true)]
    json: bool,
}

#[derive(Debug, clap::Subcommand)]
enum Command {
    /// How the lanes stand, and who wants which mode
    Status,
    /// Want a mode of a lane; "auto" takes that back
    Mode {
        /// Name of the lane, or "all"
        lane: String,
        /// normal, free, closed, entry_only, exit_only, maintenance, emergency, or auto
        #[arg(value_parser = mode)]
        mode: Wanted,
        /// For how long: 90s, 30m, 8h; until it is taken back, if nothing is said
        #[arg(long = "for", value_name = "TIME", value_parser = seconds)]
        lasts: Option<u32>,
    },
    /// Let one person through
    Open {
        /// Name of the lane
        lane: String,
        /// entry or exit; may be left out where the lane serves one way only
        #[arg(value_parser = direction)]
        direction: Option<Direction>,
    },
    /// Whoever was refused last for passback on that side may pass once more, within ten minutes
    Forgive {
        /// Name of the lane
        lane: String,
        /// entry or exit; may be left out where the lane serves one way only
        #[arg(value_parser = direction)]
        direction: Option<Direction>,
    },
    /// The fire is over; only once the fire input is quiet
    ResetFire,
    /// Give an OSDP reader, new or reset, the key that its config names; everybody on its line could read that key now
    Provision {
        /// Name of the reader
        reader: String,
        /// For how long it is waited for: 1s to 5m
        #[arg(long = "for", value_name = "TIME", value_parser = seconds, default_value = "60s")]
        lasts: u32,
    },
}

/// A mode, or none.
#[derive(Clone, Copy, Debug)]
struct Wanted(Option<Mode>);

/// Asks the gate; gives the exit code.
///
/// # Errors
/// [`Failure`] with 69 if no gate answers at the socket, 77 if the socket may not be used.
pub fn run(args: Args) -> Result<u8, Failure> {
    let request = match args.command {
        Command::Status => Request::Status,
        Command::Mode { lane, mode, lasts } => Request::Mode {
            lane: (lane != "all").then_some(lane),
            mode: mode.0,
            for_s: lasts,
        },
        Command::Open { lane, direction } => Request::OpenOnce { lane, direction },
        Command::Forgive { lane, direction } => Request::Forgive { lane, direction },
        Command::ResetFire => Request::ResetFire,
        Command::Provision { reader, lasts } => Request::Provision {
            reader,
            for_s: lasts,
        },
    };
    let reply = ask(&args.socket, &request).map_err(|error| unanswered(&args.socket, &error))?;
    let code = match reply.result {
        Came::Done => 0,
        Came::Refused => 1,
        Came::Malformed => 2,
        Came::Unavailable => UNAVAILABLE,
        Came::Forbidden => NOT_ALLOWED,
    };
    let told = if args.json {
        let text = serde_json::to_string(&reply).map_err(|error| Failure::new(1, &error))?;
        writeln!(io::stdout(), "{text}")
    } else if code == 0 {
        let lines = match &reply.status {
            Some(status) => standing(status, &reply.said, has_colours()),
            None => reply.said.clone(),
        };
        let mut lines = lines.iter();
        lines.try_for_each(|line| writeln!(io::stdout(), "{line}"))
    } else {
        let sentence = reply.said.join("; ");
        return Err(Failure { code, sentence });
    };
    told.map_err(|error| output(&error))?;
    match request {
        Request::Provision { reader, for_s } if code == 0 => {
            provisioned(&args.socket, &reader, for_s)
        }
        Request::Provision { .. }
        | Request::Status
        | Request::Mode { .. }
        | Request::OpenOnce { .. }
        | Request::Forgive { .. }
        | Request::ResetFire => Ok(code),
    }
}

/// Waits until the reader has taken its key, or has not.
fn provisioned(socket: &Path, reader: &str, for_s: u32) -> Result<u8, Failure> {
    // A moment more than the gate waits: it says itself when the time is over.
    let looks = u64::from(for_s).saturating_add(5) * 2;
    for _ in 0..looks {
        std::thread::sleep(Duration::from_millis(500));
        let reply = ask(socket, &Request::Status).map_err(|error| unanswered(socket, &error))?;
        let how = reply
            .status
            .as_ref()
            .and_then(|status| port_of(status, reader));
        let how = how.and_then(|port| port.get("provisioning")?.as_str());
        let (code, sentence) = match how {
            Some("taken") => (0, "it has taken its key, and is served with it"),
            Some("refused") => (
                1,
                "it does not take a key: look at its manual for its install mode",
            ),
            Some("timed_out") => (
                1,
                "it has not asked for a key in time: is it in its install mode, at its address?",
            ),
            Some(_) | None => continue,
        };
        if code == 0 {
            writeln!(io::stdout(), "reader {reader}: {sentence}")
                .map_err(|error| output(&error))?;
            return Ok(0);
        }
        let sentence = format!("reader {reader}: {sentence}");
        return Err(Failure { code, sentence });
    }
    let sentence = format!("reader {reader}: the gate does not say what has come of it");
    Err(Failure { code: 1, sentence })
}

/// What the status says of the port of a reader.
pub(super) fn port_of<'a>(
    status: &'a serde_json::Value,
    reader: &str,
) -> Option<&'a serde_json::Value> {
    let devices = status.get("devices")?.as_array()?;
    let is_it = |device: &&serde_json::Value| {
        device.get("name").and_then(serde_json::Value::as_str) == Some(reader)
    };
    devices.iter().find(is_it)?.get("port")
}

/// A fire first; how the lanes stand, as a table; below it what else the gate says, in its sentences.
fn standing(status: &serde_json::Value, said: &[String], colours: bool) -> Vec<String> {
    let word = |value: &serde_json::Value| value.as_str().unwrap_or("?").to_owned();
    let lanes = status["lanes"].as_array().into_iter().flatten();
    let row = |lane: &serde_json::Value| -> Vec<Cell> {
        let mode = word(&lane["mode"]);
        let as_usual = mode == "normal";
        let prompts = lane["prompts"].as_array().into_iter().flatten();
        let shown: Vec<_> = prompts
            .map(|prompt| format!("{} {}", word(&prompt[0]), word(&prompt[1])))
            .collect();
        let trouble = shown.iter().any(|shown| shown.ends_with("out_of_service"));
        let aisle = if lane["occupied"] == true {
            "occupied"
        } else {
            "clear"
        };
        vec![
            (word(&lane["name"]), None),
            (word(&lane["barrier"]), None),
            (word(&lane["state"]), None),
            (aisle.into(), None),
            (mode, Some(if as_usual { Grade::Good } else { Grade::Look })),
            (word(&lane["mode_source"]), None),
            (shown.join(", "), trouble.then_some(Grade::Wrong)),
        ]
    };
    let rows: Vec<_> = lanes.map(row).collect();
    let heading = ["lane", "barrier", "state", "aisle", "mode", "by", "shows"];
    let told = |line: &String| {
        let alarm = line.starts_with("FIRE") || line.starts_with("alarm");
        let grade = if alarm { Grade::Wrong } else { Grade::Good };
        paint(line, grade, colours && alarm)
    };
    let (fire, rest): (Vec<_>, Vec<_>) = said.iter().partition(|line| line.starts_with("FIRE"));
    let mut lines: Vec<String> = fire.into_iter().map(told).collect();
    lines.extend(table(&heading, &rows, colours));
    lines.extend(rest.into_iter().map(told));
    lines
}

/// Says one request at the socket and hears the reply.
///
/// # Errors
/// What the system says; `InvalidData` if the reply is none.
pub fn ask(socket: &Path, request: &Request) -> io::Result<Reply> {
    let mut stream = UnixStream::connect(socket)?;
    stream.set_read_timeout(Some(PATIENCE))?;
    stream.set_write_timeout(Some(PATIENCE))?;
    let mut line = serde_json::to_vec(request)?;
    line.push(b'\n');
    stream.write_all(&line)?;
    let mut reply = Vec::new();
    let limit = u64::try_from(REPLY_BYTES_MAX).unwrap_or(u64::MAX);
    BufReader::new(stream.take(limit)).read_until(b'\n', &mut reply)?;
    if reply.is_empty() {
        let busy = "others are being answered; try again in a moment";
        return Err(io::Error::new(io::ErrorKind::WouldBlock, busy));
    }
    Ok(serde_json::from_slice(&reply)?)
}

fn unanswered(socket: &Path, error: &io::Error) -> Failure {
    let kind = error.kind();
    let (code, why) = if matches!(
        kind,
        io::ErrorKind::NotFound | io::ErrorKind::ConnectionRefused
    ) {
        let why = "no gate runs there, or its config has no [staff]";
        (UNAVAILABLE, why.to_owned())
    } else if kind == io::ErrorKind::PermissionDenied {
        (NOT_ALLOWED, "the socket may not be reached by you".into())
    } else {
        (UNAVAILABLE, error.to_string())
    };
    Failure {
        code,
        sentence: format!("{}: {why}", socket.display()),
    }
}

fn mode(text: &str) -> Result<Wanted, String> {
    if text == "auto" {
        return Ok(Wanted(None));
    }
    let found = Mode::parse(text).map(|mode| Wanted(Some(mode)));
    found.ok_or_else(|| {
        let modes = Mode::ALL.map(Mode::as_str).join(", ");
        format!("a mode is one of {modes}, or auto")
    })
}

fn direction(text: &str) -> Result<Direction, String> {
    match text {
        "entry" => Ok(Direction::Entry),
        "exit" => Ok(Direction::Exit),
        _ => Err("a direction is \"entry\" or \"exit\"".into()),
    }
}

/// Reads `90s`, `30m`, `8h`.
pub(super) fn seconds(text: &str) -> Result<u32, String> {
    let wrong = || format!("a time is 1s to {}h, like 90s, 30m or 8h", FOR_S_MAX / 3600);
    let (number, unit) = [("s", 1), ("m", 60), ("h", 3600)]
        .into_iter()
        .find_map(|(unit, scale)| Some((text.strip_suffix(unit)?, scale)))
        .ok_or_else(wrong)?;
    let plain = !number.is_empty() && number.bytes().all(|b| b.is_ascii_digit());
    let number: u32 = number.parse().map_err(|_| wrong())?;
    let seconds = number.checked_mul(unit);
    seconds
        .filter(|s| plain && (1..=FOR_S_MAX).contains(s))
        .ok_or_else(wrong)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_standing_is_a_table_with_what_the_gate_says_below_it() {
        let status = serde_json::json!({"lanes": [{
            "name": "north", "barrier": "flap", "state": "locked", "occupied": false,
            "mode": "closed", "mode_source": "staff", "prompts": [["entry", "lane_closed"]],
        }]});
        let said = ["alarm at north: assist".to_owned()];
        let lines = standing(&status, &said, false);
        assert_eq!(
            lines[0],
            "lane   barrier  state   aisle  mode    by     shows"
        );
        assert_eq!(
            lines[1],
            "north  flap     locked  clear  closed  staff  entry lane_closed"
        );
        assert_eq!(lines[2], said[0]);
        assert!(standing(&status, &said, true)[2].starts_with("\u{1b}[1;31m"));
    }

    #[test]
    fn a_time_is_read_and_what_is_none_is_told_how_one_looks() {
        assert_eq!(seconds("90s"), Ok(90));
        assert_eq!(seconds("30m"), Ok(1_800));
        assert_eq!(seconds("168h"), Ok(FOR_S_MAX));
        for bad in ["", "s", "0s", "+5m", "5", "5d", "169h", "99999999999h"] {
            assert!(seconds(bad).unwrap_err().contains("like 90s"), "{bad:?}");
        }
    }
}
