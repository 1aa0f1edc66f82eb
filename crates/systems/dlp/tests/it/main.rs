//! Data-loss prevention as its users meet it.
#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::disallowed_methods,
    missing_docs
)]

mod chance;
mod cli;
mod conformance;
mod emulators;
mod holds;
mod interleave;
mod judgement;
mod memory;
mod papers;
mod policies;
mod register;
mod retention;
mod s3;
mod scans;
mod streams;
mod tables;
mod telling;
mod treatments;
mod uploads;
mod world;
