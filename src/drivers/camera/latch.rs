//! A phone held before the camera is one presentation, not thirty a second; and a code that is seen but not read gets a
//! prompt, not silence.

use std::time::Duration;

use crate::domain::{Mono, Personal};

/// A text that was out of sight for this long has been taken away: a blink of the decoder is shorter.
const AWAY: Duration = Duration::from_millis(1_500);
/// A code that is located and not read for this long gets a prompt (DESIGN §3.1), and again after as long.
const UNREAD: Duration = Duration::from_millis(1_500);
/// A frame without a located code in between does not start the clock anew if it is shorter than this.
const FLICKER: Duration = Duration::from_millis(400);
/// Texts remembered at once.
const HELD_MAX: usize = 8;

/// What is in sight.
#[derive(Default)]
pub struct Latch {
    held: Vec<(Personal<String>, Mono)>,
    unread_since: Option<Mono>,
    located_at: Mono,
}

impl Latch {
    /// True if the text has come into sight; false if it has been there all along.
    pub fn is_new(&mut self, now: Mono, text: &Personal<String>) -> bool {
        self.unread_since = None;
        self.held.retain(|(_, seen)| now.since(*seen) < AWAY);
        if let Some((_, seen)) = self.held.iter_mut().find(|(held, _)| held == text) {
            *seen = now;
            return false;
        }
        if self.held.len() >= HELD_MAX {
            self.held.remove(0);
        }
        self.held.push((text.clone(), now));
        true
    }

    /// True if somebody should be told to hold still.
    pub fn wants_prompt(&mut self, now: Mono, located: bool) -> bool {
        if located {
            self.located_at = now;
            let since = *self.unread_since.get_or_insert(now);
            if now.since(since) >= UNREAD {
                self.unread_since = Some(now);
                return true;
            }
        } else if now.since(self.located_at) > FLICKER {
            self.unread_since = None;
        }
        false
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn ms(ms: u64) -> Mono {
        Mono::from_millis(ms)
    }

    #[test]
    fn a_phone_held_for_a_minute_is_one_presentation() {
        let mut latch = Latch::default();
        let (mine, yours) = (
            Personal::new("mine".to_owned()),
            Personal::new("yours".to_owned()),
        );
        let new = (0..600)
            .filter(|n| latch.is_new(ms(n * 100), &mine))
            .count();
        assert_eq!(new, 1);
        assert!(
            latch.is_new(ms(60_000), &yours),
            "somebody else is accepted at once"
        );
        assert!(!latch.is_new(ms(60_100), &mine));
        assert!(
            latch.is_new(ms(61_700), &mine),
            "shown again after it was taken away"
        );
    }

    #[test]
    fn a_code_that_is_not_read_is_prompted_about_and_a_passing_glance_is_not() {
        let mut latch = Latch::default();
        let prompts = (0..40)
            .filter(|n| latch.wants_prompt(ms(n * 100), true))
            .count();
        assert_eq!(prompts, 2, "after 1.5 s and after 3 s");
        assert!(!latch.wants_prompt(ms(5_000), false));
        assert!(!latch.wants_prompt(ms(5_100), true));
    }
}
