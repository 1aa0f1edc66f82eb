//! Scans of places: every version that the listing gives ends with an outcome in the coverage ledger.

use std::collections::{HashMap, VecDeque};
use std::io;
use std::sync::Arc;

use sealwright_core::{Clock, TenantScope};
use sealwright_ledger::{EntryDraft, Ledger};
use sealwright_notify::Outbox;
use sealwright_scan::document::Outcome as Looked;
use sealwright_scan::{Finding, Severity};
use sealwright_store::Store;
use serde_json::json;
use tokio::runtime::Handle;

use super::bucket::walk::Remote;
use super::bucket::{Buckets, Listed, Place as Cursor};
use super::detect::Detection;
use super::files::{self, Body, Effort, Event, Item, Progress};
use super::place::PlaceService;
use super::{DlpError, tell};
use crate::model::finding::{
    Counts, Covered, FindingId, FindingState, Outcome, Place, PlaceId, Scan, ScanId, ScanState,
    StoredFinding,
};
use crate::model::object::{ObjectId, address};
use crate::model::policy::{Policy, decide};
use crate::store::{finding as findings, policy as policies, scan as rows};

/// Findings of one object that are kept; more end it as `partly`.
const MOST_FINDINGS: usize = 10_000;
/// Lines of the coverage ledger in one transaction.
const LINES: usize = 256;
/// Most findings in one transaction.
const FINDINGS: usize = 4_000;

/// Scans places.
#[derive(Debug, Clone)]
pub struct ScanService {
    store: Store,
    ledger: Arc<Ledger>,
    clock: Arc<dyn Clock>,
    buckets: Arc<dyn Buckets>,
    outbox: Arc<dyn Outbox>,
    detection: Detection,
    places: PlaceService,
    effort: Effort,
}

/// Whether a scan shall go on; asked between transactions.
pub type Watch<'a> = &'a mut (dyn FnMut(&Scan) -> bool + Send);

impl ScanService {
    /// Scans what `buckets` gives.
    #[must_use]
    pub fn new(
        store: Store,
        ledger: Arc<Ledger>,
        clock: Arc<dyn Clock>,
        buckets: Arc<dyn Buckets>,
        outbox: Arc<dyn Outbox>,
        detection: Detection,
        threads: usize,
    ) -> Self {
        Self {
            places: PlaceService::new(store.clone(), Arc::clone(&ledger), Arc::clone(&clock)),
            store,
            ledger,
            clock,
            buckets,
            outbox,
            detection,
            effort: Effort {
                text: 8 << 20,
                document: 128 << 20,
                ..Effort::on(threads)
            },
        }
    }

    /// The newest scans of a scope.
    ///
    /// # Errors
    /// From the state.
    pub async fn list(&self, scope: TenantScope, limit: u32) -> Result<Vec<Scan>, DlpError> {
        Ok(rows::list(&self.store, scope, limit).await?)
    }

    /// One scan.
    ///
    /// # Errors
    /// [`DlpError::NotFound`].
    pub async fn find(&self, scope: TenantScope, id: ScanId) -> Result<Scan, DlpError> {
        rows::find(&self.store, scope, id)
            .await?
            .ok_or_else(|| DlpError::NotFound(format!("the scan {id}")))
    }

    /// Begins a scan of a place, or takes up the one that did not come to its end with the same
    /// detectors.
    ///
    /// # Errors
    /// [`DlpError::NotFound`].
    pub async fn begin(
        &self,
        scope: TenantScope,
        place: PlaceId,
        actor: &str,
    ) -> Result<Scan, DlpError> {
        let place = self.places.find(scope, place).await?;
        let before = rows::unfinished(&self.store, place.id).await?;
        if let Some(mut scan) = before.filter(|scan| scan.detector_set == self.detection.set()) {
            scan.state = ScanState::Running;
            scan.problem.clear();
            scan.ended_at = None;
            let mut tx = self.store.begin().await?;
            rows::put(&mut tx, &scan).await?;
            tx.commit().await?;
            return Ok(scan);
        }
        let now = self.clock.now();
        let scan = Scan {
            id: ScanId::new(now),
            tenant: place.tenant,
            place: place.id,
            detector_set: self.detection.set().to_owned(),
            state: ScanState::Running,
            cursor: String::new(),
            counts: Counts::default(),
            started_at: now,
            started_by: actor.to_owned(),
            ended_at: None,
            problem: String::new(),
        };
        let mut tx = self.store.begin().await?;
        rows::put(&mut tx, &scan).await?;
        let entry = EntryDraft::new(actor, "dlp.scan.begin", scan.id.to_string())
            .tenant(scan.tenant)
            .details(json!({ "place": place.id, "detectors": scan.detector_set }));
        self.ledger.record(&mut tx, &entry).await?;
        tx.commit().await?;
        self.ledger.nudge();
        Ok(scan)
    }

