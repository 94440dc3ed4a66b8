//! Turns of a gate, and everything that follows from one at once: what the runtime does around it.

use std::hash::{Hash as _, Hasher as _};
use std::mem::discriminant;

use super::aisle::{Stands, TRAVEL};
use super::oracle::Scene;
use super::plant::Plant;
use super::post::Post;
use super::script::MS;
use super::world::{At, Happens, World, micros};
use crate::domain::{Action, Entry, Event, HealthOutcome, LaneId, Mono, Now};
use crate::store::journal::Written;

/// How far ahead the clock of a timer is that fires too early.
const AHEAD: std::time::Duration = std::time::Duration::from_millis(1_500);
/// For so long a lost edge may be unknown to the gate: levels are repeated.
const UNTOLD: u64 = 2_000_000;

impl World {
    /// The clocks of a gate.
    pub(super) fn gate_now(&self, at: At) -> Now {
        let post = self.posts.get(at);
        post.map_or_else(Now::default, |post| post.now(self.now, self.script.start_s))
    }

    /// One step of a gate, and everything that follows from it at once.
    pub(super) fn step(&mut self, at: At, event: Event) {
        let mut events = vec![event];
        while let Some(event) = events.pop() {
            self.turn(at, event, &mut events);
        }
        if let Some(post) = self.posts.get_mut(at) {
            post.set_due();
        }
    }

    fn turn(&mut self, at: At, event: Event, events: &mut Vec<Event>) {
        let mut now = self.gate_now(at);
        let Some(post) = self.posts.get_mut(at) else {
            return;
        };
        self.about = post.about(&event);
        let Some(controller) = post.controller.as_mut() else {
            return;
        };
        post.oracle.told(&event, post.fire_input);
        controller.tell_time(now.mono);
        let is_timer = matches!(event, Event::TimedOut);
        if is_timer && self.plant == Some(Plant::EarlyTimer) {
            now.mono = now.mono + AHEAD;
        }
        let lanes = u8::try_from(post.places.len()).unwrap_or(0);
        let gate = controller.gate();
        let timer = is_timer.then(|| {
            (0..lanes)
                .map(|n| gate.lane_view(LaneId(n)).state)
                .collect()
        });
        let code = discriminant_of(&event);
        let quiet = matches!(
            event,
            Event::Sensed(..) | Event::Fire(_) | Event::TimedOut | Event::ModeSet(..)
        );
        let told = self.trace.is_some().then(|| format!("{event:?}"));
        let mut out = Vec::new();
        gate.step(now, event, &mut out);
        if quiet && out.is_empty() {
            return;
        }
        self.mark(code);
        if let Some(told) = told {
            self.note(at, || told);
        }
        self.perform(at, out, timer, events);
        self.look_at_lanes(at);
    }

    /// Every lane stands as it must.
    pub(super) fn look_at_lanes(&mut self, at: At) {
        let (now, clocks) = (self.now, self.gate_now(at));
        let Some(post) = self.posts.get_mut(at) else {
            return;
        };
        let Some(controller) = post.controller.as_mut() else {
            return;
        };
        for (id, place) in (0..=u8::MAX).map(LaneId).zip(&mut post.places) {
            let untold = place.told != Some(place.aisle.levels(now)) && !place.lines_lost;
            place.untold_since = untold.then(|| place.untold_since.unwrap_or(now));
            let view = controller.gate().lane_view(id);
            let stands = place.aisle.stands;
            post.oracle.look_at_lane(id, now, clocks, &view, stands);
            let untold = place.untold_since;
            let untold = untold.map_or(0, |since| now.saturating_sub(since));
            post.oracle.must(
                untold < UNTOLD,
                "the gate has not been told for seconds what a sensor says",
            );
        }
        let heard = now.saturating_sub(post.fire_since) <= 50 * MS;
        let mut all = post.places.iter();
        let open = all.all(|place| place.aisle.stands == Stands::Both);
        if post.fire_input && !heard && !open {
            post.oracle
                .violated("there is a fire and the barrier is not released within 50 ms");
        }
        let (unwritten, _) = controller.unwritten();
        let (queued, most) = (controller.queued(), crate::store::journal::QUEUE_MAX);
        if queued > most || unwritten > most + KEPT_MAX {
            post.oracle.violated("a queue has grown past its bound");
        }
    }

