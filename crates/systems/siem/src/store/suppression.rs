//! Rows of `siem_suppression`.

use sealwright_core::{TenantId, TenantScope, UnixMicros};
use sealwright_store::{Result, Row, Store, StoreError, Tx, sql};

use crate::model::{Entity, Severity, Suppression, SuppressionId};

fn read(row: &Row) -> Result<Suppression> {
    let entity = match (row.opt_text("entity_kind")?, row.opt_text("entity_value")?) {
        (Some(kind), Some(value)) => Some(Entity { kind, value }),
        _ => None,
    };
    Ok(Suppression {
        id: row.parse("id")?,
        tenant: row.parse("tenant_id")?,
        rule_id: row.text("rule_id")?,
        entity,
        severity: Severity::of_number(row.int("severity")?),
        known: serde_json::from_str(&row.text("known")?).map_err(|_| StoreError::Column {
            column: "known".to_owned(),
            found: "text of another form",
            expected: "entities",
        })?,
        reason: row.text("reason")?,
        owner: row.text("owner")?,
        created_at: row.micros("created_at")?,
        ends_at: row.micros("ends_at")?,
        ended_at: row.opt_micros("ended_at")?,
        hits: u64::try_from(row.int("hits")?).unwrap_or(0),
        last_hit: row.opt_micros("last_hit")?,
        revision: row.int("revision")?,
    })
}

/// Adds a suppression.
pub async fn insert(tx: &mut Tx, s: &Suppression) -> Result<()> {
    let known = serde_json::to_string(&s.known).unwrap_or_else(|_| "[]".to_owned());
    tx.execute(
        sql(
            "INSERT INTO siem_suppression (id, tenant_id, rule_id, entity_kind, entity_value,
                severity, known, reason, owner, created_at, ends_at, hits, revision)
             VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10, $11, 0, 1)",
        )
        .bind(s.id)
        .bind(s.tenant)
        .bind(&s.rule_id)
        .bind(s.entity.as_ref().map(|e| e.kind.clone()))
        .bind(s.entity.as_ref().map(|e| e.value.clone()))
        .bind(s.severity.number())
        .bind(known)
        .bind(&s.reason)
        .bind(&s.owner)
        .bind(s.created_at)
        .bind(s.ends_at),
    )
    .await?;
    Ok(())
}

/// Suppressions of a tenant that hold at a moment.
pub async fn holding(tx: &mut Tx, tenant: TenantId, now: UnixMicros) -> Result<Vec<Suppression>> {
    let rows = tx
        .fetch_all(
            sql(
                "SELECT * FROM siem_suppression WHERE tenant_id = $1 AND ends_at > $2
                 AND ended_at IS NULL ORDER BY id",
            )
            .bind(tenant)
            .bind(now),
        )
        .await?;
    rows.iter().map(read).collect()
}

/// Counts matches that became no alerts.
pub async fn hit(tx: &mut Tx, id: SuppressionId, matches: u64, last: UnixMicros) -> Result<()> {
    tx.execute(
        sql("UPDATE siem_suppression SET hits = hits + $2,
                last_hit = CASE WHEN last_hit > $3 THEN last_hit ELSE $3 END WHERE id = $1")
        .bind(id)
        .bind(i64::try_from(matches).unwrap_or(i64::MAX))
        .bind(last),
    )
    .await?;
    Ok(())
}

/// Ends a suppression before its time, if its revision is still `seen`.
///
/// # Errors
/// [`StoreError::Contended`] when somebody else changed it first.
pub async fn end(tx: &mut Tx, id: SuppressionId, seen: i64, now: UnixMicros) -> Result<()> {
    let changed = tx
        .execute(
            sql(
                "UPDATE siem_suppression SET ended_at = $3, revision = revision + 1
                 WHERE id = $1 AND revision = $2 AND ended_at IS NULL",
            )
            .bind(id)
            .bind(seen)
            .bind(now),
        )
        .await?;
    if changed == 1 {
        Ok(())
    } else {
        Err(StoreError::Contended)
    }
}

/// One suppression, if it is in the scope.
pub async fn find(
    store: &Store,
    scope: TenantScope,
    id: SuppressionId,
) -> Result<Option<Suppression>> {
    let row = store
        .fetch_optional(
            sql("SELECT * FROM siem_suppression WHERE id = $1 AND ($2 = '*' OR tenant_id = $2)")
                .bind(id)
                .bind(scope),
        )
        .await?;
    row.as_ref().map(read).transpose()
}

/// Suppressions, newest first.
pub async fn list(store: &Store, scope: TenantScope) -> Result<Vec<Suppression>> {
    let rows = store
        .fetch_all(
            sql(
                "SELECT * FROM siem_suppression WHERE ($1 = '*' OR tenant_id = $1)
                 ORDER BY id DESC LIMIT 500",
            )
            .bind(scope),
        )
        .await?;
    rows.iter().map(read).collect()
}
