//! Integration tests.
#![allow(clippy::unwrap_used, clippy::print_stderr)]

mod data;
mod detector;
mod forecast;
mod laws;
mod nab;
mod rule;
