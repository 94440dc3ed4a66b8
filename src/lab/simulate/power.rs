//! The power goes and comes back: what a controller starts with, and what the oracle holds against that.

use super::SimulationError;
use super::aisle::Stands;
use super::controller::Controller;
use super::disk::Unsynced;
use super::oracle::Scene;
use super::script::{MS, SECOND};
use super::world::{At, Happens, World};
use crate::domain::{Event, LaneId, Source};

impl World {
    /// The power goes, and comes back some seconds later.
    pub(super) fn power_cut(
        &mut self,
        at: At,
        midway: Option<u64>,
        unsynced: Unsynced,
        cache_lost: bool,
    ) {
        self.learn_pairs(at);
        let now = self.now;
        let Some(post) = self.posts.get_mut(at) else {
            return;
        };
        let Some(controller) = post.controller.as_mut() else {
            return;
        };
        if let Some(left) = midway {
            post.lasting.disk.cut_after(left);
            // The writer may be at work at this moment.
            controller.write();
        }
        post.controller = None;
        post.due = None;
        post.lasting.disk.lose_power(unsynced, &mut self.random);
        if cache_lost {
            post.lasting.codes.lose(&post.lasting.list);
        }
        let stands = if post.fail_safe {
            Stands::Both
        } else {
            Stands::Locked
        };
        for place in &mut post.places {
            place.aisle.stand(stands, now);
        }
        post.granted.clear();
        (post.writing, post.delivering) = (false, false);
        let off = SECOND + self.random.below(10 * SECOND);
        self.soon(off, Happens::PowerBack(at));
    }

    /// Switches a controller on. Whoever supervises it tries again while the disk refuses.
    pub(super) fn power_on(&mut self, at: At) {
        let Some(post) = self.posts.get(at) else {
            return;
        };
        if post.controller.is_some() {
            return;
        }
        match self.boot_up(at) {
            Ok(()) => {}
            Err(error) => {
                let post = self.posts.get(at);
                if post.is_some_and(|post| post.lasting.disk.is_faulty()) {
                    self.soon(2 * SECOND, Happens::PowerBack(at));
                } else {
                    self.violated(at, &error.to_string());
                }
            }
        }
    }

    fn boot_up(&mut self, at: At) -> Result<(), SimulationError> {
        let (now, start_s) = (self.now, self.script.start_s);
        let Some(post) = self.posts.get_mut(at) else {
            return Ok(());
        };
        post.boot = post.boot.saturating_add(1);
        post.booted_at = now;
        let mut out = Vec::new();
        let clocks = |floor| post.clocks(now, start_s, floor);
        let mut controller = Controller::start(&post.lasting, clocks, &mut out)?;
        let journal = controller.journal();
        let (acked, records) = (
            journal.status().acked_seq,
            journal.read(0, usize::MAX, usize::MAX)?,
        );
        post.oracle.reopened(acked, records);
        let lanes = u8::try_from(post.places.len()).unwrap_or(0);
        let staff = |lane| {
            let mut wishes = controller.gate().wishes(lane).iter();
            wishes
                .find(|wish| wish.source == Source::Staff)
                .map(|wish| wish.mode)
        };
        let staff: Vec<_> = (0..lanes).map(LaneId).map(staff).collect();
        let accepted = controller.accepted();
        let boot = post.boot;
        let claims = post.lasting.settings.claims.is_some();
        if claims {
            // Unlike that of any other start of any other gate.
            let process = (at as u64) << 32 | u64::from(boot);
            controller.begin_claims(&self.runtime, process);
        }
        for place in &mut post.places {
            (place.told, place.untold_since) = (None, None);
        }
        // A fire that burns already is heard when there is power.
        post.fire_since = now;
        let scene = Scene {
            now,
            aisles: post
                .places
                .iter()
                .map(|place| (&place.aisle, false))
                .collect(),
            timer: None,
        };
        post.controller = Some(controller);
        post.oracle.directives.clear();
        post.oracle.restarted(&out, &scene, &staff);
        self.note(at, || "-- the power is on".into());
        let mut events = Vec::new();
        self.act(at, out, &mut events);
        for event in events {
            self.step(at, event);
        }
        if !accepted.is_empty() {
            self.directed(at, accepted);
        }
        self.soon(0, Happens::Follow(at, boot));
        self.soon(0, Happens::Papers(at, boot));
        if claims {
            self.soon(0, Happens::Claims(at, boot));
        }
        self.soon(10 * MS, Happens::Deliver(at, boot));
        for lane in (0..lanes).map(LaneId) {
            let Some(place) = self.posts.get_mut(at).and_then(|post| post.place(lane)) else {
                continue;
            };
            let (key, works) = (place.key, place.barrier_faults == 0);
            self.step(at, Event::BarrierWorks(lane, works));
            self.turn_key(at, lane, key);
            self.edge(at, lane);
        }
        self.tell_readers(at);
        self.hear_fire(at);
        Ok(())
    }
}
