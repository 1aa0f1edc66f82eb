//! No store at all: every question is answered with what to configure.

use async_trait::async_trait;
use bytes::Bytes;

use super::{
    Abilities, BucketError, Buckets, Chunks, Description, Head, Listing, Parts, Place, Result, Tags,
};
use crate::model::object::{ObjectId, address};

/// What stands in the place of a store where none is configured.
#[derive(Debug, Clone, Copy, Default)]
pub struct NoBuckets;

fn none<T>(what: impl std::fmt::Display) -> Result<T> {
    Err(BucketError::Unable {
        what: what.to_string(),
        why: "no store of this kind is configured: dlp.s3_access_key for s3://, dlp.azure_account for az://, \
              dlp.gcs_service_account for gs://"
            .to_owned(),
    })
}

#[async_trait]
impl Buckets for NoBuckets {
    async fn abilities(&self, bucket: &str) -> Result<Abilities> {
        none(address(bucket, ""))
    }

    async fn list(&self, bucket: &str, _prefix: &str, _from: Option<&Place>) -> Result<Listing> {
        none(address(bucket, ""))
    }

    async fn head(&self, id: &ObjectId) -> Result<Option<Head>> {
        none(id)
    }

    async fn get(&self, id: &ObjectId) -> Result<Chunks> {
        none(id)
    }

    async fn put(&self, bucket: &str, key: &str, _body: Bytes, _tags: &Tags) -> Result<ObjectId> {
        none(address(bucket, key))
    }

    async fn replace(
        &self,
        over: &ObjectId,
        _head: &Head,
        _body: Bytes,
        _tags: &Tags,
    ) -> Result<ObjectId> {
        none(over)
    }

    async fn copy_encrypted(
        &self,
        from: &ObjectId,
        _bucket: &str,
        _key: &str,
        _tags: &Tags,
    ) -> Result<ObjectId> {
        none(from)
    }

    async fn put_as(
        &self,
        bucket: &str,
        key: &str,
        _body: Bytes,
        _tags: &Tags,
        _about: &Description,
    ) -> Result<ObjectId> {
        none(address(bucket, key))
    }

    async fn begin_parts(
        &self,
        bucket: &str,
        key: &str,
        _tags: &Tags,
        _about: &Description,
    ) -> Result<String> {
        none(address(bucket, key))
    }

    async fn put_part(&self, parts: &Parts<'_>, _number: i32, _body: Bytes) -> Result<String> {
        none(address(parts.bucket, parts.key))
    }

    async fn finish_parts(&self, parts: &Parts<'_>, _list: &[(i32, String)]) -> Result<ObjectId> {
        none(address(parts.bucket, parts.key))
    }

    async fn drop_parts(&self, parts: &Parts<'_>) -> Result<()> {
        none(address(parts.bucket, parts.key))
    }

    async fn copy(
        &self,
        from: &ObjectId,
        _bucket: &str,
        _key: &str,
        _tags: &Tags,
    ) -> Result<ObjectId> {
        none(from)
    }

    async fn tags(&self, id: &ObjectId) -> Result<Tags> {
        none(id)
    }

    async fn set_tags(&self, id: &ObjectId, _tags: &Tags) -> Result<()> {
        none(id)
    }

    async fn set_legal_hold(&self, id: &ObjectId, _on: bool) -> Result<()> {
        none(id)
    }

    async fn delete(&self, id: &ObjectId) -> Result<()> {
        none(id)
    }
}
