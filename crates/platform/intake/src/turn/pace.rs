//! How many events a second those that follow the log take when there is enough to take.

/// What was seen longer ago counts less: to a third after so many seconds.
const MEMORY: f64 = 2.0;
/// A pace is known when the followers were seen at work for so many seconds.
const ENOUGH: f64 = 0.5;

/// See the module.
#[derive(Debug, Default)]
pub(super) struct Pace {
    busy: f64,
    passed: f64,
    last: Option<(f64, u64, u64)>,
}

impl Pace {
    /// At a moment (seconds of any clock) everything below `followed` was followed and the log ended at `head`.
    pub(super) fn sample(&mut self, at: f64, followed: u64, head: u64) {
        if let Some((before, was_followed, was_head)) = self.last
            && was_followed < was_head
        {
            let passed = followed.saturating_sub(was_followed);
            let took = (at - before).max(0.0);
            let rest = (-took / MEMORY).exp();
            self.busy = self.busy * rest + took;
            #[allow(clippy::cast_precision_loss)]
            let passed = passed as f64;
            self.passed = self.passed * rest + passed;
        }
        self.last = Some((at, followed, head));
    }

    /// Events a second; `None` while it is not known.
    pub(super) fn rate(&self) -> Option<f64> {
        (self.busy >= ENOUGH).then(|| self.passed / self.busy)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn time_in_which_nothing_was_to_be_done_does_not_count() {
        let mut pace = Pace::default();
        pace.sample(0.0, 0, 1_000);
        assert_eq!(pace.rate(), None);
        for n in 1..=10_u32 {
            pace.sample(f64::from(n) * 0.1, u64::from(n) * 100, 1_000);
        }
        let rate = pace.rate().unwrap_or_default();
        assert!((rate - 1_000.0).abs() < 1.0, "{rate}");
        // Idle for an hour, then as before.
        pace.sample(3_600.0, 1_000, 1_000);
        pace.sample(3_601.0, 1_000, 2_000);
        let same = pace.rate().unwrap_or_default();
        assert!((same - rate).abs() < 1.0, "{same}");
    }

    #[test]
    fn a_pace_that_changes_is_followed_in_seconds() {
        let mut pace = Pace::default();
        let mut followed = 0;
        for n in 0..200_u32 {
            followed += if n < 100 { 50 } else { 500 };
            pace.sample(f64::from(n) * 0.05, followed, u64::MAX);
        }
        let rate = pace.rate().unwrap_or_default();
        assert!((9_000.0..=10_000.0).contains(&rate), "{rate}");
    }
}
