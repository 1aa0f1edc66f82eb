//! Answering questions: by terms where there is an index, by looking at events where there is none.

use std::cmp::Reverse;
use std::collections::{BTreeSet, BinaryHeap, HashMap};
use std::num::NonZero;
use std::path::PathBuf;
use std::sync::atomic::{AtomicUsize, Ordering::Relaxed};
use std::sync::{Arc, Mutex, PoisonError};
use std::thread;

use async_trait::async_trait;
use sealwright_core::{Cursor, TenantScope, UnixMicros};
use sealwright_events::{
    Answer, EventSearch, Facets, HistoryError, Question, StoredEvent, facet_of,
};
use sealwright_terms::{Condition, Damaged, RowSet, Segment};

use super::file::{Entry, Part, Table, path_of, table};
use super::{condition_of, field};
use crate::error::{LakeError, Result};
use crate::files::DataFile;
use crate::filter::{EventFilter, Order, limited};
use crate::rewrite::blocking;
use crate::table::{Lake, Snapshot};

/// Events that are read at a time to be looked at.
const PAGE: usize = 5_000;
/// Facets are of at least so many of the latest events, where there are as many.
const FACETED: usize = 5_000;

/// Indexes of the data files that may hold something.
struct Indexed {
    files: Vec<(PathBuf, Table)>,
    /// File and segment; the ones with the latest events first.
    segments: Vec<(usize, usize)>,
}

/// What terms say.
#[derive(Default)]
struct Known {
    answer: Answer,
    /// Offsets of the latest events, as many as the page and one.
    latest: BinaryHeap<Reverse<u64>>,
    /// Offsets of the latest events that must be looked at.
    unsure: BinaryHeap<Reverse<u64>>,
    /// Whether there are more of these.
    more_unsure: bool,
    /// File, segment, latest offset and rows: where facets are counted.
    rows: Vec<(u64, usize, usize, RowSet)>,
}

fn keep(heap: &mut BinaryHeap<Reverse<u64>>, offset: u64, most: usize) -> bool {
    heap.push(Reverse(offset));
    heap.len() > most && heap.pop().is_some()
}

impl Lake {
    /// Answers a question about stored events. Events that are not yet in the lake are not in it.
    ///
    /// Cost: with an index, that of the terms that are asked for, in each block of 65,536 events of the span, and of the page;
    /// without, that of looking at the events, at most [`Question::most`].
    ///
    /// # Errors
    /// [`LakeError::Limit`]; [`LakeError::Damaged`].
    pub async fn ask(&self, question: &Question) -> Result<Answer> {
        let (snapshot, _reader) = self.read().await?;
        let (indexed, rest) = self.indexed(&snapshot, question).await?;
        let known = {
            let (question, indexed) = (question.clone(), Arc::clone(&indexed));
            blocking(move || Ok(known(&question, &indexed))).await?
        };
        let (known, rest) = match known {
            Ok(known) => (known, rest),
            Err(error) => {
                // It is made anew by the next round of indexing; until then events are looked at.
                tracing::warn!(%error, "an index is damaged");
                let all = needed(&snapshot.files, question).cloned().collect();
                (Known::default(), all)
            }
        };
        self.look(question, &snapshot, known, rest).await
    }

    /// The indexes that there are, and the data files without.
    async fn indexed(
        &self,
        snapshot: &Arc<Snapshot>,
        question: &Question,
    ) -> Result<(Arc<Indexed>, Vec<DataFile>)> {
        let folder = self.terms_folder();
        let version = self.terms().map(|terms| terms.version());
        let (snapshot, question) = (Arc::clone(snapshot), question.clone());
        blocking(move || {
            let mut rest = Vec::new();
            let mut files = Vec::new();
            let mut segments = Vec::new();
            for file in needed(&snapshot.files, &question) {
                let path = path_of(&folder, &file.path);
                let made = table(&path).ok().flatten().filter(|made| {
                    Some(&made.version) == version.as_ref() && made.rows == file.rows
                });
                let Some(made) = made else {
                    rest.push(file.clone());
                    continue;
                };
                for (i, entry) in made.segments.iter().enumerate() {
                    if may_hold(entry, &question) {
                        segments.push((entry.offsets.1, files.len(), i));
                    }
                }
                files.push((path, made));
            }
            segments.sort_unstable_by_key(|(latest, _, _)| Reverse(*latest));
            let segments = segments.into_iter().map(|(_, f, s)| (f, s)).collect();
            Ok((Arc::new(Indexed { files, segments }), rest))
        })
        .await
    }

