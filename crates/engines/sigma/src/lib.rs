//! Sigma detection rules, specification 2.1.0.
//!
//! Files become a [`collection::Collection`]; its rules are matched one by one by [`naive`], which is
//! the reference, or all at once by [`compiled`]; matches are correlated by event time in
//! [`correlation::engine`]. [`eval`] runs whole inputs, [`explain`] says why a rule matched or did not,
//! [`lint`] advises, [`export`] writes queries for other products, [`annotations`] and [`testing`] are
//! what this crate adds to a rule's file: actions, evidence, values to tune, and its tests. Nothing here reads files, the clock
//! or the environment.

pub mod annotations;
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
pub mod testing;
pub mod time;
pub mod value;

mod condition;
mod parse_correlation;
mod yaml;

#[cfg(doctest)]
#[doc = include_str!("../README.md")]
struct Readme;

pub use error::{Error, Position};
pub use parse::{Parsed, parse};
pub use yaml::{Limits, Number};
