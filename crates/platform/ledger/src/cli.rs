//! `ledger verify | prove | show` on a data folder. Reading needs no running server and no lock,
//! and works beside a running one.

use std::io::Write;
use std::path::{Path, PathBuf};

use clap::{Args, Subcommand, ValueEnum};
use comfy_table::Table;
use comfy_table::presets::UTF8_FULL_CONDENSED;
use sealwright_core::UnixMicros;
use sealwright_merkle::{Hash, VerifierKey};
use sealwright_store::Store;
use serde::Serialize;

use crate::entry::{EntryId, Leaf};
use crate::error::{LedgerError, Result};
use crate::keys::{self, KEY_FILE};
use crate::proof::EntryProof;
use crate::service::TREE_FOLDER;
use crate::tree::{CHECKPOINT, TreeReader};
use crate::verify::{Report, verify_tree, verify_with_store};

/// How an answer is written.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, ValueEnum)]
pub enum Output {
    /// For people.
    #[default]
    Table,
    /// One JSON object.
    Json,
}

/// Which ledger, and how to answer.
#[derive(Debug, Clone, Args)]
pub struct Common {
    /// The data folder; the program's global flag sets it.
    #[arg(skip)]
    pub data: PathBuf,
    /// The verifier key, for a tree without its key file (a copy, somebody else's)
    #[arg(long, value_name = "VKEY")]
    pub key: Option<String>,
    /// How to answer; the program's global flag sets it.
    #[arg(skip)]
    pub output: Output,
}

impl Common {
    /// The ledger of a data folder, under its own key.
    #[must_use]
    pub fn of(data: PathBuf) -> Self {
        Self {
            data,
            key: None,
            output: Output::Table,
        }
    }
}

/// The ledger of what was done
#[derive(Debug, Clone, Subcommand)]
pub enum LedgerCommand {
    /// Check every entry, tile and signature, and name each damaged file and byte
    Verify {
        #[command(flatten)]
        #[allow(missing_docs)]
        common: Common,
    },
    /// Prove that an entry is in the ledger, as text that other tools verify offline
    Prove {
        /// The entry: its id (`led_…`) or its index
        entry: String,
        #[command(flatten)]
        #[allow(missing_docs)]
        common: Common,
    },
    /// Show the ledger's origin, verifier key, size and root
    Show {
        #[command(flatten)]
        #[allow(missing_docs)]
        common: Common,
    },
}

impl LedgerCommand {
    /// Lets the program say which ledger, and how to answer.
    pub const fn common_mut(&mut self) -> &mut Common {
        match self {
            Self::Verify { common } | Self::Prove { common, .. } | Self::Show { common } => common,
        }
    }

    /// Which ledger, and how to answer.
    #[must_use]
    pub const fn common(&self) -> &Common {
        match self {
            Self::Verify { common } | Self::Prove { common, .. } | Self::Show { common } => common,
        }
    }
}

/// What `ledger show` answers.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Head {
    /// The name of the log.
    pub origin: String,
    /// The key that verifies its checkpoints (`<name>+<id>+<base64>`).
    pub verifier_key: String,
    /// The number of entries in the signed tree.
    pub size: u64,
    /// The root of the signed tree.
    pub root: Hash,
    /// When the checkpoint was published, RFC 3339 in UTC. From the file: nothing signs it.
    pub checkpoint_time: Option<String>,
    /// The folder of the static tree.
    pub tree: String,
}

/// The verifier key: the given one, or the one whose secret half is in the data folder.
///
/// # Errors
/// When neither is there.
pub fn verifier_key(common: &Common) -> Result<VerifierKey> {
    match &common.key {
        Some(text) => Ok(text.parse()?),
        None => Ok(keys::load(&common.data.join(KEY_FILE))?.verifier().clone()),
    }
}

/// Reads what [`Head`] shows.
///
/// # Errors
/// When the checkpoint is not there or not signed by the key.
pub fn head(data: &Path, key: VerifierKey) -> Result<Head> {
    let folder = data.join(TREE_FOLDER);
    let reader = TreeReader::new(&folder, key);
    let (checkpoint, _) = reader.checkpoint()?;
    let modified = std::fs::metadata(folder.join(CHECKPOINT))
        .and_then(|m| m.modified())
        .ok();
    let since = modified.and_then(|time| time.duration_since(std::time::UNIX_EPOCH).ok());
    let micros = since.and_then(|since| i64::try_from(since.as_micros()).ok());
    Ok(Head {
        origin: checkpoint.origin,
        verifier_key: reader.key().to_string(),
        size: checkpoint.size,
        root: checkpoint.root,
        checkpoint_time: micros.map(|micros| UnixMicros(micros).to_string()),
        tree: folder.display().to_string(),
    })
}

