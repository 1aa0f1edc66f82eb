//! Rows of `dlp_finding`.

use sealwright_core::TenantScope;
use sealwright_store::{Result, Row, Store, StoreError, Tx, sql};

use crate::model::finding::{FindingId, FindingState, StoredFinding};
use crate::model::object::ObjectId;
use crate::model::policy;

pub(super) fn word<T>(
    row: &Row,
    column: &'static str,
    read: impl Fn(&str) -> std::result::Result<T, String>,
) -> Result<T> {
    read(&row.text(column)?).map_err(|_| StoreError::Column {
        column: column.to_owned(),
        found: "text of another form",
        expected: std::any::type_name::<T>(),
    })
}

fn read(row: &Row) -> Result<StoredFinding> {
    Ok(StoredFinding {
        id: row.parse("id")?,
        tenant: row.parse("tenant_id")?,
        object: ObjectId {
            bucket: row.text("bucket")?,
            key: row.text("object_key")?,
            version: row.text("version")?,
        },
        inner: row.text("inner_name")?,
        line: row.int("line_no")?,
        column: row.int("column_no")?,
        start: row.int("start_at")?,
        end: row.int("end_at")?,
        detector: row.text("detector")?,
        title: row.text("title")?,
        class: word(row, "class", policy::class)?,
        severity: word(row, "severity", policy::severity)?,
        confidence: row.int("confidence")?,
        reasons: row.text("reasons")?.lines().map(str::to_owned).collect(),
        fingerprint: row.text("fingerprint")?,
        action: row.parse("action")?,
        mode: row.parse("mode")?,
        state: row.parse("state")?,
        owner: row.text("owner")?,
        note: row.text("note")?,
        until: row.opt_micros("until_at")?,
        first_seen: row.micros("first_seen")?,
        last_seen: row.micros("last_seen")?,
        changed_by: row.text("changed_by")?,
    })
}

/// Which findings.
#[derive(Debug, Clone, Default)]
pub struct FindingFilter {
    /// Only in this state.
    pub state: Option<FindingState>,
    /// Only of this severity.
    pub severity: Option<String>,
    /// Only of this class.
    pub class: Option<String>,
    /// Only in this bucket.
    pub bucket: Option<String>,
    /// Only with this fingerprint.
    pub fingerprint: Option<String>,
    /// After this one.
    pub after: Option<FindingId>,
    /// At most so many.
    pub limit: u32,
}

/// Findings of a scope, newest first.
pub async fn list(
    store: &Store,
    scope: TenantScope,
    filter: &FindingFilter,
) -> Result<Vec<StoredFinding>> {
    let rows = store
        .fetch_all(
            sql(
                "SELECT * FROM dlp_finding WHERE ($1 = '*' OR tenant_id = $1)
                 AND ($2 = '' OR state = $2) AND ($3 = '' OR severity = $3)
                 AND ($4 = '' OR class = $4) AND ($5 = '' OR bucket = $5)
                 AND ($6 = '' OR fingerprint = $6) AND ($7 = '' OR id < $7)
                 ORDER BY id DESC LIMIT $8",
            )
            .bind(scope)
            .bind(filter.state.map_or("", |state| state.as_str()))
            .bind(filter.severity.clone().unwrap_or_default())
            .bind(filter.class.clone().unwrap_or_default())
            .bind(filter.bucket.clone().unwrap_or_default())
            .bind(filter.fingerprint.clone().unwrap_or_default())
            .bind(filter.after.map_or(String::new(), |id| id.to_string()))
            .bind(filter.limit),
        )
        .await?;
    rows.iter().map(read).collect()
}

/// One finding of a scope.
pub async fn find(
    store: &Store,
    scope: TenantScope,
    id: FindingId,
) -> Result<Option<StoredFinding>> {
    let row = store
        .fetch_optional(
            sql("SELECT * FROM dlp_finding WHERE id = $2 AND ($1 = '*' OR tenant_id = $1)")
                .bind(scope)
                .bind(id),
        )
        .await?;
    row.as_ref().map(read).transpose()
}

