//! Decimal arithmetic that never loses a digit.
//!
//! `rust_decimal` rounds a product or a sum whose digits do not fit. Here that is an error
//! ([`MoneyError::Inexact`]), because a rate that was silently rounded is a wrong invoice.
//! Results are normalised: no trailing zeros after the point, no negative zero.

use rust_decimal::Decimal;

use crate::MoneyError;

const MAX_SCALE: u32 = 28;
const POW10: [i128; 39] = {
    let mut p = [1i128; 39];
    let mut i = 1;
    while i < 39 {
        p[i] = p[i - 1] * 10;
        i += 1;
    }
    p
};

/// Ten to the power `n`, where it fits.
pub(crate) fn pow10(n: u32) -> Option<i128> {
    POW10.get(n as usize).copied()
}

/// A decimal as (mantissa, scale) with trailing zeros after the point removed.
pub(crate) fn parts(d: Decimal) -> (i128, u32) {
    let (mut m, mut s) = (d.mantissa(), d.scale());
    while s > 0 && m % 10 == 0 {
        m /= 10;
        s -= 1;
    }
    (m, s)
}

/// A decimal from a mantissa and a scale, shedding trailing zeros until it fits.
fn build(mut m: i128, mut s: u32, what: &'static str) -> Result<Decimal, MoneyError> {
    while s > 0 && m % 10 == 0 {
        m /= 10;
        s -= 1;
    }
    if s > MAX_SCALE {
        return Err(MoneyError::Inexact(what));
    }
    Decimal::try_from_i128_with_scale(m, s).map_err(|_| MoneyError::Inexact(what))
}

/// The exact sum.
///
/// # Errors
/// [`MoneyError::Inexact`] when it does not fit.
pub fn add(a: Decimal, b: Decimal) -> Result<Decimal, MoneyError> {
    const WHAT: &str = "an addition";
    let ((ma, sa), (mb, sb)) = (parts(a), parts(b));
    let s = sa.max(sb);
    let up = |m: i128, from: u32| {
        pow10(s - from)
            .and_then(|p| m.checked_mul(p))
            .ok_or(MoneyError::Inexact(WHAT))
    };
    let m = up(ma, sa)?
        .checked_add(up(mb, sb)?)
        .ok_or(MoneyError::Inexact(WHAT))?;
    build(m, s, WHAT)
}

/// The exact difference `a - b`.
///
/// # Errors
/// [`MoneyError::Inexact`] when it does not fit.
pub fn sub(a: Decimal, b: Decimal) -> Result<Decimal, MoneyError> {
    add(a, -b)
}

/// The exact product.
///
/// # Errors
/// [`MoneyError::Inexact`] when it does not fit.
pub fn mul(a: Decimal, b: Decimal) -> Result<Decimal, MoneyError> {
    const WHAT: &str = "a multiplication";
    let ((ma, sa), (mb, sb)) = (parts(a), parts(b));
    let m = ma.checked_mul(mb).ok_or(MoneyError::Inexact(WHAT))?;
    build(m, sa + sb, WHAT)
}

/// The exact sum of many decimals.
///
/// # Errors
/// [`MoneyError::Inexact`] when a partial sum does not fit.
pub fn sum(values: impl IntoIterator<Item = Decimal>) -> Result<Decimal, MoneyError> {
    values.into_iter().try_fold(Decimal::ZERO, add)
}

/// `rate` per cent of `value`, exactly.
///
/// # Errors
/// [`MoneyError::Inexact`] when it does not fit.
pub fn percent(value: Decimal, rate: Decimal) -> Result<Decimal, MoneyError> {
    mul(mul(value, rate)?, Decimal::new(1, 2))
}

/// The same number without trailing zeros after the point and without a negative zero.
#[must_use]
pub fn normalise(d: Decimal) -> Decimal {
    let (m, s) = parts(d);
    Decimal::try_from_i128_with_scale(m, s).unwrap_or(d)
}

