//! Telephone numbers in international form (ITU-T E.164) and in the bracketed North American one.
//! National forms are outlines in the detectors' files.

/// Country codes with the fewest and most digits of the whole number after the plus.
const CODES: &[(&str, u8, u8)] = &[
    ("1", 11, 11),
    ("7", 11, 11),
    ("20", 11, 12),
    ("211", 12, 12),
    ("212", 12, 12),
    ("213", 11, 12),
    ("216", 11, 11),
    ("218", 12, 12),
    ("220", 10, 10),
    ("221", 12, 12),
    ("225", 13, 13),
    ("233", 12, 12),
    ("234", 11, 13),
    ("237", 12, 12),
    ("243", 12, 12),
    ("244", 12, 12),
    ("250", 12, 12),
    ("251", 12, 12),
    ("254", 12, 12),
    ("255", 12, 12),
    ("256", 12, 12),
    ("260", 12, 12),
    ("263", 11, 12),
    ("27", 11, 11),
    ("30", 12, 12),
    ("31", 11, 11),
    ("32", 10, 11),
    ("33", 11, 11),
    ("34", 11, 11),
    ("350", 11, 11),
    ("351", 12, 12),
    ("352", 8, 12),
    ("353", 10, 12),
    ("354", 10, 12),
    ("355", 11, 12),
    ("356", 11, 11),
    ("357", 11, 11),
    ("358", 9, 13),
    ("359", 10, 12),
    ("36", 10, 11),
    ("370", 11, 11),
    ("371", 11, 11),
    ("372", 10, 11),
    ("373", 11, 11),
    ("374", 11, 11),
    ("375", 12, 12),
    ("376", 9, 9),
    ("377", 11, 12),
    ("380", 12, 12),
    ("381", 10, 12),
    ("382", 11, 11),
    ("385", 10, 12),
    ("386", 11, 11),
    ("387", 11, 11),
    ("389", 11, 11),
    ("39", 8, 13),
    ("40", 11, 11),
    ("41", 11, 11),
    ("420", 12, 12),
    ("421", 12, 12),
    ("423", 10, 12),
    ("43", 8, 15),
    ("44", 11, 12),
    ("45", 10, 10),
    ("46", 9, 12),
    ("47", 10, 10),
    ("48", 11, 11),
    ("49", 8, 14),
    ("501", 10, 10),
    ("502", 11, 11),
    ("503", 11, 11),
    ("504", 11, 11),
    ("505", 11, 11),
    ("506", 11, 11),
    ("507", 10, 11),
    ("51", 10, 11),
    ("52", 12, 13),
    ("53", 10, 10),
    ("54", 12, 13),
    ("55", 12, 13),
    ("56", 11, 11),
    ("57", 11, 12),
    ("58", 12, 12),
    ("591", 11, 11),
    ("592", 10, 10),
    ("593", 11, 12),
    ("595", 11, 12),
    ("598", 10, 11),
    ("60", 10, 12),
    ("61", 11, 11),
    ("62", 10, 14),
    ("63", 11, 12),
    ("64", 10, 12),
    ("65", 10, 10),
    ("66", 10, 11),
    ("81", 11, 12),
    ("82", 10, 12),
    ("84", 11, 12),
    ("850", 11, 13),
    ("852", 11, 11),
    ("853", 11, 11),
    ("855", 11, 12),
    ("856", 10, 13),
    ("86", 12, 13),
    ("880", 12, 13),
    ("886", 11, 12),
    ("90", 12, 12),
    ("91", 12, 12),
    ("92", 11, 12),
    ("93", 11, 11),
    ("94", 11, 11),
    ("95", 9, 12),
    ("960", 10, 10),
    ("961", 10, 11),
    ("962", 11, 12),
    ("963", 11, 12),
    ("964", 12, 13),
    ("965", 11, 11),
    ("966", 11, 12),
    ("967", 11, 12),
    ("968", 11, 11),
    ("970", 11, 12),
    ("971", 11, 12),
    ("972", 11, 12),
    ("973", 11, 11),
    ("974", 11, 11),
    ("975", 10, 11),
    ("976", 11, 11),
    ("977", 11, 13),
    ("98", 12, 12),
    ("992", 12, 12),
    ("993", 11, 11),
    ("994", 12, 12),
    ("995", 12, 12),
    ("996", 12, 12),
    ("998", 12, 12),
];

