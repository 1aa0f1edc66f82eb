//! The lake as its users see it: written, kept, queried, erased.
// Tests are told by the environment which peers there are.
#![allow(clippy::unwrap_used, clippy::print_stdout)]
#![allow(clippy::disallowed_methods, missing_docs)]

mod support;

mod ask;
mod bucket;
mod copy;
mod damage;
mod edge;
mod erase;
mod isolation;
mod keep;
mod query;
mod share;
mod shared;
mod write;
