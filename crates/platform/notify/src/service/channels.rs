//! Channels: made, changed, tested, rotated, deleted.

use sealwright_access::{Actor, Principal};
use sealwright_core::{Page, TenantScope};
use secrecy::{ExposeSecret as _, SecretString};
use serde::Serialize;
use utoipa::ToSchema;

use super::input::{self, ChannelChange, Given, NewChannel, invalid};
use super::{NotifyService, Result, cut, not_found, page};
use crate::error::NotifyError;
use crate::message::{Message, Severity};
use crate::model::{
    Channel, ChannelId, ChannelState, Delivery, DeliveryId, DeliveryState, Secrets, Target,
};
use crate::store::{self, NewDelivery};

/// Channels that one owner may have.
const MOST_CHANNELS: i64 = 200;
/// The longest overlap of two signing secrets.
const LONGEST_OVERLAP: i64 = 30 * sealwright_core::clock::DAY;

/// A channel that was made.
#[derive(Serialize, ToSchema)]
pub struct CreatedChannel {
    /// The channel.
    pub channel: Channel,
    /// The signing secret of a webhook, where none was given: it is shown this once.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub secret: Option<String>,
}

/// A signing secret that replaces another one.
#[derive(Serialize, ToSchema)]
pub struct Rotated {
    /// The channel.
    pub channel: Channel,
    /// The new secret, where none was given: it is shown this once.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub secret: Option<String>,
}

impl std::fmt::Debug for CreatedChannel {
    /// Without the secret.
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("CreatedChannel")
            .field("channel", &self.channel)
            .finish_non_exhaustive()
    }
}

impl std::fmt::Debug for Rotated {
    /// Without the secret.
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Rotated")
            .field("channel", &self.channel)
            .finish_non_exhaustive()
    }
}

fn shown(secret: Option<SecretString>) -> Option<String> {
    secret.map(|secret| secret.expose_secret().to_owned())
}

pub(super) fn channel_id(text: &str) -> Result<ChannelId> {
    text.parse().map_err(|_| not_found("channel", text))
}

impl NotifyService {
    /// Channels in the caller's scope, newest first.
    ///
    /// # Errors
    /// [`NotifyError::Invalid`] for a bad cursor.
    pub async fn channels(
        &self,
        by: &Principal,
        cursor: Option<&str>,
        limit: Option<u32>,
    ) -> Result<Page<Channel>> {
        self.read(by)?;
        let (rows, before) = page(limit, cursor)?;
        let items = store::list_channels(&self.store, by.tenants, &before, rows as i64 + 1).await?;
        Ok(cut(items, rows, |channel| channel.id.to_string()))
    }

    /// One channel.
    ///
    /// # Errors
    /// [`NotifyError::NotFound`].
    pub async fn channel(&self, by: &Principal, id: &str) -> Result<Channel> {
        self.read(by)?;
        store::read_channel(&self.store, by.tenants, channel_id(id)?)
            .await?
            .ok_or_else(|| not_found("channel", id))
    }

    /// Makes a channel.
    ///
    /// # Errors
    /// [`NotifyError::Invalid`] names what is not acceptable.
    pub async fn create_channel(&self, by: &Principal, new: NewChannel) -> Result<CreatedChannel> {
        self.write(by)?;
        let tenant_id = self.owner(by, new.tenant.as_deref())?;
        let name = input::name(&new.name)?;
        let quiet = input::quiet(new.quiet)?;
        let per_minute = input::per_minute(new.per_minute)?;
        let checked = input::target(&self.egress, new.target)?;
        let now = self.clock.now();
        let id = ChannelId::new(now);
        let channel = Channel {
            id,
            tenant_id,
            name,
            target: checked.target,
            quiet,
            per_minute,
            state: ChannelState::Active,
            state_reason: String::new(),
            blocked_until: None,
            version: 1,
            created_at: now,
            updated_at: now,
            sealed: self.seal(id, &checked.secrets)?,
        };
        let mut tx = self.store.begin().await?;
        tx.lock("notify channels").await?;
        let scope = tenant_id.map_or(TenantScope::All, TenantScope::One);
        if store::count_channels(&mut tx, scope).await? >= MOST_CHANNELS {
            return Err(NotifyError::Conflict(format!(
                "there are {MOST_CHANNELS} channels already; delete one"
            )));
        }
        store::insert_channel(&mut tx, &channel).await?;
        self.record(
            &mut tx,
            Actor::from(by),
            "notify.channel.create",
            tenant_id,
            id.to_string(),
            (None, Some(&channel)),
        )
        .await?;
        tx.commit().await?;
        Ok(CreatedChannel {
            channel,
            secret: shown(checked.made),
        })
    }

