//! An installation of its own: a data folder, and a PostgreSQL database where the state is there.

use std::path::{Path, PathBuf};
use std::process::{Command, Output, Stdio};

use serde_json::Value;
use tempfile::TempDir;

/// Where an installation lives; it goes away with the test.
pub(crate) struct Place {
    /// `sqlite` or `postgres`, for messages.
    pub(crate) name: &'static str,
    /// The data folder.
    pub(crate) data: PathBuf,
    /// Where commands run.
    pub(crate) folder: PathBuf,
    /// The database, where that is not a file in the data folder.
    pub(crate) url: Option<String>,
    /// Further settings: variables of the environment, and values.
    pub(crate) settings: Vec<(String, String)>,
    _temporary: TempDir,
}

/// What a command answered.
#[derive(Debug)]
pub(crate) struct Ran {
    /// 0 done or yes, 1 the answer is no, 2 it could not be done.
    pub(crate) code: i32,
    pub(crate) out: String,
    pub(crate) err: String,
}

impl Ran {
    fn of(output: Output) -> Self {
        Self {
            code: output.status.code().unwrap_or(-1),
            out: String::from_utf8(output.stdout).expect("UTF-8 on standard output"),
            err: String::from_utf8_lossy(&output.stderr).into_owned(),
        }
    }

    pub(crate) fn json(&self) -> Value {
        serde_json::from_str(&self.out).unwrap_or_else(|error| panic!("{error}: {self:?}"))
    }
}

impl Place {
    fn new(name: &'static str, url: Option<String>) -> Self {
        let temporary = tempfile::tempdir().expect("a temporary folder");
        Self {
            name,
            data: temporary.path().join("data"),
            folder: temporary.path().to_owned(),
            url,
            settings: Vec::new(),
            _temporary: temporary,
        }
    }

    /// With a SQLite file in the data folder.
    pub(crate) fn sqlite() -> Self {
        Self::new("sqlite", None)
    }

    /// With a database of its own on the server that `SEALWRIGHT_TEST_POSTGRES` names.
    pub(crate) async fn postgres() -> Option<Self> {
        let Ok(server) = std::env::var("SEALWRIGHT_TEST_POSTGRES") else {
            assert!(
                std::env::var_os("SEALWRIGHT_TEST_REQUIRE_POSTGRES").is_none(),
                "SEALWRIGHT_TEST_POSTGRES is not set and PostgreSQL is required"
            );
            eprintln!("skipped: PostgreSQL (SEALWRIGHT_TEST_POSTGRES is not set)");
            return None;
        };
        let (host, _) = server.rsplit_once('/').expect("the URL names a database");
        let database = format!("program_{:016x}", rand::random::<u64>());
        sql(&server, &format!("CREATE DATABASE {database}")).await;
        Some(Self::new("postgres", Some(format!("{host}/{database}"))))
    }

    /// The program with this place's settings and no others.
    pub(crate) fn command(&self) -> Command {
        let mut command = Command::new(env!("CARGO_BIN_EXE_sealwright"));
        command.current_dir(&self.folder).env_clear();
        for name in ["PATH", "TMPDIR", "LLVM_PROFILE_FILE"] {
            if let Some(value) = std::env::var_os(name) {
                command.env(name, value);
            }
        }
        command.env("SEALWRIGHT__DATA__FOLDER", &self.data);
        if let Some(url) = &self.url {
            command.env("SEALWRIGHT__STORE__URL", url);
        }
        command.envs(self.settings.iter().cloned());
        command.stdin(Stdio::null());
        command
    }

    /// Runs a command to its end.
    pub(crate) fn run(&self, args: &[&str]) -> Ran {
        let output = self.command().args(args).output().expect("it starts");
        let ran = Ran::of(output);
        assert!(!ran.err.contains("panicked"), "{args:?}: {ran:?}");
        ran
    }

    /// Runs a command that succeeds.
    pub(crate) fn ok(&self, args: &[&str]) -> Ran {
        let ran = self.run(args);
        assert_eq!(ran.code, 0, "{args:?}: {ran:?}");
        ran
    }

    /// Runs a command that succeeds, and reads what it printed.
    pub(crate) fn json(&self, args: &[&str]) -> Value {
        self.ok(&[args, &["--output", "json"]].concat()).json()
    }

    /// A new key of a tenant (which is created if it is not there), made with no server running.
    pub(crate) fn key(&self, tenant: &str, scopes: &str) -> String {
        let made = self.json(&[
            "access", "key", "create", "--tenant", tenant, "--scope", scopes,
        ]);
        made["key"].as_str().expect("a key").to_owned()
    }

    /// A new key for all tenants.
    pub(crate) fn key_for_all(&self, scopes: &str) -> String {
        let made = self.json(&[
            "access",
            "key",
            "create",
            "--all-tenants",
            "--scope",
            scopes,
        ]);
        made["key"].as_str().expect("a key").to_owned()
    }

    /// A file beside the data folder.
    pub(crate) fn file(&self, name: &str, content: impl AsRef<[u8]>) -> String {
        let path = self.folder.join(name);
        std::fs::write(&path, content).expect("a file");
        path.display().to_string()
    }

    /// The files below a folder of the data folder with this ending.
    pub(crate) fn files(&self, below: &str, ending: &str) -> Vec<PathBuf> {
        fn walk(folder: &Path, ending: &str, found: &mut Vec<PathBuf>) {
            for entry in std::fs::read_dir(folder).into_iter().flatten().flatten() {
                let path = entry.path();
                if path.is_dir() {
                    walk(&path, ending, found);
                } else if path.to_string_lossy().ends_with(ending) {
                    found.push(path);
                }
            }
        }
        let mut found = Vec::new();
        walk(&self.data.join(below), ending, &mut found);
        found.sort();
        found
    }
}

/// A place for each kind of database that is to be had.
pub(crate) async fn places() -> Vec<Place> {
    let mut places = vec![Place::sqlite()];
    places.extend(Place::postgres().await);
    places
}

/// Runs a statement on a PostgreSQL server, as its administrator would.
pub(crate) async fn sql(url: &str, text: &str) {
    let (client, connection) = tokio_postgres::connect(url, tokio_postgres::NoTls)
        .await
        .expect("PostgreSQL answers");
    let connection = tokio::spawn(connection);
    client
        .batch_execute(text)
        .await
        .expect("the statement runs");
    drop(client);
    let _ = connection.await;
}
