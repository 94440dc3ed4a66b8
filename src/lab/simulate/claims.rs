//! Claims between the gates of a station, and visitors whom only the centre knows: what is asked while somebody waits.
//!
//! Real are the task that claims, with what it tells later, and the backend's store of claims; the task runs on the world's
//! paused runtime, whose time is moved on to that of the day before each of its turns.

use std::collections::BTreeMap;
use std::time::Duration;

use super::cast::{self, Known, Visit};
use super::mood::Mood;
use super::post::{Facts, Said};
use super::script::{MS, SECOND};
use super::world::{At, Happens, World, micros};
use crate::domain::{Claim, ClaimId, Claimed, Event, Mono, Replay, ReplayKey, Row};
use crate::sync::claims::{News, Order};

/// How often who claims has a turn of its own: for what it tells later.
const TURNS: u64 = SECOND;
/// How long an answer of the centre is kept, and how much longer it may decide: a presentation takes its time.
pub(super) const LEARNED: Duration = Duration::from_secs(20);
const REMEMBERED: u64 = 24 * SECOND;
/// When a visitor whose standing changes comes: before it, and when the answer before it is over.
const AGAIN: u64 = 40 * SECOND;

/// What the oracle knows of claims: a code is won once.
#[derive(Default)]
pub(super) struct Ledger {
    /// What each claim is about, and when it was made.
    made: BTreeMap<(At, ClaimId), (Replay, u64)>,
    /// Which claim has won a code, and until when it is its own at least.
    won: BTreeMap<ReplayKey, (At, ClaimId, u64)>,
}

impl Ledger {
    /// The centre has come back with an older copy: what was won since, it does not know.
    pub(super) fn forget(&mut self) {
        self.won.clear();
    }

    fn made(&mut self, at: At, claim: &Claim, now: u64) {
        if let Some(replay) = claim.replay {
            self.made.insert((at, claim.id), (replay, now));
        }
    }

    fn taken_back(&mut self, at: At, claim: ClaimId) {
        self.won.retain(|_, (of, id, _)| (*of, *id) != (at, claim));
    }

    /// A gate has won; false if another gate has before it.
    #[must_use]
    fn is_first(&mut self, at: At, claim: ClaimId, now: u64) -> bool {
        let Some((replay, when)) = self.made.get(&(at, claim)) else {
            return true;
        };
        let before = self.won.get(&replay.key);
        let first = before.is_none_or(|(of, _, until)| *of == at || now >= *until);
        // The centre counts whole seconds.
        let until = when + u64::from(replay.window_s).saturating_sub(1) * SECOND;
        if first {
            self.won.insert(replay.key, (at, claim, until));
        }
        first
    }
}

impl World {
    /// A gate claims a use.
    pub(super) fn claims(&mut self, at: At, claim: Claim, until: Mono, events: &mut Vec<Event>) {
        let within = until.since(self.gate_now(at).mono);
        self.claimed.made(at, &claim, self.now);
        let about = self.about.clone();
        for (place, post) in self.posts.iter_mut().enumerate() {
            if place != at {
                post.oracle.elsewhere.extend(about.clone());
            }
        }
        if !self.order(at, Order::Claim(claim, within)) {
            events.push(Event::Claimed(claim.id, Claimed::Unanswered));
        }
        self.turn_claims(at, Some(within));
    }

    /// A use has not come about.
    pub(super) fn takes_back(&mut self, at: At, claim: ClaimId) {
        self.claimed.taken_back(at, claim);
        // One that finds no room ends by itself.
        if !self.order(at, Order::TakeBack(claim)) {
            self.count("claim_not_taken_back");
        }
    }

    fn order(&mut self, at: At, order: Order) -> bool {
        let post = self.posts.get_mut(at);
        let claims = post.and_then(|post| post.controller.as_mut()?.claims());
        claims.is_some_and(|claims| claims.order(order))
    }

