//! Expressions over an event.

use std::borrow::Cow;
use std::cmp::Ordering;

use sealwright_money::{Decimal, MoneyError, exact};
use serde_json::Value;

use super::{Expr, Node, Op, Path, Step};
use crate::event::{Attribute, EventView};

/// Digits after the point to which a quotient that is no exact decimal is rounded.
pub(crate) const QUOTIENT_DIGITS: u32 = 12;

/// Why an expression has no value for an event.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum EvalError {
    /// The event has nothing (or null) at this place.
    #[error("`{pointer}` is missing: send it, or use default(…) or present(…) in the meter")]
    Missing {
        /// JSON pointer (RFC 6901) from the event.
        pointer: String,
    },
    /// A number was needed and something else is there.
    #[error("`{pointer}` must be a number or a decimal string, it is {found}")]
    NotANumber {
        /// JSON pointer (RFC 6901) from the event, or `expression`.
        pointer: String,
        /// What is there.
        found: &'static str,
    },
    /// The number has too many digits or is too large.
    #[error("`{pointer}` is out of range: at most 28 digits")]
    OutOfRange {
        /// JSON pointer (RFC 6901) from the event.
        pointer: String,
    },
    /// A string, number or boolean was needed and an array or object is there.
    #[error("`{pointer}` must be a string, a number or a boolean of at most {max} bytes", max = crate::MAX_VALUE_BYTES)]
    NotAScalar {
        /// JSON pointer (RFC 6901) from the event.
        pointer: String,
    },
    /// A boolean was needed.
    #[error("and, or, not and filters need a boolean, found {found}")]
    NotABoolean {
        /// What is there.
        found: &'static str,
    },
    /// A division by zero.
    #[error("division by zero")]
    DivisionByZero,
    /// The exact result does not fit.
    #[error(transparent)]
    Arithmetic(#[from] MoneyError),
}

/// The value of an expression.
#[derive(Debug, Clone, PartialEq)]
pub enum Scalar<'e> {
    /// A number.
    Number(Decimal),
    /// A string.
    Text(Cow<'e, str>),
    /// A boolean.
    Bool(bool),
}

impl Scalar<'_> {
    fn kind(&self) -> &'static str {
        match self {
            Self::Number(_) => "a number",
            Self::Text(_) => "a string",
            Self::Bool(_) => "a boolean",
        }
    }

    /// The value as a number; a string counts when it is a decimal.
    fn number(&self, pointer: &dyn Fn() -> String) -> Result<Decimal, EvalError> {
        match self {
            Self::Number(n) => Ok(*n),
            Self::Text(text) => exact::parse(text).map_err(|e| number_error(&e, pointer())),
            Self::Bool(_) => Err(EvalError::NotANumber {
                pointer: pointer(),
                found: "a boolean",
            }),
        }
    }
}

fn number_error(e: &MoneyError, pointer: String) -> EvalError {
    match e {
        MoneyError::OutOfRange(_) => EvalError::OutOfRange { pointer },
        _ => EvalError::NotANumber {
            pointer,
            found: "a string",
        },
    }
}

impl Expr {
    /// The value of the expression for an event.
    ///
    /// # Errors
    /// See [`EvalError`].
    pub fn scalar<'e>(&'e self, event: &'e dyn EventView) -> Result<Scalar<'e>, EvalError> {
        value(&self.root, event)
    }

    /// The numeric value of the expression for an event.
    ///
    /// # Errors
    /// See [`EvalError`].
    pub fn number(&self, event: &dyn EventView) -> Result<Decimal, EvalError> {
        number(&self.root, event)
    }

    /// The truth of the expression for an event.
    ///
    /// # Errors
    /// See [`EvalError`].
    pub fn truth(&self, event: &dyn EventView) -> Result<bool, EvalError> {
        truth(&self.root, event)
    }
}

fn number(node: &Node, event: &dyn EventView) -> Result<Decimal, EvalError> {
    value(node, event)?.number(&|| match node {
        Node::Path(path) => path.pointer.clone(),
        _ => "expression".to_owned(),
    })
}

fn truth(node: &Node, event: &dyn EventView) -> Result<bool, EvalError> {
    match value(node, event)? {
        Scalar::Bool(b) => Ok(b),
        other => Err(EvalError::NotABoolean {
            found: other.kind(),
        }),
    }
}

fn value<'e>(node: &'e Node, event: &'e dyn EventView) -> Result<Scalar<'e>, EvalError> {
    Ok(match node {
        Node::Number(n) => Scalar::Number(*n),
        Node::Text(text) => Scalar::Text(Cow::Borrowed(text)),
        Node::Bool(b) => Scalar::Bool(*b),
        Node::Path(path) => return path.scalar(event),
        Node::Present(path) => Scalar::Bool(path.find(event).is_some()),
        Node::Default(value_of, fallback) => match value(value_of, event) {
            Err(EvalError::Missing { .. }) => return value(fallback, event),
            other => return other,
        },
        Node::Negate(inner) => Scalar::Number(exact::normalise(-number(inner, event)?)),
        Node::Not(inner) => Scalar::Bool(!truth(inner, event)?),
        Node::Binary(op, a, b) => return binary(*op, a, b, event),
    })
}

