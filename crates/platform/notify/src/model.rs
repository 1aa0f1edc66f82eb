//! Channels, rules and deliveries.

use std::collections::BTreeMap;
use std::fmt;
use std::str::FromStr;

use sealwright_core::{Id, IdKind, TenantId, UnixMicros};
use secrecy::{ExposeSecret as _, SecretString};
use serde::{Deserialize, Serialize, Serializer};
use utoipa::ToSchema;

use crate::message::{Audience, Fact, MessageId, Phase, Severity};
use crate::quiet::Quiet;

macro_rules! id {
    ($(#[$doc:meta])* $name:ident, $kind:ident, $prefix:literal) => {
        #[doc = concat!("The kind of [`", stringify!($name), "`].")]
        #[derive(Debug)]
        pub enum $kind {}
        impl IdKind for $kind {
            const PREFIX: &'static str = $prefix;
        }
        $(#[$doc])*
        pub type $name = Id<$kind>;
    };
}

id!(
    /// Where notifications go.
    ChannelId, ChannelIdKind, "nch"
);
id!(
    /// Which messages go where.
    RuleId, RuleIdKind, "nru"
);
id!(
    /// One message to one channel; also what receivers know a delivery by, the same at each attempt.
    DeliveryId, DeliveryIdKind, "dlv"
);

macro_rules! words {
    ($(#[$doc:meta])* $name:ident { $($(#[$item:meta])* $variant:ident = $text:literal,)* }) => {
        $(#[$doc])*
        #[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize, ToSchema, clap::ValueEnum)]
        #[serde(rename_all = "lowercase")]
        pub enum $name { $($(#[$item])* $variant,)* }

        impl $name {
            /// All of them.
            pub const ALL: &'static [Self] = &[$(Self::$variant),*];

            /// The name.
            pub const fn as_str(self) -> &'static str {
                match self { $(Self::$variant => $text,)* }
            }
        }

        impl fmt::Display for $name {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str(self.as_str())
            }
        }

        impl FromStr for $name {
            type Err = String;
            fn from_str(text: &str) -> Result<Self, String> {
                Self::ALL.iter().copied().find(|item| item.as_str() == text).ok_or_else(|| {
                    let all: Vec<_> = Self::ALL.iter().map(|item| item.as_str()).collect();
                    format!("`{text}` is not one of {}", all.join(", "))
                })
            }
        }
    };
}

words! {
    /// What is at a channel's other end.
    ChannelKind {
        /// A Slack incoming webhook.
        Slack = "slack",
        /// PagerDuty, by its Events API v2.
        Pagerduty = "pagerduty",
        /// Mailboxes, by SMTP.
        Email = "email",
        /// Issues of a GitHub repository.
        Github = "github",
        /// A program, by Standard Webhooks.
        Webhook = "webhook",
    }
}

impl ChannelKind {
    /// Whether what was held back in quiet hours is sent as one digest afterwards. PagerDuty, issues and
    /// programs get each message by itself: their state follows from the single messages.
    pub const fn digests(self) -> bool {
        matches!(self, Self::Slack | Self::Email)
    }
}

words! {
    /// Whether a channel takes deliveries.
    ChannelState {
        /// It does.
        Active = "active",
        /// Switched off, by a person or because the other side said that it is gone.
        Disabled = "disabled",
        /// Deleted; kept without secrets for the deliveries that name it.
        Deleted = "deleted",
    }
}

words! {
    /// Where a delivery is.
    DeliveryState {
        /// Waits for its time and a worker.
        Pending = "pending",
        /// A worker holds it.
        Sending = "sending",
        /// Held back by quiet hours.
        Held = "held",
        /// Accepted by the other side.
        Sent = "sent",
        /// Part of a digest, which is a delivery of its own.
        Digested = "digested",
        /// Given up: refused, or all attempts used. It can be resent.
        Dead = "dead",
    }
}

words! {
    /// How a webhook is signed (Standard Webhooks, "Signature scheme").
    Scheme {
        /// HMAC-SHA256 with a shared secret (`whsec_`).
        V1 = "v1",
        /// Ed25519; the receiver has only the public key (`whpk_`).
        V1a = "v1a",
    }
}

words! {
    /// How mail is protected on the way to the relay.
    MailTls {
        /// STARTTLS, required: usually port 587.
        Starttls = "starttls",
        /// TLS from the first byte: usually port 465.
        Tls = "tls",
        /// None: for a relay on this machine.
        None = "none",
    }
}

/// What a channel is, without its secrets.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
#[serde(tag = "kind", rename_all = "lowercase")]
pub enum Target {
    /// A Slack incoming webhook; its address is the secret.
    Slack {
        /// The host of the address.
        host: String,
    },
    /// PagerDuty; the routing key is the secret.
    Pagerduty {
        /// Where events are sent: `https://events.pagerduty.com` or `https://events.eu.pagerduty.com`.
        events_url: String,
    },
    /// Mailboxes.
    Email {
        /// The relay's name.
        host: String,
        /// Its port.
        port: u16,
        /// How the way to it is protected.
        tls: MailTls,
        /// The account there; the password is the secret.
        username: Option<String>,
        /// The sender, `Name <address>` or an address.
        from: String,
        /// The recipients.
        to: Vec<String>,
    },
    /// Issues; the token is the secret.
    Github {
        /// `owner/name`.
        repository: String,
        /// Labels beside `sealwright`, which every issue gets.
        labels: Vec<String>,
        /// `https://api.github.com`, or that of an enterprise server.
        api_url: String,
    },
    /// A program; its address and the signing secrets are secret.
    Webhook {
        /// Scheme, host and path of the address: what follows may be a token.
        shown: String,
        /// How it is signed.
        signature: Scheme,
        /// The public key of `v1a` (`whpk_…`), for the receiver.
        public_key: Option<String>,
        /// Until when the secret before this one signs too (microseconds).
        previous_until: Option<i64>,
    },
}

impl Target {
    /// What is at the other end.
    pub const fn kind(&self) -> ChannelKind {
        match self {
            Self::Slack { .. } => ChannelKind::Slack,
            Self::Pagerduty { .. } => ChannelKind::Pagerduty,
            Self::Email { .. } => ChannelKind::Email,
            Self::Github { .. } => ChannelKind::Github,
            Self::Webhook { .. } => ChannelKind::Webhook,
        }
    }

    /// Where it goes, in a few words, without secrets.
    pub fn shown(&self) -> String {
        match self {
            Self::Slack { host } => host.clone(),
            Self::Pagerduty { events_url } => events_url.clone(),
            Self::Email { to, .. } => to.join(", "),
            Self::Github { repository, .. } => repository.clone(),
            Self::Webhook { shown, .. } => shown.clone(),
        }
    }
}

/// The secrets of a channel, by name. Never shown, never serialised except for sealing.
#[derive(Clone, Default)]
pub(crate) struct Secrets(pub(crate) BTreeMap<String, SecretString>);

impl fmt::Debug for Secrets {
    /// Names only.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_set().entries(self.0.keys()).finish()
    }
}

impl Secrets {
    pub(crate) fn get(&self, name: &str) -> Option<&str> {
        self.0.get(name).map(|value| value.expose_secret())
    }

    pub(crate) fn put(&mut self, name: &str, value: SecretString) {
        self.0.insert(name.to_owned(), value);
    }

    /// `text` with every secret in it replaced: for what other sides answer. Of an address the parts that
    /// may be tokens are looked for one by one, since other sides repeat a path or a query.
    pub(crate) fn scrub(&self, text: &str) -> String {
        let mut clean = text.to_owned();
        for value in self.0.values().map(|value| value.expose_secret()) {
            let mut parts = vec![value];
            match value.split_once("://") {
                Some((_, rest)) => {
                    let after_host = rest.split_once('/').map_or("", |(_, path)| path);
                    parts.extend(after_host.split(['/', '?', '&', '=', '#']));
                }
                None => parts.extend(value.split_once('_').map(|(_, key)| key)),
            }
            // What is short is no secret, and is part of other words.
            for part in parts.into_iter().filter(|part| part.len() >= 6) {
                clean = clean.replace(part, "[secret]");
            }
        }
        clean
    }
}

#[allow(clippy::trivially_copy_pass_by_ref)]
pub(crate) fn time<S: Serializer>(t: &UnixMicros, s: S) -> Result<S::Ok, S::Error> {
    s.collect_str(t)
}

#[allow(clippy::ref_option)]
pub(crate) fn opt_time<S: Serializer>(t: &Option<UnixMicros>, s: S) -> Result<S::Ok, S::Error> {
    match t {
        Some(t) => s.collect_str(t),
        None => s.serialize_none(),
    }
}

/// Where notifications go.
#[derive(Debug, Clone, PartialEq, Serialize, ToSchema)]
pub struct Channel {
    /// `nch_…`.
    #[schema(value_type = String)]
    pub id: ChannelId,
    /// Whose it is; absent for a channel of the installation.
    #[schema(value_type = Option<String>)]
    pub tenant_id: Option<TenantId>,
    /// A name for people.
    pub name: String,
    /// What it is, without its secrets.
    pub target: Target,
    /// When it is not to be disturbed.
    pub quiet: Option<Quiet>,
    /// Deliveries per minute at most, evenly spaced.
    pub per_minute: Option<u32>,
    /// Whether it takes deliveries.
    pub state: ChannelState,
    /// Why it is not active.
    pub state_reason: String,
    /// The other side asked to wait until then.
    #[serde(serialize_with = "opt_time")]
    #[schema(value_type = Option<String>, format = DateTime)]
    pub blocked_until: Option<UnixMicros>,
    /// Grows with each change; the `ETag`.
    pub version: i64,
    /// When it was made.
    #[serde(serialize_with = "time")]
    #[schema(value_type = String, format = DateTime)]
    pub created_at: UnixMicros,
    /// When it was last changed.
    #[serde(serialize_with = "time")]
    #[schema(value_type = String, format = DateTime)]
    pub updated_at: UnixMicros,
    /// The sealed secrets.
    #[serde(skip)]
    pub(crate) sealed: String,
}

/// Which messages go where. A message goes to each channel of each rule that matches it, once a channel.
#[derive(Debug, Clone, PartialEq, Serialize, ToSchema)]
pub struct Rule {
    /// `nru_…`.
    #[schema(value_type = String)]
    pub id: RuleId,
    /// Whose it is; absent for a rule of the installation. A tenant's rule meets only messages about the
    /// tenant that are meant for it.
    #[schema(value_type = Option<String>)]
    pub tenant_id: Option<TenantId>,
    /// A name for people.
    pub name: String,
    /// `billing.budget`, `billing.*` for all that begins so, or `*`.
    pub topic: String,
    /// From this severity on.
    pub severity: Severity,
    /// Only messages about this tenant.
    #[schema(value_type = Option<String>)]
    pub about_tenant: Option<TenantId>,
    /// Where to.
    #[schema(value_type = Vec<String>)]
    pub channels: Vec<ChannelId>,
    /// Whether it is looked at.
    pub enabled: bool,
    /// Grows with each change.
    pub version: i64,
    /// When it was made.
    #[serde(serialize_with = "time")]
    #[schema(value_type = String, format = DateTime)]
    pub created_at: UnixMicros,
    /// When it was last changed.
    #[serde(serialize_with = "time")]
    #[schema(value_type = String, format = DateTime)]
    pub updated_at: UnixMicros,
}

/// A message as it was enqueued.
#[derive(Debug, Clone, PartialEq, Serialize, ToSchema)]
pub struct StoredMessage {
    /// `msg_…`.
    #[schema(value_type = String)]
    pub id: MessageId,
    /// Which tenant it is about.
    #[schema(value_type = Option<String>)]
    pub tenant_id: Option<TenantId>,
    /// Whose rules it meets.
    pub audience: Audience,
    /// What it is about, dotted.
    pub topic: String,
    /// How bad it is.
    pub severity: Severity,
    /// The incident that it belongs to.
    pub incident: Option<String>,
    /// Where the incident is.
    pub phase: Phase,
    /// One line.
    pub title: String,
    /// Plain text.
    pub body: String,
    /// Named facts.
    pub fields: Vec<Fact>,
    /// Where to look.
    pub link: Option<String>,
    /// How many channels it went to; absent until it was routed. 0: no rule matched.
    pub deliveries: Option<i64>,
    /// When it was enqueued.
    #[serde(serialize_with = "time")]
    #[schema(value_type = String, format = DateTime)]
    pub created_at: UnixMicros,
}

/// One message to one channel.
#[derive(Debug, Clone, PartialEq, Serialize, ToSchema)]
pub struct Delivery {
    /// `dlv_…`, the same at each attempt: `webhook-id`, `Message-ID`, the marker in issues.
    #[schema(value_type = String)]
    pub id: DeliveryId,
    /// The message.
    #[schema(value_type = String)]
    pub message_id: MessageId,
    /// Its topic.
    pub topic: String,
    /// Its severity.
    pub severity: Severity,
    /// Its title.
    pub title: String,
    /// Where it goes.
    #[schema(value_type = String)]
    pub channel_id: ChannelId,
    /// The channel's name.
    pub channel: String,
    /// The channel's kind.
    pub kind: ChannelKind,
    /// Where it is.
    pub state: DeliveryState,
    /// `rule`, `test`, `digest`, or who asked for it to be resent.
    pub cause: String,
    /// Attempts begun since it was queued or resent.
    pub attempts: i64,
    /// When it is tried next; for one that is held, when quiet hours end.
    #[serde(serialize_with = "opt_time")]
    #[schema(value_type = Option<String>, format = DateTime)]
    pub next_at: Option<UnixMicros>,
    /// The other side's last status: of HTTP, or of SMTP.
    pub status: Option<i64>,
    /// The other side's last answer, or what went wrong on the way; at most 500 characters.
    pub answer: Option<String>,
    /// The digest that it became part of.
    pub digest_id: Option<String>,
    /// When the message was routed to the channel.
    #[serde(serialize_with = "time")]
    #[schema(value_type = String, format = DateTime)]
    pub created_at: UnixMicros,
    /// When it was sent or given up.
    #[serde(serialize_with = "opt_time")]
    #[schema(value_type = Option<String>, format = DateTime)]
    pub ended_at: Option<UnixMicros>,
}

/// Which deliveries, newest first.
#[derive(Debug, Clone, Default)]
pub struct DeliveryFilter {
    /// In this state.
    pub state: Option<DeliveryState>,
    /// Of this channel.
    pub channel: Option<String>,
    /// Of this message.
    pub message: Option<String>,
    /// The cursor of the page before.
    pub cursor: Option<String>,
    /// Rows, 1 to 500; 50 when absent.
    pub limit: Option<u32>,
}
