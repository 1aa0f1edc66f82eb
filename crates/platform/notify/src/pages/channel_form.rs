//! The form for a channel of each kind.

use sealwright_access::forms::Fields;
use sealwright_web::component::{Field, FieldKind, Form};

use super::{Refused, SEVERITIES, fault, typed};
use crate::error::NotifyError;
use crate::message::Severity;
use crate::model::{ChannelKind, MailTls, Scheme};
use crate::quiet::{Day, Quiet};
use crate::service::{Given, NewChannel, NewTarget};

type Result<T> = std::result::Result<T, NotifyError>;

fn invalid(field: &'static str, detail: String) -> NotifyError {
    NotifyError::Invalid { field, detail }
}

fn line(name: &str, key: &str, label: &str, refused: Refused<'_>) -> Field {
    Field::text(name, label)
        .value(typed(refused, name))
        .error(&fault(refused, key))
}

/// A secret: typed like a password, never sent back.
fn secret(name: &str, key: &str, label: &str, refused: Refused<'_>) -> Field {
    Field::password(name, label, "off").error(&fault(refused, key))
}

/// What is asked for, for a channel of `kind`.
pub(super) fn form(kind: ChannelKind, csrf: &str, refused: Refused<'_>, staff: bool) -> Form {
    let mut form = Form::new("/console/notify/channels", csrf, "Create channel")
        .cancel("/console/notify/channels")
        .hidden("kind", kind.as_str())
        .field(
            line("name", "name", "Name", refused)
                .required()
                .hint("Who is reached, e.g. on-call."),
        );
    form = match kind {
        ChannelKind::Slack => form.field(
            secret("webhook_url", "target.webhook_url", "Webhook address", refused)
                .required()
                .hint("Of an incoming webhook: https://hooks.slack.com/services/… It is sealed and not shown again."),
        ),
        ChannelKind::Pagerduty => form
            .field(
                secret("routing_key", "target.routing_key", "Routing key", refused)
                    .required()
                    .hint("Of an Events API v2 integration."),
            )
            .field(
                line("events_url", "target.events_url", "Events address", refused)
                    .mono()
                    .hint("https://events.pagerduty.com when empty; https://events.eu.pagerduty.com in Europe."),
            ),
        ChannelKind::Email => email(form, refused),
        ChannelKind::Github => form
            .field(
                line("repository", "target.repository", "Repository", refused)
                    .required()
                    .mono()
                    .hint("owner/name"),
            )
            .field(
                secret("token", "target.token", "Token", refused)
                    .required()
                    .hint("It may read and write issues of the repository, and nothing else."),
            )
            .field(
                line("labels", "target.labels", "Labels", refused)
                    .hint("Separated by commas; every issue also gets the label sealwright."),
            )
            .field(
                line("api_url", "target.api_url", "API address", refused)
                    .mono()
                    .hint("https://api.github.com when empty."),
            ),
        ChannelKind::Webhook => form
            .field(
                secret("url", "target.url", "Address", refused)
                    .required()
                    .hint("https://… It is sealed: what follows a ? may be a token."),
            )
            .field(
                Field::select(
                    "signature",
                    "Signature",
                    &[("v1", "v1: HMAC-SHA256, a shared secret"), ("v1a", "v1a: Ed25519, a public key")],
                )
                .value(typed(refused, "signature")),
            )
            .field(
                secret("secret", "target.secret", "Signing secret", refused)
                    .hint("whsec_… or whsk_…; made and shown once when empty."),
            ),
    };
    form = form
        .field(
            line("quiet", "quiet", "Quiet hours", refused)
                .mono()
                .hint("By the clock of a zone, e.g. 22:00-07:00 Europe/Berlin; none when empty."),
        )
        .field(
            Field::new(
                "weekends",
                "Quiet on Saturdays and Sundays",
                FieldKind::Check,
            )
            .value(typed(refused, "weekends")),
        )
        .field(
            Field::select("passes", "Passes quiet hours from", &SEVERITIES).value(
                match typed(refused, "passes") {
                    "" => "critical",
                    typed => typed,
                },
            ),
        )
        .field(
            Field::new(
                "per_minute",
                "Deliveries per minute at most",
                FieldKind::Line("number"),
            )
            .value(typed(refused, "per_minute"))
            .error(&fault(refused, "per_minute")),
        );
    if staff {
        form = form.field(
            line("tenant", "tenant", "Tenant", refused)
                .mono()
                .hint("Slug; empty for a channel of the installation."),
        );
    }
    form
}

