//! Ids of what came without one.

use sealwright_core::{Id, IdKind};

/// The kind of [`RecordId`].
#[derive(Debug)]
pub(crate) enum RecordIdKind {}

impl IdKind for RecordIdKind {
    const PREFIX: &'static str = "rec";
}

/// The id of what came without one.
pub(crate) type RecordId = Id<RecordIdKind>;
