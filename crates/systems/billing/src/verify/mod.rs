//! Offline verification of an invoice: no network, no database.
//!
//! A bundle holds the invoice, the price book, the meters, the events and the ledger's proof.
//! [`verify_invoice`] meters the events again, rates the usage again, and follows the digests to the signed
//! checkpoint; what does not hold is named: the event, the price, the line, the byte.

mod bundle;
mod check;
mod evidence;
mod remeter;

pub use bundle::EVIDENCE_SCHEMA;
pub use bundle::{Bundle, BundleError, EvidenceFile, FILES};
pub use check::{Finding, Report, verify_invoice};
pub use evidence::{ENTRY_BYTES, EvidenceEntry, evidence_root};
pub use remeter::{Remeter, RemeterError, RemeteredRow};
