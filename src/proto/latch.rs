//! One showing is one presentation: scanners repeat a phone that lingers, tag readers a card that lies there.

use std::time::Duration;

use crate::domain::Mono;

/// The same thing counts again once it was not seen for this …
const AWAY_MIN: Duration = Duration::from_secs(1);
/// … and this is over since it was handed on.
const HOLD_OFF: Duration = Duration::from_secs(2);

/// Holds back what was handed on last, while it is still being shown.
pub struct Latch<T>(Option<Held<T>>);

struct Held<T> {
    shown: T,
    accepted: Mono,
    seen: Mono,
}

impl<T> Held<T> {
    fn until(&self) -> Mono {
        (self.accepted + HOLD_OFF).max(self.seen + AWAY_MIN)
    }
}

impl<T> Default for Latch<T> {
    fn default() -> Self {
        Self(None)
    }
}

impl<T: Clone + PartialEq> Latch<T> {
    /// True if this is a new showing; it is held back from then on. Another thing is one at once.
    pub fn accept(&mut self, shown: &T, now: Mono) -> bool {
        self.expire(now);
        match &mut self.0 {
            Some(held) if held.shown == *shown => {
                held.seen = now;
                false
            }
            Some(_) | None => {
                self.0 = Some(Held {
                    shown: shown.clone(),
                    accepted: now,
                    seen: now,
                });
                true
            }
        }
    }

    /// Something is there that cannot be read: most likely what was handed on last, and it is not away.
    pub fn still_there(&mut self, now: Mono) {
        self.expire(now);
        if let Some(held) = &mut self.0 {
            held.seen = now;
        }
    }

    /// Forgets what may be shown again.
    pub fn expire(&mut self, now: Mono) {
        if self.deadline().is_some_and(|due| due <= now) {
            self.0 = None;
        }
    }

    /// When [`Latch::expire`] is due.
    #[must_use]
    pub fn deadline(&self) -> Option<Mono> {
        self.0.as_ref().map(Held::until)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::domain::Personal;

    fn accepted_at(shown: &[(u64, &str)]) -> Vec<u64> {
        let mut latch = Latch::<Personal<String>>::default();
        let accepted = shown.iter().filter(|(at_ms, text)| {
            latch.accept(&Personal::new((*text).into()), Mono::from_millis(*at_ms))
        });
        accepted.map(|(at_ms, _)| *at_ms).collect()
    }

    #[test]
    fn a_phone_that_lingers_counts_once_and_a_later_showing_again() {
        let lingering: Vec<_> = (0..40).map(|n| (n * 250, "a")).collect();
        assert_eq!(accepted_at(&lingering), [0]);
        assert_eq!(
            accepted_at(&[(0, "a"), (1500, "a"), (3000, "a")]),
            [0, 3000]
        );
    }

    #[test]
    fn another_code_counts_at_once() {
        assert_eq!(accepted_at(&[(0, "a"), (10, "b"), (20, "b")]), [0, 10]);
    }

    #[test]
    fn a_code_is_forgotten_when_it_may_be_shown_again() {
        let mut latch = Latch::<Personal<String>>::default();
        latch.accept(&Personal::new("a".into()), Mono::from_millis(0));
        assert_eq!(latch.deadline(), Some(Mono::from_millis(2000)));
        latch.expire(Mono::from_millis(2000));
        assert_eq!(latch.deadline(), None);
    }

    #[test]
    fn what_cannot_be_read_is_not_away() {
        let mut latch = Latch::default();
        assert!(latch.accept(&1, Mono::from_millis(0)));
        for at_ms in (500..5_000).step_by(500) {
            latch.still_there(Mono::from_millis(at_ms));
        }
        assert!(!latch.accept(&1, Mono::from_millis(5_000)));
    }
}
