//! SQL, and nothing else.

use sealwright_core::UnixMicros;
use sealwright_store::{Row, Sql, Store, StoreError, Tx, sql};
use serde_json::Value;

use crate::model::{Run, RunId, RunState};

type Result<T> = std::result::Result<T, StoreError>;

fn json(row: &Row, column: &str) -> Result<Option<Value>> {
    match row.opt_text(column)? {
        None => Ok(None),
        Some(_) => row.parse(column).map(Some),
    }
}

fn run(row: &Row) -> Result<Run> {
    Ok(Run {
        id: row.parse("id")?,
        job: row.text("job")?,
        slot: row.micros("slot")?,
        cause: row.text("cause")?,
        state: row.parse("state")?,
        attempt: row.int("attempt")?,
        fence: row.int("fence")?,
        holder: row.opt_text("holder")?,
        lease_until: row.opt_micros("lease_until")?,
        cancel_requested: row.bool("cancel_requested")?,
        done: row.int("done")?,
        total: row.opt_int("total")?,
        message: row.text("message")?,
        checkpoint: json(row, "checkpoint")?,
        result: json(row, "result")?,
        error: row.opt_text("error")?,
        queued_at: row.micros("queued_at")?,
        started_at: row.opt_micros("started_at")?,
        ended_at: row.opt_micros("ended_at")?,
    })
}

fn runs(rows: &[Row]) -> Result<Vec<Run>> {
    rows.iter().map(run).collect()
}

/// The stored schedule of a job.
pub(crate) struct StoredSchedule {
    pub(crate) name: String,
    pub(crate) cron: String,
    pub(crate) zone: String,
    pub(crate) next_slot: Option<UnixMicros>,
}

fn stored(row: &Row) -> Result<StoredSchedule> {
    Ok(StoredSchedule {
        name: row.text("name")?,
        cron: row.text("cron")?,
        zone: row.text("zone")?,
        next_slot: row.opt_micros("next_slot")?,
    })
}

pub(crate) async fn find_job(tx: &mut Tx, name: &str) -> Result<Option<StoredSchedule>> {
    let row = tx
        .fetch_optional(sql("SELECT * FROM job WHERE name = $1").bind(name))
        .await?;
    row.as_ref().map(stored).transpose()
}

pub(crate) async fn schedules(store: &Store) -> Result<Vec<StoredSchedule>> {
    let rows = store.fetch_all(sql("SELECT * FROM job")).await?;
    rows.iter().map(stored).collect()
}

pub(crate) async fn put_job(
    tx: &mut Tx,
    name: &str,
    cron: &str,
    zone: &str,
    next_slot: Option<UnixMicros>,
    now: UnixMicros,
) -> Result<()> {
    tx.execute(
        sql(
            "INSERT INTO job (name, cron, zone, next_slot, updated_at) VALUES ($1, $2, $3, $4, $5)
             ON CONFLICT (name) DO UPDATE SET cron = excluded.cron, zone = excluded.zone,
             next_slot = excluded.next_slot, updated_at = excluded.updated_at",
        )
        .bind(name)
        .bind(cron)
        .bind(zone)
        .bind(next_slot)
        .bind(now),
    )
    .await?;
    Ok(())
}

/// A run to put in the queue.
pub(crate) struct NewRun<'a> {
    pub(crate) id: RunId,
    pub(crate) job: &'a str,
    pub(crate) slot_key: &'a str,
    pub(crate) slot: UnixMicros,
    pub(crate) cause: &'a str,
    pub(crate) now: UnixMicros,
}

/// 0 when the slot has its run already.
pub(crate) async fn insert_run(tx: &mut Tx, new: &NewRun<'_>) -> Result<u64> {
    tx.execute(
        sql(
            "INSERT INTO job_run (id, job, slot_key, slot, cause, state, attempt, fence, not_before,
             cancel_requested, done, message, queued_at)
             VALUES ($1, $2, $3, $4, $5, 'queued', 0, 0, $6, 0, 0, '', $6)
             ON CONFLICT (job, slot_key) DO NOTHING",
        )
        .bind(new.id)
        .bind(new.job)
        .bind(new.slot_key)
        .bind(new.slot)
        .bind(new.cause)
        .bind(new.now),
    )
    .await
}

