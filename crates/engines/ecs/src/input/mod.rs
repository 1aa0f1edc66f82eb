//! What comes in before it is an event: lines, syslog, OTLP, files that hold many records.

pub mod evtx;
pub mod lines;
pub mod otlp;
pub mod otlp_proto;
pub mod syslog;
pub mod unfold;
