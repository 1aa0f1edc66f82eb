//! The parts that pages are made of. Each prints itself: `{{ table }}` in a template.

mod figure;
mod form;
mod parts;
mod passkey;
mod seal;
mod table;
mod table_export;

pub use figure::{Figure, Figures};
pub use form::{Choice, ErrorSummary, Field, FieldKind, Form};
pub use parts::{Badge, Bar, Command, Definitions, Empty, Live, Panel, Tone};
pub use passkey::PasskeyForm;
pub use seal::{Chain, Seal, SealState, Step};
pub use table::{Cell, Column, ColumnKind, Filter, Pager, Row, Table};
