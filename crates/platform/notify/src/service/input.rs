//! What callers give, checked.

use std::fmt;

use lettre::message::Mailbox;
use secrecy::{ExposeSecret as _, SecretString};
use serde::{Deserialize, Deserializer};
use utoipa::ToSchema;

use crate::egress::{Egress, EgressError};
use crate::error::NotifyError;
use crate::message::Severity;
use crate::model::{ChannelState, MailTls, Scheme, Secrets, Target};
use crate::quiet::Quiet;
use crate::signature::SigningSecret;

type Result<T> = std::result::Result<T, NotifyError>;

/// A secret that is given. It does not show in debug output and is never given back.
#[derive(Clone)]
pub struct Given(SecretString);

impl Given {
    /// Wraps a secret.
    pub fn new(text: impl Into<String>) -> Self {
        Self(SecretString::from(text.into()))
    }

    fn text(&self) -> &str {
        self.0.expose_secret().trim()
    }

    pub(super) fn secret(&self, field: &'static str) -> Result<SecretString> {
        needed(field, self)
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

/// Where a new channel goes, with its secrets.
#[derive(Debug, Clone, Deserialize, ToSchema)]
#[serde(tag = "kind", rename_all = "lowercase", deny_unknown_fields)]
pub enum NewTarget {
    /// A Slack incoming webhook.
    Slack {
        /// `https://hooks.slack.com/services/…`.
        #[schema(value_type = String, write_only)]
        webhook_url: Given,
    },
    /// PagerDuty Events API v2.
    Pagerduty {
        /// The integration's routing key, 32 characters.
        #[schema(value_type = String, write_only)]
        routing_key: Given,
        /// `https://events.pagerduty.com` when absent; `https://events.eu.pagerduty.com` in Europe.
        #[serde(default)]
        events_url: Option<String>,
    },
    /// Mailboxes.
    Email {
        /// The relay's name.
        host: String,
        /// Its port: 587, or 465 with `tls`, when absent.
        #[serde(default)]
        port: Option<u16>,
        /// `starttls` when absent.
        #[serde(default)]
        tls: Option<MailTls>,
        /// The account there.
        #[serde(default)]
        username: Option<String>,
        /// Its password.
        #[serde(default)]
        #[schema(value_type = Option<String>, write_only)]
        password: Option<Given>,
        /// The sender, `Name <address>` or an address.
        from: String,
        /// The recipients, 1 to 50.
        to: Vec<String>,
    },
    /// Issues of a GitHub repository.
    Github {
        /// `owner/name`.
        repository: String,
        /// A token that may read and write issues there.
        #[schema(value_type = String, write_only)]
        token: Given,
        /// Labels beside `sealwright`.
        #[serde(default)]
        labels: Vec<String>,
        /// `https://api.github.com` when absent.
        #[serde(default)]
        api_url: Option<String>,
    },
    /// A program, by Standard Webhooks.
    Webhook {
        /// Where to.
        #[schema(value_type = String, write_only)]
        url: Given,
        /// `v1` when absent.
        #[serde(default)]
        signature: Option<Scheme>,
        /// `whsec_…` or `whsk_…`; made, and shown once, when absent.
        #[serde(default)]
        #[schema(value_type = Option<String>, write_only)]
        secret: Option<Given>,
    },
}

/// A channel to make.
#[derive(Debug, Clone, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct NewChannel {
    /// A name for people, 1 to 80 characters.
    pub name: String,
    /// Whose it is, by id or slug; of the installation when absent (of their tenant for callers with one).
    #[serde(default)]
    pub tenant: Option<String>,
    /// Where it goes.
    pub target: NewTarget,
    /// When it is not to be disturbed.
    #[serde(default)]
    pub quiet: Option<Quiet>,
    /// Deliveries per minute at most, 1 to 6,000.
    #[serde(default)]
    pub per_minute: Option<u32>,
}

/// What to change of a channel; what is absent stays. `quiet` and `per_minute` may be null to take them away.
#[derive(Debug, Clone, Default, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct ChannelChange {
    /// The name.
    #[serde(default)]
    pub name: Option<String>,
    /// Where it goes, as a whole, of the same kind.
    #[serde(default)]
    pub target: Option<NewTarget>,
    /// When it is not to be disturbed.
    #[serde(default, deserialize_with = "given")]
    #[schema(value_type = Option<Quiet>)]
    pub quiet: Option<Option<Quiet>>,
    /// Deliveries per minute at most.
    #[serde(default, deserialize_with = "given")]
    #[schema(value_type = Option<u32>)]
    pub per_minute: Option<Option<u32>>,
    /// `active` or `disabled`.
    #[serde(default)]
    pub state: Option<ChannelState>,
}