    /// Goes through the place. When it cannot go on, the scan is `stopped` with the reason, and another
    /// [`Self::begin`] takes it up at the last page that was done.
    ///
    /// # Errors
    /// From the state; what the bucket says ends in the scan.
    pub async fn run(&self, scan: Scan, actor: &str, watch: Watch<'_>) -> Result<Scan, DlpError> {
        let place = self
            .places
            .find(TenantScope::One(scan.tenant), scan.place)
            .await?;
        let scope = TenantScope::One(scan.tenant);
        let scanner = self.detection.scanner(scan.tenant).await?;
        let rules = policies::list(&self.store, scope).await?;
        let mut writer = Writer {
            service: self,
            place: &place,
            rules,
            scan,
            pending: Counts::default(),
            open: HashMap::new(),
            lines: Vec::new(),
            found: Vec::new(),
            told: 0,
            untold: 0,
            worst: Severity::Low,
            handle: Handle::current(),
            watch,
        };
        let from = if writer.scan.cursor.is_empty() {
            None
        } else {
            Some(
                serde_json::from_str(&writer.scan.cursor)
                    .map_err(|error| DlpError::Internal(format!("scan cursor: {error}")))?,
            )
        };
        let pages = Pages {
            service: self,
            place: &place,
            handle: Handle::current(),
            next: Some(from),
            waiting: VecDeque::new(),
        };
        let progress = Progress::default();
        let effort = self.effort;
        // The scan's own threads wait for the network and the state; this one only waits for them.
        let result = tokio::task::block_in_place(|| {
            files::scan(&scanner, pages, effort, &progress, |event| {
                writer.take(event)
            })
        });
        let (untold, worst) = (writer.untold, writer.worst);
        let mut scan = writer.scan;
        scan.ended_at = Some(self.clock.now());
        match result {
            Ok(()) if scan.counts.reconciles() => scan.state = ScanState::Done,
            Ok(()) => {
                scan.state = ScanState::Stopped;
                scan.problem = "the counts do not add up to the listing".to_owned();
            }
            Err(error) => {
                scan.state = ScanState::Stopped;
                scan.problem = error.to_string();
            }
        }
        let mut tx = self.store.begin().await?;
        rows::put(&mut tx, &scan).await?;
        let action = match scan.state {
            ScanState::Done => "dlp.scan.done",
            _ => "dlp.scan.stop",
        };
        let entry = EntryDraft::new(actor, action, scan.id.to_string())
            .tenant(scan.tenant)
            .details(json!({ "counts": scan.counts, "problem": scan.problem }));
        self.ledger.record(&mut tx, &entry).await?;
        if untold > 0 {
            let message = tell::more_found(&scan, untold, worst);
            self.outbox.enqueue(&mut tx, &message).await?;
        }
        if scan.state == ScanState::Stopped {
            self.outbox
                .enqueue(&mut tx, &tell::scan_stopped(&scan))
                .await?;
        }
        tx.commit().await?;
        self.ledger.nudge();
        Ok(scan)
    }
}

/// A version on its way through the scan.
#[derive(Debug, Clone)]
struct Entry {
    listed: Arc<Listed>,
    /// What is true of it without a look.
    known: Option<Known>,
    /// It is the last of its page, and the listing goes on there.
    page_end: Option<Option<Cursor>>,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Known {
    Marker,
    Unchanged,
}

/// The versions of a place, page by page, from the thread that feeds the scan.
struct Pages<'a> {
    service: &'a ScanService,
    place: &'a Place,
    handle: Handle,
    next: Option<Option<Cursor>>,
    waiting: VecDeque<Item<Result<Entry, String>>>,
}

