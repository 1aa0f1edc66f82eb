//! Central, western and southern Europe.

use super::{
    Check, LATEST_YEAR, all_digits, d, date, digits, luhn, mod_11_10, number, rest, sum, two,
};

pub(super) const CHECKS: &[(&str, Check)] = &[
    ("at.vnr", at_vnr),
    ("at.uid", at_uid),
    ("be.nn", be_nn),
    ("be.vat", be_vat),
    ("bg.egn", bg_egn),
    ("ch.ssn", ch_ssn),
    ("ch.uid", ch_uid),
    ("cz.rc", cz_rc),
    ("de.idnr", de_idnr),
    ("de.vat", de_vat),
    ("de.rvnr", de_rvnr),
    ("de.kvnr", de_kvnr),
    ("de.id_card", de_id_card),
    ("de.lanr", de_lanr),
    ("es.dni", es_dni),
    ("es.nie", es_nie),
    ("es.cif", es_cif),
    ("fr.nir", fr_nir),
    ("fr.siren", fr_siren),
    ("fr.siret", fr_siret),
    ("fr.vat", fr_vat),
    ("gb.nhs", gb_nhs),
    ("gb.utr", gb_utr),
    ("gb.vat", gb_vat),
    ("gb.nino", gb_nino),
    ("gb.driving", gb_driving),
    ("gr.amka", gr_amka),
    ("gr.vat", gr_vat),
    ("hr.oib", |v| digits(v, 11) && mod_11_10(v)),
    ("hu.anum", |v| {
        digits(v, 8) && sum(v, &[9, 7, 3, 1, 9, 7, 3, 1]).is_multiple_of(10)
    }),
    ("ie.pps", ie_pps),
    ("it.codicefiscale", it_codicefiscale),
    ("it.iva", it_iva),
    ("lu.vat", |v| {
        digits(v, 8) && number(&v[..6]) % 89 == number(&v[6..])
    }),
    ("nl.bsn", nl_bsn),
    ("nl.vat", nl_vat),
    ("pl.pesel", pl_pesel),
    ("pl.nip", pl_nip),
    ("pt.nif", pt_nif),
    ("ro.cnp", ro_cnp),
    ("ro.cui", ro_cui),
    ("ru.inn", ru_inn),
    ("ru.snils", ru_snils),
    ("si.emso", si_emso),
    ("si.ddv", si_ddv),
    ("tr.tckimlik", tr_tckimlik),
    ("eu.vat", eu_vat),
];

fn at_vnr(v: &[u8]) -> bool {
    digits(v, 10) && v[0] != b'0' && sum(v, &[3, 7, 9, 0, 5, 8, 4, 2, 1, 6]) % 11 == d(v, 3)
}

fn at_uid(v: &[u8]) -> bool {
    let v = v.strip_prefix(b"U").unwrap_or(v);
    if !digits(v, 8) {
        return false;
    }
    let total: u32 = (0..7)
        .map(|i| {
            let n = d(v, i) * if i % 2 == 1 { 2 } else { 1 };
            n / 10 + n % 10
        })
        .sum();
    (6 + 90 - total) % 10 == d(v, 7)
}

fn be_nn(v: &[u8]) -> bool {
    if !digits(v, 11) || number(v) == 0 {
        return false;
    }
    let check = number(&v[9..]);
    let head = number(&v[..9]);
    let century = if 97 - head % 97 == check {
        1900
    } else if two(v, 0) + 2000 <= LATEST_YEAR && 97 - (2_000_000_000 + head) % 97 == check {
        2000
    } else {
        return false;
    };
    if matches!(&v[..6], b"000001" | b"002001" | b"004001") {
        return true;
    }
    let _ = century;
    // Months count from 20 and 40 in numbers for people without a register entry (BIS).
    two(v, 2) <= 12
}

