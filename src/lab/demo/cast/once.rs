//! One code, one use; one person behind a card and a code.

use super::people::{Casting, person};
use super::{Act, Carries, Known, Person, Walk};
use crate::domain::{Colour, Direction, Reason, Verdict};

use Direction::Entry;
use Reason as R;
use Verdict::{Deny, Grant};

impl Casting {
    /// Whoever tries again, and whoever has a card as well.
    pub(super) fn once(&mut self) -> Vec<Person> {
        let act = Act::Connected;
        let retried = self.code("RC");
        let somebody = self.row(Colour::Green);
        let phone = |story, code: &str, known, expected| {
            let carries = Carries::Phone(code.into());
            person(story, act, Entry, carries, known, expected)
        };
        let mine = Known::Synced(self.row(Colour::Green));
        let own_code = self.code("HC");
        let own_card = self.card();
        let insured = self.row(Colour::Green);
        let (health_card, social) = (self.code("EHC"), self.code("SSC"));
        vec![
            Person {
                walk: Walk::Stays,
                ..phone(
                    "dynamic code, does not walk",
                    &retried,
                    mine,
                    (Grant, R::InOrder),
                )
            },
            phone(
                "the same dynamic code, tries again",
                &retried,
                Known::No,
                (Grant, R::InOrder),
            ),
            phone(
                "code of somebody who has a card as well",
                &own_code,
                Known::Synced(somebody),
                (Grant, R::InOrder),
            ),
            person(
                "the card of the same person",
                act,
                Entry,
                own_card.clone(),
                Known::Synced(somebody),
                (Deny, R::Passback),
            ),
            Person {
                walk: Walk::Forgiven,
                ..person(
                    "the same card, forgiven by staff",
                    act,
                    Entry,
                    own_card,
                    Known::No,
                    (Grant, R::InOrder),
                )
            },
            phone(
                "electronic health card",
                &health_card,
                Known::Synced(insured),
                (Grant, R::InOrder),
            ),
            phone(
                "social security code of the same person",
                &social,
                Known::Synced(insured),
                (Deny, R::Passback),
            ),
        ]
    }
}
