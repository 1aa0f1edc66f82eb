//! `cargo xtask bench NAME`: us and a named peer in one run, release builds.

use std::path::PathBuf;
use std::process::Command;

use anyhow::{Result, bail};

use crate::postgres::Postgres;
use crate::process::{call, cargo, target};

#[derive(clap::Args)]
pub(crate) struct Args {
    /// Which benchmark; without a name the list is printed
    name: Option<String>,
    /// One JSON object a line on standard output, or a table
    #[arg(long, default_value = "table", value_parser = ["json", "table"])]
    output: String,
    /// Arguments for the benchmark itself; only the first of the name is run then
    #[arg(last = true)]
    rest: Vec<String>,
}

struct Bench {
    name: &'static str,
    example: &'static str,
    about: &'static str,
    postgres: bool,
}

const BENCHES: &[Bench] = &[
    Bench {
        name: "ledger",
        example: "bench_ledger",
        about: "roots, durable appends and proofs, against the siglog crate",
        postgres: false,
    },
    Bench {
        name: "intake",
        example: "bench_intake",
        about: "acknowledged-durable events a second, against PostgreSQL",
        postgres: true,
    },
    Bench {
        name: "lake",
        example: "bench_lake",
        about: "questions over stored events, against DuckDB on the same files",
        postgres: false,
    },
    Bench {
        name: "siem",
        example: "bench_siem",
        about: "Sigma rules over events, against rsigma",
        postgres: false,
    },
    // Of the same name: both are run.
    Bench {
        name: "siem",
        example: "bench_detect",
        about: "from an event over HTTP to its alert, in the whole program",
        postgres: false,
    },
    Bench {
        name: "siem",
        example: "bench_apart",
        about: "what one tenant's load does to another's alerts",
        postgres: false,
    },
    Bench {
        name: "siem",
        example: "bench_hunt",
        about: "hunting over ten million stored events",
        postgres: false,
    },
    Bench {
        name: "dlp",
        example: "bench_dlp",
        about: "scanning bytes, against Kingfisher and gitleaks",
        postgres: false,
    },
    // Of the same name: both are run.
    Bench {
        name: "dlp",
        example: "bench_gate",
        about: "what the upload gate adds to an upload of 1 MiB, state and ledger included",
        postgres: false,
    },
    Bench {
        name: "forecast",
        example: "bench_forecast",
        about: "anomalies and forecasts, against NAB's baseline, statsforecast and numpy",
        postgres: false,
    },
    Bench {
        name: "budget",
        example: "bench_budget",
        about: "budget checks over loopback while intake runs, against a SELECT in PostgreSQL",
        postgres: true,
    },
];

pub(crate) fn run(args: &Args) -> Result<()> {
    let Some(name) = &args.name else {
        for bench in BENCHES {
            println!("{:<8} {}", bench.name, bench.about);
        }
        return Ok(());
    };
    let mine: Vec<_> = BENCHES.iter().filter(|bench| bench.name == name).collect();
    if mine.is_empty() {
        let names: Vec<_> = BENCHES.iter().map(|bench| bench.name).collect();
        bail!("no benchmark `{name}`; there are {}", names.join(", "));
    }
    let many = if args.rest.is_empty() { mine.len() } else { 1 };
    for bench in &mine[..many] {
        run_one(bench, args)?;
    }
    Ok(())
}

/// Builds examples, and the program where it is asked for, as they are released. In one go and with the features that the
/// whole workspace wants: another set of either means that nearly everything is built again.
fn release(examples: &[&str], with_program: bool) -> Result<PathBuf> {
    let mut command = cargo();
    command.args(["build", "--quiet", "--release", "--locked", "--workspace"]);
    for example in examples {
        command.args(["--example", example]);
    }
    if with_program {
        command.args(["--bin", "sealwright"]);
    }
    call(&mut command)?;
    Ok(target().join("release"))
}

fn run_one(bench: &Bench, args: &Args) -> Result<()> {
    let server = if bench.postgres {
        Postgres::start()?
    } else {
        None
    };
    let beside = match bench.example {
        "bench_siem" => &["sigma_eval"][..],
        "bench_dlp" => &["scan"],
        _ => &[],
    };
    let program = ["bench_detect", "bench_apart"].contains(&bench.example);
    let release = release(&[&[bench.example], beside].concat(), program)?;
    let mut command = Command::new(release.join("examples").join(bench.example));
    command.args(&args.rest);
    if bench.example == "bench_siem" && args.rest.is_empty() {
        command.args(crate::sigma::arguments()?);
    }
    if bench.example == "bench_dlp" && args.rest.is_empty() {
        command.arg(crate::corpus::folder()?);
        if let Some((kingfisher, gitleaks)) = crate::setup::secret_scanners()? {
            command.args([kingfisher, gitleaks]);
        }
    }
    if bench.example == "bench_lake"
        && let Some(python) = crate::setup::duckdb()?
    {
        command.env("SEALWRIGHT_DUCKDB_PYTHON", python);
    }
    if program {
        command.arg("--program").arg(release.join("sealwright"));
    }
    if let Some(server) = &server {
        command.env("SEALWRIGHT_TEST_POSTGRES", server.administrator());
    }
    if bench.name == "forecast"
        && let Some(python) = crate::setup::statsforecast()?
    {
        command.env("SEALWRIGHT_STATSFORECAST_PYTHON", python);
    }
    if args.output == "json" {
        return call(&mut command);
    }
    let text = crate::process::output(&mut command)?;
    println!(
        "{:<44} {:>14} {:>14} {:>8}  unit",
        "case", "ours", "peer", "ratio"
    );
    for line in text.lines().filter(|line| line.starts_with('{')) {
        let row: serde_json::Value = serde_json::from_str(line)?;
        let number = |name: &str| {
            row[name]
                .as_f64()
                .map_or_else(|| "—".to_owned(), |number| format!("{number:.3}"))
        };
        println!(
            "{:<44} {:>14} {:>14} {:>8}  {} ({})",
            row["case"].as_str().unwrap_or_default(),
            number("ours"),
            number("peer"),
            number("ratio"),
            row["unit"].as_str().unwrap_or_default(),
            row["peer_name"].as_str().unwrap_or("no peer"),
        );
    }
    Ok(())
}
