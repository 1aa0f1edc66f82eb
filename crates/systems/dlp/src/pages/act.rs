//! What every button does: read the form, act, and say what came of it.

use axum::http::header;
use axum::response::{IntoResponse, Redirect, Response};
use sealwright_access::Action;
use sealwright_access::forms::Fields;
use sealwright_core::Problem;
use sealwright_web::Flash;
use sealwright_web::component::Tone;

use super::visit::{Refusal, Visit};
use crate::service::DlpError;

/// The fields of a form of somebody who may change something.
pub(super) fn fields(visit: &Visit, body: &[u8]) -> Result<Fields, Refusal> {
    visit
        .by
        .require(Action::DlpWrite)
        .map_err(|problem| visit.problem(&problem))?;
    Fields::parse(body).map_err(|error| visit.problem(&Problem::from(error)))
}

/// Back to a page, with what was done, or with what is wrong where people can do something about it.
pub(super) fn back(
    visit: &Visit,
    to: &str,
    result: Result<String, DlpError>,
) -> Result<Response, Refusal> {
    let (tone, text) = match result {
        Ok(text) => (Tone::Good, text),
        Err(
            error @ (DlpError::Invalid(_)
            | DlpError::Conflict(_)
            | DlpError::Stale { .. }
            | DlpError::Bucket(_)),
        ) => (Tone::Bad, error.to_string()),
        Err(error) => return Err(visit.refuse(error)),
    };
    let mut response = Redirect::to(to).into_response();
    if let Some(cookie) = Flash::new(tone, &text).set_cookie() {
        response.headers_mut().append(header::SET_COOKIE, cookie);
    }
    Ok(response)
}
