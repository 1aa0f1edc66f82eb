//! Rows of `dlp_treatment`.

use sealwright_core::TenantScope;
use sealwright_store::{Result, Row, Store, StoreError, Tx, sql};

use crate::model::object::ObjectId;
use crate::model::treatment::{Treatment, TreatmentId};

fn read(row: &Row) -> Result<Treatment> {
    let replaced =
        serde_json::from_str(&row.text("replaced")?).map_err(|_| StoreError::Column {
            column: "replaced".to_owned(),
            found: "text of another form",
            expected: "counts by detector",
        })?;
    Ok(Treatment {
        id: row.parse("id")?,
        tenant: row.parse("tenant_id")?,
        place: row.parse("place_id")?,
        source: ObjectId {
            bucket: row.text("bucket")?,
            key: row.text("object_key")?,
            version: row.text("version")?,
        },
        etag: row.text("etag")?,
        action: row.parse("action")?,
        original: row.parse("original")?,
        new_version: row.text("new_version")?,
        sha256: row.text("sha256")?,
        replaced,
        step: row.parse("step")?,
        reason: row.text("reason")?,
        problem: row.text("problem")?,
        begun_by: row.text("begun_by")?,
        begun_at: row.micros("begun_at")?,
        changed_at: row.micros("changed_at")?,
    })
}

/// The treatments of a scope, newest first.
pub async fn list(store: &Store, scope: TenantScope, limit: u32) -> Result<Vec<Treatment>> {
    let rows = store
        .fetch_all(
            sql(
                "SELECT * FROM dlp_treatment WHERE ($1 = '*' OR tenant_id = $1)
                 ORDER BY id DESC LIMIT $2",
            )
            .bind(scope)
            .bind(limit),
        )
        .await?;
    rows.iter().map(read).collect()
}

/// Those with something to do.
pub async fn under_way(store: &Store) -> Result<Vec<Treatment>> {
    let rows = store
        .fetch_all(sql("SELECT * FROM dlp_treatment
             WHERE step IN ('wanted', 'written', 'verified') ORDER BY id"))
        .await?;
    rows.iter().map(read).collect()
}

/// One treatment of a scope.
pub async fn find(store: &Store, scope: TenantScope, id: TreatmentId) -> Result<Option<Treatment>> {
    let row = store
        .fetch_optional(
            sql("SELECT * FROM dlp_treatment WHERE id = $2 AND ($1 = '*' OR tenant_id = $1)")
                .bind(scope)
                .bind(id),
        )
        .await?;
    row.as_ref().map(read).transpose()
}

/// The treatment of a version, inside of a change: a version is treated once.
pub async fn of_object(tx: &mut Tx, object: &ObjectId) -> Result<Option<Treatment>> {
    let row = tx
        .fetch_optional(
            sql(
                "SELECT * FROM dlp_treatment WHERE bucket = $1 AND object_key = $2
                 AND version = $3 ORDER BY id DESC LIMIT 1",
            )
            .bind(&object.bucket)
            .bind(&object.key)
            .bind(&object.version),
        )
        .await?;
    row.as_ref().map(read).transpose()
}

/// Writes a treatment, new or further.
pub async fn put(tx: &mut Tx, one: &Treatment) -> Result<()> {
    let replaced = serde_json::to_string(&one.replaced)
        .map_err(|error| StoreError::Constraint(error.to_string()))?;
    tx.execute(
        sql(
            "INSERT INTO dlp_treatment (id, tenant_id, place_id, bucket, object_key, version, etag,
                action, original, new_version, sha256, replaced, step, reason, problem, begun_by,
                begun_at, changed_at)
             VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10, $11, $12, $13, $14, $15, $16, $17, $18)
             ON CONFLICT (id) DO UPDATE SET new_version = excluded.new_version,
                sha256 = excluded.sha256, replaced = excluded.replaced, step = excluded.step,
                problem = excluded.problem, changed_at = excluded.changed_at",
        )
        .bind(one.id)
        .bind(one.tenant)
        .bind(one.place)
        .bind(&one.source.bucket)
        .bind(&one.source.key)
        .bind(&one.source.version)
        .bind(&one.etag)
        .bind(one.action.as_str())
        .bind(one.original.as_str())
        .bind(&one.new_version)
        .bind(&one.sha256)
        .bind(replaced)
        .bind(one.step.as_str())
        .bind(&one.reason)
        .bind(&one.problem)
        .bind(&one.begun_by)
        .bind(one.begun_at)
        .bind(one.changed_at),
    )
    .await?;
    Ok(())
}
