//! The words of the trade. Everything here is plain data: no clock, no I/O, nothing of ours imported.

pub mod action;
pub mod certificate;
pub mod certificate_rules;
pub mod claim;
pub mod credential;
pub mod decision;
pub mod digest;
pub mod directive;
pub mod document;
pub mod event;
pub mod ids;
pub mod mode;
pub mod passage;
pub mod policy;
pub mod schedule;
pub mod sensor;
pub mod standing;
pub mod tag;
pub mod time;

pub use action::{Action, Alarm, Decided};
pub use certificate::{Certificate, CertificateRules, Statement, TestKind};
pub use claim::{Claim, ClaimId, Claimed, Elsewhere, PersonClaim};
pub use credential::{
    Credential, IdCard, IdCardKind, Medium, Personal, Presentation, Replay, Shown, check_digit,
};
pub use decision::{Outcome, Prompt, Reason, Rule, Verdict};
pub use digest::Digest;
pub use directive::Directive;
pub use event::{Assessed, Event, Finding, JournalTrouble, Service, Wanted};
pub use ids::{Direction, GateId, GrantId, IssuerId, LaneId, ListId, ReplayKey, RowKey, Subject};
pub use mode::{Deed, Mode, Source, Wish};
pub use passage::{
    Entry, Kind, ListVersion, PassbackKey, Record, Restored, StaffMode, StateChange,
};
pub use schedule::{Plan, Schedule};
pub use sensor::{Levels, Sensor};
pub use standing::{Colour, HealthOutcome, Row, Standing};
pub use tag::{Assurance, Tag, TagKind};
pub use time::{ClockQuality, Mono, Now, Utc};
