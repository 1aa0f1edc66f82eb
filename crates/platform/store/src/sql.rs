//! One SQL text with its parameters, and rows as they come back.

use std::sync::Arc;

use crate::{Result, StoreError};

/// A parameter of a statement. Null keeps its type, since PostgreSQL types every parameter.
#[derive(Debug, Clone, PartialEq)]
pub enum Param {
    /// `TEXT`.
    Text(Option<String>),
    /// `BIGINT`.
    Int(Option<i64>),
    /// `DOUBLE PRECISION`.
    Real(Option<f64>),
    /// `BYTEA` / `BLOB`.
    Bytes(Option<Vec<u8>>),
}

macro_rules! param_from {
    ($($type:ty => |$value:ident| $make:expr;)*) => {$(
        impl From<$type> for Param {
            fn from($value: $type) -> Self { $make }
        }
    )*};
}

param_from! {
    &str => |v| Self::Text(Some(v.to_owned()));
    &String => |v| Self::Text(Some(v.clone()));
    String => |v| Self::Text(Some(v));
    Option<String> => |v| Self::Text(v);
    Option<&str> => |v| Self::Text(v.map(str::to_owned));
    i64 => |v| Self::Int(Some(v));
    Option<i64> => |v| Self::Int(v);
    bool => |v| Self::Int(Some(i64::from(v)));
    u32 => |v| Self::Int(Some(i64::from(v)));
    f64 => |v| Self::Real(Some(v));
    Option<f64> => |v| Self::Real(v);
    Vec<u8> => |v| Self::Bytes(Some(v));
    &[u8] => |v| Self::Bytes(Some(v.to_vec()));
    Option<Vec<u8>> => |v| Self::Bytes(v);
    sealwright_core::UnixMicros => |v| Self::Int(Some(v.0));
    Option<sealwright_core::UnixMicros> => |v| Self::Int(v.map(|t| t.0));
    sealwright_core::Digest => |v| Self::Text(Some(v.to_string()));
}

impl<K: sealwright_core::IdKind> From<sealwright_core::Id<K>> for Param {
    fn from(value: sealwright_core::Id<K>) -> Self {
        Self::Text(Some(value.to_string()))
    }
}

impl<K: sealwright_core::IdKind> From<Option<sealwright_core::Id<K>>> for Param {
    fn from(value: Option<sealwright_core::Id<K>>) -> Self {
        Self::Text(value.map(|id| id.to_string()))
    }
}

impl From<sealwright_core::TenantScope> for Param {
    /// For the predicate `($n = '*' OR tenant_id = $n)`.
    fn from(value: sealwright_core::TenantScope) -> Self {
        Self::Text(Some(value.param()))
    }
}

/// A statement and its parameters, in order.
#[derive(Debug, Clone)]
pub struct Sql {
    pub(crate) text: String,
    pub(crate) params: Vec<Param>,
}

/// Starts a statement: `sql("SELECT … WHERE id = $1").bind(id)`.
pub fn sql(text: impl Into<String>) -> Sql {
    Sql {
        text: text.into(),
        params: Vec::new(),
    }
}

impl Sql {
    /// Adds to the text.
    pub fn extend(&mut self, text: &str) {
        self.text.push_str(text);
    }

    /// Gives the next parameter (`$1`, then `$2`, …).
    #[must_use]
    pub fn bind(mut self, value: impl Into<Param>) -> Self {
        self.params.push(value.into());
        self
    }
}

/// A value of a row.
#[derive(Debug, Clone, PartialEq)]
pub enum SqlValue {
    /// SQL null.
    Null,
    /// Text.
    Text(String),
    /// An integer.
    Int(i64),
    /// A floating-point number.
    Real(f64),
    /// Bytes.
    Bytes(Vec<u8>),
}

impl SqlValue {
    pub(crate) const fn kind(&self) -> &'static str {
        match self {
            Self::Null => "null",
            Self::Text(_) => "text",
            Self::Int(_) => "an integer",
            Self::Real(_) => "a floating-point number",
            Self::Bytes(_) => "bytes",
        }
    }
}

/// One row of an answer; columns are found by name.
#[derive(Debug, Clone)]
pub struct Row {
    pub(crate) columns: Arc<[String]>,
    pub(crate) values: Vec<SqlValue>,
}

