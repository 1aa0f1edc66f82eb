//! Erasure of a subject's events from everything that holds events: the lake, and the log before it.

use std::sync::Arc;

use async_trait::async_trait;
use sealwright_access::Principal;
use sealwright_core::clock::DAY;
use sealwright_core::{Problem, TenantId};
use sealwright_intake::TrimTo;
use sealwright_lake::api::{Erased, Eraser, NewErasure};
use sealwright_lake::{Erasure, ErasureKey, READER_PATIENCE};
use sealwright_ledger::EntryDraft;
use serde_json::{Value, json};

use crate::installation::Installation;

/// Erases in an installation.
pub(crate) struct EraseEverywhere(pub(crate) Arc<Installation>);

#[async_trait]
impl Eraser for EraseEverywhere {
    async fn erase(&self, by: &Principal, new: &NewErasure) -> Result<Erased, Problem> {
        let installation = &self.0;
        let state = &installation.state;
        let missing = || Problem::not_found(format!("there is no tenant `{}`", new.tenant));
        let tenant = state.access.directory().resolve(&new.tenant);
        let tenant = tenant
            .filter(|tenant| by.tenants.allows(tenant.id))
            .ok_or_else(missing)?
            .id;
        if !installation.lake.owned() {
            return Err(Problem::unavailable(
                "another process of this installation writes the lake; send the request to that one",
            ));
        }
        // Before anything goes: a crash in between leaves the trace that somebody asked for it.
        let asked = json!({ "reason": new.reason });
        self.record(by, tenant, "lake.erasure.begin", asked).await?;
        let arrived = installation.events.head().await.map_err(unreadable)?;
        installation.consume().await.map_err(unreadable)?;
        let now = state.clock.now();
        let erasure = Erasure {
            tenant,
            what: ErasureKey::Subject(new.subject.clone()),
        };
        let lake = installation
            .lake
            .erase(now, &erasure, state.dlp.register.as_ref(), READER_PATIENCE)
            .await?;
        // The log keeps what the lake has got already, for a while: it goes, too, as far as every consumer
        // has read it. The identities of the events stay, as digests, so that none is taken twice.
        let passed = sealwright_events::lowest_cursor(&state.store)
            .await
            .map_err(unreadable)?
            .unwrap_or(0);
        let to = TrimTo {
            passed: passed.min(installation.lake.next_offset()),
            received_before: now.plus(1),
            forget_before: now.plus(-state.config.intake.dedup.micros().max(35 * DAY)),
            close_segment: true,
        };
        let earliest = installation.log.trim(to).await.map_err(unreadable)?;
        let log_cleared = earliest >= arrived;
        let done = json!({
            "reason": new.reason,
            "rows": lake.rows,
            "files": lake.files,
            "open_days": lake.open_days,
            "log_cleared": log_cleared,
        });
        let ledger_entry = self.record(by, tenant, "lake.erasure.end", done).await?;
        Ok(Erased {
            lake,
            log_cleared,
            ledger_entry,
        })
    }
}

impl EraseEverywhere {
    /// Who, for whom, why and how much. Not which subject: that would be a trace of it.
    async fn record(
        &self,
        by: &Principal,
        tenant: TenantId,
        action: &str,
        details: Value,
    ) -> Result<String, Problem> {
        let state = &self.0.state;
        let actor = by.actor();
        let draft = EntryDraft::new(actor, action, tenant.to_string())
            .tenant(tenant)
            .details(details);
        let mut tx = state.store.begin().await.map_err(unreadable)?;
        let id = state
            .ledger
            .record(&mut tx, &draft)
            .await
            .map_err(unreadable)?;
        tx.commit().await.map_err(unreadable)?;
        state.ledger.nudge();
        Ok(id.to_string())
    }
}

fn unreadable(error: impl std::fmt::Display) -> Problem {
    tracing::error!(%error, "an erasure could not go on");
    Problem::unavailable(format!(
        "the erasure could not go on: {error}; ask for it again"
    ))
}
