//! `turnstiled backend directive`: signs what the centre wants of a gate or a group of gates for a time.

use std::path::PathBuf;
use std::time::Duration;

use super::backend::BackendRunError;
use super::lane::seconds;
use crate::backend::BackendError;
use crate::backend::directives::{Publication, PublishError, publish};
use crate::config;
use crate::domain::directive::{LaneMode, PolicyChange, Target};
use crate::domain::{GateId, Mode, Utc};

/// `turnstiled backend directive`
#[derive(Clone, Debug, clap::Args)]
pub struct DirectiveArgs {
    /// Where the backend lives; one may be running there
    #[arg(long, value_name = "DIRECTORY")]
    pub data: PathBuf,
    /// For one gate
    #[arg(long, value_parser = GateId::new, required_unless_present = "group", conflicts_with = "group")]
    pub gate: Option<GateId>,
    /// For every gate whose config names this group
    #[arg(long, value_parser = GateId::new)]
    pub group: Option<GateId>,
    /// A mode for every lane, or LANE=MODE for one; may be repeated
    #[arg(long, value_name = "[LANE=]MODE", value_parser = lane_mode)]
    pub mode: Vec<LaneMode>,
    /// A rule of the policy meanwhile, like entry.yellow=open; may be repeated
    #[arg(long, value_name = "SIDE.OUTCOME=RULE", value_parser = rule)]
    pub rule: Vec<Rule>,
    /// The whole policy meanwhile, in the place of what each gate's config says: a policy file, as `policy_file` names one
    #[arg(long, value_name = "FILE", conflicts_with = "rule")]
    pub policy: Option<PathBuf>,
    /// For how long: 90s, 30m, 8h; at most 24h for free and emergency
    #[arg(long = "for", value_name = "TIME", value_parser = seconds, required_unless_present = "end")]
    pub lasts: Option<u32>,
    /// From when, like 2026-11-24T22:00:00+08:00; without it: from now on
    #[arg(long, value_name = "TIME")]
    pub from: Option<jiff::Timestamp>,
    /// End the one before, and want nothing
    #[arg(long, conflicts_with_all = ["mode", "rule", "policy", "lasts", "from"])]
    pub end: bool,
}

/// A rule by its path.
#[derive(Clone, Debug)]
pub struct Rule {
    side: String,
    outcome: String,
    rule: String,
}

/// Publishes; gives a sentence about what gates will do.
///
/// # Errors
/// [`BackendRunError`]; the directive before stays in force then.
pub fn run(args: &DirectiveArgs, now: Utc) -> Result<String, BackendRunError> {
    let target = match (&args.gate, &args.group) {
        (Some(gate), _) => Target::Gate(gate.clone()),
        (None, Some(group)) => Target::Group(group.clone()),
        // The arguments have asked for one of the two.
        (None, None) => return Err(BackendError::NoList.into()),
    };
    let policy = match &args.policy {
        Some(file) => config::load_policy(file)?.into_change(),
        None => policy(&args.rule).map_err(PublishError::from)?,
    };
    let from = args.from.map_or(now, |from| {
        Utc::from_millis(u64::try_from(from.as_millisecond()).unwrap_or(0))
    });
    let lasts = Duration::from_secs(args.lasts.unwrap_or(60).into());
    let wanted = Publication {
        target,
        not_before: from,
        not_after: from + lasts,
        modes: args.mode.clone(),
        policy,
    };
    let directive = publish(&args.data, wanted, now)?;
    let (target, version) = (&directive.target, directive.version);
    if directive.modes.is_empty() && directive.policy.is_empty() {
        return Ok(format!(
            "directive {version} for {target}: whatever was wanted before is over"
        ));
    }
    let modes = directive.modes.iter().map(|wanted| {
        let lane = wanted.lane.as_deref().unwrap_or("every lane");
        format!("{lane}: {}", wanted.mode.as_str())
    });
    let rules = args.rule.iter();
    let rules = rules.map(|one| format!("{}.{} = {}", one.side, one.outcome, one.rule));
    let whole = args.policy.iter();
    let whole = whole.map(|file| format!("the policy of {}", file.display()));
    let what: Vec<_> = modes.chain(rules).chain(whole).collect();
    Ok(format!(
        "directive {version} for {target}: {}; from {} until {}",
        what.join(", "),
        date(directive.not_before),
        date(directive.not_after)
    ))
}

