//! `/api/dlp/detectors`.

use axum::Json;
use sealwright_access::{Action, Principal};
use sealwright_core::Problem;
use serde::Serialize;
use utoipa::ToSchema;

use crate::service::DlpError;

/// What a detector finds.
#[derive(Debug, Serialize, ToSchema)]
pub(super) struct DetectorAnswer {
    /// Its stable name.
    id: String,
    /// What it finds.
    title: String,
    /// pii, financial, health, secret or technical.
    class: &'static str,
    /// critical, high, medium or low.
    severity: &'static str,
    /// How sure a finding is by its form alone, 0 to 1.
    confidence: f64,
    /// How sure it is beside a word that names it, where that differs.
    #[serde(skip_serializing_if = "Option::is_none")]
    context_confidence: Option<f64>,
    /// ISO 3166 code of the country that issues the value.
    #[serde(skip_serializing_if = "Option::is_none")]
    country: Option<String>,
}

/// Every detector that comes with the program. Needs `dlp:read`.
#[utoipa::path(get, path = "/api/dlp/detectors", tag = "dlp",
    responses((status = 200, body = [DetectorAnswer])))]
pub(super) async fn list(by: Principal) -> Result<Json<Vec<DetectorAnswer>>, Problem> {
    by.require(Action::DlpRead)?;
    let two = |number: f32| (f64::from(number) * 100.0).round() / 100.0;
    let all = sealwright_scan::detector::builtin().map_err(DlpError::from)?;
    Ok(Json(
        all.into_iter()
            .map(|one| DetectorAnswer {
                class: one.class.as_str(),
                severity: one.severity.as_str(),
                confidence: two(one.confidence),
                context_confidence: one.context_confidence.map(two),
                id: one.id,
                title: one.title,
                country: one.country,
            })
            .collect(),
    ))
}
