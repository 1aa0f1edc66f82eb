//! Cards and securities.

use super::{Check, all_digits, luhn};

pub(super) const CHECKS: &[(&str, Check)] = &[
    ("luhn", |v| all_digits(v) && luhn(v)),
    ("payment_card", payment_card),
    ("iban", crate::builtin::iban::valid),
    ("pem_body", pem_body),
    ("isin", isin),
    ("cusip", cusip),
    ("imei", |v| v.len() == 15 && all_digits(v) && luhn(v)),
    ("lei", lei),
    ("vin", vin),
    ("bic", bic),
    ("aws_account", |v| v.len() == 12 && all_digits(v)),
];

/// Issuer prefixes with the lengths that their cards have (ISO/IEC 7812, the schemes' own lists).
fn scheme(v: &[u8]) -> bool {
    let head = |n: usize| {
        v[..n]
            .iter()
            .fold(0_u32, |a, b| a * 10 + u32::from(b - b'0'))
    };
    let (two, three, four, six) = (head(2), head(3), head(4), head(6));
    match v.len() {
        13 => v[0] == b'4',
        14 => matches!(three, 300..=305 | 309) || matches!(two, 36 | 38 | 39),
        15 => matches!(two, 34 | 37) || matches!(four, 2014 | 2149),
        16 => {
            v[0] == b'4'
                || matches!(two, 51..=55)
                || matches!(four, 2221..=2720)
                || four == 6011
                || matches!(three, 644..=649)
                || two == 65
                || matches!(four, 3528..=3589)
                || two == 62
                || matches!(six, 810_000..=817_199)
                || matches!(four, 2200..=2204)
                || matches!(two, 50 | 56..=58)
                || matches!(four, 6304 | 6390 | 6759 | 6761..=6763 | 5018 | 5020 | 5038)
                || matches!(three, 300..=305 | 309)
                || matches!(two, 36 | 38 | 39)
                || two == 60
                || matches!(four, 9792)
        }
        17 | 18 => matches!(two, 50 | 56..=58 | 62 | 67) || matches!(four, 6304 | 6390),
        19 => {
            v[0] == b'4'
                || matches!(two, 50 | 56..=58 | 62 | 65 | 67)
                || four == 6011
                || matches!(four, 3528..=3589 | 2200..=2204)
        }
        _ => false,
    }
}

fn payment_card(v: &[u8]) -> bool {
    (13..=19).contains(&v.len())
        && all_digits(v)
        && scheme(v)
        && luhn(v)
        && v[4..].iter().any(|b| *b != b'0')
}

fn value36(b: u8) -> Option<u32> {
    match b {
        b'0'..=b'9' => Some(u32::from(b - b'0')),
        b'A'..=b'Z' => Some(u32::from(b - b'A') + 10),
        _ => None,
    }
}

/// ISO 6166.
fn isin(v: &[u8]) -> bool {
    if v.len() != 12 || !v[..2].iter().all(u8::is_ascii_uppercase) || !v[11].is_ascii_digit() {
        return false;
    }
    let mut spelled = Vec::with_capacity(24);
    for b in v {
        let Some(n) = value36(*b) else { return false };
        if n > 9 {
            spelled.push(b'0' + (n / 10) as u8);
        }
        spelled.push(b'0' + (n % 10) as u8);
    }
    luhn(&spelled)
}

fn cusip(v: &[u8]) -> bool {
    if v.len() != 9 || !v[8].is_ascii_digit() {
        return false;
    }
    let mut total = 0;
    for (i, b) in v[..8].iter().enumerate() {
        let Some(n) = value36(*b) else { return false };
        let n = if i % 2 == 1 { n * 2 } else { n };
        total += n / 10 + n % 10;
    }
    (10 - total % 10) % 10 == u32::from(v[8] - b'0')
}

/// ISO 17442: MOD 97-10 over letters as numbers.
fn lei(v: &[u8]) -> bool {
    if v.len() != 20 || !v[18..].iter().all(u8::is_ascii_digit) {
        return false;
    }
    let mut rest = 0;
    for b in v {
        let Some(n) = value36(*b) else { return false };
        rest = if n > 9 { rest * 100 + n } else { rest * 10 + n } % 97;
    }
    rest == 1
}

/// ISO 3779 with the North American check digit.
fn vin(v: &[u8]) -> bool {
    const WEIGHTS: [u32; 17] = [8, 7, 6, 5, 4, 3, 2, 10, 0, 9, 8, 7, 6, 5, 4, 3, 2];
    if v.len() != 17 {
        return false;
    }
    let mut total = 0;
    for (b, w) in v.iter().zip(WEIGHTS) {
        let n = match b {
            b'0'..=b'9' => u32::from(b - b'0'),
            b'A'..=b'H' => u32::from(b - b'A') + 1,
            b'J'..=b'N' => u32::from(b - b'J') + 1,
            b'P' => 7,
            b'R' => 9,
            b'S'..=b'Z' => u32::from(b - b'S') + 2,
            _ => return false,
        };
        total += n * w;
    }
    v[8] == b"0123456789X"[(total % 11) as usize]
}

/// ISO 9362: four letters, a country, a place, perhaps a branch.
fn bic(v: &[u8]) -> bool {
    matches!(v.len(), 8 | 11) && v[..6].iter().all(u8::is_ascii_uppercase)
}

/// Key material between the lines that begin and end a key: a documentation often shows the lines alone.
fn pem_body(v: &[u8]) -> bool {
    let code = |b: &u8| b.is_ascii_alphanumeric() || matches!(b, b'+' | b'/' | b'=');
    v.split(|b| !code(b)).any(|run| run.len() >= 24)
}
