//! Rows of `dlp_matter` and of the hold ledger, `dlp_hold`.

use sealwright_core::{TenantId, TenantScope, UnixMicros};
use sealwright_store::{Result, Row, Store, StoreError, Tx, sql};

use crate::model::hold::{Matter, MatterId, Protection};
use crate::model::object::ObjectId;

fn read(row: &Row) -> Result<Matter> {
    let scope = serde_json::from_str(&row.text("scope")?).map_err(|_| StoreError::Column {
        column: "scope".to_owned(),
        found: "text of another form",
        expected: "the scope of a matter",
    })?;
    Ok(Matter {
        id: row.parse("id")?,
        tenant: row.parse("tenant_id")?,
        name: row.text("name")?,
        reason: row.text("reason")?,
        owner: row.text("owner")?,
        custodian: row.text("custodian")?,
        scope,
        state: row.parse("state")?,
        opened_by: row.text("opened_by")?,
        opened_at: row.micros("opened_at")?,
        approved_by: row.opt_text("approved_by")?,
        release_asked_by: row.opt_text("release_asked_by")?,
        released_by: row.opt_text("released_by")?,
        released_at: row.opt_micros("released_at")?,
        revision: row.int("revision")?,
    })
}

/// The matters of a scope, newest first.
pub async fn list(store: &Store, scope: TenantScope) -> Result<Vec<Matter>> {
    let rows = store
        .fetch_all(
            sql("SELECT * FROM dlp_matter WHERE ($1 = '*' OR tenant_id = $1)
                 ORDER BY opened_at DESC, id DESC")
            .bind(scope),
        )
        .await?;
    rows.iter().map(read).collect()
}

/// One matter of a scope, inside of a change.
pub async fn find(tx: &mut Tx, scope: TenantScope, id: MatterId) -> Result<Option<Matter>> {
    let row = tx
        .fetch_optional(
            sql("SELECT * FROM dlp_matter WHERE id = $2 AND ($1 = '*' OR tenant_id = $1)")
                .bind(scope)
                .bind(id),
        )
        .await?;
    row.as_ref().map(read).transpose()
}

/// The matters of a tenant that hold, inside of a change that nobody can open a matter beside.
pub async fn holding(tx: &mut Tx, tenant: TenantId) -> Result<Vec<Matter>> {
    let rows = tx
        .fetch_all(
            sql(
                "SELECT * FROM dlp_matter WHERE tenant_id = $1 AND state <> 'released'
                 ORDER BY opened_at, id",
            )
            .bind(tenant),
        )
        .await?;
    rows.iter().map(read).collect()
}

/// Every matter of a scope that holds, inside of a change.
pub async fn all_holding(tx: &mut Tx, scope: TenantScope) -> Result<Vec<Matter>> {
    let rows = tx
        .fetch_all(
            sql("SELECT * FROM dlp_matter WHERE ($1 = '*' OR tenant_id = $1)
                 AND state <> 'released' ORDER BY id")
            .bind(scope),
        )
        .await?;
    rows.iter().map(read).collect()
}

/// Writes a matter, new or further.
pub async fn put(tx: &mut Tx, matter: &Matter) -> Result<()> {
    let scope = serde_json::to_string(&matter.scope)
        .map_err(|error| StoreError::Constraint(error.to_string()))?;
    tx.execute(
        sql(
            "INSERT INTO dlp_matter (id, tenant_id, name, reason, owner, custodian, scope, state,
                opened_by, opened_at, approved_by, release_asked_by, released_by, released_at,
                revision)
             VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10, $11, $12, $13, $14, $15)
             ON CONFLICT (id) DO UPDATE SET state = excluded.state,
                approved_by = excluded.approved_by, release_asked_by = excluded.release_asked_by,
                released_by = excluded.released_by, released_at = excluded.released_at,
                revision = excluded.revision",
        )
        .bind(matter.id)
        .bind(matter.tenant)
        .bind(&matter.name)
        .bind(&matter.reason)
        .bind(&matter.owner)
        .bind(&matter.custodian)
        .bind(scope)
        .bind(matter.state.as_str())
        .bind(&matter.opened_by)
        .bind(matter.opened_at)
        .bind(matter.approved_by.clone())
        .bind(matter.release_asked_by.clone())
        .bind(matter.released_by.clone())
        .bind(matter.released_at)
        .bind(matter.revision),
    )
    .await?;
    Ok(())
}

