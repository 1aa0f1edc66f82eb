//! Addresses of networks and devices.

use std::net::{Ipv4Addr, Ipv6Addr};

use crate::engine::blocks::digit;

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

/// Places that are looked at together.
const PLACES: usize = 48;

/// Which of the bytes from the second one on may be the first sign of an address, one bit each. Most colons and
/// dashes of programs are told here, without a branch for each.
fn telling(bytes: &[u8; PLACES + 4]) -> u64 {
    let hex = |b: u8| digit(b) | ((b | 0x20).wrapping_sub(b'a') < 6);
    // A letter beyond `f`.
    let word = |b: u8| ((b | 0x20).wrapping_sub(b'g') < 20) | (b == b'_');
    let each: [u8; PLACES] = std::array::from_fn(|i| {
        let (previous, this, next) = (bytes[i], bytes[i + 1], bytes[i + 2]);
        let colons = next == b':';
        // `path::name`, by far the most usual.
        let path = colons & (word(previous) | word(bytes[i + 3]));
        let colon = (this == b':')
            & (hex(next) | colons)
            & (hex(previous) | (previous == b':') | colons)
            & !path;
        let dash = (this == b'-') & hex(previous) & (bytes[i + 4] == b'-');
        u8::from(colon | dash)
    });
    let (eights, _) = each.as_chunks::<8>();
    if eights.iter().fold(0, |any, e| any | u64::from_le_bytes(*e)) == 0 {
        return 0;
    }
    let bits = each.iter().enumerate();
    bits.fold(0, |bits, (i, b)| bits | u64::from(*b) << i)
}

/// Finds what is written with colons: `found` gets whether it is the address of a device (or of
/// an IPv6 network), its place and how sure it is. Device addresses with dashes are found too.
pub(crate) fn scan_colons(text: &[u8], mut found: impl FnMut(bool, usize, usize, f32)) {
    let (mut base, mut done) = (0, 0);
    while let Some(bytes) = text.get(base..).and_then(|t| t.first_chunk()) {
        let mut places = telling(bytes);
        while places != 0 {
            let at = base + 1 + places.trailing_zeros() as usize;
            places &= places - 1;
            if let Some((device, start, end, confidence)) = sign(text, at, &mut done) {
                found(device, start, end, confidence);
            }
        }
        base += PLACES;
    }
    for at in memchr::memchr2_iter(b':', b'-', &text[base.min(text.len())..]) {
        if let Some((device, start, end, confidence)) = sign(text, base + at, &mut done) {
            found(device, start, end, confidence);
        }
    }
}

/// The address whose first colon or dash may stand at `at`; `done` is where the last one looked at ended.
fn sign(text: &[u8], at: usize, done: &mut usize) -> Option<(bool, usize, usize, f32)> {
    if at < *done || at == 0 {
        return None;
    }
    let (next, previous) = (text.get(at + 1)?, text[at - 1]);
    if text[at] == b'-' {
        if at >= 2
            && previous.is_ascii_hexdigit()
            && text.get(at + 3) == Some(&b'-')
            && let Some(end) = mac(text, at - 2, b'-')
        {
            *done = end;
            return Some((true, at - 2, end, 0.7));
        }
        return None;
    }
    if !hex_or_colon(*next) || !(hex_or_colon(previous) || *next == b':') {
        return None;
    }
    // `path::name`, by far the most usual: a letter beyond `f` on either side of the colons.
    let word = |b: u8| (b.is_ascii_alphanumeric() || b == b'_') && !b.is_ascii_hexdigit();
    if *next == b':' && (word(previous) || text.get(at + 2).is_some_and(|b| word(*b))) {
        return None;
    }
    if text.get(at + 3) == Some(&b':')
        && at >= 2
        && let Some(end) = mac(text, at - 2, b':')
    {
        *done = end;
        return Some((true, at - 2, end, 0.8));
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
    *done = end.max(at + 1);
    let outside = |b: u8| b.is_ascii_alphanumeric() || b == b'_';
    if start > 0 && outside(text[start - 1]) || text.get(end).is_some_and(|b| outside(*b)) {
        return None;
    }
    let token = &text[start..end];
    let address: Ipv6Addr = std::str::from_utf8(token).ok()?.parse().ok()?;
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
    Some((false, start, end, confidence))
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

    proptest::proptest! {
        /// What is passed over together would have been nothing by itself.
        #[test]
        fn signs_are_found_wherever_they_stand(
            text in "([ -/:-@a-z]{0,3}|::|std::fmt|fe80::1|2345:0425:2ca1::567|00:1A:2B:3C:4D:5E|01-b3-4a-67-d9-cf|:|-){0,30}",
        ) {
            let text = text.as_bytes();
            let (mut seen, mut wanted, mut done) = (Vec::new(), Vec::new(), 0);
            scan_colons(text, |device, s, e, _| seen.push((device, s, e)));
            for (at, _) in text.iter().enumerate().filter(|(_, b)| matches!(b, b':' | b'-')) {
                wanted.extend(sign(text, at, &mut done).map(|(device, s, e, _)| (device, s, e)));
            }
            proptest::prop_assert_eq!(seen, wanted);
        }
    }
}
