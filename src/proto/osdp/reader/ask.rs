//! What a reader is asked next, as bytes.

use osdp::Error;
use osdp::command::{Cap, Chlng, Command, Id, LocalStatus, Poll, SCrypt};
use osdp::packet::{Address, ControlByte, CtrlFlags, PacketBuilder, Scb, ScsType, Sqn};
use osdp::secure::frame::{Direction, seal};
use osdp::secure::session::{Disconnected, Secure, Session};

use super::super::Look;
use super::super::handshake::Channel;
use super::super::look::{buzzer, led};
use super::super::provision::keyset;
use super::Reader;

const NO_SESSION: Error = Error::SecureSession(osdp::error::SecureSessionError::NotSecure);

impl Reader {
    /// The bytes to send now. `nonce`: eight random bytes, never the same twice; without them nothing is sent.
    pub(in crate::proto::osdp) fn frame(
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
                let (key, _) = self.provisioning.key(*self.settings.key.expose());
                let session = Session::<Disconnected>::new(key);
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
        // 01: the key of this reader; the public one only while it is given its own.
        let (_, mark) = self.provisioning.key(*self.settings.key.expose());
        let scb = security.map(|kind| Scb::new(kind, [mark]));
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
        if self.provisioning.is_on() {
            return keyset(*self.settings.key.expose());
        }
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
}
