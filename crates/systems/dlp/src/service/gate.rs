//! The upload gate: callers ask before they take a file, and the policy answers.

use std::sync::Arc;

use bytes::Bytes;
use sealwright_core::clock::HOUR;
use sealwright_core::{Clock, Digest, TenantId, TenantScope, UnixMicros};
use sealwright_ledger::{EntryDraft, Ledger};
use sealwright_notify::Outbox;
use sealwright_scan::document::{self, Limits, Outcome as Looked};
use sealwright_scan::{Finding, Scanner, Severity};
use sealwright_store::Store;
use serde::{Deserialize, Serialize};
use serde_json::json;
use utoipa::ToSchema;

use super::bucket::Buckets;
use super::bucket::walk::Remote;
use super::detect::Detection;
use super::files::{self, Body, Effort, Event, Item, Progress};
use super::{DlpError, tell};
use crate::model::finding::ids;
use crate::model::object::ObjectId;
use crate::model::policy::{PolicyAction, PolicyMode, by_name, decide};
use crate::store::{gate as rows, policy as policies};
use sealwright_core::{Id, IdKind};

/// The largest upload that is looked at in one piece.
pub const MOST_BYTES: usize = 64 << 20;
/// Findings of one upload that are kept.
const MOST_FINDINGS: usize = 10_000;

ids! {
    UploadKind, UploadId, "upl", "an upload";
}

/// What the gate says.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
#[serde(rename_all = "kebab-case")]
#[schema(as = UploadVerdict)]
pub enum Verdict {
    /// Take it.
    Pass,
    /// Take it only encrypted at rest.
    Encrypt,
    /// Take it only without what was found.
    Redact,
    /// Do not take it: it waits for a person.
    Hold,
}

impl Verdict {
    /// Every verdict, from the mildest.
    pub const ALL: [Self; 4] = [Self::Pass, Self::Encrypt, Self::Redact, Self::Hold];

    /// The name.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Pass => "pass",
            Self::Encrypt => "encrypt",
            Self::Redact => "redact",
            Self::Hold => "hold",
        }
    }

    const fn weight(self) -> u8 {
        match self {
            Self::Pass => 0,
            Self::Encrypt => 1,
            Self::Redact => 2,
            Self::Hold => 3,
        }
    }

    const fn of(action: PolicyAction) -> Self {
        match action {
            PolicyAction::Audit => Self::Pass,
            PolicyAction::Encrypt => Self::Encrypt,
            PolicyAction::Redact => Self::Redact,
            PolicyAction::Quarantine => Self::Hold,
        }
    }
}

by_name! { Verdict, "verdict"; }

/// An upload that was looked at.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Upload {
    /// Its id.
    pub id: UploadId,
    /// Whose it is.
    pub tenant: TenantId,
    /// How the caller named it.
    pub name: String,
    /// Where it would go.
    pub bucket: String,
    /// Bytes.
    pub size: i64,
    /// SHA-256 of the bytes.
    pub sha256: Digest,
    /// What the gate said.
    pub verdict: Verdict,
    /// What policies that are not enforced would have said.
    pub would: Verdict,
    /// `scanned`, `partly`, `unscannable`, and why.
    pub coverage: String,
    /// Findings by detector, as JSON.
    pub found: String,
    /// When.
    pub at: UnixMicros,
    /// How long the look took, in microseconds.
    pub took: i64,
    /// Who asked.
    pub by: String,
}

/// An answer of the gate.
#[derive(Debug, Clone)]
pub struct Answer {
    /// What is kept of it.
    pub upload: Upload,
    /// What was found; without values.
    pub findings: Vec<Finding>,
}

/// An upload that is to be looked at.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Given<'a> {
    /// Whose.
    pub tenant: TenantId,
    /// How it is called.
    pub name: &'a str,
    /// Where it goes.
    pub bucket: &'a str,
    /// Who brings it.
    pub by: &'a str,
    /// Since when it is looked at.
    pub at: UnixMicros,
    /// Bytes.
    pub size: u64,
    /// SHA-256 of them.
    pub sha256: Digest,
}

/// Looks at uploads.
#[derive(Debug, Clone)]
pub struct GateService {
    store: Store,
    ledger: Arc<Ledger>,
    clock: Arc<dyn Clock>,
    outbox: Arc<dyn Outbox>,
    detection: Detection,
}

