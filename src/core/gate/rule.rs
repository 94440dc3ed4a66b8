//! Which mode each lane has: what staff, key switches, directives and the clocks change, and what another config does.

use std::sync::Arc;

use super::Gate;
use crate::core::lane::Lane;
use crate::core::modes::Modes;
use crate::core::settings::Settings;
use crate::core::turn::Turn;
use crate::domain::{Action, CertificateRules, Kind, LaneId, Now, StateChange, Wanted, Wish};

impl Gate {
    /// Takes another config, as far as a running gate can: rules of the policy, what happens when the journal stalls
    /// or is full, the lanes' own modes and schedules. The rest of `settings` is not looked at; its lanes are the same.
    pub fn reload(&mut self, settings: &Settings, now: Now, out: &mut Vec<Action>) {
        for (modes, new) in self.modes.iter_mut().zip(&settings.lanes) {
            modes.reload(new);
        }
        let configured = &mut self.configured;
        configured.take_policy(settings);
        for known in [&mut self.settings, configured] {
            (known.resolve, known.stall) = (settings.resolve, settings.stall);
            known.claims = settings.claims;
            (known.on_stall, known.on_full) = (settings.on_stall, settings.on_full);
        }
        self.change_rules();
        self.rule(now, out);
        self.each_lane(now, out, Lane::settle);
    }

    /// Staff or a key switch want a mode of a lane. What staff want survives a restart: somebody may have their hands in
    /// the lane.
    pub(super) fn want(&mut self, id: LaneId, wanted: Wanted, now: Now, out: &mut Vec<Action>) {
        let at = usize::from(id.0);
        let lane = self.configured.lanes.get(at);
        let (Some(modes), Some(lane)) = (self.modes.get_mut(at), lane) else {
            return;
        };
        let kept = modes
            .want(wanted, now)
            .map(|wanted| StateChange::StaffMode {
                lane: lane.name.clone(),
                wanted,
            });
        let ruled = modes.settle(now).is_some();
        if ruled || kept.is_some() {
            self.put_in_force(id, kept.into_iter().collect(), now, out);
        }
    }

    /// What the clocks change: modes that begin or end, directives that come into force or are over.
    pub(super) fn rule(&mut self, now: Now, out: &mut Vec<Action>) {
        let mut directed = std::mem::take(&mut self.directed);
        let changed = directed.settle(&mut self.turn(now, out).1);
        self.directed = directed;
        if changed {
            self.change_rules();
        }
        for at in 0..self.modes.len() {
            let Some(change) = self.modes.get_mut(at).and_then(|modes| modes.settle(now)) else {
                continue;
            };
            let over = self.configured.lanes.get(at).filter(|_| change.staff_over);
            let over = over.map(|lane| StateChange::StaffMode {
                lane: lane.name.clone(),
                wanted: None,
            });
            let id = LaneId(u8::try_from(at).unwrap_or(u8::MAX));
            self.put_in_force(id, over.into_iter().collect(), now, out);
        }
    }

    /// What counts of health certificates by a directive that is in force; `None`: what the config says.
    #[must_use]
    pub fn certificate_rules(&self) -> Option<Arc<Vec<CertificateRules>>> {
        self.settings.certificates.clone()
    }

    /// The policy of the config, as directives change it now.
    pub(super) fn change_rules(&mut self) {
        self.directed
            .put_in_force(&self.configured, &mut self.settings);
    }

    /// The lane gets the mode that is ruled, and that is recorded with whose wish it is.
    fn put_in_force(
        &mut self,
        id: LaneId,
        changes: Vec<StateChange>,
        now: Now,
        out: &mut Vec<Action>,
    ) {
        let Some(ruling) = self.modes.get(usize::from(id.0)).map(Modes::ruling) else {
            return;
        };
        self.at_lane(id, now, out, |lane, turn| {
            lane.set_mode(ruling.mode, turn);
            record_mode(id, ruling, changes, turn);
        });
    }
}

pub(super) fn record_mode(
    lane: LaneId,
    ruling: Wish,
    changes: Vec<StateChange>,
    turn: &mut Turn<'_>,
) {
    let Wish { mode, source, .. } = ruling;
    turn.record(Some(lane), Kind::Mode { mode, source }, None, changes);
}
