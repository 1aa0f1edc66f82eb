//! Whole-program tests: the real binary in a process of its own, used as a client or an operator would.
//!
//! Nothing of the program is linked in here. Each test has its own data folder, its own port and, where a
//! server is offered, its own PostgreSQL database.
#![allow(missing_docs, clippy::unwrap_used, clippy::expect_used, clippy::panic)]
#![allow(clippy::disallowed_methods, clippy::print_stderr)]

mod apart;
mod backup;
mod bad_files;
mod bad_input;
mod bucket;
mod exactness;
mod imports;
mod journey;
mod prometheus;
mod response;
mod routes;
mod share;
mod store_migrate;
mod support;
mod traces;
