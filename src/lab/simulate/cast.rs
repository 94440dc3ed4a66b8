//! Who comes, with what, and how they walk. People of the simulator have no names and numbers that nobody has.

use crate::codes::id_card::check_digit;
use crate::codes::row_key::{ID_CARD, OPAQUE};
use crate::domain::{Colour, Direction, IdCard, IdCardKind, Medium, Personal, Row, Shown, Subject};
use crate::lab::random::SplitMix64;

/// How many dynamic codes somebody has in a day.
pub(super) const CODES: u64 = 4;

/// What somebody carries.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Carries {
    /// A code that stays the same.
    StaticCode(String),
    /// One of [`CODES`] codes that are each good for one use; the prefix of them.
    DynamicCode(String),
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
    /// Walks in without showing anything.
    Intrudes,
}

impl Manner {
    const ALL: [Self; 12] = [
        Self::Walks,
        Self::Walks,
        Self::Walks,
        Self::Walks,
        Self::Walks,
        Self::Walks,
        Self::Dithers,
        Self::Dithers,
        Self::Stays,
        Self::TurnsBack,
        Self::IsFollowed,
        Self::Intrudes,
    ];
}

/// One coming of one person.
#[derive(Clone, Copy, Debug)]
pub(super) struct Visit {
    /// Who; a place in the cast.
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
    let carries = match random.below(4) {
        0 => Carries::DynamicCode(format!("RC:{n}-")),
        1 => Carries::Card(number(n)),
        _ => Carries::StaticCode(format!("HC:{n}")),
    };
    let row = row(n, colour(random));
    let known = match random.below(12) {
        0 => Known::Nowhere,
        1 => Known::Online(row),
        _ => Known::Listed(row),
    };
    Person { carries, known }
}

/// Mostly green.
pub(super) fn colour(random: &mut SplitMix64) -> Option<Colour> {
    match random.below(10) {
        0 => Some(Colour::Red),
        1 => Some(Colour::Yellow),
        2 => None,
        _ => Some(Colour::Green),
    }
}

/// The row of person `n`.
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
    let body = format!("10000019500101{:03}", n % 1_000);
    let digit = check_digit(body.as_bytes()).map_or('0', char::from);
    format!("{body}{digit}")
}

impl Person {
    /// What is shown with code number `code`, and its medium.
    #[must_use]
    pub(super) fn shows(&self, code: u64) -> (Shown, Medium) {
        match &self.carries {
            Carries::StaticCode(text) => (Shown::Code(Personal::new(text.clone())), Medium::QrCode),
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
}

impl Person {
    /// Every identifier that a row must stand for: kind, issuer, text.
    #[must_use]
    pub(super) fn identifiers(&self) -> Vec<(&'static str, &'static str, String)> {
        match &self.carries {
            Carries::StaticCode(text) => vec![(OPAQUE, "health", text.clone())],
            Carries::DynamicCode(prefix) => (0..CODES)
                .map(|code| (OPAQUE, "ride", format!("{prefix}{code}")))
                .collect(),
            Carries::Card(number) => vec![(ID_CARD, "id-card", number.clone())],
        }
    }
}

/// Draws a visit.
pub(super) fn visit(random: &mut SplitMix64, people: usize, sides: &[Direction]) -> Visit {
    Visit {
        person: random.index(people),
        side: sides
            .get(random.index(sides.len()))
            .copied()
            .unwrap_or(Direction::Entry),
        manner: Manner::ALL
            .get(random.index(Manner::ALL.len()))
            .copied()
            .unwrap_or(Manner::Walks),
        code: random.below(CODES),
    }
}

/// A body at one instant: which sensors of its own way it touches, and whether it stands where the barrier moves.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(super) struct Place {
    /// In the sensor that it meets first.
    pub(super) near: bool,
    /// In the sensor that it meets last.
    pub(super) far: bool,
    /// Where the barrier moves.
    pub(super) under: bool,
}

/// A step of a walk: so many microseconds after the last, the body is there.
pub(super) type Step = (u64, Place);

const OUT: Place = Place {
    near: false,
    far: false,
    under: false,
};
const NEAR: Place = Place { near: true, ..OUT };
const OVER: Place = Place {
    near: true,
    far: true,
    under: true,
};
const BETWEEN: Place = Place { under: true, ..OUT };
const FAR: Place = Place { far: true, ..OUT };

fn ms(random: &mut SplitMix64, low: u64, high: u64) -> u64 {
    (low + random.below(high - low)).saturating_mul(1_000)
}

/// Draws how a body walks through. A slim one is between two beams for a moment, and seen by neither.
pub(super) fn walk_through(random: &mut SplitMix64, dithers: bool) -> Vec<Step> {
    let first = ms(random, 200, 1_500);
    let mut step = |place| (ms(random, 120, if dithers { 2_500 } else { 500 }), place);
    let middle = step(OVER);
    let (far, out) = (step(FAR), step(OUT));
    let middle = if random.percent(30) {
        (middle.0, Place { ..BETWEEN })
    } else {
        middle
    };
    // Nobody stays between the beams for longer than a breath.
    let far = (
        far.0.min(if middle.1 == BETWEEN { 900_000 } else { far.0 }),
        far.1,
    );
    vec![(first, NEAR), middle, far, out]
}

/// Draws how a body steps in and turns back, never under the barrier.
pub(super) fn turn_back(random: &mut SplitMix64) -> Vec<Step> {
    vec![
        (ms(random, 200, 1_500), NEAR),
        (ms(random, 200, 2_500), OUT),
    ]
}

/// A rotor that is turned once.
pub(super) fn rotor_turn(random: &mut SplitMix64) -> Vec<Step> {
    let both = Place {
        under: false,
        ..OVER
    };
    vec![
        (ms(random, 200, 1_500), NEAR),
        (ms(random, 80, 300), both),
        (ms(random, 80, 300), FAR),
        (ms(random, 80, 300), OUT),
    ]
}
