//! The daemon that runs by this config, asked at its status page.

use std::io::{Read as _, Write as _};
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr, TcpStream};
use std::time::Duration;

use serde_json::Value;

use super::super::super::table::Grade;
use super::Finding;
use crate::config::Config;

/// Longest wait for the daemon.
const PATIENCE: Duration = Duration::from_secs(3);
/// Longest answer that is read, in bytes.
const ANSWER_BYTES_MAX: u64 = 1 << 20;

/// What was found at the address of the pages.
pub(super) enum Daemon {
    /// Nobody there.
    Away(String),
    /// Somebody else.
    Other(String),
    /// The gate, and what it says of itself.
    Here(Box<Value>),
}

/// Asks at the address that the config has for the pages.
pub(super) fn ask(config: &Config) -> Daemon {
    let address = reachable(config.http.listen);
    let text = match get(address) {
        Ok(text) => text,
        Err(error) => return Daemon::Away(format!("nobody answers at http://{address}/: {error}")),
    };
    let body = text.split_once("\r\n\r\n").map(|(_, body)| body);
    let status: Option<Value> = body.and_then(|body| serde_json::from_str(body).ok());
    match status {
        Some(status)
            if status.get("gate").and_then(Value::as_str) == Some(config.gate.as_str()) =>
        {
            Daemon::Here(Box::new(status))
        }
        Some(_) | None => Daemon::Other(format!("somebody else answers at http://{address}/")),
    }
}

/// An address that a process here can connect to.
fn reachable(listen: SocketAddr) -> SocketAddr {
    let ip = match listen.ip() {
        IpAddr::V4(ip) if ip.is_unspecified() => IpAddr::V4(Ipv4Addr::LOCALHOST),
        IpAddr::V6(ip) if ip.is_unspecified() => IpAddr::V6(Ipv6Addr::LOCALHOST),
        IpAddr::V4(_) | IpAddr::V6(_) => listen.ip(),
    };
    SocketAddr::new(ip, listen.port())
}

fn get(address: SocketAddr) -> std::io::Result<String> {
    let mut stream = TcpStream::connect_timeout(&address, PATIENCE)?;
    stream.set_read_timeout(Some(PATIENCE))?;
    stream.set_write_timeout(Some(PATIENCE))?;
    // Of version 1.0: an answer in one piece.
    let request = format!("GET /status.json HTTP/1.0\r\nHost: {address}\r\n\r\n");
    stream.write_all(request.as_bytes())?;
    let mut text = String::new();
    stream.take(ANSWER_BYTES_MAX).read_to_string(&mut text)?;
    Ok(text)
}

impl Daemon {
    /// What the gate says of itself, if it runs.
    pub(super) fn status(&self) -> Option<&Value> {
        match self {
            Self::Here(status) => Some(status),
            Self::Away(_) | Self::Other(_) => None,
        }
    }

    /// Whether it runs, and the alarms that are on.
    pub(super) fn findings(&self) -> Vec<Finding> {
        let status = match self {
            Self::Away(why) => {
                let todo = "`systemctl start turnstiled`; `journalctl -u turnstiled` says why it does not stay up";
                return vec![Finding::bad(Grade::Look, "daemon", "gate", why, todo)];
            }
            Self::Other(why) => {
                let todo = "give one of the two another `http.listen`";
                return vec![Finding::bad(Grade::Wrong, "daemon", "gate", why, todo)];
            }
            Self::Here(status) => status,
        };
        let up_s = status["uptime_ms"].as_u64().unwrap_or_default() / 1000;
        let version = status["version"].as_str().unwrap_or("?");
        let said = format!("runs since {up_s} s, version {version}");
        let mut found = vec![Finding::good("daemon", "gate", said)];
        for alarm in status["alarms"].as_array().into_iter().flatten() {
            let word = |n: usize| alarm[n].as_str().unwrap_or("?");
            let (place, what) = (word(0), word(1));
            let said = format!("{what} is on");
            found.push(Finding::bad(Grade::Look, "alarm", place, said, todo(what)));
        }
        found
    }
}

/// What to do about an alarm.
fn todo(alarm: &str) -> &'static str {
    match alarm {
        "fire" => {
            "once the station says that it is over: close the loop, then `turnstiled lane reset-fire`"
        }
        "obstruction" => "see what stands in the aisle; a beam may be dirty or out of line",
        "intrusion" => "go to the lane",
        "assist" => "somebody waits at the lane",
        "unrecorded" | "journal_nearly_full" => {
            "look at the disk and at the backlog: bring the backend back"
        }
        "held_open" => "free the leaf",
        "barrier_fault" => "look at the relay, its supply and the drive of the barrier",
        "sensor_fault" => "clean and align the beam that the log names",
        "stale_list" => "bring the backend back: it signs lists anew every hour",
        "trust_expired" => "sign and publish a new trust list",
        "certificate_ends_soon" | "certificate_ended" => {
            "`turnstiled backend enrol` makes a new certificate"
        }
        "reader_flooded" => "see what presents codes so fast; unplug the reader if nobody does",
        _ => "the log says more: `journalctl -u turnstiled`",
    }
}