fn given<'de, T, D>(deserializer: D) -> std::result::Result<Option<Option<T>>, D::Error>
where
    T: Deserialize<'de>,
    D: Deserializer<'de>,
{
    Option::deserialize(deserializer).map(Some)
}

/// A rule to make.
#[derive(Debug, Clone, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct NewRule {
    /// A name for people, 1 to 80 characters.
    pub name: String,
    /// Whose it is, by id or slug; of the installation when absent (of their tenant for callers with one).
    #[serde(default)]
    pub tenant: Option<String>,
    /// `billing.budget`, `billing.*` or `*`.
    pub topic: String,
    /// From this severity on; `info` when absent.
    #[serde(default)]
    pub severity: Option<Severity>,
    /// Only messages about this tenant, by id or slug.
    #[serde(default)]
    pub about: Option<String>,
    /// Channels of the same owner, by id; 1 to 20.
    pub channels: Vec<String>,
}

/// What to change of a rule; what is absent stays.
#[derive(Debug, Clone, Default, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct RuleChange {
    /// The name.
    #[serde(default)]
    pub name: Option<String>,
    /// The topic or the beginning of topics.
    #[serde(default)]
    pub topic: Option<String>,
    /// From this severity on.
    #[serde(default)]
    pub severity: Option<Severity>,
    /// The channels, all of them.
    #[serde(default)]
    pub channels: Option<Vec<String>>,
    /// Whether it is looked at.
    #[serde(default)]
    pub enabled: Option<bool>,
}

pub(super) fn invalid(field: &'static str, detail: impl Into<String>) -> NotifyError {
    NotifyError::Invalid {
        field,
        detail: detail.into(),
    }
}

pub(super) fn name(text: &str) -> Result<String> {
    let text = text.trim();
    let count = text.chars().count();
    if (1..=80).contains(&count) && !text.chars().any(char::is_control) {
        Ok(text.to_owned())
    } else {
        Err(invalid("name", "must have 1 to 80 characters"))
    }
}

pub(super) fn per_minute(count: Option<u32>) -> Result<Option<u32>> {
    match count {
        Some(n) if !(1..=6_000).contains(&n) => {
            Err(invalid("per_minute", "must be from 1 to 6000"))
        }
        other => Ok(other),
    }
}

pub(super) fn quiet(quiet: Option<Quiet>) -> Result<Option<Quiet>> {
    if let Some(quiet) = &quiet {
        quiet
            .check()
            .map_err(|error| invalid("quiet", error.to_string()))?;
    }
    Ok(quiet)
}

/// A checked target: what is shown, what is sealed, and a signing secret that was made here, to show once.
pub(super) struct Checked {
    pub(super) target: Target,
    pub(super) secrets: Secrets,
    pub(super) made: Option<SecretString>,
}

fn url(egress: &Egress, field: &'static str, text: &str) -> Result<url::Url> {
    if text.len() > 2_000 {
        return Err(invalid(field, "has more than 2000 characters"));
    }
    egress.url(text).map_err(|error| match error {
        EgressError::Refused(detail) | EgressError::Failed(detail) => invalid(field, detail),
    })
}

fn needed(field: &'static str, given: &Given) -> Result<SecretString> {
    let text = given.text();
    let good = (1..=4_000).contains(&text.len()) && !text.chars().any(char::is_control);
    if good {
        Ok(SecretString::from(text))
    } else {
        Err(invalid(field, "must have 1 to 4000 characters"))
    }
}

fn host(text: &str) -> Result<String> {
    let text = text.trim();
    let good = (1..=253).contains(&text.len())
        && text
            .bytes()
            .all(|b| b.is_ascii_alphanumeric() || matches!(b, b'.' | b'-' | b':' | b'_'));
    if good {
        Ok(text.to_owned())
    } else {
        Err(invalid("target.host", "is not the name of a host"))
    }
}

fn mailbox(field: &'static str, text: &str) -> Result<String> {
    let text = text.trim();
    match text.parse::<Mailbox>() {
        Ok(_) if text.len() <= 320 => Ok(text.to_owned()),
        _ => Err(invalid(
            field,
            format!("`{}` is not an address", crate::message::line(text, 60)),
        )),
    }
}

fn repository(text: &str) -> Result<String> {
    let good = text.split_once('/').is_some_and(|(owner, name)| {
        let part = |part: &str| {
            (1..=100).contains(&part.len())
                && part != "."
                && part != ".."
                && part
                    .bytes()
                    .all(|b| b.is_ascii_alphanumeric() || matches!(b, b'-' | b'_' | b'.'))
        };
        part(owner) && part(name)
    });
    if good {
        Ok(text.to_owned())
    } else {
        Err(invalid("target.repository", "is not owner/name"))
    }
}

