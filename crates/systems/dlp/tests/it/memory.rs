//! An object store in memory that behaves as S3 does, and fails when it is told to.

use std::collections::BTreeMap;
use std::sync::Mutex;

use async_trait::async_trait;
use bytes::Bytes;
use futures::StreamExt as _;
use sealwright_core::{Clock as _, ManualClock, UnixMicros};
use sealwright_dlp::model::object::{NO_VERSION, ObjectId};
use sealwright_dlp::service::bucket::{
    Abilities, BucketError, Buckets, Chunks, Description, Head, Listed, Listing, LockMode, Parts,
    Place, Result, Tags,
};

#[derive(Debug, Clone)]
pub(crate) struct Object {
    pub(crate) version: String,
    pub(crate) body: Bytes,
    pub(crate) written: UnixMicros,
    pub(crate) tags: Tags,
    pub(crate) legal_hold: bool,
    pub(crate) locked: Option<(LockMode, UnixMicros)>,
    pub(crate) marker: bool,
    pub(crate) encrypted: bool,
    /// Media type and headers.
    pub(crate) told: (Option<String>, BTreeMap<String, String>),
}

#[derive(Debug, Default)]
struct Bucket {
    versions: bool,
    object_lock: bool,
    /// Newest first.
    keys: BTreeMap<String, Vec<Object>>,
}

/// When a call fails: before it does anything, or after it did what it was asked.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Fault {
    Before,
    After,
}

/// An object that is written in parts: its tags, and the parts by number.
type Unfinished = (Tags, BTreeMap<i32, Bytes>);

#[derive(Debug)]
pub(crate) struct Memory {
    buckets: Mutex<BTreeMap<String, Bucket>>,
    clock: ManualClock,
    next: Mutex<u64>,
    /// The number of the call that fails, counted down.
    fault: Mutex<Option<(u64, Fault)>>,
    /// Only calls of this name fail.
    only: Mutex<Option<&'static str>>,
    page: usize,
    parts: Mutex<BTreeMap<String, Unfinished>>,
    /// A store that takes a legal hold and drops it.
    pub(crate) forgetful: Mutex<bool>,
}

impl Memory {
    pub(crate) fn new(clock: &ManualClock) -> Self {
        Self {
            buckets: Mutex::default(),
            clock: clock.clone(),
            next: Mutex::new(0),
            fault: Mutex::new(None),
            only: Mutex::new(None),
            page: 3,
            parts: Mutex::default(),
            forgetful: Mutex::new(false),
        }
    }

    pub(crate) fn bucket(&self, name: &str, versions: bool, object_lock: bool) {
        let bucket = Bucket {
            versions,
            object_lock,
            keys: BTreeMap::new(),
        };
        self.buckets.lock().unwrap().insert(name.to_owned(), bucket);
    }

    /// The call after `calls` more fails.
    pub(crate) fn fail_after(&self, calls: u64, fault: Fault) {
        *self.fault.lock().unwrap() = Some((calls, fault));
    }

    /// The listing after `calls` more fails.
    pub(crate) fn fail_list_after(&self, calls: u64) {
        *self.only.lock().unwrap() = Some("list");
        self.fail_after(calls, Fault::Before);
    }

    pub(crate) fn heal(&self) {
        *self.only.lock().unwrap() = None;
        *self.fault.lock().unwrap() = None;
    }

    pub(crate) fn write(
        &self,
        bucket: &str,
        key: &str,
        body: &str,
        tags: &[(&str, &str)],
    ) -> ObjectId {
        let tags = tags
            .iter()
            .map(|(n, v)| ((*n).to_owned(), (*v).to_owned()))
            .collect();
        self.add(bucket, key, Bytes::from(body.to_owned()), tags, false)
    }

    /// What a lifecycle rule or another client does: a plain DELETE of a key.
    pub(crate) fn delete_marker(&self, bucket: &str, key: &str) -> ObjectId {
        self.add(bucket, key, Bytes::new(), Tags::new(), true)
    }

