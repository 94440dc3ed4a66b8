//! What people do in the day: come, show something, wait, walk, give up.

use super::aisle::Stands;
use super::cast::{Carries, Manner, SUBJECT, Visit};
use super::oracle::Expected;
use super::post::{Said, Waiting};
use super::script::{MS, SECOND};
use super::walk::Step;
use super::world::{At, Happens, World};
use crate::domain::{
    Assessed, Decided, Deed, Direction, Event, Finding, LaneId, Medium, Personal, Presentation,
    Reason, Shown,
};

/// How often somebody tries before they leave.
const TRIES: u32 = 3;
/// Who stands at the local socket.
const UID: u32 = 1_000;
/// What a prankster shows.
const NONSENSE: [&str; 4] = ["HC:nobody", "XX", "\u{7}", ""];

impl World {
    /// Somebody is at a gate.
    pub(super) fn comes(&mut self, visit: Visit, tries: u32) {
        let (at, lane) = (visit.gate, LaneId(visit.lane));
        let person = self.script.people.get(visit.person);
        let Some((shown, medium)) = person.map(|person| person.shows(visit.code)) else {
            return;
        };
        let Some(post) = self.posts.get_mut(at) else {
            return;
        };
        let power = post.controller.is_some();
        let unread = post.reader_away || post.camera_blind && medium != Medium::IdCard;
        let late = post.reader_late;
        let Some(place) = post.place(lane) else {
            return;
        };
        if place.aisle.stands == Stands::Both || visit.manner.shows_nothing() {
            return self.walks(visit);
        }
        if unread || !power {
            return self.tries_again(visit, tries, 2 * SECOND);
        }
        let expected = self.expect(visit);
        self.presentations = self.presentations.saturating_add(1);
        let number = self.presentations;
        if let Some(post) = self.posts.get_mut(at) {
            post.visits.insert(number, Waiting { visit, tries });
        }
        let delay = if late {
            SECOND + self.random.below(2 * SECOND)
        } else {
            self.random.below(5 * MS)
        };
        let presentation = self.presentation(at, lane, visit.side, shown, medium);
        let shown = Happens::Shown(at, number, Box::new(presentation), Box::new(expected));
        self.soon(delay, shown);
        if visit.manner == Manner::ShowsTwice && tries == 0 {
            let again = Visit {
                manner: Manner::Walks,
                ..visit
            };
            let after = SECOND + self.random.below(3 * SECOND);
            self.soon(after, Happens::Comes(again, TRIES));
        }
    }

    fn tries_again(&mut self, visit: Visit, tries: u32, after: u64) {
        // Whoever the end waits for does not give up.
        if tries < TRIES || self.probes.contains(&visit.person) {
            self.soon(after, Happens::Comes(visit, tries.saturating_add(1)));
        }
    }

    fn presentation(
        &self,
        at: At,
        lane: LaneId,
        side: Direction,
        shown: Shown,
        medium: Medium,
    ) -> Presentation {
        let read = self.gate_now(at).mono;
        Presentation {
            lane,
            direction: side,
            medium,
            shown,
            seen: read,
            read,
        }
    }

    fn expect(&self, visit: Visit) -> Expected {
        let person = self.script.people.get(visit.person);
        let dynamic = person.and_then(|person| match &person.carries {
            Carries::DynamicCode(prefix) => Some(format!("{prefix}{}", visit.code)),
            Carries::StaticCode(_) | Carries::GuestCode(_) | Carries::Card(_) => None,
        });
        Expected {
            person: visit.person,
            said: self.said(visit),
            before: self.said_before(visit.person),
            dynamic,
            read: self.now,
        }
    }

    /// What the list in force at the gate says, or, of those whom only the centre knows, the centre.
    pub(super) fn said(&self, visit: Visit) -> Said {
        let (post, person) = (
            self.posts.get(visit.gate)?,
            self.script.people.get(visit.person)?,
        );
        let key = |of| self.keys.get(&(visit.person, of));
        let (code, subject) = (key(person.shown_as(visit.code)), key(SUBJECT));
        post.listed(code.zip(subject), person.known)
    }

