//! Jobs in the console: `/console/jobs`.

mod job;
mod run;

use std::sync::Arc;

use axum::Router;
use axum::extract::FromRequestParts;
use axum::http::request::Parts;
use axum::http::{HeaderMap, StatusCode, header};
use axum::response::{IntoResponse, Redirect, Response};
use axum::routing::{get, post};
use jiff::tz::TimeZone;
use sealwright_access::visit::{Answer, Refusal, Visitor};
use sealwright_access::{Action, Principal};
use sealwright_core::{Problem, UnixMicros};
use sealwright_web::component::{Badge, Cell, Tone};
use sealwright_web::{Chrome, ChromeSource, Crumb, Flash, PageUrl, ProblemPage};

use crate::error::JobsError;
use crate::model::RunState;
use crate::service::JobsService;

/// What the pages need.
#[allow(missing_debug_implementations)]
pub struct JobsPages {
    /// The jobs of this program.
    pub jobs: JobsService,
    /// The frame.
    pub chrome: Arc<dyn ChromeSource>,
}

const TABS: [(&str, &str); 2] = [("Jobs", "/console/jobs"), ("Runs", "/console/jobs/runs")];

impl JobsPages {
    /// The pages, to be merged into the server's router; `sealwright_access::http::authenticate`
    /// must be layered around them.
    pub fn router(self: Arc<Self>) -> Router {
        Router::new()
            .route("/console/jobs", get(job::list))
            .route("/console/jobs/{job}", get(job::show))
            .route("/console/jobs/{job}/run", post(job::start))
            .route("/console/jobs/runs", get(run::list))
            .route("/console/jobs/runs/{run}", get(run::show))
            .route("/console/jobs/runs/{run}/cancel", post(run::cancel))
            .route("/console/jobs/runs/{run}/resume", post(run::resume))
            .with_state(self)
    }
}

/// A request of somebody who is signed in and may see jobs.
struct Visit {
    pages: Arc<JobsPages>,
    by: Principal,
    url: PageUrl,
    csrf: String,
    headers: HeaderMap,
}

impl FromRequestParts<Arc<JobsPages>> for Visit {
    type Rejection = Refusal;

    async fn from_request_parts(
        parts: &mut Parts,
        pages: &Arc<JobsPages>,
    ) -> Result<Self, Refusal> {
        let Visitor {
            by,
            url,
            csrf,
            headers,
        } = Visitor::of(parts)?;
        Ok(Self {
            pages: Arc::clone(pages),
            by,
            url,
            csrf,
            headers,
        })
    }
}

impl Visit {
    fn chrome(&self, way: Vec<Crumb>) -> Chrome {
        let viewer = self.by.viewer(&self.csrf);
        let mut crumbs = vec![Crumb::link("Jobs", "/console/jobs")];
        crumbs.extend(way);
        self.pages
            .chrome
            .chrome(&viewer, &self.url, &self.headers)
            .crumbs(crumbs)
            .tabs(&TABS)
    }

    /// Whether buttons are shown; the service decides again when one is pressed.
    fn may_write(&self) -> bool {
        self.by.may(Action::JobsWrite)
    }

    fn refuse(&self, error: JobsError) -> Refusal {
        let problem = Problem::from(error);
        let status =
            StatusCode::from_u16(problem.status).unwrap_or(StatusCode::INTERNAL_SERVER_ERROR);
        let page = ProblemPage::new(status, &problem.detail).page(self.chrome(Vec::new()));
        page.into_response().into()
    }
}

/// Answers a button: the next page says what happened.
fn done(to: &str, text: &str) -> Response {
    let mut response = Redirect::to(to).into_response();
    if let Some(cookie) = Flash::new(Tone::Good, text).set_cookie() {
        response.headers_mut().append(header::SET_COOKIE, cookie);
    }
    response
}

fn badge(state: RunState) -> Badge {
    let tone = match state {
        RunState::Queued => Tone::Neutral,
        RunState::Running => Tone::Info,
        RunState::Done => Tone::Good,
        RunState::Failed => Tone::Bad,
        RunState::Cancelled => Tone::Warn,
    };
    Badge::new(tone, state.as_str())
}

/// A moment, or what its absence means.
fn time(at: Option<UnixMicros>, none: &str) -> Cell {
    at.map_or_else(
        || Cell::text(none),
        |at| Cell::time(at.timestamp(), &TimeZone::UTC),
    )
}