    /// Looks at the events that terms decide nothing about, and reads the page.
    async fn look(
        &self,
        question: &Question,
        snapshot: &Arc<Snapshot>,
        known: Known,
        rest: Vec<DataFile>,
    ) -> Result<Answer> {
        let mut answer = known.answer;
        // Of what was left out it is known only that it is older than the oldest that was not.
        let floor = match known.unsure.peek() {
            Some(Reverse(oldest)) if known.more_unsure => *oldest,
            _ => 0,
        };
        let mut unsure = Unsure::new(known.unsure, rest, question.below);
        let mut found: Vec<StoredEvent> = Vec::new();
        let mut frontier = u64::MAX;
        answer.complete = true;
        loop {
            let room = question
                .most
                .saturating_sub(answer.looked_at)
                .clamp(1, PAGE);
            let Some((events, down_to)) = unsure.next(self, question, snapshot, room).await? else {
                break;
            };
            frontier = down_to;
            answer.looked_at += events.len();
            for (event, facets) in looked_at(question, events).await? {
                answer.count(event.time, question.width, 1);
                answer.facet(facets);
                found.push(event);
            }
            found.sort_unstable_by_key(|event| Reverse(event.offset));
            found.truncate(question.limit + 1);
            if answer.looked_at >= question.most && !unsure.is_empty() {
                answer.complete = false;
                break;
            }
        }
        answer.complete &= !known.more_unsure;
        if unsure.is_empty() {
            frontier = floor;
        }
        // What is beyond the frontier may hold events that stand before those that are known.
        let mut page: BTreeSet<u64> = known.latest.into_iter().map(|Reverse(o)| o).collect();
        page.extend(found.iter().map(|event| event.offset));
        let page: Vec<u64> = page.into_iter().rev().filter(|o| *o >= frontier).collect();
        answer.next = if page.len() > question.limit {
            page.get(question.limit.saturating_sub(1)).copied()
        } else {
            (!answer.complete).then_some(frontier)
        };
        let mut wanted: BTreeSet<u64> = page.into_iter().take(question.limit).collect();
        found.retain(|event| wanted.remove(&event.offset));
        if !wanted.is_empty() {
            found.extend(self.at(question, wanted).await?);
        }
        found.sort_unstable_by_key(|event| Reverse(event.offset));
        answer.events = found;
        Ok(answer)
    }

    /// The events at these offsets, as far as they are there still.
    async fn at(&self, question: &Question, offsets: BTreeSet<u64>) -> Result<Vec<StoredEvent>> {
        let limit = offsets.len();
        let filter = EventFilter {
            from: Some(question.search.from),
            to: Some(question.search.to),
            at: Some(offsets),
            ..EventFilter::default()
        };
        let scope = question.search.scope;
        let page = self
            .events_of(scope, &filter, Order::NewestFirst, None, limit)
            .await?;
        Ok(page.events)
    }
}

#[async_trait]
impl EventSearch for Lake {
    async fn ask(&self, question: &Question) -> std::result::Result<Answer, HistoryError> {
        let answer = Box::pin(Self::ask(self, question)).await;
        answer.map_err(|error| HistoryError(error.to_string()))
    }
}

/// The data files that the statistics do not rule out.
fn needed<'a>(files: &'a [DataFile], question: &Question) -> impl Iterator<Item = &'a DataFile> {
    let search = question.search.clone();
    files.iter().filter(move |file| {
        let times = file.times.as_ref();
        let tenant = match search.scope {
            TenantScope::One(tenant) => Some(tenant.to_string()),
            TenantScope::All => None,
        };
        times.is_none_or(|r| r.min < search.to.0 && r.max >= search.from.0)
            && tenant.is_none_or(|t| file.tenants.as_ref().is_none_or(|r| r.holds(&t)))
    })
}

fn may_hold(entry: &Entry, question: &Question) -> bool {
    let search = &question.search;
    let tenant = match search.scope {
        TenantScope::One(tenant) => Some(tenant.to_string()),
        TenantScope::All => None,
    };
    entry.times.0 < search.to.0
        && entry.times.1 >= search.from.0
        && tenant.is_none_or(|t| (&entry.tenants.0..=&entry.tenants.1).contains(&&t))
}

