//! The inputs of a board: sensors, key switches and the fire loop, said at once when they change and again now and then.

use super::Worker;
use crate::domain::{Levels, Mono};
use crate::drivers::gpio::fire::{FIRE_CONFIRM, KEY_CONFIRM};
use crate::drivers::gpio::{Board, GpioError, GpioEvent};

impl<F> Worker<'_, F> {
    pub(super) fn sense(
        &mut self,
        board: &mut dyn Board,
        now: Mono,
        again: bool,
    ) -> Result<(), GpioError> {
        for ((id, lane), last) in self.layout.lanes().zip(&mut self.sensed) {
            let mut levels = Levels::default();
            for (sensor, line) in &lane.sensors {
                levels = levels.with(*sensor, board.sense(*line)?);
            }
            if again || *last != Some(levels) {
                *last = Some(levels);
                self.outbox.push(GpioEvent::Sensed(id, levels));
            }
        }
        for ((id, lane), key) in self.layout.lanes().zip(&mut self.keys) {
            let Some(key) = key else { continue };
            let mut stands = None;
            for (mode, line) in lane.keys.iter().rev() {
                if board.sense(*line)? {
                    stands = Some(*mode);
                }
            }
            let changed = key.see(stands, now, KEY_CONFIRM);
            if let Some(stands) = key.believed.filter(|_| again || changed) {
                self.outbox.push(GpioEvent::Key(id, stands));
            }
        }
        if let Some(line) = self.layout.fire_loop {
            // Normally closed: an open loop is a fire.
            let open = !board.sense(line)?;
            let changed = self.fire.see(open, now, FIRE_CONFIRM);
            if let Some(fire) = self.fire.believed.filter(|_| again || changed) {
                self.outbox.push(GpioEvent::Fire(fire));
            }
        }
        Ok(())
    }
}
