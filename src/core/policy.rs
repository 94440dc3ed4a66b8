//! What the site wants for one credential and what is known of it. Data in, advice out; nothing is remembered here.
//!
//! Nobody is trapped: on the way out every refusal becomes *assist*, whatever the rule says.

use super::settings::{Rules, Settings};
use crate::domain::{
    Credential, Direction, HealthOutcome, Prompt, Reason, Rule, Standing, Utc, Verdict,
};

/// What is judged.
#[derive(Clone, Copy, Debug)]
pub(super) struct Case<'a> {
    pub(super) direction: Direction,
    pub(super) credential: &'a Credential,
    pub(super) standing: &'a Standing,
    /// The date, while it is trusted.
    pub(super) utc: Option<Utc>,
    pub(super) rules: &'a Rules,
    /// Entitlements that are all needed.
    pub(super) required: u16,
    /// True if the health outcome counts.
    pub(super) health: bool,
    /// True if the backend may still be asked.
    pub(super) may_ask: bool,
}

/// What comes out.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[must_use]
pub(super) enum Advice {
    /// Let pass, if replay and passback agree; the reason goes into the record.
    Open(Reason),
    /// Do not let pass.
    Refuse(Verdict, Reason),
}

/// Judges a credential whose own checks have passed. `None`: ask the backend first.
pub(super) fn judge(case: Case<'_>) -> Option<Advice> {
    if let Some(reason) = case.utc.and_then(|utc| out_of_time(&case, utc)) {
        return Some(refuse(case.direction, reason));
    }
    if case.credential.assurance < case.rules.assurance {
        return Some(refuse(case.direction, Reason::AssuranceTooLow));
    }
    let clock = if case.utc.is_none() && needs_date(&case) {
        Some((case.rules.clock_untrusted, Reason::ClockUntrusted))
    } else {
        None
    };
    // The answer cannot help somebody whose validity nobody can check.
    let clock_lets_pass = clock.is_none_or(|(rule, _)| rule == Rule::Open);
    if case.may_ask && clock_lets_pass && asking_helps(&case) {
        return None;
    }
    let trust = case
        .credential
        .trust_expired
        .then_some((case.rules.trust_expired, Reason::TrustExpired));
    let stale = case
        .standing
        .stale
        .then_some((case.rules.stale, Reason::StaleList));
    let health = counted(&case).map(|health| (health_rule(&case, health), reason_of(health)));
    Some(match worst(&case, [clock, trust, stale], health) {
        Some((rule, reason)) => Advice::Refuse(keep(case.direction, rule), reason),
        None if lacks_entitlement(&case) => refuse(case.direction, Reason::NoAccessRights),
        None if case.direction == Direction::Entry && case.credential.alone != Rule::Open => {
            by_rule(case.direction, case.credential.alone, Reason::StaticAlone)
        }
        None => Advice::Open(open_reason(&case, clock.is_some())),
    })
}

/// What the policy of a gate makes of somebody whom nobody else is asked about, apart from replay and passback: for
/// whoever wants to know beforehand. The gate decides by the same function.
pub fn preview(
    settings: &Settings,
    direction: Direction,
    credential: &Credential,
    standing: &Standing,
    utc: Option<Utc>,
) -> (Verdict, Reason) {
    let case = Case {
        direction,
        credential,
        standing,
        utc,
        rules: settings.rules_for(direction, &credential.issuer, standing),
        required: settings.required_entitlements,
        health: settings.health_required,
        may_ask: false,
    };
    match judge(case) {
        Some(Advice::Open(reason)) => (Verdict::Grant, reason),
        Some(Advice::Refuse(verdict, reason)) => (verdict, reason),
        // Nobody may be asked, so there is nothing to wait for.
        None => (refusal(direction, Reason::QueryFailed), Reason::QueryFailed),
    }
}

/// The verdict for a reason that no rule softens. Whoever is told to see staff gets staff.
pub(super) fn refusal(direction: Direction, reason: Reason) -> Verdict {
    // Showing it once more is all it takes: staff would come for nothing.
    let again = matches!(reason, Reason::TooLate | Reason::LaneBusy);
    match direction {
        Direction::Exit if !again => Verdict::Assist,
        Direction::Entry if reason.prompt() == Prompt::SeeStaff => Verdict::Assist,
        Direction::Entry | Direction::Exit => Verdict::Deny,
    }
}

