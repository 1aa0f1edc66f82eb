//! What can go wrong with money, and what the caller can do.

use crate::Currency;

/// An operation on money or on an exact decimal that has no exact answer.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum MoneyError {
    /// The code is not an ISO 4217 currency with minor units.
    #[error(
        "unknown currency `{0}`: use an ISO 4217 code of a currency that can be charged, such as USD"
    )]
    UnknownCurrency(String),
    /// Two amounts of different currencies met.
    #[error("cannot combine {0} with {1}: convert one of them first")]
    CurrencyMismatch(Currency, Currency),
    /// The result does not fit: 19 digits of minor units for money.
    #[error("the amount is too large: money holds at most 19 digits of minor units")]
    Overflow,
    /// The exact result needs more than a decimal holds (28 digits after the point, 96 bits).
    #[error(
        "the exact result of {0} needs more digits than a decimal holds (28 digits): use fewer digits"
    )]
    Inexact(&'static str),
    /// The text is not a decimal number.
    #[error(
        "`{0}` is not a decimal number: write digits with an optional sign, point and exponent"
    )]
    NotANumber(String),
    /// The number is valid but has more digits than a decimal holds.
    #[error("`{0}` is out of range: at most 28 digits, at most 28 of them after the point")]
    OutOfRange(String),
    /// The amount has more digits after the point than the currency has minor units.
    #[error(
        "`{amount}` has more than {digits} digits after the point, the minor units of {currency}"
    )]
    TooPrecise {
        /// The amount as written.
        amount: String,
        /// The minor-unit digits of the currency.
        digits: u32,
        /// The currency.
        currency: Currency,
    },
    /// Weights of an allocation are negative, all zero or absent.
    #[error("weights must not be negative and at least one must be above zero")]
    Weights,
    /// A ratio has a denominator of zero or below.
    #[error("a share needs a denominator above zero")]
    Denominator,
}
