//! Recording, sequencing, waiting, proving.

use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex};
use std::time::Duration;

use sealwright_core::{Clock, TenantScope};
use sealwright_merkle::VerifierKey;
use sealwright_store::{Component, Store, Tx};
use serde::Serialize;
use tokio::sync::{Notify, watch};
use tokio_util::sync::CancellationToken;

use crate::entry::{EntryDraft, EntryId, seal};
use crate::error::{LedgerError, Result};
use crate::keys::{self, KEY_FILE};
use crate::proof::EntryProof;
use crate::store::{self, EntryFilter, EntryRow, Erase};
use crate::tree::{TileLog, TreeReader};

/// The ledger's tables.
pub const COMPONENT: Component =
    sealwright_store::migrations!("ledger", 1 => "0001_init", 2 => "0002_row_level_security");

/// Where the tree stands in a data folder.
pub const TREE_FOLDER: &str = "ledger";

/// Entries that one round of the sequencer takes; a leaf has at most about 1.5 kB.
const ROUND: usize = 16_384;

/// How often the sequencer looks for entries whose writers did not nudge it (other processes).
const POLL: Duration = Duration::from_millis(250);

/// Where an entry is in the tree.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
pub struct Sequenced {
    /// The entry's index, from 0.
    pub index: u64,
    /// The size of a signed checkpoint that covers it.
    pub tree_size: u64,
}

/// The ledger of an installation. Share it as `Arc<Ledger>`; one task runs [`Ledger::run`].
///
/// Entries are written by [`Ledger::record`] in the transaction of the change they record. The
/// sequencer then gives them indices (in a transaction that holds a lock, so that several
/// processes never give one index twice) and appends them to the tree on disk. The database is
/// what decides the order and the tree follows it: a crash between any two steps is made up at
/// the next start, and every process of a cluster writes the same tree.
#[derive(Debug)]
pub struct Ledger {
    store: Store,
    clock: Arc<dyn Clock>,
    log: Arc<Mutex<TileLog>>,
    reader: TreeReader,
    size: watch::Sender<u64>,
    wake: Notify,
    folder: PathBuf,
}

impl Ledger {
    /// Opens the ledger in the data folder `data`, making key and tree at the first start. `store`
    /// must have the tables of [`COMPONENT`]. `origin` names a new ledger, see
    /// [`keys::load_or_create`].
    ///
    /// # Errors
    /// When key, tree and database do not belong together, or cannot be read.
    pub async fn open(
        data: &Path,
        origin: Option<&str>,
        store: Store,
        clock: Arc<dyn Clock>,
    ) -> Result<Self> {
        let (key_file, folder) = (data.join(KEY_FILE), data.join(TREE_FOLDER));
        let origin = origin.map(str::to_owned);
        let log = {
            let (key_file, folder) = (key_file.clone(), folder.clone());
            blocking(move || {
                let key = keys::load_or_create(&key_file, origin.as_deref())?;
                TileLog::open(&folder, key)
            })
            .await?
        };
        let key = log.reader().key().to_string();
        let claimed = store::claim_key(&store, &key, clock.now()).await?;
        if claimed != key {
            return Err(LedgerError::Key {
                path: key_file,
                problem: format!(
                    "this key's verifier is `{key}`, and the database belongs to `{claimed}`; copy \
                     the key file of the installation that made the database here"
                ),
            });
        }
        let reader = log.reader().clone();
        let (size, _) = watch::channel(log.size());
        let ledger = Self {
            store,
            clock,
            log: Arc::new(Mutex::new(log)),
            reader,
            size,
            wake: Notify::new(),
            folder,
        };
        ledger.check_against_database().await?;
        Ok(ledger)
    }

