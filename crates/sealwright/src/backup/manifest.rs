//! What a backup says about itself: a note that the ledger's key has signed.

use std::collections::BTreeMap;

use anyhow::{Context, Result, bail, ensure};
use sealwright_merkle::{SignedNote, SignerKey, VerifierKey};
use sealwright_store::AppliedMigration;
use serde::{Deserialize, Serialize};

/// The file's name in a backup.
pub(super) const MANIFEST: &str = "manifest";
/// The digests of all other files, in the form that `sha256sum -c` reads.
pub(super) const SUMS: &str = "SHA256SUMS";
const FORMAT: u32 = 1;

/// What a backup holds.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub(super) struct Manifest {
    format: u32,
    /// The version of the program that made it.
    pub(super) program: String,
    /// RFC 3339: what was acknowledged before this moment is in it.
    pub(super) began_at: String,
    pub(super) ended_at: String,
    pub(super) database: Database,
    pub(super) migrations: Vec<AppliedMigration>,
    pub(super) tables: Vec<TableCopy>,
    /// Where each consumer of the log stood.
    pub(super) cursors: BTreeMap<String, u64>,
    pub(super) log: Offsets,
    pub(super) lake: Option<LakeState>,
    pub(super) ledger: LedgerState,
    pub(super) secrets: Secrets,
    /// Files and their bytes, this one and the digests excepted.
    pub(super) files: u64,
    pub(super) bytes: u64,
    /// SHA-256 of the file of digests.
    pub(super) sums: String,
}

/// What the state and the log were in.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub(super) enum Database {
    /// The log is in files.
    Sqlite,
    /// The log is in tables.
    Postgres,
}

impl Database {
    pub(super) const fn of(shared: bool) -> Self {
        if shared { Self::Postgres } else { Self::Sqlite }
    }

    pub(super) const fn name(self) -> &'static str {
        match self {
            Self::Sqlite => "SQLite",
            Self::Postgres => "PostgreSQL",
        }
    }
}

/// A table: `state/<name>.ndjson.zst`.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub(super) struct TableCopy {
    pub(super) name: String,
    pub(super) rows: u64,
    /// SHA-256 of its text before compression, which is the same from both databases.
    pub(super) digest: String,
}

/// The events in the log.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub(super) struct Offsets {
    pub(super) first: u64,
    pub(super) next: u64,
}

#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub(super) struct LakeState {
    pub(super) version: u64,
    pub(super) next_offset: u64,
    pub(super) rows: u64,
    pub(super) files: u64,
}

#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub(super) struct LedgerState {
    pub(super) origin: String,
    pub(super) verifier_key: String,
    /// Entries in the signed tree.
    pub(super) tree_size: u64,
    pub(super) root: String,
    /// Entries that had an index in the database: at least as many.
    pub(super) entries: u64,
}

#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub(super) struct Secrets {
    /// The ids of the keys that sealed secrets need.
    pub(super) keys: Vec<String>,
    /// Whether `keys/secret.keys` is in the backup.
    pub(super) in_backup: bool,
}

impl Manifest {
    #[expect(
        clippy::too_many_arguments,
        reason = "each is a part of what is written"
    )]
    pub(super) fn new(
        moments: (String, String),
        database: Database,
        migrations: Vec<AppliedMigration>,
        tables: Vec<TableCopy>,
        cursors: BTreeMap<String, u64>,
        log: Offsets,
        lake: Option<LakeState>,
        ledger: LedgerState,
        secrets: Secrets,
    ) -> Self {
        Self {
            format: FORMAT,
            program: env!("CARGO_PKG_VERSION").to_owned(),
            began_at: moments.0,
            ended_at: moments.1,
            database,
            migrations,
            tables,
            cursors,
            log,
            lake,
            ledger,
            secrets,
            files: 0,
            bytes: 0,
            sums: String::new(),
        }
    }

    /// Whether the parts belong to one moment.
    pub(super) fn agree(&self) -> Result<()> {
        let log = &self.log;
        ensure!(
            self.ledger.tree_size <= self.ledger.entries,
            "the ledger's tree has {} entries, and the database knows {}",
            self.ledger.tree_size,
            self.ledger.entries
        );
        let lake = self.lake.as_ref().map(|lake| ("lake", lake.next_offset));
        let consumers = self
            .cursors
            .iter()
            .map(|(name, next)| (name.as_str(), *next));
        for (name, next) in consumers.chain(lake) {
            ensure!(
                (log.first..=log.next).contains(&next),
                "`{name}` stands at offset {next}, and the log holds {} to {}",
                log.first,
                log.next
            );
        }
        Ok(())
    }

    pub(super) fn sign(&self, key: &SignerKey) -> Result<String> {
        let text = serde_json::to_string_pretty(self)? + "\n";
        Ok(SignedNote::sign(&text, &[key])?.to_string())
    }

    /// Reads a manifest and checks that the key that it names has signed it, and is `given` where one is.
    pub(super) fn open(bytes: &[u8], given: Option<&VerifierKey>) -> Result<Self> {
        let note = SignedNote::parse(bytes).context("it is not as it was written")?;
        let read: serde_json::Value =
            serde_json::from_str(note.text()).context("it is not as it was written")?;
        match read.get("format").and_then(serde_json::Value::as_u64) {
            Some(format) if format == u64::from(FORMAT) => {}
            Some(format) => bail!(
                "its format is {format}, and this program knows {FORMAT}; use the program that made it"
            ),
            None => bail!("it is not a backup's manifest"),
        }
        let manifest: Self = serde_json::from_value(read)?;
        let named: VerifierKey = manifest.ledger.verifier_key.parse()?;
        if let Some(given) = given {
            ensure!(
                *given == named,
                "it is of the ledger with the key `{named}`, not of `{given}`"
            );
        }
        note.verify(&[named])
            .context("it is not as it was written")?;
        Ok(manifest)
    }
}
