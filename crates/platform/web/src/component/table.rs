//! The data table: typed columns, sorting and filtering by address, exports, a cursor.

use std::fmt;

use askama::Template;
use askama::filters::HtmlSafe;
use jiff::Timestamp;
use jiff::tz::TimeZone;
use rust_decimal::Decimal;
use sealwright_money::Money;

use crate::chart::Sparkline;
use crate::component::{Badge, Bar, Empty, Seal};
use crate::format;
use crate::markup::{Markup, escaped, safe_href};
use crate::url::PageUrl;

/// What a column holds; it decides alignment and how its cells are exported.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum ColumnKind {
    /// Words, links, badges.
    Text,
    /// Numbers and amounts: right-aligned, tabular figures.
    Number,
    /// Moments: tabular figures.
    Time,
    /// Drawings: sparklines and bars.
    Drawing,
}

/// A column.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Column {
    key: String,
    label: String,
    kind: ColumnKind,
    sortable: bool,
}

impl Column {
    /// A column: its key in addresses and exports, its head, what it holds.
    #[must_use]
    pub fn new(key: &str, label: &str, kind: ColumnKind) -> Self {
        Self {
            key: key.to_owned(),
            label: label.to_owned(),
            kind,
            sortable: false,
        }
    }

    /// Words.
    #[must_use]
    pub fn text(key: &str, label: &str) -> Self {
        Self::new(key, label, ColumnKind::Text)
    }

    /// Numbers; the unit belongs to the head (`Output, tokens`).
    #[must_use]
    pub fn number(key: &str, label: &str) -> Self {
        Self::new(key, label, ColumnKind::Number)
    }

    /// Amounts in one currency, which the head names (`Spend, EUR`).
    #[must_use]
    pub fn money(key: &str, label: &str, currency: &str) -> Self {
        Self::new(key, &format!("{label}, {currency}"), ColumnKind::Number)
    }

    /// Moments.
    #[must_use]
    pub fn time(key: &str, label: &str) -> Self {
        Self::new(key, label, ColumnKind::Time)
    }

    /// Sparklines or bars.
    #[must_use]
    pub fn drawing(key: &str, label: &str) -> Self {
        Self::new(key, label, ColumnKind::Drawing)
    }

    /// Its head sorts, by `sort=key` and `sort=-key` in the address.
    #[must_use]
    pub fn sortable(mut self) -> Self {
        self.sortable = true;
        self
    }

    /// The key.
    #[must_use]
    pub fn key(&self) -> &str {
        &self.key
    }

    fn class(&self) -> &'static str {
        match self.kind {
            ColumnKind::Number => "num",
            ColumnKind::Time => "time",
            ColumnKind::Text => "text",
            ColumnKind::Drawing => "draw",
        }
    }
}

/// A cell: what is shown, and the plain value that CSV and JSON carry.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Cell {
    pub(crate) html: String,
    pub(crate) plain: Plain,
}

/// The value of a cell in an export.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Plain {
    Unknown,
    Text(String),
    Number(String),
}

impl Cell {
    fn text_with(html: String, plain: &str) -> Self {
        Self {
            html,
            plain: Plain::Text(plain.to_owned()),
        }
    }

    /// Words.
    #[must_use]
    pub fn text(text: &str) -> Self {
        Self::text_with(escaped(text), text)
    }

    /// An id, a hash, a region, a field.
    #[must_use]
    pub fn code(text: &str) -> Self {
        Self::text_with(format!("<code>{}</code>", escaped(text)), text)
    }

    /// A link; without a safe address it is only words.
    #[must_use]
    pub fn link(text: &str, href: &str) -> Self {
        if !safe_href(href) {
            return Self::text(text);
        }
        Self::text_with(
            format!("<a href=\"{}\">{}</a>", escaped(href), escaped(text)),
            text,
        )
    }

    /// A link on an id.
    #[must_use]
    pub fn id(id: &str, href: &str) -> Self {
        if !safe_href(href) {
            return Self::code(id);
        }
        let html = format!(
            "<a class=\"mono\" href=\"{}\">{}</a>",
            escaped(href),
            escaped(&format::shorten(id, 10))
        );
        Self::text_with(html, id)
    }

    /// A whole number.
    #[must_use]
    pub fn integer(value: i64) -> Self {
        Self {
            html: format::integer(value),
            plain: Plain::Number(value.to_string()),
        }
    }

