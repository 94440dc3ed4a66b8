//! Emulated readers of every serial kind: `turnstiled demo reader`, and the line of a bench. A device here is pure: bytes
//! in, replies out, a card laid on it or lifted. [`terminal::run`] puts it on a pseudo-terminal.
//!
//! Not here: cameras (a folder of pictures stands in for them) and scanners that type, which are no terminals.

mod osdp;
mod pn532;
pub mod replay;
mod sam;
pub mod terminal;

use zeroize::Zeroizing;

use crate::domain::{IdCard, IdCardKind, Personal};
use crate::proto::tags::{encode_bytes, encode_rdm6300, encode_text};

/// Facility of the lab's Wiegand cards.
const FACILITY: u8 = 75;

/// What is emulated.
#[derive(Clone, Copy, Debug, PartialEq, Eq, clap::ValueEnum)]
pub enum Kind {
    /// A SAM_V or SAM_A module: config `id_card`
    IdCard,
    /// A reader behind a secure channel: config `osdp`
    Osdp,
    /// A scanner that sends lines: config `line`
    Line,
    /// A 125 kHz module: config `rdm6300`
    Rdm6300,
    /// A Wiegand line behind a converter that sends hex digits: config `wiegand`, form "text"
    WiegandText,
    /// The same with bytes: form "bytes"
    WiegandBytes,
    /// A 13.56 MHz module: config `pn532`
    Pn532,
}

impl Kind {
    /// All of them.
    pub const ALL: [Self; 7] = [
        Self::IdCard,
        Self::Osdp,
        Self::Line,
        Self::Rdm6300,
        Self::WiegandText,
        Self::WiegandBytes,
        Self::Pn532,
    ];

    /// What a gate makes of card `number` on such a reader: the spelling of a tag, the text of a code, the number of an ID
    /// card. Made up; nobody has them.
    #[must_use]
    pub fn shown(self, number: u16) -> String {
        let hex = |bytes: &[u8]| -> String { bytes.iter().map(|b| format!("{b:02X}")).collect() };
        match self {
            Self::IdCard => id_number(number),
            Self::Line => format!("LAB-CODE-{number:05}"),
            Self::Rdm6300 => format!("em4100:{}", hex(&em4100(number))),
            Self::Pn532 => format!("iso14443a:{}", hex(&uid(number))),
            Self::Osdp | Self::WiegandText | Self::WiegandBytes => {
                format!("bits26:{}", hex(&left_aligned(number)))
            }
        }
    }
}

/// One emulated reader.
pub struct Device {
    kind: Kind,
    laid: Option<u16>,
    module: Module,
}

enum Module {
    Sam(sam::Sam),
    Osdp(Box<osdp::Bus>),
    Pn532(pn532::Pn532),
    /// It speaks unasked, and hears nothing.
    Unasked,
}

impl Device {
    /// A reader of this kind; an OSDP line has one reader for each of `keys`: address and key. A reader without a key is new:
    /// it waits for one.
    #[must_use]
    pub fn new(kind: Kind, keys: &[(u8, Option<[u8; 16]>)]) -> Self {
        let module = match kind {
            Kind::IdCard => Module::Sam(sam::Sam::default()),
            Kind::Osdp => Module::Osdp(Box::new(osdp::Bus::new(keys))),
            Kind::Pn532 => Module::Pn532(pn532::Pn532::default()),
            Kind::Line | Kind::Rdm6300 | Kind::WiegandText | Kind::WiegandBytes => Module::Unasked,
        };
        Self {
            kind,
            laid: None,
            module,
        }
    }

    /// Lays card `number` on it, in place of what lay there; gives what it sends of its own accord.
    pub fn lay(&mut self, number: u16) -> Vec<u8> {
        self.lay_at(0, number)
    }

    /// The same at one of several readers of an OSDP line, by their order.
    pub fn lay_at(&mut self, reader: usize, number: u16) -> Vec<u8> {
        self.laid = Some(number);
        if let Module::Osdp(bus) = &mut self.module {
            bus.tap(reader, left_aligned(number));
        }
        match self.kind {
            Kind::Line => format!("{}\r\n", self.kind.shown(number)).into_bytes(),
            Kind::Rdm6300 => encode_rdm6300(em4100(number)),
            Kind::WiegandText => encode_text(FACILITY, number),
            Kind::WiegandBytes => encode_bytes(FACILITY, number),
            Kind::IdCard | Kind::Osdp | Kind::Pn532 => Vec::new(),
        }
    }

    /// What a module that repeats sends again while the card lies there.
    #[must_use]
    pub fn again(&self) -> Vec<u8> {
        match (self.kind, self.laid) {
            (Kind::Rdm6300, Some(number)) => encode_rdm6300(em4100(number)),
            _ => Vec::new(),
        }
    }

    /// Takes the card away.
    pub fn lift(&mut self) {
        self.laid = None;
    }

    /// Takes bytes of the host; gives its replies.
    pub fn hear(&mut self, bytes: &[u8]) -> Vec<Vec<u8>> {
        match &mut self.module {
            Module::Sam(module) => module.hear(bytes, self.laid.map(card).as_ref()),
            Module::Osdp(bus) => bus.hear(bytes),
            Module::Pn532(module) => module.hear(bytes, self.laid.map(uid)),
            Module::Unasked => Vec::new(),
        }
    }
}

/// The number of a card that nobody has, with a good check digit.
fn id_number(number: u16) -> String {
    let body = format!("11010519491231{:03}", number % 1000);
    let check = crate::codes::id_card::check_digit(body.as_bytes());
    format!("{body}{}", char::from(check.unwrap_or(b'0')))
}

fn card(number: u16) -> IdCard {
    IdCard {
        number: Personal::new(id_number(number)),
        kind: IdCardKind::Resident,
        valid_from: "20200101".into(),
        valid_until: None,
    }
}

const fn em4100(number: u16) -> [u8; 5] {
    let [high, low] = number.to_be_bytes();
    [0x0D, 0x00, 0xC8, high, low]
}

const fn uid(number: u16) -> [u8; 4] {
    let [high, low] = number.to_be_bytes();
    [0x04, 0xA1, high, low]
}

/// 26 bits, first bit first, as OSDP carries them.
fn left_aligned(number: u16) -> [u8; 4] {
    let bytes = Zeroizing::new(encode_bytes(FACILITY, number));
    let bits = bytes
        .iter()
        .fold(0_u32, |bits, byte| bits << 8 | u32::from(*byte));
    (bits << 6).to_be_bytes()
}

#[cfg(test)]
mod tests;
