//! All rows of a state in a form that both databases read: for backups, and for moving from one to the other.
//!
//! A table is a text of lines, each a JSON array with the values of one row in the order of the columns
//! (bytes in base64), sorted by the table's key. The same rows give the same bytes whichever database they
//! come from, so two states are equal when the digests of their tables are.
//!
//! Which tables there are is not asked of the database, which may hold others: the components' migrations are
//! applied to an empty SQLite in memory, and that is asked.

mod read;
mod schema;
mod write;

pub use read::Import;
pub use schema::{Column, ColumnKind, Table};
pub use write::Snapshot;

/// Stands in a database while it is being filled; a program does not start on it.
const MARK: &str = "store_import";
