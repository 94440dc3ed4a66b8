//! Faults begin and end; the power goes and comes back; in the end everything must be in order.

use super::SimulationError;
use super::aisle::Stands;
use super::cast::{self, Known, Manner, Visit};
use super::centre::Mood;
use super::controller::Controller;
use super::disk::Unsynced;
use super::faults::{Fault, Planned};
use super::oracle::Scene;
use super::world::{Happens, LANE, MS, SECOND, World, utc};
use crate::domain::{Action, Colour, Direction, Event, Reason, Verdict, Wanted};
use crate::store::codes::Codes as _;

/// How long somebody waits who tries again while the lane is busy.
const PATIENCE: u64 = 12 * SECOND;

impl World {
    pub(super) fn count(&mut self, fault: &'static str) {
        let count = self.faults.entry(fault).or_default();
        *count = count.saturating_add(1);
    }

    /// A planned fault begins.
    pub(super) fn begins(&mut self, place: usize) {
        let Some(Planned { lasts, fault, .. }) = self.mix.planned.get(place).copied() else {
            return;
        };
        self.count(fault.as_str());
        self.note(&format!("-- {fault:?} for {} ms", lasts / MS));
        self.soon(lasts, Happens::Ends(place));
        match fault {
            Fault::Backend(mood) => self.lasting.centre.set_mood(mood),
            Fault::BackendRestored => self.restores_backend(),
            Fault::DiskSlow(took) => self.disk_slow = took,
            Fault::DiskRefuses => self.lasting.disk.refuse(true),
            Fault::DiskFailsMidway(left) => self.lasting.disk.cut_after(left),
            Fault::PowerCut { midway, unsynced } => self.power_cut(midway, unsynced),
            Fault::ClockSteps(seconds) => {
                self.date_offset_s = self.date_offset_s.saturating_add(seconds);
            }
            Fault::ClockUntrusted => self.vouched = false,
            Fault::SensorStuck(first, level) => {
                let [one, two] = &mut self.aisle.stuck;
                *(if first { one } else { two }) = Some(level);
                self.edge();
            }
            Fault::ReaderAway => self.reader_away = true,
            Fault::ReaderLate => self.reader_late = true,
            Fault::Fire => {
                self.fire_input = true;
                self.step(Event::Fire(true));
            }
            Fault::CacheLost => self.lasting.codes.lose(&self.lasting.list),
            Fault::Flood => self.flood = true,
            Fault::Mode(mode) => self.step(Event::ModeSet(LANE, Wanted::by_staff(Some(mode)))),
        }
    }

    /// A planned fault ends.
    pub(super) fn ends(&mut self, place: usize) {
        let Some(planned) = self.mix.planned.get(place).copied() else {
            return;
        };
        self.relieve(planned.fault);
    }

    fn relieve(&mut self, fault: Fault) {
        match fault {
            Fault::Backend(_) => self.lasting.centre.set_mood(Mood::Well),
            Fault::BackendRestored => self.soon(0, Happens::Recovers),
            Fault::DiskSlow(_) => self.disk_slow = 0,
            Fault::DiskRefuses | Fault::DiskFailsMidway(_) => self.lasting.disk.refuse(false),
            Fault::PowerCut { .. } | Fault::CacheLost => {}
            Fault::ClockSteps(seconds) => {
                self.date_offset_s = self.date_offset_s.saturating_sub(seconds);
            }
            Fault::ClockUntrusted => self.vouched = true,
            Fault::SensorStuck(first, _) => {
                let [one, two] = &mut self.aisle.stuck;
                *(if first { one } else { two }) = None;
                self.blind_until = self.now + SECOND;
                self.edge();
            }
            Fault::ReaderAway => self.reader_away = false,
            Fault::ReaderLate => self.reader_late = false,
            Fault::Fire => {
                self.fire_input = false;
                self.step(Event::Fire(false));
                let after = self.random.below(20 * SECOND);
                self.soon(after, Happens::Recovers);
            }
            Fault::Flood => self.flood = false,
            Fault::Mode(_) => self.step(Event::ModeSet(LANE, Wanted::by_staff(None))),
        }
    }

