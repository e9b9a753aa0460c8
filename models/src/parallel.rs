//! An ordered parallel map: the same work on many items, on several threads.

use std::panic::resume_unwind;
use std::sync::{Mutex, PoisonError};
use std::thread;

/// Does `work` on every item, on up to `threads` threads, and returns the results in the items' order.
pub fn in_parallel<I, T: Send>(
    threads: usize,
    items: impl IntoIterator<Item = I, IntoIter: ExactSizeIterator + Send>,
    work: impl Fn(I) -> T + Sync,
) -> Vec<T> {
    let items = items.into_iter();
    let helpers = threads.min(items.len()).saturating_sub(1);
    let items = Mutex::new(items.enumerate());
    let worker = || {
        let next = || items.lock().unwrap_or_else(PoisonError::into_inner).next();
        std::iter::from_fn(next).map(|(index, item)| (index, work(item))).collect::<Vec<_>>()
    };
    let mut done = thread::scope(|scope| {
        // If a thread cannot be started, the others do its work.
        let helpers = (0..helpers).filter_map(|_| thread::Builder::new().spawn_scoped(scope, worker).ok());
        let helpers: Vec<_> = helpers.collect();
        let mut done = worker();
        for helper in helpers {
            done.extend(helper.join().unwrap_or_else(|panic| resume_unwind(panic)));
        }
        done
    });
    done.sort_by_key(|(index, _)| *index);
    done.into_iter().map(|(_, result)| result).collect()
}
