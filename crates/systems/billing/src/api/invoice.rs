//! `/api/billing/invoices`.

use axum::Json;
use axum::body::Bytes;
use axum::extract::rejection::QueryRejection;
use axum::extract::{Path, Query, State};
use axum::http::{HeaderMap, HeaderValue, header};
use axum::response::{IntoResponse, Response};
use sealwright_access::{Action, Principal};
use sealwright_core::{Page, Problem};
use serde::{Deserialize, Serialize};
use utoipa::{IntoParams, ToSchema};

use super::{BillingApi, input};
use crate::model::{Invoice, InvoiceId, InvoiceState, Span};
use crate::render::{invoice_csv, invoice_pdf};
use crate::service::invoice::Filter;
use crate::service::usage::{month_start, next_month};

/// An invoice without its lines.
#[derive(Debug, Serialize, ToSchema)]
#[schema(as = InvoiceSummary)]
pub(super) struct Summary {
    /// The id.
    id: String,
    /// The number; absent on drafts.
    #[serde(skip_serializing_if = "Option::is_none")]
    number: Option<String>,
    /// The tenant's slug.
    tenant: String,
    /// RFC 3339, included.
    period_from: String,
    /// RFC 3339, excluded.
    period_to: String,
    /// Where it stands.
    state: InvoiceState,
    /// With all minor digits.
    total: String,
    /// The ISO 4217 code.
    currency: String,
    /// SHA-256 of the document.
    digest: String,
    /// Grows with each change; the ETag.
    revision: i64,
    /// RFC 3339.
    #[serde(skip_serializing_if = "Option::is_none")]
    due_at: Option<String>,
    /// The ledger entry of the finalisation.
    #[serde(skip_serializing_if = "Option::is_none")]
    ledger_entry: Option<String>,
}

impl Summary {
    fn of(invoice: &Invoice) -> Self {
        let document = &invoice.document;
        Self {
            id: document.id.to_string(),
            number: document.number.clone(),
            tenant: document.tenant.slug.clone(),
            period_from: document.period_from.clone(),
            period_to: document.period_to.clone(),
            state: invoice.state,
            total: document.rated.total.clone(),
            currency: document.rated.currency.code().to_owned(),
            digest: invoice.digest.to_string(),
            revision: invoice.revision,
            due_at: document.due_at.clone(),
            ledger_entry: invoice.ledger_entry.clone(),
        }
    }
}

/// An invoice with its document.
#[derive(Debug, Serialize, ToSchema)]
pub(super) struct Whole {
    #[serde(flatten)]
    summary: Summary,
    /// Events that came after it had been finalised.
    late_events: u64,
    /// The document: usage, rated lines, price book.
    document: serde_json::Value,
}

/// Which invoices.
#[derive(Debug, Deserialize, IntoParams)]
#[into_params(parameter_in = Query)]
#[serde(deny_unknown_fields)]
pub(super) struct ListQuery {
    /// Only this tenant, by slug or id.
    tenant: Option<String>,
    /// Only this state.
    state: Option<InvoiceState>,
    /// Only the periods that start in this month (2026-11).
    month: Option<String>,
    /// The `next` of the page before.
    cursor: Option<String>,
    /// Rows on the page, 1 to 500; 50 when absent.
    limit: Option<u32>,
}

/// Invoices, newest first. Needs `billing:read`.
#[utoipa::path(get, path = "/api/billing/invoices", tag = "billing", params(ListQuery),
    responses((status = 200, body = Page<Summary>), (status = 400), (status = 404)))]
pub(super) async fn list(
    State(api): State<BillingApi>,
    by: Principal,
    query: Result<Query<ListQuery>, QueryRejection>,
) -> Result<Json<Page<Summary>>, Problem> {
    by.require(Action::BillingRead)?;
    let query = input::query(query)?;
    let scope = input::scope(&by, &api.directory, query.tenant.as_deref())?;
    let limit = query.limit.unwrap_or(50).clamp(1, 500);
    let span = query
        .month
        .as_deref()
        .map(|text| input::moment("month", text))
        .transpose()?
        .map(|at| Span {
            from: month_start(at),
            to: next_month(at),
        });
    let after = query
        .cursor
        .as_deref()
        .map(|text| text.parse::<InvoiceId>())
        .transpose()
        .map_err(|_| Problem::bad_request("`cursor` is not one that this list gave"))?;
    let filter = Filter {
        state: query.state,
        span,
        after,
        limit: limit + 1,
    };
    let mut invoices = api.invoices.list(scope, &filter).await?;
    let more = invoices.len() > limit as usize;
    invoices.truncate(limit as usize);
    let next = invoices
        .last()
        .filter(|_| more)
        .map(|last| last.document.id.to_string());
    Ok(Json(Page {
        items: invoices.iter().map(Summary::of).collect(),
        next,
    }))
}

