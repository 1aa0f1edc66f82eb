#![allow(missing_docs, clippy::unwrap_used)]

mod attributes;
mod bad_input;
mod features;
mod laws;
