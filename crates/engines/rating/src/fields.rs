//! Reading the fields of a table, collecting every problem instead of the first.

use sealwright_money::{Decimal, MoneyError, exact};

use crate::document::{Key, Node, Value};
use crate::problem::{Position, Problem, Severity};

/// Problems of one file as they are found.
pub(crate) struct Report {
    file: String,
    problems: Vec<Problem>,
    failed: bool,
}

impl Report {
    pub(crate) fn new(file: &str) -> Self {
        Self {
            file: file.to_owned(),
            problems: Vec::new(),
            failed: false,
        }
    }

    pub(crate) fn error(&mut self, at: Position, code: &'static str, message: impl Into<String>) {
        self.push(at, Severity::Error, code, message.into());
    }

    pub(crate) fn warning(&mut self, at: Position, code: &'static str, message: impl Into<String>) {
        self.push(at, Severity::Warning, code, message.into());
    }

    fn push(&mut self, at: Position, severity: Severity, code: &'static str, message: String) {
        self.failed |= severity == Severity::Error;
        // A hostile file could hold a problem in every field; a hundred are enough to work on.
        if self.problems.len() < 100 {
            self.problems.push(Problem {
                file: self.file.clone(),
                at,
                severity,
                code,
                message,
            });
        }
    }

    pub(crate) fn failed(&self) -> bool {
        self.failed
    }

    pub(crate) fn finish(mut self) -> Vec<Problem> {
        self.problems.sort_by_key(|p| (p.at, p.severity));
        self.problems
    }
}

/// Which signs a number may have.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(crate) enum Sign {
    Any,
    NotNegative,
    Positive,
}

/// The fields of one table; what is not taken is unknown.
pub(crate) struct Fields<'a> {
    at: Position,
    what: String,
    entries: &'a [(Key, Node)],
    taken: Vec<&'static str>,
}

impl<'a> Fields<'a> {
    /// The fields of `node`, called `what` in messages; a problem when it is not a table.
    pub(crate) fn open(node: &'a Node, what: &str, report: &mut Report) -> Option<Self> {
        match &node.value {
            Value::Table(entries) => Some(Self {
                at: node.at,
                what: what.to_owned(),
                entries,
                taken: Vec::new(),
            }),
            _ => {
                report.error(
                    node.at,
                    "type",
                    format!("{what} must be a table, this is {}", node.kind()),
                );
                None
            }
        }
    }

    pub(crate) fn at(&self) -> Position {
        self.at
    }

    /// Where the field is, or else where the table is.
    pub(crate) fn place(&self, key: &str) -> Position {
        self.entries
            .iter()
            .find(|(k, _)| k.name == key)
            .map_or(self.at, |(_, n)| n.at)
    }

