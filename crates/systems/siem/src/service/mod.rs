//! The use cases. One file a noun.

pub mod alert;
pub mod build;
pub mod builtin;
pub mod detect;
mod error;
pub mod fields;
pub mod hunt;
pub mod import;
pub mod incident;
pub mod keep;
pub mod normalise;
pub mod ocsf;
pub mod raise;
pub mod respond;
pub mod retro;
pub mod rule;
pub mod ruleset;
pub mod source;
pub mod suppression;
pub mod tell;
mod tuning;
pub mod vanish;

pub use error::SiemError;