/// What the indexes say, asked on all processors.
fn known(question: &Question, indexed: &Indexed) -> std::result::Result<Known, Damaged> {
    let threads = thread::available_parallelism().map_or(1, NonZero::get);
    let next = AtomicUsize::new(0);
    let all = Mutex::new(Known::default());
    let condition = Condition::All(vec![
        condition_of(&question.search),
        question.condition.clone(),
    ]);
    thread::scope(|scope| {
        let work = || {
            while let Some((file, segment)) = indexed.segments.get(next.fetch_add(1, Relaxed)) {
                one(question, &condition, indexed, (*file, *segment), &all)?;
            }
            Ok(())
        };
        let others: Vec<_> = (1..threads).map(|_| scope.spawn(work)).collect();
        let mut done = work();
        for other in others {
            let other = other.join();
            done = done.and(other.unwrap_or_else(|_| Err(Damaged("it ended".to_owned()))));
        }
        done
    })?;
    let mut known = all.into_inner().unwrap_or_else(PoisonError::into_inner);
    facets(indexed, &mut known)?;
    Ok(known)
}

fn one(
    question: &Question,
    condition: &Condition,
    indexed: &Indexed,
    (file, at): (usize, usize),
    all: &Mutex<Known>,
) -> std::result::Result<(), Damaged> {
    let (path, made) = &indexed.files[file];
    let entry = &made.segments[at];
    let segment = Segment::open(Part::open(path, entry)?)?;
    let mut verdict = condition.ask(&segment)?;
    let unsure = segment.present(field::UNSURE)?;
    verdict.yes.subtract(&unsure);
    verdict.maybe.unite(&unsure);
    if verdict.yes.is_empty() && verdict.maybe.is_empty() {
        return Ok(());
    }
    let times = segment.times()?;
    let span = question.search.from.0..question.search.to.0;
    if !(span.contains(&entry.times.0) && span.contains(&entry.times.1)) {
        let outside = times.iter().enumerate().filter(|(_, t)| !span.contains(t));
        for (row, _) in outside {
            verdict.yes.remove(row);
            verdict.maybe.remove(row);
        }
    }
    let offsets = segment.offsets()?;
    let mut buckets: HashMap<i64, u64> = HashMap::new();
    for row in verdict.yes.iter() {
        let bucket = times[row].div_euclid(question.width);
        *buckets.entry(bucket).or_default() += 1;
    }
    let latest = verdict.yes.iter().map(|row| offsets[row]).max();
    let below = question.below.unwrap_or(u64::MAX);
    let mut all = all.lock().unwrap_or_else(PoisonError::into_inner);
    for (bucket, events) in buckets {
        let start = UnixMicros(bucket * question.width);
        all.answer.count(start, question.width, events);
    }
    for row in verdict.yes.iter().filter(|row| offsets[*row] < below) {
        keep(&mut all.latest, offsets[row], question.limit + 1);
    }
    for row in verdict.maybe.iter().filter(|row| offsets[*row] < below) {
        let dropped = keep(&mut all.unsure, offsets[row], question.most);
        all.more_unsure |= dropped;
    }
    if let Some(latest) = latest {
        all.rows.push((latest, file, at, verdict.yes));
        // Those with the latest events are enough.
        if all.rows.len() > 64 {
            all.rows
                .sort_unstable_by_key(|(latest, ..)| Reverse(*latest));
            let mut events = 0;
            all.rows.retain(|(.., rows)| {
                let wanted = events < FACETED;
                events += rows.count();
                wanted
            });
        }
    }
    Ok(())
}

