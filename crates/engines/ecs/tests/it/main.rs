//! Integration tests of the normaliser.
#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::print_stdout,
    missing_docs
)]

mod beside;
mod corpus;
mod evtx;
mod hostile;
mod rules;
mod shared;
mod sources;
