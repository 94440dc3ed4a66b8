//! Faults begin and end; the power goes and comes back.

use super::cast::{self, Known, SUBJECT};
use super::faults::Fault;
use super::mood::Mood;
use super::plant::Plant;
use super::script::{Item, MS, SECOND, What};
use super::world::{At, Happens, World};
use crate::domain::{Event, LaneId, Mode, Service, Utc, Wanted};

const SIDES: [crate::domain::Direction; 2] = [
    crate::domain::Direction::Entry,
    crate::domain::Direction::Exit,
];

impl World {
    pub(super) fn count(&mut self, fault: &'static str) {
        let count = self.faults.entry(fault).or_default();
        *count = count.saturating_add(1);
    }

    /// A fault of the script begins.
    #[expect(clippy::too_many_lines, reason = "one arm a fault")]
    pub(super) fn begins(&mut self, item: usize, at: At, fault: Fault, lasts: u64) {
        self.count(fault.as_str());
        self.note(at, || format!("-- {fault:?} for {} ms", lasts / MS));
        self.soon(lasts, Happens::Ends(item));
        let now = self.now;
        let Some(post) = self.posts.get_mut(at) else {
            return;
        };
        match fault {
            Fault::Backend(mood) => self.centre.set_mood(at, mood),
            Fault::BackendRestored => self.restores_backend(),
            Fault::DiskSlow(took) => post.disk_slow = took,
            Fault::DiskHangs => {
                post.hangs_until = now + lasts;
                // Somebody plays with a reader meanwhile.
                post.flood |= self.random.percent(30);
            }
            Fault::DiskRefuses => post.lasting.disk.refuse(true),
            Fault::DiskFailsMidway(left) => post.lasting.disk.cut_after(left),
            Fault::PowerCut {
                midway,
                unsynced,
                cache_lost,
            } => self.power_cut(at, midway, unsynced, cache_lost),
            Fault::ClockSteps(seconds) => {
                post.date_offset_s = post.date_offset_s.saturating_add(seconds);
            }
            Fault::ClockDrifts(ppm) => post.drift = (ppm, now),
            Fault::ClockUntrusted => post.vouched = false,
            Fault::SensorStuck(lane, sensor, level) => {
                if let Some(place) = post.place(LaneId(lane)) {
                    place.aisle.stick(sensor, Some(level));
                }
                self.edge(at, LaneId(lane));
            }
            Fault::LinesLost(lane) => {
                if let Some(place) = post.place(LaneId(lane)) {
                    (place.lines_lost, place.told) = (true, None);
                }
                self.step(at, Event::LinesLost(LaneId(lane)));
                self.barrier_works(at, LaneId(lane), false);
            }
            Fault::RelayStuck(lane, welded) => {
                if let Some(place) = post.place(LaneId(lane)) {
                    place.aisle.stick_barrier(Some(welded), now);
                    place.had_barrier_fault = true;
                }
                self.edge(at, LaneId(lane));
            }
            Fault::RelaysAway(lane) => self.barrier_works(at, LaneId(lane), false),
            Fault::ReaderAway => post.reader_away = true,
            Fault::CameraBlind => {
                post.camera_blind = true;
                self.tell_readers(at);
            }
            Fault::ReaderLate => post.reader_late = true,
            Fault::Fire => {
                (post.fire_input, post.fire_since) = (true, now);
                let late = self.plant == Some(Plant::FireLate);
                self.soon(if late { 400 * MS } else { 0 }, Happens::FireHeard(at));
            }
            Fault::CacheLost => post.lasting.codes.lose(&post.lasting.list),
            Fault::Flood => post.flood = true,
            Fault::Staff(lane, mode) => {
                let wanted = Wanted::by_staff(Some(mode));
                self.step(at, Event::ModeSet(LaneId(lane), wanted));
            }
            Fault::Key(lane, mode) => {
                if let Some(place) = post.place(LaneId(lane)) {
                    place.key = Some(mode);
                }
                self.turn_key(at, LaneId(lane), Some(mode));
            }
            Fault::Directive(mode) => self.directs(at, mode, lasts),
            Fault::EdgesLost(percent) => post.edges_lost = percent,
            Fault::EdgesDoubled(percent) => post.edges_doubled = percent,
        }
    }

    /// A fault of the script ends.
    pub(super) fn ends(&mut self, item: usize) {
        let of = self.script.items.get(item).copied();
        let Some(Item {
            what: What::Fault(at, fault, _),
            ..
        }) = of
        else {
            return;
        };
        let is_on = self
            .posts
            .get(at)
            .is_some_and(|post| post.controller.is_some());
        if !is_on && matches!(fault, Fault::Staff(..)) {
            // Nobody can take it back while there is no power.
            return self.soon(SECOND, Happens::Ends(item));
        }
        self.note(at, || format!("-- {fault:?} is over"));
        self.relieve(at, fault);
    }