    async fn change(
        &self,
        by: Actor,
        scope: TenantScope,
        id: &str,
        version: Option<i64>,
        action: &'static str,
        edit: impl FnOnce(&mut Channel) -> Result<()>,
    ) -> Result<Channel> {
        let mut tx = self.store.begin().await?;
        let before = store::find_channel(&mut tx, scope, channel_id(id)?)
            .await?
            .ok_or_else(|| not_found("channel", id))?;
        if version.is_some_and(|version| version != before.version) {
            return Err(NotifyError::Changed {
                found: before.version,
            });
        }
        let mut after = before.clone();
        edit(&mut after)?;
        after.updated_at = self.clock.now();
        after.blocked_until = None;
        let changed = store::update_channel(&mut tx, &after, before.version).await?;
        if changed == 0 {
            return Err(NotifyError::Changed {
                found: before.version + 1,
            });
        }
        after.version = before.version + 1;
        self.record(
            &mut tx,
            by,
            action,
            before.tenant_id,
            before.id.to_string(),
            (Some(&before), Some(&after)),
        )
        .await?;
        tx.commit().await?;
        self.notifier.nudge();
        Ok(after)
    }

    /// Changes a channel; with `version` only if it still has that one.
    ///
    /// # Errors
    /// [`NotifyError::Invalid`], [`NotifyError::Changed`], [`NotifyError::NotFound`].
    pub async fn change_channel(
        &self,
        by: &Principal,
        id: &str,
        version: Option<i64>,
        change: ChannelChange,
    ) -> Result<Channel> {
        self.write(by)?;
        let name = change.name.as_deref().map(input::name).transpose()?;
        let quiet = change.quiet.map(input::quiet).transpose()?;
        let per_minute = change.per_minute.map(input::per_minute).transpose()?;
        let target = change
            .target
            .map(|target| input::target(&self.egress, target))
            .transpose()?;
        if change.state == Some(ChannelState::Deleted) {
            return Err(invalid(
                "state",
                "is active or disabled; use DELETE to delete it",
            ));
        }
        let who = Actor::from(by);
        let reason = format!("switched off by {}", who.name);
        self.change(
            who,
            by.tenants,
            id,
            version,
            "notify.channel.change",
            |channel| {
                if let Some(name) = name {
                    channel.name = name;
                }
                if let Some(quiet) = quiet {
                    channel.quiet = quiet;
                }
                if let Some(per_minute) = per_minute {
                    channel.per_minute = per_minute;
                }
                if let Some(state) = change.state {
                    channel.state = state;
                    channel.state_reason = match state {
                        ChannelState::Active => String::new(),
                        _ => reason,
                    };
                }
                if let Some(checked) = target {
                    if checked.target.kind() != channel.target.kind() {
                        return Err(invalid(
                            "target.kind",
                            "cannot change; make another channel",
                        ));
                    }
                    let mut secrets = checked.secrets;
                    let mut target = checked.target;
                    if checked.made.is_some() {
                        // No new signing secret was given: the one that is there stays.
                        keep_signing(
                            &self.unseal(channel)?,
                            &channel.target,
                            &mut secrets,
                            &mut target,
                        );
                    }
                    channel.sealed = self.seal(channel.id, &secrets)?;
                    channel.target = target;
                }
                Ok(())
            },
        )
        .await
    }

    /// Gives a webhook another signing secret; the one before it goes on signing too for `overlap`
    /// microseconds, at most 30 days.
    ///
    /// # Errors
    /// [`NotifyError::Conflict`] for a channel that is no webhook.
    pub async fn rotate_secret(
        &self,
        by: &Principal,
        id: &str,
        secret: Option<Given>,
        overlap: i64,
    ) -> Result<Rotated> {
        self.write(by)?;
        if !(0..=LONGEST_OVERLAP).contains(&overlap) {
            return Err(invalid("overlap", "must be at most 30 days"));
        }
        let now = self.clock.now();
        let mut made = None;
        let channel = self
            .change(
                Actor::from(by),
                by.tenants,
                id,
                None,
                "notify.channel.rotate",
                |channel| {
                    let Target::Webhook {
                        signature,
                        public_key,
                        previous_until,
                        ..
                    } = &mut channel.target
                    else {
                        return Err(NotifyError::Conflict(
                        "only webhooks have a signing secret; change the channel's target instead"
                            .to_owned(),
                    ));
                    };
                    let fresh = match secret {
                        Some(given) => given.secret("secret")?,
                        None => {
                            let fresh = input::new_secret(*signature)?;
                            made = Some(fresh.clone());
                            fresh
                        }
                    };
                    *public_key = input::signing(*signature, &fresh)?;
                    *previous_until = Some(now.plus(overlap).0);
                    // The clone ends the borrow of the target before the whole channel is opened.
                    let mut secrets = self.unseal(channel)?;
                    if let Some(old) = secrets.0.remove("secret") {
                        secrets.put("previous_secret", old);
                    }
                    secrets.put("secret", fresh);
                    channel.sealed = self.seal(channel.id, &secrets)?;
                    Ok(())
                },
            )
            .await?;
        Ok(Rotated {
            channel,
            secret: shown(made),
        })
    }

