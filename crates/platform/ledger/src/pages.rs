//! The ledger in the console: `/console/ledger`.

use std::sync::Arc;

use axum::Router;
use axum::extract::{FromRequestParts, Path};
use axum::http::request::Parts;
use axum::http::{HeaderMap, HeaderValue, StatusCode, header};
use axum::response::IntoResponse;
use axum::routing::get;
use jiff::tz::TimeZone;
use sealwright_access::visit::{Answer, Refusal, Visitor};
use sealwright_access::{Action, Principal};
use sealwright_core::Problem;
use sealwright_merkle::leaf_hash;
use sealwright_web::component::{
    Badge, Cell, Chain, Column, Command, Definitions, Empty, Figure, Figures, Pager, Panel, Row,
    Seal, SealState, Step, Table, Tone,
};
use sealwright_web::{Chrome, ChromeSource, Crumb, Markup, Page, PageUrl, ProblemPage, format};

use crate::entry::{EntryId, Leaf};
use crate::error::LedgerError;
use crate::service::Ledger;
use crate::store::{EntryFilter, EntryRow};

/// Entries on a page.
const ROWS: usize = 100;

/// What the pages need.
pub struct LedgerPages {
    /// The ledger.
    pub ledger: Arc<Ledger>,
    /// The frame.
    pub chrome: Arc<dyn ChromeSource>,
}

impl LedgerPages {
    /// The pages, to be merged into the server's router; `sealwright_access::http::authenticate`
    /// must be layered around them.
    pub fn router(self: Arc<Self>) -> Router {
        Router::new()
            .route("/console/ledger", get(list))
            .route("/console/ledger/{id}", get(show))
            .route("/console/ledger/{id}/proof", get(proof))
            .with_state(self)
    }
}

/// A request of somebody who is signed in and may read the ledger.
struct Visit {
    pages: Arc<LedgerPages>,
    by: Principal,
    url: PageUrl,
    csrf: String,
    headers: HeaderMap,
}

impl FromRequestParts<Arc<LedgerPages>> for Visit {
    type Rejection = Refusal;

    async fn from_request_parts(
        parts: &mut Parts,
        pages: &Arc<LedgerPages>,
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
        match visit.by.require(Action::LedgerRead) {
            Ok(()) => Ok(visit),
            Err(problem) => Err(visit.problem(&problem)),
        }
    }
}

impl Visit {
    fn chrome(&self, way: Vec<Crumb>) -> Chrome {
        let viewer = self.by.viewer(&self.csrf);
        let mut crumbs = vec![Crumb::link("Ledger", &self.to("/console/ledger"))];
        crumbs.extend(way);
        self.pages
            .chrome
            .chrome(&viewer, &self.url, &self.headers)
            .crumbs(crumbs)
    }

    fn to(&self, path: &str) -> String {
        self.url.carry(path).to_string()
    }

    fn refuse(&self, error: LedgerError) -> Refusal {
        let problem = match error {
            LedgerError::NotFound(_) => Problem::not_found(error.to_string()),
            LedgerError::Pending(_) => Problem::conflict(error.to_string()),
            error => {
                tracing::error!(%error, "a page of the ledger failed");
                Problem::internal()
            }
        };
        self.problem(&problem)
    }

    fn missing(&self, detail: &str) -> Refusal {
        self.problem(&Problem::not_found(detail))
    }

    fn problem(&self, problem: &Problem) -> Refusal {
        let status =
            StatusCode::from_u16(problem.status).unwrap_or(StatusCode::INTERNAL_SERVER_ERROR);
        ProblemPage::new(status, &problem.detail)
            .page(self.chrome(vec![Crumb::here("Problem")]))
            .into_response()
            .into()
    }

    async fn entry(&self, id: &str) -> Result<EntryRow, Refusal> {
        let missing = || {
            let short: String = id.chars().take(60).collect();
            self.missing(&format!("There is no entry “{short}”."))
        };
        let id: EntryId = id.parse().map_err(|_| missing())?;
        match self.pages.ledger.entry(self.by.tenants, id).await {
            Ok(row) => Ok(row),
            Err(LedgerError::NotFound(_)) => Err(missing()),
            Err(error) => Err(self.refuse(error)),
        }
    }

