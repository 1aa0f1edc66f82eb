//! The Americas.

use super::{Check, all_digits, d, date, digits, luhn, number, sum, two};

pub(super) const CHECKS: &[(&str, Check)] = &[
    ("ar.cuit", ar_cuit),
    ("ar.dni", |v| {
        all_digits(v) && matches!(v.len(), 7 | 8) && v[0] != b'0'
    }),
    ("br.cnpj", br_cnpj),
    ("br.cpf", br_cpf),
    ("ca.sin", |v| {
        digits(v, 9) && !b"08".contains(&v[0]) && luhn(v)
    }),
    ("cl.rut", cl_rut),
    ("co.nit", co_nit),
    ("do.cedula", |v| digits(v, 11) && luhn(v)),
    ("ec.ci", ec_ci),
    ("mx.curp", mx_curp),
    ("mx.rfc", mx_rfc),
    ("us.ssn", us_ssn),
    ("us.itin", us_itin),
    // With the groups that the IRS gave out before 2012 and again since.
    ("us.itin.any", |v| {
        us_itin(v) || digits(v, 9) && v[0] == b'9' && matches!(two(v, 3), 50..=65)
    }),
    ("us.ein", us_ein),
    ("us.rtn", us_rtn),
    ("us.npi", us_npi),
    ("us.dea", us_dea),
    ("us.mbi", us_mbi),
    ("us.phone", us_phone),
    ("phone.bare", |v| {
        all_digits(v) && (7..=12).contains(&v.len()) && v.iter().filter(|b| **b != v[0]).count() > 2
    }),
    ("us.passport", |v| {
        v.len() == 9 && (v[0].is_ascii_uppercase() || v[0].is_ascii_digit()) && all_digits(&v[1..])
    }),
];

fn ar_cuit(v: &[u8]) -> bool {
    digits(v, 11)
        && matches!(
            &v[..2],
            b"20" | b"23" | b"24" | b"27" | b"30" | b"33" | b"34" | b"50" | b"51" | b"55"
        )
        && b"012345678990"[(11 - sum(v, &[5, 4, 3, 2, 7, 6, 5, 4, 3, 2]) % 11) as usize] == v[10]
}

fn br_cnpj(v: &[u8]) -> bool {
    if v.len() != 14
        || !v
            .iter()
            .all(|b| b.is_ascii_digit() || b.is_ascii_uppercase())
        || v.starts_with(b"000000000000")
    {
        return false;
    }
    let of = |v: &[u8], weights: &[u32]| {
        let total: u32 = v
            .iter()
            .zip(weights)
            .map(|(b, w)| u32::from(b - b'0') * w)
            .sum();
        (11 - total % 11) % 11 % 10
    };
    let first = of(v, &[5, 4, 3, 2, 9, 8, 7, 6, 5, 4, 3, 2]);
    let second = of(v, &[6, 5, 4, 3, 2, 9, 8, 7, 6, 5, 4, 3, 2]);
    v[12] == b'0' + first as u8 && v[13] == b'0' + second as u8
}

fn br_cpf(v: &[u8]) -> bool {
    if !digits(v, 11) || number(v) == 0 {
        return false;
    }
    let first = (11 - sum(v, &[10, 9, 8, 7, 6, 5, 4, 3, 2]) % 11) % 11 % 10;
    let second = (11 - sum(v, &[11, 10, 9, 8, 7, 6, 5, 4, 3, 2]) % 11) % 11 % 10;
    first == d(v, 9) && second == d(v, 10)
}

fn cl_rut(v: &[u8]) -> bool {
    let v = v.strip_prefix(b"CL").unwrap_or(v);
    if !matches!(v.len(), 8 | 9) || !all_digits(&v[..v.len() - 1]) {
        return false;
    }
    let body = &v[..v.len() - 1];
    let total: u32 = body
        .iter()
        .rev()
        .enumerate()
        .map(|(i, b)| u32::from(b - b'0') * (4 + (5 + 6 * 10 - i as u32) % 6))
        .sum();
    b"0123456789K"[(total % 11) as usize] == v[v.len() - 1]
}

