//! Integration tests of the engine: other people's vectors, laws, and damage.
#![allow(clippy::unwrap_used)]

mod damage;
mod laws;
mod memory;
mod notes;
mod shared;
mod tessera;
mod vectors;
mod wycheproof;
