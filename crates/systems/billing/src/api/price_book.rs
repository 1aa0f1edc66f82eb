//! `/api/billing/price-books` and `/api/billing/subscriptions`.

use axum::Json;
use axum::body::Bytes;
use axum::extract::rejection::QueryRejection;
use axum::extract::{Path, Query, State};
use axum::http::{HeaderMap, StatusCode, header};
use sealwright_access::{Action, Principal};
use sealwright_core::Problem;
use sealwright_rating::Format;
use serde::{Deserialize, Serialize};
use utoipa::{IntoParams, ToSchema};

use super::{BillingApi, input};
use crate::model::StoredPriceBook;

/// A version of a price book.
#[derive(Debug, Serialize, ToSchema)]
pub(super) struct PriceBook {
    /// The id.
    id: String,
    /// The version.
    version: u32,
    /// What people call it.
    title: String,
    /// The ISO 4217 code.
    currency: String,
    /// SHA-256 of the canonical form.
    digest: String,
    /// When it was published, RFC 3339.
    created_at: String,
    /// Who published it.
    created_by: String,
    /// The canonical form.
    #[serde(skip_serializing_if = "Option::is_none")]
    plan: Option<serde_json::Value>,
}

impl PriceBook {
    fn of(book: &StoredPriceBook, whole: bool) -> Self {
        Self {
            id: book.reference.id.clone(),
            version: book.reference.version,
            title: book.reference.title.clone(),
            currency: book.currency.clone(),
            digest: book.reference.digest.to_string(),
            created_at: book.created_at.to_string(),
            created_by: book.created_by.clone(),
            plan: whole
                .then(|| serde_json::from_str(&book.body).ok())
                .flatten(),
        }
    }
}

/// All versions of all price books. Needs `billing:read`.
#[utoipa::path(get, path = "/api/billing/price-books", tag = "billing",
    responses((status = 200, body = [PriceBook])))]
pub(super) async fn list(
    State(api): State<BillingApi>,
    by: Principal,
) -> Result<Json<Vec<PriceBook>>, Problem> {
    by.require(Action::BillingRead)?;
    let books = api.books.all().await?;
    Ok(Json(
        books
            .iter()
            .map(|book| PriceBook::of(book, false))
            .collect(),
    ))
}

/// Which version.
#[derive(Debug, Deserialize, IntoParams)]
#[into_params(parameter_in = Query)]
#[serde(deny_unknown_fields)]
pub(super) struct VersionQuery {
    /// The version; the newest when absent.
    version: Option<u32>,
}

/// One version of a price book, whole. Needs `billing:read`.
#[utoipa::path(get, path = "/api/billing/price-books/{id}", tag = "billing",
    params(("id" = String, Path), VersionQuery),
    responses((status = 200, body = PriceBook), (status = 404)))]
pub(super) async fn show(
    State(api): State<BillingApi>,
    by: Principal,
    Path(id): Path<String>,
    query: Result<Query<VersionQuery>, QueryRejection>,
) -> Result<Json<PriceBook>, Problem> {
    by.require(Action::BillingRead)?;
    let version = input::query(query)?.version;
    Ok(Json(PriceBook::of(
        &api.books.find(&id, version).await?,
        true,
    )))
}

/// What publishing led to.
#[derive(Debug, Serialize, ToSchema)]
pub(super) struct Published {
    /// The id.
    id: String,
    /// The version.
    version: u32,
    /// SHA-256 of the canonical form.
    digest: String,
    /// Whether this version with this content was there already.
    unchanged: bool,
    /// What its author should know.
    warnings: Vec<String>,
}

/// Publishes a version of a price book: TOML (`application/toml`), JSON or YAML (`application/yaml`). A version
/// never changes. Needs `billing:write` and credentials for all tenants.
#[utoipa::path(post, path = "/api/billing/price-books", tag = "billing",
    request_body(content = String, content_type = "application/toml"),
    responses((status = 201, body = Published), (status = 200, body = Published),
        (status = 422, description = "Every fault with its place")))]
