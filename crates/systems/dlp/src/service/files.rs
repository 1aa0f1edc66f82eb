//! Files and streams through the scanner: on all cores, in bounded memory, in the order in which they came.

use std::collections::BTreeMap;
use std::fs::File;
use std::io::{self, Read};
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::sync::mpsc::{Receiver, SyncSender, sync_channel};
use std::sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError};

use sealwright_scan::document::{self, Kind, Limits, Outcome, Report};
use sealwright_scan::{Finding, Scanner, Source, StreamScanner};
use serde::Serialize;

/// Bytes that are read at a time.
const BLOCK: usize = 1 << 20;
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
        loop {
            let next = lock(take).recv();
            let Ok((index, mut item)) = next else { return };
            let (name, note) = (Arc::clone(&item.name), item.note.clone());
            let end = if matches!(item.body, Body::Skip) {
                Event::Skipped { note }
            } else {
                match self.item(index, &mut item) {
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

    fn item(&self, index: u64, item: &mut Item<N>) -> io::Result<Report> {
        let body = std::mem::replace(&mut item.body, Body::Skip);
        match body {
            Body::Missing(why) => Err(io::Error::other(why)),
            Body::Skip => Err(io::Error::other("nothing to look at")),
            Body::Bytes(bytes) => {
                self.read(bytes.len());
                let report = document::scan(self.scanner, &item.name, &bytes, &Limits::default());
                Ok(self.whole(index, item, report))
            }
            Body::Stdin => self.stream(index, item, &mut io::stdin().lock(), None),
            Body::Stream(mut from) => self.stream(index, item, &mut from, None),
            Body::Sized(mut from, bytes) => self.stream(index, item, &mut from, Some(bytes)),
            Body::File(path) => {
                let about = path.metadata()?;
                if !about.is_file() {
                    return Err(io::Error::other("not a regular file"));
                }
                self.stream(index, item, &mut File::open(path)?, Some(about.len()))
            }
        }
    }

    fn read(&self, bytes: usize) {
        self.progress
            .bytes
            .fetch_add(bytes as u64, Ordering::Relaxed);
    }

    /// Reads until `most` bytes are there; whether the end was met.
    fn fill(&self, from: &mut dyn Read, to: &mut Vec<u8>, most: usize) -> io::Result<bool> {
        let mut block = vec![0; BLOCK];
        while to.len() < most {
            let room = (most - to.len()).min(BLOCK);
            match from.read(&mut block[..room]) {
                Ok(0) => return Ok(true),
                Ok(n) => {
                    self.read(n);
                    to.extend_from_slice(&block[..n]);
                }
                Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
                Err(error) => return Err(error),
            }
        }
        Ok(false)
    }

    fn stream(
        &self,
        index: u64,
        item: &Item<N>,
        from: &mut dyn Read,
        said: Option<u64>,
    ) -> io::Result<Report> {
        let mut bytes = Vec::new();
        if self.fill(from, &mut bytes, self.effort.text)? {
            let report = document::scan(self.scanner, &item.name, &bytes, &Limits::default());
            return Ok(self.whole(index, item, report));
        }
        let kind = kind(self.scanner, &bytes);
        if matches!(kind, Kind::Text | Kind::Binary | Kind::Xml | Kind::Html) {
            return self.chunks(index, item, bytes, from, kind, Outcome::Scanned);
        }
        let _alone = lock(self.large);
        // What is known to be too large is not held in memory to find that out.
        let small = said.is_none_or(|bytes| bytes <= self.effort.document as u64);
        if small && self.fill(from, &mut bytes, self.effort.document)? {
            let report = document::scan(self.scanner, &item.name, &bytes, &Limits::default());
            return Ok(self.whole(index, item, report));
        }
        let reason = format!(
            "{} of more than {} MiB: its bytes were looked at, it was not opened",
            kind.as_str(),
            self.effort.document >> 20
        );
        self.chunks(index, item, bytes, from, kind, Outcome::Partly { reason })
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
        head: Vec<u8>,
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
        drop(head);
        let mut block = Vec::new();
        loop {
            block.clear();
            let last = self.fill(from, &mut block, BLOCK)?;
            total += block.len() as u64;
            take(scanner.push(&block));
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

/// What the first bytes say that a file is.
fn kind(scanner: &Scanner, bytes: &[u8]) -> Kind {
    let head = &bytes[..bytes.len().min(4_096)];
    document::scan(scanner, "", head, &Limits::default()).kind
}

/// The files of paths: a folder gives what is in it, in the order of names; links inside folders are
/// not followed; `-` is standard input. `skip` says which paths inside folders are left out.
pub fn walk<'a>(
    paths: &'a [PathBuf],
    skip: &'a (dyn Fn(&Path) -> bool + Sync),
) -> impl Iterator<Item = Item> + Send + 'a {
    paths.iter().flat_map(move |root| {
        let single = |body| {
            let item = Item {
                name: root.to_string_lossy().into(),
                note: None,
                body,
            };
            Box::new(std::iter::once(item)) as Box<dyn Iterator<Item = Item> + Send>
        };
        if root.as_os_str() == "-" {
            return single(Body::Stdin);
        }
        match root.metadata() {
            Err(error) => single(Body::Missing(error.to_string())),
            Ok(about) if !about.is_dir() => single(Body::File(root.clone())),
            Ok(_) => Box::new(
                walkdir::WalkDir::new(root)
                    .sort_by_file_name()
                    .into_iter()
                    .filter_entry(move |entry| entry.depth() == 0 || !skip(entry.path()))
                    .filter_map(|entry| entry_of(root, entry)),
            ),
        }
    })
}

fn entry_of(root: &Path, entry: walkdir::Result<walkdir::DirEntry>) -> Option<Item> {
    let (name, body) = match entry {
        Ok(entry) if entry.file_type().is_file() => {
            let path = entry.into_path();
            (path.to_string_lossy().into(), Body::File(path))
        }
        Ok(entry) if entry.file_type().is_dir() || entry.file_type().is_symlink() => return None,
        Ok(entry) => (
            entry.path().to_string_lossy().into(),
            Body::Missing("not a regular file".to_owned()),
        ),
        Err(error) => (
            error.path().unwrap_or(root).to_string_lossy().into(),
            Body::Missing(error.to_string()),
        ),
    };
    Some(Item {
        name,
        note: None,
        body,
    })
}
