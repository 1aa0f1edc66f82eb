//! Usage metering, price books and invoices.

pub mod model;
pub mod render;
pub mod store;
