//! Light, dark, or as the system says: remembered in a cookie.

use axum::Router;
use axum::extract::RawForm;
use axum::http::{HeaderMap, HeaderValue, StatusCode, header};
use axum::response::{IntoResponse, Response};
use axum::routing::post;

use crate::url::is_local;

/// The cookie that remembers the choice. It says nothing about who looks.
pub const COOKIE: &str = "sw_theme";

/// The colours of the pages.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Theme {
    /// As the system or browser prefers.
    #[default]
    Auto,
    /// Dark ink on light ground.
    Light,
    /// Light ink on dark ground.
    Dark,
}

impl Theme {
    /// All of them, in the order of the menu.
    pub const ALL: [Self; 3] = [Self::Auto, Self::Light, Self::Dark];

    /// The value in the cookie and in `data-theme`.
    #[must_use]
    pub fn key(self) -> &'static str {
        match self {
            Self::Auto => "auto",
            Self::Light => "light",
            Self::Dark => "dark",
        }
    }

    /// The words of the menu.
    #[must_use]
    pub fn label(self) -> &'static str {
        match self {
            Self::Auto => "System",
            Self::Light => "Light",
            Self::Dark => "Dark",
        }
    }

    /// Reads the cookie of a request; anything unknown is [`Theme::Auto`].
    #[must_use]
    pub fn from_headers(headers: &HeaderMap) -> Self {
        cookie(headers, COOKIE)
            .and_then(|v| Self::ALL.into_iter().find(|t| t.key() == v))
            .unwrap_or_default()
    }
}

/// The value of a cookie of a request.
pub(crate) fn cookie<'a>(headers: &'a HeaderMap, name: &str) -> Option<&'a str> {
    headers
        .get_all(header::COOKIE)
        .iter()
        .filter_map(|v| v.to_str().ok())
        .flat_map(|v| v.split(';'))
        .filter_map(|pair| pair.trim().split_once('='))
        .find_map(|(k, v)| (k == name).then_some(v))
}

/// `POST /console/theme` with `theme` and `back`: remembers the choice for a year and goes back.
///
/// It takes no CSRF token: it changes the colours of the browser it is sent from, nothing else.
pub fn router<S: Clone + Send + Sync + 'static>() -> Router<S> {
    Router::new().route("/console/theme", post(choose))
}

async fn choose(RawForm(body): RawForm) -> Response {
    let mut theme = None;
    let mut back = None;
    for (k, v) in form_urlencoded::parse(&body) {
        match k.as_ref() {
            "theme" => theme = Theme::ALL.into_iter().find(|t| t.key() == v),
            "back" if is_local(&v) => back = HeaderValue::from_str(&v).ok(),
            _ => {}
        }
    }
    let Some(theme) = theme else {
        return (
            StatusCode::BAD_REQUEST,
            "theme must be auto, light or dark\n",
        )
            .into_response();
    };
    let cookie = format!(
        "{COOKIE}={}; Path=/; Max-Age=31536000; SameSite=Lax; HttpOnly",
        theme.key()
    );
    let mut response = StatusCode::SEE_OTHER.into_response();
    if let Ok(value) = HeaderValue::from_str(&cookie) {
        response.headers_mut().insert(header::SET_COOKIE, value);
    }
    response.headers_mut().insert(
        header::LOCATION,
        back.unwrap_or(HeaderValue::from_static("/console")),
    );
    response
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn reads_the_cookie_among_others() {
        let mut headers = HeaderMap::new();
        headers.append(
            header::COOKIE,
            HeaderValue::from_static("a=b; sw_theme=dark; c=d"),
        );
        assert_eq!(Theme::from_headers(&headers), Theme::Dark);
        headers.clear();
        headers.append(header::COOKIE, HeaderValue::from_static("sw_theme=pink"));
        assert_eq!(Theme::from_headers(&headers), Theme::Auto);
    }
}
