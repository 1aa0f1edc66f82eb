//! Retention: plans that can be read before they run, and the running of what was approved.

use std::sync::Arc;

use sealwright_core::{Clock, TenantId, TenantScope, UnixMicros};
use sealwright_ledger::{EntryDraft, Ledger};
use sealwright_notify::Outbox;
use sealwright_store::Store;
use serde_json::json;

use super::bucket::{Buckets, Listed};
use super::hold::{Deleted, HoldService};
use super::place::PlaceService;
use super::{DlpError, tell};
use crate::model::finding::Place;
use crate::model::object::{Facts, ObjectId, TAG_CATEGORY, TAG_PERSON, TAG_TIER};
use crate::model::plan::{
    Erasure, ErasureId, ExceptionId, Plan, PlanId, PlanItem, PlanState, RestoreId,
};
use crate::model::retention::{
    Categories, Circumstances, Exception, Held, Judgement, Verdict, judge,
};
use crate::store::retention::{self as rows, ExceptionRow, RestoreRow};

/// Why nothing is erased where a deletion is not known to be final.
const NOT_ERASED: &str = "it may keep what is deleted (soft delete, older versions) where that is not seen from here, so \
                          nothing is erased";

/// Lines of one plan.
const MOST_ITEMS: usize = 200_000;
/// Lines in one transaction.
const LINES: usize = 500;

/// Makes plans and runs them.
#[derive(Debug, Clone)]
pub struct RetentionService {
    store: Store,
    ledger: Arc<Ledger>,
    clock: Arc<dyn Clock>,
    buckets: Arc<dyn Buckets>,
    outbox: Arc<dyn Outbox>,
    holds: HoldService,
    places: PlaceService,
    categories: Arc<Categories>,
}

/// What running a plan did.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, serde::Serialize)]
pub struct Applied {
    /// Versions that are gone.
    pub erased: u64,
    /// Delete markers that are gone; they held no bytes.
    pub markers: u64,
    /// Versions whose end was announced.
    pub told: u64,
    /// Versions that stay, for a reason that stands in the plan.
    pub kept: u64,
}

/// A version with what decides about it.
pub(crate) struct Looked {
    pub(crate) listed: Listed,
    pub(crate) facts: Facts,
}

impl RetentionService {
    /// Works on `buckets`, asking `holds` before anything goes.
    ///
    /// # Errors
    /// When the categories are damaged, which a test excludes.
    pub fn new(
        store: Store,
        ledger: Arc<Ledger>,
        clock: Arc<dyn Clock>,
        buckets: Arc<dyn Buckets>,
        outbox: Arc<dyn Outbox>,
        holds: HoldService,
    ) -> Result<Self, DlpError> {
        Ok(Self {
            places: PlaceService::new(store.clone(), Arc::clone(&ledger), Arc::clone(&clock)),
            categories: Arc::new(Categories::built_in().map_err(DlpError::Internal)?),
            store,
            ledger,
            clock,
            buckets,
            outbox,
            holds,
        })
    }

    /// The categories.
    #[must_use]
    pub fn categories(&self) -> &Categories {
        &self.categories
    }

    pub(crate) fn parts(&self) -> (&Store, &Arc<Ledger>, &Arc<dyn Clock>) {
        (&self.store, &self.ledger, &self.clock)
    }

    /// The newest plans of a scope.
    ///
    /// # Errors
    /// From the state.
    pub async fn plans(&self, scope: TenantScope, limit: u32) -> Result<Vec<Plan>, DlpError> {
        Ok(rows::plans(&self.store, scope, limit).await?)
    }

    /// One plan with its lines.
    ///
    /// # Errors
    /// [`DlpError::NotFound`].
    pub async fn plan(
        &self,
        scope: TenantScope,
        id: PlanId,
    ) -> Result<(Plan, Vec<PlanItem>), DlpError> {
        let mut tx = self.store.begin().await?;
        let plan = rows::plan(&mut tx, scope, id).await?;
        tx.rollback().await?;
        let plan = plan.ok_or_else(|| DlpError::NotFound(format!("the plan {id}")))?;
        Ok((plan, rows::items(&self.store, scope, id).await?))
    }

