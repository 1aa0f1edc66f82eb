//! Rows of `siem_source`, `siem_late` and `siem_dead_letter`.

use sealwright_core::{TenantId, TenantScope, UnixMicros};
use sealwright_events::StoredEvent;
use sealwright_store::{Result, Row, Store, Tx, sql};

/// A source of events and how far it is.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Source {
    /// Whose.
    pub tenant: TenantId,
    /// Its name: the `source` of its events.
    pub source: String,
    /// When its first event was received.
    pub first_received: UnixMicros,
    /// When its last event was received.
    pub last_received: UnixMicros,
    /// The latest time of its events.
    pub last_time: UnixMicros,
    /// Events so far.
    pub events: u64,
    /// Of them too late to be correlated.
    pub late: u64,
    /// Of them from the future.
    pub future: u64,
    /// How long it may be silent before there is an alarm, in microseconds; `None` for the default.
    pub silence: Option<i64>,
    /// When an alarm was raised about its present silence.
    pub alarmed_at: Option<UnixMicros>,
}

fn count(row: &Row, column: &str) -> Result<u64> {
    Ok(u64::try_from(row.int(column)?).unwrap_or(0))
}

fn read(row: &Row) -> Result<Source> {
    Ok(Source {
        tenant: row.parse("tenant_id")?,
        source: row.text("source")?,
        first_received: row.micros("first_received")?,
        last_received: row.micros("last_received")?,
        last_time: row.micros("last_time")?,
        events: count(row, "events")?,
        late: count(row, "late")?,
        future: count(row, "future")?,
        silence: row.opt_int("silence")?,
        alarmed_at: row.opt_micros("alarmed_at")?,
    })
}

/// Adds what a batch brought of a source; a source that was silent no longer is.
pub async fn add(tx: &mut Tx, s: &Source) -> Result<()> {
    let number = |n: u64| i64::try_from(n).unwrap_or(i64::MAX);
    tx.execute(
        sql(
            "INSERT INTO siem_source (tenant_id, source, first_received, last_received, last_time,
                events, late, future) VALUES ($1, $2, $3, $4, $5, $6, $7, $8)
             ON CONFLICT (tenant_id, source) DO UPDATE SET
                last_received = CASE WHEN siem_source.last_received > excluded.last_received
                    THEN siem_source.last_received ELSE excluded.last_received END,
                last_time = CASE WHEN siem_source.last_time > excluded.last_time
                    THEN siem_source.last_time ELSE excluded.last_time END,
                events = siem_source.events + excluded.events,
                late = siem_source.late + excluded.late,
                future = siem_source.future + excluded.future,
                alarmed_at = NULL",
        )
        .bind(s.tenant)
        .bind(&s.source)
        .bind(s.first_received)
        .bind(s.last_received)
        .bind(s.last_time)
        .bind(number(s.events))
        .bind(number(s.late))
        .bind(number(s.future)),
    )
    .await?;
    Ok(())
}

/// Sources in a scope.
pub async fn list(store: &Store, scope: TenantScope) -> Result<Vec<Source>> {
    let rows = store
        .fetch_all(
            sql(
                "SELECT * FROM siem_source WHERE ($1 = '*' OR tenant_id = $1)
                 ORDER BY tenant_id, source LIMIT 2000",
            )
            .bind(scope),
        )
        .await?;
    rows.iter().map(read).collect()
}

/// Sources that have been silent for longer than they may, and about which there is no alarm yet.
pub async fn silent(store: &Store, now: UnixMicros, default: i64) -> Result<Vec<Source>> {
    let rows = store
        .fetch_all(
            sql("SELECT * FROM siem_source WHERE alarmed_at IS NULL
                 AND last_received + COALESCE(silence, $2) < $1 LIMIT 500")
            .bind(now)
            .bind(default),
        )
        .await?;
    rows.iter().map(read).collect()
}

/// Notes that there is an alarm; says whether the source is still silent and there was none.
pub async fn alarmed(tx: &mut Tx, source: &Source, now: UnixMicros) -> Result<bool> {
    let changed = tx
        .execute(
            sql(
                "UPDATE siem_source SET alarmed_at = $4 WHERE tenant_id = $1 AND source = $2
                 AND last_received = $3 AND alarmed_at IS NULL",
            )
            .bind(source.tenant)
            .bind(&source.source)
            .bind(source.last_received)
            .bind(now),
        )
        .await?;
    Ok(changed == 1)
}

/// Sets how long a source may be silent; says whether there is such a source.
pub async fn set_silence(
    tx: &mut Tx,
    tenant: TenantId,
    source: &str,
    silence: Option<i64>,
) -> Result<bool> {
    let changed = tx
        .execute(
            sql("UPDATE siem_source SET silence = $3 WHERE tenant_id = $1 AND source = $2")
                .bind(tenant)
                .bind(source)
                .bind(silence),
        )
        .await?;
    Ok(changed == 1)
}

/// An event that was put aside, with the reason.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Aside {
    /// Its place in the log.
    pub offset: u64,
    /// Whose.
    pub tenant: TenantId,
    /// Where it came from.
    pub source: String,
    /// Its id there.
    pub event_id: String,
    /// Its type.
    pub event_type: String,
    /// When it happened.
    pub time: UnixMicros,
    /// Why it was put aside.
    pub reason: String,
    /// When it was received, or put aside.
    pub at: UnixMicros,
    /// When it was evaluated after all.
    pub replayed_at: Option<UnixMicros>,
}

