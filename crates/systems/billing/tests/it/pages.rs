//! The pages over a seeded installation.

use axum::body::Body;
use axum::http::{Request, StatusCode, header};
use sealwright_access::http::SessionInfo;
use sealwright_access::{Principal, PrincipalKind, Role, Session, SessionId, UserId};
use sealwright_billing::model::InvoiceState;
use sealwright_billing::service::invoice::Filter;
use sealwright_core::{TenantScope, UnixMicros};
use tower::ServiceExt as _;

use crate::world::World;

fn person(role: Role, tenants: TenantScope) -> Principal {
    Principal {
        kind: PrincipalKind::User,
        id: "usr_test".to_owned(),
        name: "Ada".to_owned(),
        roles: vec![role],
        tenants,
        scopes: None,
        policies: Default::default(),
    }
}

fn owner() -> Principal {
    person(Role::Owner, TenantScope::All)
}

fn session() -> SessionInfo {
    let now = UnixMicros(0);
    SessionInfo {
        session: Session {
            id: SessionId::new(now),
            user_id: UserId::new(now),
            address: "127.0.0.1".to_owned(),
            agent: "test".to_owned(),
            created_at: now,
            seen_at: now,
            expires_at: now,
        },
        csrf: "token".to_owned(),
    }
}

async fn call(
    world: &World,
    by: Option<Principal>,
    request: Request<Body>,
) -> (StatusCode, String, String) {
    let mut request = request;
    if let Some(by) = by {
        request.extensions_mut().insert(by);
        request.extensions_mut().insert(session());
    }
    let response = world.open_router().oneshot(request).await.unwrap();
    let status = response.status();
    let to = response
        .headers()
        .get(header::LOCATION)
        .map_or(String::new(), |value| value.to_str().unwrap().to_owned());
    let body = axum::body::to_bytes(response.into_body(), 1 << 23)
        .await
        .unwrap();
    (status, String::from_utf8(body.to_vec()).unwrap(), to)
}

async fn get(world: &World, by: Principal, path: &str) -> (StatusCode, String) {
    let request = Request::get(path).body(Body::empty()).unwrap();
    let (status, body, _) = call(world, Some(by), request).await;
    (status, body)
}

async fn page(world: &World, path: &str) -> String {
    let (status, body) = get(world, owner(), path).await;
    assert_eq!(status, StatusCode::OK, "{path}: {}", text(&body));
    body
}

async fn post(
    world: &World,
    by: Principal,
    path: &str,
    form: &str,
) -> (StatusCode, String, String) {
    let request = Request::post(path)
        .header(header::CONTENT_TYPE, "application/x-www-form-urlencoded")
        .body(Body::from(form.to_owned()))
        .unwrap();
    call(world, Some(by), request).await
}

/// The words of the content, without markup.
fn text(html: &str) -> String {
    let main = html.split("<main").nth(1).unwrap_or(html);
    let mut out = String::new();
    let mut rest = main.split_once('>').map_or("", |(_, rest)| rest);
    while let Some((words, tag)) = rest.split_once('<') {
        out.push_str(words);
        out.push(' ');
        rest = tag.split_once('>').map_or("", |(_, rest)| rest);
    }
    out.split_whitespace().collect::<Vec<_>>().join(" ")
}

async fn invoice(world: &World, state: InvoiceState) -> String {
    let filter = Filter {
        state: Some(state),
        limit: 1,
        ..Filter::default()
    };
    let found = world
        .invoices
        .list(TenantScope::All, &filter)
        .await
        .unwrap();
    found[0].document.id.to_string()
}

async fn paths(world: &World) -> Vec<String> {
    let mut paths: Vec<String> = [
        "/console",
        "/console/billing",
        "/console/billing?tenant=acme&range=last-month&q=a&sort=-events",
        "/console/billing?range=24h",
        "/console/billing?range=ytd",
        "/console/billing?from=2026-10-10&to=2026-11-05&zone=Europe/Berlin",
        "/console/billing/tenants",
        "/console/billing/tenants/acme",
        "/console/billing/meters",
        "/console/billing/meters/ai.input_tokens",
        "/console/billing/meters/ai.input_tokens?by=region",
        "/console/billing/meters/storage.gb",
        "/console/billing/price-books",
        "/console/billing/price-books/enterprise/1",
        "/console/billing/invoices",
        "/console/billing/invoices?state=overdue",
        "/console/billing/budgets",
        "/console/billing/budgets?tenant=acme",
        "/console/billing/budgets/acme",
        "/console/billing/budgets/globex",
        "/console/billing/budgets/hooli",
        "/console/billing/anomalies",
        "/console/billing/anomalies?state=open&tenant=acme",
        "/console/ledger",
        "/console/ledger?q=billing.invoice.",
    ]
    .map(str::to_owned)
    .to_vec();
    for state in InvoiceState::ALL {
        paths.push(format!(
            "/console/billing/invoices/{}",
            invoice(world, state).await
        ));
    }
    let anomalies = page(world, "/console/billing/anomalies").await;
    paths.push(first_link(&anomalies, "/console/billing/anomalies/ano_"));
    let sealed = invoice(world, InvoiceState::Finalised).await;
    paths.push(format!("/console/billing/invoices/{sealed}/usage/0"));
    let list = page(world, paths.last().unwrap()).await;
    paths.push(first_link(&list, "/usage/0/"));
    let ledger = page(world, "/console/ledger").await;
    paths.push(first_link(&ledger, "/console/ledger/led_"));
    paths
}