fn be_vat(v: &[u8]) -> bool {
    let v = v.strip_prefix(b"BE").unwrap_or(v);
    let full: Vec<u8> = if v.len() == 9 {
        [b"0".as_slice(), v].concat()
    } else {
        v.to_vec()
    };
    digits(&full, 10)
        && number(&full) > 0
        && full[0] <= b'1'
        && (number(&full[..8]) + number(&full[8..])).is_multiple_of(97)
}

fn bg_egn(v: &[u8]) -> bool {
    if !digits(v, 10) {
        return false;
    }
    let (mut year, mut month) = (1900 + two(v, 0), two(v, 2));
    if month > 40 {
        year += 100;
        month -= 40;
    } else if month > 20 {
        year -= 100;
        month -= 20;
    }
    date(year, month, two(v, 4)) && sum(v, &[2, 4, 8, 5, 10, 9, 7, 3, 6]) % 11 % 10 == d(v, 9)
}

fn ean(v: &[u8]) -> bool {
    let total: u32 = (0..v.len())
        .rev()
        .enumerate()
        .map(|(i, at)| d(v, at) * if i % 2 == 1 { 3 } else { 1 })
        .sum();
    total.is_multiple_of(10)
}

fn ch_ssn(v: &[u8]) -> bool {
    digits(v, 13) && v.starts_with(b"756") && ean(v)
}

fn ch_uid(v: &[u8]) -> bool {
    let v = match v.strip_prefix(b"CHE") {
        Some(v) => v,
        None if v.len() == 9 => v,
        None => return false,
    };
    digits(v, 9) && (11 - sum(v, &[5, 4, 3, 2, 7, 6, 5, 4]) % 11) % 11 == d(v, 8)
}

fn cz_rc(v: &[u8]) -> bool {
    if !all_digits(v) || !matches!(v.len(), 9 | 10) {
        return false;
    }
    let mut year = 1900 + two(v, 0);
    let month = two(v, 2) % 50 % 20;
    if v.len() == 9 {
        if year >= 1980 {
            year -= 100;
        }
        if year > 1953 {
            return false;
        }
    } else if year < 1954 {
        year += 100;
    }
    date(year, month, two(v, 4)) && (v.len() == 9 || number(&v[..9]) % 11 % 10 == number(&v[9..]))
}

fn de_idnr(v: &[u8]) -> bool {
    if !digits(v, 11) || v[0] == b'0' {
        return false;
    }
    let mut counts = [0_u32; 10];
    for i in 0..10 {
        counts[d(v, i) as usize] += 1;
    }
    let mut repeated = counts.iter().filter(|c| **c > 1);
    matches!((repeated.next(), repeated.next()), (Some(2 | 3), None)) && mod_11_10(v)
}

fn de_vat(v: &[u8]) -> bool {
    let v = v.strip_prefix(b"DE").unwrap_or(v);
    digits(v, 9) && v[0] != b'0' && mod_11_10(v)
}

/// Pension insurance number: the letter counts as two digits of its place in the alphabet.
fn de_rvnr(v: &[u8]) -> bool {
    if v.len() != 12 || !v[8].is_ascii_uppercase() || !all_digits(&v[..8]) || !all_digits(&v[9..]) {
        return false;
    }
    let day = two(v, 2) % 50;
    if !(1..=31).contains(&day) || two(v, 4) == 0 || two(v, 4) > 12 {
        return false;
    }
    let letter = u32::from(v[8] - b'A') + 1;
    let mut all = Vec::with_capacity(12);
    all.extend((0..8).map(|i| d(v, i)));
    all.extend([letter / 10, letter % 10]);
    all.extend([d(v, 9), d(v, 10)]);
    let total: u32 = all
        .iter()
        .zip([2, 1, 2, 5, 7, 1, 2, 1, 2, 1, 2, 1])
        .map(|(n, w)| n * w / 10 + n * w % 10)
        .sum();
    total % 10 == d(v, 11)
}

