//! Who writes: a record in the bucket that is put anew again and again, each time in the place of the one
//! that was read.
//!
//! No clocks are compared. Whoever wants to write looks whether the record changes; one that stayed the
//! same for the whole time of a lease, by the looker's own clock, is nobody's. The holder counts from before
//! its request was sent and stops earlier, so that there is no moment with two.
//!
//! The record keeps two processes from doing the same work. That they do no harm if they do it nevertheless
//! is the commits' doing: each is put only if there is none of its version.

use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, Instant};

use serde::{Deserialize, Serialize};

use super::Bucket;
use crate::error::Result;

const NAME: &str = "writer.json";

/// The record.
#[derive(Debug, Serialize, Deserialize)]
struct Record {
    /// Who writes; nobody when empty.
    holder: String,
    /// Makes each record another one, also for stores whose ETags are digests.
    once: String,
}

#[derive(Debug, Default)]
struct State {
    /// The ETag of our record, and when it was asked for.
    held: Option<(String, Instant)>,
    /// The ETag of somebody's record, and since when it is the same.
    seen: Option<(String, Instant)>,
    /// Whether somebody's record changed while it was looked at.
    changed: bool,
}

/// What this process knows of the record.
#[derive(Debug)]
pub(crate) struct Lease {
    bucket: Arc<Bucket>,
    holder: String,
    time: Duration,
    state: Mutex<State>,
    /// One request at a time.
    asking: tokio::sync::Mutex<()>,
}

impl Lease {
    /// `holder` is a name that no other process uses at the same time; one that this process's folder had before
    /// lets it go on at once after a crash.
    pub(crate) fn new(bucket: Arc<Bucket>, holder: String, time: Duration) -> Self {
        Self {
            bucket,
            holder,
            time,
            state: Mutex::default(),
            asking: tokio::sync::Mutex::new(()),
        }
    }

    fn state(&self) -> std::sync::MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// In which time it is to be renewed.
    pub(crate) fn pace(&self) -> Duration {
        self.time / 3
    }

    /// Whether this process may write now.
    pub(crate) fn holds(&self) -> bool {
        let state = self.state();
        state
            .held
            .as_ref()
            .is_some_and(|(_, since)| since.elapsed() < self.time / 6 * 5)
    }

    /// Takes or renews it. Whether this process may write now.
    pub(crate) async fn take(&self) -> Result<bool> {
        let _one = self.asking.lock().await;
        let held = self.state().held.clone();
        if let Some((etag, since)) = held {
            if since.elapsed() < self.time / 6 {
                return Ok(self.holds());
            }
            if self.put(Some(&etag), &self.holder).await? {
                return Ok(true);
            }
            // Either somebody else took it, or an earlier request of ours had gone through.
            self.state().held = None;
        }
        let Some((bytes, meta)) = self.bucket.get(NAME).await? else {
            return self.put(None, &self.holder).await;
        };
        let etag = meta.e_tag.unwrap_or_default();
        // What cannot be read is nobody's, once it has not changed for long enough.
        let record = serde_json::from_slice::<Record>(&bytes).ok();
        let free = record
            .as_ref()
            .is_some_and(|r| r.holder.is_empty() || r.holder == self.holder);
        let over = {
            let mut state = self.state();
            match &state.seen {
                Some((seen, since)) if *seen == etag => since.elapsed() >= self.time,
                seen => {
                    state.changed = seen.is_some();
                    state.seen = Some((etag.clone(), Instant::now()));
                    false
                }
            }
        };
        if free || over {
            return self.put(Some(&etag), &self.holder).await;
        }
        Ok(false)
    }

    /// Renews it while this process holds it.
    pub(crate) async fn renew(&self) -> Result<()> {
        if self.state().held.is_some() && !self.take().await? {
            tracing::warn!("another process has taken over to write the lake");
        }
        Ok(())
    }

    /// Whether the record of another process changed while it was looked at: that process is at work.
    pub(crate) fn changed(&self) -> bool {
        self.state().changed
    }

    /// Gives it up, so that others need not wait.
    pub(crate) async fn release(&self) -> Result<()> {
        let _one = self.asking.lock().await;
        let held = self.state().held.take();
        if let Some((etag, _)) = held {
            let record = self.record("");
            self.bucket.put_if(NAME, record, Some(&etag)).await?;
        }
        Ok(())
    }

    fn record(&self, holder: &str) -> String {
        let record = Record {
            holder: holder.to_owned(),
            once: uuid::Uuid::now_v7().simple().to_string(),
        };
        serde_json::to_string(&record).unwrap_or_default()
    }

    async fn put(&self, instead_of: Option<&str>, holder: &str) -> Result<bool> {
        let since = Instant::now();
        let record = self.record(holder);
        let put = self.bucket.put_if(NAME, record, instead_of).await?;
        let mut state = self.state();
        state.seen = None;
        state.held = match put {
            Some(etag) if !etag.is_empty() => Some((etag, since)),
            _ => None,
        };
        drop(state);
        Ok(self.holds())
    }
}
