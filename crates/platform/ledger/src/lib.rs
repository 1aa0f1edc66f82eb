//! The append-only ledger of what was done, in C2SP tlog-tiles form.
//!
//! Three layers, each usable without the ones above it:
//!
//! | layer | what it does |
//! |---|---|
//! | [`tree`] | the static tree on disk: durable, never forked, no database |
//! | [`entry`], [`proof`] | what an entry says, its salted commitment, its offline proof |
//! | [`Ledger`] | entries written in the transaction of the change they record, then sequenced into the tree |
//!
//! [`verify`] checks a tree (and its database) and names each damaged file and byte; [`cli`] and
//! [`api`] offer all of this on the command line and over HTTP.
//!
//! Architecture invariant: the database decides which entry has which index, the tree follows.
//! Nothing writes into the tree that has no committed row.

pub mod api;
pub mod cli;
pub mod entry;
pub mod error;
pub mod keys;
pub mod pages;
pub mod proof;
mod service;
pub mod store;
pub mod tree;
pub mod verify;

pub use entry::{EntryDraft, EntryId, Leaf, Opening};
pub use error::{LedgerError, Result};
pub use proof::EntryProof;
pub use service::{COMPONENT, Ledger, Sequenced, TREE_FOLDER};
pub use store::{EntryFilter, EntryRow, Erase};
pub use tree::{Appender, TileLog, TreeReader};
