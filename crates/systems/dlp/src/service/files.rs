//! Files and streams through the scanner: on all cores, in bounded memory, in the order in which they came.

use std::collections::BTreeMap;
use std::fs::File;
use std::io::{self, Read};
use std::path::PathBuf;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::sync::mpsc::{Receiver, SyncSender, sync_channel};
use std::sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError};

use sealwright_scan::document::{self, Kind, Limits, Outcome, Report};
use sealwright_scan::{Finding, Scanner, Source, StreamScanner};
use serde::Serialize;

use super::spill::Spill;

pub use super::paths::walk;

/// Bytes that are read at a time.
const BLOCK: usize = 1 << 20;
/// Bytes that are asked for when nobody has said how many come: as many as a pipe holds.
const PIECE: usize = 64 << 10;
/// Bytes that are asked for where the end should be.
const PROBE: usize = 4 << 10;
/// Files that may be ahead of the one whose findings are being given.
const AHEAD: u64 = 4_096;
/// Findings of one file that wait for their turn.
const WAITING: usize = 20_000;

/// How much is done at once.
#[derive(Debug, Clone, Copy)]
pub struct Effort {
    /// Threads.
    pub threads: usize,
    /// Texts up to this size are looked at as one document; longer ones pass through in chunks.
    pub text: usize,
    /// Archives and documents up to this size are opened; they have to be in memory for it.
    pub document: usize,
}

impl Effort {
    /// The usual sizes, 16 and 256 MiB, on so many threads.
    #[must_use]
    pub const fn on(threads: usize) -> Self {
        Self {
            threads,
            text: 16 << 20,
            document: 256 << 20,
        }
    }
}

/// The commit that brought a blob into a repository.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Commit {
    /// Its full name.
    pub commit: String,
    /// Who wrote it.
    pub author: String,
    /// When, RFC 3339.
    pub date: String,
}

/// Where the bytes are.
pub enum Body {
    /// In a file.
    File(PathBuf),
    /// On standard input.
    Stdin,
    /// Here.
    Bytes(Vec<u8>),
    /// They come from somewhere else.
    Stream(Box<dyn Read + Send>),
    /// They come from somewhere else, and so many are said to come.
    Sized(Box<dyn Read + Send>, u64),
    /// Nowhere: it could not be reached.
    Missing(String),
    /// There is nothing to look at; it only keeps its place in the order.
    Skip,
}

/// Something to scan, with a note that comes back with what becomes of it.
pub struct Item<N = Origin> {
    /// How it is named in findings.
    pub name: Arc<str>,
    /// What is known of it.
    pub note: N,
    /// Its bytes.
    pub body: Body,
}

/// The commit that an item comes from, if it comes from one.
pub type Origin = Option<Arc<Commit>>;

/// What became of an item, in pieces.
#[derive(Debug)]
pub enum Event<N = Origin> {
    /// Some of what was found in it.
    Found {
        /// The findings.
        findings: Vec<Finding>,
        /// What is known of it.
        note: N,
    },
    /// It is done. `findings` of the report is empty.
    End {
        /// Its name.
        name: Arc<str>,
        /// What is known of it.
        note: N,
        /// How it ended.
        report: Report,
    },
    /// It could not be read.
    Unreadable {
        /// Its name.
        name: Arc<str>,
        /// What is known of it.
        note: N,
        /// Why.
        why: String,
    },
    /// There was nothing to look at.
    Skipped {
        /// What is known of it.
        note: N,
    },
}

/// How far a scan is, for whoever shows it.
#[derive(Debug, Default)]
pub struct Progress {
    /// Bytes that were read.
    pub bytes: AtomicU64,
    /// Bytes of the files that are known by now.
    pub known: AtomicU64,
    /// Items that are done.
    pub items: AtomicU64,
}

/// Where everybody is.
#[derive(Debug, Default)]
struct Turn {
    /// The item whose findings are being given.
    now: Mutex<u64>,
    moved: Condvar,
    /// Whoever takes the findings has gone.
    gone: AtomicBool,
}

fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

impl Turn {
    /// Waits until item `index` is at most `ahead` behind the present one; `false` when nobody listens.
    fn wait(&self, index: u64, ahead: u64) -> bool {
        let mut now = lock(&self.now);
        while index > *now + ahead && !self.gone.load(Ordering::SeqCst) {
            now = self.moved.wait(now).unwrap_or_else(PoisonError::into_inner);
        }
        !self.gone.load(Ordering::SeqCst)
    }

    fn at(&self, index: u64) -> bool {
        *lock(&self.now) == index
    }

    fn next(&self) {
        *lock(&self.now) += 1;
        self.moved.notify_all();
    }

    fn leave(&self) {
        let _now = lock(&self.now);
        self.gone.store(true, Ordering::SeqCst);
        self.moved.notify_all();
    }
}

