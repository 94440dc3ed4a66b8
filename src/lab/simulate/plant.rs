//! Planted bugs: what the oracle must find. They live at the rim, between the gate and the world, so that the daemon
//! holds none of them. Only tests plant.

use crate::core::Settings;
use crate::domain::{Action, Entry, Kind, StateChange};

/// A bug.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Plant {
    /// The record of an outcome is lost.
    LostOutcome,
    /// The barrier is not locked.
    MissingLock,
    /// Levels are told once, at their edge.
    UnrepeatedBeams,
    /// A timer fires before its time, with a clock that runs ahead.
    EarlyTimer,
    /// The barrier is released a second time.
    DoubleRelease,
    /// The disk says that it has synced, and has not.
    AckBeforeSync,
    /// The highest accepted version of a list does not survive the power.
    FloorForgotten,
    /// A record is sent under an epoch that is over.
    StaleEpoch,
    /// What a grant that nobody used has used up stays used up on the disk.
    PassbackNotAnnulled,
    /// A span of the schedule that goes over midnight ends there.
    ScheduleMidnight,
    /// The latch of a fire does not reach the disk.
    FireUnlatched,
    /// The queue of the writer has no bound.
    QueueUnbounded,
    /// The barrier is released when the grant is decided, before it is on the disk.
    ReleasedBeforeDurable,
    /// What a grant used up does not reach the disk.
    SeenForgotten,
    /// The fire loop is heard late.
    FireLate,
    /// Whoever is refused is told nothing.
    SilentRefusal,
    /// A record names the code that was shown.
    PersonalRecord,
    /// A code is won by whoever claims it.
    ClaimWonTwice,
    /// A claim whose use never came about is neither taken back nor taken over.
    RetryRefused,
    /// What the backend has said of somebody is kept for ever.
    LearnedForEver,
    /// Nobody asks whether somebody may ride: health is enough.
    RideNotJoined,
    /// Whoever the backend knows may ride, whatever it says of that.
    OnlineRideAssumed,
}

impl Plant {
    /// All of them.
    pub const ALL: [Self; 22] = [
        Self::LostOutcome,
        Self::MissingLock,
        Self::UnrepeatedBeams,
        Self::EarlyTimer,
        Self::DoubleRelease,
        Self::AckBeforeSync,
        Self::FloorForgotten,
        Self::StaleEpoch,
        Self::PassbackNotAnnulled,
        Self::ScheduleMidnight,
        Self::FireUnlatched,
        Self::QueueUnbounded,
        Self::ReleasedBeforeDurable,
        Self::SeenForgotten,
        Self::FireLate,
        Self::SilentRefusal,
        Self::PersonalRecord,
        Self::ClaimWonTwice,
        Self::RetryRefused,
        Self::LearnedForEver,
        Self::RideNotJoined,
        Self::OnlineRideAssumed,
    ];

    /// Tampers with the actions of a step.
    pub(super) fn tamper(self, out: &mut Vec<Action>) {
        match self {
            Self::LostOutcome => out.retain(|action| {
                !matches!(
                    action,
                    Action::Record(Entry { record, .. })
                        if matches!(record.kind, Kind::Outcome { grant: Some(_), .. })
                )
            }),
            Self::MissingLock => out.retain(|action| !matches!(action, Action::LockBarrier(_))),
            Self::DoubleRelease => {
                let released = out
                    .iter()
                    .find(|action| matches!(action, Action::ReleaseBarrier(..)))
                    .cloned();
                out.extend(released);
            }
            Self::ReleasedBeforeDurable => {
                let granted = out.iter().find_map(|action| {
                    let Action::Decided(decided) = action else {
                        return None;
                    };
                    decided.grant.map(|_| *decided)
                });
                if let Some(decided) = granted {
                    out.push(Action::ReleaseBarrier(decided.lane, decided.direction));
                }
            }
            Self::FireUnlatched => change(out, |entry| {
                if matches!(entry.record.kind, Kind::Alarm { .. }) {
                    entry.changes.clear();
                }
            }),
            Self::SeenForgotten => change(out, |entry| {
                if entry.grant.is_some() {
                    entry.changes.clear();
                }
            }),
            Self::PassbackNotAnnulled => change(out, |entry| {
                let annuls = |change: &StateChange| {
                    matches!(
                        change,
                        StateChange::PassedBack { .. } | StateChange::Unseen { .. }
                    )
                };
                entry.changes.retain(|change| !annuls(change));
            }),
            Self::SilentRefusal => {
                let refuses = |action: &Action| matches!(action, Action::Decided(decided) if decided.grant.is_none());
                if out.iter().any(refuses) {
                    out.retain(|action| !matches!(action, Action::Show(..)));
                }
            }
            Self::PersonalRecord => change(out, |entry| {
                if entry.grant.is_some() {
                    entry.record.lane = Some("HC:1".into());
                }
            }),
            Self::UnrepeatedBeams
            | Self::EarlyTimer
            | Self::AckBeforeSync
            | Self::FloorForgotten
            | Self::StaleEpoch
            | Self::ScheduleMidnight
            | Self::QueueUnbounded
            | Self::FireLate
            | Self::ClaimWonTwice
            | Self::RetryRefused
            | Self::LearnedForEver
            | Self::RideNotJoined
            | Self::OnlineRideAssumed => {}
        }
    }

    /// Tampers with what the gate knows of its site.
    pub(super) fn spoil(self, settings: &mut Settings) {
        if self == Self::RideNotJoined {
            settings.required_entitlements = 0;
        }
        if self == Self::ScheduleMidnight {
            for lane in &mut settings.lanes {
                for span in &mut lane.schedule.spans {
                    if span.to <= span.from {
                        span.to = crate::domain::schedule::DAY_MIN;
                    }
                }
            }
        }
    }
}

fn change(out: &mut [Action], how: impl Fn(&mut Entry)) {
    for action in out {
        if let Action::Record(entry) = action {
            how(entry);
        }
    }
}