    /// Deletes a channel that no rule names. Its secrets go at once; its deliveries stay in the history, and
    /// what waits for it is given up.
    ///
    /// # Errors
    /// [`NotifyError::Conflict`] names the rules.
    pub async fn delete_channel(&self, by: &Principal, id: &str) -> Result<()> {
        self.write(by)?;
        let now = self.clock.now();
        let mut tx = self.store.begin().await?;
        let before = store::find_channel(&mut tx, by.tenants, channel_id(id)?)
            .await?
            .ok_or_else(|| not_found("channel", id))?;
        let rules = store::rules_of_channel(&mut tx, before.id).await?;
        if !rules.is_empty() {
            return Err(NotifyError::Conflict(format!(
                "the rules {} send to it; change them first",
                rules.join(", ")
            )));
        }
        let mut after = before.clone();
        after.state = ChannelState::Deleted;
        after.state_reason = format!("deleted by {}", by.name);
        after.sealed = self.seal(before.id, &Secrets::default())?;
        after.updated_at = now;
        store::update_channel(&mut tx, &after, before.version).await?;
        store::give_up_channel(&mut tx, before.id, "the channel was deleted", now).await?;
        self.record(
            &mut tx,
            Actor::from(by),
            "notify.channel.delete",
            before.tenant_id,
            before.id.to_string(),
            (Some(&before), None),
        )
        .await?;
        tx.commit().await?;
        Ok(())
    }

    /// Sends a message of topic `notify.test` to a channel, past rules and quiet hours.
    ///
    /// # Errors
    /// [`NotifyError::Conflict`] for a channel that is not active.
    pub async fn test_channel(&self, by: &Principal, id: &str) -> Result<Delivery> {
        self.write(by)?;
        let now = self.clock.now();
        let mut tx = self.store.begin().await?;
        let channel = store::find_channel(&mut tx, by.tenants, channel_id(id)?)
            .await?
            .ok_or_else(|| not_found("channel", id))?;
        if channel.state != ChannelState::Active {
            return Err(NotifyError::Conflict(format!(
                "the channel is {}: {}",
                channel.state, channel.state_reason
            )));
        }
        let mut message = Message::new("notify.test", Severity::Info, "A test of this channel")
            .body("Sealwright can reach this channel. Nothing needs to be done.")
            .field("Channel", &channel.name)
            .field("Asked for by", &by.name)
            .link("/console/notify");
        message.tenant = channel.tenant_id;
        let message_id = store::enqueue(&mut tx, &message, now).await?;
        store::mark_routed(&mut tx, message_id, 1, now).await?;
        let delivery_id = DeliveryId::new(now);
        let delivery = NewDelivery {
            id: delivery_id,
            message: message_id,
            channel: channel.id,
            tenant: channel.tenant_id,
            kind: channel.target.kind(),
            incident: None,
            state: DeliveryState::Pending,
            cause: "test",
            next_at: now,
            now,
        };
        store::insert_delivery(&mut tx, &delivery).await?;
        self.record(
            &mut tx,
            Actor::from(by),
            "notify.channel.test",
            channel.tenant_id,
            channel.id.to_string(),
            (None, Some(&delivery_id)),
        )
        .await?;
        tx.commit().await?;
        self.notifier.nudge();
        self.delivery(by, &delivery_id.to_string()).await
    }

    /// Switches a channel off because its other side said that it is gone.
    pub(crate) async fn gone(&self, id: ChannelId, reason: &str) -> Result<()> {
        let who = Actor::from(&Principal::system("notify"));
        let id = id.to_string();
        self.change(
            who,
            TenantScope::All,
            &id,
            None,
            "notify.channel.gone",
            |channel| {
                channel.state = ChannelState::Disabled;
                channel.state_reason = reason.to_owned();
                Ok(())
            },
        )
        .await?;
        Ok(())
    }

    /// Seals every channel's secrets with the present key; how many were sealed with another one.
    ///
    /// # Errors
    /// [`NotifyError::Secret`] when one cannot be opened; those before it are sealed again.
    pub async fn reseal(&self, by: &Principal) -> Result<u64> {
        self.write(by)?;
        by.require_all_tenants()?;
        let mut count = 0;
        for channel in store::sealed_channels(&self.store).await? {
            if self.ring.is_current(&channel.sealed) {
                continue;
            }
            let sealed = self.seal(channel.id, &self.unseal(&channel)?)?;
            let mut tx = self.store.begin().await?;
            count += store::reseal(&mut tx, channel.id, &channel.sealed, &sealed).await?;
            let key = self.ring.current().to_owned();
            self.record(
                &mut tx,
                Actor::from(by),
                "notify.channel.reseal",
                channel.tenant_id,
                channel.id.to_string(),
                (None, Some(&key)),
            )
            .await?;
            tx.commit().await?;
        }
        Ok(count)
    }
}

/// A webhook's signing secrets survive a change of its address.
fn keep_signing(old: &Secrets, was: &Target, secrets: &mut Secrets, target: &mut Target) {
    let (
        Target::Webhook {
            signature: old_scheme,
            public_key: old_key,
            previous_until: old_until,
            ..
        },
        Target::Webhook {
            signature,
            public_key,
            previous_until,
            ..
        },
    ) = (was, target)
    else {
        return;
    };
    for name in ["secret", "previous_secret"] {
        if let Some(value) = old.0.get(name) {
            secrets.0.insert(name.to_owned(), value.clone());
        }
    }
    *signature = *old_scheme;
    public_key.clone_from(old_key);
    *previous_until = *old_until;
}
