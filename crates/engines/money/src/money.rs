//! An amount of a currency.

use std::cmp::Ordering;
use std::fmt;
use std::iter::repeat_n;

use rust_decimal::{Decimal, RoundingStrategy};
use serde::{Deserialize, Deserializer, Serialize, Serializer};

use crate::{Currency, MoneyError, exact};

/// A whole number of minor units of a currency: 12.34 USD is 1,234 cents.
///
/// All arithmetic is checked. There is no division: use [`allocate`](crate::allocate).
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub struct Money {
    minor: i64,
    currency: Currency,
}

impl Money {
    /// An amount from minor units (cents for USD, yen for JPY, fils for KWD).
    #[must_use]
    pub fn from_minor(minor: i64, currency: Currency) -> Self {
        Self { minor, currency }
    }

    /// Nothing, in `currency`.
    #[must_use]
    pub fn zero(currency: Currency) -> Self {
        Self::from_minor(0, currency)
    }

    /// Rounds an exact decimal half away from zero to the minor unit.
    ///
    /// # Errors
    /// [`MoneyError::Overflow`] above 19 digits of minor units.
    pub fn round(value: Decimal, currency: Currency) -> Result<Self, MoneyError> {
        let digits = currency.digits();
        let rounded = value.round_dp_with_strategy(digits, RoundingStrategy::MidpointAwayFromZero);
        let up = exact::pow10(digits - rounded.scale().min(digits)).ok_or(MoneyError::Overflow)?;
        let minor = rounded
            .mantissa()
            .checked_mul(up)
            .ok_or(MoneyError::Overflow)?;
        let minor = i64::try_from(minor).map_err(|_| MoneyError::Overflow)?;
        Ok(Self { minor, currency })
    }

    /// Reads an amount such as `12.34`; digits beyond the minor unit must be zero.
    ///
    /// # Errors
    /// The errors of [`exact::parse`], [`MoneyError::TooPrecise`] and [`MoneyError::Overflow`].
    pub fn parse(text: &str, currency: Currency) -> Result<Self, MoneyError> {
        let value = exact::parse(text)?;
        if exact::parts(value).1 > currency.digits() {
            return Err(MoneyError::TooPrecise {
                amount: text.chars().take(40).collect(),
                digits: currency.digits(),
                currency,
            });
        }
        Self::round(value, currency)
    }

    /// The amount in minor units.
    #[must_use]
    pub fn minor(self) -> i64 {
        self.minor
    }

    /// The currency.
    #[must_use]
    pub fn currency(self) -> Currency {
        self.currency
    }

    /// The amount in major units, exactly.
    #[must_use]
    pub fn to_decimal(self) -> Decimal {
        Decimal::new(self.minor, self.currency.digits())
    }

    /// The amount as a decimal string with all minor digits and without the currency: `12.30`.
    #[must_use]
    pub fn amount(self) -> String {
        let digits = self.currency.digits() as usize;
        let mut text = self.minor.unsigned_abs().to_string();
        if text.len() <= digits {
            let pad: String = repeat_n('0', digits + 1 - text.len()).collect();
            text.insert_str(0, &pad);
        }
        if digits > 0 {
            text.insert(text.len() - digits, '.');
        }
        if self.minor < 0 {
            text.insert(0, '-');
        }
        text
    }

    /// Whether the amount is zero.
    #[must_use]
    pub fn is_zero(self) -> bool {
        self.minor == 0
    }

    /// Whether the amount is below zero.
    #[must_use]
    pub fn is_negative(self) -> bool {
        self.minor < 0
    }

    /// The sum of two amounts.
    ///
    /// # Errors
    /// [`MoneyError::CurrencyMismatch`] and [`MoneyError::Overflow`].
    pub fn checked_add(self, other: Self) -> Result<Self, MoneyError> {
        self.same_currency(other)?;
        let minor = self
            .minor
            .checked_add(other.minor)
            .ok_or(MoneyError::Overflow)?;
        Ok(Self { minor, ..self })
    }

    /// The difference of two amounts.
    ///
    /// # Errors
    /// [`MoneyError::CurrencyMismatch`] and [`MoneyError::Overflow`].
    pub fn checked_sub(self, other: Self) -> Result<Self, MoneyError> {
        self.same_currency(other)?;
        let minor = self
            .minor
            .checked_sub(other.minor)
            .ok_or(MoneyError::Overflow)?;
        Ok(Self { minor, ..self })
    }

