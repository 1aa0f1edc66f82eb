//! The SQL of billing and nothing else; one file a noun.

pub mod anomaly;
pub mod budget;
pub mod import;
pub mod invoice;
pub mod price_book;
pub mod usage;
