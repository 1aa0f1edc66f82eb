//! Going through events in order, without reading those of which the index says all that is asked for.
//!
//! Times, offsets and sources of all events are in the index, and values that conditions ask for where they hold: so of most
//! events nothing is read of their data file.

use std::cmp::Reverse;
use std::collections::{BTreeMap, BinaryHeap, VecDeque};
use std::fs;
use std::num::NonZero;
use std::sync::Arc;
use std::thread::available_parallelism;
use std::time::{Duration, Instant};

use async_trait::async_trait;
use sealwright_core::{Cursor, TenantScope, UnixMicros, on_all_processors};
use sealwright_events::{
    HistoryError, HistoryQuery, Known, Passed, Search, Sieve, Sift, Sifted, StoredEvent,
};
use sealwright_terms::{Bytes, Condition, Damaged, RowSet, RowValue, RowValues, Segment, Verdict};

use super::file::Part;
use super::open::{Indexed, Place, fetched};
use super::{condition_of, field};
use crate::error::Result;
use crate::files::DataFile;
use crate::filter::{EventFilter, Order, limited};
use crate::readers::Reader;
use crate::rewrite::blocking;
use crate::table::{Lake, Snapshot};

/// Most events that are given at once, and most of them whole.
const PAGE: usize = 50_000;
const PAGE_WHOLE: usize = 10_000;
/// Terms of a field that are tested for a condition; where there are more, to look at the events is as fast.
const TESTED: u64 = 4_096;
/// After so long the newest state of the lake is taken, so that an erasure or a vacuum need not wait for the end.
const REOPENED: Duration = Duration::from_secs(60);

/// Goes through the stored events of a query; see [`Lake::sift`].
pub struct EventSift {
    lake: Lake,
    query: HistoryQuery,
    search: Search,
    sieve: Arc<Sieve>,
    /// All events below were given.
    next: u64,
    opened: Option<Opened>,
    /// Whether indexes are used: none is after one was found to be damaged.
    by_index: bool,
}

impl std::fmt::Debug for EventSift {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("EventSift")
            .field("query", &self.query)
            .field("next", &self.next)
            .finish_non_exhaustive()
    }
}

/// A state of the lake that is being read.
struct Opened {
    since: Instant,
    _reader: Reader,
    snapshot: Arc<Snapshot>,
    indexed: Arc<Indexed>,
    /// First offset and place among [`Indexed::segments`] of those not yet loaded, the next one at the end.
    ahead: Vec<(u64, usize)>,
    loaded: Vec<Loaded>,
    /// The next offset of each of the loaded ones.
    heads: BinaryHeap<Reverse<(u64, usize)>>,
    rest: Rest,
}

/// Events of the data files without an index.
struct Rest {
    files: Vec<DataFile>,
    read: VecDeque<StoredEvent>,
    from: u64,
}

/// The rows of a segment that are asked for, by offset.
#[derive(Default)]
struct Loaded {
    file: usize,
    rows: VecDeque<Row>,
    sources: Vec<Arc<str>>,
}

/// What holds for a row, and the values that are asked for then.
struct Held {
    conditions: Arc<[usize]>,
    values: Vec<Option<Arc<str>>>,
}

struct Row {
    offset: u64,
    time: i64,
    received: i64,
    source: u32,
    /// Its place in the data file.
    place: usize,
    what: What,
}

enum What {
    Passed,
    Known(Box<Held>),
    Whole,
}

enum Next {
    Passed(Passed),
    Known(Known),
    Event(StoredEvent),
    Place(Place),
}

impl Next {
    fn offset(&self) -> u64 {
        match self {
            Self::Passed(passed) => passed.offset,
            Self::Known(known) => known.event.offset,
            Self::Event(event) => event.offset,
            Self::Place(place) => place.offset,
        }
    }
}

impl Lake {
    /// Goes through the events of a query in order.
    ///
    /// Cost: that of the conditions' terms in each block of 65,536 events, some 50 bytes of memory for an event of the
    /// blocks that overlap and 100 more for one for which a condition holds, and the reading of the events that are whole.
    pub fn sift(&self, query: &HistoryQuery, sieve: &Sieve) -> EventSift {
        EventSift {
            lake: self.clone(),
            search: Search {
                scope: TenantScope::One(query.tenant),
                types: query.event_types.clone(),
                source: None,
                id: None,
                subject: None,
                texts: Vec::new(),
                from: query.from.unwrap_or(UnixMicros(i64::MIN)),
                to: query.to,
            },
            query: query.clone(),
            sieve: Arc::new(sieve.clone()),
            next: 0,
            opened: None,
            by_index: true,
        }
    }
}

