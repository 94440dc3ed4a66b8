//! One reader of a bus: ID, CAP, CHLNG, SCRYPT, then polled for ever; every break starts over.

use std::time::Duration;

use osdp::ParsedPacket;
use osdp::packet::{ScsType, Sqn};
use osdp::reply::{NakErrorCode, PdId, Raw, Reply, ReplyCode};
use osdp::secure::frame::unseal;

use super::handshake::{Channel, challenged, cryptogrammed, nak};
use super::provision::{self, Provisioned, Provisioning};
use super::{Cause, Look, ReaderSettings};
use crate::domain::{Mono, Tag, TagKind};
use crate::proto::latch::Latch;

mod ask;

/// A reader that is away is asked this often whether it is back.
const PROBE_PERIOD: Duration = Duration::from_millis(500);
/// A reader that is refused is tried again after this long: nothing gets better by itself.
const REFUSED_PERIOD: Duration = Duration::from_secs(2);
/// A reader that is there is polled no more often than this.
const POLL_PERIOD: Duration = Duration::from_millis(20);
/// A reader that has said nothing but BUSY for so long is as good as away (SIA OSDP v2.2 §5.7).
const BUSY_MAX: Duration = Duration::from_secs(8);
/// Lost answers in a row after which a session is over.
const MISSES_MAX: u32 = 3;
/// A reader keeps what was tapped while it was not heard, and OSDP has no times: what comes after such a gap is old …
const GAP_MAX: Duration = Duration::from_millis(500);
/// … until it has had nothing to say so many times.
const EMPTY_POLLS_MIN: u32 = 3;

/// News of one reader.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum News {
    Up,
    Down(Cause),
    Presented(Tag),
    /// A card that was tapped while the reader was not heard.
    Stale,
    Tamper(bool),
    PowerFailure(bool),
    Identified(String),
    Provisioned(Provisioned),
    Fault,
}

/// What is told of a reader once.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
struct Said {
    /// True while it is served; `None`: nothing was said yet.
    up: Option<bool>,
    /// Why it is not.
    cause: Option<Cause>,
    tamper: bool,
    power_failure: bool,
    identity: Option<String>,
}

pub(super) struct Reader {
    settings: ReaderSettings,
    provisioning: Provisioning,
    channel: Channel,
    sqn: Sqn,
    /// The frame that has not been answered: it is repeated byte by byte.
    pending: Option<Vec<u8>>,
    misses: u32,
    /// When it is its turn again.
    due: Mono,
    heard: Option<Mono>,
    /// Empty polls since the last gap.
    empty_polls: u32,
    latch: Latch<Tag>,
    said: Said,
    /// Tamper and power were asked for in this session.
    status_asked: bool,
    look: Look,
    shown: Option<Look>,
    /// The light is set; the sound comes next.
    beep: bool,
}

impl Reader {
    pub(super) fn new(settings: ReaderSettings) -> Self {
        Self {
            settings,
            provisioning: Provisioning::default(),
            channel: Channel::Closed,
            sqn: Sqn::ZERO,
            pending: None,
            misses: 0,
            due: Mono::default(),
            heard: None,
            empty_polls: 0,
            latch: Latch::default(),
            said: Said::default(),
            status_asked: false,
            look: Look::default(),
            shown: None,
            beep: false,
        }
    }

    pub(super) const fn due(&self) -> Mono {
        self.due
    }

    pub(super) fn show(&mut self, look: Look) {
        if self.look != look {
            (self.look, self.shown) = (look, None);
        }
    }

    /// It may be given its key until then.
    pub(super) fn provision(&mut self, now: Mono, until: Mono, out: &mut Vec<News>) {
        self.provisioning = Provisioning::until(until);
        self.restart(now);
        self.said.cause = Some(Cause::Provisioning);
        self.said.up = Some(false);
        out.push(News::Down(Cause::Provisioning));
        out.push(News::Provisioned(Provisioned::Open));
    }

    /// Looks whether the time for that is over.
    pub(super) fn times_out(&mut self, now: Mono, out: &mut Vec<News>) {
        if self.provisioning.times_out(now) {
            self.restart(now);
            out.push(News::Provisioned(Provisioned::TimedOut));
        }
    }

