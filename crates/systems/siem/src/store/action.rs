//! Rows of `siem_action`.

use sealwright_core::{TenantScope, UnixMicros};
use sealwright_store::{Result, Row, Store, StoreError, Tx, sql};

use crate::model::{Action, ActionId, ActionState, AlertId};

fn read(row: &Row) -> Result<Action> {
    Ok(Action {
        id: row.parse("id")?,
        tenant: row.parse("tenant_id")?,
        alert: row.parse("alert_id")?,
        kind: row.text("kind")?,
        target: row.text("target")?,
        state: row.parse("state")?,
        dry_run: row.bool("dry_run")?,
        requested_at: row.micros("requested_at")?,
        requested_by: row.text("requested_by")?,
        approved_at: row.opt_micros("approved_at")?,
        approved_by: row.opt_text("approved_by")?,
        done_at: row.opt_micros("done_at")?,
        expires_at: row.opt_micros("expires_at")?,
        ended_at: row.opt_micros("ended_at")?,
        detail: row.text("detail")?,
        undo: row.text("undo")?,
        attempts: row.int("attempts")?,
        revision: row.int("revision")?,
    })
}

/// Adds an action.
pub async fn insert(tx: &mut Tx, a: &Action) -> Result<()> {
    tx.execute(
        sql(
            "INSERT INTO siem_action (id, tenant_id, alert_id, kind, target, state, dry_run,
                requested_at, requested_by, expires_at, detail, undo, attempts, revision)
             VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10, $11, $12, $13, $14)",
        )
        .bind(a.id)
        .bind(a.tenant)
        .bind(a.alert)
        .bind(&a.kind)
        .bind(&a.target)
        .bind(a.state.name())
        .bind(a.dry_run)
        .bind(a.requested_at)
        .bind(&a.requested_by)
        .bind(a.expires_at)
        .bind(&a.detail)
        .bind(&a.undo)
        .bind(a.attempts)
        .bind(a.revision),
    )
    .await?;
    Ok(())
}

/// Writes what changes of an action, if its revision is still `seen`.
///
/// # Errors
/// [`StoreError::Contended`] when somebody else changed it first.
pub async fn update(tx: &mut Tx, a: &Action, seen: i64) -> Result<()> {
    let changed = tx
        .execute(
            sql(
                "UPDATE siem_action SET state = $3, approved_at = $4, approved_by = $5, done_at = $6,
                    expires_at = $7, ended_at = $8, detail = $9, undo = $10, attempts = $11,
                    revision = $12 WHERE id = $1 AND revision = $2",
            )
            .bind(a.id)
            .bind(seen)
            .bind(a.state.name())
            .bind(a.approved_at)
            .bind(a.approved_by.clone())
            .bind(a.done_at)
            .bind(a.expires_at)
            .bind(a.ended_at)
            .bind(&a.detail)
            .bind(&a.undo)
            .bind(a.attempts)
            .bind(a.revision),
        )
        .await?;
    if changed == 1 {
        Ok(())
    } else {
        Err(StoreError::Contended)
    }
}

/// One action, if it is in the scope.
pub async fn find(store: &Store, scope: TenantScope, id: ActionId) -> Result<Option<Action>> {
    let row = store
        .fetch_optional(
            sql("SELECT * FROM siem_action WHERE id = $1 AND ($2 = '*' OR tenant_id = $2)")
                .bind(id)
                .bind(scope),
        )
        .await?;
    row.as_ref().map(read).transpose()
}

/// Actions of an alert, oldest first. The caller has looked at the alert within its scope.
pub async fn of_alert(store: &Store, alert: AlertId) -> Result<Vec<Action>> {
    let rows = store
        .fetch_all(
            sql("SELECT * FROM siem_action WHERE alert_id = $1 ORDER BY id LIMIT 200").bind(alert),
        )
        .await?;
    rows.iter().map(read).collect()
}

/// Actions of a scope in a state, newest first.
pub async fn list(
    store: &Store,
    scope: TenantScope,
    state: Option<ActionState>,
) -> Result<Vec<Action>> {
    let rows = store
        .fetch_all(
            sql(
                "SELECT * FROM siem_action WHERE ($1 = '*' OR tenant_id = $1)
                 AND ($2 = '*' OR state = $2) ORDER BY id DESC LIMIT 500",
            )
            .bind(scope)
            .bind(state.map_or("*", ActionState::name)),
        )
        .await?;
    rows.iter().map(read).collect()
}

/// Actions that something must be done about: due ones, ones to undo, and ones whose time is over.
pub async fn pending(store: &Store, now: UnixMicros) -> Result<Vec<Action>> {
    let rows = store
        .fetch_all(
            sql(
                "SELECT * FROM siem_action WHERE state IN ('due', 'undo-due')
                 OR (state = 'done' AND expires_at IS NOT NULL AND expires_at <= $1)
                 ORDER BY id LIMIT 200",
            )
            .bind(now),
        )
        .await?;
    rows.iter().map(read).collect()
}
