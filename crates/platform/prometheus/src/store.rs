//! SQL, and nothing else.

use std::collections::HashMap;

use sealwright_core::UnixMicros;
use sealwright_money::exact;
use sealwright_store::{Row, Sql, Store, StoreError, Tx, sql};
use serde::de::DeserializeOwned;

use crate::event::Kept;
use crate::increase::Seen;
use crate::model::{QuietSeries, Source, SourceId, Totals, WindowRow, WindowState};

pub(crate) type Result<T> = std::result::Result<T, StoreError>;

/// Series of one statement: five parameters each, and SQLite takes 32,766.
const ROWS: usize = 500;
/// Series that are remembered of a source: those with the newest samples.
const MOST_KNOWN: i64 = 200_000;

fn json<T: DeserializeOwned>(row: &Row, column: &str) -> Result<T> {
    serde_json::from_str(&row.text(column)?).map_err(|_| StoreError::Column {
        column: column.to_owned(),
        found: "JSON of another form",
        expected: std::any::type_name::<T>(),
    })
}

fn to_json<T: serde::Serialize>(value: &T) -> String {
    // Types of this crate have string keys and no failing serialisers.
    serde_json::to_string(value).unwrap_or_default()
}

fn word<T: std::str::FromStr>(row: &Row, column: &str) -> Result<T> {
    row.parse(column)
}

fn source(row: &Row) -> Result<Source> {
    Ok(Source {
        id: row.parse("id")?,
        name: row.text("name")?,
        url: row.text("url")?,
        credential: word(row, "credential")?,
        sealed: row.text("sealed")?,
        definition: json(row, "definition")?,
        delay: row.int("delay")?,
        catch_up: row.int("catch_up")?,
        enabled: row.bool("enabled")?,
        done_through: row.micros("done_through")?,
        failures: row.int("failures")?,
        failing_since: row.opt_micros("failing_since")?,
        last_error: row.opt_text("last_error")?,
        last_error_at: row.opt_micros("last_error_at")?,
        last_done_at: row.opt_micros("last_done_at")?,
        next_try_at: row.micros("next_try_at")?,
        version: row.int("version")?,
        created_at: row.micros("created_at")?,
        updated_at: row.micros("updated_at")?,
    })
}

pub(crate) async fn insert_source(tx: &mut Tx, new: &Source) -> Result<()> {
    tx.execute(
        sql(
            "INSERT INTO prometheus_source (id, name, url, credential, sealed, definition, delay, catch_up, enabled,
             done_through, failures, next_try_at, version, created_at, updated_at)
             VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10, 0, $11, 1, $12, $12)",
        )
        .bind(new.id)
        .bind(new.name.as_str())
        .bind(new.url.as_str())
        .bind(new.credential.as_str())
        .bind(new.sealed.as_str())
        .bind(to_json(&new.definition))
        .bind(new.delay)
        .bind(new.catch_up)
        .bind(new.enabled)
        .bind(new.done_through)
        .bind(new.next_try_at)
        .bind(new.created_at),
    )
    .await?;
    Ok(())
}

/// Writes what a person may change, if it still has `version`; 0 when it has not.
pub(crate) async fn update_source(tx: &mut Tx, new: &Source, version: i64) -> Result<u64> {
    tx.execute(
        sql(
            "UPDATE prometheus_source SET name = $3, url = $4, credential = $5, sealed = $6, delay = $7,
             catch_up = $8, enabled = $9, next_try_at = $10, done_through = $11, updated_at = $12,
             version = version + 1 WHERE id = $1 AND version = $2",
        )
        .bind(new.id)
        .bind(version)
        .bind(new.name.as_str())
        .bind(new.url.as_str())
        .bind(new.credential.as_str())
        .bind(new.sealed.as_str())
        .bind(new.delay)
        .bind(new.catch_up)
        .bind(new.enabled)
        .bind(new.next_try_at)
        .bind(new.done_through)
        .bind(new.updated_at),
    )
    .await
}

fn by_id(id: SourceId) -> Sql {
    sql("SELECT * FROM prometheus_source WHERE id = $1").bind(id)
}

pub(crate) async fn read_source(store: &Store, id: SourceId) -> Result<Option<Source>> {
    let row = store.fetch_optional(by_id(id)).await?;
    row.as_ref().map(source).transpose()
}