    /// Every version of a tenant's places, with its tags; markers too.
    pub(crate) async fn look(&self, tenant: TenantId) -> Result<Vec<Looked>, DlpError> {
        let mut all = Vec::new();
        for place in self.places.list(TenantScope::One(tenant)).await? {
            self.look_at(&place, &mut all).await?;
        }
        Ok(all)
    }

    async fn look_at(&self, place: &Place, all: &mut Vec<Looked>) -> Result<(), DlpError> {
        let mut from = None;
        loop {
            let page = self
                .buckets
                .list(&place.bucket, &place.prefix, from.as_ref())
                .await?;
            for listed in page.versions {
                let tags = if listed.marker {
                    None
                } else {
                    self.buckets.tags(&listed.id).await.ok()
                };
                let facts = Facts {
                    id: listed.id.clone(),
                    tenant: place.tenant,
                    written: listed.written,
                    tags,
                };
                all.push(Looked { listed, facts });
                if all.len() > MOST_ITEMS {
                    return Err(DlpError::Invalid(format!(
                        "more than {MOST_ITEMS} versions; register smaller places"
                    )));
                }
            }
            from = page.next;
            if from.is_none() {
                return Ok(());
            }
        }
    }

    /// What is to be done about a version at a moment.
    async fn judgement(
        &self,
        facts: &Facts,
        at: UnixMicros,
        latest: UnixMicros,
        exceptions: &[ExceptionRow],
        erasure: Option<UnixMicros>,
        approved: bool,
    ) -> Result<Judgement, DlpError> {
        let exception = exceptions
            .iter()
            .filter(|one| {
                (one.bucket.is_empty() || one.bucket == facts.id.bucket)
                    && facts.id.key.starts_with(&one.prefix)
            })
            .max_by_key(|one| one.until)
            .map(|one| Exception {
                why: format!("{}: {}", one.kind, one.reason),
                until: one.until,
            });
        let restore_verified = match facts.tag(TAG_TIER) {
            Ok(Some(tier)) => rows::last_restore(&self.store, facts.tenant, tier).await?,
            _ => None,
        };
        let about = Circumstances {
            now: at,
            latest_seen: latest,
            held: match self.holds.held(facts).await {
                Held::No if !self.buckets.limits(&facts.id.bucket).erasure => {
                    Held::Store(NOT_ERASED.to_owned())
                }
                held => held,
            },
            exception,
            erasure,
            noticed: rows::told(&self.store, &facts.id).await?,
            restore_verified,
            approved,
        };
        Ok(judge(facts, &self.categories, &about))
    }

    /// Why a version is still here, as of a moment.
    ///
    /// # Errors
    /// [`DlpError::NotFound`].
    pub async fn why(
        &self,
        tenant: TenantId,
        id: &ObjectId,
        as_of: UnixMicros,
    ) -> Result<Judgement, DlpError> {
        let (facts, _) = self
            .holds
            .facts(tenant, id)
            .await?
            .ok_or_else(|| DlpError::NotFound(id.to_string()))?;
        let exceptions = rows::exceptions(&self.store, TenantScope::One(tenant), as_of).await?;
        let latest = rows::see_clock(&self.store, self.clock.now()).await?;
        let erasure = self.asked(tenant, &facts).await?;
        // A question about a day to come is not a clock that went back.
        let latest = if as_of > self.clock.now() {
            as_of
        } else {
            latest
        };
        self.judgement(&facts, as_of, latest, &exceptions, erasure, false)
            .await
    }

