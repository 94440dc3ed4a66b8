//! What the operator's centre wants of a gate for a time: lane modes, and rules of its policy.

use std::fmt;

use serde::{Deserialize, Serialize};

use super::certificate::CertificateRules;
use super::certificate_rules;
use super::decision::Rule;
use super::ids::GateId;
use super::mode::Mode;
use super::policy::{Broken, Overlay, Requirement, check_overlays, check_required};
use super::tag::Assurance;
use super::time::Utc;

/// Longest time that a directive may open a lane to everybody, seconds: on expiry the schedule returns.
pub const OPEN_S_MAX: u64 = 24 * 3600;
/// Longest time of any directive, seconds.
pub const LASTS_S_MAX: u64 = 366 * 86_400;
/// Most lane modes of one directive.
pub const MODES_MAX: usize = 16;

/// Whom a directive is for.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Target {
    /// One gate.
    Gate(GateId),
    /// Every gate whose config names this group.
    Group(GateId),
}

impl fmt::Display for Target {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Gate(name) => write!(f, "gate:{name}"),
            Self::Group(name) => write!(f, "group:{name}"),
        }
    }
}

/// A directive. Its version never goes back: a newer one for the same target takes the place of the one before, and one
/// without modes and rules only ends it.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Directive {
    /// Whom it is for.
    #[serde(rename = "for")]
    pub target: Target,
    /// Its version, counted for each target.
    pub version: u64,
    /// In force from here on; seconds since 1970.
    #[serde(with = "seconds")]
    pub not_before: Utc,
    /// In force until here.
    #[serde(with = "seconds")]
    pub not_after: Utc,
    /// Wanted lane modes.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub modes: Vec<LaneMode>,
    /// Rules that are changed meanwhile.
    #[serde(default, skip_serializing_if = "PolicyChange::is_empty")]
    pub policy: PolicyChange,
}

/// A mode for a lane.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct LaneMode {
    /// Name of the lane; absent: every lane that no other entry names.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub lane: Option<String>,
    /// The mode.
    pub mode: Mode,
}

/// What a directive changes of the policy: some rules, or all of it. What is absent stays as the config says.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct PolicyChange {
    /// All that somebody needs to pass.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub required: Option<Vec<Requirement>>,
    /// On the way in.
    #[serde(skip_serializing_if = "RuleChanges::is_empty")]
    pub entry: RuleChanges,
    /// On the way out, where "hold" is refused: nobody is trapped.
    #[serde(skip_serializing_if = "RuleChanges::is_empty")]
    pub exit: RuleChanges,
    /// Rules for some people in the place of all overlays of the site.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub overlay: Option<Vec<Overlay>>,
    /// What counts of health certificates, in the place of all that the site says of them.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub certificate: Option<Vec<CertificateRules>>,
}

impl PolicyChange {
    /// True if nothing is changed.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        *self == Self::default()
    }

    fn check(&self) -> Result<(), Broken> {
        if let Some(required) = &self.required {
            check_required("policy.", required)?;
        }
        if let Some(overlays) = &self.overlay {
            check_overlays("policy.", overlays)?;
        }
        self.certificate
            .as_ref()
            .map_or(Ok(()), |rules| certificate_rules::check(rules))
    }
}

/// Rules by outcome; what is absent stays as the config says.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct RuleChanges {
    /// Green.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub green: Option<Rule>,
    /// Yellow.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub yellow: Option<Rule>,
    /// Red.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub red: Option<Rule>,
    /// No list and no backend knows the person.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub unknown: Option<Rule>,
    /// Known, but has not applied for a code.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub not_applied: Option<Rule>,
    /// The backend could not find out.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub query_failed: Option<Rule>,
    /// Nobody answered in time.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub timed_out: Option<Rule>,
    /// A list is stale.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub stale: Option<Rule>,
    /// The trust list is past its date.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub trust_expired: Option<Rule>,
    /// The decision needs the date and the clock is not trusted.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub clock_untrusted: Option<Rule>,
    /// How much a credential must prove.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub assurance: Option<Assurance>,
}

impl RuleChanges {
    /// True if nothing is changed.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        *self == Self::default()
    }

    /// True if one of them holds people.
    #[must_use]
    pub fn holds(&self) -> bool {
        self.all().contains(&Some(Rule::Hold))
    }

    /// Every rule, changed or not.
    const fn all(&self) -> [Option<Rule>; 10] {
        [
            self.green,
            self.yellow,
            self.red,
            self.unknown,
            self.not_applied,
            self.query_failed,
            self.timed_out,
            self.stale,
            self.trust_expired,
            self.clock_untrusted,
        ]
    }
}

