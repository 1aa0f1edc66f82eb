//! The pages, as a person meets them: a real browser against a running demo.

use std::io::{BufRead, BufReader};
use std::path::PathBuf;
use std::process::{Child, Command, Stdio};
use std::sync::mpsc;
use std::time::Duration;

use anyhow::{Context, Result, bail};

use crate::process::{call, exists, program, root, target};
use crate::setup;

#[derive(clap::Args)]
pub(crate) struct Args {
    /// A running server; without it a demo is started on a free port
    #[arg(long)]
    base: Option<String>,
    /// Where the screenshots go
    #[arg(long)]
    out: Option<PathBuf>,
}

pub(crate) fn run_demo() -> Result<()> {
    self::run(&Args {
        base: None,
        out: None,
    })
}

pub(crate) fn run(args: &Args) -> Result<()> {
    if !exists("chromium") || !exists("node") {
        eprintln!("skipped: browser checks (chromium or node is not installed)");
        return Ok(());
    }
    if !setup::node_modules()? {
        return Ok(());
    }
    let out = args
        .out
        .clone()
        .unwrap_or_else(|| target().join("screenshots"));
    if let Some(base) = &args.base {
        return check(base, None, &out);
    }
    let demo = Demo::start()?;
    check(&demo.base, Some(&demo.link), &out)?;
    drop(demo);
    passkeys(&out)
}

/// Passkeys need a domain: an example serves the pages of access on `localhost`.
fn passkeys(out: &std::path::Path) -> Result<()> {
    let child = Command::new(target().join("debug/examples/access_console"))
        .arg("0")
        .stdout(Stdio::piped())
        .spawn()
        .context("could not start the example")?;
    let mut running = Running(child);
    let stdout = running.0.stdout.take();
    let stdout = stdout.context("the example has no standard output")?;
    let mut link = String::new();
    BufReader::new(stdout).read_line(&mut link)?;
    let mut command = Command::new("node");
    command
        .arg(root().join("tests/browser/passkeys.mjs"))
        .args(["--link", link.trim(), "--out"])
        .arg(out.join("passkeys"));
    call(&mut command)
}

/// A program that ends when this is dropped.
struct Running(Child);

impl Drop for Running {
    fn drop(&mut self) {
        let _ = self.0.kill();
        let _ = self.0.wait();
    }
}

fn check(base: &str, link: Option<&str>, out: &std::path::Path) -> Result<()> {
    let mut command = Command::new("node");
    command
        .arg(root().join("tests/browser/console.mjs"))
        .args(["--quick", "--base", base, "--out"])
        .arg(out);
    if let Some(link) = link {
        command.args(["--link", link]);
    }
    call(&mut command)
}

/// A demo server on a free port; it ends when this is dropped.
struct Demo {
    child: Child,
    base: String,
    link: String,
    _folder: Folder,
}

struct Folder(PathBuf);

impl Drop for Folder {
    fn drop(&mut self) {
        let _ = std::fs::remove_dir_all(&self.0);
    }
}

impl Demo {
    fn start() -> Result<Self> {
        let folder = std::env::temp_dir().join(format!("sealwright-demo-{}", std::process::id()));
        let mut child = Command::new(program()?)
            .args(["demo", "--listen", "127.0.0.1:0", "--data"])
            .arg(&folder)
            .stdout(Stdio::piped())
            .spawn()
            .context("could not start the demo")?;
        let stdout = child
            .stdout
            .take()
            .context("the demo has no standard output")?;
        // Read to the end, so that the demo can always write.
        let (send, lines) = mpsc::channel();
        std::thread::spawn(move || {
            for line in BufReader::new(stdout).lines().map_while(Result::ok) {
                eprintln!("demo: {line}");
                let _ = send.send(line);
            }
        });
        let mut found = None;
        while let Ok(line) = lines.recv_timeout(Duration::from_secs(600)) {
            // The line that a person would click: http://127.0.0.1:PORT/welcome/TOKEN
            if let Some(at) = line.find("http://").filter(|_| line.contains("/welcome/")) {
                let link = line[at..]
                    .split_whitespace()
                    .next()
                    .unwrap_or_default()
                    .to_owned();
                let base = link
                    .split("/welcome/")
                    .next()
                    .unwrap_or_default()
                    .to_owned();
                found = Some((base, link));
            }
            // Said when the example is filled.
            if line.contains("/console/siem")
                && let Some((base, link)) = found.take()
            {
                return Ok(Self {
                    child,
                    base,
                    link,
                    _folder: Folder(folder),
                });
            }
        }
        let _ = child.kill();
        bail!("the demo ended before its example was filled")
    }
}

impl Drop for Demo {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}