fn co_nit(v: &[u8]) -> bool {
    const WEIGHTS: [u32; 15] = [3, 7, 13, 17, 19, 23, 29, 37, 41, 43, 47, 53, 59, 67, 71];
    if !all_digits(v) || !(8..=16).contains(&v.len()) {
        return false;
    }
    let total: u32 = v[..v.len() - 1]
        .iter()
        .rev()
        .zip(WEIGHTS)
        .map(|(b, w)| u32::from(b - b'0') * w)
        .sum();
    b"01987654321"[(total % 11) as usize] == v[v.len() - 1]
}

fn ec_ci(v: &[u8]) -> bool {
    if !digits(v, 10) || v[2] > b'6' {
        return false;
    }
    let province = two(v, 0);
    let total: u32 = (0..10)
        .map(|i| {
            let n = d(v, i) * if i % 2 == 0 { 2 } else { 1 };
            if n > 9 { n - 9 } else { n }
        })
        .sum();
    (matches!(province, 1..=24) || matches!(province, 30 | 50)) && total.is_multiple_of(10)
}

/// Words that the registry does not issue as the first four letters.
const RUDE: &str = "BACA BAKA BUEI BUEY CACA CACO CAGA CAGO CAKA CAKO COGE COGI COJA COJE COJI COJO COLA CULO FALO FETO GETA GUEI GUEY JETA JOTO KACA KACO KAGA KAGO KAKA KAKO KOGE KOGI KOJA KOJE KOJI KOJO KOLA KULO LILO LOCA LOCO LOKA LOKO MAME MAMO MEAR MEAS MEON MIAR MION MOCO MOKO MULA MULO NACA NACO PEDA PEDO PENE PIPI PITO POPO PUTA PUTO QULO RATA ROBA ROBE ROBO RUIN SENO TETA VACA VAGA VAGO VAKA VUEI VUEY WUEI WUEY";
const RUDE_TAX: &str = "BUEI BUEY CACA CACO CAGA CAGO CAKA CAKO COGE COJA COJE COJI COJO CULO FETO GUEY JOTO KACA KACO KAGA KAGO KAKA KOGE KOJO KULO MAME MAMO MEAR MEAS MEON MION MOCO MULA PEDA PEDO PENE PUTA PUTO QULO RATA RUIN";
const STATES: &str = "AS BC BS CC CH CL CM CS DF DG GR GT HG JC MC MN MS NE NL NT OC PL QR QT SL SP SR TC TL TS VZ YN ZS";

fn listed(list: &str, word: &[u8]) -> bool {
    list.split(' ').any(|w| w.as_bytes() == word)
}

fn mx_curp(v: &[u8]) -> bool {
    if v.len() != 18
        || !v[..4].iter().all(u8::is_ascii_uppercase)
        || !all_digits(&v[4..10])
        || !v[10..16].iter().all(u8::is_ascii_uppercase)
        || !v[16].is_ascii_alphanumeric()
        || !v[17].is_ascii_digit()
        || listed(RUDE, &v[..4])
        || !matches!(v[10], b'H' | b'M')
        || !listed(STATES, &v[11..13])
    {
        return false;
    }
    let century = if v[16].is_ascii_digit() { 1900 } else { 2000 };
    let total: u32 = v[..17]
        .iter()
        .enumerate()
        .map(|(i, b)| {
            // Ñ stands between N and O in the registry's alphabet.
            let n = match b {
                b'0'..=b'9' => b - b'0',
                b'A'..=b'N' => b - b'A' + 10,
                _ => b - b'A' + 11,
            };
            u32::from(n) * (18 - i as u32)
        })
        .sum();
    date(century + two(v, 4), two(v, 6), two(v, 8)) && (10 - total % 10) % 10 == d(v, 17)
}

