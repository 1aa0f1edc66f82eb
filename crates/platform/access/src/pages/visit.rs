//! Who looks at a page, and its frame.

use axum::extract::FromRequestParts;
use axum::http::request::Parts;
use sealwright_web::Chrome;

use super::AccessPages;
use crate::http::SessionInfo;
use crate::visit::{Refusal, Visitor};

/// Somebody who is signed in, with the pages that they look at.
pub(super) struct Visit {
    pub(super) pages: AccessPages,
    pub(super) visitor: Visitor,
    info: Option<SessionInfo>,
}

impl Visit {
    /// The frame of a page with this title.
    pub(super) fn chrome(&self, title: &str) -> Chrome {
        let Visitor {
            by, url, headers, ..
        } = &self.visitor;
        self.pages
            .chrome(by, self.info.as_ref(), url.clone(), headers, title)
    }
}

impl FromRequestParts<AccessPages> for Visit {
    type Rejection = Refusal;

    async fn from_request_parts(parts: &mut Parts, pages: &AccessPages) -> Result<Self, Refusal> {
        Ok(Self {
            pages: pages.clone(),
            visitor: Visitor::of(parts)?,
            info: parts.extensions.get::<SessionInfo>().cloned(),
        })
    }
}