impl Pages<'_> {
    async fn page(&mut self, from: Option<Cursor>) -> Result<(), DlpError> {
        let bad = |error: super::bucket::BucketError| DlpError::Internal(error.to_string());
        let listing = self
            .service
            .buckets
            .list(&self.place.bucket, &self.place.prefix, from.as_ref())
            .await
            .map_err(bad)?;
        let last = listing.versions.len().checked_sub(1);
        self.next = listing.next.clone().map(Some);
        for (index, listed) in listing.versions.into_iter().enumerate() {
            let known = if listed.marker {
                Some(Known::Marker)
            } else {
                self.unchanged(&listed).await?.then_some(Known::Unchanged)
            };
            let name = address(&listed.id.bucket, &listed.id.key).into();
            let body = match known {
                Some(_) => Body::Skip,
                None => {
                    let remote = Remote::new(
                        Arc::clone(&self.service.buckets),
                        listed.id.clone(),
                        self.handle.clone(),
                    );
                    Body::Sized(Box::new(remote), listed.size)
                }
            };
            self.waiting.push_back(Item {
                name,
                note: Ok(Entry {
                    listed: Arc::new(listed),
                    known,
                    page_end: (Some(index) == last).then(|| listing.next.clone()),
                }),
                body,
            });
        }
        Ok(())
    }

    /// Whether it was looked at whole, or in vain, with the same detectors, and is the same since.
    async fn unchanged(&self, listed: &Listed) -> Result<bool, DlpError> {
        let line = rows::covered(&self.service.store, &listed.id).await?;
        Ok(line.is_some_and(|line| {
            line.etag == listed.etag
                && line.written == listed.written
                && line.tenant == self.place.tenant
                && line.detector_set == self.service.detection.set()
        }))
    }
}

impl Iterator for Pages<'_> {
    type Item = Item<Result<Entry, String>>;

    fn next(&mut self) -> Option<Self::Item> {
        while self.waiting.is_empty() {
            let from = self.next.take()?;
            let handle = self.handle.clone();
            if let Err(error) = handle.block_on(self.page(from)) {
                self.next = None;
                // The scan stops here, in its order: what came before is kept.
                return Some(Item {
                    name: "".into(),
                    note: Err(error.to_string()),
                    body: Body::Skip,
                });
            }
        }
        self.waiting.pop_front()
    }
}

/// Keeps what the scan finds, in its order, and the place of the listing with it.
struct Writer<'a> {
    service: &'a ScanService,
    place: &'a Place,
    rules: Vec<Policy>,
    scan: Scan,
    /// Counts since the last page's end: they become true together with the cursor.
    pending: Counts,
    /// Findings of objects that have not ended.
    open: HashMap<ObjectId, Vec<Finding>>,
    lines: Vec<Covered>,
    /// What was found, and whether people are told at once.
    found: Vec<(StoredFinding, bool)>,
    /// Objects that people were told about one by one, and those beyond, with the worst in them.
    told: u64,
    untold: u64,
    worst: Severity,
    handle: Handle,
    watch: Watch<'a>,
}