/// Health insurance number: a letter and nine digits.
fn de_kvnr(v: &[u8]) -> bool {
    if v.len() != 10 || !v[0].is_ascii_uppercase() || !all_digits(&v[1..]) {
        return false;
    }
    let letter = u32::from(v[0] - b'A') + 1;
    let mut all = vec![letter / 10, letter % 10];
    all.extend((1..9).map(|i| d(v, i)));
    let total: u32 = all
        .iter()
        .enumerate()
        .map(|(i, n)| {
            let w = n * if i % 2 == 1 { 2 } else { 1 };
            w / 10 + w % 10
        })
        .sum();
    total % 10 == d(v, 9)
}

/// Identity card and passport: weights 7, 3, 1 over digits and letters (ICAO 9303).
fn de_id_card(v: &[u8]) -> bool {
    let good = |b: u8| b.is_ascii_digit() || b"CFGHJKLMNPRTVWXYZ".contains(&b);
    v.len() == 9
        && b"CFGHJKLMNPRTVWXYZ".contains(&v[0])
        && v.iter().all(|b| good(*b))
        && v.iter().filter(|b| b.is_ascii_digit()).count() >= 4
}

fn de_lanr(v: &[u8]) -> bool {
    digits(v, 9) && number(&v[..6]) > 0 && {
        let total = sum(v, &[4, 9, 4, 9, 4, 9]);
        (10 - total % 10) % 10 == d(v, 6)
    }
}

const DNI: &[u8; 23] = b"TRWAGMYFPDXBNJZSQVHLCKE";

fn es_dni(v: &[u8]) -> bool {
    v.len() == 9 && all_digits(&v[..8]) && DNI[(number(&v[..8]) % 23) as usize] == v[8]
}

fn es_nie(v: &[u8]) -> bool {
    if v.len() != 9 || !all_digits(&v[1..8]) || !b"XYZ".contains(&v[0]) {
        return false;
    }
    let n = u64::from(v[0] - b'X') * 10_000_000 + number(&v[1..8]);
    DNI[(n % 23) as usize] == v[8]
}

fn es_cif(v: &[u8]) -> bool {
    if v.len() != 9 || !all_digits(&v[1..8]) || !b"ABCDEFGHJNPQRSUVW".contains(&v[0]) {
        return false;
    }
    (0..10_u8).any(|c| {
        let full = [&v[1..8], &[b'0' + c][..]].concat();
        luhn(&full) && (v[8] == b'0' + c || v[8] == b"JABCDEFGHI"[usize::from(c)])
    })
}

fn fr_nir(v: &[u8]) -> bool {
    if v.len() != 15 || !all_digits(&v[..5]) || !all_digits(&v[7..]) {
        return false;
    }
    let mut full = v.to_vec();
    match &v[5..7] {
        b"2A" => full[5..7].copy_from_slice(b"19"),
        b"2B" => full[5..7].copy_from_slice(b"18"),
        part if all_digits(part) => {}
        _ => return false,
    }
    97 - number(&full[..13]) % 97 == number(&full[13..])
}

fn fr_siren(v: &[u8]) -> bool {
    digits(v, 9) && luhn(v)
}

fn fr_siret(v: &[u8]) -> bool {
    if !digits(v, 14) || !luhn(&v[..9]) {
        return false;
    }
    if v.starts_with(b"356000000") && v != b"35600000000048" {
        // The post's offices have a rule of their own.
        return (0..14).map(|i| d(v, i)).sum::<u32>().is_multiple_of(5);
    }
    luhn(v)
}

fn fr_vat(v: &[u8]) -> bool {
    let v = v.strip_prefix(b"FR").unwrap_or(v);
    if v.len() != 11 || !all_digits(&v[2..]) {
        return false;
    }
    if all_digits(&v[..2]) {
        return luhn(&v[2..]) && (number(&v[2..]) * 100 + 12) % 97 == number(&v[..2]);
    }
    v[..2]
        .iter()
        .all(|b| b.is_ascii_alphanumeric() && !b"IO".contains(b))
}

