//! What every page of the console begins with: who asks for it, and for which.

use axum::http::HeaderMap;
use axum::http::request::Parts;
use axum::response::{IntoResponse, Redirect, Response};
use sealwright_web::PageUrl;

use crate::Principal;
use crate::http::SessionInfo;

/// An answer that is given instead of the page that was asked for.
#[derive(Debug)]
pub struct Refusal(Box<Response>);

impl From<Response> for Refusal {
    fn from(response: Response) -> Self {
        Self(Box::new(response))
    }
}

impl IntoResponse for Refusal {
    fn into_response(self) -> Response {
        *self.0
    }
}

/// What the handler of a page answers.
pub type Answer = Result<Response, Refusal>;

/// Somebody who is signed in, and the page that was asked for. [`crate::http::authenticate`] must be layered around
/// its route.
#[derive(Debug)]
pub struct Visitor {
    /// Who.
    pub by: Principal,
    /// The page, with its state.
    pub url: PageUrl,
    /// What the forms of this session carry.
    pub csrf: String,
    /// The request's headers.
    pub headers: HeaderMap,
}

impl Visitor {
    /// The visitor of a request.
    ///
    /// # Errors
    /// The way to the sign-in and back, when nobody is signed in.
    pub fn of(parts: &Parts) -> Result<Self, Refusal> {
        let url = PageUrl::from_uri(&parts.uri);
        let Some(by) = parts.extensions.get::<Principal>().cloned() else {
            let login = PageUrl::parse("/login").with("next", &url.to_string());
            return Err(Redirect::to(&login.to_string()).into_response().into());
        };
        let session = parts.extensions.get::<SessionInfo>();
        Ok(Self {
            by,
            url,
            csrf: session.map_or_else(String::new, |info| info.csrf.clone()),
            headers: parts.headers.clone(),
        })
    }
}
