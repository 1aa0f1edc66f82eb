//! From rows to events.

use std::collections::{HashMap, HashSet};

use sealwright_cloudevents::{Event, Limits, parse_event};
use sealwright_core::canonical_json;
use serde_json::{Map, Number, Value};

use super::ImportError;
use super::mapping::{Kind, Mapping, Origin, PrefixCache, Rules};
use super::rows::{Cells, Fault, Place, Row, Rows};
use super::template::{Names, Template};

/// Different blocks that [`PrefixCache`] remembers at most.
const MAX_BLOCKS: usize = 20_000_000;

/// What a row is.
#[derive(Debug)]
pub(super) enum Outcome {
    Event(Place, Box<Event>),
    /// Left out, as the mapping says.
    Skipped,
    Bad(Fault),
}

/// Makes events of rows.
pub(super) struct Maker<'a> {
    mapping: &'a Mapping,
    header: Option<HashMap<String, usize>>,
    file: &'a str,
    digest: &'a str,
    limits: Limits,
    blocks: HashSet<String>,
}

impl<'a> Maker<'a> {
    /// # Errors
    /// When the mapping names a column that the file does not have.
    pub(super) fn new(
        mapping: &'a Mapping,
        rows: &Rows,
        file: &'a str,
        digest: &'a str,
    ) -> Result<Self, ImportError> {
        let header = rows.header().cloned();
        if let (Some(header), Some(rules)) = (&header, &mapping.rules) {
            let mut missing: Vec<&str> = columns(rules)
                .into_iter()
                .filter(|name| !header.contains_key(*name))
                .collect();
            missing.sort_unstable();
            missing.dedup();
            if !missing.is_empty() {
                let mut there: Vec<_> = header.keys().map(String::as_str).collect();
                there.sort_unstable();
                return Err(ImportError::File {
                    place: format!("{file}:1:1"),
                    detail: format!(
                        "the mapping reads {}, which the header does not have (there are {})",
                        quoted(&missing),
                        quoted(&there)
                    ),
                });
            }
        }
        Ok(Self {
            mapping,
            header,
            file,
            digest,
            limits: Limits::default(),
            blocks: HashSet::new(),
        })
    }

    pub(super) fn make(&mut self, number: u64, row: Row) -> Outcome {
        let place = row.place;
        let made = match &row.cells {
            Cells::Event(text) => parse_event(text, &self.limits).map_err(|error| Fault {
                place: at_byte(place, text, error.offset),
                reason: if error.pointer.is_empty() {
                    error.detail
                } else {
                    format!("{}: {}", error.pointer, error.detail)
                },
            }),
            _ => {
                let Some(rules) = &self.mapping.rules else {
                    return Outcome::Skipped;
                };
                if rules.skip.iter().any(|skip| {
                    let cell = self.cell(&row, &skip.column).and_then(|v| plain(&v));
                    match &skip.equals {
                        Some(wanted) => cell.as_ref() == Some(wanted),
                        None => cell.is_none(),
                    }
                }) {
                    return Outcome::Skipped;
                }
                self.mapped(rules, number, &row)
            }
        };
        match made {
            Ok(event) => Outcome::Event(place, Box::new(event)),
            Err(fault) => Outcome::Bad(fault),
        }
    }

    /// A cell that has a value.
    fn cell(&self, row: &Row, name: &str) -> Option<Value> {
        match &row.cells {
            Cells::Record(record) => {
                let text = record.get(*self.header.as_ref()?.get(name)?)?;
                (!text.is_empty()).then(|| Value::String(text.to_owned()))
            }
            Cells::Object(object) => {
                let found = object.get(name).or_else(|| {
                    let mut parts = name.split('.');
                    let first = object.get(parts.next()?)?;
                    parts.try_fold(first, |value, part| value.get(part))
                })?;
                (!found.is_null()).then(|| found.clone())
            }
            Cells::Members(members) => {
                let read = |raw: &serde_json::value::RawValue| {
                    serde_json::from_str::<Value>(raw.get()).ok()
                };
                let found = match members.get(name) {
                    Some(raw) => read(raw)?,
                    None => {
                        let (first, rest) = name.split_once('.')?;
                        let value = read(members.get(first)?)?;
                        rest.split('.')
                            .try_fold(&value, |value, part| value.get(part))?
                            .clone()
                    }
                };
                (!found.is_null()).then_some(found)
            }
            Cells::Event(_) => None,
        }
    }

    /// Where a column's value stands; in JSON rows, where the row begins.
    fn place(&self, row: &Row, name: &str) -> Place {
        let (Cells::Record(record), Some(header)) = (&row.cells, &self.header) else {
            return row.place;
        };
        let before = header.get(name).copied().unwrap_or(0);
        let width: usize = record
            .iter()
            .take(before)
            .map(|f| f.chars().count() + 1)
            .sum();
        Place {
            line: row.place.line,
            column: width as u64 + 1,
        }
    }

