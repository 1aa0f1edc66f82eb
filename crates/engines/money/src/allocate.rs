//! Dividing an amount so that the parts sum to the whole.

use rust_decimal::Decimal;

use crate::{Money, MoneyError, exact};

/// Splits `total` in proportion to `weights` by the largest remainder.
///
/// Every part gets its exact share rounded towards zero; the minor units that remain go one each
/// to the parts with the largest fractions, ties to the earlier part. A negative total is split
/// like its opposite. The parts always sum to `total`; a weight of zero gets nothing.
///
/// # Errors
/// [`MoneyError::Weights`] when a weight is negative or none is above zero;
/// [`MoneyError::Inexact`] when weights and total together need more than 127 bits.
pub fn allocate(total: Money, weights: &[Decimal]) -> Result<Vec<Money>, MoneyError> {
    const WHAT: &str = "an allocation";
    let inexact = || MoneyError::Inexact(WHAT);
    let scale = weights
        .iter()
        .map(|w| exact::parts(*w).1)
        .max()
        .unwrap_or(0);
    let mut units = Vec::with_capacity(weights.len());
    for w in weights {
        let (m, s) = exact::parts(*w);
        if m < 0 {
            return Err(MoneyError::Weights);
        }
        let up = exact::pow10(scale - s)
            .and_then(|p| m.checked_mul(p))
            .ok_or_else(inexact)?;
        units.push(up);
    }
    let divisor = units.iter().fold(0, |g, u| exact::gcd(g, *u));
    if divisor == 0 {
        return Err(MoneyError::Weights);
    }
    for u in &mut units {
        *u /= divisor;
    }
    let sum = units
        .iter()
        .try_fold(0i128, |a, u| a.checked_add(*u))
        .ok_or_else(inexact)?;
    let whole = i128::from(total.minor().unsigned_abs());
    let mut parts = Vec::with_capacity(units.len());
    let mut remainders = Vec::with_capacity(units.len());
    let mut given = 0i128;
    for (i, u) in units.iter().enumerate() {
        let product = whole.checked_mul(*u).ok_or_else(inexact)?;
        given += product / sum;
        parts.push(product / sum);
        remainders.push((product % sum, i));
    }
    remainders.sort_by(|a, b| b.0.cmp(&a.0).then(a.1.cmp(&b.1)));
    let left = usize::try_from(whole - given).map_err(|_| MoneyError::Overflow)?;
    for (_, i) in remainders.iter().take(left) {
        parts[*i] += 1;
    }
    let sign = i128::from(total.minor().signum());
    parts
        .into_iter()
        .map(|p| {
            let minor = i64::try_from(p * sign).map_err(|_| MoneyError::Overflow)?;
            Ok(Money::from_minor(minor, total.currency()))
        })
        .collect()
}