/// The source, locked until the transaction ends.
pub(crate) async fn lock_source(tx: &mut Tx, id: SourceId) -> Result<Option<Source>> {
    tx.lock(&format!("prometheus source {id}")).await?;
    let row = tx.fetch_optional(by_id(id)).await?;
    row.as_ref().map(source).transpose()
}

pub(crate) async fn list_sources(store: &Store, before: &str, limit: i64) -> Result<Vec<Source>> {
    let rows = store
        .fetch_all(
            sql("SELECT * FROM prometheus_source WHERE ($1 = '' OR id < $1) ORDER BY id DESC LIMIT $2")
                .bind(before)
                .bind(limit),
        )
        .await?;
    rows.iter().map(source).collect()
}

/// Sources that may be asked now.
pub(crate) async fn due_sources(store: &Store, now: UnixMicros) -> Result<Vec<Source>> {
    let rows = store
        .fetch_all(
            sql("SELECT * FROM prometheus_source WHERE enabled = 1 AND next_try_at <= $1 ORDER BY next_try_at, id")
                .bind(now),
        )
        .await?;
    rows.iter().map(source).collect()
}

/// How many sources there are, and how many other than `id` have this name.
pub(crate) async fn count_sources(tx: &mut Tx, name: &str, id: SourceId) -> Result<(i64, i64)> {
    let row = tx
        .fetch_one(
            sql("SELECT COUNT(*) AS sources, COUNT(CASE WHEN name = $1 AND id <> $2 THEN 1 END) AS named
                 FROM prometheus_source")
            .bind(name)
            .bind(id),
        )
        .await?;
    Ok((row.int("sources")?, row.int("named")?))
}

/// Forgets a source and what was kept of it. Its events stay in the log.
pub(crate) async fn delete_source(tx: &mut Tx, id: SourceId) -> Result<()> {
    for text in [
        "DELETE FROM prometheus_series WHERE source_id = $1",
        "DELETE FROM prometheus_window WHERE source_id = $1",
        "DELETE FROM prometheus_source WHERE id = $1",
    ] {
        tx.execute(sql(text).bind(id)).await?;
    }
    Ok(())
}

/// Moves a source on from `from` to `to`; 0 when it was not there any more.
pub(crate) async fn advance(
    tx: &mut Tx,
    id: SourceId,
    (from, to): (UnixMicros, UnixMicros),
    now: UnixMicros,
    next_try_at: UnixMicros,
) -> Result<u64> {
    tx.execute(
        sql(
            "UPDATE prometheus_source SET done_through = $3, failures = 0, failing_since = NULL,
             last_done_at = $4, next_try_at = $5 WHERE id = $1 AND done_through = $2",
        )
        .bind(id)
        .bind(from)
        .bind(to)
        .bind(now)
        .bind(next_try_at),
    )
    .await
}

pub(crate) async fn failed(
    store: &Store,
    id: SourceId,
    error: &str,
    now: UnixMicros,
    next_try_at: UnixMicros,
) -> Result<()> {
    store
        .execute(
            sql(
                "UPDATE prometheus_source SET failures = failures + 1, last_error = $2, last_error_at = $3,
                 failing_since = COALESCE(failing_since, $3), next_try_at = $4 WHERE id = $1",
            )
            .bind(id)
            .bind(error)
            .bind(now)
            .bind(next_try_at),
        )
        .await?;
    Ok(())
}

/// The last samples of a source's series.
pub(crate) async fn known(store: &Store, id: SourceId) -> Result<HashMap<String, Seen>> {
    let rows = store
        .fetch_all(
            sql(
                "SELECT series, at, value FROM prometheus_series WHERE source_id = $1
                 ORDER BY at DESC, series LIMIT $2",
            )
            .bind(id)
            .bind(MOST_KNOWN),
        )
        .await?;
    rows.iter()
        .map(|row| {
            let seen = Seen {
                at: row.int("at")? / 1_000,
                value: value(row)?,
            };
            Ok((row.text("series")?, seen))
        })
        .collect()
}

fn value(row: &Row) -> Result<rust_decimal::Decimal> {
    exact::parse(&row.text("value")?).map_err(|_| StoreError::Column {
        column: "value".to_owned(),
        found: "text of another form",
        expected: "a decimal",
    })
}

pub(crate) async fn put_series(tx: &mut Tx, id: SourceId, kept: &[Kept]) -> Result<()> {
    for part in kept.chunks(ROWS) {
        let places: Vec<String> = (0..part.len())
            .map(|row| {
                let at = row * 4 + 1;
                format!("($1, ${}, ${}, ${}, ${})", at + 1, at + 2, at + 3, at + 4)
            })
            .collect();
        let mut statement = sql(format!(
            "INSERT INTO prometheus_series (source_id, series, labels, at, value) VALUES {}
             ON CONFLICT (source_id, series) DO UPDATE SET at = excluded.at, value = excluded.value",
            places.join(", ")
        ))
        .bind(id);
        for kept in part {
            statement = statement
                .bind(kept.series.as_str())
                .bind(kept.labels.as_str())
                .bind(kept.seen.at.saturating_mul(1_000))
                .bind(kept.seen.value.to_string());
        }
        tx.execute(statement).await?;
    }
    Ok(())
}

/// Forgets series that had no sample since `before`.
pub(crate) async fn prune_series(tx: &mut Tx, id: SourceId, before: UnixMicros) -> Result<u64> {
    tx.execute(
        sql("DELETE FROM prometheus_series WHERE source_id = $1 AND at < $2")
            .bind(id)
            .bind(before),
    )
    .await
}

/// Forgets what was found out after `moment`.
pub(crate) async fn forget_after(tx: &mut Tx, id: SourceId, moment: UnixMicros) -> Result<()> {
    for text in [
        "DELETE FROM prometheus_series WHERE source_id = $1 AND at > $2",
        "DELETE FROM prometheus_window WHERE source_id = $1 AND window_end > $2",
    ] {
        tx.execute(sql(text).bind(id).bind(moment)).await?;
    }
    Ok(())
}

fn window(row: &Row) -> Result<WindowRow> {
    Ok(WindowRow {
        start: row.micros("window_start")?,
        end: row.micros("window_end")?,
        state: word(row, "state")?,
        series: row.int("series")?,
        samples: row.int("samples")?,
        events: row.int("events")?,
        resets: row.int("resets")?,
        appeared: row.int("appeared")?,
        vanished: row.int("vanished")?,
        returned: row.int("returned")?,
        unreadable: row.int("unreadable")?,
        unassigned: row.int("unassigned")?,
        refused: row.int("refused")?,
        problems: json(row, "problems")?,
        at: row.micros("at")?,
    })
}

pub(crate) async fn insert_window(
    tx: &mut Tx,
    id: SourceId,
    row: &WindowRow,
    batch: Option<&str>,
) -> Result<()> {
    tx.execute(
        sql(
            "INSERT INTO prometheus_window (source_id, window_end, window_start, state, batch, series, samples,
             events, resets, appeared, vanished, returned, unreadable, unassigned, refused, problems, at)
             VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10, $11, $12, $13, $14, $15, $16, $17)",
        )
        .bind(id)
        .bind(row.end)
        .bind(row.start)
        .bind(row.state.as_str())
        .bind(batch)
        .bind(row.series)
        .bind(row.samples)
        .bind(row.events)
        .bind(row.resets)
        .bind(row.appeared)
        .bind(row.vanished)
        .bind(row.returned)
        .bind(row.unreadable)
        .bind(row.unassigned)
        .bind(row.refused)
        .bind(to_json(&row.problems))
        .bind(row.at),
    )
    .await?;
    Ok(())
}

