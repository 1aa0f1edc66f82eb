//! What callers give, checked.

use std::collections::{BTreeMap, BTreeSet};
use std::fmt;

use sealwright_core::clock::{DAY, SECOND};
use sealwright_core::{TenantId, UnixMicros};
use sealwright_egress::{Egress, EgressError};
use sealwright_events::catalogue;
use sealwright_money::exact;
use secrecy::{ExposeSecret as _, SecretString};
use serde::{Deserialize, Deserializer};
use utoipa::ToSchema;

use crate::error::PrometheusError;
use crate::model::{CredentialKind, Definition, Kind, Take, TenantOf};
use crate::selector;

type Result<T> = std::result::Result<T, PrometheusError>;

/// Members of an event's data that are taken from labels, or fixed.
const MOST_MEMBERS: usize = 20;
/// The longest catch-up.
const LONGEST: i64 = 366 * DAY;

/// A secret that is given. It does not show in debug output and is never given back.
#[derive(Clone)]
pub struct Given(SecretString);

impl Given {
    /// Wraps a secret.
    pub fn new(text: impl Into<String>) -> Self {
        Self(SecretString::from(text.into()))
    }
}

impl fmt::Debug for Given {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("********")
    }
}

impl<'de> Deserialize<'de> for Given {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> std::result::Result<Self, D::Error> {
        String::deserialize(deserializer).map(Self::new)
    }
}

/// What the server is shown.
#[derive(Debug, Clone, Default, Deserialize, ToSchema)]
#[serde(tag = "kind", rename_all = "lowercase", deny_unknown_fields)]
#[schema(as = NewPrometheusCredential)]
pub enum NewCredential {
    /// Nothing.
    #[default]
    None,
    /// A token.
    Bearer {
        /// The token.
        #[schema(value_type = String, write_only)]
        token: Given,
    },
    /// A name and a password.
    Basic {
        /// The name.
        username: String,
        /// The password.
        #[schema(value_type = String, write_only)]
        password: Given,
    },
}

/// A source to make.
#[derive(Debug, Clone, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
#[schema(as = NewPrometheusSource)]
pub struct NewSource {
    /// For people; unique.
    pub name: String,
    /// The server: what stands before `/api/v1/query`.
    pub url: String,
    /// What the server is shown; nothing when absent.
    #[serde(default)]
    pub credential: NewCredential,
    /// What is counted.
    pub kind: Kind,
    /// A selector (`http_requests_total{job="api"}`); for the kind `expression` any expression that yields a vector.
    pub expression: String,
    /// Of a gauge: which level stands for a window; `last` when absent.
    #[serde(default)]
    pub take: Option<Take>,
    /// The length of a window in seconds: 5 to 86,400, and a day must be a multiple of it; 300 when absent.
    #[serde(default)]
    pub interval_seconds: Option<u32>,
    /// How long after a window's end it is asked for, at most a day; 120 when absent.
    #[serde(default)]
    pub delay_seconds: Option<u32>,
    /// How far back windows are asked for: less than the server keeps samples; 864,000 (10 days) when absent.
    #[serde(default)]
    pub catch_up_seconds: Option<u32>,
    /// The label whose value is the tenant's slug or id. Either this or `tenant`.
    #[serde(default)]
    pub tenant_label: Option<String>,
    /// Slug or id of the tenant whose usage it all is.
    #[serde(default)]
    pub tenant: Option<String>,
    /// The `type` of the events.
    pub event_type: String,
    /// The member of the events' data that holds the number; `value` when absent.
    #[serde(default)]
    pub value_field: Option<String>,
    /// A decimal that the number is multiplied by (`0.000000001`: bytes to gigabytes).
    #[serde(default)]
    pub factor: Option<String>,
    /// Further members of the data, each with the label that it is taken from.
    #[serde(default)]
    pub labels: BTreeMap<String, String>,
    /// Further members of the data, each with its text.
    #[serde(default)]
    pub fixed: BTreeMap<String, String>,
    /// From when on windows are counted, RFC 3339, not in the future; from now on when absent.
    #[serde(default)]
    pub from: Option<String>,
}

/// A change of a source; what is absent stays. What is counted never changes.
#[derive(Debug, Clone, Default, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
#[schema(as = PrometheusSourceChange)]
pub struct SourceChange {
    /// For people; unique.
    #[serde(default)]
    pub name: Option<String>,
    /// The server. When it is another one, the credential goes, unless it is given again.
    #[serde(default)]
    pub url: Option<String>,
    /// What the server is shown.
    #[serde(default)]
    pub credential: Option<NewCredential>,
    /// How long after a window's end it is asked for.
    #[serde(default)]
    pub delay_seconds: Option<u32>,
    /// How far back windows are asked for.
    #[serde(default)]
    pub catch_up_seconds: Option<u32>,
    /// Whether it is asked.
    #[serde(default)]
    pub enabled: Option<bool>,
}

