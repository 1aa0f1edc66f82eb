//! TOML into the document tree.

use ::toml::Spanned;
use ::toml::de::{DeTable, DeValue};

use super::{Key, MAX_DEPTH, Node, Syntax, Value};
use crate::problem::Position;

pub(super) fn parse(text: &str) -> Result<Node, Syntax> {
    let lines = Lines::new(text);
    let table = DeTable::parse(text).map_err(|e| Syntax {
        at: lines.at(e.span().map_or(0, |s| s.start)),
        message: e.message().to_owned(),
    })?;
    let at = Position { line: 1, column: 1 };
    Ok(Node {
        at,
        value: table_value(table.into_inner(), &lines, 0)?,
    })
}

/// Line starts, so that many places are found without scanning the text for each.
struct Lines<'a> {
    text: &'a str,
    starts: Vec<usize>,
}

impl<'a> Lines<'a> {
    fn new(text: &'a str) -> Self {
        let starts = std::iter::once(0)
            .chain(
                text.bytes()
                    .enumerate()
                    .filter(|(_, b)| *b == b'\n')
                    .map(|(i, _)| i + 1),
            )
            .collect();
        Self { text, starts }
    }

    fn at(&self, offset: usize) -> Position {
        let line = self.starts.partition_point(|s| *s <= offset).max(1);
        let start = self.starts.get(line - 1).copied().unwrap_or(0);
        let column = Position::column_after(self.text.get(start..offset).unwrap_or(""));
        Position {
            line: u32::try_from(line).unwrap_or(u32::MAX),
            column,
        }
    }
}

fn table_value(table: DeTable<'_>, lines: &Lines<'_>, depth: usize) -> Result<Value, Syntax> {
    let mut fields: Vec<(Key, Node)> = Vec::with_capacity(table.len());
    for (key, value) in table {
        let at = lines.at(key.span().start);
        fields.push((
            Key {
                at,
                name: key.into_inner().into_owned(),
            },
            node(value, lines, depth + 1)?,
        ));
    }
    fields.sort_by_key(|(k, _)| k.at);
    Ok(Value::Table(fields))
}

fn node(value: Spanned<DeValue<'_>>, lines: &Lines<'_>, depth: usize) -> Result<Node, Syntax> {
    let at = lines.at(value.span().start);
    if depth > MAX_DEPTH {
        return Err(Syntax {
            at,
            message: format!("more than {MAX_DEPTH} levels of nesting"),
        });
    }
    let value = match value.into_inner() {
        DeValue::String(s) => Value::Text(s.into_owned()),
        DeValue::Integer(i) => Value::Number(i.to_string()),
        DeValue::Float(f) => Value::Number(f.as_str().to_owned()),
        DeValue::Boolean(b) => Value::Bool(b),
        DeValue::Datetime(d) => Value::Text(d.to_string()),
        DeValue::Array(items) => Value::Array(
            items
                .into_iter()
                .map(|i| node(i, lines, depth + 1))
                .collect::<Result<_, _>>()?,
        ),
        DeValue::Table(t) => table_value(t, lines, depth)?,
    };
    Ok(Node { at, value })
}
