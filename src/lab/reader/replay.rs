//! Hours of a line in moments: the real driver over a line with faults, in virtual time, and somebody who counts.
//!
//! Of all bytes, one in [`NOISE_EVERY`] is spoiled (a bit turned, or a byte too many), one in [`DROP_EVERY`] is lost, and the
//! plug is pulled now and then. Cards come and go meanwhile; each is another than the one before.

use std::collections::BTreeMap;
use std::io;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _, DuplexStream, duplex};
use tokio::sync::{mpsc, watch};
use tokio::time::{self, Instant};

use super::{Device, Kind};
use crate::domain::{Assurance, Direction, LaneId, Personal, Prompt, Shown};
use crate::drivers::serial::{
    self, LineSetup, Looks, ReaderSettings, Seat, SerialError, run_osdp_over, run_over,
};
use crate::drivers::{MonoClock, Port, ReaderEvent, ReaderReport};
use crate::lab::random::SplitMix64;
use crate::proto::line::LineShape;
use crate::proto::tags::{TagCodec, WiegandFormat};

/// One byte in so many is spoiled.
pub const NOISE_EVERY: u64 = 1_000;
/// One in so many is lost.
pub const DROP_EVERY: u64 = 5_000;
const KEY: [u8; 16] = [7; 16];
const READ_LEN: usize = 256;
const LINE_LEN: usize = 4_096;
/// A card lies this long; the next comes this much later at least, and twice that at most.
const LIES: Duration = Duration::from_secs(3);
const BETWEEN: Duration = Duration::from_secs(7);
/// The plug is in for this long at least, and twice that at most, and out for this long.
const PLUGGED: Duration = Duration::from_secs(900);
const OUT: Duration = Duration::from_secs(4);
/// A reader is back this long after its plug at the latest, and asks for a new tap until then.
const BACK: Duration = Duration::from_secs(8);
/// Modules that repeat do so this often.
const REPEAT: Duration = Duration::from_millis(100);

/// What came of it.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Report {
    /// Cards laid.
    pub laid: u32,
    /// Of them, read.
    pub read: u32,
    /// Not read, and a rule allows it (READERS R2, R6): the plug was out or just in again, or the reader had said that it is down.
    pub away: u32,
    /// Not read, and a rule allows it (READERS §1.4, §2.6, §3.1): whoever stood there was told to show it again.
    pub told: u32,
    /// Not read, and no rule allows it.
    pub missed: u32,
    /// Read, and nobody had shown it.
    pub false_reads: u32,
    /// Bytes of the device that went over the line.
    pub bytes: u64,
    /// Of them, spoiled or lost.
    pub spoiled: u64,
    /// How often the plug was pulled.
    pub unplugged: u32,
}

impl Report {
    fn count(&mut self, over: Laid) {
        let count = match (over.is_read, over.excuse) {
            (true, _) => &mut self.read,
            (false, Some(Excuse::Away)) => &mut self.away,
            (false, Some(Excuse::Told)) => &mut self.told,
            (false, Some(Excuse::Mistaken)) => return,
            (false, None) => &mut self.missed,
        };
        *count += 1;
    }
}

/// What the driver has for such a device; none for OSDP.
#[must_use]
pub fn driver(kind: Kind) -> Option<serial::Kind> {
    let w26 = || WiegandFormat::of_bits(26).into_iter().collect();
    Some(match kind {
        Kind::IdCard => serial::Kind::IdCard,
        Kind::Line => serial::Kind::Line(LineShape::default()),
        Kind::Rdm6300 => serial::Kind::Tag(TagCodec::Rdm6300),
        Kind::WiegandText => serial::Kind::Tag(TagCodec::WiegandText(w26())),
        Kind::WiegandBytes => serial::Kind::Tag(TagCodec::WiegandBytes(w26())),
        Kind::Pn532 => serial::Kind::Pn532,
        Kind::Osdp => return None,
    })
}

/// The host's end of the line; none while the plug is out.
type Socket = Arc<Mutex<Option<DuplexStream>>>;

fn put(socket: &Socket, port: Option<DuplexStream>) {
    *socket.lock().unwrap_or_else(PoisonError::into_inner) = port;
}