/// A line of the hold ledger.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct HoldRow {
    /// The matter.
    pub matter: MatterId,
    /// The version that it holds.
    pub object: ObjectId,
    /// Whose it is.
    pub tenant: TenantId,
    /// What protects it.
    pub protection: Protection,
    /// `wanted`, `held`, `failed`, `released`.
    pub state: String,
    /// What went wrong.
    pub problem: String,
    /// When the store was asked last.
    pub checked_at: UnixMicros,
}

fn read_hold(row: &Row) -> Result<HoldRow> {
    Ok(HoldRow {
        matter: row.parse("matter_id")?,
        object: ObjectId {
            bucket: row.text("bucket")?,
            key: row.text("object_key")?,
            version: row.text("version")?,
        },
        tenant: row.parse("tenant_id")?,
        protection: row.parse("protection")?,
        state: row.text("state")?,
        problem: row.text("problem")?,
        checked_at: row.micros("checked_at")?,
    })
}

/// The lines of a matter.
pub async fn of_matter(store: &Store, scope: TenantScope, id: MatterId) -> Result<Vec<HoldRow>> {
    let rows = store
        .fetch_all(
            sql(
                "SELECT * FROM dlp_hold WHERE matter_id = $2 AND ($1 = '*' OR tenant_id = $1)
                 ORDER BY bucket, object_key, version",
            )
            .bind(scope)
            .bind(id),
        )
        .await?;
    rows.iter().map(read_hold).collect()
}

/// The lines of a version that are not released, inside of a change.
pub async fn of_object(tx: &mut Tx, object: &ObjectId) -> Result<Vec<HoldRow>> {
    let rows = tx
        .fetch_all(
            sql(
                "SELECT * FROM dlp_hold WHERE bucket = $1 AND object_key = $2 AND version = $3
                 AND state <> 'released' ORDER BY matter_id",
            )
            .bind(&object.bucket)
            .bind(&object.key)
            .bind(&object.version),
        )
        .await?;
    rows.iter().map(read_hold).collect()
}

/// Lines of matters that are released, which still protect.
pub async fn left_over(store: &Store) -> Result<Vec<HoldRow>> {
    let rows = store
        .fetch_all(sql(
            "SELECT h.* FROM dlp_hold h JOIN dlp_matter m ON m.id = h.matter_id
             WHERE m.state = 'released' AND h.state <> 'released'
             ORDER BY h.bucket, h.object_key, h.version",
        ))
        .await?;
    rows.iter().map(read_hold).collect()
}

/// Writes a line.
pub async fn put_hold(tx: &mut Tx, row: &HoldRow) -> Result<()> {
    tx.execute(
        sql(
            "INSERT INTO dlp_hold (matter_id, bucket, object_key, version, tenant_id, protection,
                state, problem, checked_at) VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9)
             ON CONFLICT (matter_id, bucket, object_key, version) DO UPDATE SET
                protection = excluded.protection, state = excluded.state,
                problem = excluded.problem, checked_at = excluded.checked_at",
        )
        .bind(row.matter)
        .bind(&row.object.bucket)
        .bind(&row.object.key)
        .bind(&row.object.version)
        .bind(row.tenant)
        .bind(row.protection.as_str())
        .bind(&row.state)
        .bind(&row.problem)
        .bind(row.checked_at),
    )
    .await?;
    Ok(())
}

/// How many versions each matter of a scope holds, by state.
pub async fn counts(store: &Store, scope: TenantScope) -> Result<Vec<(String, String, i64)>> {
    let rows = store
        .fetch_all(
            sql("SELECT matter_id, state, COUNT(*) AS n FROM dlp_hold
                 WHERE ($1 = '*' OR tenant_id = $1) GROUP BY matter_id, state")
            .bind(scope),
        )
        .await?;
    rows.iter()
        .map(|row| Ok((row.text("matter_id")?, row.text("state")?, row.int("n")?)))
        .collect()
}
