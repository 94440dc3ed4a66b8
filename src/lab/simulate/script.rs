//! What a day begins with: the seed draws the station, its people, who comes when, and what goes wrong. Every item can be
//! left out, so that a day that fails can be made shorter until nothing is left but what makes it fail.

use std::collections::BTreeSet;
use std::sync::Arc;

use super::cast::{self, Carries, Known, Manner, Person, Visit};
use super::faults::{self, Fault, pick};
use super::settings;
use crate::core::Settings;
use crate::domain::{Colour, Direction, Sensor};
use crate::lab::random::SplitMix64;

pub(super) const MS: u64 = 1_000;
pub(super) const SECOND: u64 = 1_000_000;
const DAY_S: u64 = 86_400;
/// The date about which every day begins: a midnight.
const MIDNIGHT_S: u64 = 1_900_022_400;

/// What is wished of a day beyond its seed.
#[derive(Clone, Debug, Default)]
pub struct Options {
    /// Lanes of each gate, 1 to 4; drawn by the seed if nothing is said.
    pub lanes: Option<u8>,
    /// Hours of the phase in which faults happen; some minutes if nothing is said.
    pub hours: Option<f64>,
    /// A planted bug.
    pub plant: Option<super::Plant>,
    /// Keep everything that happens.
    pub traced: bool,
    /// The items that happen; all of them if nothing is said.
    pub only: Option<Arc<BTreeSet<usize>>>,
}

/// One gate as it is drawn.
pub(super) struct GateScript {
    pub(super) settings: Settings,
    pub(super) fail_safe: bool,
    pub(super) small_journal: bool,
    pub(super) write_us: u64,
    /// How long what is written waits for its way to the centre, microseconds.
    pub(super) link_us: u64,
    pub(super) clean_clock: bool,
}

/// Something that happens by itself.
#[derive(Clone, Copy, Debug)]
pub(super) enum What {
    /// Somebody comes.
    Comes(Visit),
    /// Staff let somebody through.
    OpensOnce(Visit),
    /// A fault begins at a gate and lasts so long.
    Fault(usize, Fault, u64),
    /// The centre publishes changes of its list.
    Publishes,
    /// Somebody whom only the centre knows comes, and it says something else of them.
    VisitorChanges,
    /// The centre signs a newer trust list.
    Trust,
    /// The centre makes a backup.
    BacksUp,
}

/// One item: when, and what.
#[derive(Clone, Copy, Debug)]
pub(super) struct Item {
    pub(super) at: u64,
    pub(super) what: What,
}

/// A day as it is drawn.
pub(super) struct Script {
    /// The date on which it begins, seconds since 1970.
    pub(super) start_s: u64,
    /// The safety phase, microseconds.
    pub(super) length: u64,
    pub(super) gates: Vec<GateScript>,
    pub(super) people: Vec<Person>,
    /// From here on they are people in order whom nobody has seen before the end: one a lane.
    pub(super) fresh: usize,
    pub(super) items: Vec<Item>,
}

impl Script {
    /// Draws the day of a seed.
    pub(super) fn draw(seed: u64, options: &Options) -> Self {
        let random = &mut SplitMix64::new(seed);
        let length = match options.hours {
            Some(hours) => std::time::Duration::from_secs_f64(hours * 3_600.0)
                .as_micros()
                .try_into()
                .unwrap_or(u64::MAX),
            None => (120 + random.below(300)) * SECOND,
        };
        let length_s = length / SECOND;
        // Somewhere in the day, or so that midnight falls into it.
        let start_s = if random.percent(40) {
            MIDNIGHT_S - random.below(length_s)
        } else {
            MIDNIGHT_S + random.below(DAY_S)
        };
        let kinds = faults::kinds(random);
        let count = 1 + random.below(2);
        let gates: Vec<_> = (0..count)
            .map(|_| {
                let drawn = pick(random, &[1, 2, 3, 4, 4], 2);
                let lanes = options.lanes.unwrap_or(drawn);
                gate(random, lanes, start_s, length_s)
            })
            .collect();
        let mut script = Self {
            start_s,
            length,
            gates,
            people: Vec::new(),
            fresh: 0,
            items: Vec::new(),
        };
        script.draw_visits(random);
        script.draw_faults(random, &kinds);
        for _ in 0..random.below(4) {
            script.item(random.below(length), What::Publishes);
        }
        for _ in 0..random.below(3) {
            script.item(random.below(length), What::VisitorChanges);
        }
        for _ in 0..random.below(3) {
            script.item(random.below(length), What::Trust);
        }
        script.item(random.below(length / 2), What::BacksUp);
        script.people.extend(fresh(&script));
        script
    }

    fn item(&mut self, at: u64, what: What) {
        self.items.push(Item { at, what });
    }

