//! `turnstiled doctor reader NAME`: what one reader says for itself. Never what is on a card.
//!
//! A gate that runs holds the port; then it is asked what it knows. Otherwise the port is opened here, by the driver of the
//! gate itself, so that what works here works there.

use std::io::Write;
use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

use serde_json::Value;
use tokio::sync::{mpsc, watch};
use tokio::time::{Instant, timeout_at};

use crate::cli::lane::{ask, port_of, seconds};
use crate::cli::{Failure, UNAVAILABLE, output, runtime};
use crate::config::tree::{LineDirection, Reader};
use crate::config::{self, Config};
use crate::domain::{LaneId, Presentation, Prompt, Shown};
use crate::drivers::serial::{self, LineSetup, Looks, ReaderSettings, Seat, Setup};
use crate::drivers::{MonoClock, Port, PortNews, PortState, ReaderEvent, ReaderReport};
use crate::runtime::files::reader_key;
use crate::runtime::staff::wire::Request;
use crate::telemetry::log;

/// Exit code of a config that is none.
const CONFIG: u8 = 78;
/// How often a gate that runs is asked.
const LOOK: Duration = Duration::from_millis(250);
const EVENTS: usize = 64;

/// Arguments.
#[derive(Debug, clap::Args)]
pub struct Args {
    /// Name of the reader in the config
    name: String,
    /// Config of the gate
    #[arg(long, default_value = "/etc/turnstiled/gate.toml")]
    config: PathBuf,
    /// How long a card or code is waited for: 5s, 2m
    #[arg(long = "for", value_name = "TIME", value_parser = seconds, default_value = "30s")]
    lasts: u32,
}

/// Says what the reader does; 0 if it has read something, 1 if not.
///
/// # Errors
/// [`Failure`] if it could not be found out.
pub fn run(args: &Args, out: &mut dyn Write) -> Result<u8, Failure> {
    log::start("error");
    let config = config::load(&args.config).map_err(|error| Failure::new(CONFIG, &error))?;
    let found = config
        .lanes
        .iter()
        .zip((0..).map(LaneId))
        .find_map(|(lane, id)| {
            let reader = lane
                .readers
                .iter()
                .find(|reader| reader.name == args.name)?;
            Some((id, reader))
        });
    let Some((lane, reader)) = found else {
        let readers = config.lanes.iter().flat_map(|lane| &lane.readers);
        let names: Vec<_> = readers.map(|reader| reader.name.as_str()).collect();
        let (file, names) = (args.config.display(), names.join(", "));
        let sentence = format!("{file} has no reader \"{}\"; it has: {names}", args.name);
        return Err(Failure { code: 2, sentence });
    };
    if reader.camera.is_some() || reader.folder.is_some() {
        let sentence = format!(
            "this is a camera; ask `turnstiled doctor camera {}`",
            args.name
        );
        return Err(Failure { code: 2, sentence });
    }
    let lasts = Duration::from_secs(args.lasts.into());
    if let Some(status) = running(&config) {
        return watched(&config, &args.name, &status, lasts, out);
    }
    let runtime = runtime()?;
    let report = runtime.block_on(async {
        let (lines, mut told) = mpsc::channel(EVENTS);
        let events = start(lane, reader)?;
        tokio::spawn(examine(events, lasts, lines));
        let mut has_read = false;
        while let Some(Told { line, is_read }) = told.recv().await {
            has_read |= is_read;
            writeln!(out, "{line}").map_err(|error| output(&error))?;
        }
        Ok(has_read)
    });
    Ok(u8::from(!report?))
}

/// The status of the gate that runs with this config; none if none does.
fn running(config: &Config) -> Option<Value> {
    let socket = &config.staff.as_ref()?.socket;
    ask(socket, &Request::Status).ok()?.status
}

/// What a gate that runs knows of the reader.
fn watched(
    config: &Config,
    name: &str,
    status: &Value,
    lasts: Duration,
    out: &mut dyn Write,
) -> Result<u8, Failure> {
    let mut say = |line: String| writeln!(out, "{line}").map_err(|error| output(&error));
    say("the gate runs and holds the port; this is what it knows".into())?;
    let Some(port) = port_of(status, name).filter(|port| port.is_object()) else {
        say("it has not opened the port of this reader yet".into())?;
        return Ok(1);
    };
    let text = |key: &str| port.get(key).and_then(Value::as_str);
    let number = |port: &Value, key: &str| port.get(key).and_then(Value::as_u64).unwrap_or(0);
    let state = text("state").unwrap_or("unknown");
    match number(port, "baud") {
        0 => say(format!("port: {state}"))?,
        baud => say(format!("port: {state}, at {baud} baud"))?,
    }
    if let Some(why) = text("why") {
        say(format!("because: {why}"))?;
    }
    if let Some(module) = text("module") {
        say(format!("it says of itself: {module}"))?;
    }
    let before = number(port, "reads");
    say(format!(
        "read since the start: {before}; show a card or code now"
    ))?;
    let Some(staff) = &config.staff else {
        return Ok(1);
    };
    let looks = lasts.as_millis() / LOOK.as_millis();
    for _ in 0..looks {
        std::thread::sleep(LOOK);
        let reply = ask(&staff.socket, &Request::Status).map_err(|error| Failure {
            code: UNAVAILABLE,
            sentence: format!("{}: {error}", staff.socket.display()),
        })?;
        let port = reply
            .status
            .as_ref()
            .and_then(|status| port_of(status, name));
        if let Some(port) = port.filter(|port| number(port, "reads") > before) {
            let took = Duration::from_micros(number(port, "last_took_us"));
            say(format!("something was read, in {} ms", took.as_millis()))?;
            return Ok(0);
        }
    }
    say(format!("nothing was read within {} s", lasts.as_secs()))?;
    Ok(1)
}

