//! What `bench siem` compares and with what: the peer, the given rules, and events of Windows.

use std::fs::File;
use std::io::{BufRead as _, BufReader, BufWriter, Write as _};
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

use anyhow::{Context, Result, bail};

use crate::process::{cache, call, cargo, exists, root, target};

/// The peer (crates.io `rsigma`), in the version that the docs compare with.
const RSIGMA: &str = "0.23.0";
/// Events that are compared.
const EVENTS: usize = 95_136;

/// The arguments of the benchmark, where none are given.
pub(crate) fn arguments() -> Result<Vec<String>> {
    let Some(data) = data() else {
        bail!(
            "there is no data to measure with: set SEALWRIGHT_SHARED_DATA, or give \
             `-- --rules DIR --events FILE.ndjson --peer rsigma`"
        );
    };
    let work = target().join("bench-siem");
    std::fs::create_dir_all(&work)?;
    let text = |path: PathBuf| path.display().to_string();
    Ok(vec![
        "--rules".to_owned(),
        text(rules(&data, &work)?),
        "--events".to_owned(),
        text(events(&data, &work)?),
        "--peer".to_owned(),
        text(rsigma()?),
    ])
}

/// The given data: `SEALWRIGHT_SHARED_DATA`, or `shared/data` beside the repository.
fn data() -> Option<PathBuf> {
    if let Some(folder) = std::env::var_os("SEALWRIGHT_SHARED_DATA") {
        return Some(PathBuf::from(folder).join("siem")).filter(|p| p.is_dir());
    }
    root()
        .ancestors()
        .map(|p| p.join("shared/data/siem"))
        .find(|p| p.is_dir())
}

fn rules(data: &Path, work: &Path) -> Result<PathBuf> {
    let folder = work.join("sigma");
    if !folder.is_dir() {
        let packed = data.join("sigma-rules/sigma-rules.tar.zst");
        call(
            Command::new("tar")
                .arg("--zstd")
                .arg("-xf")
                .arg(packed)
                .arg("-C")
                .arg(work),
        )?;
    }
    Ok(folder)
}

/// The first events of Windows, file by file.
fn events(data: &Path, work: &Path) -> Result<PathBuf> {
    let out = work.join("windows.ndjson");
    if out.is_file() {
        return Ok(out);
    }
    if !exists("zstd") {
        bail!("`zstd` is not installed: the events cannot be unpacked");
    }
    let mut files: Vec<PathBuf> = std::fs::read_dir(data.join("otrf-security-datasets/events"))?
        .map(|entry| entry.map(|entry| entry.path()))
        .collect::<std::io::Result<_>>()?;
    files.retain(|file| file.to_string_lossy().ends_with(".ndjson.zst"));
    files.sort();
    // What was begun and not ended is not taken for the whole.
    let part = work.join("windows.part");
    let mut writer = BufWriter::new(File::create(&part)?);
    let mut count = 0;
    for file in files {
        let mut child = Command::new("zstd")
            .args(["-q", "-dc"])
            .arg(&file)
            .stdout(Stdio::piped())
            .spawn()?;
        let stdout = child.stdout.take().context("no output of zstd")?;
        for line in BufReader::new(stdout).lines() {
            let line = line?;
            if count < EVENTS && line.contains("\"Channel\"") && line.contains("\"EventID\"") {
                writeln!(writer, "{line}")?;
                count += 1;
            }
        }
        child.wait()?;
        if count == EVENTS {
            break;
        }
    }
    writer.flush()?;
    std::fs::rename(part, &out)?;
    eprintln!("{count} events of Windows");
    Ok(out)
}

fn rsigma() -> Result<PathBuf> {
    let tool = cache().join(format!("rsigma-{RSIGMA}/bin/rsigma"));
    if !tool.is_file() {
        call(
            cargo()
                .args([
                    "install",
                    "rsigma",
                    "--locked",
                    "--version",
                    RSIGMA,
                    "--root",
                ])
                .arg(cache().join(format!("rsigma-{RSIGMA}")))
                .env("CARGO_TARGET_DIR", target().join("tools")),
        )?;
        let _ = std::fs::remove_dir_all(target().join("tools"));
    }
    Ok(tool)
}
