//! `[policy]` and the policy file: rules that concern more than one key, or need more than a type.

use super::rules::{Broken, broken};
use super::tree::{Config, Policy, Rules};
use crate::domain::Rule;

/// More than there are provinces and issuers of one site.
const OVERLAYS_MAX: usize = 64;
/// Names in one overlay.
const NAMES_MAX: usize = 64;
const NOBODY_IS_TRAPPED: &str =
    "nobody is trapped: on the way out only \"open\" and \"assist\" are allowed";

/// A policy stands in one place.
pub(super) fn check_either(config: &Config) -> Result<(), Broken> {
    let here = config.policy != Policy::default() || !config.certificates.is_empty();
    if config.policy_file.is_some() && here {
        return broken(
            "policy_file",
            "the policy is in that file: take the tables [policy] and [[certificate]] out of this one",
        );
    }
    Ok(())
}

/// Checks a policy whose keys begin with `at`; the first rule that does not hold is the answer.
pub(super) fn check(at: &str, policy: &Policy) -> Result<(), Broken> {
    let required = &policy.required;
    if required.is_empty() {
        return broken(
            format!("{at}required"),
            "somebody needs at least one thing to pass: \"health\", \"ride\"; a lane that lets everybody pass has mode \"free\"",
        );
    }
    let twice = |(n, one)| required.iter().take(n).any(|before| before == one);
    if required.iter().enumerate().any(twice) {
        return broken(format!("{at}required"), "the same is required twice");
    }
    check_exit(at, policy)?;
    if policy.overlay.len() > OVERLAYS_MAX {
        let sentence = format!(
            "{} overlays are given; allowed are up to {OVERLAYS_MAX}",
            policy.overlay.len()
        );
        return broken(format!("{at}overlay"), sentence);
    }
    for (i, overlay) in policy.overlay.iter().enumerate() {
        let names = overlay.issuer.len().max(overlay.region.len());
        if names > NAMES_MAX {
            let sentence = format!("{names} names are given; allowed are up to {NAMES_MAX}");
            return broken(format!("{at}overlay[{i}]"), sentence);
        }
        if names == 0 {
            let sentence = "an overlay names an `issuer` or a `region`; for everybody change the rules themselves";
            return broken(format!("{at}overlay[{i}]"), sentence);
        }
        if overlay.exit.holds() {
            return broken(format!("{at}overlay[{i}].exit"), NOBODY_IS_TRAPPED);
        }
    }
    Ok(())
}

fn check_exit(at: &str, policy: &Policy) -> Result<(), Broken> {
    let Rules {
        green,
        yellow,
        red,
        unknown,
        not_applied,
        query_failed,
        timed_out,
        stale,
        trust_expired,
        clock_untrusted,
        // Too little of it is a case for staff on the way out, whatever is asked for.
        assurance: _,
    } = policy.exit;
    let rules = [
        ("green", green),
        ("yellow", yellow),
        ("red", red),
        ("unknown", unknown),
        ("not_applied", not_applied),
        ("query_failed", query_failed),
        ("timed_out", timed_out),
        ("stale", stale),
        ("trust_expired", trust_expired),
        ("clock_untrusted", clock_untrusted),
    ];
    for (key, rule) in rules {
        if rule == Rule::Hold {
            return broken(format!("{at}exit.{key}"), NOBODY_IS_TRAPPED);
        }
    }
    Ok(())
}
