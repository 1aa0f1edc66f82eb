//! Use cases.

mod error;
pub mod files;
pub mod git;
pub mod policy;
pub mod setup;

pub use error::DlpError;
