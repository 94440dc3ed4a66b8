//! The whole policy space, against the same policy written as a table of who keeps whom out and why.

use super::*;
use crate::core::scene::{credential, standing};
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
const RULES: [Rule; 3] = [Rule::Open, Rule::Assist, Rule::Hold];
/// Not so, or so and the site has this rule for it.
const CONCERNS: [Option<Rule>; 4] = [None, Some(Rule::Open), Some(Rule::Assist), Some(Rule::Hold)];

/// One row of the table.
#[derive(Clone, Copy, Debug)]
struct Case {
    direction: Direction,
    health: HealthOutcome,
    rule: Rule,
    of_issuer: Option<Rule>,
    clock: Option<Rule>,
    trust: Option<Rule>,
    stale: Option<Rule>,
    entitled: bool,
    health_required: bool,
    ride_required: bool,
    alone: Rule,
}

/// The policy in other words: everybody who has a say, from the first to the last.
fn expected(case: &Case) -> (Verdict, Option<Reason>) {
    use HealthOutcome as H;
    let nobody_knows = matches!(case.health, H::Unknown | H::QueryFailed | H::TimedOut);
    let colour = matches!(case.health, H::Green | H::Yellow | H::Red);
    let lacks = case.ride_required && !case.entitled;
    let entry = case.direction == Direction::Entry;
    let counts = case.health_required || (nobody_knows && lacks);
    let health = counts.then_some(match case.of_issuer {
        Some(rule) if entry && nobody_knows => rule,
        Some(_) | None => case.rule,
    });
    let reasons = [
        (case.clock, Reason::ClockUntrusted),
        (case.trust, Reason::TrustExpired),
        (case.stale, Reason::StaleList),
    ];
    let strongest = |wanted: Rule| reasons.iter().find(|(rule, _)| *rule == Some(wanted));
    let trouble = strongest(Rule::Hold).or_else(|| strongest(Rule::Assist));
    let by_health = (health, reason_of(case.health));
    let kept = match (trouble, by_health) {
        // A colour that holds is heard over staff for a list that is old; that nobody knows them is not.
        (Some((Some(Rule::Assist), _)), (Some(Rule::Hold), why)) if colour => {
            Some((Rule::Hold, why))
        }
        (Some((Some(rule), why)), _) => Some((*rule, *why)),
        (_, (Some(rule @ (Rule::Assist | Rule::Hold)), why)) => Some((rule, why)),
        _ if lacks && !nobody_knows => Some((Rule::Hold, Reason::NoAccessRights)),
        _ if entry && case.alone != Rule::Open => Some((case.alone, Reason::StaticAlone)),
        _ => None,
    };
    match kept {
        Some((Rule::Hold, why)) if entry => (Verdict::Deny, Some(why)),
        Some((_, why)) => (Verdict::Assist, Some(why)),
        None => (Verdict::Grant, None),
    }
}

fn decided(case: &Case) -> (Verdict, Option<Reason>) {
    let mut rules = crate::core::scene::all(case.rule);
    rules.assurance = Assurance::Identifier;
    rules.clock_untrusted = case.clock.unwrap_or(Rule::Hold);
    rules.trust_expired = case.trust.unwrap_or(Rule::Hold);
    rules.stale = case.stale.unwrap_or(Rule::Hold);
    let mut shown = credential(1);
    shown.trust_expired = case.trust.is_some();
    shown.unknown = case.of_issuer;
    shown.alone = case.alone;
    // A code with a date, in its time.
    shown.valid_until = Some(Utc::from_secs(10));
    let known = Standing {
        stale: case.stale.is_some(),
        entitlements: if case.entitled { 3 } else { 2 },
        ..standing(case.health)
    };
    let advice = judge(super::Case {
        direction: case.direction,
        credential: &shown,
        standing: &known,
        utc: case.clock.is_none().then_some(Utc::from_secs(5)),
        rules: &rules,
        required: u16::from(case.ride_required),
        health: case.health_required,
        may_ask: false,
    });
    match advice.unwrap() {
        Advice::Open(_) => (Verdict::Grant, None),
        Advice::Refuse(verdict, reason) => (verdict, Some(reason)),
    }
}

#[test]
fn every_case_of_the_policy_is_decided_as_the_table_says() {
    let issuers = [None, Some(Rule::Open), Some(Rule::Assist), Some(Rule::Hold)];
    let mut cases = 0_u32;
    for direction in [Direction::Entry, Direction::Exit] {
        for (health, rule) in HEALTH.iter().flat_map(|h| RULES.map(|rule| (*h, rule))) {
            for (of_issuer, alone) in issuers.iter().flat_map(|i| RULES.map(|alone| (*i, alone))) {
                for (clock, trust) in CONCERNS.iter().flat_map(|c| CONCERNS.map(|t| (*c, t))) {
                    for (stale, flags) in CONCERNS
                        .iter()
                        .flat_map(|s| (0..8_u8).map(move |f| (*s, f)))
                    {
                        let case = Case {
                            direction,
                            health,
                            rule,
                            of_issuer,
                            clock,
                            trust,
                            stale,
                            entitled: flags & 1 != 0,
                            health_required: flags & 2 != 0,
                            ride_required: flags & 4 != 0,
                            alone,
                        };
                        assert_eq!(decided(&case), expected(&case), "{case:?}");
                        let (verdict, _) = decided(&case);
                        assert!(
                            direction == Direction::Entry || verdict != Verdict::Deny,
                            "{case:?}"
                        );
                        cases += 1;
                    }
                }
            }
        }
    }
    assert_eq!(cases, 2 * 21 * 12 * 16 * 32);
}
