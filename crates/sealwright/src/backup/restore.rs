//! Making an installation from a backup.

use std::fs;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use anyhow::{Context, Result, bail, ensure};
use sealwright_access::Principal;
use sealwright_config::Config;
use sealwright_core::{Clock, SystemClock};
use sealwright_events::EventLog as _;
use sealwright_intake::{FileLog, FileLogOptions, StoreLog};
use sealwright_lake::Lake;
use sealwright_ledger::{EntryDraft, Ledger, TREE_FOLDER};
use sealwright_secret::KeyRing;
use sealwright_store::{DataLock, Store, StoreUrl};
use serde::Serialize;
use serde_json::json;

use super::check::{STATE, fill, ledger, same_tables};
use super::files::{self, beside, put, sync_folders};
use super::make::{LOG, SECRET_KEYS};
use super::manifest::{Database as Kind, Manifest};
use crate::installation::{COMPONENTS, lake_folder, store_url};

/// What was restored.
#[derive(Debug, Serialize)]
pub(super) struct Restored {
    pub(super) folder: PathBuf,
    pub(super) database: String,
    pub(super) manifest: Manifest,
    pub(super) ledger: Continued,
}

/// How the ledger goes on.
#[derive(Debug, Serialize)]
pub(super) struct Continued {
    /// Entries that were verified, in the tree of the backup.
    pub(super) entries: u64,
    /// Entries that the history before and after the restore have in common.
    pub(super) kept: u64,
    /// The index of the entry that records the restore.
    pub(super) restored_at: u64,
}

/// Where the parts of an installation go.
struct Places {
    data: PathBuf,
    /// Where the data folder is made.
    side: PathBuf,
    /// Where the lake is made, and where it goes when it is not in the data folder.
    lake_side: PathBuf,
    lake: Option<PathBuf>,
    store: StoreUrl,
}

impl Places {
    fn of(config: &Config) -> Result<Self> {
        ensure!(
            config.lake.url.is_empty(),
            "`lake.url` is set, and a backup is restored to a folder\nhint: restore with `lake.url` empty, \
             and move the lake with `sealwright lake move --to s3://BUCKET/PREFIX`"
        );
        let data = config.data.folder.clone();
        let side = beside(&data, ".restoring");
        let (inside, lake) = (data.join("lake"), lake_folder(config));
        let apart = lake != inside;
        let store = match store_url(config)? {
            StoreUrl::Sqlite(path) => match path.strip_prefix(&data) {
                Ok(name) => StoreUrl::Sqlite(side.join(name)),
                Err(_) => StoreUrl::Sqlite(path),
            },
            server => server,
        };
        Ok(Self {
            lake_side: if apart {
                beside(&lake, ".restoring")
            } else {
                side.join("lake")
            },
            lake: apart.then_some(lake),
            data,
            side,
            store,
        })
    }

    /// What stands where something is to be put stays.
    fn refuse_full(&self) -> Result<()> {
        for folder in [Some(&self.data), self.lake.as_ref()].into_iter().flatten() {
            let empty = match fs::read_dir(folder) {
                Ok(mut entries) => entries.next().is_none(),
                Err(error) if error.kind() == std::io::ErrorKind::NotFound => true,
                Err(error) => return Err(error).context(folder.display().to_string()),
            };
            if !empty {
                bail!(
                    "{} is not empty; a backup is restored into a new installation\nhint: move it away, or \
                     give another --data",
                    folder.display()
                );
            }
        }
        Ok(())
    }

    fn clear(&self) {
        let _ = fs::remove_dir_all(&self.side);
        if self.lake.is_some() {
            let _ = fs::remove_dir_all(&self.lake_side);
        }
    }

    /// Everything takes its place: the data folder last, since a program starts on it.
    fn publish(&self) -> Result<()> {
        let into = |from: &Path, to: &Path| {
            if !from.exists() {
                return Ok(());
            }
            sync_folders(from)?;
            if to.is_dir() {
                fs::remove_dir(to).with_context(|| to.display().to_string())?;
            }
            fs::rename(from, to).with_context(|| to.display().to_string())?;
            let folder = to.parent().filter(|p| !p.as_os_str().is_empty());
            let folder = folder.unwrap_or(Path::new("."));
            fs::File::open(folder)
                .and_then(|folder| folder.sync_all())
                .with_context(|| folder.display().to_string())
        };
        if let Some(lake) = &self.lake {
            into(&self.lake_side, lake)?;
        }
        into(&self.side, &self.data)
    }
}

/// Restores `from` into the installation that `config` names, which is empty.
pub(super) async fn restore(
    config: &Config,
    from: &Path,
    secret_keys: Option<&Path>,
) -> Result<Restored> {
    let places = Places::of(config)?;
    if let Some(folder) = places.data.parent().filter(|p| !p.as_os_str().is_empty()) {
        fs::create_dir_all(folder).with_context(|| folder.display().to_string())?;
    }
    // One restore at a time; what an interrupted one left is nobody's.
    let lock = DataLock::take_file(&places.data, SystemClock.now())?;
    places.refuse_full()?;
    places.clear();
    let done = make(config, &places, from, secret_keys).await;
    if done.is_err() {
        places.clear();
    }
    drop(lock);
    let _ = fs::remove_file(beside(&places.data, ".lock"));
    done
}

