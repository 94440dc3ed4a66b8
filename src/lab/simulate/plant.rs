//! Planted bugs: what the oracle must find. They live at the rim, between the gate and the world, so that the daemon
//! holds none of them.

use crate::domain::{Action, Entry, Kind};

/// A bug.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Plant {
    /// The record of an outcome is lost.
    LostOutcome,
    /// The barrier is not locked.
    MissingLock,
    /// Levels are told once, at their edge.
    UnrepeatedBeams,
    /// The barrier is released a second time.
    DoubleRelease,
    /// The barrier is released when the grant is decided, before it is on the disk.
    ReleasedBeforeDurable,
    /// The latch of a fire does not reach the disk.
    FireUnlatched,
    /// What a grant used up does not reach the disk.
    SeenForgotten,
}

impl Plant {
    /// All of them.
    pub const ALL: [Self; 7] = [
        Self::LostOutcome,
        Self::MissingLock,
        Self::UnrepeatedBeams,
        Self::DoubleRelease,
        Self::ReleasedBeforeDurable,
        Self::FireUnlatched,
        Self::SeenForgotten,
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
            Self::UnrepeatedBeams => {}
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