    pub(super) fn relieve(&mut self, at: At, fault: Fault) {
        let now = self.now;
        let Some(post) = self.posts.get_mut(at) else {
            return;
        };
        match fault {
            Fault::Backend(_) => self.centre.set_mood(at, Mood::Well),
            Fault::BackendRestored => self.soon(0, Happens::Recovers),
            Fault::DiskSlow(_) => post.disk_slow = 0,
            Fault::DiskHangs => (post.hangs_until, post.flood) = (0, false),
            Fault::DiskRefuses | Fault::DiskFailsMidway(_) => post.lasting.disk.refuse(false),
            Fault::PowerCut { .. } | Fault::CacheLost | Fault::Directive(_) => {}
            Fault::ClockSteps(seconds) => {
                post.date_offset_s = post.date_offset_s.saturating_sub(seconds);
            }
            Fault::ClockDrifts(_) => {
                post.drifted = post.drift_at(now);
                post.drift = (0, now);
            }
            Fault::ClockUntrusted => post.vouched = true,
            Fault::SensorStuck(lane, sensor, _) => {
                if let Some(place) = post.place(LaneId(lane)) {
                    place.aisle.stick(sensor, None);
                    place.blind_until = now + SECOND;
                }
                self.edge(at, LaneId(lane));
            }
            Fault::LinesLost(lane) => {
                if let Some(place) = post.place(LaneId(lane)) {
                    place.lines_lost = false;
                    place.blind_until = now + SECOND;
                }
                self.barrier_works(at, LaneId(lane), true);
                self.edge(at, LaneId(lane));
            }
            Fault::RelayStuck(lane, _) => {
                if let Some(place) = post.place(LaneId(lane)) {
                    place.aisle.stick_barrier(None, now);
                }
                self.edge(at, LaneId(lane));
            }
            Fault::RelaysAway(lane) => self.barrier_works(at, LaneId(lane), true),
            Fault::ReaderAway => post.reader_away = false,
            Fault::CameraBlind => {
                post.camera_blind = false;
                self.tell_readers(at);
            }
            Fault::ReaderLate => post.reader_late = false,
            Fault::Fire => {
                post.fire_input = false;
                self.step(at, Event::Fire(false));
                let after = self.random.below(20 * SECOND);
                self.soon(after, Happens::Recovers);
            }
            Fault::Flood => post.flood = false,
            Fault::Staff(lane, _) => {
                self.step(at, Event::ModeSet(LaneId(lane), Wanted::by_staff(None)));
            }
            Fault::Key(lane, _) => {
                if let Some(place) = post.place(LaneId(lane)) {
                    place.key = None;
                }
                self.turn_key(at, LaneId(lane), None);
            }
            Fault::EdgesLost(_) => post.edges_lost = 0,
            Fault::EdgesDoubled(_) => post.edges_doubled = 0,
        }
    }

    /// The gate hears where the key switch of a lane stands.
    pub(super) fn turn_key(&mut self, at: At, lane: LaneId, key: Option<Mode>) {
        self.step(at, Event::ModeSet(lane, Wanted::by_key(key)));
    }

    /// The fire loop is heard.
    pub(super) fn hear_fire(&mut self, at: At) {
        let fire = self.posts.get(at).is_some_and(|post| post.fire_input);
        self.step(at, Event::Fire(fire));
    }

    /// Several faults may hold one barrier: it works when the last is over.
    fn barrier_works(&mut self, at: At, lane: LaneId, works: bool) {
        let Some(place) = self.posts.get_mut(at).and_then(|post| post.place(lane)) else {
            return;
        };
        place.had_barrier_fault |= !works;
        place.barrier_faults = if works {
            place.barrier_faults.saturating_sub(1)
        } else {
            place.barrier_faults.saturating_add(1)
        };
        let works = place.barrier_faults == 0;
        self.step(at, Event::BarrierWorks(lane, works));
    }

    pub(super) fn tell_readers(&mut self, at: At) {
        let Some(post) = self.posts.get(at) else {
            return;
        };
        let service = if post.camera_blind {
            Service::CardsOnly
        } else {
            Service::Full
        };
        let lanes = u8::try_from(post.places.len()).unwrap_or(0);
        for lane in (0..lanes).map(LaneId) {
            for side in SIDES {
                self.step(at, Event::Readers(lane, side, service));
            }
        }
    }

    fn directs(&mut self, at: At, mode: Mode, lasts: u64) {
        let after = self.random.below(5 * SECOND);
        // Directives say whole seconds.
        let whole = |utc: Utc| Utc::from_secs(utc.as_secs());
        let from = whole(self.utc(self.now + after));
        let until = whole(self.utc(self.now + 7 * SECOND + lasts));
        let Some(post) = self.posts.get_mut(at) else {
            return;
        };
        let gate = &post.lasting.gate;
        if let Err(error) = self.centre.direct(gate, Some(mode), from, until) {
            post.oracle.violated(error.to_string());
        }
    }

    fn restores_backend(&mut self) {
        match self.centre.restore() {
            Ok(true) => {
                self.restored = true;
                self.claimed.forget();
            }
            Ok(false) => return,
            Err(error) => return self.violated(0, &error.to_string()),
        }
        for post in &mut self.posts {
            // What was acknowledged is deleted at the gate: the centre has it no more, and nobody has.
            let acked = post
                .controller
                .as_ref()
                .map(|controller| controller.journal().status().acked_seq);
            let acked = acked.unwrap_or(post.oracle.last_seq());
            post.lost_before = post.lost_before.max(acked);
        }
    }

    pub(super) fn publishes(&mut self) {
        let listed = self
            .script
            .people
            .iter()
            .enumerate()
            .take(self.script.fresh);
        let listed: Vec<_> = listed
            .filter(|(_, person)| matches!(person.known, Known::Listed(_)))
            .map(|(n, _)| n)
            .collect();
        let Some(person) = listed.get(self.random.index(listed.len())).copied() else {
            return;
        };
        let row = cast::row(person, cast::colour(&mut self.random));
        let Some(carries) = self.script.people.get(person).map(|of| &of.carries) else {
            return;
        };
        let [of_code, of_person] = cast::halves(carries, row);
        let theirs = self.keys.range((person, 0)..=(person, SUBJECT));
        let row_of = |code| if code == SUBJECT { of_person } else { of_code };
        let changes: Vec<_> = theirs
            .map(|((_, code), key)| (*key, row_of(*code)))
            .collect();
        let today = self.utc(self.now);
        if let Err(error) = self.centre.publish(today, &changes) {
            self.violated(0, &error.to_string());
        }
    }
}