/// Starts the driver on whatever is in `socket`. It ends when the events are dropped.
#[must_use]
pub fn start(kind: Kind, readers: u8, socket: &Socket) -> mpsc::Receiver<ReaderEvent> {
    let (sender, events) = mpsc::channel(64);
    let port = |number: u8| {
        Arc::new(Port {
            lane: LaneId(0),
            direction: Direction::Entry,
            name: format!("reader-{number}"),
        })
    };
    let clock = MonoClock::start();
    let socket = Arc::clone(socket);
    let open = move |_baud: u32| {
        let port = socket.lock().unwrap_or_else(PoisonError::into_inner).take();
        std::future::ready(port.ok_or_else(|| SerialError::Open {
            port: "line".into(),
            source: io::ErrorKind::NotFound.into(),
        }))
    };
    match driver(kind) {
        Some(kind) => {
            let port = port(0);
            tokio::spawn(async move {
                run_over(kind, &[115_200], open, port, clock, sender).await;
            });
        }
        None => {
            let seats = (0..readers).map(|address| Seat {
                port: port(address),
                settings: ReaderSettings {
                    address,
                    key: Personal::new(KEY),
                    assurance: Assurance::Identifier,
                },
            });
            let seats = seats.collect();
            let setup = LineSetup {
                port: "line".into(),
                baud: 115_200,
                driver_direction: false,
            };
            tokio::spawn(async move {
                let (_looks, looks) = watch::channel(Looks::default());
                let (_asked, provisions) = mpsc::channel(1);
                run_osdp_over(setup, open, seats, looks, provisions, clock, sender).await;
            });
        }
    }
    events
}

/// A device of this kind, with as many readers as [`start`] was told.
#[must_use]
pub fn device(kind: Kind, readers: u8) -> Device {
    let keys: Vec<_> = (0..readers).map(|address| (address, Some(KEY))).collect();
    Device::new(kind, &keys)
}

/// The text that a presentation shows.
#[must_use]
pub fn text_of(shown: &Shown) -> String {
    match shown {
        Shown::Tag(tag) => tag.identifier().expose().clone(),
        Shown::Code(text) => text.expose().clone(),
        Shown::Card(card) => card.number.expose().clone(),
        Shown::TooLong => "too long".into(),
    }
}

/// One card, from the moment it is laid.
#[derive(Clone, Copy)]
struct Laid {
    number: u16,
    at: Instant,
    is_read: bool,
    excuse: Option<Excuse>,
}

/// Why it may go unread.
#[derive(Clone, Copy, Debug)]
enum Excuse {
    /// The plug was out, or the reader down by its own word.
    Away,
    /// Whoever shows it was told to show it again.
    Told,
    /// It was taken for another one: counted as false.
    Mistaken,
}

/// Plays `hours` of a line. Call it in a runtime whose time is paused.
#[expect(clippy::too_many_lines, reason = "one arm for each thing that happens")]
pub async fn replay(kind: Kind, hours: u32, seed: u64) -> Report {
    let socket = Socket::default();
    let mut line = Line {
        device: device(kind, 1),
        end: None,
        is_in: false,
        random: SplitMix64::new(seed),
        report: Report::default(),
    };
    line.plug(&socket);
    let mut events = start(kind, 1, &socket);
    let begin = Instant::now();
    let end = begin + Duration::from_secs(3_600) * hours;
    let mut back_at = begin + BACK;
    let (mut lay, mut lift, mut again) = (begin + BACK, None, None);
    let mut unplug = Some(begin + line.between(PLUGGED));
    let mut plug: Option<Instant> = None;
    let mut laid: Option<Laid> = None;
    let mut number = 0_u16;
    let mut shown = BTreeMap::new();
    loop {
        let mut chunk = [0; READ_LEN];
        tokio::select! {
            biased;
            event = events.recv() => {
                let Some(event) = event else { return line.report };
                line.see(kind, &event.report, laid.as_mut(), &shown);
            }
            heard = line.read(&mut chunk) => match heard {
                0 => line.plug(&socket),
                heard => line.hear(chunk.get(..heard).unwrap_or_default()).await,
            },
            () = time::sleep_until(lay) => {
                laid.take().iter().for_each(|over| line.report.count(*over));
                number = number.wrapping_add(1);
                lay = Instant::now() + LIES + line.between(BETWEEN);
                lift = Some(Instant::now() + LIES);
                again = Some(Instant::now() + REPEAT);
                let now = Instant::now();
                let excuse = (plug.is_some() || now < back_at).then_some(Excuse::Away);
                laid = Some(Laid { number, at: now, is_read: false, excuse });
                shown.insert(kind.shown(number), now);
                line.report.laid += 1;
                let bytes = line.device.lay(number);
                line.send(bytes).await;
            }
            () = at(lift) => {
                (lift, again) = (None, None);
                line.device.lift();
            }
            () = at(again) => {
                again = Some(Instant::now() + REPEAT);
                let bytes = line.device.again();
                line.send(bytes).await;
            }
            () = at(unplug) => {
                (unplug, plug) = (None, Some(Instant::now() + OUT));
                (line.end, line.is_in) = (None, false);
                put(&socket, None);
                line.report.unplugged += 1;
                laid.iter_mut().for_each(|laid| laid.excuse = Some(Excuse::Away));
            }
            () = at(plug) => {
                plug = None;
                back_at = Instant::now() + BACK;
                unplug = Some(Instant::now() + line.between(PLUGGED));
                line.plug(&socket);
            }
            () = time::sleep_until(end) => return line.report,
        }
        // The next card is laid long after this one was given up.
        if let Some(over) = laid.filter(|laid| laid.at.elapsed() > LIES + Duration::from_secs(2)) {
            laid = None;
            shown.remove(&kind.shown(over.number.wrapping_sub(8)));
            line.report.count(over);
        }
    }
}

