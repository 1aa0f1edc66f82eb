//! The rules for attributes: CloudEvents 1.0.2, section "Context Attributes".

use crate::media::MediaType;

/// Whether `name` may name an attribute: lower-case ASCII letters and digits ("Naming Conventions").
/// The 20 characters are a recommendation there; 64 is the limit here.
pub(crate) fn check_name(name: &str) -> Result<(), String> {
    if name.is_empty()
        || !name
            .bytes()
            .all(|b| b.is_ascii_lowercase() || b.is_ascii_digit())
    {
        return Err("an attribute's name has only lower-case letters a-z and digits".to_owned());
    }
    if name.len() > 64 {
        return Err("an attribute's name has at most 64 characters".to_owned());
    }
    Ok(())
}

/// The type system's `String`: no control characters and no noncharacters.
pub(crate) fn check_text(text: &str) -> Result<(), String> {
    if text.bytes().all(|b| (0x20..0x7f).contains(&b)) {
        return Ok(());
    }
    for c in text.chars() {
        let point = u32::from(c);
        if c.is_control() {
            return Err(format!(
                "the control character U+{point:04X} is not allowed"
            ));
        }
        if (0xfdd0..=0xfdef).contains(&point) || point & 0xfffe == 0xfffe {
            return Err(format!("the noncharacter U+{point:04X} is not allowed"));
        }
    }
    Ok(())
}

/// A URI-reference (RFC 3986 section 4.1).
pub(crate) fn check_uri_reference(text: &str) -> Result<(), String> {
    let bytes = text.as_bytes();
    let mut i = 0;
    let mut fragment = false;
    while i < bytes.len() {
        match bytes[i] {
            b'a'..=b'z' | b'A'..=b'Z' | b'0'..=b'9' => {}
            b'-' | b'.' | b'_' | b'~' | b':' | b'/' | b'?' | b'@' | b'!' | b'$' | b'&' | b'\''
            | b'(' | b')' | b'*' | b'+' | b',' | b';' | b'=' => {}
            // Only in an address in brackets, which stands in the authority.
            b'[' | b']' if text.contains("//") => {}
            b'#' if !fragment => fragment = true,
            b'%' => {
                let digits = bytes.get(i + 1..i + 3);
                if !digits.is_some_and(|d| d.iter().all(u8::is_ascii_hexdigit)) {
                    return Err("`%` is followed by two hexadecimal digits".to_owned());
                }
                i += 2;
            }
            _ => {
                let c = text.get(i..).and_then(|t| t.chars().next()).unwrap_or(' ');
                return Err(format!(
                    "`{}` is not allowed in a URI-reference (RFC 3986); percent-encode it",
                    c.escape_default()
                ));
            }
        }
        i += 1;
    }
    // A colon in the first segment of the path makes what is before it a scheme.
    let head = text.split(['/', '?', '#']).next().unwrap_or_default();
    if let Some((scheme, _)) = head.split_once(':')
        && !is_scheme(scheme)
    {
        return Err(format!(
            "`{scheme}` before the first `:` is not a URI scheme"
        ));
    }
    Ok(())
}

/// An absolute URI: a URI-reference that begins with a scheme.
pub(crate) fn check_uri(text: &str) -> Result<(), String> {
    check_uri_reference(text)?;
    match text.split_once(':') {
        Some((scheme, _)) if is_scheme(scheme) => Ok(()),
        _ => Err("an absolute URI begins with a scheme, as in https:".to_owned()),
    }
}

fn is_scheme(text: &str) -> bool {
    text.starts_with(|c: char| c.is_ascii_alphabetic())
        && text
            .bytes()
            .all(|b| b.is_ascii_alphanumeric() || matches!(b, b'+' | b'-' | b'.'))
}

/// A media type (RFC 2046).
pub(crate) fn check_media_type(text: &str) -> Result<(), String> {
    MediaType::parse(text).map(drop)
}

/// RFC 3339 `date-time` as microseconds since the Unix epoch; finer digits are cut. A leap second is
/// the first moment of the next minute, as Unix time has it.
///
/// # Errors
/// What does not fit, in words.
pub fn parse_time(text: &str) -> Result<i64, &'static str> {
    const FORM: &str = "a time is written as in 2026-11-22T10:00:00Z (RFC 3339)";
    let b = text.as_bytes();
    let number = |from: usize, to: usize| -> Result<i64, &'static str> {
        let digits = b.get(from..to).ok_or(FORM)?;
        digits.iter().try_fold(0, |sum, d| {
            d.is_ascii_digit()
                .then(|| sum * 10 + i64::from(d - b'0'))
                .ok_or(FORM)
        })
    };
    let mark = |at: usize, marks: &[u8]| match b.get(at) {
        Some(byte) if marks.contains(byte) => Ok(()),
        _ => Err(FORM),
    };
    let (year, month, day) = (number(0, 4)?, number(5, 7)?, number(8, 10)?);
    let (hour, minute, second) = (number(11, 13)?, number(14, 16)?, number(17, 19)?);
    mark(4, b"-")?;
    mark(7, b"-")?;
    mark(10, b"Tt")?;
    mark(13, b":")?;
    mark(16, b":")?;
    let mut at = 19;
    let mut micros = 0;
    if b.get(at) == Some(&b'.') {
        at += 1;
        let start = at;
        while b.get(at).is_some_and(u8::is_ascii_digit) {
            at += 1;
        }
        if at == start {
            return Err("a decimal point is followed by digits");
        }
        for i in 0..6 {
            let digit = b.get(start + i).filter(|_| start + i < at);
            micros = micros * 10 + digit.map_or(0, |d| i64::from(d - b'0'));
        }
    }
    let offset = match b.get(at) {
        Some(b'Z' | b'z') => {
            at += 1;
            0
        }
        Some(sign @ (b'+' | b'-')) => {
            let (hours, minutes) = (number(at + 1, at + 3)?, number(at + 4, at + 6)?);
            mark(at + 3, b":")?;
            if hours > 23 || minutes > 59 {
                return Err("the offset from UTC is at most 23:59");
            }
            at += 6;
            let seconds = hours * 3600 + minutes * 60;
            if *sign == b'-' { -seconds } else { seconds }
        }
        _ => return Err("a time ends with Z or an offset such as +01:00 (RFC 3339)"),
    };
    if at != b.len() {
        return Err(FORM);
    }
    let leap = year % 4 == 0 && (year % 100 != 0 || year % 400 == 0);
    let days = match month {
        1 | 3 | 5 | 7 | 8 | 10 | 12 => 31,
        4 | 6 | 9 | 11 => 30,
        2 if leap => 29,
        2 => 28,
        _ => return Err("the month is 01 to 12"),
    };
    if day < 1 || day > days {
        return Err("the month has no such day");
    }
    if hour > 23 || minute > 59 || second > 60 {
        return Err("the time of day is 00:00:00 to 23:59:60");
    }
    // Days since 1970-01-01 in the proleptic Gregorian calendar, years counted from March.
    let y = if month <= 2 { year - 1 } else { year };
    let era = y.div_euclid(400);
    let year_of_era = y - era * 400;
    let day_of_year = (153 * ((month + 9) % 12) + 2) / 5 + day - 1;
    let day_of_era = year_of_era * 365 + year_of_era / 4 - year_of_era / 100 + day_of_year;
    let epoch_day = era * 146_097 + day_of_era - 719_468;
    let seconds = epoch_day * 86_400 + hour * 3_600 + minute * 60 + second - offset;
    Ok(seconds * 1_000_000 + micros)
}
