//! Buckets: what this system needs of an object store, in S3's words.

pub mod blob;
pub mod folder;
mod none;
pub mod s3;
mod stores;
pub(crate) mod walk;

use std::collections::BTreeMap;

use async_trait::async_trait;
use bytes::Bytes;
use futures::stream::BoxStream;
use sealwright_core::UnixMicros;

pub use none::NoBuckets;
pub use stores::Stores;
pub use walk::Walk;

use crate::model::object::ObjectId;

/// Why the store did not do what it was asked.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum BucketError {
    /// There is no such bucket or version.
    #[error("{0} is not there")]
    Missing(String),
    /// The store refuses: a hold, a lock, missing rights.
    #[error("{what}: the store refuses: {why}")]
    Refused {
        /// What it was asked about.
        what: String,
        /// What it said.
        why: String,
    },
    /// It is no longer what it was expected to be: the condition of a write did not hold.
    #[error("{0} is not what it was")]
    Changed(String),
    /// The store has not this ability.
    #[error("{what}: the store cannot do that: {why}")]
    Unable {
        /// What it was asked about.
        what: String,
        /// What it said.
        why: String,
    },
    /// No answer, or one that cannot be understood: nothing is known.
    #[error("{what}: no usable answer from the store: {why}")]
    Unknown {
        /// What it was asked about.
        what: String,
        /// What happened.
        why: String,
    },
}

/// The result of a store operation.
pub type Result<T> = std::result::Result<T, BucketError>;

/// What a bucket can do.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Abilities {
    /// It keeps versions.
    pub versions: bool,
    /// Object Lock is on, so that the store itself protects what is held.
    pub object_lock: bool,
}

/// What a kind of store can, whatever the bucket.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct KindLimits {
    /// Tags of what is there can be changed.
    pub tags: bool,
    /// What is deleted is known to be gone: no copies are kept that cannot be seen.
    pub erasure: bool,
}

/// A version in a listing.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Listed {
    /// The version.
    pub id: ObjectId,
    /// Its ETag, without quotes.
    pub etag: String,
    /// Bytes.
    pub size: u64,
    /// When it was written.
    pub written: UnixMicros,
    /// Whether a plain GET gives it.
    pub latest: bool,
    /// It is a delete marker: nothing but the note that the key was deleted.
    pub marker: bool,
}

/// Where a listing goes on: the last key and version that were given.
#[derive(Debug, Clone, PartialEq, Eq, serde::Serialize, serde::Deserialize)]
pub struct Place {
    /// The key.
    pub key: String,
    /// The version.
    pub version: Option<String>,
}

/// A page of a listing.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Listing {
    /// All versions and delete markers of the page.
    pub versions: Vec<Listed>,
    /// Where the next page begins; `None` on the last.
    pub next: Option<Place>,
}

/// The mode of a lock until a moment.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum LockMode {
    /// Who has the right to bypass it may; nobody here uses that right.
    Governance,
    /// Nobody may shorten it.
    Compliance,
}

/// What the store says of a version.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Head {
    /// Its ETag, without quotes.
    pub etag: String,
    /// Bytes.
    pub size: u64,
    /// When it was written.
    pub written: UnixMicros,
    /// Whether it is under a legal hold; `false` also where the bucket has no Object Lock.
    pub legal_hold: bool,
    /// Until when it is locked.
    pub locked: Option<(LockMode, UnixMicros)>,
    /// How it is encrypted at rest, as the store calls it.
    pub encryption: Option<String>,
    /// Its media type.
    pub content_type: Option<String>,
    /// What else a reader is told with it: `cache-control`, `content-disposition`, `content-encoding`,
    /// `content-language`.
    pub headers: BTreeMap<String, String>,
    /// The owner's metadata.
    pub metadata: BTreeMap<String, String>,
}

/// What is said of an object when it is written.
#[derive(Debug, Clone, Default, PartialEq, Eq, serde::Serialize, serde::Deserialize)]
pub struct Description {
    /// Its media type.
    pub content_type: Option<String>,
    /// `cache-control`, `content-disposition`, `content-encoding`, `content-language`.
    pub headers: BTreeMap<String, String>,
    /// The owner's metadata.
    pub metadata: BTreeMap<String, String>,
    /// Whether it is encrypted at rest.
    pub encrypted: bool,
}

