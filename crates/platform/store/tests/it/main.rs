//! The conformance suite of the store: every check runs on SQLite and on PostgreSQL.
#![allow(clippy::unwrap_used, clippy::panic, missing_docs)]

mod conformance;
mod opening;
mod portable;
mod rowlock;
