//! A store in a folder of this machine, for trials and the demo: buckets with versions, markers and tags. It has no
//! Object Lock (whoever may write the folder may delete), no encryption, and no server.
//!
//! `BUCKET/KEY/VERSION.json` says what a version is, `VERSION.bytes` is what it holds; the folder of a key is named by
//! the key's digest. A version is there when its `.json` is.

use std::collections::BTreeMap;
use std::fs;
use std::io::{self, Write as _};
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, PoisonError};

use async_trait::async_trait;
use bytes::Bytes;
use futures::StreamExt as _;
use sealwright_core::{Clock, Digest, Id, IdKind, UnixMicros};
use serde::{Deserialize, Serialize};

use super::{
    Abilities, BucketError, Buckets, Chunks, Description, Head, Listed, Listing, Parts, Place,
    Result, Tags,
};
use crate::model::finding::ids;
use crate::model::object::ObjectId;

ids! {
    VersionKind, VersionId, "ver", "a version in a folder";
}

/// Versions on a page of a listing.
const PAGE: usize = 1_000;
/// Bytes that are read at a time.
const PIECE: usize = 1 << 20;

/// A store in a folder.
#[derive(Debug, Clone)]
pub struct Folder {
    root: PathBuf,
    clock: Arc<dyn Clock>,
    /// One writer at a time: a version is newer than what was there when it was written.
    writing: Arc<Mutex<()>>,
}

/// What is kept of a version.
#[derive(Debug, Clone, Serialize, Deserialize)]
struct Kept {
    key: String,
    version: String,
    written: i64,
    marker: bool,
    etag: String,
    size: u64,
    tags: Tags,
    about: Description,
}

impl Folder {
    /// Keeps buckets below `root`.
    #[must_use]
    pub fn new(root: PathBuf, clock: Arc<dyn Clock>) -> Self {
        Self {
            root,
            clock,
            writing: Arc::default(),
        }
    }

    /// Makes a bucket; one that is there is left as it is.
    ///
    /// # Errors
    /// What the file system said.
    pub fn make(&self, bucket: &str) -> Result<()> {
        fs::create_dir_all(self.root.join(bucket)).map_err(|error| failed(bucket, &error))
    }

    fn bucket(&self, bucket: &str) -> Result<PathBuf> {
        // A name is no way out of the folder.
        let named = !bucket.is_empty()
            && !bucket.starts_with('.')
            && bucket
                .bytes()
                .all(|b| b.is_ascii_alphanumeric() || matches!(b, b'-' | b'.' | b'_'));
        let path = self.root.join(bucket);
        if named && path.is_dir() {
            Ok(path)
        } else {
            Err(BucketError::Missing(format!("s3://{bucket}")))
        }
    }

    fn folder(&self, bucket: &str, key: &str) -> Result<PathBuf> {
        let name = Digest::of(key.as_bytes()).to_string().replace(':', "-");
        Ok(self.bucket(bucket)?.join(name))
    }

    fn read(&self, id: &ObjectId) -> Result<Option<(Kept, PathBuf)>> {
        if !id
            .version
            .bytes()
            .all(|b| b.is_ascii_alphanumeric() || b == b'_')
        {
            return Ok(None);
        }
        let base = self.folder(&id.bucket, &id.key)?.join(&id.version);
        match fs::read(base.with_extension("json")) {
            Ok(bytes) => Ok(Some((kept(id, &bytes)?, base))),
            Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(None),
            Err(error) => Err(failed(id, &error)),
        }
    }

    fn found(&self, id: &ObjectId) -> Result<(Kept, PathBuf)> {
        self.read(id)?
            .filter(|(kept, _)| !kept.marker)
            .ok_or_else(|| BucketError::Missing(id.to_string()))
    }

    /// Every version and marker of a key, newest first.
    fn versions(&self, bucket: &str, folder: &Path) -> Result<Vec<Kept>> {
        let mut all = Vec::new();
        let entries = match fs::read_dir(folder) {
            Ok(entries) => entries,
            Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(all),
            Err(error) => return Err(failed(bucket, &error)),
        };
        for entry in entries {
            let path = entry.map_err(|error| failed(bucket, &error))?.path();
            if path.extension().is_some_and(|end| end == "json") {
                let bytes = fs::read(&path).map_err(|error| failed(bucket, &error))?;
                all.push(kept(bucket, &bytes)?);
            }
        }
        // Ids of versions grow with time.
        all.sort_by(|a, b| b.version.cmp(&a.version));
        Ok(all)
    }

