//! When a delivery that failed is tried again.

use sealwright_core::clock::{HOUR, SECOND};

/// How often, and how far apart.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Backoff {
    /// The pause after the first attempt, in microseconds.
    pub first: i64,
    /// The longest pause, in microseconds.
    pub longest: i64,
    /// Attempts before a delivery is given up.
    pub attempts: i64,
}

impl Default for Backoff {
    /// 15 attempts over about 17 hours: 5 s, 10 s, 20 s … 6 h.
    fn default() -> Self {
        Self {
            first: 5 * SECOND,
            longest: 6 * HOUR,
            attempts: 15,
        }
    }
}

impl Backoff {
    /// The pause after attempt number `attempt` (from 1): doubled each time, at most the longest, and then
    /// between half and all of it, as `random` says, so that many deliveries that failed together do not
    /// come back together. A `Retry-After` that asks for longer is honoured, up to a day.
    pub fn pause(&self, attempt: i64, random: u32, retry_after: Option<i64>) -> i64 {
        let doublings = u32::try_from((attempt - 1).clamp(0, 40)).unwrap_or(0);
        let full = self
            .first
            .max(1)
            .saturating_mul(1_i64 << doublings)
            .min(self.longest.max(1));
        let half = full / 2;
        let jitter = i128::from(full - half) * i128::from(random) / i128::from(u32::MAX);
        let own = half + i64::try_from(jitter).unwrap_or(0);
        own.max(retry_after.unwrap_or(0).clamp(0, 24 * HOUR))
    }

    /// Whether `attempt` (from 1) was the last one.
    pub const fn is_last(&self, attempt: i64) -> bool {
        attempt >= self.attempts
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn doubles_up_to_the_longest() {
        let backoff = Backoff::default();
        let full: Vec<_> = (1..=15)
            .map(|attempt| backoff.pause(attempt, u32::MAX, None) / SECOND)
            .collect();
        assert_eq!(
            full,
            [
                5, 10, 20, 40, 80, 160, 320, 640, 1280, 2560, 5120, 10240, 20480, 21600, 21600
            ]
        );
        assert!(!backoff.is_last(14) && backoff.is_last(15));
    }

    #[test]
    fn retry_after_is_a_lower_bound() {
        let backoff = Backoff::default();
        assert_eq!(backoff.pause(1, 0, Some(30 * SECOND)), 30 * SECOND);
        assert_eq!(backoff.pause(9, u32::MAX, Some(SECOND)), 1280 * SECOND);
        assert_eq!(backoff.pause(1, 0, Some(i64::MAX)), 24 * HOUR);
    }

    proptest! {
        #[test]
        fn between_half_and_all(attempt in 1_i64..200, random in any::<u32>(), first in 1_i64..HOUR) {
            let backoff = Backoff { first, ..Backoff::default() };
            let full = backoff.pause(attempt, u32::MAX, None);
            let pause = backoff.pause(attempt, random, None);
            prop_assert!(pause >= full / 2 && pause <= full, "{pause} of {full}");
        }
    }
}
