//! What is done about findings: `/console/dlp/policies`.

use axum::body::Bytes;
use axum::extract::Path;
use axum::http::{StatusCode, header};
use axum::response::{IntoResponse, Redirect};
use sealwright_access::Action;
use sealwright_access::forms::Fields;
use sealwright_core::Problem;
use sealwright_web::component::{
    Badge, Cell, Column, Empty, ErrorSummary, Field, Form, Panel, Row, Table, Tone,
};
use sealwright_web::{Flash, Markup, Page};

use super::detector;
use super::visit::{Answer, Visit, shown};
use crate::model::policy::{self, PolicyScope, SEVERITIES, built_in};
use crate::model::{Original, PolicyAction, PolicyMode};
use crate::service::DlpError;
use crate::service::policy::NewPolicy;

const ACTIONS: [(&str, &str); 4] = [
    ("audit", "audit: note it"),
    ("redact", "redact: take the values out"),
    (
        "encrypt",
        "encrypt: write the object anew, encrypted at rest",
    ),
    ("quarantine", "quarantine: take the object away"),
];

const ORIGINALS: [(&str, &str); 3] = [
    ("quarantine", "quarantine: it is taken away"),
    ("keep", "keep: it stays as an older version"),
    ("erase", "erase: it goes for good"),
];

fn mode(mode: PolicyMode) -> Badge {
    match mode {
        PolicyMode::DryRun => Badge::new(Tone::Neutral, "dry-run"),
        PolicyMode::Enforce => Badge::new(Tone::Good, "enforce"),
    }
}

fn told(alert: bool) -> &'static str {
    if alert { "at once" } else { "no" }
}

/// `GET /console/dlp/policies`.
pub(super) async fn list(visit: Visit) -> Answer {
    page(&visit, None).await
}

async fn page(visit: &Visit, refused: Option<&(Fields, String)>) -> Answer {
    let scope = visit.scope()?;
    let all = visit
        .pages
        .dlp
        .policies
        .list(scope)
        .await
        .map_err(|error| visit.refuse(error))?;
    let columns = vec![
        Column::text("tenant", "Tenant"),
        Column::text("bucket", "Bucket"),
        Column::text("class", "Class"),
        Column::text("severity", "Severity"),
        Column::text("action", "Action"),
        Column::text("original", "The original"),
        Column::text("alert", "People are told"),
        Column::text("mode", "Mode"),
        Column::text("changed_by", "Changed by"),
    ];
    let mut table = Table::new("policies", "Policies", &visit.url, columns)
        .note("the narrower of two policies holds: tenant before bucket before class")
        .empty(Empty::new(
            "No policy is set.",
            "The built-in rule below holds, as a dry run.",
        ));
    for one in &all {
        let scope = &one.scope;
        table.push(Row::new(vec![
            Cell::text(
                &scope
                    .tenant
                    .map_or_else(|| "all".to_owned(), |id| visit.slug(id)),
            ),
            Cell::text(scope.bucket.as_deref().unwrap_or("all")),
            Cell::text(scope.class.map_or("all", |class| class.as_str())),
            Cell::badge(&detector::badge(scope.severity)),
            Cell::text(one.action.as_str()),
            Cell::text(one.original.as_str()),
            Cell::text(told(one.alert)),
            Cell::badge(&mode(one.mode)),
            Cell::text(&one.changed_by),
        ]));
    }
    let built = built_in_table(visit);
    for table in [&table, &built] {
        if let Some(export) = table.export(&visit.url) {
            return Ok(export);
        }
    }
    let mut body = Markup::new();
    if let Some((_, why)) = refused {
        body = body.with(&ErrorSummary::new(vec![(
            "severity".to_owned(),
            why.clone(),
        )]));
    }
    body = body.with(&table).with(&built);
    if visit.may(Action::DlpWrite) {
        body = body.with(&Panel::new(
            "Set a policy",
            &form(visit, refused.map(|(fields, _)| fields)),
        ));
    }
    let chrome = visit.list("Policies");
    let mut page = Page::new("Policies", chrome, &body);
    if refused.is_some() {
        page = page.status(StatusCode::UNPROCESSABLE_ENTITY);
    }
    Ok(page.into_response())
}

fn built_in_table(visit: &Visit) -> Table {
    let columns = vec![
        Column::text("severity", "Severity"),
        Column::text("action", "Action"),
        Column::text("alert", "People are told"),
        Column::text("mode", "Mode"),
    ];
    let mut table =
        Table::new("built-in", "Where no policy is set", &visit.url, columns).without_exports();
    for severity in SEVERITIES {
        let rule = built_in(severity);
        table.push(Row::new(vec![
            Cell::badge(&detector::badge(severity)),
            Cell::text(rule.action.as_str()),
            Cell::text(told(rule.alert)),
            Cell::badge(&mode(rule.mode)),
        ]));
    }
    table
}

