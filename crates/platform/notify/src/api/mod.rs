//! HTTP: `/api/notify/channels`, `/api/notify/rules`, `/api/notify/deliveries`: a file a noun.

mod channels;
mod deliveries;
mod rules;

use sealwright_access::input::{Asked, Body, if_match, tagged};
use serde::Deserialize;
use utoipa::IntoParams;
use utoipa_axum::router::OpenApiRouter;

use crate::error::NotifyError;
use crate::service::NotifyService;

type Result<T> = std::result::Result<T, NotifyError>;

/// The largest body of a request, in bytes.
const BODY: usize = 64 * 1024;

/// The routes, to be merged into the server's router; `sealwright_access::http::authenticate` must be
/// layered around them.
pub fn router() -> OpenApiRouter<NotifyService> {
    OpenApiRouter::new()
        .merge(channels::router())
        .merge(rules::router())
        .merge(deliveries::router())
        .layer(axum::extract::DefaultBodyLimit::max(BODY))
}

/// Which page of a list.
#[derive(Debug, Deserialize, IntoParams)]
#[into_params(parameter_in = Query)]
#[serde(deny_unknown_fields)]
struct PageQuery {
    /// The `next` of the page before.
    cursor: Option<String>,
    /// Rows on the page, 1 to 500; 50 when absent.
    limit: Option<u32>,
}