/// Scans `items` with this effort and gives `sink` what becomes of them, in their order. Memory
/// does not grow with the size or the number of the items.
///
/// # Errors
/// The first error of `sink`; the scan ends with it.
pub fn scan<N: Clone + Send>(
    scanner: &Scanner,
    items: impl Iterator<Item = Item<N>> + Send,
    effort: Effort,
    progress: &Progress,
    mut sink: impl FnMut(Event<N>) -> io::Result<()>,
) -> io::Result<()> {
    let turn = Turn::default();
    let large = Mutex::new(());
    let (give, take) = sync_channel::<(u64, Item<N>)>(32);
    // Gone with the last worker, so that whoever feeds them does not wait for nobody.
    let take = Arc::new(Mutex::new(take));
    let (tell, hear) = sync_channel::<(u64, Event<N>)>(64);
    std::thread::scope(|scope| {
        let turn = &turn;
        scope.spawn(move || {
            for (index, item) in (0..).zip(items) {
                if let Body::File(path) = &item.body
                    && let Ok(about) = path.metadata()
                {
                    progress.known.fetch_add(about.len(), Ordering::Relaxed);
                }
                if !turn.wait(index, AHEAD) || give.send((index, item)).is_err() {
                    return;
                }
            }
        });
        for _ in 0..effort.threads.max(1) {
            let worker = Worker {
                scanner,
                effort,
                turn,
                large: &large,
                progress,
                tell: tell.clone(),
            };
            let take = Arc::clone(&take);
            scope.spawn(move || worker.work(&take));
        }
        drop(take);
        drop(tell);
        let result = give_in_order(turn, &hear, &mut sink);
        turn.leave();
        drop(hear);
        result
    })
}

fn give_in_order<N>(
    turn: &Turn,
    hear: &Receiver<(u64, Event<N>)>,
    sink: &mut impl FnMut(Event<N>) -> io::Result<()>,
) -> io::Result<()> {
    let mut waiting: BTreeMap<u64, Vec<Event<N>>> = BTreeMap::new();
    let mut present = 0;
    for (index, event) in hear {
        if index != present {
            waiting.entry(index).or_default().push(event);
            continue;
        }
        let mut events = vec![event];
        loop {
            let ended = events
                .iter()
                .any(|event| !matches!(event, Event::Found { .. }));
            for event in events {
                sink(event)?;
            }
            if !ended {
                break;
            }
            present += 1;
            turn.next();
            match waiting.remove(&present) {
                Some(next) => events = next,
                None => break,
            }
        }
    }
    Ok(())
}

struct Worker<'s, N> {
    scanner: &'s Scanner,
    effort: Effort,
    turn: &'s Turn,
    /// Held by who has a large document in memory.
    large: &'s Mutex<()>,
    progress: &'s Progress,
    tell: SyncSender<(u64, Event<N>)>,
}

