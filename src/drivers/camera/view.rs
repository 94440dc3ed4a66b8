//! What is in view of a camera: each code is presented once, and an unread one is noticed. Pure.

use std::time::Duration;

use sha2::{Digest, Sha256};

use crate::domain::Mono;
use crate::vision::Reading;

/// A text counts as gone when it was not read for so long. A phone held in a shaking hand is not read in every frame,
/// and must not be presented twice; who comes back with the same code takes longer than this.
pub const GONE_AFTER: Duration = Duration::from_millis(1_500);
/// A code that was located and not read for so long gets a prompt.
pub const PROMPT_AFTER: Duration = Duration::from_millis(1_500);
/// Prompts come no closer than this.
pub const PROMPT_EVERY: Duration = Duration::from_secs(1);
/// A located code that is missed for so long is another one when it comes again.
const LOST_AFTER: Duration = Duration::from_millis(500);
/// Texts remembered. A screen that changes its code with every frame must not fill the memory.
const REMEMBERED_MAX: usize = 64;

/// Stands for a text, so that the text itself is not kept.
type Mark = [u8; 32];

/// What a camera has in view.
#[derive(Debug, Default)]
pub struct InView {
    texts: Vec<(Mark, Mono)>,
    unread_since: Option<Mono>,
    located_last: Mono,
    prompted_last: Option<Mono>,
}

impl InView {
    /// True if `text`, read at `at`, was not in view before. Remembers it.
    pub fn is_new(&mut self, at: Mono, text: &str) -> bool {
        self.texts.retain(|&(_, last)| at.since(last) < GONE_AFTER);
        let mark: Mark = Sha256::digest(text.as_bytes()).into();
        if let Some((_, last)) = self.texts.iter_mut().find(|(known, _)| *known == mark) {
            *last = at;
            return false;
        }
        if self.texts.len() >= REMEMBERED_MAX {
            self.texts.remove(0);
        }
        self.texts.push((mark, at));
        true
    }

    /// The presentation of the newest text did not reach the gate: it may be presented again.
    pub fn forget_newest(&mut self) {
        self.texts.pop();
    }

    /// True if the passenger should be told to hold still.
    pub fn wants_prompt(&mut self, at: Mono, reading: &Reading) -> bool {
        if !reading.texts.is_empty() {
            self.unread_since = None;
            return false;
        }
        if at.since(self.located_last) > LOST_AFTER {
            self.unread_since = None;
        }
        if !reading.located {
            return false;
        }
        self.located_last = at;
        let since = *self.unread_since.get_or_insert(at);
        let recently = self
            .prompted_last
            .is_some_and(|last| at.since(last) < PROMPT_EVERY);
        if at.since(since) < PROMPT_AFTER || recently {
            return false;
        }
        self.prompted_last = Some(at);
        true
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const fn ms(ms: u64) -> Mono {
        Mono::from_millis(ms)
    }

    fn unread() -> Reading {
        Reading {
            located: true,
            ..Reading::default()
        }
    }

    fn read(text: &str) -> Reading {
        Reading {
            located: true,
            texts: vec![text.into()],
            ..Reading::default()
        }
    }

    #[test]
    fn a_code_that_stays_in_view_is_presented_once() {
        let mut view = InView::default();
        assert!(view.is_new(ms(0), "A"));
        for at in (100..10_000).step_by(1_400) {
            assert!(!view.is_new(ms(at), "A"), "at {at} ms");
        }
        assert!(view.is_new(ms(10_100), "B"), "another code at once");
        assert!(view.is_new(ms(13_000), "A"), "gone and back again");
    }

    #[test]
    fn a_presentation_that_was_dropped_may_come_again() {
        let mut view = InView::default();
        assert!(view.is_new(ms(0), "A"));
        view.forget_newest();
        assert!(view.is_new(ms(30), "A"));
    }

    #[test]
    fn a_screen_that_changes_with_every_frame_fills_no_memory() {
        let mut view = InView::default();
        for i in 0..1_000 {
            assert!(view.is_new(ms(1), &i.to_string()));
        }
        assert_eq!(view.texts.len(), REMEMBERED_MAX);
    }

    #[test]
    fn a_code_that_is_seen_and_not_read_gets_a_prompt_once_a_second() {
        let mut view = InView::default();
        let prompts: Vec<u64> = (1_000..5_000)
            .step_by(100)
            .filter(|&at| view.wants_prompt(ms(at), &unread()))
            .collect();
        assert_eq!(prompts, [2_500, 3_500, 4_500]);
    }

    #[test]
    fn a_code_that_is_read_or_gone_gets_no_prompt() {
        let mut view = InView::default();
        for at in (0..10_000).step_by(100) {
            let reading = if at % 1_000 == 0 { read("A") } else { unread() };
            assert!(!view.wants_prompt(ms(at), &reading), "read now and then");
        }
        let mut view = InView::default();
        for at in (0..10_000).step_by(700) {
            assert!(!view.wants_prompt(ms(at), &unread()), "a glimpse at {at}");
        }
    }
}
