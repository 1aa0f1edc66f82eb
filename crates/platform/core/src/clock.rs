//! Time as microseconds since the Unix epoch, and the clock that is injected everywhere.

use std::fmt;
use std::sync::Arc;
use std::sync::atomic::{AtomicI64, Ordering};

use jiff::Timestamp;
use serde::{Deserialize, Serialize};

/// A moment: microseconds since 1970-01-01T00:00:00Z, without leap seconds. This is the form in
/// which every store keeps time.
#[derive(
    Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Debug, Default, Serialize, Deserialize,
)]
#[serde(transparent)]
pub struct UnixMicros(pub i64);

/// Microseconds in one second.
pub const SECOND: i64 = 1_000_000;
/// Microseconds in one minute.
pub const MINUTE: i64 = 60 * SECOND;
/// Microseconds in one hour.
pub const HOUR: i64 = 60 * MINUTE;
/// Microseconds in 24 hours (not a calendar day of a zone with daylight saving).
pub const DAY: i64 = 24 * HOUR;

impl UnixMicros {
    /// The calendar form. Values outside of jiff's range (years −9999 to 9999) are clamped.
    pub fn timestamp(self) -> Timestamp {
        Timestamp::from_microsecond(self.0).unwrap_or(if self.0 < 0 {
            Timestamp::MIN
        } else {
            Timestamp::MAX
        })
    }

    /// Reads RFC 3339 text (`2026-11-22T10:00:00Z`, any offset); finer than a microsecond is cut.
    pub fn parse_rfc3339(text: &str) -> Result<Self, jiff::Error> {
        text.parse::<Timestamp>().map(Self::from)
    }

    /// `self` plus `micros` microseconds, saturating at the ends of the range.
    #[must_use]
    pub const fn plus(self, micros: i64) -> Self {
        Self(self.0.saturating_add(micros))
    }

    /// Microseconds from `earlier` to `self`; negative when `self` is the earlier one.
    pub const fn since(self, earlier: Self) -> i64 {
        self.0.saturating_sub(earlier.0)
    }

    /// The start of the UTC hour that holds this moment.
    #[must_use]
    pub const fn floor_hour(self) -> Self {
        Self(self.0 - self.0.rem_euclid(HOUR))
    }

    /// The start of the UTC day that holds this moment.
    #[must_use]
    pub const fn floor_day(self) -> Self {
        Self(self.0 - self.0.rem_euclid(DAY))
    }
}

impl From<Timestamp> for UnixMicros {
    fn from(value: Timestamp) -> Self {
        Self(value.as_microsecond())
    }
}

impl fmt::Display for UnixMicros {
    /// RFC 3339 in UTC, with as many fractional digits as are needed.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}", self.timestamp())
    }
}

/// Where the present comes from. Code that decides anything by time takes a clock or a moment;
/// only [`SystemClock`] reads the operating system's.
pub trait Clock: Send + Sync + fmt::Debug {
    /// The present moment.
    fn now(&self) -> UnixMicros;
}

/// The operating system's clock.
#[derive(Clone, Copy, Debug, Default)]
pub struct SystemClock;

impl Clock for SystemClock {
    #[allow(
        clippy::disallowed_methods,
        reason = "the one place that reads the clock"
    )]
    fn now(&self) -> UnixMicros {
        UnixMicros::from(Timestamp::now())
    }
}

/// A clock that stands still until it is told to move: for tests, and for replaying history.
#[derive(Clone, Debug)]
pub struct ManualClock(Arc<AtomicI64>);

impl ManualClock {
    /// A clock that shows `at`.
    pub fn new(at: UnixMicros) -> Self {
        Self(Arc::new(AtomicI64::new(at.0)))
    }

    /// Sets the clock; backwards is allowed, since real clocks do that too.
    pub fn set(&self, at: UnixMicros) {
        self.0.store(at.0, Ordering::SeqCst);
    }

    /// Moves the clock by `micros` microseconds.
    pub fn advance(&self, micros: i64) {
        self.0.fetch_add(micros, Ordering::SeqCst);
    }
}

impl Clock for ManualClock {
    fn now(&self) -> UnixMicros {
        UnixMicros(self.0.load(Ordering::SeqCst))
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::*;

    #[test]
    fn reads_and_writes_rfc3339() {
        let t = UnixMicros::parse_rfc3339("2026-11-22T10:00:00.123456+01:00").unwrap();
        assert_eq!(t.to_string(), "2026-11-22T09:00:00.123456Z");
        assert_eq!(t.floor_hour().to_string(), "2026-11-22T09:00:00Z");
        assert_eq!(
            UnixMicros(-1).floor_day().to_string(),
            "1969-12-31T00:00:00Z"
        );
    }
}