impl GateService {
    /// Keeps what it says in `store`.
    #[must_use]
    pub fn new(
        store: Store,
        ledger: Arc<Ledger>,
        clock: Arc<dyn Clock>,
        outbox: Arc<dyn Outbox>,
        detection: Detection,
    ) -> Self {
        Self {
            store,
            ledger,
            clock,
            outbox,
            detection,
        }
    }

    /// The newest uploads of a scope.
    ///
    /// # Errors
    /// From the state.
    pub async fn list(&self, scope: TenantScope, limit: u32) -> Result<Vec<Upload>, DlpError> {
        Ok(rows::list(&self.store, scope, limit).await?)
    }

    /// Looks at an upload. What is found decides by the enforced policies; what could not be looked at as
    /// a whole is held as soon as any enforced policy holds: nothing passes on not knowing.
    ///
    /// # Errors
    /// [`DlpError::Invalid`] for too large an upload. When the scanner itself fails, there is no verdict:
    /// the caller's own rule decides, and the failure is in the ledger.
    pub async fn look(
        &self,
        tenant: TenantId,
        name: &str,
        bucket: &str,
        body: Bytes,
        by: &str,
    ) -> Result<Answer, DlpError> {
        if body.len() > MOST_BYTES {
            return Err(DlpError::Invalid(format!(
                "an upload of {} bytes; the gate looks at up to {MOST_BYTES}",
                body.len()
            )));
        }
        if name.len() > 1_024 || name.chars().any(char::is_control) || bucket.len() > 255 {
            return Err(DlpError::Invalid(
                "`name` has at most 1,024 bytes and no control characters, `bucket` at most 255"
                    .to_owned(),
            ));
        }
        let given = Given {
            tenant,
            name,
            bucket,
            by,
            at: self.clock.now(),
            size: body.len() as u64,
            sha256: Digest::of(&body),
        };
        let scanner = self.scanner(&given).await?;
        let shown: String = if name.is_empty() { "upload" } else { name }.to_owned();
        let looked = tokio::task::spawn_blocking(move || {
            document::scan(&scanner, &shown, &body, &Limits::default())
        })
        .await;
        match looked {
            Ok(report) => self.answer(&given, report.findings, &report.outcome).await,
            Err(error) => self.failed(&given, &error.to_string()).await,
        }
    }

    /// Looks at what was put aside, piece by piece: parts are one object there, so nothing hides between two.
    ///
    /// # Errors
    /// As [`Self::look`].
    pub(crate) async fn look_at(
        &self,
        given: &Given<'_>,
        buckets: &Arc<dyn Buckets>,
        object: &ObjectId,
    ) -> Result<Answer, DlpError> {
        let scanner = self.scanner(given).await?;
        let handle = tokio::runtime::Handle::current();
        let remote = Remote::new(Arc::clone(buckets), object.clone(), handle);
        let name: Arc<str> = given.name.into();
        let size = given.size;
        let looked = tokio::task::spawn_blocking(move || {
            let item = Item {
                name,
                note: (),
                body: Body::Sized(Box::new(remote), size),
            };
            let (mut findings, mut outcome) = (Vec::new(), None);
            let items = std::iter::once(item);
            files::scan(
                &scanner,
                items,
                Effort::on(1),
                &Progress::default(),
                |event| {
                    match event {
                        Event::Found { findings: more, .. } => {
                            let room = MOST_FINDINGS.saturating_sub(findings.len());
                            findings.extend(more.into_iter().take(room));
                        }
                        Event::End { report, .. } => outcome = Some(report.outcome),
                        Event::Unreadable { why, .. } => return Err(std::io::Error::other(why)),
                        Event::Skipped { .. } => {}
                    }
                    Ok(())
                },
            )
            .map(|()| (findings, outcome))
        })
        .await;
        match looked {
            Ok(Ok((findings, Some(outcome)))) => self.answer(given, findings, &outcome).await,
            Ok(Ok((_, None))) => self.failed(given, "the scan gave no outcome").await,
            Ok(Err(error)) => self.failed(given, &error.to_string()).await,
            Err(error) => self.failed(given, &error.to_string()).await,
        }
    }

    async fn scanner(&self, given: &Given<'_>) -> Result<Arc<Scanner>, DlpError> {
        match self.detection.scanner(given.tenant).await {
            Ok(scanner) => Ok(scanner),
            Err(error) => {
                self.down(given, &error.to_string()).await?;
                Err(DlpError::Unanswered(error.to_string()))
            }
        }
    }

