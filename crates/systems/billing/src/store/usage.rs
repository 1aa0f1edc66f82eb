//! Rows of `billing_usage`, `billing_unmetered` and `billing_late`.

use std::collections::HashMap;

use sealwright_core::{TenantId, TenantScope, UnixMicros};
use sealwright_store::{Param, Result, Row, Sql, Store, Tx, sql};

use crate::model::{Span, UsageKey};

/// A usage row with its aggregates still as text.
#[derive(Debug, Clone)]
pub struct UsageRow {
    /// Which row.
    pub key: UsageKey,
    /// How many events it aggregates.
    pub events: u64,
    /// A JSON object from the hour (0 to 23) to its aggregate.
    pub hours: String,
}

/// Rows that are written together; below SQLite's and PostgreSQL's limit of parameters.
const CHUNK: usize = 500;

fn read(row: &Row) -> Result<UsageRow> {
    Ok(UsageRow {
        key: UsageKey {
            tenant: row.parse("tenant_id")?,
            meter: row.text("meter")?,
            day: row.micros("day")?,
            dimensions: row.text("dimensions")?,
        },
        events: u64::try_from(row.int("events")?).unwrap_or(0),
        hours: row.text("hours")?,
    })
}

fn bind_all(text: String, params: Vec<Param>) -> Sql {
    params.into_iter().fold(sql(text), Sql::bind)
}

/// `($1, $2), ($3, $4)` for `rows` rows of `width` parameters, from parameter `first` on.
fn tuples(rows: usize, width: usize, first: usize) -> String {
    let row = |r: usize| {
        let places: Vec<String> = (0..width)
            .map(|c| format!("${}", first + r * width + c))
            .collect();
        format!("({})", places.join(", "))
    };
    (0..rows).map(row).collect::<Vec<_>>().join(", ")
}

/// The rows that are there, of those that are asked for.
pub async fn find(tx: &mut Tx, keys: &[UsageKey]) -> Result<HashMap<UsageKey, UsageRow>> {
    let mut found = HashMap::with_capacity(keys.len());
    for chunk in keys.chunks(CHUNK) {
        let text = format!(
            "SELECT tenant_id, meter, day, dimensions, events, hours FROM billing_usage
             WHERE (tenant_id, meter, day, dimensions) IN (VALUES {})",
            tuples(chunk.len(), 4, 1)
        );
        let params = chunk
            .iter()
            .flat_map(|key| {
                [
                    key.tenant.into(),
                    Param::from(&key.meter),
                    key.day.into(),
                    Param::from(&key.dimensions),
                ]
            })
            .collect();
        for row in tx.fetch_all(bind_all(text, params)).await? {
            let row = read(&row)?;
            found.insert(row.key.clone(), row);
        }
    }
    Ok(found)
}

/// Writes rows as they shall be from now on.
pub async fn put(tx: &mut Tx, rows: &[UsageRow]) -> Result<()> {
    for chunk in rows.chunks(CHUNK) {
        let text = format!(
            "INSERT INTO billing_usage (tenant_id, meter, day, dimensions, events, hours)
             VALUES {} ON CONFLICT (tenant_id, meter, day, dimensions)
             DO UPDATE SET events = excluded.events, hours = excluded.hours",
            tuples(chunk.len(), 6, 1)
        );
        let params = chunk
            .iter()
            .flat_map(|row| {
                [
                    row.key.tenant.into(),
                    Param::from(&row.key.meter),
                    row.key.day.into(),
                    Param::from(&row.key.dimensions),
                    Param::Int(i64::try_from(row.events).ok()),
                    Param::from(&row.hours),
                ]
            })
            .collect();
        tx.execute(bind_all(text, params)).await?;
    }
    Ok(())
}

