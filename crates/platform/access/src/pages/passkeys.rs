//! One's own passkeys.

use axum::body::Bytes;
use axum::extract::{Path, State};
use axum::http::{HeaderMap, StatusCode, header};
use axum::response::{IntoResponse, Response};
use jiff::tz::TimeZone;
use sealwright_core::{Problem, UnixMicros};
use sealwright_web::component::{Cell, Column, Empty, Field, Form, Panel, PasskeyForm, Row, Table};
use sealwright_web::{Chrome, Markup, Page, PageUrl};

use super::{AccessPages, done, enter, field_error, problem_page};
use crate::error::AccessError;
use crate::forms::Fields;
use crate::http::SessionInfo;
use crate::model::Passkey;
use crate::principal::Principal;

const LIST: &str = "/console/access/passkeys";
const TITLE: &str = "Passkeys";

/// Who looks, and the frame of what is seen.
struct Visit {
    by: Principal,
    csrf: String,
    url: PageUrl,
    chrome: Chrome,
}

fn visit(
    pages: &AccessPages,
    by: Option<Principal>,
    info: Option<&SessionInfo>,
    url: PageUrl,
    headers: &HeaderMap,
) -> Result<Visit, Response> {
    let by = enter(by, &url)?;
    let chrome = pages.chrome(&by, info, url.clone(), headers, TITLE);
    let csrf = info.map(|info| info.csrf.clone()).unwrap_or_default();
    Ok(Visit {
        by,
        csrf,
        url,
        chrome,
    })
}

/// JSON that a script passes on to the browser.
pub(super) fn options(asked: Result<String, AccessError>) -> Response {
    match asked {
        Ok(json) => {
            let kind = [
                (header::CONTENT_TYPE, "application/json"),
                (header::CACHE_CONTROL, "no-store"),
            ];
            (kind, json).into_response()
        }
        Err(error) => Problem::from(error).into_response(),
    }
}

fn time(at: Option<UnixMicros>) -> Cell {
    at.map_or_else(
        || Cell::text("never"),
        |at| Cell::time(at.timestamp(), &TimeZone::UTC),
    )
}

fn name_field(value: &str, error: Option<&AccessError>) -> Field {
    let wrong = match error.and_then(field_error) {
        Some(("name", detail)) => detail,
        _ => String::new(),
    };
    Field::text("name", "Name")
        .value(value)
        .error(&wrong)
        .hint("The device or password manager that keeps it.")
        .required()
}

async fn list_page(
    pages: &AccessPages,
    visit: Visit,
    refused: Option<(&str, AccessError)>,
) -> Response {
    let access = &pages.access;
    let there = match access.passkeys(&visit.by).await {
        Ok(there) => there,
        Err(error) => return problem_page(error, visit.chrome),
    };
    let columns = vec![
        Column::text("name", "Name"),
        Column::time("created_at", "Added, UTC"),
        Column::time("last_used_at", "Last used, UTC"),
    ];
    let mut table = Table::new("passkeys", "Your passkeys", &visit.url, columns).empty(Empty::new(
        "No passkey yet.",
        "A passkey signs in without a password, by the lock of a device. Add one below.",
    ));
    for passkey in &there {
        table.push(Row::new(vec![
            Cell::link(&passkey.name, &format!("{LIST}/{}", passkey.id)),
            time(Some(passkey.created_at)),
            time(passkey.last_used_at),
        ]));
    }
    if let Some(export) = table.export(&visit.url) {
        return export;
    }
    let mut body = Markup::of(&table);
    let (typed, error) = match &refused {
        Some((typed, error)) => (*typed, Some(error)),
        None => ("", None),
    };
    let status = if error.is_some() {
        StatusCode::UNPROCESSABLE_ENTITY
    } else {
        StatusCode::OK
    };
    let new = match access.relying_party() {
        Ok(party) => {
            let form =
                Form::new(LIST, &visit.csrf, "Add a passkey").field(name_field(typed, error));
            let form = PasskeyForm::makes(
                &format!("{LIST}/options"),
                form,
                "To add a passkey, open this page with script in a browser that has passkeys.",
            );
            let mut new = Markup::new();
            if let Some(error) = error.filter(|error| field_error(error).is_none()) {
                new = new.strong(&error.to_string());
            }
            let panel = Panel::new("New passkey", &new.with(&form));
            panel.note(Markup::new().text("for ").code(party.domain()))
        }
        Err(why) => {
            let why = Markup::new()
                .text("Passkeys cannot be used here: ")
                .text(why)
                .text(". Whoever runs this installation sets ")
                .code("listen.public_url")
                .text(" to its https:// address.");
            Panel::new("New passkey", &why)
        }
    };
    body = body.with(&new);
    let page = Page::new(TITLE, visit.chrome, &body);
    page.status(status).into_response()
}

pub(super) async fn list(
    State(pages): State<AccessPages>,
    by: Option<Principal>,
    info: Option<SessionInfo>,
    url: PageUrl,
    headers: HeaderMap,
) -> Response {
    match visit(&pages, by, info.as_ref(), url, &headers) {
        Ok(visit) => list_page(&pages, visit, None).await,
        Err(to_login) => to_login,
    }
}

