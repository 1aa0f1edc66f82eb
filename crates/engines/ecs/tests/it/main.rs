//! Integration tests of the normaliser.
#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::print_stdout,
    missing_docs
)]

mod corpus;
mod hostile;
mod rules;
mod shared;
mod sources;
