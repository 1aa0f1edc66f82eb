//! Mergeable aggregates: the order of samples and how they are split into parts do not matter.

use std::collections::btree_map::Entry;
use std::collections::{BTreeMap, BTreeSet};

use sealwright_money::{Decimal, MoneyError, exact};
use serde::{Deserialize, Serialize};

use crate::definition::Aggregation;
use crate::set::Sample;

/// The most different values that a unique aggregate holds (16 bytes each in memory).
///
/// Values are told apart by 128-bit hashes. The chance that two of a million different values
/// have the same hash is below 2 to the power of -88.
pub const MAX_UNIQUE: usize = 1_000_000;
/// The most levels that a time-weighted aggregate holds.
pub const MAX_SAMPLES: usize = 1_000_000;
/// Digits after the point of an average level.
pub const AVERAGE_DIGITS: u32 = 12;

/// Why a sample or an aggregate was refused. The aggregate is unchanged.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum AggregateError {
    /// The sample or the other aggregate is of another kind.
    #[error(
        "aggregates of different kinds cannot be combined: the meter's aggregation was changed"
    )]
    Kind,
    /// Too many different values or levels.
    #[error(
        "more than {0} different values or levels in one aggregate: use a shorter window or more dimensions"
    )]
    TooMany(usize),
    /// The exact result does not fit.
    #[error(transparent)]
    Arithmetic(#[from] MoneyError),
    /// The period is empty.
    #[error("the period must end after it starts")]
    Period,
}

/// A level or value with what orders it: time, then the tie-break.
type Moment = (i64, u128);

/// The state of an aggregation.
///
/// Its JSON has a version; later versions read earlier ones.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(into = "stored::Stored", try_from = "stored::Stored")]
pub enum Aggregate {
    /// See [`Aggregation::Sum`].
    Sum(Decimal),
    /// See [`Aggregation::Count`].
    Count(u64),
    /// See [`Aggregation::Max`].
    Max(Option<Decimal>),
    /// See [`Aggregation::Unique`].
    Unique(BTreeSet<u128>),
    /// See [`Aggregation::Latest`].
    Latest(Option<(Moment, Decimal)>),
    /// See [`Aggregation::TimeWeighted`].
    TimeWeighted(Levels),
}

/// The levels of a time-weighted aggregate, by series and moment.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Levels {
    series: BTreeMap<u128, BTreeMap<Moment, Decimal>>,
    /// The levels of all series.
    count: usize,
}

/// A metered quantity.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Quantity {
    /// The quantity; an average is rounded half away from zero to [`AVERAGE_DIGITS`].
    pub value: Decimal,
    /// For averages: the sum of level times microseconds, and the period in microseconds. Their
    /// quotient is the exact average.
    pub exact: Option<(Decimal, i64)>,
}

impl Aggregate {
    /// An aggregate of nothing.
    #[must_use]
    pub fn new(aggregation: Aggregation) -> Self {
        match aggregation {
            Aggregation::Sum => Self::Sum(Decimal::ZERO),
            Aggregation::Count => Self::Count(0),
            Aggregation::Max => Self::Max(None),
            Aggregation::Unique => Self::Unique(BTreeSet::new()),
            Aggregation::Latest => Self::Latest(None),
            Aggregation::TimeWeighted => Self::TimeWeighted(Levels::default()),
        }
    }

    /// Adds a sample.
    ///
    /// # Errors
    /// See [`AggregateError`]; the aggregate is then unchanged.
    pub fn add(&mut self, sample: &Sample) -> Result<(), AggregateError> {
        match (&mut *self, sample) {
            (Self::Sum(sum), Sample::Sum(value)) => *sum = exact::add(*sum, *value)?,
            (Self::Count(n), Sample::Count) => *n = n.saturating_add(1),
            (Self::Max(max), Sample::Max(value)) => *max = larger(*max, Some(*value)),
            (Self::Unique(set), Sample::Unique(hash)) => {
                if set.len() >= MAX_UNIQUE && !set.contains(hash) {
                    return Err(AggregateError::TooMany(MAX_UNIQUE));
                }
                set.insert(*hash);
            }
            (
                Self::Latest(latest),
                Sample::Latest {
                    time_us,
                    tie,
                    value,
                },
            ) => {
                let value = exact::normalise(*value);
                *latest = (*latest).max(Some(((*time_us, *tie), value)));
            }
            (
                Self::TimeWeighted(series),
                Sample::Level {
                    series: id,
                    time_us,
                    tie,
                    value,
                },
            ) => {
                if series.count >= MAX_SAMPLES {
                    return Err(AggregateError::TooMany(MAX_SAMPLES));
                }
                series.keep(*id, (*time_us, *tie), *value);
            }
            _ => return Err(AggregateError::Kind),
        }
        Ok(())
    }

