//! Words of a text, and what is looked for in it.

/// A text that is looked for: whatever the case, at the edges of words. `ada` is found in `Ada, admin` and not
/// in `canada`; `ada*` is found in `adam`, `*ada` in `canada`, `10.0.0.` in `10.0.0.7` and not in `110.0.0.7`.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub struct Phrase {
    text: String,
    open_start: bool,
    open_end: bool,
}

/// A word of a phrase, and whether the text's word may go on before or behind it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Piece<'a> {
    pub(crate) word: &'a str,
    pub(crate) open_start: bool,
    pub(crate) open_end: bool,
}

/// The words of a text in lower case: its runs of letters and digits.
pub fn words(lower: &str) -> impl Iterator<Item = &str> {
    lower
        .split(|c: char| !c.is_alphanumeric())
        .filter(|word| !word.is_empty())
}

impl Phrase {
    /// Reads what is looked for. A `*` at the beginning or the end lets the word there go on.
    pub fn new(text: &str) -> Self {
        let lower = text.to_lowercase();
        let inner = lower.trim_start_matches('*');
        let text = inner.trim_end_matches('*');
        Self {
            open_start: inner.len() < lower.len(),
            open_end: text.len() < inner.len(),
            text: text.to_owned(),
        }
    }

    /// What must be somewhere in the text in lower case for [`Self::is_in`] to be true.
    pub fn text(&self) -> &str {
        &self.text
    }

    /// Whether it is in a text that is in lower case already.
    pub fn is_in(&self, lower: &str) -> bool {
        let finder = memchr::memmem::Finder::new(&self.text);
        let first = self.text.chars().next().filter(|c| c.is_alphanumeric());
        let last = self
            .text
            .chars()
            .next_back()
            .filter(|c| c.is_alphanumeric());
        let mut at = 0;
        while let Some(found) = lower
            .get(at..)
            .and_then(|rest| finder.find(rest.as_bytes()))
        {
            let start = at + found;
            let end = start + self.text.len();
            let before = lower[..start].chars().next_back();
            let behind = lower[end..].chars().next();
            let joined = |edge: Option<char>, open: bool, neighbour: Option<char>| {
                edge.is_some() && !open && neighbour.is_some_and(char::is_alphanumeric)
            };
            if !joined(first, self.open_start, before) && !joined(last, self.open_end, behind) {
                return true;
            }
            // The next place begins behind this one's first character.
            at = start + lower[start..].chars().next().map_or(1, char::len_utf8);
        }
        false
    }

    /// Its words. A text that holds it has a word for each.
    pub(crate) fn pieces(&self) -> Vec<Piece<'_>> {
        let mut pieces: Vec<Piece<'_>> = words(&self.text)
            .map(|word| Piece {
                word,
                open_start: false,
                open_end: false,
            })
            .collect();
        if let Some(first) = pieces.first_mut() {
            first.open_start = self.open_start && self.text.starts_with(first.word);
        }
        if let Some(last) = pieces.last_mut() {
            last.open_end = self.open_end && self.text.ends_with(last.word);
        }
        pieces
    }

    /// The one word that it is, if it is one: then a text with this word holds it.
    pub(crate) fn only(&self) -> Option<Piece<'_>> {
        match self.pieces().as_slice() {
            [one] if one.word == self.text => Some(*one),
            _ => None,
        }
    }
}

impl Piece<'_> {
    /// Whether a word of the text is this one.
    pub(crate) fn is(&self, word: &str) -> bool {
        match (self.open_start, self.open_end) {
            (false, false) => word == self.word,
            (false, true) => word.starts_with(self.word),
            (true, false) => word.ends_with(self.word),
            (true, true) => word.contains(self.word),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn words_are_found_at_their_edges() {
        for (phrase, text, is_in) in [
            ("ada", "Ada, admin", true),
            ("ada", "canada", false),
            ("ada", "canada ada", true),
            ("ada", "ada7", false),
            ("ada*", "adam", true),
            ("*ada", "Canada", true),
            ("*nad*", "canada", true),
            ("*nad", "canada", false),
            ("10.0.0.", "at 10.0.0.7", true),
            ("10.0.0.", "at 110.0.0.7", false),
            ("ÄRGER", "viel ärger", true),
            ("a a", "aa a a", true),
            ("\"", "a\"b", true),
            ("*", "", true),
            ("x", "", false),
            ("ß", "großß ß", true),
        ] {
            assert_eq!(
                Phrase::new(phrase).is_in(&text.to_lowercase()),
                is_in,
                "{phrase} in {text}"
            );
        }
    }
}
