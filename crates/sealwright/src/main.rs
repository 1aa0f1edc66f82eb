//! Run a multi-tenant SaaS, and prove how it was run.

mod acting;
mod audit;
mod backup;
mod cli;
mod database;
mod demo;
mod dlp;
mod docs;
mod doctor;
mod edge;
mod egress;
mod erasure;
mod history;
mod installation;
mod notify;
mod openapi;
mod prometheus;
mod scheduled;
mod secrets;
mod senders;
mod serve;
mod share;
mod sink;
mod store_migrate;
mod stored;
mod syslog;
mod systems;
#[cfg(test)]
mod upgrade;
mod verify;
mod worker;

use std::process::ExitCode;

#[global_allocator]
static ALLOCATOR: mimalloc::MiMalloc = mimalloc::MiMalloc;

fn main() -> ExitCode {
    // One TLS provider for the whole process, before anything can ask for one.
    let _ = rustls::crypto::ring::default_provider().install_default();
    cli::main()
}
