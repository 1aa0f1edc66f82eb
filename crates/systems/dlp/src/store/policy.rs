//! Rows of `dlp_policy`.

use sealwright_core::TenantScope;
use sealwright_store::{Result, Row, Store, Tx, sql};

use super::finding::word;
use crate::model::policy::{self, Policy, PolicyId, PolicyScope};

/// What stands in the place of a tenant for the installation's own policies.
const EVERY: &str = "*";

fn read(row: &Row) -> Result<Policy> {
    let filled = |column| {
        row.text(column)
            .map(|text| Some(text).filter(|t| !t.is_empty()))
    };
    let tenant = match row.text("tenant_id")?.as_str() {
        EVERY => None,
        _ => Some(row.parse("tenant_id")?),
    };
    let class = match filled("class")? {
        None => None,
        Some(_) => Some(word(row, "class", policy::class)?),
    };
    Ok(Policy {
        id: row.parse("id")?,
        scope: PolicyScope {
            tenant,
            bucket: filled("bucket")?,
            class,
            severity: word(row, "severity", policy::severity)?,
        },
        action: row.parse("action")?,
        original: row.parse("original")?,
        alert: row.bool("alert")?,
        mode: row.parse("mode")?,
        revision: row.int("revision")?,
        changed_at: row.micros("changed_at")?,
        changed_by: row.text("changed_by")?,
    })
}

/// The policies that hold in a scope: its tenants' own and the installation's.
pub async fn list(store: &Store, scope: TenantScope) -> Result<Vec<Policy>> {
    let rows = store
        .fetch_all(
            sql(
                "SELECT * FROM dlp_policy WHERE ($1 = '*' OR tenant_id = $1 OR tenant_id = '*')
                 ORDER BY tenant_id, bucket, class, severity",
            )
            .bind(scope),
        )
        .await?;
    rows.iter().map(read).collect()
}

/// One policy of a scope, inside of a change.
pub async fn find(tx: &mut Tx, scope: TenantScope, id: PolicyId) -> Result<Option<Policy>> {
    let row = tx
        .fetch_optional(
            sql("SELECT * FROM dlp_policy WHERE id = $2 AND ($1 = '*' OR tenant_id = $1)")
                .bind(scope)
                .bind(id),
        )
        .await?;
    row.as_ref().map(read).transpose()
}

/// The policy for exactly this place, inside of a change.
pub async fn at(tx: &mut Tx, scope: &PolicyScope) -> Result<Option<Policy>> {
    let row = tx
        .fetch_optional(
            sql(
                "SELECT * FROM dlp_policy WHERE tenant_id = $1 AND bucket = $2 AND class = $3
                 AND severity = $4",
            )
            .bind(tenant(scope))
            .bind(scope.bucket.clone().unwrap_or_default())
            .bind(scope.class.map_or("", |class| class.as_str()))
            .bind(scope.severity.as_str()),
        )
        .await?;
    row.as_ref().map(read).transpose()
}

fn tenant(scope: &PolicyScope) -> String {
    scope
        .tenant
        .map_or_else(|| EVERY.to_owned(), |id| id.to_string())
}

/// Writes a policy, new or changed.
pub async fn put(tx: &mut Tx, policy: &Policy) -> Result<()> {
    tx.execute(
        sql(
            "INSERT INTO dlp_policy (id, tenant_id, bucket, class, severity, action, alert, mode,
                revision, changed_at, changed_by, original)
             VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10, $11, $12)
             ON CONFLICT (id) DO UPDATE SET action = excluded.action, alert = excluded.alert,
                mode = excluded.mode, revision = excluded.revision,
                changed_at = excluded.changed_at, changed_by = excluded.changed_by,
                original = excluded.original",
        )
        .bind(policy.id)
        .bind(tenant(&policy.scope))
        .bind(policy.scope.bucket.clone().unwrap_or_default())
        .bind(policy.scope.class.map_or("", |class| class.as_str()))
        .bind(policy.scope.severity.as_str())
        .bind(policy.action.as_str())
        .bind(policy.alert)
        .bind(policy.mode.as_str())
        .bind(policy.revision)
        .bind(policy.changed_at)
        .bind(&policy.changed_by)
        .bind(policy.original.as_str()),
    )
    .await?;
    Ok(())
}

/// Takes a policy away.
pub async fn delete(tx: &mut Tx, id: PolicyId) -> Result<()> {
    tx.execute(sql("DELETE FROM dlp_policy WHERE id = $1").bind(id))
        .await?;
    Ok(())
}