    async fn failed(&self, given: &Given<'_>, why: &str) -> Result<Answer, DlpError> {
        let why = format!("the scanner failed: {why}");
        self.down(given, &why).await?;
        Err(DlpError::Unanswered(why))
    }

    /// What the policies say, kept and told.
    async fn answer(
        &self,
        given: &Given<'_>,
        findings: Vec<Finding>,
        outcome: &Looked,
    ) -> Result<Answer, DlpError> {
        let (tenant, by) = (given.tenant, given.by);
        let rules = policies::list(&self.store, TenantScope::One(tenant)).await?;
        let place = Some(given.bucket).filter(|bucket| !bucket.is_empty());
        let (mut verdict, mut would) = (Verdict::Pass, Verdict::Pass);
        // The worst of what people are to be told about at once.
        let mut told: Option<Severity> = None;
        let heavier = |a: Verdict, b: Verdict| if b.weight() > a.weight() { b } else { a };
        let mut found = std::collections::BTreeMap::<&str, u64>::new();
        for finding in &findings {
            *found.entry(finding.detector.as_ref()).or_default() += 1;
            let rule = decide(&rules, tenant, place, finding.class, finding.severity);
            would = heavier(would, Verdict::of(rule.action));
            if rule.alert && told.is_none_or(|worst| finding.severity > worst) {
                told = Some(finding.severity);
            }
            if rule.mode == PolicyMode::Enforce {
                verdict = heavier(verdict, Verdict::of(rule.action));
            }
        }
        let coverage = match outcome {
            Looked::Scanned => "scanned".to_owned(),
            Looked::Partly { reason } => format!("partly: {reason}"),
            Looked::Unscannable { reason } => format!("unscannable: {reason}"),
        };
        if *outcome != Looked::Scanned {
            would = Verdict::Hold;
            let holds = rules.iter().any(|policy| {
                policy.mode == PolicyMode::Enforce
                    && policy.action == PolicyAction::Quarantine
                    && policy.scope.tenant.is_none_or(|id| id == tenant)
                    && policy
                        .scope
                        .bucket
                        .as_deref()
                        .is_none_or(|one| Some(one) == place)
            });
            if holds {
                verdict = Verdict::Hold;
            }
        }
        let upload = Upload {
            id: UploadId::new(given.at),
            tenant,
            name: given.name.to_owned(),
            bucket: given.bucket.to_owned(),
            size: i64::try_from(given.size).unwrap_or(i64::MAX),
            sha256: given.sha256,
            verdict,
            would,
            coverage: coverage.chars().take(500).collect(),
            found: json!(found).to_string(),
            at: given.at,
            took: self.clock.now().since(given.at).max(0),
            by: by.to_owned(),
        };
        let mut tx = self.store.begin().await?;
        rows::insert(&mut tx, &upload).await?;
        if verdict == Verdict::Hold || told.is_some() {
            let message = tell::upload(&upload, told);
            self.outbox.enqueue(&mut tx, &message).await?;
        }
        if verdict != Verdict::Pass {
            let entry = EntryDraft::new(by, format!("dlp.upload.{verdict}"), upload.id.to_string())
                .tenant(tenant)
                .details(json!({
                    "name": upload.name, "bucket": upload.bucket, "size": upload.size,
                    "sha256": upload.sha256, "found": found, "coverage": upload.coverage,
                }));
            self.ledger.record(&mut tx, &entry).await?;
        }
        tx.commit().await?;
        self.ledger.nudge();
        Ok(Answer { upload, findings })
    }

    /// The scanner gave no answer: that is in the ledger, whatever the caller does then.
    async fn down(&self, given: &Given<'_>, why: &str) -> Result<(), DlpError> {
        let mut tx = self.store.begin().await?;
        let id = UploadId::new(given.at);
        let entry = EntryDraft::new(given.by, "dlp.upload.unanswered", id.to_string())
            .tenant(given.tenant)
            .details(json!({
                "name": given.name, "bucket": given.bucket, "sha256": given.sha256, "why": why,
            }));
        self.ledger.record(&mut tx, &entry).await?;
        let message = tell::unanswered(given.tenant, given.at.0 / HOUR, why);
        self.outbox.enqueue(&mut tx, &message).await?;
        tx.commit().await?;
        self.ledger.nudge();
        Ok(())
    }
}