    fn add(
        &self,
        (bucket, key): (&str, &str),
        body: Option<&[u8]>,
        tags: &Tags,
        about: &Description,
        over: Option<&str>,
    ) -> Result<ObjectId> {
        let what = format!("s3://{bucket}/{key}");
        if about.encrypted {
            return Err(BucketError::Unable {
                what,
                why: "a folder does not encrypt".to_owned(),
            });
        }
        let folder = self.folder(bucket, key)?;
        let _alone = self.writing.lock().unwrap_or_else(PoisonError::into_inner);
        let newest = self.versions(bucket, &folder)?.into_iter().next();
        if over.is_some_and(|etag| {
            newest
                .as_ref()
                .is_none_or(|one| one.marker || one.etag != etag)
        }) {
            return Err(BucketError::Changed(what));
        }
        fs::create_dir_all(&folder).map_err(|error| failed(&what, &error))?;
        let written = self.clock.now();
        // Newer than what was there, also when both are of one millisecond or the clock went back.
        let mut at = newest
            .as_ref()
            .map_or(written, |one| UnixMicros(one.written).max(written));
        let mut version = VersionId::new(at).to_string();
        while newest.as_ref().is_some_and(|one| one.version >= version) {
            at = at.plus(1_000);
            version = VersionId::new(at).to_string();
        }
        let kept = Kept {
            key: key.to_owned(),
            version: version.clone(),
            written: written.0,
            marker: body.is_none(),
            etag: body.map_or_else(String::new, |body| Digest::of(body).short()),
            size: body.map_or(0, <[u8]>::len) as u64,
            tags: tags.clone(),
            about: about.clone(),
        };
        let base = folder.join(&version);
        if let Some(body) = body {
            store(&base.with_extension("bytes"), body).map_err(|error| failed(&what, &error))?;
        }
        self.keep(&base, &kept, &what)?;
        Ok(ObjectId::new(bucket, key, &version))
    }

    fn keep(&self, base: &Path, kept: &Kept, what: &str) -> Result<()> {
        let text = serde_json::to_vec(kept).map_err(|error| BucketError::Unknown {
            what: what.to_owned(),
            why: error.to_string(),
        })?;
        store(&base.with_extension("json"), &text).map_err(|error| failed(what, &error))
    }

    /// What a plain DELETE of a key does: a marker hides it.
    ///
    /// # Errors
    /// What the file system said.
    pub fn mark(&self, bucket: &str, key: &str) -> Result<ObjectId> {
        self.add(
            (bucket, key),
            None,
            &Tags::new(),
            &Description::default(),
            None,
        )
    }
}

fn failed(what: impl std::fmt::Display, error: &io::Error) -> BucketError {
    BucketError::Unknown {
        what: what.to_string(),
        why: error.to_string(),
    }
}

fn kept(what: impl std::fmt::Display, bytes: &[u8]) -> Result<Kept> {
    serde_json::from_slice(bytes).map_err(|error| BucketError::Unknown {
        what: what.to_string(),
        why: format!("damaged: {error}"),
    })
}

/// Whole or not at all.
fn store(path: &Path, bytes: &[u8]) -> io::Result<()> {
    let beside = path.with_extension("new");
    let mut file = fs::File::create(&beside)?;
    file.write_all(bytes)?;
    file.sync_all()?;
    fs::rename(&beside, path)
}

#[async_trait]
impl Buckets for Folder {
    async fn abilities(&self, bucket: &str) -> Result<Abilities> {
        self.bucket(bucket)?;
        Ok(Abilities {
            versions: true,
            object_lock: false,
        })
    }

    async fn list(&self, bucket: &str, prefix: &str, from: Option<&Place>) -> Result<Listing> {
        let root = self.bucket(bucket)?;
        let mut keys: BTreeMap<String, Vec<Kept>> = BTreeMap::new();
        for entry in fs::read_dir(&root).map_err(|error| failed(bucket, &error))? {
            let path = entry.map_err(|error| failed(bucket, &error))?.path();
            let all = self.versions(bucket, &path)?;
            if let Some(first) = all.first().filter(|one| one.key.starts_with(prefix)) {
                keys.insert(first.key.clone(), all);
            }
        }
        let mut versions = Vec::new();
        for (key, all) in keys {
            for (number, one) in all.into_iter().enumerate() {
                let before = from.is_some_and(|from| {
                    let same = from
                        .version
                        .as_deref()
                        .is_none_or(|last| one.version.as_str() >= last);
                    key < from.key || key == from.key && same
                });
                if before {
                    continue;
                }
                versions.push(Listed {
                    id: ObjectId::new(bucket, &key, &one.version),
                    etag: one.etag,
                    size: one.size,
                    written: UnixMicros(one.written),
                    latest: number == 0,
                    marker: one.marker,
                });
            }
        }
        let more = versions.len() > PAGE;
        versions.truncate(PAGE);
        let next = versions.last().filter(|_| more).map(|last| Place {
            key: last.id.key.clone(),
            version: Some(last.id.version.clone()),
        });
        Ok(Listing { versions, next })
    }