    /// Performs actions as the runtime does.
    fn perform(
        &mut self,
        at: At,
        mut out: Vec<Action>,
        timer: Option<Vec<&'static str>>,
        events: &mut Vec<Event>,
    ) {
        if out.is_empty() {
            return;
        }
        if let Some(plant) = self.plant {
            plant.tamper(&mut out);
        }
        let (now, clocks) = (self.now, self.gate_now(at));
        if let Some(post) = self.posts.get_mut(at) {
            post.oracle.refresh(now, clocks);
            let Post {
                oracle,
                places,
                shown,
                ..
            } = post;
            let aisles = places.iter().map(|place| {
                let aisle = &place.aisle;
                let blind = now < place.blind_until || place.lines_lost || aisle.has_stuck_sensor();
                (aisle, blind)
            });
            let scene = Scene {
                now,
                aisles: aisles.collect(),
                timer,
            };
            oracle.see(&out, &scene, shown);
        }
        self.act(at, out, events);
    }

    /// Performs actions that the oracle has seen.
    pub(super) fn act(&mut self, at: At, out: Vec<Action>, events: &mut Vec<Event>) {
        for action in out {
            self.mark(discriminant_of(&action));
            if self.trace.is_some() {
                self.note(at, || format!("   {action:?}"));
            }
            match action {
                Action::ReleaseBarrier(lane, way) => {
                    self.stand(at, lane, Stands::For(way));
                    self.sets_out(at, lane, way);
                }
                Action::ReleaseBothWays(lane) => self.stand(at, lane, Stands::Both),
                Action::LockBarrier(lane) => self.stand(at, lane, Stands::Locked),
                Action::AskOnline { number, until } => self.ask(at, number, until),
                Action::Record(entry) => self.record(at, entry, events),
                Action::Decided(decided) => self.decided(at, &decided),
                Action::Ended(_, _, _, grant) => {
                    if let (Some(grant), Some(post)) = (grant, self.posts.get_mut(at)) {
                        post.granted.remove(&grant);
                    }
                }
                Action::Claim { claim, until } => self.claims(at, claim, until, events),
                Action::Unclaim(claim) => self.takes_back(at, claim),
                Action::Show(..) | Action::SensorSticks(..) | Action::Alarm(..) => {}
            }
        }
    }

    /// The barrier of a lane is told how to stand; its limit switches follow.
    pub(super) fn stand(&mut self, at: At, lane: LaneId, stands: Stands) {
        let now = self.now;
        if let Some(place) = self.posts.get_mut(at).and_then(|post| post.place(lane)) {
            place.aisle.stand(stands, now);
            self.soon(0, Happens::Edge(at, lane));
            self.soon(TRAVEL, Happens::Edge(at, lane));
        }
    }

    fn record(&mut self, at: At, entry: Entry, events: &mut Vec<Event>) {
        let now = self.gate_now(at).mono;
        let Some(post) = self.posts.get_mut(at) else {
            return;
        };
        let Some(controller) = post.controller.as_mut() else {
            return;
        };
        let (grant, ends) = (entry.grant, super::records::end_of(&entry.record.kind));
        match (controller.submit(entry, now), grant) {
            (Ok(()), _) => {}
            (Err(trouble), Some(grant)) => events.push(Event::NotDurable(grant, trouble)),
            // The disk hangs, and the queue is full: the runtime counts what it gives up.
            (Err(_), None) => {
                post.oracle.given_up.extend(ends);
                self.count("record_given_up");
            }
        }
        self.wake_writer(at);
    }

