//! Compiled meters and what events contribute to them.

use std::borrow::Cow;
use std::collections::{HashMap, HashSet};
use std::fmt;

use sealwright_money::Decimal;

use crate::definition::{Aggregation, MeterDef};
use crate::event::{Attribute, EventView};
use crate::expr::{EvalError, Expr, ExprError, Path, Scalar};

/// The most meters of a set.
pub const MAX_METERS: usize = 1_000;
const MAX_TEXT: usize = 200;
/// Names and values of an event's dimensions together, in their canonical form: they are part of a key, and
/// databases bound those (PostgreSQL: about 2,700 bytes).
const MAX_DIMENSIONS_BYTES: usize = 2_000;
const MAX_LIST: usize = 32;

/// The field of a definition that is at fault.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Field {
    /// The meter as a whole.
    Meter,
    /// `key`.
    Key,
    /// `event_types`.
    EventTypes,
    /// `value`.
    Value,
    /// `filter`.
    Filter,
    /// A path of `dimensions`.
    Dimension(String),
    /// A path of `series`.
    Series(usize),
}

impl fmt::Display for Field {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Meter => f.write_str("meter"),
            Self::Key => f.write_str("key"),
            Self::EventTypes => f.write_str("event_types"),
            Self::Value => f.write_str("value"),
            Self::Filter => f.write_str("filter"),
            Self::Dimension(name) => write!(f, "dimensions.{name}"),
            Self::Series(i) => write!(f, "series[{i}]"),
        }
    }
}

/// A definition that cannot be used.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("meter `{meter}`, {field}: {message}")]
pub struct CompileError {
    /// The index of the definition.
    pub index: usize,
    /// The meter's key.
    pub meter: String,
    /// The field at fault.
    pub field: Field,
    /// The byte offset within an expression.
    pub offset: Option<usize>,
    /// What is wrong and what to do.
    pub message: String,
}

/// Meters ready to be fed with events.
#[derive(Debug)]
pub struct MeterSet {
    meters: Vec<Meter>,
    by_type: HashMap<String, Vec<usize>>,
}

#[derive(Debug)]
struct Meter {
    def: MeterDef,
    value: Option<Expr>,
    filter: Option<Expr>,
    dimensions: Vec<(String, Path, Presence)>,
    series: Vec<(Path, Presence)>,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Presence {
    Required,
    Optional,
}

/// What one event adds to one meter.
#[derive(Debug, Clone, PartialEq)]
pub struct Contribution<'e> {
    /// The index of the meter in the set.
    pub meter: usize,
    /// Names and values, sorted by name.
    pub dimensions: Vec<(&'e str, Cow<'e, str>)>,
    /// The value.
    pub value: Sample,
}

/// A value to aggregate.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Sample {
    /// Adds to a sum.
    Sum(Decimal),
    /// Counts one.
    Count,
    /// A candidate for the largest value.
    Max(Decimal),
    /// The hash of a value.
    Unique(u128),
    /// A value at a moment; of two at one moment the greater `tie` counts.
    Latest {
        /// Microseconds since 1970 UTC.
        time_us: i64,
        /// A hash of the event's source and id.
        tie: u128,
        /// The value.
        value: Decimal,
    },
    /// A level from a moment on.
    Level {
        /// A hash of what tells levels apart that add up.
        series: u128,
        /// Microseconds since 1970 UTC.
        time_us: i64,
        /// A hash of the event's source and id.
        tie: u128,
        /// The level.
        value: Decimal,
    },
}

/// Why an event does not count for a meter that wants it.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("meter `{key}`, {field}: {source}")]
pub struct MeterError {
    /// The index of the meter in the set.
    pub meter: usize,
    /// The meter's key.
    pub key: String,
    /// The field whose expression or path failed.
    pub field: Field,
    /// What is wrong.
    pub source: ValueError,
}

/// What is wrong with a value.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum ValueError {
    /// The expression has no value.
    #[error(transparent)]
    Eval(#[from] EvalError),
    /// The value is below zero.
    #[error("{0} is negative: set allow_negative = true if that is meant")]
    Negative(Decimal),
    /// A dimension's value cannot be shown in one line (and not stored everywhere).
    #[error("`{pointer}` holds the control character U+{code:04X}: a dimension is a line of text")]
    Control {
        /// JSON pointer (RFC 6901) from the event.
        pointer: String,
        /// The character.
        code: u32,
    },
    /// The dimensions are too long to be a key.
    #[error(
        "with `{pointer}` the dimensions have more than {MAX_DIMENSIONS_BYTES} bytes: send shorter values"
    )]
    TooLong {
        /// JSON pointer (RFC 6901) from the event.
        pointer: String,
    },
}

