//! `/api/billing/meters`.

use axum::Json;
use axum::extract::State;
use sealwright_access::{Action, Principal};
use sealwright_core::Problem;

use super::BillingApi;

/// The meters in force, predefined ones first. Needs `billing:read`.
#[utoipa::path(get, path = "/api/billing/meters", tag = "billing",
    responses((status = 200, description = "Meter definitions", body = [serde_json::Value])))]
pub(super) async fn list(
    State(api): State<BillingApi>,
    by: Principal,
) -> Result<Json<serde_json::Value>, Problem> {
    by.require(Action::BillingRead)?;
    let meters = api.usage.meters().current();
    serde_json::to_value(&meters.definitions)
        .map(Json)
        .map_err(|error| {
            tracing::error!(%error, "meters");
            Problem::internal()
        })
}
