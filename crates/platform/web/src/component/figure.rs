//! Figures: what a page is opened for.

use askama::Template;
use askama::filters::HtmlSafe;
use sealwright_money::Money;

use crate::component::Seal;
use crate::format;
use crate::markup::Markup;

/// A value with its name, its unit, a note, and the seal or the word "unknown".
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Figure {
    label: String,
    value: Option<String>,
    unit: String,
    note: Markup,
    seal: Option<Seal>,
    href: Option<String>,
}

impl Figure {
    /// A value as it is shown, with its unit (empty when the value carries it).
    #[must_use]
    pub fn new(label: &str, value: &str, unit: &str) -> Self {
        Self {
            label: label.to_owned(),
            value: Some(value.to_owned()),
            unit: unit.to_owned(),
            note: Markup::new(),
            seal: None,
            href: None,
        }
    }

    /// An amount of money.
    #[must_use]
    pub fn money(label: &str, money: Money) -> Self {
        Self::new(label, &format::money(money), "")
    }

    /// A whole number of something.
    #[must_use]
    pub fn count(label: &str, count: i64, unit: &str) -> Self {
        Self::new(label, &format::integer(count), unit)
    }

    /// A value that is not known; the note says why.
    #[must_use]
    pub fn unknown(label: &str, why: impl Into<Markup>) -> Self {
        Self {
            value: None,
            note: why.into(),
            ..Self::new(label, "", "")
        }
    }

    /// A sentence under it.
    #[must_use]
    pub fn note(mut self, note: impl Into<Markup>) -> Self {
        self.note = note.into();
        self
    }

    /// The seal beside it.
    #[must_use]
    pub fn seal(mut self, seal: Seal) -> Self {
        self.seal = Some(seal);
        self
    }

    /// The page that its name leads to.
    #[must_use]
    pub fn href(mut self, href: &str) -> Self {
        self.href = Some(href.to_owned());
        self
    }
}

/// A row of figures at the head of a page.
#[derive(Clone, Debug, Default, Template)]
#[template(path = "component/figures.html")]
pub struct Figures {
    figures: Vec<Figure>,
}

impl HtmlSafe for Figures {}

impl Figures {
    /// The row.
    #[must_use]
    pub fn new(figures: Vec<Figure>) -> Self {
        Self { figures }
    }
}