    /// When the erasure of a version's person was asked for.
    async fn asked(&self, tenant: TenantId, facts: &Facts) -> Result<Option<UnixMicros>, DlpError> {
        let Ok(Some(person)) = facts.tag(TAG_PERSON) else {
            return Ok(None);
        };
        let all = rows::erasures(&self.store, TenantScope::One(tenant)).await?;
        Ok(all
            .iter()
            .filter(|one| one.state == "open" && one.person == person)
            .map(|one| one.asked_at)
            .min())
    }

    /// Makes a plan: what would go at a moment, and why the rest stays. It deletes nothing.
    ///
    /// # Errors
    /// When a listing cannot be read as a whole.
    pub async fn draft(
        &self,
        tenant: TenantId,
        as_of: UnixMicros,
        erasure: Option<ErasureId>,
        actor: &str,
    ) -> Result<Plan, DlpError> {
        let now = self.clock.now();
        let latest = rows::see_clock(&self.store, now).await?;
        let latest = if as_of > now { as_of } else { latest };
        let scope = TenantScope::One(tenant);
        let exceptions = rows::exceptions(&self.store, scope, as_of).await?;
        let requests: Vec<Erasure> = rows::erasures(&self.store, scope)
            .await?
            .into_iter()
            .filter(|one| one.state == "open")
            .collect();
        if let Some(id) = erasure
            && !requests.iter().any(|one| one.id == id)
        {
            return Err(DlpError::NotFound(format!("the open request {id}")));
        }
        let mut plan = Plan {
            id: PlanId::new(now),
            tenant,
            erasure,
            as_of,
            state: PlanState::Draft,
            seen: 0,
            uncategorised: 0,
            made_by: actor.to_owned(),
            made_at: now,
            approved_by: None,
            applied_at: None,
        };
        let looked = self.look(tenant).await?;
        plan.seen = i64::try_from(looked.len()).unwrap_or(i64::MAX);
        let mut items = Vec::new();
        let mut keys_of_person = std::collections::HashSet::new();
        for one in looked.iter().filter(|one| !one.listed.marker) {
            let person = one.facts.tag(TAG_PERSON).ok().flatten();
            let request = requests
                .iter()
                .filter(|request| Some(request.person.as_str()) == person)
                .min_by_key(|request| request.asked_at);
            if erasure.is_some() && request.map(|request| request.id) != erasure {
                continue;
            }
            let category = one.facts.tag(TAG_CATEGORY).ok().flatten();
            if category.is_none() && request.is_none() && one.facts.tags.is_some() {
                plan.uncategorised += 1;
                continue;
            }
            if erasure.is_some() {
                keys_of_person.insert((&one.facts.id.bucket, &one.facts.id.key));
            }
            let judged = self
                .judgement(
                    &one.facts,
                    as_of,
                    latest,
                    &exceptions,
                    request.map(|request| request.asked_at),
                    false,
                )
                .await?;
            items.push(PlanItem {
                id: one.facts.id.clone(),
                etag: one.listed.etag.clone(),
                size: i64::try_from(one.listed.size).unwrap_or(i64::MAX),
                marker: false,
                category: category.unwrap_or_default().to_owned(),
                verdict: judged.verdict.as_str().to_owned(),
                due: judged.due,
                why: judged.why,
                result: String::new(),
                result_why: String::new(),
                done_at: None,
            });
        }
        // The markers of keys that are erased say that there was something: they go with the last version.
        for one in looked.iter().filter(|one| one.listed.marker) {
            if keys_of_person.contains(&(&one.facts.id.bucket, &one.facts.id.key)) {
                items.push(PlanItem {
                    id: one.facts.id.clone(),
                    etag: String::new(),
                    size: 0,
                    marker: true,
                    category: String::new(),
                    verdict: Verdict::Approve.as_str().to_owned(),
                    due: None,
                    why: vec!["a delete marker; it goes when no version is left".to_owned()],
                    result: String::new(),
                    result_why: String::new(),
                    done_at: None,
                });
            }
        }
        for part in items.chunks(LINES) {
            let mut tx = self.store.begin().await?;
            for item in part {
                rows::put_item(&mut tx, &plan, item).await?;
            }
            tx.commit().await?;
        }
        let mut tx = self.store.begin().await?;
        rows::put_plan(&mut tx, &plan).await?;
        let entry = EntryDraft::new(actor, "dlp.plan.draft", plan.id.to_string())
            .tenant(tenant)
            .details(
                json!({ "as_of": as_of.to_string(), "lines": items.len(), "erasure": erasure }),
            );
        self.ledger.record(&mut tx, &entry).await?;
        tx.commit().await?;
        self.ledger.nudge();
        Ok(plan)
    }

