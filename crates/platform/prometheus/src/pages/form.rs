//! The form for a source.

use std::collections::BTreeMap;

use sealwright_access::forms::Fields;
use sealwright_web::component::{Field, FieldKind, Form};

use super::{LIST, Refused, fault, typed};
use crate::error::PrometheusError;
use crate::model::{CredentialKind, Kind, Take};
use crate::service::{Given, NewCredential, NewSource};

type Result<T> = std::result::Result<T, PrometheusError>;

fn line(name: &str, label: &str, refused: Refused<'_>) -> Field {
    Field::text(name, label)
        .value(typed(refused, name))
        .error(&fault(refused, name))
}

fn choice(name: &str, label: &str, choices: &[(&str, &str)], refused: Refused<'_>) -> Field {
    Field::select(name, label, choices)
        .value(typed(refused, name))
        .error(&fault(refused, name))
}

fn number(name: &str, label: &str, refused: Refused<'_>) -> Field {
    Field::new(name, label, FieldKind::Line("number"))
        .value(typed(refused, name))
        .error(&fault(refused, name))
}

/// What is asked for.
pub(super) fn form(csrf: &str, refused: Refused<'_>) -> Form {
    let secret = match (
        fault(refused, "credential/token"),
        fault(refused, "credential/password"),
    ) {
        (token, password) if token.is_empty() => password,
        (token, _) => token,
    };
    let username = fault(refused, "credential/username");
    Form::new(LIST, csrf, "Create source")
        .cancel(LIST)
        .field(line("name", "Name", refused).required())
        .field(
            line("url", "Server", refused)
                .required()
                .mono()
                .hint("What stands before /api/v1/query, e.g. http://prometheus.internal:9090. Private addresses must be allowed by prometheus.private_targets."),
        )
        .field(choice(
            "credential",
            "Credential",
            &[
                ("none", "none"),
                ("bearer", "a token"),
                ("basic", "a name and a password"),
            ],
            refused,
        ))
        .field(
            Field::text("username", "User name")
                .value(typed(refused, "username"))
                .error(&username),
        )
        .field(
            Field::password("secret", "Token or password", "off")
                .error(&secret)
                .hint("It is sealed and not shown again."),
        )
        .field(choice(
            "kind",
            "What is counted",
            &[
                ("counter", "counter: its growth in each window"),
                ("gauge", "gauge: its level in each window"),
                ("expression", "expression: what it is at the end of each window"),
            ],
            refused,
        ))
        .field(
            line("expression", "Selector or expression", refused)
                .required()
                .mono()
                .hint("http_requests_total{job=\"api\"}"),
        )
        .field(choice(
            "take",
            "Level of a gauge",
            &[
                ("last", "the last"),
                ("mean", "the mean"),
                ("max", "the largest"),
                ("min", "the smallest"),
            ],
            refused,
        ))
        .field(
            number("interval_seconds", "Window, seconds", refused)
                .hint("300 when empty; a day must be a multiple of it."),
        )
        .field(
            number("delay_seconds", "Delay, seconds", refused)
                .hint("How long after its end a window is asked for; 120 when empty."),
        )
        .field(
            number("catch_up_seconds", "Catch-up, seconds", refused)
                .hint("How far back windows are asked for: less than the server keeps. 864000 (10 days) when empty."),
        )
        .field(
            line("tenant_label", "Label of the tenant", refused)
                .mono()
                .hint("The label whose value is a tenant's slug or id."),
        )
        .field(
            line("tenant", "Or one tenant", refused)
                .mono()
                .hint("Slug or id."),
        )
        .field(
            line("event_type", "Type of the events", refused)
                .required()
                .mono()
                .hint("acme.requests.v1; a meter counts events of this type."),
        )
        .field(
            line("value_field", "Member with the number", refused)
                .mono()
                .hint("value when empty."),
        )
        .field(
            line("factor", "Factor", refused)
                .mono()
                .hint("A decimal, e.g. 0.000000001 from bytes to gigabytes; 1 when empty."),
        )
        .field(
            line("labels", "Members from labels", refused)
                .mono()
                .hint("MEMBER=LABEL, separated by commas: region=zone, model=model"),
        )
        .field(
            line("fixed", "Fixed members", refused)
                .mono()
                .hint("MEMBER=TEXT, separated by commas: region=eu-west-1"),
        )
        .field(
            line("from", "From", refused)
                .mono()
                .hint("2026-11-01T00:00:00Z; from now on when empty."),
        )
}

fn invalid(field: &'static str, detail: impl Into<String>) -> PrometheusError {
    PrometheusError::Invalid {
        field,
        detail: detail.into(),
    }
}

fn count(fields: &Fields, name: &'static str) -> Result<Option<u32>> {
    fields
        .filled(name)
        .map(|text| {
            text.parse()
                .map_err(|_| invalid(name, "is not a whole number of seconds"))
        })
        .transpose()
}

fn word<T: std::str::FromStr<Err = String>>(
    fields: &Fields,
    name: &'static str,
) -> Result<Option<T>> {
    fields
        .filled(name)
        .map(|text| text.parse().map_err(|detail: String| invalid(name, detail)))
        .transpose()
}

fn pairs(fields: &Fields, name: &'static str) -> Result<BTreeMap<String, String>> {
    let text = fields.filled(name).unwrap_or_default();
    text.split(',')
        .map(str::trim)
        .filter(|part| !part.is_empty())
        .map(|part| {
            part.split_once('=')
                .map(|(member, value)| (member.trim().to_owned(), value.trim().to_owned()))
                .ok_or_else(|| invalid(name, "is not of the form MEMBER=VALUE, MEMBER=VALUE"))
        })
        .collect()
}

/// What a form holds. Empty fields that are needed are refused by the service, which names them.
pub(super) fn read(fields: &Fields) -> Result<NewSource> {
    let text = |name: &str| fields.filled(name).unwrap_or_default();
    let kind = word(fields, "kind")?.unwrap_or(Kind::Counter);
    let secret = || Given::new(text("secret"));
    let credential = match word(fields, "credential")?.unwrap_or(CredentialKind::None) {
        CredentialKind::None => NewCredential::None,
        CredentialKind::Bearer => NewCredential::Bearer { token: secret() },
        CredentialKind::Basic => NewCredential::Basic {
            username: text("username"),
            password: secret(),
        },
    };
    Ok(NewSource {
        name: text("name"),
        url: text("url"),
        credential,
        kind,
        expression: text("expression"),
        // The field is there for every kind; it means something for gauges.
        take: word::<Take>(fields, "take")?.filter(|_| kind == Kind::Gauge),
        interval_seconds: count(fields, "interval_seconds")?,
        delay_seconds: count(fields, "delay_seconds")?,
        catch_up_seconds: count(fields, "catch_up_seconds")?,
        tenant_label: fields.filled("tenant_label"),
        tenant: fields.filled("tenant"),
        event_type: text("event_type"),
        value_field: fields.filled("value_field"),
        factor: fields.filled("factor"),
        labels: pairs(fields, "labels")?,
        fixed: pairs(fields, "fixed")?,
        from: fields.filled("from"),
    })
}
