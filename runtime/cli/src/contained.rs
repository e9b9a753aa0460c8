//! Work whose panics are errors: a defect of the program that one film brings to light must not end the run of all others.

use std::any::Any;
use std::cell::Cell;
use std::panic::{self, AssertUnwindSafe};
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Mutex, Once, PoisonError};
use std::thread;

/// How much contained work is going on, in all threads.
static AT_WORK: AtomicUsize = AtomicUsize::new(0);
thread_local! {
    /// Whether this thread has asked for it, and waits.
    static IS_MINE: Cell<bool> = const { Cell::new(false) };
}
/// Where the last panic in contained work was.
static PLACE: Mutex<Option<String>> = Mutex::new(None);

/// Contained work panicked.
#[derive(Debug, thiserror::Error)]
#[error(
    "a defect of this program, at {place} ({message}): please report it, with the film if you may; other films are not affected"
)]
pub struct Panicked {
    place: String,
    message: String,
}

/// Does some work. If it panics, in this thread or in one that it waits for, that is an error. What the work changes must be thrown
/// away then.
pub fn contained<T>(work: impl FnOnce() -> T) -> Result<T, Panicked> {
    static HOOK: Once = Once::new();
    // The usual message speaks to programmers, and would stand between the results of other films.
    HOOK.call_once(|| {
        let usual = panic::take_hook();
        panic::set_hook(Box::new(move |panic| {
            // Threads without a name are those that contained work starts.
            let is_contained =
                IS_MINE.get() || (AT_WORK.load(Ordering::SeqCst) > 0 && thread::current().name().is_none());
            if !is_contained {
                return usual(panic);
            }
            let place = panic.location().map(|place| format!("{}:{}", place.file(), place.line()));
            // The first panic is the cause of those in threads that wait for it.
            let mut last = PLACE.lock().unwrap_or_else(PoisonError::into_inner);
            if last.is_none() {
                *last = place;
            }
        }));
    });
    AT_WORK.fetch_add(1, Ordering::SeqCst);
    let outer = IS_MINE.replace(true);
    let result = panic::catch_unwind(AssertUnwindSafe(work));
    IS_MINE.set(outer);
    AT_WORK.fetch_sub(1, Ordering::SeqCst);
    result.map_err(|panic| {
        let place = PLACE.lock().unwrap_or_else(PoisonError::into_inner).take();
        Panicked { place: place.unwrap_or_else(|| "an unknown place".into()), message: message(&*panic) }
    })
}

fn message(panic: &(dyn Any + Send)) -> String {
    let text = panic.downcast_ref::<&str>().map(|text| (*text).to_owned());
    text.or_else(|| panic.downcast_ref::<String>().cloned()).unwrap_or_else(|| "no message".into())
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, clippy::panic)]
    use super::*;

    #[test]
    fn a_panic_is_an_error_that_says_where() {
        assert_eq!(contained(|| 5).unwrap(), 5);
        for _ in 0..2 {
            let error = contained(|| panic!("index {} is too large", 7)).map(|(): ()| ()).unwrap_err().to_string();
            assert!(error.contains("contained.rs:") && error.contains("index 7 is too large"), "{error}");
        }
        let inner = || std::thread::scope(|scope| scope.spawn(|| -> u8 { panic!("in another thread") }).join());
        let error = contained(|| inner().unwrap_or_else(|panic| panic::resume_unwind(panic))).unwrap_err().to_string();
        assert!(error.contains("in another thread"), "{error}");
    }
}
