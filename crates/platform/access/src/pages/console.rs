//! Tenants, users and keys in the console.

use axum::body::Bytes;
use axum::extract::{Path, State};
use axum::http::{HeaderMap, StatusCode};
use axum::response::{IntoResponse, Response};
use sealwright_core::Page as Rows;
use sealwright_web::component::{
    Badge, Cell, Column, Command, Empty, Field, FieldKind, Form, Pager, Panel, Row, Table, Tone,
};
use sealwright_web::{Markup, Page, PageUrl};

use super::{AccessPages, done, enter, field_error, private, problem_page, time, typed};
use crate::error::AccessError;
use crate::forms::Fields;
use crate::http::SessionInfo;
use crate::model::{ApiKey, Tenant, User};
use crate::principal::Principal;
use crate::role::{Action, Role};
use crate::secret;
use crate::service::ListFilter;

/// Who looks at which page, in which state.
struct Visit<'a> {
    pages: &'a AccessPages,
    by: Principal,
    info: Option<SessionInfo>,
    url: PageUrl,
    headers: HeaderMap,
}

/// A form that was refused: what was typed, and why.
type Refused<'a> = Option<(&'a Fields, &'a AccessError)>;

impl Visit<'_> {
    fn chrome(&self, here: &str) -> sealwright_web::Chrome {
        self.pages.chrome(
            &self.by,
            self.info.as_ref(),
            self.url.clone(),
            &self.headers,
            here,
        )
    }

    fn csrf(&self) -> &str {
        self.info.as_ref().map_or("", |info| info.csrf.as_str())
    }

    fn filter(&self) -> ListFilter {
        ListFilter {
            cursor: self.url.get("cursor").map(str::to_owned),
            limit: Some(100),
        }
    }

    fn show(&self, here: &str, body: &Markup, refused: Refused<'_>) -> Response {
        let page = Page::new(here, self.chrome(here), body);
        match refused {
            Some(_) => page
                .status(StatusCode::UNPROCESSABLE_ENTITY)
                .into_response(),
            None => page.into_response(),
        }
    }
}

fn fault(refused: Refused<'_>, name: &str) -> String {
    refused
        .and_then(|(_, error)| field_error(error))
        .filter(|(field, _)| {
            *field == name
                || (name == "scope" && *field == "scopes")
                || (name == "role" && *field == "roles")
        })
        .map(|(_, detail)| detail)
        .unwrap_or_default()
}

fn line(name: &str, label: &str, refused: Refused<'_>) -> Field {
    Field::text(name, label)
        .value(typed(refused.map(|(fields, _)| fields), name))
        .error(&fault(refused, name))
}

fn pager<T>(rows: &Rows<T>) -> Pager {
    Pager {
        previous: None,
        next: rows.next.clone(),
    }
}

macro_rules! visit {
    ($pages:ident, $by:ident, $info:ident, $url:ident, $headers:ident) => {
        match enter($by, &$url) {
            Ok(by) => Visit {
                pages: &$pages,
                by,
                info: $info,
                url: $url,
                headers: $headers,
            },
            Err(to_login) => return to_login,
        }
    };
}

// ---- tenants

pub(super) async fn tenants(
    State(pages): State<AccessPages>,
    by: Option<Principal>,
    info: Option<SessionInfo>,
    url: PageUrl,
    headers: HeaderMap,
) -> Response {
    tenants_page(&visit!(pages, by, info, url, headers), None).await
}

async fn tenants_page(visit: &Visit<'_>, refused: Refused<'_>) -> Response {
    let access = &visit.pages.access;
    let found = match access.tenants(&visit.by, &visit.filter()).await {
        Ok(found) => found,
        Err(error) => return problem_page(error, visit.chrome("Tenants")),
    };
    let columns = vec![
        Column::text("slug", "Slug"),
        Column::text("name", "Name"),
        Column::text("plan", "Plan"),
        Column::text("region", "Region"),
        Column::text("state", "State"),
        Column::time("created_at", "Created, UTC"),
    ];
    let mut table = Table::new("tenants", "Tenants", &visit.url, columns)
        .pager(pager(&found))
        .empty(
            Empty::new("No tenant yet.", "Create one below, or with:")
                .command("sealwright access tenant create acme"),
        );
    for tenant in &found.items {
        table.push(tenant_row(tenant));
    }
    if let Some(export) = table.export(&visit.url) {
        return export;
    }
    let mut body = Markup::of(&table);
    if visit.by.may(Action::AccessAdmin) && visit.by.tenants.tenant().is_none() {
        let form = Form::new("/console/access/tenants", visit.csrf(), "Create tenant")
            .field(line("slug", "Slug", refused).required().mono().hint(
                "Lower-case letters, digits, -, _ and . ; events and keys name the tenant by it.",
            ))
            .field(line("name", "Name", refused))
            .field(line("plan", "Plan", refused))
            .field(line("region", "Region", refused).mono());
        body = body.with(&Panel::new("New tenant", &form));
    }
    visit.show("Tenants", &body, refused)
}

