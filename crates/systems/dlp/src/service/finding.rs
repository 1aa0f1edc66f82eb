//! Findings: what people make of them, and the object around them with every value masked.

use std::sync::Arc;

use futures::TryStreamExt as _;
use sealwright_core::{Clock, Digest, TenantScope, UnixMicros};
use sealwright_ledger::{EntryDraft, Ledger};
use sealwright_store::Store;
use serde_json::{Value, json};

use super::DlpError;
use super::bucket::Buckets;
use crate::model::finding::{Covered, FindingId, FindingState, Outcome, StoredFinding};
use crate::model::object::ObjectId;
use crate::store::finding::{self as rows, FindingFilter};
use crate::store::scan;

/// The largest object of which a preview is made.
const MOST_PREVIEW: usize = 1 << 20;
/// Bytes around a finding that a preview shows.
const AROUND: usize = 160;

/// Keeps findings.
#[derive(Debug, Clone)]
pub struct FindingService {
    store: Store,
    ledger: Arc<Ledger>,
    clock: Arc<dyn Clock>,
    buckets: Arc<dyn Buckets>,
}

/// What is decided about a finding.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct FindingDecision {
    /// The state.
    pub state: FindingState,
    /// Who looks after it.
    pub owner: String,
    /// Why.
    pub note: String,
    /// Until when it is accepted.
    pub until: Option<UnixMicros>,
}

/// A piece of an object with every value in it masked.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Excerpt {
    /// What stands before.
    pub before: String,
    /// Stars in the place of the value.
    pub masked: String,
    /// What stands after.
    pub after: String,
}

impl FindingService {
    /// Keeps them in `store`; previews are read from `buckets`.
    #[must_use]
    pub fn new(
        store: Store,
        ledger: Arc<Ledger>,
        clock: Arc<dyn Clock>,
        buckets: Arc<dyn Buckets>,
    ) -> Self {
        Self {
            store,
            ledger,
            clock,
            buckets,
        }
    }

    /// Findings of a scope, newest first.
    ///
    /// # Errors
    /// From the state.
    pub async fn list(
        &self,
        scope: TenantScope,
        filter: &FindingFilter,
    ) -> Result<Vec<StoredFinding>, DlpError> {
        Ok(rows::list(&self.store, scope, filter).await?)
    }

    /// One finding.
    ///
    /// # Errors
    /// [`DlpError::NotFound`].
    pub async fn find(&self, scope: TenantScope, id: FindingId) -> Result<StoredFinding, DlpError> {
        rows::find(&self.store, scope, id)
            .await?
            .ok_or_else(|| DlpError::NotFound(format!("the finding {id}")))
    }

    /// Open findings, by severity and class.
    ///
    /// # Errors
    /// From the state.
    pub async fn open(&self, scope: TenantScope) -> Result<Vec<(String, String, i64)>, DlpError> {
        Ok(rows::open(&self.store, scope).await?)
    }

    /// The coverage ledger: versions that ended in one way, or all.
    ///
    /// # Errors
    /// From the state.
    pub async fn coverage(
        &self,
        scope: TenantScope,
        outcome: Option<Outcome>,
        after: Option<&ObjectId>,
        limit: u32,
    ) -> Result<Vec<Covered>, DlpError> {
        Ok(scan::coverage(&self.store, scope, outcome, after, limit).await?)
    }

    /// How many versions ended in which way.
    ///
    /// # Errors
    /// From the state.
    pub async fn outcomes(
        &self,
        scope: TenantScope,
    ) -> Result<std::collections::BTreeMap<String, i64>, DlpError> {
        Ok(scan::outcomes(&self.store, scope).await?)
    }

