//! One binary for all tests of this crate.
#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    clippy::print_stderr,
    clippy::disallowed_methods
)]

mod channel_kinds;
mod channels;
mod cli;
mod delivery;
mod http;
mod mail;
mod quiet;
mod routing;
mod signature;
mod support;
