//! HTTP: `/api/dlp/…`.

mod detector;
mod finding;
mod gate;
mod hold;
mod input;
mod parts;
mod place;
mod policy;
mod quarantine;
mod retention;
mod scan;
mod treatment;
mod upload;

use std::sync::Arc;

use sealwright_access::TenantDirectory;
use sealwright_core::{Clock, TenantId};
use utoipa_axum::router::OpenApiRouter;
use utoipa_axum::routes;

use crate::service::Dlp;

/// What the handlers need.
#[derive(Debug, Clone)]
pub struct DlpApi {
    /// The use cases.
    pub dlp: Dlp,
    /// Tenants.
    pub directory: TenantDirectory,
    /// The present.
    pub clock: Arc<dyn Clock>,
}

impl DlpApi {
    fn slug(&self, id: TenantId) -> String {
        self.directory
            .get(id)
            .map_or_else(|| id.to_string(), |tenant| tenant.slug.clone())
    }
}

pub use upload::proxy;

/// The routes, to be merged into the server's router; `sealwright_access::http::authenticate` must be
/// layered around them.
pub fn router() -> OpenApiRouter<DlpApi> {
    OpenApiRouter::new()
        .routes(routes!(detector::list))
        .routes(routes!(policy::list, policy::set))
        .routes(routes!(policy::remove))
        .routes(routes!(place::list, place::add))
        .routes(routes!(scan::list))
        .routes(routes!(scan::show))
        .routes(routes!(scan::coverage))
        .routes(routes!(finding::list))
        .routes(routes!(finding::show, finding::decide))
        .routes(routes!(hold::list, hold::open))
        .routes(routes!(hold::show))
        .routes(routes!(hold::step))
        .routes(routes!(quarantine::list))
        .routes(routes!(quarantine::step))
        .routes(routes!(treatment::list))
        .routes(routes!(retention::categories))
        .routes(routes!(retention::why))
        .routes(routes!(retention::plans, retention::draft))
        .routes(routes!(retention::plan))
        .routes(routes!(retention::step))
        .routes(routes!(retention::erasures, retention::ask))
        .routes(routes!(retention::close))
        .routes(routes!(retention::certificate))
        .routes(routes!(gate::look))
        .layer(axum::extract::DefaultBodyLimit::max(
            crate::service::gate::MOST_BYTES + 1,
        ))
}
