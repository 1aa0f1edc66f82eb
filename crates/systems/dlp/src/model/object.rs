//! Objects in buckets, as far as holds and retention ask about them.

use std::collections::BTreeMap;

use sealwright_core::{TenantId, UnixMicros};
use serde::{Deserialize, Serialize};

/// The name of a version where a bucket keeps none.
pub const NO_VERSION: &str = "null";

/// How the names of buckets begin that do not speak S3: Google Cloud Storage and Azure Blob Storage.
pub const KINDS: [&str; 2] = ["gs://", "az://"];

/// How the address of an object in S3 begins, whose bucket has no kind in its name.
const S3: &str = "s3://";

/// The address of a key.
#[must_use]
pub fn address(bucket: &str, key: &str) -> String {
    let kind = if KINDS.iter().any(|kind| bucket.starts_with(kind)) {
        ""
    } else {
        S3
    };
    format!("{kind}{bucket}/{key}")
}

/// The bucket and the key (or the beginning of keys) of an address; `None` when it is no bucket's.
#[must_use]
pub fn parse_address(text: &str) -> Option<(&str, &str)> {
    let kind = KINDS.iter().find(|kind| text.starts_with(**kind));
    let (text, kind) = match kind {
        Some(kind) => (text, kind.len()),
        None => (text.strip_prefix(S3)?, 0),
    };
    let name = text.get(kind..)?;
    let end = name.find('/').map_or(text.len(), |at| at + kind);
    let (bucket, rest) = text.split_at(end);
    (bucket.len() > kind).then(|| (bucket, rest.strip_prefix('/').unwrap_or(rest)))
}

/// The kind of a bucket: empty for S3.
#[must_use]
pub fn kind_of(bucket: &str) -> &'static str {
    KINDS
        .into_iter()
        .find(|kind| bucket.starts_with(kind))
        .unwrap_or("")
}

/// One version of an object.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
pub struct ObjectId {
    /// The bucket; with its kind before it where it does not speak S3: `gs://NAME`, `az://CONTAINER`.
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
        f.write_str(&address(&self.bucket, &self.key))?;
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

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn addresses_are_read_as_they_are_written() {
        for (text, bucket, key) in [
            ("s3://b/a/k", "b", "a/k"),
            ("s3://b", "b", ""),
            ("gs://b/a k+ü", "gs://b", "a k+ü"),
            ("az://c/", "az://c", ""),
            ("az://c//x", "az://c", "/x"),
        ] {
            assert_eq!(parse_address(text), Some((bucket, key)), "{text}");
            let full = address(bucket, key);
            assert_eq!(full.trim_end_matches('/'), text.trim_end_matches('/'));
        }
        for bad in [
            "",
            "b/k",
            "s3://",
            "s3:///k",
            "gs://",
            "az:///k",
            "http://b/k",
        ] {
            assert_eq!(parse_address(bad), None, "{bad}");
        }
        assert_eq!((kind_of("b"), kind_of("gs://b")), ("", "gs://"));
    }
}