    /// A decimal number, exact.
    #[must_use]
    pub fn decimal(value: Decimal) -> Self {
        Self {
            html: format::decimal(value),
            plain: Plain::Number(value.normalize().to_string()),
        }
    }

    /// An amount without its currency; the column's head names it.
    #[must_use]
    pub fn money(money: Money) -> Self {
        Self {
            html: format::amount(money),
            plain: Plain::Number(money.amount()),
        }
    }

    /// A moment, to the second, in a zone. Exports carry it in UTC (RFC 3339).
    #[must_use]
    pub fn time(at: Timestamp, zone: &TimeZone) -> Self {
        let html = format!(
            "<time datetime=\"{at}\">{}</time>",
            format::moment(at, zone)
        );
        Self::text_with(html, &at.to_string())
    }

    /// A day in a zone.
    #[must_use]
    pub fn day(at: Timestamp, zone: &TimeZone) -> Self {
        let date = at.to_zoned(zone.clone()).date();
        let html = format!("<time datetime=\"{date}\">{}</time>", format::day(at, zone));
        Self::text_with(html, &date.to_string())
    }

    /// A state.
    #[must_use]
    pub fn badge(badge: &Badge) -> Self {
        Self::text_with(badge.to_string(), &badge.text)
    }

    /// A share of a whole; exports carry the share.
    #[must_use]
    pub fn bar(bar: &Bar) -> Self {
        Self {
            html: bar.to_string(),
            plain: Plain::Number(bar.share.normalize().to_string()),
        }
    }

    /// A course over time; exports carry its last known value.
    #[must_use]
    pub fn spark(spark: &Sparkline) -> Self {
        let plain = spark
            .last()
            .map_or(Plain::Unknown, |v| Plain::Number(v.normalize().to_string()));
        Self {
            html: spark.to_string(),
            plain,
        }
    }

    /// Not known: written out, and empty or null in exports.
    #[must_use]
    pub fn unknown() -> Self {
        Self {
            html: "<span class=\"unknown\">unknown</span>".to_owned(),
            plain: Plain::Unknown,
        }
    }

    /// Any markup, with the text that exports carry.
    #[must_use]
    pub fn markup(markup: &Markup, plain: &str) -> Self {
        Self::text_with(markup.to_string(), plain)
    }

    /// The same cell with a seal behind it.
    #[must_use]
    pub fn sealed(mut self, seal: &Seal) -> Self {
        use std::fmt::Write as _;
        // Writing into a String cannot fail.
        let _ = write!(self.html, "{seal}");
        self
    }
}

impl fmt::Display for Cell {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.html)
    }
}

impl HtmlSafe for Cell {}

/// A row: as many cells as the table has columns. The first one heads the row.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Row {
    pub(crate) cells: Vec<Cell>,
    selected: bool,
}

impl Row {
    /// A row.
    #[must_use]
    pub fn new(cells: Vec<Cell>) -> Self {
        Self {
            cells,
            selected: false,
        }
    }

    /// Marks the row that the page is about.
    #[must_use]
    pub fn selected(mut self, selected: bool) -> Self {
        self.selected = selected;
        self
    }
}

/// The filter box: sends `q`, keeping the rest of the address.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Filter {
    /// What it looks in, e.g. `Filter tenants`.
    pub label: String,
}

/// Where the pages before and after are.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Pager {
    /// The cursor of the page before; an empty one is the first page.
    pub previous: Option<String>,
    /// The cursor of the page after.
    pub next: Option<String>,
}

/// A table. It is a page's main content: real rows, a caption, and every row can be had as CSV
/// and JSON.
#[derive(Clone, Debug, Template)]
#[template(path = "component/table.html")]
pub struct Table {
    id: String,
    title: String,
    pub(crate) columns: Vec<Column>,
    pub(crate) rows: Vec<Row>,
    url: PageUrl,
    note: String,
    filter: Option<Filter>,
    pager: Pager,
    exports: bool,
    empty: Option<Empty>,
    framed: bool,
}

impl HtmlSafe for Table {}

impl Table {
    /// A table with an id (unique on the page, used in addresses), a title and its columns, on
    /// a page's address.
    #[must_use]
    pub fn new(id: &str, title: &str, url: &PageUrl, columns: Vec<Column>) -> Self {
        Self {
            id: id.to_owned(),
            title: title.to_owned(),
            columns,
            rows: Vec::new(),
            url: url.clone(),
            note: String::new(),
            filter: None,
            pager: Pager::default(),
            exports: true,
            empty: None,
            framed: true,
        }
    }

