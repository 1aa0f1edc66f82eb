//! Messages.

use sealwright_core::{TenantScope, UnixMicros};
use sealwright_store::{Row, Store, Tx, sql};

use super::{Result, json, opt_parse, severity, to_json};
use crate::message::{Message, MessageId};
use crate::model::StoredMessage;

pub(super) fn message(row: &Row) -> Result<StoredMessage> {
    Ok(StoredMessage {
        id: row.parse("id")?,
        tenant_id: opt_parse(row, "tenant_id")?,
        audience: row.parse("audience")?,
        topic: row.text("topic")?,
        severity: severity(row)?,
        incident: row.opt_text("incident")?,
        phase: row.parse("phase")?,
        title: row.text("title")?,
        body: row.text("body")?,
        fields: json(row, "fields")?,
        link: row.opt_text("link")?,
        deliveries: row.opt_int("deliveries")?,
        created_at: row.micros("created_at")?,
    })
}

/// Puts a message into the outbox, unless one with its `once` is there; the id of the one that is there then.
pub(crate) async fn enqueue(tx: &mut Tx, new: &Message, now: UnixMicros) -> Result<MessageId> {
    let id = MessageId::new(now);
    let once = new.once_key();
    let inserted = tx
        .execute(
            sql(
                "INSERT INTO notify_message (id, tenant_id, audience, once, topic, severity, incident, phase,
                 title, body, fields, link, created_at)
                 VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10, $11, $12, $13)
                 ON CONFLICT (once) DO NOTHING",
            )
            .bind(id)
            .bind(new.tenant)
            .bind(new.audience.as_str())
            .bind(once.as_deref())
            .bind(new.topic.as_str())
            .bind(new.severity.rank())
            .bind(new.incident_key())
            .bind(new.phase.as_str())
            .bind(new.title.as_str())
            .bind(new.body.as_str())
            .bind(to_json(&new.fields))
            .bind(new.link.as_deref())
            .bind(now),
        )
        .await?;
    if inserted == 1 {
        return Ok(id);
    }
    tx.fetch_one(sql("SELECT id FROM notify_message WHERE once = $1").bind(once))
        .await?
        .parse("id")
}

/// Messages that no worker has routed, in the order of their ids.
pub(crate) async fn unrouted(store: &Store, limit: i64) -> Result<Vec<StoredMessage>> {
    let rows = store
        .fetch_all(
            sql("SELECT * FROM notify_message WHERE routed_at IS NULL ORDER BY id LIMIT $1")
                .bind(limit),
        )
        .await?;
    rows.iter().map(message).collect()
}

/// Marks a message as routed; 0 when another worker was first.
pub(crate) async fn mark_routed(
    tx: &mut Tx,
    id: MessageId,
    deliveries: i64,
    now: UnixMicros,
) -> Result<u64> {
    tx.execute(
        sql("UPDATE notify_message SET routed_at = $2, deliveries = $3 WHERE id = $1 AND routed_at IS NULL")
            .bind(id)
            .bind(now)
            .bind(deliveries),
    )
    .await
}

pub(crate) async fn read_message(store: &Store, id: MessageId) -> Result<Option<StoredMessage>> {
    let row = store
        .fetch_optional(sql("SELECT * FROM notify_message WHERE id = $1").bind(id))
        .await?;
    row.as_ref().map(message).transpose()
}

/// Messages, newest first: for staff all, for a tenant those that are about it and meant for it.
pub(crate) async fn list_messages(
    store: &Store,
    scope: TenantScope,
    unmatched: bool,
    before: &str,
    limit: i64,
) -> Result<Vec<StoredMessage>> {
    let rows = store
        .fetch_all(
            sql("SELECT * FROM notify_message
                 WHERE ($1 = '*' OR (tenant_id = $1 AND audience = 'tenant'))
                 AND ($2 = 0 OR deliveries = 0) AND ($3 = '' OR id < $3)
                 ORDER BY id DESC LIMIT $4")
            .bind(scope)
            .bind(unmatched)
            .bind(before)
            .bind(limit),
        )
        .await?;
    rows.iter().map(message).collect()
}

/// Deletes messages that were enqueued before `before` and have no delivery left.
pub(crate) async fn prune_messages(store: &Store, before: UnixMicros) -> Result<u64> {
    store
        .execute(
            sql(
                "DELETE FROM notify_message WHERE created_at < $1 AND routed_at IS NOT NULL AND NOT EXISTS
                 (SELECT 1 FROM notify_delivery d WHERE d.message_id = notify_message.id)",
            )
            .bind(before),
        )
        .await
}
