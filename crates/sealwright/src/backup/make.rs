//! Making a backup, while the installation runs.

use std::collections::BTreeSet;
use std::fs::File;
use std::io::{BufWriter, Seek as _, Write};
use std::ops::Range;
use std::path::Path;

use anyhow::{Context, Result, bail};
use sealwright_config::{Config, Loaded};
use sealwright_core::{Clock as _, SystemClock};
use sealwright_intake::LogHold;
use sealwright_lake::{Lake, LakeCopy, LakeError};
use sealwright_ledger::{TREE_FOLDER, TreeReader, keys};
use sealwright_secret::KeyRing;
use sealwright_store::Store;
use sealwright_store::portable::Snapshot;
use sha2::{Digest as _, Sha256};

use super::files::{self, Sink};
use super::manifest::{
    Database as Kind, LakeState, LedgerState, Manifest, Offsets, Secrets, TableCopy,
};
use crate::database::Database;
use crate::installation::{COMPONENTS, lake_place};

/// Where the log is, in the data folder of a SQLite installation and in its backup.
pub(crate) const LOG: &str = "log";
/// Where the keys of secrets are, in the data folder and in a backup.
pub(super) const SECRET_KEYS: &str = "keys/secret.keys";
/// How often a moment is looked for in which nothing was being removed.
const TRIES: usize = 20;
/// zstd's level of the tables.
const LEVEL: i32 = 3;

/// Copies everything to `to`, checks the copy, and says what it holds.
pub(super) async fn make(loaded: &Loaded, to: &Path, with_secret_keys: bool) -> Result<Manifest> {
    let config = &loaded.config;
    if with_secret_keys && !config.secrets.keys.is_empty() {
        bail!(
            "the keys of secrets are a setting here (`secrets.keys`), not a file: keep them where they are kept, \
             and leave --with-secret-keys out"
        );
    }
    let store = match Database::look(config).await? {
        Database::Open(store) => store,
        Database::Absent => bail!(
            "there is no database in {}, so there is nothing to copy",
            config.data.folder.display()
        ),
        Database::Unreadable(why) => bail!("{why}"),
    };
    let sink = Sink::begin(to)?;
    let made = copy(loaded, &store, sink, with_secret_keys).await;
    store.close().await;
    if made.is_err() {
        Sink::give_up(to);
    }
    made
}

async fn copy(
    loaded: &Loaded,
    store: &Store,
    mut sink: Sink,
    with_secret_keys: bool,
) -> Result<Manifest> {
    let config = &loaded.config;
    let data = &config.data.folder;
    let began_at = SystemClock.now().to_string();
    // Nothing leaves the log until it is copied, at the end: by then it holds what all others refer to.
    let log = data.join(LOG);
    let hold = match store.shared() {
        false if log.is_dir() => Some(LogHold::take(&log)?),
        _ => None,
    };
    // The tree before its database, which may know more entries, and never fewer.
    let key = keys::load(&data.join(keys::KEY_FILE))?;
    let tree = TreeReader::new(data.join(TREE_FOLDER), key.verifier().clone());
    let checkpoint = tree.copy(|name, bytes| {
        let name = format!("{TREE_FOLDER}/{name}");
        sink.add_bytes(&name, bytes).map_err(std::io::Error::other)
    })?;
    let (lake, mut state) = one_moment(config, store).await?;
    let entries = sealwright_ledger::store::assigned_of(&mut state).await?;
    let cursors = sealwright_events::cursors_of(&mut state).await?;
    let in_tables = sealwright_intake::offsets_of(&mut state).await?;
    let migrations = state.applied().to_vec();
    let mut secrets = BTreeSet::new();
    let tables = tables(&mut state, &mut sink, &mut secrets).await?;
    drop(state);
    let lake = match lake {
        None => None,
        Some(lake) => Some(copy_lake(lake, &mut sink).await?),
    };
    let offsets = match &hold {
        None if store.shared() => in_tables,
        None => Range::default(),
        Some(hold) => {
            let copy = hold.copy()?;
            for part in &copy.parts {
                sink.add_file(&format!("{LOG}/{}", part.name), &part.path, part.bytes)?;
            }
            copy.offsets
        }
    };
    drop(hold);
    let key_file = data.join(keys::KEY_FILE);
    let bytes = std::fs::read(&key_file).with_context(|| key_file.display().to_string())?;
    sink.add_bytes(keys::KEY_FILE, &bytes)?;
    if with_secret_keys {
        let file = data.join(SECRET_KEYS);
        let bytes = std::fs::read(&file).with_context(|| file.display().to_string())?;
        sink.add_bytes(SECRET_KEYS, &bytes)?;
    }
    let settings = sealwright_config::show_json(loaded).to_string() + "\n";
    sink.add_bytes("configuration.json", settings.as_bytes())?;
    let manifest = Manifest::new(
        (began_at, SystemClock.now().to_string()),
        Kind::of(store.shared()),
        migrations,
        tables,
        cursors,
        Offsets {
            first: offsets.start,
            next: offsets.end,
        },
        lake,
        LedgerState {
            origin: checkpoint.origin,
            verifier_key: key.verifier().to_string(),
            tree_size: checkpoint.size,
            root: checkpoint.root.to_string(),
            entries,
        },
        Secrets {
            keys: secrets.into_iter().collect(),
            in_backup: with_secret_keys,
        },
    );
    manifest
        .agree()
        .context("the copy does not fit together; run `sealwright doctor`")?;
    let sealed = sink.seal(manifest, &key)?;
    // What is on disk now, not what should be.
    let manifest = super::check::check(&sealed.partial, None).await?;
    sealed.publish()?;
    Ok(manifest)
}

