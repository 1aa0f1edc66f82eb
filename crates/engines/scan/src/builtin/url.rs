//! A name and a password inside an address: `scheme://name:password@host`.

use crate::engine::filter;

/// Passwords that come with the software or its documentation.
const USUAL: &[&[u8]] = &[
    b"pass",
    b"password",
    b"passwd",
    b"pwd",
    b"secret",
    b"user",
    b"pw",
    b"admin",
    b"root",
    b"test",
    b"guest",
    b"postgres",
    b"mysql",
    b"token",
    b"p@ssword",
    b"hunter2",
    b"foo",
    b"bar",
    b"baz",
    b"key",
];

/// The place of the password; `at` is two bytes before or at the `://`.
pub(crate) fn credentials(text: &[u8], at: usize) -> Option<(usize, usize, f32)> {
    let window = &text[at..text.len().min(at + 8)];
    let slashes = memchr::memmem::find(window, b"://")?;
    let user_at = at + slashes + 3;
    let ceil = text.len().min(user_at + 400);
    let rest = &text[user_at..ceil];
    let stop = |b: u8| b.is_ascii_whitespace() || b"\"'<>`,()|\\".contains(&b) || b < 0x20;
    let mut colon = None;
    let mut sign = None;
    for (i, b) in rest.iter().enumerate() {
        if stop(*b) || *b == b'/' && colon.is_none() {
            break;
        }
        if *b == b'/' || *b == b'?' || *b == b'#' {
            // A slash may be part of a password, but then the at sign has to come soon.
            let more = rest[i..]
                .iter()
                .take(80)
                .position(|b| *b == b'@' || stop(*b));
            match more {
                Some(m)
                    if rest[i + m] == b'@'
                        && memchr::memchr(b':', &rest[i..i + m]).is_none()
                        && *b != b'?' => {}
                _ => break,
            }
        }
        if *b == b':' && colon.is_none() {
            colon = Some(i);
        }
        if *b == b'@' {
            sign = Some(i);
            // A password may hold an at sign: the last one before the path counts.
            if !rest[i + 1..]
                .iter()
                .take(64)
                .take_while(|b| !stop(**b) && **b != b'/')
                .any(|b| *b == b'@')
            {
                break;
            }
        }
    }
    let (colon, sign) = (colon?, sign?);
    if colon > sign || sign < colon + 4 || colon > 80 {
        return None;
    }
    let host = rest.get(sign + 1)?;
    if !(host.is_ascii_alphanumeric() || *host == b'[' || *host == b'$' || *host == b'{') {
        return None;
    }
    let user = &rest[..colon];
    let password = &rest[colon + 1..sign];
    // `host:8080/path@2x`: a port and a path, no password.
    let port = password.split(|b| *b == b'/').next().unwrap_or_default();
    if password.contains(&b'/') && port.iter().all(u8::is_ascii_digit) {
        return None;
    }
    if filter::harmless(password).is_some()
        || USUAL.iter().any(|u| password.eq_ignore_ascii_case(u))
        || password.starts_with(b"$")
        || password.starts_with(b"{")
        || password.starts_with(b"%")
        || password.starts_with(b"[")
        || password.contains(&b'{')
        || filter::contains(password, b"password")
        || filter::contains(password, b"secret")
        || filter::contains(password, b"your")
    {
        return None;
    }
    let mixed = password.iter().any(u8::is_ascii_digit)
        || password.iter().any(|b| b.is_ascii_punctuation())
        || filter::wordiness(password) < 0.4;
    let confidence = if password.eq_ignore_ascii_case(user) {
        0.3
    } else if mixed && password.len() >= 6 {
        0.8
    } else if password.len() >= 6 {
        0.55
    } else {
        0.4
    };
    let host = &rest[sign + 1..];
    let example = host.starts_with(b"example.") || host.starts_with(b"host") && password.len() < 9;
    Some((
        user_at + colon + 1,
        user_at + sign,
        if example {
            confidence * 0.6
        } else {
            confidence
        },
    ))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn passwords() {
        let find = |t: &'static str| {
            let at = t.find("://").unwrap_or(0);
            credentials(t.as_bytes(), at.saturating_sub(1))
                .filter(|f| f.2 >= 0.5)
                .map(|f| &t[f.0..f.1])
        };
        assert_eq!(
            find("postgres://app:5L7WwCG6D2cBDt8Hzv6i@db.internal.example:5432/app"),
            Some("5L7WwCG6D2cBDt8Hzv6i")
        );
        assert_eq!(
            find("https://user:pa@ss4word9@h.example"),
            Some("pa@ss4word9")
        );
        assert_eq!(find("https://user:password@host"), None);
        assert_eq!(find("https://${U}:${P}@host"), None);
        assert_eq!(find("http://host:8080/path@2x.png"), None);
    }
}
