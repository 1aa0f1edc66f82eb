//! Rules: made, changed, deleted.

use sealwright_access::{Actor, Principal};
use sealwright_core::{TenantId, TenantScope};
use sealwright_store::Tx;

use super::channels::channel_id;
use super::input::{self, NewRule, RuleChange, invalid};
use super::{NotifyService, Result, not_found};
use crate::error::NotifyError;
use crate::message::Severity;
use crate::model::{ChannelId, Rule, RuleId};
use crate::{route, store};

/// Rules that one owner may have: all of them are looked at for each message.
const MOST_RULES: i64 = 500;
const MOST_CHANNELS: usize = 20;

fn rule_id(text: &str) -> Result<RuleId> {
    text.parse().map_err(|_| not_found("rule", text))
}

fn topic(text: &str) -> Result<String> {
    if route::is_pattern(text) {
        Ok(text.to_owned())
    } else {
        Err(invalid(
            "topic",
            "is a topic such as billing.budget, a beginning such as billing.*, or *",
        ))
    }
}

impl NotifyService {
    /// Rules in the caller's scope, oldest first; an owner has at most 500.
    ///
    /// # Errors
    /// [`NotifyError::Refused`].
    pub async fn rules(&self, by: &Principal) -> Result<Vec<Rule>> {
        self.read(by)?;
        Ok(store::list_rules(&self.store, by.tenants).await?)
    }

    /// One rule.
    ///
    /// # Errors
    /// [`NotifyError::NotFound`].
    pub async fn rule(&self, by: &Principal, id: &str) -> Result<Rule> {
        self.read(by)?;
        store::read_rule(&self.store, by.tenants, rule_id(id)?)
            .await?
            .ok_or_else(|| not_found("rule", id))
    }

    /// The channels that a rule of `owner` names: they must be the owner's, so that no rule of one tenant
    /// tells another one.
    async fn own_channels(
        &self,
        tx: &mut Tx,
        by: &Principal,
        owner: Option<TenantId>,
        ids: &[String],
    ) -> Result<Vec<ChannelId>> {
        if !(1..=MOST_CHANNELS).contains(&ids.len()) {
            return Err(invalid("channels", "must name 1 to 20 channels"));
        }
        let mut channels = Vec::with_capacity(ids.len());
        for text in ids {
            let id = channel_id(text)?;
            let channel = store::find_channel(tx, by.tenants, id)
                .await?
                .ok_or_else(|| not_found("channel", text))?;
            if channel.tenant_id != owner {
                return Err(invalid(
                    "channels",
                    format!("has {id}, which belongs to another owner than the rule"),
                ));
            }
            if !channels.contains(&id) {
                channels.push(id);
            }
        }
        channels.sort();
        Ok(channels)
    }

    /// Makes a rule. It meets messages that are routed from now on.
    ///
    /// # Errors
    /// [`NotifyError::Invalid`], [`NotifyError::NotFound`] for a channel or tenant.
    pub async fn create_rule(&self, by: &Principal, new: NewRule) -> Result<Rule> {
        self.write(by)?;
        let tenant_id = self.owner(by, new.tenant.as_deref())?;
        let about_tenant = new
            .about
            .as_deref()
            .map(|name| self.tenant(by, name))
            .transpose()?;
        let now = self.clock.now();
        let mut rule = Rule {
            id: RuleId::new(now),
            tenant_id,
            name: input::name(&new.name)?,
            topic: topic(&new.topic)?,
            severity: new.severity.unwrap_or(Severity::Info),
            about_tenant,
            channels: Vec::new(),
            enabled: true,
            version: 1,
            created_at: now,
            updated_at: now,
        };
        let mut tx = self.store.begin().await?;
        tx.lock("notify rules").await?;
        let scope = tenant_id.map_or(TenantScope::All, TenantScope::One);
        if store::count_rules(&mut tx, scope).await? >= MOST_RULES {
            return Err(NotifyError::Conflict(format!(
                "there are {MOST_RULES} rules already; delete one"
            )));
        }
        rule.channels = self
            .own_channels(&mut tx, by, tenant_id, &new.channels)
            .await?;
        store::insert_rule(&mut tx, &rule).await?;
        self.record(
            &mut tx,
            Actor::from(by),
            "notify.rule.create",
            tenant_id,
            rule.id.to_string(),
            (None, Some(&rule)),
        )
        .await?;
        tx.commit().await?;
        Ok(rule)
    }

    /// Changes a rule; with `version` only if it still has that one.
    ///
    /// # Errors
    /// [`NotifyError::Invalid`], [`NotifyError::Changed`], [`NotifyError::NotFound`].
    pub async fn change_rule(
        &self,
        by: &Principal,
        id: &str,
        version: Option<i64>,
        change: RuleChange,
    ) -> Result<Rule> {
        self.write(by)?;
        let mut tx = self.store.begin().await?;
        let before = store::find_rule(&mut tx, by.tenants, rule_id(id)?)
            .await?
            .ok_or_else(|| not_found("rule", id))?;
        if version.is_some_and(|version| version != before.version) {
            return Err(NotifyError::Changed {
                found: before.version,
            });
        }
        let mut after = before.clone();
        if let Some(name) = &change.name {
            after.name = input::name(name)?;
        }
        if let Some(text) = &change.topic {
            after.topic = topic(text)?;
        }
        if let Some(severity) = change.severity {
            after.severity = severity;
        }
        if let Some(enabled) = change.enabled {
            after.enabled = enabled;
        }
        if let Some(channels) = &change.channels {
            after.channels = self
                .own_channels(&mut tx, by, before.tenant_id, channels)
                .await?;
        }
        after.updated_at = self.clock.now();
        if store::update_rule(&mut tx, &after, before.version).await? == 0 {
            return Err(NotifyError::Changed {
                found: before.version + 1,
            });
        }
        after.version = before.version + 1;
        self.record(
            &mut tx,
            Actor::from(by),
            "notify.rule.change",
            before.tenant_id,
            before.id.to_string(),
            (Some(&before), Some(&after)),
        )
        .await?;
        tx.commit().await?;
        Ok(after)
    }

    /// Deletes a rule.
    ///
    /// # Errors
    /// [`NotifyError::NotFound`].
    pub async fn delete_rule(&self, by: &Principal, id: &str) -> Result<()> {
        self.write(by)?;
        let mut tx = self.store.begin().await?;
        let before = store::find_rule(&mut tx, by.tenants, rule_id(id)?)
            .await?
            .ok_or_else(|| not_found("rule", id))?;
        store::delete_rule(&mut tx, before.id).await?;
        self.record(
            &mut tx,
            Actor::from(by),
            "notify.rule.delete",
            before.tenant_id,
            before.id.to_string(),
            (Some(&before), None),
        )
        .await?;
        tx.commit().await?;
        Ok(())
    }
}
