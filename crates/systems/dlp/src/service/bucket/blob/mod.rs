//! Google Cloud Storage (`gs://BUCKET`) and Azure Blob Storage (`az://CONTAINER`).
//!
//! What is there now is seen, older versions are not. A version is named by its ETag: what was written over is no
//! longer there, and is neither read nor deleted in the place of what was meant. Nothing is written over: a new object
//! is written where nothing is, and [`Buckets::replace`] only over the ETag that it names. Tags are the owner's
//! metadata, which is given when an object is written and stays as it is.

mod client;

use std::collections::BTreeMap;
use std::time::Duration;

use async_trait::async_trait;
use bytes::Bytes;
use futures::{StreamExt as _, TryStreamExt as _};
use object_store::list::PaginatedListOptions;
use object_store::path::Path;
use object_store::{
    Attribute, Attributes, Error, GetOptions, GetResult, PutMode, PutOptions, PutPayload,
    UpdateVersion,
};
use sealwright_core::UnixMicros;

pub use client::BlobOptions;

use self::client::{Clients, fault};
use super::s3::bare;
use super::{
    Abilities, BucketError, Buckets, Chunks, Description, Head, KindLimits, Listed, Listing, Parts,
    Place, Result, Tags,
};
use crate::model::object::{NO_VERSION, ObjectId, address};

/// The largest object that is copied: its bytes pass through this program in one piece, so that the condition of the
/// write holds for the whole.
pub const MOST_BYTES: u64 = 64 << 20;
/// Objects on a page of a listing.
const PAGE: usize = 1_000;
/// How long an answer, or the next piece of one, is waited for.
const ANSWER: Duration = Duration::from_secs(60);
/// How long an object may take to be written.
const TAKING: Duration = Duration::from_secs(300);
/// How the names of this program's tags begin.
const OURS: &str = "sealwright-";
/// The same as a name of Azure's metadata, which has no hyphens.
const OURS_IN_AZURE: &str = "sealwright_";

/// A store of Google's or Azure's.
#[derive(Debug, Clone)]
pub struct Blobs {
    clients: Clients,
}

impl Blobs {
    /// Clients for the buckets of an account; nothing is asked yet.
    ///
    /// # Errors
    /// [`BucketError::Unable`] when the options cannot be understood.
    pub fn new(options: BlobOptions) -> Result<Self> {
        Ok(Self {
            clients: Clients::new(options)?,
        })
    }

    /// Asks for a version; `None` when another or nothing is there.
    async fn ask(&self, id: &ObjectId, head: bool) -> Result<Option<GetResult>> {
        let path = path(id)?;
        let options = GetOptions {
            head,
            ..GetOptions::default()
        };
        let client = self.clients.client(&id.bucket)?;
        let asked = client.objects().get_opts(&path, options);
        match within(id, ANSWER, asked).await? {
            Ok(found) if names(id, &bare(found.meta.e_tag.as_deref())) => Ok(Some(found)),
            Ok(_) | Err(Error::NotFound { .. }) => Ok(None),
            Err(error) => Err(fault(id, &error)),
        }
    }

    async fn write(
        &self,
        (bucket, key): (&str, &str),
        body: Bytes,
        tags: &Tags,
        about: &Description,
        mode: PutMode,
    ) -> Result<ObjectId> {
        let mut id = ObjectId::new(bucket, key, NO_VERSION);
        if about.encrypted {
            return not(&id, "it encrypts what it holds by rules of its own only");
        }
        let options = PutOptions {
            mode,
            attributes: self.attributes(&id, tags, about)?,
            ..PutOptions::default()
        };
        let client = self.clients.client(bucket)?;
        let path = path(&id)?;
        let done = client
            .objects()
            .put_opts(&path, PutPayload::from_bytes(body), options);
        let done = within(&id, TAKING, done)
            .await?
            .map_err(|error| fault(&id, &error))?;
        id.version = bare(done.e_tag.as_deref());
        Ok(id)
    }

    fn attributes(&self, id: &ObjectId, tags: &Tags, about: &Description) -> Result<Attributes> {
        let mut all = Attributes::new();
        if let Some(kind) = &about.content_type {
            all.insert(Attribute::ContentType, kind.clone().into());
        }
        for (name, value) in &about.headers {
            let name = match name.as_str() {
                "cache-control" => Attribute::CacheControl,
                "content-disposition" => Attribute::ContentDisposition,
                "content-encoding" => Attribute::ContentEncoding,
                _ => Attribute::ContentLanguage,
            };
            all.insert(name, value.clone().into());
        }
        for (name, value) in about.metadata.iter().chain(tags) {
            let name = self.metadata_name(name);
            let named = !name.is_empty()
                && name.bytes().all(|b| {
                    b.is_ascii_alphanumeric() || b == b'_' || b == b'-' && !self.clients.azure()
                })
                && !(self.clients.azure() && name.starts_with(|c: char| c.is_ascii_digit()));
            if !named || !value.bytes().all(|b| (b' '..=b'~').contains(&b)) {
                return not(
                    id,
                    &format!("tags are metadata here, and `{name}` with its value is none"),
                );
            }
            all.insert(Attribute::Metadata(name.into()), value.clone().into());
        }
        Ok(all)
    }

