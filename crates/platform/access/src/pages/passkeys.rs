//! One's own passkeys.

use axum::body::Bytes;
use axum::extract::{Path, State};
use axum::http::{StatusCode, header};
use axum::response::{IntoResponse, Response};
use sealwright_core::Problem;
use sealwright_web::component::{Cell, Column, Empty, Field, Form, Panel, PasskeyForm, Row, Table};
use sealwright_web::{Markup, Page};

use super::visit::Visit;
use super::{AccessPages, done, field_error, problem_page, time};
use crate::error::AccessError;
use crate::forms::Fields;
use crate::http::SessionInfo;
use crate::principal::Principal;

const LIST: &str = "/console/access/passkeys";
const TITLE: &str = "Passkeys";

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

async fn list_page(visit: &Visit, refused: Option<(&str, AccessError)>) -> Response {
    let (access, visitor) = (&visit.pages.access, &visit.visitor);
    let there = match access.passkeys(&visitor.by).await {
        Ok(there) => there,
        Err(error) => return problem_page(error, visit.chrome(TITLE)),
    };
    let columns = vec![
        Column::text("name", "Name"),
        Column::time("created_at", "Added, UTC"),
        Column::time("last_used_at", "Last used, UTC"),
    ];
    let mut table =
        Table::new("passkeys", "Your passkeys", &visitor.url, columns).empty(Empty::new(
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
    if let Some(export) = table.export(&visitor.url) {
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
                Form::new(LIST, &visitor.csrf, "Add a passkey").field(name_field(typed, error));
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
    let page = Page::new(TITLE, visit.chrome(TITLE), &body);
    page.status(status).into_response()
}

pub(super) async fn list(visit: Visit) -> Response {
    list_page(&visit, None).await
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

pub(super) async fn add(visit: Visit, body: Bytes) -> Response {
    let fields = match Fields::parse(&body) {
        Ok(fields) => fields,
        Err(error) => return problem_page(error, visit.chrome(TITLE)),
    };
    let name = fields.get("name").unwrap_or("");
    let answer = fields.get("credential").unwrap_or("");
    let access = &visit.pages.access;
    match access.add_passkey(&visit.visitor.by, name, answer).await {
        Ok(made) => done(LIST, &format!("Added {}.", made.name)),
        Err(
            error @ (AccessError::Invalid { .. }
            | AccessError::Taken { .. }
            | AccessError::Conflict(_)
            | AccessError::Passkey(_)),
        ) => list_page(&visit, Some((name, error))).await,
        Err(error) => problem_page(error, visit.chrome(TITLE)),
    }
}

/// The page of one passkey; with the name that was refused.
async fn one_page(visit: &Visit, id: &str, refused: Option<&AccessError>) -> Response {
    let there = match visit.pages.access.passkeys(&visit.visitor.by).await {
        Ok(there) => there,
        Err(error) => return problem_page(error, visit.chrome(TITLE)),
    };
    let Some(passkey) = there.iter().find(|passkey| passkey.id.to_string() == id) else {
        return problem_page(AccessError::not_found("passkey", id), visit.chrome(TITLE));
    };
    let (here, csrf) = (format!("{LIST}/{}", passkey.id), &visit.visitor.csrf);
    let rename = Form::new(&here, csrf, "Rename").field(name_field(&passkey.name, refused));
    let remove = Form::new(&format!("{here}/remove"), csrf, "Remove").danger();
    let remove = Markup::new()
        .text("It no longer signs in. Delete it on the device, too: a browser goes on offering it.")
        .with(&remove);
    let body = Markup::of(&Panel::new("Name", &rename)).with(&Panel::new("Remove it", &remove));
    let page = Page::new(&passkey.name, visit.chrome(TITLE), &body);
    match refused {
        Some(_) => page
            .status(StatusCode::UNPROCESSABLE_ENTITY)
            .into_response(),
        None => page.into_response(),
    }
}

pub(super) async fn one(visit: Visit, Path(id): Path<String>) -> Response {
    one_page(&visit, &id, None).await
}

pub(super) async fn rename(visit: Visit, Path(id): Path<String>, body: Bytes) -> Response {
    let fields = match Fields::parse(&body) {
        Ok(fields) => fields,
        Err(error) => return problem_page(error, visit.chrome(TITLE)),
    };
    let name = fields.get("name").unwrap_or("");
    let access = &visit.pages.access;
    match access.rename_passkey(&visit.visitor.by, &id, name).await {
        Ok(named) => done(LIST, &format!("It is called {} now.", named.name)),
        Err(error @ AccessError::Invalid { .. }) => one_page(&visit, &id, Some(&error)).await,
        Err(error) => problem_page(error, visit.chrome(TITLE)),
    }
}

pub(super) async fn remove(visit: Visit, Path(id): Path<String>) -> Response {
    let access = &visit.pages.access;
    match access.remove_passkey(&visit.visitor.by, &id).await {
        Ok(gone) => done(LIST, &format!("Removed {}.", gone.name)),
        Err(error) => problem_page(error, visit.chrome(TITLE)),
    }
}
