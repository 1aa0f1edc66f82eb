//! The edge of the server: what holds for every request, whatever answers it.

use std::pin::Pin;
use std::task::{Context, Poll};
use std::time::Duration;

use axum::body::{Body, Bytes, HttpBody};
use axum::extract::Request;
use axum::http::{HeaderValue, StatusCode, header};
use axum::middleware::Next;
use axum::response::{IntoResponse, Response};
use futures::StreamExt as _;
use sealwright_core::Problem;
use sealwright_store::{RowScope, within};

/// What is read of a body that nobody wants, so that its sender comes to read the answer.
const MOST_UNREAD: usize = 64 << 20;
/// And for how long.
const LONGEST_UNREAD: Duration = Duration::from_secs(10);

/// A refusal that the framework made (a path that is no UTF-8, a method that is not there, a body that is too
/// large) becomes a problem like all others.
pub(crate) async fn problems(request: Request, next: Next) -> Response {
    let response = next.run(request).await;
    let status = response.status();
    let error = status.is_client_error() || status.is_server_error();
    let kind = response.headers().get(header::CONTENT_TYPE);
    let plain = kind.is_none_or(|kind| kind.as_bytes().starts_with(b"text/plain"));
    if !error || !plain || response.extensions().get::<Problem>().is_some() {
        return response;
    }
    let (parts, body) = response.into_parts();
    let text = axum::body::to_bytes(body, 4_096).await.unwrap_or_default();
    let text = String::from_utf8_lossy(&text);
    let mut problem = described(status, text.trim()).into_response();
    // What the framework said beside it, such as `Allow`, stays.
    for (name, value) in &parts.headers {
        if name != header::CONTENT_TYPE && name != header::CONTENT_LENGTH {
            problem.headers_mut().insert(name, value.clone());
        }
    }
    problem
}

fn described(status: StatusCode, text: &str) -> Problem {
    let title = status.canonical_reason().unwrap_or("Refused");
    let name = title.to_ascii_lowercase().replace(' ', "-");
    let detail = match (status, text) {
        (StatusCode::METHOD_NOT_ALLOWED, "") => {
            "this address does not take this method; the header Allow lists those that it takes"
        }
        (_, "") => title,
        (_, text) => text,
    };
    Problem::new(status, &name, title, detail)
}

/// A request sees no tenant's rows before it is known who asks: what widens that says so.
pub(crate) async fn nobody(request: Request, next: Next) -> Response {
    within(RowScope::Nobody, next.run(request)).await
}

/// A request that is answered before its body was read: the rest is read and forgotten, within limits.
/// Otherwise the connection is closed under a sender that still writes, who then sees a broken connection
/// instead of the answer (RFC 9112 section 9.6).
pub(crate) async fn linger(request: Request, next: Next) -> Response {
    let (parts, body) = request.into_parts();
    if body.is_end_stream() {
        return next.run(Request::from_parts(parts, body)).await;
    }
    // Who waits for a `100 Continue` has sent nothing yet, and need not.
    let waits =
        parts.headers.get(header::EXPECT) == Some(&HeaderValue::from_static("100-continue"));
    let body = if waits {
        body
    } else {
        Body::new(Lingering(Some(body)))
    };
    next.run(Request::from_parts(parts, body)).await
}

/// A body that is read to its end after it was dropped.
struct Lingering(Option<Body>);

impl HttpBody for Lingering {
    type Data = Bytes;
    type Error = axum::Error;

    fn poll_frame(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
    ) -> Poll<Option<Result<http_body::Frame<Bytes>, axum::Error>>> {
        match &mut self.0 {
            Some(body) => Pin::new(body).poll_frame(context),
            None => Poll::Ready(None),
        }
    }

    fn is_end_stream(&self) -> bool {
        self.0.as_ref().is_none_or(HttpBody::is_end_stream)
    }

    fn size_hint(&self) -> http_body::SizeHint {
        self.0.as_ref().map(HttpBody::size_hint).unwrap_or_default()
    }
}

impl Drop for Lingering {
    fn drop(&mut self) {
        let Some(body) = self.0.take().filter(|body| !body.is_end_stream()) else {
            return;
        };
        if let Ok(runtime) = tokio::runtime::Handle::try_current() {
            runtime.spawn(tokio::time::timeout(LONGEST_UNREAD, forget(body)));
        }
    }
}

async fn forget(body: Body) {
    let mut parts = body.into_data_stream();
    let mut unread = 0;
    while let Some(Ok(part)) = parts.next().await {
        unread += part.len();
        if unread > MOST_UNREAD {
            return;
        }
    }
}
