//! Imports of usage files: checked as a whole first, then appended in batches, and resumable.

mod event;
mod input;
mod mapping;
mod rows;
mod template;
mod time;

use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};

use sealwright_cloudevents::Event;
use sealwright_core::clock::MINUTE;
use sealwright_core::{Clock, Digest, TenantId, UnixMicros};
use sealwright_events::{Admit, EventSink, Incoming, SinkError};
use sealwright_store::{Store, StoreError};
use serde::Serialize;
use tokio::sync::mpsc;

use crate::store::import as table;
use event::{Maker, Outcome};
pub use input::{MAX_FILE_BYTES, MAX_ROW_BYTES};
pub use mapping::{FileFormat, MAX_MAPPING_BYTES, Mapping};
use rows::{Fault, Place, Rows};

/// Events of one batch.
pub const BATCH: usize = 1_000;

/// Bad rows that are kept for the report; the others are counted.
pub const MAX_LISTED: usize = 100;

/// How far an event's time may be ahead of the clock, as at the intake.
const AHEAD: i64 = 5 * MINUTE;

/// The rows of a Parquet file, each an object of columns.
pub type ParquetRows =
    Box<dyn Iterator<Item = Result<serde_json::Map<String, serde_json::Value>, String>> + Send>;

/// Opens a Parquet file; the lake offers this.
pub type ParquetOpener = Arc<dyn Fn(&Path) -> Result<ParquetRows, String> + Send + Sync>;

/// A row that was not imported.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct BadRow {
    /// Its number, from 1, the header not counted.
    pub row: u64,
    /// The line of the unpacked file, from 1; in Parquet files the row.
    pub line: u64,
    /// The column of the line, from 1.
    pub column: u64,
    /// What is wrong.
    pub reason: String,
}

/// The bad rows of a file: how many, and the first of them.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize)]
pub struct BadRows {
    /// How many.
    pub count: u64,
    /// At most [`MAX_LISTED`].
    pub first: Vec<BadRow>,
}

impl BadRows {
    fn push(&mut self, row: u64, fault: Fault) {
        self.count += 1;
        if self.first.len() < MAX_LISTED {
            self.first.push(BadRow {
                row,
                line: fault.place.line,
                column: fault.place.column,
                reason: fault.reason,
            });
        }
    }
}

/// Why an import was not done.
#[derive(Debug, thiserror::Error)]
pub enum ImportError {
    /// The mapping is not valid.
    #[error("{place}: {detail}")]
    Mapping {
        /// `file:line:column`, as far as it is known.
        place: String,
        /// What is wrong.
        detail: String,
    },
    /// The file cannot be read, or cannot be read further.
    #[error("{place}: {detail}")]
    File {
        /// `file:line:column`, as far as it is known.
        place: String,
        /// What is wrong.
        detail: String,
    },
    /// Rows are not valid. Nothing was stored.
    #[error(
        "{}",
        bad_rows(
            file,
            rows,
            "nothing was imported; correct the rows, or leave them out with --skip-bad"
        )
    )]
    BadRows {
        /// The file's name.
        file: String,
        /// The rows.
        rows: BadRows,
    },
    /// The log has other events under the ids of these rows. The batches before were stored.
    #[error("{}", bad_rows(file, rows, &format!(
        "{stored} rows before them were imported; leave the rows out with --skip-bad, or give them other ids"
    )))]
    Refused {
        /// The file's name.
        file: String,
        /// The rows.
        rows: BadRows,
        /// Rows that had been taken in.
        stored: u64,
    },
    /// The log could not be written. The same command goes on where this one ended.
    #[error("{detail}; {stored} rows were imported, the same command goes on from there")]
    Sink {
        /// What went wrong.
        detail: String,
        /// Rows that had been taken in.
        stored: u64,
    },
    /// From the state.
    #[error(transparent)]
    Store(#[from] StoreError),
    /// The file changed between the check and the import.
    #[error(
        "{0}: the file changed while it was imported; run the command again when it is complete"
    )]
    Changed(String),
}

fn bad_rows(file: &str, rows: &BadRows, hint: &str) -> String {
    let mut text = format!(
        "{} {} of {file} cannot be imported",
        rows.count,
        if rows.count == 1 { "row" } else { "rows" }
    );
    for row in rows.first.iter().take(20) {
        text.push_str(&format!(
            "\n{file}:{}:{}: {}",
            row.line, row.column, row.reason
        ));
    }
    let more = rows.count.saturating_sub(20.min(rows.first.len() as u64));
    if more > 0 {
        text.push_str(&format!("\nand {more} more"));
    }
    text.push_str(&format!("\nhint: {hint}"));
    text
}

