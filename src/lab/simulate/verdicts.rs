//! What the oracle knows of decisions: who may be let through, who may not be refused, and that nobody goes twice.

use super::oracle::{Expected, Granted, Oracle, Scene};
use super::post::{Facts, Said};
use crate::domain::{Colour, Decided, Direction, GrantId, HealthOutcome, Reason, Rule, Verdict};

/// How old a presentation may be that opens: it is fresh for a second, and the backend may be asked.
const OLD: u64 = 2_000_000;
/// How long a use is remembered at least, microseconds: the window of the trust list, and what clocks round.
const WINDOW: u64 = 58_000_000;

impl Oracle {
    pub(super) fn see_decision(
        &mut self,
        decided: &Decided,
        scene: &Scene<'_>,
        shown: Option<&Expected>,
    ) {
        self.must(
            (decided.verdict == Verdict::Grant) == decided.grant.is_some(),
            "a verdict and its grant do not fit",
        );
        let Some(id) = decided.grant else {
            return self.see_refusal(decided, shown);
        };
        let (reason, direction) = (decided.reason, decided.direction);
        let served = self.may_serve(decided.lane, direction, scene.now);
        self.must(
            served || reason == Reason::ByStaff,
            "granted at a lane that does not serve that side",
        );
        if let Some(expected) = shown.filter(|_| reason != Reason::ByStaff) {
            let age = scene.now.saturating_sub(expected.read);
            self.must(age <= OLD, "an old presentation opens the gate");
            if direction == Direction::Entry {
                self.see_entry(reason, [expected.said, expected.before]);
                self.see_again(expected, reason, scene.now);
            }
        }
        let granted = Granted {
            number: decided.number,
            lane: decided.lane,
            direction,
            expected: shown.filter(|_| reason != Reason::ByStaff).cloned(),
            at: scene.now,
            boot: self.boot,
            durable: false,
            released: None,
            taken_back: false,
            annulled: false,
            in_order: reason == Reason::InOrder,
            gap_told: false,
        };
        let before = self.grants.insert(id, granted);
        self.must(before.is_none(), "a grant has the number of another");
    }

    /// `said`: what is known of them now, and what may still be remembered of an answer.
    fn see_entry(&mut self, reason: Reason, said: [Said; 2]) {
        let rules = self.settings.entry;
        let rule = |facts: Facts| match facts.colour {
            Some(colour) => rules.of(HealthOutcome::from(colour)),
            None => rules.not_applied,
        };
        let fits = |said: Said| match (reason, said) {
            (Reason::InOrder, said) => said == Some(Facts::GREEN),
            (Reason::SiteRule, Some(facts)) => facts.rides && rule(facts) == Rule::Open,
            (Reason::SiteRule, None) => {
                [rules.unknown, rules.query_failed, rules.timed_out].contains(&Rule::Open)
            }
            (_, Some(_) | None) => false,
        };
        let [now, before] = said;
        let holds = fits(now) || before.is_some() && fits(before);
        // Whoever only the backend knows is unknown while it does not answer.
        let unknown_opens = reason == Reason::SiteRule && rules.unknown == Rule::Open;
        self.must(
            holds || unknown_opens,
            "granted to somebody whom no list and no rule lets in",
        );
    }

    fn see_refusal(&mut self, decided: &Decided, shown: Option<&Expected>) {
        let (reason, direction) = (decided.reason, decided.direction);
        let again = matches!(reason, Reason::LaneBusy | Reason::TooLate);
        self.must(
            decided.verdict != Verdict::Deny || direction == Direction::Entry || again,
            "somebody is denied the way out",
        );
        let health = matches!(
            reason,
            Reason::RedCode
                | Reason::YellowCode
                | Reason::UnknownCredential
                | Reason::NotApplied
                | Reason::QueryFailed
                | Reason::VerificationTimeout
                | Reason::StaleList
        );
        let opens = self.settings.exit.red == Rule::Open;
        self.must(
            !(health && opens && direction == Direction::Exit),
            "somebody is kept in for their health",
        );
        if let Some(id) = self.granted_before(decided)
            && let Some(grant) = self.grants.get_mut(&id)
        {
            (grant.taken_back, grant.annulled) = (true, true);
        }
        let Some(expected) = shown else { return };
        self.see_why(reason, [expected.said, expected.before]);
        let counts = |grant: &&Granted| !grant.annulled;
        let passed = |grant: &Granted| {
            let of = grant.expected.as_ref().map(|of| of.person);
            of == Some(expected.person) && grant.direction == direction
        };
        let used = |grant: &Granted| {
            let of = grant.expected.as_ref().and_then(|of| of.dynamic.as_ref());
            of.is_some() && of == expected.dynamic.as_ref()
        };
        let mut known = self.grants.values().filter(counts);
        let holds = if reason == Reason::Passback {
            known.any(passed)
        } else {
            let elsewhere = |code: &String| self.elsewhere.contains(code);
            reason != Reason::Replayed
                || known.any(used)
                || expected.dynamic.as_ref().is_some_and(elsewhere)
        };
        self.must(holds, "refused for a passage that never was");
    }

    /// Whoever is refused for what they are is that, whether a list or the centre has said so.
    fn see_why(&mut self, reason: Reason, said: [Said; 2]) {
        let wrong = |facts: &Facts| {
            let red = reason == Reason::RedCode && facts.colour != Some(Colour::Red);
            let yellow = reason == Reason::YellowCode && facts.colour != Some(Colour::Yellow);
            let not_applied = reason == Reason::NotApplied && facts.colour.is_some();
            let no_ride = reason == Reason::NoAccessRights && facts.rides;
            red || yellow || not_applied || no_ride
        };
        let mut known = said.iter().flatten().peekable();
        let wronged = known.peek().is_some() && known.all(wrong);
        self.must(!wronged, "refused for what they are not");
    }

    /// The grant of this presentation, if it was granted before and is refused after all.
    fn granted_before(&self, decided: &Decided) -> Option<GrantId> {
        let mut grants = self.grants.iter().rev();
        let of = |grant: &Granted| grant.boot == self.boot && grant.number == decided.number;
        grants.find(|(_, grant)| of(grant)).map(|(id, _)| *id)
    }

    /// No code opens twice, nobody enters twice.
    fn see_again(&mut self, expected: &Expected, reason: Reason, now: u64) {
        let remembered = |grant: &&Granted| {
            !grant.annulled && (grant.boot == self.boot || self.clean_clock && grant.durable)
        };
        let of_code = |grant: &Granted| {
            let of = grant.expected.as_ref().and_then(|of| of.dynamic.as_ref());
            of.is_some() && of == expected.dynamic.as_ref() && now.saturating_sub(grant.at) < WINDOW
        };
        let mut known = self.grants.values().filter(remembered);
        if known.any(of_code) {
            return self.violated("a code opens the gate twice");
        }
        // Without a list that knows them, a new code is somebody new.
        let known = reason == Reason::InOrder;
        let Some(remember) = self.settings.passback.filter(|_| known) else {
            return;
        };
        let theirs = |grant: &&Granted| {
            let of = grant.expected.as_ref().map(|of| of.person);
            of == Some(expected.person)
        };
        let known = self.grants.values().filter(remembered);
        let last = known.filter(theirs).max_by_key(|grant| grant.at);
        let again = last.is_some_and(|grant| {
            grant.in_order
                && grant.direction == Direction::Entry
                && u128::from(now.saturating_sub(grant.at)) + u128::from(OLD)
                    < remember.remember.as_micros()
        });
        self.must(!again, "somebody enters twice");
    }
}
