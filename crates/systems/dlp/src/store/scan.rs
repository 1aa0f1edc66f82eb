//! Rows of `dlp_scan` and of the coverage ledger, `dlp_object`.

use std::collections::BTreeMap;

use sealwright_core::TenantScope;
use sealwright_store::{Result, Row, Store, Tx, sql};

use crate::model::finding::{Counts, Covered, Outcome, PlaceId, Scan, ScanId};
use crate::model::object::ObjectId;

fn read(row: &Row) -> Result<Scan> {
    Ok(Scan {
        id: row.parse("id")?,
        tenant: row.parse("tenant_id")?,
        place: row.parse("place_id")?,
        detector_set: row.text("detector_set")?,
        state: row.parse("state")?,
        cursor: row.text("cursor")?,
        counts: Counts {
            listed: row.int("listed")?,
            scanned: row.int("scanned")?,
            partly: row.int("partly")?,
            unscannable: row.int("unscannable")?,
            unchanged: row.int("unchanged")?,
            markers: row.int("markers")?,
            findings: row.int("findings")?,
            bytes: row.int("bytes")?,
        },
        started_at: row.micros("started_at")?,
        started_by: row.text("started_by")?,
        ended_at: row.opt_micros("ended_at")?,
        problem: row.text("problem")?,
    })
}

/// The newest scans of a scope.
pub async fn list(store: &Store, scope: TenantScope, limit: u32) -> Result<Vec<Scan>> {
    let rows = store
        .fetch_all(
            sql("SELECT * FROM dlp_scan WHERE ($1 = '*' OR tenant_id = $1)
                 ORDER BY started_at DESC, id DESC LIMIT $2")
            .bind(scope)
            .bind(limit),
        )
        .await?;
    rows.iter().map(read).collect()
}

/// One scan of a scope.
pub async fn find(store: &Store, scope: TenantScope, id: ScanId) -> Result<Option<Scan>> {
    let row = store
        .fetch_optional(
            sql("SELECT * FROM dlp_scan WHERE id = $2 AND ($1 = '*' OR tenant_id = $1)")
                .bind(scope)
                .bind(id),
        )
        .await?;
    row.as_ref().map(read).transpose()
}

/// The scan of a place that has not come to its end.
pub async fn unfinished(store: &Store, place: PlaceId) -> Result<Option<Scan>> {
    let row = store
        .fetch_optional(
            sql(
                "SELECT * FROM dlp_scan WHERE place_id = $1 AND state <> 'done'
                 ORDER BY started_at DESC LIMIT 1",
            )
            .bind(place),
        )
        .await?;
    row.as_ref().map(read).transpose()
}

/// Writes a scan, new or further.
pub async fn put(tx: &mut Tx, scan: &Scan) -> Result<()> {
    let counts = &scan.counts;
    tx.execute(
        sql(
            "INSERT INTO dlp_scan (id, tenant_id, place_id, detector_set, state, cursor, listed,
                scanned, partly, unscannable, unchanged, markers, findings, bytes, started_at,
                started_by, ended_at, problem)
             VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10, $11, $12, $13, $14, $15, $16, $17, $18)
             ON CONFLICT (id) DO UPDATE SET state = excluded.state, cursor = excluded.cursor,
                listed = excluded.listed, scanned = excluded.scanned, partly = excluded.partly,
                unscannable = excluded.unscannable, unchanged = excluded.unchanged,
                markers = excluded.markers, findings = excluded.findings, bytes = excluded.bytes,
                ended_at = excluded.ended_at, problem = excluded.problem",
        )
        .bind(scan.id)
        .bind(scan.tenant)
        .bind(scan.place)
        .bind(&scan.detector_set)
        .bind(scan.state.as_str())
        .bind(&scan.cursor)
        .bind(counts.listed)
        .bind(counts.scanned)
        .bind(counts.partly)
        .bind(counts.unscannable)
        .bind(counts.unchanged)
        .bind(counts.markers)
        .bind(counts.findings)
        .bind(counts.bytes)
        .bind(scan.started_at)
        .bind(&scan.started_by)
        .bind(scan.ended_at)
        .bind(&scan.problem),
    )
    .await?;
    Ok(())
}

