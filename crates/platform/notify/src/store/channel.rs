//! Channels.

use sealwright_core::{TenantScope, UnixMicros};
use sealwright_store::{Row, Sql, Store, Tx, sql};

use super::{Result, json, opt_parse, to_json};
use crate::model::{Channel, ChannelId, ChannelState};

fn channel(row: &Row) -> Result<Channel> {
    Ok(Channel {
        id: row.parse("id")?,
        tenant_id: opt_parse(row, "tenant_id")?,
        name: row.text("name")?,
        target: json(row, "target")?,
        quiet: match row.opt_text("quiet")? {
            Some(_) => Some(json(row, "quiet")?),
            None => None,
        },
        per_minute: row
            .opt_int("per_minute")?
            .and_then(|n| u32::try_from(n).ok()),
        state: row.parse("state")?,
        state_reason: row.text("state_reason")?,
        blocked_until: Some(row.micros("blocked_until")?).filter(|at| at.0 > 0),
        version: row.int("version")?,
        created_at: row.micros("created_at")?,
        updated_at: row.micros("updated_at")?,
        sealed: row.text("sealed")?,
    })
}

pub(crate) async fn insert_channel(tx: &mut Tx, new: &Channel) -> Result<()> {
    tx.execute(
        sql(
            "INSERT INTO notify_channel (id, tenant_id, name, kind, target, sealed, quiet, per_minute, state,
             state_reason, blocked_until, next_free, version, created_at, updated_at)
             VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10, 0, 0, $11, $12, $12)",
        )
        .bind(new.id)
        .bind(new.tenant_id)
        .bind(new.name.as_str())
        .bind(new.target.kind().as_str())
        .bind(to_json(&new.target))
        .bind(new.sealed.as_str())
        .bind(new.quiet.as_ref().map(to_json))
        .bind(new.per_minute.map(i64::from))
        .bind(new.state.as_str())
        .bind(new.state_reason.as_str())
        .bind(new.version)
        .bind(new.created_at),
    )
    .await?;
    Ok(())
}

/// Writes a changed channel if it still has `version`; 0 when it has not.
pub(crate) async fn update_channel(tx: &mut Tx, new: &Channel, version: i64) -> Result<u64> {
    tx.execute(
        sql(
            "UPDATE notify_channel SET name = $3, kind = $4, target = $5, sealed = $6, quiet = $7,
             per_minute = $8, state = $9, state_reason = $10, updated_at = $11, version = version + 1,
             blocked_until = 0 WHERE id = $1 AND version = $2",
        )
        .bind(new.id)
        .bind(version)
        .bind(new.name.as_str())
        .bind(new.target.kind().as_str())
        .bind(to_json(&new.target))
        .bind(new.sealed.as_str())
        .bind(new.quiet.as_ref().map(to_json))
        .bind(new.per_minute.map(i64::from))
        .bind(new.state.as_str())
        .bind(new.state_reason.as_str())
        .bind(new.updated_at),
    )
    .await
}

fn by_id(scope: TenantScope, id: ChannelId) -> Sql {
    sql(
        "SELECT * FROM notify_channel WHERE id = $2 AND ($1 = '*' OR tenant_id = $1) AND state <> 'deleted'",
    )
    .bind(scope)
    .bind(id)
}

pub(crate) async fn read_channel(
    store: &Store,
    scope: TenantScope,
    id: ChannelId,
) -> Result<Option<Channel>> {
    let row = store.fetch_optional(by_id(scope, id)).await?;
    row.as_ref().map(channel).transpose()
}

pub(crate) async fn find_channel(
    tx: &mut Tx,
    scope: TenantScope,
    id: ChannelId,
) -> Result<Option<Channel>> {
    let row = tx.fetch_optional(by_id(scope, id)).await?;
    row.as_ref().map(channel).transpose()
}

