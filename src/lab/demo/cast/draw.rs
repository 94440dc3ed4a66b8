//! Draws a cast by its seed: every kind of person at least once, and ordinary people for the rest.

use super::people::{Casting, person};
use super::{Act, Carries, Known, Person, Walk};
use crate::domain::{Colour, Direction, IdCardKind, Reason, Utc, Verdict};
use crate::lab::demo::DemoError;
use crate::lab::random::SplitMix64;

use Direction::{Entry, Exit};
use Reason as R;
use Verdict::{Assist, Deny, Grant};

/// Fewest people to ask for. Every kind of person comes all the same, which are some more.
pub const PASSENGERS_MIN: usize = 30;
/// Largest cast: more would not be looked at by anybody.
pub const PASSENGERS_MAX: usize = 2_000;

/// Draws `passengers` people by `seed`: every kind at least once, in three acts.
///
/// # Errors
/// [`DemoError::Mint`].
pub fn draw(passengers: usize, seed: u64, now: Utc) -> Result<Vec<Person>, DemoError> {
    let mut casting = Casting {
        random: SplitMix64::new(seed),
        now,
    };
    let mut people = casting.connected();
    people.extend(casting.once());
    people.extend(casting.signed()?);
    people.extend(casting.alone());
    people.extend(casting.again());
    people.extend(casting.elsewhere());
    let beside = casting.beside();
    while people.len() + beside.len() < passengers {
        let extra = casting.ordinary();
        people.push(extra);
    }
    // What was used at the first gate is a copy at the second while it could still be used.
    people.extend(beside);
    people.sort_by_key(|person| person.act);
    Ok(people)
}

/// Draws ordinary people of a rush hour, while the backend answers.
#[must_use]
pub fn rush_hour(count: usize, seed: u64, now: Utc) -> Vec<Person> {
    let mut casting = Casting {
        random: SplitMix64::new(seed),
        now,
    };
    (0..count)
        .map(|_| Person {
            act: Act::Connected,
            ..casting.ordinary()
        })
        .collect()
}

impl Casting {
    /// Everybody who comes while the backend answers: each kind once.
    #[expect(clippy::too_many_lines, reason = "the list of the cast, no logic")]
    fn connected(&mut self) -> Vec<Person> {
        let act = Act::Connected;
        let shown = self.code("RC");
        let twice = self.code("HC");
        let (green, rider) = (self.row(Colour::Green), self.row(Colour::Green));
        let card = self.card();
        let mut forged = self.number();
        // One digit of the body changes, the check digit stays: no such number exists.
        forged.replace_range(0..1, "2");
        vec![
            self.phone(
                "green code",
                act,
                Entry,
                Some(Colour::Green),
                (Grant, R::InOrder),
            ),
            self.phone(
                "green code, leaving",
                act,
                Exit,
                Some(Colour::Green),
                (Grant, R::InOrder),
            ),
            self.phone(
                "yellow code",
                act,
                Entry,
                Some(Colour::Yellow),
                (Assist, R::YellowCode),
            ),
            self.phone(
                "red code",
                act,
                Entry,
                Some(Colour::Red),
                (Deny, R::RedCode),
            ),
            self.phone(
                "red code, leaving",
                act,
                Exit,
                Some(Colour::Red),
                (Grant, R::ExitAlwaysOpen),
            ),
            self.phone(
                "code nobody knows",
                act,
                Entry,
                None,
                (Deny, R::UnknownCredential),
            ),
            Person {
                known: Known::OnlineOnly(green),
                ..self.phone(
                    "code only the backend knows",
                    act,
                    Entry,
                    None,
                    (Grant, R::InOrder),
                )
            },
            self.dated("expired code", -7_200, -3_600, R::Expired),
            self.dated("code not valid yet", 3_600, 7_200, R::NotYetActive),
            person(
                "dynamic code",
                act,
                Entry,
                Carries::Phone(shown.clone()),
                Known::Synced(rider),
                (Grant, R::InOrder),
            ),
            person(
                "screenshot of that code",
                act,
                Entry,
                Carries::Phone(shown),
                Known::No,
                (Deny, R::Replayed),
            ),
            person(
                "ID card, green",
                act,
                Entry,
                card,
                Known::Synced(self.row(Colour::Green)),
                (Grant, R::InOrder),
            ),
            Person {
                carries: self.card(),
                ..self.phone(
                    "ID card, red",
                    act,
                    Entry,
                    Some(Colour::Red),
                    (Deny, R::RedCode),
                )
            },
            person(
                "ID card with a wrong check digit",
                act,
                Entry,
                Carries::Card {
                    number: forged,
                    kind: IdCardKind::Resident,
                },
                Known::No,
                (Deny, R::VerificationFailed),
            ),
            Person {
                walk: Walk::Stays,
                ..self.phone(
                    "green code, does not walk",
                    act,
                    Entry,
                    Some(Colour::Green),
                    (Grant, R::InOrder),
                )
            },
            Person {
                walk: Walk::WithFollower,
                ..self.phone(
                    "green code, with somebody close behind",
                    act,
                    Entry,
                    Some(Colour::Green),
                    (Grant, R::InOrder),
                )
            },
            person(
                "green code, first time",
                act,
                Entry,
                Carries::Phone(twice.clone()),
                Known::Synced(self.row(Colour::Green)),
                (Grant, R::InOrder),
            ),
            person(
                "the same code once more",
                act,
                Entry,
                Carries::Phone(twice),
                Known::No,
                (Deny, R::Passback),
            ),
            person(
                "poster with some other code",
                act,
                Entry,
                Carries::Phone("poster no. 4711".into()),
                Known::No,
                (Deny, R::UnknownIssuer),
            ),
            Person {
                carries: self.card(),
                ..self.phone(
                    "ID card, green, leaving",
                    act,
                    Exit,
                    Some(Colour::Green),
                    (Grant, R::InOrder),
                )
            },
        ]
    }

