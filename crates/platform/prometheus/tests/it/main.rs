//! Prometheus as a source: against servers that the tests are, and against a real one.
#![allow(missing_docs, clippy::unwrap_used, clippy::expect_used, clippy::panic)]
#![allow(clippy::disallowed_methods, clippy::print_stderr)]

mod crash;
mod hostile;
mod interfaces;
mod laws;
mod real;
mod sources;
mod support;
mod windows;
