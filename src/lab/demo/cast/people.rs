//! One person at a time: codes, cards and rows out of the seed.

use super::{Act, Carries, Known, Person, Walk};
use crate::codes::id_card;
use crate::domain::{Colour, Direction, IdCardKind, Reason, Row, Subject, Utc, Verdict};
use crate::lab::random::SplitMix64;

/// Makes people, each with credentials of their own.
pub(super) struct Casting {
    pub(super) random: SplitMix64,
    pub(super) now: Utc,
}

impl Casting {
    /// Somebody with a phone and an own code, of this colour or of none.
    pub(super) fn phone(
        &mut self,
        story: &'static str,
        act: Act,
        direction: Direction,
        colour: Option<Colour>,
        expected: (Verdict, Reason),
    ) -> Person {
        let known = colour.map_or(Known::No, |colour| Known::Synced(self.row(colour)));
        person(
            story,
            act,
            direction,
            Carries::Phone(self.code("HC")),
            known,
            expected,
        )
    }

    /// Somebody whose row is valid from and until so many seconds from now.
    pub(super) fn dated(
        &mut self,
        story: &'static str,
        from_s: i64,
        until_s: i64,
        reason: Reason,
    ) -> Person {
        let at = |offset: i64| {
            u32::try_from(self.now.as_secs().saturating_add_signed(offset)).unwrap_or(u32::MAX)
        };
        let (valid_from_s, valid_until_s) = (at(from_s), at(until_s));
        let row = Row {
            valid_from_s,
            valid_until_s,
            ..self.row(Colour::Green)
        };
        Person {
            known: Known::Synced(row),
            ..self.phone(
                story,
                Act::Connected,
                Direction::Entry,
                Some(Colour::Green),
                (Verdict::Deny, reason),
            )
        }
    }

    pub(super) fn row(&mut self, colour: Colour) -> Row {
        Row {
            subject: Subject((self.random.next_u64() | 1).to_be_bytes()),
            valid_from_s: 0,
            valid_until_s: 0,
            colour: Some(colour),
            entitlements: 1,
            region: 0,
        }
    }

    pub(super) fn code(&mut self, prefix: &str) -> String {
        const LETTERS: &[u8] = b"ABCDEFGHJKLMNPQRSTUVWXYZ23456789";
        let body = (0..24)
            .filter_map(|_| LETTERS.get(self.random.index(32)))
            .map(|letter| char::from(*letter));
        format!("{prefix}:{}", body.collect::<String>())
    }

    pub(super) fn card(&mut self) -> Carries {
        Carries::Card {
            number: self.number(),
            kind: IdCardKind::Resident,
        }
    }

    /// A number with a right check digit and a region code that is given to nobody.
    pub(super) fn number(&mut self) -> String {
        let (year, month, day) = (
            1940 + self.random.below(60),
            1 + self.random.below(12),
            1 + self.random.below(28),
        );
        let body = format!(
            "100000{year:04}{month:02}{day:02}{:03}",
            self.random.below(1000)
        );
        let check = id_card::check_digit(body.as_bytes()).unwrap_or(b'0');
        format!("{body}{}", char::from(check))
    }
}

pub(super) fn person(
    story: &'static str,
    act: Act,
    direction: Direction,
    carries: Carries,
    known: Known,
    expected: (Verdict, Reason),
) -> Person {
    Person {
        story,
        act,
        direction,
        carries,
        known,
        walk: Walk::Through,
        expected,
    }
}
