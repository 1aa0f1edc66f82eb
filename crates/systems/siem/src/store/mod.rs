//! SQL, and nothing else. One file a noun.

pub mod action;
pub mod alert;
pub mod evidence;
pub mod field;
pub mod incident;
pub mod rule;
pub mod source;
pub mod state;
pub mod suppression;

use sealwright_core::UnixMicros;
use sealwright_store::{Result, Row, Store, Tx, sql};

use crate::model::HistoryEntry;

/// Adds a line to the history of an alert, an incident or a suppression; lines are never changed.
pub async fn remember(
    tx: &mut Tx,
    subject: &str,
    now: UnixMicros,
    actor: &str,
    action: &str,
    detail: &str,
) -> Result<()> {
    tx.execute(
        sql(
            "INSERT INTO siem_history (subject, seq, at, actor, action, detail)
             SELECT $1, COALESCE(MAX(seq), 0) + 1, $2, $3, $4, $5
             FROM siem_history WHERE subject = $1",
        )
        .bind(subject)
        .bind(now)
        .bind(actor)
        .bind(action)
        .bind(detail),
    )
    .await?;
    Ok(())
}

fn read_history(row: &Row) -> Result<HistoryEntry> {
    Ok(HistoryEntry {
        seq: row.int("seq")?,
        at: row.micros("at")?,
        actor: row.text("actor")?,
        action: row.text("action")?,
        detail: row.text("detail")?,
    })
}

/// The history of a subject, oldest first. The caller has looked at the subject within its scope.
pub async fn history(store: &Store, subject: &str) -> Result<Vec<HistoryEntry>> {
    let rows = store
        .fetch_all(
            sql("SELECT * FROM siem_history WHERE subject = $1 ORDER BY seq LIMIT 1000")
                .bind(subject),
        )
        .await?;
    rows.iter().map(read_history).collect()
}
