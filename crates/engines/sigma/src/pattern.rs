//! Strings of rules: wildcards, escapes, placeholders.

use crate::fold::fold_char;

/// A piece of a [`Pattern`].
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub enum Part {
    /// Plain text.
    Text(String),
    /// `*`: any run of characters, the empty one too.
    Star,
    /// `?`: exactly one character.
    One,
}

/// A string value with its wildcards (rules specification, "String Wildcard" and "Escape
/// Character"). Adjacent texts are joined and adjacent stars are one.
#[derive(Debug, Clone, PartialEq, Eq, Hash, Default)]
pub struct Pattern {
    parts: Vec<Part>,
}

impl Pattern {
    /// Reads a value as it stands in a rule: a backslash escapes `*`, `?` and itself, and is
    /// itself everywhere else.
    pub fn parse(text: &str) -> Self {
        let mut p = Self::default();
        let mut plain = String::new();
        let mut chars = text.chars().peekable();
        while let Some(c) = chars.next() {
            match c {
                '\\' => match chars.peek() {
                    Some(&n @ ('*' | '?' | '\\')) => {
                        plain.push(n);
                        chars.next();
                    }
                    _ => plain.push('\\'),
                },
                '*' | '?' => {
                    p.push_text(std::mem::take(&mut plain));
                    p.push(if c == '*' { Part::Star } else { Part::One });
                }
                _ => plain.push(c),
            }
        }
        p.push_text(plain);
        p
    }

    /// A value without wildcards.
    pub fn literal(text: &str) -> Self {
        let mut p = Self::default();
        p.push_text(text.to_owned());
        p
    }

    /// The pieces in order.
    pub fn parts(&self) -> &[Part] {
        &self.parts
    }

    fn push(&mut self, part: Part) {
        if part == Part::Star && self.parts.last() == Some(&Part::Star) {
            return;
        }
        self.parts.push(part);
    }

    fn push_text(&mut self, text: String) {
        if text.is_empty() {
            return;
        }
        if let Some(Part::Text(last)) = self.parts.last_mut() {
            last.push_str(&text);
        } else {
            self.parts.push(Part::Text(text));
        }
    }

    /// Puts a star in front unless there is one.
    #[must_use]
    pub fn open_start(mut self) -> Self {
        if self.parts.first() != Some(&Part::Star) {
            self.parts.insert(0, Part::Star);
        }
        self
    }

    /// Puts a star behind unless there is one.
    #[must_use]
    pub fn open_end(mut self) -> Self {
        self.push(Part::Star);
        self
    }

    /// Puts plain text in front.
    pub(crate) fn with_prefix(&self, text: &str) -> Self {
        let mut out = Self::literal(text);
        for part in &self.parts {
            match part {
                Part::Text(t) => out.push_text(t.clone()),
                other => out.push(other.clone()),
            }
        }
        out
    }

    /// Whether there is a wildcard.
    pub fn has_wildcards(&self) -> bool {
        self.parts.iter().any(|p| !matches!(p, Part::Text(_)))
    }

    /// The text of a value without wildcards.
    pub fn as_literal(&self) -> Option<&str> {
        match self.parts.as_slice() {
            [] => Some(""),
            [Part::Text(t)] => Some(t),
            _ => None,
        }
    }

    /// Changes every plain piece; `None` from the function stops with `None`.
    pub(crate) fn map_text(&self, mut f: impl FnMut(&str) -> Option<String>) -> Option<Self> {
        let mut out = Self::default();
        for part in &self.parts {
            match part {
                Part::Text(t) => out.push_text(f(t)?),
                other => out.push(other.clone()),
            }
        }
        Some(out)
    }