    fn ask(&mut self, at: At, number: u64, until: Mono) {
        let within = until.since(self.gate_now(at).mono);
        let Some(post) = self.posts.get_mut(at) else {
            return;
        };
        let (boot, Some(controller)) = (post.boot, &post.controller) else {
            return;
        };
        let mut answer = controller.ask(&self.runtime, number, within);
        if let (Ok(standing), Some(Plant::OnlineRideAssumed)) = (&mut answer, self.plant) {
            standing.entitlements |= 1;
        }
        let late = matches!(answer, Err(HealthOutcome::TimedOut));
        // The deadline is the core's own: an answer that is late may come all the same.
        let after = if late {
            micros(within) + 5 * MS
        } else {
            self.random.below(400 * MS)
        };
        self.soon(after, Happens::Answered(at, boot, number, answer));
    }

    fn wake_writer(&mut self, at: At) {
        let Some(post) = self.posts.get_mut(at).filter(|post| !post.writing) else {
            return;
        };
        post.writing = true;
        let (boot, after) = (post.boot, post.hangs_until.saturating_sub(self.now));
        self.soon(after, Happens::Write(at, boot));
    }

    pub(super) fn write(&mut self, at: At) {
        let (now, mono) = (self.now, self.gate_now(at).mono);
        let Some(post) = self.posts.get_mut(at) else {
            return;
        };
        let (boot, booted_at) = (post.boot, post.booted_at);
        let Some(controller) = post.controller.as_mut() else {
            return;
        };
        if now < post.hangs_until {
            let until = post.hangs_until;
            return self.at(until, Happens::Write(at, boot));
        }
        if !controller.has_to_write(mono) {
            post.writing = false;
            if let Some(again) = controller.retry_at() {
                post.writing = true;
                let again = booted_at.saturating_add(again.as_micros());
                self.at(again.max(now + MS), Happens::Write(at, boot));
            }
            return;
        }
        controller.tell_time(mono);
        let answers = controller.write();
        let all_written = controller.unwritten() == (0, 0);
        let took =
            post.write_us + self.random.below(post.write_us.saturating_mul(2)) + post.disk_slow;
        let (deliver, link) = (!post.delivering, post.link_us);
        post.delivering = true;
        if all_written {
            post.oracle.settled();
        }
        self.look_at_journal(at);
        self.soon(took, Happens::Written(at, boot, answers));
        self.soon(took, Happens::Write(at, boot));
        if deliver {
            self.soon(took + link, Happens::Deliver(at, boot));
        }
    }

    pub(super) fn written(&mut self, at: At, answers: Vec<Written>) {
        for written in answers {
            let Some(grant) = written.grant else { continue };
            match written.result {
                Ok(()) => {
                    if let Some(post) = self.posts.get_mut(at) {
                        post.oracle.durable(grant);
                    }
                    self.step(at, Event::Durable(grant));
                }
                Err(trouble) => self.step(at, Event::NotDurable(grant, trouble)),
            }
        }
    }

    /// Reads what was appended. A disk that refuses is looked at later.
    pub(super) fn look_at_journal(&mut self, at: At) {
        let Some(post) = self.posts.get_mut(at) else {
            return;
        };
        let after = post.oracle.last_seq();
        let Some(controller) = &post.controller else {
            return;
        };
        if controller.journal().status().next_seq == after.saturating_add(1) {
            return;
        }
        if let Ok(records) = controller.journal().read(after, usize::MAX, usize::MAX) {
            post.oracle.appended(records);
        }
    }
}

/// Entries that the writer keeps for later, at most: those that it may keep, and the batch in doubt.
const KEPT_MAX: usize = 4096 + crate::store::journal::scribe::GROUP_MAX;

/// Stands for the kind of an event or an action.
fn discriminant_of<T>(of: &T) -> u64 {
    /// FNV-1a: the same in every run, which the hasher of a map need not be.
    struct Fnv(u64);
    impl std::hash::Hasher for Fnv {
        fn finish(&self) -> u64 {
            self.0
        }
        fn write(&mut self, bytes: &[u8]) {
            for byte in bytes {
                self.0 = (self.0 ^ u64::from(*byte)).wrapping_mul(0x0100_0000_01b3);
            }
        }
    }
    let mut hasher = Fnv(0xcbf2_9ce4_8422_2325);
    discriminant(of).hash(&mut hasher);
    hasher.finish()
}
