//! Stores of several kinds beside each other: the name of a bucket says which one has it.

use std::sync::Arc;

use async_trait::async_trait;
use bytes::Bytes;

use super::{
    Abilities, BucketError, Buckets, Chunks, Description, Head, KindLimits, Listing, NoBuckets,
    Parts, Place, Result, Tags,
};
use crate::model::object::{ObjectId, address, kind_of};

/// The stores of an installation.
#[derive(Debug, Clone)]
pub struct Stores {
    s3: Arc<dyn Buckets>,
    google: Arc<dyn Buckets>,
    azure: Arc<dyn Buckets>,
}

impl Stores {
    /// `s3` has the buckets whose names say no kind.
    #[must_use]
    pub fn new(s3: Arc<dyn Buckets>) -> Self {
        Self {
            s3,
            google: Arc::new(NoBuckets),
            azure: Arc::new(NoBuckets),
        }
    }

    /// With a store for `gs://` buckets.
    #[must_use]
    pub fn google(self, google: Arc<dyn Buckets>) -> Self {
        Self { google, ..self }
    }

    /// With a store for `az://` containers.
    #[must_use]
    pub fn azure(self, azure: Arc<dyn Buckets>) -> Self {
        Self { azure, ..self }
    }

    fn of(&self, bucket: &str) -> &dyn Buckets {
        match kind_of(bucket) {
            "gs://" => self.google.as_ref(),
            "az://" => self.azure.as_ref(),
            _ => self.s3.as_ref(),
        }
    }

    fn both(&self, from: &ObjectId, bucket: &str) -> Result<&dyn Buckets> {
        if kind_of(&from.bucket) == kind_of(bucket) {
            return Ok(self.of(bucket));
        }
        Err(BucketError::Unable {
            what: from.to_string(),
            why: format!(
                "objects are not copied to another kind of store ({})",
                address(bucket, "")
            ),
        })
    }
}

#[async_trait]
impl Buckets for Stores {
    fn limits(&self, bucket: &str) -> KindLimits {
        self.of(bucket).limits(bucket)
    }

    async fn abilities(&self, bucket: &str) -> Result<Abilities> {
        self.of(bucket).abilities(bucket).await
    }

    async fn list(&self, bucket: &str, prefix: &str, from: Option<&Place>) -> Result<Listing> {
        self.of(bucket).list(bucket, prefix, from).await
    }

    async fn head(&self, id: &ObjectId) -> Result<Option<Head>> {
        self.of(&id.bucket).head(id).await
    }

    async fn get(&self, id: &ObjectId) -> Result<Chunks> {
        self.of(&id.bucket).get(id).await
    }

    async fn put(&self, bucket: &str, key: &str, body: Bytes, tags: &Tags) -> Result<ObjectId> {
        self.of(bucket).put(bucket, key, body, tags).await
    }

    async fn replace(
        &self,
        over: &ObjectId,
        head: &Head,
        body: Bytes,
        tags: &Tags,
    ) -> Result<ObjectId> {
        self.of(&over.bucket).replace(over, head, body, tags).await
    }

    async fn copy_encrypted(
        &self,
        from: &ObjectId,
        bucket: &str,
        key: &str,
        tags: &Tags,
    ) -> Result<ObjectId> {
        let store = self.both(from, bucket)?;
        store.copy_encrypted(from, bucket, key, tags).await
    }

    async fn put_as(
        &self,
        bucket: &str,
        key: &str,
        body: Bytes,
        tags: &Tags,
        about: &Description,
    ) -> Result<ObjectId> {
        self.of(bucket).put_as(bucket, key, body, tags, about).await
    }

    async fn begin_parts(
        &self,
        bucket: &str,
        key: &str,
        tags: &Tags,
        about: &Description,
    ) -> Result<String> {
        self.of(bucket).begin_parts(bucket, key, tags, about).await
    }

    async fn put_part(&self, parts: &Parts<'_>, number: i32, body: Bytes) -> Result<String> {
        self.of(parts.bucket).put_part(parts, number, body).await
    }

    async fn finish_parts(&self, parts: &Parts<'_>, list: &[(i32, String)]) -> Result<ObjectId> {
        self.of(parts.bucket).finish_parts(parts, list).await
    }

    async fn drop_parts(&self, parts: &Parts<'_>) -> Result<()> {
        self.of(parts.bucket).drop_parts(parts).await
    }

    async fn copy(
        &self,
        from: &ObjectId,
        bucket: &str,
        key: &str,
        tags: &Tags,
    ) -> Result<ObjectId> {
        let store = self.both(from, bucket)?;
        store.copy(from, bucket, key, tags).await
    }

    async fn tags(&self, id: &ObjectId) -> Result<Tags> {
        self.of(&id.bucket).tags(id).await
    }

    async fn set_tags(&self, id: &ObjectId, tags: &Tags) -> Result<()> {
        self.of(&id.bucket).set_tags(id, tags).await
    }

    async fn set_legal_hold(&self, id: &ObjectId, on: bool) -> Result<()> {
        self.of(&id.bucket).set_legal_hold(id, on).await
    }

    async fn delete(&self, id: &ObjectId) -> Result<()> {
        self.of(&id.bucket).delete(id).await
    }
}
