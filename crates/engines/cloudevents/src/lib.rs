//! CloudEvents 1.0 over HTTP: parsing and validation with limits.
