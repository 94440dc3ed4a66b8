//! The directives that a gate has accepted, and the rules of the policy that they change while they are in force.

use std::sync::Arc;

use super::modes::{Settled, Term};
use super::settings::Settings;
use super::turn::Turn;
use crate::domain::{Directive, Kind, Mono, Now};

/// The accepted directives, the most specific first.
#[derive(Debug, Default)]
pub(super) struct Directed {
    all: Vec<Accepted>,
    settled: Settled,
}

#[derive(Debug)]
struct Accepted {
    directive: Arc<Directive>,
    term: Term,
    /// In force. Without a date nobody can say so, and a rule is not changed then.
    on: bool,
}

impl Directed {
    /// Takes others in the place of those before; what was in force and is there again stays so.
    pub(super) fn replace(&mut self, directives: Vec<Arc<Directive>>, turn: &mut Turn<'_>) {
        let before = std::mem::take(&mut self.all);
        for old in before.iter().filter(|old| old.on) {
            if !directives.contains(&old.directive) {
                record(&old.directive, false, turn);
            }
        }
        let accepted = |directive: Arc<Directive>| {
            let term = Term::dated(Some(directive.not_before), Some(directive.not_after));
            let same = |old: &&Accepted| old.directive == directive;
            let on = before.iter().find(same).is_some_and(|old| old.on);
            Accepted {
                directive,
                term,
                on,
            }
        };
        self.all = directives.into_iter().map(accepted).collect();
        self.settled = Settled::default();
    }

    /// Looks at the clocks; true if other rules are in force now.
    pub(super) fn settle(&mut self, turn: &mut Turn<'_>) -> bool {
        let now: Now = turn.now;
        if self.settled.holds(now) {
            return false;
        }
        for accepted in &mut self.all {
            let on = accepted.term.is_on(now) == Some(true);
            if on != accepted.on {
                accepted.on = on;
                record(&accepted.directive, on, turn);
            }
        }
        let next = self.all.iter().filter_map(|one| one.term.next(now.mono));
        self.settled = Settled::new(now, next.min());
        true
    }

    /// Puts the policy of `configured` in force, with what is changed now. What the centre wants for a time is above
    /// what the site says, and what it wants of this gate above what it wants of a group.
    pub(super) fn put_in_force(&self, configured: &Settings, settings: &mut Settings) {
        settings.take_policy(configured);
        for accepted in self.all.iter().rev().filter(|accepted| accepted.on) {
            settings.change_policy(&accepted.directive.policy);
        }
    }

    /// When the clock may change something.
    pub(super) const fn deadline(&self) -> Option<Mono> {
        self.settled.due()
    }
}

fn record(directive: &Directive, on: bool, turn: &mut Turn<'_>) {
    let kind = Kind::Directive {
        target: directive.target.to_string(),
        version: directive.version,
        on,
    };
    turn.record(None, kind, None, Vec::new());
}
