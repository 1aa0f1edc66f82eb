//! What others are asked for: as notifications, which channels of the kind webhook sign.

use async_trait::async_trait;
use sealwright_act::{Act, ActError, Done, Kind, Order};
use sealwright_notify::{Message, Notifier, Outbox as _, Phase, Severity};
use sealwright_store::Store;

use super::unknown;

const KINDS: &[Kind] = &[
    Kind {
        name: "require-mfa",
        about: "Asks for a second factor at the user's next sign-in",
        target: "user",
        undoable: true,
    },
    Kind {
        name: "require-justification",
        about: "Asks that the user's access be justified in writing",
        target: "user",
        undoable: true,
    },
    Kind {
        name: "notify-admin",
        about: "Tells those who run the installation",
        target: "alert",
        undoable: false,
    },
    Kind {
        name: "notify-tenant",
        about: "Tells the tenant",
        target: "alert",
        undoable: false,
    },
    Kind {
        name: "notify-dpo",
        about: "Tells those who answer for data protection",
        target: "alert",
        undoable: false,
    },
];

/// Asks and tells.
pub(crate) struct TellActs {
    pub(crate) store: Store,
    pub(crate) outbox: Notifier,
}

fn kind(order: &Order) -> Result<&'static Kind, ActError> {
    KINDS
        .iter()
        .find(|kind| kind.name == order.kind)
        .ok_or_else(|| unknown(order))
}

/// The topic that rules of notifications and receivers tell requests apart by.
fn topic(order: &Order) -> String {
    format!("siem.action.{}", order.kind)
}

fn message(kind: &Kind, order: &Order, phase: Phase) -> Message {
    let over = phase == Phase::Resolve;
    let title = if over {
        format!("No longer asked: {} ({})", kind.about, order.target)
    } else {
        format!("{}: {}", kind.about, order.target)
    };
    let severity = match order.kind.as_str() {
        "notify-tenant" => Severity::Warning,
        _ => Severity::Error,
    };
    let message = Message::new(&topic(order), severity, &title)
        .field("Action", &order.kind)
        .field("Target", &order.target)
        .field("Because of", &order.reason)
        .field("Order", &order.id)
        .incident(&order.id, phase)
        .once(&format!("{} {}", order.id, phase.as_str()));
    let message = match order.reason.strip_prefix("alert ") {
        Some(alert) => message.link(&format!("/console/siem/alerts/{alert}")),
        None => message,
    };
    if order.kind == "notify-tenant" {
        message.for_tenant(order.tenant)
    } else {
        message.about(order.tenant)
    }
}

impl TellActs {
    async fn send(&self, message: &Message) -> Result<String, ActError> {
        let failed = |error: sealwright_store::StoreError| ActError::Failed(error.to_string());
        let mut tx = self.store.begin().await.map_err(failed)?;
        let id = self
            .outbox
            .enqueue(&mut tx, message)
            .await
            .map_err(failed)?;
        tx.commit().await.map_err(failed)?;
        self.outbox.nudge();
        Ok(id.to_string())
    }
}

#[async_trait]
impl Act for TellActs {
    fn kinds(&self) -> &'static [Kind] {
        KINDS
    }

    async fn look(&self, order: &Order) -> Result<String, ActError> {
        kind(order)?;
        Ok(format!("send a notification of the topic {}", topic(order)))
    }

    async fn act(&self, order: &Order) -> Result<Done, ActError> {
        let kind = kind(order)?;
        let id = self.send(&message(kind, order, Phase::Trigger)).await?;
        Ok(Done {
            detail: format!("sent as {id}, topic {}", topic(order)),
            undo: kind.undoable.then_some(id),
        })
    }

    async fn undo(&self, order: &Order, _undo: &str) -> Result<String, ActError> {
        let kind = kind(order)?;
        let id = self.send(&message(kind, order, Phase::Resolve)).await?;
        Ok(format!("said that it is no longer asked, as {id}"))
    }
}
