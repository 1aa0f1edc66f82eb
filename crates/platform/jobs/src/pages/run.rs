//! Runs: the list, and one run with its progress, errors and result.

use axum::extract::Path;
use axum::response::IntoResponse;
use rust_decimal::Decimal;
use sealwright_web::chrome::Action;
use sealwright_web::component::{
    Bar, Cell, Column, Definitions, Empty, Live, Pager, Panel, Row, Table, Tone,
};
use sealwright_web::{Crumb, Fragment, Markup, Page, format};
use serde_json::Value;

use super::{Answer, Visit, badge, done, time};
use crate::error::JobsError;
use crate::model::{Run, RunFilter, RunState};

/// How often the page of a run that is going on asks again, in seconds.
const REFRESH: u32 = 5;
/// Values of a result that the page lists; the HTTP interface has all of them.
const MOST_VALUES: usize = 100;

pub(super) fn columns() -> Vec<Column> {
    vec![
        Column::text("id", "Run"),
        Column::text("job", "Job"),
        Column::text("state", "State"),
        Column::text("progress", "Progress"),
        Column::text("cause", "Asked for by"),
        Column::time("started_at", "Last attempt, UTC"),
        Column::text("error", "Error"),
    ]
}

pub(super) fn row(run: &Run) -> Row {
    let id = run.id.to_string();
    Row::new(vec![
        Cell::id(&id, &format!("/console/jobs/runs/{id}")),
        Cell::link(&run.job, &format!("/console/jobs/{}", run.job)),
        Cell::badge(&badge(run.state)),
        progress(run),
        Cell::text(&run.cause),
        time(run.started_at, "not begun"),
        Cell::text(run.error.as_deref().unwrap_or_default()),
    ])
}

/// Steps done of all, as a bar where the whole is known.
fn progress(run: &Run) -> Cell {
    let tone = match run.state {
        RunState::Failed => Tone::Bad,
        RunState::Cancelled => Tone::Warn,
        RunState::Done => Tone::Good,
        RunState::Queued | RunState::Running => Tone::Info,
    };
    let steps = match run.total {
        Some(total) => format!(
            "{} of {}",
            format::integer(run.done),
            format::integer(total)
        ),
        None => format::integer(run.done),
    };
    let text = match (run.done, run.message.as_str()) {
        (0, "") => return Cell::text("none told"),
        (_, "") => steps,
        (0, message) if run.total.is_none() => message.to_owned(),
        (_, message) => format!("{steps} {message}"),
    };
    match run.total.filter(|total| *total > 0) {
        None => Cell::text(&text),
        Some(total) => {
            let share = Decimal::from(run.done) / Decimal::from(total);
            let mut bar = Bar::new(share, tone);
            bar.text.clone_from(&text);
            Cell::markup(&Markup::of(&Cell::bar(&bar)), &text)
        }
    }
}

/// `GET /console/jobs/runs`.
pub(super) async fn list(visit: Visit) -> Answer {
    let state = match visit.url.get("state").filter(|text| !text.is_empty()) {
        None => None,
        Some(text) => Some(text.parse::<RunState>().map_err(|detail| {
            visit.refuse(JobsError::Invalid {
                field: "state",
                detail,
            })
        })?),
    };
    let filter = RunFilter {
        job: visit.url.get("job").map(str::to_owned),
        state,
        cursor: visit.url.get("cursor").map(str::to_owned),
        limit: Some(100),
    };
    let runs = visit
        .pages
        .jobs
        .runs(&visit.by, &filter)
        .await
        .map_err(|error| visit.refuse(error))?;
    let mut table = Table::new("runs", "Runs, newest first", &visit.url, columns())
        .pager(Pager {
            previous: None,
            next: runs.next.clone(),
        })
        .empty(
            Empty::new("There is no such run.", "Run a job with:")
                .command("sealwright jobs run access.housekeeping"),
        );
    for run in &runs.items {
        table.push(row(run));
    }
    if let Some(export) = table.export(&visit.url) {
        return Ok(export);
    }
    let mut states = Markup::new()
        .text("State: ")
        .link("all", "/console/jobs/runs");
    for state in ["queued", "running", "done", "failed", "cancelled"] {
        states = states
            .text(", ")
            .link(state, &format!("/console/jobs/runs?state={state}"));
    }
    let chrome = visit.chrome(vec![Crumb::here("Runs")]).lead(states);
    Ok(Page::new("Runs", chrome, &table).into_response())
}

