//! The database against the tree.

use sealwright_store::{Store, StoreError};

use super::{Check, Finding};
use crate::entry::Leaf;
use crate::error::{LedgerError, Result};
use crate::store::{self, CheckedRow};

const PAGE: usize = 4_096;

/// A database that is damaged is a finding as a damaged file is, so that the rest of the report stands.
pub(super) async fn run(check: &mut Check<'_>, store: &Store) -> Result<()> {
    match compare_all(check, store).await {
        Err(LedgerError::Store(error @ StoreError::Corrupt { .. })) => {
            add(check, None, None, error.to_string());
            Ok(())
        }
        other => other,
    }
}

async fn compare_all(check: &mut Check<'_>, store: &Store) -> Result<()> {
    let size = check.report.size;
    let mut next = 0;
    let mut compared = 0;
    while next < size {
        let mut rows = store::rows_from(store, next, PAGE).await?;
        rows.retain(|(index, _)| *index < size);
        let Some(&(last, _)) = rows.last() else { break };
        let first = next;
        let entries = entries(check, first, last + 1)?;
        for (index, row) in rows {
            missing(check, next, index);
            let place = usize::try_from(index - first).unwrap_or(usize::MAX);
            match row {
                Ok(row) => compare(check, &row, index, entries.get(place).map(Vec::as_slice)),
                Err(error) => add(check, None, Some(index), error.to_string()),
            }
            compared += 1;
            next = index + 1;
        }
    }
    missing(check, next, size);
    check.report.rows = Some(compared);
    Ok(())
}

/// The entries `[from, to)` as far as their bundles can be read; unreadable ones were reported.
fn entries(check: &Check<'_>, from: u64, to: u64) -> Result<Vec<Vec<u8>>> {
    let mut found = Vec::new();
    let scanned = check.reader.scan(from, check.report.size, |index, entry| {
        if index < to {
            found.push(entry.to_vec());
        }
        index + 1 < to
    });
    match scanned {
        Err(LedgerError::Damaged { .. }) | Ok(()) => Ok(found),
        Err(error) => Err(error),
    }
}

fn missing(check: &mut Check<'_>, from: u64, to: u64) {
    if from < to {
        let problem = format!("entries {from} to {} have no row in the database", to - 1);
        add(check, None, Some(from), problem);
    }
}

fn add(check: &mut Check<'_>, offset: Option<u64>, entry: Option<u64>, problem: String) {
    check.add(Finding {
        file: "database".to_owned(),
        offset,
        entry,
        problem,
    });
}

fn compare(check: &mut Check<'_>, found: &CheckedRow, index: u64, entry: Option<&[u8]>) {
    let row = &found.row;
    let id = row.id;
    if let Some(entry) = entry
        && entry != row.leaf
    {
        let at = entry.iter().zip(&row.leaf).position(|(a, b)| a != b);
        let at = at.unwrap_or(entry.len().min(row.leaf.len()));
        let problem = format!("ledger_entry {id}: `leaf` differs from the tree at byte {at}");
        add(check, Some(at as u64), Some(index), problem);
        return;
    }
    let leaf = match Leaf::from_bytes(&row.leaf) {
        Ok(leaf) => leaf,
        Err(error) => {
            add(
                check,
                None,
                Some(index),
                format!("ledger_entry {id}: {error}"),
            );
            return;
        }
    };
    if leaf.id != id {
        let problem = format!("ledger_entry {id}: its leaf is that of {}", leaf.id);
        add(check, None, Some(index), problem);
    }
    // The columns by which rows are found say what the leaf says.
    let recorded_at = row.recorded_at.to_string();
    for (column, holds, says) in [
        ("action", &found.action, &leaf.action),
        ("subject", &found.subject, &leaf.subject),
        ("recorded_at", &recorded_at, &leaf.time),
    ] {
        if holds != says {
            let problem =
                format!("ledger_entry {id}: `{column}` is `{holds}`, and the leaf says `{says}`");
            add(check, None, Some(index), problem);
        }
    }
    match (&row.opening, row.erased_at) {
        (Some(opening), _) if opening.commitment() != leaf.commitment => {
            let problem = format!(
                "ledger_entry {id}: `private` or `salt` was changed; it does not open the leaf's \
                 commitment"
            );
            add(check, None, Some(index), problem);
        }
        (Some(opening), _) => {
            let private = &opening.private;
            let tenant = private.tenant.map(|tenant| tenant.to_string());
            if found.tenant != tenant {
                let problem =
                    format!("ledger_entry {id}: `tenant_id` differs from the private part");
                add(check, None, Some(index), problem);
            }
            if found.actor.as_ref() != Some(&private.actor) {
                let problem = format!("ledger_entry {id}: `actor` differs from the private part");
                add(check, None, Some(index), problem);
            }
        }
        (None, None) => {
            let problem = format!("ledger_entry {id}: the private part is gone but was not erased");
            add(check, None, Some(index), problem);
        }
        (None, Some(_)) => {}
    }
}
