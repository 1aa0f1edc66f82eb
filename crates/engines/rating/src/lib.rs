//! Price books and rating: from quantities to amounts, exactly.
//!
//! [`parse_plan`] reads a plan from TOML, JSON or YAML and reports every problem with its file,
//! line and column. [`parse_usage`] reads metered quantities. [`rate`] turns both into
//! [`Rated`]: lines whose rounded amounts sum to the total, each with the steps that lead to it.
//! Everything is computed in exact decimals; a line is rounded once, half away from zero.

mod canonical;
mod decimal_text;
mod decode;
mod discount;
mod document;
mod fields;
pub mod model;
mod plan;
mod problem;
mod rate;
mod rated;
mod usage;
mod validate;

pub use decode::{Loaded, MAX_PLAN_BYTES, parse_plan};
pub use discount::{Basis, DiscountTier, Mode, VolumeDiscount};
pub use document::Format;
pub use model::{Charge, Model, Step};
pub use plan::{Dimensions, Fee, Included, Plan, Price, PriceBook};
pub use problem::{Position, Problem, Problems, Severity};
pub use rate::{Context, RatingError, rate, rate_with};
pub use rated::{Line, LineKind, PlanRef, Rated, Unpriced};
pub use usage::{MAX_USAGE_BYTES, Usage, UsageFormat, parse_usage};

#[cfg(doctest)]
#[doc = include_str!("../README.md")]
struct Readme;