/// Starts the driver of this one reader.
fn start(lane: LaneId, reader: &Reader) -> Result<mpsc::Receiver<ReaderEvent>, Failure> {
    let (sender, events) = mpsc::channel(EVENTS);
    let port = Arc::new(Port {
        lane,
        direction: reader.direction,
        name: reader.name.clone(),
    });
    let clock = MonoClock::start();
    if let Some(setup) = Setup::of(reader) {
        tokio::spawn(async move { serial::run(&setup, port, clock, sender).await });
        return Ok(events);
    }
    let Some(osdp) = &reader.osdp else {
        let sentence = format!("reader \"{}\" has no port", reader.name);
        return Err(Failure { code: 2, sentence });
    };
    let key = reader_key(&osdp.key_file).map_err(|error| Failure::new(CONFIG, &error))?;
    let setup = LineSetup {
        port: osdp.port.clone(),
        baud: osdp.baud,
        driver_direction: osdp.direction == LineDirection::Driver,
    };
    let settings = ReaderSettings {
        address: osdp.address,
        key,
        assurance: osdp.assurance(),
    };
    let seats = vec![Seat { port, settings }];
    tokio::spawn(async move {
        let (_looks, looks) = watch::channel(Looks::default());
        let (_line, provisions) = mpsc::channel(1);
        serial::run_osdp(setup, seats, looks, provisions, clock, sender).await;
    });
    Ok(events)
}

/// A line of the report.
struct Told {
    line: String,
    /// Something was read.
    is_read: bool,
}

/// Listens for `lasts`, or until something was read, and puts it into words.
async fn examine(
    mut events: mpsc::Receiver<ReaderEvent>,
    lasts: Duration,
    lines: mpsc::Sender<Told>,
) {
    let end = Instant::now() + lasts;
    let mut faults = 0_u32;
    while let Ok(Some(event)) = timeout_at(end, events.recv()).await {
        let (line, is_read) = match event.report {
            ReaderReport::Presented(presentation) => (read_words(&presentation), true),
            ReaderReport::Faults(count) => {
                faults = faults.saturating_add(count);
                (String::new(), false)
            }
            other @ (ReaderReport::Prompt(_)
            | ReaderReport::Up(_)
            | ReaderReport::Port(_)
            | ReaderReport::Identified(_)
            | ReaderReport::Blind(_)
            | ReaderReport::Frame { .. }
            | ReaderReport::TooFast(_)
            | ReaderReport::NotAuthentic
            | ReaderReport::Tamper(_)
            | ReaderReport::Provisioned(_)
            | ReaderReport::PowerFailure(_)) => (words(&other), false),
        };
        if !line.is_empty() && lines.send(Told { line, is_read }).await.is_err() {
            return;
        }
        if is_read {
            break;
        }
    }
    let last = match faults {
        0 => "no bad bytes came".into(),
        count => format!("bad bytes or missing answers: {count}; look at plug, ground and cable"),
    };
    // Nobody listens any more if that fails.
    let _ = lines
        .send(Told {
            line: last,
            is_read: false,
        })
        .await;
}

/// What was read, and how long that took; never whose it is.
fn read_words(presentation: &Presentation) -> String {
    let what = match &presentation.shown {
        Shown::Card(card) => format!("an ID card was read ({:?})", card.kind),
        Shown::Tag(tag) if tag.is_random() => {
            "a card with a random number was read: it can be on no list".into()
        }
        Shown::Tag(tag) => format!(
            "a card was read; it counts as \"{}\"",
            tag.assurance.as_str()
        ),
        Shown::Code(_) => "a code was read".into(),
        Shown::TooLong => "a code was sent that is longer than any that is taken".into(),
    };
    let took = presentation.read.since(presentation.seen);
    format!("{what}, {} ms after its first sign", took.as_millis())
}

