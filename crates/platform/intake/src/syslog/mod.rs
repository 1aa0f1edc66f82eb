//! Syslog: messages of RFC 5424 and RFC 3164 over TCP (RFC 6587: octet counting, or one a line) and UDP
//! (RFC 5426), each as an event of the tenant to whom the listener belongs.
//!
//! Syslog knows no acknowledgement. What a connection has sent is read no further until what was read before
//! is durable, so a log that cannot be written holds the senders back instead of losing their messages; a
//! datagram that cannot be kept is counted and lost, as UDP has it.

mod frame;
mod listen;

use std::net::SocketAddr;
use std::str::FromStr;
use std::sync::Arc;

use sealwright_cloudevents::{Draft, segment};
use sealwright_core::{TenantId, UnixMicros};
use sealwright_ecs::input::syslog;
use serde_json::json;

use crate::intake::{Intake, Item};
use crate::log::AppendError;
use crate::receipt::ResultStatus;
use crate::record_id::RecordId;
use crate::sender::{Quota, Quotas, TenantDirectory};

pub use frame::{Framed, Frames};
pub use listen::{Bound, Running};

/// The type of the events.
pub const EVENT_TYPE: &str = "syslog.message";

/// How messages come.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Transport {
    /// Connections.
    Tcp,
    /// Datagrams.
    Udp,
}

/// Where messages are taken, and for whom: `tcp:127.0.0.1:5514=acme`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Listener {
    /// How they come.
    pub transport: Transport,
    /// The address and port.
    pub address: SocketAddr,
    /// The tenant, by slug or id.
    pub tenant: String,
}

impl FromStr for Listener {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        let wrong = |why: &str| {
            format!("`{text}`: {why}; write tcp:127.0.0.1:5514=TENANT or udp:127.0.0.1:5514=TENANT")
        };
        let (place, tenant) = text
            .rsplit_once('=')
            .ok_or_else(|| wrong("it names no tenant"))?;
        let (transport, address) = place
            .split_once(':')
            .ok_or_else(|| wrong("it says neither tcp nor udp"))?;
        let transport = match transport.trim() {
            "tcp" => Transport::Tcp,
            "udp" => Transport::Udp,
            _ => return Err(wrong("it says neither tcp nor udp")),
        };
        let tenant = tenant.trim();
        if tenant.is_empty() {
            return Err(wrong("it names no tenant"));
        }
        Ok(Self {
            transport,
            address: address
                .trim()
                .parse()
                .map_err(|_| wrong("there is no address and port"))?,
            tenant: tenant.to_owned(),
        })
    }
}

/// Reads listeners that are separated by commas.
///
/// # Errors
/// What is wrong with one of them.
pub fn listeners(text: &str) -> Result<Vec<Listener>, String> {
    text.split(',')
        .map(str::trim)
        .filter(|part| !part.is_empty())
        .map(str::parse)
        .collect()
}

/// Bounds of what is taken.
#[derive(Debug, Clone, Copy)]
pub struct SyslogLimits {
    /// Bytes of a message; what is longer is cut there.
    pub message_bytes: usize,
    /// Connections of a listener; further ones are closed at once.
    pub connections: usize,
    /// A connection that sends nothing for so long is closed.
    pub idle: std::time::Duration,
}

impl Default for SyslogLimits {
    /// 64 KiB a message, 256 connections, an hour.
    fn default() -> Self {
        Self {
            message_bytes: 64 << 10,
            connections: 256,
            idle: std::time::Duration::from_secs(3_600),
        }
    }
}

/// Where messages go.
#[derive(Clone)]
pub struct SyslogParts {
    /// The intake.
    pub intake: Intake,
    /// For whom.
    pub tenants: Arc<dyn TenantDirectory>,
    /// How much.
    pub quotas: Arc<dyn Quotas>,
    /// Bounds.
    pub limits: SyslogLimits,
}

impl std::fmt::Debug for SyslogParts {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("SyslogParts").finish_non_exhaustive()
    }
}

/// Why messages could not be kept now.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Later {
    /// The tenant is over its quota.
    Quota(u64),
    /// The tenant takes no events.
    Tenant,
    /// More of the tenant's events wait than are let in.
    Behind,
    /// The log cannot be written.
    Log,
}

impl From<AppendError> for Later {
    fn from(error: AppendError) -> Self {
        match error {
            AppendError::Later => Self::Behind,
            AppendError::DiskFull | AppendError::Unavailable(_) => Self::Log,
        }
    }
}

impl Later {
    fn reason(self) -> &'static str {
        match self {
            Self::Quota(_) => "quota",
            Self::Tenant => "tenant",
            Self::Behind => "behind",
            Self::Log => "log",
        }
    }

    /// How long to wait before the next attempt, in seconds.
    fn seconds(self) -> u64 {
        match self {
            Self::Quota(seconds) => seconds.clamp(1, 60),
            Self::Tenant => 5,
            Self::Behind | Self::Log => 1,
        }
    }
}

