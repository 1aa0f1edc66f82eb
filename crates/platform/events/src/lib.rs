//! The catalogue of event families, and the consumers of the log.
//!
//! The log (made by `intake`) is one dense sequence of events; a consumer reads it with a cursor, and
//! its effect and its cursor commit together, so that each event takes effect once.

mod admit;
pub mod catalogue;
mod consumer;
mod history;
mod holds;
mod log;
mod search;
mod sink;
mod stored;

pub use admit::{Admit, Incoming, Rejection};
pub use catalogue::Catalogue;
pub use consumer::{
    Consumer, ConsumerError, Effect, StoreConsumer, begin_at, busy, catch_up, cursor_of,
    cursors_of, lowest_cursor, run,
};
pub use history::{Asked, History, HistoryError, HistoryQuery, Known, Passed, Sieve, Sift, Sifted};
pub use holds::{HeldEvents, HoldError, HoldRegister, Holds};
pub use log::{EventLog, LogError, ReadLimit};
pub use search::{Answer, EventSearch, EventTerms, Facets, Look, Question, Search, is_facet};
pub use sink::{Appended, EventSink, SinkError};
pub use stored::StoredEvent;

/// The tables of this crate.
pub const COMPONENT: sealwright_store::Component =
    sealwright_store::migrations!("events", 1 => "0001_init");

#[cfg(doctest)]
#[doc = include_str!("../README.md")]
struct Readme;