/// What to import.
#[derive(Debug, Clone)]
pub struct ImportRequest {
    /// The file.
    pub file: PathBuf,
    /// Whose usage it is.
    pub tenant: TenantId,
    /// How its rows become events.
    pub mapping: Mapping,
    /// Leave bad rows out and list them, instead of refusing the file.
    pub skip_bad: bool,
}

/// What an import did.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct ImportReport {
    /// The import: the same file, mapping and tenant have the same.
    pub id: String,
    /// SHA-256 of the unpacked file.
    pub digest: Digest,
    /// Rows of the file.
    pub rows: u64,
    /// Events that were new, runs that were broken off included.
    pub accepted: u64,
    /// Events that were there already.
    pub duplicates: u64,
    /// Rows that the mapping leaves out.
    pub skipped: u64,
    /// Rows that were left out because they are bad.
    pub bad: BadRows,
    /// Rows that an earlier run had taken in.
    pub resumed_at: u64,
    /// All of it had been imported before; nothing was done.
    pub unchanged: bool,
}

/// How far an import is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Progress {
    /// The rows are being appended; before that they are checked.
    pub importing: bool,
    /// Rows so far.
    pub rows: u64,
    /// Rows in all, once they are checked.
    pub rows_total: Option<u64>,
    /// Bytes of the file so far.
    pub bytes: u64,
    /// Bytes of the file.
    pub bytes_total: u64,
}

/// Is told how far an import is, after each batch.
pub type Watch = Arc<dyn Fn(Progress) + Send + Sync>;

/// Imports files.
#[derive(Clone)]
pub struct Importer {
    store: Store,
    clock: Arc<dyn Clock>,
    sink: Arc<dyn EventSink>,
    checks: Arc<[Arc<dyn Admit>]>,
    parquet: Option<ParquetOpener>,
}

impl std::fmt::Debug for Importer {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Importer").finish_non_exhaustive()
    }
}

/// The first pass over a file.
struct Checked {
    digest: Digest,
    rows: u64,
    skipped: u64,
    bad: BadRows,
}

/// What the reading thread hands over.
struct Batch {
    /// Rows of the file up to here, whatever became of them.
    rows: u64,
    bytes: u64,
    events: Vec<(u64, Place, Event)>,
}

impl Importer {
    /// An importer into `sink`. `checks` are asked for each event in the first pass; they are those of the intake.
    pub fn new(
        store: Store,
        clock: Arc<dyn Clock>,
        sink: Arc<dyn EventSink>,
        checks: Vec<Arc<dyn Admit>>,
        parquet: Option<ParquetOpener>,
    ) -> Self {
        Self {
            store,
            clock,
            sink,
            checks: checks.into(),
            parquet,
        }
    }

    /// Imports a file: reads all of it to check it, then appends it in batches of [`BATCH`]. Memory does not
    /// grow with the file. The same file, mapping and tenant again changes nothing, or goes on where
    /// an earlier run was broken off.
    ///
    /// # Errors
    /// See [`ImportError`]; with [`ImportError::BadRows`] nothing was stored.
    pub async fn run(
        &self,
        request: &ImportRequest,
        watch: Option<Watch>,
    ) -> Result<ImportReport, ImportError> {
        let file = request.file.file_name().map_or_else(
            || request.file.display().to_string(),
            |n| n.to_string_lossy().into_owned(),
        );
        let checked = {
            let (this, request, file, watch) =
                (self.clone(), request.clone(), file.clone(), watch.clone());
            blocking(move || this.check(&request, &file, watch.as_ref())).await?
        };
        if checked.bad.count > 0 && !request.skip_bad {
            return Err(ImportError::BadRows {
                file,
                rows: checked.bad,
            });
        }
        let mut import = table::open(
            &self.store,
            (&file, checked.digest),
            request.mapping.digest(),
            request.tenant,
            self.clock.now(),
        )
        .await?;
        let mut report = ImportReport {
            id: import.id.clone(),
            digest: checked.digest,
            rows: checked.rows,
            accepted: import.accepted,
            duplicates: import.duplicates,
            skipped: checked.skipped,
            bad: checked.bad,
            resumed_at: import.rows_done,
            unchanged: import.state == "done",
        };
        if report.unchanged {
            return Ok(report);
        }
        let (send, mut batches) = mpsc::channel(2);
        let stop = Arc::new(AtomicBool::new(false));
        let reader = {
            let (this, request, file) = (self.clone(), request.clone(), file.clone());
            let (stop, from, digest) = (Arc::clone(&stop), import.rows_done, checked.digest);
            tokio::task::spawn_blocking(move || {
                this.read(&request, &file, digest, from, &stop, &send)
            })
        };
        let mut outcome = Ok(());
        while let Some(batch) = batches.recv().await {
            let bytes = batch.bytes;
            outcome = self
                .append(request, &file, &mut import, &mut report.bad, batch)
                .await;
            if outcome.is_err() {
                break;
            }
            if let Some(watch) = &watch {
                watch(Progress {
                    importing: true,
                    rows: import.rows_done,
                    rows_total: Some(checked.rows),
                    bytes,
                    bytes_total: bytes,
                });
            }
        }
        stop.store(true, Ordering::Relaxed);
        drop(batches);
        let read = joined(reader.await);
        outcome?;
        read?;
        import.state = "done".to_owned();
        let mut tx = self.store.begin().await?;
        table::advance(&mut tx, &import, Some(self.clock.now())).await?;
        tx.commit().await?;
        report.accepted = import.accepted;
        report.duplicates = import.duplicates;
        Ok(report)
    }