fn mx_rfc(v: &[u8]) -> bool {
    let letters = |p: &[u8]| p.iter().all(|b| b.is_ascii_uppercase() || *b == b'&');
    let day = |p: &[u8]| all_digits(p) && date(2000 + two(p, 0), two(p, 2), two(p, 4));
    match v.len() {
        10 | 13 => {
            letters(&v[..4])
                && !listed(RUDE_TAX, &v[..4])
                && day(&v[4..10])
                && v[10..].iter().all(u8::is_ascii_alphanumeric)
        }
        12 => letters(&v[..3]) && day(&v[3..9]) && v[9..].iter().all(u8::is_ascii_alphanumeric),
        _ => false,
    }
}

fn us_ssn(v: &[u8]) -> bool {
    digits(v, 9)
        && &v[..3] != b"000"
        && &v[..3] != b"666"
        && v[0] != b'9'
        && &v[3..5] != b"00"
        && &v[5..] != b"0000"
        && !matches!(v, b"078051120" | b"457555462" | b"219099999")
}

fn us_itin(v: &[u8]) -> bool {
    digits(v, 9) && v[0] == b'9' && matches!(two(v, 3), 70..=88 | 90..=92 | 94..=99)
}

fn us_ein(v: &[u8]) -> bool {
    digits(v, 9)
        && matches!(
            two(v, 0),
            1..=6 | 10..=16 | 20..=27 | 30..=48 | 50..=68 | 71..=77 | 80..=88 | 90..=95 | 98 | 99
        )
}

/// Routing number of a bank (ABA). Prefixes outside the given ranges are not in use.
fn us_rtn(v: &[u8]) -> bool {
    digits(v, 9)
        && (7 * (d(v, 0) + d(v, 3) + d(v, 6))
            + 3 * (d(v, 1) + d(v, 4) + d(v, 7))
            + 9 * (d(v, 2) + d(v, 5)))
            % 10
            == d(v, 8)
}

fn us_npi(v: &[u8]) -> bool {
    digits(v, 10)
        && matches!(v[0], b'1' | b'2')
        && luhn(&[b"80840", v].concat())
        && v[1..9].iter().any(|b| *b != v[1])
}

/// Registration of the Drug Enforcement Administration.
fn us_dea(v: &[u8]) -> bool {
    v.len() == 9
        && b"ABCDEFGHJKLMPRSTUX".contains(&v[0])
        && (v[1].is_ascii_uppercase() || v[1] == b'9')
        && all_digits(&v[2..])
        && {
            let n = &v[2..];
            (d(n, 0) + d(n, 2) + d(n, 4) + 2 * (d(n, 1) + d(n, 3) + d(n, 5))) % 10 == d(n, 6)
        }
}

/// Medicare beneficiary identifier: letters without S, L, O, I, B, Z.
fn us_mbi(v: &[u8]) -> bool {
    let letter = |b: u8| b.is_ascii_uppercase() && !b"SLOIBZ".contains(&b);
    let digit = |b: u8| b.is_ascii_digit();
    let either = |b: u8| letter(b) || digit(b);
    v.len() == 11
        && matches!(v[0], b'1'..=b'9')
        && letter(v[1])
        && either(v[2])
        && digit(v[3])
        && letter(v[4])
        && either(v[5])
        && digit(v[6])
        && letter(v[7])
        && letter(v[8])
        && digit(v[9])
        && digit(v[10])
}

/// Numbering plan of North America: areas and exchanges begin with 2 to 9.
fn us_phone(v: &[u8]) -> bool {
    let v = if v.len() == 11 {
        v.strip_prefix(b"1").unwrap_or(v)
    } else {
        v
    };
    digits(v, 10)
        && v[0] >= b'2'
        && v[3] >= b'2'
        && !(v[1] == b'1' && v[2] == b'1')
        && v[1..].iter().any(|b| *b != v[1])
}
