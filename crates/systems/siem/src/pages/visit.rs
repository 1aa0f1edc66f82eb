//! Who looks at which page, in which state.

use std::sync::Arc;

use axum::extract::{FromRef, FromRequestParts};
use axum::http::request::Parts;
use axum::http::{HeaderMap, StatusCode};
use axum::response::IntoResponse;
use jiff::tz::TimeZone;
use sealwright_access::visit::Visitor;
pub(super) use sealwright_access::visit::{Answer, Refusal};
use sealwright_access::{Action, Principal, Tenant};
use sealwright_core::{Problem, TenantScope, UnixMicros};
use sealwright_web::range::Preset;
use sealwright_web::{Chrome, Crumb, PageUrl, ProblemPage, TenantMenu, TimeRange};

use super::{SiemPages, TABS};
use crate::api::Siem;
use crate::service::SiemError;

/// A request of somebody who is signed in and may see detection.
pub(super) struct Visit {
    pub(super) pages: Arc<SiemPages>,
    pub(super) by: Principal,
    pub(super) url: PageUrl,
    pub(super) now: UnixMicros,
    csrf: String,
    headers: HeaderMap,
}

impl<S> FromRequestParts<S> for Visit
where
    S: Send + Sync,
    Arc<SiemPages>: FromRef<S>,
{
    type Rejection = Refusal;

    async fn from_request_parts(parts: &mut Parts, state: &S) -> Result<Self, Refusal> {
        let pages = Arc::<SiemPages>::from_ref(state);
        let Visitor {
            by,
            url,
            csrf,
            headers,
        } = Visitor::of(parts)?;
        let now = pages.siem.clock.now();
        let visit = Self {
            pages,
            by,
            url,
            now,
            csrf,
            headers,
        };
        match visit.by.require(Action::SiemRead) {
            Ok(()) => Ok(visit),
            Err(problem) => Err(visit.problem(&problem)),
        }
    }
}

impl Visit {
    pub(super) fn siem(&self) -> &Siem {
        &self.pages.siem
    }

    /// The frame of a page of detection.
    pub(super) fn chrome(&self, way: Vec<Crumb>) -> Chrome {
        let mut crumbs = vec![Crumb::link("SIEM", &self.to("/console/siem"))];
        crumbs.extend(way);
        let viewer = self.by.viewer(&self.csrf);
        let frame = self.pages.chrome.chrome(&viewer, &self.url, &self.headers);
        let frame = frame.crumbs(crumbs).tabs(&TABS);
        match self.menu() {
            Some(menu) => frame.tenants(menu),
            None => frame,
        }
    }

    pub(super) fn csrf(&self) -> &str {
        &self.csrf
    }

    /// Whether the visitor may change things.
    pub(super) fn may_write(&self) -> bool {
        self.by.may(Action::SiemWrite)
    }

    /// How the ledger names the visitor.
    pub(super) fn actor(&self) -> String {
        self.by.actor()
    }

    /// The tenants that the address asks for, as far as the visitor may see them.
    pub(super) fn scope(&self) -> Result<TenantScope, Refusal> {
        match self.url.get("tenant") {
            None => Ok(self.by.tenants),
            Some(name) => Ok(TenantScope::One(self.tenant(name)?.id)),
        }
    }

    fn tenant(&self, name: &str) -> Result<Arc<Tenant>, Refusal> {
        self.siem()
            .directory
            .visible(self.by.tenants, name)
            .ok_or_else(|| self.missing(&format!("There is no tenant {}.", shown(name))))
    }

    fn menu(&self) -> Option<TenantMenu> {
        self.siem()
            .directory
            .menu(self.by.tenants, self.url.get("tenant"))
    }

    /// The span of time that the address asks for.
    pub(super) fn range(&self, default: Preset) -> Result<TimeRange, Refusal> {
        TimeRange::from_url(&self.url, self.now.timestamp(), default).map_err(|error| {
            ProblemPage::new(StatusCode::BAD_REQUEST, &error.to_string())
                .page(self.chrome(vec![Crumb::here("Span of time")]))
                .into_response()
                .into()
        })
    }

    /// Another page with the tenant and the span of this one.
    pub(super) fn to(&self, path: &str) -> String {
        self.url.carry(path).to_string()
    }

    /// The page for something that is not there.
    pub(super) fn missing(&self, detail: &str) -> Refusal {
        self.status(StatusCode::NOT_FOUND, detail)
    }

    /// The page for an error of a service.
    pub(super) fn refuse(&self, error: SiemError) -> Refusal {
        self.problem(&Problem::from(error))
    }

    pub(super) fn problem(&self, problem: &Problem) -> Refusal {
        let status =
            StatusCode::from_u16(problem.status).unwrap_or(StatusCode::INTERNAL_SERVER_ERROR);
        self.status(status, &problem.detail)
    }

    fn status(&self, status: StatusCode, detail: &str) -> Refusal {
        ProblemPage::new(status, detail)
            .page(self.chrome(vec![Crumb::here("Problem")]))
            .into_response()
            .into()
    }
}

/// What came from outside, short enough for a message.
pub(super) fn shown(text: &str) -> String {
    let short: String = text.chars().take(60).collect();
    format!("“{short}”")
}

pub(super) fn utc() -> TimeZone {
    TimeZone::UTC
}
