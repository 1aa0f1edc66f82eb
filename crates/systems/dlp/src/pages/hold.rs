//! Legal holds: `/console/dlp/holds`.

use axum::body::Bytes;
use axum::extract::Path;
use axum::response::IntoResponse;
use jiff::tz::TimeZone;
use sealwright_access::Action;
use sealwright_core::UnixMicros;
use sealwright_web::component::{
    Badge, Cell, Column, Definitions, Empty, Field, Form, Panel, Row, Table, Tone,
};
use sealwright_web::{Crumb, Markup, Page};

use super::act;
use super::visit::{Answer, Refusal, Visit, shown};
use crate::model::hold::{Matter, MatterId, MatterScope, MatterState, MatterStep, Protection};
use crate::service::DlpError;
use crate::service::hold::NewMatter;

/// Versions that a page of a matter lists.
const ROWS: usize = 1_000;

fn badge(state: MatterState) -> Badge {
    match state {
        MatterState::Opened => Badge::new(Tone::Warn, "holds, not approved"),
        MatterState::Approved => Badge::new(Tone::Good, "holds"),
        MatterState::ReleaseAsked => Badge::new(Tone::Warn, "holds, release asked"),
        MatterState::Released => Badge::new(Tone::Neutral, "released"),
    }
}

/// `GET /console/dlp/holds`.
pub(super) async fn list(visit: Visit) -> Answer {
    let scope = visit.scope()?;
    let holds = &visit.pages.dlp.holds;
    let matters = holds
        .list(scope)
        .await
        .map_err(|error| visit.refuse(error))?;
    let counts = holds
        .counts(scope)
        .await
        .map_err(|error| visit.refuse(error))?;
    let count = |matter: &Matter, state: &str| -> i64 {
        let id = matter.id.to_string();
        counts
            .iter()
            .filter(|(one, s, _)| *one == id && s == state)
            .map(|(.., n)| n)
            .sum()
    };
    let columns = vec![
        Column::text("name", "Matter"),
        Column::text("tenant", "Tenant"),
        Column::text("state", "State"),
        Column::text("owner", "Owner"),
        Column::number("held", "Versions held"),
        Column::number("failed", "Not protected"),
        Column::time("opened_at", "Opened, UTC"),
    ];
    let mut table = Table::new("matters", "Matters", &visit.url, columns)
        .note("a matter holds from its opening until a second person has released it")
        .empty(Empty::new(
            "No matter.",
            "Open one when something must not be deleted.",
        ));
    for one in &matters {
        table.push(Row::new(vec![
            Cell::link(&one.name, &format!("/console/dlp/holds/{}", one.id)),
            Cell::text(&visit.slug(one.tenant)),
            Cell::badge(&badge(one.state)),
            Cell::text(&one.owner),
            Cell::integer(count(one, "held")),
            Cell::integer(count(one, "failed")),
            Cell::time(one.opened_at.timestamp(), &TimeZone::UTC),
        ]));
    }
    if let Some(export) = table.export(&visit.url) {
        return Ok(export);
    }
    let mut body = Markup::of(&table);
    if visit.may(Action::DlpWrite) {
        let mut form = Form::new("/console/dlp/holds/open", visit.csrf(), "Open the matter");
        if visit.by.tenants.tenant().is_none() {
            let tenants = visit.pages.directory.all();
            let choices: Vec<(&str, &str)> = tenants
                .iter()
                .map(|one| (one.slug.as_str(), one.name.as_str()))
                .collect();
            form = form.field(Field::select("tenant", "Tenant", &choices));
        }
        let form = form
            .field(Field::text("name", "Name").required())
            .field(Field::text("reason", "Reason").required())
            .field(Field::text("owner", "Owner").required())
            .field(Field::text("custodian", "Custodian").required())
            .field(Field::text("bucket", "Bucket").hint("All buckets when empty."))
            .field(Field::text("prefix", "Keys that begin so").hint("All keys when empty."))
            .field(Field::text("tag", "Tag").hint("As name=value; objects with it only."))
            .field(
                Field::text("person", "Person")
                    .hint("The pseudonymous id in the tag sealwright-person."),
            )
            .field(Field::text("from", "Written from").hint("A day, such as 2026-01-31."))
            .field(Field::text("to", "Written before").hint("A day, such as 2026-12-31."));
        body = body.with(&Panel::new("Open a matter", &form));
    }
    let chrome = visit.list("Holds");
    Ok(Page::new("Legal holds", chrome, &body).into_response())
}

