#![doc = include_str!("../README.md")]

mod bytes;
mod column;
mod condition;
mod order;
mod phrase;
mod posting;
mod rows;
mod segment;
mod value;
mod write;

pub use bytes::{Bytes, Damaged};
pub use column::{Column, Times};
pub use condition::{Condition, Like, Range, Test, Verdict};
pub use order::Order;
pub use phrase::{Phrase, words};
pub use rows::RowSet;
pub use segment::Segment;
pub use value::{RowValue, RowValues};
pub use write::Builder;

/// Most rows of a segment.
pub const MOST_ROWS: usize = 1 << 16;

/// The longest term in bytes. Rows with a longer value of a field are remembered as such: an equal term is not
/// among them, whether a pattern matches them must be looked up in the rows themselves.
pub const LONGEST_TERM: usize = 255;

/// The field of words: runs of letters and digits anywhere in a row's text.
pub(crate) const WORDS: &str = "";
