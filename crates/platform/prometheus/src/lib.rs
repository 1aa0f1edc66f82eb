//! Prometheus as a source of events.
//!
//! A [`Source`] names a server, a selector and a tenant. Time is cut into aligned windows; when one is over, its
//! raw samples are asked for and each series becomes one event, which the intake takes under an id that follows
//! from source, series and window. What is missing is missing: no sample is no event, never a zero.

// A Problem is made once for each refused request; boxing it would only burden every handler.
#![allow(clippy::result_large_err)]

mod answer;
pub mod api;
pub mod cli;
mod client;
mod error;
mod event;
mod increase;
mod job;
mod model;
pub mod pages;
mod pull;
mod selector;
mod service;
mod store;

pub use client::Limits;
pub use error::{PrometheusError, PullError};
pub use increase::{Growth, Reading, Sample, Seen, Window, increase, level};
pub use job::PullJob;
pub use model::{
    CredentialKind, Definition, Kind, QuietSeries, Source, SourceId, State, Take, TenantOf, Totals,
    WindowRow, WindowState,
};
pub use pull::{Pulled, Puller};
pub use service::{
    Given, NewCredential, NewSource, PrometheusParts, PrometheusService, SourceChange,
};

/// The tables of this crate.
pub const COMPONENT: sealwright_store::Component =
    sealwright_store::migrations!("prometheus", 1 => "0001_init");
