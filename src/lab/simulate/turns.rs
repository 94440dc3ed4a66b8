//! Turns of the gate, and everything that follows from one at once: what the runtime does around it.

use std::time::Duration;

use super::aisle::Stands;
use super::controller::Controller;
use super::oracle::Scene;
use super::world::{Happens, LANE, MS, TODAY_S, World, micros};
use crate::domain::{Action, ClockQuality, Event, HealthOutcome, Mono, Now, Utc};
use crate::store::codes::Codes as _;
use crate::store::journal::Written;

impl World {
    /// Both clocks, as the gate may use them above a floor.
    pub(super) fn clocks(&self, floor: Utc) -> Now {
        let mono = Mono::from_micros(self.now.saturating_sub(self.booted_at));
        let seconds = i64::try_from(TODAY_S).unwrap_or(i64::MAX) + self.date_offset_s;
        let date =
            Utc::from_secs(u64::try_from(seconds).unwrap_or(0)) + Duration::from_micros(self.now);
        if !self.vouched || date < floor {
            return Now {
                mono,
                utc: None,
                quality: ClockQuality::Untrusted,
            };
        }
        Now {
            mono,
            utc: Some(date),
            quality: ClockQuality::Synchronised,
        }
    }

    pub(super) fn gate_now(&self) -> Now {
        let floor = self.controller.as_ref().map(Controller::clock_floor);
        self.clocks(floor.unwrap_or_default())
    }

    /// One step of the gate, and everything that follows from it at once.
    pub(super) fn step(&mut self, event: Event) {
        let mut events = vec![event];
        while let Some(event) = events.pop() {
            let now = self.gate_now();
            let Some(controller) = self.controller.as_mut() else {
                return;
            };
            match &event {
                Event::Fire(input) => self.oracle.fire(*input),
                Event::FireReset if !self.fire_input => self.oracle.fire_reset(),
                Event::ModeSet(_, wanted) => self.oracle.mode(wanted.mode.unwrap_or_default()),
                Event::Presented(_)
                | Event::Answered { .. }
                | Event::Claimed(..)
                | Event::Durable(_)
                | Event::NotDurable(..)
                | Event::Sensed(..)
                | Event::FireReset
                | Event::ReaderPrompt(..)
                | Event::Readers(..)
                | Event::BarrierWorks(..)
                | Event::LinesLost(_)
                | Event::Stopping
                | Event::Directed(_)
                | Event::Staffed(..)
                | Event::TimedOut => {}
            }
            controller.tell_time(now.mono);
            let quiet = matches!(event, Event::Sensed(..) | Event::Fire(_) | Event::TimedOut);
            let told = (!quiet || self.trace.is_some()).then(|| format!("{event:?}"));
            let mut out = Vec::new();
            controller.gate().step(now, event, &mut out);
            if let Some(told) = told.filter(|_| !quiet || !out.is_empty()) {
                self.note(&told);
            }
            self.perform(out, &mut events);
        }
        self.look_at_barrier();
    }

    /// The barrier stands as the gate believes, and open in a fire.
    fn look_at_barrier(&mut self) {
        let Some(controller) = self.controller.as_mut() else {
            return;
        };
        let state = controller.gate().lane_view(LANE).state;
        let stands = self.aisle.stands;
        if self.oracle.is_fire() && stands != Stands::Both {
            self.oracle
                .violated("there is a fire and the barrier is not released");
        }
        if state == "locked" && stands != Stands::Locked {
            self.oracle
                .violated("the gate believes the barrier locked, and it is not");
        }
    }

    /// Performs actions as the runtime does.
    pub(super) fn perform(&mut self, mut out: Vec<Action>, events: &mut Vec<Event>) {
        if let Some(plant) = self.plant {
            plant.tamper(&mut out);
        }
        let scene = Scene {
            now: self.now,
            aisle: &self.aisle,
            blind: self.now < self.blind_until || self.aisle.stuck != [None; 2],
        };
        self.oracle.see(&out, &scene, &self.shown);
        self.act(out, events);
    }