pub(super) async fn ask(
    State(pages): State<AccessPages>,
    by: Option<Principal>,
    info: Option<SessionInfo>,
) -> Response {
    let (Some(by), Some(info)) = (by, info) else {
        return Problem::unauthorized("sign in first").into_response();
    };
    options(pages.access.ask_passkey(&by, &info.session).await)
}

pub(super) async fn add(
    State(pages): State<AccessPages>,
    by: Option<Principal>,
    info: Option<SessionInfo>,
    url: PageUrl,
    headers: HeaderMap,
    body: Bytes,
) -> Response {
    let visit = match visit(&pages, by, info.as_ref(), url, &headers) {
        Ok(visit) => visit,
        Err(to_login) => return to_login,
    };
    let fields = match Fields::parse(&body) {
        Ok(fields) => fields,
        Err(error) => return problem_page(error, visit.chrome),
    };
    let name = fields.get("name").unwrap_or("");
    let answer = fields.get("credential").unwrap_or("");
    match pages.access.add_passkey(&visit.by, name, answer).await {
        Ok(made) => done(LIST, &format!("Added {}.", made.name)),
        Err(
            error @ (AccessError::Invalid { .. }
            | AccessError::Taken { .. }
            | AccessError::Conflict(_)
            | AccessError::Passkey(_)),
        ) => list_page(&pages, visit, Some((name, error))).await,
        Err(error) => problem_page(error, visit.chrome),
    }
}

fn one_page(visit: Visit, passkey: &Passkey, error: Option<&AccessError>) -> Response {
    let here = format!("{LIST}/{}", passkey.id);
    let rename = Form::new(&here, &visit.csrf, "Rename").field(name_field(&passkey.name, error));
    let remove = Form::new(&format!("{here}/remove"), &visit.csrf, "Remove").danger();
    let remove = Markup::new()
        .text("It no longer signs in. Delete it on the device, too: a browser goes on offering it.")
        .with(&remove);
    let body = Markup::of(&Panel::new("Name", &rename)).with(&Panel::new("Remove it", &remove));
    let page = Page::new(&passkey.name, visit.chrome, &body);
    match error {
        Some(_) => page
            .status(StatusCode::UNPROCESSABLE_ENTITY)
            .into_response(),
        None => page.into_response(),
    }
}

async fn found(pages: &AccessPages, by: &Principal, id: &str) -> Result<Passkey, AccessError> {
    let there = pages.access.passkeys(by).await?;
    there
        .into_iter()
        .find(|passkey| passkey.id.to_string() == id)
        .ok_or_else(|| AccessError::not_found("passkey", id))
}

pub(super) async fn one(
    State(pages): State<AccessPages>,
    by: Option<Principal>,
    info: Option<SessionInfo>,
    url: PageUrl,
    headers: HeaderMap,
    Path(id): Path<String>,
) -> Response {
    let visit = match visit(&pages, by, info.as_ref(), url, &headers) {
        Ok(visit) => visit,
        Err(to_login) => return to_login,
    };
    match found(&pages, &visit.by, &id).await {
        Ok(passkey) => one_page(visit, &passkey, None),
        Err(error) => problem_page(error, visit.chrome),
    }
}

pub(super) async fn rename(
    State(pages): State<AccessPages>,
    by: Option<Principal>,
    info: Option<SessionInfo>,
    url: PageUrl,
    headers: HeaderMap,
    Path(id): Path<String>,
    body: Bytes,
) -> Response {
    let visit = match visit(&pages, by, info.as_ref(), url, &headers) {
        Ok(visit) => visit,
        Err(to_login) => return to_login,
    };
    let fields = match Fields::parse(&body) {
        Ok(fields) => fields,
        Err(error) => return problem_page(error, visit.chrome),
    };
    let name = fields.get("name").unwrap_or("");
    match pages.access.rename_passkey(&visit.by, &id, name).await {
        Ok(named) => done(LIST, &format!("It is called {} now.", named.name)),
        Err(error @ AccessError::Invalid { .. }) => match found(&pages, &visit.by, &id).await {
            Ok(passkey) => one_page(visit, &passkey, Some(&error)),
            Err(error) => problem_page(error, visit.chrome),
        },
        Err(error) => problem_page(error, visit.chrome),
    }
}

pub(super) async fn remove(
    State(pages): State<AccessPages>,
    by: Option<Principal>,
    info: Option<SessionInfo>,
    url: PageUrl,
    headers: HeaderMap,
    Path(id): Path<String>,
) -> Response {
    let visit = match visit(&pages, by, info.as_ref(), url, &headers) {
        Ok(visit) => visit,
        Err(to_login) => return to_login,
    };
    match pages.access.remove_passkey(&visit.by, &id).await {
        Ok(gone) => done(LIST, &format!("Removed {}.", gone.name)),
        Err(error) => problem_page(error, visit.chrome),
    }
}
