//! Data loss prevention: scans, holds, quarantine, retention.

// A Problem is made once for each refused request; boxing it would only burden every handler.
#![allow(clippy::result_large_err)]

pub mod api;
pub mod cli;
pub mod jobs;
pub mod model;
pub mod pages;
pub mod service;
pub mod store;
pub mod verify;

/// The tables of this crate.
pub const COMPONENT: sealwright_store::Component = sealwright_store::migrations!("dlp", 1 => "0001_init", 2 => "0002_buckets",
        3 => "0003_holds", 4 => "0004_retention", 5 => "0005_treatments",
        6 => "0006_uploads", 7 => "0007_row_level_security");