#[async_trait]
impl Sift for EventSift {
    async fn next(&mut self) -> std::result::Result<Vec<Sifted>, HistoryError> {
        let page = Box::pin(self.page()).await;
        page.map_err(|error| HistoryError(error.to_string()))
    }
}

impl EventSift {
    async fn page(&mut self) -> Result<Vec<Sifted>> {
        loop {
            let mut opened = match self.opened.take() {
                Some(opened) if opened.since.elapsed() < REOPENED => opened,
                _ => self.open().await?,
            };
            let page = match self.fill(&mut opened).await? {
                Ok(page) => page,
                Err(damaged) => {
                    tracing::warn!(error = %damaged, "an index is damaged; events are looked at without any");
                    self.by_index = false;
                    continue;
                }
            };
            let Some(last) = page.last().map(Next::offset) else {
                return Ok(Vec::new());
            };
            let sifted = whole_ones(&opened.indexed, page, &self.search).await?;
            self.next = last + 1;
            self.opened = Some(opened);
            if !sifted.is_empty() {
                return Ok(sifted);
            }
        }
    }

    /// The next events, not yet read.
    async fn fill(&self, opened: &mut Opened) -> Result<std::result::Result<Vec<Next>, Damaged>> {
        let mut page = Vec::new();
        let mut whole = 0;
        while page.len() < PAGE && whole < PAGE_WHOLE {
            let head = opened.head();
            let due = |(first, _): &(u64, usize)| head.is_none_or(|head| *first <= head);
            if opened.ahead.last().is_some_and(due) {
                if let Err(damaged) = self.load(opened).await? {
                    return Ok(Err(damaged));
                }
            } else if opened.rest.read.is_empty() && !opened.rest.files.is_empty() {
                self.read_rest(opened).await?;
            } else if let Some(next) = opened.pop() {
                whole += usize::from(matches!(next, Next::Event(_) | Next::Place(_)));
                page.push(next);
            } else {
                break;
            }
        }
        Ok(Ok(page))
    }

    async fn open(&self) -> Result<Opened> {
        let (snapshot, reader) = self.lake.read().await?;
        let (indexed, rest) = if self.by_index {
            self.lake.indexed(&snapshot, &self.search).await?
        } else {
            self.lake.unindexed(&snapshot, &self.search)
        };
        let mut ahead: Vec<(u64, usize)> = Vec::new();
        for (i, (file, at)) in indexed.segments.iter().enumerate() {
            let (first, last) = indexed.files[*file].2.segments[*at].offsets;
            if last >= self.next && first < self.query.below_offset {
                ahead.push((first, i));
            }
        }
        ahead.sort_unstable_by_key(|one| Reverse(*one));
        Ok(Opened {
            since: Instant::now(),
            _reader: reader,
            snapshot,
            indexed,
            ahead,
            loaded: Vec::new(),
            heads: BinaryHeap::new(),
            rest: Rest {
                files: rest,
                read: VecDeque::new(),
                from: self.next,
            },
        })
    }

    /// Asks the next segments, one a processor.
    async fn load(&self, opened: &mut Opened) -> Result<std::result::Result<(), Damaged>> {
        let count = available_parallelism().map_or(1, NonZero::get);
        let start = opened.ahead.len().saturating_sub(count);
        let wanted: Vec<usize> = opened
            .ahead
            .split_off(start)
            .into_iter()
            .map(|(_, i)| i)
            .collect();
        let indexed = Arc::clone(&opened.indexed);
        let (search, sieve) = (self.search.clone(), Arc::clone(&self.sieve));
        let span = self.next..self.query.below_offset;
        let owned = self.lake.owned();
        let loaded = blocking(move || {
            let asked = condition_of(&search);
            Ok(on_all_processors(&wanted, |i| {
                let loaded = load(
                    &indexed,
                    indexed.segments[*i],
                    &search,
                    (&asked, &sieve),
                    &span,
                );
                if loaded.is_err() && owned {
                    // It is made anew by the next round of indexing.
                    let _ = fs::remove_file(&indexed.files[indexed.segments[*i].0].1);
                }
                loaded
            }))
        })
        .await?;
        for loaded in loaded {
            let loaded = match loaded {
                Ok(loaded) => loaded,
                Err(damaged) => return Ok(Err(damaged)),
            };
            if let Some(first) = loaded.rows.front() {
                opened
                    .heads
                    .push(Reverse((first.offset, opened.loaded.len())));
                opened.loaded.push(loaded);
            }
        }
        Ok(Ok(()))
    }

