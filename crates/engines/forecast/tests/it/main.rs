//! Integration tests.
#![allow(clippy::unwrap_used, clippy::print_stderr, clippy::disallowed_methods)]

mod data;
mod detector;
mod forecast;
mod laws;
mod nab;
mod rule;
