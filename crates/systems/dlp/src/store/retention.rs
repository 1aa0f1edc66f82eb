//! Rows of retention: plans, notices, exceptions, restores, erasures, the clock.

use sealwright_core::{TenantId, TenantScope, UnixMicros};
use sealwright_store::{Result, Row, Store, Tx, sql};

use crate::model::object::ObjectId;
use crate::model::plan::{Erasure, ErasureId, ExceptionId, Plan, PlanId, PlanItem, RestoreId};

/// Moves the latest present on, never back; gives it.
pub async fn see_clock(store: &Store, now: UnixMicros) -> Result<UnixMicros> {
    let mut tx = store.begin().await?;
    tx.execute(
        sql("INSERT INTO dlp_clock (id, latest) VALUES (1, $1)
             ON CONFLICT (id) DO UPDATE SET latest = excluded.latest
             WHERE dlp_clock.latest < excluded.latest")
        .bind(now),
    )
    .await?;
    let row = tx
        .fetch_one(sql("SELECT latest FROM dlp_clock WHERE id = 1"))
        .await?;
    tx.commit().await?;
    row.micros("latest")
}

/// When people were told that a version will go.
pub async fn told(store: &Store, id: &ObjectId) -> Result<Option<UnixMicros>> {
    let row = store
        .fetch_optional(
            sql(
                "SELECT told_at FROM dlp_notice WHERE bucket = $1 AND object_key = $2
                 AND version = $3",
            )
            .bind(&id.bucket)
            .bind(&id.key)
            .bind(&id.version),
        )
        .await?;
    row.as_ref().map(|row| row.micros("told_at")).transpose()
}

/// Notes that people were told; the first time counts.
pub async fn tell(tx: &mut Tx, tenant: TenantId, id: &ObjectId, now: UnixMicros) -> Result<()> {
    tx.execute(
        sql(
            "INSERT INTO dlp_notice (bucket, object_key, version, tenant_id, told_at)
             VALUES ($1, $2, $3, $4, $5) ON CONFLICT (bucket, object_key, version) DO NOTHING",
        )
        .bind(&id.bucket)
        .bind(&id.key)
        .bind(&id.version)
        .bind(tenant)
        .bind(now),
    )
    .await?;
    Ok(())
}

/// An exception as it is kept.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ExceptionRow {
    /// Its id.
    pub id: ExceptionId,
    /// Whose objects.
    pub tenant: TenantId,
    /// The bucket; every one when empty.
    pub bucket: String,
    /// Keys that begin so.
    pub prefix: String,
    /// `investigation` or `dispute`.
    pub kind: String,
    /// Which.
    pub reason: String,
    /// Until when.
    pub until: UnixMicros,
    /// By whom.
    pub made_by: String,
    /// When.
    pub made_at: UnixMicros,
}

/// The exceptions of a tenant that have not ended.
pub async fn exceptions(
    store: &Store,
    scope: TenantScope,
    now: UnixMicros,
) -> Result<Vec<ExceptionRow>> {
    let rows = store
        .fetch_all(
            sql(
                "SELECT * FROM dlp_exception WHERE ($1 = '*' OR tenant_id = $1) AND until_at > $2
                 ORDER BY until_at DESC, id",
            )
            .bind(scope)
            .bind(now),
        )
        .await?;
    rows.iter()
        .map(|row| {
            Ok(ExceptionRow {
                id: row.parse("id")?,
                tenant: row.parse("tenant_id")?,
                bucket: row.text("bucket")?,
                prefix: row.text("prefix")?,
                kind: row.text("kind")?,
                reason: row.text("reason")?,
                until: row.micros("until_at")?,
                made_by: row.text("made_by")?,
                made_at: row.micros("made_at")?,
            })
        })
        .collect()
}

/// Adds an exception.
pub async fn except(tx: &mut Tx, row: &ExceptionRow) -> Result<()> {
    tx.execute(
        sql(
            "INSERT INTO dlp_exception (id, tenant_id, bucket, prefix, kind, reason, until_at,
                made_by, made_at) VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9)",
        )
        .bind(row.id)
        .bind(row.tenant)
        .bind(&row.bucket)
        .bind(&row.prefix)
        .bind(&row.kind)
        .bind(&row.reason)
        .bind(row.until)
        .bind(&row.made_by)
        .bind(row.made_at),
    )
    .await?;
    Ok(())
}

