//! Integration tests of the ledger: durability, damage, both stores, other people's tools.
// The environment tells a child process what to do, and a kill comes after a while.
#![allow(clippy::unwrap_used, clippy::disallowed_methods)]

mod commands;
mod crash;
mod damage;
mod kill;
mod other_tools;
mod service;
mod support;
mod tessera;
