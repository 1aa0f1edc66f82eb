//! Notifications: told in the transaction of the change, sent until they arrive.
//!
//! A system enqueues a [`Message`] through [`Outbox`] in its own database transaction. Workers
//! ([`Deliverer`]) route it by [`Rule`]s to [`Channel`]s, one [`Delivery`] each, and send these at least once,
//! with an id that is the same at each attempt. [`NotifyService`] holds the use cases of people,
//! [`signature`] is Standard Webhooks for both sides.

// A Problem is made once for each refused request; boxing it would only burden every handler.
#![allow(clippy::result_large_err)]

pub mod api;
mod backoff;
pub mod cli;
mod digest;
mod error;
mod message;
mod model;
mod outbox;
pub mod pages;
mod quiet;
mod route;
mod send;
mod service;
pub mod signature;
mod store;
mod worker;

use sealwright_egress as egress;

pub use backoff::Backoff;
pub use error::NotifyError;
pub use message::{Audience, Fact, Message, MessageId, Phase, Severity};
pub use model::{
    Channel, ChannelId, ChannelKind, ChannelState, Delivery, DeliveryFilter, DeliveryId,
    DeliveryState, MailTls, Rule, RuleId, Scheme, StoredMessage, Target,
};
pub use outbox::{Notifier, Outbox, Unsent};
pub use quiet::{Day, Quiet, QuietError, WallTime};
pub use sealwright_egress::{Egress, EgressOptions, PrivateTargets};
pub use service::{
    ChannelChange, CreatedChannel, Given, NewChannel, NewRule, NewTarget, NotifyOptions,
    NotifyParts, NotifyService, Rotated, RuleChange, Waiting,
};
pub use worker::{Deliverer, Looked};

/// The tables of this crate.
pub const COMPONENT: sealwright_store::Component =
    sealwright_store::migrations!("notify", 1 => "0001_init", 2 => "0002_row_level_security");
