//! People whom another region, or the whole country, vouches for; and one who has a ride and no health code.

use super::people::{Casting, person};
use super::{Act, Carries, Known, Person};
use crate::domain::{Colour, Direction, Reason, Row, Verdict};

/// The region whose yellow counts at this site, as its list counts regions; see `policy` in `gate.toml`.
const NEIGHBOUR: u8 = 44;

impl Casting {
    /// Everybody from elsewhere, while the backend answers.
    pub(super) fn elsewhere(&mut self) -> Vec<Person> {
        let (act, entry) = (Act::Connected, Direction::Entry);
        let enriched = Row {
            region: NEIGHBOUR,
            ..self.row(Colour::Yellow)
        };
        let ride_alone = Row {
            colour: None,
            ..self.row(Colour::Green)
        };
        let local = self.code("HC");
        let (green, yellow, ride) = (self.code("GB"), self.code("GB"), self.code("RC"));
        let [translated, nobody, late, nonsense] =
            ["GREEN", "NOBODY", "LATE", "NONSENSE"].map(|what| self.code(&format!("XN:{what}")));
        let foreign = |story, text, expected| {
            let carries = Carries::Phone(text);
            person(story, act, entry, carries, Known::No, expected)
        };
        let phone = |story, text, row, expected| {
            let carries = Carries::Phone(text);
            person(story, act, entry, carries, Known::Synced(row), expected)
        };
        vec![
            phone(
                "local code, yellow by a region whose yellow counts here",
                local,
                enriched,
                (Verdict::Grant, Reason::SiteRule),
            ),
            phone(
                "national code, green",
                green,
                self.row(Colour::Green),
                (Verdict::Grant, Reason::InOrder),
            ),
            phone(
                "national code, yellow, which is held here",
                yellow,
                self.row(Colour::Yellow),
                (Verdict::Deny, Reason::YellowCode),
            ),
            phone(
                "ride code of somebody without a health code",
                ride,
                ride_alone,
                (Verdict::Deny, Reason::NotApplied),
            ),
            foreign(
                "foreign code, translated: green",
                translated,
                (Verdict::Grant, Reason::InOrder),
            ),
            foreign(
                "foreign code that its issuer does not know",
                nobody,
                (Verdict::Deny, Reason::UnknownCredential),
            ),
            foreign(
                "foreign code whose issuer is slow",
                late,
                (Verdict::Assist, Reason::VerificationTimeout),
            ),
            foreign(
                "foreign code whose issuer answers nonsense",
                nonsense,
                (Verdict::Assist, Reason::QueryFailed),
            ),
        ]
    }
}