    /// Adds another aggregate of the same meter and dimensions.
    ///
    /// # Errors
    /// See [`AggregateError`]; the aggregate is then unchanged.
    pub fn merge(&mut self, other: &Self) -> Result<(), AggregateError> {
        match (&mut *self, other) {
            (Self::Sum(a), Self::Sum(b)) => *a = exact::add(*a, *b)?,
            (Self::Count(a), Self::Count(b)) => *a = a.saturating_add(*b),
            (Self::Max(a), Self::Max(b)) => *a = larger(*a, *b),
            (Self::Unique(a), Self::Unique(b)) => {
                if a.len() + b.difference(a).count() > MAX_UNIQUE {
                    return Err(AggregateError::TooMany(MAX_UNIQUE));
                }
                a.extend(b);
            }
            (Self::Latest(a), Self::Latest(b)) => *a = (*a).max(*b),
            (Self::TimeWeighted(a), Self::TimeWeighted(b)) => {
                if a.count + b.count > MAX_SAMPLES {
                    return Err(AggregateError::TooMany(MAX_SAMPLES));
                }
                for (id, levels) in &b.series {
                    for (moment, level) in levels {
                        a.keep(*id, *moment, *level);
                    }
                }
            }
            _ => return Err(AggregateError::Kind),
        }
        Ok(())
    }

    /// The quantity for the period `[start_us, end_us)`, in microseconds since 1970 UTC. Nothing
    /// when there was nothing to measure: a largest, latest or average value of no samples is
    /// unknown, not zero.
    ///
    /// Sum, count, max, unique and latest hold what was added and do not look at the period.
    /// An average counts each series from its level at the start of the period, which the last
    /// sample before it carries in; a series is at zero before its first sample.
    ///
    /// # Errors
    /// [`AggregateError::Period`] and [`AggregateError::Arithmetic`].
    pub fn finish(&self, start_us: i64, end_us: i64) -> Result<Option<Quantity>, AggregateError> {
        let plain = |value: Decimal| Quantity {
            value: exact::normalise(value),
            exact: None,
        };
        Ok(match self {
            Self::Sum(sum) => Some(plain(*sum)),
            Self::Count(n) => Some(plain(Decimal::from(*n))),
            Self::Unique(set) => Some(plain(Decimal::from(set.len()))),
            Self::Max(max) => max.map(plain),
            Self::Latest(latest) => latest.map(|(_, value)| plain(value)),
            Self::TimeWeighted(series) => average(series, start_us, end_us)?,
        })
    }

    /// For averages: drops the levels that ended before `at_us` and so can no longer matter to
    /// periods that start at or after it. Other aggregates are unchanged.
    pub fn forget_before(&mut self, at_us: i64) {
        let Self::TimeWeighted(levels) = self else {
            return;
        };
        for moments in levels.series.values_mut() {
            let last = moments
                .range(..=(at_us, u128::MAX))
                .next_back()
                .map(|(moment, _)| *moment);
            if let Some(last) = last {
                *moments = moments.split_off(&last);
            }
        }
        levels.count = levels.series.values().map(BTreeMap::len).sum();
    }
}

fn larger(a: Option<Decimal>, b: Option<Decimal>) -> Option<Decimal> {
    a.max(b).map(exact::normalise)
}

impl Levels {
    /// Keeps a level; of two for the same event the larger, so that order does not matter.
    fn keep(&mut self, series: u128, moment: Moment, level: Decimal) {
        let level = exact::normalise(level);
        match self.series.entry(series).or_default().entry(moment) {
            Entry::Vacant(entry) => {
                entry.insert(level);
                self.count += 1;
            }
            Entry::Occupied(mut entry) => {
                let kept = (*entry.get()).max(level);
                entry.insert(kept);
            }
        }
    }
}

