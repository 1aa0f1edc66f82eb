//! Rows of `billing_import`.

use sealwright_core::{Digest, TenantId, UnixMicros};
use sealwright_store::{Result, Row, Store, Tx, sql};

/// The state of one file's import.
#[derive(Debug, Clone)]
pub struct Import {
    /// The import's id.
    pub id: String,
    /// Rows that have been taken in.
    pub rows_done: u64,
    /// Events that were new.
    pub accepted: u64,
    /// Events that were there already.
    pub duplicates: u64,
    /// `running` or `done`.
    pub state: String,
}

fn read(row: &Row) -> Result<Import> {
    let count = |column| {
        Ok::<_, sealwright_store::StoreError>(u64::try_from(row.int(column)?).unwrap_or(0))
    };
    Ok(Import {
        id: row.text("id")?,
        rows_done: count("rows_done")?,
        accepted: count("accepted")?,
        duplicates: count("duplicates")?,
        state: row.text("state")?,
    })
}

/// The import of these bytes with this mapping for this tenant, started anew when there is none.
pub async fn open(
    store: &Store,
    file: (&str, Digest),
    mapping: Digest,
    tenant: TenantId,
    now: UnixMicros,
) -> Result<Import> {
    let mut tx = store.begin().await?;
    let id = format!(
        "imp_{}",
        &Digest::of(format!("{}{mapping}{tenant}", file.1).as_bytes()).to_string()[..32]
    );
    tx.execute(
        sql(
            "INSERT INTO billing_import (id, file_digest, mapping_digest, tenant_id, file_name,
                rows_done, accepted, duplicates, state, started_at)
             VALUES ($1, $2, $3, $4, $5, 0, 0, 0, 'running', $6) ON CONFLICT DO NOTHING",
        )
        .bind(&id)
        .bind(file.1)
        .bind(mapping)
        .bind(tenant)
        .bind(file.0)
        .bind(now),
    )
    .await?;
    let row = tx
        .fetch_one(sql("SELECT * FROM billing_import WHERE id = $1").bind(&id))
        .await?;
    tx.commit().await?;
    read(&row)
}

/// Moves an import forward.
pub async fn advance(tx: &mut Tx, import: &Import, ended: Option<UnixMicros>) -> Result<()> {
    let number = |n: u64| i64::try_from(n).unwrap_or(i64::MAX);
    tx.execute(
        sql(
            "UPDATE billing_import SET rows_done = $2, accepted = $3, duplicates = $4, state = $5,
                ended_at = $6 WHERE id = $1",
        )
        .bind(&import.id)
        .bind(number(import.rows_done))
        .bind(number(import.accepted))
        .bind(number(import.duplicates))
        .bind(&import.state)
        .bind(ended),
    )
    .await?;
    Ok(())
}
