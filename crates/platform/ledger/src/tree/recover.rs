//! After a crash: the tree that the journal says.

use sealwright_merkle::Checkpoint;

use super::files::{
    read_if_there, remove_beyond, remove_superseded, replace_durably, write_durably,
};
use super::journal::{self, Journal, Record};
use super::tile_log::{files_of, load_edge};
use super::{CHECKPOINT, CHECKPOINT_NEXT, JOURNAL, TreeReader};
use crate::error::{LedgerError, Result};

/// Writes again, from the journal that a crash left, what may not have reached the disk, and ends
/// the journal. A crash meanwhile changes nothing: the journal is there until the end.
///
/// # Errors
/// When the journal is damaged, or is of another tree than the checkpoint: going on would fork the
/// tree that others may have seen.
pub(super) fn recover(reader: &TreeReader) -> Result<()> {
    let root = reader.root_folder();
    let Some(contents) = journal::read(root)? else {
        return Ok(());
    };
    let path = root.join(JOURNAL);
    let open = |note: &[u8]| {
        Checkpoint::open(note, reader.key(), &[])
            .map(|(checkpoint, _)| checkpoint)
            .map_err(|e| LedgerError::damaged(&path, format!("a checkpoint in it: {e}")))
    };
    let base = open(&contents.base)?;
    check_published(reader, &contents.base, &contents.records, contents.end)?;

    remove_beyond(root, base.size)?;
    let mut edge = load_edge(reader, &base)?;
    let mut last = contents.base.as_slice();
    for record in &contents.records {
        let checkpoint = open(&record.note)?;
        let (old, mut writes) = (edge.size(), Vec::new());
        for entry in &record.entries {
            edge.push(entry, &mut writes)?;
        }
        // Every checkpoint that was published can be read again, so each has its partial tiles.
        edge.write_partials(old, &mut writes);
        if (edge.size(), edge.frontier.root()) != (checkpoint.size, checkpoint.root) {
            let size = checkpoint.size;
            let problem = format!("its entries do not lead to its checkpoint of {size} entries");
            return Err(LedgerError::damaged(&path, problem));
        }
        write_durably(root, &files_of(&writes))?;
        last = &record.note;
    }
    replace_durably(root, CHECKPOINT_NEXT, CHECKPOINT, last)?;
    Journal::end(root)?;
    remove_superseded(root, base.size, edge.size());
    tracing::info!(
        appends = contents.records.len(),
        size = edge.size(),
        "the ledger was not closed; its tiles were written again from the journal"
    );
    Ok(())
}

/// A checkpoint that can be read must be one of the journal's. It may be unreadable: a crash can
/// have torn it, as it is not synced while there is a journal.
fn check_published(reader: &TreeReader, base: &[u8], records: &[Record], end: u64) -> Result<()> {
    let root = reader.root_folder();
    let Some(published) = read_if_there(&root.join(CHECKPOINT))? else {
        return Ok(());
    };
    let Ok((checkpoint, _)) = reader.checkpoint() else {
        return Ok(());
    };
    let known = published == base || records.iter().any(|record| record.note == published);
    if known {
        return Ok(());
    }
    let problem = format!(
        "it ends at byte {end} without the published checkpoint of {} entries; restore checkpoint \
         and journal from one backup",
        checkpoint.size
    );
    Err(LedgerError::damaged(&root.join(JOURNAL), problem))
}
