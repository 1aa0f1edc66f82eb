//! Addresses of networks and devices.

use std::net::{Ipv4Addr, Ipv6Addr};

/// An IPv4 address at the start of a token of digits.
pub(crate) fn ipv4(text: &[u8], start: usize) -> Option<(usize, usize, f32)> {
    let mut end = start;
    let ceil = text.len().min(start + 16);
    while end < ceil && (text[end].is_ascii_digit() || text[end] == b'.') {
        end += 1;
    }
    if end > start && text[end - 1] == b'.' {
        end -= 1;
    }
    let before = if start == 0 { b' ' } else { text[start - 1] };
    // The last part of an IPv6 address.
    if before == b':' && start >= 2 && text[start - 2] == b':' {
        return None;
    }
    if before.is_ascii_alphanumeric()
        || matches!(before, b'.' | b'_' | b'-')
            && !(before == b'-' && (start < 2 || !text[start - 2].is_ascii_alphanumeric()))
    {
        return None;
    }
    let next = text.get(end).copied().unwrap_or(b' ');
    if next.is_ascii_alphanumeric()
        || next == b'_'
        || next == b'-' && text.get(end + 1).is_some_and(u8::is_ascii_alphanumeric)
    {
        return None;
    }
    let address: Ipv4Addr = std::str::from_utf8(&text[start..end]).ok()?.parse().ok()?;
    let [a, b, c, d] = address.octets();
    let word_before = word_before(text, start);
    let confidence = if a == 0 || a >= 224 || address.is_loopback() || address.is_unspecified() {
        0.15
    } else if crate::engine::filter::contains(word_before, b"version")
        || crate::engine::filter::contains(word_before, b"release")
        || word_before.ends_with(b"v")
    {
        0.1
    } else if address.is_private() || address.is_link_local() {
        0.4
    } else if a < 20 && b < 20 && (c < 20 || d < 20) {
        // As likely the number of a version.
        0.35
    } else {
        0.6
    };
    Some((start, end, confidence))
}

fn word_before(text: &[u8], start: usize) -> &[u8] {
    &text[start.saturating_sub(16)..start]
}

fn hex_or_colon(b: u8) -> bool {
    b.is_ascii_hexdigit() || b == b':'
}

/// Finds what is written with colons: `found` gets whether it is the address of a device (or of
/// an IPv6 network), its place and how sure it is. Device addresses with dashes are found too.
pub(crate) fn scan_colons(text: &[u8], mut found: impl FnMut(bool, usize, usize, f32)) {
    let mut done = 0;
    for at in memchr::memchr2_iter(b':', b'-', text) {
        if at < done || at == 0 {
            continue;
        }
        let (Some(next), previous) = (text.get(at + 1), text[at - 1]) else {
            continue;
        };
        if text[at] == b'-' {
            if at >= 2
                && previous.is_ascii_hexdigit()
                && text.get(at + 3) == Some(&b'-')
                && let Some(end) = mac(text, at - 2, b'-')
            {
                found(true, at - 2, end, 0.7);
                done = end;
            }
            continue;
        }
        if !hex_or_colon(*next) || !(hex_or_colon(previous) || *next == b':') {
            continue;
        }
        // `path::name`, by far the most usual: a letter beyond `f` on either side of the colons.
        let word = |b: u8| (b.is_ascii_alphanumeric() || b == b'_') && !b.is_ascii_hexdigit();
        if *next == b':' && (word(previous) || text.get(at + 2).is_some_and(|b| word(*b))) {
            continue;
        }
        if text.get(at + 3) == Some(&b':')
            && at >= 2
            && let Some(end) = mac(text, at - 2, b':')
        {
            found(true, at - 2, end, 0.8);
            done = end;
            continue;
        }
        let floor = at.saturating_sub(40);
        let mut start = at;
        while start > floor && hex_or_colon(text[start - 1]) {
            start -= 1;
        }
        let mut end = at;
        let ceil = text.len().min(at + 46);
        while end < ceil && (hex_or_colon(text[end]) || text[end] == b'.') {
            end += 1;
        }
        while end > start
            && (text[end - 1] == b'.' || text[end - 1] == b':' && !text[..end].ends_with(b"::"))
        {
            end -= 1;
        }
        done = end.max(at + 1);
        let outside = |b: u8| b.is_ascii_alphanumeric() || b == b'_';
        if start > 0 && outside(text[start - 1]) || text.get(end).is_some_and(|b| outside(*b)) {
            continue;
        }
        let token = &text[start..end];
        let Some(address) = std::str::from_utf8(token)
            .ok()
            .and_then(|t| t.parse::<Ipv6Addr>().ok())
        else {
            continue;
        };
        let groups = token
            .split(|b| *b == b':')
            .filter(|g| !g.is_empty())
            .count();
        let digits = token.iter().any(u8::is_ascii_digit);
        let confidence = if address.is_loopback() || address.is_unspecified() {
            0.1
        } else if groups >= 3 && digits {
            0.7
        } else if digits && token.len() >= 6 {
            0.5
        } else {
            0.2
        };
        found(false, start, end, confidence);
    }
}

/// The end of a device address that begins here.
fn mac(text: &[u8], start: usize, separator: u8) -> Option<usize> {
    let token = text.get(start..start + 17)?;
    let good = token.iter().enumerate().all(|(i, b)| {
        if i % 3 == 2 {
            *b == separator
        } else {
            b.is_ascii_hexdigit()
        }
    });
    let joined = |b: u8| b.is_ascii_alphanumeric() || b == separator || b == b'_';
    let before = start > 0 && joined(text[start - 1]);
    let after = text.get(start + 17).is_some_and(|b| joined(*b));
    let uniform = token
        .iter()
        .filter(|b| **b != separator)
        .all(|b| *b == token[0]);
    (good && !before && !after && !uniform).then_some(start + 17)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn ipv4_and_what_is_none() {
        assert!(ipv4(b"203.0.113.78", 0).is_some_and(|f| f.2 >= 0.5));
        assert!(ipv4(b"10.4.2.1034", 0).is_none());
        assert!(ipv4(b"999.300.1.2", 0).is_none());
        assert!(ipv4(b"1.2.3.4.5", 0).is_none());
        assert!(ipv4(b"1.2.3.4", 0).is_some_and(|f| f.2 < 0.5));
    }

    #[test]
    fn colons() {
        let mut seen = Vec::new();
        let text =
            b"a 00:1A:2B:3C:4D:5E b 2345:0425:2ca1::567 c 10:20:30 std::fmt 01-b3-4a-67-d9-cf";
        scan_colons(text, |mac, s, e, c| {
            if c >= 0.5 {
                seen.push((mac, String::from_utf8_lossy(&text[s..e]).into_owned()));
            }
        });
        let seen: Vec<_> = seen.iter().map(|(m, s)| (*m, s.as_str())).collect();
        assert_eq!(
            seen,
            [
                (true, "00:1A:2B:3C:4D:5E"),
                (false, "2345:0425:2ca1::567"),
                (true, "01-b3-4a-67-d9-cf")
            ]
        );
    }
}
