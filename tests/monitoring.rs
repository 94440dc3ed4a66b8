//! What `monitoring/` says of the metrics is true: the table is the registry's, the rules are about series that exist, and each
//! fires for its fault. `METRICS_TABLE=write cargo test --test monitoring` writes the table anew.

#![expect(clippy::unwrap_used, reason = "what cannot be set up has failed")]

use std::fmt::Write as _;
use std::fs;
use std::io::Write as _;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

use prometheus::Registry;
use turnstiled::telemetry::Metrics;

fn monitoring(file: &str) -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR"))
        .join("monitoring")
        .join(file)
}

fn metrics() -> Metrics {
    Metrics::new(&Registry::new()).unwrap()
}

/// `promtool`, which the set-up installs. Without it the test says so and checks nothing.
fn promtool(args: &[&str], input: &str) -> Option<(bool, String)> {
    let child = Command::new("promtool")
        .args(args)
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn();
    let Ok(mut child) = child else {
        eprintln!("SKIPPED: promtool is not installed (Debian package prometheus)");
        return None;
    };
    child
        .stdin
        .take()
        .unwrap()
        .write_all(input.as_bytes())
        .unwrap();
    let done = child.wait_with_output().unwrap();
    let said = [done.stdout, done.stderr].concat();
    Some((
        done.status.success(),
        String::from_utf8_lossy(&said).into_owned(),
    ))
}

#[test]
fn the_table_of_metrics_is_the_one_of_the_registry() {
    let mut table = String::from(
        "# Metrics\n\nMade from the registry: `METRICS_TABLE=write cargo test --test monitoring`. Each label is a name of the config or a word \
         of an enum; nothing in a label or a value can say who somebody is.\n\n| Series | Kind | Labels | Says |\n|---|---|---|---|\n",
    );
    for series in metrics().described() {
        let labels = series.labels.join(", ");
        let (name, kind, help) = (&series.name, series.kind, &series.help);
        writeln!(table, "| `{name}` | {kind} | {labels} | {help} |").unwrap();
    }
    let path = monitoring("metrics.md");
    if std::env::var_os("METRICS_TABLE").is_some() {
        fs::write(&path, &table).unwrap();
    }
    assert!(
        fs::read_to_string(&path).unwrap() == table,
        "monitoring/metrics.md is stale: METRICS_TABLE=write cargo test --test monitoring"
    );
}

#[test]
fn rules_and_panels_are_about_series_that_exist() {
    let metrics = metrics();
    let names: Vec<_> = metrics
        .described()
        .iter()
        .map(|series| series.name.as_str())
        .collect();
    for file in ["alerts.yml", "alerts_test.yml", "dashboard.json"] {
        let text = fs::read_to_string(monitoring(file)).unwrap();
        let words = text.split(|c: char| !c.is_ascii_alphanumeric() && c != '_');
        let mut found = 0;
        for word in words.filter(|word| word.starts_with("turnstile_")) {
            let series = ["_bucket", "_sum", "_count"]
                .iter()
                .find_map(|end| word.strip_suffix(end).filter(|name| names.contains(name)));
            assert!(
                names.contains(&series.unwrap_or(word)),
                "{file}: there is no series {word}"
            );
            found += 1;
        }
        assert!(found > 0, "{file} is about nothing");
    }
}

#[test]
fn every_series_is_on_the_dashboard() {
    let text = fs::read_to_string(monitoring("dashboard.json")).unwrap();
    for series in metrics().described() {
        let ends = ["", "_bucket"].map(|end| format!("{}{end}", series.name));
        let on_a_panel = text
            .split(|c: char| !c.is_ascii_alphanumeric() && c != '_')
            .any(|word| ends.iter().any(|name| name == word));
        assert!(on_a_panel, "nobody sees {} on the dashboard", series.name);
    }
}

#[test]
fn each_alert_fires_for_its_fault() {
    let (rules, tests) = (monitoring("alerts.yml"), monitoring("alerts_test.yml"));
    for args in [
        ["check", "rules", &rules.to_string_lossy()],
        ["test", "rules", &tests.to_string_lossy()],
    ] {
        let Some((good, said)) = promtool(&args, "") else {
            return;
        };
        assert!(good, "{said}");
    }
    let (rules, tests) = (
        fs::read_to_string(rules).unwrap(),
        fs::read_to_string(tests).unwrap(),
    );
    for alert in rules
        .lines()
        .filter_map(|line| line.trim().strip_prefix("- alert: "))
    {
        assert!(
            tests.contains(&format!("alertname: {alert}\n")),
            "{alert} has no test"
        );
    }
}

#[test]
fn a_scrape_is_as_prometheus_wants_it() {
    let metrics = metrics();
    metrics
        .presentations
        .with_label_values(&["north", "qr_code", "granted"])
        .inc();
    metrics
        .stages
        .own_share
        .with_label_values(&["north"])
        .observe(0.003);
    metrics
        .device_up
        .with_label_values(&["entry-camera"])
        .set(1);
    metrics.list_age.with_label_values(&["health"]).set(3.0);
    let text = metrics.render().unwrap();
    let Some((good, said)) = promtool(&["check", "metrics"], &text) else {
        return;
    };
    assert!(good && said.trim().is_empty(), "{said}");
}
