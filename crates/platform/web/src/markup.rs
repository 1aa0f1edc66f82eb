//! Markup that is already safe to print.

use std::fmt::{self, Display, Write as _};

use askama::filters::HtmlSafe;

/// A piece of HTML whose text has been escaped.
///
/// The only ways to make one escape what they are given, or take a rendered template, so that
/// text from outside never becomes markup.
///
/// ```
/// use sealwright_web::Markup;
/// let m = Markup::new().text("price book ").code("pb_<11>");
/// assert_eq!(m.to_string(), "price book <code>pb_&lt;11&gt;</code>");
/// ```
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Markup(String);

impl Markup {
    /// Nothing yet.
    #[must_use]
    pub fn new() -> Self {
        Self::default()
    }

    /// What a component prints. Components escape their own text.
    #[must_use]
    pub fn of(component: &impl HtmlSafe) -> Self {
        Self(component.to_string())
    }

    /// Adds plain text, escaped.
    #[must_use]
    pub fn text(mut self, text: &str) -> Self {
        push_escaped(&mut self.0, text);
        self
    }

    /// Adds an id, a hash, a field name or a command, in monospace.
    #[must_use]
    pub fn code(mut self, text: &str) -> Self {
        self.0.push_str("<code>");
        push_escaped(&mut self.0, text);
        self.0.push_str("</code>");
        self
    }

    /// Adds emphasised text.
    #[must_use]
    pub fn strong(mut self, text: &str) -> Self {
        self.0.push_str("<strong>");
        push_escaped(&mut self.0, text);
        self.0.push_str("</strong>");
        self
    }

    /// Adds a link. An address that is neither local nor http(s) is written as text only, so
    /// that `javascript:` never becomes a link.
    #[must_use]
    pub fn link(mut self, text: &str, href: &str) -> Self {
        if safe_href(href) {
            self.0.push_str("<a href=\"");
            push_escaped(&mut self.0, href);
            self.0.push_str("\">");
            push_escaped(&mut self.0, text);
            self.0.push_str("</a>");
        } else {
            push_escaped(&mut self.0, text);
        }
        self
    }

    /// Adds another component.
    #[must_use]
    pub fn with(mut self, component: &impl HtmlSafe) -> Self {
        // Writing into a String cannot fail.
        let _ = write!(self.0, "{component}");
        self
    }

    /// True when there is nothing to print.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    /// Markup that this crate wrote itself.
    pub(crate) fn trusted(html: String) -> Self {
        Self(html)
    }
}

impl Display for Markup {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

impl HtmlSafe for Markup {}

impl From<&str> for Markup {
    fn from(text: &str) -> Self {
        Self::new().text(text)
    }
}

impl From<String> for Markup {
    fn from(text: String) -> Self {
        Self::new().text(&text)
    }
}

/// True for an address that may stand in `href`: local, a fragment, `http(s)` or `mailto`.
#[must_use]
pub fn safe_href(href: &str) -> bool {
    href.starts_with(['/', '?', '#'])
        || href.starts_with("https://")
        || href.starts_with("http://")
        || href.starts_with("mailto:")
}

/// Appends `text` with the five characters that mean something in HTML escaped.
pub(crate) fn push_escaped(out: &mut String, text: &str) {
    for c in text.chars() {
        match c {
            '&' => out.push_str("&amp;"),
            '<' => out.push_str("&lt;"),
            '>' => out.push_str("&gt;"),
            '"' => out.push_str("&quot;"),
            '\'' => out.push_str("&#39;"),
            c => out.push(c),
        }
    }
}

/// `text` with the five characters that mean something in HTML escaped.
pub(crate) fn escaped(text: &str) -> String {
    let mut out = String::with_capacity(text.len() + 8);
    push_escaped(&mut out, text);
    out
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn text_is_escaped_everywhere() {
        let m = Markup::new()
            .text("<b>")
            .code("\"")
            .strong("'")
            .link("&", "/x?a=1&b=\"")
            .link("no", "javascript:alert(1)");
        assert_eq!(
            m.to_string(),
            "&lt;b&gt;<code>&quot;</code><strong>&#39;</strong>\
             <a href=\"/x?a=1&amp;b=&quot;\">&amp;</a>no"
        );
    }
}
