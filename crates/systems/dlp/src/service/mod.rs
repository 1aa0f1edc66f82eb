//! Use cases.

mod all;
pub mod bucket;
pub mod detect;
mod erasure;
mod error;
pub mod files;
pub mod finding;
pub mod gate;
pub mod git;
pub mod hold;
pub mod key;
mod paths;
pub mod place;
pub mod policy;
pub mod quarantine;
pub mod redaction;
pub mod register;
pub mod retention;
pub mod scan;
pub mod setup;
mod spill;
pub mod table;
mod tell;
pub mod treatment;
pub mod upload;

pub use all::{Dlp, Parts};
pub use error::DlpError;
