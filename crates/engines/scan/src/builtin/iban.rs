//! International bank account numbers (ISO 13616).

/// Length and outline of the account part by country: `n` digit, `a` capital letter, `c` either.
const COUNTRIES: &[(&str, &str)] = &[
    ("AD", "8n12c"),
    ("AE", "19n"),
    ("AL", "8n16c"),
    ("AT", "16n"),
    ("AZ", "4a20c"),
    ("BA", "16n"),
    ("BE", "12n"),
    ("BG", "4a6n8c"),
    ("BH", "4a14c"),
    ("BI", "23n"),
    ("BR", "23n1a1c"),
    ("BY", "4c4n16c"),
    ("CH", "5n12c"),
    ("CR", "18n"),
    ("CY", "8n16c"),
    ("CZ", "20n"),
    ("DE", "18n"),
    ("DJ", "23n"),
    ("DK", "14n"),
    ("DO", "4c20n"),
    ("EE", "16n"),
    ("EG", "25n"),
    ("ES", "20n"),
    ("FI", "14n"),
    ("FK", "2a12n"),
    ("FO", "14n"),
    ("FR", "10n11c2n"),
    ("GB", "4a14n"),
    ("GE", "2a16n"),
    ("GI", "4a15c"),
    ("GL", "14n"),
    ("GR", "7n16c"),
    ("GT", "20c"),
    ("HN", "4a20n"),
    ("HR", "17n"),
    ("HU", "24n"),
    ("IE", "4a14n"),
    ("IL", "19n"),
    ("IQ", "4a15n"),
    ("IS", "22n"),
    ("IT", "1a10n12c"),
    ("JO", "4a4n18c"),
    ("KW", "4a22c"),
    ("KZ", "3n13c"),
    ("LB", "4n20c"),
    ("LC", "4a24c"),
    ("LI", "5n12c"),
    ("LT", "16n"),
    ("LU", "3n13c"),
    ("LV", "4a13c"),
    ("LY", "21n"),
    ("MC", "10n11c2n"),
    ("MD", "20c"),
    ("ME", "18n"),
    ("MK", "3n10c2n"),
    ("MN", "16n"),
    ("MR", "23n"),
    ("MT", "4a5n18c"),
    ("MU", "4a19n3a"),
    ("NI", "4a20n"),
    ("NL", "4a10n"),
    ("NO", "11n"),
    ("OM", "3n16c"),
    ("PK", "4a16c"),
    ("PL", "24n"),
    ("PS", "4a21c"),
    ("PT", "21n"),
    ("QA", "4a21c"),
    ("RO", "4a16c"),
    ("RS", "18n"),
    ("RU", "14n15c"),
    ("SA", "2n18c"),
    ("SC", "4a20n3a"),
    ("SD", "14n"),
    ("SE", "20n"),
    ("SI", "15n"),
    ("SK", "20n"),
    ("SM", "1a10n12c"),
    ("SO", "19n"),
    ("ST", "21n"),
    ("SV", "4a20n"),
    ("TL", "19n"),
    ("TN", "20n"),
    ("TR", "5n1c16c"),
    ("UA", "6n19c"),
    ("VA", "18n"),
    ("VG", "4a16n"),
    ("XK", "16n"),
    ("YE", "4a4n18c"),
];

/// Whether the compact number (capitals, no spaces) is one.
pub(crate) fn valid(value: &[u8]) -> bool {
    let Some((country, account)) = value.split_at_checked(4) else {
        return false;
    };
    if !country[2].is_ascii_digit() || !country[3].is_ascii_digit() {
        return false;
    }
    let Some((_, outline)) = COUNTRIES
        .iter()
        .find(|(c, _)| c.as_bytes() == &country[..2])
    else {
        return false;
    };
    fits(account, outline) && mod97(account, country)
}

fn fits(account: &[u8], outline: &str) -> bool {
    let mut i = 0;
    let mut n = 0_usize;
    for c in outline.bytes() {
        if c.is_ascii_digit() {
            n = n * 10 + usize::from(c - b'0');
            continue;
        }
        let Some(part) = account.get(i..i + n) else {
            return false;
        };
        let good = part.iter().all(|b| match c {
            b'n' => b.is_ascii_digit(),
            b'a' => b.is_ascii_uppercase(),
            _ => b.is_ascii_digit() || b.is_ascii_uppercase(),
        });
        if !good {
            return false;
        }
        i += n;
        n = 0;
    }
    i == account.len()
}

fn mod97(account: &[u8], head: &[u8]) -> bool {
    let mut rest = 0_u32;
    for b in account.iter().chain(head) {
        rest = match b {
            b'0'..=b'9' => (rest * 10 + u32::from(b - b'0')) % 97,
            _ => (rest * 100 + u32::from(b - b'A') + 10) % 97,
        };
    }
    rest == 1
}

fn length(country: [u8; 2]) -> Option<usize> {
    let (_, outline) = COUNTRIES.iter().find(|(c, _)| c.as_bytes() == country)?;
    let mut total = 4;
    let mut n = 0;
    for c in outline.bytes() {
        if c.is_ascii_digit() {
            n = n * 10 + usize::from(c - b'0');
        } else {
            total += n;
            n = 0;
        }
    }
    Some(total)
}

/// The end of a number that begins here, written in one piece or in groups.
pub(crate) fn at(text: &[u8], start: usize) -> Option<usize> {
    let head = text.get(start..start + 4)?;
    if !head[2].is_ascii_digit() || !head[3].is_ascii_digit() || !head[1].is_ascii_alphabetic() {
        return None;
    }
    if start > 0 && (text[start - 1].is_ascii_alphanumeric() || text[start - 1] == b'_') {
        return None;
    }
    let need = length([head[0].to_ascii_uppercase(), head[1].to_ascii_uppercase()])?;
    let mut compact = Vec::with_capacity(need);
    let mut i = start;
    let mut spaces = 0;
    while compact.len() < need {
        let b = *text.get(i)?;
        if b.is_ascii_alphanumeric() {
            compact.push(b.to_ascii_uppercase());
            spaces = 0;
        } else if (b == b' ' || b == b'-' || b == b'.') && spaces == 0 {
            spaces += 1;
        } else if b == 0xc2 && text.get(i + 1) == Some(&0xa0) && spaces == 0 {
            spaces += 1;
            i += 1;
        } else {
            return None;
        }
        i += 1;
    }
    let joined = text
        .get(i)
        .is_some_and(|b| b.is_ascii_alphanumeric() || *b == b'_');
    (!joined && valid(&compact)).then_some(i)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn numbers() {
        assert_eq!(at(b"GB29 NWBK 6016 1331 9268 19 x", 0), Some(27));
        assert_eq!(at(b"DE89370400440532013000", 0), Some(22));
        assert_eq!(at(b"DE88370400440532013000", 0), None);
        assert_eq!(at(b"AL47 212A 1009 0000 0002 3569 8741", 0), None);
    }
}
