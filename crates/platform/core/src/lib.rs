//! What every part of the platform speaks: typed ids, time and clock, tenant scope, digests over
//! canonical JSON, problems (RFC 9457) and pages of results.
//!
//! Architecture invariant: this crate knows no store, no log and no system. It does no I/O except
//! reading the system clock and the random source, both behind a trait or a single function.

pub mod canonical;
pub mod client;
pub mod clock;
pub mod id;
pub mod page;
pub mod parallel;
pub mod problem;
pub mod tenant;

pub use canonical::{Digest, canonical_json};
pub use client::client_address;
pub use clock::{Clock, ManualClock, SystemClock, UnixMicros};
pub use id::{Id, IdError, IdKind};
pub use page::{Cursor, Page};
pub use parallel::on_all_processors;
pub use problem::Problem;
pub use tenant::{TenantId, TenantScope};
