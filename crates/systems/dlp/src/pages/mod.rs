//! The console's pages of data-loss prevention, under `/console/dlp`.

mod act;
mod detector;
mod finding;
mod hold;
mod overview;
mod policy;
mod quarantine;
mod retention;
mod scan;
mod treatment;
mod visit;

use std::sync::Arc;

use axum::Router;
use axum::routing::{get, post};
use sealwright_access::TenantDirectory;
use sealwright_core::Clock;
use sealwright_web::ChromeSource;

use crate::service::Dlp;

/// What the pages need.
pub struct DlpPages {
    /// The use cases.
    pub dlp: Dlp,
    /// Tenants.
    pub directory: TenantDirectory,
    /// The present.
    pub clock: Arc<dyn Clock>,
    /// The frame.
    pub chrome: Arc<dyn ChromeSource>,
}

/// The pages, as tabs.
const TABS: [(&str, &str); 9] = [
    ("Overview", "/console/dlp"),
    ("Findings", "/console/dlp/findings"),
    ("Scans", "/console/dlp/scans"),
    ("Holds", "/console/dlp/holds"),
    ("Quarantine", "/console/dlp/quarantine"),
    ("Treatments", "/console/dlp/treatments"),
    ("Retention", "/console/dlp/retention"),
    ("Policies", "/console/dlp/policies"),
    ("Detectors", "/console/dlp/detectors"),
];

impl DlpPages {
    /// The pages, to be merged into the server's router; `sealwright_access::http::authenticate`
    /// must be layered around them.
    pub fn router(self: Arc<Self>) -> Router {
        Router::new()
            .route("/console/dlp", get(overview::show))
            .route("/console/dlp/findings", get(finding::list))
            .route("/console/dlp/findings/{id}", get(finding::show))
            .route("/console/dlp/findings/{id}/decide", post(finding::decide))
            .route("/console/dlp/scans", get(scan::list))
            .route("/console/dlp/scans/coverage", get(scan::coverage))
            .route("/console/dlp/holds", get(hold::list))
            .route("/console/dlp/holds/open", post(hold::open))
            .route("/console/dlp/holds/{id}", get(hold::show))
            .route("/console/dlp/holds/{id}/{step}", post(hold::step))
            .route("/console/dlp/quarantine", get(quarantine::list))
            .route(
                "/console/dlp/quarantine/{id}/{step}",
                post(quarantine::step),
            )
            .route("/console/dlp/treatments", get(treatment::list))
            .route("/console/dlp/retention", get(retention::list))
            .route("/console/dlp/retention/plans/{id}", get(retention::plan))
            .route(
                "/console/dlp/retention/plans/{id}/{step}",
                post(retention::step),
            )
            .route("/console/dlp/policies", get(policy::list))
            .route("/console/dlp/policies/{action}", post(policy::act))
            .route("/console/dlp/detectors", get(detector::list))
            .with_state(self)
    }
}
