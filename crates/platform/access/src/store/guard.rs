//! Rows of `access_guard`.

use std::net::IpAddr;

use sealwright_core::TenantScope;
use sealwright_store::{Row, Store, StoreError, Tx, sql};

use super::Result;
use crate::guard::{Guard, Held};

const ADDRESS: &str = "address";
const PER_MINUTE: &str = "per-minute";

fn read(row: &Row) -> Result<Guard> {
    let held = match row.text("kind")?.as_str() {
        ADDRESS => {
            let address: IpAddr = row
                .text("address")?
                .parse()
                .map_err(|_| StoreError::Column {
                    column: "address".to_owned(),
                    found: "text of another form",
                    expected: "an address",
                })?;
            Held::Address(address)
        }
        _ => Held::PerMinute(u64::try_from(row.int("per_minute")?).unwrap_or(0)),
    };
    Ok(Guard {
        id: row.text("id")?,
        tenant_id: row.parse("tenant_id")?,
        held,
        reason: row.text("reason")?,
        created_at: row.micros("created_at")?,
    })
}

/// Adds a guard; says whether there was none of its id.
pub(crate) async fn insert(tx: &mut Tx, guard: &Guard) -> Result<bool> {
    let (kind, address, per_minute) = match guard.held {
        Held::Address(address) => (ADDRESS, address.to_string(), 0),
        Held::PerMinute(limit) => (
            PER_MINUTE,
            String::new(),
            i64::try_from(limit).unwrap_or(i64::MAX),
        ),
    };
    let changed = tx
        .execute(
            sql(
                "INSERT INTO access_guard (id, tenant_id, kind, address, per_minute, reason, created_at)
                 VALUES ($1, $2, $3, $4, $5, $6, $7) ON CONFLICT (id) DO NOTHING",
            )
            .bind(&guard.id)
            .bind(guard.tenant_id)
            .bind(kind)
            .bind(address)
            .bind(per_minute)
            .bind(&guard.reason)
            .bind(guard.created_at),
        )
        .await?;
    Ok(changed == 1)
}

pub(crate) async fn find(tx: &mut Tx, id: &str) -> Result<Option<Guard>> {
    let row = tx
        .fetch_optional(sql("SELECT * FROM access_guard WHERE id = $1").bind(id))
        .await?;
    row.as_ref().map(read).transpose()
}

pub(crate) async fn delete(tx: &mut Tx, id: &str) -> Result<()> {
    tx.execute(sql("DELETE FROM access_guard WHERE id = $1").bind(id))
        .await?;
    Ok(())
}

/// Guards in a scope, the latest first.
pub(crate) async fn list(store: &Store, scope: TenantScope) -> Result<Vec<Guard>> {
    let rows = store
        .fetch_all(
            sql(
                "SELECT * FROM access_guard WHERE ($1 = '*' OR tenant_id = $1)
                 ORDER BY created_at DESC, id DESC",
            )
            .bind(scope),
        )
        .await?;
    rows.iter().map(read).collect()
}