    /// How a tag is called as metadata.
    fn metadata_name(&self, tag: &str) -> String {
        match tag.strip_prefix(OURS) {
            Some(_) if self.clients.azure() => tag.replace('-', "_"),
            _ => tag.to_ascii_lowercase(),
        }
    }

    /// How metadata is called as a tag.
    fn tag_name(&self, metadata: &str) -> String {
        let name = metadata.to_ascii_lowercase();
        if self.clients.azure() && name.starts_with(OURS_IN_AZURE) {
            name.replace('_', "-")
        } else {
            name
        }
    }

    /// A page of the listing, and where the next one begins.
    async fn page(
        &self,
        bucket: &str,
        prefix: &str,
        token: Option<String>,
    ) -> Result<(Vec<Listed>, Option<String>)> {
        let options = PaginatedListOptions {
            page_token: token,
            max_keys: Some(PAGE),
            ..PaginatedListOptions::default()
        };
        let client = self.clients.client(bucket)?;
        let page = client
            .pages()
            .list_paginated((!prefix.is_empty()).then_some(prefix), options);
        let page = within(&address(bucket, prefix), ANSWER, page)
            .await?
            .map_err(|error| fault(&address(bucket, prefix), &error))?;
        let listed = page.result.objects.into_iter().map(|one| {
            let etag = bare(one.e_tag.as_deref());
            Listed {
                id: ObjectId::new(bucket, one.location.as_ref(), &etag),
                etag,
                size: one.size,
                written: UnixMicros(one.last_modified.timestamp_micros()),
                latest: true,
                marker: false,
            }
        });
        Ok((listed.collect(), page.page_token))
    }
}

async fn within<T>(
    what: &(impl std::fmt::Display + ?Sized),
    most: Duration,
    asked: impl Future<Output = T>,
) -> Result<T> {
    let answer = tokio::time::timeout(most, asked).await;
    answer.map_err(|_| BucketError::Unknown {
        what: what.to_string(),
        why: format!("no answer within {} s", most.as_secs()),
    })
}

/// Whether what has this ETag is the version that is meant.
fn names(id: &ObjectId, etag: &str) -> bool {
    id.version.is_empty() || id.version == NO_VERSION || id.version == etag
}

/// The key as the client takes it; some it cannot name.
fn path(id: &ObjectId) -> Result<Path> {
    match Path::parse(&id.key) {
        Ok(path) if path.as_ref() == id.key => Ok(path),
        _ => not(
            id,
            "keys with an empty part between slashes, `.`, `..` or control characters are not reached",
        ),
    }
}

fn not<T>(what: &impl std::fmt::Display, why: &str) -> Result<T> {
    Err(BucketError::Unable {
        what: what.to_string(),
        why: why.to_owned(),
    })
}

#[async_trait]
impl Buckets for Blobs {
    fn limits(&self, _bucket: &str) -> KindLimits {
        KindLimits {
            tags: false,
            // Both services may keep what was deleted (soft delete, older versions), and it is not seen here.
            erasure: false,
        }
    }

    async fn abilities(&self, bucket: &str) -> Result<Abilities> {
        // The bucket has to be there; what it keeps beside what is seen does not count.
        self.page(bucket, "", None).await?;
        Ok(Abilities {
            versions: false,
            object_lock: false,
        })
    }

    async fn list(&self, bucket: &str, prefix: &str, from: Option<&Place>) -> Result<Listing> {
        let token = from.and_then(|place| place.version.clone());
        let (versions, next) = self.page(bucket, prefix, token.clone()).await?;
        if next.is_some() && next == token {
            return Err(BucketError::Unknown {
                what: address(bucket, prefix),
                why: "the listing stands still".to_owned(),
            });
        }
        let key = versions.last().map(|last| last.id.key.clone());
        let key = key.or_else(|| from.map(|place| place.key.clone()));
        Ok(Listing {
            versions,
            next: next.map(|token| Place {
                key: key.unwrap_or_default(),
                version: Some(token),
            }),
        })
    }

    async fn head(&self, id: &ObjectId) -> Result<Option<Head>> {
        let Some(found) = self.ask(id, true).await? else {
            return Ok(None);
        };
        let (mut content_type, mut headers, mut metadata) =
            (None, BTreeMap::new(), BTreeMap::new());
        for (name, value) in &found.attributes {
            let value = value.to_string();
            let header = match name {
                Attribute::ContentType => {
                    content_type = Some(value);
                    continue;
                }
                Attribute::Metadata(name) => {
                    metadata.insert(self.tag_name(name), value);
                    continue;
                }
                Attribute::CacheControl => "cache-control",
                Attribute::ContentDisposition => "content-disposition",
                Attribute::ContentEncoding => "content-encoding",
                Attribute::ContentLanguage => "content-language",
                _ => continue,
            };
            headers.insert(header.to_owned(), value);
        }
        Ok(Some(Head {
            etag: bare(found.meta.e_tag.as_deref()),
            size: found.meta.size,
            written: UnixMicros(found.meta.last_modified.timestamp_micros()),
            legal_hold: false,
            locked: None,
            encryption: None,
            content_type,
            headers,
            metadata,
        }))
    }

