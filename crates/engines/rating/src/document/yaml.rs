//! YAML into the document tree.
//!
//! Scalars follow the core schema of YAML 1.2 as far as plans need it: plain `null`, `~`, `true`,
//! `false` and decimal numbers; everything else is a string. Anchors, aliases and tags are
//! refused: a plan needs none of them and they make small files expand without bound.

use std::collections::HashSet;

use saphyr_parser::{Event, Parser, ScalarStyle, Span};

use super::{Key, MAX_DEPTH, Node, Syntax, Value};
use crate::problem::Position;

pub(super) fn parse(text: &str) -> Result<Node, Syntax> {
    let mut root: Option<Node> = None;
    let mut stack: Vec<Open> = Vec::new();
    for item in Parser::new_from_str(text) {
        let (event, span) = item.map_err(|e| Syntax {
            at: marker(e.marker().line(), e.marker().col()),
            message: e.info().to_owned(),
        })?;
        let at = place(span);
        let done = match event {
            Event::DocumentStart(_) if root.is_some() => {
                return Err(error(at, "a second document: a plan is one document"));
            }
            Event::Alias(_) => return Err(error(at, "aliases are not allowed: repeat the value")),
            Event::Scalar(text, style, anchor, tag) => {
                refuse(at, anchor, tag.is_some())?;
                Some(Node {
                    at,
                    value: scalar(&text, style),
                })
            }
            Event::SequenceStart(anchor, tag) => {
                refuse(at, anchor, tag.is_some())?;
                open(&mut stack, Open::Array(at, Vec::new()))?;
                None
            }
            Event::MappingStart(anchor, tag) => {
                refuse(at, anchor, tag.is_some())?;
                let table = Open::Table {
                    at,
                    fields: Vec::new(),
                    seen: HashSet::new(),
                    key: None,
                };
                open(&mut stack, table)?;
                None
            }
            Event::SequenceEnd | Event::MappingEnd => stack.pop().map(Open::close),
            _ => None,
        };
        let Some(node) = done else { continue };
        match stack.last_mut() {
            None => root = Some(node),
            Some(parent) => parent.push(node)?,
        }
    }
    root.ok_or_else(|| error(Position { line: 1, column: 1 }, "the file is empty"))
}

enum Open {
    Array(Position, Vec<Node>),
    Table {
        at: Position,
        fields: Vec<(Key, Node)>,
        seen: HashSet<String>,
        key: Option<Key>,
    },
}

impl Open {
    fn push(&mut self, node: Node) -> Result<(), Syntax> {
        match self {
            Self::Array(_, items) => items.push(node),
            Self::Table {
                fields, seen, key, ..
            } => match key.take() {
                Some(k) => fields.push((k, node)),
                None => {
                    let name = match node.value {
                        Value::Text(s) | Value::Number(s) => s,
                        Value::Bool(b) => b.to_string(),
                        _ => return Err(error(node.at, "a key must be a string")),
                    };
                    if !seen.insert(name.clone()) {
                        let message = format!("duplicate key `{name}`: remove one of them");
                        return Err(error(node.at, &message));
                    }
                    *key = Some(Key { at: node.at, name });
                }
            },
        }
        Ok(())
    }

    fn close(self) -> Node {
        match self {
            Self::Array(at, items) => Node {
                at,
                value: Value::Array(items),
            },
            Self::Table { at, fields, .. } => Node {
                at,
                value: Value::Table(fields),
            },
        }
    }
}

fn open(stack: &mut Vec<Open>, item: Open) -> Result<(), Syntax> {
    if stack.len() >= MAX_DEPTH {
        let at = match item {
            Open::Array(at, _) | Open::Table { at, .. } => at,
        };
        return Err(error(
            at,
            &format!("more than {MAX_DEPTH} levels of nesting"),
        ));
    }
    stack.push(item);
    Ok(())
}

fn refuse(at: Position, anchor: usize, tag: bool) -> Result<(), Syntax> {
    if anchor != 0 {
        return Err(error(at, "anchors are not allowed: repeat the value"));
    }
    if tag {
        return Err(error(at, "tags are not allowed: write the plain value"));
    }
    Ok(())
}

fn scalar(text: &str, style: ScalarStyle) -> Value {
    if style != ScalarStyle::Plain {
        return Value::Text(text.to_owned());
    }
    match text {
        "" | "~" | "null" | "Null" | "NULL" => Value::Null,
        "true" | "True" | "TRUE" => Value::Bool(true),
        "false" | "False" | "FALSE" => Value::Bool(false),
        ".nan" | ".NaN" | ".NAN" | ".inf" | "-.inf" | "+.inf" => Value::Number(text.to_owned()),
        _ if number(text) => Value::Number(text.to_owned()),
        _ => Value::Text(text.to_owned()),
    }
}

/// A plain scalar that reads as a decimal number; dates such as 2025-01-01 do not.
fn number(text: &str) -> bool {
    let digits = text.strip_prefix(['-', '+']).unwrap_or(text);
    let (mantissa, exponent) = match digits.split_once(['e', 'E']) {
        Some((m, e)) => (m, Some(e)),
        None => (digits, None),
    };
    let exponent_ok = exponent.is_none_or(|e| {
        let e = e.strip_prefix(['-', '+']).unwrap_or(e);
        !e.is_empty() && e.bytes().all(|b| b.is_ascii_digit())
    });
    exponent_ok
        && mantissa.starts_with(|c: char| c.is_ascii_digit())
        && mantissa.bytes().all(|b| b.is_ascii_digit() || b == b'.')
        && mantissa.bytes().filter(|b| *b == b'.').count() <= 1
}

fn place(span: Span) -> Position {
    marker(span.start.line(), span.start.col())
}

fn marker(line: usize, col: usize) -> Position {
    Position {
        line: u32::try_from(line).unwrap_or(u32::MAX),
        column: u32::try_from(col + 1).unwrap_or(u32::MAX),
    }
}

fn error(at: Position, message: &str) -> Syntax {
    Syntax {
        at,
        message: message.to_owned(),
    }
}
