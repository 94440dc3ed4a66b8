//! Makes a day that fails shorter, until nothing is left but what makes it fail.

use std::collections::BTreeSet;
use std::sync::Arc;

use super::{Day, Options, SimulationError, day};

/// Days that one shrinking may cost.
const DAYS_MAX: usize = 400;

/// A failing day with as little in it as could be found.
#[derive(Clone, Debug)]
pub struct Shrunk {
    /// The items that are left, by their numbers.
    pub items: BTreeSet<usize>,
    /// How many there were.
    pub of: usize,
    /// The shorter day.
    pub day: Day,
}

/// Leaves out parts of the day of a seed for as long as the same rule is broken: halves first, single items last.
///
/// # Errors
/// As [`day`].
pub fn shrink(seed: u64, options: &Options) -> Result<Option<Shrunk>, SimulationError> {
    let whole = day(seed, options)?;
    let Some(rule) = whole.violation.as_deref().map(rule) else {
        return Ok(None);
    };
    let of = whole.items;
    let mut best = Shrunk {
        items: (0..of).collect(),
        of,
        day: whole,
    };
    let mut size = of.div_ceil(2).max(1);
    let mut days = 0;
    loop {
        let mut shorter = false;
        let items: Vec<_> = best.items.iter().copied().collect();
        for part in items.chunks(size) {
            let without: BTreeSet<_> = best
                .items
                .iter()
                .copied()
                .filter(|item| !part.contains(item))
                .collect();
            if without.len() == best.items.len() {
                continue;
            }
            days += 1;
            if days > DAYS_MAX {
                return Ok(Some(best));
            }
            let options = Options {
                only: Some(Arc::new(without.clone())),
                ..options.clone()
            };
            let day = day(seed, &options)?;
            if day.violation.as_deref().map(self::rule) == Some(rule.clone()) {
                (best.items, best.day, shorter) = (without, day, true);
            }
        }
        if size == 1 && !shorter {
            return Ok(Some(best));
        }
        size = if shorter { size } else { size.div_ceil(2) };
        size = size.min(best.items.len()).max(1);
    }
}

/// Which rule a violation is of: without the numbers in it.
fn rule(violation: &str) -> String {
    violation
        .chars()
        .filter(|char| !char.is_ascii_digit())
        .collect()
}