pub(crate) async fn find_by_slot_key(
    tx: &mut Tx,
    job: &str,
    slot_key: &str,
) -> Result<Option<Run>> {
    let row = tx
        .fetch_optional(
            sql("SELECT * FROM job_run WHERE job = $1 AND slot_key = $2")
                .bind(job)
                .bind(slot_key),
        )
        .await?;
    row.as_ref().map(run).transpose()
}

fn by_id(id: &str) -> Sql {
    sql("SELECT * FROM job_run WHERE id = $1").bind(id)
}

pub(crate) async fn find_run(tx: &mut Tx, id: &str) -> Result<Option<Run>> {
    let row = tx.fetch_optional(by_id(id)).await?;
    row.as_ref().map(run).transpose()
}

pub(crate) async fn read_run(store: &Store, id: &str) -> Result<Option<Run>> {
    let row = store.fetch_optional(by_id(id)).await?;
    row.as_ref().map(run).transpose()
}

pub(crate) async fn last_run(store: &Store, job: &str) -> Result<Option<Run>> {
    let row = store
        .fetch_optional(
            sql("SELECT * FROM job_run WHERE job = $1 ORDER BY id DESC LIMIT 1").bind(job),
        )
        .await?;
    row.as_ref().map(run).transpose()
}

pub(crate) async fn list_runs(
    store: &Store,
    job: Option<&str>,
    state: Option<RunState>,
    before: &str,
    limit: i64,
) -> Result<Vec<Run>> {
    let rows = store
        .fetch_all(
            sql(
                "SELECT * FROM job_run WHERE ($1 = '' OR job = $1) AND ($2 = '' OR state = $2)
                 AND ($3 = '' OR id < $3) ORDER BY id DESC LIMIT $4",
            )
            .bind(job.unwrap_or(""))
            .bind(state.map_or("", RunState::as_str))
            .bind(before)
            .bind(limit),
        )
        .await?;
    runs(&rows)
}

/// Runs that could be claimed now, oldest slot first.
pub(crate) async fn queued(store: &Store, now: UnixMicros) -> Result<Vec<(String, String)>> {
    let rows = store
        .fetch_all(
            sql(
                "SELECT id, job FROM job_run WHERE state = 'queued' AND not_before <= $1
                 ORDER BY slot, id LIMIT 200",
            )
            .bind(now),
        )
        .await?;
    rows.iter()
        .map(|row| Ok((row.text("id")?, row.text("job")?)))
        .collect()
}

/// Runs whose holder has been silent for too long.
pub(crate) async fn expired(store: &Store, now: UnixMicros) -> Result<Vec<Run>> {
    let rows = store
        .fetch_all(
            sql("SELECT * FROM job_run WHERE state = 'running' AND lease_until <= $1 LIMIT 200")
                .bind(now),
        )
        .await?;
    runs(&rows)
}

/// Claims a queued run unless another run of its job is running. The caller holds the job's lock.
pub(crate) async fn claim(
    tx: &mut Tx,
    id: &str,
    holder: &str,
    now: UnixMicros,
    lease_until: UnixMicros,
) -> Result<Option<Run>> {
    let row = tx
        .fetch_optional(
            sql(
                "UPDATE job_run SET state = 'running', holder = $2, fence = fence + 1,
                 attempt = attempt + 1, started_at = $3, lease_until = $4, ended_at = NULL
                 WHERE id = $1 AND state = 'queued' AND NOT EXISTS (
                     SELECT 1 FROM job_run other
                     WHERE other.job = job_run.job AND other.state = 'running')
                 RETURNING *",
            )
            .bind(id)
            .bind(holder)
            .bind(now)
            .bind(lease_until),
        )
        .await?;
    row.as_ref().map(run).transpose()
}

/// Moves the lease's end; `None` when the run is no longer held with this fence, else whether it shall
/// stop.
pub(crate) async fn heartbeat(
    store: &Store,
    id: RunId,
    fence: i64,
    lease_until: UnixMicros,
) -> Result<Option<bool>> {
    let mut tx = store.begin().await?;
    let row = tx
        .fetch_optional(
            sql(
                "UPDATE job_run SET lease_until = $3 WHERE id = $1 AND fence = $2 AND state = 'running'
                 RETURNING cancel_requested",
            )
            .bind(id)
            .bind(fence)
            .bind(lease_until),
        )
        .await?;
    tx.commit().await?;
    row.map(|row| row.bool("cancel_requested")).transpose()
}

