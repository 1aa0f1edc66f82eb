//! What a contributor runs: `cargo xtask test`, `tidy`, `bench`, `docs`.
#![allow(clippy::print_stdout, clippy::print_stderr, clippy::disallowed_methods)]

mod api;
mod bench;
mod browser;
mod corpus;
mod deploy;
mod docs;
mod emulators;
mod examples;
mod postgres;
mod process;
mod radosgw;
mod setup;
mod sigma;
mod test;
mod tidy;

use anyhow::Result;
use clap::{Parser, Subcommand};

#[derive(Parser)]
#[command(name = "cargo xtask", about = "What a contributor runs", version)]
struct Cli {
    #[command(subcommand)]
    command: Command,
}

#[derive(Subcommand)]
enum Command {
    /// Everything that must hold before a change lands; installs what it needs
    Test(test::Args),
    /// The invariants of ARCHITECTURE.md: layers, SQL, rooms, sizes, words
    Tidy,
    /// Measure against a named peer, in release builds
    Bench(bench::Args),
    /// Write the generated reference pages (or check that they are up to date)
    Docs {
        /// Change nothing; fail when a page is out of date
        #[arg(long)]
        check: bool,
    },
    /// Install what the tests need: Debian packages when root, node modules, tools under the cache
    Setup,
    /// Make up requests from the OpenAPI document and try them on a server
    ApiCheck(api::Args),
    /// Check pages in a real browser: axe, 320 px, keyboard, no script
    Browser(browser::Args),
}

fn main() -> Result<()> {
    match Cli::parse().command {
        Command::Test(args) => test::run(&args),
        Command::Tidy => tidy::run(),
        Command::Bench(args) => bench::run(&args),
        Command::Docs { check } => docs::run(check),
        Command::Setup => setup::all(),
        Command::ApiCheck(args) => api::run(&args),
        Command::Browser(args) => browser::run(&args),
    }
}