    /// Performs actions that the oracle has seen.
    pub(super) fn act(&mut self, out: Vec<Action>, events: &mut Vec<Event>) {
        for action in out {
            self.note(&format!("   {action:?}"));
            self.probed(&action);
            match action {
                Action::ReleaseBarrier(_, way) => {
                    self.aisle.stand(Stands::For(way));
                    self.sets_out(way);
                }
                Action::ReleaseBothWays(_) => self.aisle.stand(Stands::Both),
                Action::LockBarrier(_) => self.aisle.stand(Stands::Locked),
                Action::AskOnline { number, until } => self.ask(number, until),
                Action::Record(entry) => {
                    let now = self.gate_now().mono;
                    let grant = entry.grant;
                    let submitted = self
                        .controller
                        .as_mut()
                        .map_or(Ok(()), |controller| controller.submit(entry, now));
                    if let (Err(trouble), Some(grant)) = (submitted, grant) {
                        events.push(Event::NotDurable(grant, trouble));
                    }
                    self.wake_writer();
                }
                Action::Decided(decided) => self.decided(&decided),
                Action::Show(..)
                | Action::Claim { .. }
                | Action::Unclaim(_)
                | Action::Ended(..)
                | Action::SensorSticks(..)
                | Action::Alarm(..) => {}
            }
        }
    }

    pub(super) fn ask(&mut self, number: u64, until: Mono) {
        let within = until.since(self.gate_now().mono);
        let Some(controller) = &self.controller else {
            return;
        };
        let answer = controller.ask(&self.lasting.runtime, number, within);
        let late = matches!(answer, Err(HealthOutcome::TimedOut));
        // The deadline is the core's own: an answer that is late may come all the same.
        let after = if late {
            micros(within) + 5 * MS
        } else {
            self.random.below(400 * MS)
        };
        self.soon(after, Happens::Answered(self.boot, number, answer));
    }

    pub(super) fn wake_writer(&mut self) {
        if !self.writing {
            self.writing = true;
            self.soon(0, Happens::Write(self.boot));
        }
    }

    pub(super) fn write(&mut self) {
        let now = self.gate_now().mono;
        let Some(controller) = self.controller.as_mut() else {
            return;
        };
        if !controller.has_to_write(now) {
            self.writing = false;
            if let Some(at) = controller.retry_at() {
                let at = self.booted_at.saturating_add(at.as_micros());
                self.writing = true;
                self.at(at.max(self.now + MS), Happens::Write(self.boot));
            }
            return;
        }
        controller.tell_time(now);
        let answers = controller.write();
        self.look_at_journal();
        let took = 300 + self.random.below(3 * MS) + self.disk_slow;
        self.soon(took, Happens::Written(self.boot, answers));
        self.soon(took, Happens::Write(self.boot));
    }

    pub(super) fn written(&mut self, answers: Vec<Written>) {
        for written in answers {
            let Some(grant) = written.grant else { continue };
            match written.result {
                Ok(()) => {
                    self.oracle.durable(grant);
                    self.step(Event::Durable(grant));
                }
                Err(trouble) => self.step(Event::NotDurable(grant, trouble)),
            }
        }
    }

    /// Reads what was appended. A disk that refuses is looked at later.
    pub(super) fn look_at_journal(&mut self) {
        let after = self.oracle.last_seq();
        let Some(controller) = &self.controller else {
            return;
        };
        if let Ok(records) = controller.journal().read(after, usize::MAX, usize::MAX) {
            self.oracle.appended(records);
        }
    }

    /// The list in force is never below the floor.
    pub(super) fn look_at_list(&mut self) {
        let Some(controller) = &self.controller else {
            return;
        };
        let live = self.lasting.codes.state(&self.lasting.list);
        let floor = controller.list_floor(&self.lasting.list);
        if let (Some(live), Ok(Some(floor))) = (live, floor)
            && (live.era, live.version) < floor
        {
            self.oracle.violated("a list below its floor is in force");
        }
    }
}
