//! The conformance suite of the store: every check runs on SQLite and on PostgreSQL.
#![allow(clippy::unwrap_used, missing_docs)]

mod conformance;
mod opening;
mod portable;
