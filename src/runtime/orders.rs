//! What staff and a reload ask of the loop, and what they are told.

use std::time::Duration;

use tokio::sync::oneshot;

use super::gateway::Gateway;
use super::trust_watch::TrustWatch;
use crate::core::{LaneView, Settings};
use crate::domain::{
    Assessed, Deed, Direction, Event, Finding, LaneId, ListId, Medium, Mode, Source, Wanted,
};

/// What comes to the loop from outside.
pub enum Order {
    /// From staff, who may.
    Staff(StaffOrder),
    /// The config was read again: what the loop takes up of it, or why nothing changes.
    Reload(Result<Box<Reloaded>, String>),
}

/// What staff ask.
pub struct StaffOrder {
    /// Who.
    pub uid: u32,
    /// At which lane; none for the gate.
    pub lane: Option<LaneId>,
    /// What.
    pub deed: Deed,
    /// Where the answer goes.
    pub answer: oneshot::Sender<Said>,
}

/// What staff are told.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Said {
    /// It is done.
    Done(String),
    /// Not now, and why.
    Refused(String),
}

/// The part of a config that the loop takes up while it runs.
pub struct Reloaded {
    /// For the core.
    pub settings: Settings,
    /// From which age each list counts as stale.
    pub lists: Vec<(ListId, Duration)>,
    /// The trust list that is in force.
    pub trust: TrustWatch,
    /// What needs a restart, in a sentence each.
    pub left: Vec<String>,
}

impl Gateway {
    pub(super) fn order(&mut self, order: Order) {
        match order {
            Order::Staff(order) => self.staff(order),
            Order::Reload(Err(why)) => self.perform.reloaded(false, vec![why]),
            Order::Reload(Ok(reloaded)) => {
                let now = self.clock.now();
                self.gate.reload(&reloaded.settings, now, &mut self.out);
                self.perform_all();
                self.perform.stale_after(reloaded.lists);
                self.perform.trusts(reloaded.trust);
                self.perform.reloaded(true, reloaded.left);
            }
        }
    }

    fn staff(&mut self, order: StaffOrder) {
        let StaffOrder {
            uid,
            lane,
            deed,
            answer,
        } = order;
        let id = lane.unwrap_or(LaneId(0));
        let view = self.gate.lane_view(id);
        let name = self.perform.lane_name(id);
        let hindered = hindrance(deed, &view, self.gate.is_fire_sensed(), &name);
        if let Some(why) = hindered.or_else(|| self.nobody_to_forgive(deed, id, &name)) {
            self.perform.ordered(uid, deed, false);
            // Whoever asked may be gone.
            let _ = answer.send(Said::Refused(why));
            return;
        }
        self.perform.ordered(uid, deed, true);
        self.step(Event::Staffed(uid, lane, deed));
        let said = match deed {
            Deed::SetMode { mode, for_s } => {
                let lasts = for_s.map(|s| Duration::from_secs(s.into()));
                self.want(id, Some(mode), uid, lasts);
                self.mode_said(id, &name, mode)
            }
            Deed::EndMode => {
                self.want(id, None, uid, None);
                let mode = self.gate.lane_view(id).mode;
                let (word, source) = (mode.mode.as_str(), mode.source.as_str());
                format!("lane {name}: staff want nothing any more; mode {word} by {source}")
            }
            Deed::ProvisionReader { address, for_s } => {
                format!(
                    "lane {name}: the reader with address {address} may be given its key for {for_s} s"
                )
            }
            Deed::OpenOnce { direction } => return self.open_once(id, direction, answer),
            Deed::ResetFire => {
                self.step(Event::FireReset);
                "the fire is reset".into()
            }
            Deed::Forgive { direction } => format!(
                "lane {name}, {direction}: whoever was refused last for passback may pass once more, within ten minutes"
            ),
        };
        let _ = answer.send(Said::Done(said));
    }

    /// Why nobody can be forgiven.
    fn nobody_to_forgive(&mut self, deed: Deed, lane: LaneId, name: &str) -> Option<String> {
        let Deed::Forgive { direction } = deed else {
            return None;
        };
        let may = self.gate.may_forgive(lane, direction, self.clock.now());
        (!may).then(|| {
            format!(
                "nobody was refused for passback at lane {name}, {direction}, in the last ten minutes"
            )
        })
    }

    fn want(&mut self, lane: LaneId, mode: Option<Mode>, uid: u32, lasts: Option<Duration>) {
        let wanted = Wanted {
            source: Source::Staff,
            mode,
            by: Some(uid),
            lasts,
        };
        self.step(Event::ModeSet(lane, wanted));
    }

    /// What has come of a wish: somebody else's may be stronger.
    fn mode_said(&self, id: LaneId, name: &str, wanted: Mode) -> String {
        let view = self.gate.lane_view(id);
        let (mode, source) = (view.mode.mode.as_str(), view.mode.source.as_str());
        let fire = if view.fire {
            "; there is a fire, so it counts once that is reset"
        } else {
            ""
        };
        if view.mode.source == Source::Staff {
            return format!("lane {name}: mode {mode} by staff{fire}");
        }
        format!(
            "lane {name}: {} is noted, but mode {mode} by {source} is stronger{fire}",
            wanted.as_str()
        )
    }

    /// One person, by a grant like any other: recorded first, released then, and followed to its end.
    fn open_once(&mut self, lane: LaneId, direction: Direction, answer: oneshot::Sender<Said>) {
        self.presentations += 1;
        let (number, now) = (self.presentations, self.clock.now().mono);
        self.perform.awaits(number, answer);
        self.step(Event::Presented(Assessed {
            number,
            lane,
            direction,
            medium: Medium::Staff,
            seen: now,
            read: now,
            finding: Finding::ByStaff,
        }));
    }
}

/// Why something cannot be done now; nothing is recorded then.
fn hindrance(deed: Deed, view: &LaneView, fire_sensed: bool, name: &str) -> Option<String> {
    match deed {
        Deed::SetMode { .. } | Deed::EndMode | Deed::ProvisionReader { .. } => None,
        Deed::ResetFire if !view.fire => Some("there is no fire to reset".into()),
        Deed::ResetFire if fire_sensed => Some(
            "the fire input still says fire: the loop is open or broken; close it first, then reset".into(),
        ),
        Deed::ResetFire => None,
        Deed::OpenOnce { .. } if view.is_open => {
            Some(format!("lane {name} is open to everybody already"))
        }
        Deed::OpenOnce { .. } if view.mode.mode == Mode::Maintenance => Some(format!(
            "lane {name} is in maintenance by {}: nothing moves there until that is over",
            view.mode.source.as_str()
        )),
        Deed::OpenOnce { .. } | Deed::Forgive { .. } => None,
    }
}
