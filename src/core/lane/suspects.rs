//! Sensors that contradict the others. Whoever walks through trips every sensor on the way; one that several in a row
//! did not trip does not see, or never sees anything else. It is reported, and no longer, once it says something again.

use crate::domain::{Levels, Sensor};

/// So many passages in a row that a sensor had no part in are no chance.
const MISSED_MAX: u8 = 3;

/// The sensors that bodies trip.
#[derive(Debug)]
pub(super) struct Suspects {
    /// Which take part.
    witnesses: Levels,
    /// Which have changed since the last passage, and since the one before: two may walk close together.
    changed: [Levels; 2],
    missed: [u8; Sensor::ALL.len()],
    sticks: Levels,
    news: Vec<(Sensor, bool)>,
}

impl Suspects {
    pub(super) fn new(witnesses: Levels) -> Self {
        Self {
            witnesses,
            changed: [Levels::default(); 2],
            missed: [0; Sensor::ALL.len()],
            sticks: Levels::default(),
            news: Vec::new(),
        }
    }

    /// Levels have changed.
    pub(super) fn see(&mut self, before: Levels, after: Levels) {
        let [now, _] = &mut self.changed;
        let changed = before.difference(after).only(self.witnesses);
        *now = now.or(changed);
        for (sensor, missed) in Sensor::ALL.iter().zip(&mut self.missed) {
            if changed.is_active(*sensor) {
                *missed = 0;
                if self.sticks.is_active(*sensor) {
                    self.sticks = self.sticks.with(*sensor, false);
                    self.news.push((*sensor, false));
                }
            }
        }
    }

    /// Somebody has walked through.
    pub(super) fn walked(&mut self) {
        let [now, before] = self.changed;
        let tripped = now.or(before);
        for (sensor, missed) in Sensor::ALL.iter().zip(&mut self.missed) {
            if self.witnesses.is_active(*sensor) && !tripped.is_active(*sensor) {
                *missed = missed.saturating_add(1);
                if *missed >= MISSED_MAX && !self.sticks.is_active(*sensor) {
                    self.sticks = self.sticks.with(*sensor, true);
                    self.news.push((*sensor, true));
                }
            }
        }
        self.changed = [Levels::default(), now];
    }

    /// A sensor says what cannot be, or no longer.
    pub(super) fn contradicts(&mut self, sensor: Sensor, on: bool) {
        if self.sticks.is_active(sensor) != on {
            self.sticks = self.sticks.with(sensor, on);
            self.news.push((sensor, on));
        }
    }

    pub(super) const fn is_suspect(&self, sensor: Sensor) -> bool {
        self.sticks.is_active(sensor)
    }

    /// True if any sensor is reported.
    pub(super) const fn is_any(&self) -> bool {
        !self.sticks.is_quiet()
    }

    /// What is new: which sensor, and whether it sticks.
    pub(super) fn take_news(&mut self) -> Vec<(Sensor, bool)> {
        std::mem::take(&mut self.news)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use Sensor::{EntryBeam, ExitBeam};

    fn levels(of: &[Sensor]) -> Levels {
        of.iter().copied().collect()
    }

    /// Somebody walks past; only `seen` sees them.
    fn walk(suspects: &mut Suspects, seen: &[Sensor]) {
        suspects.see(levels(&[]), levels(seen));
        suspects.see(levels(seen), levels(&[]));
        suspects.walked();
    }

    #[test]
    fn a_sensor_that_several_walk_past_is_reported_until_it_sees_somebody() {
        let mut suspects = Suspects::new(levels(&[EntryBeam, ExitBeam]));
        walk(&mut suspects, &[EntryBeam, ExitBeam]);
        for _ in 0..3 {
            walk(&mut suspects, &[EntryBeam]);
            assert_eq!(suspects.take_news(), []);
        }
        walk(&mut suspects, &[EntryBeam]);
        assert_eq!(suspects.take_news(), [(ExitBeam, true)]);
        walk(&mut suspects, &[EntryBeam]);
        assert_eq!(suspects.take_news(), [], "once");
        walk(&mut suspects, &[EntryBeam, ExitBeam]);
        assert_eq!(suspects.take_news(), [(ExitBeam, false)]);
        assert!(!suspects.is_any());
    }

    #[test]
    fn two_who_walk_close_together_accuse_nobody() {
        let mut suspects = Suspects::new(levels(&[EntryBeam, ExitBeam]));
        for _ in 0..20 {
            walk(&mut suspects, &[EntryBeam, ExitBeam]);
            suspects.walked();
        }
        assert_eq!(suspects.take_news(), []);
    }

    #[test]
    fn a_sensor_that_takes_no_part_is_not_missed() {
        let mut suspects = Suspects::new(levels(&[EntryBeam]));
        for _ in 0..9 {
            walk(&mut suspects, &[EntryBeam]);
        }
        assert_eq!(suspects.take_news(), []);
    }
}