    fn add(&self, bucket: &str, key: &str, body: Bytes, tags: Tags, marker: bool) -> ObjectId {
        let mut next = self.next.lock().unwrap();
        *next += 1;
        let mut buckets = self.buckets.lock().unwrap();
        let place = buckets.get_mut(bucket).unwrap();
        let version = if place.versions {
            format!("v{next:06}")
        } else {
            NO_VERSION.to_owned()
        };
        let object = Object {
            version: version.clone(),
            body,
            written: self.clock.now(),
            tags,
            legal_hold: false,
            locked: None,
            marker,
            encrypted: false,
            told: Default::default(),
        };
        let all = place.keys.entry(key.to_owned()).or_default();
        if !place.versions {
            all.clear();
        }
        all.insert(0, object);
        ObjectId::new(bucket, key, &version)
    }

    /// What is there, without a fault.
    pub(crate) fn object(&self, id: &ObjectId) -> Option<Object> {
        let buckets = self.buckets.lock().unwrap();
        let all = buckets.get(&id.bucket)?.keys.get(&id.key)?;
        all.iter().find(|one| one.version == id.version).cloned()
    }

    /// What a plain GET gives.
    pub(crate) fn newest(&self, id: &ObjectId) -> Option<Object> {
        let buckets = self.buckets.lock().unwrap();
        let all = buckets.get(&id.bucket)?.keys.get(&id.key)?;
        all.first().filter(|one| !one.marker).cloned()
    }

    /// Every version with bytes in a bucket.
    pub(crate) fn all(&self, bucket: &str) -> Vec<(ObjectId, Object)> {
        let buckets = self.buckets.lock().unwrap();
        let mut out = Vec::new();
        for (key, all) in &buckets[bucket].keys {
            for one in all.iter().filter(|one| !one.marker) {
                out.push((ObjectId::new(bucket, key, &one.version), one.clone()));
            }
        }
        out
    }

    fn call<T>(&self, what: &str, run: impl FnOnce(&Self) -> Result<T>) -> Result<T> {
        let fault = if self.only.lock().unwrap().is_some_and(|only| only != what) {
            None
        } else {
            let mut fault = self.fault.lock().unwrap();
            match fault.as_mut() {
                Some((0, when)) => {
                    let when = *when;
                    *fault = None;
                    Some(when)
                }
                Some((left, _)) => {
                    *left -= 1;
                    None
                }
                None => None,
            }
        };
        let broken = || BucketError::Unknown {
            what: what.to_owned(),
            why: "connection reset".to_owned(),
        };
        match fault {
            Some(Fault::Before) => Err(broken()),
            Some(Fault::After) => {
                run(self)?;
                Err(broken())
            }
            None => run(self),
        }
    }

    fn change<T>(&self, id: &ObjectId, run: impl FnOnce(&mut Object) -> T) -> Result<T> {
        let mut buckets = self.buckets.lock().unwrap();
        buckets
            .get_mut(&id.bucket)
            .and_then(|bucket| bucket.keys.get_mut(&id.key))
            .and_then(|all| {
                all.iter_mut()
                    .find(|one| one.version == id.version && !one.marker)
            })
            .map(run)
            .ok_or_else(|| BucketError::Missing(id.to_string()))
    }
}

fn etag(body: &Bytes) -> String {
    sealwright_core::Digest::of(body).short()
}

#[async_trait]
impl Buckets for Memory {
    async fn abilities(&self, bucket: &str) -> Result<Abilities> {
        self.call("abilities", |this| {
            let buckets = this.buckets.lock().unwrap();
            let found = buckets
                .get(bucket)
                .ok_or_else(|| BucketError::Missing(bucket.to_owned()))?;
            Ok(Abilities {
                versions: found.versions,
                object_lock: found.object_lock,
            })
        })
    }