async fn make(
    config: &Config,
    places: &Places,
    from: &Path,
    secret_keys: Option<&Path>,
) -> Result<Restored> {
    let side = &places.side;
    files::create_folder(side).with_context(|| side.display().to_string())?;
    let manifest = files::read(from, None, &mut |name, bytes| match name.split_once('/') {
        Some(("lake", rest)) => put(&places.lake_side, rest, bytes),
        Some((TREE_FOLDER | LOG | "keys" | STATE, _)) => put(side, name, bytes),
        _ if name == "configuration.json" => Ok(()),
        _ => bail!("{name} is of a part that this program does not know"),
    })?;
    manifest.agree()?;
    let kind = Kind::of(places.store.shared());
    if manifest.database != kind {
        bail!(
            "the backup is of an installation with {}, and `store.url` names {}\nhint: restore it to {0}, \
             then move it: sealwright store migrate",
            manifest.database.name(),
            kind.name()
        );
    }
    have_keys(config, &manifest, side, secret_keys)?;
    let store = Store::open(&places.store).await?;
    let done = async {
        let (manifest, ledger, import) = with_state(config, places, &store, manifest).await?;
        // A program that starts on PostgreSQL before the folder is there is refused.
        if places.store.shared() {
            places.publish()?;
            import.finish().await?;
        } else {
            import.finish().await?;
            store.close().await;
            places.publish()?;
        }
        Ok::<_, anyhow::Error>((manifest, ledger))
    };
    let done = done.await;
    store.close().await;
    let (manifest, ledger) = done?;
    let database = match &places.store {
        StoreUrl::Sqlite(_) => "SQLite".to_owned(),
        server => format!("{server:?}"),
    };
    Ok(Restored {
        folder: places.data.clone(),
        database,
        manifest,
        ledger,
    })
}

/// The keys that the sealed secrets need: of the backup, the settings, or the given file.
fn have_keys(
    config: &Config,
    manifest: &Manifest,
    side: &Path,
    given: Option<&Path>,
) -> Result<()> {
    let place = side.join(SECRET_KEYS);
    if let Some(given) = given {
        let mut file = fs::File::open(given).with_context(|| given.display().to_string())?;
        if place.exists() {
            fs::remove_file(&place).with_context(|| place.display().to_string())?;
        }
        put(side, SECRET_KEYS, &mut file)?;
    }
    let ring = if !config.secrets.keys.is_empty() {
        Some(KeyRing::parse(
            config.secrets.keys.expose(),
            "secrets.keys",
        )?)
    } else if place.exists() {
        Some(KeyRing::file(&place)?)
    } else {
        None
    };
    let holds = |id: &String| ring.as_ref().is_some_and(|ring| ring.holds(id));
    if let Some(missing) = manifest.secrets.keys.iter().find(|id| !holds(id)) {
        bail!(
            "secrets in the database were sealed with the key {missing}, which is not in the backup\nhint: \
             give the file that was `keys/secret.keys` with --secret-keys, or set `secrets.keys`"
        );
    }
    Ok(())
}

type Made = (Manifest, Continued, sealwright_store::portable::Import);

async fn with_state(
    config: &Config,
    places: &Places,
    store: &Store,
    manifest: Manifest,
) -> Result<Made> {
    let side = &places.side;
    let state = side.join(STATE);
    let import = fill(store, &manifest, &state).await?;
    let mut there = import.snapshot(COMPONENTS).await?;
    same_tables(&mut there, &manifest).await?;
    drop(there);
    fs::remove_dir_all(&state).with_context(|| state.display().to_string())?;
    let report = ledger(&side.join(TREE_FOLDER), &manifest, store).await?;
    same_log(places, &manifest, store).await?;
    same_lake(places, &manifest).await?;
    // The ledger's own check of key, tree and database; then it says itself that history forks here.
    let clock: Arc<dyn Clock> = Arc::new(SystemClock);
    let origin = Some(config.ledger.origin.as_str());
    let ledger = Ledger::open(side, origin, store.clone(), clock).await?;
    ledger.sequence().await?;
    let before = ledger.size();
    let mut tx = store.begin().await?;
    let details = json!({
        "backup_of": manifest.ended_at, "tree_size": manifest.ledger.tree_size,
        "root": manifest.ledger.root, "entries": manifest.ledger.entries,
        "log_next": manifest.log.next,
    });
    let actor = Principal::local().actor();
    let origin = manifest.ledger.origin.clone();
    let draft = EntryDraft::new(actor, "installation.restore", origin).details(details);
    ledger.record(&mut tx, &draft).await?;
    tx.commit().await?;
    ledger.sequence().await?;
    let ledger = Continued {
        entries: report.entries,
        kept: manifest.ledger.entries,
        restored_at: before,
    };
    Ok((manifest, ledger, import))
}

/// Reads the log once, which also makes its index of identities.
async fn same_log(places: &Places, manifest: &Manifest, store: &Store) -> Result<()> {
    let head = if manifest.database == Kind::Postgres {
        StoreLog::open(store.clone()).await?.head().await?
    } else {
        let folder = places.side.join(LOG);
        if !folder.is_dir() {
            return Ok(());
        }
        let log =
            tokio::task::spawn_blocking(move || FileLog::open(&folder, FileLogOptions::default()))
                .await??;
        log.flush().await?;
        log.head().await?
    };
    ensure!(
        head == manifest.log.next,
        "the log ends at offset {head} instead of {}",
        manifest.log.next
    );
    Ok(())
}

async fn same_lake(places: &Places, manifest: &Manifest) -> Result<()> {
    let Some(told) = &manifest.lake else {
        return Ok(());
    };
    let lake = Lake::open_read_only(&places.lake_side).await?;
    let status = lake.status();
    ensure!(
        (
            status.version,
            status.next_offset,
            status.rows,
            status.files
        ) == (told.version, told.next_offset, told.rows, told.files),
        "the lake's log leads to another state than the backup names"
    );
    Ok(())
}
