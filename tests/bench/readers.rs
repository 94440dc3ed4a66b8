//! What readers cost: last byte to presentation for each codec, the daemon's share of an ID card read, tap to event with eight
//! OSDP readers on one line, and a day of each line with faults, in virtual time.
//!
//! `cargo bench --bench readers`; `HOURS=1` for a shorter day.

#![expect(
    clippy::unwrap_used,
    clippy::print_stdout,
    clippy::indexing_slicing,
    clippy::panic,
    reason = "a bench that cannot measure has failed, and it prints"
)]

use std::time::Duration;

use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _, DuplexStream, duplex};
use tokio::sync::mpsc;
use tokio::time::{self, Instant};
use turnstiled::drivers::{ReaderEvent, ReaderReport};
use turnstiled::lab::random::SplitMix64;
use turnstiled::lab::reader::replay::{
    self, DROP_EVERY, NOISE_EVERY, Report, device, start, text_of,
};
use turnstiled::lab::reader::{Device, Kind};

/// Cards for a figure: more than a hundred, so that the worst in a hundred is one of them.
const CARDS: u16 = 120;
/// Readers on the OSDP line.
const READERS: u8 = 8;
/// A byte with its start and stop bit at 115200 baud.
const BYTE_TIME: Duration = Duration::from_nanos(86_806);
/// A tap that is not heard of for so long after the next one was due is lost.
const LOST: Duration = Duration::from_secs(2);
/// Taps come no faster than people; every reader has its own pace.
const BETWEEN: Duration = Duration::from_millis(550);

fn main() {
    let hours = std::env::var("HOURS")
        .ok()
        .and_then(|hours| hours.parse().ok());
    let runtime = tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .build()
        .unwrap();
    println!("last byte of the device to presentation, no wire time; {CARDS} cards a kind\n");
    println!(
        "{:<14} {:>10} {:>10} {:>10}",
        "", "median us", "p99 us", "worst us"
    );
    for kind in Kind::ALL {
        if kind != Kind::Osdp {
            let last_byte = runtime.block_on(last_byte(kind));
            row(&format!("{kind:?}"), last_byte.last_byte);
            if kind == Kind::IdCard {
                row("  found to read", last_byte.share);
            }
        }
    }
    println!("\nWiegandBytes has no end mark: 40 ms of silence end it, and are in its figure.");
    println!(
        "Found to read is the daemon's own share of an ID card read: the wire adds 112 ms, the card some 0.8 s.\n"
    );
    let taps = runtime.block_on(eight_on_a_line());
    println!(
        "OSDP, tap to event: {READERS} secure readers on one line, wire time of 115200 baud in it\n"
    );
    println!(
        "{:<14} {:>10} {:>10} {:>10}",
        "", "median us", "p99 us", "worst us"
    );
    row("Osdp", taps);
    drop(runtime);

    assert!(
        is_day_good(hours.unwrap_or(24)),
        "a card was missed, made up, or memory grew"
    );
}

/// Plays a day of each line with faults, and prints what came of it. True if no card was missed or made up, and memory has not
/// grown.
fn is_day_good(hours: u32) -> bool {
    println!(
        "\n{hours} h of line time, one byte in {NOISE_EVERY} spoiled, one in {DROP_EVERY} lost, plugs pulled\n"
    );
    println!(
        "{:<14} {:>6} {:>6} {:>6} {:>6} {:>7} {:>6} {:>10} {:>8} {:>8} {:>9} {:>7}",
        "",
        "laid",
        "read",
        "away",
        "told",
        "missed",
        "false",
        "bytes",
        "spoiled",
        "unplugs",
        "RSS +KiB",
        "wall s"
    );
    let mut is_good = true;
    for kind in Kind::ALL {
        let paused = || {
            let mut builder = tokio::runtime::Builder::new_current_thread();
            builder.enable_time().start_paused(true).build().unwrap()
        };
        // The first hour fills what is filled once.
        paused().block_on(replay::replay(kind, 1, 3));
        let (before, began) = (resident_kib(), Instant::now());
        let report = paused().block_on(replay::replay(kind, hours, 4));
        let (grown, wall) = (resident_kib() - before, began.elapsed().as_secs_f64());
        let Report {
            laid,
            read,
            away,
            told,
            missed,
            false_reads,
            bytes,
            spoiled,
            unplugged,
        } = report;
        println!(
            "{:<14} {laid:>6} {read:>6} {away:>6} {told:>6} {missed:>7} {false_reads:>6} {bytes:>10} {spoiled:>8} {unplugged:>8} {grown:>9} {wall:>7.1}",
            format!("{kind:?}")
        );
        // A line has no checksum, and Wiegand two bits of parity: what is signed is refused later, by its signature.
        let is_checked = !matches!(kind, Kind::Line | Kind::WiegandText | Kind::WiegandBytes);
        is_good &= missed == 0 && !(is_checked && false_reads > 0) && grown < 1_024;
    }
    is_good
}

fn row(what: &str, mut took: Vec<Duration>) {
    took.sort();
    let at = |share: usize| took[(took.len() * share / 100).min(took.len() - 1)].as_micros();
    println!("{what:<14} {:>10} {:>10} {:>10}", at(50), at(99), at(100));
}

