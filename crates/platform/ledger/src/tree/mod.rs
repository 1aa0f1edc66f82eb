//! The tree as files: `checkpoint`, `tile/<level>/…` and `tile/entries/…` in one folder
//! (C2SP `tlog-tiles`), durable and never forked.

mod appender;
mod edge;
mod files;
mod journal;
mod reader;
mod recover;
mod tile_log;

pub use appender::{Appended, Appender};
pub(crate) use files::{read_if_there, sync_folder};
pub use reader::{StoredEntry, TreeReader};
pub use tile_log::{MAX_BATCH_BYTES, MAX_BATCH_ENTRIES, TileLog};

/// The name of the checkpoint file in the tree's folder.
pub const CHECKPOINT: &str = "checkpoint";
/// Where a checkpoint is written before it takes the old one's place.
pub(crate) const CHECKPOINT_NEXT: &str = ".checkpoint.next";
/// The appends whose tiles may not be on disk yet; only while the tree is open, or after a crash.
pub(crate) const JOURNAL: &str = ".journal";
/// Where a journal is begun before it takes the old one's place.
pub(crate) const JOURNAL_NEXT: &str = ".journal.next";
/// Held by the one process that writes the tree.
pub(crate) const LOCK: &str = ".lock";