impl<N: Clone + Send> Worker<'_, N> {
    fn work(&self, take: &Mutex<Receiver<(u64, Item<N>)>>) {
        // One buffer for all that this thread reads: fresh memory for each costs more than reading it.
        let mut buffer = Vec::new();
        loop {
            buffer.clear();
            // What one large document took is given back.
            buffer.shrink_to(self.effort.text);
            let next = lock(take).recv();
            let Ok((index, mut item)) = next else { return };
            let (name, note) = (Arc::clone(&item.name), item.note.clone());
            let end = if matches!(item.body, Body::Skip) {
                Event::Skipped { note }
            } else {
                match self.item(index, &mut item, &mut buffer) {
                    Ok(report) => Event::End { name, note, report },
                    Err(error) => Event::Unreadable {
                        name,
                        note,
                        why: error.to_string(),
                    },
                }
            };
            self.progress.items.fetch_add(1, Ordering::Relaxed);
            if self.tell.send((index, end)).is_err() {
                return;
            }
        }
    }

    fn item(&self, index: u64, item: &mut Item<N>, buffer: &mut Vec<u8>) -> io::Result<Report> {
        let body = std::mem::replace(&mut item.body, Body::Skip);
        match body {
            Body::Missing(why) => Err(io::Error::other(why)),
            Body::Skip => Err(io::Error::other("nothing to look at")),
            Body::Bytes(bytes) => {
                let read = bytes.len() as u64;
                self.progress.bytes.fetch_add(read, Ordering::Relaxed);
                Ok(self.document(index, item, &bytes))
            }
            Body::Stdin => self.stream(index, item, &mut io::stdin().lock(), None, buffer),
            Body::Stream(mut from) => self.stream(index, item, &mut from, None, buffer),
            Body::Sized(mut from, size) => self.stream(index, item, &mut from, Some(size), buffer),
            Body::File(path) => {
                let about = path.metadata()?;
                if !about.is_file() {
                    return Err(io::Error::other("not a regular file"));
                }
                let size = Some(about.len());
                self.stream(index, item, &mut File::open(path)?, size, buffer)
            }
        }
    }

    fn stream(
        &self,
        index: u64,
        item: &Item<N>,
        from: &mut dyn Read,
        said: Option<u64>,
        bytes: &mut Vec<u8>,
    ) -> io::Result<Report> {
        let from = &mut Counted {
            from,
            progress: self.progress,
        };
        let announced = said.map_or(0, |said| usize::try_from(said).unwrap_or(usize::MAX));
        if fill(from, bytes, self.effort.text, announced)? {
            return Ok(self.document(index, item, bytes));
        }
        let kind = kind(self.scanner, bytes);
        if matches!(kind, Kind::Text | Kind::Binary | Kind::Xml | Kind::Html) {
            return self.chunks(index, item, bytes, from, kind, Outcome::Scanned);
        }
        let _alone = lock(self.large);
        let most = self.effort.document;
        let mut reason = format!(
            "{} of more than {} MiB: its bytes were looked at, it was not opened",
            kind.as_str(),
            most >> 20
        );
        // What is known to be too large is not read to find that out.
        if announced > most {
            return self.chunks(index, item, bytes, from, kind, Outcome::Partly { reason });
        }
        // Memory is taken for what is said to come, and a byte more for its end; what is not announced waits in
        // a file until its end is known.
        let room = announced.saturating_add(1).min(most);
        bytes.reserve_exact(room.saturating_sub(bytes.len()));
        if fill(from, bytes, room, announced)? {
            return Ok(self.document(index, item, bytes));
        }
        let mut spill = Spill::of(from, most.saturating_sub(bytes.len()))?;
        if spill.ended {
            spill.append_to(bytes)?;
            return Ok(self.document(index, item, bytes));
        }
        if let Some(error) = spill.refused.take() {
            reason = format!(
                "{} of more than {} MiB could not be put aside to be opened ({error}): its bytes were looked at",
                kind.as_str(),
                self.effort.text >> 20
            );
        }
        let mut rest = spill.reader()?.chain(from);
        let outcome = Outcome::Partly { reason };
        self.chunks(index, item, bytes, &mut rest, kind, outcome)
    }

    fn document(&self, index: u64, item: &Item<N>, bytes: &[u8]) -> Report {
        let report = document::scan(self.scanner, &item.name, bytes, &Limits::default());
        self.whole(index, item, report)
    }

    fn whole(&self, index: u64, item: &Item<N>, mut report: Report) -> Report {
        let findings = std::mem::take(&mut report.findings);
        self.found(index, item, findings);
        report
    }

    fn found(&self, index: u64, item: &Item<N>, findings: Vec<Finding>) {
        if !findings.is_empty() {
            let note = item.note.clone();
            let _ = self.tell.send((index, Event::Found { findings, note }));
        }
    }

    fn chunks(
        &self,
        index: u64,
        item: &Item<N>,
        head: &mut Vec<u8>,
        from: &mut dyn Read,
        kind: Kind,
        outcome: Outcome,
    ) -> io::Result<Report> {
        let mut scanner = StreamScanner::new(self.scanner, Source::file(&item.name));
        let mut total = head.len() as u64;
        let mut waiting = 0;
        let mut take = |findings: Vec<Finding>| {
            waiting = if self.turn.at(index) {
                0
            } else {
                waiting + findings.len()
            };
            if waiting > WAITING {
                self.turn.wait(index, 0);
            }
            self.found(index, item, findings);
        };
        for piece in head.chunks(BLOCK) {
            take(scanner.push(piece));
        }
        // The head is done with; its room takes the rest piece by piece.
        head.clear();
        head.shrink_to(BLOCK);
        loop {
            head.clear();
            let last = fill(from, head, BLOCK, 0)?;
            total += head.len() as u64;
            take(scanner.push(head));
            if last {
                break;
            }
        }
        take(scanner.finish());
        Ok(Report {
            findings: Vec::new(),
            outcome,
            kind,
            bytes: total,
            documents: 1,
        })
    }
}

/// Reads until `most` bytes are there; whether the end was met. `said` bytes are said to come, so that a file
/// takes two calls: its bytes and its end.
fn fill(from: &mut dyn Read, to: &mut Vec<u8>, most: usize, said: usize) -> io::Result<bool> {
    let mut at = to.len();
    let end = loop {
        if at >= most {
            break Ok(false);
        }
        if at == to.len() {
            let room = match said.saturating_sub(at) {
                0 if said == 0 => PIECE,
                0 => PROBE,
                more => more.min(BLOCK),
            };
            to.resize(at + room.min(most - at), 0);
        }
        match from.read(&mut to[at..]) {
            Ok(0) => break Ok(true),
            Ok(n) => at += n,
            Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
            Err(error) => break Err(error),
        }
    };
    to.truncate(at);
    end
}

/// Tells how much is read.
struct Counted<'a> {
    from: &'a mut dyn Read,
    progress: &'a Progress,
}

impl Read for Counted<'_> {
    fn read(&mut self, to: &mut [u8]) -> io::Result<usize> {
        let n = self.from.read(to)?;
        self.progress.bytes.fetch_add(n as u64, Ordering::Relaxed);
        Ok(n)
    }
}

/// What the first bytes say that a file is.
fn kind(scanner: &Scanner, bytes: &[u8]) -> Kind {
    let head = &bytes[..bytes.len().min(4_096)];
    document::scan(scanner, "", head, &Limits::default()).kind
}
