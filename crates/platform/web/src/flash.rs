//! A message about what just happened, carried over one redirect in a cookie.

use axum::http::{HeaderMap, HeaderValue};

use crate::component::Tone;
use crate::theme::cookie;

/// The cookie that carries the message.
pub const COOKIE: &str = "sw_flash";
/// Longest message in bytes; a longer one is cut.
const MAX: usize = 1024;

/// A message about what just happened. Never put a secret in one: a key that is shown once
/// belongs on the page that answers the form.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Flash {
    /// How it went.
    pub tone: Tone,
    /// What happened, in one sentence.
    pub text: String,
}

impl Flash {
    /// A message.
    #[must_use]
    pub fn new(tone: Tone, text: &str) -> Self {
        let end = text.floor_char_boundary(MAX);
        Self {
            tone,
            text: text[..end].to_owned(),
        }
    }

    /// The `Set-Cookie` value that carries it to the next page.
    #[must_use]
    pub fn set_cookie(&self) -> Option<HeaderValue> {
        let text: String = form_urlencoded::byte_serialize(self.text.as_bytes()).collect();
        HeaderValue::from_str(&format!(
            "{COOKIE}={}.{text}; Path=/; Max-Age=60; SameSite=Lax; HttpOnly",
            self.tone.key()
        ))
        .ok()
    }

    /// The `Set-Cookie` value that ends it; send it with the page that shows the message.
    #[must_use]
    pub fn clear_cookie() -> HeaderValue {
        HeaderValue::from_static("sw_flash=; Path=/; Max-Age=0; SameSite=Lax; HttpOnly")
    }

    /// The message that a request carries.
    #[must_use]
    pub fn from_headers(headers: &HeaderMap) -> Option<Self> {
        let (tone, text) = cookie(headers, COOKIE)?.split_once('.')?;
        let tone = Tone::from_key(tone)?;
        // The value is the only key of a query: `=value` decodes to ("", value).
        let query = format!("={text}");
        let (_, text) = form_urlencoded::parse(query.as_bytes()).next()?;
        (!text.is_empty()).then(|| Self::new(tone, &text))
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::*;
    use axum::http::header;
    use proptest::prelude::*;

    proptest! {
        #[test]
        fn any_text_survives(text in ".{1,80}") {
            let flash = Flash::new(Tone::Good, &text);
            let set = flash.set_cookie().unwrap();
            let pair = set.to_str().unwrap().split(';').next().unwrap().to_owned();
            let mut headers = HeaderMap::new();
            headers.insert(header::COOKIE, HeaderValue::from_str(&pair).unwrap());
            prop_assert_eq!(Flash::from_headers(&headers), Some(flash));
        }
    }
}
