//! Readers that read for longer than a removed file stays: copies and checks of the whole lake. They say so in
//! the bucket, again and again; what is said once and not again was a reader that died.

use std::collections::HashMap;
use std::sync::Arc;
use std::time::{Duration, Instant};

use tokio::task::JoinHandle;

use super::Bucket;
use crate::error::Result;

const FOLDER: &str = "readers";
/// How often a reader says that it is there.
const PACE: Duration = Duration::from_secs(20);
/// Who was not heard of for so long is gone.
const GONE: Duration = Duration::from_secs(90);

/// A reader that others see. Dropping it ends the protection.
#[derive(Debug)]
pub(crate) struct Registered {
    bucket: Arc<Bucket>,
    name: String,
    saying: JoinHandle<()>,
}

impl Registered {
    pub(crate) async fn register(bucket: &Arc<Bucket>, version: u64) -> Result<Self> {
        let name = format!("{FOLDER}/{}-{version}", uuid::Uuid::now_v7().simple());
        bucket.put(&name, "0").await?;
        let (to, said) = (Arc::clone(bucket), name.clone());
        let saying = tokio::spawn(async move {
            for round in 1_u64.. {
                tokio::time::sleep(PACE).await;
                // One that fails is followed by the next: there is time for several.
                if let Err(error) = to.put(&said, round.to_string()).await {
                    tracing::warn!(%error, "a reader of the lake could not say that it is there");
                }
            }
        });
        Ok(Self {
            bucket: Arc::clone(bucket),
            name,
            saying,
        })
    }
}

impl Drop for Registered {
    fn drop(&mut self) {
        self.saying.abort();
        let (bucket, name) = (Arc::clone(&self.bucket), std::mem::take(&mut self.name));
        if let Ok(runtime) = tokio::runtime::Handle::try_current() {
            // If it does not come to that, the writer takes it for one that died.
            runtime.spawn(async move {
                let _ = bucket.delete(&name).await;
            });
        }
    }
}

/// What was heard of readers, and when.
#[derive(Debug, Default)]
pub(crate) struct Seen(HashMap<String, (Option<String>, Instant)>);

impl Seen {
    /// How many readers run on a version below `version`. The names of those that died are removed.
    pub(crate) async fn older_than(&mut self, bucket: &Bucket, version: u64) -> Result<usize> {
        let mut now = HashMap::new();
        let mut count = 0;
        for object in bucket.list(FOLDER).await? {
            let name = object.location.filename().unwrap_or_default().to_owned();
            let since = match self.0.get(&name) {
                Some((etag, since)) if *etag == object.e_tag => *since,
                _ => Instant::now(),
            };
            if since.elapsed() >= GONE {
                bucket.delete(&format!("{FOLDER}/{name}")).await?;
                continue;
            }
            // A name that says no version may stand for any.
            let reads = name.rsplit_once('-').and_then(|(_, v)| v.parse().ok());
            if reads.unwrap_or(0_u64) < version {
                count += 1;
            }
            now.insert(name, (object.e_tag, since));
        }
        self.0 = now;
        Ok(count)
    }
}
