//! Rows of `siem_evidence`.

use sealwright_core::{TenantScope, UnixMicros};
use sealwright_store::{Result, Store, Tx, sql};

use crate::model::{Alert, AlertId};

/// Keeps a bundle; one that is there already stays. Says whether there was none.
pub async fn insert(
    tx: &mut Tx,
    alert: &Alert,
    now: UnixMicros,
    digest: &str,
    bundle: &str,
) -> Result<bool> {
    let changed = tx
        .execute(
            sql(
                "INSERT INTO siem_evidence (alert_id, tenant_id, kept_at, digest, bundle)
                 VALUES ($1, $2, $3, $4, $5) ON CONFLICT (alert_id) DO NOTHING",
            )
            .bind(alert.id)
            .bind(alert.tenant)
            .bind(now)
            .bind(digest)
            .bind(bundle),
        )
        .await?;
    Ok(changed == 1)
}

/// The bundle of an alert in a scope.
pub async fn find(store: &Store, scope: TenantScope, alert: AlertId) -> Result<Option<String>> {
    let row = store
        .fetch_optional(
            sql("SELECT bundle FROM siem_evidence
                 WHERE alert_id = $1 AND ($2 = '*' OR tenant_id = $2)")
            .bind(alert)
            .bind(scope),
        )
        .await?;
    row.map(|row| row.text("bundle")).transpose()
}
