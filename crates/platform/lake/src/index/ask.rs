//! Answering questions: by terms where there is an index, by looking at events where there is none.

use std::cmp::Reverse;
use std::collections::{BTreeMap, BinaryHeap};
use std::fs;
use std::path::PathBuf;
use std::sync::{Arc, Mutex, PoisonError};

use async_trait::async_trait;
use sealwright_core::{Cursor, UnixMicros, on_all_processors};
use sealwright_events::{
    Answer, EventSearch, Facets, HistoryError, Question, StoredEvent, is_facet,
};
use sealwright_terms::{Condition, Damaged, RowSet, Segment, Verdict};

use super::file::Part;
use super::open::{Indexed, Place, fetched, needed};
use super::{condition_of, field};
use crate::error::Result;
use crate::files::DataFile;
use crate::filter::{EventFilter, Order, limited};
use crate::rewrite::blocking;
use crate::table::{Lake, Snapshot};

/// Events that are read at a time to be looked at.
const PAGE: usize = 5_000;
/// Facets are of at least so many of the latest events, where there are as many.
const FACETED: usize = 5_000;

/// The places with the highest offsets.
struct Latest {
    places: BinaryHeap<Reverse<Place>>,
    most: usize,
    /// Whether there were more.
    more: bool,
}

impl Latest {
    fn new(most: usize) -> Self {
        Self {
            places: BinaryHeap::new(),
            most,
            more: false,
        }
    }

    /// No event below this offset would be kept.
    fn floor(&self) -> u64 {
        match self.places.peek() {
            Some(Reverse(least)) if self.places.len() == self.most => least.offset,
            _ => 0,
        }
    }

    fn add(&mut self, place: Place) {
        if self.places.len() < self.most {
            self.places.push(Reverse(place));
            return;
        }
        self.more = true;
        if let Some(mut least) = self.places.peek_mut()
            && least.0 < place
        {
            *least = Reverse(place);
        }
    }

    /// Ascending.
    fn into_places(self) -> Vec<Place> {
        let mut places: Vec<Place> = self.places.into_iter().map(|Reverse(p)| p).collect();
        places.sort_unstable();
        places
    }
}

/// What terms say.
struct Known {
    answer: Answer,
    /// The latest events, as many as the page and one.
    latest: Latest,
    /// The latest events that must be looked at.
    unsure: Latest,
    /// Latest offset, file, segment and rows: where facets are counted.
    rows: Vec<(u64, usize, usize, RowSet)>,
}

impl Known {
    fn nothing(question: &Question) -> Self {
        Self {
            answer: Answer::default(),
            latest: Latest::new(question.limit + 1),
            unsure: Latest::new(question.most),
            rows: Vec::new(),
        }
    }
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
        let (indexed, rest) = self.indexed(&snapshot, &question.search).await?;
        let known = {
            let (question, indexed) = (question.clone(), Arc::clone(&indexed));
            blocking(move || Ok(known(&question, &indexed))).await?
        };
        let (known, rest) = match known {
            Ok(known) => (known, rest),
            Err(Broken { path, damaged }) => {
                // It is made anew by the next round of indexing; until then events are looked at.
                tracing::warn!(file = %path.display(), error = %damaged, "an index is damaged");
                if self.owned() {
                    let _ = fs::remove_file(&path);
                }
                let all = needed(&snapshot.files, &question.search).cloned().collect();
                (Known::nothing(question), all)
            }
        };
        self.look(question, &snapshot, &indexed, known, rest).await
    }

    /// Looks at the events that terms decide nothing about, and reads the page.
    async fn look(
        &self,
        question: &Question,
        snapshot: &Arc<Snapshot>,
        indexed: &Arc<Indexed>,
        known: Known,
        rest: Vec<DataFile>,
    ) -> Result<Answer> {
        let mut answer = known.answer;
        // Of what was left out it is known only that it is older than the oldest that was not.
        let left_out = known.unsure.more;
        let floor = if left_out { known.unsure.floor() } else { 0 };
        let mut unsure = Unsure {
            places: known.unsure.into_places(),
            files: rest,
            read_to: question.below,
        };
        let mut found: Vec<StoredEvent> = Vec::new();
        let mut frontier = u64::MAX;
        answer.complete = !left_out;
        while !unsure.is_empty() {
            let room = question.most.saturating_sub(answer.looked_at);
            if room == 0 {
                answer.complete = false;
                break;
            }
            let events = unsure
                .next(self, question, snapshot, indexed, room.min(PAGE))
                .await?;
            frontier = unsure.frontier();
            answer.looked_at += events.len();
            for (event, facets) in looked_at(question, events).await? {
                answer.count(event.time, question.width, 1);
                answer.facet(facets);
                found.push(event);
            }
            found.sort_unstable_by_key(|event| Reverse(event.offset));
            found.truncate(question.limit + 1);
        }
        if unsure.is_empty() {
            frontier = floor;
        }
        // What is beyond the frontier may hold events that stand before those that are known.
        let known = known.latest.into_places();
        let offsets = known.iter().map(|place| place.offset);
        let mut page: Vec<u64> = offsets.chain(found.iter().map(|e| e.offset)).collect();
        page.retain(|offset| *offset >= frontier);
        page.sort_unstable_by_key(|offset| Reverse(*offset));
        answer.next = if page.len() > question.limit {
            page.get(question.limit.saturating_sub(1)).copied()
        } else {
            (!answer.complete).then_some(frontier)
        };
        page.truncate(question.limit);
        let least = page.last().copied().unwrap_or(u64::MAX);
        found.retain(|event| event.offset >= least);
        let wanted: Vec<Place> = known.into_iter().filter(|p| p.offset >= least).collect();
        found.extend(fetched(indexed, wanted).await?);
        found.sort_unstable_by_key(|event| Reverse(event.offset));
        answer.events = found;
        Ok(answer)
    }
}

