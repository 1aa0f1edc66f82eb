//! Rows of `billing_invoice` and `billing_invoice_evidence`.

use sealwright_core::{TenantId, TenantScope, UnixMicros};
use sealwright_store::{Result, Row, Store, StoreError, Tx, sql};

use crate::model::{Invoice, InvoiceId, InvoiceState, Span};
use crate::verify::{ENTRY_BYTES, EvidenceEntry};

fn read(row: &Row) -> Result<Invoice> {
    let document =
        serde_json::from_str(&row.text("document")?).map_err(|_| StoreError::Column {
            column: "document".to_owned(),
            found: "text of another form",
            expected: "an invoice document",
        })?;
    Ok(Invoice {
        tenant: row.parse("tenant_id")?,
        period: Span {
            from: row.micros("period_from")?,
            to: row.micros("period_to")?,
        },
        state: row.parse("state")?,
        revision: row.int("revision")?,
        document,
        digest: row.parse("digest")?,
        total_minor: row.int("total_minor")?,
        created_at: row.micros("created_at")?,
        finalised_at: row.opt_micros("finalised_at")?,
        due_at: row.opt_micros("due_at")?,
        settled_at: row.opt_micros("settled_at")?,
        ledger_entry: row.opt_text("ledger_entry")?,
    })
}

/// Adds an invoice; a second one for a tenant's period that is not void is a constraint error.
pub async fn insert(tx: &mut Tx, invoice: &Invoice, document: &str) -> Result<()> {
    tx.execute(
        sql(
            "INSERT INTO billing_invoice (id, number, tenant_id, period_from, period_to, currency,
                total_minor, state, revision, document, digest, created_at)
             VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10, $11, $12)",
        )
        .bind(invoice.document.id)
        .bind(invoice.document.number.clone())
        .bind(invoice.tenant)
        .bind(invoice.period.from)
        .bind(invoice.period.to)
        .bind(invoice.document.rated.currency.code())
        .bind(invoice.total_minor)
        .bind(invoice.state.name())
        .bind(invoice.revision)
        .bind(document)
        .bind(invoice.digest)
        .bind(invoice.created_at),
    )
    .await?;
    Ok(())
}

