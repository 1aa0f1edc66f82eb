//! What is told: a message with its topic, severity and incident.

use std::fmt;
use std::str::FromStr;

use sealwright_core::{Digest, Id, IdKind, TenantId};
use serde::{Deserialize, Serialize};
use utoipa::ToSchema;

/// The kind of [`MessageId`].
#[derive(Debug)]
pub enum MessageKind {}
impl IdKind for MessageKind {
    const PREFIX: &'static str = "msg";
}
/// A message in the outbox.
pub type MessageId = Id<MessageKind>;

const TOPIC: usize = 100;
const TITLE: usize = 200;
const BODY: usize = 8_000;
const FIELDS: usize = 40;
const FIELD_NAME: usize = 80;
const FIELD_VALUE: usize = 1_000;
const LINK: usize = 2_000;

/// How bad it is: the four severities of PagerDuty's Common Event Format, in ascending order.
#[derive(
    Debug,
    Clone,
    Copy,
    PartialEq,
    Eq,
    PartialOrd,
    Ord,
    Hash,
    Serialize,
    Deserialize,
    ToSchema,
    clap::ValueEnum,
)]
#[serde(rename_all = "lowercase")]
#[schema(as = MessageSeverity)]
pub enum Severity {
    /// For the record.
    Info,
    /// Somebody should look at it in working hours.
    Warning,
    /// Something does not work or a limit was crossed.
    Error,
    /// Somebody must act now; quiet hours do not hold it back unless a channel says so.
    Critical,
}

impl Severity {
    /// All, lowest first.
    pub const ALL: [Self; 4] = [Self::Info, Self::Warning, Self::Error, Self::Critical];

    /// The name.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Info => "info",
            Self::Warning => "warning",
            Self::Error => "error",
            Self::Critical => "critical",
        }
    }

    /// 0 for info to 3 for critical, as the tables hold it.
    pub(crate) const fn rank(self) -> i64 {
        self as i64
    }

    pub(crate) fn from_rank(rank: i64) -> Option<Self> {
        Self::ALL.into_iter().find(|s| s.rank() == rank)
    }
}

impl fmt::Display for Severity {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}

impl FromStr for Severity {
    type Err = String;
    fn from_str(text: &str) -> Result<Self, String> {
        Self::ALL
            .into_iter()
            .find(|s| s.as_str() == text)
            .ok_or_else(|| format!("`{text}` is not one of info, warning, error, critical"))
    }
}

/// Where an incident is, in the words of the PagerDuty Events API.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
#[serde(rename_all = "lowercase")]
pub enum Phase {
    /// It begins, or goes on.
    Trigger,
    /// Somebody works on it.
    Acknowledge,
    /// It is over.
    Resolve,
}

impl Phase {
    /// The name.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Trigger => "trigger",
            Self::Acknowledge => "acknowledge",
            Self::Resolve => "resolve",
        }
    }
}

impl FromStr for Phase {
    type Err = String;
    fn from_str(text: &str) -> Result<Self, String> {
        [Self::Trigger, Self::Acknowledge, Self::Resolve]
            .into_iter()
            .find(|phase| phase.as_str() == text)
            .ok_or_else(|| format!("`{text}` is not one of trigger, acknowledge, resolve"))
    }
}

/// Whose rules a message meets.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
#[serde(rename_all = "lowercase")]
pub enum Audience {
    /// The installation's rules only: what staff must know about a tenant is not for the tenant's eyes.
    Staff,
    /// The rules of the tenant that the message is about, too.
    Tenant,
}

impl Audience {
    /// The name.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Staff => "staff",
            Self::Tenant => "tenant",
        }
    }
}

impl FromStr for Audience {
    type Err = String;
    fn from_str(text: &str) -> Result<Self, String> {
        match text {
            "staff" => Ok(Self::Staff),
            "tenant" => Ok(Self::Tenant),
            other => Err(format!("`{other}` is not one of staff, tenant")),
        }
    }
}

/// A named fact of a message.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct Fact {
    /// What it is, e.g. `Used`.
    pub name: String,
    /// Its value as people read it.
    pub value: String,
}

/// A message. Texts are plain, without markup of any channel. Texts that are too long are cut when they
/// are given, and control characters are taken out: telling of a change must not be what fails it.
/// Messages hold no secrets: they leave the installation.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Message {
    /// What it is about, dotted, lower case: `billing.budget`, `siem.alert`. Rules match on it.
    pub(crate) topic: String,
    pub(crate) severity: Severity,
    pub(crate) tenant: Option<TenantId>,
    pub(crate) audience: Audience,
    pub(crate) incident: Option<String>,
    pub(crate) phase: Phase,
    pub(crate) title: String,
    pub(crate) body: String,
    pub(crate) fields: Vec<Fact>,
    pub(crate) link: Option<String>,
    pub(crate) once: Option<String>,
}

impl Message {
    /// A message of `topic` (dotted, lower case, at most 100 characters) with a one-line `title` (at most
    /// 200 characters). It is about no tenant, for staff, and belongs to no incident.
    pub fn new(topic: &str, severity: Severity, title: &str) -> Self {
        Self {
            topic: line(topic, TOPIC),
            severity,
            tenant: None,
            audience: Audience::Staff,
            incident: None,
            phase: Phase::Trigger,
            title: line(title, TITLE),
            body: String::new(),
            fields: Vec::new(),
            link: None,
            once: None,
        }
    }

