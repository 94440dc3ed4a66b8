//! What people do in the day: come, show something, wait, walk, give up.

use super::aisle::Stands;
use super::cast::{self, Known, Manner, Visit};
use super::oracle::Expected;
use super::world::{Happens, LANE, MS, SECOND, World};
use crate::domain::{
    Colour, Decided, Direction, Event, Medium, Personal, Presentation, Reason, Shown, Verdict,
};
use crate::store::codes::Codes as _;

/// How often somebody tries before they leave.
const TRIES: u32 = 3;

impl World {
    /// Somebody is at the gate.
    pub(super) fn comes(&mut self, visit: Visit, tries: u32) {
        let power = self.controller.is_some();
        if self.aisle.stands == Stands::Both || visit.manner == Manner::Intrudes {
            return self.walks(visit);
        }
        if self.reader_away || !power {
            if tries < TRIES {
                self.soon(2 * SECOND, Happens::Comes(visit, tries.saturating_add(1)));
            }
            return;
        }
        let Some(person) = self.people.get(visit.person) else {
            return;
        };
        let (shown, medium) = person.shows(visit.code);
        let expected = self.expect(visit);
        self.presentations = self.presentations.saturating_add(1);
        let number = self.presentations;
        self.visits.insert(number, (visit, tries));
        let delay = if self.reader_late {
            SECOND + self.random.below(2 * SECOND)
        } else {
            self.random.below(5 * MS)
        };
        let presentation = self.presentation(visit.side, shown, medium);
        self.soon(
            delay,
            Happens::Shown(number, Box::new(presentation), Box::new(expected)),
        );
    }

    fn presentation(&self, side: Direction, shown: Shown, medium: Medium) -> Presentation {
        let read = self.gate_now().mono;
        Presentation {
            lane: LANE,
            direction: side,
            medium,
            shown,
            seen: read,
            read,
        }
    }

    /// What the lists say of somebody now; of those whom only the centre knows, what it says.
    fn expect(&self, visit: Visit) -> Expected {
        let person = self.people.get(visit.person);
        let online = person.and_then(|person| match person.known {
            Known::Online(row) => Some(row.colour),
            Known::Listed(_) | Known::Nowhere => None,
        });
        let dynamic = person.and_then(|person| match &person.carries {
            cast::Carries::DynamicCode(prefix) => Some(format!("{prefix}{}", visit.code)),
            cast::Carries::StaticCode(_) | cast::Carries::Card(_) => None,
        });
        Expected {
            person: visit.person,
            said: self.listed(visit).or(online),
            dynamic,
            read: self.now,
        }
    }

    /// What the list in force says; `None` if it does not know the person, or there is none.
    pub(super) fn listed(&self, visit: Visit) -> Option<Option<Colour>> {
        let code = self
            .people
            .get(visit.person)
            .map(|person| match person.carries {
                cast::Carries::DynamicCode(_) => visit.code,
                cast::Carries::StaticCode(_) | cast::Carries::Card(_) => 0,
            })?;
        let key = self.keys.get(&(visit.person, code))?;
        let live = self.lasting.codes.state(&self.lasting.list)?;
        let said = self.lasting.centre.said((live.era, live.version), key)?;
        said.map(|row| row.colour)
    }

    /// What was read reaches the gate.
    pub(super) fn present(&mut self, number: u64, presentation: Presentation, expected: Expected) {
        let now = self.gate_now();
        let lists_now = self
            .visits
            .get(&number)
            .and_then(|(visit, _)| self.listed(*visit));
        let Some(controller) = self.controller.as_mut() else {
            return;
        };
        let assessed = controller.assess(number, now, presentation);
        // The list may have changed while it was on its way: the one that was looked at counts.
        let said = lists_now.or(expected.said);
        self.shown.insert(number, Expected { said, ..expected });
        self.step(Event::Presented(assessed));
    }

    /// A prankster: one code after the other that nobody made.
    pub(super) fn nonsense(&mut self) {
        for text in ["HC:nobody", "XX", "\u{7}", ""] {
            let now = self.gate_now();
            self.presentations = self.presentations.saturating_add(1);
            let number = self.presentations;
            let shown = Shown::Code(Personal::new(text.to_owned()));
            let presentation = self.presentation(Direction::Entry, shown, Medium::QrCode);
            let Some(controller) = self.controller.as_mut() else {
                return;
            };
            let assessed = controller.assess(number, now, presentation);
            self.step(Event::Presented(assessed));
        }
    }

    /// The gate has decided: who is granted waits for the barrier, who is not tries again or leaves.
    pub(super) fn decided(&mut self, decided: &Decided) {
        let Some((visit, tries)) = self.visits.get(&decided.number).copied() else {
            return;
        };
        if let Some(grant) = decided.grant {
            self.granted.insert(grant, decided.number);
            return;
        }
        let again = matches!(decided.reason, Reason::LaneBusy | Reason::TooLate);
        if decided.verdict != Verdict::Grant && again && tries < TRIES {
            let after = 2 * SECOND + self.random.below(4 * SECOND);
            self.soon(after, Happens::Comes(visit, tries.saturating_add(1)));
        }
    }

    /// The barrier is released for this direction: the one who was granted it sets out.
    pub(super) fn sets_out(&mut self, way: Direction) {
        let mut waiting = self.granted.iter().rev();
        let found = waiting.find_map(|(grant, number)| {
            let (visit, _) = self.visits.get(number)?;
            (visit.side == way).then_some((*grant, *visit))
        });
        if let Some((grant, visit)) = found {
            self.granted.remove(&grant);
            self.walks(visit);
        }
    }

    /// Somebody walks, in their manner.
    pub(super) fn walks(&mut self, visit: Visit) {
        let (way, random) = (visit.side, &mut self.random);
        let tripod = self.aisle.is_tripod();
        let through = |random: &mut _, dithers| match tripod {
            true => cast::rotor_turn(random),
            false => cast::walk_through(random, dithers),
        };
        let walks = match visit.manner {
            Manner::Stays => Vec::new(),
            Manner::TurnsBack if tripod => Vec::new(),
            Manner::TurnsBack => vec![cast::turn_back(random)],
            Manner::Walks | Manner::Intrudes => vec![through(random, false)],
            Manner::Dithers => vec![through(random, true)],
            Manner::IsFollowed => {
                let mut behind = through(random, false);
                if let Some(first) = behind.first_mut() {
                    first.0 = first.0.saturating_add(300 * MS + random.below(SECOND));
                }
                vec![through(random, false), behind]
            }
        };
        for steps in walks {
            let body = self.aisle.enter(way, steps, self.now);
            if let Some(after) = self.aisle.moves_in(body) {
                self.soon(after, Happens::Moves(body));
            }
        }
    }

    /// A sensor may see a difference: its edge is reported, or lost, or comes twice.
    pub(super) fn edge(&mut self) {
        if self.random.percent(self.mix.lost_edges) {
            self.count("edge_lost");
            self.blind_until = self.now + SECOND;
            return;
        }
        let levels = self.aisle.levels();
        self.soon(0, Happens::Reported(levels));
        if self.random.percent(self.mix.doubled_edges) {
            self.count("edge_doubled");
            self.soon(0, Happens::Reported(levels));
        }
    }
}
