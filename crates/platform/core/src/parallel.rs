//! Work that is done on all processors.

use std::num::NonZero;
use std::panic::resume_unwind;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::thread;

/// Does each piece of work, the next one on whichever processor is free. The results are in the order of the work.
/// It blocks until all is done; a panic in one of them goes on here.
pub fn on_all_processors<W: Sync, T: Send>(work: &[W], each: impl Fn(&W) -> T + Sync) -> Vec<T> {
    let threads = thread::available_parallelism().map_or(1, NonZero::get);
    let next = AtomicUsize::new(0);
    let run = || {
        let mut done = Vec::new();
        loop {
            let at = next.fetch_add(1, Ordering::Relaxed);
            let Some(one) = work.get(at) else {
                return done;
            };
            done.push((at, each(one)));
        }
    };
    let mut all = thread::scope(|scope| {
        let others: Vec<_> = (1..threads.min(work.len()))
            .map(|_| scope.spawn(run))
            .collect();
        let mut all = run();
        for other in others {
            all.extend(other.join().unwrap_or_else(|panic| resume_unwind(panic)));
        }
        all
    });
    all.sort_unstable_by_key(|(at, _)| *at);
    all.into_iter().map(|(_, done)| done).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn results_are_in_the_order_of_the_work() {
        for count in [0, 1, 2, 1_000] {
            let work: Vec<u64> = (0..count).collect();
            let wanted: Vec<u64> = work.iter().map(|n| n * 2).collect();
            assert_eq!(on_all_processors(&work, |n| n * 2), wanted);
        }
    }

    #[test]
    #[should_panic(expected = "the seventh")]
    fn a_panic_is_not_lost() {
        on_all_processors(&[1, 2, 3, 4, 5, 6, 7], |n| assert!(*n < 7, "the seventh"));
    }
}
