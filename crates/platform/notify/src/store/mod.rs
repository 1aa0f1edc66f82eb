//! SQL, and nothing else: a file a noun.

mod channel;
mod delivery;
mod message;
mod rule;

pub(crate) use channel::*;
pub(crate) use delivery::*;
pub(crate) use message::*;
pub(crate) use rule::*;

use sealwright_store::{Row, StoreError};
use serde::de::DeserializeOwned;

pub(crate) type Result<T> = std::result::Result<T, StoreError>;

fn opt_parse<T: std::str::FromStr>(row: &Row, column: &str) -> Result<Option<T>> {
    match row.opt_text(column)? {
        Some(_) => row.parse(column).map(Some),
        None => Ok(None),
    }
}

fn json<T: DeserializeOwned>(row: &Row, column: &str) -> Result<T> {
    serde_json::from_str(&row.text(column)?).map_err(|_| StoreError::Column {
        column: column.to_owned(),
        found: "JSON of another form",
        expected: std::any::type_name::<T>(),
    })
}

fn severity(row: &Row) -> Result<crate::message::Severity> {
    crate::message::Severity::from_rank(row.int("severity")?).ok_or_else(|| StoreError::Column {
        column: "severity".to_owned(),
        found: "a number out of range",
        expected: "0 to 3",
    })
}

fn to_json<T: serde::Serialize>(value: &T) -> String {
    // Types of this crate have string keys and no failing serialisers.
    serde_json::to_string(value).unwrap_or_default()
}
