//! Data-loss prevention as its users meet it.
#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::disallowed_methods,
    missing_docs
)]

mod cli;
mod holds;
mod judgement;
mod memory;
mod policies;
mod retention;
mod s3;
mod scans;
mod streams;
mod world;
