//! Money in integer minor units of ISO 4217 currencies.
//!
//! [`Money`] is an amount that can be charged: a whole number of a currency's minor units.
//! Prices, rates and quantities are exact decimals (`rust_decimal`); [`exact`] holds the
//! arithmetic on them that refuses to lose a digit. The only step from a decimal to [`Money`] is
//! [`Money::round`], which rounds half away from zero, and the only way to divide [`Money`] is
//! [`allocate`], whose parts always sum to the whole.

mod allocate;
mod currency;
mod error;
pub mod exact;
mod money;

pub use allocate::allocate;
pub use currency::Currency;
pub use error::MoneyError;
pub use money::Money;

/// The decimal type of prices, rates and quantities.
pub use rust_decimal::Decimal;

#[cfg(doctest)]
#[doc = include_str!("../README.md")]
struct Readme;