/// The findings of a version.
pub async fn of_object(
    store: &Store,
    scope: TenantScope,
    id: &ObjectId,
) -> Result<Vec<StoredFinding>> {
    let rows = store
        .fetch_all(
            sql(
                "SELECT * FROM dlp_finding WHERE ($1 = '*' OR tenant_id = $1) AND bucket = $2
                 AND object_key = $3 AND version = $4 ORDER BY inner_name, start_at LIMIT 2000",
            )
            .bind(scope)
            .bind(&id.bucket)
            .bind(&id.key)
            .bind(&id.version),
        )
        .await?;
    rows.iter().map(read).collect()
}

/// The findings of a version, inside of a change.
pub async fn of_object_in(
    tx: &mut Tx,
    scope: TenantScope,
    id: &ObjectId,
) -> Result<Vec<StoredFinding>> {
    let rows = tx
        .fetch_all(
            sql(
                "SELECT * FROM dlp_finding WHERE ($1 = '*' OR tenant_id = $1) AND bucket = $2
                 AND object_key = $3 AND version = $4 ORDER BY inner_name, start_at",
            )
            .bind(scope)
            .bind(&id.bucket)
            .bind(&id.key)
            .bind(&id.version),
        )
        .await?;
    rows.iter().map(read).collect()
}

/// Writes what was found; what people made of it before stays. Whether it was found for the first time.
pub async fn see(tx: &mut Tx, finding: &StoredFinding) -> Result<bool> {
    let row = tx
        .fetch_optional(
        sql(
            "INSERT INTO dlp_finding (id, tenant_id, bucket, object_key, version, inner_name, line_no,
                column_no, start_at, end_at, detector, title, class, severity, confidence, reasons,
                fingerprint, action, mode, state, owner, note, until_at, first_seen, last_seen,
                changed_by)
             VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10, $11, $12, $13, $14, $15, $16, $17, $18,
                $19, $20, $21, $22, $23, $24, $25, $26)
             ON CONFLICT (bucket, object_key, version, inner_name, start_at, end_at, detector)
             DO UPDATE SET confidence = excluded.confidence, reasons = excluded.reasons,
                fingerprint = excluded.fingerprint, action = excluded.action, mode = excluded.mode,
                severity = excluded.severity, last_seen = excluded.last_seen
             RETURNING id",
        )
        .bind(finding.id)
        .bind(finding.tenant)
        .bind(&finding.object.bucket)
        .bind(&finding.object.key)
        .bind(&finding.object.version)
        .bind(&finding.inner)
        .bind(finding.line)
        .bind(finding.column)
        .bind(finding.start)
        .bind(finding.end)
        .bind(&finding.detector)
        .bind(&finding.title)
        .bind(finding.class.as_str())
        .bind(finding.severity.as_str())
        .bind(finding.confidence)
        .bind(finding.reasons.join("\n"))
        .bind(&finding.fingerprint)
        .bind(finding.action.as_str())
        .bind(finding.mode.as_str())
        .bind(finding.state.as_str())
        .bind(&finding.owner)
        .bind(&finding.note)
        .bind(finding.until)
        .bind(finding.first_seen)
        .bind(finding.last_seen)
        .bind(&finding.changed_by),
        )
        .await?;
    // A row that was there keeps its id.
    let kept: Option<FindingId> = row.as_ref().map(|row| row.parse("id")).transpose()?;
    Ok(kept == Some(finding.id))
}

/// Writes what people made of a finding.
pub async fn decide(tx: &mut Tx, finding: &StoredFinding) -> Result<()> {
    tx.execute(
        sql(
            "UPDATE dlp_finding SET state = $2, owner = $3, note = $4, until_at = $5, changed_by = $6
             WHERE id = $1",
        )
        .bind(finding.id)
        .bind(finding.state.as_str())
        .bind(&finding.owner)
        .bind(&finding.note)
        .bind(finding.until)
        .bind(&finding.changed_by),
    )
    .await?;
    Ok(())
}

/// How many findings of a scope are open, by severity and class.
pub async fn open(store: &Store, scope: TenantScope) -> Result<Vec<(String, String, i64)>> {
    let rows = store
        .fetch_all(
            sql("SELECT severity, class, COUNT(*) AS n FROM dlp_finding
                 WHERE ($1 = '*' OR tenant_id = $1) AND state = 'open'
                 GROUP BY severity, class ORDER BY severity, class")
            .bind(scope),
        )
        .await?;
    rows.iter()
        .map(|row| Ok((row.text("severity")?, row.text("class")?, row.int("n")?)))
        .collect()
}
