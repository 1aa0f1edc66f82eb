//! Reading plan files: every problem is reported with its place.

use std::collections::BTreeMap;
use std::str::FromStr;

use jiff::Timestamp;
use jiff::civil::Date;
use jiff::tz::TimeZone;
use sealwright_money::{Currency, Decimal};

use crate::discount::{Basis, DiscountTier, Mode, VolumeDiscount};
use crate::document::{self, Format, Node, Value};
use crate::fields::{self, Fields, Report, Sign};
use crate::model::{MODELS, Model};
use crate::plan::{Dimensions, Fee, Included, Plan, Price, PriceBook};
use crate::problem::{Position, Problem, Problems};
use crate::validate;

/// The largest plan file that is read.
pub const MAX_PLAN_BYTES: usize = 4 << 20;
const MAX_PRICES: usize = 10_000;
const MAX_LIST: usize = 1_000;
const MAX_DIMENSIONS: usize = 32;
const MAX_NAME: usize = 200;

/// A plan that was read, with the warnings about it.
#[derive(Debug, Clone)]
pub struct Loaded {
    /// The plan.
    pub plan: Plan,
    /// What its author should know, such as a discount that makes totals fall.
    pub warnings: Vec<Problem>,
}

/// The places of what is checked across fields.
#[derive(Default)]
pub(crate) struct Places {
    pub(crate) prices: Vec<Position>,
    pub(crate) fees: Vec<Position>,
    pub(crate) included: Vec<Position>,
    pub(crate) discount: Position,
}

/// Reads a plan file. `file` is used in messages only.
///
/// # Errors
/// All the [`Problems`] found, in the order of their places; a syntax error is reported alone.
pub fn parse_plan(file: &str, text: &str, format: Format) -> Result<Loaded, Problems> {
    let root = document::parse(file, text, format, MAX_PLAN_BYTES)?;
    let mut report = Report::new(file);
    let mut places = Places::default();
    let plan = read(&root, &mut places, &mut report);
    if let Some(plan) = &plan {
        validate::check(plan, &places, &mut report);
    }
    let failed = report.failed();
    let problems = report.finish();
    match plan {
        Some(plan) if !failed => Ok(Loaded {
            plan,
            warnings: problems,
        }),
        _ => Err(Problems(problems)),
    }
}

fn read(root: &Node, places: &mut Places, report: &mut Report) -> Option<Plan> {
    let mut f = Fields::open(root, "the plan", report)?;
    let id = f.need_text("id", MAX_NAME, report);
    let at = f.place("version");
    let version = f.whole("version", report);
    if version == Some(0) || (version.is_none() && f.take("version").is_none()) {
        report.error(
            at,
            "version",
            "the plan needs a `version`, a whole number from 1",
        );
    }
    let title = f.text("title", MAX_NAME, report);
    let at = f.place("currency");
    let currency = f.need_text("currency", MAX_NAME, report).and_then(|code| {
        Currency::from_code(&code)
            .map_err(|e| report.error(at, "unknown-currency", e.to_string()))
            .ok()
    });
    let effective_from = moment("effective_from", &mut f, report);
    let effective_to = moment("effective_to", &mut f, report);
    if let (Some(from), Some(to)) = (effective_from, effective_to)
        && from >= to
    {
        report.error(
            f.place("effective_to"),
            "effective",
            "`effective_to` must be after `effective_from`",
        );
    }
    let mut prices = Vec::new();
    for node in f.array("prices", MAX_PRICES, report) {
        if let Some(price) = price(node, report) {
            prices.push(price);
            places.prices.push(node.at);
        }
    }
    let mut fees = Vec::new();
    for node in f.array("fees", MAX_LIST, report) {
        if let Some(item) = fee(node, report) {
            fees.push(item);
            places.fees.push(node.at);
        }
    }
    let mut included = Vec::new();
    for node in f.array("included", MAX_LIST, report) {
        if let Some(item) = include(node, report) {
            included.push(item);
            places.included.push(node.at);
        }
    }
    let minimum = f.number("minimum", Sign::NotNegative, report);
    let volume_discount = f.take("volume_discount").and_then(|node| {
        places.discount = node.at;
        discount(node, report)
    });
    f.finish(report);
    let book = PriceBook {
        id: id?,
        version: version?,
        title,
        currency: currency?,
        effective_from,
        effective_to,
        prices,
    };
    Some(Plan {
        book,
        fees,
        included,
        minimum,
        volume_discount,
    })
}

fn price(node: &Node, report: &mut Report) -> Option<Price> {
    let mut f = Fields::open(node, "a price", report)?;
    let meter = f.need_text("meter", MAX_NAME, report);
    let title = f.text("title", MAX_NAME, report);
    let matches = dimensions("match", &mut f, report);
    let mut group_by = Vec::new();
    for item in f.array("group_by", MAX_DIMENSIONS, report) {
        let Some(name) = fields::text(item, "a name in `group_by`", MAX_NAME, report) else {
            continue;
        };
        if group_by.contains(&name) || matches.contains_key(&name) {
            let message = format!("`{name}` is already a dimension of this price");
            report.error(item.at, "duplicate-dimension", message);
        }
        group_by.push(name);
    }
    let unit_label = f.text("unit_label", MAX_NAME, report);
    let minimum = f.number("minimum", Sign::NotNegative, report);
    let at = f.place("model");
    let name = f.need_text("model", MAX_NAME, report)?;
    if !MODELS.contains(&name.as_str()) {
        let message = format!(
            "unknown model `{name}`: use one of `{}`",
            MODELS.join("`, `")
        );
        report.error(at, "unknown-model", message);
        return None;
    }
    let model = Model::read(&name, &mut f, report);
    f.finish(report);
    Some(Price {
        meter: meter?,
        title,
        matches,
        group_by,
        unit_label,
        minimum,
        model: model?,
    })
}