fn policy(rules: &[Rule]) -> Result<PolicyChange, serde_json::Error> {
    let mut policy = serde_json::Map::new();
    for Rule {
        side,
        outcome,
        rule,
    } in rules
    {
        let side = policy
            .entry(side.clone())
            .or_insert_with(|| serde_json::Value::Object(serde_json::Map::new()));
        if let Some(side) = side.as_object_mut() {
            side.insert(outcome.clone(), rule.clone().into());
        }
    }
    serde_json::from_value(policy.into())
}

fn lane_mode(text: &str) -> Result<LaneMode, String> {
    let (lane, word) = match text.split_once('=') {
        Some((lane, word)) => (Some(lane.to_owned()), word),
        None => (None, text),
    };
    let mode = Mode::parse(word).ok_or_else(|| {
        let modes = Mode::ALL.map(Mode::as_str).join(", ");
        format!("a mode is one of {modes}")
    })?;
    Ok(LaneMode { lane, mode })
}

fn rule(text: &str) -> Result<Rule, String> {
    let parts = || {
        let (path, rule) = text.split_once('=')?;
        let (side, outcome) = path.split_once('.')?;
        Some(Rule {
            side: side.into(),
            outcome: outcome.into(),
            rule: rule.into(),
        })
    };
    let rule = parts().ok_or_else(|| "a rule looks like entry.yellow=open".to_owned())?;
    policy(std::slice::from_ref(&rule)).map_err(|error| error.to_string())?;
    Ok(rule)
}

fn date(at: Utc) -> String {
    let seconds = i64::try_from(at.as_secs()).unwrap_or(i64::MAX);
    jiff::Timestamp::from_second(seconds).map_or_else(|_| "?".into(), |at| at.to_string())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_rule_that_no_policy_has_is_refused_with_those_it_has() {
        assert!(rule("entry.yellow=open").is_ok());
        assert!(rule("entry.yellow").is_err());
        assert!(rule("entry.purple=open").unwrap_err().contains("yellow"));
        assert!(rule("entry.yellow=ajar").unwrap_err().contains("open"));
        assert!(rule("roof.yellow=open").unwrap_err().contains("entry"));
    }

    #[test]
    fn what_was_published_is_newer_than_what_was_before_and_a_fault_changes_nothing() {
        let dir = tempfile::tempdir().unwrap();
        let args = |mode: &str, lasts| DirectiveArgs {
            data: dir.path().into(),
            gate: Some(GateId::new("g").unwrap()),
            group: None,
            mode: vec![lane_mode(mode).unwrap()],
            rule: vec![rule("entry.yellow=open").unwrap()],
            policy: None,
            lasts: Some(lasts),
            from: None,
            end: false,
        };
        let now = Utc::from_secs(1_900_000_000);
        let said = run(&args("in=closed", 60), now).unwrap();
        assert_eq!(
            said,
            "directive 1900000000 for gate:g: in: closed, entry.yellow = open; from 2030-03-17T17:46:40Z \
             until 2030-03-17T17:47:40Z"
        );
        assert!(run(&args("free", 86_401), now).is_err());
        // A whole policy, which is refused as a config would be.
        let file = dir.path().join("policy.toml");
        let with = |text: &str| {
            std::fs::write(&file, text).unwrap();
            let args = DirectiveArgs {
                rule: Vec::new(),
                policy: Some(file.clone()),
                ..args("in=closed", 60)
            };
            run(&args, now).map_err(|error| (error.exit_code(), error.to_string()))
        };
        let (code, why) = with("required = [\"rides\"]").unwrap_err();
        assert_eq!(code, 78);
        assert!(
            why.contains("policy.toml") && why.contains("\"ride\""),
            "{why}"
        );
        let said =
            with("required = [\"ride\"]\n[[overlay]]\nregion = [4]\nentry = { red = \"open\" }")
                .unwrap();
        assert!(
            said.starts_with("directive 1900000001 for gate:g: in: closed, the policy of "),
            "{said}"
        );
        let end = DirectiveArgs {
            end: true,
            mode: Vec::new(),
            rule: Vec::new(),
            lasts: None,
            ..args("free", 1)
        };
        let said = run(&end, now).unwrap();
        assert!(
            said.starts_with("directive 1900000002 for gate:g: whatever"),
            "{said}"
        );
    }
}