/// All rows of the days of `span` (whole UTC days), by tenant, meter, dimensions and day.
pub async fn between(
    store: &Store,
    scope: TenantScope,
    meter: Option<&str>,
    span: Span,
) -> Result<Vec<UsageRow>> {
    let rows = store
        .fetch_all(
            sql(
                "SELECT tenant_id, meter, day, dimensions, events, hours FROM billing_usage
                 WHERE ($1 = '*' OR tenant_id = $1) AND ($2 = '*' OR meter = $2)
                   AND day >= $3 AND day < $4
                 ORDER BY tenant_id, meter, dimensions, day",
            )
            .bind(scope)
            .bind(meter.unwrap_or("*"))
            .bind(span.from.floor_day())
            .bind(span.to),
        )
        .await?;
    rows.iter().map(read).collect()
}

/// The newest row of a series before `day`, for levels that last.
pub async fn newest_before(
    store: &Store,
    tenant: TenantId,
    meter: &str,
    day: UnixMicros,
) -> Result<Vec<UsageRow>> {
    let rows = store
        .fetch_all(
            sql(
                "SELECT u.tenant_id, u.meter, u.day, u.dimensions, u.events, u.hours
                 FROM billing_usage u
                 WHERE u.tenant_id = $1 AND u.meter = $2 AND u.day = (
                    SELECT MAX(v.day) FROM billing_usage v
                    WHERE v.tenant_id = $1 AND v.meter = $2 AND v.day < $3
                      AND v.dimensions = u.dimensions)",
            )
            .bind(tenant)
            .bind(meter)
            .bind(day),
        )
        .await?;
    rows.iter().map(read).collect()
}

/// An event from which a meter could not take a value.
#[derive(Debug, Clone)]
pub struct Unmetered {
    /// Its place in the log.
    pub offset: u64,
    /// The meter.
    pub meter: String,
    /// Whose event.
    pub tenant: TenantId,
    /// The `source` attribute.
    pub source: String,
    /// The `id` attribute.
    pub event_id: String,
    /// The `type` attribute.
    pub event_type: String,
    /// When it happened.
    pub time: UnixMicros,
    /// Where in the event, as a JSON Pointer.
    pub pointer: String,
    /// Why.
    pub reason: String,
}

/// Keeps the events that could not be metered.
pub async fn put_unmetered(tx: &mut Tx, rows: &[Unmetered]) -> Result<()> {
    for row in rows {
        tx.execute(
            sql(
                "INSERT INTO billing_unmetered (log_offset, meter, tenant_id, source, event_id,
                    event_type, event_time, pointer, reason)
                 VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9)
                 ON CONFLICT (log_offset, meter) DO NOTHING",
            )
            .bind(i64::try_from(row.offset).unwrap_or(i64::MAX))
            .bind(&row.meter)
            .bind(row.tenant)
            .bind(&row.source)
            .bind(&row.event_id)
            .bind(&row.event_type)
            .bind(row.time)
            .bind(&row.pointer)
            .bind(&row.reason),
        )
        .await?;
    }
    Ok(())
}

/// Events that could not be metered, newest first.
pub async fn unmetered(
    store: &Store,
    scope: TenantScope,
    span: Span,
    limit: u32,
) -> Result<Vec<Unmetered>> {
    let rows = store
        .fetch_all(
            sql(
                "SELECT * FROM billing_unmetered WHERE ($1 = '*' OR tenant_id = $1)
                 AND event_time >= $2 AND event_time < $3
                 ORDER BY log_offset DESC LIMIT $4",
            )
            .bind(scope)
            .bind(span.from)
            .bind(span.to)
            .bind(limit),
        )
        .await?;
    rows.iter()
        .map(|row| {
            Ok(Unmetered {
                offset: u64::try_from(row.int("log_offset")?).unwrap_or(0),
                meter: row.text("meter")?,
                tenant: row.parse("tenant_id")?,
                source: row.text("source")?,
                event_id: row.text("event_id")?,
                event_type: row.text("event_type")?,
                time: row.micros("event_time")?,
                pointer: row.text("pointer")?,
                reason: row.text("reason")?,
            })
        })
        .collect()
}

