//! The people of the demo: what each carries, what the lists say of it, how they walk, and what must come of it.
//! They are synthetic and nameless; their ID numbers have a region code (10) that is given to nobody.

mod beside;
mod draw;
mod elsewhere;
mod once;
mod people;
mod signed;

pub use draw::{PASSENGERS_MAX, PASSENGERS_MIN, draw, rush_hour};
pub use signed::issuers;

use crate::domain::{Colour, Direction, IdCardKind, Medium, Outcome, Reason, Row, Verdict};

/// While which part of the run somebody comes.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Act {
    /// The backend answers.
    Connected,
    /// It still does, and they come to the second gate.
    Beside,
    /// The backend is gone.
    Alone,
    /// The backend is back.
    Again,
}

/// What somebody carries.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Carries {
    /// A phone that shows this text as a QR code.
    Phone(String),
    /// A resident ID card with this number.
    Card {
        /// The number.
        number: String,
        /// Which card.
        kind: IdCardKind,
    },
}

impl Carries {
    /// What carries the credential, as the gate will call it.
    #[must_use]
    pub const fn medium(&self) -> Medium {
        match self {
            Self::Phone(_) => Medium::QrCode,
            Self::Card { .. } => Medium::IdCard,
        }
    }
}

/// What somebody does when the gate lets them.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Walk {
    /// Walks through.
    Through,
    /// Stays where they are.
    Stays,
    /// Walks through with somebody close behind.
    WithFollower,
    /// Asks staff first, who forgive whoever was refused here last, and walks through.
    Forgiven,
}

/// Where the backend knows somebody from.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Known {
    /// A row of the list, synced before anybody comes.
    Synced(Row),
    /// A row that says nothing of health, and one of the person with this colour: the two are joined at the gate.
    Joined(Row, Colour),
    /// A row that the backend gets after the gate has synced: only an online answer can know it.
    OnlineOnly(Row),
    /// Nobody knows it.
    No,
}

/// One person of the demo.
#[derive(Clone, Debug)]
pub struct Person {
    /// Who, in words: "green code".
    pub story: &'static str,
    /// When.
    pub act: Act,
    /// At which lane; the lanes have the names of their directions.
    pub direction: Direction,
    /// With what.
    pub carries: Carries,
    /// What the backend knows.
    pub known: Known,
    /// What they do.
    pub walk: Walk,
    /// What must be decided.
    pub expected: (Verdict, Reason),
}

impl Person {
    /// The outcome the sensors must find: none where nobody may walk.
    #[must_use]
    pub const fn expected_outcomes(&self) -> &'static [Outcome] {
        match (self.expected.0, self.walk) {
            (Verdict::Grant, Walk::Through | Walk::Forgiven) => &[Outcome::Passed],
            (Verdict::Grant, Walk::Stays) => &[Outcome::NoEntryAfterGrant],
            (Verdict::Grant, Walk::WithFollower) => &[Outcome::Passed, Outcome::Tailgating],
            (Verdict::Deny | Verdict::Assist, _) => &[],
        }
    }
}
