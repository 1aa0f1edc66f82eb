//! Answers that are pages.

use askama::Template;
use askama::filters::HtmlSafe;
use axum::http::{HeaderMap, HeaderValue, StatusCode, header};
use axum::response::{IntoResponse, Response};
use std::fmt;

use crate::assets;
use crate::chrome::Chrome;
use crate::flash::Flash;
use crate::markup::Markup;
use crate::theme::Theme;

/// A body inside the frame.
///
/// ```
/// use sealwright_web::{Chrome, Markup, Nav, Page, PageUrl};
/// let chrome = Chrome::new(PageUrl::parse("/console"), Nav::new());
/// let page = Page::new("Today", chrome, &Markup::from("Nothing happened yet."));
/// assert!(page.html().contains("<title>Today · Sealwright</title>"));
/// ```
#[derive(Debug)]
pub struct Page {
    title: String,
    chrome: Chrome,
    body: String,
    status: StatusCode,
}

impl Page {
    /// A page with a title (unique within the program) and a body: a template that prints
    /// itself, or a component.
    pub fn new(title: &str, chrome: Chrome, body: &impl fmt::Display) -> Self {
        Self {
            title: title.to_owned(),
            chrome,
            body: body.to_string(),
            status: StatusCode::OK,
        }
    }

    /// Answers with another status, e.g. 422 for a form that is shown again.
    #[must_use]
    pub fn status(mut self, status: StatusCode) -> Self {
        self.status = status;
        self
    }

    /// The whole page.
    #[must_use]
    pub fn html(&self) -> String {
        Layout {
            title: &self.title,
            chrome: &self.chrome,
            body: &self.body,
        }
        .to_string()
    }
}

#[derive(Template)]
#[template(path = "layout.html")]
struct Layout<'a> {
    title: &'a str,
    chrome: &'a Chrome,
    body: &'a str,
}

impl IntoResponse for Page {
    fn into_response(self) -> Response {
        let mut response = html(self.status, self.html());
        if !self.chrome.flashes.is_empty() {
            response
                .headers_mut()
                .append(header::SET_COOKIE, Flash::clear_cookie());
        }
        response
    }
}

/// A part of a page, for htmx to put in the place of the old one.
#[derive(Debug)]
pub struct Fragment(String);

impl Fragment {
    /// The part.
    pub fn new(body: &impl fmt::Display) -> Self {
        Self(body.to_string())
    }

    /// True when htmx asks for a part, not a person for the page.
    #[must_use]
    pub fn asked(headers: &HeaderMap) -> bool {
        headers.contains_key("hx-request")
    }
}

impl IntoResponse for Fragment {
    fn into_response(self) -> Response {
        let mut response = html(StatusCode::OK, self.0);
        // The same address answers with the whole page, too.
        response
            .headers_mut()
            .insert(header::VARY, HeaderValue::from_static("hx-request"));
        response
    }
}

/// A page without navigation, for people who are not signed in: sign-in, first start.
#[derive(Debug, Template)]
#[template(path = "plain.html")]
pub struct PlainPage {
    title: String,
    theme: Theme,
    lead: Markup,
    body: Markup,
    status: StatusCode,
}

impl PlainPage {
    /// A page with a heading, a sentence under it and a body.
    pub fn new<B: fmt::Display + HtmlSafe>(
        title: &str,
        theme: Theme,
        lead: impl Into<Markup>,
        body: &B,
    ) -> Self {
        Self {
            title: title.to_owned(),
            theme,
            lead: lead.into(),
            body: Markup::of(body),
            status: StatusCode::OK,
        }
    }

    /// Answers with another status.
    #[must_use]
    pub fn status(mut self, status: StatusCode) -> Self {
        self.status = status;
        self
    }
}

impl IntoResponse for PlainPage {
    fn into_response(self) -> Response {
        html(self.status, self.to_string())
    }
}

/// A friendly page for an error: what is wrong, and what to do.
#[derive(Debug, Template)]
#[template(path = "problem.html")]
pub struct ProblemPage {
    status: StatusCode,
    title: String,
    detail: String,
    hint: String,
    reference: Option<String>,
    home: String,
}

impl ProblemPage {
    /// The page for a status, in words that fit it. `detail` says what is wrong here; give an
    /// empty one where saying more would tell a stranger what exists.
    #[must_use]
    pub fn new(status: StatusCode, detail: &str) -> Self {
        let (title, hint) = words(status);
        Self {
            status,
            title: title.to_owned(),
            detail: detail.to_owned(),
            hint: hint.to_owned(),
            reference: None,
            home: "/console".to_owned(),
        }
    }

    /// Names the request id under which the log has more.
    #[must_use]
    pub fn reference(mut self, id: &str) -> Self {
        self.reference = Some(id.to_owned());
        self
    }

    /// What to do, instead of the words for the status.
    #[must_use]
    pub fn hint(mut self, hint: &str) -> Self {
        hint.clone_into(&mut self.hint);
        self
    }

    /// Shows it in the frame, to somebody who is signed in.
    #[must_use]
    pub fn page(&self, chrome: Chrome) -> Page {
        Page::new(&self.title, chrome, self).status(self.status)
    }

    /// Shows it without navigation, to a stranger.
    #[must_use]
    pub fn plain(&self, theme: Theme) -> PlainPage {
        PlainPage::new(&self.title, theme, Markup::new(), self).status(self.status)
    }

    fn code(&self) -> u16 {
        self.status.as_u16()
    }
}

impl HtmlSafe for ProblemPage {}

fn words(status: StatusCode) -> (&'static str, &'static str) {
    match status.as_u16() {
        400 => (
            "This address cannot be read",
            "Check the address, or start again from the list.",
        ),
        401 => (
            "Please sign in",
            "The session has ended or was never there.",
        ),
        403 => (
            "Not allowed",
            "Your role does not permit this. An owner or admin can change roles.",
        ),
        404 => (
            "Nothing here",
            "It was moved or deleted, or belongs to another tenant.",
        ),
        405 => (
            "Not possible here",
            "This page does not take that kind of request.",
        ),
        409 => (
            "Changed in the meantime",
            "Load the page again and repeat the change.",
        ),
        413 => ("Too large", "Send less at once."),
        422 => (
            "Not accepted",
            "Correct what is named above and send it again.",
        ),
        429 => ("Too many requests", "Wait a moment and try again."),
        503 => (
            "Not ready",
            "The program starts, stops or waits for its store. Try again shortly.",
        ),
        500..=599 => (
            "Something broke",
            "The log has the cause. Nothing was half done.",
        ),
        _ => ("That did not work", "Go back and try again."),
    }
}

/// An HTML answer that is kept in no cache: it was made for one person.
fn html(status: StatusCode, body: String) -> Response {
    let mut response = (status, axum::response::Html(body)).into_response();
    response
        .headers_mut()
        .insert(header::CACHE_CONTROL, HeaderValue::from_static("no-store"));
    response
}
