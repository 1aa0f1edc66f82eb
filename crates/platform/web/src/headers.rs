//! The headers that keep a browser from doing what no page here asks for.

use axum::Router;
use axum::extract::{Request, State};
use axum::http::{HeaderName, HeaderValue, header};
use axum::middleware::{Next, from_fn_with_state};
use axum::response::Response;

/// The content security policy of every answer: everything from here, nothing inline.
/// `frame-ancestors` and `base-uri` do not fall back to `default-src`, so they are named.
pub const CSP: &str = "default-src 'self'; img-src 'self' data:; object-src 'none'; \
    base-uri 'none'; form-action 'self'; frame-ancestors 'none'";

/// What the headers depend on.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Policy {
    /// True when the program is reached over TLS, by itself or behind a proxy that is trusted.
    /// Only then is `Strict-Transport-Security` sent: over plain HTTP it would be ignored
    /// (RFC 6797 section 7.2) and say something untrue.
    pub tls: bool,
}

/// Puts the headers on every answer of a router. A header that a handler set itself stays,
/// except that nothing can switch off `nosniff`.
pub fn secure<S: Clone + Send + Sync + 'static>(router: Router<S>, policy: Policy) -> Router<S> {
    router.layer(from_fn_with_state(policy, security_headers))
}

/// The middleware behind [`secure`].
pub async fn security_headers(
    State(policy): State<Policy>,
    request: Request,
    next: Next,
) -> Response {
    const DEFAULTS: [(HeaderName, &str); 6] = [
        (header::CONTENT_SECURITY_POLICY, CSP),
        (header::X_FRAME_OPTIONS, "DENY"),
        (header::REFERRER_POLICY, "same-origin"),
        (
            HeaderName::from_static("permissions-policy"),
            "accelerometer=(), camera=(), display-capture=(), geolocation=(), gyroscope=(), \
             magnetometer=(), microphone=(), payment=(), usb=()",
        ),
        (
            HeaderName::from_static("cross-origin-opener-policy"),
            "same-origin",
        ),
        (
            HeaderName::from_static("cross-origin-resource-policy"),
            "same-origin",
        ),
    ];
    let mut response = next.run(request).await;
    let headers = response.headers_mut();
    for (name, value) in DEFAULTS {
        headers
            .entry(name)
            .or_insert(HeaderValue::from_static(value));
    }
    headers.insert(
        header::X_CONTENT_TYPE_OPTIONS,
        HeaderValue::from_static("nosniff"),
    );
    if policy.tls {
        headers
            .entry(header::STRICT_TRANSPORT_SECURITY)
            .or_insert(HeaderValue::from_static(
                "max-age=31536000; includeSubDomains",
            ));
    }
    response
}
