//! Media types and their parameters (RFC 9110 section 8.3.1).

/// A media type: `type/subtype` in lower case, and the parameters that matter here.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct MediaType {
    pub(crate) essence: String,
    pub(crate) charset: Option<String>,
}

fn is_token(text: &str) -> bool {
    !text.is_empty()
        && text
            .bytes()
            .all(|b| b.is_ascii_alphanumeric() || b"!#$%&'*+-.^_`|~".contains(&b))
}

impl MediaType {
    pub(crate) fn parse(text: &str) -> Result<Self, String> {
        let wrong = || format!("`{}` is not a media type", text.escape_debug());
        let mut rest = text;
        let essence = match rest.find(';') {
            Some(at) => {
                let head = &rest[..at];
                rest = &rest[at..];
                head
            }
            None => std::mem::take(&mut rest),
        };
        let essence = essence.trim_matches([' ', '\t']);
        let (main, sub) = essence.split_once('/').ok_or_else(wrong)?;
        if !is_token(main) || !is_token(sub) {
            return Err(wrong());
        }
        let mut charset = None;
        while let Some(tail) = rest.strip_prefix(';') {
            let tail = tail.trim_start_matches([' ', '\t']);
            if tail.is_empty() || tail.starts_with(';') {
                // RFC 9110 lets parameters be empty.
                rest = tail;
                continue;
            }
            let (name, tail) = tail.split_once('=').ok_or_else(wrong)?;
            if !is_token(name) {
                return Err(wrong());
            }
            let (value, tail) = if let Some(quoted) = tail.strip_prefix('"') {
                quoted_string(quoted).ok_or_else(wrong)?
            } else {
                let end = tail.find([';', ' ', '\t']).unwrap_or(tail.len());
                if !is_token(&tail[..end]) {
                    return Err(wrong());
                }
                (tail[..end].to_owned(), &tail[end..])
            };
            if name.eq_ignore_ascii_case("charset") {
                charset = Some(value.to_ascii_lowercase());
            }
            rest = tail.trim_start_matches([' ', '\t']);
        }
        if !rest.is_empty() {
            return Err(wrong());
        }
        Ok(Self {
            essence: essence.to_ascii_lowercase(),
            charset,
        })
    }

    /// Whether the payload is JSON by its name (JSON event format 1.0.2, section 3.1).
    pub(crate) fn is_json(&self) -> bool {
        self.essence
            .split_once('/')
            .is_some_and(|(_, sub)| sub == "json" || sub.ends_with("+json"))
    }

    /// Whether the payload is text that people and tools would rather read than decode.
    pub(crate) fn is_text(&self) -> bool {
        self.essence.starts_with("text/")
            || self.essence == "application/xml"
            || self.essence.ends_with("+xml")
    }

    pub(crate) fn is_utf8(&self) -> bool {
        self.charset
            .as_deref()
            .is_none_or(|c| matches!(c, "utf-8" | "utf8" | "us-ascii"))
    }
}

/// The inside of a quoted string (after the opening quote) and what follows it.
pub(crate) fn quoted_string(text: &str) -> Option<(String, &str)> {
    let mut value = String::new();
    let mut chars = text.char_indices();
    while let Some((at, c)) = chars.next() {
        match c {
            '"' => return Some((value, &text[at + 1..])),
            '\\' => value.push(chars.next()?.1),
            c => value.push(c),
        }
    }
    None
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::*;

    #[test]
    fn reads_parameters() {
        let t = MediaType::parse("Application/CloudEvents+JSON ; Charset=\"UTF-8\"; x=1").unwrap();
        assert_eq!(t.essence, "application/cloudevents+json");
        assert!(t.is_utf8());
        assert!(
            !MediaType::parse("text/plain;charset=latin1")
                .unwrap()
                .is_utf8()
        );
        for bad in [
            "",
            "text",
            "text/",
            "a/b;c",
            "a/b;c=\"",
            "a b/c",
            "a/b; c=d e",
        ] {
            assert!(MediaType::parse(bad).is_err(), "{bad}");
        }
    }
}