    /// Who claims has a turn, again and again.
    pub(super) fn claims_on(&mut self, at: At, boot: u32) {
        self.turn_claims(at, None);
        self.soon(TURNS, Happens::Claims(at, boot));
    }

    /// One turn of who claims, and what came of it. `within`: how long the gate waits for what it has just asked.
    fn turn_claims(&mut self, at: At, within: Option<Duration>) {
        let moment = Duration::from_micros(self.now.saturating_sub(self.runtime_at));
        let today = self.utc(self.now);
        let mono = self.gate_now(at).mono;
        let mood = {
            let mut state = self.centre.state();
            state.now = today;
            state.moods.get(at).copied().unwrap_or_default()
        };
        let Some(post) = self.posts.get_mut(at) else {
            return;
        };
        let boot = post.boot;
        let Some(controller) = post.controller.as_mut() else {
            return;
        };
        controller.tell_time(mono);
        let Some(claims) = controller.claims() else {
            return;
        };
        self.runtime_at = self.now;
        for news in claims.turn(&self.runtime, moment) {
            let News {
                claim,
                claimed,
                late,
            } = news;
            if matches!(claimed, Claimed::Won { .. }) && !self.claimed.is_first(at, claim, self.now)
            {
                self.violated(at, "a code is won by two gates");
            }
            if late {
                continue;
            }
            let after = match (&claimed, mood, within) {
                (Claimed::Unanswered, Mood::Late, Some(within)) => micros(within) + 5 * MS,
                (Claimed::Unanswered, ..) => self.random.below(5 * MS),
                _ => self.random.below(140 * MS),
            };
            self.soon(after, Happens::Claimed(at, boot, claim, claimed));
        }
    }

    /// What the centre said of somebody a moment ago, if that may still decide.
    pub(super) fn said_before(&self, person: usize) -> Said {
        let (said, at) = self.visitors.get(&person)?;
        (self.now < at + REMEMBERED).then_some(*said)
    }

    /// A visitor whom only the centre knows comes to a lane, and to the lane beside when the centre says something else of
    /// them: the answer before must not decide any more.
    pub(super) fn visitor_changes(&mut self) {
        let online = |(n, person): (usize, &cast::Person)| match person.known {
            Known::Online(row) if n < self.script.fresh => Some((n, row)),
            Known::Online(_) | Known::Listed(_) | Known::Nowhere => None,
        };
        let visitors: Vec<_> = self
            .script
            .people
            .iter()
            .enumerate()
            .filter_map(online)
            .collect();
        let Some((person, row)) = visitors.get(self.random.index(visitors.len())).copied() else {
            return;
        };
        let new = Row {
            colour: cast::colour(&mut self.random),
            ..row
        };
        let gate = self.random.index(self.posts.len());
        let lanes = self.posts.get(gate).map_or(0, |post| post.places.len());
        let lane = self.random.index(lanes);
        let sides = self.script.gates.get(gate);
        let sides = sides.and_then(|gate| gate.settings.lanes.get(lane));
        let Some(side) = sides.and_then(|lane| lane.directions.first()).copied() else {
            return;
        };
        let visit = |code| Visit {
            gate,
            lane: u8::try_from(lane).unwrap_or(0),
            person,
            side,
            manner: cast::Manner::Walks,
            code,
        };
        self.soon(0, Happens::Comes(visit(0), 0));
        self.soon(AGAIN, Happens::Comes(visit(0), 0));
        self.soon(5 * SECOND, Happens::Changes(person, new));
    }

    /// The centre says something else of a visitor from now on.
    pub(super) fn visitor_is(&mut self, n: usize, row: Row) {
        let Some(person) = self.script.people.get_mut(n) else {
            return;
        };
        let Known::Online(before) = person.known else {
            return;
        };
        person.known = Known::Online(row);
        for (_, _, text) in person.identifiers() {
            self.centre.knows(&text, row);
        }
        self.visitors.insert(n, (Facts::of(&before), self.now));
    }
}
