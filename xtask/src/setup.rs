//! What the tests need besides Rust, installed where that is allowed and named where it is not.

use std::path::PathBuf;
use std::process::Command;

use anyhow::Result;

use crate::postgres::is_root;
use crate::process::{cache, call, cargo, exists, root, target};

/// The SMTP server that mail is tested against (PyPI).
const AIOSMTPD: &str = "aiosmtpd==1.4.6";

/// The version of cargo-deny that reads deny.toml.
const CARGO_DENY: &str = "0.20.2";

pub(crate) fn all() -> Result<()> {
    debian_packages()?;
    cargo_nextest()?;
    cargo_deny()?;
    node_modules()?;
    tlog_scales()?;
    aiosmtpd()?;
    Ok(())
}

/// PostgreSQL, Chromium, PDF tools and an object store from Debian, when root and when they are missing.
pub(crate) fn debian_packages() -> Result<()> {
    let wanted = [
        (
            "postgresql",
            std::path::Path::new("/usr/lib/postgresql").is_dir(),
        ),
        ("chromium", exists("chromium")),
        ("qpdf", exists("qpdf")),
        ("poppler-utils", exists("pdftotext")),
        ("python3-venv", exists("python3")),
        ("ceph-mon", exists("ceph-mon")),
        ("ceph-osd", exists("ceph-osd")),
        ("radosgw", exists("radosgw")),
        ("ceph-common", exists("ceph")),
    ];
    let missing: Vec<&str> = wanted
        .iter()
        .filter(|(_, there)| !there)
        .map(|(name, _)| *name)
        .collect();
    if missing.is_empty() {
        return Ok(());
    }
    if !is_root()? || !exists("apt-get") {
        eprintln!(
            "skipped: not root, so not installed: {}",
            missing.join(", ")
        );
        return Ok(());
    }
    call(Command::new("apt-get").args(["-qq", "update"]))?;
    call(
        Command::new("apt-get")
            .env("DEBIAN_FRONTEND", "noninteractive")
            .args(["-qq", "-y", "--no-install-recommends", "install"])
            .args(&missing)
            .stdout(std::process::Stdio::null()),
    )
}

/// The test runner.
pub(crate) fn cargo_nextest() -> Result<()> {
    if exists("cargo-nextest") {
        return Ok(());
    }
    call(
        cargo()
            .args(["install", "cargo-nextest", "--locked", "--root"])
            .arg(cache()),
    )
}

/// The licence checker, built once into the cache.
pub(crate) fn cargo_deny() -> Result<PathBuf> {
    if exists("cargo-deny") {
        return Ok("cargo-deny".into());
    }
    let tool = cache().join("bin/cargo-deny");
    if !tool.is_file() {
        // Unoptimised: it runs for a second and builds in a third of the time.
        call(
            cargo()
                .args([
                    "install",
                    "cargo-deny",
                    "--locked",
                    "--debug",
                    "--no-default-features",
                ])
                .args(["--version", CARGO_DENY, "--root"])
                .arg(cache())
                .env("CARGO_TARGET_DIR", target().join("tools")),
        )?;
        let _ = std::fs::remove_dir_all(target().join("tools"));
    }
    Ok(tool)
}

/// Playwright and axe for the browser checks.
pub(crate) fn node_modules() -> Result<bool> {
    let folder = root().join("tests/browser");
    if !exists("npm") {
        eprintln!("skipped: browser checks (no npm)");
        return Ok(false);
    }
    if !folder.join("node_modules/.package-lock.json").is_file() {
        call(
            Command::new("npm")
                .args(["ci", "--no-audit", "--no-fund", "--silent"])
                .env("PLAYWRIGHT_SKIP_BROWSER_DOWNLOAD", "1")
                .env("PUPPETEER_SKIP_DOWNLOAD", "1")
                .current_dir(folder),
        )?;
    }
    Ok(true)
}

/// An independent reader of the ledger's files (PyPI `tlog-scales`), in a virtual environment.
pub(crate) fn tlog_scales() -> Result<Option<PathBuf>> {
    if !exists("python3") {
        eprintln!("skipped: tlog-scales (no python3)");
        return Ok(None);
    }
    let venv = target().join("venv-tlog");
    let tool = venv.join("bin/tlog-tiles");
    if !tool.is_file() {
        call(Command::new("python3").args(["-m", "venv"]).arg(&venv))?;
        call(Command::new(venv.join("bin/pip")).args([
            "install",
            "--quiet",
            "tlog-scales==0.0.3",
        ]))?;
    }
    Ok(Some(tool))
}

/// An SMTP server for the tests of mail, in a virtual environment of its own.
pub(crate) fn aiosmtpd() -> Result<()> {
    if !exists("python3") {
        eprintln!("skipped: aiosmtpd (no python3)");
        return Ok(());
    }
    let venv = target().join("venv-smtp");
    if !venv.join("bin/aiosmtpd").is_file() {
        call(Command::new("python3").args(["-m", "venv"]).arg(&venv))?;
        call(Command::new(venv.join("bin/pip")).args(["install", "--quiet", AIOSMTPD]))?;
    }
    Ok(())
}

/// A Python with statsforecast, the peer of `bench forecast`, in a virtual environment.
pub(crate) fn statsforecast() -> Result<Option<PathBuf>> {
    if !exists("python3") {
        eprintln!("skipped: statsforecast (no python3)");
        return Ok(None);
    }
    let venv = target().join("venv-statsforecast");
    let python = venv.join("bin/python");
    if !venv.join("bin/pip").is_file() {
        call(Command::new("python3").args(["-m", "venv"]).arg(&venv))?;
    }
    call(Command::new(venv.join("bin/pip")).args([
        "install",
        "--quiet",
        "--disable-pip-version-check",
        "statsforecast==2.1.1",
    ]))?;
    Ok(Some(python))
}