    /// The faults end, all of them, and staff put in order what only people can.
    pub(super) fn end_faults(&mut self) {
        self.note("-- the faults end");
        let under_way = self.queue.values().filter_map(|happens| {
            let Happens::Ends(place) = happens else {
                return None;
            };
            self.mix.planned.get(*place).map(|planned| planned.fault)
        });
        let under_way: Vec<_> = under_way.collect();
        self.queue
            .retain(|_, happens| !matches!(happens, Happens::Ends(_) | Happens::Comes(..)));
        for fault in under_way {
            self.relieve(fault);
        }
        (self.mix.lost_edges, self.mix.doubled_edges) = (0, 0);
        if self.controller.is_none() {
            self.queue
                .retain(|_, happens| !matches!(happens, Happens::PowerBack));
            self.power_on();
        }
        self.recovers();
    }

    /// Staff reset the fire; a person at the centre declares a new era if its versions have gone back.
    pub(super) fn recovers(&mut self) {
        if !self.fire_input {
            self.step(Event::FireReset);
        }
        let live = self.lasting.codes.state(&self.lasting.list);
        let ahead =
            live.is_some_and(|live| (live.era, live.version) > self.lasting.centre.newest());
        if ahead || self.restored {
            self.restored = false;
            if let Err(error) = self.lasting.centre.begin_era(utc(self.now)) {
                self.oracle.violated(error.to_string());
            }
        }
    }

    fn restores_backend(&mut self) {
        match self.lasting.centre.restore() {
            Ok(true) => {
                self.restored = true;
                // What was acknowledged is deleted at the gate: the centre has it no more, and nobody has.
                let acked = self
                    .controller
                    .as_ref()
                    .map(|controller| controller.journal().status().acked_seq);
                self.lost_before = self
                    .lost_before
                    .max(acked.unwrap_or(self.oracle.last_seq()));
            }
            Ok(false) => {}
            Err(error) => self.oracle.violated(error.to_string()),
        }
    }

    pub(super) fn publishes(&mut self) {
        let listed = self.people.iter().enumerate();
        let listed: Vec<_> = listed
            .filter(|(n, _)| Some(*n) != self.fresh)
            .filter(|(_, person)| matches!(person.known, Known::Listed(_)))
            .map(|(n, _)| n)
            .collect();
        let Some(person) = listed.get(self.random.index(listed.len())).copied() else {
            return;
        };
        let row = cast::row(person, cast::colour(&mut self.random));
        let changes: Vec<_> = self
            .keys
            .iter()
            .filter(|((n, _), _)| *n == person)
            .map(|(_, key)| (*key, row))
            .collect();
        if let Err(error) = self.lasting.centre.publish(utc(self.now), &changes) {
            self.oracle.violated(error.to_string());
        }
    }

    fn power_cut(&mut self, midway: Option<u64>, unsynced: Unsynced) {
        if self.controller.is_none() {
            return;
        }
        if let Some(left) = midway {
            self.lasting.disk.cut_after(left);
            // The writer may be at work at this moment.
            if let Some(controller) = self.controller.as_mut() {
                controller.write();
            }
        }
        self.controller = None;
        self.lasting.disk.lose_power(unsynced, &mut self.random);
        self.aisle.stand(if self.fail_safe {
            Stands::Both
        } else {
            Stands::Locked
        });
        self.granted.clear();
        self.writing = false;
        let off = SECOND + self.random.below(10 * SECOND);
        self.soon(off, Happens::PowerBack);
    }

