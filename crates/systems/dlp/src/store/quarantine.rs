//! Rows of `dlp_quarantine`.

use sealwright_core::{TenantId, TenantScope};
use sealwright_store::{Result, Row, Store, StoreError, Tx, sql};

use crate::model::object::ObjectId;
use crate::model::quarantine::{Quarantine, QuarantineId};

fn read(row: &Row) -> Result<Quarantine> {
    let tags = serde_json::from_str(&row.text("tags")?).map_err(|_| StoreError::Column {
        column: "tags".to_owned(),
        found: "text of another form",
        expected: "tags",
    })?;
    Ok(Quarantine {
        id: row.parse("id")?,
        tenant: row.parse("tenant_id")?,
        source: ObjectId {
            bucket: row.text("bucket")?,
            key: row.text("object_key")?,
            version: row.text("version")?,
        },
        etag: row.text("etag")?,
        tags,
        copy: ObjectId {
            bucket: row.text("copy_bucket")?,
            key: row.text("copy_key")?,
            version: row.text("copy_version")?,
        },
        back_version: row.text("back_version")?,
        sha256: row.text("sha256")?,
        step: row.parse("step")?,
        reason: row.text("reason")?,
        problem: row.text("problem")?,
        begun_by: row.text("begun_by")?,
        begun_at: row.micros("begun_at")?,
        release_asked_by: row.opt_text("release_asked_by")?,
        released_by: row.opt_text("released_by")?,
        changed_at: row.micros("changed_at")?,
    })
}

/// The quarantines of a scope, newest first.
pub async fn list(store: &Store, scope: TenantScope, limit: u32) -> Result<Vec<Quarantine>> {
    let rows = store
        .fetch_all(
            sql(
                "SELECT * FROM dlp_quarantine WHERE ($1 = '*' OR tenant_id = $1)
                 ORDER BY id DESC LIMIT $2",
            )
            .bind(scope)
            .bind(limit),
        )
        .await?;
    rows.iter().map(read).collect()
}

/// Those of a tenant of which there is a copy.
pub async fn there(store: &Store, tenant: TenantId) -> Result<Vec<Quarantine>> {
    let rows = store
        .fetch_all(
            sql(
                "SELECT * FROM dlp_quarantine WHERE tenant_id = $1 AND step <> 'released'
                 AND copy_version <> '' ORDER BY id",
            )
            .bind(tenant),
        )
        .await?;
    rows.iter().map(read).collect()
}

/// Those with something to do.
pub async fn under_way(store: &Store) -> Result<Vec<Quarantine>> {
    let rows = store
        .fetch_all(sql(
            "SELECT * FROM dlp_quarantine
             WHERE step NOT IN ('quarantined', 'release-asked', 'released') ORDER BY id",
        ))
        .await?;
    rows.iter().map(read).collect()
}

/// One quarantine of a scope, inside of a change.
pub async fn find(tx: &mut Tx, scope: TenantScope, id: QuarantineId) -> Result<Option<Quarantine>> {
    let row = tx
        .fetch_optional(
            sql("SELECT * FROM dlp_quarantine WHERE id = $2 AND ($1 = '*' OR tenant_id = $1)")
                .bind(scope)
                .bind(id),
        )
        .await?;
    row.as_ref().map(read).transpose()
}

/// The quarantine of a version that is not over, inside of a change.
pub async fn of_object(tx: &mut Tx, object: &ObjectId) -> Result<Option<Quarantine>> {
    let row = tx
        .fetch_optional(
            sql(
                "SELECT * FROM dlp_quarantine WHERE bucket = $1 AND object_key = $2
                 AND version = $3 AND step <> 'released'",
            )
            .bind(&object.bucket)
            .bind(&object.key)
            .bind(&object.version),
        )
        .await?;
    row.as_ref().map(read).transpose()
}

/// Writes a quarantine, new or further.
pub async fn put(tx: &mut Tx, one: &Quarantine) -> Result<()> {
    let tags = serde_json::to_string(&one.tags)
        .map_err(|error| StoreError::Constraint(error.to_string()))?;
    tx.execute(
        sql(
            "INSERT INTO dlp_quarantine (id, tenant_id, bucket, object_key, version, etag, tags,
                copy_bucket, copy_key, copy_version, back_version, sha256, step, reason, problem,
                begun_by, begun_at, release_asked_by, released_by, changed_at)
             VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10, $11, $12, $13, $14, $15, $16, $17, $18,
                $19, $20)
             ON CONFLICT (id) DO UPDATE SET copy_version = excluded.copy_version,
                back_version = excluded.back_version, sha256 = excluded.sha256,
                step = excluded.step, problem = excluded.problem,
                release_asked_by = excluded.release_asked_by,
                released_by = excluded.released_by, changed_at = excluded.changed_at",
        )
        .bind(one.id)
        .bind(one.tenant)
        .bind(&one.source.bucket)
        .bind(&one.source.key)
        .bind(&one.source.version)
        .bind(&one.etag)
        .bind(tags)
        .bind(&one.copy.bucket)
        .bind(&one.copy.key)
        .bind(&one.copy.version)
        .bind(&one.back_version)
        .bind(&one.sha256)
        .bind(one.step.as_str())
        .bind(&one.reason)
        .bind(&one.problem)
        .bind(&one.begun_by)
        .bind(one.begun_at)
        .bind(one.release_asked_by.clone())
        .bind(one.released_by.clone())
        .bind(one.changed_at),
    )
    .await?;
    Ok(())
}
