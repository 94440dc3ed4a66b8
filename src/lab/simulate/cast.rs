//! Who comes, with what, and how they behave. People of the simulator have no names, and numbers that nobody has.

use crate::codes::id_card::check_digit;
use crate::codes::row_key::{ID_CARD, OPAQUE};
use crate::domain::{Colour, Direction, IdCard, IdCardKind, Medium, Personal, Row, Shown, Subject};
use crate::lab::random::SplitMix64;

/// How many dynamic codes somebody has in a day.
pub(super) const CODES: u64 = 3;
/// Stands for the person themselves among the numbers of their codes.
pub(super) const SUBJECT: u64 = u64::MAX;
/// What every code and number of the simulator begins with; none of it may be written down anywhere.
pub(super) const PERSONAL: [&str; 4] = ["HC:", "RC:", "GC:", "100000195001"];

/// What somebody carries.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Carries {
    /// A code that stays the same.
    StaticCode(String),
    /// One of [`CODES`] codes that are each good for one use; the prefix of them.
    DynamicCode(String),
    /// A code of an issuer that only a newer trust list names.
    GuestCode(String),
    /// An ID card: its number.
    Card(String),
}

/// Who knows them.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Known {
    /// The list.
    Listed(Row),
    /// Only the centre, when it is asked.
    Online(Row),
    /// Nobody.
    Nowhere,
}

/// One person.
#[derive(Clone, Debug)]
pub(super) struct Person {
    /// What they carry.
    pub(super) carries: Carries,
    /// Who knows them.
    pub(super) known: Known,
}

/// What somebody does once the barrier is released for them.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(super) enum Manner {
    /// Walks through.
    Walks,
    /// Walks through slowly, and stands still on the way.
    Dithers,
    /// Does not come.
    Stays,
    /// Steps in and turns back.
    TurnsBack,
    /// Walks through with somebody close behind.
    IsFollowed,
    /// Walks through with a bag or a child below the beams.
    Carries,
    /// Walks in without showing anything.
    Intrudes,
    /// Climbs over the barrier, or creeps under it.
    Jumps,
    /// Pushes the barrier though it is locked.
    Pushes,
    /// Shows the code again at once, for somebody else.
    ShowsTwice,
    /// Shows it and comes from the other side.
    ComesAgainst,
}

impl Manner {
    /// What the name in counts is, of those that are no trouble: none.
    pub(super) const fn as_str(self) -> Option<&'static str> {
        match self {
            Self::Walks => None,
            Self::Dithers => Some("dithers"),
            Self::Stays => Some("does_not_come"),
            Self::TurnsBack => Some("turns_back"),
            Self::IsFollowed => Some("is_followed"),
            Self::Carries => Some("carries"),
            Self::Intrudes => Some("intrudes"),
            Self::Jumps => Some("jumps"),
            Self::Pushes => Some("pushes"),
            Self::ShowsTwice => Some("shows_twice"),
            Self::ComesAgainst => Some("comes_against"),
        }
    }

    /// True if nothing is shown.
    pub(super) const fn shows_nothing(self) -> bool {
        matches!(self, Self::Intrudes | Self::Jumps | Self::Pushes)
    }
}

/// One coming of one person.
#[derive(Clone, Copy, Debug)]
pub(super) struct Visit {
    /// At which gate, a place among the posts.
    pub(super) gate: usize,
    /// At which lane of it.
    pub(super) lane: u8,
    /// Whose phone or card is shown; a place in the cast. Whoever swaps phones shows somebody else's.
    pub(super) person: usize,
    /// From which side.
    pub(super) side: Direction,
    /// How they behave.
    pub(super) manner: Manner,
    /// Which of their dynamic codes they show; the same again is a screenshot.
    pub(super) code: u64,
}

/// Draws the people.
#[must_use]
pub(super) fn people(random: &mut SplitMix64, count: usize) -> Vec<Person> {
    (0..count).map(|n| person(random, n)).collect()
}