fn first_link(html: &str, part: &str) -> String {
    html.split("href=\"")
        .map(|rest| rest.split('"').next().unwrap())
        .find(|href| href.contains(part))
        .unwrap_or_else(|| panic!("no link to {part}"))
        .to_owned()
}

fn values<'a>(html: &'a str, attribute: &str) -> Vec<&'a str> {
    html.split(&format!(" {attribute}=\""))
        .skip(1)
        .map(|rest| rest.split('"').next().unwrap())
        .collect()
}

#[tokio::test]
async fn every_page_is_there_and_keeps_the_rules_of_the_frame() {
    let world = World::new(6).await;
    let mut followed = std::collections::HashSet::new();
    for path in paths(&world).await {
        let html = page(&world, &path).await;
        assert_eq!(html.matches("<h1").count(), 1, "{path}: headings");
        assert!(
            !html.contains(" style=") && !html.contains("<style"),
            "{path}: style"
        );
        for tag in html.split("<script").skip(1) {
            assert!(tag.starts_with(" src=\"/assets/"), "{path}: script");
        }
        let ids = values(&html, "id");
        let set: std::collections::HashSet<_> = ids.iter().collect();
        assert_eq!(ids.len(), set.len(), "{path}: an id occurs twice");
        for target in values(&html, "popovertarget") {
            assert!(ids.contains(&target), "{path}: popovertarget={target}");
        }
        for form in html.split("<form").skip(1) {
            let form = form.split("</form>").next().unwrap();
            let theme = form.contains("action=\"/console/theme\"");
            if form.contains("method=\"post\"") && !theme {
                assert!(form.contains("name=\"csrf\""), "{path}: {form}");
            }
        }
        // Links inside the console lead somewhere; the API and files are not in this router.
        for href in values(&html, "href") {
            let href = href.replace("&amp;", "&").replace("&#38;", "&");
            let checked = ["tenants/", "price-books/"]
                .iter()
                .any(|part| href.starts_with(&format!("/console/billing/{part}")));
            let place = href.split('?').next().unwrap().to_owned();
            if checked && followed.insert(place) {
                page(&world, &href).await;
            }
        }
    }
}

#[tokio::test]
async fn strangers_are_sent_to_the_sign_in() {
    let world = World::new(1).await;
    for path in ["/console", "/console/billing?range=7d", "/console/ledger"] {
        let request = Request::get(path).body(Body::empty()).unwrap();
        let (status, _, to) = call(&world, None, request).await;
        assert_eq!(status, StatusCode::SEE_OTHER, "{path}");
        assert!(to.starts_with("/login?next=%2Fconsole"), "{to}");
    }
}

