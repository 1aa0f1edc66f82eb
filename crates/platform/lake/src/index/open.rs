//! Which indexes there are for a search, and reading the events that they name.

use std::cmp::Reverse;
use std::collections::BTreeMap;
use std::path::PathBuf;
use std::sync::Arc;

use sealwright_core::on_all_processors;
use sealwright_events::{Search, StoredEvent};

use super::file::{Entry, Table, path_of, table};
use crate::error::Result;
use crate::files::DataFile;
use crate::rewrite::{blocking, read_rows};
use crate::rows::stored_events;
use crate::table::{Lake, Snapshot};
use crate::table_files::TableFiles;

/// Indexes of the data files that may hold something.
pub(super) struct Indexed {
    pub(super) table: TableFiles,
    pub(super) files: Vec<(DataFile, PathBuf, Table)>,
    /// File and segment; the ones with the latest events first.
    pub(super) segments: Vec<(usize, usize)>,
}

/// Where an event is. They are ordered by offset.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(super) struct Place {
    pub(super) offset: u64,
    pub(super) file: usize,
    pub(super) row: usize,
}

impl Lake {
    /// No index, and all data files.
    pub(super) fn unindexed(
        &self,
        snapshot: &Snapshot,
        search: &Search,
    ) -> (Arc<Indexed>, Vec<DataFile>) {
        let indexed = Indexed {
            table: self.files().clone(),
            files: Vec::new(),
            segments: Vec::new(),
        };
        let all = needed(&snapshot.files, search).cloned().collect();
        (Arc::new(indexed), all)
    }

    /// The indexes that there are, and the data files without.
    pub(super) async fn indexed(
        &self,
        snapshot: &Arc<Snapshot>,
        search: &Search,
    ) -> Result<(Arc<Indexed>, Vec<DataFile>)> {
        let (lake_table, folder) = (self.files().clone(), self.terms_folder());
        let version = self.terms().map(|terms| terms.version());
        let (snapshot, search) = (Arc::clone(snapshot), search.clone());
        blocking(move || {
            let mut rest = Vec::new();
            let mut files = Vec::new();
            let mut segments = Vec::new();
            for file in needed(&snapshot.files, &search) {
                let path = path_of(&folder, &file.path);
                let made = table(&path).ok().flatten().filter(|made| {
                    Some(&made.version) == version.as_ref() && made.rows == file.rows
                });
                let Some(made) = made else {
                    rest.push(file.clone());
                    continue;
                };
                for (i, entry) in made.segments.iter().enumerate() {
                    if may_hold(entry, &search) {
                        segments.push((entry.offsets.1, files.len(), i));
                    }
                }
                files.push((file.clone(), path, made));
            }
            segments.sort_unstable_by_key(|(latest, _, _)| Reverse(*latest));
            let segments = segments.into_iter().map(|(_, f, s)| (f, s)).collect();
            let indexed = Indexed {
                table: lake_table,
                files,
                segments,
            };
            Ok((Arc::new(indexed), rest))
        })
        .await
    }
}

/// The events at these places, read on all processors.
pub(super) async fn fetched(
    indexed: &Arc<Indexed>,
    places: Vec<Place>,
) -> Result<Vec<StoredEvent>> {
    if places.is_empty() {
        return Ok(Vec::new());
    }
    let indexed = Arc::clone(indexed);
    let mut by_file: BTreeMap<usize, Vec<usize>> = BTreeMap::new();
    for place in places {
        by_file.entry(place.file).or_default().push(place.row);
    }
    blocking(move || {
        let work: Vec<(usize, Vec<usize>)> = by_file.into_iter().collect();
        let parts = on_all_processors(&work, |(file, rows)| {
            let mut rows = rows.clone();
            rows.sort_unstable();
            let mut events = Vec::with_capacity(rows.len());
            read_rows(&indexed.table, &indexed.files[*file].0, &rows, |batch| {
                events.extend(stored_events(&batch)?);
                Ok(())
            })?;
            Ok(events)
        });
        let parts: Vec<Vec<StoredEvent>> = parts.into_iter().collect::<Result<_>>()?;
        Ok(parts.concat())
    })
    .await
}

/// The data files that the statistics do not rule out.
pub(super) fn needed<'a>(
    files: &'a [DataFile],
    search: &Search,
) -> impl Iterator<Item = &'a DataFile> {
    let (from, to) = (search.from.0, search.to.0);
    let tenant = search.scope.tenant().map(|one| one.to_string());
    files.iter().filter(move |file| {
        let times = file.times.as_ref();
        let tenants = file.tenants.as_ref();
        times.is_none_or(|r| r.min < to && r.max >= from)
            && tenant
                .as_ref()
                .is_none_or(|t| tenants.is_none_or(|r| r.holds(t)))
    })
}

fn may_hold(entry: &Entry, search: &Search) -> bool {
    let tenant = search.scope.tenant().map(|one| one.to_string());
    entry.times.0 < search.to.0
        && entry.times.1 >= search.from.0
        && tenant.is_none_or(|t| (&entry.tenants.0..=&entry.tenants.1).contains(&&t))
}