/// A number after a plus sign; `start` is its first digit.
pub(crate) fn international(text: &[u8], start: usize) -> Option<(usize, usize, f32)> {
    let plus = start.checked_sub(1)?;
    if plus > 0
        && (text[plus - 1].is_ascii_alphanumeric()
            || b"+=/_".contains(&text[plus - 1]) && text[plus - 1] != b'=')
    {
        return None;
    }
    let mut digits = [0_u8; 16];
    let mut n = 0;
    let mut i = start;
    let mut end = start;
    let mut gap = 0;
    let mut groups = 1;
    while i < text.len() {
        match text[i] {
            b @ b'0'..=b'9' => {
                // `+44 (0) 20 …`: the zero in brackets is not dialled from abroad.
                let bracketed_zero =
                    b == b'0' && text[i - 1] == b'(' && text.get(i + 1) == Some(&b')');
                if !bracketed_zero {
                    if n == 15 {
                        return None;
                    }
                    digits[n] = b;
                    n += 1;
                }
                if gap > 0 {
                    groups += 1;
                }
                gap = 0;
                end = i + 1;
            }
            b' ' | b'-' | b'.' | b'(' | b')' | b'/' => {
                gap += 1;
                let limit = if i > 0 && text[i - 1] == b')' || text[i] == b'(' || text[i] == b')' {
                    3
                } else {
                    1
                };
                if gap > limit {
                    break;
                }
                if fits(&digits[..n]) == Some(true) && text[i] != b'-' {
                    // A whole number, and what follows may be another one.
                    let longer = text[i + 1..]
                        .iter()
                        .take_while(|b| b.is_ascii_digit())
                        .count();
                    if longer == 0 || longer > 4 || fits_max(&digits[..n]) < n + longer {
                        break;
                    }
                }
            }
            _ => break,
        }
        i += 1;
    }
    // `+2739877-01-03`: a year of more than four digits (ISO 8601), no country.
    let date = matches!(&text[start..end], [year @ .., b'-', m1, m2, b'-', d1, d2]
        if year.iter().all(u8::is_ascii_digit)
            && [m1, m2, d1, d2].iter().all(|b| b.is_ascii_digit()));
    if date {
        return None;
    }
    let next = text.get(end).copied().unwrap_or(b' ');
    if next.is_ascii_alphabetic() || next == b'_' || fits(&digits[..n]) != Some(true) {
        return None;
    }
    let same = digits[1..n].iter().all(|d| *d == digits[1]);
    if same {
        return None;
    }
    Some((plus, end, if groups > 1 { 0.85 } else { 0.75 }))
}

fn code(digits: &[u8]) -> Option<&'static (&'static str, u8, u8)> {
    CODES
        .iter()
        .find(|(c, _, _)| digits.starts_with(c.as_bytes()))
}

fn fits(digits: &[u8]) -> Option<bool> {
    let (c, min, max) = code(digits)?;
    let n = digits.len();
    if *c == "1" && n == 11 && (digits[1] < b'2' || digits[4] < b'2') {
        return Some(false);
    }
    Some(n >= usize::from(*min) && n <= usize::from(*max))
}

fn fits_max(digits: &[u8]) -> usize {
    code(digits).map_or(0, |(_, _, max)| usize::from(*max))
}

/// `(415) 555-0132`, from the bracket on.
pub(crate) fn bracketed(text: &[u8], open: usize) -> Option<(usize, usize, f32)> {
    let rest = &text[open..text.len().min(open + 16)];
    let area = rest.get(1..4)?;
    if rest.get(4) != Some(&b')') || !area.iter().all(u8::is_ascii_digit) || area[0] < b'2' {
        return None;
    }
    let mut i = 5;
    if rest.get(i).is_some_and(|b| b" -.".contains(b)) {
        i += 1;
    }
    let exchange = rest.get(i..i + 3)?;
    if !exchange.iter().all(u8::is_ascii_digit)
        || exchange[0] < b'2'
        || !b" -.".contains(rest.get(i + 3)?)
    {
        return None;
    }
    let line = rest.get(i + 4..i + 8)?;
    let next = text.get(open + i + 8).copied().unwrap_or(b' ');
    let before = if open == 0 { b' ' } else { text[open - 1] };
    if !line.iter().all(u8::is_ascii_digit)
        || next.is_ascii_alphanumeric()
        || before.is_ascii_alphanumeric()
    {
        return None;
    }
    Some((open, open + i + 8, 0.8))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn numbers() {
        for (text, good) in [
            ("+44 20 7946 0697", true),
            ("+1 415 555 0167", true),
            ("+14155550167", true),
            ("+49 (0) 30 1234567", true),
            ("+1 115 555 0167", false),
            ("+12", false),
            ("+999 123 4567", false),
        ] {
            let found = international(text.as_bytes(), 1);
            assert_eq!(found.is_some(), good, "{text}");
            if let Some((s, e, _)) = found {
                assert_eq!((s, e), (0, text.len()), "{text}");
            }
        }
        assert_eq!(bracketed(b"(415) 555-0182", 0).map(|f| f.1), Some(14));
    }
}
