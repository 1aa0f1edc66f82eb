//! Usage metering, price books and invoices.

pub mod api;
pub mod cli;
pub mod consume;
pub mod model;
pub mod pages;
pub mod render;
pub mod service;
pub mod store;
pub mod verify;

/// The tables of this crate.
pub const COMPONENT: sealwright_store::Component = sealwright_store::migrations!("billing", 1 => "0001_init", 2 => "0002_budget_anomaly", 3 => "0003_row_level_security");
