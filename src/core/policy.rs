//! Facts in, ruling out. Refusing is the default path on the way in; on the way out nobody is trapped: health,
//! unknown and stale outcomes open, and everything else there is for staff, never a bare refusal.

use super::settings::{Rules, Settings};
use crate::domain::{Credential, Direction, HealthOutcome, Reason, Rule, Standing, Utc, Verdict};

/// A verdict with its reason, before replay and passback are looked at.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[must_use]
pub struct Ruling {
    /// The verdict.
    pub verdict: Verdict,
    /// The reason.
    pub reason: Reason,
}

/// What policy looks at.
#[derive(Clone, Copy, Debug)]
pub struct Facts<'a> {
    /// Side of the lane.
    pub direction: Direction,
    /// The date, if it may be used.
    pub utc: Option<Utc>,
    /// What was shown.
    pub credential: &'a Credential,
    /// What is known of it.
    pub standing: &'a Standing,
    /// True if the backend has just said so: then an old list does not matter.
    pub online: bool,
}

/// Rules on one presentation that its issuer's own checks let through.
pub fn rule(settings: &Settings, facts: Facts<'_>) -> Ruling {
    let rules = rules(settings, facts.direction);
    if let Some(reason) = out_of_time(rules, facts) {
        return refuse(facts.direction, rule_of_time(rules, reason), reason);
    }
    let health = facts.standing.health;
    let reason = reason_of(health);
    let ruling = match rules.of(health) {
        Rule::Open => opened(facts.direction, health),
        other @ (Rule::Assist | Rule::Hold) => return refuse(facts.direction, other, reason),
    };
    let entitled = facts.standing.entitlements & settings.required_entitlements
        == settings.required_entitlements;
    if facts.direction == Direction::Entry && !entitled {
        return refuse(facts.direction, Rule::Hold, Reason::NoAccessRights);
    }
    if facts.standing.stale && !facts.online {
        return match rules.stale {
            Rule::Open => Ruling {
                reason: opened_otherwise(facts.direction),
                ..ruling
            },
            other @ (Rule::Assist | Rule::Hold) => {
                refuse(facts.direction, other, Reason::StaleList)
            }
        };
    }
    ruling
}

/// Refuses: staff on the way out, whatever the site says.
pub fn refuse(direction: Direction, rule: Rule, reason: Reason) -> Ruling {
    let verdict = match (direction, rule) {
        (Direction::Exit, _) | (Direction::Entry, Rule::Assist) => Verdict::Assist,
        // A caller with "open" in hand has nothing to refuse; refusing is the safe side.
        (Direction::Entry, Rule::Hold | Rule::Open) => Verdict::Deny,
    };
    Ruling { verdict, reason }
}

const fn rules(settings: &Settings, direction: Direction) -> &Rules {
    match direction {
        Direction::Entry => &settings.entry,
        Direction::Exit => &settings.exit,
    }
}

/// Why the date speaks against it, if it does. Without a trusted clock, whatever needs the date follows its own rule.
fn out_of_time(rules: &Rules, facts: Facts<'_>) -> Option<Reason> {
    let Facts {
        credential,
        standing,
        ..
    } = facts;
    let from = credential.valid_from.max(standing.valid_from);
    let until = [credential.valid_until, standing.valid_until]
        .into_iter()
        .flatten()
        .min();
    let Some(now) = facts.utc else {
        let needs_date = from.is_some() || until.is_some() || credential.replay.is_some();
        return (needs_date && rules.clock_untrusted != Rule::Open)
            .then_some(Reason::ClockUntrusted);
    };
    if from.is_some_and(|from| now < from) {
        return Some(Reason::NotYetActive);
    }
    until
        .is_some_and(|until| now > until)
        .then_some(Reason::Expired)
}

const fn rule_of_time(rules: &Rules, reason: Reason) -> Rule {
    if matches!(reason, Reason::ClockUntrusted) {
        rules.clock_untrusted
    } else {
        Rule::Hold
    }
}