    /// The line was closed: whatever was agreed on is gone.
    pub(super) fn restart(&mut self, now: Mono) {
        self.close();
        self.due = now;
    }

    fn close(&mut self) {
        self.channel = Channel::Closed;
        self.sqn = Sqn::ZERO;
        self.pending = None;
        self.misses = 0;
        self.empty_polls = 0;
        self.status_asked = false;
        self.shown = None;
    }

    /// No answer in time.
    pub(super) fn missed(&mut self, now: Mono, out: &mut Vec<News>) {
        self.misses += 1;
        if !matches!(self.channel, Channel::Closed) {
            out.push(News::Fault);
            if self.misses < MISSES_MAX {
                self.due = now;
                return;
            }
        }
        self.fail(now, Cause::Silent, out);
    }

    fn fail(&mut self, now: Mono, cause: Cause, out: &mut Vec<News>) {
        self.close();
        self.due = now
            + match cause {
                // Start over at once.
                Cause::OutOfStep => Duration::ZERO,
                Cause::Silent | Cause::Forged | Cause::Provisioning => PROBE_PERIOD,
                Cause::WrongKey | Cause::NotSecure => REFUSED_PERIOD,
            };
        // While it is given its key it is down for that, whatever else it lacks.
        let cause = if self.provisioning.is_on() {
            Cause::Provisioning
        } else {
            cause
        };
        let is_change = self.said.cause.replace(cause) != Some(cause);
        if self.said.up.replace(false) != Some(false) || is_change {
            out.push(News::Down(cause));
        }
    }

    /// A packet that came while this reader was asked. False: it is not an answer, the wait goes on.
    pub(super) fn answered(&mut self, now: Mono, raw: &[u8], out: &mut Vec<News>) -> bool {
        let Ok((packet, _)) = ParsedPacket::parse(raw) else {
            return false;
        };
        if !packet.addr.is_reply() || packet.addr.pd_addr() != self.settings.address {
            return false;
        }
        let code = ReplyCode::from_byte(packet.code);
        // BUSY comes in clear with SQN 0: the same frame again, later.
        if code == Ok(ReplyCode::Busy) && packet.scb.is_none() {
            self.due = now + POLL_PERIOD;
            if self.heard.is_none_or(|heard| now.since(heard) > BUSY_MAX) {
                self.fail(now, Cause::Silent, out);
            }
            return true;
        }
        if packet.ctrl.sqn != self.sqn {
            // The answer to an earlier frame.
            return false;
        }
        self.misses = 0;
        let gap = self.heard.is_none_or(|heard| now.since(heard) > GAP_MAX);
        self.heard = Some(now);
        if gap {
            self.empty_polls = 0;
        }
        match self.advance(now, &packet, raw, out) {
            Ok(()) => {
                self.pending = None;
                self.sqn = self.sqn.next();
            }
            Err(cause) => self.fail(now, cause, out),
        }
        true
    }

