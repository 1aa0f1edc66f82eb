//! Rows of `siem_source_field` and `siem_field_alarm`.

use std::collections::BTreeMap;

use sealwright_core::{TenantId, TenantScope, UnixMicros};
use sealwright_store::{Result, Row, Store, Tx, sql};
use serde::{Deserialize, Serialize};

/// How often a field was seen, and when last.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Seen {
    /// Events that had it.
    #[serde(rename = "n")]
    pub events: u64,
    /// When the last of them was received, in microseconds.
    pub at: i64,
    /// Which event of the source that was, counted from 1.
    pub nth: u64,
}

/// What is known of the fields of a source.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Fields {
    /// Whose.
    pub tenant: TenantId,
    /// The source.
    pub source: String,
    /// Events that were looked at.
    pub events: u64,
    /// When the last of them was received.
    pub last_received: UnixMicros,
    /// By name.
    pub fields: BTreeMap<String, Seen>,
}

fn read(row: &Row) -> Result<Fields> {
    Ok(Fields {
        tenant: row.parse("tenant_id")?,
        source: row.text("source")?,
        events: u64::try_from(row.int("events")?).unwrap_or(0),
        last_received: row.micros("last_received")?,
        // What an older program wrote in another form is counted anew.
        fields: serde_json::from_str(&row.text("fields")?).unwrap_or_default(),
    })
}

/// Adds what a batch brought of a source: counts and places are those of the batch alone.
pub async fn add(tx: &mut Tx, new: &Fields) -> Result<()> {
    let there = tx
        .fetch_optional(
            sql("SELECT * FROM siem_source_field WHERE tenant_id = $1 AND source = $2")
                .bind(new.tenant)
                .bind(&new.source),
        )
        .await?;
    let mut all = match &there {
        Some(row) => read(row)?,
        None => Fields {
            events: 0,
            fields: BTreeMap::new(),
            ..new.clone()
        },
    };
    for (name, seen) in &new.fields {
        let old = all.fields.entry(name.clone()).or_default();
        *old = Seen {
            events: old.events + seen.events,
            at: old.at.max(seen.at),
            nth: all.events + seen.nth,
        };
    }
    all.events += new.events;
    all.last_received = all.last_received.max(new.last_received);
    let fields = serde_json::to_string(&all.fields).unwrap_or_default();
    tx.execute(
        sql(
            "INSERT INTO siem_source_field (tenant_id, source, events, last_received, fields)
             VALUES ($1, $2, $3, $4, $5)
             ON CONFLICT (tenant_id, source) DO UPDATE SET events = excluded.events,
                last_received = excluded.last_received, fields = excluded.fields",
        )
        .bind(all.tenant)
        .bind(&all.source)
        .bind(i64::try_from(all.events).unwrap_or(i64::MAX))
        .bind(all.last_received)
        .bind(fields),
    )
    .await?;
    Ok(())
}

/// What is known of the sources in a scope.
pub async fn list(store: &Store, scope: TenantScope) -> Result<Vec<Fields>> {
    let rows = store
        .fetch_all(
            sql(
                "SELECT * FROM siem_source_field WHERE ($1 = '*' OR tenant_id = $1)
                 ORDER BY tenant_id, source LIMIT 20000",
            )
            .bind(scope),
        )
        .await?;
    rows.iter().map(read).collect()
}

/// Notes that there is an alarm about a field; says whether there was none since it was seen last.
pub async fn alarmed(
    tx: &mut Tx,
    tenant: TenantId,
    source: &str,
    field: &str,
    last_seen: UnixMicros,
    now: UnixMicros,
) -> Result<bool> {
    let changed = tx
        .execute(
            sql(
                "INSERT INTO siem_field_alarm (tenant_id, source, field, last_seen, alarmed_at)
                 VALUES ($1, $2, $3, $4, $5)
                 ON CONFLICT (tenant_id, source, field) DO UPDATE SET
                    last_seen = excluded.last_seen, alarmed_at = excluded.alarmed_at
                 WHERE siem_field_alarm.last_seen <> excluded.last_seen",
            )
            .bind(tenant)
            .bind(source)
            .bind(field)
            .bind(last_seen)
            .bind(now),
        )
        .await?;
    Ok(changed == 1)
}