    /// A tree that is ahead of its database, or differs from it, must not be continued: the next
    /// entries would contradict a checkpoint that somebody may have seen.
    async fn check_against_database(&self) -> Result<()> {
        let tree = self.size();
        let assigned = store::assigned(&self.store).await?;
        if assigned < tree {
            return Err(LedgerError::Disagree(format!(
                "the tree has {tree} entries and the database knows {assigned}; it seems that an older \
                 backup of the database was restored: restore one that is at least as new as {}",
                self.folder.display()
            )));
        }
        let first = tree.saturating_sub(256);
        let most = usize::try_from(tree - first).unwrap_or(256);
        if most == 0 {
            return Ok(());
        }
        let rows = store::leaves(&self.store, first, most).await?;
        let mut leaves = rows.iter();
        let mut differs = None;
        self.reader.scan(first, tree, |index, entry| {
            let same = leaves.next().is_some_and(|leaf| leaf == entry);
            if !same {
                differs = Some(index);
            }
            same
        })?;
        match differs {
            None => Ok(()),
            Some(index) => Err(LedgerError::Disagree(format!(
                "entry {index} is another in the tree than in the database; run `ledger verify`"
            ))),
        }
    }

    /// The key that checkpoints are signed with; its text is what verifiers are given.
    #[must_use]
    pub const fn verifier_key(&self) -> &VerifierKey {
        self.reader.key()
    }

    /// Reading access to the tree on disk.
    #[must_use]
    pub const fn tree(&self) -> &TreeReader {
        &self.reader
    }

    /// The number of entries in the published tree.
    #[must_use]
    pub fn size(&self) -> u64 {
        *self.size.borrow()
    }

    /// Changes whenever a checkpoint was published by this process.
    #[must_use]
    pub fn watch(&self) -> watch::Receiver<u64> {
        self.size.subscribe()
    }

    /// Writes an entry into the caller's transaction: it exists if and only if the change does.
    /// Call [`Ledger::nudge`] after the commit to have it sequenced at once rather than within a
    /// quarter of a second.
    ///
    /// # Errors
    /// When the draft is beyond the limits of [`EntryDraft`] or the database refuses.
    pub async fn record(&self, tx: &mut Tx, draft: &EntryDraft) -> Result<EntryId> {
        let now = self.clock.now();
        let id = EntryId::new(now);
        let mut salt = [0; 32];
        getrandom::fill(&mut salt).map_err(|e| LedgerError::Task(e.to_string()))?;
        let (leaf, opening) = seal(draft, id, now, salt)?;
        store::insert(tx, &leaf, &opening, now).await?;
        metrics::counter!("sealwright_ledger_entries_total").increment(1);
        Ok(id)
    }

    /// Tells the sequencer that there is work.
    pub fn nudge(&self) {
        self.wake.notify_one();
    }

    /// Gives indices to waiting entries and brings the tree up to the database; says how many
    /// entries the tree gained. [`Ledger::run`] calls it; tests and one-shot commands may too.
    ///
    /// # Errors
    /// From the database or the disk. Calling again continues where it stopped.
    pub async fn sequence(&self) -> Result<u64> {
        let before = self.size();
        loop {
            let assigned = store::assign(&self.store, ROUND).await?;
            let appended = self.follow().await?;
            if assigned == 0 && appended == 0 {
                return Ok(self.size() - before);
            }
        }
    }

    /// Appends to the tree what the database has beyond it.
    async fn follow(&self) -> Result<u64> {
        let from = self.size();
        let leaves = store::leaves(&self.store, from, ROUND).await?;
        if leaves.is_empty() {
            return Ok(0);
        }
        let log = Arc::clone(&self.log);
        let (started, appended) = blocking(move || {
            let mut log = log
                .lock()
                .map_err(|_| LedgerError::Stopped("an append panicked".to_owned()))?;
            // Another call may have appended since the leaves were read.
            let skip = usize::try_from(log.size().saturating_sub(from)).unwrap_or(usize::MAX);
            let started = std::time::Instant::now();
            let new = leaves.get(skip..).unwrap_or_default();
            let indices = log.append(new)?;
            Ok((started, indices))
        })
        .await?;
        metrics::histogram!("sealwright_ledger_append_seconds")
            .record(started.elapsed().as_secs_f64());
        metrics::gauge!("sealwright_ledger_size").set(appended.end as f64);
        self.size.send_if_modified(|size| {
            let grown = *size < appended.end;
            *size = (*size).max(appended.end);
            grown
        });
        Ok(appended.end - appended.start)
    }

