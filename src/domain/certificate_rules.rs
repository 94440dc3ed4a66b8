//! `[[certificate]]`, in a config or a directive: rules that concern more than one key, or need more than a type.

use super::certificate::CertificateRules;
use super::policy::{Broken, broken};

/// As many as there are countries, about.
const RULES_MAX: usize = 256;
/// Names in one rule.
const NAMES_MAX: usize = 256;
/// Ten years.
const DAYS_MAX: u16 = 3_653;
/// Thirty days.
const HOURS_MAX: u16 = 720;

/// Checks every rule.
///
/// # Errors
/// [`Broken`]: the first that does not hold.
pub fn check(rules: &[CertificateRules]) -> Result<(), Broken> {
    if rules.len() > RULES_MAX {
        let sentence = format!(
            "{} rules are given; allowed are up to {RULES_MAX}",
            rules.len()
        );
        return broken("certificate", sentence);
    }
    let mut for_all = None;
    for (i, rule) in rules.iter().enumerate() {
        if let Some(first) = for_all {
            let sentence = format!(
                "certificate[{first}] is for every region; nothing behind it is ever asked"
            );
            return broken(format!("certificate[{i}]"), sentence);
        }
        if rule.region.is_none() {
            for_all = Some(i);
        }
        check_names(i, rule)?;
        check_times(i, rule)?;
    }
    Ok(())
}

fn check_names(i: usize, rule: &CertificateRules) -> Result<(), Broken> {
    let product = rule.dose.as_ref().and_then(|dose| dose.product.as_ref());
    for (key, names) in [
        ("region", rule.region.as_ref()),
        ("disease", Some(&rule.disease)),
        ("dose.product", product),
    ] {
        let Some(names) = names else { continue };
        if !(1..=NAMES_MAX).contains(&names.len()) || names.iter().any(String::is_empty) {
            let sentence = format!("allowed are 1 to {NAMES_MAX} names, none of them empty");
            return broken(format!("certificate[{i}].{key}"), sentence);
        }
    }
    Ok(())
}

fn check_times(i: usize, rule: &CertificateRules) -> Result<(), Broken> {
    let at = |key: &str| format!("certificate[{i}].{key}");
    let (dose, test, recovery) = (
        rule.dose.as_ref(),
        rule.test.as_ref(),
        rule.recovery.as_ref(),
    );
    for (key, days) in [
        ("dose.from_days", dose.map(|dose| dose.from_days)),
        ("dose.until_days", dose.and_then(|dose| dose.until_days)),
        (
            "dose.booster_until_days",
            dose.and_then(|dose| dose.booster_until_days),
        ),
        ("test.positive_days", test.map(|test| test.positive_days)),
        (
            "recovery.from_days",
            recovery.map(|recovery| recovery.from_days),
        ),
        (
            "recovery.until_days",
            recovery.and_then(|recovery| recovery.until_days),
        ),
    ] {
        if let Some(days) = days.filter(|days| *days > DAYS_MAX) {
            return broken(
                at(key),
                format!("{days} days are outside 0 to {DAYS_MAX} days"),
            );
        }
    }
    for (key, hours) in [
        (
            "test.nucleic_acid_hours",
            test.and_then(|test| test.nucleic_acid_hours),
        ),
        (
            "test.antigen_hours",
            test.and_then(|test| test.antigen_hours),
        ),
    ] {
        if let Some(hours) = hours.filter(|hours| !(1..=HOURS_MAX).contains(hours)) {
            return broken(
                at(key),
                format!("{hours} hours are outside 1 to {HOURS_MAX} hours"),
            );
        }
    }
    if let Some(dose) = dose {
        if !(1..=2).contains(&dose.series) {
            let sentence = format!(
                "a series has 1 or 2 doses, not {}: the third is a booster",
                dose.series
            );
            return broken(at("dose.series"), sentence);
        }
        if dose.until_days.is_some_and(|until| until < dose.from_days) {
            return broken(at("dose.until_days"), "this is before dose.from_days");
        }
    }
    if let Some(recovery) = recovery
        && recovery
            .until_days
            .is_some_and(|until| until < recovery.from_days)
    {
        return broken(
            at("recovery.until_days"),
            "this is before recovery.from_days",
        );
    }
    Ok(())
}