    /// Approves a plan: another person than who made it.
    ///
    /// # Errors
    /// [`DlpError::Conflict`].
    pub async fn approve(
        &self,
        scope: TenantScope,
        id: PlanId,
        actor: &str,
    ) -> Result<Plan, DlpError> {
        let mut tx = self.store.begin().await?;
        tx.lock("dlp_plan").await?;
        let mut plan = rows::plan(&mut tx, scope, id)
            .await?
            .ok_or_else(|| DlpError::NotFound(format!("the plan {id}")))?;
        if plan.state != PlanState::Draft {
            return Err(DlpError::Conflict(format!("the plan is {}", plan.state)));
        }
        if plan.made_by == actor {
            return Err(DlpError::Conflict(format!(
                "{actor} made the plan; its approval takes a second person"
            )));
        }
        plan.state = PlanState::Approved;
        plan.approved_by = Some(actor.to_owned());
        rows::put_plan(&mut tx, &plan).await?;
        let entry =
            EntryDraft::new(actor, "dlp.plan.approve", plan.id.to_string()).tenant(plan.tenant);
        self.ledger.record(&mut tx, &entry).await?;
        tx.commit().await?;
        self.ledger.nudge();
        Ok(plan)
    }

    /// Tells people what will go, as the lines of a plan say; approval is not needed for that.
    ///
    /// # Errors
    /// From the state.
    pub async fn announce(
        &self,
        scope: TenantScope,
        id: PlanId,
        actor: &str,
    ) -> Result<u64, DlpError> {
        let (plan, items) = self.plan(scope, id).await?;
        let now = self.clock.now();
        if plan.as_of > now {
            return Err(DlpError::Conflict(format!(
                "the plan is for {}; it is not announced before",
                plan.as_of
            )));
        }
        let mut told = 0;
        for part in items.chunks(LINES) {
            let mut tx = self.store.begin().await?;
            for item in part.iter().filter(|item| item.verdict == "notify") {
                rows::tell(&mut tx, plan.tenant, &item.id, now).await?;
                told += 1;
            }
            tx.commit().await?;
        }
        if told > 0 {
            let mut tx = self.store.begin().await?;
            let entry = EntryDraft::new(actor, "dlp.plan.announce", plan.id.to_string())
                .tenant(plan.tenant)
                .details(json!({ "versions": told }));
            self.ledger.record(&mut tx, &entry).await?;
            let message = tell::announced(plan.tenant, &plan.id.to_string(), told);
            self.outbox.enqueue(&mut tx, &message).await?;
            tx.commit().await?;
            self.ledger.nudge();
        }
        Ok(told)
    }

