//! Package: a price for each started package of units.

use sealwright_money::{Decimal, MoneyError, exact};
use serde::Serialize;

use super::{Charge, Step};
use crate::decimal_text;
use crate::fields::{Fields, Report, Sign};

/// Packages of units; a started package counts as a full one.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Package {
    /// Units in a package.
    #[serde(with = "decimal_text")]
    pub package_size: Decimal,
    /// The price of a package.
    #[serde(with = "decimal_text")]
    pub package_price: Decimal,
    /// Units that are free before the first package.
    #[serde(with = "decimal_text", skip_serializing_if = "Decimal::is_zero")]
    pub free_units: Decimal,
}

impl Package {
    pub(super) fn read(f: &mut Fields<'_>, report: &mut Report) -> Option<Self> {
        let package_size = f.need_number("package_size", Sign::Positive, report);
        let package_price = f.need_number("package_price", Sign::NotNegative, report);
        let free_units = f
            .number("free_units", Sign::NotNegative, report)
            .unwrap_or(Decimal::ZERO);
        Some(Self {
            package_size: package_size?,
            package_price: package_price?,
            free_units,
        })
    }

    /// The charge for a quantity.
    ///
    /// # Errors
    /// [`MoneyError::Inexact`] when the number of packages or the amount does not fit.
    pub fn charge(&self, quantity: Decimal) -> Result<Charge, MoneyError> {
        let charged = exact::sub(quantity, self.free_units)?.max(Decimal::ZERO);
        let packages = whole_packages(charged, self.package_size)?;
        let amount = exact::mul(packages, self.package_price)?;
        let step = Step::Packages {
            packages,
            unit: self.package_price,
            amount,
        };
        Ok(Charge {
            exact: amount,
            steps: vec![step],
        })
    }
}

/// `quantity / size`, rounded up. The library's quotient is rounded to 28 digits, so the count is
/// corrected by exact products: a quotient that was rounded to a whole number must not hide a
/// started package, nor invent one.
fn whole_packages(quantity: Decimal, size: Decimal) -> Result<Decimal, MoneyError> {
    let inexact = MoneyError::Inexact("a number of packages");
    let mut n = quantity.checked_div(size).ok_or(inexact)?.floor();
    if exact::mul(n, size)? > quantity {
        n = exact::sub(n, Decimal::ONE)?;
    }
    if exact::mul(n, size)? < quantity {
        n = exact::add(n, Decimal::ONE)?;
    }
    Ok(exact::normalise(n))
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use super::*;

    #[test]
    fn a_tiny_excess_starts_a_package() {
        let d = |s| exact::parse(s).unwrap();
        assert_eq!(
            whole_packages(d("3.0000000000000000000001"), d("3")).unwrap(),
            d("2")
        );
        assert_eq!(
            whole_packages(d("2.9999999999999999999999"), d("3")).unwrap(),
            d("1")
        );
        assert_eq!(whole_packages(d("0"), d("3")).unwrap(), d("0"));
        assert_eq!(whole_packages(d("1"), d("0.1")).unwrap(), d("10"));
    }
}