    fn mapped(&mut self, rules: &Rules, number: u64, row: &Row) -> Result<Event, Fault> {
        let fault = |name: &str, reason: String| Fault {
            place: self.place(row, name),
            reason: format!("`{name}`: {reason}"),
        };
        let names = Names {
            file: self.file,
            digest: self.digest,
            row: number,
        };
        let fill = |template: &Template| {
            template
                .fill(names, |name| self.cell(row, name).and_then(|v| plain(&v)))
                .map_err(|name| fault(&name, "there is no value".to_owned()))
        };
        let mut event = Map::new();
        event.insert("specversion".into(), "1.0".into());
        event.insert("id".into(), fill(&rules.id)?.into());
        event.insert("source".into(), fill(&rules.source)?.into());
        event.insert("type".into(), fill(&rules.event_type)?.into());
        if let Some(subject) = &rules.subject {
            event.insert("subject".into(), fill(subject)?.into());
        }
        let column = &rules.time.column;
        let text = self
            .cell(row, column)
            .and_then(|value| plain(&value))
            .ok_or_else(|| fault(column, "there is no time".to_owned()))?;
        let time = rules.time.read(&text).map_err(|r| fault(column, r))?;
        event.insert("time".into(), time.to_string().into());
        let mut data = Map::new();
        for (path, origin) in &rules.data {
            let value = match origin {
                Origin::Constant(value) => value.clone(),
                Origin::Column {
                    name,
                    kind,
                    optional,
                } => match self.cell(row, name) {
                    None if *optional => continue,
                    None => {
                        return Err(fault(
                            name,
                            "there is no value (`optional = true` lets it be absent)".to_owned(),
                        ));
                    }
                    Some(value) => convert(value, *kind).map_err(|reason| fault(name, reason))?,
                },
            };
            put(&mut data, path, value).map_err(|reason| Fault {
                place: row.place,
                reason,
            })?;
        }
        if let Some(cache) = &rules.prefix_cache {
            let blocks = self.cell(row, &cache.blocks);
            split_cached(&mut self.blocks, cache, blocks, &mut data).map_err(|reason| Fault {
                place: row.place,
                reason: format!("`{}`: {reason}", cache.blocks),
            })?;
        }
        event.insert("data".into(), Value::Object(data));
        let text = canonical_json(&Value::Object(event));
        parse_event(&text, &self.limits).map_err(|error| Fault {
            place: row.place,
            reason: format!("{}: {}", error.pointer, error.detail),
        })
    }
}

fn columns(rules: &Rules) -> Vec<&str> {
    let mut names = vec![rules.time.column.as_str()];
    for template in [
        Some(&rules.event_type),
        Some(&rules.source),
        Some(&rules.id),
        rules.subject.as_ref(),
    ]
    .into_iter()
    .flatten()
    {
        names.extend(template.columns());
    }
    for (_, origin) in &rules.data {
        if let Origin::Column { name, .. } = origin {
            names.push(name);
        }
    }
    names.extend(rules.skip.iter().map(|skip| skip.column.as_str()));
    names.extend(rules.prefix_cache.iter().map(|cache| cache.blocks.as_str()));
    names
}

fn quoted(names: &[&str]) -> String {
    let names: Vec<_> = names.iter().map(|name| format!("`{name}`")).collect();
    names.join(", ")
}

/// The place of a byte of a row's text.
fn at_byte(place: Place, text: &[u8], offset: Option<usize>) -> Place {
    let before = &text[..offset.unwrap_or(0).min(text.len())];
    let lines = before.iter().filter(|b| **b == b'\n').count() as u64;
    let column = before.iter().rev().take_while(|b| **b != b'\n').count() as u64;
    Place {
        line: place.line + lines,
        column: if lines == 0 {
            place.column + column
        } else {
            column + 1
        },
    }
}

/// The text of a scalar.
fn plain(value: &Value) -> Option<String> {
    match value {
        Value::String(text) => (!text.is_empty()).then(|| text.clone()),
        Value::Number(number) => Some(number.to_string()),
        Value::Bool(truth) => Some(truth.to_string()),
        _ => None,
    }
}

fn convert(value: Value, kind: Option<Kind>) -> Result<Value, String> {
    match kind {
        None => Ok(value),
        Some(Kind::Text) => plain(&value)
            .map(Value::String)
            .ok_or_else(|| "this is no text".to_owned()),
        Some(Kind::Number) => {
            let text = plain(&value).ok_or_else(|| "this is no number".to_owned())?;
            number(text.trim()).ok_or_else(|| {
                format!("`{text}` is no number (digits, at most one point, no separators)")
            })
        }
        Some(Kind::Boolean) => match plain(&value).as_deref() {
            Some("true" | "TRUE" | "True" | "1") => Ok(Value::Bool(true)),
            Some("false" | "FALSE" | "False" | "0") => Ok(Value::Bool(false)),
            _ => Err("true or false is expected".to_owned()),
        },
    }
}

