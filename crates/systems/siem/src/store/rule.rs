//! Rows of `siem_rule_file`, `siem_rule_setting` and `siem_generation`.

use sealwright_core::{TenantId, TenantScope, UnixMicros};
use sealwright_store::{Result, Row, Store, StoreError, Tx, sql};

use crate::model::{RuleFile, Setting};

/// A file with its revision.
#[derive(Debug, Clone)]
pub struct OwnFile {
    /// The file.
    pub file: RuleFile,
    /// Grows with each change.
    pub revision: i64,
    /// When it last changed.
    pub updated_at: UnixMicros,
    /// Who changed it.
    pub updated_by: String,
}

fn read_file(row: &Row) -> Result<OwnFile> {
    Ok(OwnFile {
        file: RuleFile {
            name: row.text("name")?,
            text: row.text("body")?,
            digest: row.parse("digest")?,
            floor: false,
        },
        revision: row.int("revision")?,
        updated_at: row.micros("updated_at")?,
        updated_by: row.text("updated_by")?,
    })
}

/// The number that grows with each change of rules.
pub async fn generation(tx: &mut Tx) -> Result<i64> {
    let row = tx
        .fetch_one(sql("SELECT number FROM siem_generation WHERE id = 1"))
        .await?;
    row.int("number")
}

/// The same, outside of a transaction.
pub async fn generation_now(store: &Store) -> Result<i64> {
    let row = store
        .fetch_one(sql("SELECT number FROM siem_generation WHERE id = 1"))
        .await?;
    row.int("number")
}

/// Says that rules have changed.
pub async fn next_generation(tx: &mut Tx) -> Result<()> {
    tx.execute(sql(
        "UPDATE siem_generation SET number = number + 1 WHERE id = 1",
    ))
    .await?;
    Ok(())
}

/// The installation's own files.
pub async fn files(store: &Store) -> Result<Vec<OwnFile>> {
    let rows = store
        .fetch_all(sql("SELECT * FROM siem_rule_file ORDER BY name"))
        .await?;
    rows.iter().map(read_file).collect()
}

/// One of them, as this transaction sees it.
pub async fn file(tx: &mut Tx, name: &str) -> Result<Option<OwnFile>> {
    let row = tx
        .fetch_optional(sql("SELECT * FROM siem_rule_file WHERE name = $1").bind(name))
        .await?;
    row.as_ref().map(read_file).transpose()
}

/// Adds a file, or puts it in the place of the one of its name.
pub async fn put_file(tx: &mut Tx, own: &OwnFile) -> Result<()> {
    tx.execute(
        sql(
            "INSERT INTO siem_rule_file (name, body, digest, revision, updated_at, updated_by)
             VALUES ($1, $2, $3, $4, $5, $6) ON CONFLICT (name) DO UPDATE SET
                body = excluded.body, digest = excluded.digest, revision = excluded.revision,
                updated_at = excluded.updated_at, updated_by = excluded.updated_by",
        )
        .bind(&own.file.name)
        .bind(&own.file.text)
        .bind(own.file.digest)
        .bind(own.revision)
        .bind(own.updated_at)
        .bind(&own.updated_by),
    )
    .await?;
    Ok(())
}

/// Removes a file; says whether it was there.
pub async fn remove_file(tx: &mut Tx, name: &str) -> Result<bool> {
    let changed = tx
        .execute(sql("DELETE FROM siem_rule_file WHERE name = $1").bind(name))
        .await?;
    Ok(changed == 1)
}

/// A setting and whose it is.
#[derive(Debug, Clone, PartialEq)]
pub struct Kept {
    /// The rule.
    pub rule_id: String,
    /// Whose; `None` for all tenants.
    pub tenant: Option<TenantId>,
    /// What is set.
    pub setting: Setting,
    /// Grows with each change.
    pub revision: i64,
}

fn read_setting(row: &Row) -> Result<Kept> {
    let tenant = row.text("tenant_id")?;
    let body = row.text("body")?;
    Ok(Kept {
        rule_id: row.text("rule_id")?,
        tenant: match tenant.as_str() {
            "*" => None,
            _ => Some(row.parse("tenant_id")?),
        },
        setting: serde_json::from_str(&body).map_err(|_| StoreError::Column {
            column: "body".to_owned(),
            found: "text of another form",
            expected: "a rule's setting",
        })?,
        revision: row.int("revision")?,
    })
}

/// All settings that hold in a scope: those for all tenants, and those of the scope's own.
pub async fn settings(store: &Store, scope: TenantScope) -> Result<Vec<Kept>> {
    let rows = store
        .fetch_all(
            sql("SELECT * FROM siem_rule_setting
                 WHERE ($1 = '*' OR tenant_id = $1 OR tenant_id = '*')
                 ORDER BY tenant_id, rule_id")
            .bind(scope),
        )
        .await?;
    rows.iter().map(read_setting).collect()
}

/// One setting; `None` as the tenant is the one for all tenants.
pub async fn setting(tx: &mut Tx, rule_id: &str, tenant: Option<TenantId>) -> Result<Option<Kept>> {
    let row = tx
        .fetch_optional(
            sql("SELECT * FROM siem_rule_setting WHERE rule_id = $1 AND tenant_id = $2")
                .bind(rule_id)
                .bind(tenant.map_or_else(|| "*".to_owned(), |id| id.to_string())),
        )
        .await?;
    row.as_ref().map(read_setting).transpose()
}

/// Writes a setting.
pub async fn put_setting(tx: &mut Tx, kept: &Kept, now: UnixMicros, by: &str) -> Result<()> {
    let body = serde_json::to_string(&kept.setting).unwrap_or_else(|_| "{}".to_owned());
    tx.execute(
        sql(
            "INSERT INTO siem_rule_setting (rule_id, tenant_id, body, revision, updated_at,
                updated_by) VALUES ($1, $2, $3, $4, $5, $6)
             ON CONFLICT (rule_id, tenant_id) DO UPDATE SET body = excluded.body,
                revision = excluded.revision, updated_at = excluded.updated_at,
                updated_by = excluded.updated_by",
        )
        .bind(&kept.rule_id)
        .bind(
            kept.tenant
                .map_or_else(|| "*".to_owned(), |id| id.to_string()),
        )
        .bind(body)
        .bind(kept.revision)
        .bind(now)
        .bind(by),
    )
    .await?;
    Ok(())
}