    fn rows(
        &self,
        request: &ImportRequest,
        file: &str,
    ) -> Result<(Rows, input::Hasher, u64, Arc<AtomicU64>), ImportError> {
        let opened = input::open(&request.file).map_err(|error| ImportError::File {
            place: request.file.display().to_string(),
            detail: error.to_string(),
        })?;
        let (hasher, size, read) = (opened.hasher.clone(), opened.size, Arc::clone(&opened.read));
        let format = request.mapping.format();
        let rows = Rows::new(&request.file, file, opened, format, self.parquet.as_ref())?;
        Ok((rows, hasher, size, read))
    }

    /// The first pass: every row, nothing stored.
    fn check(
        &self,
        request: &ImportRequest,
        file: &str,
        watch: Option<&Watch>,
    ) -> Result<Checked, ImportError> {
        let (mut rows, hasher, size, read) = self.rows(request, file)?;
        let digest_text = "0".repeat(16);
        let mut maker = Maker::new(&request.mapping, &rows, file, &digest_text)?;
        let now = self.clock.now();
        let (mut number, mut skipped, mut bad) = (0, 0, BadRows::default());
        while let Some(row) = rows.next()? {
            number += 1;
            match row.map_or_else(Outcome::Bad, |row| maker.make(number, row)) {
                Outcome::Skipped => skipped += 1,
                Outcome::Bad(fault) => bad.push(number, fault),
                Outcome::Event(place, event) => {
                    if let Err(reason) = self.admit(request.tenant, &event, now) {
                        bad.push(number, Fault { place, reason });
                    }
                }
            }
            if number % 1_000 == 0
                && let Some(watch) = watch
            {
                watch(Progress {
                    importing: false,
                    rows: number,
                    rows_total: None,
                    bytes: read.load(Ordering::Relaxed),
                    bytes_total: size,
                });
            }
        }
        let digest = if request.mapping.format() == FileFormat::Parquet {
            // Its reader jumps about in the file.
            let mut whole = input::open(&request.file).map_err(|error| unreadable(file, &error))?;
            whole
                .input
                .drain()
                .map_err(|error| unreadable(file, &error))?;
            whole.hasher.digest()
        } else {
            rows.drain()?;
            hasher.digest()
        };
        Ok(Checked {
            digest,
            rows: number,
            skipped,
            bad,
        })
    }

    fn admit(&self, tenant: TenantId, event: &Event, now: UnixMicros) -> Result<(), String> {
        let Some(time) = event.time_micros().map(UnixMicros) else {
            return Err("/time: the event has no time; an import needs it".to_owned());
        };
        if time.since(now) > AHEAD {
            return Err(format!("/time: {time} is in the future"));
        }
        let incoming = Incoming {
            tenant,
            event_type: event.event_type(),
            time,
            json: event.json().as_bytes(),
        };
        for check in self.checks.iter() {
            check.admit(&incoming).map_err(|error| error.to_string())?;
        }
        Ok(())
    }

