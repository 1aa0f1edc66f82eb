//! Private stores for one test run that speak as Azure Blob Storage (Azurite), Google Cloud Storage
//! (fake-gcs-server) and Amazon S3 (moto) do, on ports of their own, loopback only, in memory.

use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

use anyhow::{Result, bail};

use crate::process::output;
use crate::radosgw::free_port;
use crate::setup;

/// moto's server, one request at a time: its puts look at their condition and act on it in two steps.
const MOTO: &str = "\
import sys
from moto.server import DomainDispatcherApplication, create_backend_app
from werkzeug.serving import run_simple
application = DomainDispatcherApplication(create_backend_app)
run_simple('127.0.0.1', int(sys.argv[1]), application, threaded=False)
";

/// A running store; its process ends when this is dropped.
pub(crate) struct Emulator {
    child: Child,
    url: String,
}

impl Emulator {
    /// Azurite, or `None` where it is not installed. Its account is the well-known one of all emulators.
    pub(crate) fn azure() -> Result<Option<Self>> {
        let Some(program) = setup::azurite()? else {
            return Ok(None);
        };
        let port = free_port()?;
        let mut command = Command::new(program);
        command
            .args(["--inMemoryPersistence", "--silent", "--disableTelemetry"])
            .args(["--skipApiVersionCheck", "--blobHost", "127.0.0.1"])
            .args(["--blobPort", &port.to_string()]);
        Ok(Self::started(
            "Azure Blob Storage",
            command,
            port,
            "/devstoreaccount1",
        ))
    }

    /// fake-gcs-server, or `None` where it is not installed.
    pub(crate) fn google() -> Result<Option<Self>> {
        let Some(program) = setup::fake_gcs_server()? else {
            return Ok(None);
        };
        let port = free_port()?;
        let address = format!("127.0.0.1:{port}");
        let mut command = Command::new(program);
        command
            .args(["-scheme", "http", "-backend", "memory"])
            .args(["-host", "127.0.0.1", "-port", &port.to_string()])
            .args(["-public-host", &address])
            .args(["-external-url", &format!("http://{address}")]);
        Ok(Self::started("Google Cloud Storage", command, port, ""))
    }

    /// moto, or `None` where it is not installed. It takes any credentials.
    pub(crate) fn amazon() -> Result<Option<Self>> {
        let Some(python) = setup::moto()? else {
            return Ok(None);
        };
        let port = free_port()?;
        let mut command = Command::new(python);
        command.args(["-c", MOTO, &port.to_string()]);
        Ok(Self::started("a second S3", command, port, ""))
    }

    /// The URL of the store.
    pub(crate) fn url(&self) -> &str {
        &self.url
    }

    /// `None`, and said why, where it does not run: Azurite is made for a newer Node.js than Debian has.
    fn started(name: &str, command: Command, port: u16, path: &str) -> Option<Self> {
        match Self::start(command, port, path) {
            Ok(store) => Some(store),
            Err(error) => {
                eprintln!("skipped: {name} ({error})");
                None
            }
        }
    }

    fn start(mut command: Command, port: u16, path: &str) -> Result<Self> {
        let child = command
            .stdin(Stdio::null())
            .stdout(Stdio::null())
            .stderr(Stdio::null())
            .spawn()?;
        let mut one = Self {
            child,
            url: format!("http://127.0.0.1:{port}{path}"),
        };
        let started = Instant::now();
        while std::net::TcpStream::connect(("127.0.0.1", port)).is_err() {
            if let Some(status) = one.child.try_wait()? {
                bail!("the store of {} ended with {status}", one.url);
            }
            if started.elapsed() > Duration::from_secs(60) {
                bail!("no store answers at {}", one.url);
            }
            output(Command::new("sleep").arg("0.2"))?;
        }
        Ok(one)
    }
}

impl Drop for Emulator {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}
