//! State in SQLite or PostgreSQL behind one boundary.
//!
//! Every other crate writes one SQL text for both databases: `$1` parameters, `BIGINT`, `TEXT`,
//! `DOUBLE PRECISION` and byte columns, `INSERT … ON CONFLICT … DO UPDATE`, `RETURNING`. Times are
//! microseconds in `BIGINT`, truth values are 0 and 1, decimals and JSON are `TEXT`.
//!
//! Whose rows are seen is decided twice: by the `TenantScope` that a query takes, and on PostgreSQL by
//! the scope of the running task ([`within`]), which the database itself enforces.
//!
//! Architecture invariant: no other crate names sqlx, and no other crate asks which database it is
//! talking to. What the two do differently (locks, backups, the type of a byte column) is decided
//! here or stands in the two migration folders.

mod claim;
mod error;
mod lock;
mod migrate;
mod pool;
pub mod portable;
mod process;
mod rowlock;
mod scope;
mod sql;
#[cfg(feature = "testing")]
pub mod testing;
mod wire;

pub use claim::COMPONENT;
pub use error::StoreError;
pub use lock::DataLock;
pub use migrate::{AppliedMigration, Component, Migration};
pub use pool::{Store, StoreUrl, Tx};
pub use process::Process;
pub use rowlock::SecondLock;
pub use scope::{RowScope, as_system, within};
pub use sql::{Param, Row, Sql, SqlValue, sql};

/// The result of a store operation.
pub type Result<T, E = StoreError> = std::result::Result<T, E>;