fn gb_nhs(v: &[u8]) -> bool {
    digits(v, 10) && sum(v, &[10, 9, 8, 7, 6, 5, 4, 3, 2, 1]).is_multiple_of(11)
}

fn gb_utr(v: &[u8]) -> bool {
    let v = v
        .strip_prefix(b"K")
        .or_else(|| v.strip_suffix(b"K"))
        .unwrap_or(v);
    digits(v, 10)
        && b"21987654321"[(sum(&v[1..], &[6, 7, 8, 9, 10, 5, 4, 3, 2]) % 11) as usize] == v[0]
}

fn gb_vat(v: &[u8]) -> bool {
    let v = v
        .strip_prefix(b"GB")
        .or_else(|| v.strip_prefix(b"XI"))
        .unwrap_or(v);
    let office = |n: u64| match &v[..2] {
        b"GD" => n < 500,
        b"HA" => n >= 500,
        _ => false,
    };
    match v.len() {
        5 => all_digits(&v[2..]) && office(number(&v[2..])),
        11 => {
            &v[2..6] == b"8888"
                && all_digits(&v[6..])
                && office(number(&v[6..9]))
                && number(&v[6..9]) % 97 == number(&v[9..])
        }
        9 | 12 => {
            if !all_digits(v) {
                return false;
            }
            let check = sum(v, &[8, 7, 6, 5, 4, 3, 2, 10, 1]) % 97;
            check == 0 || number(&v[..3]) >= 100 && matches!(check, 42 | 55)
        }
        _ => false,
    }
}

/// HMRC's rules for prefixes: none of D, F, I, Q, U, V in either place, no O in the second, and
/// some pairs that are not given out.
fn gb_nino(v: &[u8]) -> bool {
    v.len() == 9
        && all_digits(&v[2..8])
        && v[..2]
            .iter()
            .all(|b| b.is_ascii_uppercase() && !b"DFIQUV".contains(b))
        && v[1] != b'O'
        && !matches!(
            &v[..2],
            b"BG" | b"GB" | b"KN" | b"NK" | b"NT" | b"TN" | b"ZZ"
        )
        && (b'A'..=b'D').contains(&v[8])
}

fn gb_driving(v: &[u8]) -> bool {
    if v.len() != 16 && v.len() != 18 {
        return false;
    }
    let surname = &v[..5];
    let letters = surname
        .iter()
        .take_while(|b| b.is_ascii_uppercase())
        .count();
    if letters == 0 || !surname[letters..].iter().all(|b| *b == b'9') || !all_digits(&v[5..11]) {
        return false;
    }
    let month = two(v, 6) % 50;
    let day = two(v, 8);
    (1..=12).contains(&month)
        && (v[6] - b'0') % 5 <= 1
        && (1..=31).contains(&day)
        && v[11..13]
            .iter()
            .all(|b| b.is_ascii_uppercase() || *b == b'9')
        && !(v[11] == b'9' && v[12] != b'9')
        && v[13].is_ascii_alphanumeric()
        && v[14..16].iter().all(|b| b.is_ascii_uppercase())
}

fn gr_amka(v: &[u8]) -> bool {
    if !digits(v, 11) || !luhn(v) {
        return false;
    }
    let (day, month, year) = (two(v, 0), two(v, 2), two(v, 4));
    date(1900 + year, month, day) || date(2000 + year, month, day)
}

fn gr_vat(v: &[u8]) -> bool {
    let v = v
        .strip_prefix(b"EL")
        .or_else(|| v.strip_prefix(b"GR"))
        .unwrap_or(v);
    let full: Vec<u8> = if v.len() == 8 {
        [b"0", v].concat()
    } else {
        v.to_vec()
    };
    if !digits(&full, 9) {
        return false;
    }
    let check = (0..8).fold(0_u32, |n, i| n * 2 + d(&full, i));
    check * 2 % 11 % 10 == d(&full, 8)
}

