//! The readers' side of an OSDP line. The arithmetic of the secure channel is that of the crate; the readers of another
//! make are in the stories (libosdp).

use std::collections::VecDeque;

use osdp::ParsedPacket;
use osdp::packet::{Address, ControlByte, CtrlFlags, PacketBuilder, Scb, ScsType, Sqn};
use osdp::reply::CCrypt;
use osdp::secure::SCBK_D;
use osdp::secure::crypto::{SessionKeys, client_cryptogram};
use osdp::secure::frame::{Direction, seal, unseal};
use osdp::secure::session::{Disconnected, Secure, Session};

/// More than that is no packet of a gate, and is forgotten.
const RECEIVED_MAX: usize = 2_880;
/// A reader keeps no more taps than this.
const TAPS_MAX: usize = 8;

/// The readers of a line.
pub(super) struct Bus {
    readers: Vec<Reader>,
    received: Vec<u8>,
}

struct Reader {
    address: u8,
    key: [u8; 16],
    is_new: bool,
    session: Option<Session<Secure>>,
    rnd_a: [u8; 8],
    taps: VecDeque<[u8; 4]>,
    /// The last frame and its answer: a repeated frame is answered by the same bytes.
    last: Option<(Vec<u8>, Vec<u8>)>,
}

impl Bus {
    pub(super) fn new(keys: &[(u8, Option<[u8; 16]>)]) -> Self {
        let reader = |(address, key): &(u8, Option<[u8; 16]>)| Reader {
            address: *address,
            key: key.unwrap_or(SCBK_D),
            is_new: key.is_none(),
            session: None,
            rnd_a: [0; 8],
            taps: VecDeque::new(),
            last: None,
        };
        Self {
            readers: keys.iter().map(reader).collect(),
            received: Vec::new(),
        }
    }

    pub(super) fn tap(&mut self, reader: usize, bits: [u8; 4]) {
        if let Some(reader) = self.readers.get_mut(reader)
            && reader.taps.len() < TAPS_MAX
        {
            reader.taps.push_back(bits);
        }
    }

    pub(super) fn hear(&mut self, bytes: &[u8]) -> Vec<Vec<u8>> {
        self.received.extend(bytes);
        let mut answers = Vec::new();
        // A gate asks one thing at a time: what stands before the last packet is noise or old.
        while let Some(at) = self.received.iter().position(|byte| *byte == osdp::SOM) {
            self.received.drain(..at);
            let Some(length) = length(&self.received) else {
                break;
            };
            let Some(frame) = self.received.get(..length) else {
                break;
            };
            if ParsedPacket::parse(frame).is_err() {
                self.received.drain(..1);
                continue;
            }
            let frame = frame.to_vec();
            self.received.drain(..length);
            answers.extend(
                self.readers
                    .iter_mut()
                    .find_map(|reader| reader.answer(&frame)),
            );
        }
        if self.received.len() > RECEIVED_MAX {
            self.received.clear();
        }
        answers
    }
}

fn length(bytes: &[u8]) -> Option<usize> {
    let [_, _, low, high, ..] = bytes else {
        return None;
    };
    Some(usize::from(u16::from_le_bytes([*low, *high])).clamp(1, RECEIVED_MAX))
}

impl Reader {
    fn answer(&mut self, frame: &[u8]) -> Option<Vec<u8>> {
        let (packet, _) = ParsedPacket::parse(frame).ok()?;
        if packet.addr.is_reply() || packet.addr.pd_addr() != self.address {
            return None;
        }
        if let Some((last, answer)) = &self.last
            && last == frame
            && packet.ctrl.sqn != Sqn::ZERO
        {
            return Some(answer.clone());
        }
        let answer = self.fresh(&packet, frame)?;
        self.last = Some((frame.to_vec(), answer.clone()));
        Some(answer)
    }

    fn fresh(&mut self, packet: &ParsedPacket<'_>, frame: &[u8]) -> Option<Vec<u8>> {
        let sqn = packet.ctrl.sqn;
        match packet.code {
            // PDID: a vendor that there is not. PDCAP: secure channel.
            0x61 if packet.scb.is_none() => {
                self.session = None;
                let id = [0x4C, 0x41, 0x42, 1, 1, 7, 0, 0, 0, 0, 1, 0];
                self.plain(sqn, None, 0x45, id.to_vec())
            }
            0x62 if packet.scb.is_none() => self.plain(sqn, None, 0x46, vec![9, 1, 1]),
            0x76 => {
                self.rnd_a = packet.data.try_into().ok()?;
                let data = self.cryptogram().encode().ok()?;
                self.plain(sqn, Some(ScsType::Scs12), 0x76, data)
            }
            0x77 => {
                let session = self.mirrored()?;
                let rmac = session.last_other_mac().to_vec();
                self.session = Some(session);
                self.plain(sqn, Some(ScsType::Scs14), 0x78, rmac)
            }
            _ => self.secured(packet, frame),
        }
    }

    fn secured(&mut self, packet: &ParsedPacket<'_>, frame: &[u8]) -> Option<Vec<u8>> {
        let sqn = packet.ctrl.sqn;
        // "Secure channel required".
        let Some(mut session) = self.session.take() else {
            return self.plain(sqn, None, 0x41, vec![6]);
        };
        let Ok(plain) = unseal(&mut session, packet, frame) else {
            return self.plain(sqn, None, 0x41, vec![6]);
        };
        let (code, data) = match (packet.code, plain.as_slice()) {
            (0x60, _) => match self.taps.pop_front() {
                Some([a, b, c, d]) => (0x50, vec![0, 1, 26, 0, a, b, c, d]),
                None => (0x40, Vec::new()),
            },
            (0x64, _) => (0x48, vec![0, 0]),
            (0x75, [0x01, 0x10, key @ ..]) if self.is_new => {
                self.key = key.try_into().ok()?;
                self.is_new = false;
                (0x40, Vec::new())
            }
            _ => (0x40, Vec::new()),
        };
        let address = Address::reply(self.address).ok()?;
        let encrypt = !data.is_empty();
        let way = Direction::PdToAcu;
        let answer = seal(&mut session, address, sqn, way, encrypt, code, &data).ok();
        self.session = Some(session);
        answer
    }

    fn plain(&self, sqn: Sqn, kind: Option<ScsType>, code: u8, data: Vec<u8>) -> Option<Vec<u8>> {
        let mut flags = CtrlFlags::USE_CRC;
        if kind.is_some() {
            flags |= CtrlFlags::HAS_SCB;
        }
        let packet = PacketBuilder {
            addr: Address::reply(self.address).ok()?,
            ctrl: ControlByte::new(sqn, flags),
            scb: kind.map(|kind| Scb::new(kind, [u8::from(!self.is_new)])),
            code,
            data,
        };
        packet.encode().ok()
    }

    fn cryptogram(&self) -> CCrypt {
        let keys = SessionKeys::derive(&self.key, &self.rnd_a);
        let rnd_b = [7; 8];
        CCrypt {
            cuid: [1; 8],
            rnd_b,
            client_cryptogram: client_cryptogram(&keys.s_enc, &self.rnd_a, &rnd_b),
        }
    }

    /// The session as the gate has it: both sides of the arithmetic are the same.
    fn mirrored(&self) -> Option<Session<Secure>> {
        let session = Session::<Disconnected>::new(self.key).challenge(self.rnd_a);
        let session = session.receive_ccrypt(&self.cryptogram()).ok()?;
        let rmac = session.initial_rmac();
        session.confirm_rmac_i(&rmac).ok()
    }
}