const fn reason_of(health: HealthOutcome) -> Reason {
    match health {
        HealthOutcome::Green => Reason::InOrder,
        HealthOutcome::Yellow => Reason::YellowCode,
        HealthOutcome::Red => Reason::RedCode,
        HealthOutcome::Unknown => Reason::UnknownCredential,
        HealthOutcome::NotApplied => Reason::NotApplied,
        HealthOutcome::QueryFailed => Reason::QueryFailed,
        HealthOutcome::TimedOut => Reason::VerificationTimeout,
    }
}

const fn opened(direction: Direction, health: HealthOutcome) -> Ruling {
    let reason = match health {
        HealthOutcome::Green => Reason::InOrder,
        HealthOutcome::Yellow
        | HealthOutcome::Red
        | HealthOutcome::Unknown
        | HealthOutcome::NotApplied
        | HealthOutcome::QueryFailed
        | HealthOutcome::TimedOut => opened_otherwise(direction),
    };
    Ruling {
        verdict: Verdict::Grant,
        reason,
    }
}

const fn opened_otherwise(direction: Direction) -> Reason {
    match direction {
        Direction::Entry => Reason::SiteRule,
        Direction::Exit => Reason::ExitAlwaysOpen,
    }
}

#[cfg(test)]
pub(super) mod tests {
    use std::time::Duration;

    use super::*;
    use crate::core::settings::OnTrouble;
    use crate::domain::{IssuerId, Medium, Replay, ReplayKey};

    pub(crate) const STRICT: Rules = Rules {
        green: Rule::Open,
        yellow: Rule::Assist,
        red: Rule::Hold,
        unknown: Rule::Hold,
        not_applied: Rule::Hold,
        query_failed: Rule::Assist,
        timed_out: Rule::Assist,
        stale: Rule::Assist,
        clock_untrusted: Rule::Assist,
    };

    pub(crate) const OPEN: Rules = Rules {
        green: Rule::Open,
        yellow: Rule::Open,
        red: Rule::Open,
        unknown: Rule::Open,
        not_applied: Rule::Open,
        query_failed: Rule::Open,
        timed_out: Rule::Open,
        stale: Rule::Open,
        clock_untrusted: Rule::Open,
    };

    pub(crate) fn settings() -> Settings {
        Settings {
            lanes: Vec::new(),
            entry: STRICT,
            exit: OPEN,
            required_entitlements: 0,
            passback: Some(Duration::from_secs(3_600)),
            resolve: Some(Duration::from_millis(800)),
            stall: Duration::from_millis(300),
            on_stall: OnTrouble::Hold,
            on_full: OnTrouble::Hold,
            software: "test".into(),
        }
    }

    pub(crate) fn credential() -> Credential {
        Credential {
            issuer: IssuerId::new("metro").unwrap(),
            medium: Medium::QrCode,
            keys: Vec::new(),
            replay: None,
            valid_from: None,
            valid_until: None,
        }
    }

    const HEALTH: [HealthOutcome; 7] = [
        HealthOutcome::Green,
        HealthOutcome::Yellow,
        HealthOutcome::Red,
        HealthOutcome::Unknown,
        HealthOutcome::NotApplied,
        HealthOutcome::QueryFailed,
        HealthOutcome::TimedOut,
    ];

    fn ruled(settings: &Settings, direction: Direction, standing: &Standing) -> Ruling {
        let credential = credential();
        let utc = Some(Utc::from_secs(1_000));
        rule(
            settings,
            Facts {
                direction,
                utc,
                credential: &credential,
                standing,
                online: false,
            },
        )
    }

    #[test]
    fn every_outcome_follows_its_own_rule_in_each_direction() {
        for health in HEALTH {
            for wanted in [Rule::Open, Rule::Assist, Rule::Hold] {
                let all = Rules {
                    green: wanted,
                    yellow: wanted,
                    red: wanted,
                    unknown: wanted,
                    not_applied: wanted,
                    query_failed: wanted,
                    timed_out: wanted,
                    ..STRICT
                };
                let settings = Settings {
                    entry: all,
                    exit: all,
                    ..settings()
                };
                let standing = Standing {
                    health,
                    ..Standing::unknown()
                };
                let entry = ruled(&settings, Direction::Entry, &standing);
                let exit = ruled(&settings, Direction::Exit, &standing);
                match wanted {
                    Rule::Open => {
                        assert_eq!(
                            (entry.verdict, exit.verdict),
                            (Verdict::Grant, Verdict::Grant)
                        );
                        let green = health == HealthOutcome::Green;
                        assert_eq!(entry.reason == Reason::InOrder, green);
                        assert_eq!(exit.reason == Reason::ExitAlwaysOpen, !green);
                    }
                    Rule::Assist => assert_eq!(
                        (entry.verdict, exit.verdict),
                        (Verdict::Assist, Verdict::Assist)
                    ),
                    Rule::Hold => assert_eq!(
                        (entry.verdict, exit.verdict),
                        (Verdict::Deny, Verdict::Assist)
                    ),
                }
                if wanted != Rule::Open {
                    assert_eq!(
                        (entry.reason, exit.reason),
                        (reason_of(health), reason_of(health))
                    );
                }
            }
        }
    }