    /// Runs an approved plan: each line is judged again, now, and only what was listed, is the same since
    /// and may go, goes. It can be run again after a crash.
    ///
    /// # Errors
    /// [`DlpError::Conflict`] when it is not approved, or is for a day to come.
    pub async fn apply(
        &self,
        scope: TenantScope,
        id: PlanId,
        actor: &str,
    ) -> Result<(Plan, Applied), DlpError> {
        let (mut plan, items) = self.plan(scope, id).await?;
        if plan.state != PlanState::Approved {
            return Err(DlpError::Conflict(format!(
                "the plan is {}; only an approved one is run",
                plan.state
            )));
        }
        let now = self.clock.now();
        let latest = rows::see_clock(&self.store, now).await?;
        if now < latest {
            return Err(DlpError::Conflict(format!(
                "the clock shows {now}, and it has shown {latest} before: nothing goes until it is right"
            )));
        }
        if plan.as_of > now {
            return Err(DlpError::Conflict(format!(
                "the plan is for {}",
                plan.as_of
            )));
        }
        let exceptions = rows::exceptions(&self.store, TenantScope::One(plan.tenant), now).await?;
        let mut done = Applied::default();
        // Markers come last: they go only when no version of their key is left.
        let (markers, versions): (Vec<_>, Vec<_>) = items.into_iter().partition(|item| item.marker);
        for mut item in versions {
            if item.done_at.is_none() {
                self.run_line(&plan, &mut item, &exceptions, latest, actor)
                    .await?;
            }
            match item.result.as_str() {
                "erased" => done.erased += 1,
                "told" => done.told += 1,
                "absent" => {}
                _ => done.kept += 1,
            }
        }
        for mut item in markers {
            if item.done_at.is_none() {
                self.run_marker(&plan, &mut item, actor).await?;
            }
            match item.result.as_str() {
                "marker-removed" => done.markers += 1,
                _ => done.kept += 1,
            }
        }
        plan.state = PlanState::Applied;
        plan.applied_at = Some(self.clock.now());
        let mut tx = self.store.begin().await?;
        rows::put_plan(&mut tx, &plan).await?;
        let entry = EntryDraft::new(actor, "dlp.plan.apply", plan.id.to_string())
            .tenant(plan.tenant)
            .details(json!({ "done": done }));
        self.ledger.record(&mut tx, &entry).await?;
        tx.commit().await?;
        self.ledger.nudge();
        Ok((plan, done))
    }

    async fn run_line(
        &self,
        plan: &Plan,
        item: &mut PlanItem,
        exceptions: &[ExceptionRow],
        latest: UnixMicros,
        actor: &str,
    ) -> Result<(), DlpError> {
        let now = self.clock.now();
        let (result, why) = match self.holds.facts(plan.tenant, &item.id).await? {
            None => ("absent", String::new()),
            Some((facts, _)) => {
                let erasure = self.asked(plan.tenant, &facts).await?;
                let judged = self
                    .judgement(&facts, now, latest, exceptions, erasure, true)
                    .await?;
                match judged.verdict {
                    Verdict::Delete => {
                        let why = json!({ "plan": plan.id, "why": judged.why });
                        let deleted = self
                            .holds
                            .delete_unless_held(plan.tenant, &item.id, &item.etag, why, actor)
                            .await?;
                        match deleted {
                            Deleted::Gone => ("erased", String::new()),
                            Deleted::Absent => ("absent", String::new()),
                            Deleted::Kept(held) => ("kept", words(&held)),
                            Deleted::Changed => ("changed", "it was written over since".to_owned()),
                        }
                    }
                    Verdict::Notify => {
                        let mut tx = self.store.begin().await?;
                        rows::tell(&mut tx, plan.tenant, &item.id, now).await?;
                        tx.commit().await?;
                        ("told", judged.why.join("; "))
                    }
                    _ => ("kept", judged.why.join("; ")),
                }
            }
        };
        self.note(plan, item, result, why).await
    }

    async fn run_marker(
        &self,
        plan: &Plan,
        item: &mut PlanItem,
        actor: &str,
    ) -> Result<(), DlpError> {
        let key = &item.id.key;
        let page = self.buckets.list(&item.id.bucket, key, None).await?;
        // A key that begins the same may fill the page: then it is not certain that no version is left.
        let left = page.next.is_some()
            || page
                .versions
                .iter()
                .any(|one| !one.marker && one.id.key == *key);
        if left {
            return self
                .note(
                    plan,
                    item,
                    "kept",
                    "versions of the key are left".to_owned(),
                )
                .await;
        }
        self.buckets.delete(&item.id).await?;
        let mut tx = self.store.begin().await?;
        let entry = EntryDraft::new(actor, "dlp.marker.delete", super::hold::subject(&item.id))
            .tenant(plan.tenant)
            .details(json!({ "plan": plan.id, "object": item.id.to_string() }));
        self.ledger.record(&mut tx, &entry).await?;
        tx.commit().await?;
        self.note(plan, item, "marker-removed", String::new()).await
    }