    /// Which entries the address asks for. `q` is an action, the beginning of one, or a subject.
    fn filter(&self) -> Result<EntryFilter, Refusal> {
        let text = |key: &str| self.url.get(key).map(str::to_owned);
        let mut filter = EntryFilter {
            action: text("action"),
            subject: text("subject"),
            actor: text("actor"),
            before: None,
        };
        match self.url.get("q").map(str::trim).filter(|q| !q.is_empty()) {
            None => {}
            Some(q) if q.contains(['_', ' ', ':']) => filter.subject = Some(q.to_owned()),
            Some(q) if q.contains('.') => filter.action = Some(q.to_owned()),
            Some(q) => filter.action = Some(format!("{q}.")),
        }
        if let Some(cursor) = self.url.get("cursor") {
            let before = cursor
                .parse()
                .map_err(|_| self.missing("The cursor is not one of this list."))?;
            filter.before = Some(before);
        }
        Ok(filter)
    }
}

/// How far an entry is: in a signed checkpoint, or waiting for one.
fn state(ledger: &Ledger, row: &EntryRow) -> SealState {
    if row.index.is_some_and(|index| index < ledger.size()) {
        SealState::Proven
    } else {
        SealState::Pending
    }
}

/// `GET /console/ledger`.
async fn list(visit: Visit) -> Answer {
    let ledger = &visit.pages.ledger;
    let filter = visit.filter()?;
    let mut rows = ledger
        .entries(visit.by.tenants, &filter, ROWS + 1)
        .await
        .map_err(|error| visit.refuse(error))?;
    let more = rows.len() > ROWS;
    rows.truncate(ROWS);
    let next = rows.last().filter(|_| more).map(|row| row.seq.to_string());
    let columns = vec![
        Column::text("action", "Action"),
        Column::text("subject", "Subject"),
        Column::text("actor", "By"),
        Column::time("time", "Time, UTC"),
        Column::number("index", "Index"),
    ];
    let mut table = Table::new("entries", "Entries, newest first", &visit.url, columns)
        .filter("Action or subject")
        .pager(Pager {
            previous: filter.before.map(|_| String::new()),
            next,
        })
        .empty(Empty::new(
            "No entry here.",
            "Every change that anybody makes is recorded: who, what, when, and what it was before.",
        ));
    for row in &rows {
        table.push(line(&visit, row));
    }
    let chosen: Vec<String> = ["action", "subject", "actor"]
        .into_iter()
        .filter_map(|key| visit.url.get(key).map(|value| format!("{key} {value}")))
        .collect();
    let table = table.note(&if chosen.is_empty() {
        format!("{} entries", rows.len())
    } else {
        format!("{} entries of {}", rows.len(), chosen.join(", "))
    });
    if let Some(export) = table.export(&visit.url) {
        return Ok(export);
    }
    let mut body = Markup::of(&figures(&visit)?).with(&table);
    if !chosen.is_empty() {
        body = body.link("Show all entries", &visit.to("/console/ledger"));
    }
    body = body.with(&Panel::new("Check it yourself", &check(&visit)).flush());
    Ok(Page::new("Ledger", visit.chrome(Vec::new()), &body).into_response())
}

fn line(visit: &Visit, row: &EntryRow) -> Row {
    let leaf = Leaf::from_bytes(&row.leaf).ok();
    let (action, subject) = leaf
        .as_ref()
        .map_or(("unknown", ""), |leaf| (&leaf.action, &leaf.subject));
    let link = visit.to(&format!("/console/ledger/{}", row.id));
    let about = PageUrl::parse("/console/ledger").with("subject", subject);
    let actor = row
        .opening
        .as_ref()
        .map(|opening| opening.private.actor.as_str());
    let seal = Seal::leads(&format!("{action} of {subject}"), &link);
    Row::new(vec![
        Cell::link(action, &link),
        Cell::markup(
            &Markup::new().link(&format::shorten(subject, 16), &about.to_string()),
            subject,
        ),
        match actor {
            Some(actor) => Cell::markup(&Markup::new().code(&format::shorten(actor, 16)), actor),
            None => Cell::text("erased"),
        },
        Cell::time(row.recorded_at.timestamp(), &TimeZone::UTC),
        match row.index {
            Some(index) => Cell::integer(i64::try_from(index).unwrap_or(i64::MAX)),
            None => Cell::text("waits"),
        }
        .sealed(&seal.state(state(&visit.pages.ledger, row))),
    ])
}