/// How many events could not be metered.
pub async fn count_unmetered(store: &Store, scope: TenantScope, span: Span) -> Result<u64> {
    let row = store
        .fetch_one(
            sql(
                "SELECT COUNT(*) AS n FROM billing_unmetered WHERE ($1 = '*' OR tenant_id = $1)
                 AND event_time >= $2 AND event_time < $3",
            )
            .bind(scope)
            .bind(span.from)
            .bind(span.to),
        )
        .await?;
    Ok(u64::try_from(row.int("n")?).unwrap_or(0))
}

/// An event that came after the invoice of its period had been finalised.
#[derive(Debug, Clone)]
pub struct Late {
    /// Its place in the log.
    pub offset: u64,
    /// The invoice of the period.
    pub invoice: String,
    /// Whose event.
    pub tenant: TenantId,
    /// The `source` attribute.
    pub source: String,
    /// The `id` attribute.
    pub event_id: String,
    /// The `type` attribute.
    pub event_type: String,
    /// When it happened.
    pub time: UnixMicros,
}

/// Keeps late events.
pub async fn put_late(tx: &mut Tx, rows: &[Late]) -> Result<()> {
    for row in rows {
        tx.execute(
            sql(
                "INSERT INTO billing_late (log_offset, invoice_id, tenant_id, source, event_id,
                    event_type, event_time)
                 VALUES ($1, $2, $3, $4, $5, $6, $7) ON CONFLICT (log_offset) DO NOTHING",
            )
            .bind(i64::try_from(row.offset).unwrap_or(i64::MAX))
            .bind(&row.invoice)
            .bind(row.tenant)
            .bind(&row.source)
            .bind(&row.event_id)
            .bind(&row.event_type)
            .bind(row.time),
        )
        .await?;
    }
    Ok(())
}

/// How many events came late for an invoice.
pub async fn count_late(store: &Store, invoice: &str) -> Result<u64> {
    let row = store
        .fetch_one(
            sql("SELECT COUNT(*) AS n FROM billing_late WHERE invoice_id = $1").bind(invoice),
        )
        .await?;
    Ok(u64::try_from(row.int("n")?).unwrap_or(0))
}

/// How many events came late, by the time of the events.
pub async fn count_late_between(store: &Store, scope: TenantScope, span: Span) -> Result<u64> {
    let row = store
        .fetch_one(
            sql(
                "SELECT COUNT(*) AS n FROM billing_late WHERE ($1 = '*' OR tenant_id = $1)
                 AND event_time >= $2 AND event_time < $3",
            )
            .bind(scope)
            .bind(span.from)
            .bind(span.to),
        )
        .await?;
    Ok(u64::try_from(row.int("n")?).unwrap_or(0))
}

/// The finalised periods of all tenants: (tenant, period, invoice).
pub async fn closed_periods(
    tx: &mut Tx,
    since: UnixMicros,
) -> Result<Vec<(TenantId, Span, String)>> {
    let rows = tx
        .fetch_all(
            sql(
                "SELECT id, tenant_id, period_from, period_to FROM billing_invoice
                 WHERE state IN ('finalised', 'paid', 'overdue') AND period_to > $1",
            )
            .bind(since),
        )
        .await?;
    rows.iter()
        .map(|row| {
            let span = Span {
                from: row.micros("period_from")?,
                to: row.micros("period_to")?,
            };
            Ok((row.parse("tenant_id")?, span, row.text("id")?))
        })
        .collect()
}

/// Events below this offset of the log are in the usage rows.
pub async fn metered_through(store: &Store) -> Result<u64> {
    let row = store
        .fetch_optional(
            sql("SELECT next_offset FROM consumer_cursor WHERE consumer = $1")
                .bind(crate::consume::CONSUMER),
        )
        .await?;
    row.map_or(Ok(0), |row| {
        Ok(u64::try_from(row.int("next_offset")?).unwrap_or(0))
    })
}
