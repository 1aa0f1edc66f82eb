//! HTTP: `/api/billing/{usage,meters,price-books,subscriptions,invoices,budgets,anomalies}`.

mod anomaly;
mod budget;
mod input;
mod invoice;
mod meter;
mod price_book;
mod usage;

use std::sync::Arc;

use axum::Json;
use axum::extract::State;
use sealwright_access::TenantDirectory;
use sealwright_core::{Clock, Problem};
use serde::Serialize;
use utoipa::ToSchema;
use utoipa_axum::router::OpenApiRouter;
use utoipa_axum::routes;

use crate::service::anomaly::AnomalyService;
use crate::service::budget::BudgetService;
use crate::service::invoice::InvoiceService;
use crate::service::price_book::PriceBookService;
use crate::service::usage::UsageService;

/// What the handlers need.
#[derive(Clone)]
pub struct BillingApi {
    /// Usage.
    pub usage: UsageService,
    /// Price books and subscriptions.
    pub books: PriceBookService,
    /// Invoices.
    pub invoices: Arc<InvoiceService>,
    /// Budgets.
    pub budgets: Arc<BudgetService>,
    /// Anomalies.
    pub anomalies: AnomalyService,
    /// Tenants.
    pub directory: TenantDirectory,
    /// The present.
    pub clock: Arc<dyn Clock>,
}

/// The routes, to be merged into the server's router; `sealwright_access::http::authenticate` must be
/// layered around them.
pub fn router() -> OpenApiRouter<BillingApi> {
    OpenApiRouter::new()
        .routes(routes!(health))
        .routes(routes!(usage::summary))
        .routes(routes!(usage::unmetered))
        .routes(routes!(meter::list))
        .routes(routes!(price_book::list, price_book::publish))
        .routes(routes!(price_book::show))
        .routes(routes!(price_book::subscriptions, price_book::subscribe))
        .routes(routes!(invoice::list))
        .routes(routes!(invoice::generate))
        .routes(routes!(invoice::show))
        .routes(routes!(invoice::finalise))
        .routes(routes!(invoice::pay))
        .routes(routes!(invoice::void))
        .routes(routes!(invoice::document))
        .routes(routes!(invoice::bundle))
        .routes(routes!(invoice::evidence))
        .routes(routes!(budget::list))
        .routes(routes!(budget::show, budget::put))
        .routes(routes!(budget::remove))
        .routes(routes!(anomaly::list))
        .routes(routes!(anomaly::evaluate))
        .routes(routes!(anomaly::show, anomaly::decide))
        .routes(routes!(anomaly::settings, anomaly::put_settings))
}

/// The request path's own route. It stands apart so that the server can put a cheaper authentication around it
/// than a look-up for each request.
pub fn check_router() -> OpenApiRouter<BillingApi> {
    OpenApiRouter::new().routes(routes!(budget::check))
}

/// Whether billing works.
#[derive(Debug, Serialize, ToSchema)]
struct Health {
    /// `ok`; anything else comes with another status code.
    status: &'static str,
    /// Events below this offset are metered.
    metered_through: u64,
    /// Meters in force.
    meters: usize,
}

/// Whether billing can meter and rate: it reads its own tables and cursor. Needs no credentials.
#[utoipa::path(get, path = "/api/billing/health", tag = "billing",
    responses((status = 200, body = Health), (status = 503, description = "The state cannot be read")))]
async fn health(State(api): State<BillingApi>) -> Result<Json<Health>, Problem> {
    let metered_through = api.usage.metered_through().await.map_err(|error| {
        tracing::error!(%error, "billing health");
        Problem::unavailable("the state cannot be read")
    })?;
    let meters = api.usage.meters().current().definitions.len();
    Ok(Json(Health {
        status: "ok",
        metered_through,
        meters,
    }))
}
