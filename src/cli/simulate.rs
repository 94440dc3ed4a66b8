//! `turnstiled simulate`.

use std::io::Write as _;
use std::ops::Range;
use std::time::Duration;

use serde::Serialize;

use super::{Failure, SOFTWARE, output};
use crate::drivers::MonoClock;
use crate::lab::simulate::{self, Options, Summary};
use crate::telemetry::log;

/// Most days of one call.
const SEEDS_MAX: u64 = 10_000_000;

/// Arguments.
#[derive(Debug, clap::Args)]
pub struct Args {
    /// The days to live through: from the first seed up to, and without, the second
    #[arg(long, default_value = "1..101", value_parser = seeds, value_name = "A..B")]
    seeds: Range<u64>,
    /// Lanes of each gate; each seed draws its own number if nothing is said
    #[arg(long, value_parser = clap::value_parser!(u8).range(1..=4), value_name = "N")]
    lanes: Option<u8>,
    /// How many hours each day has trouble, 0.01 to 24; some minutes if nothing is said
    #[arg(long, value_parser = hours, value_name = "H")]
    hours: Option<f64>,
    /// Only these items of a single seed happen, as a shrunk failure names them
    #[arg(long, value_delimiter = ',', value_name = "N,N,...")]
    only: Vec<usize>,
    /// End after so many minutes, whatever seeds are left
    #[arg(long, value_parser = clap::value_parser!(u64).range(1..=100_000), value_name = "M")]
    minutes: Option<u64>,
    /// The pairs of state and input that no day reached, a line each
    #[arg(long)]
    pairs: bool,
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

fn hours(text: &str) -> Result<f64, String> {
    let hours: Option<f64> = text.parse().ok();
    hours
        .filter(|hours| (0.01..=24.0).contains(hours))
        .ok_or_else(|| "a number of hours from 0.01 to 24".into())
}

impl Args {
    fn options(&self) -> Options {
        let only = std::sync::Arc::new(self.only.iter().copied().collect());
        Options {
            lanes: self.lanes,
            hours: self.hours,
            only: (!self.only.is_empty()).then_some(only),
            ..Options::default()
        }
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
        return trace(args, &mut out);
    }
    let clock = MonoClock::start();
    let until = args
        .minutes
        .map(|minutes| Duration::from_secs(minutes.saturating_mul(60)));
    let mut summary = Summary::default();
    for seed in args.seeds.clone() {
        let day = simulate::day(seed, &args.options());
        summary.add(seed, day.map_err(|error| Failure::new(SOFTWARE, &error))?);
        let passed = clock.now().since(crate::domain::Mono::default());
        if until.is_some_and(|until| passed >= until) {
            break;
        }
    }
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
        if let Some(failure) = summary.failures.first() {
            shrink(args, failure.seed, &mut out)?;
        }
    }
    if args.pairs {
        for (machine, state, input, _) in summary.reached.all().iter().filter(|pair| !pair.3) {
            writeln!(out, "{machine} | {state} | {input}").map_err(|error| output(&error))?;
        }
    }
    Ok(u8::from(summary.violations > 0))
}

fn trace(args: &Args, out: &mut impl std::io::Write) -> Result<u8, Failure> {
    let seed = args.seeds.start;
    let options = Options {
        traced: true,
        ..args.options()
    };
    let day = simulate::day(seed, &options).map_err(|error| Failure::new(SOFTWARE, &error))?;
    for line in &day.trace {
        writeln!(out, "{line}").map_err(|error| output(&error))?;
    }
    let end = day.violation.as_deref().unwrap_or("every rule held");
    writeln!(out, "seed {seed}: {end}").map_err(|error| output(&error))?;
    Ok(u8::from(day.violation.is_some()))
}

/// Says with how little of its day a seed still fails.
fn shrink(args: &Args, seed: u64, out: &mut impl std::io::Write) -> Result<(), Failure> {
    let shrunk = simulate::shrink(seed, &args.options());
    let Some(shrunk) = shrunk.map_err(|error| Failure::new(SOFTWARE, &error))? else {
        return Ok(());
    };
    let items: Vec<_> = shrunk.items.iter().map(ToString::to_string).collect();
    let (left, of, next) = (items.len(), shrunk.of, seed + 1);
    let items = items.join(",");
    let mut again = format!("--seeds {seed}..{next}");
    if let Some(lanes) = args.lanes {
        again += &format!(" --lanes {lanes}");
    }
    if let Some(hours) = args.hours {
        again += &format!(" --hours {hours}");
    }
    writeln!(
        out,
        "seed {seed} still fails with {left} of its {of} items: {again} --only {items} --trace"
    )
    .map_err(|error| output(&error))
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
        pairs: (pairs, reached),
        ..
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
        "{violations} violations, {:.0} passages a second, {reached} of {pairs} pairs of state and input",
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