/// The same as advice.
pub(super) fn refuse(direction: Direction, reason: Reason) -> Advice {
    Advice::Refuse(refusal(direction, reason), reason)
}

/// The advice for an outcome that has a rule of its own.
pub(super) fn by_rule(direction: Direction, rule: Rule, reason: Reason) -> Advice {
    match rule {
        Rule::Open => Advice::Open(opened(direction)),
        Rule::Assist | Rule::Hold => Advice::Refuse(keep(direction, rule), reason),
    }
}

/// The words for a refusal. "You cannot pass here" is no help to somebody whom staff are called for.
pub(super) fn prompt(verdict: Verdict, reason: Reason) -> Prompt {
    match (verdict, reason.prompt()) {
        (Verdict::Grant, _) => Prompt::Go,
        (Verdict::Assist, Prompt::Hold | Prompt::Go) => Prompt::SeeStaff,
        // A site that keeps green codes out refuses by its rule, whose own prompt is that of a grant.
        (Verdict::Deny, Prompt::Go) => Prompt::Hold,
        (Verdict::Assist | Verdict::Deny, prompt) => prompt,
    }
}

const fn keep(direction: Direction, rule: Rule) -> Verdict {
    match (direction, rule) {
        (Direction::Entry, Rule::Hold) => Verdict::Deny,
        (Direction::Entry | Direction::Exit, Rule::Open | Rule::Assist | Rule::Hold) => {
            Verdict::Assist
        }
    }
}

const fn opened(direction: Direction) -> Reason {
    match direction {
        Direction::Entry => Reason::SiteRule,
        Direction::Exit => Reason::ExitAlwaysOpen,
    }
}

fn open_reason(case: &Case<'_>, clock: bool) -> Reason {
    if clock
        || case.credential.trust_expired
        || case.standing.stale
        || counted(case).is_some_and(|health| health != HealthOutcome::Green)
    {
        opened(case.direction)
    } else {
        Reason::InOrder
    }
}

fn out_of_time(case: &Case<'_>, utc: Utc) -> Option<Reason> {
    let Case {
        credential,
        standing,
        ..
    } = case;
    let over = |until: Option<Utc>| until.is_some_and(|until| until < utc);
    let early = |from: Option<Utc>| from.is_some_and(|from| utc < from);
    if over(credential.valid_until) || over(standing.valid_until) {
        Some(Reason::Expired)
    } else if early(credential.valid_from) || early(standing.valid_from) {
        Some(Reason::NotYetActive)
    } else {
        None
    }
}

const fn needs_date(case: &Case<'_>) -> bool {
    case.credential.valid_from.is_some()
        || case.credential.valid_until.is_some()
        || case.credential.replay.is_some()
        || case.standing.valid_from.is_some()
        || case.standing.valid_until.is_some()
}

/// The health outcome, as far as it counts here: where a site asks for entitlements alone, only that nobody knows whether
/// somebody has them.
const fn counted(case: &Case<'_>) -> Option<HealthOutcome> {
    let known = has_colour(case) || matches!(case.standing.health, HealthOutcome::NotApplied);
    let entitled = case.standing.entitlements & case.required == case.required;
    if case.health || !(known || entitled) {
        Some(case.standing.health)
    } else {
        None
    }
}

/// Only a cache miss is asked about; and not on the way out where a miss opens: nobody waits there for a network.
fn asking_helps(case: &Case<'_>) -> bool {
    matches!(counted(case), Some(HealthOutcome::Unknown))
        && !(case.direction == Direction::Exit && case.rules.unknown == Rule::Open)
}

type Concern = Option<(Rule, Reason)>;

/// The rule for what the look-up ended in; on the way in an issuer may have one of its own for whom nobody knows.
const fn health_rule(case: &Case<'_>, health: HealthOutcome) -> Rule {
    match (case.direction, health, case.credential.unknown) {
        (
            Direction::Entry,
            HealthOutcome::Unknown | HealthOutcome::QueryFailed | HealthOutcome::TimedOut,
            Some(rule),
        ) => rule,
        (Direction::Entry | Direction::Exit, health, Some(_) | None) => case.rules.of(health),
    }
}

