//! Detectors of secrets and of personal, financial and health data.
//!
//! Bytes in, findings out: nothing here opens a file, asks a network, reads a clock or keeps a
//! value that it was not told to keep.

mod builtin;
mod decode;
pub mod detector;
pub mod document;
mod engine;
pub mod finding;
pub mod import;
pub mod redact;
pub mod report;
mod scan;
mod stream;
pub mod validate;

pub use detector::{Class, Detector, DetectorError, Severity};
pub use engine::{Options, Scanner, filter};
pub use finding::{Finding, Fingerprint, FingerprintKey, Value, preview};
pub use scan::Source;
pub use stream::StreamScanner;