    /// Rush hour to night: each lane has its own stream of people.
    fn draw_visits(&mut self, random: &mut SplitMix64) {
        let paces: Vec<u64> = (0..1 + random.below(4))
            .map(|_| pick(random, &[2_600, 2_600, 3_200, 6_000, 25_000], 3_200) * MS)
            .collect();
        let mut visits = Vec::new();
        let mut people = 0;
        for gate in 0..self.gates.len() {
            let lanes = self
                .gates
                .get(gate)
                .map_or(0, |gate| gate.settings.lanes.len());
            for lane in 0..lanes {
                let mut at = 3 * SECOND;
                while at < self.length {
                    let part = at.saturating_mul(paces.len() as u64) / self.length.max(1);
                    let part = usize::try_from(part).unwrap_or(0);
                    let pace = paces.get(part).copied().unwrap_or(SECOND);
                    let visit = self.visit(random, (gate, lane), &mut people);
                    visits.push((at, visit));
                    at += pace / 2 + random.below(pace);
                }
            }
        }
        self.draw_copies(random, &mut visits);
        for (at, visit) in visits {
            let by_staff = random.percent(1);
            let what = if by_staff {
                What::OpensOnce(visit)
            } else {
                What::Comes(visit)
            };
            self.item(at, what);
        }
        self.people = cast::people(random, people);
        self.fresh = people;
    }

    /// Some show what they have shown, or shall show, at the other gate of the station too: a code that was passed on.
    fn draw_copies(&self, random: &mut SplitMix64, visits: &mut Vec<(u64, Visit)>) {
        if self.gates.len() < 2 {
            return;
        }
        let mut copies = Vec::new();
        for (at, visit) in visits.iter() {
            if !random.percent(6) {
                continue;
            }
            let gate = 1 - visit.gate;
            let lanes = self
                .gates
                .get(gate)
                .map_or(&[][..], |gate| &gate.settings.lanes);
            let lane = random.index(lanes.len());
            let sides = lanes.get(lane).map_or(&[][..], |lane| &lane.directions);
            let copy = Visit {
                gate,
                lane: u8::try_from(lane).unwrap_or(0),
                side: pick(random, sides, visit.side),
                manner: Manner::Walks,
                ..*visit
            };
            copies.push((at + random.below(20 * SECOND), copy));
        }
        visits.extend(copies);
    }

    fn visit(
        &self,
        random: &mut SplitMix64,
        (gate, lane): (usize, usize),
        people: &mut usize,
    ) -> Visit {
        let of = self.gates.get(gate);
        let of = of.and_then(|gate| gate.settings.lanes.get(lane));
        let sides = of.map_or(&[][..], |lane| &lane.directions);
        // Mostly somebody new; some come again, with a screenshot, or with the phone of somebody who was here.
        let again = *people > 0 && random.percent(12);
        let person = if again {
            let back = random.index((*people).min(8));
            people.saturating_sub(1 + back)
        } else {
            *people += 1;
            *people - 1
        };
        let manner = cast::manner(random);
        Visit {
            gate,
            lane: u8::try_from(lane).unwrap_or(0),
            person,
            // Somebody may come to a side that is not served.
            side: if random.percent(2) {
                pick(
                    random,
                    &[Direction::Entry, Direction::Exit],
                    Direction::Entry,
                )
            } else {
                pick(random, sides, Direction::Entry)
            },
            manner,
            code: random.below(cast::CODES),
        }
    }

    fn draw_faults(&mut self, random: &mut SplitMix64, kinds: &[u64]) {
        for kind in kinds {
            for _ in 0..=random.below(3) {
                let gate = random.index(self.gates.len());
                let Some(of) = self.gates.get(gate) else {
                    continue;
                };
                let lane = random.index(of.settings.lanes.len());
                let sensors: &[Sensor] = of
                    .settings
                    .lanes
                    .get(lane)
                    .map_or(&[], |lane| &lane.sensors);
                let lane = u8::try_from(lane).unwrap_or(0);
                let fault = faults::draw(random, *kind, lane, sensors);
                let at = random.below(self.length);
                let lasts = SECOND / 2 + random.below(60 * SECOND);
                self.item(at, What::Fault(gate, fault, lasts));
                if let Some(of) = self.gates.get_mut(gate) {
                    of.clean_clock &= !fault.is_of_the_clock();
                }
            }
        }
    }
}

fn gate(random: &mut SplitMix64, lanes: u8, start_s: u64, length_s: u64) -> GateScript {
    GateScript {
        settings: settings::draw(random, lanes, start_s, length_s),
        fail_safe: random.percent(50),
        small_journal: random.percent(8),
        write_us: pick(random, &[300, 2 * MS, 12 * MS, 40 * MS], 300),
        link_us: pick(random, &[200 * MS, 2 * SECOND, 5 * SECOND], SECOND),
        clean_clock: true,
    }
}

/// One person in order for each lane.
fn fresh(script: &Script) -> Vec<Person> {
    let lanes = script.gates.iter().map(|gate| gate.settings.lanes.len());
    let first = script.people.len();
    let person = |n: usize| Person {
        carries: Carries::StaticCode(format!("HC:fresh-{n}")),
        known: Known::Listed(cast::row(first + n, Some(Colour::Green))),
    };
    (0..lanes.sum()).map(person).collect()
}

/// Somebody in order at a lane, for the end.
pub(super) const fn probe(person: usize, gate: usize, lane: u8, side: Direction) -> Visit {
    Visit {
        gate,
        lane,
        person,
        side,
        manner: Manner::Walks,
        code: 0,
    }
}
