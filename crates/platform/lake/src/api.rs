//! HTTP: `POST /api/lake/query`, `GET /api/lake/status` and `POST /api/lake/erasures`.

use std::sync::Arc;

use async_trait::async_trait;
use axum::Json;
use axum::extract::State;
use axum::extract::rejection::JsonRejection;
use axum::http::StatusCode;
use axum::response::{IntoResponse, Response};
use axum::{Extension, extract::FromRequestParts, http::request::Parts};
use sealwright_access::{Action, Principal};
use sealwright_core::{Problem, TenantScope};
use serde::Deserialize;
use utoipa::ToSchema;
use utoipa_axum::router::OpenApiRouter;
use utoipa_axum::routes;

use crate::erase::ErasureReport;
use crate::error::LakeError;
use crate::query::{QueryLimits, QueryResult};
use crate::table::{Lake, LakeStatus};

/// Whose rows the request may see. The server puts it into the request's extensions after it has
/// checked who asks; a request without it is refused.
#[derive(Debug, Clone, Copy)]
pub struct LakeScope(pub TenantScope);

impl<S: Send + Sync> FromRequestParts<S> for LakeScope {
    type Rejection = Response;

    async fn from_request_parts(parts: &mut Parts, state: &S) -> Result<Self, Response> {
        Extension::<Self>::from_request_parts(parts, state)
            .await
            .map(|Extension(scope)| scope)
            .map_err(|_| Problem::unauthorized("Queries need a key or a session.").into_response())
    }
}

/// A query.
#[derive(Debug, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct QueryRequest {
    /// One `SELECT`, `WITH … SELECT` or `EXPLAIN` over the view `events`.
    #[schema(example = "SELECT type, count(*) AS n FROM events GROUP BY type ORDER BY n DESC")]
    pub sql: String,
    /// Narrower limits; what is absent has the server's, which are also the most that can be asked for.
    #[serde(default)]
    pub limits: AskedLimits,
}

/// How far a query over HTTP may go.
#[derive(Debug, Clone, Copy, Default, Deserialize, ToSchema)]
#[serde(default, deny_unknown_fields)]
pub struct AskedLimits {
    /// Rows that are returned at most; further ones are cut and the result says so.
    pub rows: Option<usize>,
    /// Seconds until the query is stopped.
    pub seconds: Option<u64>,
    /// Bytes that sorts, joins and aggregations may hold, and the result itself.
    pub memory: Option<usize>,
}

/// What the interface needs.
#[derive(Debug, Clone)]
pub struct LakeApi {
    /// The lake.
    pub lake: Lake,
    /// The most that a query may ask for.
    pub most: QueryLimits,
}

impl LakeApi {
    fn limits(&self, asked: AskedLimits) -> Result<QueryLimits, LakeError> {
        let limits = QueryLimits {
            rows: asked.rows.unwrap_or(self.most.rows),
            seconds: asked.seconds.unwrap_or(self.most.seconds),
            memory: asked.memory.unwrap_or(self.most.memory),
        };
        let most = self.most;
        if limits.rows > most.rows || limits.seconds > most.seconds || limits.memory > most.memory {
            return Err(LakeError::Invalid(format!(
                "limits go up to {} rows, {} seconds and {} bytes",
                most.rows, most.seconds, most.memory
            )));
        }
        Ok(limits)
    }
}

/// The routes, to be merged into the server's router, which must set [`LakeScope`].
pub fn router() -> OpenApiRouter<LakeApi> {
    OpenApiRouter::new()
        .routes(routes!(query))
        .routes(routes!(status))
}

/// Answers a SQL query over the events in the caller's scope. It only reads.
#[utoipa::path(post, path = "/api/lake/query", tag = "lake", request_body = QueryRequest,
    responses(
        (status = 200, body = QueryResult),
        (status = 422, description = "The query is not valid, or not allowed; line and column where known"),
        (status = 503, description = "The query reached its time or memory limit")
    ))]
async fn query(
    State(api): State<LakeApi>,
    LakeScope(scope): LakeScope,
    body: Result<Json<QueryRequest>, JsonRejection>,
) -> Result<Json<QueryResult>, LakeError> {
    let Json(request) = match body {
        Ok(body) => body,
        Err(bad) => return Err(LakeError::Invalid(bad.body_text())),
    };
    let limits = api.limits(request.limits)?;
    Ok(Json(api.lake.query(scope, &request.sql, limits).await?))
}

/// What the lake holds and how far it lags. Needs a scope of all tenants.
#[utoipa::path(get, path = "/api/lake/status", tag = "lake",
    responses((status = 200, body = LakeStatus), (status = 403)))]
