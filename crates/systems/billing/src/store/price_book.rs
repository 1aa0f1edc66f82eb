//! Rows of `billing_price_book`, `billing_subscription` and `billing_meter`.

use sealwright_core::{TenantId, TenantScope, UnixMicros};
use sealwright_store::{Result, Row, Store, Tx, sql};

use crate::model::{PriceBookRef, Span, StoredPriceBook, Subscription};

fn read(row: &Row) -> Result<StoredPriceBook> {
    Ok(StoredPriceBook {
        reference: PriceBookRef {
            id: row.text("id")?,
            version: u32::try_from(row.int("version")?).unwrap_or(0),
            digest: row.parse("digest")?,
            title: row.text("title")?,
        },
        currency: row.text("currency")?,
        body: row.text("body")?,
        created_at: row.micros("created_at")?,
        created_by: row.text("created_by")?,
    })
}

/// Adds a version of a price book; a version that is there already is a constraint error.
pub async fn insert(tx: &mut Tx, book: &StoredPriceBook) -> Result<()> {
    tx.execute(
        sql("INSERT INTO billing_price_book (id, version, title, currency, body, digest, created_at,
                created_by) VALUES ($1, $2, $3, $4, $5, $6, $7, $8)")
        .bind(&book.reference.id)
        .bind(book.reference.version)
        .bind(&book.reference.title)
        .bind(&book.currency)
        .bind(&book.body)
        .bind(book.reference.digest)
        .bind(book.created_at)
        .bind(&book.created_by),
    )
    .await?;
    Ok(())
}

/// One version.
pub async fn find(store: &Store, id: &str, version: u32) -> Result<Option<StoredPriceBook>> {
    let row = store
        .fetch_optional(
            sql("SELECT * FROM billing_price_book WHERE id = $1 AND version = $2")
                .bind(id)
                .bind(version),
        )
        .await?;
    row.as_ref().map(read).transpose()
}

/// The newest version of a price book.
pub async fn newest(store: &Store, id: &str) -> Result<Option<StoredPriceBook>> {
    let row = store
        .fetch_optional(
            sql("SELECT * FROM billing_price_book WHERE id = $1 ORDER BY version DESC LIMIT 1")
                .bind(id),
        )
        .await?;
    row.as_ref().map(read).transpose()
}

/// All versions of all price books, newest version first.
pub async fn all(store: &Store) -> Result<Vec<StoredPriceBook>> {
    let rows = store
        .fetch_all(sql(
            "SELECT * FROM billing_price_book ORDER BY id, version DESC",
        ))
        .await?;
    rows.iter().map(read).collect()
}

fn read_subscription(row: &Row) -> Result<Subscription> {
    Ok(Subscription {
        tenant: row.parse("tenant_id")?,
        from: row.micros("from_at")?,
        price_book_id: row.text("price_book_id")?,
        price_book_version: u32::try_from(row.int("price_book_version")?).unwrap_or(0),
    })
}

/// Puts a tenant on a price book from a moment on; the same moment again replaces it.
pub async fn subscribe(
    tx: &mut Tx,
    subscription: &Subscription,
    now: UnixMicros,
    by: &str,
) -> Result<()> {
    tx.execute(
        sql(
            "INSERT INTO billing_subscription (tenant_id, from_at, price_book_id,
                price_book_version, created_at, created_by) VALUES ($1, $2, $3, $4, $5, $6)
             ON CONFLICT (tenant_id, from_at) DO UPDATE SET
                price_book_id = excluded.price_book_id,
                price_book_version = excluded.price_book_version,
                created_at = excluded.created_at, created_by = excluded.created_by",
        )
        .bind(subscription.tenant)
        .bind(subscription.from)
        .bind(&subscription.price_book_id)
        .bind(subscription.price_book_version)
        .bind(now)
        .bind(by),
    )
    .await?;
    Ok(())
}

/// The subscription that a tenant has at a moment.
pub async fn subscription_at(
    store: &Store,
    tenant: TenantId,
    at: UnixMicros,
) -> Result<Option<Subscription>> {
    let row = store
        .fetch_optional(
            sql(
                "SELECT * FROM billing_subscription WHERE tenant_id = $1 AND from_at <= $2
                 ORDER BY from_at DESC LIMIT 1",
            )
            .bind(tenant)
            .bind(at),
        )
        .await?;
    row.as_ref().map(read_subscription).transpose()
}

/// The changes of a tenant's subscription inside a span.
pub async fn subscriptions_in(
    store: &Store,
    tenant: TenantId,
    span: Span,
) -> Result<Vec<Subscription>> {
    let rows = store
        .fetch_all(
            sql(
                "SELECT * FROM billing_subscription WHERE tenant_id = $1 AND from_at > $2
                 AND from_at < $3 ORDER BY from_at",
            )
            .bind(tenant)
            .bind(span.from)
            .bind(span.to),
        )
        .await?;
    rows.iter().map(read_subscription).collect()
}

/// All subscriptions in a scope.
pub async fn subscriptions(store: &Store, scope: TenantScope) -> Result<Vec<Subscription>> {
    let rows = store
        .fetch_all(
            sql(
                "SELECT * FROM billing_subscription WHERE ($1 = '*' OR tenant_id = $1)
                 ORDER BY tenant_id, from_at",
            )
            .bind(scope),
        )
        .await?;
    rows.iter().map(read_subscription).collect()
}

/// The newest version of each meter beside the predefined ones, as canonical JSON.
pub async fn meters(store: &Store) -> Result<Vec<(String, u32, String)>> {
    let rows = store
        .fetch_all(sql(
            "SELECT m.key, m.version, m.body FROM billing_meter m WHERE m.version =
                (SELECT MAX(n.version) FROM billing_meter n WHERE n.key = m.key) ORDER BY m.key",
        ))
        .await?;
    rows.iter()
        .map(|row| {
            let version = u32::try_from(row.int("version")?).unwrap_or(0);
            Ok((row.text("key")?, version, row.text("body")?))
        })
        .collect()
}

/// How many versions of meters were ever added: it grows with each change.
pub async fn meter_versions(store: &Store) -> Result<i64> {
    let row = store
        .fetch_one(sql("SELECT COUNT(*) AS n FROM billing_meter"))
        .await?;
    row.int("n")
}

/// Adds the next version of a meter and returns its number.
pub async fn insert_meter(
    tx: &mut Tx,
    key: &str,
    body: &str,
    digest: sealwright_core::Digest,
    now: UnixMicros,
    by: &str,
) -> Result<u32> {
    let row = tx
        .fetch_one(
            sql(
                "INSERT INTO billing_meter (key, version, body, digest, created_at, created_by)
                 SELECT $1, COALESCE(MAX(version), 0) + 1, $2, $3, $4, $5
                 FROM billing_meter WHERE key = $1 RETURNING version",
            )
            .bind(key)
            .bind(body)
            .bind(digest)
            .bind(now)
            .bind(by),
        )
        .await?;
    Ok(u32::try_from(row.int("version")?).unwrap_or(0))
}
