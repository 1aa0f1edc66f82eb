//! `cargo xtask api-check`: requests made up from the OpenAPI document (schemathesis, PyPI), against a server
//! of its own. It takes minutes and is not part of the test command, which tries each operation by hand-picked
//! requests (tests/program/routes.rs).

use std::io::{BufRead, BufReader};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};

use anyhow::{Context, Result, bail};

use crate::process::{call, output, program, root};
use crate::setup;

/// The version whose checks are named below.
const SCHEMATHESIS: &str = "4.32.5";

/// No 5xx; statuses, media types and bodies are those of the document.
const CHECKS: &str = "not_a_server_error,status_code_conformance,content_type_conformance,\
                      response_schema_conformance,response_headers_conformance";

#[derive(clap::Args)]
pub(crate) struct Args {
    /// How long requests are made up, in seconds
    #[arg(long, default_value_t = 180)]
    seconds: u32,
    /// Where the report (JSON) goes
    #[arg(long)]
    report: Option<PathBuf>,
}

pub(crate) fn run(args: &Args) -> Result<()> {
    let package = format!("schemathesis=={SCHEMATHESIS}");
    let Some(programs) = setup::venv("schemathesis", &[&package])? else {
        bail!("python3 is not installed\nhint: `cargo xtask setup` as root installs it");
    };
    let tool = programs.join("schemathesis");
    let folder = std::env::temp_dir().join(format!("sealwright-api-{}", std::process::id()));
    let server = Server::start(folder)?;
    let mut command = Command::new(tool);
    command
        .args(["run", &format!("{}/api/openapi.json", server.base)])
        .args(["--header", &format!("Authorization: Bearer {}", server.key)])
        .args(["--phases", "coverage,fuzzing,stateful", "--checks", CHECKS])
        .args(["--max-time", &args.seconds.to_string()])
        .args(["--continue-on-failure", "--no-shrink", "--no-color"])
        .env("PYTHONPATH", root().join("tests/api"))
        .env("SCHEMATHESIS_HOOKS", "hooks")
        .current_dir(&server.folder);
    if let Some(report) = &args.report {
        let path = std::path::absolute(report)?;
        command
            .args(["--report", "json", "--report-json-path"])
            .arg(path);
    }
    call(&mut command)
}

/// A server on an empty folder; both go when this is dropped.
struct Server {
    child: Child,
    folder: PathBuf,
    base: String,
    key: String,
}

impl Server {
    fn start(folder: PathBuf) -> Result<Self> {
        let program = program()?;
        let made = output(
            Command::new(&program)
                .args(["access", "key", "create", "--all-tenants", "--scope", "*"])
                .args(["--output", "json", "--data"])
                .arg(&folder),
        )?;
        let made: serde_json::Value = serde_json::from_str(&made)?;
        let key = made["key"].as_str().context("no key was printed")?;
        let mut child = Command::new(&program)
            .args(["serve", "--listen", "127.0.0.1:0", "--data"])
            .arg(&folder)
            .stderr(Stdio::piped())
            .spawn()
            .context("could not start the server")?;
        let base = listening(&mut child, &folder.join("server.log"))?;
        Ok(Self {
            child,
            folder,
            base,
            key: key.to_owned(),
        })
    }
}

/// Waits for the address; what the server says after it goes to `log`.
fn listening(child: &mut Child, log: &Path) -> Result<String> {
    let stderr = child.stderr.take().context("no standard error")?;
    let mut lines = BufReader::new(stderr);
    let mut line = String::new();
    while lines.read_line(&mut line)? > 0 {
        if let Some(base) = line.trim().strip_prefix("listening on ") {
            let base = base.to_owned();
            let mut log = std::fs::File::create(log)?;
            std::thread::spawn(move || std::io::copy(&mut lines, &mut log));
            return Ok(base);
        }
        eprint!("server: {line}");
        line.clear();
    }
    bail!("the server ended before it listened")
}

impl Drop for Server {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
        let _ = std::fs::remove_dir_all(&self.folder);
    }
}
