//! Checking a whole tree, and its database, and naming what is wrong.
//!
//! Every entry is hashed again, every tile is compared with what lies below it, and the root with
//! the signed checkpoint. Where two files disagree, the level above decides which of them is
//! right. For damage of one byte, which is what disks and people mostly do, the byte itself is
//! found: it is the only one whose change makes the hash right again.

mod checkpoint;
mod entries;
mod rows;
mod tiles;

use std::path::{Path, PathBuf};

use sealwright_merkle::{Hash, VerifierKey};
use sealwright_store::Store;
use serde::Serialize;

use crate::error::Result;
use crate::tree::TreeReader;

/// The most findings that a report lists; further ones are counted.
pub const MAX_FINDINGS: usize = 1_000;

/// Something that is not as it was written.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Finding {
    /// The file, or `database` for a row.
    pub file: String,
    /// Where in the file the damage begins, in bytes from 0.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub offset: Option<u64>,
    /// The entry that is concerned.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub entry: Option<u64>,
    /// What is wrong, and what was there where that is known.
    pub problem: String,
}

/// The outcome of a check.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Report {
    /// Whether everything holds.
    pub ok: bool,
    /// The tree's folder.
    pub folder: String,
    /// The key that the checkpoint was checked with.
    pub verifier_key: String,
    /// The size of the tree; of the signed one where its checkpoint could be read.
    pub size: u64,
    /// The root that the entries lead to.
    pub root: Option<Hash>,
    /// Files of the tree that were read.
    pub files: u64,
    /// Entries whose hashes were computed again.
    pub entries: u64,
    /// Rows of the database that were compared, where a database was given.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub rows: Option<u64>,
    /// Files beyond the checkpoint: an append was under way or was interrupted. The next start
    /// removes them.
    pub unpublished: u64,
    /// What is wrong, at most [`MAX_FINDINGS`].
    pub findings: Vec<Finding>,
    /// How many findings there were in all.
    pub finding_count: u64,
}

impl Report {
    /// Adds that the database could not be compared.
    pub(crate) fn add_database(&mut self, why: &str) {
        self.add(Finding {
            file: "database".to_owned(),
            offset: None,
            entry: None,
            problem: why.to_owned(),
        });
    }

    fn add(&mut self, finding: Finding) {
        self.ok = false;
        self.finding_count += 1;
        if self.findings.len() < MAX_FINDINGS {
            self.findings.push(finding);
        }
    }
}

/// Collects findings; relative paths become paths in the tree's folder.
#[derive(Debug)]
struct Check<'a> {
    reader: &'a TreeReader,
    report: Report,
}

impl<'a> Check<'a> {
    fn new(reader: &'a TreeReader) -> Self {
        let report = Report {
            ok: true,
            folder: reader.root_folder().display().to_string(),
            verifier_key: reader.key().to_string(),
            size: 0,
            root: None,
            files: 0,
            entries: 0,
            rows: None,
            unpublished: 0,
            findings: Vec::new(),
            finding_count: 0,
        };
        Self { reader, report }
    }

    fn path(&self, relative: &str) -> PathBuf {
        self.reader.root_folder().join(relative)
    }

    fn find(
        &mut self,
        relative: &str,
        offset: Option<u64>,
        entry: Option<u64>,
        problem: impl Into<String>,
    ) {
        let file = self.path(relative).display().to_string();
        self.add(Finding {
            file,
            offset,
            entry,
            problem: problem.into(),
        });
    }

    fn add(&mut self, finding: Finding) {
        self.report.add(finding);
    }
}

/// Checks the tree in `root` under `key`. Blocking: reads every file once. Memory: 32 bytes for
/// each 256 entries, and one tile.
///
/// # Errors
/// Only when files cannot be read at all; damage is reported, not returned.
pub fn verify_tree(root: &Path, key: &VerifierKey) -> Result<Report> {
    let reader = TreeReader::new(root, key.clone());
    let mut check = Check::new(&reader);
    tiles::run(&mut check)?;
    Ok(check.report)
}

/// Checks the tree as [`verify_tree`] does and compares every row of the database with its entry,
/// and every private part with its commitment.
///
/// # Errors
/// As [`verify_tree`], and from the database.
pub async fn verify_with_store(root: &Path, key: &VerifierKey, store: &Store) -> Result<Report> {
    let (folder, key) = (root.to_owned(), key.clone());
    let verify = move || verify_tree(&folder, &key).map(|report| (report, key));
    let (report, key) = tokio::task::spawn_blocking(verify)
        .await
        .map_err(|e| crate::LedgerError::Task(e.to_string()))??;
    let reader = TreeReader::new(root, key);
    let mut check = Check {
        reader: &reader,
        report,
    };
    rows::run(&mut check, store).await?;
    Ok(check.report)
}
