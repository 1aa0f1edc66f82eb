//! Routing, releasing and sending: what happens with messages after they were committed.

use std::sync::Arc;
use std::time::Duration;

use sealwright_core::UnixMicros;
use sealwright_core::clock::{MINUTE, SECOND};
use tokio::task::JoinSet;
use tokio::time::Instant;
use tokio_util::sync::CancellationToken;

use crate::digest;
use crate::error::NotifyError;
use crate::message::MessageId;
use crate::model::{Channel, ChannelId, ChannelState, DeliveryId, DeliveryState, StoredMessage};
use crate::route;
use crate::send::{self, Attempt, Outcome, Told};
use crate::service::NotifyService;
use crate::store::{self, Claimed, Due, Ended, NewDelivery};
use Outcome as O;

type Result<T> = std::result::Result<T, NotifyError>;

/// How often a process looks for what other processes enqueued.
const LOOK_EVERY: Duration = Duration::from_secs(1);
/// How often the gauges are read.
const COUNT_EVERY: Duration = Duration::from_secs(10);
/// Messages that are routed, and deliveries that are looked at, in one go.
const BATCH: i64 = 100;
/// Writing down that a delivery was sent is tried so often before the lease is left to run out.
const MARKS: u32 = 5;

/// Sends deliveries, in the name of one process. Several processes may do so on one database.
#[derive(Debug, Clone)]
pub struct Deliverer {
    service: NotifyService,
    holder: Arc<str>,
}

/// What one look did.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Looked {
    /// Messages that were routed.
    pub routed: u64,
    /// Held deliveries that were released, by themselves or in digests.
    pub released: u64,
}

/// A claimed delivery and all that is needed to send it.
struct Job {
    claimed: Claimed,
    channel: Channel,
}

impl Deliverer {
    /// A deliverer that calls itself `holder` (host and process) in the rows.
    pub fn new(service: NotifyService, holder: &str) -> Self {
        Self {
            service,
            holder: holder.into(),
        }
    }

    /// Routes and sends, `workers` deliveries at a time, until `stop`; then lets what is being sent end.
    pub async fn work(&self, workers: usize, stop: CancellationToken) {
        let mut going: JoinSet<()> = JoinSet::new();
        let mut counted: Option<Instant> = None;
        loop {
            while going.try_join_next().is_some() {}
            if let Err(error) = self.look().await {
                tracing::error!(%error, "notifications could not be routed");
            }
            if counted.is_none_or(|at| at.elapsed() >= COUNT_EVERY) {
                counted = Some(Instant::now());
                if let Err(error) = self.count().await {
                    tracing::warn!(%error, "notifications could not be counted");
                }
            }
            let free = workers.max(1).saturating_sub(going.len());
            let mut claimed = 0;
            match self.claim(free).await {
                Ok(jobs) => {
                    claimed = jobs.len();
                    for job in jobs {
                        let this = self.clone();
                        going.spawn(async move { this.execute(job).await });
                    }
                }
                Err(error) => tracing::error!(%error, "no delivery could be claimed"),
            }
            if stop.is_cancelled() {
                break;
            }
            if claimed > 0 && going.len() < workers {
                continue;
            }
            tokio::select! {
                () = stop.cancelled() => break,
                () = self.service.notifier.wake.notified() => {}
                () = tokio::time::sleep(LOOK_EVERY) => {}
                Some(_) = going.join_next() => {}
            }
        }
        while going.join_next().await.is_some() {}
    }

    /// Routes, releases and sends what is due now, one after the other, until nothing is left; how many
    /// attempts were made. For commands and tests.
    ///
    /// # Errors
    /// What the store said.
    pub async fn drain(&self) -> Result<u64> {
        let mut attempts = 0;
        loop {
            let looked = self.look().await?;
            let jobs = self.claim(1).await?;
            if jobs.is_empty() && looked == Looked::default() {
                return Ok(attempts);
            }
            for job in jobs {
                self.execute(job).await;
                attempts += 1;
            }
        }
    }

    /// Routes new messages and releases what quiet hours held.
    ///
    /// # Errors
    /// What the store said.
    pub async fn look(&self) -> Result<Looked> {
        let mut looked = Looked::default();
        let store = &self.service.store;
        let messages = store::unrouted(store, BATCH).await?;
        if !messages.is_empty() {
            let rules = store::list_rules(store, sealwright_core::TenantScope::All).await?;
            let channels = store::active_channels(store).await?;
            for message in messages {
                let mut to: Vec<ChannelId> = rules
                    .iter()
                    .filter(|rule| route::matches(rule, &message))
                    .flat_map(|rule| rule.channels.iter().copied())
                    .collect();
                to.sort();
                to.dedup();
                let to: Vec<&Channel> = channels
                    .iter()
                    .filter(|channel| to.binary_search(&channel.id).is_ok())
                    .collect();
                looked.routed += self.route(&message, &to).await?;
            }
        }
        let now = self.service.clock.now();
        for channel in store::released(store, now).await? {
            looked.released += digest::release(&self.service, channel, now).await?;
        }
        Ok(looked)
    }

