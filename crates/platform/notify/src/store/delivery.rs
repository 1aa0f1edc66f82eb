//! Deliveries.

use sealwright_core::{TenantId, TenantScope, UnixMicros};
use sealwright_store::{Row, Sql, Store, Tx, sql};

use super::{Result, severity};
use crate::message::MessageId;
use crate::model::{ChannelId, ChannelKind, Delivery, DeliveryFilter, DeliveryId, DeliveryState};

const WHOLE: &str =
    "SELECT d.*, m.topic, m.severity, m.title, c.name AS channel FROM notify_delivery d
     JOIN notify_message m ON m.id = d.message_id JOIN notify_channel c ON c.id = d.channel_id";

fn delivery(row: &Row) -> Result<Delivery> {
    let state: DeliveryState = row.parse("state")?;
    let waits = matches!(state, DeliveryState::Pending | DeliveryState::Held);
    Ok(Delivery {
        id: row.parse("id")?,
        message_id: row.parse("message_id")?,
        topic: row.text("topic")?,
        severity: severity(row)?,
        title: row.text("title")?,
        channel_id: row.parse("channel_id")?,
        channel: row.text("channel")?,
        kind: row.parse("kind")?,
        state,
        cause: row.text("cause")?,
        attempts: row.int("attempts")?,
        next_at: waits.then(|| row.micros("next_at")).transpose()?,
        status: row.opt_int("status")?,
        answer: row.opt_text("answer")?,
        digest_id: row.opt_text("digest_id")?,
        created_at: row.micros("created_at")?,
        ended_at: row.opt_micros("ended_at")?,
    })
}

/// A delivery to put in the queue.
pub(crate) struct NewDelivery<'a> {
    pub(crate) id: DeliveryId,
    pub(crate) message: MessageId,
    pub(crate) channel: ChannelId,
    pub(crate) tenant: Option<TenantId>,
    pub(crate) kind: ChannelKind,
    pub(crate) incident: Option<&'a str>,
    pub(crate) state: DeliveryState,
    pub(crate) cause: &'a str,
    pub(crate) next_at: UnixMicros,
    pub(crate) now: UnixMicros,
}

/// 0 when the message goes to the channel already.
pub(crate) async fn insert_delivery(tx: &mut Tx, new: &NewDelivery<'_>) -> Result<u64> {
    tx.execute(
        sql(
            "INSERT INTO notify_delivery (id, message_id, channel_id, tenant_id, kind, incident, state, cause,
             attempts, next_at, fence, created_at, updated_at)
             VALUES ($1, $2, $3, $4, $5, $6, $7, $8, 0, $9, 0, $10, $10)
             ON CONFLICT (message_id, channel_id) DO NOTHING",
        )
        .bind(new.id)
        .bind(new.message)
        .bind(new.channel)
        .bind(new.tenant)
        .bind(new.kind.as_str())
        .bind(new.incident)
        .bind(new.state.as_str())
        .bind(new.cause)
        .bind(new.next_at)
        .bind(new.now),
    )
    .await
}

/// A delivery that could be claimed, and where it goes.
pub(crate) struct Due {
    pub(crate) id: DeliveryId,
    pub(crate) channel: ChannelId,
}

