//! A private PostgreSQL for one test run: a data folder under the target folder, a port of its own,
//! loopback only.

use std::path::{Path, PathBuf};
use std::process::Command;

use anyhow::{Context, Result, bail};

use crate::process;

/// A running server; it stops and its data goes when this is dropped.
pub(crate) struct Postgres {
    folder: PathBuf,
    bin: PathBuf,
    url: String,
}

impl Postgres {
    /// Starts a server, or `None` (with the reason on standard error) where none is installed.
    pub(crate) fn start() -> Result<Option<Self>> {
        let Some(bin) = newest_installation() else {
            eprintln!("skipped: PostgreSQL (no server is installed)");
            return Ok(None);
        };
        let folder = std::env::temp_dir().join(format!("sealwright-pg-{}", std::process::id()));
        std::fs::create_dir_all(&folder)?;
        let port = free_port()?;
        if is_root()? {
            process::call(Command::new("chown").arg("nobody").arg(&folder))?;
        }
        let server = Self {
            // Not the superuser, whom row-level security does not bind.
            url: format!("postgres://sealwright@127.0.0.1:{port}/postgres"),
            folder,
            bin,
        };
        server.unprivileged("initdb", &["-A", "trust", "-U", "postgres", "--no-sync"])?;
        let options = format!(
            "-p {port} -k {} -c listen_addresses=127.0.0.1 -c max_connections=300",
            server.folder.display()
        );
        let log = server.folder.join("log").display().to_string();
        server.unprivileged("pg_ctl", &["-w", "-l", &log, "-o", &options, "start"])?;
        process::call(
            Command::new(server.bin.join("psql"))
                .args(["--quiet", "--no-psqlrc", "--dbname"])
                .arg(server.administrator())
                .args(["--command", "CREATE ROLE sealwright LOGIN CREATEDB"]),
        )?;
        Ok(Some(server))
    }

    /// The URL of a database on which databases may be created.
    pub(crate) fn url(&self) -> &str {
        &self.url
    }

    /// The URL as the superuser.
    pub(crate) fn administrator(&self) -> String {
        self.url.replacen("sealwright@", "postgres@", 1)
    }

    /// PostgreSQL refuses to run as root, so root runs it as `nobody`.
    fn unprivileged(&self, tool: &str, args: &[&str]) -> Result<()> {
        let data = self.folder.join("data").display().to_string();
        let tool = self.bin.join(tool);
        let mut command = if is_root()? {
            let mut command = Command::new("setpriv");
            command
                .args(["--reuid=nobody", "--regid=nogroup", "--clear-groups", "--"])
                .arg(tool);
            command
        } else {
            Command::new(tool)
        };
        command
            .arg("-D")
            .arg(data)
            .args(args)
            .current_dir(&self.folder);
        command.stdout(std::process::Stdio::null());
        process::call(&mut command)
    }
}

impl Drop for Postgres {
    fn drop(&mut self) {
        if let Err(error) = self.unprivileged("pg_ctl", &["-m", "immediate", "stop"]) {
            eprintln!("warning: {error}");
        }
        let _ = std::fs::remove_dir_all(&self.folder);
    }
}

fn newest_installation() -> Option<PathBuf> {
    let mut found: Vec<(u32, PathBuf)> = std::fs::read_dir("/usr/lib/postgresql")
        .ok()?
        .flatten()
        .filter_map(|entry| {
            let version = entry.file_name().to_str()?.parse().ok()?;
            let bin = entry.path().join("bin");
            bin.join("initdb").is_file().then_some((version, bin))
        })
        .collect();
    found.sort();
    found.pop().map(|(_, bin)| bin)
}

fn free_port() -> Result<u16> {
    let listener = std::net::TcpListener::bind("127.0.0.1:0").context("no free port")?;
    Ok(listener.local_addr()?.port())
}

/// Whether this process may install packages.
pub(crate) fn is_root() -> Result<bool> {
    let status = std::fs::read_to_string(Path::new("/proc/self/status")).unwrap_or_default();
    match status.lines().find_map(|line| line.strip_prefix("Uid:")) {
        Some(ids) => Ok(ids.split_whitespace().nth(1) == Some("0")),
        None if cfg!(target_os = "linux") => bail!("/proc/self/status names no user"),
        None => Ok(false),
    }
}
