//! `turnstiled simulate`.

use std::io::Write as _;
use std::ops::Range;

use serde::Serialize;

use super::{Failure, SOFTWARE, output};
use crate::drivers::MonoClock;
use crate::lab::simulate::{self, Summary};
use crate::telemetry::log;

/// Most days of one call.
const SEEDS_MAX: u64 = 10_000_000;

/// Arguments.
#[derive(Debug, clap::Args)]
pub struct Args {
    /// The days to live through: from the first seed up to, and without, the second
    #[arg(long, default_value = "1..101", value_parser = seeds, value_name = "A..B")]
    seeds: Range<u64>,
    /// The summary is one JSON object
    #[arg(long)]
    json: bool,
    /// Everything that happens, a line each, for a single seed
    #[arg(long)]
    trace: bool,
}

fn seeds(text: &str) -> Result<Range<u64>, String> {
    let allowed =
        || format!("two numbers like 1..101, the second larger, at most {SEEDS_MAX} apart");
    let (from, to) = text.split_once("..").ok_or_else(allowed)?;
    let (from, to): (u64, u64) = (
        from.parse().map_err(|_| allowed())?,
        to.parse().map_err(|_| allowed())?,
    );
    if from < to && to - from <= SEEDS_MAX {
        Ok(from..to)
    } else {
        Err(allowed())
    }
}

/// The summary with what only the clock on the wall knows.
#[derive(Serialize)]
struct Told<'a> {
    #[serde(flatten)]
    summary: &'a Summary,
    seconds: f64,
    passages_per_second: f64,
}

/// Runs the simulator; 1 if a rule was broken.
///
/// # Errors
/// [`Failure`].
pub fn run(args: &Args) -> Result<u8, Failure> {
    log::start("off");
    let mut out = std::io::stdout().lock();
    if args.trace {
        return trace(args.seeds.start, &mut out);
    }
    let clock = MonoClock::start();
    let summary =
        simulate::days(args.seeds.clone()).map_err(|error| Failure::new(SOFTWARE, &error))?;
    let seconds = clock
        .now()
        .since(crate::domain::Mono::default())
        .as_secs_f64();
    let told = Told {
        summary: &summary,
        seconds,
        passages_per_second: summary.passages as f64 / seconds.max(1e-9),
    };
    if args.json {
        let json = serde_json::to_string(&told).map_err(|error| Failure::new(SOFTWARE, &error))?;
        writeln!(out, "{json}").map_err(|error| output(&error))?;
    } else {
        tell(&told, &mut out).map_err(|error| output(&error))?;
    }
    Ok(u8::from(summary.violations > 0))
}

fn trace(seed: u64, out: &mut impl std::io::Write) -> Result<u8, Failure> {
    let day = simulate::day(seed, None, true).map_err(|error| Failure::new(SOFTWARE, &error))?;
    for line in &day.trace {
        writeln!(out, "{line}").map_err(|error| output(&error))?;
    }
    let end = day.violation.as_deref().unwrap_or("every rule held");
    writeln!(out, "seed {seed}: {end}").map_err(|error| output(&error))?;
    Ok(u8::from(day.violation.is_some()))
}

fn tell(told: &Told<'_>, out: &mut impl std::io::Write) -> std::io::Result<()> {
    let Summary {
        seeds,
        passages,
        grants,
        presentations,
        virtual_hours,
        violations,
        faults,
        failures,
    } = told.summary;
    writeln!(
        out,
        "{seeds} days, {virtual_hours:.1} hours: {presentations} presentations, {grants} grants, {passages} passages"
    )?;
    for (fault, count) in faults {
        writeln!(out, "  {count:>7} {fault}")?;
    }
    writeln!(
        out,
        "{violations} violations, {:.0} passages a second",
        told.passages_per_second
    )?;
    for failure in failures {
        let (seed, next) = (failure.seed, failure.seed + 1);
        writeln!(
            out,
            "seed {seed}: {}; see it with --seeds {seed}..{next} --trace",
            failure.violation
        )?;
    }
    Ok(())
}