    async fn read_rest(&self, opened: &mut Opened) -> Result<()> {
        let filter = EventFilter {
            offsets: Some(opened.rest.from..self.query.below_offset),
            ..EventFilter::of(&self.search)
        };
        let none: Option<&Cursor> = None;
        let page = self.lake.page_of(
            Arc::clone(&opened.snapshot),
            Some(opened.rest.files.clone()),
            self.search.scope,
            &filter,
            Order::OldestFirst,
            none,
            PAGE_WHOLE,
        );
        let (events, more) = limited(page).await?;
        if let Some(last) = events.last() {
            opened.rest.from = last.offset + 1;
        }
        if !more {
            opened.rest.files.clear();
        }
        opened.rest.read = events.into();
        Ok(())
    }
}

impl Opened {
    /// The least offset that is known.
    fn head(&self) -> Option<u64> {
        let loaded = self.heads.peek().map(|Reverse((offset, _))| *offset);
        let read = self.rest.read.front().map(|event| event.offset);
        loaded.into_iter().chain(read).min()
    }

    fn pop(&mut self) -> Option<Next> {
        let read = self.rest.read.front().map(|event| event.offset);
        let first = match self.heads.peek() {
            Some(Reverse((offset, at))) if read.is_none_or(|read| *offset < read) => *at,
            _ => return self.rest.read.pop_front().map(Next::Event),
        };
        self.heads.pop();
        let loaded = self.loaded.get_mut(first)?;
        let row = loaded.rows.pop_front()?;
        if let Some(next) = loaded.rows.front() {
            self.heads.push(Reverse((next.offset, first)));
        } else {
            loaded.rows = VecDeque::new();
        }
        let source = loaded.sources.get(row.source as usize)?;
        let event = Passed {
            offset: row.offset,
            time: UnixMicros(row.time),
            received_at: UnixMicros(row.received),
            source: Arc::clone(source),
        };
        Some(match row.what {
            What::Passed => Next::Passed(event),
            What::Known(held) => Next::Known(Known {
                event,
                conditions: held.conditions,
                values: held.values,
            }),
            What::Whole => Next::Place(Place {
                offset: row.offset,
                file: loaded.file,
                row: row.place,
            }),
        })
    }
}

/// What the terms of a segment say of its rows.
struct Told {
    whole: RowSet,
    /// Rows that are not whole, each with a condition that holds for it, ascending.
    held: Vec<(u32, u32)>,
    /// By name, of rows with a condition that asks for it.
    values: Vec<Option<RowValues>>,
}

/// What is to be told of `rows`. `unsure` are to be whole in any case.
fn told(
    segment: &Segment<impl Bytes>,
    sieve: &Sieve,
    rows: &RowSet,
    unsure: RowSet,
) -> std::result::Result<Told, Damaged> {
    let mut whole = unsure;
    let Verdict { yes, maybe } = sieve.whole.roughly(segment, TESTED)?;
    whole.unite(&yes);
    whole.unite(&maybe);
    let mut held: Vec<RowSet> = Vec::with_capacity(sieve.conditions.len());
    let mut needed: Vec<Option<RowSet>> = vec![None; sieve.values.len()];
    for asked in &sieve.conditions {
        let Verdict { mut yes, maybe } = asked.condition.roughly(segment, TESTED)?;
        whole.unite(&maybe);
        yes.intersect(rows);
        for value in asked.values.iter().filter(|_| !yes.is_empty()) {
            if let Some(needed) = needed.get_mut(*value) {
                needed
                    .get_or_insert_with(|| RowSet::none(segment.rows()))
                    .unite(&yes);
            }
        }
        held.push(yes);
    }
    let mut values = Vec::with_capacity(needed.len());
    for (name, needed) in sieve.values.iter().zip(needed) {
        let Some(mut needed) = needed else {
            values.push(None);
            continue;
        };
        needed.subtract(&whole);
        let found = segment.values(name, &needed)?;
        let unkept = needed
            .iter()
            .filter(|row| found.get(*row) == RowValue::Unkept);
        unkept.for_each(|row| whole.insert(row));
        values.push(Some(found));
    }
    let mut pairs: Vec<(u32, u32)> = Vec::new();
    for (condition, mut rows) in (0..).zip(held) {
        rows.subtract(&whole);
        let rows = rows.iter().filter_map(|row| u32::try_from(row).ok());
        pairs.extend(rows.map(|row| (row, condition)));
    }
    pairs.sort_unstable();
    Ok(Told {
        whole,
        held: pairs,
        values,
    })
}

