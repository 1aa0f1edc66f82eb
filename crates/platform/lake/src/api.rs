//! HTTP: `POST /api/lake/query` and `GET /api/lake/status`.

use axum::Json;
use axum::extract::State;
use axum::extract::rejection::JsonRejection;
use axum::http::StatusCode;
use axum::response::{IntoResponse, Response};
use axum::{Extension, extract::FromRequestParts, http::request::Parts};
use sealwright_core::{Problem, TenantScope};
use serde::Deserialize;
use utoipa::ToSchema;
use utoipa_axum::router::OpenApiRouter;
use utoipa_axum::routes;

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
    /// Narrower limits; what is absent has its default, which is also the most that can be asked for.
    #[serde(default)]
    pub limits: QueryLimits,
}

/// The routes, to be merged into the server's router, which must set [`LakeScope`].
pub fn router() -> OpenApiRouter<Lake> {
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
    State(lake): State<Lake>,
    LakeScope(scope): LakeScope,
    body: Result<Json<QueryRequest>, JsonRejection>,
) -> Result<Json<QueryResult>, LakeError> {
    let Json(request) = match body {
        Ok(body) => body,
        Err(bad) => return Err(LakeError::Invalid(bad.body_text())),
    };
    let (asked, most) = (request.limits, QueryLimits::default());
    if asked.rows > most.rows || asked.seconds > most.seconds || asked.memory > most.memory {
        return Err(LakeError::Invalid(format!(
            "limits go up to {} rows, {} seconds and {} bytes",
            most.rows, most.seconds, most.memory
        )));
    }
    Ok(Json(lake.query(scope, &request.sql, asked).await?))
}

/// What the lake holds and how far it lags. Needs a scope of all tenants.
#[utoipa::path(get, path = "/api/lake/status", tag = "lake",
    responses((status = 200, body = LakeStatus), (status = 403)))]
async fn status(State(lake): State<Lake>, LakeScope(scope): LakeScope) -> Response {
    if scope == TenantScope::All {
        Json(lake.status()).into_response()
    } else {
        Problem::forbidden("The lake's totals span tenants; the scope is one tenant.")
            .into_response()
    }
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
            LakeError::Missing { .. } | LakeError::Readers { .. } | LakeError::InUse { .. } => {
                Self::unavailable(error.to_string())
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