/// What to generate.
#[derive(Debug, Default, Deserialize, ToSchema)]
#[serde(deny_unknown_fields, default)]
pub(super) struct Generate {
    /// Only this tenant, by slug or id; all tenants on a price book when absent.
    tenant: Option<String>,
    /// The month, 2026-10; the last whole one when absent.
    month: Option<String>,
    /// Whether drafts whose period is over are finalised at once.
    finalise: bool,
}

/// What became of one tenant's period.
#[derive(Debug, Serialize, ToSchema)]
#[schema(as = InvoiceOutcome)]
pub(super) struct Outcome {
    /// The tenant's slug.
    tenant: String,
    /// RFC 3339, included.
    period_from: String,
    /// RFC 3339, excluded.
    period_to: String,
    /// The invoice.
    #[serde(skip_serializing_if = "Option::is_none")]
    invoice: Option<Summary>,
    /// Why there is none.
    #[serde(skip_serializing_if = "Option::is_none")]
    error: Option<String>,
}

/// Drafts (or drafts anew) the invoices of a month, and finalises them when asked to. Calling it twice changes
/// nothing that is finalised. Needs `billing:write`.
#[utoipa::path(post, path = "/api/billing/invoices/generate", tag = "billing",
    request_body = Generate,
    responses((status = 200, body = [Outcome]), (status = 400), (status = 404)))]
pub(super) async fn generate(
    State(api): State<BillingApi>,
    by: Principal,
    body: Bytes,
) -> Result<Json<Vec<Outcome>>, Problem> {
    by.require(Action::BillingWrite)?;
    let wanted: Generate = if body.is_empty() {
        Generate::default()
    } else {
        input::json(&body)?
    };
    let tenant = match (&wanted.tenant, by.tenants.tenant()) {
        (Some(name), _) => Some(input::tenant(&by, &api.directory, name)?),
        (None, own) => own,
    };
    let at = match &wanted.month {
        Some(text) => input::moment("month", text)?,
        None => month_start(api.clock.now()).plus(-1),
    };
    let generated = api
        .invoices
        .generate(tenant, at, wanted.finalise, &by.actor())
        .await?;
    let outcomes = generated.into_iter().map(|one| {
        let slug = api
            .directory
            .get(one.tenant)
            .map_or_else(|| one.tenant.to_string(), |tenant| tenant.slug.clone());
        let (invoice, error) = match one.result {
            Ok(invoice) => (Some(Summary::of(&invoice)), None),
            Err(error) => (None, Some(error.to_string())),
        };
        Outcome {
            tenant: slug,
            period_from: one.period.from.to_string(),
            period_to: one.period.to.to_string(),
            invoice,
            error,
        }
    });
    Ok(Json(outcomes.collect()))
}

fn id(text: &str) -> Result<InvoiceId, Problem> {
    text.parse()
        .map_err(|_| Problem::not_found(format!("there is no invoice `{text}`")))
}

async fn whole(api: &BillingApi, invoice: &Invoice) -> Result<Response, Problem> {
    let body = Whole {
        summary: Summary::of(invoice),
        late_events: api.invoices.late_events(invoice.document.id).await?,
        document: serde_json::to_value(&invoice.document).map_err(|error| {
            tracing::error!(%error, "invoice document");
            Problem::internal()
        })?,
    };
    let mut response = Json(body).into_response();
    if let Ok(tag) = HeaderValue::from_str(&format!("\"{}\"", invoice.revision)) {
        response.headers_mut().insert(header::ETAG, tag);
    }
    Ok(response)
}

/// One invoice with its document; the ETag is its revision. Needs `billing:read`.
#[utoipa::path(get, path = "/api/billing/invoices/{id}", tag = "billing",
    params(("id" = String, Path)), responses((status = 200, body = Whole), (status = 404)))]
pub(super) async fn show(
    State(api): State<BillingApi>,
    by: Principal,
    Path(text): Path<String>,
) -> Result<Response, Problem> {
    by.require(Action::BillingRead)?;
    let invoice = api.invoices.find(by.tenants, id(&text)?).await?;
    whole(&api, &invoice).await
}