fn read_covered(row: &Row) -> Result<Covered> {
    Ok(Covered {
        id: ObjectId {
            bucket: row.text("bucket")?,
            key: row.text("object_key")?,
            version: row.text("version")?,
        },
        tenant: row.parse("tenant_id")?,
        place: row.parse("place_id")?,
        etag: row.text("etag")?,
        size: row.int("size")?,
        written: row.micros("written_at")?,
        detector_set: row.text("detector_set")?,
        outcome: row.parse("outcome")?,
        reason: row.text("reason")?,
        findings: row.int("findings")?,
        scan: row.parse("scan_id")?,
        scanned_at: row.micros("scanned_at")?,
    })
}

/// How the last look at a version ended.
pub async fn covered(store: &Store, id: &ObjectId) -> Result<Option<Covered>> {
    let row = store
        .fetch_optional(
            sql("SELECT * FROM dlp_object WHERE bucket = $1 AND object_key = $2 AND version = $3")
                .bind(&id.bucket)
                .bind(&id.key)
                .bind(&id.version),
        )
        .await?;
    row.as_ref().map(read_covered).transpose()
}

/// The coverage ledger of a scope: what was not looked at as a whole, or all of it.
pub async fn coverage(
    store: &Store,
    scope: TenantScope,
    outcome: Option<Outcome>,
    after: Option<&ObjectId>,
    limit: u32,
) -> Result<Vec<Covered>> {
    let (bucket, key, version) = after.map_or(("", "", ""), |id| {
        (id.bucket.as_str(), id.key.as_str(), id.version.as_str())
    });
    let rows = store
        .fetch_all(
            sql("SELECT * FROM dlp_object WHERE ($1 = '*' OR tenant_id = $1)
                 AND ($2 = '' OR outcome = $2)
                 AND (bucket > $3 OR (bucket = $3 AND (object_key > $4
                    OR (object_key = $4 AND version > $5))))
                 ORDER BY bucket, object_key, version LIMIT $6")
            .bind(scope)
            .bind(outcome.map_or("", |outcome| outcome.as_str()))
            .bind(bucket)
            .bind(key)
            .bind(version)
            .bind(limit),
        )
        .await?;
    rows.iter().map(read_covered).collect()
}

/// How many versions of a scope ended in which way.
pub async fn outcomes(store: &Store, scope: TenantScope) -> Result<BTreeMap<String, i64>> {
    let rows = store
        .fetch_all(
            sql(
                "SELECT outcome, COUNT(*) AS n FROM dlp_object WHERE ($1 = '*' OR tenant_id = $1)
                 GROUP BY outcome",
            )
            .bind(scope),
        )
        .await?;
    rows.iter()
        .map(|row| Ok((row.text("outcome")?, row.int("n")?)))
        .collect()
}

/// Writes a line of the coverage ledger.
pub async fn cover(tx: &mut Tx, line: &Covered) -> Result<()> {
    tx.execute(
        sql(
            "INSERT INTO dlp_object (bucket, object_key, version, tenant_id, place_id, etag, size,
                written_at, detector_set, outcome, reason, findings, scan_id, scanned_at)
             VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10, $11, $12, $13, $14)
             ON CONFLICT (bucket, object_key, version) DO UPDATE SET
                tenant_id = excluded.tenant_id, place_id = excluded.place_id, etag = excluded.etag,
                size = excluded.size, written_at = excluded.written_at,
                detector_set = excluded.detector_set, outcome = excluded.outcome,
                reason = excluded.reason, findings = excluded.findings,
                scan_id = excluded.scan_id, scanned_at = excluded.scanned_at",
        )
        .bind(&line.id.bucket)
        .bind(&line.id.key)
        .bind(&line.id.version)
        .bind(line.tenant)
        .bind(line.place)
        .bind(&line.etag)
        .bind(line.size)
        .bind(line.written)
        .bind(&line.detector_set)
        .bind(line.outcome.as_str())
        .bind(&line.reason)
        .bind(line.findings)
        .bind(line.scan)
        .bind(line.scanned_at),
    )
    .await?;
    Ok(())
}