fn tenant_row(tenant: &Tenant) -> Row {
    let or_none = |text: &Option<String>| {
        text.as_deref()
            .map_or_else(|| Cell::text("none"), Cell::text)
    };
    let tone = match tenant.state {
        crate::model::TenantState::Active => Tone::Good,
        crate::model::TenantState::Suspended => Tone::Bad,
    };
    Row::new(vec![
        Cell::code(&tenant.slug),
        Cell::text(&tenant.name),
        or_none(&tenant.plan),
        or_none(&tenant.region),
        Cell::badge(&Badge::new(tone, tenant.state.as_str())),
        time(Some(tenant.created_at)),
    ])
}

pub(super) async fn create_tenant(
    State(pages): State<AccessPages>,
    by: Option<Principal>,
    info: Option<SessionInfo>,
    url: PageUrl,
    headers: HeaderMap,
    body: Bytes,
) -> Response {
    let visit = visit!(pages, by, info, url, headers);
    let fields = match Fields::parse(&body) {
        Ok(fields) => fields,
        Err(error) => return problem_page(error, visit.chrome("Tenants")),
    };
    let made = match fields.tenant() {
        Ok(new) => pages.access.create_tenant(&visit.by, new).await,
        Err(error) => Err(error),
    };
    match made {
        Ok(tenant) => done(
            "/console/access/tenants",
            &format!("Created {}.", tenant.slug),
        ),
        Err(error) if field_error(&error).is_some() => {
            tenants_page(&visit, Some((&fields, &error))).await
        }
        Err(error) => problem_page(error, visit.chrome("Tenants")),
    }
}

// ---- users

pub(super) async fn users(
    State(pages): State<AccessPages>,
    by: Option<Principal>,
    info: Option<SessionInfo>,
    url: PageUrl,
    headers: HeaderMap,
) -> Response {
    users_page(&visit!(pages, by, info, url, headers), None).await
}

async fn users_page(visit: &Visit<'_>, refused: Refused<'_>) -> Response {
    let access = &visit.pages.access;
    let found = match access.users(&visit.by, &visit.filter()).await {
        Ok(found) => found,
        Err(error) => return problem_page(error, visit.chrome("Users")),
    };
    let columns = vec![
        Column::text("email", "E-mail"),
        Column::text("name", "Name"),
        Column::text("roles", "Roles"),
        Column::text("tenant", "Tenant"),
        Column::text("state", "State"),
        Column::time("last_login_at", "Last sign-in, UTC"),
    ];
    let mut table = Table::new("users", "Users", &visit.url, columns).pager(pager(&found));
    for user in &found.items {
        table.push(user_row(visit, user));
    }
    if let Some(export) = table.export(&visit.url) {
        return export;
    }
    let mut body = Markup::of(&table);
    if visit.by.may(Action::AccessAdmin) {
        let roles: Vec<_> = Role::ALL
            .iter()
            .rev()
            .filter(|role| visit.by.may_give(**role))
            .map(|role| (role.as_str(), role.as_str()))
            .collect();
        let form = Form::new("/console/access/users", visit.csrf(), "Invite user")
            .field(
                Field::new("email", "E-mail address", FieldKind::Line("email"))
                    .required()
                    .value(typed(refused.map(|(fields, _)| fields), "email"))
                    .error(&fault(refused, "email")),
            )
            .field(line("name", "Name", refused))
            .field(
                Field::select("role", "Role", &roles)
                    .required()
                    .value(typed(refused.map(|(fields, _)| fields), "role"))
                    .error(&fault(refused, "role")),
            )
            .field(line("tenant", "Tenant", refused).mono().hint(
                "Slug of the tenant whose data the user sees; empty for staff, who see all.",
            ));
        body = body.with(&Panel::new("New user", &form));
    }
    visit.show("Users", &body, refused)
}