pub(super) fn invalid(field: &'static str, detail: impl Into<String>) -> PrometheusError {
    PrometheusError::Invalid {
        field,
        detail: detail.into(),
    }
}

/// Text of one line.
fn text(field: &'static str, value: &str, longest: usize) -> Result<String> {
    let value = value.trim();
    if value.is_empty() {
        return Err(invalid(field, "is needed"));
    }
    if value.len() > longest || value.chars().any(char::is_control) {
        return Err(invalid(
            field,
            format!("has at most {longest} bytes and no control characters"),
        ));
    }
    Ok(value.to_owned())
}

pub(super) fn name(value: &str) -> Result<String> {
    text("name", value, 100)
}

pub(super) fn url(egress: &Egress, value: &str) -> Result<String> {
    let value = text("url", value, 500)?;
    let url = egress.url(&value).map_err(|error| match error {
        EgressError::Refused(detail) | EgressError::Failed(detail) => invalid("url", detail),
    })?;
    if url.query().is_some() || url.fragment().is_some() {
        return Err(invalid("url", "ends where `/api/v1/query` begins"));
    }
    Ok(value.trim_end_matches('/').to_owned())
}

/// Whether two addresses lead to the same server: what is shown to the one may be shown to the other.
pub(super) fn same_server(a: &str, b: &str) -> bool {
    match (url::Url::parse(a), url::Url::parse(b)) {
        (Ok(a), Ok(b)) => a.origin() == b.origin(),
        _ => false,
    }
}

/// The kind of a credential, and what is sealed of it.
pub(super) fn credential(given: &NewCredential) -> Result<(CredentialKind, SecretString)> {
    let secret = |field, given: &Given| {
        let secret = given.0.expose_secret().trim();
        let visible = secret.bytes().all(|byte| (0x20..0x7f).contains(&byte));
        if secret.is_empty() || secret.len() > 8_192 || !visible {
            return Err(invalid(field, "has 1 to 8,192 visible ASCII characters"));
        }
        Ok(secret.to_owned())
    };
    Ok(match given {
        NewCredential::None => (CredentialKind::None, SecretString::default()),
        NewCredential::Bearer { token } => (
            CredentialKind::Bearer,
            secret("credential/token", token)?.into(),
        ),
        NewCredential::Basic { username, password } => {
            let username = text("credential/username", username, 200)?;
            if username.contains(':') {
                return Err(invalid("credential/username", "must not hold a colon"));
            }
            let password = secret("credential/password", password)?;
            (
                CredentialKind::Basic,
                format!("{username}:{password}").into(),
            )
        }
    })
}

pub(super) fn delay(seconds: Option<u32>) -> Result<i64> {
    let micros = i64::from(seconds.unwrap_or(120)) * SECOND;
    if micros > DAY {
        return Err(invalid("delay_seconds", "is at most 86400, a day"));
    }
    Ok(micros)
}

pub(super) fn catch_up(seconds: Option<u32>) -> Result<i64> {
    let micros = i64::from(seconds.unwrap_or(864_000)) * SECOND;
    if micros > LONGEST {
        return Err(invalid("catch_up_seconds", "is at most 366 days"));
    }
    Ok(micros)
}

/// With less than this every window would be lost before it is asked for.
pub(super) fn reaches(catch_up: i64, delay: i64, interval: i64) -> Result<()> {
    if catch_up < delay + 2 * interval {
        return Err(invalid(
            "catch_up_seconds",
            "is at least the delay and two windows",
        ));
    }
    Ok(())
}

/// From when on windows are counted.
pub(super) fn from(
    given: Option<&str>,
    definition: &Definition,
    now: UnixMicros,
) -> Result<UnixMicros> {
    let at = match given {
        None => now,
        Some(text) => UnixMicros::parse_rfc3339(text).map_err(|_| {
            invalid(
                "from",
                "is not a time such as 2026-11-01T00:00:00Z (RFC 3339)",
            )
        })?,
    };
    if at > now || now.since(at) > LONGEST {
        return Err(invalid(
            "from",
            "is at most 366 days ago, and not in the future",
        ));
    }
    Ok(definition.floor(at))
}

