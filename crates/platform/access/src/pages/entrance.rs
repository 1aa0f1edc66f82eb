//! Signing in and out, and the first visit.

use axum::body::Bytes;
use axum::extract::{Path, State};
use axum::http::{HeaderMap, header};
use axum::response::{IntoResponse, Redirect, Response};
use sealwright_web::component::{Field, Form, PasskeyForm};
use sealwright_web::url::is_local;
use sealwright_web::{Markup, PageUrl, PlainPage, ProblemPage, Theme};

use super::{AccessPages, field_error, private, status_of, typed};
use crate::error::AccessError;
use crate::forms::Fields;
use crate::http::{ClientAddress, SessionInfo, clear_cookie, require_same_origin, set_cookie};
use crate::model::User;
use crate::principal::Principal;
use crate::service::SignedIn;

const HOME: &str = "/console";

fn next_of(text: Option<&str>) -> &str {
    text.filter(|path| is_local(path)).unwrap_or(HOME)
}

fn login_page(
    pages: &AccessPages,
    headers: &HeaderMap,
    next: &str,
    fields: Option<&Fields>,
    error: Option<&AccessError>,
) -> Response {
    let mut email = Field::new(
        "email",
        "E-mail address",
        sealwright_web::component::FieldKind::Line("email"),
    )
    .autocomplete("username")
    .required()
    .value(typed(fields, "email"));
    let mut password = Field::password("password", "Password", "current-password").required();
    if let Some(error) = error {
        match field_error(error) {
            Some(("email", detail)) => email = email.error(&detail),
            _ if matches!(error, AccessError::Passkey(_)) => {}
            _ => password = password.error(&error.to_string()),
        }
    }
    let form = Form::new("/login", "", "Sign in")
        .hidden("next", next)
        .field(email)
        .field(password);
    let mut body = Markup::new();
    if let Some(error @ AccessError::Passkey(_)) = error {
        body = body.strong(&error.to_string());
    }
    if pages.access.relying_party().is_ok() {
        let form = Form::new("/login/passkey", "", "Sign in with a passkey").hidden("next", next);
        body = body.with(&PasskeyForm::proves("/login/passkey/options", form, ""));
    }
    let body = body.with(&form);
    let lead = "Without a password, ask an owner or admin for a one-time link.";
    let page = PlainPage::new("Sign in", Theme::from_headers(headers), lead, &body);
    match error {
        Some(error) => page.status(status_of(error)).into_response(),
        None => page.into_response(),
    }
}

pub(super) async fn login(
    State(pages): State<AccessPages>,
    headers: HeaderMap,
    url: PageUrl,
    by: Option<Principal>,
) -> Response {
    let next = next_of(url.get("next"));
    if by.is_some() {
        return Redirect::to(next).into_response();
    }
    login_page(&pages, &headers, next, None, None)
}

fn agent(headers: &HeaderMap) -> &str {
    let agent = headers.get(header::USER_AGENT);
    agent.and_then(|value| value.to_str().ok()).unwrap_or("")
}

fn begin(pages: &AccessPages, signed_in: &SignedIn, next: &str) -> Response {
    let cookie = set_cookie(pages.access.policy(), signed_in);
    ([(header::SET_COOKIE, cookie)], Redirect::to(next)).into_response()
}

pub(super) async fn sign_in(
    State(pages): State<AccessPages>,
    headers: HeaderMap,
    address: ClientAddress,
    body: Bytes,
) -> Response {
    let fields = match require_same_origin(&headers).and_then(|()| Fields::parse(&body)) {
        Ok(fields) => fields,
        Err(error) => return error.into_response(),
    };
    let next = next_of(fields.get("next")).to_owned();
    let result = match fields.sign_in(&address.0, agent(&headers)) {
        Ok(given) => pages.access.sign_in(&given).await,
        Err(error) => Err(error),
    };
    match result {
        Ok(signed_in) => begin(&pages, &signed_in, &next),
        Err(error) => login_page(&pages, &headers, &next, Some(&fields), Some(&error)),
    }
}

/// What the browser is asked for a passkey.
pub(super) async fn ask_sign_in(
    State(pages): State<AccessPages>,
    headers: HeaderMap,
    address: ClientAddress,
) -> Response {
    match require_same_origin(&headers) {
        Ok(()) => super::passkeys::options(pages.access.ask_sign_in(&address.0).await),
        Err(error) => error.into_response(),
    }
}

