//! Laws of money.
#![allow(clippy::unwrap_used)]

mod laws;
