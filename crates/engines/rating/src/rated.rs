//! The result of rating, ready to be serialised.

use sealwright_money::{Currency, Decimal};
use serde::{Deserialize, Serialize};

use crate::decimal_text;
use crate::model::Step;
use crate::plan::Dimensions;

/// A rated period. The amounts of the lines sum to the total.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Rated {
    /// The currency of all amounts.
    pub currency: Currency,
    /// The sum of all lines, with all minor digits.
    pub total: String,
    /// The lines: fees, then prices in the order of the plan, each followed by its discount and
    /// its minimum, then the discount and the minimum of the whole plan.
    pub lines: Vec<Line>,
    /// Usage that no price covers. It is not in the total.
    pub unpriced: Vec<Unpriced>,
    /// What the reader should know.
    pub warnings: Vec<String>,
    /// The plan that was used.
    pub plan: PlanRef,
}

/// Names a version of a plan.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct PlanRef {
    /// The plan's id.
    pub id: String,
    /// The version.
    pub version: u32,
    /// The SHA-256 of the plan's canonical bytes.
    pub digest: String,
}

/// What a line charges.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum LineKind {
    /// A recurring fee.
    Fee,
    /// Usage of a meter.
    Usage,
    /// A volume discount; its amount is zero or below.
    Discount,
    /// What is missing to a minimum.
    Minimum,
}

/// One line. Decimals are strings.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Line {
    /// What the line charges.
    pub kind: LineKind,
    /// The meter; none for fees and for what concerns the whole plan.
    pub meter: Option<String>,
    /// What stands on the invoice.
    pub title: String,
    /// The dimensions that all usage of this line has.
    #[serde(default, skip_serializing_if = "Dimensions::is_empty")]
    pub dimensions: Dimensions,
    /// The metered quantity; 1 for lines that are not usage.
    #[serde(with = "decimal_text")]
    pub quantity: Decimal,
    /// The part of the quantity that the plan includes.
    #[serde(
        with = "decimal_text",
        default,
        skip_serializing_if = "Decimal::is_zero"
    )]
    pub included: Decimal,
    /// The name of the unit.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub unit: Option<String>,
    /// The price model; `fee`, `volume_discount` and `minimum` for the other kinds.
    pub model: String,
    /// The price's key in its book, for usage and what belongs to it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub price: Option<String>,
    /// The steps of the charge; their amounts sum to `exact`.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub steps: Vec<Step>,
    /// The amount before rounding.
    #[serde(with = "decimal_text")]
    pub exact: Decimal,
    /// The amount, rounded half away from zero to the minor unit, with all minor digits.
    pub amount: String,
}

/// Usage of a meter for which the plan has no price.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Unpriced {
    /// The meter.
    pub meter: String,
    /// The dimensions of the usage.
    pub dimensions: Dimensions,
    /// The quantity.
    #[serde(with = "decimal_text")]
    pub quantity: Decimal,
}
