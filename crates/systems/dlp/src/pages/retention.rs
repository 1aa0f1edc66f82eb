//! How long what is kept: `/console/dlp/retention`.

use axum::body::Bytes;
use axum::extract::Path;
use axum::response::IntoResponse;
use jiff::tz::TimeZone;
use sealwright_access::Action;
use sealwright_web::component::{
    Badge, Cell, Column, Definitions, Empty, Form, Panel, Row, Table, Tone,
};
use sealwright_web::{Crumb, Markup, Page, format};

use super::act;
use super::visit::{Answer, Refusal, Visit, shown};
use crate::model::plan::{PlanId, PlanState};
use crate::model::retention::Period;

/// Rows of a list.
const ROWS: u32 = 100;
/// Lines of a plan that its page shows.
const LINES: usize = 1_000;

fn badge(state: PlanState) -> Badge {
    match state {
        PlanState::Draft => Badge::new(Tone::Neutral, "draft"),
        PlanState::Approved => Badge::new(Tone::Warn, "approved"),
        PlanState::Applied => Badge::new(Tone::Good, "applied"),
    }
}

/// `GET /console/dlp/retention`.
pub(super) async fn list(visit: Visit) -> Answer {
    let scope = visit.scope()?;
    let service = &visit.pages.dlp.retention;
    let plans = service
        .plans(scope, ROWS)
        .await
        .map_err(|error| visit.refuse(error))?;
    let requests = service
        .erasures(scope)
        .await
        .map_err(|error| visit.refuse(error))?;
    let columns = vec![
        Column::text("id", "Plan"),
        Column::text("tenant", "Tenant"),
        Column::text("for", "For"),
        Column::text("state", "State"),
        Column::number("seen", "Versions seen"),
        Column::text("made_by", "Made by"),
        Column::time("made_at", "Made, UTC"),
    ];
    let mut table = Table::new("plans", "Plans", &visit.url, columns)
        .note("a plan deletes nothing before a second person has approved it")
        .empty(
            Empty::new(
                "No plan.",
                "Ask what would go, and why the rest is still here:",
            )
            .command("sealwright dlp retention plan --tenant TENANT --as-of 2027-03-01"),
        );
    for one in &plans {
        let what = match one.erasure {
            Some(_) => "an erasure".to_owned(),
            None => format::day(one.as_of.timestamp(), &TimeZone::UTC),
        };
        table.push(Row::new(vec![
            Cell::link(
                &one.id.to_string(),
                &format!("/console/dlp/retention/plans/{}", one.id),
            ),
            Cell::text(&visit.slug(one.tenant)),
            Cell::text(&what),
            Cell::badge(&badge(one.state)),
            Cell::integer(one.seen),
            Cell::text(&one.made_by),
            Cell::time(one.made_at.timestamp(), &TimeZone::UTC),
        ]));
    }
    let columns = vec![
        Column::text("id", "Request"),
        Column::text("tenant", "Tenant"),
        Column::text("person", "Person"),
        Column::text("state", "State"),
        Column::time("asked_at", "Came, UTC"),
        Column::text("certificate", "Certificate"),
    ];
    let mut erasures = Table::new("erasures", "Requests for erasure", &visit.url, columns).empty(
        Empty::new(
            "No request.",
            "Enter one with the person's pseudonymous id:",
        )
        .command("sealwright dlp erasure ask --tenant TENANT --person ID --reason REASON"),
    );
    for one in &requests {
        let certificate = if one.certificate.is_empty() {
            Cell::text("when it is closed")
        } else {
            Cell::link(
                "certificate.json",
                &format!("/api/dlp/erasures/{}/certificate", one.id),
            )
        };
        erasures.push(Row::new(vec![
            Cell::code(&one.id.to_string()),
            Cell::text(&visit.slug(one.tenant)),
            Cell::text(&one.person),
            Cell::text(&one.state),
            Cell::time(one.asked_at.timestamp(), &TimeZone::UTC),
            certificate,
        ]));
    }
    let columns = vec![
        Column::text("id", "Category"),
        Column::text("title", "What"),
        Column::text("minimum", "The law demands"),
        Column::text("archive", "Archived after"),
        Column::text("maximum", "Goes after"),
        Column::text("basis", "Basis"),
    ];
    let mut categories = Table::new("categories", "Categories", &visit.url, columns)
        .note("an object's category is its tag sealwright-category; without one it stays");
    let words = |period: Option<Period>| period.map_or("–".to_owned(), |p| p.to_string());
    for one in service.categories().all_at(visit.pages.clock.now()) {
        let maximum = match one.maximum {
            Some(period) => period.to_string(),
            None => one
                .tiers
                .iter()
                .map(|(name, period)| format!("{name} {period}"))
                .collect::<Vec<_>>()
                .join(", "),
        };
        categories.push(Row::new(vec![
            Cell::code(&one.id),
            Cell::text(&one.title),
            Cell::text(&words(one.minimum)),
            Cell::text(&words(one.archive)),
            Cell::text(&maximum),
            Cell::text(&one.basis),
        ]));
    }
    for table in [&table, &erasures, &categories] {
        if let Some(export) = table.export(&visit.url) {
            return Ok(export);
        }
    }
    let body = Markup::of(&table).with(&erasures).with(&categories);
    let chrome = visit.list("Retention");
    Ok(Page::new("Retention", chrome, &body).into_response())
}