    async fn note(
        &self,
        plan: &Plan,
        item: &mut PlanItem,
        result: &str,
        why: String,
    ) -> Result<(), DlpError> {
        item.result = result.to_owned();
        item.result_why = why;
        item.done_at = Some(self.clock.now());
        let mut tx = self.store.begin().await?;
        rows::put_item(&mut tx, plan, item).await?;
        tx.commit().await?;
        Ok(())
    }

    /// Keeps something for a while: an investigation or a dispute.
    ///
    /// # Errors
    /// [`DlpError::Invalid`].
    pub async fn except(&self, mut row: ExceptionRow) -> Result<ExceptionRow, DlpError> {
        if !matches!(row.kind.as_str(), "investigation" | "dispute") {
            return Err(DlpError::Invalid(
                "`kind` must be investigation or dispute; for a legal hold open a matter"
                    .to_owned(),
            ));
        }
        let now = self.clock.now();
        if row.reason.trim().is_empty() || row.until <= now {
            return Err(DlpError::Invalid(
                "give a reason, and an end that is to come".to_owned(),
            ));
        }
        row.id = ExceptionId::new(now);
        row.made_at = now;
        let mut tx = self.store.begin().await?;
        rows::except(&mut tx, &row).await?;
        let entry = EntryDraft::new(&row.made_by, "dlp.exception.add", row.id.to_string())
            .tenant(row.tenant)
            .details(json!({
                "kind": row.kind, "reason": row.reason, "bucket": row.bucket,
                "prefix": row.prefix, "until": row.until.to_string(),
            }));
        self.ledger.record(&mut tx, &entry).await?;
        tx.commit().await?;
        self.ledger.nudge();
        Ok(row)
    }

    /// Notes that a restore of a backup was verified; older copies of the tier may then go.
    ///
    /// # Errors
    /// [`DlpError::Invalid`].
    pub async fn restored(
        &self,
        tenant: TenantId,
        tier: &str,
        object: &str,
        note: &str,
        actor: &str,
    ) -> Result<RestoreId, DlpError> {
        if tier.is_empty() || object.is_empty() || note.trim().is_empty() {
            return Err(DlpError::Invalid(
                "give the tier, the copy that was restored, and how it was verified".to_owned(),
            ));
        }
        let now = self.clock.now();
        let id = RestoreId::new(now);
        let mut tx = self.store.begin().await?;
        let row = RestoreRow {
            id,
            tenant,
            tier: tier.to_owned(),
            object: object.to_owned(),
            note: note.to_owned(),
            at: now,
            by: actor.to_owned(),
        };
        rows::restored(&mut tx, &row).await?;
        let entry = EntryDraft::new(actor, "dlp.restore.verified", id.to_string())
            .tenant(tenant)
            .details(json!({ "tier": tier, "object": object, "note": note }));
        self.ledger.record(&mut tx, &entry).await?;
        tx.commit().await?;
        self.ledger.nudge();
        Ok(id)
    }
}

fn words(held: &Held) -> String {
    match held {
        Held::No => String::new(),
        Held::Matters(ids) => {
            let list: Vec<_> = ids.iter().map(ToString::to_string).collect();
            format!("legal hold: {}", list.join(", "))
        }
        Held::Store(what) => format!("the store holds it: {what}"),
        Held::Unknown(what) => format!("whether it is held is not known: {what}"),
    }
}
