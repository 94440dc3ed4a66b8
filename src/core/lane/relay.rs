//! The relay of a tripod, which has no limit switches: it is known by the turns. Where one release after the other frees
//! no turn, it is dead, or the solenoid is; where the rotor turns through though it is locked, it is welded.

/// So many releases in a row that nobody turns are no chance: hardly one passenger in thirty does not come.
const IDLE_MAX: u8 = 3;
/// So many turns through a locked rotor in a row are nobody's strength.
const LOOSE_MAX: u8 = 3;

/// What the turns say of the relay.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(super) struct Relay {
    /// Releases in a row in whose time the rotor did not leave home.
    idle: u8,
    /// Turns through the locked rotor since the last rider.
    loose: u8,
    /// Riders since the last turn through the locked rotor.
    riders: u8,
    welded: bool,
}

impl Relay {
    /// A release has run out and the rotor has not moved. True if that is one too many, and each further time.
    pub(super) const fn idled(&mut self) -> bool {
        self.idle = self.idle.saturating_add(1);
        self.is_dead()
    }

    /// The rotor has left home while it was released.
    pub(super) const fn moved(&mut self) {
        self.idle = 0;
    }

    /// Somebody has turned through though it was locked.
    pub(super) const fn turned_locked(&mut self) {
        self.loose = self.loose.saturating_add(1);
        self.riders = 0;
        if self.loose >= LOOSE_MAX {
            self.welded = true;
        }
    }

    /// A rider has turned through. Where nobody does without a grant between two of them, it locks again.
    pub(super) const fn rode(&mut self) {
        self.idle = 0;
        self.riders = self.riders.saturating_add(1);
        if self.riders >= 2 {
            (self.loose, self.welded) = (0, false);
        }
    }

    /// One release after the other frees no turn.
    pub(super) const fn is_dead(self) -> bool {
        self.idle >= IDLE_MAX
    }

    /// It is dead or welded, as far as can be known.
    pub(super) const fn is_faulty(self) -> bool {
        self.is_dead() || self.welded
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn one_who_does_not_come_now_and_then_accuses_nobody() {
        let mut relay = Relay::default();
        for _ in 0..10 {
            assert!(!relay.idled() && !relay.idled());
            relay.moved();
        }
        assert!(!relay.is_faulty());
    }

    #[test]
    fn a_relay_that_was_welded_is_in_order_once_riders_follow_each_other_and_nobody_else_turns() {
        let mut relay = Relay::default();
        relay.turned_locked();
        relay.rode();
        relay.turned_locked();
        relay.turned_locked();
        assert!(relay.is_faulty());
        relay.rode();
        assert!(relay.is_faulty());
        relay.rode();
        assert!(!relay.is_faulty());
    }
}
