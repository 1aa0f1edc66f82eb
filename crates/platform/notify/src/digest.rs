//! What quiet hours held, told afterwards.

use sealwright_core::UnixMicros;

use crate::error::NotifyError;
use crate::message::{Message, Severity};
use crate::model::{Channel, ChannelId, ChannelState, Delivery, DeliveryId, DeliveryState};
use crate::service::NotifyService;
use crate::store::{self, NewDelivery};

/// Deliveries in one digest; more make another one.
const MOST: i64 = 200;
/// Lines of a digest; what is left out is counted.
const LINES: usize = 60;

/// Lets the held deliveries of a channel go whose time has come: several to people in one digest, everything
/// else by itself. How many went.
pub(crate) async fn release(
    service: &NotifyService,
    id: ChannelId,
    now: UnixMicros,
) -> Result<u64, NotifyError> {
    let mut tx = service.store.begin().await?;
    let Some(gate) = store::gate(&mut tx, id).await? else {
        return Ok(0);
    };
    let channel = gate.channel;
    let held = store::held(&mut tx, id, now, MOST).await?;
    if held.len() < 2 || !channel.target.kind().digests() || channel.state != ChannelState::Active {
        let released = store::release(&mut tx, id, now).await?;
        tx.commit().await?;
        return Ok(released);
    }
    let mut message = message(&channel, &held);
    message.tenant = channel.tenant_id;
    let message_id = store::enqueue(&mut tx, &message, now).await?;
    store::mark_routed(&mut tx, message_id, 1, now).await?;
    let digest = DeliveryId::new(now);
    let delivery = NewDelivery {
        id: digest,
        message: message_id,
        channel: id,
        tenant: channel.tenant_id,
        kind: channel.target.kind(),
        incident: None,
        state: DeliveryState::Pending,
        cause: "digest",
        next_at: now,
        now,
    };
    store::insert_delivery(&mut tx, &delivery).await?;
    let mut folded = 0;
    for one in &held {
        folded += store::fold(&mut tx, one.id, digest, now).await?;
    }
    tx.commit().await?;
    Ok(folded)
}

fn message(channel: &Channel, held: &[Delivery]) -> Message {
    let worst = held
        .iter()
        .map(|d| d.severity)
        .max()
        .unwrap_or(Severity::Info);
    let title = format!("{} notifications from quiet hours", held.len());
    let mut body = String::new();
    // The worst first; within a severity in the order in which they came.
    let mut sorted: Vec<&Delivery> = held.iter().collect();
    sorted.sort_by_key(|d| std::cmp::Reverse(d.severity));
    for one in sorted.iter().take(LINES) {
        let at = one.created_at.timestamp().strftime("%Y-%m-%d %H:%MZ");
        body.push_str(&format!("{at} {}: {}\n", one.severity, one.title));
    }
    if held.len() > LINES {
        body.push_str(&format!("and {} more\n", held.len() - LINES));
    }
    let mut message = Message::new("notify.digest", worst, &title)
        .body(&body)
        .link("/console/notify/deliveries?state=digested");
    for severity in Severity::ALL.into_iter().rev() {
        let count = held.iter().filter(|d| d.severity == severity).count();
        if count > 0 {
            message = message.field(severity.as_str(), count);
        }
    }
    message.field("Channel", &channel.name)
}