/// A verified restore.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct RestoreRow {
    /// Its id.
    pub id: RestoreId,
    /// Whose backup.
    pub tenant: TenantId,
    /// The tier.
    pub tier: String,
    /// The copy that was restored.
    pub object: String,
    /// How it was verified.
    pub note: String,
    /// When.
    pub at: UnixMicros,
    /// By whom.
    pub by: String,
}

/// Notes a verified restore.
pub async fn restored(tx: &mut Tx, row: &RestoreRow) -> Result<()> {
    tx.execute(
        sql(
            "INSERT INTO dlp_restore (id, tenant_id, tier, object, note, verified_at, verified_by)
             VALUES ($1, $2, $3, $4, $5, $6, $7)",
        )
        .bind(row.id)
        .bind(row.tenant)
        .bind(&row.tier)
        .bind(&row.object)
        .bind(&row.note)
        .bind(row.at)
        .bind(&row.by),
    )
    .await?;
    Ok(())
}

/// When a restore of a tier was verified last.
pub async fn last_restore(
    store: &Store,
    tenant: TenantId,
    tier: &str,
) -> Result<Option<UnixMicros>> {
    let row = store
        .fetch_one(
            sql(
                "SELECT MAX(verified_at) AS last FROM dlp_restore WHERE tenant_id = $1
                 AND tier = $2",
            )
            .bind(tenant)
            .bind(tier),
        )
        .await?;
    row.opt_micros("last")
}

fn read_plan(row: &Row) -> Result<Plan> {
    let erasure = match row.text("erasure_id")?.as_str() {
        "" => None,
        _ => Some(row.parse("erasure_id")?),
    };
    Ok(Plan {
        id: row.parse("id")?,
        tenant: row.parse("tenant_id")?,
        erasure,
        as_of: row.micros("as_of")?,
        state: row.parse("state")?,
        seen: row.int("seen")?,
        uncategorised: row.int("uncategorised")?,
        made_by: row.text("made_by")?,
        made_at: row.micros("made_at")?,
        approved_by: row.opt_text("approved_by")?,
        applied_at: row.opt_micros("applied_at")?,
    })
}

/// The newest plans of a scope.
pub async fn plans(store: &Store, scope: TenantScope, limit: u32) -> Result<Vec<Plan>> {
    let rows = store
        .fetch_all(
            sql("SELECT * FROM dlp_plan WHERE ($1 = '*' OR tenant_id = $1)
                 ORDER BY made_at DESC, id DESC LIMIT $2")
            .bind(scope)
            .bind(limit),
        )
        .await?;
    rows.iter().map(read_plan).collect()
}

/// One plan of a scope, inside of a change.
pub async fn plan(tx: &mut Tx, scope: TenantScope, id: PlanId) -> Result<Option<Plan>> {
    let row = tx
        .fetch_optional(
            sql("SELECT * FROM dlp_plan WHERE id = $2 AND ($1 = '*' OR tenant_id = $1)")
                .bind(scope)
                .bind(id),
        )
        .await?;
    row.as_ref().map(read_plan).transpose()
}

/// Writes a plan, new or further.
pub async fn put_plan(tx: &mut Tx, plan: &Plan) -> Result<()> {
    tx.execute(
        sql(
            "INSERT INTO dlp_plan (id, tenant_id, erasure_id, as_of, state, seen, uncategorised,
                made_by, made_at, approved_by, applied_at)
             VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10, $11)
             ON CONFLICT (id) DO UPDATE SET state = excluded.state,
                approved_by = excluded.approved_by, applied_at = excluded.applied_at",
        )
        .bind(plan.id)
        .bind(plan.tenant)
        .bind(plan.erasure.map_or(String::new(), |id| id.to_string()))
        .bind(plan.as_of)
        .bind(plan.state.as_str())
        .bind(plan.seen)
        .bind(plan.uncategorised)
        .bind(&plan.made_by)
        .bind(plan.made_at)
        .bind(plan.approved_by.clone())
        .bind(plan.applied_at),
    )
    .await?;
    Ok(())
}

