//! Check digits and other rules that a number has to keep. Values come without separators and in
//! capitals; each function says whether the whole value keeps the rule of its issuer.

mod america;
mod asia;
mod europe;
mod finance;
mod north;

/// A check on a compact value.
pub(crate) type Check = fn(&[u8]) -> bool;

/// Years of birth after this one are refused where only two digits of a year are given. It moves
/// with the releases, since this crate reads no clock.
const LATEST_YEAR: u32 = 2026;

/// The check of this name.
pub(crate) fn by_name(name: &str) -> Option<Check> {
    [
        europe::CHECKS,
        north::CHECKS,
        america::CHECKS,
        asia::CHECKS,
        finance::CHECKS,
    ]
    .into_iter()
    .flatten()
    .find(|(n, _)| *n == name)
    .map(|(_, c)| *c)
}

/// The names of all checks.
pub fn names() -> impl Iterator<Item = &'static str> {
    [
        europe::CHECKS,
        north::CHECKS,
        america::CHECKS,
        asia::CHECKS,
        finance::CHECKS,
    ]
    .into_iter()
    .flatten()
    .map(|(n, _)| *n)
}

/// Whether a number, written with or without separators, keeps the rules of its kind; `None` when
/// there is no such kind. Kinds are named as in the detectors' files: `de.idnr`, `iban`, …
#[must_use]
pub fn check(kind: &str, number: &str) -> Option<bool> {
    let check = by_name(kind)?;
    // Where the dash says something, it has to stand where it says it.
    let dash = number.trim().find('-');
    let misplaced = match kind {
        "fi.hetu" => dash.map_or(number.trim().len() == 10, |i| i != 6),
        "se.personnummer" => dash.is_some_and(|i| i + 5 != number.trim().len()),
        _ => false,
    };
    if misplaced {
        return Some(false);
    }
    let compact: Vec<u8> = number
        .bytes()
        .filter(|b| b.is_ascii_alphanumeric() || b"+*&".contains(b))
        .map(|b| b.to_ascii_uppercase())
        .collect();
    Some(!compact.is_empty() && compact.len() <= 64 && check(&compact))
}

fn all_digits(v: &[u8]) -> bool {
    v.iter().all(u8::is_ascii_digit)
}

fn digits(v: &[u8], n: usize) -> bool {
    v.len() == n && all_digits(v)
}

/// The value of a digit; callers have made sure that it is one.
fn d(v: &[u8], i: usize) -> u32 {
    u32::from(v[i].wrapping_sub(b'0'))
}

fn number(v: &[u8]) -> u64 {
    v.iter()
        .fold(0, |n, b| n * 10 + u64::from(b.wrapping_sub(b'0')))
}

fn rest(v: &[u8], modulus: u64) -> u64 {
    v.iter().fold(0, |n, b| {
        (n * 10 + u64::from(b.wrapping_sub(b'0'))) % modulus
    })
}

fn sum(v: &[u8], weights: &[u32]) -> u32 {
    weights.iter().enumerate().map(|(i, w)| w * d(v, i)).sum()
}

/// ISO/IEC 7812-1, annex B.
pub(crate) fn luhn(v: &[u8]) -> bool {
    let total: u32 = v
        .iter()
        .rev()
        .enumerate()
        .map(|(i, b)| {
            let n = u32::from(b.wrapping_sub(b'0'));
            if i % 2 == 1 {
                n * 2 - if n > 4 { 9 } else { 0 }
            } else {
                n
            }
        })
        .sum();
    total.is_multiple_of(10)
}

/// ISO/IEC 7064, MOD 11,10.
fn mod_11_10(v: &[u8]) -> bool {
    let mut check = 5;
    for i in 0..v.len() {
        let c = if check == 0 { 10 } else { check };
        check = ((c * 2) % 11 + d(v, i)) % 10;
    }
    check == 1
}

fn leap(year: u32) -> bool {
    year.is_multiple_of(4) && (!year.is_multiple_of(100) || year.is_multiple_of(400))
}

/// Whether the day exists in the Gregorian calendar.
fn date(year: u32, month: u32, day: u32) -> bool {
    let last = match month {
        1 | 3 | 5 | 7 | 8 | 10 | 12 => 31,
        4 | 6 | 9 | 11 => 30,
        2 if leap(year) => 29,
        2 => 28,
        _ => return false,
    };
    (1..=last).contains(&day)
}

fn two(v: &[u8], i: usize) -> u32 {
    d(v, i) * 10 + d(v, i + 1)
}