#[tokio::test]
async fn what_belongs_to_another_tenant_does_not_exist() {
    let world = World::new(6).await;
    let directory = world.access.directory();
    let acme = directory.resolve("acme").unwrap().id;
    let member = || {
        person(
            Role::Member,
            TenantScope::One(directory.resolve("hooli").unwrap().id),
        )
    };
    let filter = Filter {
        limit: 1,
        ..Filter::default()
    };
    let theirs = world
        .invoices
        .list(TenantScope::One(acme), &filter)
        .await
        .unwrap();
    let id = theirs[0].document.id;
    let entry = world
        .ledger
        .entries(
            TenantScope::One(acme),
            &sealwright_ledger::EntryFilter::default(),
            1,
        )
        .await
        .unwrap();
    for path in [
        "/console/billing?tenant=acme".to_owned(),
        "/console/billing/tenants/acme".to_owned(),
        "/console/billing/meters?tenant=acme".to_owned(),
        "/console/billing/price-books/enterprise/1".to_owned(),
        "/console/billing/invoices?tenant=acme".to_owned(),
        "/console/billing/budgets?tenant=acme".to_owned(),
        "/console/billing/budgets/acme".to_owned(),
        "/console/billing/anomalies?tenant=acme".to_owned(),
        format!("/console/billing/invoices/{id}"),
        format!("/console/billing/invoices/{id}/usage/0"),
        format!("/console/billing/invoices/{id}/usage/0/1"),
        format!("/console/ledger/{}", entry[0].id),
        format!("/console/ledger/{}/proof", entry[0].id),
    ] {
        let (status, body) = get(&world, member(), &path).await;
        assert_eq!(status, StatusCode::NOT_FOUND, "{path}");
        assert!(!body.contains("Acme"), "{path} tells a name");
    }
    for path in [
        "/console",
        "/console/billing",
        "/console/billing/invoices",
        "/console/billing/budgets",
        "/console/billing/anomalies",
        "/console/ledger",
    ] {
        let (status, body) = get(&world, member(), path).await;
        assert_eq!(status, StatusCode::OK, "{path}");
        for name in ["acme", "Acme", "globex", "initech"] {
            assert!(!body.contains(name), "{path} tells {name}");
        }
    }
    let (status, _, _) = post(
        &world,
        member(),
        &format!("/console/billing/invoices/{id}/finalise"),
        "revision=1",
    )
    .await;
    assert_eq!(status, StatusCode::NOT_FOUND);
}

#[tokio::test]
async fn what_is_not_there_is_a_page_that_says_so() {
    let world = World::new(2).await;
    let sealed = invoice(&world, InvoiceState::Paid).await;
    for path in [
        "/console/billing/tenants/nobody".to_owned(),
        "/console/billing/meters/no.meter".to_owned(),
        "/console/billing/price-books/enterprise/9".to_owned(),
        "/console/billing/price-books/enterprise/x".to_owned(),
        "/console/billing/invoices/inv_x".to_owned(),
        "/console/billing/invoices?state=lost".to_owned(),
        "/console/billing/budgets/nobody".to_owned(),
        "/console/billing/anomalies/ano_x".to_owned(),
        "/console/billing/anomalies?state=lost".to_owned(),
        "/console/billing/anomalies?cursor=lost".to_owned(),
        "/console/billing/invoices?cursor=lost".to_owned(),
        format!("/console/billing/invoices/{sealed}/usage/9999"),
        format!("/console/billing/invoices/{sealed}/usage/0/999999"),
        "/console/ledger/led_x".to_owned(),
        "/console/ledger?cursor=x".to_owned(),
    ] {
        let (status, body) = get(&world, owner(), &path).await;
        assert_eq!(status, StatusCode::NOT_FOUND, "{path}");
        assert!(body.contains("Nothing here"), "{path}");
    }
    let (status, body) = get(&world, owner(), "/console/billing?range=1y").await;
    assert_eq!(status, StatusCode::BAD_REQUEST);
    assert!(body.contains("use one of 24h"), "{body}");
}

#[tokio::test]
async fn a_button_acts_once_on_the_revision_that_was_seen() {
    let world = World::new(2).await;
    let october = UnixMicros::parse_rfc3339("2026-10-15T00:00:00Z").unwrap();
    let tenant = world.access.directory().resolve("acme").unwrap().id;
    let filter = Filter {
        state: Some(InvoiceState::Draft),
        limit: 9,
        ..Filter::default()
    };
    let drafts = world
        .invoices
        .list(TenantScope::One(tenant), &filter)
        .await
        .unwrap();
    let draft = drafts.iter().find(|i| i.period.contains(october)).unwrap();
    let base = format!("/console/billing/invoices/{}", draft.document.id);
    let html = page(&world, &base).await;
    assert!(
        html.contains(&format!("action=\"{base}/finalise\"")),
        "{}",
        text(&html)
    );
    assert!(html.contains("Not sealed: a draft"));

    let auditor = person(Role::Auditor, TenantScope::All);
    let (_, seen) = get(&world, auditor.clone(), &base).await;
    assert!(!seen.contains("/finalise"), "an auditor sees no button");
    let form = format!("revision={}", draft.revision);
    let (status, _, _) = post(&world, auditor, &format!("{base}/finalise"), &form).await;
    assert_eq!(status, StatusCode::FORBIDDEN);
    let (status, _, _) = post(&world, owner(), &format!("{base}/finalise"), "").await;
    assert_eq!(status, StatusCode::BAD_REQUEST);

    let (status, _, to) = post(&world, owner(), &format!("{base}/finalise"), &form).await;
    assert_eq!(
        (status, to.as_str()),
        (StatusCode::SEE_OTHER, base.as_str())
    );
    let (status, _, _) = post(&world, owner(), &format!("{base}/finalise"), &form).await;
    assert_eq!(status, StatusCode::PRECONDITION_FAILED);

    let html = page(&world, &base).await;
    assert!(html.contains("Waits for the next checkpoint"));
    world.ledger.sequence().await.unwrap();
    let html = page(&world, &base).await;
    assert!(html.contains("Proven figure"));
    assert!(html.contains("sealwright verify ACME-2026-000"));

    let next = format!("revision={}&reason=", draft.revision + 1);
    let (status, body, _) = post(&world, owner(), &format!("{base}/void"), &next).await;
    assert_eq!(status, StatusCode::UNPROCESSABLE_ENTITY);
    assert!(body.contains("a void invoice needs a reason"));
    let next = format!("revision={}&reference=SEPA+1", draft.revision + 1);
    let (status, _, _) = post(&world, owner(), &format!("{base}/pay"), &next).await;
    assert_eq!(status, StatusCode::SEE_OTHER);
    assert!(text(&page(&world, &base).await).contains("Paid 22 Nov 2026"));
}