    async fn route(&self, message: &StoredMessage, to: &[&Channel]) -> Result<u64> {
        let now = self.service.clock.now();
        let mut tx = self.service.store.begin().await?;
        // The row is locked from here on; a second worker waits, and finds it routed.
        let count = i64::try_from(to.len()).unwrap_or(i64::MAX);
        if store::mark_routed(&mut tx, message.id, count, now).await? == 0 {
            return Ok(0);
        }
        for channel in to {
            let held = channel
                .quiet
                .as_ref()
                .and_then(|quiet| quiet.holds_until(message.severity, now));
            let new = NewDelivery {
                id: DeliveryId::new(now),
                message: message.id,
                channel: channel.id,
                tenant: channel.tenant_id,
                kind: channel.target.kind(),
                incident: message.incident.as_deref(),
                state: held.map_or(DeliveryState::Pending, |_| DeliveryState::Held),
                cause: "rule",
                next_at: held.unwrap_or(now),
                now,
            };
            store::insert_delivery(&mut tx, &new).await?;
        }
        tx.commit().await?;
        Ok(1)
    }

    /// Claims at most `most` deliveries.
    async fn claim(&self, most: usize) -> Result<Vec<Job>> {
        let mut jobs = Vec::new();
        if most == 0 {
            return Ok(jobs);
        }
        let now = self.service.clock.now();
        let mut blocked: Vec<ChannelId> = Vec::new();
        for due in store::due(&self.service.store, now, BATCH).await? {
            if jobs.len() == most {
                break;
            }
            if blocked.contains(&due.channel) {
                continue;
            }
            match self.claim_this(&due, now).await? {
                Some(job) => jobs.push(job),
                None => blocked.push(due.channel),
            }
        }
        Ok(jobs)
    }

    async fn claim_this(&self, due: &Due, now: UnixMicros) -> Result<Option<Job>> {
        let mut tx = self.service.store.begin().await?;
        let Some(gate) = store::gate(&mut tx, due.channel).await? else {
            return Ok(None);
        };
        let channel = gate.channel;
        if channel.state != ChannelState::Active {
            let answer = format!("the channel is {}: {}", channel.state, channel.state_reason);
            store::give_up(&mut tx, due.id, &answer, now).await?;
            tx.commit().await?;
            return Ok(None);
        }
        if gate.free_at > now {
            store::postpone(&mut tx, channel.id, gate.free_at).await?;
            tx.commit().await?;
            return Ok(None);
        }
        let lease = now.plus(self.lease());
        let claimed = store::claim(&mut tx, due.id, &self.holder, now, lease).await?;
        if let (Some(per_minute), Some(_)) = (channel.per_minute, &claimed) {
            let pause = MINUTE / i64::from(per_minute.max(1));
            store::set_next_free(&mut tx, channel.id, now.plus(pause)).await?;
        }
        tx.commit().await?;
        Ok(claimed.map(|claimed| Job { claimed, channel }))
    }

    /// Longer than an attempt can take, in microseconds; a second worker takes over after it. Leases compare
    /// the clocks of processes: the margin is what these may differ by.
    fn lease(&self) -> i64 {
        let timeout = i64::try_from(self.service.egress.timeout().as_micros()).unwrap_or(MINUTE);
        timeout.saturating_mul(2).saturating_add(MINUTE)
    }

    async fn execute(&self, job: Job) {
        let kind = job.channel.target.kind().as_str();
        let begun = Instant::now();
        let outcome = match self.attempt(&job).await {
            Ok(outcome) => outcome,
            Err(error) => Outcome::Again {
                status: None,
                answer: error.to_string(),
                after: None,
                block: false,
            },
        };
        metrics::histogram!("sealwright_notify_send_seconds", "kind" => kind)
            .record(begun.elapsed().as_secs_f64());
        for left in (0..MARKS).rev() {
            match self.close(&job, &outcome).await {
                Ok(state) => {
                    metrics::counter!("sealwright_notify_deliveries_total", "kind" => kind, "outcome" => state)
                        .increment(1);
                    break;
                }
                Err(error) if left == 0 => {
                    tracing::error!(delivery = %job.claimed.id, %error,
                        "the end of a delivery could not be written; it is sent again after its lease");
                }
                Err(_) => tokio::time::sleep(Duration::from_millis(500)).await,
            }
        }
        if let Outcome::Gone { answer, .. } = &outcome {
            let reason = format!("the other side says that it is gone: {answer}");
            if let Err(error) = self
                .service
                .gone(job.channel.id, reason.trim_end_matches(": "))
                .await
            {
                tracing::error!(channel = %job.channel.id, %error, "a channel that is gone could not be switched off");
            }
        }
    }

