//! Billing as its users meet it.
#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::disallowed_methods,
    missing_docs
)]

mod anomaly;
mod budget;
mod cli;
mod gateway;
mod import;
mod limits_api;
mod office;
mod pages;
mod render;
mod sample;
#[path = "../../examples/billing_console/world.rs"]
mod world;