/// The index of the entry that `text` names: an index, or an id that is looked for in the tree.
///
/// # Errors
/// [`LedgerError::NotFound`].
pub fn find(reader: &TreeReader, text: &str) -> Result<u64> {
    let not_found = || LedgerError::NotFound(text.to_owned());
    if let Ok(index) = text.parse() {
        return Ok(index);
    }
    let id: EntryId = text.parse().map_err(|_| not_found())?;
    let (checkpoint, _) = reader.checkpoint()?;
    let mut found = None;
    reader.scan(0, checkpoint.size, |index, entry| {
        if Leaf::from_bytes(entry).is_ok_and(|leaf| leaf.id == id) {
            found = Some(index);
        }
        found.is_none()
    })?;
    found.ok_or_else(not_found)
}

/// The database beside the tree, as far as there is one.
#[derive(Debug, Clone, Copy)]
pub enum Database<'a> {
    /// None: a copy of the tree, or somebody else's.
    Absent,
    /// Open: `verify` compares its rows with the tree, and `prove` adds what opens the commitment.
    Open(&'a Store),
    /// It should be there and cannot be opened; `verify` reports why as one of its findings.
    Unreadable(&'a str),
}

/// Runs a command, writes its answer to `out`, and says whether the answer is yes: `false` for a
/// `verify` that found damage (exit status 1).
///
/// # Errors
/// When the question could not be answered (exit status 2).
pub async fn run(
    command: &LedgerCommand,
    database: Database<'_>,
    out: &mut (dyn Write + Send),
) -> Result<bool> {
    let common = command.common();
    let key = verifier_key(common)?;
    let folder = common.data.join(TREE_FOLDER);
    let (text, ok) = match command {
        LedgerCommand::Show { .. } => {
            let head = head(&common.data, key)?;
            (answer(common.output, &head, show_table), true)
        }
        LedgerCommand::Verify { .. } => {
            let report = match database {
                Database::Open(store) => verify_with_store(&folder, &key, store).await?,
                Database::Absent => verify_tree(&folder, &key)?,
                Database::Unreadable(why) => {
                    let mut report = verify_tree(&folder, &key)?;
                    report.add_database(why);
                    report
                }
            };
            (answer(common.output, &report, verify_table), report.ok)
        }
        LedgerCommand::Prove { entry, .. } => {
            let reader = TreeReader::new(&folder, key);
            let (stored, proof) = reader.prove(find(&reader, entry)?)?;
            let opening = match (database, Leaf::from_bytes(&stored.bytes)) {
                (Database::Open(store), Ok(leaf)) => {
                    let scope = sealwright_core::TenantScope::All;
                    let row = crate::store::by_id(store, scope, leaf.id).await?;
                    row.and_then(|row| row.opening)
                }
                _ => None,
            };
            let proof = EntryProof::new(&stored, &proof, reader.key(), opening)?;
            // The table form is the proof's text itself, ready for a file.
            (
                answer(common.output, &proof, |proof| proof.tlog_proof.clone()),
                true,
            )
        }
    };
    let written = out.write_all(text.as_bytes()).and_then(|()| out.flush());
    written.map_err(LedgerError::file("standard output"))?;
    Ok(ok)
}

fn answer<T: Serialize>(output: Output, value: &T, table: impl Fn(&T) -> String) -> String {
    match output {
        Output::Table => table(value),
        // These types have no map with other than text keys, the one thing that could fail.
        Output::Json => serde_json::to_string_pretty(value).unwrap_or_default() + "\n",
    }
}

fn show_table(head: &Head) -> String {
    let mut table = Table::new();
    table.load_style(UTF8_FULL_CONDENSED);
    table.add_row(["origin", &head.origin]);
    table.add_row(["verifier key", &head.verifier_key]);
    table.add_row(["entries", &head.size.to_string()]);
    table.add_row(["root", &head.root.to_string()]);
    table.add_row([
        "checkpoint",
        head.checkpoint_time.as_deref().unwrap_or("unknown"),
    ]);
    table.add_row(["tree", &head.tree]);
    format!("{table}\n")
}

fn verify_table(report: &Report) -> String {
    let rows = report
        .rows
        .map_or_else(String::new, |rows| format!(", {rows} database rows"));
    let what = format!(
        "{} entries in {} files{rows} under {}",
        report.entries, report.files, report.verifier_key
    );
    if report.ok {
        let root = report
            .root
            .map_or_else(String::new, |root| root.to_string());
        return format!("verified: {what}\nroot: {root}\n");
    }
    let mut table = Table::new();
    table.load_style(UTF8_FULL_CONDENSED);
    table.set_header(["file", "byte", "entry", "problem"]);
    for finding in &report.findings {
        let number = |n: Option<u64>| n.map_or_else(String::new, |n| n.to_string());
        table.add_row([
            finding.file.clone(),
            number(finding.offset),
            number(finding.entry),
            finding.problem.clone(),
        ]);
    }
    let more = report.finding_count - report.findings.len() as u64;
    let more = if more > 0 {
        format!("and {more} more\n")
    } else {
        String::new()
    };
    format!(
        "{table}\n{more}NOT verified: {} problems in {what}\n",
        report.finding_count
    )
}
