//! HTTP: `/api/dlp/{detectors,policies}`.

mod detector;
mod input;
mod policy;

use sealwright_access::TenantDirectory;
use utoipa_axum::router::OpenApiRouter;
use utoipa_axum::routes;

use crate::service::policy::PolicyService;

/// What the handlers need.
#[derive(Debug, Clone)]
pub struct DlpApi {
    /// Policies.
    pub policies: PolicyService,
    /// Tenants.
    pub directory: TenantDirectory,
}

/// The routes, to be merged into the server's router; `sealwright_access::http::authenticate` must be
/// layered around them.
pub fn router() -> OpenApiRouter<DlpApi> {
    OpenApiRouter::new()
        .routes(routes!(detector::list))
        .routes(routes!(policy::list, policy::set))
        .routes(routes!(policy::remove))
}
