//! Northern Europe and the Baltic.

use super::{Check, LATEST_YEAR, all_digits, d, date, digits, luhn, number, sum, two};

pub(super) const CHECKS: &[(&str, Check)] = &[
    ("dk.cpr", dk_cpr),
    ("ee.ik", ee_ik),
    ("fi.hetu", |v| fi_hetu(v, 899)),
    // With the temporary codes from 900 on.
    ("fi.hetu.any", |v| fi_hetu(v, 999)),
    ("fi.ytunnus", ytunnus),
    ("is.kennitala", is_kennitala),
    ("lt.asmens", lt_asmens),
    ("no.fodselsnummer", no_fodselsnummer),
    ("no.orgnr", |v| {
        digits(v, 9)
            && matches!(v[0], b'8' | b'9')
            && sum(v, &[3, 2, 7, 6, 5, 4, 3, 2, 1]).is_multiple_of(11)
    }),
    ("se.personnummer", se_personnummer),
    ("se.orgnr", |v| digits(v, 10) && v[2] >= b'2' && luhn(v)),
];

/// The check digit stopped being kept in 2007: the date is all there is to hold on to.
fn dk_cpr(v: &[u8]) -> bool {
    if !digits(v, 10) {
        return false;
    }
    let year = two(v, 4);
    let year = match d(v, 6) {
        5..=8 if year >= 58 => year + 1800,
        0..=3 => year + 1900,
        4 | 9 if year >= 37 => year + 1900,
        _ => year + 2000,
    };
    year <= LATEST_YEAR && date(year, two(v, 2), two(v, 0))
}

fn baltic_check(v: &[u8]) -> bool {
    let first: u32 = (0..10).map(|i| (i as u32 % 9 + 1) * d(v, i)).sum::<u32>() % 11;
    let check = if first == 10 {
        (0..10)
            .map(|i| ((i as u32 + 2) % 9 + 1) * d(v, i))
            .sum::<u32>()
            % 11
    } else {
        first
    };
    check % 10 == d(v, 10)
}

fn baltic_date(v: &[u8]) -> bool {
    let century = match v[0] {
        b'1' | b'2' => 1800,
        b'3' | b'4' => 1900,
        b'5' | b'6' => 2000,
        b'7' | b'8' => 2100,
        _ => return false,
    };
    date(century + two(v, 1), two(v, 3), two(v, 5))
}

fn ee_ik(v: &[u8]) -> bool {
    digits(v, 11) && baltic_date(v) && baltic_check(v)
}

fn lt_asmens(v: &[u8]) -> bool {
    digits(v, 11) && (v[0] == b'9' || baltic_date(v)) && baltic_check(v)
}

/// Personal identity code; without its sign of the century it is taken as of the 20th.
fn fi_hetu(v: &[u8], last: u64) -> bool {
    let (century, rest) = match v.len() {
        11 => (v[6], &v[7..]),
        10 => (b'-', &v[6..]),
        _ => return false,
    };
    let century = match century {
        b'+' => 1800,
        b'-' | b'U'..=b'Y' => 1900,
        b'A'..=b'F' => 2000,
        _ => return false,
    };
    if !all_digits(&v[..6]) || !all_digits(&rest[..3]) {
        return false;
    }
    let individual = number(&rest[..3]);
    let n = number(&v[..6]) * 1000 + individual;
    date(century + two(v, 4), two(v, 2), two(v, 0))
        && (2..=last).contains(&individual)
        && b"0123456789ABCDEFHJKLMNPRSTUVWXY"[(n % 31) as usize] == rest[3]
}

pub(super) fn ytunnus(v: &[u8]) -> bool {
    let v = v.strip_prefix(b"FI").unwrap_or(v);
    digits(v, 8) && sum(v, &[7, 9, 10, 5, 8, 4, 2, 1]).is_multiple_of(11)
}

fn is_kennitala(v: &[u8]) -> bool {
    if !digits(v, 10) || v[0] > b'7' || v[2] > b'1' || !matches!(v[9], b'0' | b'9') {
        return false;
    }
    let year = two(v, 4) + if v[9] == b'9' { 1900 } else { 2000 };
    let day = two(v, 0);
    let day = if day >= 40 { day - 40 } else { day };
    date(year, two(v, 2), day) && sum(v, &[3, 2, 7, 6, 5, 4, 3, 2, 1]).is_multiple_of(11)
}

fn no_fodselsnummer(v: &[u8]) -> bool {
    if !digits(v, 11) {
        return false;
    }
    let first = (11 - sum(v, &[3, 7, 6, 1, 8, 9, 4, 5, 2]) % 11) % 11;
    let second = (11 - sum(v, &[5, 4, 3, 2, 7, 6, 5, 4, 3, 2]) % 11) % 11;
    if first != d(v, 9) || second != d(v, 10) {
        return false;
    }
    let (mut day, mut month, year) = (two(v, 0), two(v, 2), two(v, 4));
    if day >= 80 {
        return false;
    }
    day -= if day > 40 { 40 } else { 0 };
    month -= if month > 40 { 40 } else { 0 };
    let year = match number(&v[6..9]) {
        0..=499 => year + 1900,
        500..=749 if year >= 54 => year + 1800,
        500..=999 if year < 40 => year + 2000,
        900..=999 => year + 1900,
        _ => return false,
    };
    year <= LATEST_YEAR && date(year, month, day)
}

/// Personal number with or without its century and sign.
fn se_personnummer(v: &[u8]) -> bool {
    let plus = v.contains(&b'+');
    let v: Vec<u8> = v.iter().copied().filter(|b| *b != b'+').collect();
    if !all_digits(&v) || !matches!(v.len(), 10 | 12) {
        return false;
    }
    let short = &v[v.len() - 10..];
    let year = if v.len() == 12 {
        number(&v[..4]) as u32
    } else {
        let mut century = LATEST_YEAR / 100;
        century -= u32::from(two(short, 0) > LATEST_YEAR % 100);
        century -= u32::from(plus);
        century * 100 + two(short, 0)
    };
    year >= 1 && date(year, two(short, 2), two(short, 4)) && luhn(short)
}