    /// What was read reaches the gate.
    pub(super) fn present(
        &mut self,
        at: At,
        number: u64,
        presentation: Presentation,
        expected: Expected,
    ) {
        let now = self.gate_now(at);
        let waiting = self.posts.get(at).and_then(|post| post.visits.get(&number));
        let said = waiting.and_then(|waiting| self.said(waiting.visit));
        let Some(post) = self.posts.get_mut(at) else {
            return;
        };
        let Some(controller) = post.controller.as_mut() else {
            return;
        };
        let assessed = controller.assess(number, now, presentation);
        // The list may have changed while it was on its way: the one that was looked at counts.
        let said = said.or(expected.said);
        post.shown.insert(number, Expected { said, ..expected });
        self.step(at, Event::Presented(assessed));
    }

    /// A prankster, or, while a disk hangs, one at each lane: one code after the other that nobody made.
    pub(super) fn nonsense(&mut self, at: At) {
        let Some(post) = self.posts.get(at) else {
            return;
        };
        let hangs = self.now < post.hangs_until;
        // A journal that is small on purpose is full at once.
        if post.is_small && post.ticks % 16 != 0 {
            return;
        }
        let lanes = if hangs { post.places.len() } else { 1 };
        let times = if hangs { 4 } else { 1 };
        let lanes = (0..u8::try_from(lanes).unwrap_or(0)).map(LaneId);
        for lane in lanes.flat_map(|lane| std::iter::repeat_n(lane, times)) {
            let now = self.gate_now(at);
            let nth = usize::try_from(self.presentations % 4).unwrap_or(0);
            let text = NONSENSE.get(nth).copied().unwrap_or_default();
            self.presentations = self.presentations.saturating_add(1);
            let number = self.presentations;
            let shown = Shown::Code(Personal::new(text.to_owned()));
            let presentation = self.presentation(at, lane, Direction::Entry, shown, Medium::QrCode);
            let post = self.posts.get_mut(at);
            let Some(controller) = post.and_then(|post| post.controller.as_mut()) else {
                return;
            };
            let assessed = controller.assess(number, now, presentation);
            self.step(at, Event::Presented(assessed));
        }
    }

    /// Staff let one person through.
    pub(super) fn opens_once(&mut self, visit: Visit) {
        let (at, lane) = (visit.gate, LaneId(visit.lane));
        self.presentations = self.presentations.saturating_add(1);
        let number = self.presentations;
        let now = self.gate_now(at).mono;
        let Some(post) = self.posts.get_mut(at) else {
            return;
        };
        let waiting = Waiting {
            visit,
            tries: TRIES,
        };
        post.visits.insert(number, waiting);
        let deed = Deed::OpenOnce {
            direction: visit.side,
        };
        self.step(at, Event::Staffed(UID, Some(lane), deed));
        let assessed = Assessed {
            number,
            lane,
            direction: visit.side,
            medium: Medium::QrCode,
            seen: now,
            read: now,
            finding: Finding::ByStaff,
        };
        self.step(at, Event::Presented(assessed));
    }

    /// A gate has decided: who is granted waits for the barrier, who is not tries again or leaves.
    pub(super) fn decided(&mut self, at: At, decided: &Decided) {
        let Some(post) = self.posts.get_mut(at) else {
            return;
        };
        let Some(Waiting { visit, tries }) = post.visits.get(&decided.number).copied() else {
            return;
        };
        if let Some(grant) = decided.grant {
            post.granted.insert(grant, decided.number);
            self.probes.remove(&visit.person);
            return;
        }
        // Granted, and refused after all: nobody sets out for it.
        post.granted.retain(|_, number| *number != decided.number);
        let again = matches!(decided.reason, Reason::LaneBusy | Reason::TooLate);
        if again || self.probes.contains(&visit.person) {
            let after = SECOND + self.random.below(3 * SECOND);
            self.tries_again(visit, tries, after);
        }
    }

    /// The barrier of a lane is released for this direction: the first who was granted it sets out.
    pub(super) fn sets_out(&mut self, at: At, lane: LaneId, way: Direction) {
        let Some(post) = self.posts.get_mut(at) else {
            return;
        };
        let mut waiting = post.granted.iter();
        let found = waiting.find_map(|(grant, number)| {
            let waiting = post.visits.get(number)?;
            let visit = waiting.visit;
            ((visit.side, LaneId(visit.lane)) == (way, lane)).then_some((*grant, visit))
        });
        if let Some((grant, visit)) = found {
            post.granted.remove(&grant);
            self.walks(visit);
        }
    }