fn average(
    levels: &Levels,
    start_us: i64,
    end_us: i64,
) -> Result<Option<Quantity>, AggregateError> {
    let period = end_us
        .checked_sub(start_us)
        .filter(|p| *p > 0)
        .ok_or(AggregateError::Period)?;
    let mut weighted = Decimal::ZERO;
    let mut known = false;
    for moments in levels.series.values() {
        let mut moments = moments.iter().peekable();
        while let Some(((time, _), level)) = moments.next() {
            let next = moments.peek().map_or(end_us, |((next, _), _)| *next);
            known |= *time < end_us;
            let (from, to) = ((*time).max(start_us), next.min(end_us));
            if to > from {
                let part = exact::mul(*level, Decimal::from(to - from))?;
                weighted = exact::add(weighted, part)?;
            }
        }
    }
    if !known {
        return Ok(None);
    }
    let value = exact::mul_ratio(weighted, 1, period, AVERAGE_DIGITS)?;
    Ok(Some(Quantity {
        value,
        exact: Some((weighted, period)),
    }))
}

/// The JSON form.
mod stored {
    use std::collections::{BTreeMap, BTreeSet};

    use sealwright_money::{Decimal, exact};
    use serde::{Deserialize, Serialize};

    use super::{Aggregate, Levels, MAX_SAMPLES, MAX_UNIQUE};

    const VERSION: u32 = 1;

    #[derive(Clone, Serialize, Deserialize)]
    pub(super) struct Stored {
        v: u32,
        state: State,
    }

    #[derive(Clone, Serialize, Deserialize)]
    #[serde(rename_all = "snake_case")]
    enum State {
        Sum(String),
        Count(u64),
        Max(Option<String>),
        Unique(Vec<String>),
        Latest(Option<(i64, String, String)>),
        TimeWeighted(BTreeMap<String, Vec<(i64, String, String)>>),
    }

    fn hex(n: u128) -> String {
        format!("{n:032x}")
    }

    fn number(text: &str) -> Result<Decimal, String> {
        exact::parse(text).map_err(|e| e.to_string())
    }

    fn hash(text: &str) -> Result<u128, String> {
        u128::from_str_radix(text, 16).map_err(|_| format!("`{text}` is not a hash of 128 bits"))
    }

    fn text(d: Decimal) -> String {
        exact::normalise(d).to_string()
    }

    impl From<Aggregate> for Stored {
        fn from(a: Aggregate) -> Self {
            let state = match a {
                Aggregate::Sum(d) => State::Sum(text(d)),
                Aggregate::Count(n) => State::Count(n),
                Aggregate::Max(d) => State::Max(d.map(text)),
                Aggregate::Unique(set) => State::Unique(set.into_iter().map(hex).collect()),
                Aggregate::Latest(l) => {
                    State::Latest(l.map(|((t, tie), d)| (t, hex(tie), text(d))))
                }
                Aggregate::TimeWeighted(levels) => State::TimeWeighted(
                    levels
                        .series
                        .into_iter()
                        .map(|(id, levels)| {
                            let levels = levels
                                .into_iter()
                                .map(|((t, tie), d)| (t, hex(tie), text(d)));
                            (hex(id), levels.collect())
                        })
                        .collect(),
                ),
            };
            Self { v: VERSION, state }
        }
    }

    impl TryFrom<Stored> for Aggregate {
        type Error = String;

        fn try_from(s: Stored) -> Result<Self, String> {
            if s.v != VERSION {
                return Err(format!(
                    "aggregate of version {}: this program reads version {VERSION}",
                    s.v
                ));
            }
            let moment = |(t, tie, d): (i64, String, String)| {
                Ok::<_, String>(((t, hash(&tie)?), number(&d)?))
            };
            Ok(match s.state {
                State::Sum(d) => Self::Sum(number(&d)?),
                State::Count(n) => Self::Count(n),
                State::Max(d) => Self::Max(d.as_deref().map(number).transpose()?),
                State::Unique(list) if list.len() > MAX_UNIQUE => {
                    return Err("too many values".to_owned());
                }
                State::Unique(list) => Self::Unique(
                    list.iter()
                        .map(|h| hash(h))
                        .collect::<Result<BTreeSet<_>, _>>()?,
                ),
                State::Latest(l) => Self::Latest(l.map(moment).transpose()?),
                State::TimeWeighted(m) if m.values().map(Vec::len).sum::<usize>() > MAX_SAMPLES => {
                    return Err("too many levels".to_owned());
                }
                State::TimeWeighted(m) => {
                    let mut levels = Levels::default();
                    for (id, list) in m {
                        let id = hash(&id)?;
                        for item in list {
                            let (at, level) = moment(item)?;
                            levels.keep(id, at, level);
                        }
                    }
                    Self::TimeWeighted(levels)
                }
            })
        }
    }
}
