//! Tests of the scanner against data from outside.
#![allow(clippy::unwrap_used, clippy::print_stdout)]

mod detectors;
mod documents;
mod hostile;
mod identifiers;
mod laws;
mod peers;
mod redact;
mod support;