fn ie_pps(v: &[u8]) -> bool {
    if !matches!(v.len(), 8 | 9) || !all_digits(&v[..7]) || !(b'A'..=b'W').contains(&v[7]) {
        return false;
    }
    let mut total = sum(v, &[8, 7, 6, 5, 4, 3, 2]);
    if let Some(second) = v.get(8) {
        if !b"ABHWTX".contains(second) {
            return false;
        }
        if b"ABH".contains(second) {
            total += 9 * u32::from(second - b'A' + 1);
        }
    }
    b"WABCDEFGHIJKLMNOPQRSTUV"[(total % 23) as usize] == v[7]
}

fn omocodia(b: u8) -> Option<u32> {
    match b {
        b'0'..=b'9' => Some(u32::from(b - b'0')),
        _ => b"LMNPQRSTUV".iter().position(|l| *l == b).map(|i| i as u32),
    }
}

fn it_codicefiscale(v: &[u8]) -> bool {
    const ODD: [u32; 26] = [
        1, 0, 5, 7, 9, 13, 15, 17, 19, 21, 2, 4, 18, 20, 11, 3, 6, 8, 12, 14, 16, 10, 22, 25, 24,
        23,
    ];
    if v.len() == 11 {
        return it_iva(v);
    }
    if v.len() != 16 || !v[..6].iter().all(u8::is_ascii_uppercase) || !v[11].is_ascii_uppercase() {
        return false;
    }
    let (Some(y1), Some(y2), Some(d1), Some(d2)) = (
        omocodia(v[6]),
        omocodia(v[7]),
        omocodia(v[9]),
        omocodia(v[10]),
    ) else {
        return false;
    };
    let Some(month) = b"ABCDEHLMPRST".iter().position(|m| *m == v[8]) else {
        return false;
    };
    if !v[12..15].iter().all(|b| omocodia(*b).is_some()) {
        return false;
    }
    let year = y1 * 10 + y2;
    let year = if year < 20 { 2000 + year } else { 1900 + year };
    if !date(year, month as u32 + 1, (d1 * 10 + d2) % 40) {
        return false;
    }
    let total: u32 = v[..15]
        .iter()
        .enumerate()
        .map(|(i, b)| {
            let n = if b.is_ascii_digit() {
                b - b'0'
            } else {
                b - b'A'
            };
            if i % 2 == 0 {
                ODD[usize::from(n)]
            } else {
                u32::from(n)
            }
        })
        .sum();
    u32::from(v[15].wrapping_sub(b'A')) == total % 26
}

fn it_iva(v: &[u8]) -> bool {
    let v = v.strip_prefix(b"IT").unwrap_or(v);
    if !digits(v, 11) || number(&v[..7]) == 0 {
        return false;
    }
    let office = number(&v[7..10]);
    (matches!(office, 1..=100) || matches!(office, 120 | 121 | 888 | 999)) && luhn(v)
}

fn nl_bsn(v: &[u8]) -> bool {
    if !all_digits(v) || v.len() > 9 || v.len() < 8 || number(v) == 0 {
        return false;
    }
    let full = [&b"000000000"[..9 - v.len()], v].concat();
    let total = sum(&full, &[9, 8, 7, 6, 5, 4, 3, 2]);
    (total + 11 - d(&full, 8)).is_multiple_of(11)
}

/// The old form of the tax number (from the citizen's number) or the new one (MOD 97-10).
fn nl_vat(v: &[u8]) -> bool {
    let v = v.strip_prefix(b"NL").unwrap_or(v);
    if v.len() != 12 || v[9] != b'B' || !all_digits(&v[..9]) || !all_digits(&v[10..]) {
        return false;
    }
    if nl_bsn(&v[..9]) && number(&v[10..]) > 0 {
        return true;
    }
    // "NL" and "B" as two-digit numbers (ISO 7064).
    let spelled = [b"2321", &v[..9], b"11", &v[10..]].concat();
    rest(&spelled, 97) == 1
}

