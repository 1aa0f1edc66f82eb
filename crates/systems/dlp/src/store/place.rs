//! Rows of `dlp_place` and `dlp_key`.

use sealwright_core::{TenantId, TenantScope, UnixMicros};
use sealwright_store::{Result, Row, Store, Tx, sql};

use crate::model::finding::{Place, PlaceId};

fn read(row: &Row) -> Result<Place> {
    Ok(Place {
        id: row.parse("id")?,
        tenant: row.parse("tenant_id")?,
        bucket: row.text("bucket")?,
        prefix: row.text("prefix")?,
        quarantine: row.text("quarantine")?,
        scheduled: row.bool("scheduled")?,
        created_at: row.micros("created_at")?,
        created_by: row.text("created_by")?,
    })
}

/// The places of a scope.
pub async fn list(store: &Store, scope: TenantScope) -> Result<Vec<Place>> {
    let rows = store
        .fetch_all(
            sql("SELECT * FROM dlp_place WHERE ($1 = '*' OR tenant_id = $1)
                 ORDER BY bucket, prefix")
            .bind(scope),
        )
        .await?;
    rows.iter().map(read).collect()
}

/// One place of a scope.
pub async fn find(store: &Store, scope: TenantScope, id: PlaceId) -> Result<Option<Place>> {
    let row = store
        .fetch_optional(
            sql("SELECT * FROM dlp_place WHERE id = $2 AND ($1 = '*' OR tenant_id = $1)")
                .bind(scope)
                .bind(id),
        )
        .await?;
    row.as_ref().map(read).transpose()
}

/// Every place of a bucket, of whomever, inside of a change: places must not lie inside each other.
pub async fn in_bucket(tx: &mut Tx, bucket: &str) -> Result<Vec<Place>> {
    let rows = tx
        .fetch_all(sql("SELECT * FROM dlp_place WHERE bucket = $1").bind(bucket))
        .await?;
    rows.iter().map(read).collect()
}

/// Adds a place.
pub async fn insert(tx: &mut Tx, place: &Place) -> Result<()> {
    tx.execute(
        sql(
            "INSERT INTO dlp_place (id, tenant_id, bucket, prefix, quarantine, scheduled, created_at,
                created_by) VALUES ($1, $2, $3, $4, $5, $6, $7, $8)",
        )
        .bind(place.id)
        .bind(place.tenant)
        .bind(&place.bucket)
        .bind(&place.prefix)
        .bind(&place.quarantine)
        .bind(place.scheduled)
        .bind(place.created_at)
        .bind(&place.created_by),
    )
    .await?;
    Ok(())
}

/// Which of a tenant's keys.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Key {
    /// Of the fingerprints of its findings.
    Fingerprint,
    /// That brings values back into what was redacted reversibly.
    Restore,
}

impl Key {
    /// The table that keeps it, sealed.
    #[must_use]
    pub const fn table(self) -> &'static str {
        match self {
            Self::Fingerprint => "dlp_key",
            Self::Restore => "dlp_restore_key",
        }
    }
}

/// A tenant's sealed key.
pub async fn key(store: &Store, key: Key, tenant: TenantId) -> Result<Option<String>> {
    let text = format!("SELECT sealed FROM {} WHERE tenant_id = $1", key.table());
    let row = store.fetch_optional(sql(text).bind(tenant)).await?;
    row.as_ref().map(|row| row.text("sealed")).transpose()
}

/// Keeps a tenant's key unless it has one.
pub async fn keep_key(
    store: &Store,
    key: Key,
    tenant: TenantId,
    sealed: &str,
    now: UnixMicros,
) -> Result<()> {
    let text = format!(
        "INSERT INTO {} (tenant_id, sealed, created_at) VALUES ($1, $2, $3)
         ON CONFLICT (tenant_id) DO NOTHING",
        key.table()
    );
    store
        .execute(sql(text).bind(tenant).bind(sealed).bind(now))
        .await?;
    Ok(())
}
