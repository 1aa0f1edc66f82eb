//! Tests of the crate.
#![allow(
    clippy::unwrap_used,
    clippy::panic,
    clippy::print_stdout,
    clippy::disallowed_methods,
    clippy::cast_sign_loss,
    clippy::cast_possible_truncation
)]

mod alerts;
mod builtin;
mod cli;
mod detection;
mod http;
mod hunting;
mod importing;
mod kill;
mod normalised;
mod response;
mod rule_tests;
mod support;
mod terms;
