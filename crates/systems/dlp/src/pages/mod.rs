//! The console's pages of data-loss prevention, under `/console/dlp`.

mod detector;
mod policy;
mod visit;

use std::sync::Arc;

use axum::Router;
use axum::response::Redirect;
use axum::routing::{get, post};
use sealwright_access::TenantDirectory;
use sealwright_web::ChromeSource;

use crate::service::policy::PolicyService;

/// What the pages need.
pub struct DlpPages {
    /// Policies.
    pub policies: PolicyService,
    /// Tenants.
    pub directory: TenantDirectory,
    /// The frame.
    pub chrome: Arc<dyn ChromeSource>,
}

/// The pages, as tabs.
const TABS: [(&str, &str); 2] = [
    ("Policies", "/console/dlp/policies"),
    ("Detectors", "/console/dlp/detectors"),
];

impl DlpPages {
    /// The pages, to be merged into the server's router; `sealwright_access::http::authenticate`
    /// must be layered around them.
    pub fn router(self: Arc<Self>) -> Router {
        Router::new()
            .route(
                "/console/dlp",
                get(|| async { Redirect::to("/console/dlp/policies") }),
            )
            .route("/console/dlp/policies", get(policy::list))
            .route("/console/dlp/policies/{action}", post(policy::act))
            .route("/console/dlp/detectors", get(detector::list))
            .with_state(self)
    }
}