/// An index that cannot be read.
struct Broken {
    path: PathBuf,
    damaged: Damaged,
}

#[async_trait]
impl EventSearch for Lake {
    async fn ask(&self, question: &Question) -> std::result::Result<Answer, HistoryError> {
        let answer = Box::pin(Self::ask(self, question)).await;
        answer.map_err(|error| HistoryError(error.to_string()))
    }
}

/// What the indexes say, asked on all processors.
fn known(question: &Question, indexed: &Indexed) -> std::result::Result<Known, Broken> {
    let all = Mutex::new(Known::nothing(question));
    let condition = Condition::All(vec![
        condition_of(&question.search),
        question.condition.clone(),
    ]);
    let broken = |file: usize, damaged| Broken {
        path: indexed.files[file].1.clone(),
        damaged,
    };
    on_all_processors(&indexed.segments, |at| {
        one(question, &condition, indexed, *at, &all).map_err(|error| broken(at.0, error))
    })
    .into_iter()
    .collect::<std::result::Result<(), Broken>>()?;
    let mut known = all.into_inner().unwrap_or_else(PoisonError::into_inner);
    let mut rows = std::mem::take(&mut known.rows);
    rows.sort_unstable_by_key(|(latest, ..)| Reverse(*latest));
    let mut events = 0;
    rows.retain(|(.., rows)| {
        let wanted = events < FACETED;
        events += rows.count();
        wanted
    });
    let counted = on_all_processors(&rows, |(_, file, at, rows)| {
        facets(indexed, (*file, *at), rows).map_err(|e| broken(*file, e))
    });
    for one in counted {
        let (events, facets) = one?;
        known.answer.faceted += events;
        for (name, values) in facets {
            let all = known.answer.facets.entry(name).or_default();
            for (value, events) in values {
                *all.entry(value).or_insert(0) += events;
            }
        }
    }
    known.answer.facets.retain(|_, values| !values.is_empty());
    Ok(known)
}

