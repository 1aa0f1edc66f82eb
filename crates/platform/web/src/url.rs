//! The state of a page: its path and query.

use std::fmt;

use axum::extract::FromRequestParts;
use axum::http::Uri;
use axum::http::request::Parts;

/// Longest query that is read; what follows is ignored.
const MAX_QUERY: usize = 8 * 1024;
/// Most parameters that are read; what follows is ignored.
const MAX_PAIRS: usize = 64;

/// Path and query of a page, with which links to the same page in another state are made.
///
/// Everything a page shows follows from its address, so that a link can be kept and sent.
///
/// ```
/// use sealwright_web::PageUrl;
/// let url = PageUrl::parse("/console/billing?tenant=ten_1&cursor=abc");
/// assert_eq!(url.with("sort", "-spend").without("cursor").to_string(),
///            "/console/billing?tenant=ten_1&sort=-spend");
/// ```
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct PageUrl {
    path: String,
    query: Vec<(String, String)>,
}

impl PageUrl {
    /// Reads `path?query`. What cannot be decoded is replaced, never refused.
    #[must_use]
    pub fn parse(path_and_query: &str) -> Self {
        let (path, query) = path_and_query
            .split_once('?')
            .unwrap_or((path_and_query, ""));
        let query = query.split_once('#').map_or(query, |(q, _)| q);
        let end = query.floor_char_boundary(MAX_QUERY);
        Self {
            path: path.to_owned(),
            query: form_urlencoded::parse(&query.as_bytes()[..end])
                .take(MAX_PAIRS)
                .map(|(k, v)| (k.into_owned(), v.into_owned()))
                .collect(),
        }
    }

    /// Reads the address of a request.
    #[must_use]
    pub fn from_uri(uri: &Uri) -> Self {
        Self::parse(uri.path_and_query().map_or("/", |p| p.as_str()))
    }

    /// The path, as it came (percent-encoded).
    #[must_use]
    pub fn path(&self) -> &str {
        &self.path
    }

    /// The first value of a parameter; an empty one counts as absent, because an empty field
    /// of a form is sent as one.
    #[must_use]
    pub fn get(&self, key: &str) -> Option<&str> {
        self.query
            .iter()
            .find(|(k, v)| k == key && !v.is_empty())
            .map(|(_, v)| v.as_str())
    }

    /// The same page with a parameter set; other values of it are dropped.
    #[must_use]
    pub fn with(&self, key: &str, value: &str) -> Self {
        let mut url = self.without(key);
        url.query.push((key.to_owned(), value.to_owned()));
        url
    }

    /// The same page without a parameter.
    #[must_use]
    pub fn without(&self, key: &str) -> Self {
        Self {
            path: self.path.clone(),
            query: self
                .query
                .iter()
                .filter(|(k, _)| k != key)
                .cloned()
                .collect(),
        }
    }

    /// The same page without several parameters.
    #[must_use]
    pub fn without_all(&self, keys: &[&str]) -> Self {
        keys.iter().fold(self.clone(), |url, key| url.without(key))
    }

    /// Another path with this query, as tabs and navigation use it: the tenant and the span of
    /// time stay, what belonged to the page alone goes.
    #[must_use]
    pub fn carry(&self, path: &str) -> Self {
        const KEPT: [&str; 5] = ["tenant", "range", "from", "to", "zone"];
        Self {
            path: path.to_owned(),
            query: self
                .query
                .iter()
                .filter(|(k, v)| KEPT.contains(&k.as_str()) && !v.is_empty())
                .cloned()
                .collect(),
        }
    }

    /// The parameters in order, as hidden fields of a form carry them.
    #[must_use]
    pub fn pairs(&self) -> &[(String, String)] {
        &self.query
    }
}

impl fmt::Display for PageUrl {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.path)?;
        if !self.query.is_empty() {
            let query = form_urlencoded::Serializer::new(String::new())
                .extend_pairs(self.query.iter())
                .finish();
            write!(f, "?{query}")?;
        }
        Ok(())
    }
}

impl<S: Sync> FromRequestParts<S> for PageUrl {
    type Rejection = std::convert::Infallible;

    async fn from_request_parts(parts: &mut Parts, _: &S) -> Result<Self, Self::Rejection> {
        Ok(Self::from_uri(&parts.uri))
    }
}

/// True for an address on this server that a redirect may lead to: it starts with one slash
/// and holds nothing that a browser could read as another host.
#[must_use]
pub fn is_local(path: &str) -> bool {
    path.starts_with('/')
        && !path.starts_with("//")
        && path.len() <= MAX_QUERY
        && path
            .bytes()
            .all(|b| (0x21..0x7f).contains(&b) && b != b'\\')
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn redirects_stay_here() {
        assert!(is_local("/console/billing?a=b"));
        for bad in [
            "",
            "console",
            "//evil.example",
            "/\\evil.example",
            "https://x",
            "/a\r\nb",
            "/é",
        ] {
            assert!(!is_local(bad), "{bad:?}");
        }
    }

    #[test]
    fn carries_tenant_and_range_only() {
        let url = PageUrl::parse("/a?tenant=t&sort=x&range=7d&q=&from=");
        assert_eq!(url.carry("/b").to_string(), "/b?tenant=t&range=7d");
    }

    proptest! {
        #[test]
        fn any_query_survives_a_round_trip(pairs in prop::collection::vec((".{1,8}", ".{0,8}"), 0..6)) {
            let url = PageUrl { path: "/p".into(), query: pairs };
            prop_assert_eq!(PageUrl::parse(&url.to_string()), url);
        }

        #[test]
        fn anything_parses(text in ".*") {
            let _ = PageUrl::parse(&text).to_string();
        }
    }
}
