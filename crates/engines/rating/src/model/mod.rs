//! The price models, one file each.
//!
//! A model turns a quantity into an exact decimal [`Charge`]; nothing is rounded here.

pub mod flat;
pub mod graduated;
pub mod graduated_percentage;
pub mod minimum;
pub mod package;
pub mod per_million;
pub mod per_unit;
pub mod percentage;
pub mod proration;
mod tiers;
pub mod time_weighted;
pub mod volume;

use sealwright_money::{Decimal, MoneyError};
use serde::{Deserialize, Serialize};

use crate::decimal_text;
use crate::fields::{Fields, Report};

pub use tiers::Tier;

/// An exact amount with the steps that lead to it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Charge {
    /// The amount in major units of the currency, before rounding.
    pub exact: Decimal,
    /// How the amount comes about; the amounts of the steps sum to `exact`.
    pub steps: Vec<Step>,
}

/// One step of a charge.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(untagged)]
pub enum Step {
    /// Units in a tier.
    Tier {
        /// The units that fall in the tier.
        #[serde(with = "decimal_text")]
        units: Decimal,
        /// The price of a unit.
        #[serde(with = "decimal_text")]
        unit: Decimal,
        /// The fee for entering the tier.
        #[serde(with = "decimal_text")]
        flat: Decimal,
        /// `units * unit + flat`.
        #[serde(with = "decimal_text")]
        amount: Decimal,
    },
    /// Units at a price per million of them.
    PerMillion {
        /// The units.
        #[serde(with = "decimal_text")]
        units: Decimal,
        /// The price of a million units.
        #[serde(with = "decimal_text")]
        per_million: Decimal,
        /// `units * per_million / 1000000`.
        #[serde(with = "decimal_text")]
        amount: Decimal,
    },
    /// Units at a price for each group of `per`.
    Units {
        /// The units.
        #[serde(with = "decimal_text")]
        units: Decimal,
        /// The price of `per` units.
        #[serde(with = "decimal_text")]
        unit: Decimal,
        /// How many units the price is for.
        #[serde(with = "decimal_text")]
        per: Decimal,
        /// `units * unit / per`.
        #[serde(with = "decimal_text")]
        amount: Decimal,
    },
    /// Packages, a started one counted as full.
    Packages {
        /// The packages.
        #[serde(with = "decimal_text")]
        packages: Decimal,
        /// The price of a package.
        #[serde(with = "decimal_text")]
        unit: Decimal,
        /// `packages * unit`.
        #[serde(with = "decimal_text")]
        amount: Decimal,
    },
    /// One transaction.
    Transaction {
        /// The value of the transaction.
        #[serde(with = "decimal_text")]
        transaction: Decimal,
        /// What it costs.
        #[serde(with = "decimal_text")]
        amount: Decimal,
    },
}

/// How a meter is priced. The tag in a plan file is `model`.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
#[serde(tag = "model", rename_all = "snake_case")]
pub enum Model {
    /// A fixed amount when there is usage.
    Flat(flat::Flat),
    /// A price for each unit or group of units.
    PerUnit(per_unit::PerUnit),
    /// Each unit at the price of the tier it falls in.
    Graduated(graduated::Graduated),
    /// All units at the price of the tier that the quantity falls in.
    Volume(volume::Volume),
    /// A price for each started package.
    Package(package::Package),
    /// A percentage of each transaction.
    Percentage(percentage::Percentage),
    /// Percentages by tier of the running total of transactions.
    GraduatedPercentage(graduated_percentage::GraduatedPercentage),
    /// A price for a million units.
    PerMillion(per_million::PerMillion),
}

/// The names of the models, as they stand in plan files.
pub(crate) const MODELS: [&str; 8] = [
    "flat",
    "per_unit",
    "graduated",
    "volume",
    "package",
    "percentage",
    "graduated_percentage",
    "per_million",
];

impl Model {
    /// Reads the fields of the model `name`.
    pub(crate) fn read(name: &str, f: &mut Fields<'_>, report: &mut Report) -> Option<Self> {
        Some(match name {
            "flat" => Self::Flat(flat::Flat::read(f, report)?),
            "per_unit" => Self::PerUnit(per_unit::PerUnit::read(f, report)?),
            "graduated" => Self::Graduated(graduated::Graduated {
                tiers: tiers::read(f, report)?,
            }),
            "volume" => Self::Volume(volume::Volume {
                tiers: tiers::read(f, report)?,
            }),
            "package" => Self::Package(package::Package::read(f, report)?),
            "percentage" => Self::Percentage(percentage::Percentage::read(f, report)?),
            "graduated_percentage" => Self::GraduatedPercentage(
                graduated_percentage::GraduatedPercentage::read(f, report)?,
            ),
            "per_million" => Self::PerMillion(per_million::PerMillion::read(f, report)?),
            _ => return None,
        })
    }

    /// The name as it stands in plan files.
    #[must_use]
    pub fn name(&self) -> &'static str {
        match self {
            Self::Flat(_) => "flat",
            Self::PerUnit(_) => "per_unit",
            Self::Graduated(_) => "graduated",
            Self::Volume(_) => "volume",
            Self::Package(_) => "package",
            Self::Percentage(_) => "percentage",
            Self::GraduatedPercentage(_) => "graduated_percentage",
            Self::PerMillion(_) => "per_million",
        }
    }

    /// Whether the model prices each transaction by itself.
    #[must_use]
    pub fn is_transactional(&self) -> bool {
        matches!(self, Self::Percentage(_) | Self::GraduatedPercentage(_))
    }

    /// Whether a quantity can be cut into bands whose prices add up: what a marginal volume
    /// discount by quantity needs.
    #[must_use]
    pub fn is_additive(&self) -> bool {
        matches!(
            self,
            Self::PerUnit(_) | Self::Graduated(_) | Self::PerMillion(_)
        )
    }

    /// The charge for a quantity; `transactions` are read by the transactional models only.
    ///
    /// # Errors
    /// [`MoneyError::Inexact`] when the exact amount does not fit in a decimal.
    pub fn charge(
        &self,
        quantity: Decimal,
        transactions: &[Decimal],
    ) -> Result<Charge, MoneyError> {
        match self {
            Self::Flat(m) => Ok(m.charge(quantity)),
            Self::PerUnit(m) => m.charge(quantity),
            Self::Graduated(m) => m.charge(quantity),
            Self::Volume(m) => m.charge(quantity),
            Self::Package(m) => m.charge(quantity),
            Self::Percentage(m) => m.charge(transactions),
            Self::GraduatedPercentage(m) => m.charge(transactions),
            Self::PerMillion(m) => m.charge(quantity),
        }
    }
}