impl Aside {
    /// An event put aside at a moment.
    pub fn new(event: &StoredEvent, reason: impl Into<String>, at: UnixMicros) -> Self {
        Self {
            offset: event.offset,
            tenant: event.tenant,
            source: event.source.clone(),
            event_id: event.id.clone(),
            event_type: event.event_type.clone(),
            time: event.time,
            reason: reason.into(),
            at,
            replayed_at: None,
        }
    }
}

fn offset(n: u64) -> i64 {
    i64::try_from(n).unwrap_or(i64::MAX)
}

/// Keeps an event that came too late.
pub async fn put_late(tx: &mut Tx, aside: &Aside) -> Result<()> {
    tx.execute(
        sql(
            "INSERT INTO siem_late (log_offset, tenant_id, source, event_id, event_type, event_time,
                received_at, reason) VALUES ($1, $2, $3, $4, $5, $6, $7, $8)
             ON CONFLICT (log_offset) DO NOTHING",
        )
        .bind(offset(aside.offset))
        .bind(aside.tenant)
        .bind(&aside.source)
        .bind(&aside.event_id)
        .bind(&aside.event_type)
        .bind(aside.time)
        .bind(aside.at)
        .bind(&aside.reason),
    )
    .await?;
    Ok(())
}

/// Events that came too late, the latest first.
pub async fn late(store: &Store, scope: TenantScope, limit: u32) -> Result<Vec<Aside>> {
    let rows = store
        .fetch_all(
            sql("SELECT * FROM siem_late WHERE ($1 = '*' OR tenant_id = $1)
                 ORDER BY log_offset DESC LIMIT $2")
            .bind(scope)
            .bind(limit),
        )
        .await?;
    rows.iter()
        .map(|row| {
            Ok(Aside {
                at: row.micros("received_at")?,
                replayed_at: None,
                ..read_aside(row)?
            })
        })
        .collect()
}

fn read_aside(row: &Row) -> Result<Aside> {
    Ok(Aside {
        offset: count(row, "log_offset")?,
        tenant: row.parse("tenant_id")?,
        source: row.text("source")?,
        event_id: row.text("event_id")?,
        event_type: row.text("event_type")?,
        time: row.micros("event_time")?,
        reason: row.text("reason")?,
        at: UnixMicros(0),
        replayed_at: None,
    })
}

/// Keeps an event that could not be evaluated.
pub async fn put_dead(tx: &mut Tx, aside: &Aside) -> Result<()> {
    tx.execute(
        sql(
            "INSERT INTO siem_dead_letter (log_offset, tenant_id, source, event_id, event_type,
                event_time, reason, created_at) VALUES ($1, $2, $3, $4, $5, $6, $7, $8)
             ON CONFLICT (log_offset) DO NOTHING",
        )
        .bind(offset(aside.offset))
        .bind(aside.tenant)
        .bind(&aside.source)
        .bind(&aside.event_id)
        .bind(&aside.event_type)
        .bind(aside.time)
        .bind(&aside.reason)
        .bind(aside.at),
    )
    .await?;
    Ok(())
}

/// Dead letters, the latest first; with `waiting` only those that were not replayed.
pub async fn dead(
    store: &Store,
    scope: TenantScope,
    waiting: bool,
    limit: u32,
) -> Result<Vec<Aside>> {
    let rows = store
        .fetch_all(
            sql(
                "SELECT * FROM siem_dead_letter WHERE ($1 = '*' OR tenant_id = $1)
                 AND ($2 = 0 OR replayed_at IS NULL) ORDER BY log_offset DESC LIMIT $3",
            )
            .bind(scope)
            .bind(waiting)
            .bind(limit),
        )
        .await?;
    rows.iter()
        .map(|row| {
            Ok(Aside {
                at: row.micros("created_at")?,
                replayed_at: row.opt_micros("replayed_at")?,
                ..read_aside(row)?
            })
        })
        .collect()
}

/// Notes that a dead letter was evaluated after all; says whether it was waiting.
pub async fn replayed(tx: &mut Tx, at: u64, now: UnixMicros) -> Result<bool> {
    let changed = tx
        .execute(
            sql("UPDATE siem_dead_letter SET replayed_at = $2
                 WHERE log_offset = $1 AND replayed_at IS NULL")
            .bind(offset(at))
            .bind(now),
        )
        .await?;
    Ok(changed == 1)
}
