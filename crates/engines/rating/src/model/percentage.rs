//! Percentage: a share of each transaction, with a fixed part and bounds.

use sealwright_money::{Decimal, MoneyError, exact};
use serde::Serialize;

use super::{Charge, Step};
use crate::decimal_text;
use crate::fields::{Fields, Report, Sign};

/// A percentage of each transaction.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Percentage {
    /// The rate, in per cent.
    #[serde(with = "decimal_text")]
    pub rate_percent: Decimal,
    /// A fixed part for each transaction.
    #[serde(with = "decimal_text", skip_serializing_if = "Decimal::is_zero")]
    pub fixed_per_transaction: Decimal,
    /// How many transactions at the start of the period are free.
    #[serde(skip_serializing_if = "is_zero")]
    pub free_events: u32,
    /// The least that a transaction costs, the fixed part included.
    #[serde(with = "decimal_text::option", skip_serializing_if = "Option::is_none")]
    pub min_per_transaction: Option<Decimal>,
    /// The most that a transaction costs, the fixed part included.
    #[serde(with = "decimal_text::option", skip_serializing_if = "Option::is_none")]
    pub max_per_transaction: Option<Decimal>,
}

#[allow(clippy::trivially_copy_pass_by_ref)] // the signature that serde asks for
fn is_zero(n: &u32) -> bool {
    *n == 0
}

impl Percentage {
    pub(super) fn read(f: &mut Fields<'_>, report: &mut Report) -> Option<Self> {
        let rate_percent = f.need_number("rate_percent", Sign::NotNegative, report);
        let fixed = f.number("fixed_per_transaction", Sign::NotNegative, report);
        let free_events = f.whole("free_events", report).unwrap_or(0);
        let min_per_transaction = f.number("min_per_transaction", Sign::NotNegative, report);
        let max_per_transaction = f.number("max_per_transaction", Sign::NotNegative, report);
        if let (Some(min), Some(max)) = (min_per_transaction, max_per_transaction)
            && min > max
        {
            let message =
                format!("`min_per_transaction` {min} is above `max_per_transaction` {max}");
            report.error(f.place("min_per_transaction"), "bounds", message);
            return None;
        }
        Some(Self {
            rate_percent: rate_percent?,
            fixed_per_transaction: fixed.unwrap_or(Decimal::ZERO),
            free_events,
            min_per_transaction,
            max_per_transaction,
        })
    }

    /// The charge for transactions in the order in which they happened.
    ///
    /// # Errors
    /// [`MoneyError::Inexact`] when the exact amount does not fit in a decimal.
    pub fn charge(&self, transactions: &[Decimal]) -> Result<Charge, MoneyError> {
        let mut charge = Charge {
            exact: Decimal::ZERO,
            steps: Vec::with_capacity(transactions.len()),
        };
        for (i, transaction) in transactions.iter().enumerate() {
            let amount = if i < self.free_events as usize {
                Decimal::ZERO
            } else {
                let share = exact::percent(*transaction, self.rate_percent)?;
                let raw = exact::add(share, self.fixed_per_transaction)?;
                let raised = self.min_per_transaction.map_or(raw, |min| raw.max(min));
                self.max_per_transaction
                    .map_or(raised, |max| raised.min(max))
            };
            charge.exact = exact::add(charge.exact, amount)?;
            charge.steps.push(Step::Transaction {
                transaction: *transaction,
                amount,
            });
        }
        Ok(charge)
    }
}