fn figures(visit: &Visit) -> Result<Figures, Refusal> {
    let ledger = &visit.pages.ledger;
    let size = i64::try_from(ledger.size()).unwrap_or(i64::MAX);
    let entries = Figure::count("Entries in the checkpoint", size, "")
        .note(Markup::new().link("the signed checkpoint", "/ledger/checkpoint"));
    let mut figures = vec![entries];
    if size > 0 {
        let (checkpoint, _) = ledger
            .tree()
            .checkpoint()
            .map_err(|error| visit.refuse(error))?;
        figures.push(
            Figure::new(
                "Root",
                &format::shorten(&checkpoint.root.to_string(), 8),
                "",
            )
            .note(Markup::new().code(&checkpoint.root.to_string())),
        );
    }
    figures.push(Figure::new("Log", ledger.verifier_key().name(), "").note("its origin"));
    Ok(Figures::new(figures))
}

fn check(visit: &Visit) -> Definitions {
    let key = visit.pages.ledger.verifier_key().to_string();
    Definitions::new()
        .item(
            "Form",
            "static files in the C2SP tlog-tiles form, which other people's tools read",
        )
        .item(
            "Verifier key; keep it somewhere else than here",
            Markup::of(&Command::new("The verifier key", &key)),
        )
        .item(
            "Every entry, tile and signature",
            Markup::of(&Command::new(
                "Command that checks every entry, tile and signature",
                "sealwright ledger verify",
            )),
        )
}

/// `GET /console/ledger/{id}`.
async fn show(visit: Visit, Path(id): Path<String>) -> Answer {
    let row = visit.entry(&id).await?;
    let ledger = &visit.pages.ledger;
    let state = state(ledger, &row);
    let text = String::from_utf8_lossy(&row.leaf).into_owned();
    let leaf = Leaf::from_bytes(&row.leaf).map_err(|error| {
        visit.missing(&format!("The entry is not one of this program ({error})."))
    })?;
    let chain = chain(&visit, &row, &leaf, state);
    let digest = |digest: Option<sealwright_core::Digest>| match digest {
        Some(digest) => Markup::new().code(&digest.to_string()),
        None => Markup::from("none"),
    };
    let about = PageUrl::parse("/console/ledger").with("subject", &leaf.subject);
    let public = Definitions::new()
        .item("Action", Markup::new().code(&leaf.action))
        .item(
            "Subject",
            Markup::new().link(&leaf.subject, &about.to_string()),
        )
        .item(
            "Recorded",
            format!(
                "{} UTC",
                format::moment(row.recorded_at.timestamp(), &TimeZone::UTC)
            ),
        )
        .item("Digest before", digest(leaf.before))
        .item("Digest after", digest(leaf.after))
        .item(
            "Commitment",
            Markup::new().code(&leaf.commitment.to_string()),
        )
        .item(
            "Leaf hash",
            Markup::new().code(&leaf_hash(&row.leaf).to_string()),
        );
    let leaf_text = Command::new("The leaf, exactly as hashed", &text);
    let left = Markup::of(&Panel::new("Public, in the tree", &public).flush())
        .with(&Panel::new("Leaf", &leaf_text).note("exactly the bytes that are hashed"))
        .with(&private(&row, &leaf));
    let right = Markup::of(&Panel::new("Proof", &chain));
    let seal = Seal::opens(
        "entry",
        "this entry",
        &format!("{} of {}", leaf.action, leaf.subject),
        chain,
    )
    .state(state);
    let chrome = visit
        .chrome(vec![Crumb::id(&row.id.to_string())])
        .seal(seal)
        .lead(format!(
            "{} · {} UTC",
            leaf.subject,
            format::moment(row.recorded_at.timestamp(), &TimeZone::UTC)
        ));
    let body = Columns { left, right };
    Ok(Page::new(&leaf.action, chrome, &body).into_response())
}