    async fn head(&self, id: &ObjectId) -> Result<Option<Head>> {
        let found = self.read(id)?.filter(|(kept, _)| !kept.marker);
        Ok(found.map(|(kept, _)| Head {
            etag: kept.etag,
            size: kept.size,
            written: UnixMicros(kept.written),
            legal_hold: false,
            locked: None,
            encryption: None,
            content_type: kept.about.content_type,
            headers: kept.about.headers,
            metadata: kept.about.metadata,
        }))
    }

    async fn get(&self, id: &ObjectId) -> Result<Chunks> {
        let (_, base) = self.found(id)?;
        let file = fs::File::open(base.with_extension("bytes"));
        let file = file.map_err(|error| failed(id, &error))?;
        let what = id.to_string();
        let stream = futures::stream::try_unfold(file, move |mut file| {
            let what = what.clone();
            async move {
                let mut piece = vec![0; PIECE];
                let n =
                    io::Read::read(&mut file, &mut piece).map_err(|error| failed(&what, &error))?;
                piece.truncate(n);
                Ok((n > 0).then(|| (Bytes::from(piece), file)))
            }
        });
        Ok(stream.boxed())
    }

    async fn put(&self, bucket: &str, key: &str, body: Bytes, tags: &Tags) -> Result<ObjectId> {
        self.add(
            (bucket, key),
            Some(&body),
            tags,
            &Description::default(),
            None,
        )
    }

    async fn replace(
        &self,
        over: &ObjectId,
        head: &Head,
        body: Bytes,
        tags: &Tags,
    ) -> Result<ObjectId> {
        let about = Description::from(head);
        let place = (over.bucket.as_str(), over.key.as_str());
        self.add(place, Some(&body), tags, &about, Some(&head.etag))
    }

    async fn copy_encrypted(
        &self,
        from: &ObjectId,
        _bucket: &str,
        _key: &str,
        _tags: &Tags,
    ) -> Result<ObjectId> {
        Err(BucketError::Unable {
            what: from.to_string(),
            why: "a folder does not encrypt".to_owned(),
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
        self.add((bucket, key), Some(&body), tags, about, None)
    }

    async fn begin_parts(
        &self,
        bucket: &str,
        key: &str,
        _tags: &Tags,
        _about: &Description,
    ) -> Result<String> {
        Err(BucketError::Unable {
            what: format!("s3://{bucket}/{key}"),
            why: "a folder takes no objects in parts".to_owned(),
        })
    }

    async fn put_part(&self, parts: &Parts<'_>, _number: i32, _body: Bytes) -> Result<String> {
        Err(BucketError::Missing(parts.name.to_owned()))
    }

    async fn finish_parts(&self, parts: &Parts<'_>, _list: &[(i32, String)]) -> Result<ObjectId> {
        Err(BucketError::Missing(parts.name.to_owned()))
    }

    async fn drop_parts(&self, parts: &Parts<'_>) -> Result<()> {
        Err(BucketError::Missing(parts.name.to_owned()))
    }

    async fn copy(
        &self,
        from: &ObjectId,
        bucket: &str,
        key: &str,
        tags: &Tags,
    ) -> Result<ObjectId> {
        let (kept, base) = self.found(from)?;
        let body = fs::read(base.with_extension("bytes")).map_err(|error| failed(from, &error))?;
        self.add((bucket, key), Some(&body), tags, &kept.about, None)
    }

    async fn tags(&self, id: &ObjectId) -> Result<Tags> {
        Ok(self.found(id)?.0.tags)
    }

    async fn set_tags(&self, id: &ObjectId, tags: &Tags) -> Result<()> {
        let _alone = self.writing.lock().unwrap_or_else(PoisonError::into_inner);
        let (mut kept, base) = self.found(id)?;
        kept.tags.clone_from(tags);
        self.keep(&base, &kept, &id.to_string())
    }

    async fn set_legal_hold(&self, id: &ObjectId, _on: bool) -> Result<()> {
        Err(BucketError::Unable {
            what: id.to_string(),
            why: "a folder has no Object Lock".to_owned(),
        })
    }

    async fn delete(&self, id: &ObjectId) -> Result<()> {
        let _alone = self.writing.lock().unwrap_or_else(PoisonError::into_inner);
        let Some((_, base)) = self.read(id)? else {
            return Ok(());
        };
        // First what says that it is there: bytes without it are nobody's.
        for end in ["json", "bytes"] {
            match fs::remove_file(base.with_extension(end)) {
                Ok(()) => {}
                Err(error) if error.kind() == io::ErrorKind::NotFound => {}
                Err(error) => return Err(failed(id, &error)),
            }
        }
        if let Some(folder) = base.parent() {
            // Only an empty folder can be removed this way.
            let _ = fs::remove_dir(folder);
        }
        Ok(())
    }
}