async fn status(
    State(LakeApi { lake, .. }): State<LakeApi>,
    LakeScope(scope): LakeScope,
) -> Response {
    if scope == TenantScope::All {
        Json(lake.status()).into_response()
    } else {
        Problem::forbidden("The lake's totals span tenants; the scope is one tenant.")
            .into_response()
    }
}

/// A subject whose events are to be erased.
#[derive(Debug, Clone, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct NewErasure {
    /// Whose events: a tenant's id or slug.
    pub tenant: String,
    /// The subject, exactly as its events have it.
    pub subject: String,
    /// Why, for the ledger; without anything that identifies the subject.
    pub reason: String,
}

/// What an erasure did, in the lake and in the log before it.
#[derive(Debug, Clone, PartialEq, Eq, serde::Serialize, ToSchema)]
pub struct Erased {
    /// In the lake.
    #[serde(flatten)]
    pub lake: ErasureReport,
    /// Whether the log holds nothing any more of what had arrived before; if not, run the same erasure
    /// again when the consumers have caught up.
    pub log_cleared: bool,
    /// The ledger entry that says so.
    pub ledger_entry: String,
}

/// Erases everywhere: the lake, the log that feeds it, with an entry in the ledger. The program wires it.
#[async_trait]
pub trait Eraser: Send + Sync {
    /// Erases a subject's events.
    ///
    /// # Errors
    /// 404 for a tenant that is not in the caller's scope; what else went wrong.
    async fn erase(&self, by: &Principal, new: &NewErasure) -> Result<Erased, Problem>;
}

/// The route of erasures; `sealwright_access::http::authenticate` must be layered around it.
pub fn erasures() -> OpenApiRouter<Arc<dyn Eraser>> {
    OpenApiRouter::new().routes(routes!(erase))
}

/// Erases a subject's events from every file: the lake's data and log, and the intake's log. Days that have
/// not ended are named in `open_days`; ask again after them. Needs `lake:erase`.
#[utoipa::path(post, path = "/api/lake/erasures", tag = "lake", request_body = NewErasure,
    responses((status = 200, body = Erased), (status = 403), (status = 404),
        (status = 409, description = "A legal hold forbids it"), (status = 422),
        (status = 503, description = "Whether something is held could not be found out")))]
async fn erase(
    State(eraser): State<Arc<dyn Eraser>>,
    by: Principal,
    body: Result<Json<NewErasure>, JsonRejection>,
) -> Result<Json<Erased>, Problem> {
    by.require(Action::LakeErase)?;
    let Json(new) = body.map_err(|bad| Problem::bad_request(bad.body_text()))?;
    for (field, text) in [("subject", &new.subject), ("reason", &new.reason)] {
        if text.trim().is_empty() || text.len() > 2_000 {
            return Err(
                Problem::invalid(format!("{field} must have 1 to 2,000 bytes"))
                    .with("pointer", format!("/{field}")),
            );
        }
    }
    Ok(Json(eraser.erase(&by, &new).await?))
}

impl From<LakeError> for Problem {
    fn from(error: LakeError) -> Self {
        match &error {
            LakeError::Query { line, column, .. } => {
                let mut problem = Self::new(
                    StatusCode::UNPROCESSABLE_ENTITY,
                    "query-invalid",
                    "The query is not valid",
                    error.to_string(),
                );
                if let Some(line) = line {
                    problem = problem.with("line", *line);
                }
                if let Some(column) = column {
                    problem = problem.with("column", *column);
                }
                problem
            }
            LakeError::Limit { .. } => Self::new(
                StatusCode::SERVICE_UNAVAILABLE,
                "query-limit",
                "The query reached a limit",
                error.to_string(),
            ),
            LakeError::Invalid(_) => Self::invalid(error.to_string()),
            LakeError::Held { .. } => Self::conflict(error.to_string()),
            LakeError::HoldsUnknown { .. } => {
                tracing::warn!(%error, "lake");
                Self::unavailable(error.to_string())
            }
            LakeError::Missing { .. }
            | LakeError::Readers { .. }
            | LakeError::Waiting { .. }
            | LakeError::InUse { .. } => Self::unavailable(error.to_string()),
            LakeError::Bucket { .. } => {
                tracing::error!(%error, "lake");
                Self::unavailable("the bucket of the stored events cannot be used now".to_owned())
            }
            _ => {
                tracing::error!(%error, "lake");
                Self::internal()
            }
        }
    }
}

impl IntoResponse for LakeError {
    fn into_response(self) -> Response {
        Problem::from(self).into_response()
    }
}