/// Deliveries whose time has come, and ones whose holder has been silent for longer than its lease. One
/// that follows another of its incident waits for it.
pub(crate) async fn due(store: &Store, now: UnixMicros, limit: i64) -> Result<Vec<Due>> {
    let rows = store
        .fetch_all(
            sql("SELECT d.id, d.channel_id FROM notify_delivery d
                 WHERE ((d.state = 'pending' AND d.next_at <= $1) OR (d.state = 'sending' AND d.lease_until <= $1))
                 AND (d.incident IS NULL OR NOT EXISTS (
                     SELECT 1 FROM notify_delivery e WHERE e.channel_id = d.channel_id
                     AND e.incident = d.incident AND e.message_id < d.message_id
                     AND e.state IN ('pending', 'sending')))
                 ORDER BY d.next_at, d.message_id, d.id LIMIT $2")
            .bind(now)
            .bind(limit),
        )
        .await?;
    rows.iter()
        .map(|row| {
            Ok(Due {
                id: row.parse("id")?,
                channel: row.parse("channel_id")?,
            })
        })
        .collect()
}

/// What a worker holds.
pub(crate) struct Claimed {
    pub(crate) id: DeliveryId,
    pub(crate) message: MessageId,
    pub(crate) attempts: i64,
    pub(crate) fence: i64,
}

/// Claims a delivery that is still due. The caller holds the channel's lock.
pub(crate) async fn claim(
    tx: &mut Tx,
    id: DeliveryId,
    holder: &str,
    now: UnixMicros,
    lease_until: UnixMicros,
) -> Result<Option<Claimed>> {
    let row = tx
        .fetch_optional(
            sql(
                "UPDATE notify_delivery SET state = 'sending', holder = $2, fence = fence + 1,
                 attempts = attempts + 1, lease_until = $4, updated_at = $3
                 WHERE id = $1 AND ((state = 'pending' AND next_at <= $3)
                 OR (state = 'sending' AND lease_until <= $3))
                 RETURNING id, message_id, attempts, fence",
            )
            .bind(id)
            .bind(holder)
            .bind(now)
            .bind(lease_until),
        )
        .await?;
    row.map(|row| {
        Ok(Claimed {
            id: row.parse("id")?,
            message: row.parse("message_id")?,
            attempts: row.int("attempts")?,
            fence: row.int("fence")?,
        })
    })
    .transpose()
}

/// The channel may not be used before `until`: what is due for it waits until then.
pub(crate) async fn postpone(tx: &mut Tx, channel: ChannelId, until: UnixMicros) -> Result<u64> {
    tx.execute(
        sql(
            "UPDATE notify_delivery SET next_at = $2 WHERE channel_id = $1 AND state = 'pending'
             AND next_at < $2",
        )
        .bind(channel)
        .bind(until),
    )
    .await
}

/// How an attempt ended.
pub(crate) struct Ended<'a> {
    pub(crate) state: DeliveryState,
    pub(crate) next_at: UnixMicros,
    pub(crate) status: Option<i64>,
    pub(crate) answer: &'a str,
    pub(crate) now: UnixMicros,
}

/// Writes how an attempt ended; 0 when another worker holds the delivery by now.
pub(crate) async fn end(tx: &mut Tx, id: DeliveryId, fence: i64, ended: &Ended<'_>) -> Result<u64> {
    let final_at = (ended.state != DeliveryState::Pending).then_some(ended.now);
    tx.execute(
        sql(
            "UPDATE notify_delivery SET state = $3, next_at = $4, status = $5, answer = $6, updated_at = $7,
             ended_at = $8, holder = NULL, lease_until = NULL
             WHERE id = $1 AND fence = $2 AND state = 'sending'",
        )
        .bind(id)
        .bind(fence)
        .bind(ended.state.as_str())
        .bind(ended.next_at)
        .bind(ended.status)
        .bind(ended.answer)
        .bind(ended.now)
        .bind(final_at),
    )
    .await
}

/// Gives up a delivery that nobody holds.
pub(crate) async fn give_up(
    tx: &mut Tx,
    id: DeliveryId,
    answer: &str,
    now: UnixMicros,
) -> Result<u64> {
    tx.execute(
        sql(
            "UPDATE notify_delivery SET state = 'dead', answer = $2, updated_at = $3, ended_at = $3,
             holder = NULL, lease_until = NULL WHERE id = $1 AND (state = 'pending'
             OR (state = 'sending' AND lease_until <= $3))",
        )
        .bind(id)
        .bind(answer)
        .bind(now),
    )
    .await
}

/// Gives up what waits for a channel that is not there any more.
pub(crate) async fn give_up_channel(
    tx: &mut Tx,
    channel: ChannelId,
    answer: &str,
    now: UnixMicros,
) -> Result<u64> {
    tx.execute(
        sql(
            "UPDATE notify_delivery SET state = 'dead', answer = $2, updated_at = $3, ended_at = $3
             WHERE channel_id = $1 AND state IN ('pending', 'held')",
        )
        .bind(channel)
        .bind(answer)
        .bind(now),
    )
    .await
}

/// Channels with held deliveries whose quiet hours are over.
pub(crate) async fn released(store: &Store, now: UnixMicros) -> Result<Vec<ChannelId>> {
    let rows = store
        .fetch_all(
            sql(
                "SELECT DISTINCT channel_id FROM notify_delivery WHERE state = 'held' AND next_at <= $1
                 LIMIT 100",
            )
            .bind(now),
        )
        .await?;
    rows.iter().map(|row| row.parse("channel_id")).collect()
}

/// What was held for a channel and may go now, oldest first.
pub(crate) async fn held(
    tx: &mut Tx,
    channel: ChannelId,
    now: UnixMicros,
    limit: i64,
) -> Result<Vec<Delivery>> {
    let rows = tx
        .fetch_all(
            sql(format!(
                "{WHOLE} WHERE d.channel_id = $1 AND d.state = 'held' AND d.next_at <= $2
                 ORDER BY d.message_id LIMIT $3"
            ))
            .bind(channel)
            .bind(now)
            .bind(limit),
        )
        .await?;
    rows.iter().map(delivery).collect()
}

