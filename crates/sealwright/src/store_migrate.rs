//! `sealwright store migrate`: the same installation with its state in another database.

use std::fs::{self, File};
use std::io::{BufReader, BufWriter, Write};
use std::ops::Range;
use std::path::{Path, PathBuf};

use anyhow::{Context, Result, bail, ensure};
use sealwright_config::Config;
use sealwright_core::{Clock as _, SystemClock};
use sealwright_events::{EventLog, ReadLimit};
use sealwright_intake::{FileLog, FileLogOptions, LOG_TABLES, StoreLog};
use sealwright_ledger::{TREE_FOLDER, keys, verify::verify_with_store};
use sealwright_store::portable::{Import, Snapshot};
use sealwright_store::{DataLock, Store, StoreUrl};
use serde_json::json;
use sha2::{Digest as _, Sha256};

use crate::backup::{LOG, Text, create, create_folder};
use crate::installation::{COMPONENTS, store_url};

/// The database of the state.
#[derive(Debug, clap::Subcommand)]
pub(crate) enum StoreCommand {
    /// Copy the state and the log to another, empty database and verify them there, with no server running
    Migrate {
        /// `postgres://USER@HOST/DATABASE` (the password may come from PGPASSWORD or ~/.pgpass), or
        /// `sqlite:PATH`
        #[arg(long, value_name = "URL")]
        to: String,
    },
}

/// What was moved.
struct Moved {
    tables: usize,
    rows: u64,
    events: Range<u64>,
    entries: u64,
}

/// Moves, and says what to do next.
pub(crate) async fn run(
    command: &StoreCommand,
    config: &Config,
    as_json: bool,
    out: &mut (dyn Write + Send),
) -> Result<bool> {
    let StoreCommand::Migrate { to } = command;
    let (from, to): (StoreUrl, StoreUrl) = (store_url(config)?, to.parse()?);
    let data = &config.data.folder;
    ensure!(from != to, "this is where the state is already");
    ensure!(
        data.is_dir(),
        "there is no installation in {}",
        data.display()
    );
    // No server works on it meanwhile.
    let mut locks = vec![DataLock::take(data, SystemClock.now())?];
    if let StoreUrl::Sqlite(file) = &from {
        ensure!(file.is_file(), "there is no database {}", file.display());
        if !file.starts_with(data) {
            locks.push(DataLock::take_file(file, SystemClock.now())?);
        }
    }
    let source = Store::open(&from).await?;
    let others = source.connections_of_others().await?;
    if others > 0 {
        bail!(
            "{} is in use: {others} connections of other sealwright processes; stop them first",
            source.describe()
        );
    }
    if from.shared() && !to.shared() {
        let log = data.join(LOG);
        let full = fs::read_dir(&log).is_ok_and(|mut dir| dir.next().is_some());
        ensure!(
            !full,
            "{} holds a log of earlier; move it away",
            log.display()
        );
    }
    let target = Store::open(&to).await?;
    let scratch = data.join("store-migrate");
    let _ = fs::remove_dir_all(&scratch);
    create_folder(&scratch).with_context(|| scratch.display().to_string())?;
    let moved = carry(data, &source, &target, &scratch).await;
    let _ = fs::remove_dir_all(&scratch);
    let named = target.describe();
    source.close().await;
    target.close().await;
    let moved = moved?;
    if as_json {
        let answer = json!({
            "to": named, "verified": true, "tables": moved.tables, "rows": moved.rows,
            "events": { "first": moved.events.start, "next": moved.events.end },
            "ledger_entries": moved.entries,
        });
        writeln!(out, "{answer}")?;
        return Ok(true);
    }
    writeln!(
        out,
        "{named}\n  state   {} tables, {} rows, equal\n  events  offsets {} to {}, equal\n  ledger  {} entries \
         and their rows, verified\nThe source is as it was. Now set `store.url` to the new database and start \
         the server; do not start one on the old database again.",
        moved.tables, moved.rows, moved.events.start, moved.events.end, moved.entries
    )?;
    Ok(true)
}

