//! Horizontal bars: one number for each of several names. A table, so nothing stands behind it.

use askama::Template;
use askama::filters::HtmlSafe;
use rust_decimal::Decimal;
use rust_decimal::prelude::ToPrimitive;

use crate::component::{Badge, Tone};
use crate::format;

/// Numbers by name, drawn as bars in one scale.
#[derive(Clone, Debug, Template)]
#[template(path = "chart/bars.html")]
pub struct Bars {
    title: String,
    name: String,
    unit: String,
    rows: Vec<BarRow>,
}

impl HtmlSafe for Bars {}

#[derive(Clone, Debug)]
struct BarRow {
    name: String,
    href: Option<String>,
    value: Option<Decimal>,
    state: Option<Badge>,
}

impl Bars {
    /// Bars with a title, what the names are (`Model`), and the unit of the values.
    #[must_use]
    pub fn new(title: &str, name: &str, unit: &str) -> Self {
        Self {
            title: title.to_owned(),
            name: name.to_owned(),
            unit: unit.to_owned(),
            rows: Vec::new(),
        }
    }

    /// Adds a bar; none is unknown. A value below zero is written but not drawn.
    #[must_use]
    pub fn bar(mut self, name: &str, value: Option<Decimal>) -> Self {
        self.rows.push(BarRow {
            name: name.to_owned(),
            href: None,
            value,
            state: None,
        });
        self
    }

    /// Says how the last bar stands: in a word, and by its colour.
    #[must_use]
    pub fn state(mut self, state: Badge) -> Self {
        if let Some(row) = self.rows.last_mut() {
            row.state = Some(state);
        }
        self
    }

    /// Gives the last bar's name a page.
    #[must_use]
    pub fn href(mut self, href: &str) -> Self {
        if let Some(row) = self.rows.last_mut() {
            row.href = Some(href.to_owned());
        }
        self
    }

    fn width(&self, row: &BarRow) -> String {
        let largest = self
            .rows
            .iter()
            .filter_map(|r| r.value)
            .max()
            .unwrap_or_default();
        let share = match row.value {
            Some(value) if largest > Decimal::ZERO => (value / largest).to_f64().unwrap_or(0.0),
            _ => 0.0,
        };
        super::geometry::pct(share.clamp(0.0, 1.0))
    }
}

impl BarRow {
    fn tone(&self) -> Tone {
        self.state.as_ref().map_or(Tone::Neutral, |b| b.tone)
    }

    fn words(&self) -> Option<String> {
        self.value.map(format::decimal)
    }
}
