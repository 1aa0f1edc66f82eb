//! Errors of the text formats.

/// A text that does not follow its format, with the line that breaks it.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{format} line {line}: {problem}")]
pub struct ParseError {
    /// The format that was expected, for example `checkpoint`.
    pub format: &'static str,
    /// The line, counted from 1.
    pub line: usize,
    /// What is wrong with that line and what was expected.
    pub problem: String,
}

impl ParseError {
    pub(crate) fn new(format: &'static str, line: usize, problem: impl Into<String>) -> Self {
        Self {
            format,
            line,
            problem: problem.into(),
        }
    }
}

/// Parses an unsigned decimal with no sign and no leading zero, as all C2SP formats write sizes.
pub(crate) fn strict_decimal(text: &str) -> Option<u64> {
    let bytes = text.as_bytes();
    if bytes.is_empty() || !bytes.iter().all(u8::is_ascii_digit) {
        return None;
    }
    if bytes.len() > 1 && bytes[0] == b'0' {
        return None;
    }
    text.parse().ok()
}

#[cfg(test)]
mod tests {
    use super::strict_decimal;

    #[test]
    fn only_the_canonical_form_is_a_number() {
        assert_eq!(strict_decimal("0"), Some(0));
        assert_eq!(strict_decimal("18446744073709551615"), Some(u64::MAX));
        for bad in [
            "",
            "00",
            "01",
            "+1",
            "-1",
            " 1",
            "1 ",
            "1_0",
            "18446744073709551616",
            "१",
        ] {
            assert_eq!(strict_decimal(bad), None, "{bad:?}");
        }
    }
}