fn slug(visit: &Visit<'_>, tenant: Option<sealwright_core::TenantId>) -> Cell {
    match tenant {
        None => Cell::text("all"),
        Some(id) => match visit.pages.access.directory().get(id) {
            Some(tenant) => Cell::code(&tenant.slug),
            None => Cell::code(&id.to_string()),
        },
    }
}

fn user_row(visit: &Visit<'_>, user: &User) -> Row {
    let tone = match user.state {
        crate::model::UserState::Active => Tone::Good,
        crate::model::UserState::Invited => Tone::Info,
        crate::model::UserState::Disabled => Tone::Bad,
    };
    let roles: Vec<_> = user.roles.iter().map(|role| role.as_str()).collect();
    Row::new(vec![
        Cell::text(&user.email),
        Cell::text(&user.name),
        Cell::text(&roles.join(", ")),
        slug(visit, user.tenant_id),
        Cell::badge(&Badge::new(tone, user.state.as_str())),
        time(user.last_login_at),
    ])
}

pub(super) async fn create_user(
    State(pages): State<AccessPages>,
    by: Option<Principal>,
    info: Option<SessionInfo>,
    url: PageUrl,
    headers: HeaderMap,
    body: Bytes,
) -> Response {
    let visit = visit!(pages, by, info, url, headers);
    let fields = match Fields::parse(&body) {
        Ok(fields) => fields,
        Err(error) => return problem_page(error, visit.chrome("Users")),
    };
    let made = match fields.user() {
        Ok(new) => pages.access.create_user(&visit.by, new).await,
        Err(error) => Err(error),
    };
    let user = match made {
        Ok(user) => user,
        Err(error) if field_error(&error).is_some() => {
            return users_page(&visit, Some((&fields, &error))).await;
        }
        Err(error) => return problem_page(error, visit.chrome("Users")),
    };
    match pages
        .access
        .user_link(&visit.by, &user.id.to_string())
        .await
    {
        Ok(token) => {
            let lead = format!(
                "{} is invited. Send this path of this server; it works once and is not shown again.",
                user.email
            );
            shown_once(
                &visit,
                "Invitation",
                &lead,
                &format!("/welcome/{token}"),
                "/console/access/users",
            )
        }
        Err(error) => problem_page(error, visit.chrome("Users")),
    }
}

/// A secret in the answer to the form that made it, and nowhere else.
fn shown_once(visit: &Visit<'_>, title: &str, lead: &str, secret: &str, back: &str) -> Response {
    let body = Markup::of(&Command::new(title, secret)).link("Back to the list", back);
    let chrome = visit.chrome(title).lead(lead);
    private(Page::new(title, chrome, &body).into_response())
}

// ---- keys

pub(super) async fn keys(
    State(pages): State<AccessPages>,
    by: Option<Principal>,
    info: Option<SessionInfo>,
    url: PageUrl,
    headers: HeaderMap,
) -> Response {
    keys_page(&visit!(pages, by, info, url, headers), None).await
}

