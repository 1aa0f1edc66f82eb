//! The catalogue of event families and the consumers of the log.