pub(super) async fn sign_in_by_passkey(
    State(pages): State<AccessPages>,
    headers: HeaderMap,
    address: ClientAddress,
    body: Bytes,
) -> Response {
    let fields = match require_same_origin(&headers).and_then(|()| Fields::parse(&body)) {
        Ok(fields) => fields,
        Err(error) => return error.into_response(),
    };
    let next = next_of(fields.get("next")).to_owned();
    let answer = fields.get("credential").unwrap_or("");
    let result = pages
        .access
        .sign_in_by_passkey(answer, &address.0, agent(&headers));
    match result.await {
        Ok(signed_in) => begin(&pages, &signed_in, &next),
        Err(error) => login_page(&pages, &headers, &next, None, Some(&error)),
    }
}

pub(super) async fn sign_out(
    State(pages): State<AccessPages>,
    by: Option<Principal>,
    info: Option<SessionInfo>,
) -> Response {
    if let (Some(by), Some(info)) = (by, info) {
        let id = info.session.id.to_string();
        match pages.access.end_session(&by, &id).await {
            Ok(()) | Err(AccessError::NotFound { .. }) => {}
            Err(error) => return error.into_response(),
        }
    }
    let cookie = [(header::SET_COOKIE, clear_cookie(pages.access.policy()))];
    (cookie, Redirect::to("/login")).into_response()
}

fn welcome_page(
    headers: &HeaderMap,
    token: &str,
    user: Option<&User>,
    fields: Option<&Fields>,
    error: Option<&AccessError>,
) -> Response {
    let wrong = error.and_then(field_error);
    let fault = |name: &str| match &wrong {
        Some((field, detail)) if *field == name => detail.clone(),
        None if name == "password" => error.map(ToString::to_string).unwrap_or_default(),
        _ => String::new(),
    };
    let mut form = Form::new(&format!("/welcome/{token}"), "", "Set password and sign in");
    if user.is_none() {
        form = form.field(
            Field::new(
                "email",
                "E-mail address",
                sealwright_web::component::FieldKind::Line("email"),
            )
            .autocomplete("username")
            .required()
            .value(typed(fields, "email"))
            .error(&fault("email")),
        );
    }
    let form = form
        .field(
            Field::password("password", "Password", "new-password")
                .required()
                .hint("At least 15 characters; several unrelated words are good.")
                .error(&fault("password")),
        )
        .field(
            Field::password("again", "The same password again", "new-password")
                .required()
                .error(&fault("again")),
        );
    let (title, lead) = match user {
        None => (
            "Welcome",
            Markup::from("You become the owner of this installation. This link works once."),
        ),
        Some(user) => (
            "Set your password",
            Markup::new()
                .text("For ")
                .strong(&user.email)
                .text(". This link works once."),
        ),
    };
    let page = PlainPage::new(title, Theme::from_headers(headers), lead, &form);
    private(match error {
        Some(error) => page.status(status_of(error)).into_response(),
        None => page.into_response(),
    })
}

fn dead(headers: &HeaderMap, error: &AccessError) -> Response {
    private(
        ProblemPage::new(status_of(error), &error.to_string())
            .hint("Ask whoever runs this installation for a new link.")
            .plain(Theme::from_headers(headers))
            .into_response(),
    )
}

pub(super) async fn welcome(
    State(pages): State<AccessPages>,
    headers: HeaderMap,
    Path(token): Path<String>,
) -> Response {
    match pages.access.look_at_link(&token).await {
        Ok(user) => welcome_page(&headers, &token, user.as_ref(), None, None),
        Err(error @ AccessError::Unauthorized(_)) => dead(&headers, &error),
        Err(error) => error.into_response(),
    }
}

pub(super) async fn accept(
    State(pages): State<AccessPages>,
    headers: HeaderMap,
    address: ClientAddress,
    Path(token): Path<String>,
    body: Bytes,
) -> Response {
    let fields = match require_same_origin(&headers).and_then(|()| Fields::parse(&body)) {
        Ok(fields) => fields,
        Err(error) => return error.into_response(),
    };
    let user = match pages.access.look_at_link(&token).await {
        Ok(user) => user,
        Err(error) => return dead(&headers, &error),
    };
    let used = match fields.welcome() {
        Ok((email, password)) => pages.access.use_link(&token, &email, &password).await,
        Err(error) => Err(error),
    };
    let user = match used {
        Ok(user) => user,
        Err(error) => {
            return welcome_page(&headers, &token, user.as_ref(), Some(&fields), Some(&error));
        }
    };
    let started = pages
        .access
        .start_session(user, &address.0, agent(&headers));
    match started.await {
        Ok(signed_in) => private(begin(&pages, &signed_in, HOME)),
        Err(error) => error.into_response(),
    }
}
