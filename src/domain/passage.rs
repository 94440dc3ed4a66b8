//! What the journal keeps. No field can hold a number, a name or a code.

use serde::{Deserialize, Serialize};

use super::action::Alarm;
use super::claim::Elsewhere;
use super::credential::Medium;
use super::decision::{Outcome, Prompt, Reason, Verdict};
use super::ids::{Direction, GrantId, IssuerId, ListId, ReplayKey, RowKey, Subject};
use super::mode::{Deed, Mode, Source};
use super::time::{ClockQuality, Now, Utc};

/// A list as it stood when a decision was made.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct ListVersion {
    /// Which list.
    pub list: ListId,
    /// Its era.
    pub era: u32,
    /// Its version within the era.
    pub version: u64,
}

/// One record: what happened, where, when, and how sure the date is. The journal adds seq, epoch and the hash chain.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Record {
    /// Counts the starts of this gate on this journal.
    pub boot: u32,
    /// Microseconds since that start.
    pub mono_us: u64,
    /// Milliseconds since 1970, or none while the clock is not trusted.
    pub utc_ms: Option<u64>,
    /// How far `utc_ms` can be believed.
    pub clock: ClockQuality,
    /// Name of the lane; none for what concerns the gate.
    #[serde(skip_serializing_if = "Option::is_none", default)]
    pub lane: Option<String>,
    /// What happened.
    #[serde(flatten)]
    pub kind: Kind,
}

impl Record {
    /// A record of `kind` at `now`.
    #[must_use]
    pub fn new(boot: u32, now: Now, lane: Option<String>, kind: Kind) -> Self {
        Self {
            boot,
            mono_us: now.mono.as_micros(),
            utc_ms: now.utc.map(Utc::as_millis),
            clock: now.quality,
            lane,
            kind,
        }
    }
}

/// What a record is about.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(tag = "kind", rename_all = "snake_case")]
pub enum Kind {
    /// The daemon started.
    Started {
        /// Its version.
        software: String,
    },
    /// A presentation was decided on.
    Decision {
        /// Side of the lane.
        direction: Direction,
        /// What carried the credential.
        medium: Medium,
        /// Who made it, if known.
        #[serde(skip_serializing_if = "Option::is_none", default)]
        issuer: Option<IssuerId>,
        /// Who it is, if a list says: 16 hex digits.
        #[serde(skip_serializing_if = "Option::is_none", default, with = "subject_hex")]
        subject: Option<Subject>,
        /// The verdict.
        verdict: Verdict,
        /// The reason.
        reason: Reason,
        /// What was shown.
        prompt: Prompt,
        /// The grant, if there is one.
        #[serde(skip_serializing_if = "Option::is_none", default)]
        grant: Option<GrantId>,
        /// The lists asked.
        #[serde(skip_serializing_if = "Vec::is_empty", default)]
        lists: Vec<ListVersion>,
        /// The gate that had seen the code or the person before, if it was not this one.
        #[serde(skip_serializing_if = "Option::is_none", default)]
        elsewhere: Option<Elsewhere>,
        /// Where what decided comes from, as the lists count regions; 0: nobody says.
        #[serde(skip_serializing_if = "is_nowhere", default)]
        region: u8,
    },
    /// What the sensors say came of a grant, or of nobody's.
    Outcome {
        /// The way that was walked or granted.
        direction: Direction,
        /// What it was.
        outcome: Outcome,
        /// The grant it ends, if it ends one.
        #[serde(skip_serializing_if = "Option::is_none", default)]
        grant: Option<GrantId>,
    },
    /// Staff were called, or an alarm ended.
    Alarm {
        /// For what.
        alarm: Alarm,
        /// True when it began.
        on: bool,
    },
    /// The mode in force: whenever it or its source changes, and after staff have wanted something.
    Mode {
        /// Which.
        mode: Mode,
        /// Whose wish was the strongest.
        #[serde(default)]
        source: Source,
    },
    /// Staff did something at the local socket; what came of it is recorded beside it.
    Staff {
        /// Their user id on this machine.
        uid: u32,
        /// What they did.
        #[serde(flatten)]
        deed: Deed,
    },
    /// A signed directive came into force, or is over.
    Directive {
        /// Whom it is for: `gate:NAME` or `group:NAME`.
        target: String,
        /// Its version.
        version: u64,
        /// True if it came into force.
        on: bool,
    },
    /// Something was granted that is not recorded, by the site's rule.
    Gap {
        /// How many grants since the last record.
        unrecorded: u32,
    },
}

