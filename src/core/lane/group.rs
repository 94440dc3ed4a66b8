//! Grants that wait for the one ahead, and whose turn it is where people come from both sides.

use std::collections::VecDeque;
use std::time::Duration;

use crate::core::desk::Pass;
use crate::domain::{Direction, Mono};

/// How long whoever was told to wait has the lane for themselves once it is free.
const TURN: Duration = Duration::from_secs(3);

/// A group on its way through: so many grants make so many passages.
#[derive(Debug)]
pub(super) struct Group {
    /// How many grants may be open at once, the one that is being used among them.
    max: usize,
    waiting: VecDeque<Pass>,
    /// How many of those who wait have stepped in already, behind the one ahead.
    inside: usize,
}

impl Group {
    pub(super) fn new(max: u8) -> Self {
        Self {
            max: usize::from(max),
            waiting: VecDeque::new(),
            inside: 0,
        }
    }

    /// True if one more may be granted while another is on the way.
    pub(super) fn has_room(&self) -> bool {
        self.waiting.len() + 1 < self.max
    }

    /// A grant waits for the one ahead.
    pub(super) fn wait(&mut self, pass: Pass) {
        self.waiting.push_back(pass);
    }

    /// Somebody steps in behind the one ahead; true if a grant waits for him.
    pub(super) fn expects(&mut self) -> bool {
        let expected = self.inside < self.waiting.len();
        self.inside += usize::from(expected);
        expected
    }

    /// The way of those who wait.
    pub(super) fn way(&self) -> Option<Direction> {
        self.waiting.front().map(|pass| pass.direction)
    }

    /// True if no grant waits.
    pub(super) fn is_empty(&self) -> bool {
        self.waiting.is_empty()
    }

    /// The next grant.
    pub(super) fn next(&mut self) -> Option<Pass> {
        let pass = self.waiting.pop_front()?;
        self.inside = self.inside.saturating_sub(1);
        Some(pass)
    }

    /// Every grant that waits: they are taken back.
    pub(super) fn dissolve(&mut self) -> VecDeque<Pass> {
        self.inside = 0;
        std::mem::take(&mut self.waiting)
    }
}

/// Whose turn it is. Whoever was told to wait for the other side goes next, so that a stream from one side keeps nobody
/// of the other waiting for ever.
#[derive(Clone, Copy, Debug, Default)]
pub(super) struct Turns {
    waiting: Option<(Direction, Option<Mono>)>,
}

impl Turns {
    /// Somebody of this side was told to wait for the other.
    pub(super) fn told_to_wait(&mut self, side: Direction) {
        self.waiting.get_or_insert((side, None));
    }

    /// The lane is free: from now on the turn of whoever waits runs out.
    pub(super) fn is_free(&mut self, now: Mono) {
        if let Some((_, until @ None)) = &mut self.waiting {
            *until = Some(now + TURN);
        }
    }

    /// True if this side may be served.
    pub(super) fn serves(&self, now: Mono, side: Direction) -> bool {
        self.waiting
            .is_none_or(|(of, until)| of == side || until.is_some_and(|until| until <= now))
    }

    /// This side is served.
    pub(super) fn serve(&mut self, now: Mono, side: Direction) {
        if self.waiting.is_some_and(|(of, _)| of == side) || self.serves(now, side) {
            self.waiting = None;
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::domain::GrantId;
    use Direction::{Entry, Exit};

    const fn pass(n: u64) -> Pass {
        Pass {
            grant: GrantId(n),
            direction: Entry,
        }
    }

    #[test]
    fn as_many_may_step_in_behind_the_first_as_wait() {
        let mut group = Group::new(3);
        assert!(!group.expects());
        assert!(group.has_room());
        group.wait(pass(2));
        group.wait(pass(3));
        assert!(!group.has_room());
        assert_eq!(
            [group.expects(), group.expects(), group.expects()],
            [true, true, false]
        );
        assert_eq!(group.next(), Some(pass(2)));
        assert!(!group.expects(), "he is in already");
        assert_eq!(group.dissolve(), [pass(3)]);
        assert!(group.is_empty());
    }

    #[test]
    fn one_at_a_time_leaves_room_for_nobody() {
        assert!(!Group::new(1).has_room());
    }

    #[test]
    fn whoever_was_told_to_wait_is_next_for_a_while() {
        let (mut turns, at) = (Turns::default(), Mono::from_millis);
        assert!(turns.serves(at(0), Entry));
        turns.told_to_wait(Exit);
        turns.told_to_wait(Entry);
        assert!(!turns.serves(at(60_000), Entry), "while the lane is busy");
        turns.is_free(at(60_000));
        turns.is_free(at(61_000));
        assert!(turns.serves(at(62_999), Exit) && !turns.serves(at(62_999), Entry));
        assert!(turns.serves(at(63_000), Entry));
        turns.serve(at(62_000), Exit);
        assert!(turns.serves(at(62_000), Entry));
    }
}