async fn at(at: Option<Instant>) {
    match at {
        Some(at) => time::sleep_until(at).await,
        None => std::future::pending().await,
    }
}

struct Line {
    device: Device,
    /// The device's end; none while the plug is out, and once the driver has closed its end.
    end: Option<DuplexStream>,
    /// The plug is in.
    is_in: bool,
    random: SplitMix64,
    report: Report,
}

impl Line {
    fn plug(&mut self, socket: &Socket) {
        self.is_in = true;
        let (ours, theirs) = duplex(LINE_LEN);
        self.end = Some(ours);
        put(socket, Some(theirs));
    }

    fn between(&mut self, least: Duration) -> Duration {
        least + least.mul_f64(self.random.unit())
    }

    async fn read(&mut self, buf: &mut [u8]) -> usize {
        match &mut self.end {
            // The driver may have closed its end: the port is still there for it to open.
            Some(end) => match end.read(buf).await {
                Ok(0) | Err(_) => {
                    self.end = None;
                    0
                }
                Ok(length) => length,
            },
            None if self.is_in => 0,
            None => std::future::pending().await,
        }
    }

    async fn hear(&mut self, bytes: &[u8]) {
        for reply in self.device.hear(bytes) {
            self.send(reply).await;
        }
    }

    async fn send(&mut self, bytes: Vec<u8>) {
        if bytes.is_empty() || self.end.is_none() {
            return;
        }
        let mut out = Vec::with_capacity(bytes.len() + 2);
        for byte in bytes {
            self.report.bytes += 1;
            if self.random.below(DROP_EVERY) == 0 {
                self.report.spoiled += 1;
                continue;
            }
            if self.random.below(NOISE_EVERY) == 0 {
                self.report.spoiled += 1;
                if self.random.below(2) == 0 {
                    out.push(byte ^ (1 << self.random.below(8)));
                    continue;
                }
                let [noise, ..] = self.random.next_u64().to_be_bytes();
                out.push(noise);
            }
            out.push(byte);
        }
        if let Some(end) = &mut self.end
            && end.write_all(&out).await.is_err()
        {
            self.end = None;
        }
    }

    fn see(
        &mut self,
        kind: Kind,
        report: &ReaderReport,
        laid: Option<&mut Laid>,
        shown: &BTreeMap<String, Instant>,
    ) {
        match (report, laid) {
            (ReaderReport::Presented(presentation), laid) => {
                let text = text_of(&presentation.shown);
                match laid {
                    Some(laid) if kind.shown(laid.number) == text => laid.is_read = true,
                    // Handed on anew while it lies there still, or after: not from nowhere.
                    _ if shown.contains_key(&text) => {}
                    Some(laid) => {
                        eprintln!(
                            "DEBUG false {text} for {:?} {:?}",
                            kind.shown(laid.number),
                            laid.at.elapsed()
                        );
                        self.report.false_reads += 1;
                        laid.excuse = Some(Excuse::Mistaken);
                    }
                    None => self.report.false_reads += 1,
                }
            }
            (ReaderReport::Prompt(Prompt::LiftAndRetap | Prompt::ShowAgain), Some(laid)) => {
                laid.excuse.get_or_insert(Excuse::Told);
            }
            (ReaderReport::Up(false), Some(laid)) => {
                laid.excuse.get_or_insert(Excuse::Away);
            }
            _ => {}
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// The full day is in `make bench`.
    #[tokio::test(start_paused = true)]
    async fn hours_of_a_bad_line_bring_no_card_that_was_not_shown_and_miss_none_without_a_word() {
        for kind in Kind::ALL {
            let report = replay(kind, 1, 17).await;
            assert!(report.laid > 200, "{kind:?}: {report:?}");
            assert!(report.unplugged >= 1, "{kind:?}: {report:?}");
            assert_eq!(report.missed, 0, "{kind:?}: {report:?}");
            // Lines have no checksum and Wiegand has two bits of parity: what is signed is refused later, by its signature.
            if !matches!(kind, Kind::Line | Kind::WiegandText | Kind::WiegandBytes) {
                assert_eq!(report.false_reads, 0, "{kind:?}: {report:?}");
            }
        }
    }
}