#[tokio::test]
async fn a_changed_invoice_does_not_match_the_ledger() {
    let world = World::new(2).await;
    let id = invoice(&world, InvoiceState::Paid).await;
    let path = format!("/console/billing/invoices/{id}");
    assert!(page(&world, &path).await.contains("Proven figure"));
    world
        .store
        .execute(
            sealwright_store::sql(
                "UPDATE billing_invoice SET document = replace(document, 'Acme Corporation', 'Acme')
                 WHERE id = $1",
            )
            .bind(&id),
        )
        .await
        .unwrap();
    let html = page(&world, &path).await;
    assert!(html.contains("Does not match the ledger"));
    assert!(!html.contains("Proven figure"));
}

#[tokio::test]
async fn the_days_of_a_month_sum_to_the_month() {
    let world = World::new(3).await;
    let tenant = world.access.directory().resolve("initech").unwrap().id;
    let at = |text: &str| UnixMicros::parse_rfc3339(text).unwrap();
    let span = |from: &str, to: &str| sealwright_billing::model::Span {
        from: at(from),
        to: at(to),
    };
    let whole = world
        .invoices
        .estimate(tenant, span("2026-10-01T00:00:00Z", "2026-11-01T00:00:00Z"))
        .await
        .unwrap();
    let mut sum = 0;
    for (from, to) in [
        ("2026-10-01T00:00:00Z", "2026-10-04T00:00:00Z"),
        ("2026-10-04T00:00:00Z", "2026-10-20T00:00:00Z"),
        ("2026-10-20T00:00:00Z", "2026-11-01T00:00:00Z"),
    ] {
        let part = world
            .invoices
            .estimate(tenant, span(from, to))
            .await
            .unwrap();
        sum += part.amount.minor();
    }
    assert!(whole.amount.minor() > 0);
    // Levels (storage) are averages of the part, so what they cost does not add up to the cent.
    let off = (whole.amount.minor() - sum).abs();
    assert!(
        off * 1000 <= whole.amount.minor(),
        "{off} of {}",
        whole.amount.minor()
    );
}

#[tokio::test]
async fn tables_can_be_had_as_csv_and_json() {
    let world = World::new(2).await;
    let (status, csv) = get(&world, owner(), "/console/billing?format=csv&table=tenants").await;
    assert_eq!(status, StatusCode::OK);
    assert!(
        csv.starts_with("tenant,price_book,region,days,spend,events,state\r\n"),
        "{csv}"
    );
    assert_eq!(csv.lines().count(), 3);
    let id = invoice(&world, InvoiceState::Paid).await;
    let path = format!("/console/billing/invoices/{id}?format=json&table=lines");
    let (_, json) = get(&world, owner(), &path).await;
    let lines: Vec<serde_json::Value> = serde_json::from_str(&json).unwrap();
    assert!(
        lines.iter().all(|line| line["amount"].is_string()),
        "{json}"
    );
}

#[tokio::test]
async fn the_words_of_the_pages() {
    let world = World::new(3).await;
    let mut said = String::new();
    for path in [
        "/console/billing/price-books/enterprise/1",
        "/console/billing/meters",
        "/console/billing/invoices",
    ] {
        said.push_str(&format!("{path}\n{}\n\n", text(&page(&world, path).await)));
    }
    insta::assert_snapshot!(said);
}