/// `POST /console/dlp/holds/open`.
pub(super) async fn open(visit: Visit, body: Bytes) -> Answer {
    let fields = act::fields(&visit, &body)?;
    let tenant = match (visit.by.tenants.tenant(), fields.filled("tenant")) {
        (Some(own), _) => own,
        (None, Some(name)) => visit.tenant(&name)?.id,
        (None, None) => return Err(visit.missing("Choose a tenant.")),
    };
    let text = |name: &str| fields.get(name).unwrap_or_default().to_owned();
    let scope = || -> Result<MatterScope, DlpError> {
        let day = |name: &str| -> Result<Option<UnixMicros>, DlpError> {
            fields
                .filled(name)
                .map(|day| {
                    UnixMicros::parse_rfc3339(&format!("{day}T00:00:00Z")).map_err(|_| {
                        DlpError::Invalid(format!("`{name}`: give a day, such as 2026-01-31"))
                    })
                })
                .transpose()
        };
        let mut scope = MatterScope {
            buckets: fields.filled("bucket").into_iter().collect(),
            prefix: fields.filled("prefix"),
            person: fields.filled("person"),
            from: day("from")?,
            to: day("to")?,
            ..MatterScope::default()
        };
        if let Some(tag) = fields.filled("tag") {
            let (name, value) = tag
                .split_once('=')
                .ok_or_else(|| DlpError::Invalid("give the tag as name=value".to_owned()))?;
            scope.tags.insert(name.to_owned(), value.to_owned());
        }
        Ok(scope)
    };
    let result = match scope() {
        Err(error) => Err(error),
        Ok(scope) => {
            let new = NewMatter {
                tenant,
                name: text("name"),
                reason: text("reason"),
                owner: text("owner"),
                custodian: text("custodian"),
                scope,
            };
            visit.pages.dlp.holds.open(new, &visit.actor()).await
        }
    };
    let result = result.map(|matter| {
        format!(
            "{} is open: nothing that it covers is deleted from now on.",
            matter.name
        )
    });
    act::back(&visit, "/console/dlp/holds", result)
}

fn id(visit: &Visit, text: &str) -> Result<MatterId, Refusal> {
    text.parse()
        .map_err(|_| visit.missing(&format!("There is no matter {}.", shown(text))))
}