/// Counts the facets of the latest events.
fn facets(indexed: &Indexed, known: &mut Known) -> std::result::Result<(), Damaged> {
    let mut rows = std::mem::take(&mut known.rows);
    rows.sort_unstable_by_key(|(latest, ..)| Reverse(*latest));
    for (_, file, at, rows) in rows {
        if known.answer.faceted >= FACETED as u64 {
            break;
        }
        let (path, made) = &indexed.files[file];
        let segment = Segment::open(Part::open(path, &made.segments[at])?)?;
        for name in segment.field_names()? {
            let Some(facet) = facet_of(&name) else {
                continue;
            };
            let values = known.answer.facets.entry(facet.to_owned()).or_default();
            segment.each_term(&name, |value, having| {
                let mut having = having.clone();
                having.intersect(&rows);
                match having.count() as u64 {
                    0 => {}
                    n => *values.entry(value.to_owned()).or_insert(0) += n,
                }
            })?;
        }
        known.answer.faceted += rows.count() as u64;
    }
    known.answer.facets.retain(|_, values| !values.is_empty());
    Ok(())
}

/// What must be looked at, the latest first: events of indexed files about which their terms are unsure, and the
/// files without an index.
struct Unsure {
    /// Offsets, ascending.
    offsets: Vec<u64>,
    files: Vec<DataFile>,
    /// Events of the files from here on have been read.
    read_to: Option<u64>,
}

impl Unsure {
    fn new(offsets: BinaryHeap<Reverse<u64>>, files: Vec<DataFile>, below: Option<u64>) -> Self {
        let mut offsets: Vec<u64> = offsets.into_iter().map(|Reverse(o)| o).collect();
        offsets.sort_unstable();
        Self {
            offsets,
            files,
            read_to: below,
        }
    }

    fn is_empty(&self) -> bool {
        self.offsets.is_empty() && self.files.is_empty()
    }

    /// The next events that the search looks for, at most `room`, and the offset down to which all have been given.
    async fn next(
        &mut self,
        lake: &Lake,
        question: &Question,
        snapshot: &Arc<Snapshot>,
        room: usize,
    ) -> Result<Option<(Vec<StoredEvent>, u64)>> {
        if self.is_empty() {
            return Ok(None);
        }
        let bound = self.read_to.unwrap_or(u64::MAX);
        let above = self.offsets.last().is_some_and(|last| *last >= bound);
        let events = if self.files.is_empty() || above {
            let start = self.offsets.len().saturating_sub(room);
            let mut wanted: BTreeSet<u64> = self.offsets.split_off(start).into_iter().collect();
            // Not beyond what the files have been read to.
            if !self.files.is_empty() {
                let beyond: Vec<u64> = wanted.iter().copied().filter(|o| *o < bound).collect();
                wanted.retain(|o| *o >= bound);
                self.offsets.extend(beyond);
            }
            let mut events = lake.at(question, wanted).await?;
            events.retain(|event| question.search.holds(event));
            events
        } else {
            let cursor = self.read_to.map(|below| Cursor(below.to_string()));
            let filter = EventFilter::of(&question.search);
            let scope = question.search.scope;
            let page = lake.page_of(
                Arc::clone(snapshot),
                Some(self.files.clone()),
                scope,
                &filter,
                Order::NewestFirst,
                cursor.as_ref(),
                room,
            );
            let (events, more) = limited(page).await?;
            self.read_to = events.last().map(|event| event.offset);
            if !more {
                self.files.clear();
            }
            events
        };
        let of_files = if self.files.is_empty() {
            0
        } else {
            self.read_to.unwrap_or(u64::MAX)
        };
        let of_offsets = self.offsets.last().map_or(0, |last| last + 1);
        Ok(Some((events, of_files.max(of_offsets))))
    }
}

/// The events that are found, looked at on all processors; the order stays.
async fn looked_at(
    question: &Question,
    events: Vec<StoredEvent>,
) -> Result<Vec<(StoredEvent, Facets)>> {
    let look = Arc::clone(&question.look);
    blocking(move || {
        let threads = thread::available_parallelism().map_or(1, NonZero::get);
        let share = events.len().div_ceil(threads).max(1);
        let found = thread::scope(|scope| {
            let parts: Vec<_> = events
                .chunks(share)
                .map(|part| {
                    let mut look = look();
                    scope.spawn(move || {
                        let found = part.iter().filter_map(|e| Some((e.clone(), look(e)?)));
                        found.collect::<Vec<_>>()
                    })
                })
                .collect();
            parts
                .into_iter()
                .map(thread::ScopedJoinHandle::join)
                .collect::<std::result::Result<Vec<_>, _>>()
        });
        let ended = |_| LakeError::Table("looking at events ended".to_owned());
        Ok(found.map_err(ended)?.concat())
    })
    .await
}
