//! Deliveries and messages: looked at, resent.

use sealwright_access::{Actor, Principal};
use sealwright_core::Page;
use serde::Serialize;
use utoipa::ToSchema;

use super::{NotifyService, Result, cut, not_found, page};
use crate::error::NotifyError;
use crate::model::{
    ChannelKind, Delivery, DeliveryFilter, DeliveryId, DeliveryState, StoredMessage, opt_time,
};
use crate::store;
use sealwright_core::UnixMicros;

/// How many deliveries of a kind of channel are in a state.
#[derive(Debug, Clone, PartialEq, Serialize, ToSchema)]
pub struct Waiting {
    /// The kind of channel.
    pub kind: ChannelKind,
    /// The state: pending, sending, held or dead.
    pub state: DeliveryState,
    /// How many.
    pub count: i64,
    /// Since when the oldest of them is there.
    #[serde(serialize_with = "opt_time")]
    #[schema(value_type = Option<String>, format = DateTime)]
    pub oldest: Option<UnixMicros>,
}

fn delivery_id(text: &str) -> Result<DeliveryId> {
    text.parse().map_err(|_| not_found("delivery", text))
}

impl NotifyService {
    /// Deliveries over the channels in the caller's scope, newest first.
    ///
    /// # Errors
    /// [`NotifyError::Invalid`] for a bad cursor.
    pub async fn deliveries(
        &self,
        by: &Principal,
        filter: &DeliveryFilter,
    ) -> Result<Page<Delivery>> {
        self.read(by)?;
        let (rows, before) = page(filter.limit, filter.cursor.as_deref())?;
        let items =
            store::list_deliveries(&self.store, by.tenants, filter, &before, rows as i64 + 1)
                .await?;
        Ok(cut(items, rows, |delivery| delivery.id.to_string()))
    }

    /// One delivery.
    ///
    /// # Errors
    /// [`NotifyError::NotFound`].
    pub async fn delivery(&self, by: &Principal, id: &str) -> Result<Delivery> {
        self.read(by)?;
        store::read_delivery(&self.store, by.tenants, delivery_id(id)?)
            .await?
            .ok_or_else(|| not_found("delivery", id))
    }

    /// The message of a delivery in the caller's scope.
    ///
    /// # Errors
    /// [`NotifyError::NotFound`].
    pub async fn message_of(&self, by: &Principal, delivery: &Delivery) -> Result<StoredMessage> {
        self.read(by)?;
        store::read_message(&self.store, delivery.message_id)
            .await?
            .ok_or_else(|| not_found("message", &delivery.message_id.to_string()))
    }

    /// Messages, newest first; with `unmatched` those that no rule matched. A tenant sees what is about it
    /// and meant for it.
    ///
    /// # Errors
    /// [`NotifyError::Invalid`] for a bad cursor.
    pub async fn messages(
        &self,
        by: &Principal,
        unmatched: bool,
        cursor: Option<&str>,
        limit: Option<u32>,
    ) -> Result<Page<StoredMessage>> {
        self.read(by)?;
        let (rows, before) = page(limit, cursor)?;
        let items =
            store::list_messages(&self.store, by.tenants, unmatched, &before, rows as i64 + 1)
                .await?;
        Ok(cut(items, rows, |message| message.id.to_string()))
    }

    /// What waits, is held or was given up, by kind of channel.
    ///
    /// # Errors
    /// [`NotifyError::Refused`].
    pub async fn waiting(&self, by: &Principal) -> Result<Vec<Waiting>> {
        self.read(by)?;
        let counts = store::counts(&self.store, by.tenants).await?;
        Ok(counts
            .into_iter()
            .map(|count| Waiting {
                kind: count.kind,
                state: count.state,
                count: count.count,
                oldest: Some(count.oldest),
            })
            .collect())
    }

    /// Sends a delivery again, under the same id: one that was given up, one that is held (now instead of
    /// after the quiet hours), or one that was sent and did not reach people.
    ///
    /// # Errors
    /// [`NotifyError::Conflict`] for one that waits already.
    pub async fn resend(&self, by: &Principal, id: &str) -> Result<Delivery> {
        self.write(by)?;
        let now = self.clock.now();
        let mut tx = self.store.begin().await?;
        let before = store::find_delivery(&mut tx, by.tenants, delivery_id(id)?)
            .await?
            .ok_or_else(|| not_found("delivery", id))?;
        let cause = crate::message::line(&format!("resent by {}", by.name), 200);
        if store::resend(&mut tx, before.id, &cause, now).await? == 0 {
            return Err(NotifyError::Conflict(format!(
                "the delivery is {} and will be tried by itself",
                before.state
            )));
        }
        let after = store::find_delivery(&mut tx, by.tenants, before.id).await?;
        let tenant = store::find_channel(&mut tx, by.tenants, before.channel_id)
            .await?
            .and_then(|channel| channel.tenant_id);
        self.record(
            &mut tx,
            Actor::from(by),
            "notify.delivery.resend",
            tenant,
            before.id.to_string(),
            (Some(&before), after.as_ref()),
        )
        .await?;
        tx.commit().await?;
        self.notifier.nudge();
        after.ok_or_else(|| not_found("delivery", id))
    }
}