async fn carry(data: &Path, source: &Store, target: &Store, scratch: &Path) -> Result<Moved> {
    let mut state = source.snapshot(COMPONENTS).await?;
    let import = target
        .import(COMPONENTS, state.applied(), &SystemClock)
        .await?;
    let another_log = source.shared() != target.shared();
    let mut rows = 0;
    let mut digests = Vec::new();
    for table in import.tables().to_vec() {
        let file = scratch.join(&table.name);
        // Where the log is in files its tables are as they are at the start.
        let at_start = LOG_TABLES.iter().find(|(name, _)| *name == table.name);
        if let (Some((_, rows)), true) = (at_start, another_log && source.shared()) {
            import.read(&table, &mut rows.as_bytes()).await?;
            continue;
        }
        let written = write(&mut state, &table, &file).await?;
        let packed = File::open(&file).with_context(|| file.display().to_string())?;
        let mut text = BufReader::new(zstd::Decoder::new(packed)?);
        let read = import.read(&table, &mut text).await?;
        ensure!(
            read == written.0,
            "`{}` has lost rows on its way",
            table.name
        );
        fs::remove_file(&file).with_context(|| file.display().to_string())?;
        rows += read;
        digests.push((table.name, written));
    }
    drop(state);
    let tables = digests.len();
    same(&import, digests).await?;
    let events = if another_log {
        carry_log(data, source, target).await?
    } else {
        let mut there = import.snapshot(COMPONENTS).await?;
        sealwright_intake::offsets_of(&mut there).await?
    };
    let key = keys::load(&data.join(keys::KEY_FILE))?;
    let tree = data.join(TREE_FOLDER);
    let report = verify_with_store(&tree, key.verifier(), target).await?;
    if let Some(first) = report.findings.first() {
        bail!(
            "the ledger does not verify against the new database, {} problems; the first: {}: {}",
            report.finding_count,
            first.file,
            first.problem
        );
    }
    import.finish().await?;
    Ok(Moved {
        tables,
        rows,
        events,
        entries: report.entries,
    })
}

/// Writes a table into a file: its rows, and the digest of its text.
async fn write(
    state: &mut Snapshot,
    table: &sealwright_store::portable::Table,
    file: &Path,
) -> Result<(u64, String)> {
    let named = || file.display().to_string();
    let to = BufWriter::new(create(file).with_context(named)?);
    let mut text = Text::new(zstd::Encoder::new(to, 1)?);
    let rows = state.write(table, &mut text, &mut |_| ()).await?;
    let digest = text.digest();
    let packed = text.into_inner().finish();
    packed.and_then(|mut to| to.flush()).with_context(named)?;
    Ok((rows, digest))
}

/// Whether the new database gives the same text.
async fn same(import: &Import, digests: Vec<(String, (u64, String))>) -> Result<()> {
    let mut state = import.snapshot(COMPONENTS).await?;
    for (name, (rows, digest)) in digests {
        let table = state.tables().iter().find(|table| table.name == name);
        let table = table.cloned().context("a table is missing")?;
        let mut text = Text::new(std::io::sink());
        let there = state.write(&table, &mut text, &mut |_| ()).await?;
        ensure!(
            there == rows && text.digest() == digest,
            "the table `{name}` is not what it was: {there} rows instead of {rows}, or other values"
        );
    }
    Ok(())
}

/// The log into tables or into files, and whether both give the same events.
async fn carry_log(data: &Path, source: &Store, target: &Store) -> Result<Range<u64>> {
    let folder = data.join(LOG);
    if target.shared() {
        if !folder.is_dir() {
            return Ok(0..0);
        }
        sealwright_intake::files_into_tables(&folder, target).await?;
    } else {
        sealwright_intake::tables_into_files(source, &folder).await?;
    }
    let tables = if target.shared() { target } else { source };
    let tables = StoreLog::open(tables.clone()).await?;
    let files = open(folder).await?;
    let (one, two) = (events_of(&tables).await?, events_of(&files).await?);
    ensure!(
        one == two,
        "the events in the log are not what they were: {:?} and {:?}",
        one.0,
        two.0
    );
    files.flush().await?;
    Ok(one.0)
}

async fn open(folder: PathBuf) -> Result<FileLog> {
    let opened =
        tokio::task::spawn_blocking(move || FileLog::open(&folder, FileLogOptions::default()));
    Ok(opened.await??)
}

/// The offsets of a log, and a digest over what its events are.
async fn events_of(log: &dyn EventLog) -> Result<(Range<u64>, String)> {
    let (first, head) = (log.earliest().await?, log.head().await?);
    let (mut next, mut hash) = (first, Sha256::new());
    while next < head {
        let events = log.read(next, ReadLimit::default()).await?;
        for event in &events {
            hash.update(event.offset.to_le_bytes());
            hash.update(event.received_at.0.to_le_bytes());
            hash.update(event.tenant.to_string());
            hash.update(event.digest.0);
            next = event.offset + 1;
        }
        ensure!(!events.is_empty(), "the log ends at offset {next}");
    }
    Ok((first..head, hex::encode(hash.finalize())))
}