    /// The second pass: hands over batches of the rows after `from`.
    fn read(
        &self,
        request: &ImportRequest,
        file: &str,
        digest: Digest,
        from: u64,
        stop: &AtomicBool,
        send: &mpsc::Sender<Batch>,
    ) -> Result<(), ImportError> {
        let (mut rows, hasher, _, read) = self.rows(request, file)?;
        let digest_text: String = digest.to_string().chars().take(16).collect();
        let mut maker = Maker::new(&request.mapping, &rows, file, &digest_text)?;
        let now = self.clock.now();
        let mut events = Vec::with_capacity(BATCH);
        let mut number = 0;
        let mut handed = from;
        while let Some(row) = rows.next()? {
            number += 1;
            // Rows that were taken in are still read: what later rows are may depend on them.
            let outcome = row.map_or_else(Outcome::Bad, |row| maker.make(number, row));
            if number <= from {
                continue;
            }
            if let Outcome::Event(place, event) = outcome
                && self.admit(request.tenant, &event, now).is_ok()
            {
                events.push((number, place, *event));
            }
            if events.len() == BATCH || number - handed >= 50 * BATCH as u64 {
                handed = number;
                let batch = Batch {
                    rows: number,
                    bytes: read.load(Ordering::Relaxed),
                    events: std::mem::replace(&mut events, Vec::with_capacity(BATCH)),
                };
                if stop.load(Ordering::Relaxed) || send.blocking_send(batch).is_err() {
                    return Ok(());
                }
            }
        }
        if request.mapping.format() != FileFormat::Parquet {
            rows.drain()?;
            if hasher.digest() != digest {
                return Err(ImportError::Changed(file.to_owned()));
            }
        }
        // The importer has gone when this fails, and says why itself.
        let _ = send.blocking_send(Batch {
            rows: number,
            bytes: read.load(Ordering::Relaxed),
            events,
        });
        Ok(())
    }

    /// Appends a batch and moves the import forward.
    async fn append(
        &self,
        request: &ImportRequest,
        file: &str,
        import: &mut table::Import,
        bad: &mut BadRows,
        batch: Batch,
    ) -> Result<(), ImportError> {
        let (places, mut events): (Vec<_>, Vec<_>) = batch
            .events
            .into_iter()
            .map(|(row, place, event)| ((row, place), event))
            .unzip();
        let mut places = places;
        while !events.is_empty() {
            match self.sink.append(request.tenant, &events).await {
                Ok(appended) => {
                    import.accepted += appended.accepted;
                    import.duplicates += appended.duplicates;
                    break;
                }
                Err(SinkError::Failed(detail)) => {
                    return Err(ImportError::Sink {
                        detail,
                        stored: import.rows_done,
                    });
                }
                Err(SinkError::Refused(mut refused)) => {
                    refused.sort_by_key(|(index, _)| *index);
                    let mut found = BadRows::default();
                    for (index, reason) in &refused {
                        if let Some((row, place)) = places.get(*index) {
                            let fault = Fault {
                                place: *place,
                                reason: reason.clone(),
                            };
                            found.push(*row, fault);
                        }
                    }
                    if !request.skip_bad || found.count == 0 {
                        return Err(ImportError::Refused {
                            file: file.to_owned(),
                            rows: found,
                            stored: import.rows_done,
                        });
                    }
                    for (index, _) in refused.iter().rev() {
                        if *index < events.len() {
                            events.remove(*index);
                            places.remove(*index);
                        }
                    }
                    bad.count += found.count;
                    let room = MAX_LISTED.saturating_sub(bad.first.len());
                    bad.first.extend(found.first.into_iter().take(room));
                }
            }
        }
        import.rows_done = batch.rows;
        let mut tx = self.store.begin().await?;
        table::advance(&mut tx, import, None).await?;
        tx.commit().await?;
        Ok(())
    }
}

fn unreadable(file: &str, error: &std::io::Error) -> ImportError {
    ImportError::File {
        place: file.to_owned(),
        detail: error.to_string(),
    }
}

async fn blocking<T: Send + 'static>(
    work: impl FnOnce() -> Result<T, ImportError> + Send + 'static,
) -> Result<T, ImportError> {
    joined(tokio::task::spawn_blocking(work).await)
}

fn joined<T>(
    result: Result<Result<T, ImportError>, tokio::task::JoinError>,
) -> Result<T, ImportError> {
    result.unwrap_or_else(|error| match error.try_into_panic() {
        Ok(panic) => std::panic::resume_unwind(panic),
        Err(error) => Err(ImportError::Sink {
            detail: error.to_string(),
            stored: 0,
        }),
    })
}
