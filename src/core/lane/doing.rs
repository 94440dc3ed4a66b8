//! What works at a lane, and what its signs say while there is no answer to show.

use super::{Desk, Input, Lane};
use crate::core::desk;
use crate::core::turn::Turn;
use crate::domain::{Direction, Mode, Prompt, Reason, Service};

/// What works at a lane. Until somebody says otherwise, everything does.
#[derive(Debug, Default)]
pub(super) struct Works {
    /// The barrier cannot be moved.
    barrier_fails: bool,
    entry: Service,
    exit: Service,
}

impl Lane {
    /// What the readers of one side can take has changed; the sign follows at the end of the turn.
    pub(in crate::core) const fn set_readers(&mut self, side: Direction, service: Service) {
        match side {
            Direction::Entry => self.works.entry = service,
            Direction::Exit => self.works.exit = service,
        }
    }

    /// The barrier can be moved, or cannot. Nobody is told "go" before a barrier that does not move, and what was
    /// granted is taken back, so that it opens for nobody when the relays come back.
    pub(in crate::core) fn set_barrier(&mut self, works: bool, turn: &mut Turn<'_>) {
        let failed = std::mem::replace(&mut self.works.barrier_fails, !works);
        if works || failed {
            return;
        }
        let refused = desk::Input::Cancelled(Some(Reason::OutOfService));
        self.ask_desk(refused, turn);
        self.drive(Input::Withdraw, turn);
    }

    /// True if whoever comes to this side cannot be served. Where a beam seems stuck, whoever wants in waits for staff
    /// or takes another lane, but nobody is kept from leaving.
    pub(super) const fn is_out_of_service(&self, side: Direction) -> bool {
        self.works.barrier_fails || self.watch.is_obstructed() && matches!(side, Direction::Entry)
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
}