/// Who passback remembers: the subject, or without one the row key.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum PassbackKey {
    /// A person, known by the backend.
    Subject(Subject),
    /// A credential.
    Row(RowKey),
}

/// A change of what must survive a restart, written in the same transaction as its record.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum StateChange {
    /// A code was used; a copy of it is refused until then.
    Seen {
        /// The code.
        key: ReplayKey,
        /// Remembered until.
        until: Utc,
    },
    /// The use did not happen: nobody walked.
    Unseen {
        /// The code.
        key: ReplayKey,
    },
    /// Somebody was let through in this direction at this time.
    Passed {
        /// Who.
        key: PassbackKey,
        /// Which way.
        direction: Direction,
        /// When.
        at: Utc,
    },
    /// What was remembered before a grant that nobody used; `None`: nothing was.
    PassedBack {
        /// Who.
        key: PassbackKey,
        /// The state before.
        before: Option<(Direction, Utc)>,
    },
    /// The fire latch.
    FireLatched(bool),
    /// What staff want of the mode of a lane; `None`: nothing any more.
    StaffMode {
        /// Name of the lane.
        lane: String,
        /// What they want.
        wanted: Option<StaffMode>,
    },
}

/// What staff want of the mode of a lane, over a restart.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct StaffMode {
    /// The mode.
    pub mode: Mode,
    /// Who, if that is known.
    pub by: Option<u32>,
    /// Until when; `None`: until it is taken back.
    pub until: Option<Utc>,
}

/// A record with the state that changes with it: one transaction.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Entry {
    /// Set if somebody waits for this entry to be durable.
    pub grant: Option<GrantId>,
    /// What happened.
    pub record: Record,
    /// What changes.
    pub changes: Vec<StateChange>,
}

/// What a gate knows again after a restart.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Restored {
    /// Number of this start, from 1.
    pub boot: u32,
    /// The seen-set.
    pub seen: Vec<(ReplayKey, Utc)>,
    /// Passback states.
    pub passed: Vec<(PassbackKey, Direction, Utc)>,
    /// The fire latch.
    pub fire_latched: bool,
    /// What staff want, by name of the lane.
    pub staff_modes: Vec<(String, StaffMode)>,
    /// The date is not before this: time of the last record, newest signed `created`.
    pub clock_floor: Option<Utc>,
    /// Grants whose outcome was not recorded: lane, direction, grant.
    pub open_grants: Vec<(Option<String>, Direction, GrantId)>,
}

#[expect(clippy::trivially_copy_pass_by_ref, reason = "serde calls it so")]
const fn is_nowhere(region: &u8) -> bool {
    *region == 0
}

mod subject_hex {
    use serde::{Deserialize, Deserializer, Serializer};

    use crate::domain::Subject;

    #[expect(
        clippy::ref_option,
        reason = "the signature that serde's `with` asks for"
    )]
    pub(super) fn serialize<S: Serializer>(
        subject: &Option<Subject>,
        s: S,
    ) -> Result<S::Ok, S::Error> {
        match subject {
            Some(subject) => s.serialize_str(&format!("{:016x}", u64::from_be_bytes(subject.0))),
            None => s.serialize_none(),
        }
    }

    pub(super) fn deserialize<'de, D: Deserializer<'de>>(
        d: D,
    ) -> Result<Option<Subject>, D::Error> {
        let Some(text) = Option::<String>::deserialize(d)? else {
            return Ok(None);
        };
        u64::from_str_radix(&text, 16)
            .map(|n| Some(Subject(n.to_be_bytes())))
            .map_err(|_| serde::de::Error::custom("a subject is 16 hex digits"))
    }
}
