//! Business hours: the `hours` addition of rules.

use jiff::Timestamp;
use jiff::civil::{Time, Weekday};
use jiff::tz::TimeZone;

/// Times of the week in a named zone.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Hours {
    /// Days that count, Monday first.
    pub days: [bool; 7],
    /// First instant of a day that counts.
    pub from: Time,
    /// First instant that no longer counts; not after `from` means that there is none on that day.
    pub to: Time,
    /// Zone.
    pub zone: TimeZone,
    /// True: only events inside; false: only events outside.
    pub inside: bool,
}

const NAMES: [(&str, Weekday); 7] = [
    ("mon", Weekday::Monday),
    ("tue", Weekday::Tuesday),
    ("wed", Weekday::Wednesday),
    ("thu", Weekday::Thursday),
    ("fri", Weekday::Friday),
    ("sat", Weekday::Saturday),
    ("sun", Weekday::Sunday),
];

impl Hours {
    /// Reads `days` such as `mon-fri` or `sat,sun`, `from` and `to` as `HH:MM` (`to` may be
    /// `24:00`), and an IANA zone.
    ///
    /// # Errors
    /// A text that says which part is wrong.
    pub fn parse(
        days: &str,
        from: &str,
        to: &str,
        zone: &str,
        inside: bool,
    ) -> Result<Self, String> {
        let mut set = [false; 7];
        for piece in days.split(',') {
            let (a, b) = piece.split_once('-').unwrap_or((piece, piece));
            let (a, b) = (day(a)?, day(b)?);
            let mut i = a;
            loop {
                set[i] = true;
                if i == b {
                    break;
                }
                i = (i + 1) % 7;
            }
        }
        let to = if to == "24:00" { Time::MAX } else { clock(to)? };
        let zone = if zone == "UTC" {
            TimeZone::UTC
        } else {
            TimeZone::get(zone).map_err(|_| format!("`{zone}` is not an IANA time zone"))?
        };
        Ok(Self {
            days: set,
            from: clock(from)?,
            to,
            zone,
            inside,
        })
    }

    /// Whether an instant (microseconds, UTC) passes. `from` is included, `to` is not.
    pub fn allows(&self, micros: i64) -> bool {
        let Ok(ts) = Timestamp::from_microsecond(micros) else {
            return false;
        };
        let dt = self.zone.to_datetime(ts);
        let i = usize::try_from(dt.date().weekday().to_monday_zero_offset()).unwrap_or(0);
        let last = self.to == Time::MAX;
        let during = self.days[i] && dt.time() >= self.from && (last || dt.time() < self.to);
        during == self.inside
    }
}

fn day(name: &str) -> Result<usize, String> {
    let name = name.trim().to_ascii_lowercase();
    NAMES
        .iter()
        .position(|(n, _)| *n == name)
        .ok_or_else(|| format!("`{name}` is not a day; write mon, tue, wed, thu, fri, sat or sun"))
}

fn clock(text: &str) -> Result<Time, String> {
    text.split_once(':')
        .filter(|(h, m)| h.len() == 2 && m.len() == 2)
        .and_then(|(h, m)| Time::new(h.parse().ok()?, m.parse().ok()?, 0, 0).ok())
        .ok_or_else(|| format!("`{text}` is not a time; write HH:MM"))
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use super::*;

    #[test]
    fn edges_and_zones() {
        let at = |t: &str| crate::time::instant(t).unwrap();
        let h = Hours::parse("mon-fri", "09:00", "18:00", "UTC", false).unwrap();
        assert!(!h.allows(at("2024-02-29T09:00:00Z")));
        assert!(!h.allows(at("2024-02-29T17:59:59Z")));
        assert!(h.allows(at("2024-02-29T18:00:00Z")));
        assert!(h.allows(at("2024-03-02T12:00:00Z")));
        let h = Hours::parse("sat,sun", "00:00", "24:00", "Asia/Singapore", true).unwrap();
        assert!(h.allows(at("2024-03-01T16:00:00Z")));
        assert!(h.allows(at("2024-03-03T15:59:59Z")));
        assert!(!h.allows(at("2024-03-03T16:00:00Z")));
        assert!(Hours::parse("mon-fri", "9", "18:00", "UTC", true).is_err());
        assert!(Hours::parse("mon-xxx", "09:00", "18:00", "UTC", true).is_err());
        assert!(Hours::parse("mon", "09:00", "18:00", "Mars/Base", true).is_err());
    }
}
