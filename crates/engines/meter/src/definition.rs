//! Meters as data.

use std::collections::BTreeMap;
use std::fmt;

use serde::{Deserialize, Serialize};
use toml::Spanned;

use crate::set::{Field, MeterSet};

/// The largest meter file that is read.
pub const MAX_FILE_BYTES: usize = 1 << 20;

/// How values become a quantity.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Aggregation {
    /// The sum of the values.
    Sum,
    /// The number of events.
    Count,
    /// The largest value.
    Max,
    /// The number of different values.
    Unique,
    /// The value of the latest event.
    Latest,
    /// The average of a level over the period, weighted by time.
    TimeWeighted,
}

/// A meter: which events count, for how much, and how values aggregate.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct MeterDef {
    /// The meter's key, such as `compute.hours`: lower-case letters, digits, `.`, `_` and `-`.
    pub key: String,
    /// What people call it.
    pub title: String,
    /// The event types (CloudEvents `type`) that count.
    pub event_types: Vec<String>,
    /// The value of an event; absent for `count`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub value: Option<String>,
    /// How values aggregate.
    pub aggregation: Aggregation,
    /// The name of one unit.
    pub unit: String,
    /// Dimension names and the paths of their values; a path that ends in `?` may be missing.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pub dimensions: BTreeMap<String, String>,
    /// For `time_weighted`: the paths that tell levels apart which add up, such as the volumes of
    /// a region; a path that ends in `?` may be missing.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub series: Vec<String>,
    /// Only events for which this is true count.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub filter: Option<String>,
    /// Whether values may be below zero.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub allow_negative: bool,
}

/// A fault in a meter file.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub struct DefinitionError {
    /// The file's name as the caller gave it.
    pub file: String,
    /// The line, from 1.
    pub line: usize,
    /// The column in characters, from 1.
    pub column: usize,
    /// What is wrong and what to do.
    pub message: String,
}

impl fmt::Display for DefinitionError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(
            f,
            "{}:{}:{}: error: {}",
            self.file, self.line, self.column, self.message
        )
    }
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct File {
    #[serde(default)]
    meters: Vec<Spanned<Located>>,
}

/// The fields of [`MeterDef`] with their places.
#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Located {
    key: Spanned<String>,
    title: String,
    event_types: Spanned<Vec<String>>,
    value: Option<Spanned<String>>,
    aggregation: Aggregation,
    unit: String,
    #[serde(default)]
    dimensions: BTreeMap<String, Spanned<String>>,
    #[serde(default)]
    series: Vec<Spanned<String>>,
    filter: Option<Spanned<String>>,
    #[serde(default)]
    allow_negative: bool,
}

impl Located {
    fn plain(&self) -> MeterDef {
        let text = |s: &Spanned<String>| s.get_ref().clone();
        MeterDef {
            key: text(&self.key),
            title: self.title.clone(),
            event_types: self.event_types.get_ref().clone(),
            value: self.value.as_ref().map(text),
            aggregation: self.aggregation,
            unit: self.unit.clone(),
            dimensions: self
                .dimensions
                .iter()
                .map(|(k, v)| (k.clone(), text(v)))
                .collect(),
            series: self.series.iter().map(text).collect(),
            filter: self.filter.as_ref().map(text),
            allow_negative: self.allow_negative,
        }
    }

    /// Where a field's text starts in the file.
    fn place(&self, field: &Field) -> Option<usize> {
        Some(match field {
            Field::Key => self.key.span().start,
            Field::EventTypes => self.event_types.span().start,
            Field::Value => self.value.as_ref()?.span().start,
            Field::Filter => self.filter.as_ref()?.span().start,
            Field::Dimension(name) => self.dimensions.get(name)?.span().start,
            Field::Series(i) => self.series.get(*i)?.span().start,
            Field::Meter => return None,
        })
    }
}

/// Reads a meter file: TOML with `[[meters]]`. `file` is used in messages only.
///
/// # Errors
/// Every fault with its place; a syntax error is reported alone.
pub fn parse_meters(file: &str, text: &str) -> Result<Vec<MeterDef>, Vec<DefinitionError>> {
    let error = |offset: usize, message: String| {
        let before = text.get(..offset.min(text.len())).unwrap_or(text);
        DefinitionError {
            file: file.to_owned(),
            line: before.bytes().filter(|b| *b == b'\n').count() + 1,
            column: before.rsplit('\n').next().unwrap_or("").chars().count() + 1,
            message,
        }
    };
    if text.len() > MAX_FILE_BYTES {
        return Err(vec![error(
            0,
            format!("the file is larger than {MAX_FILE_BYTES} bytes"),
        )]);
    }
    let parsed: File = toml::from_str(text).map_err(|e| {
        vec![error(
            e.span().map_or(0, |s| s.start),
            e.message().trim_end().to_owned(),
        )]
    })?;
    let defs: Vec<MeterDef> = parsed.meters.iter().map(|m| m.get_ref().plain()).collect();
    match MeterSet::compile(&defs) {
        Ok(_) => Ok(defs),
        Err(errors) => Err(errors
            .into_iter()
            .map(|e| {
                let meter = parsed.meters.get(e.index);
                let at = meter.and_then(|m| m.get_ref().place(&e.field));
                // A string's span begins at its quote.
                let offset = at.map_or_else(
                    || meter.map_or(0, |m| m.span().start),
                    |at| at + e.offset.map_or(0, |o| o + 1),
                );
                error(offset, e.to_string())
            })
            .collect()),
    }
}

/// The predefined meters: compute, storage, bandwidth, database queries and AI tokens.
#[must_use]
pub fn floor_meters() -> Vec<MeterDef> {
    // A test holds that the compiled-in file is valid.
    parse_meters("floor.toml", FLOOR).unwrap_or_default()
}

/// The file of the predefined meters, for people to copy from.
pub const FLOOR: &str = include_str!("floor.toml");
