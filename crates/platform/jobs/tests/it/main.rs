#![allow(clippy::unwrap_used, missing_docs)]
mod interfaces;
mod pages;
mod runs;
mod schedules;
mod support;
