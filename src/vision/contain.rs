//! Panics of decoders stay inside the call that made them.

use std::cell::Cell;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::Once;

thread_local! {
    static CONTAINED: Cell<bool> = const { Cell::new(false) };
}

/// The panic of a contained call.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Panicked;

/// Runs `work`; a panic in it ends it and nothing else. The picture that caused it may come thirty times a second, so
/// nothing is printed: the caller counts.
///
/// # Errors
/// [`Panicked`].
pub fn contained<T>(work: impl FnOnce() -> T) -> Result<T, Panicked> {
    quiet_hook();
    CONTAINED.set(true);
    let result = catch_unwind(AssertUnwindSafe(work)).map_err(|_| Panicked);
    CONTAINED.set(false);
    result
}

/// Once a process: panics outside contained calls are reported as before.
fn quiet_hook() {
    static ONCE: Once = Once::new();
    ONCE.call_once(|| {
        let before = std::panic::take_hook();
        std::panic::set_hook(Box::new(move |info| {
            if !CONTAINED.get() {
                before(info);
            }
        }));
    });
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_panic_is_a_value_and_the_next_call_works() {
        assert_eq!(
            contained(|| -> u8 { panic!("a hostile picture") }),
            Err(Panicked)
        );
        assert_eq!(contained(|| 7), Ok(7));
    }
}
