//! Authentication of requests: an API key (`Authorization: Bearer swk_…`) or a session cookie becomes
//! a [`Principal`] in the request's extensions; handlers take it as an argument.
//!
//! Requests that change something and are authenticated by a cookie must come from our own pages:
//! by `Sec-Fetch-Site` or `Origin`, and with the session's token in the header `x-csrf-token` or the
//! form field `csrf`.

use axum::body::Body;
use axum::extract::{FromRequestParts, OptionalFromRequestParts, Request, State};
use axum::http::request::Parts;
use axum::http::{HeaderMap, HeaderValue, Method, header};
use axum::middleware::Next;
use axum::response::{IntoResponse, Response};
use sealwright_core::{Problem, client_address};
use sealwright_store::{RowScope, as_system, within};

use crate::error::AccessError;
use crate::model::Session;
use crate::principal::Principal;
use crate::secret;
use crate::service::{AccessPolicy, AccessService, SignedIn};

/// Forms are small; a body that is only read for its token is not read further.
const LARGEST_FORM: usize = 256 * 1024;
const CSRF_HEADER: &str = "x-csrf-token";
const CSRF_FIELD: &str = "csrf";

/// The session that authenticated a request, for pages: forms carry [`SessionInfo::csrf`].
#[derive(Debug, Clone)]
pub struct SessionInfo {
    /// The record.
    pub session: Session,
    /// The value of the form field `csrf` or the header `x-csrf-token`.
    pub csrf: String,
}

/// Axum middleware: `from_fn_with_state(access, authenticate)`. Wrong credentials end here with a
/// problem; no credentials pass, and the handler's [`Principal`] argument refuses them. A cookie whose
/// session has ended counts as no credentials.
pub async fn authenticate(
    State(access): State<AccessService>,
    request: Request,
    next: Next,
) -> Response {
    // Credentials are looked up among those of all tenants: it is not known yet whose they are.
    match as_system(identify(&access, request)).await {
        Ok(request) => {
            let response = run_scoped(request, next).await;
            if let Err(error) = access.record_refusals().await {
                tracing::error!(%error, "what a policy refused could not be recorded");
            }
            response
        }
        Err(error) => error.into_response(),
    }
}

/// What the request does sees the rows of who asks, and nobody's when that is not known: the second lock behind the
/// scope that each query takes.
pub(crate) async fn run_scoped(request: Request, next: Next) -> Response {
    let scope = request
        .extensions()
        .get::<Principal>()
        .map_or(RowScope::Nobody, |principal| principal.tenants.into());
    within(scope, next.run(request)).await
}

async fn identify(access: &AccessService, mut request: Request) -> Result<Request, AccessError> {
    if let Some(value) = request.headers().get(header::AUTHORIZATION) {
        let token = value
            .to_str()
            .ok()
            .and_then(|text| text.split_once(' '))
            .filter(|(scheme, _)| scheme.eq_ignore_ascii_case("bearer"))
            .map(|(_, token)| token.trim())
            .ok_or(AccessError::Unauthorized(
                "the Authorization header must read `Bearer swk_…`",
            ))?;
        let principal = access.authenticate_key(token).await?;
        request.extensions_mut().insert(principal);
        return Ok(request);
    }
    let name = cookie_name(access.policy());
    let Some(token) = cookie(request.headers(), name).map(str::to_owned) else {
        return Ok(request);
    };
    let (principal, session) = match access.authenticate_session(&token).await {
        Ok(found) => found,
        Err(AccessError::Unauthorized(_)) => return Ok(request),
        Err(error) => return Err(error),
    };
    let csrf = secret::csrf(&token);
    let safe = matches!(
        *request.method(),
        Method::GET | Method::HEAD | Method::OPTIONS | Method::TRACE
    );
    if !safe {
        require_same_origin(request.headers())?;
        request = require_token(request, &csrf).await?;
    }
    request
        .extensions_mut()
        .insert(SessionInfo { session, csrf });
    request.extensions_mut().insert(principal);
    Ok(request)
}

fn cross_site(detail: &str) -> AccessError {
    AccessError::Refused(Box::new(Problem::new(
        axum::http::StatusCode::FORBIDDEN,
        "cross-site",
        "Not from our own pages",
        detail,
    )))
}

/// Refuses what another site's page sent: by `Sec-Fetch-Site`, else by comparing `Origin` with `Host`.
/// Clients that send neither are no browsers of this decade and pass; they hold no foreign cookies.
/// For the sign-in form, which has no session yet.
///
/// # Errors
/// [`AccessError::Refused`].
pub fn require_same_origin(headers: &HeaderMap) -> Result<(), AccessError> {
    let text = |name: header::HeaderName| headers.get(name).and_then(|v| v.to_str().ok());
    if let Some(site) = headers.get("sec-fetch-site") {
        return match site.as_bytes() {
            b"same-origin" | b"none" => Ok(()),
            _ => Err(cross_site("the request comes from a page of another site")),
        };
    }
    let Some(origin) = headers.get(header::ORIGIN) else {
        return Ok(());
    };
    let origin = origin.to_str().unwrap_or("null");
    let host = text(header::HOST).unwrap_or("");
    let from = origin.split_once("://").map_or("", |(_, rest)| rest);
    if !from.is_empty() && from.eq_ignore_ascii_case(host) {
        Ok(())
    } else {
        Err(cross_site("the request's Origin is not this server"))
    }
}

