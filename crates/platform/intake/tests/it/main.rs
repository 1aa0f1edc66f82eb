#![allow(missing_docs, clippy::unwrap_used)]

mod bad_input;
mod conformance;
mod copy;
mod crash;
mod damage;
mod http;
mod model;
mod otlp;
mod support;
mod syslog;
mod turn;