fn one(
    question: &Question,
    condition: &Condition,
    indexed: &Indexed,
    (file, at): (usize, usize),
    all: &Mutex<Known>,
) -> std::result::Result<(), Damaged> {
    let (_, path, made) = &indexed.files[file];
    let entry = &made.segments[at];
    let segment = Segment::open(Part::open(path, entry)?)?;
    let Verdict { mut yes, mut maybe } = condition.ask(&segment)?;
    let unsure = segment.present(field::UNSURE)?;
    yes.subtract(&unsure);
    maybe.unite(&unsure);
    if yes.is_empty() && maybe.is_empty() {
        return Ok(());
    }
    let span = question.search.from.0..question.search.to.0;
    let times = segment.times()?;
    if !(span.contains(&entry.times.0) && span.contains(&entry.times.1)) {
        let mut found = yes.clone();
        found.unite(&maybe);
        for row in found.iter().filter(|row| !span.contains(&times.get(*row))) {
            yes.remove(row);
            maybe.remove(row);
        }
    }
    let buckets = buckets(yes.iter().map(|row| times.get(row)), question.width);
    let offsets = segment.offsets()?;
    let latest = yes.iter().map(|row| offsets.get(row)).max();
    let below = question.below.unwrap_or(u64::MAX);
    let start = usize::try_from(entry.start).unwrap_or(usize::MAX);
    let place = |row: usize| Place {
        offset: offsets.get(row),
        file,
        row: start.saturating_add(row),
    };
    let mut all = all.lock().unwrap_or_else(PoisonError::into_inner);
    for (start, events) in buckets {
        all.answer.count(UnixMicros(start), question.width, events);
    }
    let floor = all.latest.floor();
    if latest.is_some_and(|latest| latest >= floor) {
        let on_page = |row: &usize| (floor..below).contains(&offsets.get(*row));
        yes.iter()
            .filter(on_page)
            .for_each(|row| all.latest.add(place(row)));
    }
    let below_page = |row: &usize| offsets.get(*row) < below;
    maybe
        .iter()
        .filter(below_page)
        .for_each(|row| all.unsure.add(place(row)));
    if let Some(latest) = latest {
        all.rows.push((latest, file, at, yes));
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

/// How many times are in each bucket, by the bucket's first moment. Times of one bucket mostly stand together; a bucket whose times do not
/// has several entries.
fn buckets(times: impl Iterator<Item = i64>, width: i64) -> Vec<(i64, u64)> {
    let mut buckets: Vec<(i64, u64)> = Vec::new();
    let mut bucket = 0..0;
    for time in times {
        match buckets.last_mut() {
            Some((_, events)) if bucket.contains(&time) => *events += 1,
            _ => {
                let start = time.div_euclid(width).saturating_mul(width);
                bucket = start..start.saturating_add(width);
                buckets.push((start, 1));
            }
        }
    }
    buckets
}

/// By facet and value, how many of a segment's rows have it.
type Counts = BTreeMap<String, BTreeMap<String, u64>>;

/// Counts the facets of some of a segment's rows, and says how many rows those are.
fn facets(
    indexed: &Indexed,
    (file, at): (usize, usize),
    rows: &RowSet,
) -> std::result::Result<(u64, Counts), Damaged> {
    let (_, path, made) = &indexed.files[file];
    let segment = Segment::open(Part::open(path, &made.segments[at])?)?;
    let mut counts = Counts::new();
    segment.count_values(rows, is_facet, |name, value, events| {
        let values = counts.entry(name.to_owned()).or_default();
        values.insert(value.to_owned(), events as u64);
    })?;
    Ok((rows.count() as u64, counts))
}

/// What must be looked at, the latest first: events of indexed files about which their terms are unsure, and the
/// files without an index.
struct Unsure {
    /// Ascending.
    places: Vec<Place>,
    files: Vec<DataFile>,
    /// Events of the files from here on have been read.
    read_to: Option<u64>,
}

impl Unsure {
    fn is_empty(&self) -> bool {
        self.places.is_empty() && self.files.is_empty()
    }

    /// The offset from which on all have been given.
    fn frontier(&self) -> u64 {
        let of_files = if self.files.is_empty() {
            0
        } else {
            self.read_to.unwrap_or(u64::MAX)
        };
        of_files.max(self.places.last().map_or(0, |last| last.offset + 1))
    }

    /// The next events that the search looks for, at most `room`.
    async fn next(
        &mut self,
        lake: &Lake,
        question: &Question,
        snapshot: &Arc<Snapshot>,
        indexed: &Arc<Indexed>,
        room: usize,
    ) -> Result<Vec<StoredEvent>> {
        // Not beyond what the files have been read to.
        let bound = if self.files.is_empty() {
            0
        } else {
            self.read_to.unwrap_or(u64::MAX)
        };
        if self.places.last().is_some_and(|last| last.offset >= bound) {
            let within = self.places.partition_point(|place| place.offset < bound);
            let start = within.max(self.places.len().saturating_sub(room));
            let mut events = fetched(indexed, self.places.split_off(start)).await?;
            events.retain(|event| question.search.holds(event));
            return Ok(events);
        }
        let cursor = self.read_to.map(|below| Cursor(below.to_string()));
        let filter = EventFilter::of(&question.search);
        let page = lake.page_of(
            Arc::clone(snapshot),
            Some(self.files.clone()),
            question.search.scope,
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
        Ok(events)
    }
}

/// The events that are found, looked at on all processors.
async fn looked_at(
    question: &Question,
    events: Vec<StoredEvent>,
) -> Result<Vec<(StoredEvent, Facets)>> {
    const SHARE: usize = 500;
    let look = Arc::clone(&question.look);
    blocking(move || {
        let shares: Vec<&[StoredEvent]> = events.chunks(SHARE).collect();
        let parts = on_all_processors(&shares, |share| {
            let mut look = look();
            let found = share.iter().filter_map(|e| Some((e.clone(), look(e)?)));
            found.collect::<Vec<_>>()
        });
        Ok(parts.concat())
    })
    .await
}
