//! Pages: `/console/notify/channels`, `/rules` and `/deliveries`.

mod channel_form;
mod channels;
mod deliveries;
mod rules;

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
use sealwright_core::{Problem, TenantId, UnixMicros};
use sealwright_web::component::{Cell, Tone};
use sealwright_web::{Chrome, ChromeSource, Crumb, Flash, Markup, Page, PageUrl, ProblemPage};

use crate::error::NotifyError;
use crate::message::Severity;
use crate::service::NotifyService;

/// What the pages need.
pub struct NotifyPages {
    /// The use cases.
    pub service: NotifyService,
    /// Makes the frame.
    pub chrome: Arc<dyn ChromeSource>,
}

impl std::fmt::Debug for NotifyPages {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("NotifyPages").finish_non_exhaustive()
    }
}

const TABS: [(&str, &str); 3] = [
    ("Deliveries", "/console/notify/deliveries"),
    ("Channels", "/console/notify/channels"),
    ("Rules", "/console/notify/rules"),
];

/// The pages, to be merged into the server's router; `sealwright_access::http::authenticate` must be layered
/// around them: it checks the forms' tokens.
pub fn router(pages: Arc<NotifyPages>) -> Router {
    Router::new()
        .route("/console/notify", get(|| async { Redirect::to(TABS[0].1) }))
        .route(
            "/console/notify/channels",
            get(channels::list).post(channels::create),
        )
        .route("/console/notify/channels/{channel}", get(channels::one))
        .route(
            "/console/notify/channels/{channel}/{action}",
            post(channels::act),
        )
        .route(
            "/console/notify/rules",
            get(rules::list).post(rules::create),
        )
        .route("/console/notify/rules/{rule}/{action}", post(rules::act))
        .route("/console/notify/deliveries", get(deliveries::list))
        .route(
            "/console/notify/deliveries/{delivery}",
            get(deliveries::one),
        )
        .route(
            "/console/notify/deliveries/{delivery}/resend",
            post(deliveries::resend),
        )
        .with_state(pages)
}

/// A form that was refused: what was typed, and why.
type Refused<'a> = Option<(&'a Fields, &'a NotifyError)>;

/// A request of somebody who is signed in and may see notifications.
struct Visit {
    pages: Arc<NotifyPages>,
    by: Principal,
    url: PageUrl,
    csrf: String,
    headers: HeaderMap,
}

impl FromRequestParts<Arc<NotifyPages>> for Visit {
    type Rejection = Refusal;

    async fn from_request_parts(
        parts: &mut Parts,
        pages: &Arc<NotifyPages>,
    ) -> Result<Self, Refusal> {
        let Visitor {
            by,
            url,
            csrf,
            headers,
        } = Visitor::of(parts)?;
        let visit = Self {
            pages: Arc::clone(pages),
            by,
            url,
            csrf,
            headers,
        };
        match visit.by.require(Action::NotifyRead) {
            Ok(()) => Ok(visit),
            Err(problem) => Err(visit.problem(&problem)),
        }
    }
}

impl Visit {
    fn service(&self) -> &NotifyService {
        &self.pages.service
    }

    fn may_write(&self) -> bool {
        self.by.may(Action::NotifyWrite)
    }

    fn chrome(&self, way: Vec<Crumb>) -> Chrome {
        let viewer = self.by.viewer(&self.csrf);
        let mut crumbs = vec![Crumb::link("Notifications", "/console/notify")];
        crumbs.extend(way);
        self.pages
            .chrome
            .chrome(&viewer, &self.url, &self.headers)
            .tabs(&TABS)
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

    fn refuse(&self, error: NotifyError) -> Refusal {
        self.problem(&Problem::from(error))
    }

    fn fields(&self, body: &[u8]) -> Result<Fields, Refusal> {
        Fields::parse(body).map_err(|error| self.problem(&Problem::from(error)))
    }

    fn show(&self, title: &str, way: Vec<Crumb>, body: &Markup, refused: Refused<'_>) -> Response {
        let page = Page::new(title, self.chrome(way), body);
        match refused {
            Some(_) => page
                .status(StatusCode::UNPROCESSABLE_ENTITY)
                .into_response(),
            None => page.into_response(),
        }
    }

    /// Who owns it: the tenant's slug, or the installation.
    fn owner(&self, tenant: Option<TenantId>) -> Cell {
        match tenant {
            None => Cell::text("installation"),
            Some(id) => match self.service().directory().get(id) {
                Some(tenant) => Cell::code(&tenant.slug),
                None => Cell::code(&id.to_string()),
            },
        }
    }
}

/// Whether an error belongs to a field of a form, so that the form can show it.
fn is_field(error: &NotifyError) -> bool {
    matches!(
        error,
        NotifyError::Invalid { .. }
            | NotifyError::NotFound {
                kind: "tenant" | "channel",
                ..
            }
    )
}

/// What is wrong with the field `name`, of which errors say `key` (`target.host`, `name`).
fn fault(refused: Refused<'_>, key: &str) -> String {
    match refused {
        Some((_, NotifyError::Invalid { field, detail })) if *field == key => detail.clone(),
        Some((_, error @ NotifyError::NotFound { kind: "tenant", .. })) if key == "tenant" => {
            error.to_string()
        }
        Some((
            _,
            error @ NotifyError::NotFound {
                kind: "channel", ..
            },
        )) if key == "channels" => error.to_string(),
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

fn time(at: Option<UnixMicros>) -> Cell {
    at.map_or_else(
        || Cell::text(""),
        |at| Cell::time(at.timestamp(), &TimeZone::UTC),
    )
}

const fn severity_tone(severity: Severity) -> Tone {
    match severity {
        Severity::Info => Tone::Info,
        Severity::Warning => Tone::Warn,
        Severity::Error | Severity::Critical => Tone::Bad,
    }
}

const SEVERITIES: [(&str, &str); 4] = [
    ("info", "info"),
    ("warning", "warning"),
    ("error", "error"),
    ("critical", "critical"),
];
