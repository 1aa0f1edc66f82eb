//! Objects in buckets, as far as holds and retention ask about them.

use std::collections::BTreeMap;

use sealwright_core::{TenantId, UnixMicros};
use serde::{Deserialize, Serialize};

/// The name of a version where a bucket keeps none.
pub const NO_VERSION: &str = "null";

/// One version of an object.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
pub struct ObjectId {
    /// The bucket.
    pub bucket: String,
    /// The key, as bytes of UTF-8, not encoded.
    pub key: String,
    /// The version; [`NO_VERSION`] where the bucket keeps none.
    pub version: String,
}

impl ObjectId {
    /// A version.
    #[must_use]
    pub fn new(bucket: &str, key: &str, version: &str) -> Self {
        Self {
            bucket: bucket.to_owned(),
            key: key.to_owned(),
            version: version.to_owned(),
        }
    }
}

impl std::fmt::Display for ObjectId {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "s3://{}/{}", self.bucket, self.key)?;
        if self.version == NO_VERSION || self.version.is_empty() {
            Ok(())
        } else {
            write!(f, "?versionId={}", self.version)
        }
    }
}

/// What holds and retention are decided by.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Facts {
    /// The version.
    pub id: ObjectId,
    /// Whose it is.
    pub tenant: TenantId,
    /// When the version was written.
    pub written: UnixMicros,
    /// Its tags; `None` when they could not be read.
    pub tags: Option<BTreeMap<String, String>>,
}

impl Facts {
    /// The value of a tag; `Err` when the tags are not known.
    ///
    /// # Errors
    /// [`Unknown`].
    pub fn tag(&self, name: &str) -> Result<Option<&str>, Unknown> {
        let tags = self.tags.as_ref().ok_or(Unknown("its tags"))?;
        Ok(tags.get(name).map(String::as_str))
    }
}

/// Something that is not known, and so never counts as harmless.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("{0} could not be read")]
pub struct Unknown(pub &'static str);

/// The tag that names the person whose data an object is (a pseudonymous id).
pub const TAG_PERSON: &str = "sealwright-person";
/// The tag that names the retention category.
pub const TAG_CATEGORY: &str = "sealwright-category";
/// The tag that names the tier of a backup.
pub const TAG_TIER: &str = "sealwright-tier";
/// The tag with the moment that a period begins at (RFC 3339), where that is not the writing.
pub const TAG_FROM: &str = "sealwright-retain-from";
/// The tag that protects where the store has no legal hold: the number of matters that hold the object.
pub const TAG_HELD: &str = "sealwright-held";
