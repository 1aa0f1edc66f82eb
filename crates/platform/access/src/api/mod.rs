//! HTTP: `/api/access/{tenants,keys,users,sessions}`.

mod keys;
mod sessions;
mod tenants;
mod users;

use axum::Json;
use axum::extract::rejection::{JsonRejection, QueryRejection};
use axum::extract::{FromRequest, FromRequestParts, Request};
use axum::http::request::Parts;
use axum::http::{HeaderMap, HeaderValue, StatusCode, header};
use axum::response::{IntoResponse, Response};
use sealwright_core::Problem;
use serde::de::DeserializeOwned;
use serde::{Deserialize, Serialize};
use utoipa_axum::router::OpenApiRouter;
use utoipa_axum::routes;

use crate::service::{AccessService, ListFilter};

/// The routes, to be merged into the server's router. [`crate::http::authenticate`] must be layered
/// around them.
pub fn router() -> OpenApiRouter<AccessService> {
    OpenApiRouter::new()
        .routes(routes!(tenants::list, tenants::create))
        .routes(routes!(tenants::show, tenants::change))
        .routes(routes!(keys::list, keys::create))
        .routes(routes!(keys::show, keys::revoke))
        .routes(routes!(keys::rotate))
        .routes(routes!(users::list, users::create))
        .routes(routes!(users::show, users::change))
        .routes(routes!(users::link))
        .routes(routes!(users::remove_passkeys))
        .routes(routes!(sessions::list, sessions::start, sessions::end_all))
        .routes(routes!(sessions::current, sessions::end_current))
        .routes(routes!(sessions::end))
}

/// `?cursor=…&limit=…`.
#[derive(Debug, Default, Deserialize, utoipa::IntoParams)]
#[into_params(parameter_in = Query)]
#[serde(deny_unknown_fields)]
pub(crate) struct ListQuery {
    /// The `next` of the page before.
    cursor: Option<String>,
    /// Rows on the page, 1 to 500; 50 when absent.
    limit: Option<u32>,
}

impl From<ListQuery> for ListFilter {
    fn from(value: ListQuery) -> Self {
        Self {
            cursor: value.cursor,
            limit: value.limit,
        }
    }
}

/// A JSON body whose errors are problems.
#[derive(Debug)]
pub(crate) struct Body<T>(pub(crate) T);

impl<S: Send + Sync, T: DeserializeOwned> FromRequest<S> for Body<T> {
    type Rejection = Problem;

    async fn from_request(request: Request, state: &S) -> Result<Self, Problem> {
        match Json::<T>::from_request(request, state).await {
            Ok(Json(value)) => Ok(Self(value)),
            Err(rejection) => {
                let detail = rejection.body_text();
                Err(match rejection {
                    JsonRejection::JsonDataError(_) => Problem::invalid(detail),
                    JsonRejection::MissingJsonContentType(_) => Problem::new(
                        StatusCode::UNSUPPORTED_MEDIA_TYPE,
                        "unsupported-media-type",
                        "Media type not supported",
                        "send application/json",
                    ),
                    other if other.status() == StatusCode::PAYLOAD_TOO_LARGE => Problem::new(
                        StatusCode::PAYLOAD_TOO_LARGE,
                        "too-large",
                        "The request is too large",
                        detail,
                    ),
                    _ => Problem::bad_request(detail),
                })
            }
        }
    }
}

/// A query string whose errors are problems.
#[derive(Debug)]
pub(crate) struct Query<T>(pub(crate) T);

impl<S: Send + Sync, T: DeserializeOwned> FromRequestParts<S> for Query<T> {
    type Rejection = Problem;

    async fn from_request_parts(parts: &mut Parts, _: &S) -> Result<Self, Problem> {
        axum::extract::Query::<T>::try_from_uri(&parts.uri)
            .map(|query| Self(query.0))
            .map_err(|rejection: QueryRejection| Problem::bad_request(rejection.body_text()))
    }
}

/// The `Idempotency-Key` header, if it is there and readable.
pub(crate) fn idempotency(headers: &HeaderMap) -> Result<Option<&str>, Problem> {
    headers
        .get("idempotency-key")
        .map(|value| {
            value
                .to_str()
                .map_err(|_| Problem::bad_request("Idempotency-Key must be visible ASCII"))
        })
        .transpose()
}

/// The version in `If-Match: "3"`; `*` stands for any version.
pub(crate) fn if_match(headers: &HeaderMap) -> Result<Option<i64>, Problem> {
    let Some(value) = headers.get(header::IF_MATCH) else {
        return Err(Problem::new(
            StatusCode::PRECONDITION_REQUIRED,
            "precondition-required",
            "If-Match is needed",
            "send If-Match with the ETag that you read, so that nobody's change is lost",
        ));
    };
    let text = value.to_str().unwrap_or("").trim();
    if text == "*" {
        return Ok(None);
    }
    text.strip_prefix('"')
        .and_then(|text| text.strip_suffix('"'))
        .and_then(|text| text.parse().ok())
        .map(Some)
        .ok_or_else(|| Problem::bad_request("If-Match is not an ETag of this resource"))
}

/// A resource with its ETag.
pub(crate) fn tagged<T: Serialize>(status: StatusCode, version: i64, value: &T) -> Response {
    let mut response = (status, Json(value)).into_response();
    if let Ok(tag) = HeaderValue::try_from(format!("\"{version}\"")) {
        response.headers_mut().insert(header::ETAG, tag);
    }
    response
}

/// A created resource: 201 with its address and ETag; 200 for a repetition.
pub(crate) fn created<T: Serialize>(
    repeated: bool,
    location: &str,
    version: i64,
    value: &T,
) -> Response {
    let status = if repeated {
        StatusCode::OK
    } else {
        StatusCode::CREATED
    };
    let mut response = tagged(status, version, value);
    if let Ok(location) = HeaderValue::try_from(location) {
        response.headers_mut().insert(header::LOCATION, location);
    }
    if repeated {
        response
            .headers_mut()
            .insert("idempotency-replayed", HeaderValue::from_static("true"));
    }
    response
}