    fn advance(
        &mut self,
        now: Mono,
        packet: &ParsedPacket<'_>,
        raw: &[u8],
        out: &mut Vec<News>,
    ) -> Result<(), Cause> {
        let nak = nak(packet);
        let (_, mark) = self.provisioning.key(*self.settings.key.expose());
        self.due = now;
        match std::mem::replace(&mut self.channel, Channel::Closed) {
            Channel::Closed => {
                self.channel = match packet.code {
                    code if code == ReplyCode::PdId.as_byte() => {
                        self.is_identified(packet.data, out);
                        Channel::Identified
                    }
                    // A reader that answers ID only in a secure channel is asked for one.
                    _ if nak == Some(NakErrorCode::EncryptedCommunicationRequired) => {
                        Channel::Capable
                    }
                    // Without a session, an answer that makes no sense is as good as none: no hurry.
                    _ => return Err(Cause::Silent),
                };
            }
            // What it says of itself can be forged: whatever it is, a secure channel is wanted.
            Channel::Identified => self.channel = Channel::Capable,
            Channel::Capable => return Err(Cause::Silent),
            Channel::Challenged(session) => {
                self.channel = Channel::Cryptogrammed(challenged(session, packet, nak, mark)?);
            }
            Channel::Cryptogrammed(session) => {
                let session = cryptogrammed(session, packet, nak, mark)?;
                self.channel = Channel::Secure(session);
                self.empty_polls = 0;
                // With the public key it is not served: it is given its own.
                if self.provisioning.is_on() {
                    return Ok(());
                }
                self.said.cause = None;
                if self.said.up.replace(true) != Some(true) {
                    out.push(News::Up);
                }
            }
            Channel::Secure(mut session) => {
                if packet
                    .scb
                    .is_none_or(|scb| !matches!(scb.ty, ScsType::Scs16 | ScsType::Scs18))
                {
                    // In clear: it has lost the session, or somebody wants us to believe that.
                    return Err(match nak {
                        Some(_) => Cause::OutOfStep,
                        None => Cause::Forged,
                    });
                }
                let data = unseal(&mut session, packet, raw).map_err(|_| Cause::Forged)?;
                let data = zeroize::Zeroizing::new(data);
                if self.provisioning.is_on() {
                    // The session ends here either way: the next one is with its own key.
                    self.provisioning.end();
                    out.push(News::Provisioned(provision::answered(packet.code)));
                    return Err(Cause::OutOfStep);
                }
                self.channel = Channel::Secure(session);
                self.due = now + POLL_PERIOD;
                self.heard_of(now, packet.code, &data, out)?;
            }
        }
        Ok(())
    }

    /// Told once: it is asked at each new beginning. What it says can be forged, and decides nothing.
    fn is_identified(&mut self, data: &[u8], out: &mut Vec<News>) {
        let Ok(id) = PdId::decode(data) else {
            return;
        };
        let [a, b, c] = id.vendor_oui;
        let [major, minor, build] = id.firmware;
        let identity = format!(
            "OSDP vendor {a:02X}{b:02X}{c:02X} model {} version {} serial {} firmware {major}.{minor}.{build}",
            id.model, id.version, id.serial
        );
        if self.said.identity.as_ref() != Some(&identity) {
            out.push(News::Identified(identity.clone()));
            self.said.identity = Some(identity);
        }
    }

    fn heard_of(
        &mut self,
        now: Mono,
        code: u8,
        data: &[u8],
        out: &mut Vec<News>,
    ) -> Result<(), Cause> {
        let Ok(code) = ReplyCode::from_byte(code) else {
            out.push(News::Fault);
            return Ok(());
        };
        if code == ReplyCode::Nak {
            // "Unknown command" for a light it does not have is no reason to drop it; a wrong number is.
            let lost = matches!(data.first(), Some(0x04 | 0x06));
            out.push(News::Fault);
            return if lost { Err(Cause::OutOfStep) } else { Ok(()) };
        }
        if code == ReplyCode::Raw {
            self.card(now, data, out);
            return Ok(());
        }
        match Reply::decode(code, data) {
            Ok(Reply::Ack(_)) => self.empty_polls = self.empty_polls.saturating_add(1),
            Ok(Reply::LStatR(status)) => {
                let (tamper, power) = (status.tamper != 0, status.power != 0);
                if std::mem::replace(&mut self.said.tamper, tamper) != tamper {
                    out.push(News::Tamper(tamper));
                }
                if std::mem::replace(&mut self.said.power_failure, power) != power {
                    out.push(News::PowerFailure(power));
                }
            }
            // Nothing that this gate asks for or takes.
            Ok(_) => {}
            Err(_) => out.push(News::Fault),
        }
        Ok(())
    }

    fn card(&mut self, now: Mono, data: &[u8], out: &mut Vec<News>) {
        let Ok(raw) = Raw::decode(data) else {
            out.push(News::Fault);
            return;
        };
        let Some(tag) = Tag::new(
            TagKind::Bits,
            raw.bit_count,
            raw.bits,
            self.settings.assurance,
        ) else {
            out.push(News::Fault);
            return;
        };
        if self.empty_polls < EMPTY_POLLS_MIN {
            out.push(News::Stale);
        } else if self.latch.accept(&tag, now) {
            out.push(News::Presented(tag));
        }
    }
}
