//! Series selectors of PromQL, and nothing more of it: what a range is put behind must be one selector, else the
//! samples would not be those of single series.

use std::iter::Peekable;
use std::str::Chars;

/// The longest selector, in bytes.
const LONGEST: usize = 2_000;

/// Whether `text` is one selector: `name`, `name{label="value", …}` or `{…}` with `=`, `!=`, `=~`, `!~`.
///
/// # Errors
/// What is wrong with it, to be read behind the field's name.
pub(crate) fn check(text: &str) -> Result<(), String> {
    if text.len() > LONGEST {
        return Err(format!("has more than {LONGEST} bytes"));
    }
    let mut parser = Parser {
        chars: text.trim().chars().peekable(),
    };
    let named = parser.name(true);
    parser.space();
    let mut matchers = 0;
    if parser.eat('{') {
        matchers = parser.matchers()?;
    }
    parser.space();
    match parser.chars.peek() {
        None if named || matchers > 0 => Ok(()),
        None => Err("is empty: name a metric, such as http_requests_total".to_owned()),
        Some('[') => {
            Err("must not have a range: the window is put behind it by this program".to_owned())
        }
        Some(found) => Err(format!(
            "must be one selector, such as http_requests_total{{job=\"api\"}}; `{found}` cannot follow there. \
             For other expressions take the kind `expression`"
        )),
    }
}

struct Parser<'a> {
    chars: Peekable<Chars<'a>>,
}

impl Parser<'_> {
    fn space(&mut self) {
        while self.chars.next_if(|c| c.is_ascii_whitespace()).is_some() {}
    }

    fn eat(&mut self, wanted: char) -> bool {
        self.chars.next_if_eq(&wanted).is_some()
    }

    /// A metric's or a label's name.
    fn name(&mut self, metric: bool) -> bool {
        let letter = |c: &char| c.is_ascii_alphabetic() || *c == '_' || (metric && *c == ':');
        if self.chars.next_if(letter).is_none() {
            return false;
        }
        while self
            .chars
            .next_if(|c| letter(c) || c.is_ascii_digit())
            .is_some()
        {}
        true
    }

    fn matchers(&mut self) -> Result<usize, String> {
        let mut found = 0;
        loop {
            self.space();
            if self.eat('}') {
                return Ok(found);
            }
            // A quoted text alone is a metric's name (Prometheus 3); before an operator it is a label's.
            let quoted = self.quoted()?;
            if !quoted && !self.name(false) {
                return Err("has something other than a label in its braces".to_owned());
            }
            self.space();
            let operator = if self.eat('=') {
                self.eat('~');
                true
            } else if self.eat('!') {
                if !self.eat('=') && !self.eat('~') {
                    return Err("has `!` without `=` or `~` behind it".to_owned());
                }
                true
            } else {
                false
            };
            if operator {
                self.space();
                if !self.quoted()? {
                    return Err("has a label without a quoted value".to_owned());
                }
            } else if !quoted {
                return Err("has a label without an operator: =, !=, =~ or !~".to_owned());
            }
            found += 1;
            self.space();
            if !self.eat(',') && self.chars.peek() != Some(&'}') {
                return Err("has matchers that no comma separates, or no `}`".to_owned());
            }
        }
    }

    /// A quoted text, if one begins here.
    fn quoted(&mut self) -> Result<bool, String> {
        let Some(quote) = self.chars.next_if(|c| matches!(c, '"' | '\'' | '`')) else {
            return Ok(false);
        };
        loop {
            match self.chars.next() {
                Some(c) if c == quote => return Ok(true),
                Some('\\') if quote != '`' => {
                    self.chars.next();
                }
                Some('\n') if quote != '`' => return Err("has a line break in a text".to_owned()),
                Some(_) => {}
                None => return Err("has a text without its closing quote".to_owned()),
            }
        }
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn one_selector_and_nothing_else() {
        for good in [
            "up",
            "http_requests_total",
            "job:requests:sum",
            "{__name__=~\"x.*\"}",
            "http_requests_total{}",
            "a{b=\"c\"}",
            "a{b=\"c\",}",
            " a { b != 'c' , d=~`e[}]` } ",
            "a{b=\"with } and \\\" inside\"}",
            "{\"http.requests\", job=\"x\"}",
        ] {
            assert_eq!(check(good), Ok(()), "{good}");
        }
        for bad in [
            "",
            "{}",
            "a[5m]",
            "a offset 5m",
            "a @ 0",
            "rate(a[5m])",
            "sum(a)",
            "a + b",
            "a or b",
            "a{b}",
            "a{b=c}",
            "a{b=\"c\"",
            "a{b=\"c\" d=\"e\"}",
            "a{b=\"c}",
            "a{b!\"c\"}",
            "a} or b{",
            "1",
            "a{b=\"c\"}[5m]",
            "a # comment",
        ] {
            assert!(check(bad).is_err(), "{bad}");
        }
        assert!(check(&"a".repeat(3_000)).is_err());
    }

    proptest! {
        #[test]
        fn arbitrary_text_is_judged_without_panic(text in "[a{}=!~\"'`,\\\\\\[ ]{0,40}") {
            if check(&text).is_ok() {
                // Whatever passes has no range or operator outside of its texts.
                prop_assert!(!text.trim().starts_with('['));
            }
        }
    }
}
