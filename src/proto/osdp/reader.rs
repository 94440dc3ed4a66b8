//! One reader of a bus: ID, CAP, CHLNG, SCRYPT, then polled for ever; every break starts over.

use std::time::Duration;

use osdp::command::{Cap, Chlng, Command, Id, LocalStatus, Poll, SCrypt};
use osdp::packet::{Address, ControlByte, CtrlFlags, PacketBuilder, Scb, ScsType, Sqn};
use osdp::reply::{NakErrorCode, Raw, Reply, ReplyCode};
use osdp::secure::frame::{Direction, seal, unseal};
use osdp::secure::session::{Disconnected, Secure, Session};
use osdp::{Error, ParsedPacket};

use super::handshake::{Channel, challenged, cryptogrammed, nak};
use super::look::{buzzer, led};
use super::{Cause, Look, ReaderSettings};
use crate::domain::{Mono, Tag, TagKind};
use crate::proto::latch::Latch;

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

const NO_SESSION: Error = Error::SecureSession(osdp::error::SecureSessionError::NotSecure);

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
    Fault,
}

/// What is told of a reader once.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
struct Said {
    /// True while it is served; `None`: nothing was said yet.
    up: Option<bool>,
    /// Why it is not.
    cause: Option<Cause>,
    tamper: bool,
    power_failure: bool,
}

pub(super) struct Reader {
    settings: ReaderSettings,
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

    /// The bytes to send now. `nonce`: eight random bytes, never the same twice; without them nothing is sent.
    pub(super) fn frame(
        &mut self,
        nonce: &mut dyn FnMut() -> Option<[u8; 8]>,
    ) -> Result<Vec<u8>, Error> {
        if let Some(frame) = &self.pending {
            return Ok(frame.clone());
        }
        let frame = match std::mem::replace(&mut self.channel, Channel::Closed) {
            Channel::Closed => {
                self.sqn = Sqn::ZERO;
                self.plain(&Command::Id(Id::standard()), None)
            }
            Channel::Identified => {
                self.channel = Channel::Identified;
                self.plain(&Command::Cap(Cap::standard()), None)
            }
            Channel::Capable => {
                let rnd_a = nonce().ok_or(NO_SESSION)?;
                let session = Session::<Disconnected>::new(*self.settings.key.expose());
                self.channel = Channel::Challenged(session.challenge(rnd_a));
                self.plain(&Command::Chlng(Chlng { rnd_a }), Some(ScsType::Scs11))
            }
            Channel::Cryptogrammed(session) => {
                let server_cryptogram = session.server_cryptogram();
                self.channel = Channel::Cryptogrammed(session);
                let command = Command::SCrypt(SCrypt { server_cryptogram });
                self.plain(&command, Some(ScsType::Scs13))
            }
            Channel::Secure(mut session) => {
                let frame = self.sealed(&mut session);
                self.channel = Channel::Secure(session);
                frame
            }
            // Its frame is pending until the answer is here: this does not happen, and starts over if it does.
            Channel::Challenged(_) => Err(NO_SESSION),
        }?;
        self.pending = Some(frame.clone());
        Ok(frame)
    }

    fn plain(&self, command: &Command, security: Option<ScsType>) -> Result<Vec<u8>, Error> {
        let mut flags = CtrlFlags::USE_CRC;
        // 01: the key of this reader, not the public one.
        let scb = security.map(|kind| Scb::new(kind, [0x01]));
        if scb.is_some() {
            flags |= CtrlFlags::HAS_SCB;
        }
        PacketBuilder {
            addr: Address::pd(self.settings.address)?,
            ctrl: ControlByte::new(self.sqn, flags),
            scb,
            code: command.code().as_byte(),
            data: command.encode_data()?,
        }
        .encode()
    }

    fn sealed(&mut self, session: &mut Session<Secure>) -> Result<Vec<u8>, Error> {
        let command = self.next_command();
        let data = command.encode_data()?;
        seal(
            session,
            Address::pd(self.settings.address)?,
            self.sqn,
            Direction::AcuToPd,
            !data.is_empty(),
            command.code().as_byte(),
            &data,
        )
    }

    fn next_command(&mut self) -> Command {
        // Cards first: nobody waits for a light to be asked what the poll would have brought.
        if self.empty_polls == 0 {
            return Command::Poll(Poll);
        }
        if !std::mem::replace(&mut self.status_asked, true) {
            return Command::LocalStatus(LocalStatus);
        }
        if std::mem::take(&mut self.beep) {
            return Command::Buzzer(buzzer(self.look));
        }
        if self.shown != Some(self.look) {
            self.beep = self.shown.is_some() || self.look != Look::Ready;
            self.shown = Some(self.look);
            return Command::Led(led(self.look));
        }
        Command::Poll(Poll)
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
                Cause::Silent | Cause::Forged => PROBE_PERIOD,
                Cause::WrongKey | Cause::NotSecure => REFUSED_PERIOD,
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
        self.due = now;
        match std::mem::replace(&mut self.channel, Channel::Closed) {
            Channel::Closed => {
                self.channel = match packet.code {
                    code if code == ReplyCode::PdId.as_byte() => Channel::Identified,
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
                self.channel = Channel::Cryptogrammed(challenged(session, packet, nak)?);
            }
            Channel::Cryptogrammed(session) => {
                let session = cryptogrammed(session, packet, nak)?;
                self.channel = Channel::Secure(session);
                self.empty_polls = 0;
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
                self.channel = Channel::Secure(session);
                self.due = now + POLL_PERIOD;
                self.heard_of(now, packet.code, &data, out)?;
            }
        }
        Ok(())
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