    /// The alternatives of the `windash` modifier: each dash at a word start in all five forms.
    /// `None` when there are more than three such dashes (125 alternatives).
    pub(crate) fn windash(&self) -> Option<Vec<Self>> {
        const DASHES: [char; 5] = ['-', '/', '\u{2013}', '\u{2014}', '\u{2015}'];
        let word = |c: char| c.is_alphanumeric() || c == '_';
        let mut places = Vec::new();
        for (i, part) in self.parts.iter().enumerate() {
            let Part::Text(t) = part else { continue };
            let mut before: Option<char> = None;
            let mut it = t.char_indices().peekable();
            while let Some((at, c)) = it.next() {
                let after = it.peek().map(|(_, c)| *c);
                if DASHES.contains(&c) && !before.is_some_and(word) && after.is_some_and(word) {
                    places.push((i, at, c.len_utf8()));
                }
                before = Some(c);
            }
        }
        if places.len() > 3 {
            return None;
        }
        let mut all = vec![self.clone()];
        // From the last place to the first, so that offsets stay valid.
        for &(i, at, len) in places.iter().rev() {
            all = all
                .into_iter()
                .flat_map(|p| {
                    DASHES.map(|d| {
                        let mut q = p.clone();
                        if let Part::Text(t) = &mut q.parts[i] {
                            t.replace_range(at..at + len, d.encode_utf8(&mut [0; 4]));
                        }
                        q
                    })
                })
                .collect();
        }
        Some(all)
    }

    /// Whether a text matches as a whole. Without `cased` both sides are folded
    /// ([`crate::fold`]).
    pub fn matches(&self, text: &str, cased: bool) -> bool {
        Glob::new(self, cased).matches(text)
    }
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
enum Glyph {
    Char(char),
    One,
    Star,
}

/// A pattern ready to be matched: folded once. No backtracking beyond the last star, so time is at
/// most the product of both lengths.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub(crate) struct Glob {
    glyphs: Vec<Glyph>,
    cased: bool,
}

impl Glob {
    pub(crate) fn new(pattern: &Pattern, cased: bool) -> Self {
        let mut glyphs = Vec::new();
        for part in &pattern.parts {
            match part {
                Part::Text(t) => glyphs.extend(
                    t.chars()
                        .map(|c| Glyph::Char(if cased { c } else { fold_char(c) })),
                ),
                Part::Star => glyphs.push(Glyph::Star),
                Part::One => glyphs.push(Glyph::One),
            }
        }
        Self { glyphs, cased }
    }

    pub(crate) fn matches(&self, text: &str) -> bool {
        let fits = |glyph: Glyph, c: char| match glyph {
            Glyph::One => true,
            Glyph::Char(g) => g == if self.cased { c } else { fold_char(c) },
            Glyph::Star => false,
        };
        let mut p = 0;
        let mut rest = text.chars();
        // After a star: where the pattern goes on, and the text from which it is tried next.
        let mut retry: Option<(usize, std::str::Chars<'_>)> = None;
        loop {
            let here = rest.clone();
            let Some(c) = rest.next() else { break };
            match self.glyphs.get(p) {
                Some(Glyph::Star) => {
                    p += 1;
                    rest = here.clone();
                    retry = Some((p, here));
                }
                Some(&g) if fits(g, c) => p += 1,
                _ => {
                    let Some((sp, at)) = retry.as_mut() else {
                        return false;
                    };
                    at.next();
                    p = *sp;
                    rest = at.clone();
                }
            }
        }
        self.glyphs[p..].iter().all(|g| *g == Glyph::Star)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn escapes() {
        let check = |source: &str, plain: &str| {
            assert_eq!(Pattern::parse(source).as_literal(), Some(plain), "{source}");
        };
        check(r"a\b", r"a\b");
        check(r"a\\b", r"a\b");
        check(r"\\\srv", r"\\srv");
        check(r"\\\\srv", r"\\srv");
        check(r"a\*", "a*");
        assert!(Pattern::parse(r"a\\*").has_wildcards());
    }

    #[test]
    fn many_stars_do_not_explode() {
        let p = Pattern::parse(&"*a".repeat(200));
        assert!(!p.matches(&"b".repeat(20_000), false));
    }
}
