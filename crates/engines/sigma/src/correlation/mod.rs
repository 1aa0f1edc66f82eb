//! Correlation rules (correlation specification 2.1.0 and this crate's additions).

pub mod engine;
mod group;
mod recent;
mod state;

pub use group::EventId;
pub use state::StateError;

use crate::error::Position;
use crate::model::{Condition, Meta};
use crate::yaml::Number;

/// What a correlation looks for.
#[derive(Debug, Clone, PartialEq)]
pub enum CorrelationKind {
    /// Number of events.
    EventCount,
    /// Number of distinct values, or tuples of values, of the condition's fields.
    ValueCount,
    /// Sum of a numeric field.
    ValueSum,
    /// Mean of a numeric field.
    ValueAvg,
    /// Percentile of a numeric field, 0 to 100, by linear interpolation between closest ranks.
    ValuePercentile(f64),
    /// Median of a numeric field.
    ValueMedian,
    /// All (or a number of, or an expression over) the rules within the timespan.
    Temporal,
    /// The same, in the order in which the rules are listed.
    TemporalOrdered,
    /// Addition `x-absence`: the first rule matched and the second did not within the timespan.
    Absence,
    /// Addition `x-first-seen`: a value of the condition's fields that the group did not have
    /// within the timespan before.
    FirstSeen {
        /// How long a group must have been known before it can fire, in microseconds.
        learn: i64,
    },
    /// Addition `x-dormant`: an event of a group whose previous one is more than the timespan ago.
    Dormant,
    /// Addition `x-changes`: how often the value of the condition's fields was another one than at
    /// the group's event before.
    Changes,
    /// Addition `x-baseline`: the count (or sum of the condition's field) within the timespan is
    /// at least `factor` times the mean of the same measure over the time before it.
    Baseline {
        /// Length of the time before, in microseconds.
        history: i64,
        /// How many times the mean.
        factor: f64,
        /// Least measure that can fire.
        minimum: f64,
    },
    /// Addition `x-impossible-travel`: two positions too far apart for the time between them.
    ImpossibleTravel(Travel),
}

/// Parameters of `x-impossible-travel`.
#[derive(Debug, Clone, PartialEq)]
pub struct Travel {
    /// Field with the latitude in degrees.
    pub latitude: String,
    /// Field with the longitude in degrees.
    pub longitude: String,
    /// Field with the radius of uncertainty in km; both radii are subtracted from the distance.
    pub radius: Option<String>,
    /// Field with an identifier of the device: devices that the group has used before, and that
    /// moved together with it, are not excluded; a known device is one seen at both places.
    pub device: Option<String>,
    /// Least distance in km.
    pub distance_km: f64,
    /// Least speed in km/h.
    pub speed_kmh: f64,
}

/// A correlation rule.
#[derive(Debug, Clone, PartialEq)]
pub struct Correlation {
    /// Description.
    pub meta: Meta,
    /// What it looks for.
    pub kind: CorrelationKind,
    /// Ids or names of the rules whose matches are correlated.
    pub rules: Vec<String>,
    /// Alias, then (rule as referred to, field) pairs.
    pub aliases: Vec<(String, Vec<(String, String)>)>,
    /// Fields or aliases whose values make a group.
    pub group_by: Vec<String>,
    /// Length of the window in microseconds; both ends belong to it.
    pub timespan: i64,
    /// Bounds, all of which must hold.
    pub bounds: Vec<(Bound, Number)>,
    /// Fields of the condition.
    pub fields: Vec<String>,
    /// The expression of an extended condition; numbers are indexes into `rules`.
    pub expression: Option<Condition>,
    /// Whether the correlated rules raise alerts of their own too.
    pub generate: bool,
    /// Where the document starts.
    pub at: Position,
}

/// A bound of a correlation's condition.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Bound {
    /// Greater than.
    Gt,
    /// At least.
    Gte,
    /// Less than.
    Lt,
    /// At most.
    Lte,
    /// Equal.
    Eq,
    /// Not equal.
    Neq,
}

impl Bound {
    /// The bound of a key in a condition.
    pub fn from_name(name: &str) -> Option<Self> {
        Some(match name {
            "gt" => Self::Gt,
            "gte" => Self::Gte,
            "lt" => Self::Lt,
            "lte" => Self::Lte,
            "eq" => Self::Eq,
            "neq" => Self::Neq,
            _ => return None,
        })
    }

    /// Whether a measure is within the bound.
    pub fn holds(self, measure: f64, bound: f64) -> bool {
        match self {
            Self::Gt => measure > bound,
            Self::Gte => measure >= bound,
            Self::Lt => measure < bound,
            Self::Lte => measure <= bound,
            #[allow(clippy::float_cmp)]
            Self::Eq => measure == bound,
            #[allow(clippy::float_cmp)]
            Self::Neq => measure != bound,
        }
    }
}

impl Correlation {
    /// Whether a measure is within all bounds.
    pub fn within(&self, measure: f64) -> bool {
        self.bounds
            .iter()
            .all(|(b, n)| b.holds(measure, n.as_f64()))
    }

    /// Whether more events can only help: then the rule fires at the event that fulfils it;
    /// otherwise at the end of the window, when nothing can change the measure any more.
    pub fn immediate(&self) -> bool {
        match self.kind {
            CorrelationKind::EventCount
            | CorrelationKind::ValueCount
            | CorrelationKind::ValueSum
            | CorrelationKind::ValueAvg
            | CorrelationKind::ValuePercentile(_)
            | CorrelationKind::ValueMedian => self
                .bounds
                .iter()
                .all(|(b, _)| matches!(b, Bound::Gt | Bound::Gte)),
            CorrelationKind::Temporal => self.expression.as_ref().is_none_or(|e| !has_not(e)),
            CorrelationKind::Absence => false,
            _ => true,
        }
    }
}

fn has_not(c: &Condition) -> bool {
    match c {
        Condition::Id(_) => false,
        Condition::Not(_) => true,
        Condition::And(l) | Condition::Or(l) => l.iter().any(has_not),
    }
}
