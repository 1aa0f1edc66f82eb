//! Making indexes.

use std::collections::BTreeMap;
use std::fs;
use std::path::Path;
use std::time::{Duration, Instant};

use sealwright_core::UnixMicros;
use sealwright_events::{EventTerms, StoredEvent};
use sealwright_terms::Builder;
use serde::Serialize;
use utoipa::ToSchema;

use super::field;
use super::file::{Writer, path_of, table};
use crate::error::Result;
use crate::files::DataFile;
use crate::maintain::CompactPolicy;
use crate::rewrite::{blocking, read_batches};
use crate::rows::stored_events;
use crate::schema::day_of;
use crate::table::Lake;
use crate::table_files::TableFiles;

/// Rows that may be without an index: to look at so many costs a fraction of a second. Small files of the present day will be joined
/// soon, and an index of each would be made for nothing.
const LEFT: u64 = 20_000;

/// What a round of indexing did.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, ToSchema)]
pub struct IndexReport {
    /// Data files that have an index now.
    pub files: u64,
    /// Their rows.
    pub rows: u64,
    /// Bytes of the indexes.
    pub bytes: u64,
    /// Rows of all data files that have none.
    pub left: u64,
}

impl Lake {
    /// Makes indexes of data files that have none, or one of another version of the terms: first of those that
    /// will stay as they are, then of the largest, until few rows are left or `time` is over.
    ///
    /// Cost: reads the files once. The lake's maintenance waits for one file at most.
    ///
    /// # Errors
    /// [`crate::LakeError::Damaged`] names the data file that cannot be read; indexes made before stay.
    pub async fn index(&self, now: UnixMicros, time: Duration) -> Result<IndexReport> {
        let mut report = IndexReport::default();
        let Some(terms) = self.terms().cloned() else {
            return Ok(report);
        };
        let version = terms.version();
        let policy = CompactPolicy::default();
        let today = day_of(now);
        let snapshot = self.snapshot();
        let mut small: BTreeMap<(&str, i32), u32> = BTreeMap::new();
        for file in &snapshot.files {
            if file.bytes < policy.small_bytes {
                *small.entry((&file.stream, file.day)).or_default() += 1;
            }
        }
        let mut wanted: Vec<(bool, &DataFile)> = Vec::new();
        for file in &snapshot.files {
            let path = path_of(&self.terms_folder(), &file.path);
            let there = table(&path);
            if matches!(&there, Ok(Some(made)) if made.version == version && made.rows == file.rows)
            {
                continue;
            }
            if let Err(error) = there {
                tracing::warn!(file = %path.display(), %error, "an index is damaged and made anew");
            }
            let alone = small.get(&(&file.stream, file.day)).copied() == Some(1);
            let stays = file.bytes >= policy.small_bytes || (file.day < today && alone);
            wanted.push((stays, file));
        }
        report.left = wanted.iter().map(|(_, file)| file.rows).sum();
        wanted.sort_by_key(|(stays, file)| std::cmp::Reverse((*stays, file.rows)));
        let start = Instant::now();
        for (stays, file) in wanted {
            if start.elapsed() >= time || (!stays && report.left <= LEFT) {
                break;
            }
            // One owner: an erasure must not end before the index of a file that it replaces is gone.
            let _owner = self.own_maintenance().await?;
            if !self.snapshot().files.iter().any(|f| f.path == file.path) {
                report.left -= file.rows;
                continue;
            }
            let (lake, file) = (self.clone(), file.clone());
            let (rows, terms) = (file.rows, std::sync::Arc::clone(&terms));
            report.bytes += blocking(move || {
                make(
                    lake.files(),
                    &file,
                    &path_of(&lake.terms_folder(), &file.path),
                    terms.as_ref(),
                )
            })
            .await?;
            report.files += 1;
            report.rows += rows;
            report.left -= rows;
        }
        metrics::gauge!("sealwright_lake_unindexed_rows").set(report.left as f64);
        Ok(report)
    }
}

/// Makes the index of a data file; its bytes.
fn make(
    lake_table: &TableFiles,
    file: &DataFile,
    path: &Path,
    terms: &dyn EventTerms,
) -> Result<u64> {
    let mut writer = Writer::create(path, &terms.version())?;
    let mut segment = Collected::default();
    let read = read_batches(lake_table, file, None, |batch| {
        for event in stored_events(&batch)? {
            if !segment.row(&event) {
                std::mem::take(&mut segment).write(&mut writer, terms)?;
                segment.row(&event);
            }
            segment.add(&event, terms);
        }
        Ok(())
    });
    let written = read
        .and_then(|()| segment.write(&mut writer, terms))
        .and_then(|()| writer.finish());
    if written.is_err() {
        // What cannot be removed now is overwritten by the next round.
        let _ = fs::remove_file(path.with_extension("made"));
    }
    written
}

#[derive(Default)]
struct Collected {
    builder: Builder,
    times: Option<(i64, i64)>,
    offsets: Option<(u64, u64)>,
    tenants: Option<(String, String)>,
}

fn widen<T: Ord + Clone>(range: &mut Option<(T, T)>, value: T) {
    match range {
        None => *range = Some((value.clone(), value)),
        Some((first, _)) if value < *first => *first = value,
        Some((_, last)) if value > *last => *last = value,
        Some(_) => {}
    }
}

impl Collected {
    fn row(&mut self, event: &StoredEvent) -> bool {
        let (time, received) = (event.time.0, event.received_at.0);
        self.builder.row(time, event.offset, received)
    }

    fn add(&mut self, event: &StoredEvent, terms: &dyn EventTerms) {
        let tenant = event.tenant.to_string();
        let to = &mut self.builder;
        to.term(field::TENANT, &tenant);
        to.term(field::TYPE, &event.event_type);
        to.term(field::SOURCE, &event.source);
        to.term(field::ID, &event.id);
        if let Some(subject) = &event.subject {
            to.term(field::SUBJECT, subject);
        }
        to.words(&String::from_utf8_lossy(&event.json).to_lowercase());
        if !terms.add(event, to) {
            to.present(field::UNSURE);
        }
        widen(&mut self.times, event.time.0);
        widen(&mut self.offsets, event.offset);
        widen(&mut self.tenants, tenant);
    }

    fn write(self, writer: &mut Writer, terms: &dyn EventTerms) -> Result<()> {
        let (Some(times), Some(offsets), Some(tenants)) = (self.times, self.offsets, self.tenants)
        else {
            return Ok(());
        };
        let rows = self.builder.rows() as u64;
        let bytes = self.builder.finish(&terms.version());
        writer.segment(&bytes, rows, times, offsets, tenants)
    }
}
