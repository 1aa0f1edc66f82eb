//! Where a page gets its frame from.

use axum::http::HeaderMap;

use crate::chrome::{Chrome, Nav};
use crate::flash::Flash;
use crate::theme::Theme;
use crate::url::PageUrl;

/// Who looks at a page, as far as the frame shows it.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Viewer {
    /// The name that is shown.
    pub name: String,
    /// The role in words, e.g. `operator`.
    pub role: String,
    /// The session's CSRF token; empty where a key, not a session, authenticated the request.
    pub csrf: String,
}

/// Makes the frame of a page. The binary gives one to every system's pages, so that all of them
/// have the same navigation; [`Nav`] itself is one.
pub trait ChromeSource: Send + Sync {
    /// The frame for an address: navigation, user, theme, and the message that the request
    /// carries. The page adds breadcrumbs, tabs, tenants, its span of time and its actions.
    fn chrome(&self, viewer: &Viewer, url: &PageUrl, headers: &HeaderMap) -> Chrome;
}

impl ChromeSource for Nav {
    fn chrome(&self, viewer: &Viewer, url: &PageUrl, headers: &HeaderMap) -> Chrome {
        Chrome::new(url.clone(), self.clone())
            .user(&viewer.name, &viewer.role, &viewer.csrf)
            .theme(Theme::from_headers(headers))
            .flash(Flash::from_headers(headers))
    }
}