    async fn list(&self, bucket: &str, prefix: &str, from: Option<&Place>) -> Result<Listing> {
        self.call("list", |this| {
            let buckets = this.buckets.lock().unwrap();
            let found = buckets
                .get(bucket)
                .ok_or_else(|| BucketError::Missing(bucket.to_owned()))?;
            let mut versions = Vec::new();
            let mut after = from.is_none();
            for (key, all) in found.keys.iter().filter(|(key, _)| key.starts_with(prefix)) {
                for (place, one) in all.iter().enumerate() {
                    if let Some(from) = from.filter(|_| !after) {
                        let here = *key == from.key && Some(&one.version) == from.version.as_ref();
                        after = here || *key > from.key;
                        if here || !after {
                            continue;
                        }
                    }
                    versions.push(Listed {
                        id: ObjectId::new(bucket, key, &one.version),
                        etag: if one.marker {
                            String::new()
                        } else {
                            etag(&one.body)
                        },
                        size: one.body.len() as u64,
                        written: one.written,
                        latest: place == 0,
                        marker: one.marker,
                    });
                }
            }
            let more = versions.len() > this.page;
            versions.truncate(this.page);
            let next = versions.last().filter(|_| more).map(|last| Place {
                key: last.id.key.clone(),
                version: Some(last.id.version.clone()),
            });
            Ok(Listing { versions, next })
        })
    }

    async fn head(&self, id: &ObjectId) -> Result<Option<Head>> {
        self.call("head", |this| {
            Ok(this.object(id).filter(|one| !one.marker).map(|one| Head {
                etag: etag(&one.body),
                size: one.body.len() as u64,
                written: one.written,
                legal_hold: one.legal_hold,
                locked: one.locked,
                encryption: one.encrypted.then(|| "AES256".to_owned()),
                content_type: one.told.0,
                headers: one.told.1,
                metadata: BTreeMap::new(),
            }))
        })
    }

    async fn get(&self, id: &ObjectId) -> Result<Chunks> {
        let body = self.call("get", |this| {
            this.object(id)
                .filter(|one| !one.marker)
                .map(|one| one.body)
                .ok_or_else(|| BucketError::Missing(id.to_string()))
        })?;
        Ok(futures::stream::once(async move { Ok(body) }).boxed())
    }

    async fn put(&self, bucket: &str, key: &str, body: Bytes, tags: &Tags) -> Result<ObjectId> {
        self.call("put", |this| {
            Ok(this.add(bucket, key, body, tags.clone(), false))
        })
    }

    async fn replace(
        &self,
        over: &ObjectId,
        head: &Head,
        body: Bytes,
        tags: &Tags,
    ) -> Result<ObjectId> {
        self.call("replace", |this| {
            if this
                .newest(over)
                .is_none_or(|one| etag(&one.body) != head.etag)
            {
                return Err(BucketError::Changed(over.to_string()));
            }
            let id = this.add(&over.bucket, &over.key, body, tags.clone(), false);
            let told = (head.content_type.clone(), head.headers.clone());
            this.change(&id, |one| one.told = told)?;
            Ok(id)
        })
    }

    async fn copy_encrypted(
        &self,
        from: &ObjectId,
        bucket: &str,
        key: &str,
        tags: &Tags,
    ) -> Result<ObjectId> {
        self.call("encrypt", |this| {
            let one = this
                .object(from)
                .ok_or_else(|| BucketError::Missing(from.to_string()))?;
            let id = this.add(bucket, key, one.body, tags.clone(), false);
            let forgets = *this.forgetful.lock().unwrap();
            this.change(&id, |one| one.encrypted = !forgets)?;
            Ok(id)
        })
    }

    async fn put_as(
        &self,
        bucket: &str,
        key: &str,
        body: Bytes,
        tags: &Tags,
        about: &Description,
    ) -> Result<ObjectId> {
        self.call("put", |this| {
            let id = this.add(bucket, key, body, tags.clone(), false);
            let told = (about.content_type.clone(), about.headers.clone());
            this.change(&id, |one| {
                one.encrypted = about.encrypted;
                one.told = told;
            })?;
            Ok(id)
        })
    }

