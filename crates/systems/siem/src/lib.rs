//! Detection: rules over the log of events, alerts, incidents, response, hunting.

pub mod api;
pub mod cli;
pub mod consume;
pub mod model;
pub mod pages;
pub mod service;
pub mod store;

/// The tables of this crate.
pub const COMPONENT: sealwright_store::Component = sealwright_store::migrations!("siem", 1 => "0001_init", 2 => "0002_fields", 3 => "0003_evidence", 4 => "0004_row_level_security");