/// `value * numerator / denominator`, rounded half away from zero to `digits` after the point.
///
/// The quotient is computed on integers, so that nothing is rounded before the last step.
///
/// # Errors
/// [`MoneyError::Denominator`] when the denominator is not above zero; [`MoneyError::Inexact`]
/// when an intermediate integer does not fit in 128 bits.
pub fn mul_ratio(
    value: Decimal,
    numerator: i64,
    denominator: i64,
    digits: u32,
) -> Result<Decimal, MoneyError> {
    const WHAT: &str = "a share";
    if denominator <= 0 {
        return Err(MoneyError::Denominator);
    }
    let g = gcd(i128::from(numerator).abs(), i128::from(denominator)).max(1);
    let (n, d) = (i128::from(numerator) / g, i128::from(denominator) / g);
    let (m, s) = parts(value);
    let inexact = MoneyError::Inexact(WHAT);
    let mut num = m.checked_mul(n).ok_or(inexact.clone())?;
    let mut den = d;
    if digits >= s {
        num = pow10(digits - s)
            .and_then(|p| num.checked_mul(p))
            .ok_or(inexact)?;
    } else {
        den = pow10(s - digits)
            .and_then(|p| den.checked_mul(p))
            .ok_or(inexact)?;
    }
    build(div_half_away(num, den), digits, WHAT)
}

/// Integer division rounded half away from zero; `den` is above zero.
fn div_half_away(num: i128, den: i128) -> i128 {
    let (q, r) = (num / den, num % den);
    // |r| < den, so the comparison is written without a doubling that could overflow.
    if r.abs() >= den - r.abs() {
        q + num.signum()
    } else {
        q
    }
}

/// The greatest common divisor of two numbers that are not negative.
pub(crate) fn gcd(mut a: i128, mut b: i128) -> i128 {
    while b != 0 {
        (a, b) = (b, a % b);
    }
    a
}