    async fn begin_parts(
        &self,
        bucket: &str,
        key: &str,
        tags: &Tags,
        _about: &Description,
    ) -> Result<String> {
        self.call("begin_parts", |this| {
            let name = format!("{bucket} {key}");
            let mut parts = this.parts.lock().unwrap();
            parts.insert(name.clone(), (tags.clone(), BTreeMap::new()));
            Ok(name)
        })
    }

    async fn put_part(&self, parts: &Parts<'_>, number: i32, body: Bytes) -> Result<String> {
        self.call("put_part", |this| {
            let mut all = this.parts.lock().unwrap();
            let (_, list) = all
                .get_mut(parts.name)
                .ok_or_else(|| BucketError::Missing(parts.name.to_owned()))?;
            let etag = etag(&body);
            list.insert(number, body);
            Ok(etag)
        })
    }

    async fn finish_parts(&self, parts: &Parts<'_>, list: &[(i32, String)]) -> Result<ObjectId> {
        self.call("finish_parts", |this| {
            let (tags, bodies) = this
                .parts
                .lock()
                .unwrap()
                .remove(parts.name)
                .ok_or_else(|| BucketError::Missing(parts.name.to_owned()))?;
            let mut whole = Vec::new();
            for (number, wanted) in list {
                let body = bodies.get(number).filter(|body| etag(body) == *wanted);
                let body = body.ok_or_else(|| BucketError::Unable {
                    what: parts.key.to_owned(),
                    why: "InvalidPart".to_owned(),
                })?;
                whole.extend_from_slice(body);
            }
            Ok(this.add(parts.bucket, parts.key, whole.into(), tags, false))
        })
    }

    async fn drop_parts(&self, parts: &Parts<'_>) -> Result<()> {
        self.call("drop_parts", |this| {
            this.parts.lock().unwrap().remove(parts.name);
            Ok(())
        })
    }

    async fn copy(
        &self,
        from: &ObjectId,
        bucket: &str,
        key: &str,
        tags: &Tags,
    ) -> Result<ObjectId> {
        self.call("copy", |this| {
            let one = this
                .object(from)
                .filter(|one| !one.marker)
                .ok_or_else(|| BucketError::Missing(from.to_string()))?;
            let id = this.add(bucket, key, one.body, tags.clone(), false);
            this.change(&id, |copy| copy.told = one.told)?;
            Ok(id)
        })
    }

    async fn tags(&self, id: &ObjectId) -> Result<Tags> {
        self.call("tags", |this| this.change(id, |one| one.tags.clone()))
    }

    async fn set_tags(&self, id: &ObjectId, tags: &Tags) -> Result<()> {
        self.call("set_tags", |this| {
            this.change(id, |one| one.tags.clone_from(tags))
        })
    }

    async fn set_legal_hold(&self, id: &ObjectId, on: bool) -> Result<()> {
        self.call("set_legal_hold", |this| {
            if !this.buckets.lock().unwrap()[&id.bucket].object_lock {
                return Err(BucketError::Unable {
                    what: id.to_string(),
                    why: "InvalidRequest".to_owned(),
                });
            }
            let forgets = on && *this.forgetful.lock().unwrap();
            this.change(id, |one| one.legal_hold = on && !forgets)
        })
    }

    async fn delete(&self, id: &ObjectId) -> Result<()> {
        self.call("delete", |this| {
            let now = this.clock.now();
            let mut buckets = this.buckets.lock().unwrap();
            let Some(all) = buckets
                .get_mut(&id.bucket)
                .and_then(|bucket| bucket.keys.get_mut(&id.key))
            else {
                return Ok(());
            };
            let locked = all.iter().any(|one| {
                one.version == id.version
                    && (one.legal_hold || one.locked.is_some_and(|(_, until)| until > now))
            });
            if locked {
                return Err(BucketError::Refused {
                    what: id.to_string(),
                    why: "AccessDenied".to_owned(),
                });
            }
            all.retain(|one| one.version != id.version);
            if all.is_empty() {
                let bucket = buckets.get_mut(&id.bucket).unwrap();
                bucket.keys.remove(&id.key);
            }
            Ok(())
        })
    }
}