    /// Switches the controller on. Whoever supervises it tries again while the disk refuses.
    pub(super) fn power_on(&mut self) {
        match self.boot_up() {
            Ok(()) => {}
            Err(_) if self.lasting.disk.is_faulty() => self.soon(2 * SECOND, Happens::PowerBack),
            Err(error) => self.oracle.violated(error.to_string()),
        }
    }

    fn boot_up(&mut self) -> Result<(), SimulationError> {
        self.boot = self.boot.saturating_add(1);
        self.booted_at = self.now;
        let mut out = Vec::new();
        let controller = Controller::start(&self.lasting, |floor| self.clocks(floor), &mut out)?;
        let journal = controller.journal();
        let (acked, records) = (
            journal.status().acked_seq,
            journal.read(0, usize::MAX, usize::MAX)?,
        );
        self.oracle.reopened(acked, records);
        self.controller = Some(controller);
        self.note("-- the power is on");
        let mode = self.lasting.mode();
        let scene = Scene {
            now: self.now,
            aisle: &self.aisle,
            blind: false,
        };
        self.oracle.restarted(&out, &scene, mode);
        let mut events = Vec::new();
        self.act(out, &mut events);
        for event in events {
            self.step(event);
        }
        self.soon(0, Happens::Follow(self.boot));
        self.soon(10 * MS, Happens::Deliver(self.boot));
        self.step(Event::Sensed(LANE, self.aisle.levels()));
        Ok(())
    }

    /// Somebody in order comes: the gate must serve them.
    pub(super) fn serves_again(&mut self) {
        if self.oracle.violation.is_some() {
            return;
        }
        let side = self
            .lasting
            .sides()
            .first()
            .copied()
            .unwrap_or(Direction::Entry);
        let Some(fresh) = self.fresh.take() else {
            return;
        };
        let visit = Visit {
            person: fresh,
            side,
            manner: Manner::Walks,
            code: 0,
        };
        let said = self.listed(visit);
        if side == Direction::Entry && said != Some(Some(Colour::Green)) {
            return self
                .oracle
                .violated("the list is not in force 10 s after the faults have ended");
        }
        if self.aisle.stands == Stands::Both {
            // Somebody has not left the open aisle yet: whoever comes may walk.
            return;
        }
        self.probe = Some(fresh);
        self.comes(visit, 0);
        // Whoever is before them may need a moment: then they try again, as people do.
        self.run_until(self.now.saturating_add(PATIENCE));
        if self.probe.is_some() {
            self.oracle
                .violated("nobody is served 10 s after the faults have ended");
        }
    }

    /// The probe is granted.
    pub(super) fn probed(&mut self, action: &Action) {
        if let Action::Decided(decided) = action
            && let Some((visit, _)) = self.visits.get(&decided.number)
            && Some(visit.person) == self.probe
            && decided.verdict == Verdict::Grant
            && decided.reason == Reason::InOrder
        {
            self.probe = None;
        }
    }

    /// Everything must have settled by now.
    pub(super) fn close(&mut self) {
        if self.oracle.violation.is_some() {
            return;
        }
        self.look_at_journal();
        let Some(controller) = self.controller.as_mut() else {
            return;
        };
        let (unwritten, lost) = controller.unwritten();
        let backlog = controller.journal().status().backlog;
        let view = controller.gate().lane_view(LANE);
        let mut wrong = Vec::new();
        if (unwritten, lost) != (0, 0) {
            wrong.push(format!(
                "{unwritten} entries are not written, {lost} are lost"
            ));
        }
        if backlog > 0 {
            wrong.push(format!("{backlog} records are not delivered"));
        }
        if (view.state, view.occupied) != ("locked", false) {
            wrong.push(format!("the lane is {} in the end", view.state));
        }
        if let Some(wrong) = wrong.into_iter().next() {
            return self.oracle.violated(wrong);
        }
        match self.lasting.centre.received(&self.lasting.gate) {
            Ok(received) => self.oracle.closing(&received, self.lost_before),
            Err(error) => self.oracle.violated(error.to_string()),
        }
    }
}