fn resident_kib() -> i64 {
    let text = std::fs::read_to_string("/proc/self/statm").unwrap();
    let pages: i64 = text.split(' ').nth(1).unwrap().parse().unwrap();
    pages * 4
}

struct Shares {
    last_byte: Vec<Duration>,
    share: Vec<Duration>,
}

/// Lays cards one after another, and waits for each.
async fn last_byte(kind: Kind) -> Shares {
    let (mut ours, theirs) = duplex(4_096);
    let socket = std::sync::Arc::new(std::sync::Mutex::new(Some(theirs)));
    let mut events = start(kind, 1, &socket);
    let mut module = device(kind, 1);
    let mut shares = Shares {
        last_byte: Vec::new(),
        share: Vec::new(),
    };
    pump(
        &mut ours,
        &mut module,
        &mut events,
        Instant::now() + Duration::from_millis(800),
        None,
    )
    .await;
    for number in 1..=CARDS {
        let mut sent = Instant::now();
        let bytes = module.lay(number);
        ours.write_all(&bytes).await.unwrap();
        let end = Instant::now() + Duration::from_secs(5);
        let want = kind.shown(number);
        let (at, share) = pump(
            &mut ours,
            &mut module,
            &mut events,
            end,
            Some((want.as_str(), &mut sent)),
        )
        .await
        .unwrap();
        shares.last_byte.push(at.duration_since(sent));
        shares.share.push(share);
        module.lift();
        pump(
            &mut ours,
            &mut module,
            &mut events,
            Instant::now() + BETWEEN,
            None,
        )
        .await;
    }
    shares
}

/// Plays the module until `end`, or until `want` is presented: then when that was, and how long after its first sign. The
/// instant that `want` brings is set to when the module last sent something.
async fn pump(
    ours: &mut DuplexStream,
    module: &mut Device,
    events: &mut mpsc::Receiver<ReaderEvent>,
    end: Instant,
    mut want: Option<(&str, &mut Instant)>,
) -> Option<(Instant, Duration)> {
    let mut chunk = [0; 256];
    loop {
        tokio::select! {
            biased;
            event = events.recv() => {
                let ReaderReport::Presented(presentation) = event.unwrap().report else { continue };
                if want.as_ref().is_some_and(|(text, _)| *text == text_of(&presentation.shown)) {
                    return Some((Instant::now(), presentation.read.since(presentation.seen)));
                }
            }
            read = ours.read(&mut chunk) => {
                for reply in module.hear(&chunk[..read.unwrap()]) {
                    if let Some((_, sent)) = &mut want {
                        **sent = Instant::now();
                    }
                    ours.write_all(&reply).await.unwrap();
                }
            }
            () = time::sleep_until(end) => return None,
        }
    }
}

/// Eight readers on one line at the pace of its wire; taps at moments that nobody has chosen.
async fn eight_on_a_line() -> Vec<Duration> {
    let (mut ours, theirs) = duplex(4_096);
    let socket = std::sync::Arc::new(std::sync::Mutex::new(Some(theirs)));
    let mut events = start(Kind::Osdp, READERS, &socket);
    let mut bus = device(Kind::Osdp, READERS);
    let mut random = SplitMix64::new(5);
    let mut took = Vec::new();
    let mut tap_at = Instant::now() + Duration::from_secs(4);
    let mut tapped: Option<(Instant, String)> = None;
    let (mut number, mut again) = (0_u16, 0);
    let mut chunk = [0; 256];
    while took.len() < usize::from(CARDS) * 2 {
        tokio::select! {
            biased;
            event = events.recv() => {
                let presentation = match event.unwrap().report {
                    ReaderReport::Presented(presentation) => presentation,
                    // This machine was away for half a second: the reader is asked for a new tap, as it should be.
                    ReaderReport::Prompt(_) => {
                        tapped = None;
                        again += 1;
                        continue;
                    }
                    _ => continue,
                };
                let text = text_of(&presentation.shown);
                if let Some((at, _)) = tapped.take_if(|(_, want)| *want == text) {
                    took.push(at.elapsed());
                }
            }
            read = ours.read(&mut chunk) => {
                let length = read.unwrap();
                let replies = bus.hear(&chunk[..length]);
                let bytes = length + replies.iter().map(Vec::len).sum::<usize>();
                time::sleep(BYTE_TIME * u32::try_from(bytes).unwrap()).await;
                for reply in replies {
                    ours.write_all(&reply).await.unwrap();
                }
            }
            () = time::sleep_until(tap_at + LOST), if tapped.is_some() => panic!("a tap was lost"),
            () = time::sleep_until(tap_at), if tapped.is_none() => {
                number += 1;
                bus.lay_at(random.index(READERS.into()), number);
                tapped = Some((Instant::now(), Kind::Osdp.shown(number)));
                tap_at = Instant::now() + Duration::from_millis(150 + random.below(150));
            }
        }
    }
    if again > 0 {
        println!(
            "{again} taps had to be repeated: this machine was busy with something else for half a second"
        );
    }
    took
}