    async fn get(&self, id: &ObjectId) -> Result<Chunks> {
        let found = self.ask(id, false).await?;
        let found = found.ok_or_else(|| BucketError::Missing(id.to_string()))?;
        let what = id.to_string();
        let pieces = futures::stream::try_unfold(found.into_stream(), move |mut rest| {
            let what = what.clone();
            async move {
                let piece = within(&what, ANSWER, rest.try_next()).await?;
                let piece = piece.map_err(|error| fault(&what, &error))?;
                Ok(piece.map(|piece| (piece, rest)))
            }
        });
        Ok(pieces.boxed())
    }

    async fn put(&self, bucket: &str, key: &str, body: Bytes, tags: &Tags) -> Result<ObjectId> {
        let about = Description::default();
        self.put_as(bucket, key, body, tags, &about).await
    }

    async fn replace(
        &self,
        over: &ObjectId,
        head: &Head,
        body: Bytes,
        tags: &Tags,
    ) -> Result<ObjectId> {
        let found = self.ask(over, true).await?;
        let found = found.ok_or_else(|| BucketError::Changed(over.to_string()))?;
        if bare(found.meta.e_tag.as_deref()) != head.etag {
            return Err(BucketError::Changed(over.to_string()));
        }
        let mode = PutMode::Update(UpdateVersion {
            e_tag: found.meta.e_tag,
            version: found.meta.version,
        });
        let place = (over.bucket.as_str(), over.key.as_str());
        self.write(place, body, tags, &Description::from(head), mode)
            .await
    }

    async fn copy_encrypted(
        &self,
        from: &ObjectId,
        _bucket: &str,
        _key: &str,
        _tags: &Tags,
    ) -> Result<ObjectId> {
        not(from, "it encrypts what it holds by rules of its own only")
    }

    async fn put_as(
        &self,
        bucket: &str,
        key: &str,
        body: Bytes,
        tags: &Tags,
        about: &Description,
    ) -> Result<ObjectId> {
        self.write((bucket, key), body, tags, about, PutMode::Create)
            .await
    }

    async fn begin_parts(
        &self,
        bucket: &str,
        key: &str,
        _tags: &Tags,
        _about: &Description,
    ) -> Result<String> {
        not(&address(bucket, key), "objects in parts go to S3 only")
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
        let head = self.head(from).await?;
        let head = head.ok_or_else(|| BucketError::Missing(from.to_string()))?;
        if head.size > MOST_BYTES {
            let most = MOST_BYTES >> 20;
            return not(from, &format!("objects over {most} MiB are not copied"));
        }
        let pieces: Vec<Bytes> = self.get(from).await?.try_collect().await?;
        let body = Bytes::from(pieces.concat());
        let about = Description {
            // All of it is in the tags.
            metadata: BTreeMap::new(),
            ..Description::from(&head)
        };
        match self.put_as(bucket, key, body.clone(), tags, &about).await {
            Err(BucketError::Changed(what)) => {
                // A copy that was made before a crash is not made again; something else is not written over.
                let id = ObjectId::new(bucket, key, NO_VERSION);
                let there = self.head(&id).await?;
                let there = there.ok_or_else(|| BucketError::Changed(what.clone()))?;
                let id = ObjectId::new(bucket, key, &there.etag);
                let same: Vec<Bytes> = self.get(&id).await?.try_collect().await?;
                if same.concat() == body && &self.tags(&id).await? == tags {
                    Ok(id)
                } else {
                    Err(BucketError::Changed(what))
                }
            }
            other => other,
        }
    }

    async fn tags(&self, id: &ObjectId) -> Result<Tags> {
        match self.head(id).await? {
            Some(head) => Ok(head.metadata),
            None => Err(BucketError::Missing(id.to_string())),
        }
    }

    async fn set_tags(&self, id: &ObjectId, _tags: &Tags) -> Result<()> {
        not(id, "tags are metadata here, which stays as it was written")
    }

    async fn set_legal_hold(&self, id: &ObjectId, _on: bool) -> Result<()> {
        not(id, "holds of the store itself are set in S3 only")
    }

    async fn delete(&self, id: &ObjectId) -> Result<()> {
        let Some(found) = self.ask(id, true).await? else {
            return Ok(());
        };
        let request = self.clients.deletion(id, &found.meta).await?;
        let status = within(id, ANSWER, self.clients.send(id, request)).await??;
        let what = id.to_string();
        let why = format!("it answers {status}");
        match status {
            // 412: what was meant is no longer there, and what is there now stays.
            200..=299 | 404 | 412 => Ok(()),
            401 | 403 | 409 => Err(BucketError::Refused { what, why }),
            _ => Err(BucketError::Unknown { what, why }),
        }
    }
}
