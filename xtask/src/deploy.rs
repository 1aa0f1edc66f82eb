//! What other people's tools say of deploy/. What cannot be looked at is said, with the reason.

use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

use anyhow::{Context, Result, bail};
use serde_json::Value;

use crate::process::{call, exists, output, root, target};
use crate::setup;

/// The most that a unit may be exposed, in tenths of what `systemd-analyze security` prints. What is left needs the
/// network, and sockets of a database on the same machine.
const EXPOSURE: &str = "13";

/// Where the unit says that the program is; no check may need it there.
const PROGRAM: &str = "/usr/local/bin/sealwright";

pub(crate) fn run() -> Result<()> {
    let scratch = target().join("deploy");
    let _ = std::fs::remove_dir_all(&scratch);
    std::fs::create_dir_all(&scratch)?;
    units(&scratch)?;
    prometheus(&scratch)?;
    compose()?;
    container()
}

fn deploy(name: &str) -> PathBuf {
    root().join("deploy").join(name)
}

/// The unit alone, and as a worker.
fn units(scratch: &Path) -> Result<()> {
    if !exists("systemd-analyze") {
        eprintln!("skipped: systemd units (no systemd-analyze)");
        return Ok(());
    }
    let put = |from: &str, to: &Path| -> Result<()> {
        let text = std::fs::read_to_string(deploy(from)).with_context(|| from.to_owned())?;
        if !text.contains(PROGRAM) {
            bail!("deploy/{from} does not start {PROGRAM}");
        }
        Ok(std::fs::write(to, text.replace(PROGRAM, "/bin/true"))?)
    };
    for kind in ["server", "worker"] {
        let folder = scratch.join(kind);
        let additions = folder.join("sealwright.service.d");
        std::fs::create_dir_all(&additions)?;
        let unit = folder.join("sealwright.service");
        put("systemd/sealwright.service", &unit)?;
        if kind == "worker" {
            put("systemd/worker.conf", &additions.join("worker.conf"))?;
        }
        // The path ends with a colon: units of the system are found, too.
        let path = format!("{}:", folder.display());
        verify(&unit, &path)?;
        call(
            Command::new("systemd-analyze")
                .args(["security", "--no-pager", "--offline=true"])
                .arg(format!("--threshold={EXPOSURE}"))
                .arg(&unit)
                .env("SYSTEMD_UNIT_PATH", &path)
                .stdout(Stdio::null()),
        )?;
    }
    if exists("systemd-sysusers") {
        call(
            Command::new("systemd-sysusers")
                .arg("--dry-run")
                .arg(deploy("systemd/sealwright.sysusers"))
                .stdout(Stdio::null()),
        )?;
    }
    Ok(())
}

/// A value that cannot be read is said and ignored, and the exit status is 0: what is said of this unit counts.
fn verify(unit: &Path, path: &str) -> Result<()> {
    let done = Command::new("systemd-analyze")
        .args(["verify", "--man=no"])
        .arg(unit)
        .env("SYSTEMD_UNIT_PATH", path)
        .output()?;
    let said = String::from_utf8_lossy(&done.stderr);
    let ours = |line: &&str| line.contains("sealwright") || line.contains("worker.conf");
    let ours: Vec<&str> = said.lines().filter(ours).collect();
    if !ours.is_empty() || !done.status.success() {
        bail!(
            "systemd-analyze verify {}: {}\n{said}",
            unit.display(),
            done.status
        );
    }
    Ok(())
}

fn prometheus(scratch: &Path) -> Result<()> {
    if !exists("promtool") {
        eprintln!(
            "skipped: Prometheus's configuration, alerts and the dashboards' queries (no promtool)"
        );
        return Ok(());
    }
    let promtool = |args: &[&str], file: &Path| {
        call(
            Command::new("promtool")
                .args(args)
                .arg(file)
                .stdout(Stdio::null()),
        )
    };
    let folder = deploy("prometheus");
    promtool(&["check", "config"], &folder.join("prometheus.yml"))?;
    promtool(&["check", "rules"], &folder.join("alerts.yml"))?;
    call(
        Command::new("promtool")
            .args(["test", "rules", "alerts.test.yml"])
            .current_dir(&folder),
    )?;
    let rules = scratch.join("dashboards.yml");
    std::fs::write(&rules, queries()?)?;
    promtool(&["check", "rules"], &rules)
}

/// The queries of all dashboards as rules, which promtool can parse.
fn queries() -> Result<String> {
    let mut rules = Vec::new();
    for entry in std::fs::read_dir(deploy("grafana/dashboards"))? {
        let path = entry?.path();
        let board: Value = serde_json::from_str(&std::fs::read_to_string(&path)?)
            .with_context(|| path.display().to_string())?;
        let panels = board["panels"].as_array().cloned().unwrap_or_default();
        for panel in &panels {
            for target in panel["targets"].as_array().into_iter().flatten() {
                let query = target["expr"].as_str().unwrap_or_default();
                // What Grafana puts in.
                let query = query
                    .replace("$__rate_interval", "5m")
                    .replace("$instance", ".*");
                if query.contains('$') {
                    bail!("{}: no variable in `{query}` is known", path.display());
                }
                rules.push(serde_json::json!({
                    "record": format!("query_{}", rules.len()),
                    "labels": { "panel": panel["title"] },
                    "expr": query,
                }));
            }
        }
    }
    if rules.is_empty() {
        bail!("the dashboards have no queries");
    }
    let groups = serde_json::json!({ "groups": [{ "name": "dashboards", "rules": rules }] });
    // JSON is YAML, too.
    Ok(groups.to_string())
}

/// Read by Compose itself, with every profile; nothing is started.
fn compose() -> Result<()> {
    let plugin = exists("docker")
        && Command::new("docker")
            .args(["compose", "version"])
            .stdout(Stdio::null())
            .stderr(Stdio::null())
            .status()
            .is_ok_and(|status| status.success());
    let mut command = if plugin {
        let mut command = Command::new("docker");
        command.arg("compose");
        command
    } else {
        match setup::compose() {
            Ok(Some(program)) => Command::new(program),
            Ok(None) => return Ok(()),
            Err(error) => {
                eprintln!("skipped: compose.yaml (no docker compose, and none to be had: {error})");
                return Ok(());
            }
        }
    };
    command.arg("--file").arg(deploy("compose.yaml"));
    command.args(["--profile", "*", "config"]);
    let read = output(&mut command)?;
    for service in [
        "sealwright:",
        "worker:",
        "postgres:",
        "prometheus:",
        "grafana:",
    ] {
        if !read.lines().any(|line| line.trim() == service) {
            bail!("compose.yaml has no service `{service}`");
        }
    }
    Ok(())
}

/// Read by hadolint; building an image would need a daemon.
fn container() -> Result<()> {
    let program = if exists("hadolint") {
        "hadolint".into()
    } else {
        match setup::hadolint() {
            Ok(Some(program)) => program,
            Ok(None) => return Ok(()),
            Err(error) => {
                eprintln!("skipped: Containerfile (no hadolint, and none to be had: {error})");
                return Ok(());
            }
        }
    };
    call(Command::new(program).arg(deploy("Containerfile")))
}