fn id(visit: &Visit, text: &str) -> Result<PlanId, Refusal> {
    text.parse()
        .map_err(|_| visit.missing(&format!("There is no plan {}.", shown(text))))
}

/// `GET /console/dlp/retention/plans/{id}`.
pub(super) async fn plan(visit: Visit, Path(text): Path<String>) -> Answer {
    let id = id(&visit, &text)?;
    let (one, items) = visit
        .pages
        .dlp
        .retention
        .plan(visit.by.tenants, id)
        .await
        .map_err(|error| visit.refuse(error))?;
    let mut facts = Definitions::new()
        .item("State", Markup::of(&badge(one.state)))
        .item("Tenant", visit.slug(one.tenant).as_str())
        .item("As of", one.as_of.to_string().as_str())
        .item("Versions seen", one.seen.to_string().as_str())
        .item(
            "Without a category",
            format!("{}: they stay, and are not listed", one.uncategorised).as_str(),
        )
        .item("Made by", one.made_by.as_str());
    if let Some(erasure) = one.erasure {
        facts = facts.item("Request", Markup::new().code(&erasure.to_string()));
    }
    if let Some(by) = &one.approved_by {
        facts = facts.item("Approved by", by.as_str());
    }
    let columns = vec![
        Column::text("object", "Version"),
        Column::text("category", "Category"),
        Column::text("verdict", "Verdict"),
        Column::text("why", "Why"),
        Column::time("due", "Not before, UTC"),
        Column::text("result", "What came of it"),
    ];
    let mut table = Table::new("lines", "Lines", &visit.url, columns).note(&format!(
        "{} lines; the first {LINES} are shown",
        items.len()
    ));
    for item in items.iter().take(LINES) {
        let tone = match item.verdict.as_str() {
            "delete" | "approve" => Tone::Bad,
            "notify" | "wait" => Tone::Warn,
            _ => Tone::Neutral,
        };
        let verdict = match item.verdict.as_str() {
            "approve" => "goes, once approved",
            "notify" => "to be announced",
            other => other,
        };
        let result = if item.result_why.is_empty() {
            item.result.clone()
        } else {
            format!("{}: {}", item.result, item.result_why)
        };
        table.push(Row::new(vec![
            Cell::text(&item.id.to_string()),
            Cell::text(&item.category),
            Cell::badge(&Badge::new(tone, verdict)),
            Cell::text(&item.why.join("; ")),
            item.due.map_or_else(Cell::unknown, |due| {
                Cell::time(due.timestamp(), &TimeZone::UTC)
            }),
            Cell::text(&result),
        ]));
    }
    if let Some(export) = table.export(&visit.url) {
        return Ok(export);
    }
    let mut body = Markup::of(&Panel::new("Plan", &facts).flush());
    if visit.may(Action::DlpWrite) {
        let steps: &[(&str, &str)] = match one.state {
            PlanState::Draft => &[("announce", "Announce"), ("approve", "Approve")],
            PlanState::Approved => &[("apply", "Delete what is approved")],
            PlanState::Applied => &[],
        };
        for (step, label) in steps {
            let mut form = Form::new(
                &format!("/console/dlp/retention/plans/{id}/{step}"),
                visit.csrf(),
                label,
            );
            if *step == "apply" {
                form = form.danger();
            }
            body = body.with(&Panel::new(label, &form));
        }
    }
    let body = body.with(&table);
    let chrome = visit.chrome(vec![
        Crumb::link("Retention", "/console/dlp/retention"),
        Crumb::here("Plan"),
    ]);
    Ok(Page::new("Deletion plan", chrome, &body).into_response())
}

/// `POST /console/dlp/retention/plans/{id}/{step}`.
pub(super) async fn step(
    visit: Visit,
    Path((text, step)): Path<(String, String)>,
    body: Bytes,
) -> Answer {
    let id = id(&visit, &text)?;
    let _ = act::fields(&visit, &body)?;
    let service = &visit.pages.dlp.retention;
    let (scope, actor) = (visit.by.tenants, visit.actor());
    let result = match step.as_str() {
        "announce" => service
            .announce(scope, id, &actor)
            .await
            .map(|n| format!("{n} versions are announced.")),
        "approve" => service
            .approve(scope, id, &actor)
            .await
            .map(|_| "The plan is approved.".to_owned()),
        "apply" => service.apply(scope, id, &actor).await.map(|(_, done)| {
            format!(
                "{} versions are erased, {} stay; the lines say why.",
                done.erased, done.kept
            )
        }),
        other => return Err(visit.missing(&format!("A plan has no button {}.", shown(other)))),
    };
    act::back(
        &visit,
        &format!("/console/dlp/retention/plans/{id}"),
        result,
    )
}
