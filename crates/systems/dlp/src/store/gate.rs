//! Rows of `dlp_upload`.

use sealwright_core::TenantScope;
use sealwright_store::{Result, Row, Store, Tx, sql};

use crate::service::gate::Upload;

fn read(row: &Row) -> Result<Upload> {
    Ok(Upload {
        id: row.parse("id")?,
        tenant: row.parse("tenant_id")?,
        name: row.text("name")?,
        bucket: row.text("bucket")?,
        size: row.int("size")?,
        sha256: row.parse("sha256")?,
        verdict: row.parse("verdict")?,
        would: row.parse("would")?,
        coverage: row.text("coverage")?,
        found: row.text("found")?,
        at: row.micros("at")?,
        took: row.int("took")?,
        by: row.text("asked_by")?,
    })
}

/// The newest uploads of a scope.
pub async fn list(store: &Store, scope: TenantScope, limit: u32) -> Result<Vec<Upload>> {
    let rows = store
        .fetch_all(
            sql("SELECT * FROM dlp_upload WHERE ($1 = '*' OR tenant_id = $1)
                 ORDER BY id DESC LIMIT $2")
            .bind(scope)
            .bind(limit),
        )
        .await?;
    rows.iter().map(read).collect()
}

/// Adds an upload.
pub async fn insert(tx: &mut Tx, one: &Upload) -> Result<()> {
    tx.execute(
        sql(
            "INSERT INTO dlp_upload (id, tenant_id, name, bucket, size, sha256, verdict, would,
                coverage, found, at, took, asked_by)
             VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10, $11, $12, $13)",
        )
        .bind(one.id)
        .bind(one.tenant)
        .bind(&one.name)
        .bind(&one.bucket)
        .bind(one.size)
        .bind(one.sha256)
        .bind(one.verdict.as_str())
        .bind(one.would.as_str())
        .bind(&one.coverage)
        .bind(&one.found)
        .bind(one.at)
        .bind(one.took)
        .bind(&one.by),
    )
    .await?;
    Ok(())
}