fn taken(id: SourceId) -> Sql {
    sql("SELECT * FROM prometheus_window WHERE source_id = $1 AND state = $2 ORDER BY window_end LIMIT 1")
        .bind(id)
        .bind(WindowState::Taken.as_str())
}

/// The window whose events are on their way into the log, and these events.
pub(crate) async fn taken_window(
    store: &Store,
    id: SourceId,
) -> Result<Option<(WindowRow, String)>> {
    let row = store.fetch_optional(taken(id)).await?;
    row.map(|row| Ok((window(&row)?, row.opt_text("batch")?.unwrap_or_default())))
        .transpose()
}

/// Whether a window's events are on their way into the log.
pub(crate) async fn has_taken(tx: &mut Tx, id: SourceId) -> Result<bool> {
    Ok(tx.fetch_optional(taken(id)).await?.is_some())
}

/// Closes a window whose events are in the log; 0 when it was closed, or forgotten, already.
pub(crate) async fn close_window(tx: &mut Tx, id: SourceId, row: &WindowRow) -> Result<u64> {
    tx.execute(
        sql(
            "UPDATE prometheus_window SET state = $3, batch = NULL, events = $4, refused = $5, problems = $6,
             at = $7 WHERE source_id = $1 AND window_end = $2 AND state = $8",
        )
        .bind(id)
        .bind(row.end)
        .bind(WindowState::Done.as_str())
        .bind(row.events)
        .bind(row.refused)
        .bind(to_json(&row.problems))
        .bind(row.at)
        .bind(WindowState::Taken.as_str()),
    )
    .await
}