fn pl_pesel(v: &[u8]) -> bool {
    if !digits(v, 11) || !(sum(v, &[1, 3, 7, 9, 1, 3, 7, 9, 1, 3]) + d(v, 10)).is_multiple_of(10) {
        return false;
    }
    let month = two(v, 2);
    let century = [1900, 2000, 2100, 2200, 1800][(month / 20) as usize];
    date(century + two(v, 0), month % 20, two(v, 4))
}

fn pl_nip(v: &[u8]) -> bool {
    digits(v, 10) && sum(v, &[6, 5, 7, 2, 3, 4, 5, 6, 7]) % 11 == d(v, 9)
}

fn pt_nif(v: &[u8]) -> bool {
    digits(v, 9)
        && v[0] != b'0'
        && (11 - sum(v, &[9, 8, 7, 6, 5, 4, 3, 2]) % 11) % 11 % 10 == d(v, 8)
}

fn ro_cnp(v: &[u8]) -> bool {
    if !digits(v, 13) || v[0] == b'0' {
        return false;
    }
    let century = match v[0] {
        b'3' | b'4' => 1800,
        b'5' | b'6' => 2000,
        _ => 1900,
    };
    let county = two(v, 7);
    let known = matches!(county, 1..=48 | 51 | 52 | 70 | 80..=83);
    let check = sum(v, &[2, 7, 9, 1, 4, 6, 3, 5, 8, 2, 7, 9]) % 11;
    known
        && date(century + two(v, 1), two(v, 3), two(v, 5))
        && d(v, 12) == if check == 10 { 1 } else { check }
}

fn ro_cui(v: &[u8]) -> bool {
    let v = v.strip_prefix(b"RO").unwrap_or(v);
    if !all_digits(v) || !(4..=10).contains(&v.len()) || v[0] == b'0' {
        return false;
    }
    let full = [&b"0000000000"[..10 - v.len()], v].concat();
    sum(&full, &[7, 5, 3, 2, 1, 7, 5, 3, 2]) * 10 % 11 % 10 == d(&full, 9)
}

fn ru_inn(v: &[u8]) -> bool {
    if !all_digits(v) {
        return false;
    }
    match v.len() {
        10 => sum(v, &[2, 4, 10, 3, 5, 9, 4, 6, 8]) % 11 % 10 == d(v, 9),
        12 => {
            sum(v, &[7, 2, 4, 10, 3, 5, 9, 4, 6, 8]) % 11 % 10 == d(v, 10)
                && sum(v, &[3, 7, 2, 4, 10, 3, 5, 9, 4, 6, 8]) % 11 % 10 == d(v, 11)
        }
        _ => false,
    }
}

fn si_emso(v: &[u8]) -> bool {
    if !digits(v, 13) {
        return false;
    }
    let year = number(&v[4..7]) as u32;
    let year = if year < 800 { year + 2000 } else { year + 1000 };
    let total = sum(v, &[7, 6, 5, 4, 3, 2, 7, 6, 5, 4, 3, 2]);
    date(year, two(v, 2), two(v, 0)) && (11 - total % 11) % 11 % 10 == d(v, 12)
}

fn si_ddv(v: &[u8]) -> bool {
    let v = v.strip_prefix(b"SI").unwrap_or(v);
    if !digits(v, 8) || v[0] == b'0' {
        return false;
    }
    let check = 11 - sum(v, &[8, 7, 6, 5, 4, 3, 2]) % 11;
    d(v, 7) == if check == 10 { 0 } else { check }
}