fn chain(visit: &Visit, row: &EntryRow, leaf: &Leaf, state: SealState) -> Chain {
    let size = visit.pages.ledger.size();
    let index = row.index.map_or_else(
        || "has no index yet".to_owned(),
        |index| format!("index {}", format::group(&index.to_string())),
    );
    let chain = Chain::new()
        .step(Step::new(
            "Leaf",
            Markup::new()
                .text("hash ")
                .code(&leaf_hash(&row.leaf).to_string()),
        ))
        .step(Step::new("Entry", index))
        .step(Step::new(
            "Checkpoint",
            match state {
                SealState::Proven => format!(
                    "{} entries, signed by {}",
                    format::group(&size.to_string()),
                    visit.pages.ledger.verifier_key().name()
                ),
                _ => "the next one".to_owned(),
            },
        ));
    if state != SealState::Proven {
        return chain;
    }
    chain
        .file(&format!("/console/ledger/{}/proof", leaf.id), None)
        .verify(&format!("sealwright verify {}.json", leaf.id))
}

/// Tenant, actor and details, with the check that they open the commitment.
fn private(row: &EntryRow, leaf: &Leaf) -> Panel {
    let Some(opening) = &row.opening else {
        let at = row.erased_at.map_or_else(String::new, |at| {
            format!(" on {} UTC", format::moment(at.timestamp(), &TimeZone::UTC))
        });
        let text = format!(
            "Erased{at}. The leaf and its proof stand; who and what it was cannot be learnt."
        );
        return Panel::new("Private, in the database", &Markup::from(text));
    };
    let opens = opening.commitment() == leaf.commitment;
    let tenant = opening
        .private
        .tenant
        .map_or_else(|| "the installation's own".to_owned(), |id| id.to_string());
    let details = serde_json::to_string_pretty(&opening.private.details).unwrap_or_default();
    let list = Definitions::new()
        .item("Actor", Markup::new().code(&opening.private.actor))
        .item("Tenant", Markup::new().code(&tenant))
        .item(
            "Details",
            Markup::of(&Command::new("Details as JSON", &details)),
        )
        .item("Salt", Markup::new().code(&opening.salt.to_string()))
        .item(
            "Opens the commitment",
            Markup::of(&if opens {
                Badge::new(Tone::Good, "yes, computed now")
            } else {
                Badge::new(Tone::Bad, "no: it was changed")
            }),
        );
    Panel::new("Private, in the database", &list).flush()
}

/// `GET /console/ledger/{id}/proof`: what `sealwright verify` reads.
async fn proof(visit: Visit, Path(id): Path<String>) -> Answer {
    let row = visit.entry(&id).await?;
    let proof = visit
        .pages
        .ledger
        .prove(visit.by.tenants, row.id)
        .await
        .map_err(|error| visit.refuse(error))?;
    let mut bytes = serde_json::to_vec_pretty(&proof)
        .map_err(|error| visit.refuse(LedgerError::Task(error.to_string())))?;
    bytes.push(b'\n');
    let mut response = bytes.into_response();
    let headers = response.headers_mut();
    headers.insert(
        header::CONTENT_TYPE,
        HeaderValue::from_static("application/json"),
    );
    headers.insert(header::CACHE_CONTROL, HeaderValue::from_static("no-store"));
    let disposition = format!("attachment; filename=\"{}.json\"", row.id);
    if let Ok(value) = HeaderValue::from_str(&disposition) {
        headers.insert(header::CONTENT_DISPOSITION, value);
    }
    Ok(response)
}

#[derive(askama::Template)]
#[template(
    source = r#"<div class="columns-2"><div class="stack">{{ left }}</div><div class="stack">{{ right }}</div></div>"#,
    ext = "html"
)]
struct Columns {
    left: Markup,
    right: Markup,
}