/// Why a directive is refused whole.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum DirectiveFault {
    /// It ends before it begins.
    #[error("it ends before it begins")]
    Reversed,
    /// It lasts longer than any may.
    #[error("it lasts for more than 366 days")]
    TooLong,
    /// It opens a lane for longer than it may.
    #[error("it wants \"{}\" for more than 24 hours", .0.as_str())]
    OpenTooLong(Mode),
    /// More modes than lanes could need.
    #[error("it names {0} modes; allowed are {MODES_MAX}")]
    TooManyModes(usize),
    /// One lane twice.
    #[error("it wants two modes of one lane")]
    LaneTwice,
    /// Somebody would be trapped.
    #[error("it holds people on the way out: only \"open\" and \"assist\" are allowed there")]
    Traps,
    /// Its policy is none that a config could have.
    #[error("key `{}`: {}", .0.key, .0.sentence)]
    Policy(Broken),
}

impl Directive {
    /// Checks what no single field can say.
    ///
    /// # Errors
    /// [`DirectiveFault`] with the first thing that is wrong.
    pub fn check(&self) -> Result<(), DirectiveFault> {
        if self.not_after < self.not_before {
            return Err(DirectiveFault::Reversed);
        }
        let lasts = self.not_after.since(self.not_before).as_secs();
        if lasts > LASTS_S_MAX {
            return Err(DirectiveFault::TooLong);
        }
        if self.modes.len() > MODES_MAX {
            return Err(DirectiveFault::TooManyModes(self.modes.len()));
        }
        let open = self.modes.iter().find(|wanted| wanted.mode.is_open());
        if let Some(open) = open.filter(|_| lasts > OPEN_S_MAX) {
            return Err(DirectiveFault::OpenTooLong(open.mode));
        }
        let twice = |(n, wanted): (usize, &LaneMode)| {
            let before = self.modes.iter().take(n);
            before.into_iter().any(|other| other.lane == wanted.lane)
        };
        if self.modes.iter().enumerate().any(twice) {
            return Err(DirectiveFault::LaneTwice);
        }
        if self.policy.exit.holds() {
            return Err(DirectiveFault::Traps);
        }
        self.policy.check().map_err(DirectiveFault::Policy)
    }

    /// The mode that it wants of a lane.
    #[must_use]
    pub fn mode_of(&self, lane: &str) -> Option<Mode> {
        let named = |name: Option<&str>| {
            let mut modes = self.modes.iter();
            modes.find(|wanted| wanted.lane.as_deref() == name)
        };
        let wanted = named(Some(lane)).or_else(|| named(None));
        wanted.map(|wanted| wanted.mode)
    }
}

mod seconds {
    use serde::{Deserialize as _, Deserializer, Serializer};

    use crate::domain::Utc;

    pub(super) fn serialize<S: Serializer>(at: &Utc, s: S) -> Result<S::Ok, S::Error> {
        s.serialize_u64(at.as_secs())
    }

    pub(super) fn deserialize<'de, D: Deserializer<'de>>(d: D) -> Result<Utc, D::Error> {
        u64::deserialize(d).map(Utc::from_secs)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn directive(json: &str) -> Directive {
        serde_json::from_str(json).unwrap()
    }

    const FREE: &str = r#"{"for": {"gate": "g"}, "version": 3, "not_before": 100, "not_after": 86500,
        "modes": [{"mode": "free"}, {"lane": "out", "mode": "exit_only"}]}"#;

    #[test]
    fn a_lane_that_is_named_gets_its_own_mode_and_every_other_the_rest() {
        let free = directive(FREE);
        assert_eq!(free.check(), Ok(()));
        assert_eq!(free.mode_of("in"), Some(Mode::Free));
        assert_eq!(free.mode_of("out"), Some(Mode::ExitOnly));
        assert_eq!(free.target.to_string(), "gate:g");
        let again: Directive =
            serde_json::from_str(&serde_json::to_string(&free).unwrap()).unwrap();
        assert_eq!(again, free);
    }

    #[test]
    fn what_a_directive_may_not_say_is_refused_with_a_sentence() {
        for (from, to, fault) in [
            ("86500", "86501", DirectiveFault::OpenTooLong(Mode::Free)),
            ("86500", "99", DirectiveFault::Reversed),
            ("86500", "99999999", DirectiveFault::TooLong),
            ("\"out\"", "null", DirectiveFault::LaneTwice),
            (
                "\"modes\"",
                "\"policy\": {\"exit\": {\"red\": \"hold\"}}, \"modes\"",
                DirectiveFault::Traps,
            ),
        ] {
            assert_eq!(directive(&FREE.replace(from, to)).check(), Err(fault));
        }
        let emergency = FREE.replace("86500", "86501").replace("free", "emergency");
        assert!(directive(&emergency).check().is_err());
        let closed = FREE.replace("86500", "864000").replace("free", "closed");
        assert_eq!(directive(&closed).check(), Ok(()));
        for bad in ["\"free\"", "\"version\""] {
            let text = FREE.replace(bad, "\"else\"");
            assert!(serde_json::from_str::<Directive>(&text).is_err(), "{bad}");
        }
    }
}
