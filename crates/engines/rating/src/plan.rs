//! Price books and plans.

use std::collections::BTreeMap;

use jiff::Timestamp;
use sealwright_money::{Currency, Decimal};
use serde::{Serialize, Serializer};

use crate::decimal_text;
use crate::discount::VolumeDiscount;
use crate::model::Model;

/// Dimension names and values, sorted by name.
pub type Dimensions = BTreeMap<String, String>;

/// A version of a list of prices.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct PriceBook {
    /// The name that all versions share.
    pub id: String,
    /// The version, from 1.
    pub version: u32,
    /// What people call it.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub title: Option<String>,
    /// The currency of all amounts.
    pub currency: Currency,
    /// From when on it may be used, included.
    #[serde(skip_serializing_if = "Option::is_none", serialize_with = "instant")]
    pub effective_from: Option<Timestamp>,
    /// Until when it may be used, not included.
    #[serde(skip_serializing_if = "Option::is_none", serialize_with = "instant")]
    pub effective_to: Option<Timestamp>,
    /// The prices, in the order of the file, which is the order of lines.
    pub prices: Vec<Price>,
}

/// The price of a meter, or of the part of it that matches.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Price {
    /// The meter's key.
    pub meter: String,
    /// What stands on the invoice.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub title: Option<String>,
    /// The dimensions that usage must have. Of several prices that match, the one with the most
    /// dimensions applies.
    #[serde(rename = "match", skip_serializing_if = "Dimensions::is_empty")]
    pub matches: Dimensions,
    /// Dimensions that make a line, and tiers, of their own; without any, all usage that the
    /// price matches is one quantity.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub group_by: Vec<String>,
    /// The name of the unit, for people.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub unit_label: Option<String>,
    /// The least that each line of this price costs, discounts included.
    #[serde(with = "decimal_text::option", skip_serializing_if = "Option::is_none")]
    pub minimum: Option<Decimal>,
    /// The price model.
    #[serde(flatten)]
    pub model: Model,
}

/// A recurring fee.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Fee {
    /// The fee's key.
    pub key: String,
    /// What stands on the invoice.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub title: Option<String>,
    /// The amount for a whole period, in major units.
    #[serde(with = "decimal_text")]
    pub amount: Decimal,
}

/// A quantity that is included before prices apply.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Included {
    /// The meter's key.
    pub meter: String,
    /// The dimensions of the lines that it is taken from; none means all lines of the meter.
    #[serde(rename = "match", skip_serializing_if = "Dimensions::is_empty")]
    pub matches: Dimensions,
    /// The quantity, taken from the lines in their order.
    #[serde(with = "decimal_text")]
    pub quantity: Decimal,
}

/// A price book with what a customer on it gets and owes besides.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Plan {
    /// The prices.
    #[serde(flatten)]
    pub book: PriceBook,
    /// Fees charged for every period.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub fees: Vec<Fee>,
    /// Quantities without charge.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub included: Vec<Included>,
    /// The least that usage costs in a whole period, discounts included and fees not.
    #[serde(with = "decimal_text::option", skip_serializing_if = "Option::is_none")]
    pub minimum: Option<Decimal>,
    /// The volume discount.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub volume_discount: Option<VolumeDiscount>,
}

impl PriceBook {
    /// Whether the book may be used at a moment, given in microseconds since 1970 UTC.
    #[must_use]
    pub fn is_effective(&self, at_us: i64) -> bool {
        self.effective_from
            .is_none_or(|from| at_us >= from.as_microsecond())
            && self
                .effective_to
                .is_none_or(|to| at_us < to.as_microsecond())
    }

    /// The index of the price for usage of `meter` with `dimensions`: the one that matches with
    /// the most dimensions. A book that was read from a file has no ties.
    #[must_use]
    pub fn price_for(&self, meter: &str, dimensions: &Dimensions) -> Option<usize> {
        let mut best: Option<(usize, usize)> = None;
        for (i, price) in self.prices.iter().enumerate() {
            let applies = price.meter == meter
                && price
                    .matches
                    .iter()
                    .all(|(k, v)| dimensions.get(k) == Some(v));
            if applies && best.is_none_or(|(_, most)| price.matches.len() > most) {
                best = Some((i, price.matches.len()));
            }
        }
        best.map(|(i, _)| i)
    }
}

impl Price {
    /// The price's name within its book: the meter and what it matches.
    #[must_use]
    pub fn key(&self) -> String {
        key(&self.meter, &self.matches)
    }
}

/// A meter with dimensions, as `ai.input_tokens{model=gpt-large,region=eu}`.
pub(crate) fn key(meter: &str, dimensions: &Dimensions) -> String {
    if dimensions.is_empty() {
        return meter.to_owned();
    }
    let pairs: Vec<String> = dimensions.iter().map(|(k, v)| format!("{k}={v}")).collect();
    format!("{meter}{{{}}}", pairs.join(","))
}

#[allow(clippy::ref_option)] // the signature that serde asks for
fn instant<S: Serializer>(t: &Option<Timestamp>, s: S) -> Result<S::Ok, S::Error> {
    match t {
        Some(t) => s.collect_str(t),
        None => s.serialize_none(),
    }
}
