//! Usage over time, as charts.

use std::collections::{BTreeMap, BTreeSet};

use sealwright_core::UnixMicros;
use sealwright_core::clock::DAY;
use sealwright_meter::MeterDef;
use sealwright_money::Decimal;
use sealwright_web::TimeRange;
use sealwright_web::chart::{Kind, Point, TimeChart};

use crate::model::{Grain, Span};
use crate::service::usage::{UsagePoint, next_month};

/// Series with a colour of their own; the rest is one more, "other".
const NAMED: usize = 5;

/// How fine a chart of a span is.
pub(super) fn grain(span: Span) -> Grain {
    match span.to.since(span.from) {
        length if length <= 3 * DAY => Grain::Hour,
        length if length <= 124 * DAY => Grain::Day,
        _ => Grain::Month,
    }
}

/// The word for a grain in titles: `by day`.
pub(super) fn word(grain: Grain) -> &'static str {
    match grain {
        Grain::Hour => "hour",
        Grain::Day => "day",
        Grain::Month => "month",
    }
}

pub(super) use crate::service::meter::adds_up;

/// The exact value of a point.
pub(super) fn value(point: &UsagePoint) -> Option<Decimal> {
    point.quantity.as_deref().and_then(|text| text.parse().ok())
}

/// The starts of the buckets of a span, as the summary makes them, up to the present.
fn buckets(span: Span, grain: Grain, now: UnixMicros) -> Vec<UnixMicros> {
    let mut starts = Vec::new();
    let mut at = match grain {
        Grain::Hour => span.from.floor_hour(),
        Grain::Day | Grain::Month => span.from,
    };
    while at < span.to && at < now && starts.len() < 2_000 {
        starts.push(at);
        at = match grain {
            Grain::Hour => at.plus(sealwright_core::clock::HOUR),
            Grain::Day => at.floor_day().plus(DAY),
            Grain::Month => next_month(at),
        };
    }
    starts
}

/// Values by series name and bucket; of several for one place, the sum.
pub(super) type Courses = BTreeMap<String, BTreeMap<UnixMicros, Decimal>>;

/// Adds up points by the name that `name` gives them.
pub(super) fn courses(points: &[UsagePoint], name: impl Fn(&UsagePoint) -> String) -> Courses {
    let mut courses = Courses::new();
    for point in points {
        let Some(value) = value(point) else { continue };
        let place = courses
            .entry(name(point))
            .or_default()
            .entry(point.from)
            .or_default();
        *place = place.checked_add(value).unwrap_or(Decimal::MAX);
    }
    courses
}

/// A chart of a meter's usage: stacked where values add up, lines where they do not.
pub(super) struct UsageChart<'a> {
    pub(super) id: &'a str,
    pub(super) title: &'a str,
    pub(super) unit: &'a str,
    pub(super) range: &'a TimeRange,
    pub(super) span: Span,
    pub(super) now: UnixMicros,
    pub(super) stacked: bool,
}

impl UsageChart<'_> {
    /// Draws the largest series and puts the rest together.
    pub(super) fn draw(&self, courses: Courses) -> TimeChart {
        let grain = grain(self.span);
        let mut starts = buckets(self.span, grain, self.now);
        let kind = match (self.stacked, starts.len()) {
            (false, _) => Kind::Lines,
            (true, ..=2) => Kind::Columns,
            (true, _) => Kind::Stacked,
        };
        let mut chart = TimeChart::new(
            self.id,
            self.title,
            self.unit,
            kind,
            (self.range.from, self.range.to),
            &self.range.zone,
        );
        let ranked = self.ranked(courses);
        // A bucket without an event is zero where values add up; but the one that is still open
        // has nothing to say before its first event.
        let begun = starts
            .last()
            .is_some_and(|last| ranked.iter().any(|(_, course)| course.contains_key(last)));
        if self.stacked && self.span.to >= self.now && !begun {
            starts.pop();
        }
        for (name, course) in &ranked {
            let points = starts
                .iter()
                .map(|start| Point {
                    at: start.timestamp().max(self.range.from),
                    value: course
                        .get(start)
                        .copied()
                        .or(self.stacked.then_some(Decimal::ZERO)),
                })
                .collect();
            chart = chart.series(name, points);
        }
        chart
    }

    fn ranked(&self, courses: Courses) -> Vec<(String, BTreeMap<UnixMicros, Decimal>)> {
        let total = |course: &BTreeMap<UnixMicros, Decimal>| {
            course.values().fold(Decimal::ZERO, |sum, v| {
                sum.checked_add(*v).unwrap_or(Decimal::MAX)
            })
        };
        let mut ranked: Vec<_> = courses.into_iter().collect();
        ranked.sort_by_key(|(_, course)| std::cmp::Reverse(total(course)));
        if ranked.len() > NAMED {
            let rest = ranked.split_off(NAMED - 1);
            if self.stacked {
                let mut other: BTreeMap<UnixMicros, Decimal> = BTreeMap::new();
                for (at, value) in rest.into_iter().flat_map(|(_, course)| course) {
                    let place = other.entry(at).or_default();
                    *place = place.checked_add(value).unwrap_or(Decimal::MAX);
                }
                ranked.push(("other".to_owned(), other));
            }
        }
        ranked
    }
}

/// Which meters count each event once: of the meters that read every event of their types, one
/// for each type. The events of these add up to the events that were metered.
pub(super) fn counting(definitions: &[MeterDef]) -> BTreeSet<&str> {
    let mut covered: BTreeSet<&str> = BTreeSet::new();
    let mut chosen = BTreeSet::new();
    for def in definitions.iter().filter(|def| def.filter.is_none()) {
        if def
            .event_types
            .iter()
            .all(|kind| !covered.contains(kind.as_str()))
        {
            covered.extend(def.event_types.iter().map(String::as_str));
            chosen.insert(def.key.as_str());
        }
    }
    chosen
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::*;
    use sealwright_meter::floor_meters;

    #[test]
    fn each_event_type_is_counted_by_one_meter() {
        let meters = floor_meters();
        let chosen = counting(&meters);
        let mut kinds: Vec<&str> = meters
            .iter()
            .filter(|def| chosen.contains(def.key.as_str()))
            .flat_map(|def| def.event_types.iter().map(String::as_str))
            .collect();
        let all: BTreeSet<&str> = meters
            .iter()
            .flat_map(|def| def.event_types.iter().map(String::as_str))
            .collect();
        kinds.sort_unstable();
        assert_eq!(kinds, all.into_iter().collect::<Vec<_>>());
    }

    #[test]
    fn buckets_end_at_the_present() {
        let at = |text: &str| UnixMicros::parse_rfc3339(text).unwrap();
        let span = Span {
            from: at("2026-11-01T00:00:00Z"),
            to: at("2026-11-08T00:00:00Z"),
        };
        let starts = buckets(span, Grain::Day, at("2026-11-03T12:00:00Z"));
        assert_eq!(starts.len(), 3);
        assert_eq!(starts.last().copied(), Some(at("2026-11-03T00:00:00Z")));
    }
}
