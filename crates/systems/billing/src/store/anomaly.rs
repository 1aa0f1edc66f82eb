//! Rows of `billing_anomaly` and `billing_anomaly_setting`.

use sealwright_core::{TenantId, TenantScope, UnixMicros};
use sealwright_store::{Result, Row, Store, StoreError, Tx, sql};

use crate::model::Grain;
use crate::model::anomaly::{Anomaly, AnomalyId, AnomalySettings, AnomalyState, DetectorName};

fn json<T: serde::de::DeserializeOwned>(row: &Row, expected: &'static str) -> Result<T> {
    serde_json::from_str(&row.text("body")?).map_err(|_| StoreError::Column {
        column: "body".to_owned(),
        found: "text of another form",
        expected,
    })
}

fn text<T: serde::Serialize>(value: &T) -> Result<String> {
    serde_json::to_string(value).map_err(|_| StoreError::Column {
        column: "body".to_owned(),
        found: "a value that is no JSON",
        expected: "JSON",
    })
}

const fn grain_name(grain: Grain) -> &'static str {
    match grain {
        Grain::Hour => "hour",
        Grain::Day => "day",
        Grain::Month => "month",
    }
}

fn read(row: &Row) -> Result<Anomaly> {
    Ok(Anomaly {
        id: row.parse("id")?,
        tenant: row.parse("tenant_id")?,
        meter: row.text("meter")?,
        grain: row.parse("grain")?,
        at: row.micros("at")?,
        detector: row.parse("detector")?,
        severity: row.parse("severity")?,
        state: row.parse("state")?,
        revision: row.int("revision")?,
        body: json(row, "an anomaly as JSON")?,
        found_at: row.micros("found_at")?,
        updated_at: row.micros("updated_at")?,
        updated_by: row.text("updated_by")?,
        ledger_entry: row.opt_text("ledger_entry")?,
    })
}

/// Which anomalies are listed.
#[derive(Debug, Clone, Default)]
pub struct AnomalyFilter {
    /// Only this state.
    pub state: Option<AnomalyState>,
    /// Only this meter.
    pub meter: Option<String>,
    /// Only those before this one in the order of the list.
    pub after: Option<AnomalyId>,
    /// At most so many.
    pub limit: u32,
}

/// Anomalies, the last found first.
pub async fn list(
    store: &Store,
    scope: TenantScope,
    filter: &AnomalyFilter,
) -> Result<Vec<Anomaly>> {
    let after = filter.after.map_or("~".to_owned(), |id| id.to_string());
    let rows = store
        .fetch_all(
            sql(
                "SELECT * FROM billing_anomaly WHERE ($1 = '*' OR tenant_id = $1)
                   AND ($2 = '*' OR state = $2) AND ($3 = '*' OR meter = $3) AND id < $4
                 ORDER BY id DESC LIMIT $5",
            )
            .bind(scope)
            .bind(filter.state.map_or("*", AnomalyState::name))
            .bind(filter.meter.as_deref().unwrap_or("*"))
            .bind(after)
            .bind(filter.limit),
        )
        .await?;
    rows.iter().map(read).collect()
}

/// How many anomalies are open.
pub async fn count_open(store: &Store, scope: TenantScope) -> Result<u64> {
    let row = store
        .fetch_one(
            sql("SELECT COUNT(*) AS n FROM billing_anomaly
                 WHERE ($1 = '*' OR tenant_id = $1) AND state = 'open'")
            .bind(scope),
        )
        .await?;
    Ok(u64::try_from(row.int("n")?).unwrap_or(0))
}

/// One anomaly.
pub async fn find(store: &Store, scope: TenantScope, id: AnomalyId) -> Result<Option<Anomaly>> {
    let row = store
        .fetch_optional(
            sql("SELECT * FROM billing_anomaly WHERE ($1 = '*' OR tenant_id = $1) AND id = $2")
                .bind(scope)
                .bind(id),
        )
        .await?;
    row.as_ref().map(read).transpose()
}

/// The anomalies of a tenant that lie in `[from, to)`.
pub async fn between(
    tx: &mut Tx,
    tenant: TenantId,
    (from, to): (UnixMicros, UnixMicros),
) -> Result<Vec<Anomaly>> {
    let rows = tx
        .fetch_all(
            sql("SELECT * FROM billing_anomaly WHERE tenant_id = $1 AND at >= $2 AND at < $3")
                .bind(tenant)
                .bind(from)
                .bind(to),
        )
        .await?;
    rows.iter().map(read).collect()
}

/// Adds an anomaly; whether there was none yet for this value and detector.
pub async fn insert(tx: &mut Tx, anomaly: &Anomaly) -> Result<bool> {
    let added = tx
        .execute(
            sql(
                "INSERT INTO billing_anomaly (id, tenant_id, meter, grain, at, detector, severity,
                    state, revision, body, found_at, updated_at, updated_by, ledger_entry)
                 VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10, $11, $12, $13, $14)
                 ON CONFLICT (tenant_id, meter, grain, at, detector) DO NOTHING",
            )
            .bind(anomaly.id)
            .bind(anomaly.tenant)
            .bind(&anomaly.meter)
            .bind(grain_name(anomaly.grain))
            .bind(anomaly.at)
            .bind(DetectorName::name(anomaly.detector))
            .bind(anomaly.severity.name())
            .bind(anomaly.state.name())
            .bind(anomaly.revision)
            .bind(text(&anomaly.body)?)
            .bind(anomaly.found_at)
            .bind(anomaly.updated_at)
            .bind(&anomaly.updated_by)
            .bind(anomaly.ledger_entry.clone()),
        )
        .await?;
    Ok(added == 1)
}

/// Changes an anomaly that still is at revision `seen`; whether it was.
pub async fn update(tx: &mut Tx, anomaly: &Anomaly, seen: i64) -> Result<bool> {
    let changed = tx
        .execute(
            sql(
                "UPDATE billing_anomaly SET severity = $3, state = $4, revision = $5, body = $6,
                    updated_at = $7, updated_by = $8, ledger_entry = $9
                 WHERE id = $1 AND revision = $2",
            )
            .bind(anomaly.id)
            .bind(seen)
            .bind(anomaly.severity.name())
            .bind(anomaly.state.name())
            .bind(anomaly.revision)
            .bind(text(&anomaly.body)?)
            .bind(anomaly.updated_at)
            .bind(&anomaly.updated_by)
            .bind(anomaly.ledger_entry.clone()),
        )
        .await?;
    Ok(changed == 1)
}

/// A tenant's settings, if it has its own.
pub async fn settings(store: &Store, tenant: TenantId) -> Result<Option<AnomalySettings>> {
    let row = store
        .fetch_optional(
            sql("SELECT body FROM billing_anomaly_setting WHERE tenant_id = $1").bind(tenant),
        )
        .await?;
    row.as_ref()
        .map(|row| json(row, "settings as JSON"))
        .transpose()
}

/// Keeps a tenant's settings.
pub async fn put_settings(
    tx: &mut Tx,
    tenant: TenantId,
    settings: &AnomalySettings,
    now: UnixMicros,
    by: &str,
) -> Result<()> {
    tx.execute(
        sql(
            "INSERT INTO billing_anomaly_setting (tenant_id, body, updated_at, updated_by)
             VALUES ($1, $2, $3, $4) ON CONFLICT (tenant_id) DO UPDATE SET
                body = excluded.body, updated_at = excluded.updated_at,
                updated_by = excluded.updated_by",
        )
        .bind(tenant)
        .bind(text(settings)?)
        .bind(now)
        .bind(by),
    )
    .await?;
    Ok(())
}
