//! Integration tests of the Sigma engine.
#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::print_stdout,
    missing_docs
)]

mod behaviour;
mod corpus;
mod correlations;
mod differential;
mod limits;
mod shared;
mod tools;
mod tuning;
