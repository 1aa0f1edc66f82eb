//! `/api/dlp/places`.

use axum::Json;
use axum::body::Bytes;
use axum::extract::State;
use axum::http::StatusCode;
use sealwright_access::{Action, Principal};
use sealwright_core::Problem;
use serde::{Deserialize, Serialize};
use utoipa::ToSchema;

use super::{DlpApi, input};
use crate::model::finding::Place;
use crate::service::place::NewPlace;

/// Keys of a bucket that belong to a tenant.
#[derive(Debug, Serialize, ToSchema)]
pub(super) struct PlaceAnswer {
    /// The id.
    id: String,
    /// The tenant's slug.
    tenant: String,
    /// The bucket.
    bucket: String,
    /// Keys that begin so.
    prefix: String,
    /// Where quarantined objects go; nowhere when empty.
    quarantine: String,
    /// Whether the weekly scan covers it.
    scheduled: bool,
    /// When it was registered, RFC 3339.
    created_at: String,
    /// By whom.
    created_by: String,
}

impl PlaceAnswer {
    fn of(place: &Place, api: &DlpApi) -> Self {
        Self {
            id: place.id.to_string(),
            tenant: api.slug(place.tenant),
            bucket: place.bucket.clone(),
            prefix: place.prefix.clone(),
            quarantine: place.quarantine.clone(),
            scheduled: place.scheduled,
            created_at: place.created_at.to_string(),
            created_by: place.created_by.clone(),
        }
    }
}

/// The places that are registered. Needs `dlp:read`.
#[utoipa::path(get, path = "/api/dlp/places", tag = "dlp",
    responses((status = 200, body = [PlaceAnswer])))]
pub(super) async fn list(
    State(api): State<DlpApi>,
    by: Principal,
) -> Result<Json<Vec<PlaceAnswer>>, Problem> {
    by.require(Action::DlpRead)?;
    let all = api.dlp.places.list(by.tenants).await?;
    Ok(Json(
        all.iter().map(|one| PlaceAnswer::of(one, &api)).collect(),
    ))
}

/// A place to register.
#[derive(Debug, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub(super) struct PlaceInput {
    /// The tenant, by slug or id.
    tenant: String,
    /// The bucket.
    bucket: String,
    /// Keys that begin so; all when absent.
    #[serde(default)]
    prefix: String,
    /// The bucket that quarantined objects go to.
    #[serde(default)]
    quarantine: String,
    /// Whether the weekly scan covers it.
    #[serde(default = "yes")]
    scheduled: bool,
}

const fn yes() -> bool {
    true
}

/// Registers keys of a bucket as a tenant's. Needs `dlp:write` and credentials for all tenants, since it says
/// whose data it is.
#[utoipa::path(post, path = "/api/dlp/places", tag = "dlp", request_body = PlaceInput,
    responses((status = 201, body = PlaceAnswer), (status = 409), (status = 422)))]
pub(super) async fn add(
    State(api): State<DlpApi>,
    by: Principal,
    body: Bytes,
) -> Result<(StatusCode, Json<PlaceAnswer>), Problem> {
    by.require(Action::DlpWrite)?;
    by.require_all_tenants()?;
    let wanted: PlaceInput = input::json(&body)?;
    let new = NewPlace {
        tenant: input::tenant(&by, &api.directory, &wanted.tenant)?,
        bucket: wanted.bucket,
        prefix: wanted.prefix,
        quarantine: wanted.quarantine,
        scheduled: wanted.scheduled,
    };
    let place = api.dlp.places.add(new, &by.actor()).await?;
    Ok((StatusCode::CREATED, Json(PlaceAnswer::of(&place, &api))))
}