/// The most severe concern that keeps the barrier; of equals the first.
fn worst(case: &Case<'_>, earlier: [Concern; 3], health: Concern) -> Concern {
    let keeps = |concern: Concern| concern.filter(|(rule, _)| *rule != Rule::Open);
    let earlier =
        earlier
            .into_iter()
            .filter_map(keeps)
            .reduce(|first, next| match (first.0, next.0) {
                (Rule::Assist, Rule::Hold) => next,
                (Rule::Open | Rule::Assist | Rule::Hold, _) => first,
            });
    match (earlier, keeps(health)) {
        // A stale list's colour still counts; that it does not know somebody says nothing.
        (Some((Rule::Assist, _)), Some(health @ (Rule::Hold, _))) if has_colour(case) => {
            Some(health)
        }
        (Some(earlier), Some(_) | None) => Some(earlier),
        (None, health) => health,
    }
}

const fn has_colour(case: &Case<'_>) -> bool {
    match case.standing.health {
        HealthOutcome::Green | HealthOutcome::Yellow | HealthOutcome::Red => true,
        HealthOutcome::Unknown
        | HealthOutcome::NotApplied
        | HealthOutcome::QueryFailed
        | HealthOutcome::TimedOut => false,
    }
}

/// Where no row was found, nobody knows of entitlements: the rule for that outcome has spoken already.
const fn lacks_entitlement(case: &Case<'_>) -> bool {
    let known = has_colour(case) || matches!(case.standing.health, HealthOutcome::NotApplied);
    known && case.standing.entitlements & case.required != case.required
}