    async fn told(&self, id: DeliveryId, message: MessageId) -> Result<Told> {
        let message = store::read_message(&self.service.store, message)
            .await?
            .ok_or_else(|| crate::service::not_found("message", &message.to_string()))?;
        let tenant = message.tenant_id.map(|id| {
            self.service
                .directory
                .get(id)
                .map_or_else(|| id.to_string(), |tenant| tenant.slug.clone())
        });
        let link = message.link.as_ref().map(|link| {
            if link.starts_with('/') {
                format!("{}{link}", self.service.options.public_url)
            } else {
                link.clone()
            }
        });
        Ok(Told {
            delivery: id,
            message,
            tenant,
            link,
        })
    }

    async fn attempt(&self, job: &Job) -> Result<Outcome> {
        let told = self.told(job.claimed.id, job.claimed.message).await?;
        let secrets = match self.service.unseal(&job.channel) {
            Ok(secrets) => secrets,
            Err(error) => {
                return Ok(Outcome::Refused {
                    status: None,
                    answer: error.to_string(),
                });
            }
        };
        let reference = match &told.message.incident {
            Some(incident) => {
                store::reference(&self.service.store, job.channel.id, incident).await?
            }
            None => None,
        };
        let attempt = Attempt {
            told: &told,
            channel: &job.channel,
            secrets: &secrets,
            reference,
            now: self.service.clock.now(),
        };
        Ok(send::send(&self.service.egress, &attempt).await)
    }

    /// Writes how an attempt ended; the name of the outcome.
    async fn close(&self, job: &Job, outcome: &Outcome) -> Result<&'static str> {
        let now = self.service.clock.now();
        let backoff = self.service.options.backoff;
        let attempts = job.claimed.attempts;
        let (state, status, answer, name) = match outcome {
            O::Sent { status, answer, .. } => (DeliveryState::Sent, status, answer, "sent"),
            O::Again { status, answer, .. } if backoff.is_last(attempts) => {
                (DeliveryState::Dead, status, answer, "dead")
            }
            O::Again { status, answer, .. } => (DeliveryState::Pending, status, answer, "failed"),
            O::Refused { status, answer } | O::Gone { status, answer } => {
                (DeliveryState::Dead, status, answer, "dead")
            }
        };
        let (after, block) = match outcome {
            O::Again { after, block, .. } => (*after, *block),
            _ => (None, false),
        };
        let pause = backoff.pause(attempts, random(), after);
        let ended = Ended {
            state,
            next_at: if state == DeliveryState::Pending {
                now.plus(pause)
            } else {
                now
            },
            status: *status,
            answer,
            now,
        };
        let (id, fence) = (job.claimed.id, job.claimed.fence);
        let mut tx = self.service.store.begin().await?;
        if store::end(&mut tx, id, fence, &ended).await? == 0 {
            tracing::warn!(delivery = %id, outcome = name, "another worker took the delivery over");
            return Ok("lost");
        }
        if block {
            // At least what was asked for, and never nothing: a 429 without a time blocks for the pause.
            let until = now.plus(after.unwrap_or(pause).clamp(SECOND, 24 * 60 * MINUTE));
            store::block(&mut tx, job.channel.id, until).await?;
        }
        if let O::Sent {
            reference: Some(reference),
            ..
        } = outcome
            && let Some(message) =
                store::read_message(&self.service.store, job.claimed.message).await?
            && let Some(incident) = &message.incident
        {
            store::put_reference(&mut tx, job.channel.id, incident, Some(reference), now).await?;
        }
        tx.commit().await?;
        if name == "dead" {
            tracing::warn!(delivery = %id, channel = %job.channel.id, kind = %job.channel.target.kind(),
                status = ?status, "a delivery was given up");
        }
        Ok(name)
    }

    /// Sets the gauges: what waits, what is dead, and how old the oldest is that waits.
    async fn count(&self) -> Result<()> {
        let now = self.service.clock.now();
        let counts = store::counts(&self.service.store, sealwright_core::TenantScope::All).await?;
        let mut oldest = 0_i64;
        for kind in crate::model::ChannelKind::ALL {
            for state in [
                DeliveryState::Pending,
                DeliveryState::Sending,
                DeliveryState::Held,
                DeliveryState::Dead,
            ] {
                let found = counts.iter().find(|c| c.kind == *kind && c.state == state);
                let count = found.map_or(0, |c| c.count);
                metrics::gauge!("sealwright_notify_waiting", "kind" => kind.as_str(), "state" => state.as_str())
                    .set(count as f64);
                if let Some(found) = found
                    && matches!(state, DeliveryState::Pending | DeliveryState::Sending)
                {
                    oldest = oldest.max(now.since(found.oldest));
                }
            }
        }
        metrics::gauge!("sealwright_notify_oldest_seconds").set((oldest / SECOND) as f64);
        Ok(())
    }
}

/// For jitter; without random bytes there is none.
fn random() -> u32 {
    getrandom::u32().unwrap_or(u32::MAX)
}