/// Writes an invoice as it shall be from now on, if its revision is still `seen`.
///
/// # Errors
/// [`StoreError::Contended`] when somebody else changed it first.
pub async fn update(tx: &mut Tx, invoice: &Invoice, document: &str, seen: i64) -> Result<()> {
    let changed = tx
        .execute(
            sql("UPDATE billing_invoice SET number = $3, currency = $4, total_minor = $5, state = $6,
                    revision = $7, document = $8, digest = $9, finalised_at = $10, due_at = $11,
                    settled_at = $12, ledger_entry = $13
                 WHERE id = $1 AND revision = $2")
            .bind(invoice.document.id)
            .bind(seen)
            .bind(invoice.document.number.clone())
            .bind(invoice.document.rated.currency.code())
            .bind(invoice.total_minor)
            .bind(invoice.state.name())
            .bind(invoice.revision)
            .bind(document)
            .bind(invoice.digest)
            .bind(invoice.finalised_at)
            .bind(invoice.due_at)
            .bind(invoice.settled_at)
            .bind(invoice.ledger_entry.clone()),
        )
        .await?;
    if changed == 1 {
        Ok(())
    } else {
        Err(StoreError::Contended)
    }
}

/// One invoice, if it is in the scope.
pub async fn find(store: &Store, scope: TenantScope, id: InvoiceId) -> Result<Option<Invoice>> {
    let row = store
        .fetch_optional(
            sql("SELECT * FROM billing_invoice WHERE id = $1 AND ($2 = '*' OR tenant_id = $2)")
                .bind(id)
                .bind(scope),
        )
        .await?;
    row.as_ref().map(read).transpose()
}

/// The invoice of a tenant's period that is not void.
pub async fn of_period(store: &Store, tenant: TenantId, period: Span) -> Result<Option<Invoice>> {
    let row = store
        .fetch_optional(
            sql(
                "SELECT * FROM billing_invoice WHERE tenant_id = $1 AND period_from = $2
                 AND period_to = $3 AND state <> 'void'",
            )
            .bind(tenant)
            .bind(period.from)
            .bind(period.to),
        )
        .await?;
    row.as_ref().map(read).transpose()
}

/// What a list of invoices may be narrowed to.
#[derive(Debug, Clone, Default)]
pub struct Filter {
    /// Only this state.
    pub state: Option<InvoiceState>,
    /// Only invoices whose period starts inside.
    pub span: Option<Span>,
    /// Continue after this id.
    pub after: Option<InvoiceId>,
    /// At most this many.
    pub limit: u32,
}

/// Invoices, newest first.
pub async fn list(store: &Store, scope: TenantScope, filter: &Filter) -> Result<Vec<Invoice>> {
    let span = filter.span.unwrap_or(Span {
        from: UnixMicros(i64::MIN),
        to: UnixMicros(i64::MAX),
    });
    let rows = store
        .fetch_all(
            sql(
                "SELECT * FROM billing_invoice WHERE ($1 = '*' OR tenant_id = $1)
                 AND ($2 = '*' OR state = $2) AND period_from >= $3 AND period_from < $4
                 AND ($5 = '' OR id < $5) ORDER BY id DESC LIMIT $6",
            )
            .bind(scope)
            .bind(filter.state.map_or("*", InvoiceState::name))
            .bind(span.from)
            .bind(span.to)
            .bind(filter.after.map(|id| id.to_string()).unwrap_or_default())
            .bind(filter.limit),
        )
        .await?;
    rows.iter().map(read).collect()
}

/// How many invoices are in each state, and their totals by currency: (state, currency, count, minor).
pub async fn totals(
    store: &Store,
    scope: TenantScope,
    span: Span,
) -> Result<Vec<(InvoiceState, String, u64, i64)>> {
    let rows = store
        .fetch_all(
            sql(
                "SELECT state, currency, COUNT(*) AS n, CAST(SUM(total_minor) AS BIGINT) AS minor
                 FROM billing_invoice WHERE ($1 = '*' OR tenant_id = $1)
                 AND period_from >= $2 AND period_from < $3
                 GROUP BY state, currency ORDER BY state, currency",
            )
            .bind(scope)
            .bind(span.from)
            .bind(span.to),
        )
        .await?;
    rows.iter()
        .map(|row| {
            let count = u64::try_from(row.int("n")?).unwrap_or(0);
            Ok((
                row.parse("state")?,
                row.text("currency")?,
                count,
                row.int("minor")?,
            ))
        })
        .collect()
}

/// Finalised invoices whose due date has passed.
pub async fn past_due(store: &Store, now: UnixMicros) -> Result<Vec<Invoice>> {
    let rows = store
        .fetch_all(
            sql(
                "SELECT * FROM billing_invoice WHERE state = 'finalised' AND due_at < $1
                 ORDER BY due_at LIMIT 1000",
            )
            .bind(now),
        )
        .await?;
    rows.iter().map(read).collect()
}

/// How many invoices of a tenant have ever got a number, for the next one; call it under a lock.
pub async fn numbered(tx: &mut Tx, prefix: &str) -> Result<u64> {
    let row = tx
        .fetch_one(
            sql("SELECT COUNT(*) AS n FROM billing_invoice WHERE number LIKE $1 || '%'")
                .bind(prefix),
        )
        .await?;
    Ok(u64::try_from(row.int("n")?).unwrap_or(0))
}

/// Events of one evidence row; 48 bytes each keep a row below a megabyte.
const PART: usize = 20_000;

/// Keeps the evidence of one usage row.
pub async fn put_evidence(
    tx: &mut Tx,
    invoice: InvoiceId,
    usage_row: usize,
    evidence: &[EvidenceEntry],
) -> Result<()> {
    for (part, chunk) in evidence.chunks(PART).enumerate() {
        let bytes: Vec<u8> = chunk.iter().flat_map(|entry| entry.to_bytes()).collect();
        tx.execute(
            sql(
                "INSERT INTO billing_invoice_evidence (invoice_id, usage_row, part, events,
                    entries) VALUES ($1, $2, $3, $4, $5)",
            )
            .bind(invoice)
            .bind(i64::try_from(usage_row).unwrap_or(i64::MAX))
            .bind(i64::try_from(part).unwrap_or(i64::MAX))
            .bind(i64::try_from(chunk.len()).unwrap_or(i64::MAX))
            .bind(bytes),
        )
        .await?;
    }
    Ok(())
}

/// The evidence of one usage row.
pub async fn evidence(
    store: &Store,
    invoice: InvoiceId,
    usage_row: usize,
) -> Result<Vec<EvidenceEntry>> {
    let rows = store
        .fetch_all(
            sql("SELECT entries FROM billing_invoice_evidence
                 WHERE invoice_id = $1 AND usage_row = $2 ORDER BY part")
            .bind(invoice)
            .bind(i64::try_from(usage_row).unwrap_or(i64::MAX)),
        )
        .await?;
    let mut evidence = Vec::new();
    for row in rows {
        let bytes = row.bytes("entries")?;
        evidence.extend(
            bytes
                .chunks(ENTRY_BYTES)
                .filter_map(EvidenceEntry::from_bytes),
        );
    }
    Ok(evidence)
}
