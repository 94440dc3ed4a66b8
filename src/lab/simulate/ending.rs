//! The end of a day: the faults end, every lane serves again, and everything has been said.

use super::faults::Fault;
use super::post::Facts;
use super::script::{Item, What, probe};
use super::wishes::serves;
use super::world::{Happens, World};
use crate::domain::{Direction, Event, LaneId, Mode};
use crate::store::codes::Codes as _;

/// How long somebody waits who tries again while the lane is busy: a solenoid may have to rest.
const PATIENCE: u64 = 20_000_000;

impl World {
    /// The faults end, all of them, and staff put in order what only people can.
    pub(super) fn end_faults(&mut self) {
        if self.is_violated() {
            return;
        }
        self.note(0, || "-- the faults end".into());
        self.calm = true;
        let gone = self.keep(|happens| {
            !matches!(
                happens,
                Happens::Ends(_) | Happens::Comes(..) | Happens::Item(_) | Happens::PowerBack(_)
            )
        });
        // The power first: nobody hears anything without it.
        let under_way: Vec<(usize, Fault)> = gone
            .into_iter()
            .filter_map(|happens| {
                let Happens::Ends(place) = happens else {
                    return None;
                };
                let Item { what, .. } = self.script.items.get(place)?;
                let What::Fault(at, fault, _) = what else {
                    return None;
                };
                Some((*at, *fault))
            })
            .collect();
        let (disks, others): (Vec<_>, Vec<_>) = under_way.into_iter().partition(|(_, fault)| {
            matches!(
                fault,
                Fault::DiskRefuses
                    | Fault::DiskFailsMidway(_)
                    | Fault::DiskHangs
                    | Fault::DiskSlow(_)
            )
        });
        for (at, fault) in disks {
            self.relieve(at, fault);
        }
        for at in 0..self.posts.len() {
            self.power_on(at);
        }
        for (at, fault) in others {
            self.relieve(at, fault);
        }
        self.recovers();
    }

    /// Staff reset the fire; a person at the centre declares a new era if its versions have gone back.
    pub(super) fn recovers(&mut self) {
        let newest = self.centre.newest();
        let mut ahead = self.restored;
        for at in 0..self.posts.len() {
            let Some(post) = self.posts.get(at) else {
                continue;
            };
            let live = post.lasting.codes.state(&post.lasting.list);
            ahead |= live.is_some_and(|live| (live.era, live.version) > newest);
            if !post.fire_input {
                self.step(at, Event::FireReset);
            }
        }
        if ahead {
            self.restored = false;
            let today = self.utc(self.now);
            if let Err(error) = self.centre.begin_era(today) {
                self.violated(0, &error.to_string());
            }
        }
    }

    /// Somebody in order comes to every lane that serves: each must be let through.
    pub(super) fn serves_again(&mut self) {
        if self.is_violated() {
            return;
        }
        let mut person = self.script.fresh;
        for at in 0..self.posts.len() {
            let lanes = self.posts.get(at).map_or(0, |post| post.places.len());
            for lane in (0..u8::try_from(lanes).unwrap_or(0)).map(LaneId) {
                self.send_probe(at, lane, person);
                person += 1;
            }
        }
        // Whoever is before them may need a moment: then they try again, as people do.
        self.run_until(self.now.saturating_add(PATIENCE));
        let person = self.probes.first().copied();
        if let Some(person) = person {
            let what = format!("person {person} is not served 10 s after the faults have ended");
            self.violated(0, &what);
        }
    }

    fn send_probe(&mut self, at: usize, lane: LaneId, person: usize) {
        let clocks = self.gate_now(at);
        let now = self.now;
        let Some(post) = self.posts.get_mut(at) else {
            return;
        };
        // A barrier that has failed somebody is left alone for a while, longer each time.
        let rests = post.place(lane).is_none_or(|place| place.had_barrier_fault);
        post.oracle.refresh(now, clocks);
        let mode = post.oracle.mode(lane, now);
        let settings = post.oracle.settings.lanes.get(usize::from(lane.0));
        // A solenoid that had to hold a lane open cools for longer than that.
        let rests = rests || settings.is_some_and(|lane| lane.duty_percent < 100);
        let sides = settings.map_or(&[][..], |lane| &lane.directions);
        let mode = mode.filter(|mode| !mode.is_open() && !rests);
        let Some(mode) = mode else { return };
        let side = sides.iter().copied().find(|side| serves(mode, *side));
        let Some(side) = side else { return };
        let visit = probe(person, at, lane.0, side);
        if side == Direction::Entry && self.said(visit) != Some(Facts::GREEN) {
            return self.violated(
                at,
                "the list is not in force 10 s after the faults have ended",
            );
        }
        let blocked = self.posts.get_mut(at).and_then(|post| {
            let place = post.place(lane)?;
            // Somebody is in the open aisle, or in the way: whoever comes waits for them.
            Some(place.aisle.stands == super::aisle::Stands::Both)
        });
        if blocked == Some(true) {
            return;
        }
        self.probes.insert(person);
        self.comes(visit, 0);
    }

    /// True if there is nothing left that could still change.
    pub(super) fn is_settled(&self) -> bool {
        self.posts.iter().all(|post| {
            let Some(controller) = &post.controller else {
                return false;
            };
            let nothing =
                controller.unwritten().0 == 0 && controller.journal().status().backlog == 0;
            let nobody = post.places.iter().all(|place| place.aisle.is_empty());
            nothing && nobody && controller.is_at_rest()
        })
    }

    /// Everything must have settled by now.
    pub(super) fn close(&mut self) {
        if self.is_violated() {
            return;
        }
        for at in 0..self.posts.len() {
            self.look_at_journal(at);
            self.close_gate(at);
        }
    }

    fn close_gate(&mut self, at: usize) {
        let now = self.now;
        let Some(post) = self.posts.get_mut(at) else {
            return;
        };
        let Some(controller) = post.controller.as_mut() else {
            return post.oracle.violated("there is no power in the end");
        };
        let (unwritten, lost) = controller.unwritten();
        let backlog = controller.journal().status().backlog;
        let mut wrong = Vec::new();
        if (unwritten, lost) != (0, 0) {
            wrong.push(format!(
                "{unwritten} entries are not written, {lost} are lost"
            ));
        }
        if backlog > 0 {
            wrong.push(format!("{backlog} records are not delivered"));
        }
        for (id, place) in (0..=u8::MAX).map(LaneId).zip(&post.places) {
            let view = controller.gate().lane_view(id);
            let mode = post.oracle.mode(id, now);
            let locked = (view.state, view.occupied) == ("locked", false);
            let open = mode.is_none_or(Mode::is_open);
            if !locked && !open && place.aisle.is_empty() {
                wrong.push(format!("lane {} is {} in the end", id.0, view.state));
            }
        }
        if let Some(wrong) = wrong.into_iter().next() {
            return post.oracle.violated(wrong);
        }
        match self.centre.received(&post.lasting.gate) {
            Ok(received) => post.oracle.closing(&received, post.lost_before),
            Err(error) => post.oracle.violated(error.to_string()),
        }
    }
}
