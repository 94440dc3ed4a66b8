//! What works at a lane, and what its signs say while there is no answer to show.

use std::time::Duration;

use super::{Desk, Input, Lane};
use crate::core::desk;
use crate::core::turn::Turn;
use crate::domain::{Alarm, Direction, Mode, Mono, Prompt, Reason, Sensor, Service};

/// How long a barrier that did not move for somebody is left alone, the first time; each further time in a row twice
/// as long. Nobody can say that it is in order before it has moved for somebody.
const REST: Duration = Duration::from_secs(3);
/// Longer than this it is not left alone: it may have been repaired.
const REST_MAX: Duration = Duration::from_secs(600);

/// What works at a lane. Until somebody says otherwise, everything does.
#[derive(Debug, Default)]
pub(super) struct Works {
    /// The relays are away, or do not obey.
    relay_fails: bool,
    /// The leaf does not do what its relay says.
    leaf_fails: bool,
    /// It failed somebody, and is left alone until then.
    rest: Option<Mono>,
    /// How often in a row.
    failed: u32,
    entry: Service,
    exit: Service,
}

impl Works {
    const fn barrier_fails(&self) -> bool {
        self.relay_fails || self.leaf_fails || self.rest.is_some()
    }

    /// When the barrier may be tried again.
    pub(super) const fn deadline(&self) -> Option<Mono> {
        self.rest
    }

    /// The barrier has moved for somebody.
    pub(super) const fn proven(&mut self) {
        self.failed = 0;
    }
}

impl Lane {
    /// What the readers of one side can take has changed; the sign follows at the end of the turn.
    pub(in crate::core) const fn set_readers(&mut self, side: Direction, service: Service) {
        match side {
            Direction::Entry => self.works.entry = service,
            Direction::Exit => self.works.exit = service,
        }
    }

    /// The relays move the barrier, or do not.
    pub(in crate::core) fn set_barrier(&mut self, works: bool, turn: &mut Turn<'_>) {
        self.change_works(turn, |of| of.relay_fails = !works);
    }

    /// Compares the leaf with what it was told.
    pub(super) fn look_at_leaf(&mut self, turn: &mut Turn<'_>) {
        let now = turn.mono();
        if self.works.rest.is_some_and(|until| until <= now) {
            self.works.rest = None;
        }
        let (opened, closed) = self.aisle.leaf();
        if let Some(feedback) = self.feedback.as_mut().filter(|_| self.aisle.is_sensed()) {
            feedback.sense(opened, closed);
            let wrong = feedback.look(now);
            for end in [Sensor::Opened, Sensor::Closed] {
                self.aisle.suspects().contradicts(end, wrong.contradiction);
            }
            let way = self.last_way;
            if wrong.forced {
                self.drive(Input::Forced(way), turn);
            }
            self.watch.hold(self.id, wrong.held, way, turn);
            self.change_works(turn, |of| of.leaf_fails = wrong.fault);
        }
        let failing = self.works.barrier_fails() || self.relay.is_faulty();
        self.watch.set(self.id, Alarm::BarrierFault, failing, turn);
        for (sensor, on) in self.aisle.suspects().take_news() {
            turn.act(crate::domain::Action::SensorSticks(self.id, sensor, on));
        }
        let suspect = self.aisle.suspects().is_any();
        self.watch.set(self.id, Alarm::SensorFault, suspect, turn);
    }

    /// Nobody is told "go" before a barrier that does not move, and what was granted is taken back, so that it opens for
    /// nobody when it moves again. One that has failed somebody is left alone for a while.
    fn change_works(&mut self, turn: &mut Turn<'_>, change: impl FnOnce(&mut Works)) {
        let failed = self.works.barrier_fails();
        change(&mut self.works);
        if failed || !self.works.barrier_fails() {
            return;
        }
        if self.machine.pass().is_some() {
            self.rest(turn);
        }
        self.withdraw(Some(Reason::OutOfService), turn);
    }

    /// The barrier has failed somebody, and is left alone for a while.
    pub(super) fn rest(&mut self, turn: &mut Turn<'_>) {
        let rest = REST * 2u32.saturating_pow(self.works.failed.min(16));
        self.works.rest = Some(turn.mono() + rest.min(REST_MAX));
        self.works.failed = self.works.failed.saturating_add(1);
    }

    /// True if whoever comes to this side cannot be served. Where a beam seems stuck, whoever wants in waits for staff
    /// or takes another lane, but nobody is kept from leaving.
    pub(super) const fn is_out_of_service(&self, side: Direction) -> bool {
        let obstructed = self.watch.is_obstructed() && matches!(side, Direction::Entry);
        self.works.barrier_fails() || self.stopping || obstructed
    }

    /// What a sign shows when there is no answer to show; `None`: it stays as it is.
    pub(super) fn doing(&self, side: Direction) -> Option<Prompt> {
        if self.fire || self.mode == Mode::Emergency {
            return Some(Prompt::EmergencyExit);
        }
        if self.is_out_of_service(side) && self.directions.contains(&side) {
            return Some(Prompt::OutOfService);
        }
        let granted = self
            .machine
            .pass()
            .is_some_and(|pass| pass.direction == side);
        if self.mode == Mode::Free || granted {
            return Some(Prompt::Go);
        }
        if self.desk.serving() == Some(side) {
            let asking = matches!(self.desk, Desk::Asking(_));
            return asking.then_some(Prompt::Wait);
        }
        // A beam that seems stuck is nobody who could step back.
        let stepped_in = self.watch.unrest() == Some(side) && !self.watch.is_obstructed();
        Some(if stepped_in {
            Prompt::StepBack
        } else if self.mode == Mode::Maintenance {
            Prompt::OutOfService
        } else if self.serves(side) {
            self.invitation(side)
        } else {
            Prompt::LaneClosed
        })
    }

    /// What somebody who comes is invited to show.
    const fn invitation(&self, side: Direction) -> Prompt {
        let service = match side {
            Direction::Entry => self.works.entry,
            Direction::Exit => self.works.exit,
        };
        match service {
            Service::Full => Prompt::Idle,
            Service::CardsOnly => Prompt::UseCard,
            Service::CodesOnly => Prompt::UseCode,
            Service::None => Prompt::OutOfService,
        }
    }

    /// Takes back what was granted and not used; `reason`: what whoever is being decided on is told.
    pub(super) fn withdraw(&mut self, reason: Option<Reason>, turn: &mut Turn<'_>) {
        self.ask_desk(desk::Input::Cancelled(reason), turn);
        self.drive(Input::Withdraw, turn);
    }
}
