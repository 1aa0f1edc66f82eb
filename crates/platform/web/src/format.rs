//! Numbers, amounts, sizes and times as people read them.

use jiff::Timestamp;
use jiff::tz::TimeZone;
use rust_decimal::Decimal;
use sealwright_money::Money;

/// A no-break space: number and unit never part.
pub const NBSP: char = '\u{a0}';

/// A decimal number with its digits grouped by commas: `1,284,113,902`, `-1,234.50`.
#[must_use]
pub fn group(number: &str) -> String {
    let (sign, rest) = number
        .strip_prefix('-')
        .map_or(("", number), |rest| ("\u{2212}", rest));
    let (whole, fraction) = rest
        .split_once('.')
        .map_or((rest, None), |(w, f)| (w, Some(f)));
    let mut out = String::with_capacity(number.len() + number.len() / 3 + 2);
    out.push_str(sign);
    let count = whole.chars().count();
    for (i, c) in whole.chars().enumerate() {
        if i > 0 && (count - i) % 3 == 0 {
            out.push(',');
        }
        out.push(c);
    }
    if let Some(fraction) = fraction {
        out.push('.');
        out.push_str(fraction);
    }
    out
}

/// An exact decimal, grouped, without trailing zeros.
#[must_use]
pub fn decimal(value: Decimal) -> String {
    group(&value.normalize().to_string())
}

/// A whole number, grouped.
#[must_use]
pub fn integer(value: i64) -> String {
    group(&value.to_string())
}

/// An amount without its currency, as a column whose head names the currency shows it.
#[must_use]
pub fn amount(money: Money) -> String {
    group(&money.amount())
}

/// An amount with its currency: `€ 184,302.17`, `CHF 12.00`.
#[must_use]
pub fn money(money: Money) -> String {
    let code = money.currency().code();
    let mark = match code {
        "EUR" => "€",
        "GBP" => "£",
        "USD" => "$",
        // Signs that several currencies share are written as the code.
        code => code,
    };
    format!("{mark}{NBSP}{}", amount(money))
}

/// A share as a percentage; `places` decimals, half away from zero.
#[must_use]
pub fn percent(share: Decimal, places: u32) -> String {
    let scaled = share
        .checked_mul(Decimal::ONE_HUNDRED)
        .unwrap_or(Decimal::MAX);
    let rounded =
        scaled.round_dp_with_strategy(places, rust_decimal::RoundingStrategy::MidpointAwayFromZero);
    format!("{}{NBSP}%", decimal(rounded))
}

/// A size in bytes with a decimal prefix (SI, 1 kB = 1,000 B), three significant digits.
#[must_use]
pub fn bytes(size: u64) -> String {
    const UNITS: [&str; 7] = ["B", "kB", "MB", "GB", "TB", "PB", "EB"];
    let mut divisor: u64 = 1;
    let mut unit = 0;
    while unit + 1 < UNITS.len() && size / divisor >= 1000 {
        divisor *= 1000;
        unit += 1;
    }
    let name = UNITS[unit];
    let whole = size / divisor;
    let tenths = size % divisor / (divisor / 10).max(1);
    if unit > 0 && whole < 10 && tenths > 0 {
        format!("{whole}.{tenths}{NBSP}{name}")
    } else {
        format!("{whole}{NBSP}{name}")
    }
}

/// A moment to the second in a zone: `22 Nov 2026, 14:05:09`.
#[must_use]
pub fn moment(at: Timestamp, zone: &TimeZone) -> String {
    at.to_zoned(zone.clone())
        .strftime("%-d %b %Y, %H:%M:%S")
        .to_string()
}

/// A moment to the minute in a zone: `22 Nov 2026, 14:05`.
#[must_use]
pub fn minute(at: Timestamp, zone: &TimeZone) -> String {
    at.to_zoned(zone.clone())
        .strftime("%-d %b %Y, %H:%M")
        .to_string()
}

/// A day in a zone: `22 Nov 2026`.
#[must_use]
pub fn day(at: Timestamp, zone: &TimeZone) -> String {
    at.to_zoned(zone.clone()).strftime("%-d %b %Y").to_string()
}

/// An id or hash with its middle left out, when it is longer than `keep` characters on both
/// sides together.
#[must_use]
pub fn shorten(id: &str, keep: usize) -> String {
    let chars: Vec<char> = id.chars().collect();
    if chars.len() <= keep * 2 + 1 {
        return id.to_owned();
    }
    let head: String = chars[..keep].iter().collect();
    let tail: String = chars[chars.len() - keep..].iter().collect();
    format!("{head}…{tail}")
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::*;
    use sealwright_money::Currency;

    #[test]
    fn groups_digits() {
        assert_eq!(group("0"), "0");
        assert_eq!(group("-1234.50"), "\u{2212}1,234.50");
        assert_eq!(integer(1_284_113_902), "1,284,113,902");
        assert_eq!(integer(i64::MIN), "\u{2212}9,223,372,036,854,775,808");
        assert_eq!(decimal("1000.500".parse().unwrap()), "1,000.5");
    }

    #[test]
    fn writes_money_with_its_currency() {
        let eur = Currency::from_code("EUR").unwrap();
        let jpy = Currency::from_code("JPY").unwrap();
        assert_eq!(
            money(Money::from_minor(18_430_217, eur)),
            "€\u{a0}184,302.17"
        );
        assert_eq!(money(Money::from_minor(-500, jpy)), "JPY\u{a0}\u{2212}500");
    }

    #[test]
    fn writes_sizes_and_shares() {
        assert_eq!(bytes(999), "999\u{a0}B");
        assert_eq!(bytes(1_500), "1.5\u{a0}kB");
        assert_eq!(bytes(41_200), "41\u{a0}kB");
        assert_eq!(bytes(u64::MAX), "18\u{a0}EB");
        assert_eq!(percent("0.12345".parse().unwrap(), 1), "12.3\u{a0}%");
    }

    #[test]
    fn shortens_ids_in_the_middle() {
        assert_eq!(shorten("9f2c0000e41b", 4), "9f2c…e41b");
        assert_eq!(shorten("9f2ce41b", 4), "9f2ce41b");
    }
}
