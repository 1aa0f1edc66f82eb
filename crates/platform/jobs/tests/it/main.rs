#![allow(clippy::unwrap_used, missing_docs)]
mod interfaces;
mod runs;
mod schedules;
mod support;