/// Freezes a draft and seals it in the ledger. Needs `billing:write`.
#[utoipa::path(post, path = "/api/billing/invoices/{id}/finalise", tag = "billing",
    params(("id" = String, Path)),
    responses((status = 200, body = Whole), (status = 404),
        (status = 409, description = "The period is not over, or it is no draft"),
        (status = 412, description = "Changed since it was read")))]
pub(super) async fn finalise(
    State(api): State<BillingApi>,
    by: Principal,
    Path(text): Path<String>,
    headers: HeaderMap,
) -> Result<Response, Problem> {
    by.require(Action::BillingWrite)?;
    let seen = input::if_match(&headers)?;
    let invoice = api
        .invoices
        .finalise(by.tenants, id(&text)?, seen, &by.actor())
        .await?;
    whole(&api, &invoice).await
}

/// Why, or by which payment.
#[derive(Debug, Default, Deserialize, ToSchema)]
#[serde(deny_unknown_fields, default)]
pub(super) struct Settlement {
    /// The payment's reference, for `pay`.
    reference: String,
    /// The reason, for `void`.
    reason: String,
}

fn settlement(body: &Bytes) -> Result<Settlement, Problem> {
    if body.is_empty() {
        Ok(Settlement::default())
    } else {
        input::json(body)
    }
}

/// Marks an invoice as paid. Needs `billing:write`.
#[utoipa::path(post, path = "/api/billing/invoices/{id}/pay", tag = "billing",
    params(("id" = String, Path)), request_body = Settlement,
    responses((status = 200, body = Whole), (status = 404), (status = 409), (status = 412)))]
pub(super) async fn pay(
    State(api): State<BillingApi>,
    by: Principal,
    Path(text): Path<String>,
    headers: HeaderMap,
    body: Bytes,
) -> Result<Response, Problem> {
    by.require(Action::BillingWrite)?;
    let seen = input::if_match(&headers)?;
    let said = settlement(&body)?;
    let actor = by.actor();
    let invoice = api
        .invoices
        .pay(by.tenants, id(&text)?, seen, &said.reference, &actor)
        .await?;
    whole(&api, &invoice).await
}

/// Withdraws an invoice; its period may be invoiced again. Needs `billing:write`.
#[utoipa::path(post, path = "/api/billing/invoices/{id}/void", tag = "billing",
    params(("id" = String, Path)), request_body = Settlement,
    responses((status = 200, body = Whole), (status = 404), (status = 409), (status = 412),
        (status = 422, description = "Without a reason")))]
pub(super) async fn void(
    State(api): State<BillingApi>,
    by: Principal,
    Path(text): Path<String>,
    headers: HeaderMap,
    body: Bytes,
) -> Result<Response, Problem> {
    by.require(Action::BillingWrite)?;
    let seen = input::if_match(&headers)?;
    let said = settlement(&body)?;
    let actor = by.actor();
    let invoice = api
        .invoices
        .void(by.tenants, id(&text)?, seen, &said.reason, &actor)
        .await?;
    whole(&api, &invoice).await
}

/// How the document is written.
#[derive(Debug, Deserialize, IntoParams)]
#[into_params(parameter_in = Query)]
#[serde(deny_unknown_fields)]
pub(super) struct DocumentQuery {
    /// `json` (when absent), `csv` or `pdf`.
    format: Option<String>,
}

/// The invoice as a file: JSON (what `sealwright verify` reads), CSV, or PDF. Needs `billing:read`.
#[utoipa::path(get, path = "/api/billing/invoices/{id}/document", tag = "billing",
    params(("id" = String, Path), DocumentQuery),
    responses((status = 200, description = "The file", content_type = "application/octet-stream"),
        (status = 400), (status = 404)))]