    /// The backend is gone: decisions go on from the lists at the gate.
    fn alone(&mut self) -> Vec<Person> {
        let act = Act::Alone;
        vec![
            self.phone(
                "green code, backend gone",
                act,
                Entry,
                Some(Colour::Green),
                (Grant, R::InOrder),
            ),
            self.phone(
                "green code, leaving, backend gone",
                act,
                Exit,
                Some(Colour::Green),
                (Grant, R::InOrder),
            ),
            self.phone(
                "red code, backend gone",
                act,
                Entry,
                Some(Colour::Red),
                (Deny, R::RedCode),
            ),
            self.phone(
                "unknown code, backend gone",
                act,
                Entry,
                None,
                (Assist, R::VerificationTimeout),
            ),
            self.phone(
                "unknown code, leaving, backend gone",
                act,
                Exit,
                None,
                (Grant, R::ExitAlwaysOpen),
            ),
            Person {
                carries: self.card(),
                ..self.phone(
                    "ID card, green, backend gone",
                    act,
                    Entry,
                    Some(Colour::Green),
                    (Grant, R::InOrder),
                )
            },
            Person {
                carries: self.card(),
                ..self.phone(
                    "ID card, red, leaving, backend gone",
                    act,
                    Exit,
                    Some(Colour::Red),
                    (Grant, R::ExitAlwaysOpen),
                )
            },
            self.phone(
                "yellow code, leaving, backend gone",
                act,
                Exit,
                Some(Colour::Yellow),
                (Grant, R::ExitAlwaysOpen),
            ),
        ]
    }

    /// The backend is back.
    fn again(&mut self) -> Vec<Person> {
        let act = Act::Again;
        vec![
            self.phone(
                "green code, backend back",
                act,
                Entry,
                Some(Colour::Green),
                (Grant, R::InOrder),
            ),
            self.phone(
                "unknown code, backend back",
                act,
                Entry,
                None,
                (Deny, R::UnknownCredential),
            ),
            self.phone(
                "green code, leaving, backend back",
                act,
                Exit,
                Some(Colour::Green),
                (Grant, R::InOrder),
            ),
        ]
    }

    /// Somebody of the rush hour.
    fn ordinary(&mut self) -> Person {
        let act = match self.random.below(3) {
            0 => Act::Connected,
            1 => Act::Alone,
            _ => Act::Again,
        };
        match self.random.below(6) {
            0 => self.phone(
                "red code",
                act,
                Entry,
                Some(Colour::Red),
                (Deny, R::RedCode),
            ),
            1 => self.phone(
                "yellow code",
                act,
                Entry,
                Some(Colour::Yellow),
                (Assist, R::YellowCode),
            ),
            2 => Person {
                carries: self.card(),
                ..self.phone(
                    "ID card, green",
                    act,
                    Entry,
                    Some(Colour::Green),
                    (Grant, R::InOrder),
                )
            },
            3 | 4 => self.phone(
                "green code, leaving",
                act,
                Exit,
                Some(Colour::Green),
                (Grant, R::InOrder),
            ),
            _ => self.phone(
                "green code",
                act,
                Entry,
                Some(Colour::Green),
                (Grant, R::InOrder),
            ),
        }
    }
}
