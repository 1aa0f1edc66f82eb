//! Sources of events: how far they are, which are silent, what could not be evaluated.

use std::sync::Arc;

use sealwright_core::{Clock, TenantId, TenantScope};
use sealwright_ledger::{EntryDraft, Ledger};
use sealwright_store::Store;
use serde_json::json;

use super::SiemError;
use super::raise::{Batch, Match, Raiser};
use super::ruleset::Active;
use crate::model::{Entity, Matched, RuleRef, Severity};
use crate::store::source::{self as rows, Aside, Source};

/// The id of the alarm for a silent source.
pub const SILENT: &str = "sealwright-source-silent";

/// Looks after sources.
#[derive(Debug, Clone)]
pub struct SourceService {
    store: Store,
    ledger: Arc<Ledger>,
    clock: Arc<dyn Clock>,
    raiser: Raiser,
    /// How long a source may be silent, in microseconds, when nothing is set for it.
    silence: i64,
}

impl SourceService {
    /// Looks after the sources in `store`; silence of more than `silence` microseconds raises an alert.
    pub fn new(
        store: Store,
        ledger: Arc<Ledger>,
        clock: Arc<dyn Clock>,
        raiser: Raiser,
        silence: i64,
    ) -> Self {
        Self {
            store,
            ledger,
            clock,
            raiser,
            silence,
        }
    }

    /// How long a source may be silent when nothing is set for it, in microseconds.
    pub fn silence(&self) -> i64 {
        self.silence
    }

    /// Sources.
    ///
    /// # Errors
    /// From the state.
    pub async fn list(&self, scope: TenantScope) -> Result<Vec<Source>, SiemError> {
        Ok(rows::list(&self.store, scope).await?)
    }

    /// Events that were too late for correlations.
    ///
    /// # Errors
    /// From the state.
    pub async fn late(&self, scope: TenantScope, limit: u32) -> Result<Vec<Aside>, SiemError> {
        Ok(rows::late(&self.store, scope, limit).await?)
    }

    /// Events that could not be evaluated.
    ///
    /// # Errors
    /// From the state.
    pub async fn dead_letters(
        &self,
        scope: TenantScope,
        waiting: bool,
        limit: u32,
    ) -> Result<Vec<Aside>, SiemError> {
        Ok(rows::dead(&self.store, scope, waiting, limit).await?)
    }

    /// Sets how long a source may be silent; `None` for the default.
    ///
    /// # Errors
    /// [`SiemError::NotFound`].
    pub async fn set_silence(
        &self,
        tenant: TenantId,
        source: &str,
        silence: Option<i64>,
        actor: &str,
    ) -> Result<(), SiemError> {
        let mut tx = self.store.begin().await?;
        if !rows::set_silence(&mut tx, tenant, source, silence).await? {
            return Err(SiemError::NotFound(format!("the source `{source}`")));
        }
        let entry = EntryDraft::new(actor, "siem.source.set", tenant.to_string())
            .tenant(tenant)
            .details(json!({ "source": source, "silence_us": silence }));
        self.ledger.record(&mut tx, &entry).await?;
        tx.commit().await?;
        self.ledger.nudge();
        Ok(())
    }

    /// Raises an alert for each source that has fallen silent; says how many.
    ///
    /// # Errors
    /// From the state.
    pub async fn alarm(&self) -> Result<u64, SiemError> {
        let now = self.clock.now();
        let mut raised = 0;
        for source in rows::silent(&self.store, now, self.silence).await? {
            let mut tx = self.store.begin().await?;
            if !rows::alarmed(&mut tx, &source, now).await? {
                continue;
            }
            let allowed = source.silence.unwrap_or(self.silence) / 1_000_000;
            let quiet = now.since(source.last_received) / 1_000_000;
            let found = Match {
                tenant: source.tenant,
                rule: silent_rule(),
                key: format!("{SILENT} {}", source.source),
                count: 1,
                first: source.last_received,
                last: now,
                entities: vec![Entity {
                    kind: "source".to_owned(),
                    value: source.source.clone(),
                }],
                matched: vec![Matched {
                    what: "seconds without an event".to_owned(),
                    wanted: vec![format!("more than {allowed}")],
                    found: vec![quiet.to_string()],
                }],
                window: None,
                events: Vec::new(),
                events_total: 0,
            };
            self.raiser
                .raise(&mut tx, &mut Batch::default(), found)
                .await?;
            tx.commit().await?;
            self.raiser.committed();
            raised += 1;
        }
        Ok(raised)
    }
}

fn silent_rule() -> Active {
    let description = "A source that sent events sends none any more. What happens there is not seen: \
                       check the source, its key and the network between.";
    Active {
        reference: Arc::new(RuleRef {
            id: SILENT.to_owned(),
            title: "A source has fallen silent".to_owned(),
            kind: "alarm".to_owned(),
            author: Some("Sealwright".to_owned()),
            license: None,
            description: Some(description.to_owned()),
            tags: vec![
                "attack.defense-evasion".to_owned(),
                "attack.t1562.008".to_owned(),
            ],
            falsepositives: vec![
                "A source that sends rarely: set how long it may be silent.".to_owned(),
            ],
            evidence: vec!["CC7.2".to_owned()],
            digest: sealwright_core::Digest::of(description.as_bytes()),
        }),
        severity: Severity::Medium,
        raises: true,
        actions: Vec::new(),
    }
}