fn email(form: Form, refused: Refused<'_>) -> Form {
    form.field(
        line("host", "target.host", "Relay", refused)
            .required()
            .mono(),
    )
    .field(
        Field::new("port", "Port", FieldKind::Line("number"))
            .value(typed(refused, "port"))
            .hint("587, or 465 for TLS, when empty."),
    )
    .field(
        Field::select(
            "tls",
            "Protection",
            &[
                ("starttls", "STARTTLS, required"),
                ("tls", "TLS"),
                ("none", "none: a relay on this machine"),
            ],
        )
        .value(typed(refused, "tls"))
        .error(&fault(refused, "target.tls")),
    )
    .field(line("username", "target.username", "Account", refused).mono())
    .field(secret("password", "target.password", "Password", refused))
    .field(
        line("from", "target.from", "Sender", refused)
            .required()
            .hint("Sealwright <alerts@example.com>"),
    )
    .field(
        line("to", "target.to", "Recipients", refused)
            .required()
            .hint("Separated by commas, at most 50."),
    )
}

fn parts(text: Option<String>) -> Vec<String> {
    text.unwrap_or_default()
        .split(',')
        .map(|part| part.trim().to_owned())
        .filter(|part| !part.is_empty())
        .collect()
}

fn number<T: std::str::FromStr>(
    fields: &Fields,
    name: &str,
    field: &'static str,
) -> Result<Option<T>> {
    fields
        .filled(name)
        .map(|text| {
            text.parse()
                .map_err(|_| invalid(field, "is not a whole number in range".to_owned()))
        })
        .transpose()
}

fn word<T: std::str::FromStr<Err = String>>(
    fields: &Fields,
    name: &str,
    field: &'static str,
) -> Result<Option<T>> {
    fields
        .filled(name)
        .map(|text| text.parse().map_err(|detail| invalid(field, detail)))
        .transpose()
}

fn quiet(fields: &Fields) -> Result<Option<Quiet>> {
    let weekends = fields.filled("weekends").is_some();
    let Some(text) = fields.filled("quiet") else {
        if weekends {
            let detail = "needs a zone for the weekends, e.g. 00:00-00:00 Europe/Berlin";
            return Err(invalid("quiet", detail.to_owned()));
        }
        return Ok(None);
    };
    let form = || {
        invalid(
            "quiet",
            "is not of the form 22:00-07:00 Europe/Berlin".to_owned(),
        )
    };
    let (hours, zone) = text.split_once(' ').ok_or_else(form)?;
    let (from, to) = hours.split_once('-').ok_or_else(form)?;
    let wall = |text: &str| text.parse().map_err(|detail| invalid("quiet", detail));
    let passes = word(fields, "passes", "quiet")?.unwrap_or(Severity::Critical);
    Ok(Some(Quiet {
        zone: zone.trim().to_owned(),
        from: wall(from)?,
        to: wall(to)?,
        days: if weekends {
            vec![Day::Sat, Day::Sun]
        } else {
            Vec::new()
        },
        passes,
    }))
}

/// The kind that a form or an address names; Slack when it names none.
pub(super) fn kind(text: Option<&str>) -> ChannelKind {
    text.and_then(|text| text.parse().ok())
        .unwrap_or(ChannelKind::Slack)
}

/// What a form holds. Empty fields that are needed are refused by the service, which names them.
pub(super) fn read(fields: &Fields) -> Result<NewChannel> {
    let text = |name: &str| fields.filled(name).unwrap_or_default();
    let given = |name: &str| Given::new(text(name));
    let target = match kind(fields.get("kind")) {
        ChannelKind::Slack => NewTarget::Slack {
            webhook_url: given("webhook_url"),
        },
        ChannelKind::Pagerduty => NewTarget::Pagerduty {
            routing_key: given("routing_key"),
            events_url: fields.filled("events_url"),
        },
        ChannelKind::Email => NewTarget::Email {
            host: text("host"),
            port: number(fields, "port", "target.host")?,
            tls: word::<MailTls>(fields, "tls", "target.tls")?,
            username: fields.filled("username"),
            password: fields.filled("password").map(Given::new),
            from: text("from"),
            to: parts(fields.filled("to")),
        },
        ChannelKind::Github => NewTarget::Github {
            repository: text("repository"),
            token: given("token"),
            labels: parts(fields.filled("labels")),
            api_url: fields.filled("api_url"),
        },
        ChannelKind::Webhook => NewTarget::Webhook {
            url: given("url"),
            signature: word::<Scheme>(fields, "signature", "target.secret")?,
            secret: fields.filled("secret").map(Given::new),
        },
    };
    Ok(NewChannel {
        name: text("name"),
        tenant: fields.filled("tenant"),
        target,
        quiet: quiet(fields)?,
        per_minute: number(fields, "per_minute", "per_minute")?,
    })
}
