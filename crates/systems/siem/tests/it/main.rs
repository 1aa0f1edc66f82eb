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
mod cli;
mod detection;
mod http;
mod hunting;
mod kill;
mod response;
mod support;
