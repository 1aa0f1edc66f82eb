//! The tables of data-loss prevention.

pub mod finding;
pub mod gate;
pub mod hold;
pub mod multipart;
pub mod place;
pub mod policy;
pub mod quarantine;
pub mod retention;
pub mod scan;
pub mod table;
pub mod treatment;
