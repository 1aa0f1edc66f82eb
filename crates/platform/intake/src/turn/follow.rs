//! Looks where the followers are, and opens the window as wide as their pace allows.

use std::sync::Arc;
use std::time::{Duration, Instant};

use sealwright_core::clock::SECOND;
use sealwright_events::EventLog;
use sealwright_store::Store;
use tokio_util::sync::CancellationToken;

use super::Turns;
use super::pace::Pace;

/// How often they are looked at while something is under way.
const LOOK_EVERY: Duration = Duration::from_millis(25);
/// Fewer events than these hold nobody up for long, whatever the pace is.
const FEWEST: u64 = 500;
/// Followers that did not move for so long stand still.
const STILL: Duration = Duration::from_secs(5);
/// So many windows of events that this process did not let in wait since before its start, or are of others: holding requests
/// back here would not help.
const LEFT: u64 = 16;

/// Where the slowest of the followers is, and where the log ends.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
struct Seen {
    followed: u64,
    head: u64,
}

/// Finds the window from what is seen.
#[derive(Debug)]
struct Opening {
    pace: Pace,
    /// Seconds for which what is let in may wait.
    within: f64,
    /// Where they were, and since when.
    still: Option<(u64, f64)>,
}

impl Opening {
    fn new(within: f64) -> Self {
        Self {
            pace: Pace::default(),
            within,
            still: None,
        }
    }

    /// The window at a moment, in seconds, with `own` events under way; `None` where nobody is to wait.
    fn window(&mut self, at: f64, seen: Seen, own: u64) -> Option<u64> {
        let behind = seen.head.saturating_sub(seen.followed);
        match self.still {
            Some((followed, since)) if behind > 0 && followed == seen.followed => {
                if at - since > STILL.as_secs_f64() {
                    // Of the time in which they stood nothing is learnt about their pace.
                    self.pace = Pace::default();
                    return None;
                }
            }
            _ => self.still = Some((seen.followed, at)),
        }
        self.pace.sample(at, seen.followed, seen.head);
        #[allow(clippy::cast_possible_truncation, clippy::cast_sign_loss)]
        let window = (self.pace.rate()? * self.within) as u64;
        let window = window.max(FEWEST);
        let left = behind.saturating_sub(own);
        (left <= window.saturating_mul(LEFT)).then_some(window)
    }
}

/// Holds requests back as long as the consumers of these names, whose cursors are in `state`, would need more than about
/// `within` microseconds for what was let in. Until `stop` is cancelled; then nobody waits any more.
pub async fn follow(
    turns: Turns,
    log: Arc<dyn EventLog>,
    state: Store,
    consumers: Vec<&'static str>,
    within: i64,
    stop: CancellationToken,
) {
    let started = Instant::now();
    #[allow(clippy::cast_precision_loss)]
    let mut opening = Opening::new(within as f64 / SECOND as f64);
    turns.open(None);
    while !stop.is_cancelled() {
        if turns.size() == (0, 0) {
            tokio::select! {
                () = stop.cancelled() => break,
                () = turns.shared.begun.notified() => {}
            }
        }
        match look(log.as_ref(), &state, &consumers).await {
            Ok(seen) => {
                turns.followed(seen.followed);
                let (own, _) = turns.size();
                let window = opening.window(started.elapsed().as_secs_f64(), seen, own);
                turns.open(window);
                #[allow(clippy::cast_precision_loss)]
                metrics::gauge!("sealwright_intake_window_events").set(window.unwrap_or(0) as f64);
            }
            Err(error) => {
                tracing::warn!(%error, "it is not known how far the log was followed");
                turns.open(None);
            }
        }
        tokio::select! {
            () = stop.cancelled() => break,
            () = tokio::time::sleep(LOOK_EVERY) => {}
        }
    }
    turns.close();
}

async fn look(
    log: &dyn EventLog,
    state: &Store,
    consumers: &[&'static str],
) -> Result<Seen, sealwright_events::ConsumerError> {
    let mut followed = u64::MAX;
    for consumer in consumers {
        followed = followed.min(sealwright_events::cursor_of(state, consumer).await?);
    }
    // After the cursors, which are then not ahead of it.
    let head = log.head().await?;
    Ok(Seen {
        followed: followed.min(head),
        head,
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn seen(followed: u64, head: u64) -> Seen {
        Seen { followed, head }
    }

    /// Looks every 25 ms while `pace` events a second are followed.
    fn run(opening: &mut Opening, at: &mut f64, from: u64, pace: u64, seconds: u64) -> Option<u64> {
        let mut window = None;
        for n in 1..=seconds * 40 {
            *at += 0.025;
            let followed = from + pace * n / 40;
            window = opening.window(*at, seen(followed, followed + 500), 500);
        }
        window
    }

    #[test]
    fn the_window_is_what_is_followed_within_the_time() {
        let (mut opening, mut at) = (Opening::new(0.5), 0.0);
        assert_eq!(
            opening.window(at, seen(0, 500), 0),
            None,
            "nothing is known"
        );
        let window = run(&mut opening, &mut at, 0, 20_000, 10).unwrap_or_default();
        assert!((9_900..=10_100).contains(&window), "{window}");
        // Few events are no sign of a slow follower.
        let window = run(&mut opening, &mut at, 200_000, 100, 10);
        assert_eq!(window, Some(FEWEST));
    }

    #[test]
    fn a_follower_that_stands_still_or_is_far_behind_holds_nobody_up() {
        let (mut opening, mut at) = (Opening::new(0.5), 0.0);
        run(&mut opening, &mut at, 0, 10_000, 5);
        let stands = seen(50_000, 51_000);
        opening.window(at, stands, 0);
        assert!(opening.window(at + 4.9, stands, 0).is_some());
        assert_eq!(opening.window(at + 5.1, stands, 0), None);
        at += 6.0;
        run(&mut opening, &mut at, 50_000, 10_000, 5);
        at += 0.025;
        assert_eq!(opening.window(at, seen(100_250, 10_000_000), 0), None);
        at += 0.025;
        let own = opening.window(at, seen(100_500, 10_000_000), 9_890_000);
        assert!(own.is_some(), "what was let in here is waited for");
        at += 0.025;
        let few = opening.window(at, seen(100_750, 101_000), 0);
        assert!(few.is_some());
    }
}
