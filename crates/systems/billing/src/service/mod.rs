//! Use cases of billing; one file a noun.

pub mod anomaly;
pub mod budget;
pub mod import;
pub mod invoice;
pub mod meter;
pub mod price_book;
mod tell;
pub mod usage;

mod error;

pub use error::BillingError;
