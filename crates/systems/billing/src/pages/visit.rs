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
use sealwright_core::{Problem, TenantId, TenantScope, UnixMicros};
use sealwright_web::range::Preset;
use sealwright_web::{Chrome, Crumb, PageUrl, ProblemPage, TenantMenu, TimeRange};

use super::{BillingPages, TABS};
use crate::model::Span;
use crate::service::BillingError;

/// A request of somebody who is signed in and may see billing.
pub(super) struct Visit {
    pub(super) pages: Arc<BillingPages>,
    pub(super) by: Principal,
    pub(super) url: PageUrl,
    pub(super) now: UnixMicros,
    csrf: String,
    headers: HeaderMap,
}

impl<S> FromRequestParts<S> for Visit
where
    S: Send + Sync,
    Arc<BillingPages>: FromRef<S>,
{
    type Rejection = Refusal;

    async fn from_request_parts(parts: &mut Parts, state: &S) -> Result<Self, Refusal> {
        let pages = Arc::<BillingPages>::from_ref(state);
        let Visitor {
            by,
            url,
            csrf,
            headers,
        } = Visitor::of(parts)?;
        let now = pages.clock.now();
        let visit = Self {
            pages,
            by,
            url,
            now,
            csrf,
            headers,
        };
        match visit.by.require(Action::BillingRead) {
            Ok(()) => Ok(visit),
            Err(problem) => Err(visit.problem(&problem)),
        }
    }
}

impl Visit {
    /// The frame of a page of billing.
    pub(super) fn chrome(&self, way: Vec<Crumb>) -> Chrome {
        let mut crumbs = vec![Crumb::link(
            "Billing",
            &self.url.carry("/console/billing").to_string(),
        )];
        crumbs.extend(way);
        self.frame().crumbs(crumbs).tabs(&TABS)
    }

    /// The frame without the tabs of billing.
    pub(super) fn frame(&self) -> Chrome {
        let viewer = self.by.viewer(&self.csrf);
        self.pages.chrome.chrome(&viewer, &self.url, &self.headers)
    }

    pub(super) fn csrf(&self) -> &str {
        &self.csrf
    }

    pub(super) fn may(&self, action: Action) -> bool {
        self.by.may(action)
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

    /// A tenant by slug or id. One that the visitor may not see does not exist.
    pub(super) fn tenant(&self, name: &str) -> Result<Arc<Tenant>, Refusal> {
        self.pages
            .directory
            .visible(self.by.tenants, name)
            .ok_or_else(|| self.missing(&format!("There is no tenant {}.", shown(name))))
    }

    /// What people call a tenant.
    pub(super) fn slug(&self, id: TenantId) -> String {
        self.pages
            .directory
            .get(id)
            .map_or_else(|| id.to_string(), |tenant| tenant.slug.clone())
    }

    /// The menu of tenants, for those who may see more than one.
    pub(super) fn menu(&self) -> Option<TenantMenu> {
        self.pages
            .directory
            .menu(self.by.tenants, self.url.get("tenant"))
    }

    /// The span of time that the address asks for.
    pub(super) fn range(&self) -> Result<TimeRange, Refusal> {
        TimeRange::from_url(&self.url, self.now.timestamp(), Preset::MonthToDate).map_err(|error| {
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
    pub(super) fn refuse(&self, error: BillingError) -> Refusal {
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

/// The span of a page as services take it.
pub(super) fn span_of(range: &TimeRange) -> Span {
    Span {
        from: range.from.into(),
        to: range.to.into(),
    }
}

/// What came from outside, short enough for a message.
pub(super) fn shown(text: &str) -> String {
    let short: String = text.chars().take(60).collect();
    format!("“{short}”")
}

/// A period as people read it: the days that it touches.
pub(super) fn period(span: Span) -> String {
    let range = TimeRange {
        from: span.from.timestamp(),
        to: span.to.timestamp(),
        zone: TimeZone::UTC,
        preset: None,
    };
    range.label()
}