    pub(crate) fn take(&mut self, key: &'static str) -> Option<&'a Node> {
        if !self.taken.contains(&key) {
            self.taken.push(key);
        }
        let node = self
            .entries
            .iter()
            .find(|(k, _)| k.name == key)
            .map(|(_, n)| n);
        node.filter(|n| !matches!(n.value, Value::Null))
    }

    fn required<T>(&self, key: &str, found: Option<T>, report: &mut Report) -> Option<T> {
        if found.is_none()
            && !self
                .entries
                .iter()
                .any(|(k, n)| k.name == key && !matches!(n.value, Value::Null))
        {
            report.error(
                self.at,
                "missing-field",
                format!("{} needs `{key}`", self.what),
            );
        }
        found
    }

    pub(crate) fn text(
        &mut self,
        key: &'static str,
        max: usize,
        report: &mut Report,
    ) -> Option<String> {
        let node = self.take(key)?;
        text(node, &format!("`{key}`"), max, report)
    }

    pub(crate) fn need_text(
        &mut self,
        key: &'static str,
        max: usize,
        report: &mut Report,
    ) -> Option<String> {
        let found = self.text(key, max, report);
        self.required(key, found, report)
    }

    pub(crate) fn number(
        &mut self,
        key: &'static str,
        sign: Sign,
        report: &mut Report,
    ) -> Option<Decimal> {
        let node = self.take(key)?;
        number(node, &format!("`{key}`"), sign, report)
    }

    pub(crate) fn need_number(
        &mut self,
        key: &'static str,
        sign: Sign,
        report: &mut Report,
    ) -> Option<Decimal> {
        let found = self.number(key, sign, report);
        self.required(key, found, report)
    }

    pub(crate) fn whole(&mut self, key: &'static str, report: &mut Report) -> Option<u32> {
        let at = self.place(key);
        let n = self.number(key, Sign::NotNegative, report)?;
        let whole = n.to_string().parse().ok();
        if whole.is_none() {
            report.error(
                at,
                "type",
                format!("`{key}` must be a whole number below 4294967296"),
            );
        }
        whole
    }

    /// The items of an array field; empty when absent.
    pub(crate) fn array(
        &mut self,
        key: &'static str,
        max: usize,
        report: &mut Report,
    ) -> &'a [Node] {
        let Some(node) = self.take(key) else {
            return &[];
        };
        let Value::Array(items) = &node.value else {
            report.error(
                node.at,
                "type",
                format!("`{key}` must be an array, this is {}", node.kind()),
            );
            return &[];
        };
        if items.len() > max {
            let message = format!(
                "`{key}` has {} items: at most {max} are allowed",
                items.len()
            );
            report.error(node.at, "too-many", message);
            return &[];
        }
        items
    }

    /// Reports the fields that nobody took.
    pub(crate) fn finish(self, report: &mut Report) {
        for (key, _) in self.entries {
            if !self.taken.contains(&key.name.as_str()) {
                let known = self.taken.join("`, `");
                let message = format!(
                    "unknown field `{}` in {}: known are `{known}`",
                    shorten(&key.name),
                    self.what
                );
                report.error(key.at, "unknown-field", message);
            }
        }
    }
}

fn shorten(text: &str) -> String {
    text.chars().take(60).collect()
}

/// A string that is not empty, of at most `max` bytes, without control characters.
pub(crate) fn text(node: &Node, what: &str, max: usize, report: &mut Report) -> Option<String> {
    let Value::Text(s) = &node.value else {
        report.error(
            node.at,
            "type",
            format!("{what} must be a string, this is {}", node.kind()),
        );
        return None;
    };
    if s.is_empty() || s.len() > max || s.chars().any(char::is_control) {
        let message = format!("{what} must have 1 to {max} bytes and no control characters");
        report.error(node.at, "text", message);
        return None;
    }
    Some(s.clone())
}

/// A decimal, written as a number or as a string.
pub(crate) fn number(node: &Node, what: &str, sign: Sign, report: &mut Report) -> Option<Decimal> {
    let (Value::Number(raw) | Value::Text(raw)) = &node.value else {
        let message = format!(
            "{what} must be a number or a decimal string, this is {}",
            node.kind()
        );
        report.error(node.at, "type", message);
        return None;
    };
    // TOML allows separators inside numbers; they carry no value.
    let clean = if matches!(node.value, Value::Number(_)) {
        raw.replace('_', "")
    } else {
        raw.clone()
    };
    match exact::parse(&clean) {
        Ok(d) if sign != Sign::Any && d.is_sign_negative() && !d.is_zero() => {
            report.error(node.at, "negative", format!("{what} must not be negative"));
            None
        }
        Ok(d) if sign == Sign::Positive && d.is_zero() => {
            report.error(node.at, "zero", format!("{what} must be above zero"));
            None
        }
        Ok(d) => Some(d),
        Err(MoneyError::OutOfRange(_)) => {
            let message = format!("{what} is out of range: at most 28 digits");
            report.error(node.at, "out-of-range", message);
            None
        }
        Err(_) => {
            let message = format!("{what} is `{}`, not a decimal number", shorten(raw));
            report.error(node.at, "not-a-number", message);
            None
        }
    }
}
