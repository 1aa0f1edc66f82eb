//! The use cases. One file a noun.

pub mod alert;
pub mod build;
pub mod detect;
mod error;
pub mod fields;
pub mod hunt;
pub mod incident;
pub mod normalise;
pub mod ocsf;
pub mod raise;
pub mod respond;
pub mod retro;
pub mod rule;
pub mod ruleset;
pub mod source;
pub mod suppression;

pub use error::SiemError;
