//! Rows of `billing_budget` and `billing_budget_crossing`.

use sealwright_core::{TenantId, TenantScope, UnixMicros};
use sealwright_store::{Result, Row, Store, StoreError, Tx, sql};

use crate::model::budget::{Budget, BudgetId, Crossing, Measure};

fn read(row: &Row) -> Result<Budget> {
    let terms = row.text("terms")?;
    Ok(Budget {
        id: row.parse("id")?,
        tenant: row.parse("tenant_id")?,
        terms: serde_json::from_str(&terms).map_err(|_| StoreError::Column {
            column: "terms".to_owned(),
            found: "text of another form",
            expected: "the terms of a budget as JSON",
        })?,
        revision: row.int("revision")?,
        created_at: row.micros("created_at")?,
        updated_at: row.micros("updated_at")?,
        updated_by: row.text("updated_by")?,
    })
}

/// All budgets of a scope, by tenant and measure.
pub async fn list(store: &Store, scope: TenantScope) -> Result<Vec<Budget>> {
    let rows = store
        .fetch_all(
            sql(
                "SELECT * FROM billing_budget WHERE ($1 = '*' OR tenant_id = $1)
                 ORDER BY tenant_id, measure",
            )
            .bind(scope),
        )
        .await?;
    rows.iter().map(read).collect()
}

/// A tenant's budget for a measure.
pub async fn find(tx: &mut Tx, tenant: TenantId, measure: &Measure) -> Result<Option<Budget>> {
    let row = tx
        .fetch_optional(
            sql("SELECT * FROM billing_budget WHERE tenant_id = $1 AND measure = $2")
                .bind(tenant)
                .bind(measure.to_string()),
        )
        .await?;
    row.as_ref().map(read).transpose()
}

fn terms(budget: &Budget) -> Result<String> {
    serde_json::to_string(&budget.terms).map_err(|_| StoreError::Column {
        column: "terms".to_owned(),
        found: "terms that are no JSON",
        expected: "the terms of a budget",
    })
}

/// Adds a budget.
pub async fn insert(tx: &mut Tx, budget: &Budget) -> Result<()> {
    tx.execute(
        sql(
            "INSERT INTO billing_budget (id, tenant_id, measure, terms, revision, created_at,
                updated_at, updated_by) VALUES ($1, $2, $3, $4, $5, $6, $7, $8)",
        )
        .bind(budget.id)
        .bind(budget.tenant)
        .bind(budget.terms.measure.to_string())
        .bind(terms(budget)?)
        .bind(budget.revision)
        .bind(budget.created_at)
        .bind(budget.updated_at)
        .bind(&budget.updated_by),
    )
    .await?;
    Ok(())
}

/// Changes a budget that still is at revision `seen`; whether it was.
pub async fn update(tx: &mut Tx, budget: &Budget, seen: i64) -> Result<bool> {
    let changed = tx
        .execute(
            sql(
                "UPDATE billing_budget SET terms = $3, revision = $4, updated_at = $5,
                    updated_by = $6 WHERE id = $1 AND revision = $2",
            )
            .bind(budget.id)
            .bind(seen)
            .bind(terms(budget)?)
            .bind(budget.revision)
            .bind(budget.updated_at)
            .bind(&budget.updated_by),
        )
        .await?;
    Ok(changed == 1)
}

/// Removes a budget. Its crossings stay: they happened.
pub async fn delete(tx: &mut Tx, id: BudgetId, seen: i64) -> Result<bool> {
    let changed = tx
        .execute(
            sql("DELETE FROM billing_budget WHERE id = $1 AND revision = $2")
                .bind(id)
                .bind(seen),
        )
        .await?;
    Ok(changed == 1)
}

/// Keeps a crossing; whether it is the first of its budget, month, kind and percentage.
pub async fn cross(tx: &mut Tx, crossing: &Crossing) -> Result<bool> {
    let added = tx
        .execute(
            sql(
                "INSERT INTO billing_budget_crossing (budget_id, month, kind, percent, tenant_id,
                    measure, used, limit_value, unit, crossed_at, metered_through)
                 VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10, $11)
                 ON CONFLICT (budget_id, month, kind, percent) DO NOTHING",
            )
            .bind(crossing.budget)
            .bind(crossing.month)
            .bind(crossing.kind.name())
            .bind(crossing.percent)
            .bind(crossing.tenant)
            .bind(crossing.measure.to_string())
            .bind(&crossing.used)
            .bind(&crossing.limit)
            .bind(&crossing.unit)
            .bind(crossing.crossed_at)
            .bind(i64::try_from(crossing.metered_through).unwrap_or(i64::MAX)),
        )
        .await?;
    Ok(added == 1)
}

/// Names the ledger entry of a crossing, in the transaction that added it.
pub async fn seal(tx: &mut Tx, crossing: &Crossing, entry: &str) -> Result<()> {
    tx.execute(
        sql("UPDATE billing_budget_crossing SET ledger_entry = $5
             WHERE budget_id = $1 AND month = $2 AND kind = $3 AND percent = $4")
        .bind(crossing.budget)
        .bind(crossing.month)
        .bind(crossing.kind.name())
        .bind(crossing.percent)
        .bind(entry),
    )
    .await?;
    Ok(())
}

fn read_crossing(row: &Row) -> Result<Crossing> {
    Ok(Crossing {
        budget: row.parse("budget_id")?,
        tenant: row.parse("tenant_id")?,
        measure: row.parse("measure")?,
        month: row.micros("month")?,
        kind: row.parse("kind")?,
        percent: u32::try_from(row.int("percent")?).unwrap_or(0),
        used: row.text("used")?,
        limit: row.text("limit_value")?,
        unit: row.text("unit")?,
        crossed_at: row.micros("crossed_at")?,
        metered_through: u64::try_from(row.int("metered_through")?).unwrap_or(0),
        ledger_entry: row.opt_text("ledger_entry")?,
    })
}

/// The crossings of a scope in the months that start in `[from, to)`, newest first, at most `limit`.
pub async fn crossings(
    store: &Store,
    scope: TenantScope,
    (from, to): (UnixMicros, UnixMicros),
    limit: u32,
) -> Result<Vec<Crossing>> {
    let rows = store
        .fetch_all(
            sql(
                "SELECT * FROM billing_budget_crossing WHERE ($1 = '*' OR tenant_id = $1)
                   AND month >= $2 AND month < $3
                 ORDER BY crossed_at DESC, percent DESC, kind DESC LIMIT $4",
            )
            .bind(scope)
            .bind(from)
            .bind(to)
            .bind(limit),
        )
        .await?;
    rows.iter().map(read_crossing).collect()
}