    /// Sequences until `stop` is cancelled. Errors are logged and tried again with growing
    /// pauses; a tree that stopped itself stays so until the next start.
    pub async fn run(&self, stop: CancellationToken) {
        const LONGEST_PAUSE: Duration = Duration::from_secs(30);
        let mut pause = POLL;
        while !stop.is_cancelled() {
            let wait = match self.sequence().await {
                Ok(_) => {
                    pause = POLL;
                    POLL
                }
                Err(error) => {
                    metrics::counter!("sealwright_ledger_errors_total").increment(1);
                    tracing::error!(%error, "the ledger will try again");
                    pause = (pause * 2).min(LONGEST_PAUSE);
                    pause
                }
            };
            tokio::select! {
                () = stop.cancelled() => break,
                () = self.wake.notified() => {}
                () = tokio::time::sleep(wait) => {}
            }
        }
    }

    /// Waits until the entry is in a signed checkpoint on disk. Waits for ever when no sequencer
    /// runs; give it a time limit where that matters. The entry's transaction must be committed.
    ///
    /// # Errors
    /// [`LedgerError::NotFound`] when there is no such entry.
    pub async fn wait_sequenced(&self, id: EntryId) -> Result<Sequenced> {
        let mut size = self.watch();
        self.nudge();
        loop {
            let tree_size = *size.borrow_and_update();
            let row = store::by_id(&self.store, TenantScope::All, id)
                .await?
                .ok_or_else(|| LedgerError::NotFound(id.to_string()))?;
            if let Some(index) = row.index.filter(|index| *index < tree_size) {
                return Ok(Sequenced { index, tree_size });
            }
            tokio::select! {
                _ = size.changed() => {}
                () = tokio::time::sleep(POLL) => {}
            }
        }
    }

    /// One entry.
    ///
    /// # Errors
    /// [`LedgerError::NotFound`] also for an entry outside of the scope.
    pub async fn entry(&self, scope: TenantScope, id: EntryId) -> Result<EntryRow> {
        store::by_id(&self.store, scope, id)
            .await?
            .ok_or_else(|| LedgerError::NotFound(id.to_string()))
    }

    /// Entries, the newest first, at most `most`.
    ///
    /// # Errors
    /// From the database.
    pub async fn entries(
        &self,
        scope: TenantScope,
        filter: &EntryFilter,
        most: usize,
    ) -> Result<Vec<EntryRow>> {
        store::list(&self.store, scope, filter, most).await
    }

    /// The proof of an entry, with what opens its commitment where that was not erased.
    ///
    /// # Errors
    /// [`LedgerError::NotFound`], [`LedgerError::Pending`], or a damaged tree.
    pub async fn prove(&self, scope: TenantScope, id: EntryId) -> Result<EntryProof> {
        let row = self.entry(scope, id).await?;
        let pending = || LedgerError::Pending(id.to_string());
        let index = row
            .index
            .filter(|index| *index < self.size())
            .ok_or_else(pending)?;
        let reader = self.reader.clone();
        let (entry, proof) = blocking(move || reader.prove(index)).await?;
        if entry.bytes != row.leaf {
            return Err(LedgerError::Disagree(format!(
                "entry {index} is another in the tree than in the database; run `ledger verify`"
            )));
        }
        EntryProof::new(&entry, &proof, self.verifier_key(), row.opening)
    }

    /// Erases private parts (tenant stays for scoping; actor, details and salt go), in the caller's
    /// transaction, and says how many. Leaves and proofs stand.
    ///
    /// # Errors
    /// From the database.
    pub async fn erase(&self, tx: &mut Tx, scope: TenantScope, what: &Erase) -> Result<u64> {
        store::erase(tx, scope, what, self.clock.now()).await
    }
}

/// Runs file work on the blocking pool.
async fn blocking<T: Send + 'static>(
    work: impl FnOnce() -> Result<T> + Send + 'static,
) -> Result<T> {
    tokio::task::spawn_blocking(work)
        .await
        .map_err(|e| LedgerError::Task(e.to_string()))?
}