fn binary<'e>(
    op: Op,
    a: &'e Node,
    b: &'e Node,
    event: &'e dyn EventView,
) -> Result<Scalar<'e>, EvalError> {
    Ok(match op {
        Op::Or => Scalar::Bool(truth(a, event)? || truth(b, event)?),
        Op::And => Scalar::Bool(truth(a, event)? && truth(b, event)?),
        // Values of different types are never equal.
        Op::Eq => Scalar::Bool(value(a, event)? == value(b, event)?),
        Op::Ne => Scalar::Bool(value(a, event)? != value(b, event)?),
        Op::Lt | Op::Le | Op::Gt | Op::Ge => {
            let order = match (value(a, event)?, value(b, event)?) {
                (Scalar::Text(x), Scalar::Text(y)) => x.cmp(&y),
                _ => number(a, event)?.cmp(&number(b, event)?),
            };
            Scalar::Bool(match op {
                Op::Lt => order == Ordering::Less,
                Op::Le => order != Ordering::Greater,
                Op::Gt => order == Ordering::Greater,
                _ => order != Ordering::Less,
            })
        }
        Op::Add => Scalar::Number(exact::add(number(a, event)?, number(b, event)?)?),
        Op::Sub => Scalar::Number(exact::sub(number(a, event)?, number(b, event)?)?),
        Op::Mul => Scalar::Number(exact::mul(number(a, event)?, number(b, event)?)?),
        Op::Div => Scalar::Number(divide(number(a, event)?, number(b, event)?)?),
    })
}

/// The exact quotient where it is a decimal, or else rounded half away from zero.
fn divide(a: Decimal, b: Decimal) -> Result<Decimal, EvalError> {
    use sealwright_money::Decimal as D;
    if b.is_zero() {
        return Err(EvalError::DivisionByZero);
    }
    let quotient: D = a.checked_div(b).ok_or(MoneyError::Inexact("a division"))?;
    if exact::mul(quotient, b).is_ok_and(|product| product == a) {
        return Ok(exact::normalise(quotient));
    }
    Ok(exact::mul_ratio(quotient, 1, 1, QUOTIENT_DIGITS)?)
}

impl Path {
    /// What the event has at the path; none when it is absent or null.
    pub(crate) fn find<'e>(&self, event: &'e dyn EventView) -> Option<Attribute<'e>> {
        let mut here = event.attribute(&self.attribute)?;
        for step in &self.steps {
            let Attribute::Json(value) = here else {
                return None;
            };
            let next = match (step, value) {
                (Step::Name(name), Value::Object(fields)) => fields.get(name),
                (Step::Index(i), Value::Array(items)) => items.get(*i),
                _ => None,
            };
            here = Attribute::Json(next?);
        }
        (!matches!(here, Attribute::Json(Value::Null))).then_some(here)
    }

    fn scalar<'e>(&self, event: &'e dyn EventView) -> Result<Scalar<'e>, EvalError> {
        let pointer = || self.pointer.clone();
        match self.find(event) {
            None => Err(EvalError::Missing { pointer: pointer() }),
            Some(Attribute::Text(text)) => Ok(Scalar::Text(Cow::Borrowed(text))),
            Some(Attribute::Json(Value::String(text))) => Ok(Scalar::Text(Cow::Borrowed(text))),
            Some(Attribute::Json(Value::Bool(b))) => Ok(Scalar::Bool(*b)),
            Some(Attribute::Json(Value::Number(n))) => {
                let number = exact::parse(n.as_str()).map_err(|e| number_error(&e, pointer()))?;
                Ok(Scalar::Number(number))
            }
            Some(Attribute::Json(_)) => Err(EvalError::NotAScalar { pointer: pointer() }),
        }
    }

    /// The text at the path, for dimensions; numbers and booleans as they were written.
    pub(crate) fn text<'e>(
        &self,
        event: &'e dyn EventView,
    ) -> Result<Option<Cow<'e, str>>, EvalError> {
        let text = match self.find(event) {
            None => return Ok(None),
            Some(Attribute::Text(text)) => Cow::Borrowed(text),
            Some(Attribute::Json(Value::String(text))) => Cow::Borrowed(text.as_str()),
            Some(Attribute::Json(Value::Number(n))) => Cow::Borrowed(n.as_str()),
            Some(Attribute::Json(Value::Bool(b))) => {
                Cow::Borrowed(if *b { "true" } else { "false" })
            }
            Some(Attribute::Json(_)) => Cow::Borrowed(""),
        };
        if text.is_empty() || text.len() > crate::MAX_VALUE_BYTES {
            return Err(EvalError::NotAScalar {
                pointer: self.pointer.clone(),
            });
        }
        Ok(Some(text))
    }
}
