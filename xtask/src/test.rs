//! `cargo xtask test`: everything that must hold before a change lands.

use std::collections::BTreeMap;
use std::time::{Duration, Instant};

use anyhow::{Result, bail};

use crate::emulators::Emulator;
use crate::postgres::Postgres;
use crate::process::{build, call, cargo, exists, linting_cargo, root, target};
use crate::radosgw::Radosgw;
use crate::{browser, deploy, docs, examples, setup, tidy};

#[derive(clap::Args)]
pub(crate) struct Args {
    /// Only these steps, in the order of the list
    #[arg(long, value_delimiter = ',')]
    only: Vec<String>,
    /// Names of tests to run in the `tests` step (nextest filter words)
    #[arg(trailing_var_arg = true)]
    filter: Vec<String>,
}

type Step = (&'static str, fn(&Args) -> Result<()>);

const STEPS: &[Step] = &[
    ("setup", |_| setup::all()),
    ("format", |_| {
        call(cargo().args(["fmt", "--all", "--check"]))
    }),
    ("tidy", |_| tidy::run()),
    ("deploy", |_| deploy::run()),
    ("deny", |_| deny()),
    ("build", |_| build()),
    ("tests", tests),
    ("doctests", |_| doctests()),
    ("docs", |_| docs::run(true)),
    ("examples", |_| examples::run()),
    ("browser", |_| browser::run_demo()),
];

pub(crate) fn run_step_names() -> Vec<&'static str> {
    STEPS.iter().map(|(name, _)| *name).collect()
}

pub(crate) fn run(args: &Args) -> Result<()> {
    for name in &args.only {
        if !STEPS.iter().any(|(step, _)| step == name) {
            bail!(
                "no step `{name}`; the steps are {}",
                run_step_names().join(", ")
            );
        }
    }
    let mut times: BTreeMap<usize, (&str, Duration)> = BTreeMap::new();
    for (order, (name, step)) in STEPS.iter().enumerate() {
        if !args.only.is_empty() && !args.only.iter().any(|only| only == name) {
            continue;
        }
        eprintln!("\n== {name}");
        let started = Instant::now();
        step(args)?;
        // Said at once, too, for a run that is ended before its table.
        eprintln!("== {name} took {:.0} s", started.elapsed().as_secs_f64());
        times.insert(order, (name, started.elapsed()));
    }
    eprintln!("\nstep        seconds");
    for (name, time) in times.values() {
        eprintln!("{name:<10} {:>8.1}", time.as_secs_f64());
    }
    eprintln!("target size {:>6} MiB", folder_size(&target()) >> 20);
    Ok(())
}

fn deny() -> Result<()> {
    let tool = setup::cargo_deny()?;
    call(std::process::Command::new(tool).current_dir(root()).args([
        "check",
        "--hide-inclusion-graph",
        "licenses",
        "bans",
        "sources",
    ]))
}

fn tests(args: &Args) -> Result<()> {
    build()?;
    let postgres = Postgres::start()?;
    let objects = Radosgw::start()?;
    let azure = Emulator::azure()?;
    let google = Emulator::google()?;
    let amazon = Emulator::amazon()?;
    let mut command = linting_cargo();
    command.args([
        "nextest",
        "run",
        "--workspace",
        "--locked",
        "--no-fail-fast",
    ]);
    command.args(["--status-level", "fail", "--final-status-level", "slow"]);
    command.args(&args.filter);
    if let Some(server) = &postgres {
        command.env("SEALWRIGHT_TEST_POSTGRES", server.url());
        command.env("SEALWRIGHT_TEST_POSTGRES_ADMIN", server.administrator());
        command.env("SEALWRIGHT_TEST_REQUIRE_POSTGRES", "1");
    }
    if let Some(store) = &objects {
        command.env("SEALWRIGHT_TEST_S3", store.url());
    }
    if exists("prometheus") && exists("promtool") {
        command.env("SEALWRIGHT_TEST_REQUIRE_PROMETHEUS", "1");
    }
    if let Some(store) = &azure {
        command.env("SEALWRIGHT_TEST_AZURE", store.url());
    }
    if let Some(store) = &google {
        command.env("SEALWRIGHT_TEST_GCS", store.url());
    }
    if let Some(store) = &amazon {
        command.env("SEALWRIGHT_TEST_S3_OTHER", store.url());
    }
    if let Some(python) = setup::duckdb()? {
        command.env("SEALWRIGHT_DUCKDB_PYTHON", python);
    }
    let venv = target().join("venv-tlog/bin/tlog-tiles");
    if venv.is_file() {
        command.env("SEALWRIGHT_TEST_TLOG_TILES", venv);
    }
    call(&mut command)
}

fn doctests() -> Result<()> {
    // Doc tests of the libraries that others would read first.
    call(
        linting_cargo()
            .args(["test", "--doc", "--locked", "--quiet"])
            .args([
                "-p",
                "sealwright-merkle",
                "-p",
                "sealwright-money",
                "-p",
                "sealwright-rating",
                "-p",
                "sealwright-meter",
            ]),
    )
}

fn folder_size(folder: &std::path::Path) -> u64 {
    walkdir::WalkDir::new(folder)
        .into_iter()
        .flatten()
        .filter_map(|entry| entry.metadata().ok())
        .filter(std::fs::Metadata::is_file)
        .map(|meta| meta.len())
        .sum()
}