fn words(report: &ReaderReport) -> String {
    match report {
        ReaderReport::Port(news) => port_words(news),
        ReaderReport::Identified(module) => format!("it says of itself: {module}"),
        ReaderReport::NotAuthentic => {
            "card and module did not authenticate each other: a forged card, or a broken module"
                .into()
        }
        ReaderReport::Prompt(Prompt::LiftAndRetap) => {
            "a card is there and could not be read: lift it and show it again".into()
        }
        ReaderReport::Prompt(prompt) => format!("somebody would be told: {}", prompt.id()),
        ReaderReport::Tamper(on) => format!("it says that it is being opened: {on}"),
        ReaderReport::PowerFailure(on) => format!("it says that its supply fails: {on}"),
        ReaderReport::TooFast(count) => format!("{count} came faster than people can show them"),
        ReaderReport::Up(_)
        | ReaderReport::Blind(_)
        | ReaderReport::Frame { .. }
        | ReaderReport::Provisioned(_)
        | ReaderReport::Faults(_)
        | ReaderReport::Presented(_) => String::new(),
    }
}

fn port_words(news: &PortNews) -> String {
    let at = match news.baud {
        0 => String::new(),
        baud => format!(" at {baud} baud"),
    };
    let why = news.why.as_deref().unwrap_or("no reason is known");
    match news.state {
        PortState::Absent => format!("there is no such port: {why}"),
        PortState::Opening => format!("opening the port{at}"),
        PortState::Probing => format!("the port is open{at}; the module is asked"),
        PortState::Ready => format!("it works{at}; show a card or code now"),
        PortState::Degraded => "it works, but its line is noisy".into(),
        PortState::Lost => format!("it does not work{at}: {why}"),
    }
}

#[cfg(all(test, feature = "lab"))]
#[expect(clippy::unwrap_used, reason = "what cannot be set up has failed")]
mod tests {
    use std::path::Path;

    use super::*;
    use crate::lab::line_faults::LineFaults;
    use crate::lab::reader::Kind;
    use crate::lab::reader::terminal::{Settings, run as emulate};

    fn emulated(kind: Kind, path: &Path, faults: LineFaults) -> mpsc::Sender<()> {
        let settings = Settings {
            kind,
            path: path.into(),
            keys: Vec::new(),
            faults,
            stall_every: 0,
            unplug_every: None,
            tap_every: Some(Duration::from_secs(2)),
            seed: 1,
        };
        let (tap, taps) = mpsc::channel(1);
        std::thread::spawn(move || {
            let runtime = tokio::runtime::Builder::new_current_thread()
                .enable_all()
                .build();
            runtime.unwrap().block_on(emulate(settings, taps)).unwrap();
        });
        while !path.exists() {
            std::thread::sleep(Duration::from_millis(10));
        }
        tap
    }

    fn asked(folder: &Path, name: &str, device: &str) -> (Result<u8, Failure>, String) {
        let config = folder.join("gate.toml");
        let text = include_str!("../../../hardware/example.toml");
        let at = text.find("[[lane.reader]]").unwrap();
        let end = text[at..].find("\n\n").map_or(text.len(), |end| at + end);
        let reader =
            format!("[[lane.reader]]\nname = \"entry-card\"\ndirection = \"entry\"\n{device}\n");
        std::fs::write(&config, format!("{}{reader}{}", &text[..at], &text[end..])).unwrap();
        let args = Args {
            name: name.into(),
            config,
            lasts: 10,
        };
        let mut out = Vec::new();
        let code = run(&args, &mut out);
        (code, String::from_utf8(out).unwrap())
    }

    #[test]
    fn a_module_says_what_it_is_and_how_long_a_read_takes_and_nothing_of_the_card() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("port");
        let _module = emulated(Kind::IdCard, &path, LineFaults::default());
        let device = format!("id_card = {{ port = \"{}\" }}", path.display());
        let (code, said) = asked(folder.path(), "entry-card", &device);
        assert_eq!(code.unwrap(), 0, "{said}");
        for part in [
            "it works at 115200 baud",
            "it says of itself: SAM ",
            "an ID card was read",
            " ms after",
        ] {
            assert!(said.contains(part), "{part}: {said}");
        }
        assert!(!said.contains(&Kind::IdCard.shown(1)), "{said}");
    }

    #[test]
    fn a_port_that_is_not_there_and_a_name_nobody_has_are_told_in_a_sentence() {
        let folder = tempfile::tempdir().unwrap();
        let device = "rdm6300 = { port = \"/dev/no-such-port\", baud = 9600 }";
        let (code, said) = asked(folder.path(), "entry-card", device);
        assert_eq!(code.unwrap(), 1);
        assert!(said.contains("there is no such port"), "{said}");
        let (code, _) = asked(folder.path(), "nobody", device);
        let failure = code.unwrap_err();
        assert!(
            failure.sentence.contains("it has: entry-card"),
            "{}",
            failure.sentence
        );
    }
}