/// A new signing secret of 32 random bytes.
pub(super) fn new_secret(scheme: Scheme) -> Result<SecretString> {
    use base64::Engine as _;
    let mut bytes = [0_u8; 32];
    getrandom::fill(&mut bytes).map_err(|_| sealwright_secret::SecretError::Random)?;
    let prefix = match scheme {
        Scheme::V1 => "whsec_",
        Scheme::V1a => "whsk_",
    };
    let text = base64::engine::general_purpose::STANDARD.encode(bytes);
    Ok(SecretString::from(format!("{prefix}{text}")))
}

/// Checks a signing secret against the scheme; the public key, where there is one.
pub(super) fn signing(scheme: Scheme, secret: &SecretString) -> Result<Option<String>> {
    let parsed = SigningSecret::parse(secret.expose_secret())
        .map_err(|error| invalid("target.secret", error.to_string()))?;
    match (scheme, &parsed) {
        (Scheme::V1, SigningSecret::V1(_)) | (Scheme::V1a, SigningSecret::V1a(_)) => {
            Ok(parsed.public_key())
        }
        (Scheme::V1, _) => Err(invalid("target.secret", "of v1 begins with whsec_")),
        (Scheme::V1a, _) => Err(invalid("target.secret", "of v1a begins with whsk_")),
    }
}

/// Checks a target and parts what may be shown from what is secret.
pub(super) fn target(egress: &Egress, new: NewTarget) -> Result<Checked> {
    let mut secrets = Secrets::default();
    let mut made = None;
    let target = match new {
        NewTarget::Slack { webhook_url } => {
            let url = url(egress, "target.webhook_url", webhook_url.text())?;
            secrets.put("webhook_url", SecretString::from(url.as_str()));
            Target::Slack {
                host: url.host_str().unwrap_or_default().to_owned(),
            }
        }
        NewTarget::Pagerduty {
            routing_key,
            events_url,
        } => {
            secrets.put("routing_key", needed("target.routing_key", &routing_key)?);
            let events_url =
                events_url.unwrap_or_else(|| "https://events.pagerduty.com".to_owned());
            url(egress, "target.events_url", &events_url)?;
            Target::Pagerduty { events_url }
        }
        NewTarget::Email {
            host: relay,
            port,
            tls,
            username,
            password,
            from,
            to,
        } => {
            let tls = tls.unwrap_or(MailTls::Starttls);
            let username = username.filter(|text| !text.trim().is_empty());
            match (&username, &password) {
                (Some(_), Some(password)) => {
                    secrets.put("password", needed("target.password", password)?);
                }
                (None, None) => {}
                _ => {
                    let detail = "needs `username` and `password`, or neither";
                    return Err(invalid("target.password", detail));
                }
            }
            if username.is_some() && tls == MailTls::None {
                let detail = "none would send the password in the clear; take starttls or tls";
                return Err(invalid("target.tls", detail));
            }
            if !(1..=50).contains(&to.len()) {
                return Err(invalid("target.to", "must name 1 to 50 addresses"));
            }
            let ports = if tls == MailTls::Tls { 465 } else { 587 };
            Target::Email {
                host: host(&relay)?,
                port: port.unwrap_or(ports),
                tls,
                username,
                from: mailbox("target.from", &from)?,
                to: to
                    .iter()
                    .map(|text| mailbox("target.to", text))
                    .collect::<Result<_>>()?,
            }
        }
        NewTarget::Github {
            repository: place,
            token,
            labels,
            api_url,
        } => {
            secrets.put("token", needed("target.token", &token)?);
            let api_url = api_url.unwrap_or_else(|| "https://api.github.com".to_owned());
            url(egress, "target.api_url", &api_url)?;
            let good = |label: &String| (1..=50).contains(&label.chars().count());
            if labels.len() > 20 || !labels.iter().all(good) {
                let detail = "must be at most 20 of 1 to 50 characters";
                return Err(invalid("target.labels", detail));
            }
            Target::Github {
                repository: repository(&place)?,
                labels,
                api_url,
            }
        }
        NewTarget::Webhook {
            url: address,
            signature,
            secret,
        } => {
            let url = url(egress, "target.url", address.text())?;
            secrets.put("url", SecretString::from(url.as_str()));
            let signature = signature.unwrap_or(Scheme::V1);
            let secret = match secret {
                Some(secret) => needed("target.secret", &secret)?,
                None => {
                    let secret = new_secret(signature)?;
                    made = Some(secret.clone());
                    secret
                }
            };
            let public_key = signing(signature, &secret)?;
            secrets.put("secret", secret);
            let mut shown = url;
            shown.set_query(None);
            shown.set_fragment(None);
            Target::Webhook {
                shown: shown.to_string(),
                signature,
                public_key,
                previous_until: None,
            }
        }
    };
    Ok(Checked {
        target,
        secrets,
        made,
    })
}