fn tr_tckimlik(v: &[u8]) -> bool {
    if !digits(v, 11) || v[0] == b'0' {
        return false;
    }
    let weighted: u32 = (0..9)
        .map(|i| d(v, i) * if i % 2 == 0 { 3 } else { 1 })
        .sum();
    let check1 = (1_000 - weighted) % 10;
    let plain: u32 = (0..9).map(|i| d(v, i)).sum();
    check1 == d(v, 9) && (check1 + plain) % 10 == d(v, 10)
}

/// Value added tax numbers of the Union by their country.
fn eu_vat(v: &[u8]) -> bool {
    if v.len() < 6 {
        return false;
    }
    let n = &v[2..];
    match &v[..2] {
        b"AT" => n[0] == b'U' && at_uid(n),
        b"BE" => be_vat(n) && n.len() == 10,
        b"BG" => {
            all_digits(n)
                && matches!(n.len(), 9 | 10)
                && (n.len() == 9 && bg_company(n) || n.len() == 10 && bg_egn(n))
        }
        b"CY" => n.len() == 9 && all_digits(&n[..8]) && n[8].is_ascii_uppercase(),
        b"CZ" => all_digits(n) && (n.len() == 8 && cz_company(n) || cz_rc(n)),
        b"DE" => de_vat(n),
        b"DK" => digits(n, 8) && sum(n, &[2, 7, 6, 5, 4, 3, 2, 1]).is_multiple_of(11),
        b"EE" => digits(n, 9) && sum(n, &[3, 7, 1, 3, 7, 1, 3, 7, 1]).is_multiple_of(10),
        b"EL" => gr_vat(n),
        b"ES" => es_dni(n) || es_nie(n) || es_cif(n),
        b"FI" => super::north::ytunnus(n),
        b"FR" => fr_vat(n),
        b"HR" => digits(n, 11) && mod_11_10(n),
        b"HU" => digits(n, 8) && sum(n, &[9, 7, 3, 1, 9, 7, 3, 1]).is_multiple_of(10),
        b"IE" => ie_pps(n),
        b"IT" => it_iva(n),
        b"LT" => all_digits(n) && matches!(n.len(), 9 | 12),
        b"LU" => digits(n, 8) && number(&n[..6]) % 89 == number(&n[6..]),
        b"LV" => digits(n, 11),
        b"MT" => {
            digits(n, 8) && v[2] != b'0' && sum(n, &[3, 4, 6, 7, 8, 9, 10, 1]).is_multiple_of(37)
        }
        b"NL" => nl_vat(n),
        b"PL" => pl_nip(n),
        b"PT" => pt_nif(n),
        b"RO" => ro_cui(n) && n.len() >= 6,
        b"SE" => digits(n, 12) && luhn(&n[..10]) && number(&n[10..]) > 0,
        b"SI" => si_ddv(n),
        b"SK" => digits(n, 10) && number(n).is_multiple_of(11),
        b"XI" | b"GB" => gb_vat(n) && n.len() >= 9,
        _ => false,
    }
}

fn bg_company(n: &[u8]) -> bool {
    let check = sum(n, &[1, 2, 3, 4, 5, 6, 7, 8]) % 11;
    let check = if check == 10 {
        sum(n, &[3, 4, 5, 6, 7, 8, 9, 10]) % 11 % 10
    } else {
        check
    };
    check == d(n, 8)
}

fn cz_company(n: &[u8]) -> bool {
    let check = (11 - sum(n, &[8, 7, 6, 5, 4, 3, 2]) % 11) % 11;
    d(n, 7) == if check == 0 { 1 } else { check % 10 }
}

/// Insurance account: weights 9 to 1, modulo 101.
fn ru_snils(v: &[u8]) -> bool {
    digits(v, 11) && {
        let check = sum(v, &[9, 8, 7, 6, 5, 4, 3, 2, 1]) % 101 % 100;
        number(&v[..9]) > 1_001_998 && u64::from(check) == number(&v[9..])
    }
}
