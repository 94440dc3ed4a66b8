//! What a person shows, and what is left of it once it is read. Personal data lives in [`Personal`] only.

use std::fmt;

use serde::{Deserialize, Serialize};
use zeroize::{Zeroize, ZeroizeOnDrop};

use super::decision::Rule;
use super::ids::{Direction, IssuerId, LaneId, ListId, ReplayKey, RowKey};
use super::tag::{Assurance, Tag};
use super::time::{Mono, Utc};

/// Personal data. `Debug` prints `[personal]`, there is no `Display`, and the memory is zeroised on drop.
#[derive(Clone, PartialEq, Eq)]
pub struct Personal<T: Zeroize>(T);

impl<T: Zeroize> Personal<T> {
    /// Wraps `value`.
    pub const fn new(value: T) -> Self {
        Self(value)
    }

    /// Shows the value. The caller must not store, log or send it.
    pub const fn expose(&self) -> &T {
        &self.0
    }
}

impl<T: Zeroize> fmt::Debug for Personal<T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("[personal]")
    }
}

impl<T: Zeroize> Drop for Personal<T> {
    fn drop(&mut self) {
        self.0.zeroize();
    }
}

impl<T: Zeroize> ZeroizeOnDrop for Personal<T> {}

/// What carries the credential.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Medium {
    /// A QR code, seen by a camera or read by a scanner module.
    QrCode,
    /// A resident ID card, read by a SAM module.
    IdCard,
    /// A contactless card or tag that gives an identifier.
    Tag,
    /// Nothing: staff let somebody through at the local socket.
    Staff,
}

impl Medium {
    /// `qr_code`, `id_card`, `tag` or `staff`, as in records and metrics.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::QrCode => "qr_code",
            Self::IdCard => "id_card",
            Self::Staff => "staff",
            Self::Tag => "tag",
        }
    }
}

/// The four cards a SAM module reads (READERS §1.6: the UTF-16 unit at text offset 248).
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum IdCardKind {
    /// Resident ID card.
    Resident,
    /// Residence permit for Hong Kong, Macao and Taiwan residents (2018).
    HongKongMacaoTaiwan,
    /// Foreign permanent resident card of 2017: a 15-character permit number without a check digit.
    Foreign2017,
    /// Foreign permanent resident card of 2023: an 18-digit number that starts with 9.
    Foreign2023,
}

/// The card facts that leave the driver. Name, address and photo never do.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct IdCard {
    /// The number as printed, `X` in upper case.
    pub number: Personal<String>,
    /// Which card.
    pub kind: IdCardKind,
    /// First day of validity, `YYYYMMDD`, as the card says.
    pub valid_from: String,
    /// Last day of validity, `YYYYMMDD`; `None` for a card for life.
    pub valid_until: Option<String>,
}

impl IdCard {
    /// False if the number has a check digit (GB 11643-1999, ISO 7064 MOD 11-2) that does not hold: mistyped, misread, made up, or
    /// spoiled on a line.
    #[must_use]
    pub fn adds_up(&self) -> bool {
        let number = self.number.expose().as_bytes();
        match (self.kind, number.split_last()) {
            // The number of a permit of 2017 has none.
            (IdCardKind::Foreign2017, _) => true,
            (
                IdCardKind::Resident | IdCardKind::HongKongMacaoTaiwan | IdCardKind::Foreign2023,
                Some((last, first)),
            ) => check_digit(first) == Some(*last),
            (_, None) => false,
        }
    }
}

/// Weights of the first 17 digits: 2^(17-i) mod 11.
const WEIGHTS: [u32; 17] = [7, 9, 10, 5, 8, 4, 2, 1, 6, 3, 7, 9, 10, 5, 8, 4, 2];
/// The check digit for each remainder.
const CHECK: &[u8; 11] = b"10X98765432";

/// The check digit of 17 digits; none if there are not 17 digits.
#[must_use]
pub fn check_digit(first: &[u8]) -> Option<u8> {
    if first.len() != WEIGHTS.len() || !first.iter().all(u8::is_ascii_digit) {
        return None;
    }
    let sum: u32 = first
        .iter()
        .zip(WEIGHTS)
        .map(|(digit, weight)| u32::from(digit - b'0') * weight)
        .sum();
    CHECK.get(usize::try_from(sum % 11).ok()?).copied()
}

/// What was shown.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Shown {
    /// The text of a code.
    Code(Personal<String>),
    /// A card.
    Card(IdCard),
    /// An identifier.
    Tag(Tag),
    /// Something longer than any code; it is not kept.
    TooLong,
}

/// One showing of a credential to a reader.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Presentation {
    /// At which lane.
    pub lane: LaneId,
    /// On which side of it.
    pub direction: Direction,
    /// What carries it.
    pub medium: Medium,
    /// What it says.
    pub shown: Shown,
    /// When the thing that was read came into view: the frame's capture, the card's answer to "find".
    pub seen: Mono,
    /// When its text or card facts were at hand: the own share counts from here.
    pub read: Mono,
}

/// What a code or card is, once its issuer is known and its own checks have passed.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Credential {
    /// Who made it.
    pub issuer: IssuerId,
    /// What carries it.
    pub medium: Medium,
    /// How well it is known that it is what it says.
    pub assurance: Assurance,
    /// Its row key in every list the gate follows; two for a list that changes its pepper, the current one first.
    pub keys: Vec<(ListId, RowKey)>,
    /// Present for codes that carry their own time, and for issuers marked `dynamic`.
    pub replay: Option<Replay>,
    /// First instant of validity by the credential itself, where it says one.
    pub valid_from: Option<Utc>,
    /// Last instant of validity by the credential itself, where it says one.
    pub valid_until: Option<Utc>,
    /// What its issuer wants on the way in for a code that anybody can copy, shown alone; "open" for all others.
    pub alone: Rule,
    /// What its issuer wants on the way in where no list knows it and the backend does not either, or was not reached;
    /// `None`: what the site wants.
    pub unknown: Option<Rule>,
    /// True if the trust list that says whose it is, is past its date.
    pub trust_expired: bool,
}

/// What keeps a dynamic code from being used twice.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Replay {
    /// The same code gives the same key.
    pub key: ReplayKey,
    /// How long a use is remembered, in seconds: validity and skew.
    pub window_s: u32,
}
