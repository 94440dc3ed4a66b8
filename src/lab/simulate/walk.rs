//! How bodies move through an aisle: which sensors they touch, step by step. A body is as long as it is; beams and gaps
//! are counted as in the core, odd for beams and even for gaps, from the side that it comes from.

use crate::domain::{Direction, Levels, Sensor};
use crate::lab::random::SplitMix64;

/// A body at one instant.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(super) struct Place {
    /// Sensors that it touches.
    pub(super) levels: Levels,
    /// It stands where the leaf moves, or turns the rotor.
    pub(super) under: bool,
}

/// A step of a walk: so many microseconds after the last, the body is there.
pub(super) type Step = (u64, Place);

/// Out of everything.
pub(super) const OUT: Place = Place {
    levels: Levels::NONE,
    under: false,
};

/// What a lane has to see bodies with.
#[derive(Clone, Debug)]
pub(super) struct Sights {
    /// The beams, from the outer side.
    beams: Vec<Sensor>,
    own: Levels,
}

fn ms(random: &mut SplitMix64, low: u64, high: u64) -> u64 {
    low.saturating_add(random.below(high.saturating_sub(low)))
        .saturating_mul(1_000)
}

impl Sights {
    /// Of a lane with these sensors.
    pub(super) fn new(sensors: &[Sensor]) -> Self {
        let own: Levels = sensors.iter().copied().collect();
        let beams = Sensor::BEAMS.into_iter();
        Self {
            beams: beams.filter(|beam| own.is_active(*beam)).collect(),
            own,
        }
    }

    fn count(&self) -> u64 {
        self.beams.len() as u64
    }

    /// A body on this way with its head at a position; `length` behind it.
    fn at(&self, way: Direction, head: u64, length: u64) -> Place {
        let n = self.count();
        let tail = head.saturating_sub(length);
        let touched = |position: u64| head > 0 && tail <= position && position <= head;
        let mut levels = Levels::NONE;
        for (beam, position) in self.beams.iter().zip((1..).step_by(2)) {
            let along = match way {
                Direction::Entry => position,
                Direction::Exit => (2 * n).saturating_sub(position),
            };
            levels = levels.with(*beam, touched(along));
        }
        let under = touched(n);
        let inside = head >= 2 && tail + 2 <= 2 * n;
        levels = levels
            .with(Sensor::LowBeam, under)
            .with(Sensor::Presence, inside);
        Place {
            levels: levels.only(self.own),
            under,
        }
    }

    /// A walk over these positions of the head. Steps on which nothing changes are one.
    fn walk(
        &self,
        way: Direction,
        length: u64,
        heads: impl Iterator<Item = u64>,
        mut pause: impl FnMut() -> u64,
    ) -> Vec<Step> {
        let (mut steps, mut after, mut last): (Vec<Step>, u64, _) = (Vec::new(), 0, OUT);
        for head in heads {
            let place = self.at(way, head, length);
            after = after.saturating_add(pause());
            if place != last {
                steps.push((after, place));
                (after, last) = (0, place);
            }
        }
        if last != OUT {
            steps.push((after.saturating_add(pause()), OUT));
        }
        steps
    }

    /// Draws a walk through. A slim body may be unseen between two beams for a moment.
    pub(super) fn through(
        &self,
        random: &mut SplitMix64,
        way: Direction,
        dithers: bool,
    ) -> Vec<Step> {
        let length = if random.percent(8) {
            1
        } else {
            2 + random.below(2)
        };
        let end = 2 * self.count() + length;
        let stands_at = if dithers { random.below(end) } else { u64::MAX };
        let mut head = 0;
        let mut steps = self.walk(way, length, 1..end, || {
            head += 1;
            let stands = if head == stands_at {
                ms(random, 500, 4_000)
            } else {
                0
            };
            stands + ms(random, 70, 260)
        });
        if let Some(first) = steps.first_mut() {
            first.0 = first.0.saturating_add(ms(random, 150, 1_300));
        }
        steps
    }

    /// Draws how somebody steps in and turns back, never where the leaf moves.
    pub(super) fn turn_back(&self, random: &mut SplitMix64, way: Direction) -> Vec<Step> {
        let far = self.count().saturating_sub(1).max(1);
        let heads = (1..=far).chain((1..far).rev());
        let mut steps = self.walk(way, 2, heads, || ms(random, 80, 900));
        if let Some(first) = steps.first_mut() {
            first.0 = first.0.saturating_add(ms(random, 150, 1_300));
        }
        steps
    }

    /// A bag or a child, close behind somebody: only the low beam sees it.
    pub(super) fn bag(&self, random: &mut SplitMix64, after: u64) -> Vec<Step> {
        let low = Place {
            levels: Levels::NONE.with(Sensor::LowBeam, true).only(self.own),
            under: true,
        };
        vec![
            (after.saturating_add(ms(random, 100, 700)), low),
            (ms(random, 80, 500), OUT),
        ]
    }

    /// A rotor that is turned once.
    pub(super) fn turn(&self, random: &mut SplitMix64, way: Direction) -> Vec<Step> {
        use Sensor as S;
        let (near, far) = match way {
            Direction::Entry => (S::EntryRotor, S::ExitRotor),
            Direction::Exit => (S::ExitRotor, S::EntryRotor),
        };
        let seen: [&[Sensor]; 3] = if self.own.is_active(S::PassPoint) {
            [
                &[near],
                &[near, S::PassPoint],
                &[near, S::PassPoint, S::ResetPoint],
            ]
        } else {
            [&[near], &[near, far], &[far]]
        };
        let place = |sensors: &[Sensor]| Place {
            levels: sensors.iter().copied().collect(),
            under: true,
        };
        let mut steps = Vec::new();
        for (nth, sensors) in seen.into_iter().enumerate() {
            let after = if nth == 0 {
                ms(random, 200, 1_500)
            } else {
                ms(random, 80, 300)
            };
            steps.push((after, place(sensors)));
        }
        steps.push((ms(random, 80, 300), OUT));
        steps
    }

    /// A rotor that leaves home and swings back.
    pub(super) fn rattle(&self, random: &mut SplitMix64, way: Direction) -> Vec<Step> {
        let near = match way {
            Direction::Entry => Sensor::EntryRotor,
            Direction::Exit => Sensor::ExitRotor,
        };
        let begun = Place {
            levels: Levels::NONE.with(near, true),
            under: true,
        };
        vec![(ms(random, 200, 900), begun), (ms(random, 60, 200), OUT)]
    }
}
