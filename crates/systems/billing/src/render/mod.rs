//! An invoice as people and programs receive it: CSV and PDF (the JSON is the document itself).

mod csv;
mod pdf;
mod sheet;

pub use csv::{InvoiceCsvError, invoice_csv};
pub use pdf::{PdfError, invoice_pdf};