/// 1 when the run is still held with this fence; the row stays locked until the transaction ends.
pub(crate) async fn guard(tx: &mut Tx, id: RunId, fence: i64) -> Result<u64> {
    tx.execute(
        sql("UPDATE job_run SET fence = fence WHERE id = $1 AND fence = $2 AND state = 'running'")
            .bind(id)
            .bind(fence),
    )
    .await
}

pub(crate) async fn progress(
    store: &Store,
    id: RunId,
    fence: i64,
    (done, total, message): (i64, Option<i64>, &str),
) -> Result<u64> {
    store
        .execute(
            sql("UPDATE job_run SET done = $3, total = $4, message = $5
                 WHERE id = $1 AND fence = $2 AND state = 'running'")
            .bind(id)
            .bind(fence)
            .bind(done)
            .bind(total)
            .bind(message),
        )
        .await
}

pub(crate) async fn checkpoint(tx: &mut Tx, id: RunId, fence: i64, value: &Value) -> Result<u64> {
    tx.execute(
        sql(
            "UPDATE job_run SET checkpoint = $3 WHERE id = $1 AND fence = $2 AND state = 'running'",
        )
        .bind(id)
        .bind(fence)
        .bind(value.to_string()),
    )
    .await
}

/// How an attempt ended.
pub(crate) struct End<'a> {
    pub(crate) state: RunState,
    pub(crate) result: Option<&'a Value>,
    pub(crate) error: Option<&'a str>,
    /// For a run that goes back into the queue: from when on, and the attempts that count.
    pub(crate) not_before: UnixMicros,
    pub(crate) attempt: i64,
    pub(crate) now: UnixMicros,
    /// Only when the lease has run out: another process ends it.
    pub(crate) only_expired: bool,
}

/// Ends an attempt that is still held with this fence; 0 when it is not.
pub(crate) async fn end(tx: &mut Tx, id: RunId, fence: i64, end: &End<'_>) -> Result<u64> {
    let ended = (end.state != RunState::Queued).then_some(end.now);
    tx.execute(
        sql(
            "UPDATE job_run SET state = $3, result = $4, error = $5, not_before = $6, attempt = $7,
             ended_at = $8, holder = NULL, lease_until = NULL
             WHERE id = $1 AND fence = $2 AND state = 'running'
             AND ($9 = 0 OR lease_until <= $10)",
        )
        .bind(id)
        .bind(fence)
        .bind(end.state.as_str())
        .bind(end.result.map(Value::to_string))
        .bind(end.error)
        .bind(end.not_before)
        .bind(end.attempt)
        .bind(ended)
        .bind(end.only_expired)
        .bind(end.now),
    )
    .await
}

pub(crate) async fn request_cancel(tx: &mut Tx, id: RunId, now: UnixMicros) -> Result<u64> {
    tx.execute(
        sql("UPDATE job_run SET cancel_requested = 1,
             state = CASE WHEN state = 'queued' THEN 'cancelled' ELSE state END,
             ended_at = CASE WHEN state = 'queued' THEN $2 ELSE ended_at END
             WHERE id = $1 AND state IN ('queued', 'running')")
        .bind(id)
        .bind(now),
    )
    .await
}

pub(crate) async fn resume(tx: &mut Tx, id: RunId, now: UnixMicros) -> Result<u64> {
    tx.execute(
        sql(
            "UPDATE job_run SET state = 'queued', cancel_requested = 0, attempt = 0, error = NULL,
             not_before = $2, ended_at = NULL WHERE id = $1 AND state IN ('failed', 'cancelled')",
        )
        .bind(id)
        .bind(now),
    )
    .await
}

/// Deletes ended runs, except the newest of each job.
pub(crate) async fn prune(store: &Store, before: UnixMicros) -> Result<u64> {
    store
        .execute(
            sql(
                "DELETE FROM job_run WHERE ended_at < $1 AND state IN ('done', 'failed', 'cancelled')
                 AND id <> (SELECT MAX(newest.id) FROM job_run newest WHERE newest.job = job_run.job)",
            )
            .bind(before),
        )
        .await
}
