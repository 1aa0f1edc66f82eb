//! Rows of `siem_state` and `siem_journal`.

use sealwright_core::TenantId;
use sealwright_store::{Result, Store, Tx, sql};

/// The state of a tenant's correlations.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct State {
    /// Grows with each change.
    pub seq: i64,
    /// The detector's clock.
    pub clock: i64,
    /// The last snapshot.
    pub snapshot: Vec<u8>,
    /// The steps since, oldest first.
    pub journal: Vec<Vec<u8>>,
}

/// Reads the state of a tenant.
pub async fn load(tx: &mut Tx, tenant: TenantId) -> Result<Option<State>> {
    let row = tx
        .fetch_optional(sql("SELECT * FROM siem_state WHERE tenant_id = $1").bind(tenant))
        .await?;
    let Some(row) = row else { return Ok(None) };
    let journal = tx
        .fetch_all(
            sql("SELECT steps FROM siem_journal WHERE tenant_id = $1 ORDER BY seq").bind(tenant),
        )
        .await?;
    Ok(Some(State {
        seq: row.int("seq")?,
        clock: row.int("clock")?,
        snapshot: row.bytes("snapshot")?,
        journal: journal
            .iter()
            .map(|row| row.bytes("steps"))
            .collect::<Result<_>>()?,
    }))
}

/// Tenants that have a state.
pub async fn tenants(store: &Store) -> Result<Vec<TenantId>> {
    let rows = store
        .fetch_all(sql("SELECT tenant_id FROM siem_state ORDER BY tenant_id"))
        .await?;
    rows.iter().map(|row| row.parse("tenant_id")).collect()
}

/// Makes the row of a tenant that had none.
pub async fn create(tx: &mut Tx, tenant: TenantId) -> Result<()> {
    tx.execute(
        sql("INSERT INTO siem_state (tenant_id, seq, clock, snapshot) VALUES ($1, 0, $2, $3)")
            .bind(tenant)
            .bind(i64::MIN)
            .bind(Vec::<u8>::new()),
    )
    .await?;
    Ok(())
}

/// Moves the clock, if nobody else has since `seen`; says whether it did.
pub async fn advance(tx: &mut Tx, tenant: TenantId, seen: i64, clock: i64) -> Result<bool> {
    let changed = tx
        .execute(
            sql("UPDATE siem_state SET seq = $3, clock = $4 WHERE tenant_id = $1 AND seq = $2")
                .bind(tenant)
                .bind(seen)
                .bind(seen + 1)
                .bind(clock),
        )
        .await?;
    Ok(changed == 1)
}

/// Adds steps.
pub async fn append(tx: &mut Tx, tenant: TenantId, seq: i64, steps: Vec<u8>) -> Result<()> {
    tx.execute(
        sql("INSERT INTO siem_journal (tenant_id, seq, steps) VALUES ($1, $2, $3)")
            .bind(tenant)
            .bind(seq)
            .bind(steps),
    )
    .await?;
    Ok(())
}

/// Puts a snapshot in the place of all steps.
pub async fn replace(tx: &mut Tx, tenant: TenantId, snapshot: Vec<u8>) -> Result<()> {
    tx.execute(
        sql("UPDATE siem_state SET snapshot = $2 WHERE tenant_id = $1")
            .bind(tenant)
            .bind(snapshot),
    )
    .await?;
    tx.execute(sql("DELETE FROM siem_journal WHERE tenant_id = $1").bind(tenant))
        .await?;
    Ok(())
}
