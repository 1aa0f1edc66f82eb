//! Checking a backup, and filling a database from its tables.

use std::collections::BTreeMap;
use std::fs::File;
use std::io::BufReader;
use std::path::{Path, PathBuf};

use anyhow::{Context, Result, bail, ensure};
use sealwright_core::SystemClock;
use sealwright_ledger::TREE_FOLDER;
use sealwright_ledger::verify::{Report, verify_with_store};
use sealwright_merkle::VerifierKey;
use sealwright_store::portable::{Import, Snapshot};
use sealwright_store::{Store, StoreUrl};

use super::files::{self, put};
use super::make::Text;
use super::manifest::{Manifest, TableCopy};
use crate::installation::COMPONENTS;

/// The tables of a backup, below the folder that they were put into.
pub(super) const STATE: &str = "state";

/// A folder that goes when it is dropped.
struct Scratch(PathBuf);

impl Drop for Scratch {
    fn drop(&mut self) {
        let _ = std::fs::remove_dir_all(&self.0);
    }
}

/// Reads a whole backup: compares every file with its digest, makes a database of its tables in a temporary
/// folder, and verifies the ledger against that.
///
/// # Errors
/// Names what is wrong: the file, the table and line, or the ledger's entry.
pub(super) async fn check(from: &Path, key: Option<&str>) -> Result<Manifest> {
    let given: Option<VerifierKey> = key
        .map(|text| text.parse().with_context(|| format!("--key {text}")))
        .transpose()?;
    let name = format!("sealwright-backup-{}", std::process::id());
    let scratch = Scratch(std::env::temp_dir().join(name));
    let folder = &scratch.0;
    // Never one that somebody else has made.
    let _ = std::fs::remove_dir_all(folder);
    files::create_new_folder(folder).with_context(|| folder.display().to_string())?;
    let manifest = files::read(from, given.as_ref(), &mut |name, bytes| {
        let wanted = [TREE_FOLDER, STATE];
        if wanted
            .iter()
            .any(|part| name.starts_with(&format!("{part}/")))
        {
            put(folder, name, bytes)?;
        }
        Ok(())
    })?;
    manifest.agree()?;
    let store = Store::open(&StoreUrl::Sqlite(folder.join("state.sqlite"))).await?;
    let checked = async {
        let import = fill(&store, &manifest, &folder.join(STATE)).await?;
        let mut state = import.snapshot(COMPONENTS).await?;
        agrees(&mut state, &manifest).await?;
        drop(state);
        ledger(&folder.join(TREE_FOLDER), &manifest, &store).await
    };
    let checked = checked.await;
    store.close().await;
    checked?;
    Ok(manifest)
}

/// Fills an empty database from the tables in `state`.
pub(super) async fn fill(store: &Store, manifest: &Manifest, state: &Path) -> Result<Import> {
    let import = store
        .import(COMPONENTS, &manifest.migrations, &SystemClock)
        .await?;
    let told: BTreeMap<&str, &TableCopy> = manifest
        .tables
        .iter()
        .map(|table| (table.name.as_str(), table))
        .collect();
    ensure!(
        told.len() == import.tables().len(),
        "it has {} tables instead of {}",
        told.len(),
        import.tables().len()
    );
    for table in import.tables() {
        let name = &table.name;
        let told = told
            .get(name.as_str())
            .with_context(|| format!("the table `{name}` is missing"))?;
        let file = state.join(format!("{name}.ndjson.zst"));
        let named = || file.display().to_string();
        let text = zstd::Decoder::new(File::open(&file).with_context(named)?)?;
        let rows = import.read(table, &mut BufReader::new(text)).await?;
        ensure!(
            rows == told.rows,
            "the table `{name}` has {rows} rows instead of {}",
            told.rows
        );
    }
    Ok(import)
}

/// Whether the tables of a state are those of the backup, to the byte.
pub(super) async fn same_tables(state: &mut Snapshot, manifest: &Manifest) -> Result<()> {
    for table in state.tables().to_vec() {
        let told = manifest.tables.iter().find(|told| told.name == table.name);
        let mut text = Text::new(std::io::sink());
        let rows = state.write(&table, &mut text, &mut |_| ()).await?;
        let (rows, digest) = (rows, text.digest());
        ensure!(
            told.is_some_and(|told| told.rows == rows && told.digest == digest),
            "the table `{}` is not what was copied: {rows} rows with the digest {digest}",
            table.name
        );
    }
    Ok(())
}

/// Whether the manifest says what is in the tables.
async fn agrees(state: &mut Snapshot, manifest: &Manifest) -> Result<()> {
    same_tables(state, manifest).await?;
    let cursors = sealwright_events::cursors_of(state).await?;
    let entries = sealwright_ledger::store::assigned_of(state).await?;
    ensure!(
        cursors == manifest.cursors && entries == manifest.ledger.entries,
        "the manifest names other cursors or entries than the tables hold"
    );
    Ok(())
}

/// Verifies the tree in `folder` against the rows in `store`, and that it is the backup's.
pub(super) async fn ledger(folder: &Path, manifest: &Manifest, store: &Store) -> Result<Report> {
    let key: VerifierKey = manifest.ledger.verifier_key.parse()?;
    let report = verify_with_store(folder, &key, store).await?;
    if let Some(first) = report.findings.first() {
        bail!(
            "the ledger does not verify, {} problems; the first: {}{}: {}",
            report.finding_count,
            first.file,
            first
                .entry
                .map_or_else(String::new, |n| format!(" entry {n}")),
            first.problem
        );
    }
    let root = report.root.map(|root| root.to_string());
    ensure!(
        report.size == manifest.ledger.tree_size && root.as_ref() == Some(&manifest.ledger.root),
        "the ledger's tree is another than the manifest names"
    );
    Ok(report)
}