/// Reads a decimal: an optional sign, digits, an optional point with digits, an optional exponent.
///
/// # Errors
/// [`MoneyError::NotANumber`] for anything else (NaN, infinity, spaces, hexadecimal, empty text);
/// [`MoneyError::OutOfRange`] when the number needs more than 28 digits.
pub fn parse(text: &str) -> Result<Decimal, MoneyError> {
    let shown = || text.chars().take(40).collect::<String>();
    let bad = || MoneyError::NotANumber(shown());
    let out = || MoneyError::OutOfRange(shown());
    if text.len() > 200 {
        return Err(out());
    }
    let b = text.as_bytes();
    // Counts are most of what is metered: up to 18 digits need none of what follows.
    if !b.is_empty() && b.len() <= 18 && b.iter().all(u8::is_ascii_digit) {
        let n = b.iter().fold(0i64, |n, c| n * 10 + i64::from(c - b'0'));
        return Ok(Decimal::from(n));
    }
    let mut i = 0;
    let negative = match b.first() {
        Some(b'-') => {
            i = 1;
            true
        }
        Some(b'+') => {
            i = 1;
            false
        }
        _ => false,
    };
    let (mut mantissa, mut scale, mut digits, mut point) = (0i128, 0i64, 0usize, false);
    // Zeros are counted and applied only when another digit follows, so that a long tail of
    // zeros after the point is not mistaken for precision.
    let mut zeros = 0u32;
    while let Some(&c) = b.get(i) {
        match c {
            b'0'..=b'9' => {
                digits += 1;
                if point {
                    scale += 1;
                }
                if c == b'0' {
                    zeros += u32::from(mantissa != 0);
                } else {
                    mantissa = pow10(zeros + 1)
                        .and_then(|p| mantissa.checked_mul(p))
                        .and_then(|m| m.checked_add(i128::from(c - b'0')))
                        .ok_or_else(out)?;
                    zeros = 0;
                }
            }
            b'.' if !point && digits > 0 && b.get(i + 1).is_some_and(u8::is_ascii_digit) => {
                point = true;
            }
            b'e' | b'E' if digits > 0 => break,
            _ => return Err(bad()),
        }
        i += 1;
    }
    if digits == 0 {
        return Err(bad());
    }
    let exponent = if i < b.len() {
        let e = &text[i + 1..];
        let unsigned = e.strip_prefix(['+', '-']).unwrap_or(e);
        if unsigned.is_empty() || !unsigned.bytes().all(|c| c.is_ascii_digit()) {
            return Err(bad());
        }
        // More exponent digits than i64 holds: certainly out of range unless the number is zero.
        e.parse::<i64>().unwrap_or(if e.starts_with('-') {
            -1_000_000
        } else {
            1_000_000
        })
    } else {
        0
    };
    if mantissa == 0 {
        return Ok(Decimal::ZERO);
    }
    let mut scale = scale
        .checked_sub(i64::from(zeros))
        .and_then(|s| s.checked_sub(exponent))
        .ok_or_else(out)?;
    if scale < 0 {
        mantissa = u32::try_from(-scale)
            .ok()
            .and_then(pow10)
            .and_then(|p| mantissa.checked_mul(p))
            .ok_or_else(out)?;
        scale = 0;
    }
    let scale = u32::try_from(scale)
        .ok()
        .filter(|s| *s <= MAX_SCALE)
        .ok_or_else(out)?;
    let signed = if negative { -mantissa } else { mantissa };
    Decimal::try_from_i128_with_scale(signed, scale).map_err(|_| out())
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use super::*;

    #[test]
    fn a_product_that_would_be_rounded_is_an_error() {
        let tiny = parse("0.000000000000001").unwrap();
        assert_eq!(
            mul(tiny, tiny),
            Err(MoneyError::Inexact("a multiplication"))
        );
        assert_eq!(
            mul(parse("2.50").unwrap(), parse("0.000001").unwrap())
                .unwrap()
                .to_string(),
            "0.0000025"
        );
    }

    #[test]
    fn a_sum_that_would_be_rounded_is_an_error() {
        let big = parse("79228162514264337593543950335").unwrap();
        assert!(add(big, parse("0.1").unwrap()).is_err());
        assert!(add(big, Decimal::ONE).is_err());
        assert_eq!(sub(big, big).unwrap(), Decimal::ZERO);
    }

    #[test]
    fn numbers_are_read_exactly_or_refused() {
        for (text, want) in [
            ("0", "0"),
            ("-0", "0"),
            ("1.50", "1.5"),
            ("1e3", "1000"),
            ("12.5E-1", "1.25"),
            ("+7", "7"),
            ("1.0049999999999999999", "1.0049999999999999999"),
            ("0e999999999999999999999", "0"),
            ("1000000000000000000000000000e-27", "1"),
            ("007", "7"),
            ("1.00000000000000000000000000000000000000000000", "1"),
        ] {
            assert_eq!(parse(text).unwrap().to_string(), want, "{text}");
        }
        for text in [
            "", "-", ".", ".5", "5.", "NaN", "inf", "1e", "1e+", "0x10", "1_000", " 1", "1,5",
            "1e5.0", "١",
        ] {
            assert!(
                matches!(parse(text), Err(MoneyError::NotANumber(_))),
                "{text}"
            );
        }
        for text in [
            "1e400",
            "1e-400",
            "79228162514264337593543950336",
            "0.00000000000000000000000000001",
        ] {
            assert!(
                matches!(parse(text), Err(MoneyError::OutOfRange(_))),
                "{text}"
            );
        }
    }

    #[test]
    fn a_share_is_rounded_once() {
        let price = parse("100").unwrap();
        assert_eq!(mul_ratio(price, 10, 31, 2).unwrap().to_string(), "32.26");
        assert_eq!(
            mul_ratio(parse("0.01").unwrap(), -1, 2, 2)
                .unwrap()
                .to_string(),
            "-0.01"
        );
        assert_eq!(mul_ratio(price, 1, 0, 2), Err(MoneyError::Denominator));
    }
}