    /// Somebody walks, in their manner.
    fn walks(&mut self, visit: Visit) {
        let (at, lane, way, now) = (visit.gate, LaneId(visit.lane), visit.side, self.now);
        let random = &mut self.random;
        let Some(place) = self.posts.get_mut(at).and_then(|post| post.place(lane)) else {
            return;
        };
        let aisle = &mut place.aisle;
        let sights = aisle.sights.clone();
        let tripod = aisle.is_tripod();
        let through = |random: &mut _, way, dithers| match tripod {
            true => sights.turn(random, way),
            false => sights.through(random, way, dithers),
        };
        let mut walks: Vec<(Direction, Vec<Step>)> = Vec::new();
        match visit.manner {
            Manner::Stays => {}
            Manner::TurnsBack if tripod => walks.push((way, sights.rattle(random, way))),
            Manner::TurnsBack => walks.push((way, sights.turn_back(random, way))),
            Manner::Walks | Manner::Intrudes | Manner::ShowsTwice => {
                walks.push((way, through(random, way, false)));
            }
            Manner::Dithers => walks.push((way, through(random, way, true))),
            Manner::Carries => {
                let rider = through(random, way, false);
                let takes = rider.iter().map(|(after, _)| after).sum::<u64>();
                walks.push((way, rider));
                if !tripod {
                    walks.push((way, sights.bag(random, takes / 2)));
                }
            }
            Manner::IsFollowed => {
                let mut behind = through(random, way, false);
                if let Some(first) = behind.first_mut() {
                    first.0 = first.0.saturating_add(300 * MS + random.below(SECOND));
                }
                walks.extend([(way, through(random, way, false)), (way, behind)]);
            }
            Manner::Jumps => walks.push((way, through(random, way, false))),
            Manner::Pushes if tripod => walks.push((way, sights.rattle(random, way))),
            Manner::Pushes => aisle.push(now + 200 * MS + random.below(3 * SECOND)),
            Manner::ComesAgainst => {
                let against = way.opposite();
                walks.push((against, through(random, against, false)));
            }
        }
        let climbs = matches!(visit.manner, Manner::Jumps | Manner::Pushes);
        let mut numbers = Vec::new();
        for (way, steps) in walks {
            let body = aisle.enter(way, steps, climbs, now);
            numbers.extend(aisle.moves_in(body).map(|after| (after, body)));
        }
        if visit.manner == Manner::Pushes {
            self.edge(at, lane);
            self.soon(3_300 * MS, Happens::Edge(at, lane));
        }
        for (after, body) in numbers {
            self.soon(after, Happens::Moves(at, lane, body));
        }
    }

    /// A body moves.
    pub(super) fn moves(&mut self, at: At, lane: LaneId, body: u64) {
        let now = self.now;
        let Some(place) = self.posts.get_mut(at).and_then(|post| post.place(lane)) else {
            return;
        };
        let differs = place.aisle.advance(body, now);
        if let Some(after) = place.aisle.moves_in(body) {
            self.soon(after, Happens::Moves(at, lane, body));
        }
        if differs {
            self.edge(at, lane);
        }
    }

    /// A sensor may see a difference: its edge is reported, or lost, or comes twice.
    pub(super) fn edge(&mut self, at: At, lane: LaneId) {
        let now = self.now;
        let Some(post) = self.posts.get_mut(at) else {
            return;
        };
        let (lost, doubled) = (post.edges_lost, post.edges_doubled);
        let Some(place) = post.place(lane).filter(|place| !place.lines_lost) else {
            return;
        };
        let levels = place.aisle.levels(now);
        if place.told == Some(levels) {
            return;
        }
        if self.random.percent(lost) {
            place.blind_until = now + SECOND;
            return self.count("edge_lost");
        }
        self.sense(at, lane, levels);
        if self.random.percent(doubled) {
            self.count("edge_doubled");
            self.sense(at, lane, levels);
        }
    }
}