fn fee(node: &Node, report: &mut Report) -> Option<Fee> {
    let mut f = Fields::open(node, "a fee", report)?;
    let key = f.need_text("key", MAX_NAME, report);
    let title = f.text("title", MAX_NAME, report);
    let amount = f.need_number("amount", Sign::NotNegative, report);
    f.finish(report);
    Some(Fee {
        key: key?,
        title,
        amount: amount?,
    })
}

fn include(node: &Node, report: &mut Report) -> Option<Included> {
    let mut f = Fields::open(node, "an included quantity", report)?;
    let meter = f.need_text("meter", MAX_NAME, report);
    let matches = dimensions("match", &mut f, report);
    let quantity = f.need_number("quantity", Sign::NotNegative, report);
    f.finish(report);
    Some(Included {
        meter: meter?,
        matches,
        quantity: quantity?,
    })
}

fn discount(node: &Node, report: &mut Report) -> Option<VolumeDiscount> {
    let mut f = Fields::open(node, "the volume discount", report)?;
    let basis = choice(
        "basis",
        &[("quantity", Basis::Quantity), ("amount", Basis::Amount)],
        None,
        &mut f,
        report,
    );
    let modes = [("marginal", Mode::Marginal), ("cliff", Mode::Cliff)];
    let mode = choice("mode", &modes, Some(Mode::Marginal), &mut f, report);
    let meters = f
        .array("meters", MAX_LIST, report)
        .iter()
        .filter_map(|n| fields::text(n, "a meter", MAX_NAME, report))
        .collect();
    let mut tiers: Vec<DiscountTier> = Vec::new();
    let tiers_at = f.place("tiers");
    for item in f.array("tiers", 100, report) {
        let Some(mut t) = Fields::open(item, "a discount tier", report) else {
            continue;
        };
        let from = t.need_number("from", Sign::NotNegative, report);
        let rate = t.need_number("rate_percent", Sign::NotNegative, report);
        if rate.is_some_and(|r| r > Decimal::ONE_HUNDRED) {
            report.error(
                t.place("rate_percent"),
                "rate",
                "a discount is at most 100 per cent",
            );
        }
        if let (Some(from), Some(last)) = (from, tiers.last())
            && from <= last.from
        {
            let message = format!("tiers are not in order: `from` must be above {}", last.from);
            report.error(t.place("from"), "tiers-unordered", message);
        }
        t.finish(report);
        if let (Some(from), Some(rate_percent)) = (from, rate) {
            tiers.push(DiscountTier { from, rate_percent });
        }
    }
    if tiers.is_empty() {
        report.error(
            tiers_at,
            "tiers-missing",
            "the volume discount needs `tiers` with at least one tier",
        );
    }
    f.finish(report);
    Some(VolumeDiscount {
        basis: basis?,
        mode: mode?,
        meters,
        tiers,
    })
}

fn choice<T: Copy>(
    key: &'static str,
    options: &[(&str, T)],
    default: Option<T>,
    f: &mut Fields<'_>,
    report: &mut Report,
) -> Option<T> {
    let at = f.place(key);
    let text = match default {
        None => f.need_text(key, MAX_NAME, report)?,
        Some(default) if f.take(key).is_none() => return Some(default),
        Some(_) => f.text(key, MAX_NAME, report)?,
    };
    let found = options
        .iter()
        .find(|(name, _)| *name == text)
        .map(|(_, v)| *v);
    if found.is_none() {
        let names: Vec<&str> = options.iter().map(|(name, _)| *name).collect();
        report.error(
            at,
            "unknown-value",
            format!("`{key}` must be `{}`", names.join("` or `")),
        );
    }
    found
}

fn dimensions(key: &'static str, f: &mut Fields<'_>, report: &mut Report) -> Dimensions {
    let mut out = BTreeMap::new();
    let Some(node) = f.take(key) else { return out };
    let Value::Table(entries) = &node.value else {
        report.error(
            node.at,
            "type",
            format!("`{key}` must be a table of dimension = \"value\""),
        );
        return out;
    };
    if entries.len() > MAX_DIMENSIONS {
        report.error(
            node.at,
            "too-many",
            format!("at most {MAX_DIMENSIONS} dimensions are allowed"),
        );
    }
    for (name, value) in entries.iter().take(MAX_DIMENSIONS) {
        if let Some(text) = fields::text(value, &format!("`{key}.{}`", name.name), MAX_NAME, report)
        {
            out.insert(name.name.clone(), text);
        }
    }
    out
}

/// An RFC 3339 time, or a date that means its midnight UTC.
fn moment(key: &'static str, f: &mut Fields<'_>, report: &mut Report) -> Option<Timestamp> {
    let at = f.place(key);
    let text = f.text(key, MAX_NAME, report)?;
    let midnight = |d: Date| d.to_zoned(TimeZone::UTC).map(|z| z.timestamp());
    let date = (text.len() == 10)
        .then(|| Date::from_str(&text).and_then(midnight).ok())
        .flatten();
    let found = date.or_else(|| Timestamp::from_str(&text).ok());
    if found.is_none() {
        let message = format!(
            "`{key}` must be a date such as 2026-01-01 or a time such as 2026-01-01T00:00:00Z"
        );
        report.error(at, "time", message);
    }
    found
}