/// `GET /console/jobs/runs/{run}`.
pub(super) async fn show(visit: Visit, Path(id): Path<String>) -> Answer {
    let run = visit
        .pages
        .jobs
        .run(&visit.by, &id)
        .await
        .map_err(|error| visit.refuse(error))?;
    let body = body(&run);
    if Fragment::asked(&visit.headers) {
        return Ok(Fragment::new(&body).into_response());
    }
    let going = matches!(run.state, RunState::Queued | RunState::Running);
    let here = format!("/console/jobs/runs/{}", run.id);
    let mut chrome = visit
        .chrome(vec![
            Crumb::link(&run.job, &format!("/console/jobs/{}", run.job)),
            Crumb::id(&run.id.to_string()),
        ])
        .badge(badge(run.state));
    if visit.may_write() {
        if going && !run.cancel_requested {
            chrome = chrome.action(Action::post("Cancel", &format!("{here}/cancel")));
        }
        if matches!(run.state, RunState::Failed | RunState::Cancelled) {
            chrome = chrome.action(Action::post("Resume", &format!("{here}/resume")).primary());
        }
    }
    let title = format!("Run of {}", run.job);
    Ok(if going {
        let live = Live::new("run", &here, REFRESH, &body);
        Page::new(&title, chrome, &live).into_response()
    } else {
        Page::new(&title, chrome, &body).into_response()
    })
}

fn body(run: &Run) -> Markup {
    let mut about = Definitions::new()
        .item("State", Markup::of(&badge(run.state)))
        .item("Progress", Markup::of(&progress(run)))
        .item("Asked for by", run.cause.as_str())
        .item("For, UTC", Markup::of(&time(Some(run.slot), "")))
        .item("Queued, UTC", Markup::of(&time(Some(run.queued_at), "")))
        .item(
            "Last attempt, UTC",
            Markup::of(&time(run.started_at, "not begun")),
        )
        .item("Attempts", format::integer(run.attempt))
        .item("Ended, UTC", Markup::of(&time(run.ended_at, "not ended")));
    if let Some(holder) = &run.holder {
        about = about.item("Held by", Markup::new().code(holder)).item(
            "Lease until, UTC",
            Markup::of(&time(run.lease_until, "none")),
        );
    }
    if run.cancel_requested && run.state == RunState::Running {
        about = about.item("Asked to stop", "yes; it stops after its present step");
    }
    if run.checkpoint.is_some() && run.state != RunState::Done {
        about = about.item("When resumed", "begins where the last finished step ended");
    }
    let mut body = Markup::of(&Panel::new("Run", &about).flush());
    if let Some(error) = &run.error {
        body = body.with(&Panel::new("Error", &Markup::from(error.as_str())));
    }
    if let Some(result) = run.result.as_ref().filter(|value| !value.is_null()) {
        let mut values = Vec::new();
        flatten(result, String::new(), &mut values);
        let mut list = Definitions::new();
        for (name, value) in values {
            list = list.item(&name, value);
        }
        body = body.with(&Panel::new("Result", &list).flush());
    }
    body
}

/// The leaves of a result with their dotted names, at most [`MOST_VALUES`].
fn flatten(value: &Value, name: String, out: &mut Vec<(String, String)>) {
    if out.len() >= MOST_VALUES {
        return;
    }
    let below = |part: &str| match name.as_str() {
        "" => part.to_owned(),
        name => format!("{name}.{part}"),
    };
    match value {
        Value::Object(map) if !map.is_empty() => {
            for (key, value) in map {
                flatten(value, below(key), out);
            }
        }
        Value::Array(items) if !items.is_empty() => {
            for (place, value) in items.iter().enumerate() {
                flatten(value, below(&place.to_string()), out);
            }
        }
        leaf => {
            let text = match leaf {
                Value::String(text) => text.clone(),
                Value::Null => "none".to_owned(),
                Value::Array(_) | Value::Object(_) => "none".to_owned(),
                Value::Number(number) => number
                    .as_i64()
                    .map_or_else(|| number.to_string(), format::integer),
                Value::Bool(true) => "yes".to_owned(),
                Value::Bool(false) => "no".to_owned(),
            };
            let name = if name.is_empty() {
                "value".to_owned()
            } else {
                name
            };
            out.push((name, text));
        }
    }
}

/// `POST /console/jobs/runs/{run}/cancel`.
pub(super) async fn cancel(visit: Visit, Path(id): Path<String>) -> Answer {
    let run = visit
        .pages
        .jobs
        .cancel(&visit.by, &id)
        .await
        .map_err(|error| visit.refuse(error))?;
    let text = match run.state {
        RunState::Cancelled => "The run is cancelled.",
        _ => "The run is asked to stop; it does so after its present step.",
    };
    Ok(done(&format!("/console/jobs/runs/{}", run.id), text))
}

/// `POST /console/jobs/runs/{run}/resume`.
pub(super) async fn resume(visit: Visit, Path(id): Path<String>) -> Answer {
    let run = visit
        .pages
        .jobs
        .resume(&visit.by, &id)
        .await
        .map_err(|error| visit.refuse(error))?;
    let to = format!("/console/jobs/runs/{}", run.id);
    Ok(done(&to, "The run is back in the queue."))
}