impl Told {
    /// What holds for each row for which something does, in the order of the rows.
    fn held(&self) -> impl Iterator<Item = (usize, Held)> + '_ {
        let mut before: Arc<[usize]> = Arc::from([]);
        self.held.chunk_by(|a, b| a.0 == b.0).map(move |of_row| {
            let row = of_row.first().map_or(0, |(row, _)| *row as usize);
            let conditions = of_row.iter().map(|(_, condition)| *condition as usize);
            // Mostly the same ones hold for many rows.
            if !conditions.clone().eq(before.iter().copied()) {
                before = conditions.collect();
            }
            let value = |values: &Option<RowValues>| match values.as_ref()?.get(row) {
                RowValue::Kept(text) => Some(Arc::clone(text)),
                RowValue::None | RowValue::Unkept => None,
            };
            let held = Held {
                conditions: Arc::clone(&before),
                values: self.values.iter().map(value).collect(),
            };
            (row, held)
        })
    }
}

fn load(
    indexed: &Indexed,
    (file, at): (usize, usize),
    search: &Search,
    (asked, sieve): (&Condition, &Sieve),
    offsets_asked: &std::ops::Range<u64>,
) -> std::result::Result<Loaded, Damaged> {
    let (_, path, made) = &indexed.files[file];
    let entry = &made.segments[at];
    let segment = Segment::open(Part::open(path, entry)?)?;
    let asked = asked.ask(&segment)?;
    let (mut rows, unsure) = (asked.yes, asked.maybe);
    rows.unite(&unsure);
    if rows.is_empty() {
        return Ok(Loaded::default());
    }
    let mut whole = unsure;
    whole.unite(&segment.present(field::UNSURE)?);
    whole.unite(&segment.long(field::SOURCE)?);
    let told = told(&segment, sieve, &rows, whole)?;
    let (times, offsets, received) = (segment.times()?, segment.offsets()?, segment.received()?);
    let mut sources: Vec<Arc<str>> = Vec::new();
    let mut source_of = vec![0_u32; segment.rows()];
    segment.each_row(field::SOURCE, |source, row| {
        if sources.last().is_none_or(|last| **last != *source) {
            sources.push(source.into());
        }
        source_of[row] = u32::try_from(sources.len() - 1).unwrap_or(u32::MAX);
    })?;
    let start = usize::try_from(entry.start).unwrap_or(usize::MAX);
    let span = search.from.0..search.to.0;
    let mut held = told.held().peekable();
    let mut what = |row: usize| {
        // Rows come in their order here as there.
        match held.next_if(|(next, _)| *next == row) {
            Some((_, held)) => What::Known(Box::new(held)),
            None if told.whole.contains(row) => What::Whole,
            None => What::Passed,
        }
    };
    let mut found = Vec::new();
    for row in rows.iter() {
        let what = what(row);
        let (time, offset) = (times.get(row), offsets.get(row));
        if span.contains(&time) && offsets_asked.contains(&offset) {
            found.push(Row {
                offset,
                time,
                received: received.get(row),
                source: source_of[row],
                place: start.saturating_add(row),
                what,
            });
        }
    }
    found.sort_unstable_by_key(|row| row.offset);
    Ok(Loaded {
        file,
        rows: found.into(),
        sources,
    })
}

/// Reads the events that matter.
async fn whole_ones(
    indexed: &Arc<Indexed>,
    page: Vec<Next>,
    search: &Search,
) -> Result<Vec<Sifted>> {
    let places = page.iter().filter_map(|next| match next {
        Next::Place(place) => Some(*place),
        _ => None,
    });
    let events = fetched(indexed, places.collect()).await?;
    let mut events: BTreeMap<u64, StoredEvent> =
        events.into_iter().map(|e| (e.offset, e)).collect();
    let sifted = page.into_iter().filter_map(|next| match next {
        Next::Passed(passed) => Some(Sifted::Passed(passed)),
        Next::Known(known) => Some(Sifted::Known(known)),
        Next::Event(event) => Some(Sifted::Whole(event)),
        // A row that may be of the query is, or is not.
        Next::Place(place) => events
            .remove(&place.offset)
            .filter(|event| search.holds(event))
            .map(Sifted::Whole),
    });
    Ok(sifted.collect())
}