/// `GET /console/dlp/holds/{id}`.
pub(super) async fn show(visit: Visit, Path(text): Path<String>) -> Answer {
    let id = id(&visit, &text)?;
    let (one, held) = visit
        .pages
        .dlp
        .holds
        .find(visit.by.tenants, id)
        .await
        .map_err(|error| visit.refuse(error))?;
    let mut facts = Definitions::new()
        .item("State", Markup::of(&badge(one.state)))
        .item("Reason", one.reason.as_str())
        .item("Owner", one.owner.as_str())
        .item("Custodian", one.custodian.as_str())
        .item("Tenant", visit.slug(one.tenant).as_str())
        .item("Covers", covers(&one.scope).as_str())
        .item("Opened by", one.opened_by.as_str())
        .item("Opened at", one.opened_at.to_string().as_str());
    for (name, who) in [
        ("Approved by", &one.approved_by),
        ("Release asked by", &one.release_asked_by),
        ("Released by", &one.released_by),
    ] {
        if let Some(who) = who {
            facts = facts.item(name, who.as_str());
        }
    }
    let columns = vec![
        Column::text("object", "Version"),
        Column::text("protection", "Protected by"),
        Column::text("state", "State"),
        Column::text("problem", "Problem"),
        Column::time("checked_at", "Store asked, UTC"),
    ];
    let mut table = Table::new("held", "Versions held", &visit.url, columns)
        .note("each was asked for after it was written; the first 1,000")
        .empty(
            Empty::new(
                "Nothing is protected yet.",
                "The hourly job does it, or the command:",
            )
            .command("sealwright dlp hold apply"),
        );
    for row in held.iter().take(ROWS) {
        let protection = match row.protection {
            Protection::ObjectLock => "the store itself (legal hold)",
            Protection::TagOnly => "a tag only: others may delete it",
            Protection::LedgerOnly => "this program's ledger only: others may delete it",
        };
        let tone = match row.state.as_str() {
            "held" => Tone::Good,
            "failed" => Tone::Bad,
            _ => Tone::Neutral,
        };
        table.push(Row::new(vec![
            Cell::text(&row.object.to_string()),
            Cell::text(protection),
            Cell::badge(&Badge::new(tone, &row.state)),
            Cell::text(&row.problem),
            Cell::time(row.checked_at.timestamp(), &TimeZone::UTC),
        ]));
    }
    if let Some(export) = table.export(&visit.url) {
        return Ok(export);
    }
    let mut body = Markup::of(&Panel::new("Matter", &facts).flush()).with(&table);
    if visit.may(Action::DlpWrite) {
        let steps: &[(&str, &str)] = match one.state {
            MatterState::Opened => &[("approve", "Approve"), ("ask-release", "Ask for release")],
            MatterState::Approved => &[("ask-release", "Ask for release")],
            MatterState::ReleaseAsked => {
                &[("release", "Release"), ("keep-holding", "Keep holding")]
            }
            MatterState::Released => &[],
        };
        for (step, label) in steps {
            let mut form = Form::new(
                &format!("/console/dlp/holds/{id}/{step}"),
                visit.csrf(),
                label,
            )
            .hidden("revision", &one.revision.to_string());
            if *step == "release" {
                form = form.danger();
            }
            body = body.with(&Panel::new(label, &form));
        }
    }
    let chrome = visit.chrome(vec![
        Crumb::link("Holds", "/console/dlp/holds"),
        Crumb::here(&one.name),
    ]);
    Ok(Page::new(&one.name, chrome, &body).into_response())
}

fn covers(scope: &MatterScope) -> String {
    let mut words = Vec::new();
    if !scope.buckets.is_empty() {
        words.push(format!("in {}", scope.buckets.join(", ")));
    }
    if let Some(prefix) = &scope.prefix {
        words.push(format!("keys that begin with {prefix}"));
    }
    for (name, value) in &scope.tags {
        words.push(format!("tagged {name}={value}"));
    }
    if let Some(person) = &scope.person {
        words.push(format!("of the person {person}"));
    }
    if let Some(from) = scope.from {
        words.push(format!("written from {from} on"));
    }
    if let Some(to) = scope.to {
        words.push(format!("written before {to}"));
    }
    if words.is_empty() {
        "everything of the tenant's".to_owned()
    } else {
        words.join("; ")
    }
}

/// `POST /console/dlp/holds/{id}/{step}`.
pub(super) async fn step(
    visit: Visit,
    Path((text, step)): Path<(String, String)>,
    body: Bytes,
) -> Answer {
    let id = id(&visit, &text)?;
    let fields = act::fields(&visit, &body)?;
    let step = match step.as_str() {
        "approve" => MatterStep::Approve,
        "ask-release" => MatterStep::AskRelease,
        "keep-holding" => MatterStep::KeepHolding,
        "release" => MatterStep::Release,
        other => return Err(visit.missing(&format!("A matter has no button {}.", shown(other)))),
    };
    let revision = fields
        .get("revision")
        .and_then(|text| text.parse::<i64>().ok())
        .ok_or_else(|| visit.missing("The form lacks the matter's revision."))?;
    let result = visit
        .pages
        .dlp
        .holds
        .step(visit.by.tenants, id, step, Some(revision), &visit.actor())
        .await
        .map(|matter| format!("The matter is {}.", matter.state));
    act::back(&visit, &format!("/console/dlp/holds/{id}"), result)
}