    /// Notes what people make of a finding.
    ///
    /// # Errors
    /// [`DlpError::Invalid`] for an acceptance without an end or a reason.
    pub async fn decide(
        &self,
        scope: TenantScope,
        id: FindingId,
        decision: FindingDecision,
        actor: &str,
    ) -> Result<StoredFinding, DlpError> {
        let now = self.clock.now();
        if decision.note.len() > 2_000 || decision.owner.len() > 200 {
            return Err(DlpError::Invalid(
                "`note` has at most 2,000 bytes and `owner` 200".to_owned(),
            ));
        }
        match (decision.state, decision.until) {
            (FindingState::Accepted, None) => {
                return Err(DlpError::Invalid(
                    "an acceptance needs its last day in `until`".to_owned(),
                ));
            }
            (FindingState::Accepted, Some(until)) if until <= now => {
                return Err(DlpError::Invalid("`until` must be to come".to_owned()));
            }
            (state, Some(_)) if state != FindingState::Accepted => {
                return Err(DlpError::Invalid(
                    "`until` is for acceptances only".to_owned(),
                ));
            }
            (FindingState::Accepted | FindingState::FalsePositive, _)
                if decision.note.trim().is_empty() =>
            {
                return Err(DlpError::Invalid("say why in `note`".to_owned()));
            }
            _ => {}
        }
        let before = self.find(scope, id).await?;
        let mut after = before.clone();
        after.state = decision.state;
        after.owner = decision.owner;
        after.note = decision.note;
        after.until = decision.until;
        after.changed_by = actor.to_owned();
        let mut tx = self.store.begin().await?;
        rows::decide(&mut tx, &after).await?;
        let entry = EntryDraft::new(actor, "dlp.finding.decide", id.to_string())
            .tenant(after.tenant)
            .before(Digest::of_json(&state(&before)))
            .after(Digest::of_json(&state(&after)))
            .details(state(&after));
        self.ledger.record(&mut tx, &entry).await?;
        tx.commit().await?;
        self.ledger.nudge();
        Ok(after)
    }

    /// The text around a finding, with every finding of the object masked; `None` when it cannot be shown:
    /// the finding is in a document inside, or the object is large, gone or no text.
    ///
    /// # Errors
    /// From the state.
    pub async fn excerpt(&self, finding: &StoredFinding) -> Result<Option<Excerpt>, DlpError> {
        if !finding.inner.is_empty() {
            return Ok(None);
        }
        let scope = TenantScope::One(finding.tenant);
        let all = rows::of_object(&self.store, scope, &finding.object).await?;
        let Ok(mut chunks) = self.buckets.get(&finding.object).await else {
            return Ok(None);
        };
        let mut bytes = Vec::new();
        while let Ok(Some(piece)) = chunks.try_next().await {
            bytes.extend_from_slice(&piece);
            if bytes.len() > MOST_PREVIEW {
                return Ok(None);
            }
        }
        let places: Vec<(usize, usize)> = all
            .iter()
            .filter(|one| one.inner.is_empty())
            .map(|one| (place(one.start), place(one.end)))
            .collect();
        Ok(excerpt(
            bytes,
            &places,
            (place(finding.start), place(finding.end)),
        ))
    }
}

fn place(n: i64) -> usize {
    usize::try_from(n).unwrap_or(0)
}

/// Masks every place, and cuts around one of them. Bytes that are no text make it `None`.
fn excerpt(
    mut bytes: Vec<u8>,
    places: &[(usize, usize)],
    (start, end): (usize, usize),
) -> Option<Excerpt> {
    if start >= end || end > bytes.len() {
        return None;
    }
    for (from, to) in places {
        let to = (*to).min(bytes.len());
        if let Some(part) = bytes.get_mut(*from..to) {
            part.fill(b'*');
        }
    }
    bytes[start..end].fill(b'*');
    let text = |part: &[u8]| -> Option<String> {
        // A cut may have hit a character: its rest is left out.
        let text = String::from_utf8_lossy(part);
        let bad = text.chars().filter(|c| *c == '\u{fffd}').count();
        (bad <= 6).then(|| text.trim_matches('\u{fffd}').to_owned())
    };
    Some(Excerpt {
        before: text(&bytes[start.saturating_sub(AROUND)..start])?,
        masked: "*".repeat((end - start).min(24)),
        after: text(&bytes[end..(end + AROUND).min(bytes.len())])?,
    })
}

fn state(one: &StoredFinding) -> Value {
    json!({
        "id": one.id, "object": one.object.to_string(), "detector": one.detector,
        "fingerprint": one.fingerprint, "state": one.state, "owner": one.owner, "note": one.note,
        "until": one.until.map(|until| until.to_string()),
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_excerpt_masks_every_finding_in_it() {
        let text = "a 4111111111111111 b 5500005555555559 c".to_owned();
        let cut = excerpt(text.into_bytes(), &[(2, 18), (21, 37)], (2, 18)).unwrap();
        assert_eq!(cut.before, "a ");
        assert_eq!(cut.masked, "****************");
        assert_eq!(cut.after, " b **************** c");
        assert_eq!(excerpt(b"x".to_vec(), &[], (0, 9)), None);
    }
}
