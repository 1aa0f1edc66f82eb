//! Addresses of electronic mail (the part of RFC 5321 that is in use).

/// Endings of file names that look like domains.
const NOT_DOMAINS: &[&[u8]] = &[
    b"png",
    b"jpg",
    b"jpeg",
    b"gif",
    b"svg",
    b"webp",
    b"js",
    b"css",
    b"html",
    b"htm",
    b"json",
    b"xml",
    b"md",
    b"txt",
    b"yml",
    b"yaml",
    b"toml",
    b"lock",
    b"rs",
    b"py",
    b"go",
    b"java",
    b"ts",
    b"tsx",
    b"jsx",
    b"local",
    b"localhost",
    b"internal",
    b"invalid",
    b"php",
    b"exe",
    b"dll",
    b"so",
    b"service",
    b"timer",
    b"socket",
    b"target",
    b"mount",
];

/// Local parts that belong to machines.
const MACHINES: &[&[u8]] = &[
    b"git",
    b"noreply",
    b"no-reply",
    b"donotreply",
    b"do-not-reply",
    b"ssh",
    b"hg",
    b"svn",
];

fn local(b: u8) -> bool {
    b.is_ascii_alphanumeric() || b"._+-'!#$%&*/=?^`{|}~".contains(&b) && b"._+-'%&".contains(&b)
}

/// Calls `found` with the place of each address and how sure it is.
pub(crate) fn scan(text: &[u8], mut found: impl FnMut(usize, usize, f32)) {
    for at in memchr::memchr_iter(b'@', text) {
        if let Some((start, end, confidence)) = around(text, at) {
            found(start, end, confidence);
        }
    }
}

fn around(text: &[u8], at: usize) -> Option<(usize, usize, f32)> {
    let next = text.get(at + 1)?;
    if at == 0 || !next.is_ascii_alphanumeric() {
        return None;
    }
    let floor = at.saturating_sub(65);
    let mut start = at;
    while start > floor && (local(text[start - 1]) || text[start - 1] >= 0x80 && at - start > 64) {
        start -= 1;
    }
    while start < at && !text[start].is_ascii_alphanumeric() && text[start] != b'_' {
        start += 1;
    }
    if start == at
        || at - start > 64
        || !(text[at - 1].is_ascii_alphanumeric() || b"_-+'".contains(&text[at - 1]))
    {
        return None;
    }
    let before = if start == 0 { b' ' } else { text[start - 1] };
    // `scheme://user@host`, a path in a repository's address and `name@version` are none.
    if before == b'/' || before == b':' && start >= 3 && &text[start - 3..start] == b"://" {
        return None;
    }
    let part = &text[start..at];
    if memchr::memmem::find(part, b"..").is_some() {
        return None;
    }
    let mut end = at + 1;
    let ceil = text.len().min(at + 254);
    while end < ceil
        && (text[end].is_ascii_alphanumeric() || text[end] == b'-' || text[end] == b'.')
    {
        end += 1;
    }
    while end > at && !text[end - 1].is_ascii_alphanumeric() {
        end -= 1;
    }
    let mut domain = &text[at + 1..end];
    // A full stop that ends a sentence before the next one begins: `x@example.org.Then`.
    if domain.contains(&b'_') {
        return None;
    }
    let dot = domain.iter().rposition(|b| *b == b'.')?;
    let mut tld = &domain[dot + 1..];
    let punycode = tld.len() > 4 && tld[..4].eq_ignore_ascii_case(b"xn--");
    if !punycode && !tld.iter().all(u8::is_ascii_alphabetic) {
        // Cut what was glued on: `x@example.org-2`.
        let letters = tld.iter().take_while(|b| b.is_ascii_alphabetic()).count();
        if letters < 2 || tld.get(letters).is_some_and(|b| b.is_ascii_digit()) {
            return None;
        }
        end -= tld.len() - letters;
        domain = &text[at + 1..end];
        tld = &domain[dot + 1..];
    }
    if tld.len() < 2
        || tld.len() > 24
        || domain
            .split(|b| *b == b'.')
            .any(|l| l.is_empty() || l.len() > 63 || l[0] == b'-')
        || NOT_DOMAINS.iter().any(|n| tld.eq_ignore_ascii_case(n))
        || text.get(end) == Some(&b'_')
        || text.get(end) == Some(&b'(')
    {
        return None;
    }
    let machine = MACHINES.iter().any(|m| part.eq_ignore_ascii_case(m));
    // `user@host:path` of a repository.
    let confidence = if machine { 0.3 } else { 0.8 };
    Some((start, end, confidence))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn all(text: &str) -> Vec<&str> {
        let mut out = Vec::new();
        scan(text.as_bytes(), |s, e, c| {
            if c > 0.5 {
                out.push(&text[s..e]);
            }
        });
        out
    }

    #[test]
    fn addresses() {
        assert_eq!(all("mail a.b+c@example.org."), ["a.b+c@example.org"]);
        assert_eq!(all("<x@mail.example.net>"), ["x@mail.example.net"]);
        assert_eq!(all("a@xn--d1acufc.xn--p1ai"), ["a@xn--d1acufc.xn--p1ai"]);
        for none in [
            "user@localhost",
            "icon@2x.png",
            "@example",
            "git@github.com",
            "pkg@1.2.3",
            "a@b@",
            "x @y.de",
        ] {
            assert!(all(none).is_empty(), "{none}");
        }
    }
}