pub(super) async fn publish(
    State(api): State<BillingApi>,
    by: Principal,
    headers: HeaderMap,
    body: Bytes,
) -> Result<(StatusCode, Json<Published>), Problem> {
    by.require(Action::BillingWrite)?;
    by.require_all_tenants()?;
    let kind = headers
        .get(header::CONTENT_TYPE)
        .and_then(|v| v.to_str().ok())
        .unwrap_or_default();
    let (format, file) = match kind.split(';').next().unwrap_or_default().trim() {
        "application/json" => (Format::Json, "body.json"),
        "application/yaml" | "text/yaml" => (Format::Yaml, "body.yaml"),
        "application/toml" | "text/plain" | "" => (Format::Toml, "body.toml"),
        other => {
            return Err(Problem::new(
                StatusCode::UNSUPPORTED_MEDIA_TYPE,
                "unsupported-media-type",
                "This media type is not read",
                format!("`{other}`; send application/toml, application/json or application/yaml"),
            ));
        }
    };
    let text = std::str::from_utf8(&body).map_err(|error| {
        Problem::bad_request(format!("byte {}: not UTF-8", error.valid_up_to()))
    })?;
    let published = api.books.publish(file, text, format, &by.actor()).await?;
    let status = if published.unchanged {
        StatusCode::OK
    } else {
        StatusCode::CREATED
    };
    Ok((
        status,
        Json(Published {
            id: published.reference.id,
            version: published.reference.version,
            digest: published.reference.digest.to_string(),
            unchanged: published.unchanged,
            warnings: published.warnings,
        }),
    ))
}

/// A tenant's price book from a moment on.
#[derive(Debug, Serialize, ToSchema)]
pub(super) struct SubscriptionAnswer {
    /// The tenant's slug.
    tenant: String,
    /// From when, RFC 3339.
    from: String,
    /// The price book's id.
    price_book: String,
    /// Its version.
    version: u32,
}

/// Who is on which price book. Needs `billing:read`.
#[utoipa::path(get, path = "/api/billing/subscriptions", tag = "billing",
    responses((status = 200, body = [SubscriptionAnswer])))]
pub(super) async fn subscriptions(
    State(api): State<BillingApi>,
    by: Principal,
) -> Result<Json<Vec<SubscriptionAnswer>>, Problem> {
    by.require(Action::BillingRead)?;
    let all = api
        .books
        .subscriptions(by.tenants)
        .await
        .map_err(crate::service::BillingError::from)?;
    let answer = all.into_iter().map(|subscription| SubscriptionAnswer {
        tenant: api.directory.get(subscription.tenant).map_or_else(
            || subscription.tenant.to_string(),
            |tenant| tenant.slug.clone(),
        ),
        from: subscription.from.to_string(),
        price_book: subscription.price_book_id,
        version: subscription.price_book_version,
    });
    Ok(Json(answer.collect()))
}

/// A subscription to set.
#[derive(Debug, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub(super) struct NewSubscription {
    /// The tenant, by slug or id.
    tenant: String,
    /// The price book's id.
    price_book: String,
    /// Its version; the newest when absent.
    version: Option<u32>,
    /// From when: a whole UTC hour, a day or a month.
    from: String,
}

/// Puts a tenant on a price book from a moment on. Needs `billing:write`.
#[utoipa::path(post, path = "/api/billing/subscriptions", tag = "billing",
    request_body = NewSubscription,
    responses((status = 200, body = SubscriptionAnswer), (status = 404), (status = 422)))]
pub(super) async fn subscribe(
    State(api): State<BillingApi>,
    by: Principal,
    body: Bytes,
) -> Result<Json<SubscriptionAnswer>, Problem> {
    by.require(Action::BillingWrite)?;
    let new: NewSubscription = input::json(&body)?;
    let tenant = input::tenant(&by, &api.directory, &new.tenant)?;
    let from = input::moment("from", &new.from)?;
    let set = api
        .books
        .subscribe(tenant, &new.price_book, new.version, from, &by.actor())
        .await?;
    Ok(Json(SubscriptionAnswer {
        tenant: new.tenant,
        from: set.from.to_string(),
        price_book: set.price_book_id,
        version: set.price_book_version,
    }))
}