fn form(visit: &Visit, typed: Option<&Fields>) -> Form {
    let value = |name: &str| {
        typed
            .and_then(|fields| fields.get(name))
            .unwrap_or_default()
    };
    let chosen = visit.url.get("tenant").unwrap_or_default();
    let classes = [
        ("", "all classes"),
        ("pii", "pii"),
        ("financial", "financial"),
        ("health", "health"),
        ("secret", "secret"),
        ("technical", "technical"),
    ];
    let severities = [
        ("critical", "critical"),
        ("high", "high"),
        ("medium", "medium"),
        ("low", "low"),
    ];
    let modes = [
        ("dry-run", "dry-run: say what would be done"),
        ("enforce", "enforce: do it"),
    ];
    let mut form = Form::new("/console/dlp/policies/set", visit.csrf(), "Set the policy");
    if visit.by.tenants.tenant().is_none() {
        let tenants = visit.pages.directory.all();
        let mut choices = vec![("", "all tenants")];
        choices.extend(
            tenants
                .iter()
                .map(|one| (one.slug.as_str(), one.name.as_str())),
        );
        let typed = value("tenant");
        form = form.field(
            Field::select("tenant", "Tenant", &choices).value(if typed.is_empty() {
                chosen
            } else {
                typed
            }),
        );
    }
    form.field(
        Field::text("bucket", "Bucket")
            .value(value("bucket"))
            .hint("All buckets when empty."),
    )
    .field(Field::select("class", "Class", &classes).value(value("class")))
    .field(Field::select("severity", "Severity", &severities).value(value("severity")))
    .field(Field::select("action", "Action", &ACTIONS).value(value("action")))
    .field(
        Field::select(
            "original",
            "The original of a redacted or encrypted object",
            &ORIGINALS,
        )
        .value(value("original"))
        .hint("Nothing happens to it while something holds it."),
    )
    .field(
        Field::select(
            "alert",
            "People are told",
            &[("no", "no"), ("yes", "at once")],
        )
        .value(value("alert")),
    )
    .field(
        Field::select("mode", "Mode", &modes)
            .value(value("mode"))
            .hint("A new policy begins as a dry run."),
    )
}

/// `POST /console/dlp/policies/set`.
pub(super) async fn act(visit: Visit, Path(action): Path<String>, body: Bytes) -> Answer {
    if action != "set" {
        return Err(visit.missing(&format!("Policies have no button {}.", shown(&action))));
    }
    if let Err(problem) = visit.by.require(Action::DlpWrite) {
        return Err(visit.problem(&problem));
    }
    let fields = Fields::parse(&body).map_err(|error| visit.problem(&Problem::from(error)))?;
    let new = match read(&visit, &fields)? {
        Ok(new) => new,
        Err(why) => return page(&visit, Some(&(fields, why))).await,
    };
    match visit
        .pages
        .dlp
        .policies
        .set(new, None, &visit.actor())
        .await
    {
        Ok(set) => {
            let text = format!(
                "{} findings: {}, {}.",
                set.scope.severity.as_str(),
                set.action,
                set.mode
            );
            let mut response = Redirect::to("/console/dlp/policies").into_response();
            if let Some(cookie) = Flash::new(Tone::Good, &text).set_cookie() {
                response.headers_mut().append(header::SET_COOKIE, cookie);
            }
            Ok(response)
        }
        Err(error @ DlpError::Invalid(_)) => page(&visit, Some(&(fields, error.to_string()))).await,
        Err(error) => Err(visit.refuse(error)),
    }
}

/// What a form asks for, or what is wrong with it; another tenant's name is a page of its own.
fn read(
    visit: &Visit,
    fields: &Fields,
) -> Result<Result<NewPolicy, String>, super::visit::Refusal> {
    let tenant = match (visit.by.tenants.tenant(), fields.filled("tenant")) {
        (Some(own), _) => Some(own),
        (None, None) => None,
        (None, Some(name)) => Some(visit.tenant(&name)?.id),
    };
    let text = |name: &str| fields.get(name).unwrap_or_default();
    let parsed = || -> Result<NewPolicy, String> {
        Ok(NewPolicy {
            scope: PolicyScope {
                tenant,
                bucket: fields.filled("bucket"),
                class: fields
                    .filled("class")
                    .as_deref()
                    .map(policy::class)
                    .transpose()?,
                severity: policy::severity(text("severity"))?,
            },
            action: text("action").parse::<PolicyAction>()?,
            original: fields
                .filled("original")
                .map_or(Ok(Original::Quarantine), |text| text.parse())?,
            alert: text("alert") == "yes",
            mode: text("mode").parse::<PolicyMode>()?,
        })
    };
    Ok(parsed())
}