pub(super) async fn document(
    State(api): State<BillingApi>,
    by: Principal,
    Path(text): Path<String>,
    query: Result<Query<DocumentQuery>, QueryRejection>,
) -> Result<Response, Problem> {
    by.require(Action::BillingRead)?;
    let format = input::query(query)?
        .format
        .unwrap_or_else(|| "json".to_owned());
    let invoice = api.invoices.find(by.tenants, id(&text)?).await?;
    let failed = |error: &dyn std::fmt::Display| {
        tracing::error!(%error, invoice = %invoice.document.id, "invoice document");
        Problem::internal()
    };
    let (mime, bytes) = match format.as_str() {
        "json" => {
            let bytes = serde_json::to_vec_pretty(&invoice.document).map_err(|e| failed(&e))?;
            ("application/json", bytes)
        }
        "csv" => (
            "text/csv; charset=utf-8",
            invoice_csv(&invoice.document).map_err(|e| failed(&e))?,
        ),
        "pdf" => {
            let pdf = invoice_pdf(&invoice.document, invoice.digest).map_err(|e| failed(&e))?;
            ("application/pdf", pdf)
        }
        other => {
            return Err(Problem::bad_request(format!(
                "`{other}` is not json, csv or pdf"
            )));
        }
    };
    Ok(file(&invoice, &format, mime, bytes))
}

fn file(invoice: &Invoice, extension: &str, mime: &'static str, bytes: Vec<u8>) -> Response {
    let document = &invoice.document;
    let name = document
        .number
        .clone()
        .unwrap_or_else(|| document.id.to_string());
    let disposition = format!("attachment; filename=\"{name}.{extension}\"");
    let mut response = bytes.into_response();
    let headers = response.headers_mut();
    headers.insert(header::CONTENT_TYPE, HeaderValue::from_static(mime));
    if let Ok(value) = HeaderValue::from_str(&disposition) {
        headers.insert(header::CONTENT_DISPOSITION, value);
    }
    response
}

/// The bundle that verifies offline, a ZIP file. Needs `billing:read`.
#[utoipa::path(get, path = "/api/billing/invoices/{id}/bundle", tag = "billing",
    params(("id" = String, Path)),
    responses((status = 200, description = "The ZIP file", content_type = "application/zip"),
        (status = 404), (status = 409, description = "A draft seals nothing")))]
pub(super) async fn bundle(
    State(api): State<BillingApi>,
    by: Principal,
    Path(text): Path<String>,
) -> Result<Response, Problem> {
    by.require(Action::BillingRead)?;
    let (invoice, bundle) = api.invoices.bundle(by.tenants, id(&text)?).await?;
    let zip = bundle.to_zip().map_err(|error| {
        tracing::error!(%error, "bundle");
        Problem::internal()
    })?;
    Ok(file(&invoice, "bundle.zip", "application/zip", zip))
}

/// An event behind a usage row.
#[derive(Debug, Serialize, ToSchema)]
pub(super) struct EvidenceAnswer {
    /// Its place in the log.
    offset: u64,
    /// When it happened, RFC 3339.
    time: String,
    /// SHA-256 of its canonical JSON.
    digest: String,
}

/// Which part of the evidence.
#[derive(Debug, Deserialize, IntoParams)]
#[into_params(parameter_in = Query)]
#[serde(deny_unknown_fields)]
pub(super) struct EvidenceQuery {
    /// Continue at this offset of the log.
    cursor: Option<u64>,
    /// Rows on the page, 1 to 5000; 500 when absent.
    limit: Option<u32>,
}

/// The events behind one usage row of a finalised invoice, in the order of the log. Needs `billing:read`.
#[utoipa::path(get, path = "/api/billing/invoices/{id}/usage/{row}", tag = "billing",
    params(("id" = String, Path), ("row" = usize, Path), EvidenceQuery),
    responses((status = 200, body = Page<EvidenceAnswer>), (status = 400), (status = 404)))]
pub(super) async fn evidence(
    State(api): State<BillingApi>,
    by: Principal,
    Path((text, row)): Path<(String, String)>,
    query: Result<Query<EvidenceQuery>, QueryRejection>,
) -> Result<Json<Page<EvidenceAnswer>>, Problem> {
    by.require(Action::BillingRead)?;
    let query = input::query(query)?;
    let limit = query.limit.unwrap_or(500).clamp(1, 5_000) as usize;
    let row: usize = row
        .parse()
        .map_err(|_| Problem::not_found(format!("there is no usage row `{row}`")))?;
    let entries = api.invoices.evidence(by.tenants, id(&text)?, row).await?;
    let start = query.cursor.unwrap_or(0);
    let mut rest = entries.iter().filter(|entry| entry.offset >= start);
    let items: Vec<EvidenceAnswer> = rest
        .by_ref()
        .take(limit)
        .map(|entry| EvidenceAnswer {
            offset: entry.offset,
            time: entry.time.to_string(),
            digest: entry.digest.to_string(),
        })
        .collect();
    Ok(Json(Page {
        items,
        next: rest.next().map(|entry| entry.offset.to_string()),
    }))
}