    /// The amount with the opposite sign.
    ///
    /// # Errors
    /// [`MoneyError::Overflow`] for the lowest amount, which has no opposite.
    pub fn checked_neg(self) -> Result<Self, MoneyError> {
        let minor = self.minor.checked_neg().ok_or(MoneyError::Overflow)?;
        Ok(Self { minor, ..self })
    }

    /// The sum of many amounts of one currency; zero when there are none.
    ///
    /// # Errors
    /// [`MoneyError::CurrencyMismatch`] and [`MoneyError::Overflow`].
    pub fn sum(
        currency: Currency,
        amounts: impl IntoIterator<Item = Self>,
    ) -> Result<Self, MoneyError> {
        amounts
            .into_iter()
            .try_fold(Self::zero(currency), Self::checked_add)
    }

    /// Compares two amounts of one currency.
    ///
    /// # Errors
    /// [`MoneyError::CurrencyMismatch`].
    pub fn compare(self, other: Self) -> Result<Ordering, MoneyError> {
        self.same_currency(other)?;
        Ok(self.minor.cmp(&other.minor))
    }

    fn same_currency(self, other: Self) -> Result<(), MoneyError> {
        if self.currency == other.currency {
            Ok(())
        } else {
            Err(MoneyError::CurrencyMismatch(self.currency, other.currency))
        }
    }
}

impl fmt::Display for Money {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} {}", self.amount(), self.currency)
    }
}

#[derive(Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct Wire {
    amount: String,
    currency: Currency,
}

impl Serialize for Money {
    fn serialize<S: Serializer>(&self, s: S) -> Result<S::Ok, S::Error> {
        Wire {
            amount: self.amount(),
            currency: self.currency,
        }
        .serialize(s)
    }
}

impl<'de> Deserialize<'de> for Money {
    fn deserialize<D: Deserializer<'de>>(d: D) -> Result<Self, D::Error> {
        let wire = Wire::deserialize(d)?;
        Self::parse(&wire.amount, wire.currency).map_err(serde::de::Error::custom)
    }
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use super::*;

    fn cur(code: &str) -> Currency {
        Currency::from_code(code).unwrap()
    }

    #[test]
    fn amounts_show_all_minor_digits() {
        for (minor, code, want) in [
            (0, "USD", "0.00"),
            (5, "USD", "0.05"),
            (-5, "USD", "-0.05"),
            (1234, "USD", "12.34"),
            (985, "JPY", "985"),
            (-1, "JPY", "-1"),
            (1563, "KWD", "1.563"),
            (1, "KWD", "0.001"),
            (i64::MIN, "USD", "-92233720368547758.08"),
        ] {
            let m = Money::from_minor(minor, cur(code));
            assert_eq!(m.amount(), want);
            assert_eq!(Money::parse(want, cur(code)).unwrap(), m);
            assert_eq!(m.to_decimal().to_string(), want);
        }
    }

    #[test]
    fn too_much_is_an_error() {
        let max = Money::from_minor(i64::MAX, cur("USD"));
        assert_eq!(
            max.checked_add(Money::from_minor(1, cur("USD"))),
            Err(MoneyError::Overflow)
        );
        assert_eq!(
            Money::round(Decimal::MAX, cur("USD")),
            Err(MoneyError::Overflow)
        );
        assert!(matches!(
            Money::parse("0.001", cur("USD")),
            Err(MoneyError::TooPrecise { .. })
        ));
        assert!(matches!(
            max.checked_add(Money::zero(cur("EUR"))),
            Err(MoneyError::CurrencyMismatch(..))
        ));
    }

    #[test]
    fn json_keeps_the_digits() {
        let m = Money::from_minor(1230, cur("USD"));
        let json = serde_json::to_string(&m).unwrap();
        assert_eq!(json, r#"{"amount":"12.30","currency":"USD"}"#);
        assert_eq!(serde_json::from_str::<Money>(&json).unwrap(), m);
        for bad in [
            r#"{"amount":"12.345","currency":"USD"}"#,
            r#"{"amount":"1","currency":"XXX"}"#,
            r#"{"amount":1,"currency":"USD"}"#,
            r#"{"amount":"1","currency":"USD","x":1}"#,
        ] {
            assert!(serde_json::from_str::<Money>(bad).is_err(), "{bad}");
        }
    }
}
