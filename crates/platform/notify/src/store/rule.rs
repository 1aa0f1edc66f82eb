//! Rules.

use sealwright_core::TenantScope;
use sealwright_store::{Row, Sql, Store, Tx, sql};

use super::{Result, opt_parse, severity};
use crate::model::{Rule, RuleId};

/// One row a channel of the rule (and one with nulls for a rule without any), in the order of the ids.
const WITH_CHANNELS: &str = "SELECT r.*, rc.channel_id FROM notify_rule r
     LEFT JOIN notify_rule_channel rc ON rc.rule_id = r.id";

fn rules(rows: &[Row]) -> Result<Vec<Rule>> {
    let mut rules: Vec<Rule> = Vec::new();
    for row in rows {
        let id: RuleId = row.parse("id")?;
        if rules.last().is_none_or(|last| last.id != id) {
            rules.push(Rule {
                id,
                tenant_id: opt_parse(row, "tenant_id")?,
                name: row.text("name")?,
                topic: row.text("topic")?,
                severity: severity(row)?,
                about_tenant: opt_parse(row, "about_tenant")?,
                channels: Vec::new(),
                enabled: row.bool("enabled")?,
                version: row.int("version")?,
                created_at: row.micros("created_at")?,
                updated_at: row.micros("updated_at")?,
            });
        }
        if let (Some(rule), Some(channel)) = (rules.last_mut(), opt_parse(row, "channel_id")?) {
            rule.channels.push(channel);
        }
    }
    Ok(rules)
}

async fn put_channels(tx: &mut Tx, rule: &Rule) -> Result<()> {
    tx.execute(sql("DELETE FROM notify_rule_channel WHERE rule_id = $1").bind(rule.id))
        .await?;
    for channel in &rule.channels {
        tx.execute(
            sql(
                "INSERT INTO notify_rule_channel (rule_id, channel_id) VALUES ($1, $2)
                 ON CONFLICT (rule_id, channel_id) DO NOTHING",
            )
            .bind(rule.id)
            .bind(*channel),
        )
        .await?;
    }
    Ok(())
}

pub(crate) async fn insert_rule(tx: &mut Tx, new: &Rule) -> Result<()> {
    tx.execute(
        sql(
            "INSERT INTO notify_rule (id, tenant_id, name, topic, severity, about_tenant, enabled, version,
             created_at, updated_at) VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9, $9)",
        )
        .bind(new.id)
        .bind(new.tenant_id)
        .bind(new.name.as_str())
        .bind(new.topic.as_str())
        .bind(new.severity.rank())
        .bind(new.about_tenant)
        .bind(new.enabled)
        .bind(new.version)
        .bind(new.created_at),
    )
    .await?;
    put_channels(tx, new).await
}

/// Writes a changed rule if it still has `version`; 0 when it has not.
pub(crate) async fn update_rule(tx: &mut Tx, new: &Rule, version: i64) -> Result<u64> {
    let changed = tx
        .execute(
            sql(
                "UPDATE notify_rule SET name = $3, topic = $4, severity = $5, about_tenant = $6, enabled = $7,
                 updated_at = $8, version = version + 1 WHERE id = $1 AND version = $2",
            )
            .bind(new.id)
            .bind(version)
            .bind(new.name.as_str())
            .bind(new.topic.as_str())
            .bind(new.severity.rank())
            .bind(new.about_tenant)
            .bind(new.enabled)
            .bind(new.updated_at),
        )
        .await?;
    if changed == 1 {
        put_channels(tx, new).await?;
    }
    Ok(changed)
}

pub(crate) async fn delete_rule(tx: &mut Tx, id: RuleId) -> Result<()> {
    tx.execute(sql("DELETE FROM notify_rule_channel WHERE rule_id = $1").bind(id))
        .await?;
    tx.execute(sql("DELETE FROM notify_rule WHERE id = $1").bind(id))
        .await?;
    Ok(())
}

fn by_id(scope: TenantScope, id: RuleId) -> Sql {
    sql(format!(
        "{WITH_CHANNELS} WHERE r.id = $2 AND ($1 = '*' OR r.tenant_id = $1) ORDER BY rc.channel_id"
    ))
    .bind(scope)
    .bind(id)
}

pub(crate) async fn read_rule(
    store: &Store,
    scope: TenantScope,
    id: RuleId,
) -> Result<Option<Rule>> {
    let rows = store.fetch_all(by_id(scope, id)).await?;
    Ok(rules(&rows)?.pop())
}

pub(crate) async fn find_rule(tx: &mut Tx, scope: TenantScope, id: RuleId) -> Result<Option<Rule>> {
    let rows = tx.fetch_all(by_id(scope, id)).await?;
    Ok(rules(&rows)?.pop())
}

pub(crate) async fn list_rules(store: &Store, scope: TenantScope) -> Result<Vec<Rule>> {
    let rows = store
        .fetch_all(
            sql(format!(
                "{WITH_CHANNELS} WHERE ($1 = '*' OR r.tenant_id = $1) ORDER BY r.id, rc.channel_id"
            ))
            .bind(scope),
        )
        .await?;
    rules(&rows)
}

/// How many rules an owner has; with all tenants in scope, those of the installation.
pub(crate) async fn count_rules(tx: &mut Tx, owner: TenantScope) -> Result<i64> {
    tx.fetch_one(
        sql("SELECT COUNT(*) AS rules FROM notify_rule
             WHERE (($1 = '*' AND tenant_id IS NULL) OR tenant_id = $1)")
        .bind(owner),
    )
    .await?
    .int("rules")
}

/// Rules that send to a channel.
pub(crate) async fn rules_of_channel(
    tx: &mut Tx,
    channel: crate::model::ChannelId,
) -> Result<Vec<String>> {
    let rows = tx
        .fetch_all(
            sql(
                "SELECT r.name FROM notify_rule r JOIN notify_rule_channel rc ON rc.rule_id = r.id
                 WHERE rc.channel_id = $1 ORDER BY r.id",
            )
            .bind(channel),
        )
        .await?;
    rows.iter().map(|row| row.text("name")).collect()
}