pub(crate) async fn list_windows(
    store: &Store,
    id: SourceId,
    before: i64,
    limit: i64,
) -> Result<Vec<WindowRow>> {
    let rows = store
        .fetch_all(
            sql(
                "SELECT * FROM prometheus_window WHERE source_id = $1 AND window_end < $2
                 ORDER BY window_end DESC LIMIT $3",
            )
            .bind(id)
            .bind(before)
            .bind(limit),
        )
        .await?;
    rows.iter().map(window).collect()
}

/// Series whose last sample is not after `moment`, those that fell silent last first.
pub(crate) async fn quiet_series(
    store: &Store,
    id: SourceId,
    moment: UnixMicros,
    limit: i64,
) -> Result<Vec<QuietSeries>> {
    let rows = store
        .fetch_all(
            sql(
                "SELECT series, labels, at, value FROM prometheus_series WHERE source_id = $1 AND at <= $2
                 ORDER BY at DESC, series LIMIT $3",
            )
            .bind(id)
            .bind(moment)
            .bind(limit),
        )
        .await?;
    rows.iter()
        .map(|row| {
            Ok(QuietSeries {
                series: row.text("series")?,
                labels: json(row, "labels")?,
                at: row.micros("at")?,
                value: value(row)?,
            })
        })
        .collect()
}

/// Sums over the windows that are kept, by source; of one source when it is named.
pub(crate) async fn totals(
    store: &Store,
    id: Option<SourceId>,
) -> Result<HashMap<SourceId, Totals>> {
    // PostgreSQL sums integers to a wider type, which rows do not have.
    let rows = store
        .fetch_all(
            sql("SELECT source_id,
                   COUNT(CASE WHEN state = 'done' THEN 1 END) AS windows,
                   COUNT(CASE WHEN state = 'empty' THEN 1 END) AS empty,
                   COUNT(CASE WHEN state = 'lost' THEN 1 END) AS lost,
                   CAST(COALESCE(SUM(events), 0) AS BIGINT) AS events,
                   CAST(COALESCE(SUM(resets), 0) AS BIGINT) AS resets,
                   CAST(COALESCE(SUM(vanished), 0) AS BIGINT) AS vanished,
                   CAST(COALESCE(SUM(unassigned), 0) AS BIGINT) AS unassigned,
                   CAST(COALESCE(SUM(refused), 0) AS BIGINT) AS refused
                 FROM prometheus_window WHERE ($1 = '' OR source_id = $1) GROUP BY source_id")
            .bind(id.map_or_else(String::new, |id| id.to_string())),
        )
        .await?;
    rows.iter()
        .map(|row| {
            let totals = Totals {
                windows: row.int("windows")?,
                events: row.int("events")?,
                resets: row.int("resets")?,
                empty: row.int("empty")?,
                vanished: row.int("vanished")?,
                lost: row.int("lost")?,
                unassigned: row.int("unassigned")?,
                refused: row.int("refused")?,
            };
            Ok((row.parse("source_id")?, totals))
        })
        .collect()
}

/// Forgets windows that were decided before `moment`; those on their way stay.
pub(crate) async fn prune_windows(store: &Store, moment: UnixMicros) -> Result<u64> {
    store
        .execute(
            sql("DELETE FROM prometheus_window WHERE at < $1 AND state <> $2")
                .bind(moment)
                .bind(WindowState::Taken.as_str()),
        )
        .await
}

/// Replaces the sealed text if it is still `old`.
pub(crate) async fn reseal(tx: &mut Tx, id: SourceId, old: &str, new: &str) -> Result<u64> {
    tx.execute(
        sql("UPDATE prometheus_source SET sealed = $3 WHERE id = $1 AND sealed = $2")
            .bind(id)
            .bind(old)
            .bind(new),
    )
    .await
}
