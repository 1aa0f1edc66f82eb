//! Pages: sign-in, welcome, and the console's tenants, users, keys, permissions and passkeys.

mod console;
mod entrance;
mod matrix;
mod passkeys;
mod visit;

use std::sync::Arc;

use axum::Router;
use axum::http::{HeaderMap, HeaderValue, StatusCode, header};
use axum::response::{IntoResponse, Redirect, Response};
use axum::routing::{get, post};
use jiff::tz::TimeZone;
use sealwright_core::{Problem, UnixMicros};
use sealwright_web::component::{Cell, Tone};
use sealwright_web::{Chrome, Crumb, Flash, Nav, PageUrl, ProblemPage, Theme};

use crate::error::AccessError;
use crate::forms::Fields;
use crate::http::SessionInfo;
use crate::principal::Principal;
use crate::service::AccessService;

/// What the pages need. Cheap to clone.
#[derive(Debug, Clone)]
pub struct AccessPages {
    access: AccessService,
    nav: Arc<Nav>,
}

const TABS: [(&str, &str); 5] = [
    ("Tenants", "/console/access/tenants"),
    ("Users", "/console/access/users"),
    ("API keys", "/console/access/keys"),
    ("Permissions", "/console/access/matrix"),
    ("Passkeys", "/console/access/passkeys"),
];

/// The pages, to be merged into the server's router; [`crate::http::authenticate`] must be layered
/// around them. `nav` is the console's whole navigation.
pub fn router(access: AccessService, nav: Arc<Nav>) -> Router {
    Router::new()
        .route("/login", get(entrance::login).post(entrance::sign_in))
        .route("/login/passkey", post(entrance::sign_in_by_passkey))
        .route("/login/passkey/options", post(entrance::ask_sign_in))
        .route("/console/logout", post(entrance::sign_out))
        .route(
            "/welcome/{token}",
            get(entrance::welcome).post(entrance::accept),
        )
        .route("/console/access", get(|| async { Redirect::to(TABS[0].1) }))
        .route(
            "/console/access/tenants",
            get(console::tenants).post(console::create_tenant),
        )
        .route(
            "/console/access/users",
            get(console::users).post(console::create_user),
        )
        .route(
            "/console/access/keys",
            get(console::keys).post(console::create_key),
        )
        .route(
            "/console/access/keys/{key}/revoke",
            post(console::revoke_key),
        )
        .route("/console/access/matrix", get(matrix::matrix))
        .route(
            "/console/access/passkeys",
            get(passkeys::list).post(passkeys::add),
        )
        .route("/console/access/passkeys/options", post(passkeys::ask))
        .route(
            "/console/access/passkeys/{passkey}",
            get(passkeys::one).post(passkeys::rename),
        )
        .route(
            "/console/access/passkeys/{passkey}/remove",
            post(passkeys::remove),
        )
        .with_state(AccessPages { access, nav })
}

/// Who looks at a console page; strangers are sent to the sign-in page and come back.
pub(crate) fn enter(by: Option<Principal>, url: &PageUrl) -> Result<Principal, Response> {
    by.ok_or_else(|| {
        let next = PageUrl::parse("/login").with("next", &url.to_string());
        Redirect::to(&next.to_string()).into_response()
    })
}

impl AccessPages {
    /// The frame of a console page.
    fn chrome(
        &self,
        by: &Principal,
        info: Option<&SessionInfo>,
        url: PageUrl,
        headers: &HeaderMap,
        here: &str,
    ) -> Chrome {
        let role = by.roles.first().map_or("key", |role| role.as_str());
        let csrf = info.map_or("", |info| info.csrf.as_str());
        Chrome::new(url, Nav::clone(&self.nav))
            .user(&by.name, role, csrf)
            .theme(Theme::from_headers(headers))
            .tabs(&TABS)
            .crumbs(vec![
                Crumb::link("Access", "/console/access"),
                Crumb::here(here),
            ])
            .flash(Flash::from_headers(headers))
    }
}

fn time(at: Option<UnixMicros>) -> Cell {
    at.map_or_else(
        || Cell::text("never"),
        |at| Cell::time(at.timestamp(), &TimeZone::UTC),
    )
}

/// The field that an error is about, and what is wrong with it.
fn field_error(error: &AccessError) -> Option<(&'static str, String)> {
    match error {
        AccessError::Invalid { field, detail } => Some((field, detail.clone())),
        AccessError::Taken { field, .. } => Some((field, "is taken; choose another".to_owned())),
        AccessError::Scope(_) => Some(("scope", error.to_string())),
        AccessError::NotFound { kind: "tenant", .. } => Some(("tenant", error.to_string())),
        _ => None,
    }
}

fn status_of(error: &AccessError) -> StatusCode {
    match error {
        AccessError::Unauthorized(_) | AccessError::Passkey(_) => StatusCode::UNAUTHORIZED,
        AccessError::Throttled { .. } => StatusCode::TOO_MANY_REQUESTS,
        _ => StatusCode::UNPROCESSABLE_ENTITY,
    }
}

/// An error that belongs to no field, as a page in the frame.
fn problem_page(error: AccessError, chrome: Chrome) -> Response {
    let problem = Problem::from(error);
    let status = StatusCode::from_u16(problem.status).unwrap_or(StatusCode::INTERNAL_SERVER_ERROR);
    ProblemPage::new(status, &problem.detail)
        .page(chrome)
        .into_response()
}

/// Answers a form that was accepted: the next page says so.
fn done(to: &str, text: &str) -> Response {
    let mut response = Redirect::to(to).into_response();
    if let Some(cookie) = Flash::new(Tone::Good, text).set_cookie() {
        response.headers_mut().append(header::SET_COOKIE, cookie);
    }
    response
}

/// What was typed, so that a refused form is not empty.
fn typed<'a>(fields: Option<&'a Fields>, name: &str) -> &'a str {
    fields.and_then(|fields| fields.get(name)).unwrap_or("")
}

/// One-time links and new keys must not leak through the address of the page that shows them.
fn private(mut response: Response) -> Response {
    response.headers_mut().insert(
        header::REFERRER_POLICY,
        HeaderValue::from_static("no-referrer"),
    );
    response
}