impl Row {
    /// The value of `column`.
    ///
    /// # Errors
    /// [`StoreError::Column`] when the answer has no such column.
    pub fn value(&self, column: &str) -> Result<&SqlValue> {
        self.columns
            .iter()
            .position(|c| c == column)
            .and_then(|i| self.values.get(i))
            .ok_or_else(|| StoreError::Column {
                column: column.to_owned(),
                found: "nothing (the answer has no such column)",
                expected: "a value",
            })
    }

    fn wrong<T>(&self, column: &str, expected: &'static str) -> Result<T> {
        let found = self.value(column)?.kind();
        Err(StoreError::Column {
            column: column.to_owned(),
            found,
            expected,
        })
    }

    /// Text that is not null.
    ///
    /// # Errors
    /// [`StoreError::Column`] when it is null or of another type; likewise below.
    pub fn text(&self, column: &str) -> Result<String> {
        match self.value(column)? {
            SqlValue::Text(text) => Ok(text.clone()),
            _ => self.wrong(column, "text"),
        }
    }

    /// Text or null.
    ///
    /// # Errors
    /// See [`Row::text`].
    pub fn opt_text(&self, column: &str) -> Result<Option<String>> {
        match self.value(column)? {
            SqlValue::Null => Ok(None),
            _ => self.text(column).map(Some),
        }
    }

    /// An integer that is not null.
    ///
    /// # Errors
    /// See [`Row::text`].
    pub fn int(&self, column: &str) -> Result<i64> {
        match self.value(column)? {
            SqlValue::Int(number) => Ok(*number),
            _ => self.wrong(column, "an integer"),
        }
    }

    /// An integer or null.
    ///
    /// # Errors
    /// See [`Row::text`].
    pub fn opt_int(&self, column: &str) -> Result<Option<i64>> {
        match self.value(column)? {
            SqlValue::Null => Ok(None),
            _ => self.int(column).map(Some),
        }
    }

    /// A truth value, stored as 0 or 1.
    ///
    /// # Errors
    /// See [`Row::text`].
    pub fn bool(&self, column: &str) -> Result<bool> {
        Ok(self.int(column)? != 0)
    }

    /// A floating-point number that is not null.
    ///
    /// # Errors
    /// See [`Row::text`].
    pub fn real(&self, column: &str) -> Result<f64> {
        match self.value(column)? {
            SqlValue::Real(number) => Ok(*number),
            _ => self.wrong(column, "a floating-point number"),
        }
    }

    /// Bytes that are not null.
    ///
    /// # Errors
    /// See [`Row::text`].
    pub fn bytes(&self, column: &str) -> Result<Vec<u8>> {
        match self.value(column)? {
            SqlValue::Bytes(bytes) => Ok(bytes.clone()),
            _ => self.wrong(column, "bytes"),
        }
    }

    /// Bytes or null.
    ///
    /// # Errors
    /// See [`Row::text`].
    pub fn opt_bytes(&self, column: &str) -> Result<Option<Vec<u8>>> {
        match self.value(column)? {
            SqlValue::Null => Ok(None),
            _ => self.bytes(column).map(Some),
        }
    }

    /// A time in microseconds.
    ///
    /// # Errors
    /// See [`Row::text`].
    pub fn micros(&self, column: &str) -> Result<sealwright_core::UnixMicros> {
        self.int(column).map(sealwright_core::UnixMicros)
    }

    /// A time in microseconds, or null.
    ///
    /// # Errors
    /// See [`Row::text`].
    pub fn opt_micros(&self, column: &str) -> Result<Option<sealwright_core::UnixMicros>> {
        Ok(self.opt_int(column)?.map(sealwright_core::UnixMicros))
    }

    /// Text that reads as `T`: ids, digests, states.
    ///
    /// # Errors
    /// [`StoreError::Column`] when the text does not read as `T`.
    pub fn parse<T: std::str::FromStr>(&self, column: &str) -> Result<T> {
        self.text(column)?.parse().map_err(|_| StoreError::Column {
            column: column.to_owned(),
            found: "text of another form",
            expected: std::any::type_name::<T>(),
        })
    }
}