    /// It is about `tenant`, and for staff.
    #[must_use]
    pub fn about(mut self, tenant: TenantId) -> Self {
        self.tenant = Some(tenant);
        self
    }

    /// It is about `tenant`, and for the tenant's own rules too.
    #[must_use]
    pub fn for_tenant(mut self, tenant: TenantId) -> Self {
        self.tenant = Some(tenant);
        self.audience = Audience::Tenant;
        self
    }

    /// What happened and what to do, in plain text; at most 8,000 characters.
    #[must_use]
    pub fn body(mut self, body: &str) -> Self {
        self.body = text(body, BODY);
        self
    }

    /// A named fact; at most 40 of them.
    #[must_use]
    pub fn field(mut self, name: &str, value: impl fmt::Display) -> Self {
        if self.fields.len() < FIELDS {
            self.fields.push(Fact {
                name: line(name, FIELD_NAME),
                value: line(&value.to_string(), FIELD_VALUE),
            });
        }
        self
    }

    /// Where to look: an address of this console (`/console/…`, completed with `listen.public_url`) or a
    /// whole URL of http or https. Anything else is left out.
    #[must_use]
    pub fn link(mut self, link: &str) -> Self {
        let local = link.starts_with('/') && !link.starts_with("//");
        let whole = link.starts_with("https://") || link.starts_with("http://");
        let clean = !link.chars().any(|c| c.is_control() || c.is_whitespace());
        if (local || whole) && clean && link.len() <= LINK {
            self.link = Some(link.to_owned());
        }
        self
    }

    /// It belongs to the incident `key` and is in `phase`: PagerDuty's `dedup_key`, one GitHub issue, one
    /// mail thread. Keys are the caller's; two tenants' incidents do not meet. Messages of one incident
    /// reach a channel in the order in which they were enqueued.
    #[must_use]
    pub fn incident(mut self, key: &str, phase: Phase) -> Self {
        self.incident = Some(line(key, 1_000));
        self.phase = phase;
        self
    }

    /// Enqueuing again with the same `key` (per topic and tenant) is the same message and tells nobody
    /// twice: for callers that may repeat what they do.
    #[must_use]
    pub fn once(mut self, key: &str) -> Self {
        self.once = Some(key.to_owned());
        self
    }

    /// The incident's key as the tables hold it: with the tenant in it, short enough for every channel
    /// (PagerDuty takes 255 characters).
    pub(crate) fn incident_key(&self) -> Option<String> {
        let key = self.incident.as_ref()?;
        let whole = match self.tenant {
            Some(tenant) => format!("{}:{tenant}:{key}", self.topic),
            None => format!("{}:{key}", self.topic),
        };
        Some(if whole.len() <= 255 {
            whole
        } else {
            format!("{}:{}", self.topic, Digest::of(whole.as_bytes()))
        })
    }

    pub(crate) fn once_key(&self) -> Option<String> {
        let tenant = self.tenant.map_or_else(String::new, |t| t.to_string());
        let key = self.once.as_ref()?;
        Some(Digest::of(format!("{}\n{tenant}\n{key}", self.topic).as_bytes()).to_string())
    }
}

/// One line of at most `most` characters; line breaks and other control characters become spaces.
pub(crate) fn line(text: &str, most: usize) -> String {
    let clean = text.chars().map(|c| if c.is_control() { ' ' } else { c });
    clip(clean, most).trim().to_owned()
}

/// Lines of at most `most` characters together; control characters other than breaks and tabs go.
fn text(text: &str, most: usize) -> String {
    let clean = text
        .chars()
        .filter(|c| !c.is_control() || matches!(c, '\n' | '\t'));
    clip(clean, most).trim_end().to_owned()
}

/// At most `most` characters; what was cut shows as an ellipsis.
pub(crate) fn clip(chars: impl Iterator<Item = char>, most: usize) -> String {
    let mut out = String::new();
    for (count, c) in chars.enumerate() {
        if count == most {
            out.pop();
            out.push('…');
            break;
        }
        out.push(c);
    }
    out
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::*;
    use proptest::prelude::*;
    use sealwright_core::UnixMicros;

    #[test]
    fn what_is_too_long_is_cut_and_headers_cannot_be_injected() {
        let message = Message::new(
            "billing.budget",
            Severity::Error,
            "a\r\nBcc: victim@example.com",
        )
        .body(&"x".repeat(9_000))
        .field("n", "a\nb")
        .link("javascript:alert(1)");
        assert_eq!(message.title, "a  Bcc: victim@example.com");
        assert_eq!(message.body.chars().count(), 8_000);
        assert!(message.body.ends_with('…'));
        assert_eq!(message.fields[0].value, "a b");
        assert_eq!(message.link, None);
    }

    #[test]
    fn incidents_of_two_tenants_do_not_meet() {
        let now = UnixMicros(1_000_000);
        let one = Message::new("t", Severity::Info, "x").incident("k", Phase::Trigger);
        let a = one.clone().about(TenantId::new(now));
        let b = one.clone().about(TenantId::new(now));
        assert_ne!(a.incident_key(), b.incident_key());
        assert_ne!(a.incident_key(), one.incident_key());
        let long = one.incident(&"k".repeat(999), Phase::Trigger);
        assert!(long.incident_key().unwrap().len() <= 255);
    }

    proptest! {
        #[test]
        fn titles_are_one_short_line(title in any::<String>()) {
            let message = Message::new("t", Severity::Info, &title);
            prop_assert!(message.title.chars().count() <= 200);
            prop_assert!(!message.title.chars().any(char::is_control));
        }
    }
}
