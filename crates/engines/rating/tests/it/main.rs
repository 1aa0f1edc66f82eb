//! Tests of rating.
#![allow(clippy::unwrap_used)]

mod bad_plans;
mod data;
mod examples;
mod laws;
mod plans;
mod usage_files;
