//! `turnstiled lane`: what staff ask of the gate that runs on this machine, over its local socket.
//!
//! Exit codes: 0 done, 1 refused for now, 2 not understood, 69 no gate answers, 77 not allowed (`EX_NOPERM`).

use std::io::{self, BufRead as _, BufReader, Read as _, Write as _};
use std::os::unix::net::UnixStream;
use std::path::{Path, PathBuf};
use std::time::Duration;

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
        let mut lines = reply.said.iter();
        lines.try_for_each(|line| writeln!(io::stdout(), "{line}"))
    } else {
        let sentence = reply.said.join("; ");
        return Err(Failure { code, sentence });
    };
    told.map_err(|error| output(&error))?;
    Ok(code)
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
    fn a_time_is_read_and_what_is_none_is_told_how_one_looks() {
        assert_eq!(seconds("90s"), Ok(90));
        assert_eq!(seconds("30m"), Ok(1_800));
        assert_eq!(seconds("168h"), Ok(FOR_S_MAX));
        for bad in ["", "s", "0s", "+5m", "5", "5d", "169h", "99999999999h"] {
            assert!(seconds(bad).unwrap_err().contains("like 90s"), "{bad:?}");
        }
    }
}
