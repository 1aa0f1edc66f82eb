//! Events as a Delta table, on local disk or in a bucket, queried by DataFusion.
//!
//! [`LakeWriter`] brings events from the log into the table `events`, partitioned by stream and UTC
//! day. [`Lake`] answers SQL within a tenant's scope ([`Lake::query`]) and typed questions
//! ([`Lake::events_of`], [`Lake::count`]), finds events by their terms ([`Lake::ask`],
//! with an index that [`Lake::index`] makes), shares questions with other processes
//! ([`Lake::share`]), and does the table's maintenance
//! ([`Lake::compact`], [`Lake::retain`], [`Lake::vacuum`], [`Lake::clean_log`], [`Lake::erase`]).
//!
//! The lake lags the log: [`LakeStatus::next_offset`] is the first event that it does not hold.
//!
//! Architecture invariant: no other crate names DataFusion, Delta, Arrow or Parquet, and nothing of
//! them is in this crate's interface. This crate knows no system.

pub mod api;
mod bucket;
mod check;
pub mod cli;
mod copy;
mod encode;
mod erase;
mod error;
mod files;
mod filter;
mod held;
mod index;
mod log;
mod maintain;
mod moved;
mod open;
mod parquet_rows;
mod provider;
mod query;
mod readers;
mod rewrite;
mod rows;
mod schema;
mod session;
mod share;
mod table;
mod table_files;
mod udf;
mod writer;

pub use bucket::{BucketOptions, BucketTimes, LakePlace};
pub use check::LakeCheck;
pub use copy::{LakeCopy, LakePart};
pub use erase::{Erasure, ErasureKey, ErasureReport};
pub use error::{LakeError, Result};
pub use filter::{EventFilter, EventPage, LARGEST_PAGE, Order};
pub use index::{EventSift, IndexReport};
pub use maintain::{
    CompactPolicy, CompactReport, LogReport, MaintenanceReport, READER_PATIENCE, RetentionPolicy,
    RetentionReport, RetiredPartition, VacuumReport,
};
pub use moved::MoveReport;
pub use parquet_rows::{ParquetFileRows, read_parquet_rows};
pub use query::{
    LONGEST_QUERY_SECONDS, LONGEST_QUERY_TEXT, QueryLimits, QueryResult, ResultColumn,
};
pub use schema::{MAX_STREAMS, OTHER_STREAM, stream_of};
pub use share::{ShareOptions, ShareServer};
pub use table::{Lake, LakeStatus, WRITER_APP};
pub use writer::{LakeWriter, WritePolicy};