impl Writer<'_> {
    fn take(&mut self, event: Event<Result<Entry, String>>) -> io::Result<()> {
        let (note, end) = match event {
            Event::Found { findings, note } => {
                let entry = note.map_err(io::Error::other)?;
                let kept = self.open.entry(entry.listed.id.clone()).or_default();
                let room = MOST_FINDINGS + 1 - kept.len().min(MOST_FINDINGS + 1);
                kept.extend(findings.into_iter().take(room));
                return Ok(());
            }
            Event::Skipped { note } => (note, None),
            Event::End { note, report, .. } => {
                let (outcome, reason) = match report.outcome {
                    Looked::Scanned => (Outcome::Scanned, String::new()),
                    Looked::Partly { reason } => (Outcome::Partly, reason),
                    Looked::Unscannable { reason } => (Outcome::Unscannable, reason),
                };
                self.pending.bytes += i64::try_from(report.bytes).unwrap_or(i64::MAX);
                (note, Some((outcome, reason)))
            }
            Event::Unreadable { note, why, .. } => (note, Some((Outcome::Unscannable, why))),
        };
        let entry = note.map_err(io::Error::other)?;
        self.pending.listed += 1;
        match (entry.known, end) {
            (Some(Known::Marker), _) => self.pending.markers += 1,
            (Some(Known::Unchanged), _) => self.pending.unchanged += 1,
            (None, None) => {
                return Err(io::Error::other("a version was skipped without a reason"));
            }
            (None, Some((outcome, reason))) => self.ended(&entry.listed, outcome, reason),
        }
        if let Some(next) = entry.page_end {
            self.scan.cursor = match next {
                None => self.scan.cursor.clone(),
                Some(cursor) => serde_json::to_string(&cursor)?,
            };
            let add = std::mem::take(&mut self.pending);
            let counts = &mut self.scan.counts;
            counts.listed += add.listed;
            counts.scanned += add.scanned;
            counts.partly += add.partly;
            counts.unscannable += add.unscannable;
            counts.unchanged += add.unchanged;
            counts.markers += add.markers;
            counts.findings += add.findings;
            counts.bytes += add.bytes;
            self.keep(true)?;
            if !(self.watch)(&self.scan) {
                return Err(io::Error::other("it was asked to stop"));
            }
        } else if self.lines.len() >= LINES || self.found.len() >= FINDINGS {
            self.keep(false)?;
        }
        Ok(())
    }

    fn ended(&mut self, listed: &Listed, mut outcome: Outcome, mut reason: String) {
        let mut found = self.open.remove(&listed.id).unwrap_or_default();
        if found.len() > MOST_FINDINGS {
            found.truncate(MOST_FINDINGS);
            outcome = Outcome::Partly;
            reason = format!("more than {MOST_FINDINGS} findings; the first of them are kept");
        }
        match outcome {
            Outcome::Scanned => self.pending.scanned += 1,
            Outcome::Partly => self.pending.partly += 1,
            Outcome::Unscannable => self.pending.unscannable += 1,
        }
        let number = i64::try_from(found.len()).unwrap_or(i64::MAX);
        self.pending.findings += number;
        let now = self.service.clock.now();
        self.lines.push(Covered {
            id: listed.id.clone(),
            tenant: self.place.tenant,
            place: self.place.id,
            etag: listed.etag.clone(),
            size: i64::try_from(listed.size).unwrap_or(i64::MAX),
            written: listed.written,
            detector_set: self.scan.detector_set.clone(),
            outcome,
            reason: reason.chars().take(500).collect(),
            findings: number,
            scan: self.scan.id,
            scanned_at: now,
        });
        for finding in found {
            let rule = decide(
                &self.rules,
                self.place.tenant,
                Some(&self.place.bucket),
                finding.class,
                finding.severity,
            );
            let kept = stored(self.place, &listed.id, &finding, rule, now);
            self.found.push((kept, rule.alert));
        }
    }

    /// Writes what waits, in one transaction; with the cursor only at the end of a page.
    fn keep(&mut self, with_cursor: bool) -> io::Result<()> {
        let lines = std::mem::take(&mut self.lines);
        let found = std::mem::take(&mut self.found);
        let scan = &self.scan;
        let (store, outbox) = (&self.service.store, &self.service.outbox);
        let (mut told, mut untold, mut worst) = (self.told, self.untold, self.worst);
        self.handle
            .block_on(async {
                let mut tx = store.begin().await?;
                for line in &lines {
                    rows::cover(&mut tx, line).await?;
                }
                // All findings of an object are here together.
                let mut new: Vec<&StoredFinding> = Vec::new();
                for (number, (finding, alert)) in found.iter().enumerate() {
                    if findings::see(&mut tx, finding).await? && *alert {
                        new.push(finding);
                    }
                    let next = found.get(number + 1);
                    if new.is_empty() || next.is_some_and(|(one, _)| one.object == finding.object) {
                        continue;
                    }
                    let here = std::mem::take(&mut new);
                    if told >= tell::MOST_OBJECTS {
                        untold += 1;
                        worst = here.iter().map(|one| one.severity).fold(worst, Ord::max);
                    } else if let Some(message) = tell::found(&here) {
                        outbox.enqueue(&mut tx, &message).await?;
                        told += 1;
                    }
                }
                if with_cursor {
                    rows::put(&mut tx, scan).await?;
                }
                tx.commit().await
            })
            .map_err(io::Error::other)?;
        (self.told, self.untold, self.worst) = (told, untold, worst);
        Ok(())
    }
}

pub(crate) fn stored(
    place: &Place,
    object: &ObjectId,
    finding: &Finding,
    rule: crate::model::Decision,
    now: sealwright_core::UnixMicros,
) -> StoredFinding {
    let whole = |n: u64| i64::try_from(n).unwrap_or(i64::MAX);
    StoredFinding {
        id: FindingId::new(now),
        tenant: place.tenant,
        object: object.clone(),
        inner: finding.inner.as_deref().unwrap_or_default().to_owned(),
        line: whole(finding.line),
        column: whole(finding.column),
        start: whole(finding.start),
        end: whole(finding.end),
        detector: finding.detector.to_string(),
        title: finding.title.to_string(),
        class: finding.class,
        severity: finding.severity,
        confidence: (finding.confidence * 100.0).round() as i64,
        reasons: finding.reasons.clone(),
        fingerprint: finding.fingerprint.to_string(),
        action: rule.action,
        mode: rule.mode,
        state: FindingState::Open,
        owner: String::new(),
        note: String::new(),
        until: None,
        first_seen: now,
        last_seen: now,
        changed_by: String::new(),
    }
}