fn lost(reason: &'static str, count: u64) {
    metrics::counter!("sealwright_intake_syslog_lost_total", "reason" => reason).increment(count);
}

impl SyslogParts {
    /// Keeps the first messages of a tenant, as many as its quota allows: returns how many they were when they
    /// are durable.
    pub(crate) async fn keep(&self, tenant: &str, messages: &[Framed]) -> Result<usize, Later> {
        let found = self.tenants.resolve(tenant).await;
        let tenant = found.ok().flatten().ok_or(Later::Tenant)?;
        let messages = self.allowed(tenant, messages).await?;
        let now = self.intake.now();
        let mut items = Vec::with_capacity(messages.len());
        for message in messages {
            match self.event(tenant, message, now) {
                Some(item) => items.push(item),
                None => lost("unreadable", 1),
            }
        }
        while !items.is_empty() {
            let receipt = self.intake.accept(items.clone()).await?;
            if receipt.stored {
                break;
            }
            // What is refused is refused however often it is tried: the rest is kept.
            let before = items.len();
            let mut results = receipt.results.iter();
            items.retain(|_| {
                results.next().is_some_and(|result| {
                    !matches!(
                        result.status,
                        ResultStatus::Rejected | ResultStatus::Conflict
                    )
                })
            });
            lost("refused", (before - items.len()) as u64);
            if before == items.len() {
                return Err(Later::Log);
            }
        }
        metrics::counter!("sealwright_intake_syslog_messages_total")
            .increment(messages.len() as u64);
        Ok(messages.len())
    }

    async fn allowed<'m>(
        &self,
        tenant: TenantId,
        messages: &'m [Framed],
    ) -> Result<&'m [Framed], Later> {
        let mut messages = messages;
        loop {
            let state = match self.quotas.count(tenant, messages.len() as u64).await {
                Ok(Quota::Unlimited | Quota::Within(_)) => return Ok(messages),
                Ok(Quota::Exceeded(state)) => state,
                Err(_) => return Err(Later::Quota(1)),
            };
            // Fewer each time, as somebody else may take from the same quota.
            let fewer = usize::try_from(state.remaining).unwrap_or(usize::MAX);
            match messages.get(..fewer.min(messages.len().saturating_sub(1))) {
                Some(some) if !some.is_empty() => messages = some,
                _ => return Err(Later::Quota(state.reset_seconds)),
            }
        }
    }

    fn event(&self, tenant: TenantId, framed: &Framed, now: UnixMicros) -> Option<Item> {
        let text = String::from_utf8_lossy(&framed.bytes);
        let message = syslog::parse(&text, now.0);
        let data = match &message {
            Some(message) => message.to_json(),
            None => json!({ "message": text.trim_end_matches(['\r', '\n', '\0']) }).to_string(),
        };
        let host = message.as_ref().and_then(|m| m.host.as_deref());
        let options = self.intake.options();
        // A sender whose clock is wrong is heard; its message says the time that it believes in.
        let believed = message.as_ref().and_then(|m| m.time).map(UnixMicros);
        let time = believed
            .filter(|at| at.since(now) <= options.ahead && now.since(*at) <= options.behind)
            .unwrap_or(now);
        let time = time.to_string();
        let event = Draft {
            id: &RecordId::new(now).to_string(),
            source: &format!("/syslog/{}", segment(host.unwrap_or("unknown-host"))),
            event_type: EVENT_TYPE,
            time: Some(&time),
            data: &data,
        }
        .event(&options.limits)
        .ok()?;
        Some(Item::Valid(tenant, event))
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::*;

    #[test]
    fn listeners_are_read_or_said_to_be_wrong() {
        let found = listeners("tcp:127.0.0.1:5514=acme, udp:[::1]:514=ten_x").unwrap();
        assert_eq!(found[0].transport, Transport::Tcp);
        assert_eq!(found[0].address, "127.0.0.1:5514".parse().unwrap());
        assert_eq!(
            (found[1].transport, &*found[1].tenant),
            (Transport::Udp, "ten_x")
        );
        assert!(listeners(" ").unwrap().is_empty());
        for (text, why) in [
            ("tcp:127.0.0.1:5514", "no tenant"),
            ("tcp:127.0.0.1:5514=", "no tenant"),
            ("tls:127.0.0.1:5514=a", "neither tcp nor udp"),
            ("tcp:localhost:5514=a", "no address"),
            ("tcp=a", "neither tcp nor udp"),
        ] {
            let error = listeners(text).unwrap_err();
            assert!(error.contains(why), "{error}");
        }
    }
}