pub(crate) async fn list_channels(
    store: &Store,
    scope: TenantScope,
    before: &str,
    limit: i64,
) -> Result<Vec<Channel>> {
    let rows = store
        .fetch_all(
            sql("SELECT * FROM notify_channel WHERE ($1 = '*' OR tenant_id = $1) AND state <> 'deleted'
                 AND ($2 = '' OR id < $2) ORDER BY id DESC LIMIT $3")
            .bind(scope)
            .bind(before)
            .bind(limit),
        )
        .await?;
    rows.iter().map(channel).collect()
}

/// A channel with what a worker needs to know before it claims: when it may be used next.
pub(crate) struct Gate {
    pub(crate) channel: Channel,
    pub(crate) free_at: UnixMicros,
}

/// The channel, locked until the transaction ends.
pub(crate) async fn gate(tx: &mut Tx, id: ChannelId) -> Result<Option<Gate>> {
    tx.lock(&format!("notify channel {id}")).await?;
    let row = tx
        .fetch_optional(sql("SELECT * FROM notify_channel WHERE id = $1").bind(id))
        .await?;
    row.map(|row| {
        let blocked = row.micros("blocked_until")?;
        let next = row.micros("next_free")?;
        let channel = channel(&row)?;
        let free_at = if channel.per_minute.is_some() {
            blocked.max(next)
        } else {
            blocked
        };
        Ok(Gate { channel, free_at })
    })
    .transpose()
}

pub(crate) async fn set_next_free(tx: &mut Tx, id: ChannelId, at: UnixMicros) -> Result<()> {
    tx.execute(
        sql("UPDATE notify_channel SET next_free = $2 WHERE id = $1")
            .bind(id)
            .bind(at),
    )
    .await?;
    Ok(())
}

/// The other side asked to wait.
pub(crate) async fn block(tx: &mut Tx, id: ChannelId, until: UnixMicros) -> Result<()> {
    tx.execute(
        sql("UPDATE notify_channel SET blocked_until = $2 WHERE id = $1 AND blocked_until < $2")
            .bind(id)
            .bind(until),
    )
    .await?;
    Ok(())
}

/// Every channel that may be used; for routing.
pub(crate) async fn active_channels(store: &Store) -> Result<Vec<Channel>> {
    let rows = store
        .fetch_all(
            sql("SELECT * FROM notify_channel WHERE state = $1")
                .bind(ChannelState::Active.as_str()),
        )
        .await?;
    rows.iter().map(channel).collect()
}

/// Every channel that has secrets; for sealing them again.
pub(crate) async fn sealed_channels(store: &Store) -> Result<Vec<Channel>> {
    let rows = store
        .fetch_all(sql(
            "SELECT * FROM notify_channel WHERE state <> 'deleted' ORDER BY id",
        ))
        .await?;
    rows.iter().map(channel).collect()
}

/// Replaces the sealed text if it is still `old`.
pub(crate) async fn reseal(tx: &mut Tx, id: ChannelId, old: &str, new: &str) -> Result<u64> {
    tx.execute(
        sql("UPDATE notify_channel SET sealed = $3 WHERE id = $1 AND sealed = $2")
            .bind(id)
            .bind(old)
            .bind(new),
    )
    .await
}

/// What a channel's other side calls an incident.
pub(crate) async fn reference(
    store: &Store,
    channel: ChannelId,
    incident: &str,
) -> Result<Option<String>> {
    let row = store
        .fetch_optional(
            sql("SELECT reference FROM notify_reference WHERE channel_id = $1 AND incident = $2")
                .bind(channel)
                .bind(incident),
        )
        .await?;
    row.map(|row| row.text("reference")).transpose()
}

pub(crate) async fn put_reference(
    tx: &mut Tx,
    channel: ChannelId,
    incident: &str,
    reference: Option<&str>,
    now: UnixMicros,
) -> Result<()> {
    let statement = match reference {
        Some(reference) => sql(
            "INSERT INTO notify_reference (channel_id, incident, reference, updated_at)
             VALUES ($1, $2, $3, $4) ON CONFLICT (channel_id, incident)
             DO UPDATE SET reference = excluded.reference, updated_at = excluded.updated_at",
        )
        .bind(channel)
        .bind(incident)
        .bind(reference)
        .bind(now),
        None => sql("DELETE FROM notify_reference WHERE channel_id = $1 AND incident = $2")
            .bind(channel)
            .bind(incident),
    };
    tx.execute(statement).await?;
    Ok(())
}

/// How many channels an owner has; with all tenants in scope, those of the installation.
pub(crate) async fn count_channels(tx: &mut Tx, owner: TenantScope) -> Result<i64> {
    tx.fetch_one(
        sql(
            "SELECT COUNT(*) AS channels FROM notify_channel WHERE state <> 'deleted'
             AND (($1 = '*' AND tenant_id IS NULL) OR tenant_id = $1)",
        )
        .bind(owner),
    )
    .await?
    .int("channels")
}
