//! Sigma rules: parser, compiler, matcher and correlations.

pub mod collection;
pub mod compiled;
pub mod correlation;
pub mod error;
pub mod eval;
pub mod explain;
pub mod export;
pub mod flat;
pub mod fold;
pub mod hours;
pub mod lint;
pub mod logsource;
pub mod model;
pub mod modifier;
pub mod naive;
pub mod normalise;
pub mod parse;
pub mod pattern;
pub mod pipeline;
pub mod scan;
pub mod time;
pub mod value;

mod condition;
mod parse_correlation;
mod yaml;

pub use error::{Error, Position};
pub use parse::{Parsed, parse};
pub use yaml::{Limits, Number};
