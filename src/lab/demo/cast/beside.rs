//! Who comes to the second gate, where health and ride are both asked for, and who was at the first one before.

use super::people::{Casting, person};
use super::{Act, Carries, Known, Person};
use crate::domain::{Colour, Direction, Reason, Row, Verdict};

use Direction::Entry;
use Reason as R;
use Verdict::{Deny, Grant};

impl Casting {
    /// They come last to the first gate, and then to the second.
    #[expect(clippy::too_many_lines, reason = "the list of the cast, no logic")]
    pub(super) fn beside(&mut self) -> Vec<Person> {
        let (once, code) = (self.code("RC"), self.code("HC"));
        let (rider, somebody) = (self.row(Colour::Green), self.row(Colour::Green));
        let no_ride = Row {
            entitlements: 0,
            ..self.row(Colour::Green)
        };
        let phone = |story, act, code: &str, known, expected| {
            person(
                story,
                act,
                Entry,
                Carries::Phone(code.into()),
                known,
                expected,
            )
        };
        let (health, green, red) = (self.code("HC"), self.code("RC"), self.code("RC"));
        let both = [self.row(Colour::Green), self.row(Colour::Green)].map(|row| Row {
            colour: None,
            ..row
        });
        let (first, second) = (Act::Connected, Act::Beside);
        vec![
            phone(
                "dynamic code, before the second gate",
                first,
                &once,
                Known::Synced(rider),
                (Grant, R::InOrder),
            ),
            phone(
                "green code, before the second gate",
                first,
                &code,
                Known::Synced(somebody),
                (Grant, R::InOrder),
            ),
            phone(
                "screenshot of that code at the second gate",
                second,
                &once,
                Known::No,
                (Deny, R::Replayed),
            ),
            person(
                "card of whoever went in at the first gate",
                second,
                Entry,
                self.card(),
                Known::Synced(somebody),
                (Deny, R::Passback),
            ),
            phone(
                "health code without a ride",
                second,
                &health,
                Known::Synced(no_ride),
                (Deny, R::NoAccessRights),
            ),
            phone(
                "ride code, health of the person: green",
                second,
                &green,
                Known::Joined(both[0], Colour::Green),
                (Grant, R::InOrder),
            ),
            phone(
                "ride code, health of the person: red",
                second,
                &red,
                Known::Joined(both[1], Colour::Red),
                (Deny, R::RedCode),
            ),
        ]
    }
}