    /// Adds a row. Missing cells are unknown, surplus ones are dropped, so that a table can
    /// never shift its columns.
    #[must_use]
    pub fn row(mut self, row: Row) -> Self {
        self.push(row);
        self
    }

    /// Adds a row.
    pub fn push(&mut self, mut row: Row) {
        row.cells.resize_with(self.columns.len(), Cell::unknown);
        self.rows.push(row);
    }

    /// Says how many there are (`24 rows`).
    #[must_use]
    pub fn note(mut self, note: &str) -> Self {
        note.clone_into(&mut self.note);
        self
    }

    /// Shows the filter box.
    #[must_use]
    pub fn filter(mut self, label: &str) -> Self {
        self.filter = Some(Filter {
            label: label.to_owned(),
        });
        self
    }

    /// Shows links to the pages before and after.
    #[must_use]
    pub fn pager(mut self, pager: Pager) -> Self {
        self.pager = pager;
        self
    }

    /// Leaves out the CSV and JSON links (`format=csv|json` and `table=id` of this address).
    #[must_use]
    pub fn without_exports(mut self) -> Self {
        self.exports = false;
        self
    }

    /// What it says when it has no row.
    #[must_use]
    pub fn empty(mut self, empty: Empty) -> Self {
        self.empty = Some(empty);
        self
    }

    /// Without card and heading, to stand inside another part.
    #[must_use]
    pub fn bare(mut self) -> Self {
        self.framed = false;
        self
    }

    /// True when the address asks for an export of this table; answer with
    /// [`Table::export`] then.
    #[must_use]
    pub fn asked(id: &str, url: &PageUrl) -> bool {
        url.get("format").is_some() && url.get("table").is_none_or(|t| t == id)
    }

    /// The column and direction that the address asks for: the key, and true for descending.
    /// A key that is not sortable is ignored.
    #[must_use]
    pub fn sort(&self) -> Option<(&str, bool)> {
        let asked = self.url.get("sort")?;
        let (key, descending) = asked
            .strip_prefix('-')
            .map_or((asked, false), |k| (k, true));
        self.columns
            .iter()
            .find(|c| c.sortable && c.key == key)
            .map(|c| (c.key.as_str(), descending))
    }

    /// How many rows it has.
    #[must_use]
    pub fn rows(&self) -> usize {
        self.rows.len()
    }

    /// The id of the table.
    #[must_use]
    pub fn id(&self) -> &str {
        &self.id
    }

    fn sort_href(&self, column: &Column) -> String {
        let descending = match self.sort() {
            Some((key, descending)) if key == column.key => !descending,
            // Numbers are looked at from the largest on, words from A on.
            _ => column.kind == ColumnKind::Number || column.kind == ColumnKind::Time,
        };
        let value = if descending {
            format!("-{}", column.key)
        } else {
            column.key.clone()
        };
        self.url
            .without_all(&["cursor", "format", "table"])
            .with("sort", &value)
            .to_string()
    }

    fn sorted(&self, column: &Column) -> &'static str {
        match self.sort() {
            Some((key, true)) if key == column.key => "descending",
            Some((key, false)) if key == column.key => "ascending",
            _ => "",
        }
    }

    fn export_href(&self, format: &str) -> String {
        self.url
            .with("format", format)
            .with("table", &self.id)
            .to_string()
    }

    fn page_href(&self, cursor: &str) -> String {
        let url = self.url.without_all(&["cursor", "format", "table"]);
        if cursor.is_empty() {
            url.to_string()
        } else {
            url.with("cursor", cursor).to_string()
        }
    }

    fn carried(&self) -> Vec<(String, String)> {
        self.url
            .pairs()
            .iter()
            .filter(|(k, _)| !["q", "cursor", "format", "table"].contains(&k.as_str()))
            .cloned()
            .collect()
    }

    fn query(&self) -> &str {
        self.url.get("q").unwrap_or_default()
    }

    fn clear_href(&self) -> String {
        self.url.without_all(&["q", "cursor"]).to_string()
    }

    /// From here on the table scrolls in itself on small screens, so that its head stays.
    fn long(&self) -> bool {
        self.rows.len() > 12
    }

    /// From here on it scrolls in itself on large screens, too, when it does not fit.
    fn wide(&self) -> bool {
        self.columns.len() > 8
    }
}