/// A state of the lake and one of the database that fit together. The lake's comes first, so that the log
/// reaches as far; and nothing was removed in between, so that the database does not say that something was
/// erased which the lake still holds.
async fn one_moment(config: &Config, store: &Store) -> Result<(Option<LakeCopy>, Snapshot)> {
    let lake = match Lake::open_read_only(lake_place(config)).await {
        Ok(lake) => Some(lake),
        Err(LakeError::Missing { .. }) => None,
        Err(error) => return Err(error.into()),
    };
    let Some(lake) = lake else {
        return Ok((None, store.snapshot(COMPONENTS).await?));
    };
    for _ in 0..TRIES {
        let copy = lake.copy().await?;
        let mut state = store.snapshot(COMPONENTS).await?;
        let log = sealwright_intake::offsets_of(&mut state).await?;
        let log_reaches = !store.shared() || log.start <= copy.next_offset;
        if log_reaches && !lake.has_lost_rows(&copy).await? {
            return Ok((Some(copy), state));
        }
        drop(copy);
        tokio::time::sleep(std::time::Duration::from_millis(200)).await;
    }
    bail!("events are being erased from the lake all the time; try again when that has ended")
}

async fn tables(
    state: &mut Snapshot,
    sink: &mut Sink,
    secrets: &mut BTreeSet<String>,
) -> Result<Vec<TableCopy>> {
    let scratch = sink.scratch();
    let _ = std::fs::remove_dir_all(&scratch);
    files::create_folder(&scratch).with_context(|| scratch.display().to_string())?;
    let mut copies = Vec::new();
    for table in state.tables().to_vec() {
        let file = scratch.join(&table.name);
        let named = || file.display().to_string();
        let to = files::create(&file).with_context(named)?;
        let mut text = Text::new(zstd::Encoder::new(BufWriter::new(to), LEVEL)?);
        let mut look = |value: &str| {
            if let Some(key) = KeyRing::sealed_with(value) {
                secrets.insert(key.to_owned());
            }
        };
        let rows = state.write(&table, &mut text, &mut look).await?;
        let digest = text.digest();
        let written = text.into_inner().finish().and_then(|mut to| to.flush());
        written.with_context(named)?;
        let mut read = File::open(&file).with_context(named)?;
        let length = read.seek(std::io::SeekFrom::End(0))?;
        read.rewind()?;
        sink.add(
            &format!("state/{}.ndjson.zst", table.name),
            length,
            &mut read,
        )?;
        std::fs::remove_file(&file).with_context(named)?;
        copies.push(TableCopy {
            name: table.name,
            rows,
            digest,
        });
    }
    std::fs::remove_dir(&scratch).with_context(|| scratch.display().to_string())?;
    Ok(copies)
}

async fn copy_lake(lake: LakeCopy, sink: &mut Sink) -> Result<LakeState> {
    for (name, bytes) in &lake.log {
        sink.add_bytes(&format!("lake/{name}"), bytes)?;
    }
    for part in &lake.files {
        let mut file = part.open().await?;
        sink.add(&format!("lake/{}", part.name), part.bytes, &mut file)
            .with_context(|| part.name.clone())?;
    }
    Ok(LakeState {
        version: lake.version,
        next_offset: lake.next_offset,
        rows: lake.rows,
        files: lake.files.len() as u64,
    })
}

/// Hashes a table's text on its way to the compressor.
pub(crate) struct Text<W> {
    to: W,
    hash: Sha256,
}

impl<W: Write> Text<W> {
    pub(crate) fn new(to: W) -> Self {
        Self {
            to,
            hash: Sha256::new(),
        }
    }

    pub(crate) fn into_inner(self) -> W {
        self.to
    }

    pub(crate) fn digest(&self) -> String {
        hex::encode(self.hash.clone().finalize())
    }
}

impl<W: Write> Write for Text<W> {
    fn write(&mut self, bytes: &[u8]) -> std::io::Result<usize> {
        let written = self.to.write(bytes)?;
        self.hash.update(bytes.get(..written).unwrap_or_default());
        Ok(written)
    }

    fn flush(&mut self) -> std::io::Result<()> {
        self.to.flush()
    }
}
