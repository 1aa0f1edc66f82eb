//! The jobs, and one job with its history.

use axum::body::Bytes;
use axum::extract::Path;
use axum::response::IntoResponse;
use sealwright_access::forms::Fields;
use sealwright_core::Problem;
use sealwright_web::chrome::Action;
use sealwright_web::component::{
    Cell, Column, Command, Definitions, Empty, Pager, Panel, Row, Table,
};
use sealwright_web::{Crumb, Markup, Page};

use super::run::{columns, row};
use super::{Answer, Visit, badge, done, time};
use crate::error::JobsError;
use crate::model::{JobInfo, RunFilter, RunId};

/// Runs in the history of one job.
const HISTORY: u32 = 50;

/// `GET /console/jobs`.
pub(super) async fn list(visit: Visit) -> Answer {
    let jobs = visit
        .pages
        .jobs
        .jobs(&visit.by)
        .await
        .map_err(|error| visit.refuse(error))?;
    let columns = vec![
        Column::text("name", "Job"),
        Column::text("about", "What it does"),
        Column::text("schedule", "Schedule"),
        Column::time("next_run", "Next run, UTC"),
        Column::time("last_run", "Last run, UTC"),
        Column::text("state", "Last state"),
    ];
    let mut table = Table::new("jobs", "Jobs", &visit.url, columns).empty(
        Empty::new("This program has no jobs.", "They are listed with:")
            .command("sealwright jobs list"),
    );
    for job in &jobs {
        let last = job.last_run.as_ref();
        table.push(Row::new(vec![
            Cell::link(&job.name, &format!("/console/jobs/{}", job.name)),
            Cell::text(&job.about),
            Cell::text(&schedule(job)),
            time(job.next_slot, "when asked for"),
            time(
                last.map(|run| run.started_at.unwrap_or(run.queued_at)),
                "never",
            ),
            last.map_or_else(|| Cell::text("none"), |run| Cell::badge(&badge(run.state))),
        ]));
    }
    if let Some(export) = table.export(&visit.url) {
        return Ok(export);
    }
    let chrome = visit.chrome(Vec::new());
    Ok(Page::new("Jobs", chrome, &table).into_response())
}

fn schedule(job: &JobInfo) -> String {
    match (&job.cron, &job.zone) {
        (Some(cron), Some(zone)) => format!("{cron} {zone}"),
        _ => "when asked for".to_owned(),
    }
}

/// `GET /console/jobs/{job}`.
pub(super) async fn show(visit: Visit, Path(name): Path<String>) -> Answer {
    let service = &visit.pages.jobs;
    let jobs = service
        .jobs(&visit.by)
        .await
        .map_err(|error| visit.refuse(error))?;
    let job = jobs.iter().find(|job| job.name == name).ok_or_else(|| {
        visit.refuse(JobsError::NotFound {
            kind: "job",
            id: name.chars().take(80).collect(),
        })
    })?;
    let filter = RunFilter {
        job: Some(job.name.clone()),
        cursor: visit.url.get("cursor").map(str::to_owned),
        limit: Some(HISTORY),
        ..RunFilter::default()
    };
    let runs = service
        .runs(&visit.by, &filter)
        .await
        .map_err(|error| visit.refuse(error))?;
    let mut table = Table::new("runs", "Runs", &visit.url, columns())
        .pager(Pager {
            previous: None,
            next: runs.next.clone(),
        })
        .empty(
            Empty::new(
                "It has not run yet.",
                "Run it with the button above, or with:",
            )
            .command(&format!("sealwright jobs run {}", job.name)),
        );
    for run in &runs.items {
        table.push(row(run));
    }
    if let Some(export) = table.export(&visit.url) {
        return Ok(export);
    }
    let about = Definitions::new()
        .item("Schedule", schedule(job))
        .item("Missed runs", catch_up(&job.catch_up))
        .item(
            "Next run, UTC",
            Markup::of(&time(job.next_slot, "when asked for")),
        );
    let command = Command::new(
        "Command that runs it on the data folder of a stopped server",
        &format!("sealwright jobs run {}", job.name),
    );
    let body = Markup::of(&Panel::new("Schedule", &about).flush())
        .with(&table)
        .with(&Panel::new("From the command line", &command));
    let mut chrome = visit
        .chrome(vec![Crumb::here(&job.name)])
        .lead(job.about.as_str());
    if visit.may_write() {
        // The page's own request: pressing the button twice, or going back to it, starts one run.
        let request = RunId::new(service.clock.now()).to_string();
        let action = Action::post("Run now", &format!("/console/jobs/{}/run", job.name));
        chrome = chrome.action(action.primary().field("request", &request));
    }
    Ok(Page::new(&job.name, chrome, &body).into_response())
}

fn catch_up(policy: &str) -> &'static str {
    match policy {
        "all" => "each of them is made up, oldest first",
        "once" => "the latest of them is made up",
        _ => "are left out",
    }
}

/// `POST /console/jobs/{job}/run`.
pub(super) async fn start(visit: Visit, Path(name): Path<String>, body: Bytes) -> Answer {
    let fields = Fields::parse(&body).map_err(|error| visit.refuse(Problem::from(error).into()))?;
    let request = fields.filled("request");
    let (run, repeated) = visit
        .pages
        .jobs
        .run_now(&visit.by, &name, request.as_deref())
        .await
        .map_err(|error| visit.refuse(error))?;
    let text = if repeated {
        format!("This run of {name} was asked for before.")
    } else {
        format!("{name} is in the queue.")
    };
    Ok(done(&format!("/console/jobs/runs/{}", run.id), &text))
}
