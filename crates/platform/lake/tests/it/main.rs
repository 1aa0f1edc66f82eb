//! The lake as its users see it: written, kept, queried, erased.
#![allow(clippy::unwrap_used, missing_docs)]

mod support;

mod damage;
mod edge;
mod erase;
mod isolation;
mod keep;
mod query;
mod write;
