//! A decoder's panic ends the call and not the gate.
//!
//! The message of a contained panic is not printed: a code made to panic the decoder thirty times a second must not
//! fill the log. The hook that keeps it back looks at a flag of its own thread; every other panic prints as before.

use std::cell::Cell;
use std::panic::{self, AssertUnwindSafe};
use std::sync::Once;

thread_local! {
    static CONTAINED: Cell<bool> = const { Cell::new(false) };
}

static HOOK: Once = Once::new();

/// Why there is no result.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Stopped {
    /// The call panicked.
    Panicked,
    /// The call used up its budget.
    OutOfBudget,
}

/// What [`give_up`] unwinds with.
struct BudgetSpent;

/// Ends a contained call from inside. No hook runs: this is not a bug but a bound.
pub fn give_up() -> ! {
    panic::resume_unwind(Box::new(BudgetSpent))
}

/// Runs `call`; a panic in it is an answer, and nothing is printed.
///
/// # Errors
/// [`Stopped`] says which way it ended.
pub fn contain<T>(call: impl FnOnce() -> T) -> Result<T, Stopped> {
    HOOK.call_once(|| {
        let before = panic::take_hook();
        panic::set_hook(Box::new(move |info| {
            if !CONTAINED.get() {
                before(info);
            }
        }));
    });
    let outer = CONTAINED.replace(true);
    let result = panic::catch_unwind(AssertUnwindSafe(call));
    CONTAINED.set(outer);
    result.map_err(|payload| {
        if payload.is::<BudgetSpent>() {
            Stopped::OutOfBudget
        } else {
            Stopped::Panicked
        }
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_panic_is_an_answer() {
        assert_eq!(contain(|| 7), Ok(7));
        assert_eq!(
            contain(|| panic!("inside")),
            Err::<(), _>(Stopped::Panicked)
        );
        assert_eq!(contain(|| give_up()), Err::<(), _>(Stopped::OutOfBudget));
        assert!(!CONTAINED.get(), "the flag is down again");
    }
}
