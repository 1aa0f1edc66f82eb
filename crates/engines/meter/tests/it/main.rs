//! Tests of meters.
#![allow(clippy::unwrap_used)]

mod aggregates;
mod definitions;
mod expressions;
mod floor;
mod traces;
