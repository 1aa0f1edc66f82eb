//! Durable, deduplicated acceptance of events, and the log they go to.
//!
//! A request's events are parsed, checked, and appended together or not at all. Requests that wait at
//! the same time share one commit. An answer is given when the commit is durable; an identity is known
//! only when its event is stored.
//!
//! Architecture invariant: the log is the truth and everything else here (index, filter, places) can be
//! made from it again.

pub mod api;
mod carry;
mod codec;
mod decide;
mod encoding;
mod intake;
mod log;
mod model;
mod otlp;
mod quota;
mod receipt;
mod record_id;
mod sender;
mod store;
pub mod syslog;
pub mod turn;

pub use carry::{CarryError, LOG_TABLES, files_into_tables, tables_into_files};
pub use decide::{Decision, decide};
pub use encoding::{Coding, DecodeError};
pub use intake::{AppendOptions, Intake, IntakeOptions, Item};
pub use log::{
    AppendError, FaultPoint, Faults, FileLog, FileLogOptions, IntakeLog, LogCopy, LogHold, LogPart,
    NoFaults, TrimTo,
};
pub use model::{BatchOutcome, EventKey, Known, NewEvent, Status};
pub use quota::{HeldTo, PerMinute};
pub use receipt::{EventFault, EventResult, Receipt, ResultStatus};
pub use sender::{Authenticate, NoQuotas, Quota, QuotaState, Quotas, Sender, TenantDirectory};
pub use store::{StoreLog, offsets_of};

#[cfg(doctest)]
#[doc = include_str!("../README.md")]
struct Readme;

/// The tables of this crate: the log of an installation with a database, see [`StoreLog`].
pub const COMPONENT: sealwright_store::Component =
    sealwright_store::migrations!("intake", 1 => "0001_init");
