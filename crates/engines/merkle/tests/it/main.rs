//! Integration tests of the engine: other people's vectors, laws, and damage.
// The environment may say where the shared material is.
#![allow(clippy::unwrap_used, clippy::disallowed_methods)]

mod damage;
mod laws;
mod memory;
mod notes;
mod shared;
mod tessera;
mod vectors;
mod wycheproof;
