//! Every emulated kind is read by the real driver, on a real terminal.

use std::io;
use std::path::PathBuf;
use std::sync::{Arc, Mutex};
use std::time::Duration;

use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _, duplex};
use tokio::sync::{mpsc, watch};
use tokio::time;

use super::replay::driver;
use super::terminal::{Settings, run};
use super::*;
use crate::domain::{Assurance, Direction, LaneId, Shown};
use crate::drivers::serial::{
    self, LineSetup, Looks, Provision, Provisioned, ReaderSettings, Seat, SerialError, Setup,
};
use crate::drivers::{MonoClock, Port, ReaderEvent, ReaderReport};
use crate::lab::line_faults::LineFaults;

const KEY: [u8; 16] = [7; 16];

fn settings(kind: Kind, path: &std::path::Path) -> Settings {
    Settings {
        kind,
        path: path.into(),
        keys: vec![(0, Some(KEY))],
        faults: LineFaults::default(),
        stall_every: 0,
        unplug_every: None,
        tap_every: None,
        seed: 1,
    }
}

fn port() -> Arc<Port> {
    Arc::new(Port {
        lane: LaneId(0),
        direction: Direction::Entry,
        name: "reader".into(),
    })
}

fn line(port: PathBuf) -> LineSetup {
    LineSetup {
        port,
        baud: 115_200,
        driver_direction: false,
    }
}

fn keyed() -> ReaderSettings {
    ReaderSettings {
        address: 0,
        key: Personal::new(KEY),
        assurance: Assurance::Identifier,
    }
}

fn gate(kind: Kind, path: &std::path::Path) -> mpsc::Receiver<ReaderEvent> {
    let (sender, events) = mpsc::channel(64);
    let port = port();
    let clock = MonoClock::start();
    if let Some(kind) = driver(kind) {
        let setup = Setup {
            port: path.into(),
            baud: None,
            kind,
            types: false,
        };
        tokio::spawn(async move { serial::run(&setup, port, clock, sender).await });
        return events;
    }
    let (setup, settings) = (line(path.into()), keyed());
    tokio::spawn(async move {
        let (_looks, looks) = watch::channel(Looks::default());
        let (_line, provisions) = mpsc::channel(1);
        let seats = vec![Seat { port, settings }];
        serial::run_osdp(setup, seats, looks, provisions, clock, sender).await;
    });
    events
}

async fn shown(events: &mut mpsc::Receiver<ReaderEvent>) -> String {
    loop {
        let event = time::timeout(Duration::from_secs(20), events.recv());
        if let ReaderReport::Presented(presentation) = event.await.unwrap().unwrap().report {
            return match presentation.shown {
                Shown::Tag(tag) => tag.identifier().expose().clone(),
                Shown::Code(text) => text.expose().clone(),
                Shown::Card(card) => card.number.expose().clone(),
                Shown::TooLong => "too long".into(),
            };
        }
    }
}

async fn up(events: &mut mpsc::Receiver<ReaderEvent>) {
    loop {
        let event = time::timeout(Duration::from_secs(20), events.recv());
        if matches!(event.await.unwrap().unwrap().report, ReaderReport::Up(true)) {
            return;
        }
    }
}

#[tokio::test]
async fn a_card_on_an_emulated_reader_of_any_kind_is_read_by_the_driver() {
    for kind in Kind::ALL {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("port");
        let (tap, taps) = mpsc::channel(1);
        tokio::spawn(run(settings(kind, &path), taps));
        time::sleep(Duration::from_millis(50)).await;
        let mut events = gate(kind, &path);
        up(&mut events).await;
        // An OSDP reader first has to say a few times that there is nothing old.
        time::sleep(Duration::from_millis(500)).await;
        tap.send(()).await.unwrap();
        assert_eq!(shown(&mut events).await, kind.shown(1), "{kind:?}");
    }
}

#[tokio::test]
async fn noise_wrong_checksums_stalls_and_a_pulled_plug_bring_no_card_that_is_not_there() {
    for kind in Kind::ALL {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("port");
        let (tap, taps) = mpsc::channel(1);
        let faulty = Settings {
            faults: LineFaults {
                chunk_len: 3,
                noise_len: 2,
                bit_error_every: 7,
                ..LineFaults::default()
            },
            stall_every: 11,
            unplug_every: Some(Duration::from_secs(1)),
            tap_every: Some(Duration::from_millis(700)),
            ..settings(kind, &path)
        };
        tokio::spawn(run(faulty, taps));
        time::sleep(Duration::from_millis(50)).await;
        let mut events = gate(kind, &path);
        let known: Vec<_> = (1..100).map(|number| kind.shown(number)).collect();
        let end = time::Instant::now() + Duration::from_secs(5);
        while let Ok(read) = time::timeout_at(end, shown(&mut events)).await {
            assert!(known.contains(&read), "{kind:?}: {read}");
        }
        drop(tap);
    }
}

/// "Install mode left on" is how readers are taken over: what somebody asked for a minute ago is not done now.
#[tokio::test(start_paused = true)]
async fn a_key_that_was_asked_for_while_the_line_was_shut_is_not_given_when_it_opens_later() {
    let socket = Arc::new(Mutex::new(None));
    let shut = Arc::clone(&socket);
    let open = move |_| {
        let port = shut.lock().unwrap().take();
        std::future::ready(port.ok_or_else(|| SerialError::Open {
            port: "line".into(),
            source: io::ErrorKind::NotFound.into(),
        }))
    };
    let (sender, mut events) = mpsc::channel(64);
    let (_looks, looks) = watch::channel(Looks::default());
    let (asked, provisions) = mpsc::channel(1);
    let seat = Seat {
        port: port(),
        settings: keyed(),
    };
    let clock = MonoClock::start();
    let setup = line("line".into());
    tokio::spawn(async move {
        serial::run_osdp_over(setup, open, vec![seat], looks, provisions, clock, sender).await;
    });
    let minute = || Provision {
        address: 0,
        until: time::Instant::now() + Duration::from_secs(60),
    };
    asked.send(minute()).await.unwrap();
    time::sleep(Duration::from_secs(61)).await;

    let (mut ours, theirs) = duplex(4_096);
    *socket.lock().unwrap() = Some(theirs);
    tokio::spawn(async move {
        let mut new = Device::new(Kind::Osdp, &[(0, None)]);
        let mut chunk = [0; 256];
        while let Ok(length @ 1..) = ours.read(&mut chunk).await {
            for reply in new.hear(&chunk[..length]) {
                ours.write_all(&reply).await.unwrap();
            }
        }
    });
    assert_eq!(provisioned(&mut events).await, [Provisioned::TimedOut]);

    asked.send(minute()).await.unwrap();
    let told = provisioned(&mut events).await;
    assert_eq!(told, [Provisioned::Open, Provisioned::Taken], "in time");
}

/// What is said of it within twenty seconds.
async fn provisioned(events: &mut mpsc::Receiver<ReaderEvent>) -> Vec<Provisioned> {
    let (mut told, end) = (Vec::new(), time::Instant::now() + Duration::from_secs(20));
    while let Ok(Some(event)) = time::timeout_at(end, events.recv()).await {
        if let ReaderReport::Provisioned(how) = event.report {
            told.push(how);
        }
    }
    told
}

#[test]
fn made_up_numbers_have_a_good_check_digit() {
    // By READERS §1.7 the number with 002 in its place has the check digit X.
    assert_eq!(id_number(2), "11010519491231002X");
}
