//! Usage metering, price books and invoices.