/// Lets held deliveries go by themselves.
pub(crate) async fn release(tx: &mut Tx, channel: ChannelId, now: UnixMicros) -> Result<u64> {
    tx.execute(
        sql(
            "UPDATE notify_delivery SET state = 'pending', updated_at = $2
             WHERE channel_id = $1 AND state = 'held' AND next_at <= $2",
        )
        .bind(channel)
        .bind(now),
    )
    .await
}

/// Makes held deliveries part of a digest.
pub(crate) async fn fold(
    tx: &mut Tx,
    id: DeliveryId,
    digest: DeliveryId,
    now: UnixMicros,
) -> Result<u64> {
    tx.execute(
        sql(
            "UPDATE notify_delivery SET state = 'digested', digest_id = $2, updated_at = $3, ended_at = $3
             WHERE id = $1 AND state = 'held'",
        )
        .bind(id)
        .bind(digest)
        .bind(now),
    )
    .await
}

fn by_id(scope: TenantScope, id: DeliveryId) -> Sql {
    sql(format!(
        "{WHOLE} WHERE d.id = $2 AND ($1 = '*' OR d.tenant_id = $1)"
    ))
    .bind(scope)
    .bind(id)
}

pub(crate) async fn read_delivery(
    store: &Store,
    scope: TenantScope,
    id: DeliveryId,
) -> Result<Option<Delivery>> {
    let row = store.fetch_optional(by_id(scope, id)).await?;
    row.as_ref().map(delivery).transpose()
}

pub(crate) async fn find_delivery(
    tx: &mut Tx,
    scope: TenantScope,
    id: DeliveryId,
) -> Result<Option<Delivery>> {
    let row = tx.fetch_optional(by_id(scope, id)).await?;
    row.as_ref().map(delivery).transpose()
}

pub(crate) async fn list_deliveries(
    store: &Store,
    scope: TenantScope,
    filter: &DeliveryFilter,
    before: &str,
    limit: i64,
) -> Result<Vec<Delivery>> {
    let rows = store
        .fetch_all(
            sql(format!(
                "{WHOLE} WHERE ($1 = '*' OR d.tenant_id = $1) AND ($2 = '' OR d.state = $2)
                 AND ($3 = '' OR d.channel_id = $3) AND ($4 = '' OR d.message_id = $4)
                 AND ($5 = '' OR d.id < $5) ORDER BY d.id DESC LIMIT $6"
            ))
            .bind(scope)
            .bind(filter.state.map_or("", DeliveryState::as_str))
            .bind(filter.channel.as_deref().unwrap_or(""))
            .bind(filter.message.as_deref().unwrap_or(""))
            .bind(before)
            .bind(limit),
        )
        .await?;
    rows.iter().map(delivery).collect()
}

/// Puts a delivery back into the queue, from the first attempt.
pub(crate) async fn resend(
    tx: &mut Tx,
    id: DeliveryId,
    cause: &str,
    now: UnixMicros,
) -> Result<u64> {
    tx.execute(
        sql(
            "UPDATE notify_delivery SET state = 'pending', cause = $2, attempts = 0, next_at = $3,
             ended_at = NULL, digest_id = NULL, updated_at = $3
             WHERE id = $1 AND state IN ('dead', 'sent', 'held', 'digested')",
        )
        .bind(id)
        .bind(cause)
        .bind(now),
    )
    .await
}

/// How many deliveries are in a state, by channel kind, and since when the oldest of them waits.
pub(crate) struct Count {
    pub(crate) kind: ChannelKind,
    pub(crate) state: DeliveryState,
    pub(crate) count: i64,
    pub(crate) oldest: UnixMicros,
}

/// Counts of what has not ended well: everything but sent and digested.
pub(crate) async fn counts(store: &Store, scope: TenantScope) -> Result<Vec<Count>> {
    let rows = store
        .fetch_all(
            sql("SELECT kind, state, COUNT(*) AS deliveries, MIN(created_at) AS oldest FROM notify_delivery
                 WHERE ($1 = '*' OR tenant_id = $1) AND state IN ('pending', 'sending', 'held', 'dead')
                 GROUP BY kind, state ORDER BY kind, state")
            .bind(scope),
        )
        .await?;
    rows.iter()
        .map(|row| {
            Ok(Count {
                kind: row.parse("kind")?,
                state: row.parse("state")?,
                count: row.int("deliveries")?,
                oldest: row.micros("oldest")?,
            })
        })
        .collect()
}

/// Deletes deliveries that ended before `before`.
pub(crate) async fn prune_deliveries(store: &Store, before: UnixMicros) -> Result<u64> {
    store
        .execute(
            sql(
                "DELETE FROM notify_delivery WHERE ended_at < $1 AND state IN ('sent', 'digested', 'dead')",
            )
            .bind(before),
        )
        .await
}