const fn reason_of(health: HealthOutcome) -> Reason {
    match health {
        HealthOutcome::Green => Reason::SiteRule,
        HealthOutcome::Yellow => Reason::YellowCode,
        HealthOutcome::Red => Reason::RedCode,
        HealthOutcome::Unknown => Reason::UnknownCredential,
        HealthOutcome::NotApplied => Reason::NotApplied,
        HealthOutcome::QueryFailed => Reason::QueryFailed,
        HealthOutcome::TimedOut => Reason::VerificationTimeout,
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::core::scene::{all, credential, dynamic, standing};
    use crate::domain::Assurance;

    const HEALTH: [HealthOutcome; 7] = [
        HealthOutcome::Green,
        HealthOutcome::Yellow,
        HealthOutcome::Red,
        HealthOutcome::Unknown,
        HealthOutcome::NotApplied,
        HealthOutcome::QueryFailed,
        HealthOutcome::TimedOut,
    ];

    fn ask(
        direction: Direction,
        credential: &Credential,
        standing: &Standing,
        rules: &Rules,
        utc: Option<u64>,
    ) -> Option<Advice> {
        judge(Case {
            direction,
            credential,
            standing,
            utc: utc.map(Utc::from_secs),
            rules,
            required: 0,
            health: true,
            may_ask: false,
        })
    }

    #[test]
    fn a_code_that_anybody_can_copy_follows_its_issuer_on_the_way_in_and_traps_nobody() {
        let green = standing(HealthOutcome::Green);
        for (alone, verdict) in [(Rule::Assist, Verdict::Assist), (Rule::Hold, Verdict::Deny)] {
            let printed = Credential {
                alone,
                ..credential(1)
            };
            let rules = all(Rule::Open);
            let advice = |direction| ask(direction, &printed, &green, &rules, Some(1));
            let refused = Advice::Refuse(verdict, Reason::StaticAlone);
            assert_eq!(advice(Direction::Entry), Some(refused));
            assert!(matches!(advice(Direction::Exit), Some(Advice::Open(_))));
        }
    }

    #[test]
    fn an_issuer_may_say_on_the_way_in_what_becomes_of_whom_nobody_knows() {
        use {Direction as D, HealthOutcome as H, Rule as R};
        for (unknown, opens) in [(R::Open, true), (R::Assist, false), (R::Hold, false)] {
            let code = Credential {
                unknown: Some(unknown),
                ..credential(1)
            };
            let opposite = all(if opens { R::Hold } else { R::Open });
            for health in HEALTH {
                let nobody_knows = matches!(health, H::Unknown | H::QueryFailed | H::TimedOut);
                let advice = ask(D::Entry, &code, &standing(health), &opposite, Some(1));
                let open = matches!(advice, Some(Advice::Open(_)));
                assert_eq!(open, opens == nobody_knows, "{unknown:?} {health:?}");
            }
            let out = ask(
                D::Exit,
                &code,
                &standing(H::Unknown),
                &all(R::Open),
                Some(1),
            );
            assert_eq!(out, Some(Advice::Open(Reason::ExitAlwaysOpen)));
        }
    }

    #[test]
    fn past_the_date_of_the_trust_list_the_rule_for_that_speaks_unless_something_is_worse() {
        use {HealthOutcome as H, Rule as R};
        let code = Credential {
            trust_expired: true,
            ..credential(1)
        };
        let mut rules = all(R::Open);
        rules.trust_expired = R::Assist;
        let entry =
            |health, rules: &Rules| ask(Direction::Entry, &code, &standing(health), rules, Some(1));
        let assisted = Some(Advice::Refuse(Verdict::Assist, Reason::TrustExpired));
        assert_eq!(entry(H::Green, &rules), assisted);
        rules.red = R::Hold;
        let red = Some(Advice::Refuse(Verdict::Deny, Reason::RedCode));
        assert_eq!(entry(H::Red, &rules), red);
        rules.trust_expired = R::Open;
        assert_eq!(
            entry(H::Green, &rules),
            Some(Advice::Open(Reason::SiteRule))
        );
    }

    #[test]
    fn a_side_that_asks_for_more_than_a_number_refuses_it_by_that_reason_and_traps_nobody() {
        let mut rules = all(Rule::Open);
        rules.assurance = Assurance::Signed;
        let green = standing(HealthOutcome::Green);
        for (assurance, passes) in [
            (Assurance::Identifier, false),
            (Assurance::Signed, true),
            (Assurance::Authenticated, true),
        ] {
            let shown = Credential {
                assurance,
                ..credential(1)
            };
            for direction in [Direction::Entry, Direction::Exit] {
                let advice = ask(direction, &shown, &green, &rules, Some(1));
                let refused = Advice::Refuse(Verdict::Assist, Reason::AssuranceTooLow);
                assert_eq!(
                    advice == Some(refused),
                    !passes,
                    "{assurance:?} {direction}"
                );
            }
        }
    }

    /// Open everywhere, but `rule` for this outcome.
    fn only(health: HealthOutcome, rule: Rule) -> Rules {
        let mut rules = all(Rule::Open);
        let key = match health {
            HealthOutcome::Green => &mut rules.green,
            HealthOutcome::Yellow => &mut rules.yellow,
            HealthOutcome::Red => &mut rules.red,
            HealthOutcome::Unknown => &mut rules.unknown,
            HealthOutcome::NotApplied => &mut rules.not_applied,
            HealthOutcome::QueryFailed => &mut rules.query_failed,
            HealthOutcome::TimedOut => &mut rules.timed_out,
        };
        *key = rule;
        rules
    }

    #[test]
    fn each_outcome_follows_its_own_rule_in_each_direction() {
        use {Direction as D, Rule as R, Verdict as V};
        for health in HEALTH {
            let mut reasons = vec![reason_of(health)];
            for (direction, rule, verdict) in [
                (D::Entry, R::Open, V::Grant),
                (D::Entry, R::Assist, V::Assist),
                (D::Entry, R::Hold, V::Deny),
                (D::Exit, R::Open, V::Grant),
                (D::Exit, R::Assist, V::Assist),
                (D::Exit, R::Hold, V::Assist),
            ] {
                let rules = only(health, rule);
                let advice = ask(
                    direction,
                    &credential(1),
                    &standing(health),
                    &rules,
                    Some(9),
                );
                let wanted = match (verdict, health, direction) {
                    (V::Grant, HealthOutcome::Green, _) => Advice::Open(Reason::InOrder),
                    (V::Grant, _, D::Entry) => Advice::Open(Reason::SiteRule),
                    (V::Grant, _, D::Exit) => Advice::Open(Reason::ExitAlwaysOpen),
                    (V::Assist | V::Deny, ..) => Advice::Refuse(verdict, reason_of(health)),
                };
                assert_eq!(advice, Some(wanted), "{direction} {health:?} {rule:?}");
                reasons.push(reason_of(health));
            }
        }
        let reasons: std::collections::BTreeSet<_> = HEALTH.map(reason_of).into();
        assert_eq!(
            reasons.len(),
            HEALTH.len(),
            "nothing is folded into another outcome"
        );
    }

    #[test]
    fn no_refusal_on_exit_is_bare_except_those_that_ask_to_show_it_again() {
        for reason in Reason::ALL {
            let again = matches!(reason, Reason::TooLate | Reason::LaneBusy);
            let verdict = refusal(Direction::Exit, *reason);
            assert_eq!(verdict == Verdict::Deny, again, "{reason:?}");
        }
    }

    #[test]
    fn whoever_is_told_to_see_staff_gets_staff() {
        for reason in Reason::ALL {
            if reason.prompt() == Prompt::SeeStaff {
                assert_eq!(
                    refusal(Direction::Entry, *reason),
                    Verdict::Assist,
                    "{reason:?}"
                );
            }
            assert_ne!(prompt(Verdict::Assist, *reason), Prompt::Hold);
            assert_eq!(prompt(Verdict::Grant, *reason), Prompt::Go);
            for refused in [Verdict::Assist, Verdict::Deny] {
                assert_ne!(prompt(refused, *reason), Prompt::Go, "{reason:?}");
            }
        }
    }

    #[test]
    fn the_date_is_needed_only_by_what_has_one() {
        let mut rules = all(Rule::Open);
        rules.clock_untrusted = Rule::Hold;
        let green = standing(HealthOutcome::Green);
        let dated = Standing {
            valid_until: Some(Utc::from_secs(5)),
            ..green.clone()
        };
        let held = Some(Advice::Refuse(Verdict::Deny, Reason::ClockUntrusted));
        let entry = Direction::Entry;
        assert_eq!(
            ask(entry, &credential(1), &green, &rules, None),
            Some(Advice::Open(Reason::InOrder))
        );
        assert_eq!(ask(entry, &dynamic(1), &green, &rules, None), held);
        assert_eq!(ask(entry, &credential(1), &dated, &rules, None), held);
        // Within the last second it is still good.
        assert_eq!(
            ask(entry, &credential(1), &dated, &rules, Some(5)),
            Some(Advice::Open(Reason::InOrder))
        );
        let expired = Some(Advice::Refuse(Verdict::Deny, Reason::Expired));
        assert_eq!(ask(entry, &credential(1), &dated, &rules, Some(6)), expired);
    }

    #[test]
    fn of_several_concerns_the_most_severe_decides_and_of_equals_the_first() {
        let stale_red = Standing {
            stale: true,
            ..standing(HealthOutcome::Red)
        };
        let mut rules = all(Rule::Assist);
        let reason =
            |rules: &Rules| match ask(Direction::Entry, &credential(1), &stale_red, rules, Some(9))
            {
                Some(Advice::Refuse(verdict, reason)) => (verdict, reason),
                other => panic!("{other:?}"),
            };
        assert_eq!(reason(&rules), (Verdict::Assist, Reason::StaleList));
        rules.red = Rule::Hold;
        assert_eq!(reason(&rules), (Verdict::Deny, Reason::RedCode));
        rules.stale = Rule::Hold;
        assert_eq!(reason(&rules), (Verdict::Deny, Reason::StaleList));
        rules.stale = Rule::Open;
        assert_eq!(reason(&rules), (Verdict::Deny, Reason::RedCode));
    }

    #[test]
    fn where_no_row_was_found_the_rule_for_that_speaks_and_not_a_missing_entitlement() {
        let nothing = Standing {
            entitlements: 0,
            ..standing(HealthOutcome::Unknown)
        };
        let case = |standing| {
            judge(Case {
                direction: Direction::Entry,
                credential: &credential(1),
                standing,
                utc: None,
                rules: &all(Rule::Open),
                required: 1,
                health: true,
                may_ask: false,
            })
        };
        assert_eq!(case(&nothing), Some(Advice::Open(Reason::SiteRule)));
        let known = Standing {
            health: HealthOutcome::Green,
            ..nothing.clone()
        };
        let refused = Advice::Refuse(Verdict::Deny, Reason::NoAccessRights);
        assert_eq!(case(&known), Some(refused));
    }
}

#[cfg(test)]
mod decision_table;
