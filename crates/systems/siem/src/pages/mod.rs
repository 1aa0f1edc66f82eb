//! The console's pages of detection, under `/console/siem`.

mod act;
mod alert;
mod alerts;
mod hunt;
mod incident;
mod overview;
mod parts;
mod response;
mod rule;
mod setting;
mod source;
mod suppression;
mod visit;

use std::sync::Arc;

use axum::Router;
use axum::routing::{get, post};
use sealwright_web::ChromeSource;

use crate::api::Siem;

/// What the pages need.
pub struct SiemPages {
    /// Everything that detection does.
    pub siem: Siem,
    /// The frame.
    pub chrome: Arc<dyn ChromeSource>,
}

impl std::fmt::Debug for SiemPages {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("SiemPages").finish_non_exhaustive()
    }
}

/// The pages, as tabs.
const TABS: [(&str, &str); 6] = [
    ("Overview", "/console/siem"),
    ("Alerts", "/console/siem/alerts"),
    ("Incidents", "/console/siem/incidents"),
    ("Hunt", "/console/siem/hunt"),
    ("Rules", "/console/siem/rules"),
    ("Sources", "/console/siem/sources"),
];

impl SiemPages {
    /// The pages, to be merged into the server's router; `sealwright_access::http::authenticate`
    /// must be layered around them.
    pub fn router(self: Arc<Self>) -> Router {
        Router::new()
            .route("/console/siem", get(overview::show))
            .route("/console/siem/alerts", get(alerts::list))
            .route("/console/siem/alerts/{id}", get(alert::show))
            .route("/console/siem/alerts/{id}/proof", get(alert::proof))
            .route("/console/siem/alerts/{id}/evidence", get(alert::evidence))
            .route("/console/siem/alerts/{id}/{action}", post(act::alert))
            .route("/console/siem/actions/{id}/{step}", post(act::step))
            .route("/console/siem/incidents", get(incident::list))
            .route("/console/siem/incidents/{id}", get(incident::show))
            .route("/console/siem/incidents/{id}/{action}", post(act::incident))
            .route("/console/siem/suppressions", get(suppression::list))
            .route(
                "/console/siem/suppressions/{id}/end",
                post(act::end_suppression),
            )
            .route("/console/siem/hunt", get(hunt::show))
            .route("/console/siem/rules", get(rule::list))
            .route("/console/siem/rules/{id}", get(rule::show).post(act::rule))
            .route("/console/siem/sources", get(source::list))
            .route("/console/siem/sources/{offset}/replay", post(act::replay))
            .with_state(self)
    }
}