async fn require_token(request: Request, csrf: &str) -> Result<Request, AccessError> {
    let missing = || {
        cross_site(
            "the session's token is missing or wrong (header x-csrf-token or form field csrf)",
        )
    };
    if let Some(given) = request.headers().get(CSRF_HEADER) {
        let given = given.to_str().unwrap_or("");
        return if secret::same(given, csrf) {
            Ok(request)
        } else {
            Err(missing())
        };
    }
    let is_form = request
        .headers()
        .get(header::CONTENT_TYPE)
        .and_then(|v| v.to_str().ok())
        .is_some_and(|v| {
            v.split(';').next().is_some_and(|kind| {
                kind.trim()
                    .eq_ignore_ascii_case("application/x-www-form-urlencoded")
            })
        });
    if !is_form {
        return Err(missing());
    }
    let (parts, body) = request.into_parts();
    let bytes = axum::body::to_bytes(body, LARGEST_FORM)
        .await
        .map_err(|_| AccessError::from(Problem::bad_request("the form is too large or was cut")))?;
    let fields = crate::forms::Fields::parse(&bytes)?;
    if fields
        .get(CSRF_FIELD)
        .is_some_and(|given| secret::same(given, csrf))
    {
        Ok(Request::from_parts(parts, Body::from(bytes)))
    } else {
        Err(missing())
    }
}

/// The name of the session's cookie.
pub const fn cookie_name(policy: &AccessPolicy) -> &'static str {
    if policy.secure_cookies {
        "__Host-sealwright"
    } else {
        "sealwright_session"
    }
}

fn cookie<'a>(headers: &'a HeaderMap, name: &str) -> Option<&'a str> {
    headers
        .get_all(header::COOKIE)
        .iter()
        .filter_map(|value| value.to_str().ok())
        .flat_map(|value| value.split(';'))
        .filter_map(|pair| pair.trim().split_once('='))
        .find(|(found, _)| *found == name)
        .map(|(_, value)| value)
}

fn cookie_header(policy: &AccessPolicy, value: &str, seconds: i64) -> HeaderValue {
    let text = format!(
        "{}={value}; Path=/; HttpOnly; SameSite=Lax; Max-Age={seconds}{}",
        cookie_name(policy),
        if policy.secure_cookies {
            "; Secure"
        } else {
            ""
        },
    );
    // Names and tokens are letters and digits; another value cannot come here.
    HeaderValue::try_from(text).unwrap_or_else(|_| HeaderValue::from_static(""))
}

/// The `Set-Cookie` value that begins a session.
pub fn set_cookie(policy: &AccessPolicy, signed_in: &SignedIn) -> HeaderValue {
    cookie_header(
        policy,
        &signed_in.token,
        policy.session_absolute / 1_000_000,
    )
}

/// The `Set-Cookie` value that ends it.
pub fn clear_cookie(policy: &AccessPolicy) -> HeaderValue {
    cookie_header(policy, "", 0)
}

/// The client's address for throttling: the connection's, when the server was started with
/// `into_make_service_with_connect_info::<SocketAddr>()`, else `unknown`.
#[derive(Debug, Clone)]
pub struct ClientAddress(pub String);

impl<S: Send + Sync> FromRequestParts<S> for ClientAddress {
    type Rejection = std::convert::Infallible;

    async fn from_request_parts(parts: &mut Parts, _: &S) -> Result<Self, Self::Rejection> {
        let address = client_address(&parts.extensions);
        Ok(Self(address.map_or_else(
            || "unknown".to_owned(),
            |address| address.to_string(),
        )))
    }
}

impl<S: Send + Sync> FromRequestParts<S> for Principal {
    type Rejection = Problem;

    async fn from_request_parts(parts: &mut Parts, _: &S) -> Result<Self, Problem> {
        parts.extensions.get::<Self>().cloned().ok_or_else(|| {
            Problem::unauthorized("sign in, or send `Authorization: Bearer` with an API key")
        })
    }
}

impl<S: Send + Sync> OptionalFromRequestParts<S> for Principal {
    type Rejection = std::convert::Infallible;

    async fn from_request_parts(parts: &mut Parts, _: &S) -> Result<Option<Self>, Self::Rejection> {
        Ok(parts.extensions.get::<Self>().cloned())
    }
}

impl<S: Send + Sync> OptionalFromRequestParts<S> for SessionInfo {
    type Rejection = std::convert::Infallible;

    async fn from_request_parts(parts: &mut Parts, _: &S) -> Result<Option<Self>, Self::Rejection> {
        Ok(parts.extensions.get::<Self>().cloned())
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::*;

    fn headers(pairs: &[(&'static str, &'static str)]) -> HeaderMap {
        pairs
            .iter()
            .map(|(name, value)| {
                (
                    header::HeaderName::from_static(name),
                    HeaderValue::from_static(value),
                )
            })
            .collect()
    }

    #[test]
    fn only_our_own_pages_pass() {
        let host = ("host", "127.0.0.1:3010");
        for good in [
            headers(&[host]),
            headers(&[host, ("sec-fetch-site", "same-origin")]),
            headers(&[host, ("origin", "http://127.0.0.1:3010")]),
        ] {
            assert!(require_same_origin(&good).is_ok(), "{good:?}");
        }
        for bad in [
            headers(&[host, ("sec-fetch-site", "cross-site")]),
            headers(&[host, ("sec-fetch-site", "same-site")]),
            headers(&[host, ("origin", "https://evil.example")]),
            headers(&[host, ("origin", "null")]),
        ] {
            assert!(require_same_origin(&bad).is_err(), "{bad:?}");
        }
    }

    #[test]
    fn cookies_are_found_among_others() {
        let map = headers(&[("cookie", "a=1; sealwright_session=tok; b=2")]);
        assert_eq!(cookie(&map, "sealwright_session"), Some("tok"));
        assert_eq!(cookie(&map, "session"), None);
    }
}