fn read_item(row: &Row) -> Result<PlanItem> {
    Ok(PlanItem {
        id: ObjectId {
            bucket: row.text("bucket")?,
            key: row.text("object_key")?,
            version: row.text("version")?,
        },
        etag: row.text("etag")?,
        size: row.int("size")?,
        marker: row.bool("marker")?,
        category: row.text("category")?,
        verdict: row.text("verdict")?,
        due: row.opt_micros("due_at")?,
        why: row.text("why")?.lines().map(str::to_owned).collect(),
        result: row.text("result")?,
        result_why: row.text("result_why")?,
        done_at: row.opt_micros("done_at")?,
    })
}

/// The lines of a plan.
pub async fn items(store: &Store, scope: TenantScope, id: PlanId) -> Result<Vec<PlanItem>> {
    let rows = store
        .fetch_all(
            sql("SELECT * FROM dlp_plan_item WHERE plan_id = $2
                 AND ($1 = '*' OR tenant_id = $1) ORDER BY bucket, object_key, version")
            .bind(scope)
            .bind(id),
        )
        .await?;
    rows.iter().map(read_item).collect()
}

/// Writes a line of a plan, new or with its result.
pub async fn put_item(tx: &mut Tx, plan: &Plan, item: &PlanItem) -> Result<()> {
    tx.execute(
        sql(
            "INSERT INTO dlp_plan_item (plan_id, bucket, object_key, version, tenant_id, etag, size,
                marker, category, verdict, due_at, why, result, result_why, done_at)
             VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10, $11, $12, $13, $14, $15)
             ON CONFLICT (plan_id, bucket, object_key, version) DO UPDATE SET
                result = excluded.result, result_why = excluded.result_why,
                done_at = excluded.done_at",
        )
        .bind(plan.id)
        .bind(&item.id.bucket)
        .bind(&item.id.key)
        .bind(&item.id.version)
        .bind(plan.tenant)
        .bind(&item.etag)
        .bind(item.size)
        .bind(item.marker)
        .bind(&item.category)
        .bind(&item.verdict)
        .bind(item.due)
        .bind(item.why.join("\n"))
        .bind(&item.result)
        .bind(&item.result_why)
        .bind(item.done_at),
    )
    .await?;
    Ok(())
}

fn read_erasure(row: &Row) -> Result<Erasure> {
    Ok(Erasure {
        id: row.parse("id")?,
        tenant: row.parse("tenant_id")?,
        person: row.text("person")?,
        reason: row.text("reason")?,
        asked_by: row.text("asked_by")?,
        asked_at: row.micros("asked_at")?,
        state: row.text("state")?,
        certificate: row.text("certificate")?,
        ledger_entry: row.text("ledger_entry")?,
        closed_at: row.opt_micros("closed_at")?,
    })
}

/// The requests of a scope, newest first.
pub async fn erasures(store: &Store, scope: TenantScope) -> Result<Vec<Erasure>> {
    let rows = store
        .fetch_all(
            sql(
                "SELECT * FROM dlp_erasure WHERE ($1 = '*' OR tenant_id = $1)
                 ORDER BY asked_at DESC, id DESC",
            )
            .bind(scope),
        )
        .await?;
    rows.iter().map(read_erasure).collect()
}

/// One request of a scope.
pub async fn erasure(store: &Store, scope: TenantScope, id: ErasureId) -> Result<Option<Erasure>> {
    let row = store
        .fetch_optional(
            sql("SELECT * FROM dlp_erasure WHERE id = $2 AND ($1 = '*' OR tenant_id = $1)")
                .bind(scope)
                .bind(id),
        )
        .await?;
    row.as_ref().map(read_erasure).transpose()
}

/// Writes a request, new or closed.
pub async fn put_erasure(tx: &mut Tx, one: &Erasure) -> Result<()> {
    tx.execute(
        sql(
            "INSERT INTO dlp_erasure (id, tenant_id, person, reason, asked_by, asked_at, state,
                certificate, ledger_entry, closed_at)
             VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10)
             ON CONFLICT (id) DO UPDATE SET state = excluded.state,
                certificate = excluded.certificate, ledger_entry = excluded.ledger_entry,
                closed_at = excluded.closed_at",
        )
        .bind(one.id)
        .bind(one.tenant)
        .bind(&one.person)
        .bind(&one.reason)
        .bind(&one.asked_by)
        .bind(one.asked_at)
        .bind(&one.state)
        .bind(&one.certificate)
        .bind(&one.ledger_entry)
        .bind(one.closed_at),
    )
    .await?;
    Ok(())
}