/// A decimal as a JSON number with the same digits, without leading zeros.
fn number(text: &str) -> Option<Value> {
    let (sign, digits) = match text.as_bytes().first()? {
        b'-' => ("-", &text[1..]),
        b'+' => ("", &text[1..]),
        _ => ("", text),
    };
    let (mantissa, exponent) = match digits.split_once(['e', 'E']) {
        Some((mantissa, exponent)) => (mantissa, Some(exponent)),
        None => (digits, None),
    };
    let (whole, part) = mantissa
        .split_once('.')
        .map_or((mantissa, None), |(w, p)| (w, Some(p)));
    let all_digits = |text: &str| !text.is_empty() && text.bytes().all(|b| b.is_ascii_digit());
    if !all_digits(whole) || part.is_some_and(|part| !all_digits(part)) {
        return None;
    }
    if exponent.is_some_and(|e| !all_digits(e.trim_start_matches(['+', '-'])) || e.len() > 4) {
        return None;
    }
    let whole = whole.trim_start_matches('0');
    let whole = if whole.is_empty() { "0" } else { whole };
    let part = part.map(|part| format!(".{part}")).unwrap_or_default();
    let exponent = exponent.map(|e| format!("e{e}")).unwrap_or_default();
    let text = format!("{sign}{whole}{part}{exponent}");
    serde_json::from_str::<Number>(&text)
        .ok()
        .map(Value::Number)
}

/// Puts a value at a dotted path.
fn put(data: &mut Map<String, Value>, path: &str, value: Value) -> Result<(), String> {
    match path.split_once('.') {
        None => {
            data.insert(path.to_owned(), value);
            Ok(())
        }
        Some((first, rest)) => {
            let inner = data
                .entry(first)
                .or_insert_with(|| Value::Object(Map::new()));
            match inner {
                Value::Object(inner) => put(inner, rest, value),
                _ => Err(format!("`data.{first}` is a value and an object at once")),
            }
        }
    }
}

/// Takes the tokens of leading blocks that were there before out of the input.
fn split_cached(
    seen: &mut HashSet<String>,
    cache: &PrefixCache,
    blocks: Option<Value>,
    data: &mut Map<String, Value>,
) -> Result<(), String> {
    let blocks = match blocks {
        None => Vec::new(),
        Some(Value::Array(blocks)) => blocks,
        Some(_) => return Err("a list is expected".to_owned()),
    };
    let ids: Vec<String> = blocks
        .iter()
        .map(|id| plain(id).ok_or("an element is neither text nor number"))
        .collect::<Result<_, _>>()?;
    let hits = ids.iter().take_while(|id| seen.contains(*id)).count() as u64;
    let input = data
        .get(&cache.input)
        .and_then(plain)
        .and_then(|text| text.parse::<u64>().ok())
        .ok_or_else(|| format!("`{}` is no whole number", cache.input))?;
    let cached = hits.saturating_mul(cache.block_tokens).min(input);
    put(data, &cache.input, (input - cached).into())?;
    put(data, &cache.cached, cached.into())?;
    if seen.len() + ids.len() > MAX_BLOCKS {
        return Err(format!("there are more than {MAX_BLOCKS} different blocks"));
    }
    seen.extend(ids);
    Ok(())
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use super::*;

    #[test]
    fn numbers_keep_their_digits() {
        let same = |text: &str| number(text).map(|n| n.to_string());
        for text in [
            "0",
            "12",
            "-3.50",
            "0.1000",
            "123456789012345678901234567890.5",
        ] {
            assert_eq!(same(text).as_deref(), Some(text));
        }
        assert_eq!(same("007").as_deref(), Some("7"));
        assert_eq!(same("+4").as_deref(), Some("4"));
        for text in [
            "", "-", "1,000", "NaN", "inf", "1e99999", ".5", "5.", "0x1", "1 2",
        ] {
            assert_eq!(same(text), None, "{text}");
        }
    }

    #[test]
    fn cached_blocks_are_the_leading_ones_that_were_there_before() {
        let cache = PrefixCache {
            blocks: "b".into(),
            block_tokens: 512,
            input: "input".into(),
            cached: "cached".into(),
        };
        let mut seen = HashSet::new();
        let mut split = |input: u64, blocks: &str| {
            let mut data = Map::new();
            data.insert("input".into(), input.into());
            let blocks = serde_json::from_str(blocks).unwrap();
            split_cached(&mut seen, &cache, Some(blocks), &mut data).unwrap();
            (data["input"].to_string(), data["cached"].to_string())
        };
        let pair = |a: &str, b: &str| (a.to_owned(), b.to_owned());
        assert_eq!(split(1_000, "[1, 2]"), pair("1000", "0"));
        assert_eq!(split(1_500, "[1, 3, 2]"), pair("988", "512"));
        assert_eq!(split(600, "[1, 2]"), pair("0", "600"));
    }
}