    #[test]
    fn an_outcome_that_is_no_colour_is_never_folded_into_red() {
        for health in HEALTH
            .into_iter()
            .filter(|health| *health != HealthOutcome::Red)
        {
            let standing = Standing {
                health,
                ..Standing::unknown()
            };
            assert_ne!(
                ruled(&settings(), Direction::Entry, &standing).reason,
                Reason::RedCode,
                "{health:?}"
            );
        }
    }

    #[test]
    fn validity_holds_to_the_second_at_both_ends() {
        let standing = |from, until| Standing {
            health: HealthOutcome::Green,
            valid_from: Some(Utc::from_secs(from)),
            valid_until: Some(Utc::from_secs(until)),
            ..Standing::unknown()
        };
        let reason =
            |from, until| ruled(&settings(), Direction::Entry, &standing(from, until)).reason;
        assert_eq!(reason(1_000, 1_000), Reason::InOrder);
        assert_eq!(reason(1_001, 2_000), Reason::NotYetActive);
        assert_eq!(reason(0, 999), Reason::Expired);
        assert_eq!(
            ruled(&settings(), Direction::Exit, &standing(0, 999)).verdict,
            Verdict::Assist
        );
    }

    #[test]
    fn without_a_trusted_clock_only_what_needs_the_date_follows_its_rule() {
        let standing = Standing {
            health: HealthOutcome::Green,
            ..Standing::unknown()
        };
        let timeless = credential();
        let replay = Some(Replay {
            key: ReplayKey([1; 32]),
            window_s: 60,
        });
        let dynamic = Credential {
            replay,
            ..credential()
        };
        let ruled = |credential: &Credential, direction| {
            rule(
                &settings(),
                Facts {
                    direction,
                    utc: None,
                    credential,
                    standing: &standing,
                    online: false,
                },
            )
        };
        assert_eq!(ruled(&timeless, Direction::Entry).reason, Reason::InOrder);
        assert_eq!(
            ruled(&dynamic, Direction::Entry).reason,
            Reason::ClockUntrusted
        );
        assert_eq!(ruled(&dynamic, Direction::Exit).verdict, Verdict::Grant);
    }

    #[test]
    fn a_stale_list_matters_only_where_it_would_open() {
        let stale = |health| Standing {
            health,
            stale: true,
            ..Standing::unknown()
        };
        assert_eq!(
            ruled(&settings(), Direction::Entry, &stale(HealthOutcome::Green)),
            Ruling {
                verdict: Verdict::Assist,
                reason: Reason::StaleList
            }
        );
        assert_eq!(
            ruled(&settings(), Direction::Entry, &stale(HealthOutcome::Red)).reason,
            Reason::RedCode
        );
        assert_eq!(
            ruled(&settings(), Direction::Exit, &stale(HealthOutcome::Green)),
            Ruling {
                verdict: Verdict::Grant,
                reason: Reason::ExitAlwaysOpen
            }
        );
    }

    #[test]
    fn a_missing_entitlement_is_named_on_the_way_in_and_traps_nobody() {
        let settings = Settings {
            required_entitlements: 0b11,
            ..settings()
        };
        let standing = Standing {
            health: HealthOutcome::Green,
            entitlements: 0b01,
            ..Standing::unknown()
        };
        assert_eq!(
            ruled(&settings, Direction::Entry, &standing).reason,
            Reason::NoAccessRights
        );
        assert_eq!(
            ruled(&settings, Direction::Exit, &standing).verdict,
            Verdict::Grant
        );
    }
}
