//! Pages: `/console/prometheus/sources`.

mod form;
mod source;
mod sources;

use std::sync::Arc;

use axum::Router;
use axum::extract::FromRequestParts;
use axum::http::request::Parts;
use axum::http::{HeaderMap, StatusCode, header};
use axum::response::{IntoResponse, Redirect, Response};
use axum::routing::{get, post};
use jiff::tz::TimeZone;
use sealwright_access::forms::Fields;
use sealwright_access::visit::{Answer, Refusal, Visitor};
use sealwright_access::{Action, Principal};
use sealwright_core::{Problem, UnixMicros, clock};
use sealwright_web::component::{Badge, Cell, Tone};
use sealwright_web::format::NBSP;
use sealwright_web::{Chrome, ChromeSource, Crumb, Flash, Markup, Page, PageUrl, ProblemPage};

use crate::error::PrometheusError;
use crate::model::State;
use crate::service::PrometheusService;

/// What the pages need.
pub struct PrometheusPages {
    /// The use cases.
    pub service: PrometheusService,
    /// Makes the frame.
    pub chrome: Arc<dyn ChromeSource>,
}

impl std::fmt::Debug for PrometheusPages {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("PrometheusPages").finish_non_exhaustive()
    }
}

const LIST: &str = "/console/prometheus/sources";

/// The pages, to be merged into the server's router; `sealwright_access::http::authenticate` must be layered
/// around them: it checks the forms' tokens.
pub fn router(pages: Arc<PrometheusPages>) -> Router {
    Router::new()
        .route("/console/prometheus", get(|| async { Redirect::to(LIST) }))
        .route(
            "/console/prometheus/sources",
            get(sources::list).post(sources::create),
        )
        .route("/console/prometheus/sources/{source}", get(source::one))
        .route(
            "/console/prometheus/sources/{source}/{action}",
            post(source::act),
        )
        .with_state(pages)
}

/// A form that was refused: what was typed, and why.
type Refused<'a> = Option<(&'a Fields, &'a PrometheusError)>;

/// A request of somebody who is signed in and may see sources.
struct Visit {
    pages: Arc<PrometheusPages>,
    by: Principal,
    url: PageUrl,
    csrf: String,
    headers: HeaderMap,
}

impl FromRequestParts<Arc<PrometheusPages>> for Visit {
    type Rejection = Refusal;

    async fn from_request_parts(
        parts: &mut Parts,
        pages: &Arc<PrometheusPages>,
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
    fn service(&self) -> &PrometheusService {
        &self.pages.service
    }

    /// Whether buttons are shown; the service decides again when one is pressed.
    fn may_write(&self) -> bool {
        self.by.may(Action::PrometheusWrite)
    }

    fn chrome(&self, way: Vec<Crumb>) -> Chrome {
        let viewer = self.by.viewer(&self.csrf);
        let mut crumbs = vec![Crumb::link("Prometheus", LIST)];
        crumbs.extend(way);
        self.pages
            .chrome
            .chrome(&viewer, &self.url, &self.headers)
            .crumbs(crumbs)
    }

    fn problem(&self, problem: &Problem) -> Refusal {
        let status =
            StatusCode::from_u16(problem.status).unwrap_or(StatusCode::INTERNAL_SERVER_ERROR);
        ProblemPage::new(status, &problem.detail)
            .page(self.chrome(vec![Crumb::here("Problem")]))
            .into_response()
            .into()
    }

    fn refuse(&self, error: PrometheusError) -> Refusal {
        self.problem(&Problem::from(error))
    }

    fn fields(&self, body: &[u8]) -> Result<Fields, Refusal> {
        Fields::parse(body).map_err(|error| self.problem(&Problem::from(error)))
    }

    fn show(&self, title: &str, chrome: Chrome, body: &Markup, refused: Refused<'_>) -> Response {
        let page = Page::new(title, chrome, body);
        match refused {
            Some(_) => page
                .status(StatusCode::UNPROCESSABLE_ENTITY)
                .into_response(),
            None => page.into_response(),
        }
    }
}

/// Whether an error belongs to a field of a form, so that the form can show it.
fn is_field(error: &PrometheusError) -> bool {
    matches!(
        error,
        PrometheusError::Invalid { .. }
            | PrometheusError::Conflict(_)
            | PrometheusError::NotFound { kind: "tenant", .. }
    )
}

/// What is wrong with the field `name`.
fn fault(refused: Refused<'_>, name: &str) -> String {
    match refused {
        Some((_, PrometheusError::Invalid { field, detail })) if *field == name => detail.clone(),
        Some((_, error @ PrometheusError::NotFound { kind: "tenant", .. })) if name == "tenant" => {
            error.to_string()
        }
        Some((_, error @ PrometheusError::Conflict(_))) if name == "name" => error.to_string(),
        _ => String::new(),
    }
}

fn typed<'a>(refused: Refused<'a>, name: &str) -> &'a str {
    refused
        .and_then(|(fields, _)| fields.get(name))
        .unwrap_or("")
}

/// Answers a form that was accepted: the next page says so.
fn done(to: &str, text: &str) -> Response {
    let mut response = Redirect::to(to).into_response();
    if let Some(cookie) = Flash::new(Tone::Good, text).set_cookie() {
        response.headers_mut().append(header::SET_COOKIE, cookie);
    }
    response
}

fn time(at: UnixMicros) -> Cell {
    Cell::time(at.timestamp(), &TimeZone::UTC)
}

const fn tone(state: State) -> Tone {
    match state {
        State::Active => Tone::Good,
        State::Failing => Tone::Bad,
        State::Behind => Tone::Warn,
        State::Disabled => Tone::Neutral,
    }
}

fn standing(state: State) -> Badge {
    Badge::new(tone(state), state.as_str())
}

/// A length of time as people say it: `3 min 12 s`, `4 h`, `2 d 3 h`.
fn length(micros: i64) -> String {
    let micros = micros.max(0);
    let parts = [
        (micros / clock::DAY, "d"),
        (micros % clock::DAY / clock::HOUR, "h"),
        (micros % clock::HOUR / clock::MINUTE, "min"),
        (micros % clock::MINUTE / clock::SECOND, "s"),
    ];
    let shown: Vec<String> = parts
        .iter()
        .skip_while(|(n, _)| *n == 0)
        .take(2)
        .filter(|(n, _)| *n > 0)
        .map(|(n, unit)| format!("{n}{NBSP}{unit}"))
        .collect();
    if shown.is_empty() {
        format!("0{NBSP}s")
    } else {
        shown.join(" ")
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn lengths_are_said_in_two_units_at_most() {
        let said = |seconds: i64| length(seconds * clock::SECOND).replace(NBSP, " ");
        assert_eq!(said(0), "0 s");
        assert_eq!(said(59), "59 s");
        assert_eq!(said(3_600), "1 h");
        assert_eq!(said(90_061), "1 d 1 h");
        assert_eq!(said(-5), "0 s");
    }
}
