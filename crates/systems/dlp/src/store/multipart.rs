//! Rows of `dlp_multipart`.

use sealwright_core::{TenantScope, UnixMicros};
use sealwright_store::{Result, Row, Store, StoreError, Tx, sql};

use crate::model::object::ObjectId;
use crate::service::gate::UploadId;
use crate::service::upload::Multipart;

fn json<T: serde::de::DeserializeOwned>(row: &Row, column: &'static str) -> Result<T> {
    serde_json::from_str(&row.text(column)?).map_err(|_| StoreError::Column {
        column: column.to_owned(),
        found: "text of another form",
        expected: "JSON",
    })
}

fn read(row: &Row) -> Result<Multipart> {
    Ok(Multipart {
        id: row.parse("id")?,
        place: row.parse("place_id")?,
        tenant: row.parse("tenant_id")?,
        bucket: row.text("bucket")?,
        key: row.text("object_key")?,
        staged: ObjectId {
            bucket: row.text("staged_bucket")?,
            key: row.text("staged_key")?,
            version: row.text("staged_version")?,
        },
        name: row.text("store_name")?,
        about: json(row, "about")?,
        tags: json(row, "tags")?,
        begun_by: row.text("begun_by")?,
        begun_at: row.micros("begun_at")?,
    })
}

/// One of a scope.
pub async fn find(store: &Store, scope: TenantScope, id: UploadId) -> Result<Option<Multipart>> {
    let row = store
        .fetch_optional(
            sql("SELECT * FROM dlp_multipart WHERE id = $2 AND ($1 = '*' OR tenant_id = $1)")
                .bind(scope)
                .bind(id),
        )
        .await?;
    row.as_ref().map(read).transpose()
}

/// Those that were begun before a moment.
pub async fn begun_before(store: &Store, before: UnixMicros) -> Result<Vec<Multipart>> {
    let rows = store
        .fetch_all(sql("SELECT * FROM dlp_multipart WHERE begun_at < $1 ORDER BY id").bind(before))
        .await?;
    rows.iter().map(read).collect()
}

/// Writes one, new or further.
pub async fn put(tx: &mut Tx, one: &Multipart) -> Result<()> {
    let text = |value: serde_json::Result<String>| {
        value.map_err(|error| StoreError::Constraint(error.to_string()))
    };
    let about = text(serde_json::to_string(&one.about))?;
    let tags = text(serde_json::to_string(&one.tags))?;
    tx.execute(
        sql(
            "INSERT INTO dlp_multipart (id, tenant_id, place_id, bucket, object_key, staged_bucket,
                staged_key, staged_version, store_name, about, tags, begun_by, begun_at)
             VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10, $11, $12, $13)
             ON CONFLICT (id) DO UPDATE SET staged_version = excluded.staged_version",
        )
        .bind(one.id)
        .bind(one.tenant)
        .bind(one.place)
        .bind(&one.bucket)
        .bind(&one.key)
        .bind(&one.staged.bucket)
        .bind(&one.staged.key)
        .bind(&one.staged.version)
        .bind(&one.name)
        .bind(about)
        .bind(tags)
        .bind(&one.begun_by)
        .bind(one.begun_at),
    )
    .await?;
    Ok(())
}

/// Forgets one.
pub async fn delete(store: &Store, id: UploadId) -> Result<()> {
    store
        .execute(sql("DELETE FROM dlp_multipart WHERE id = $1").bind(id))
        .await?;
    Ok(())
}