impl From<&Head> for Description {
    /// What is said of a version that is there.
    fn from(head: &Head) -> Self {
        Self {
            content_type: head.content_type.clone(),
            headers: head.headers.clone(),
            metadata: head.metadata.clone(),
            encrypted: head.encryption.is_some(),
        }
    }
}

/// An object that is written in parts.
#[derive(Debug, Clone, Copy)]
pub struct Parts<'a> {
    /// The bucket.
    pub bucket: &'a str,
    /// The key.
    pub key: &'a str,
    /// The name that the store knows it by.
    pub name: &'a str,
}

/// The bytes of a version, piece by piece.
pub type Chunks = BoxStream<'static, Result<Bytes>>;

/// Tags by name.
pub type Tags = BTreeMap<String, String>;

/// An object store. Every answer is what the store says now; nothing is remembered. An error never means
/// "no hold", "not there" or "done".
#[async_trait]
pub trait Buckets: Send + Sync + std::fmt::Debug {
    /// What stores of this bucket's kind can.
    fn limits(&self, _bucket: &str) -> KindLimits {
        KindLimits {
            tags: true,
            erasure: true,
        }
    }

    /// What a bucket can do.
    async fn abilities(&self, bucket: &str) -> Result<Abilities>;

    /// A page of all versions of keys that begin with `prefix`, from `from` on.
    async fn list(&self, bucket: &str, prefix: &str, from: Option<&Place>) -> Result<Listing>;

    /// What the store says of a version; `None` when it is certain that there is none.
    async fn head(&self, id: &ObjectId) -> Result<Option<Head>>;

    /// The bytes of a version.
    async fn get(&self, id: &ObjectId) -> Result<Chunks>;

    /// Writes an object; gives the version.
    async fn put(&self, bucket: &str, key: &str, body: Bytes, tags: &Tags) -> Result<ObjectId>;

    /// Writes a version in the place of `over`, with what `head` says of that one (media type, headers,
    /// metadata, encryption) and these tags; gives the new version. It is refused when `over` is no longer what
    /// a plain GET gives, as far as the store can tell by the ETag.
    async fn replace(
        &self,
        over: &ObjectId,
        head: &Head,
        body: Bytes,
        tags: &Tags,
    ) -> Result<ObjectId>;

    /// As [`Self::copy`]; what is written is encrypted at rest. The bytes pass through this program.
    async fn copy_encrypted(
        &self,
        from: &ObjectId,
        bucket: &str,
        key: &str,
        tags: &Tags,
    ) -> Result<ObjectId>;

    /// Writes an object as it is described; gives the version.
    async fn put_as(
        &self,
        bucket: &str,
        key: &str,
        body: Bytes,
        tags: &Tags,
        about: &Description,
    ) -> Result<ObjectId>;

    /// Begins an object in parts, which is there when it is finished; gives the name that the store knows it by.
    async fn begin_parts(
        &self,
        bucket: &str,
        key: &str,
        tags: &Tags,
        about: &Description,
    ) -> Result<String>;

    /// Writes a part; gives its ETag, without quotes.
    async fn put_part(&self, parts: &Parts<'_>, number: i32, body: Bytes) -> Result<String>;

    /// Makes an object of the parts with these numbers and ETags; gives the version.
    async fn finish_parts(&self, parts: &Parts<'_>, list: &[(i32, String)]) -> Result<ObjectId>;

    /// Forgets the parts.
    async fn drop_parts(&self, parts: &Parts<'_>) -> Result<()>;

    /// Copies a version inside of the store, with its metadata and these tags; gives the new version.
    async fn copy(&self, from: &ObjectId, bucket: &str, key: &str, tags: &Tags)
    -> Result<ObjectId>;

    /// The tags of a version.
    async fn tags(&self, id: &ObjectId) -> Result<Tags>;

    /// Replaces the tags of a version.
    async fn set_tags(&self, id: &ObjectId, tags: &Tags) -> Result<()>;

    /// Sets or ends the legal hold of a version (Object Lock).
    async fn set_legal_hold(&self, id: &ObjectId, on: bool) -> Result<()>;

    /// Deletes this version for good. It never asks for a bypass of governance.
    async fn delete(&self, id: &ObjectId) -> Result<()>;
}
