//! The expression language of meters: values, filters and paths into an event.
//!
//! ```text
//! or      = and { "or" and }
//! and     = not { "and" not }
//! not     = "not" not | compare
//! compare = sum [ ("==" | "!=" | "<" | "<=" | ">" | ">=") sum ]
//! sum     = term { ("+" | "-") term }
//! term    = unary { ("*" | "/") unary }
//! unary   = "-" unary | primary
//! primary = number | string | "true" | "false" | call | path | "(" or ")"
//! call    = "default" "(" or "," or ")" | "present" "(" path ")"
//! path    = name { "." name | "[" integer "]" | "[" string "]" }
//! ```

mod eval;
mod lex;
mod parse;

use sealwright_money::Decimal;

pub use eval::{EvalError, Scalar};
pub use parse::ExprError;

/// The longest expression, in bytes.
pub const MAX_LENGTH: usize = 4_096;
/// The deepest nesting of an expression.
pub const MAX_DEPTH: usize = 32;

/// An expression that was read.
#[derive(Debug, Clone, PartialEq)]
pub struct Expr {
    pub(crate) root: Node,
}

/// A path from an event's attribute into its value.
#[derive(Debug, Clone, PartialEq)]
pub struct Path {
    pub(crate) attribute: String,
    pub(crate) steps: Vec<Step>,
    /// The path as an RFC 6901 JSON pointer from the event.
    pub(crate) pointer: String,
}

#[derive(Debug, Clone, PartialEq)]
pub(crate) enum Step {
    Name(String),
    Index(usize),
}

#[derive(Debug, Clone, PartialEq)]
pub(crate) enum Node {
    Number(Decimal),
    Text(String),
    Bool(bool),
    Path(Path),
    Present(Path),
    Default(Box<Node>, Box<Node>),
    Negate(Box<Node>),
    Not(Box<Node>),
    Binary(Op, Box<Node>, Box<Node>),
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Op {
    Or,
    And,
    Eq,
    Ne,
    Lt,
    Le,
    Gt,
    Ge,
    Add,
    Sub,
    Mul,
    Div,
}

impl Expr {
    /// Reads an expression.
    ///
    /// # Errors
    /// [`ExprError`] with the byte offset of the fault.
    pub fn parse(text: &str) -> Result<Self, ExprError> {
        parse::expression(text).map(|root| Self { root })
    }
}

impl Path {
    /// Reads a path.
    ///
    /// # Errors
    /// [`ExprError`] with the byte offset of the fault, also when the text is another expression.
    pub fn parse(text: &str) -> Result<Self, ExprError> {
        match parse::expression(text)? {
            Node::Path(path) => Ok(path),
            _ => Err(ExprError {
                offset: 0,
                message: "expected a path such as data.region".to_owned(),
            }),
        }
    }

    /// The path as an RFC 6901 JSON pointer from the event.
    #[must_use]
    pub fn pointer(&self) -> &str {
        &self.pointer
    }
}
