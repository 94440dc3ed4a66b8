//! The people of the demo: what each carries, what the lists say of it, how they walk, and what must come of it.
//! They are synthetic and nameless; their ID numbers have a region code (10) that is given to nobody.

use crate::codes::id_card;
use crate::domain::{
    Colour, Direction, IdCardKind, Medium, Outcome, Reason, Row, Subject, Utc, Verdict,
};
use crate::lab::random::SplitMix64;

use Direction::{Entry, Exit};
use Reason as R;
use Verdict::{Assist, Deny, Grant};

/// While which part of the run somebody comes.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Act {
    /// The backend answers.
    Connected,
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
}

/// Where the backend knows somebody from.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Known {
    /// A row of the list, synced before anybody comes.
    Synced(Row),
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
            (Verdict::Grant, Walk::Through) => &[Outcome::Passed],
            (Verdict::Grant, Walk::Stays) => &[Outcome::NoEntryAfterGrant],
            (Verdict::Grant, Walk::WithFollower) => &[Outcome::Passed, Outcome::Tailgating],
            (Verdict::Deny | Verdict::Assist, _) => &[],
        }
    }
}

/// Smallest cast that has every kind of person in it.
pub const PASSENGERS_MIN: usize = 30;
/// Largest cast: more would not be looked at by anybody.
pub const PASSENGERS_MAX: usize = 2_000;

/// Draws `passengers` people by `seed`: every kind at least once, in three acts.
#[must_use]
pub fn draw(passengers: usize, seed: u64, now: Utc) -> Vec<Person> {
    let mut casting = Casting {
        random: SplitMix64::new(seed),
        now,
    };
    let mut people = casting.connected();
    people.extend(casting.alone());
    people.extend(casting.again());
    while people.len() < passengers {
        let extra = casting.ordinary();
        people.push(extra);
    }
    people.sort_by_key(|person| person.act);
    people
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

struct Casting {
    random: SplitMix64,
    now: Utc,
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

    /// Somebody with a phone and an own code, of this colour or of none.
    fn phone(
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
    fn dated(&mut self, story: &'static str, from_s: i64, until_s: i64, reason: Reason) -> Person {
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
                Entry,
                Some(Colour::Green),
                (Deny, reason),
            )
        }
    }

    fn row(&mut self, colour: Colour) -> Row {
        Row {
            subject: Subject((self.random.next_u64() | 1).to_be_bytes()),
            valid_from_s: 0,
            valid_until_s: 0,
            colour: Some(colour),
            entitlements: 1,
            region: 0,
        }
    }

    fn code(&mut self, prefix: &str) -> String {
        const LETTERS: &[u8] = b"ABCDEFGHJKLMNPQRSTUVWXYZ23456789";
        let body = (0..24)
            .filter_map(|_| LETTERS.get(self.random.index(32)))
            .map(|letter| char::from(*letter));
        format!("{prefix}:{}", body.collect::<String>())
    }

    fn card(&mut self) -> Carries {
        Carries::Card {
            number: self.number(),
            kind: IdCardKind::Resident,
        }
    }

    /// A number with a right check digit and a region code that is given to nobody.
    fn number(&mut self) -> String {
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

fn person(
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
