//! A private object store for one test run: Ceph's radosgw with one monitor and one OSD in memory, on ports of
//! its own, loopback only. It speaks S3 with versions, tags, Object Lock and legal holds.

use std::path::PathBuf;
use std::process::{Command, Stdio};
use std::time::{Duration, Instant};

use anyhow::{Context, Result, bail};

use crate::process::{call, exists, output};

/// The key of the key service that the store pretends to have: 32 bytes, for tests of encryption only.
const KMS_KEY: &str = "c2VhbHdyaWdodC1zZWFsd3JpZ2h0LXRlc3Qta2V5ISE=";

/// A running store; its processes end and its data goes when this is dropped.
pub(crate) struct Radosgw {
    folder: PathBuf,
    url: String,
}

impl Radosgw {
    /// Starts a store, or `None` (with the reason on standard error) where none is installed.
    pub(crate) fn start() -> Result<Option<Self>> {
        for tool in ["ceph-mon", "ceph-osd", "radosgw", "ceph", "monmaptool"] {
            if !exists(tool) {
                eprintln!("skipped: S3 (no {tool})");
                return Ok(None);
            }
        }
        let folder = std::env::temp_dir().join(format!("sealwright-rgw-{}", std::process::id()));
        let store = Self {
            url: format!("http://127.0.0.1:{}", free_port()?),
            folder,
        };
        store.run()?;
        Ok(Some(store))
    }

    /// The URL; access key `testaccess`, secret key `testsecret`.
    pub(crate) fn url(&self) -> &str {
        &self.url
    }

    fn path(&self, name: &str) -> String {
        self.folder.join(name).display().to_string()
    }

    fn command(&self, tool: &str) -> Command {
        let mut command = Command::new(tool);
        command.args(["-c", &self.path("ceph.conf")]);
        command.stdout(Stdio::null()).stderr(Stdio::null());
        command
    }

    fn run(&self) -> Result<()> {
        for part in ["mon", "osd", "run"] {
            std::fs::create_dir_all(self.folder.join(part))?;
        }
        let fsid = std::fs::read_to_string("/proc/sys/kernel/random/uuid")?;
        let fsid = fsid.trim();
        let monitor = free_port()?;
        let folder = self.folder.display();
        let port = self.url.rsplit(':').next().unwrap_or_default();
        // By its own default a monitor does not start on a disk that is 95 % full, which says nothing about the few
        // megabytes that a test needs: that bound is off.
        let config = format!(
            "[global]\nfsid = {fsid}\nauth_cluster_required = none\nauth_service_required = none\n\
             auth_client_required = none\nmon_host = [v1:127.0.0.1:{monitor}]\n\
             mon_data_avail_warn = -1\nmon_data_avail_crit = -1\n\
             mon_allow_pool_size_one = true\nosd_pool_default_size = 1\n\
             osd_pool_default_min_size = 1\nosd_pool_default_pg_num = 2\n\
             osd_pool_default_pgp_num = 2\nosd_pool_default_pg_autoscale_mode = off\n\
             osd_crush_chooseleaf_type = 0\nosd_objectstore = memstore\n\
             memstore_device_bytes = 2147483648\nosd_class_update_on_start = false\n\
             osd_crush_update_on_start = false\nms_bind_msgr2 = false\npublic_addr = 127.0.0.1\n\
             cluster_addr = 127.0.0.1\nrun_dir = {folder}/run\n\
             admin_socket = {folder}/run/$name.asok\nlog_file = {folder}/$name.log\n\
             mon_data = {folder}/mon\nosd_data = {folder}/osd\n\
             rgw_frontends = beast endpoint=127.0.0.1:{port}\nrgw_lc_debug_interval = 2\n\
             rgw_crypt_require_ssl = false\nrgw_crypt_s3_kms_backend = testing\n\
             rgw_crypt_s3_kms_encryption_keys = sealwright-test={KMS_KEY}\n"
        );
        std::fs::write(self.folder.join("ceph.conf"), config)?;
        let map = self.path("monmap");
        let address = format!("[v1:127.0.0.1:{monitor}]");
        call(
            Command::new("monmaptool")
                .args(["--create", "--fsid", fsid, "--addv", "a", &address, &map])
                .stdout(Stdio::null()),
        )?;
        call(
            self.command("ceph-mon")
                .args(["--mkfs", "-i", "a", "--monmap", &map]),
        )?;
        let pid = self.path("mon.pid");
        call(
            self.command("ceph-mon")
                .args(["-i", "a", "--pid-file", &pid]),
        )?;
        let osd = std::fs::read_to_string("/proc/sys/kernel/random/uuid")?;
        let osd = osd.trim();
        self.ask(&["osd", "new", osd])?;
        self.ask(&["mon", "getmap", "-o", &map])?;
        call(self.command("ceph-osd").args([
            "-i",
            "0",
            "--monmap",
            &map,
            "--osd-uuid",
            osd,
            "--mkfs",
        ]))?;
        self.ask(&[
            "osd",
            "crush",
            "add",
            "osd.0",
            "1.0",
            "root=default",
            "host=localhost",
        ])?;
        let pid = self.path("osd.pid");
        call(
            self.command("ceph-osd")
                .args(["-i", "0", "--pid-file", &pid]),
        )?;
        let pid = self.path("rgw.pid");
        call(
            self.command("radosgw")
                .args(["--name", "client.rgw", "--pid-file", &pid]),
        )?;
        call(self.command("radosgw-admin").args([
            "user",
            "create",
            "--uid=test",
            "--display-name=test",
            "--access-key=testaccess",
            "--secret-key=testsecret",
        ]))?;
        self.wait()
    }

    /// Asks the monitor, which on a busy machine is not always ready at once.
    fn ask(&self, args: &[&str]) -> Result<()> {
        let started = Instant::now();
        loop {
            match call(self.command("ceph").args(args)) {
                Err(_) if started.elapsed() < Duration::from_secs(60) => {
                    output(Command::new("sleep").arg("1"))?;
                }
                done => return done,
            }
        }
    }

    fn wait(&self) -> Result<()> {
        let address = self.url.trim_start_matches("http://");
        let started = Instant::now();
        while std::net::TcpStream::connect(address).is_err() {
            if started.elapsed() > Duration::from_secs(60) {
                bail!("radosgw does not answer at {}", self.url);
            }
            output(Command::new("sleep").arg("0.2"))?;
        }
        Ok(())
    }
}

impl Drop for Radosgw {
    fn drop(&mut self) {
        for name in ["rgw.pid", "osd.pid", "mon.pid"] {
            let Ok(pid) = std::fs::read_to_string(self.folder.join(name)) else {
                continue;
            };
            let _ = Command::new("kill").arg(pid.trim()).status();
        }
        let _ = std::fs::remove_dir_all(&self.folder);
    }
}

pub(crate) fn free_port() -> Result<u16> {
    let listener = std::net::TcpListener::bind("127.0.0.1:0").context("no free port")?;
    Ok(listener.local_addr()?.port())
}
