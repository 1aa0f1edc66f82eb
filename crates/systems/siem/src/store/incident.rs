//! Rows of `siem_incident`.

use sealwright_core::{TenantId, TenantScope};
use sealwright_store::{Result, Row, Store, StoreError, Tx, sql};

use crate::model::{Incident, IncidentId, IncidentState, Severity};

fn read(row: &Row) -> Result<Incident> {
    Ok(Incident {
        id: row.parse("id")?,
        tenant: row.parse("tenant_id")?,
        title: row.text("title")?,
        state: row.parse("state")?,
        severity: Severity::of_number(row.int("severity")?),
        owner: row.opt_text("owner")?,
        created_at: row.micros("created_at")?,
        updated_at: row.micros("updated_at")?,
        closed_at: row.opt_micros("closed_at")?,
        revision: row.int("revision")?,
    })
}

/// Adds an incident.
pub async fn insert(tx: &mut Tx, incident: &Incident) -> Result<()> {
    tx.execute(
        sql(
            "INSERT INTO siem_incident (id, tenant_id, title, state, severity, owner, created_at,
                updated_at, closed_at, revision) VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10)",
        )
        .bind(incident.id)
        .bind(incident.tenant)
        .bind(&incident.title)
        .bind(incident.state.name())
        .bind(incident.severity.number())
        .bind(incident.owner.clone())
        .bind(incident.created_at)
        .bind(incident.updated_at)
        .bind(incident.closed_at)
        .bind(incident.revision),
    )
    .await?;
    Ok(())
}

/// Writes an incident, if its revision is still `seen`.
///
/// # Errors
/// [`StoreError::Contended`] when somebody else changed it first.
pub async fn update(tx: &mut Tx, incident: &Incident, seen: i64) -> Result<()> {
    let changed = tx
        .execute(
            sql(
                "UPDATE siem_incident SET title = $3, state = $4, severity = $5, owner = $6,
                    updated_at = $7, closed_at = $8, revision = $9 WHERE id = $1 AND revision = $2",
            )
            .bind(incident.id)
            .bind(seen)
            .bind(&incident.title)
            .bind(incident.state.name())
            .bind(incident.severity.number())
            .bind(incident.owner.clone())
            .bind(incident.updated_at)
            .bind(incident.closed_at)
            .bind(incident.revision),
        )
        .await?;
    if changed == 1 {
        Ok(())
    } else {
        Err(StoreError::Contended)
    }
}

/// One incident as this transaction sees it.
pub async fn find_in(tx: &mut Tx, tenant: TenantId, id: IncidentId) -> Result<Option<Incident>> {
    let row = tx
        .fetch_optional(
            sql("SELECT * FROM siem_incident WHERE id = $1 AND tenant_id = $2")
                .bind(id)
                .bind(tenant),
        )
        .await?;
    row.as_ref().map(read).transpose()
}

/// One incident, if it is in the scope.
pub async fn find(store: &Store, scope: TenantScope, id: IncidentId) -> Result<Option<Incident>> {
    let row = store
        .fetch_optional(
            sql("SELECT * FROM siem_incident WHERE id = $1 AND ($2 = '*' OR tenant_id = $2)")
                .bind(id)
                .bind(scope),
        )
        .await?;
    row.as_ref().map(read).transpose()
}

/// Incidents, newest first.
pub async fn list(
    store: &Store,
    scope: TenantScope,
    state: Option<IncidentState>,
    after: Option<IncidentId>,
    limit: u32,
) -> Result<Vec<Incident>> {
    let rows = store
        .fetch_all(
            sql(
                "SELECT * FROM siem_incident WHERE ($1 = '*' OR tenant_id = $1)
                 AND ($2 = '*' OR state = $2) AND ($3 = '' OR id < $3) ORDER BY id DESC LIMIT $4",
            )
            .bind(scope)
            .bind(state.map_or("*", IncidentState::name))
            .bind(after.map(|id| id.to_string()).unwrap_or_default())
            .bind(limit),
        )
        .await?;
    rows.iter().map(read).collect()
}

/// How many incidents are open.
pub async fn open(store: &Store, scope: TenantScope) -> Result<u64> {
    let row = store
        .fetch_one(
            sql(
                "SELECT COUNT(*) AS n FROM siem_incident WHERE ($1 = '*' OR tenant_id = $1)
                 AND state = 'open'",
            )
            .bind(scope),
        )
        .await?;
    Ok(u64::try_from(row.int("n")?).unwrap_or(0))
}
