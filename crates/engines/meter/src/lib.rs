//! Meters as data: which events count, for how much, and how values aggregate.
//!
//! [`parse_meters`] reads definitions, [`MeterSet::compile`] makes them fast,
//! [`MeterSet::contributions`] tells what an event adds, and [`Aggregate`] collects it in any order
//! and in any number of parts.

mod aggregate;
mod definition;
mod event;
mod expr;
mod set;

pub use aggregate::{
    AVERAGE_DIGITS, Aggregate, AggregateError, Levels, MAX_SAMPLES, MAX_UNIQUE, Quantity,
};
pub use definition::{
    Aggregation, DefinitionError, FLOOR, MAX_FILE_BYTES, MeterDef, floor_meters, parse_meters,
};
pub use event::{Attribute, EventRef, EventView};
pub use expr::{EvalError, Expr, ExprError, MAX_DEPTH, MAX_LENGTH, Path, Scalar};
pub use set::{
    CompileError, Contribution, Field, MAX_METERS, MeterError, MeterSet, Sample, ValueError,
};

/// The longest value of a dimension, in bytes.
pub const MAX_VALUE_BYTES: usize = 1_000;

/// Dimensions as one text, for keys: `name=value` sorted by name and joined by commas, with a
/// backslash before `\`, `,` and `=` in names and values. Different dimensions have different texts.
#[must_use]
pub fn canonical_dimensions<'a>(
    dimensions: impl IntoIterator<Item = (&'a str, &'a str)>,
) -> String {
    let mut pairs: Vec<(&str, &str)> = dimensions.into_iter().collect();
    pairs.sort_unstable();
    let mut out = String::with_capacity(64);
    for (i, (name, value)) in pairs.into_iter().enumerate() {
        if i > 0 {
            out.push(',');
        }
        for (part, end) in [(name, "="), (value, "")] {
            if part.bytes().any(|b| matches!(b, b'\\' | b',' | b'=')) {
                for c in part.chars() {
                    if matches!(c, '\\' | ',' | '=') {
                        out.push('\\');
                    }
                    out.push(c);
                }
            } else {
                out.push_str(part);
            }
            out.push_str(end);
        }
    }
    out
}

#[cfg(doctest)]
#[doc = include_str!("../README.md")]
struct Readme;