fn person(random: &mut SplitMix64, n: usize) -> Person {
    let carries = match random.below(12) {
        0..=2 => Carries::DynamicCode(format!("RC:{n}-")),
        3..=5 => Carries::Card(number(n)),
        6 => Carries::GuestCode(format!("GC:{n}")),
        _ => Carries::StaticCode(format!("HC:{n}")),
    };
    let row = Row {
        entitlements: u16::from(random.below(12) != 0),
        ..row(n, colour(random))
    };
    let known = match random.below(16) {
        0 => Known::Nowhere,
        1 => Known::Online(row),
        _ => Known::Listed(row),
    };
    Person { carries, known }
}

/// Mostly green.
pub(super) fn colour(random: &mut SplitMix64) -> Option<Colour> {
    match random.below(16) {
        0 => Some(Colour::Red),
        1 => Some(Colour::Yellow),
        2 => None,
        _ => Some(Colour::Green),
    }
}

/// The two rows of a person: under their code, and under themselves. One knows their health, the other whether they may
/// ride, so that a gate has to join them.
#[must_use]
pub(super) const fn halves(carries: &Carries, row: Row) -> [Row; 2] {
    let health = Row {
        entitlements: 0,
        ..row
    };
    let ride = Row {
        colour: None,
        ..row
    };
    match carries {
        Carries::DynamicCode(_) => [ride, health],
        Carries::StaticCode(_) | Carries::GuestCode(_) | Carries::Card(_) => [health, ride],
    }
}

/// The row of person `n`, who may ride.
#[must_use]
pub(super) fn row(n: usize, colour: Option<Colour>) -> Row {
    Row {
        subject: Subject((n as u64).saturating_add(1).to_be_bytes()),
        valid_from_s: 0,
        valid_until_s: 0,
        colour,
        entitlements: 1,
        region: 0,
    }
}

/// An ID number of region 10, which is given to nobody.
fn number(n: usize) -> String {
    let body = format!("1000001950{:04}{:03}", 101 + n / 1_000 % 9, n % 1_000);
    let digit = check_digit(body.as_bytes()).map_or('0', char::from);
    format!("{body}{digit}")
}

impl Person {
    /// What is shown with code number `code`, and its medium.
    #[must_use]
    pub(super) fn shows(&self, code: u64) -> (Shown, Medium) {
        match &self.carries {
            Carries::StaticCode(text) | Carries::GuestCode(text) => {
                (Shown::Code(Personal::new(text.clone())), Medium::QrCode)
            }
            Carries::DynamicCode(prefix) => (
                Shown::Code(Personal::new(format!("{prefix}{code}"))),
                Medium::QrCode,
            ),
            Carries::Card(number) => {
                let card = IdCard {
                    number: Personal::new(number.clone()),
                    kind: IdCardKind::Resident,
                    valid_from: "20200101".into(),
                    valid_until: None,
                };
                (Shown::Card(card), Medium::IdCard)
            }
        }
    }

    /// Every identifier that a row must stand for: kind, issuer, text.
    #[must_use]
    pub(super) fn identifiers(&self) -> Vec<(&'static str, &'static str, String)> {
        match &self.carries {
            Carries::StaticCode(text) => vec![(OPAQUE, "health", text.clone())],
            Carries::GuestCode(text) => vec![(OPAQUE, "guest", text.clone())],
            Carries::DynamicCode(prefix) => (0..CODES)
                .map(|code| (OPAQUE, "ride", format!("{prefix}{code}")))
                .collect(),
            Carries::Card(number) => vec![(ID_CARD, "id-card", number.clone())],
        }
    }

    /// Which of its identifiers is shown with code number `code`.
    #[must_use]
    pub(super) const fn shown_as(&self, code: u64) -> u64 {
        match &self.carries {
            Carries::DynamicCode(_) => code,
            Carries::StaticCode(_) | Carries::GuestCode(_) | Carries::Card(_) => 0,
        }
    }
}

/// Draws how somebody behaves: most people walk.
pub(super) fn manner(random: &mut SplitMix64) -> Manner {
    use Manner as M;
    match random.below(100) {
        0..=3 => M::Dithers,
        4..=6 => M::Stays,
        7..=8 => M::TurnsBack,
        9..=11 => M::IsFollowed,
        12..=14 => M::Carries,
        15..=16 => M::Intrudes,
        17 => M::Jumps,
        18 => M::Pushes,
        19..=20 => M::ShowsTwice,
        21 => M::ComesAgainst,
        _ => M::Walks,
    }
}
