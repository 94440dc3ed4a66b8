//! The policy of a gate in plain words, decided by the function that the gate decides by.

use crate::config::Config;
use crate::core::{Settings, preview};
use crate::domain::{
    Assurance, Credential, Direction, HealthOutcome, IssuerId, Medium, Rule, Standing, Utc, Verdict,
};
use crate::runtime::settings::core_settings;

pub(super) const OUTCOMES: [(HealthOutcome, &str); 7] = [
    (HealthOutcome::Green, "green"),
    (HealthOutcome::Yellow, "yellow"),
    (HealthOutcome::Red, "red"),
    (HealthOutcome::NotApplied, "not applied"),
    (HealthOutcome::Unknown, "unknown"),
    (HealthOutcome::QueryFailed, "query failed"),
    (HealthOutcome::TimedOut, "timed out"),
];

/// What becomes of whom: `entry, yellow, ride valid -> assist`, and for whom an overlay says something else.
pub(super) fn policy(config: &Config) -> Vec<String> {
    let settings = core_settings(config);
    let Ok(anybody) = IssuerId::new("anybody") else {
        return Vec::new();
    };
    let everybody = table(&settings, &anybody, 0);
    let mut lines = vec!["policy, for whoever is in time and by lists that are fresh:".to_owned()];
    lines.extend(everybody.iter().map(|line| format!("  {line}")));
    for overlay in &config.policy.overlay {
        // One of those it is for stands for all of them, unless an overlay before takes them away.
        let issuer = overlay.issuer.first().unwrap_or(&anybody);
        let region = overlay.region.first().copied().unwrap_or(0);
        let names: Vec<_> = overlay.issuer.iter().map(ToString::to_string).collect();
        let regions: Vec<_> = overlay.region.iter().map(ToString::to_string).collect();
        let mut whom = Vec::new();
        if !names.is_empty() {
            whom.push(format!("what {} made", names.join(" or ")));
        }
        if !regions.is_empty() {
            whom.push(format!("standings from region {}", regions.join(" or ")));
        }
        lines.push(format!("for {}, otherwise:", whom.join(", ")));
        let theirs = table(&settings, issuer, region);
        let other = theirs.iter().filter(|line| !everybody.contains(line));
        let before = lines.len();
        lines.extend(other.map(|line| format!("  {line}")));
        if lines.len() == before {
            lines.push("  nothing".to_owned());
        }
    }
    lines
}

fn table(settings: &Settings, issuer: &IssuerId, region: u8) -> Vec<String> {
    let required = settings.required_entitlements;
    let rides: &[(u16, &str)] = if required == 0 {
        &[(0, "")]
    } else {
        &[(u16::MAX, ", ride valid"), (0, ", no ride")]
    };
    let mut lines = Vec::new();
    for direction in [Direction::Entry, Direction::Exit] {
        for (health, word) in OUTCOMES {
            for (entitlements, ride) in rides {
                let standing = Standing {
                    health,
                    region,
                    entitlements: *entitlements,
                    ..Standing::unknown()
                };
                let shown = plain(issuer);
                let now = Some(Utc::from_secs(0));
                let (verdict, reason) = preview(settings, direction, &shown, &standing, now);
                lines.push(format!(
                    "{direction}, {word}{ride} -> {} ({})",
                    word_of(verdict),
                    reason.as_str()
                ));
            }
        }
    }
    lines
}

/// A credential that asks for nothing special.
fn plain(issuer: &IssuerId) -> Credential {
    Credential {
        issuer: issuer.clone(),
        medium: Medium::QrCode,
        assurance: Assurance::Authenticated,
        keys: Vec::new(),
        replay: None,
        valid_from: None,
        valid_until: None,
        alone: Rule::Open,
        unknown: None,
        trust_expired: false,
    }
}

/// What happens, in the words of the config.
pub(super) const fn word_of(verdict: Verdict) -> &'static str {
    match verdict {
        Verdict::Grant => "open",
        Verdict::Assist => "assist",
        Verdict::Deny => "hold",
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_policy_is_told_as_the_gate_decides_it_and_overlays_by_what_they_change() {
        let path = concat!(env!("CARGO_MANIFEST_DIR"), "/hardware/example.toml");
        let text = std::fs::read_to_string(path).unwrap();
        let said = |policy: &str| {
            let text = text.replace("[policy]\n", &format!("[policy]\n{policy}\n"));
            let config = crate::config::parse(std::path::Path::new(path), &text).unwrap();
            policy_lines(&config)
        };
        let health = said("");
        for line in [
            "entry, green -> open (in_order)",
            "entry, yellow -> assist (yellow_code)",
            "exit, red -> open (exit_always_open)",
        ] {
            assert!(health.contains(line), "{line}: {health}");
        }
        let both = said(
            "required = [\"health\", \"ride\"]\n\
             [[policy.overlay]]\nissuer = [\"national\"]\nregion = [31]\nentry = { yellow = \"open\" }",
        );
        for line in [
            "  entry, yellow, ride valid -> assist (yellow_code)",
            "  entry, green, no ride -> hold (no_access_rights)",
            "  exit, green, no ride -> assist (no_access_rights)",
            "for what national made, standings from region 31, otherwise:\n  entry, yellow, ride valid -> open (site_rule)\n  entry, yellow, no ride -> hold",
        ] {
            assert!(both.contains(line), "{line}: {both}");
        }
        let ride = said("required = [\"ride\"]");
        for line in [
            "entry, red, ride valid -> open (in_order)",
            "entry, not applied, no ride -> hold (no_access_rights)",
            "entry, unknown, ride valid -> open (in_order)",
            "entry, unknown, no ride -> hold (unknown_credential)",
        ] {
            assert!(ride.contains(line), "{line}: {ride}");
        }
    }

    fn policy_lines(config: &Config) -> String {
        policy(config).join("\n")
    }
}