impl ValueError {
    /// Where in the event it is, as a JSON pointer (RFC 6901), where one place is wrong.
    #[must_use]
    pub fn pointer(&self) -> Option<&str> {
        match self {
            Self::Eval(
                EvalError::Missing { pointer }
                | EvalError::NotANumber { pointer, .. }
                | EvalError::OutOfRange { pointer }
                | EvalError::NotAScalar { pointer },
            )
            | Self::Control { pointer, .. }
            | Self::TooLong { pointer } => Some(pointer),
            _ => None,
        }
    }
}

impl MeterSet {
    /// Compiles definitions.
    ///
    /// # Errors
    /// Every fault of every definition.
    pub fn compile(defs: &[MeterDef]) -> Result<Self, Vec<CompileError>> {
        let mut errors = Vec::new();
        let mut meters = Vec::with_capacity(defs.len());
        let mut keys = HashSet::new();
        let mut by_type: HashMap<String, Vec<usize>> = HashMap::new();
        for (index, def) in defs.iter().enumerate().take(MAX_METERS) {
            let mut compiler = Compiler {
                index,
                def,
                errors: &mut errors,
            };
            if !keys.insert(def.key.as_str()) {
                compiler.fault(
                    Field::Key,
                    None,
                    "another meter has this key: choose a new one".to_owned(),
                );
            }
            let meter = compiler.meter();
            for event_type in &def.event_types {
                by_type.entry(event_type.clone()).or_default().push(index);
            }
            meters.push(meter);
        }
        if let Some(def) = defs.get(MAX_METERS) {
            errors.push(CompileError {
                index: MAX_METERS,
                meter: def.key.clone(),
                field: Field::Meter,
                offset: None,
                message: format!("a set has at most {MAX_METERS} meters"),
            });
        }
        if errors.is_empty() {
            Ok(Self { meters, by_type })
        } else {
            Err(errors)
        }
    }

    /// The number of meters.
    #[must_use]
    pub fn len(&self) -> usize {
        self.meters.len()
    }

    /// Whether there are no meters.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.meters.is_empty()
    }

    /// The definition of a meter.
    #[must_use]
    pub fn def(&self, meter: usize) -> Option<&MeterDef> {
        self.meters.get(meter).map(|m| &m.def)
    }

    /// The index of the meter with a key.
    #[must_use]
    pub fn index_of(&self, key: &str) -> Option<usize> {
        self.meters.iter().position(|m| m.def.key == key)
    }

    /// Whether any meter counts events of a type.
    #[must_use]
    pub fn wants(&self, event_type: &str) -> bool {
        self.by_type.contains_key(event_type)
    }

    /// Adds what an event contributes to `out`, and to `errors` the meters that want the event but
    /// cannot read it. One failing meter does not keep the others from counting: a caller that
    /// wants all or nothing looks at `errors` first.
    ///
    /// `time_us` is the event's time in microseconds since 1970 UTC.
    pub fn contributions<'e>(
        &'e self,
        event_type: &str,
        event: &'e dyn EventView,
        time_us: i64,
        out: &mut Vec<Contribution<'e>>,
        errors: &mut Vec<MeterError>,
    ) {
        let Some(indexes) = self.by_type.get(event_type) else {
            return;
        };
        for &index in indexes {
            let Some(meter) = self.meters.get(index) else {
                continue;
            };
            match meter.contribution(index, event, time_us) {
                Ok(Some(contribution)) => out.push(contribution),
                Ok(None) => {}
                Err((field, source)) => {
                    errors.push(MeterError {
                        meter: index,
                        key: meter.def.key.clone(),
                        field,
                        source,
                    });
                }
            }
        }
    }
}

type Failure = (Field, ValueError);

/// Bytes of a name or value in [`crate::canonical_dimensions`], with its separator.
fn canonical_length(text: &str) -> usize {
    text.len() + text.matches(['\\', ',', '=']).count() + 1
}

fn failed(field: Field) -> impl FnOnce(EvalError) -> Failure {
    move |e| (field, ValueError::Eval(e))
}