/// What is counted; `resolve` finds a tenant.
pub(super) fn definition(
    new: &NewSource,
    resolve: impl Fn(&str) -> Result<TenantId>,
) -> Result<Definition> {
    let expression = text("expression", &new.expression, 4_000)?;
    if new.kind != Kind::Expression {
        selector::check(&expression).map_err(|detail| invalid("expression", detail))?;
    }
    let take = match (new.kind, new.take) {
        (Kind::Gauge, take) => Some(take.unwrap_or(Take::Last)),
        (_, None) => None,
        (_, Some(_)) => return Err(invalid("take", "is said of gauges only")),
    };
    let interval_seconds = new.interval_seconds.unwrap_or(300);
    if !(5..=86_400).contains(&interval_seconds) || 86_400 % interval_seconds != 0 {
        return Err(invalid(
            "interval_seconds",
            "is 5 to 86400, and a day must be a multiple of it: 60, 300, 900, 3600",
        ));
    }
    let tenant = match (&new.tenant_label, &new.tenant) {
        (Some(label), None) => TenantOf::Label(text("tenant_label", label, 128)?),
        (None, Some(tenant)) => TenantOf::Fixed(resolve(tenant)?),
        _ => {
            return Err(invalid(
                "tenant_label",
                "or tenant is needed, and not both: it decides whose usage it is",
            ));
        }
    };
    let factor = new
        .factor
        .as_deref()
        .map(|text| {
            exact::parse(text.trim())
                .ok()
                .filter(|factor| !factor.is_zero() && factor.is_sign_positive())
                .ok_or_else(|| invalid("factor", "is a decimal above zero, such as 0.001"))
        })
        .transpose()?;
    let definition = Definition {
        kind: new.kind,
        expression,
        take,
        interval_seconds,
        tenant,
        event_type: event_type(&new.event_type)?,
        value_field: member("value_field", new.value_field.as_deref().unwrap_or("value"))?,
        factor,
        labels: members("labels", &new.labels)?,
        fixed: members("fixed", &new.fixed)?,
    };
    distinct(&definition)?;
    catalogued(&definition)?;
    Ok(definition)
}

fn event_type(value: &str) -> Result<String> {
    let value = text("event_type", value, 128)?;
    let plain = |byte: u8| byte.is_ascii_alphanumeric() || b"._-/".contains(&byte);
    if !value.bytes().all(plain) {
        return Err(invalid(
            "event_type",
            "is made of letters, digits, dots, dashes and underscores: acme.requests.v1",
        ));
    }
    // What people did is written by this program, and by nobody else.
    if value.starts_with("sealwright.audit.") {
        return Err(invalid("event_type", "must not be one of sealwright.audit"));
    }
    Ok(value)
}

fn member(field: &'static str, value: &str) -> Result<String> {
    let bytes = value.as_bytes();
    let first = bytes
        .first()
        .is_some_and(|b| b.is_ascii_lowercase() || *b == b'_');
    let rest = bytes
        .iter()
        .all(|b| b.is_ascii_lowercase() || b.is_ascii_digit() || *b == b'_');
    if !first || !rest || bytes.len() > 64 || value == "prometheus" {
        return Err(invalid(
            field,
            "names members by 1 to 64 lower-case letters, digits and underscores; `prometheus` is taken",
        ));
    }
    Ok(value.to_owned())
}

fn members(
    field: &'static str,
    given: &BTreeMap<String, String>,
) -> Result<BTreeMap<String, String>> {
    if given.len() > MOST_MEMBERS {
        return Err(invalid(
            field,
            format!("has at most {MOST_MEMBERS} members"),
        ));
    }
    given
        .iter()
        .map(|(name, value)| Ok((member(field, name)?, text(field, value, 128)?)))
        .collect()
}

fn distinct(definition: &Definition) -> Result<()> {
    let mut seen = BTreeSet::from([&definition.value_field]);
    for (field, names) in [("labels", &definition.labels), ("fixed", &definition.fixed)] {
        for name in names.keys() {
            if !seen.insert(name) {
                return Err(invalid(
                    field,
                    format!("names `{name}`, which is there already"),
                ));
            }
        }
    }
    Ok(())
}

/// Events of the catalogue's types must have what these need: said now, not by each event later.
fn catalogued(definition: &Definition) -> Result<()> {
    let Some(known) = catalogue::event_type(&definition.event_type) else {
        return Ok(());
    };
    let missing = known.fields.iter().find(|field| {
        field.required
            && field.name != definition.value_field
            && !definition.labels.contains_key(field.name)
            && !definition.fixed.contains_key(field.name)
    });
    match missing {
        None => Ok(()),
        Some(field) => Err(invalid(
            "event_type",
            format!(
                "{} needs the member `{}`: name it in value_field, labels or fixed",
                known.name, field.name
            ),
        )),
    }
}