async fn keys_page(visit: &Visit<'_>, refused: Refused<'_>) -> Response {
    let access = &visit.pages.access;
    let found = match access.keys(&visit.by, &visit.filter()).await {
        Ok(found) => found,
        Err(error) => return problem_page(error, visit.chrome("API keys")),
    };
    let admin = visit.by.may(Action::AccessAdmin);
    let mut columns = vec![
        Column::text("name", "Name"),
        Column::text("hint", "Begins with"),
        Column::text("tenant", "Tenant"),
        Column::text("scopes", "Scopes"),
        Column::text("state", "State"),
        Column::time("expires_at", "Expires, UTC"),
        Column::time("last_used_at", "Last used, UTC"),
    ];
    if admin {
        columns.push(Column::text("revoke", "Revoke"));
    }
    let mut table = Table::new("keys", "API keys", &visit.url, columns)
        .pager(pager(&found))
        .empty(
            Empty::new("No key yet.", "Create one below, or with:")
                .command("sealwright access key create --tenant acme --scope ingest"),
        );
    for key in &found.items {
        table.push(key_row(visit, key, admin));
    }
    if let Some(export) = table.export(&visit.url) {
        return export;
    }
    let mut body = Markup::of(&table);
    let request = match secret::token() {
        Ok(token) => token,
        Err(error) => return problem_page(error, visit.chrome("API keys")),
    };
    if admin {
        let names: Vec<_> = Action::ALL
            .iter()
            .filter(|action| **action != Action::OwnersAdmin && visit.by.may(**action))
            .map(|action| action.as_str())
            .collect();
        let form = Form::new("/console/access/keys", visit.csrf(), "Create key")
            .hidden("request", &request)
            .field(line("name", "Name", refused).hint("What uses it."))
            .field(
                line("tenant", "Tenant", refused)
                    .mono()
                    .hint("Slug; empty for all tenants."),
            )
            .field(
                line("scope", "Scopes", refused)
                    .required()
                    .mono()
                    .hint(&format!("Separated by commas: {}.", names.join(", "))),
            )
            .field(
                line("expires_at", "Expires", refused)
                    .mono()
                    .hint("A time such as 2027-01-31T00:00:00Z; empty for a key without end."),
            );
        body = body.with(&Panel::new("New key", &form));
    }
    visit.show("API keys", &body, refused)
}

fn key_row(visit: &Visit<'_>, key: &ApiKey, admin: bool) -> Row {
    let state = key.state(visit.pages.access.now());
    let tone = if state == "active" {
        Tone::Good
    } else {
        Tone::Bad
    };
    let mut cells = vec![
        Cell::text(&key.name),
        Cell::code(&key.hint),
        slug(visit, key.tenant_id),
        Cell::code(&key.scopes.to_string()),
        Cell::badge(&Badge::new(tone, state)),
        time(key.expires_at),
        time(key.last_used_at),
    ];
    if admin {
        let action = format!("/console/access/keys/{}/revoke", key.id);
        cells.push(if key.revoked_at.is_some() {
            Cell::text("")
        } else {
            let form = Form::new(&action, visit.csrf(), &format!("Revoke {}", key.name)).danger();
            Cell::markup(&Markup::of(&form), "")
        });
    }
    Row::new(cells)
}

pub(super) async fn create_key(
    State(pages): State<AccessPages>,
    by: Option<Principal>,
    info: Option<SessionInfo>,
    url: PageUrl,
    headers: HeaderMap,
    body: Bytes,
) -> Response {
    let visit = visit!(pages, by, info, url, headers);
    let fields = match Fields::parse(&body) {
        Ok(fields) => fields,
        Err(error) => return problem_page(error, visit.chrome("API keys")),
    };
    let request = fields.filled("request");
    let made = match fields.key() {
        // Loading the answer again posts again: the form's own request id makes that harmless.
        Ok(new) => {
            pages
                .access
                .create_key_once(&visit.by, new, request.as_deref())
                .await
        }
        Err(error) => Err(error),
    };
    match made {
        Ok((created, _)) => match created.key {
            Some(key) => {
                let lead = format!(
                    "{} is created. Keep the key now: it is not stored and not shown again.",
                    created.record.name
                );
                shown_once(&visit, "New API key", &lead, &key, "/console/access/keys")
            }
            None => done(
                "/console/access/keys",
                "The key was created before and is not shown again.",
            ),
        },
        Err(error) if field_error(&error).is_some() => {
            keys_page(&visit, Some((&fields, &error))).await
        }
        Err(error) => problem_page(error, visit.chrome("API keys")),
    }
}

pub(super) async fn revoke_key(
    State(pages): State<AccessPages>,
    by: Option<Principal>,
    info: Option<SessionInfo>,
    url: PageUrl,
    headers: HeaderMap,
    Path(id): Path<String>,
) -> Response {
    let visit = visit!(pages, by, info, url, headers);
    match pages.access.revoke_key(&visit.by, &id, None).await {
        Ok(key) => done("/console/access/keys", &format!("Revoked {}.", key.name)),
        Err(error) => problem_page(error, visit.chrome("API keys")),
    }
}