impl Meter {
    fn contribution<'e>(
        &'e self,
        index: usize,
        event: &'e dyn EventView,
        time_us: i64,
    ) -> Result<Option<Contribution<'e>>, Failure> {
        if let Some(filter) = &self.filter
            && !filter.truth(event).map_err(failed(Field::Filter))?
        {
            return Ok(None);
        }
        let value = self.sample(event, time_us)?;
        let mut dimensions = Vec::with_capacity(self.dimensions.len());
        let mut bytes = 0;
        for (name, path, presence) in &self.dimensions {
            match path
                .text(event)
                .map_err(|e| failed(Field::Dimension(name.clone()))(e))?
            {
                Some(text) => {
                    let pointer = || path.pointer().to_owned();
                    let fault = |error| Err((Field::Dimension(name.clone()), error));
                    if let Some(control) = text.chars().find(|c| c.is_control()) {
                        let code = u32::from(control);
                        let pointer = pointer();
                        return fault(ValueError::Control { pointer, code });
                    }
                    bytes += canonical_length(name) + canonical_length(&text);
                    if bytes > MAX_DIMENSIONS_BYTES {
                        return fault(ValueError::TooLong { pointer: pointer() });
                    }
                    dimensions.push((name.as_str(), text));
                }
                None if *presence == Presence::Optional => {}
                None => {
                    let missing = EvalError::Missing {
                        pointer: path.pointer().to_owned(),
                    };
                    return Err((Field::Dimension(name.clone()), missing.into()));
                }
            }
        }
        Ok(Some(Contribution {
            meter: index,
            dimensions,
            value,
        }))
    }

    fn sample(&self, event: &dyn EventView, time_us: i64) -> Result<Sample, Failure> {
        let Some(expr) = &self.value else {
            return Ok(Sample::Count);
        };
        if self.def.aggregation == Aggregation::Unique {
            return Ok(Sample::Unique(hash_scalar(
                &expr.scalar(event).map_err(failed(Field::Value))?,
            )));
        }
        let value = expr.number(event).map_err(failed(Field::Value))?;
        if value.is_sign_negative() && !value.is_zero() && !self.def.allow_negative {
            return Err((Field::Value, ValueError::Negative(value)));
        }
        Ok(match self.def.aggregation {
            Aggregation::Sum => Sample::Sum(value),
            Aggregation::Max => Sample::Max(value),
            Aggregation::Latest => Sample::Latest {
                time_us,
                tie: tie(event),
                value,
            },
            Aggregation::TimeWeighted => Sample::Level {
                series: self.series_of(event)?,
                time_us,
                tie: tie(event),
                value,
            },
            // Count has no value and unique was answered above; both are held by compile.
            Aggregation::Count | Aggregation::Unique => Sample::Count,
        })
    }

    fn series_of(&self, event: &dyn EventView) -> Result<u128, Failure> {
        let mut hasher = blake3::Hasher::new();
        for (i, (path, presence)) in self.series.iter().enumerate() {
            match path.text(event).map_err(failed(Field::Series(i)))? {
                Some(text) => {
                    hasher.update(&(text.len() as u64 + 1).to_le_bytes());
                    hasher.update(text.as_bytes());
                }
                None if *presence == Presence::Optional => {
                    hasher.update(&0u64.to_le_bytes());
                }
                None => {
                    let missing = EvalError::Missing {
                        pointer: path.pointer().to_owned(),
                    };
                    return Err((Field::Series(i), missing.into()));
                }
            }
        }
        Ok(half(&hasher.finalize()))
    }
}

/// The first 128 bits of a BLAKE3 hash.
fn half(hash: &blake3::Hash) -> u128 {
    hash.as_bytes()
        .iter()
        .take(16)
        .fold(0, |n, b| n << 8 | u128::from(*b))
}

fn hash_scalar(scalar: &Scalar<'_>) -> u128 {
    let mut hasher = blake3::Hasher::new();
    match scalar {
        Scalar::Number(n) => hasher.update(b"n").update(
            sealwright_money::exact::normalise(*n)
                .to_string()
                .as_bytes(),
        ),
        Scalar::Text(text) => hasher.update(b"t").update(text.as_bytes()),
        Scalar::Bool(b) => hasher.update(if *b { b"b1" } else { b"b0" }),
    };
    half(&hasher.finalize())
}

