//! A document tree with places, the same for TOML, JSON and YAML.
//!
//! Numbers keep the text they were written with, so that `0.1` is one tenth and never a float.

mod json;
mod toml;
mod yaml;

use crate::problem::{Position, Problem, Problems, Severity};

/// The notation of a file.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Format {
    /// TOML 1.0.
    Toml,
    /// JSON (RFC 8259), without duplicate keys.
    Json,
    /// YAML 1.2: one document, without anchors, aliases, tags and merge keys.
    Yaml,
}

impl Format {
    /// The format that a file's extension names: `.toml`, `.json`, `.yaml`, `.yml`.
    #[must_use]
    pub fn of_name(name: &str) -> Option<Self> {
        let extension = name.rsplit_once('.')?.1.to_ascii_lowercase();
        match extension.as_str() {
            "toml" => Some(Self::Toml),
            "json" => Some(Self::Json),
            "yaml" | "yml" => Some(Self::Yaml),
            _ => None,
        }
    }
}

/// Levels of nesting that a document may have.
pub(crate) const MAX_DEPTH: usize = 32;

/// A value with its place.
#[derive(Debug, Clone)]
pub(crate) struct Node {
    pub(crate) at: Position,
    pub(crate) value: Value,
}

/// A value of a document.
#[derive(Debug, Clone)]
pub(crate) enum Value {
    Null,
    Bool(bool),
    /// A number as it was written.
    Number(String),
    Text(String),
    Array(Vec<Node>),
    Table(Vec<(Key, Node)>),
}

/// A key with its place.
#[derive(Debug, Clone)]
pub(crate) struct Key {
    pub(crate) at: Position,
    pub(crate) name: String,
}

impl Node {
    /// What the value is, for messages.
    pub(crate) fn kind(&self) -> &'static str {
        match self.value {
            Value::Null => "null",
            Value::Bool(_) => "a boolean",
            Value::Number(_) => "a number",
            Value::Text(_) => "a string",
            Value::Array(_) => "an array",
            Value::Table(_) => "a table",
        }
    }
}

/// A syntax error.
#[derive(Debug)]
pub(crate) struct Syntax {
    pub(crate) at: Position,
    pub(crate) message: String,
}

/// Reads a document of at most `max_bytes`.
pub(crate) fn parse(
    file: &str,
    text: &str,
    format: Format,
    max_bytes: usize,
) -> Result<Node, Problems> {
    let result = if text.len() > max_bytes {
        Err(Syntax {
            at: Position { line: 1, column: 1 },
            message: format!(
                "the file has {} bytes: at most {max_bytes} are read",
                text.len()
            ),
        })
    } else {
        let text = text.strip_prefix('\u{feff}').unwrap_or(text);
        match format {
            Format::Toml => toml::parse(text),
            Format::Json => json::parse(text),
            Format::Yaml => yaml::parse(text),
        }
    };
    result.map_err(|e| {
        Problems(vec![Problem {
            file: file.to_owned(),
            at: e.at,
            severity: Severity::Error,
            code: "syntax",
            message: e.message,
        }])
    })
}
