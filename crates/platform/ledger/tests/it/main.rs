//! Integration tests of the ledger: durability, damage, both stores, other people's tools.
#![allow(clippy::unwrap_used)]

mod commands;
mod crash;
mod damage;
mod kill;
mod other_tools;
mod service;
mod support;
mod tessera;