/// A hash of the event's source and id, which together name it (CloudEvents 1.0 section 3.1.1).
fn tie(event: &dyn EventView) -> u128 {
    let mut hasher = blake3::Hasher::new();
    for name in ["source", "id"] {
        let text = match event.attribute(name) {
            Some(Attribute::Text(text)) => text,
            Some(Attribute::Json(serde_json::Value::String(text))) => text,
            _ => "",
        };
        hasher.update(&(text.len() as u64).to_le_bytes());
        hasher.update(text.as_bytes());
    }
    half(&hasher.finalize())
}

struct Compiler<'a> {
    index: usize,
    def: &'a MeterDef,
    errors: &'a mut Vec<CompileError>,
}

impl Compiler<'_> {
    fn fault(&mut self, field: Field, offset: Option<usize>, message: String) {
        let meter = self.def.key.chars().take(MAX_TEXT).collect();
        self.errors.push(CompileError {
            index: self.index,
            meter,
            field,
            offset,
            message,
        });
    }

    fn meter(&mut self) -> Meter {
        let def = self.def;
        let key_byte = |b: u8| b.is_ascii_lowercase() || b.is_ascii_digit() || b".-_".contains(&b);
        if def.key.is_empty() || def.key.len() > MAX_TEXT || !def.key.bytes().all(key_byte) {
            let message =
                "a key has lower-case letters, digits, `.`, `_` and `-`, at most 200".to_owned();
            self.fault(Field::Key, None, message);
        }
        if def.unit.is_empty()
            || def.unit.len() > MAX_TEXT
            || def.title.is_empty()
            || def.title.len() > MAX_TEXT
        {
            self.fault(
                Field::Meter,
                None,
                "`title` and `unit` have 1 to 200 bytes".to_owned(),
            );
        }
        let types: HashSet<&String> = def.event_types.iter().collect();
        let bad_type = def
            .event_types
            .iter()
            .any(|t| t.is_empty() || t.len() > MAX_TEXT);
        if types.is_empty()
            || types.len() != def.event_types.len()
            || types.len() > MAX_LIST
            || bad_type
        {
            self.fault(
                Field::EventTypes,
                None,
                "name 1 to 32 different event types".to_owned(),
            );
        }
        match (&def.value, def.aggregation) {
            (Some(_), Aggregation::Count) => {
                self.fault(
                    Field::Value,
                    None,
                    "a count has no value: leave it out, or use sum".to_owned(),
                );
            }
            (None, a) if a != Aggregation::Count => {
                self.fault(
                    Field::Meter,
                    None,
                    "`value` is missing: only a count has none".to_owned(),
                );
            }
            _ => {}
        }
        if !def.series.is_empty() && def.aggregation != Aggregation::TimeWeighted {
            self.fault(
                Field::Series(0),
                None,
                "only time_weighted meters have series".to_owned(),
            );
        }
        if def.dimensions.len() > MAX_LIST || def.series.len() > MAX_LIST {
            self.fault(
                Field::Meter,
                None,
                "at most 32 dimensions and 32 series paths".to_owned(),
            );
        }
        let value = def
            .value
            .as_deref()
            .and_then(|text| self.read(Field::Value, Expr::parse(text)));
        let filter = def
            .filter
            .as_deref()
            .and_then(|text| self.read(Field::Filter, Expr::parse(text)));
        let mut dimensions = Vec::new();
        for (name, text) in def.dimensions.iter().take(MAX_LIST) {
            let field = Field::Dimension(name.clone());
            if name.is_empty() || name.len() > MAX_TEXT || name.chars().any(char::is_control) {
                self.fault(
                    field.clone(),
                    None,
                    "a dimension's name has 1 to 200 bytes".to_owned(),
                );
            }
            if let Some((path, presence)) = self.path(field, text) {
                dimensions.push((name.clone(), path, presence));
            }
        }
        let mut series = Vec::new();
        for (i, text) in def.series.iter().enumerate().take(MAX_LIST) {
            series.extend(self.path(Field::Series(i), text));
        }
        Meter {
            def: def.clone(),
            value,
            filter,
            dimensions,
            series,
        }
    }

    fn path(&mut self, field: Field, text: &str) -> Option<(Path, Presence)> {
        let (path, presence) = match text.strip_suffix('?') {
            Some(path) => (path, Presence::Optional),
            None => (text, Presence::Required),
        };
        Some((self.read(field, Path::parse(path))?, presence))
    }

    fn read<T>(&mut self, field: Field, result: Result<T, ExprError>) -> Option<T> {
        result
            .map_err(|e| self.fault(field, Some(e.offset), e.message))
            .ok()
    }
}
