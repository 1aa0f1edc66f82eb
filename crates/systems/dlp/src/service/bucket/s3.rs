//! S3 and what speaks it.

use std::time::Duration;

use async_trait::async_trait;
use aws_sdk_s3::Client;
use aws_sdk_s3::config::timeout::TimeoutConfig;
use aws_sdk_s3::config::{
    BehaviorVersion, Credentials, Region, RequestChecksumCalculation, ResponseChecksumValidation,
};
use aws_sdk_s3::error::{DisplayErrorContext, ProvideErrorMetadata, SdkError};
use aws_sdk_s3::operation::head_object::HeadObjectOutput;
use aws_sdk_s3::primitives::ByteStream;
use aws_sdk_s3::types::{
    CompletedMultipartUpload, CompletedPart, MetadataDirective, ObjectLockEnabled,
    ObjectLockLegalHold, ObjectLockLegalHoldStatus, ObjectLockMode, ServerSideEncryption, Tag,
    Tagging, TaggingDirective,
};
use aws_smithy_http_client::tls::rustls_provider::CryptoMode;
use aws_smithy_http_client::{Builder, tls};
use bytes::{Bytes, BytesMut};
use futures::TryStreamExt as _;
use sealwright_core::UnixMicros;
use sealwright_core::clock::SECOND;

use super::{
    Abilities, BucketError, Buckets, Chunks, Description, Head, Listed, Listing, LockMode, Parts,
    Place, Result, Tags,
};
use crate::model::object::{NO_VERSION, ObjectId};

/// Bytes of a part; S3 takes parts from 5 MiB on.
const PART: u64 = 16 << 20;
/// Parts that an object may have.
const MOST_PARTS: u64 = 10_000;

/// Where a store is, and who asks.
#[derive(Clone)]
pub struct S3Options {
    /// The URL; AWS's own when absent.
    pub endpoint: Option<String>,
    /// The region.
    pub region: String,
    /// The access key.
    pub access_key: String,
    /// The secret key.
    pub secret_key: String,
    /// The key of the store's key service that objects are encrypted with; the store's own keys when absent.
    pub kms_key: Option<String>,
}

impl std::fmt::Debug for S3Options {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("S3Options")
            .field("endpoint", &self.endpoint)
            .field("region", &self.region)
            .finish_non_exhaustive()
    }
}

/// A store that speaks S3.
#[derive(Debug, Clone)]
pub struct S3 {
    client: Client,
    kms_key: Option<String>,
}

impl S3 {
    /// A client; nothing is asked yet.
    #[must_use]
    pub fn new(options: &S3Options) -> Self {
        let http = Builder::new()
            .tls_provider(tls::Provider::Rustls(CryptoMode::Ring))
            .build_https();
        let credentials = Credentials::new(
            &options.access_key,
            &options.secret_key,
            None,
            None,
            "sealwright",
        );
        let mut config = aws_sdk_s3::Config::builder()
            .behavior_version(BehaviorVersion::latest())
            .region(Region::new(options.region.clone()))
            .credentials_provider(credentials)
            .http_client(http)
            // Checksums in trailers are not understood by every store; what matters is hashed by us.
            .request_checksum_calculation(RequestChecksumCalculation::WhenRequired)
            .response_checksum_validation(ResponseChecksumValidation::WhenRequired)
            .timeout_config(
                TimeoutConfig::builder()
                    .connect_timeout(Duration::from_secs(5))
                    .read_timeout(Duration::from_secs(60))
                    .operation_attempt_timeout(Duration::from_secs(300))
                    .build(),
            );
        if let Some(endpoint) = &options.endpoint {
            config = config.endpoint_url(endpoint).force_path_style(true);
        }
        Self {
            client: Client::from_conf(config.build()),
            kms_key: options.kms_key.clone(),
        }
    }

    /// The newest version of a key: radosgw does not say which one a copy made. Whoever copies compares the
    /// bytes afterwards, so another writer's version is found out.
    async fn newest(&self, bucket: &str, key: &str) -> Result<ObjectId> {
        let output = self
            .client
            .head_object()
            .bucket(bucket)
            .key(key)
            .send()
            .await
            .map_err(|error| fault(&format!("s3://{bucket}/{key}"), &error))?;
        Ok(ObjectId::new(
            bucket,
            key,
            output.version_id().unwrap_or(NO_VERSION),
        ))
    }

    /// How objects are encrypted, and with which key.
    fn encryption(&self) -> (ServerSideEncryption, Option<String>) {
        match &self.kms_key {
            None => (ServerSideEncryption::Aes256, None),
            Some(key) => (ServerSideEncryption::AwsKms, Some(key.clone())),
        }
    }

    /// Writes an object; with `over` only in the place of one with this ETag.
    async fn write(
        &self,
        (bucket, key): (&str, &str),
        body: Bytes,
        tags: &Tags,
        about: &Description,
        over: Option<String>,
    ) -> Result<ObjectId> {
        let what = format!("s3://{bucket}/{key}");
        let header = |name: &str| about.headers.get(name).cloned();
        let mut request = self
            .client
            .put_object()
            .bucket(bucket)
            .key(key)
            .set_if_match(over)
            .set_content_type(about.content_type.clone())
            .set_cache_control(header("cache-control"))
            .set_content_disposition(header("content-disposition"))
            .set_content_encoding(header("content-encoding"))
            .set_content_language(header("content-language"))
            .set_metadata(Some(about.metadata.clone().into_iter().collect()))
            .set_tagging((!tags.is_empty()).then(|| tag_header(tags)))
            .body(ByteStream::from(body));
        if about.encrypted {
            let (kind, kms_key) = self.encryption();
            request = request
                .server_side_encryption(kind)
                .set_ssekms_key_id(kms_key);
        }
        let output = request.send().await.map_err(|error| fault(&what, &error))?;
        match output.version_id() {
            Some(version) => Ok(ObjectId::new(bucket, key, version)),
            None => self.newest(bucket, key).await,
        }
    }

    /// The bytes of a version as parts of another object, a part in memory at a time.
    async fn in_parts(
        &self,
        from: &ObjectId,
        parts: &Parts<'_>,
        part: usize,
    ) -> Result<Vec<(i32, String)>> {
        let mut chunks = self.get(from).await?;
        let (mut list, mut body, mut number) = (Vec::new(), BytesMut::new(), 0);
        loop {
            let piece = chunks.try_next().await?;
            let last = piece.is_none();
            body.extend_from_slice(&piece.unwrap_or_default());
            while body.len() >= part || (last && !body.is_empty()) {
                let full = body.split_to(part.min(body.len())).freeze();
                number += 1;
                list.push((number, self.put_part(parts, number, full).await?));
            }
            if last {
                return Ok(list);
            }
        }
    }

    /// The client itself: for tests that look at the store beside us.
    #[must_use]
    pub fn client(&self) -> &Client {
        &self.client
    }
}

fn fault<E>(what: &impl std::fmt::Display, error: &SdkError<E>) -> BucketError
where
    E: ProvideErrorMetadata + std::error::Error + 'static,
{
    let what = what.to_string();
    let status = error
        .raw_response()
        .map(|response| response.status().as_u16());
    let code = error.code().unwrap_or_default().to_owned();
    let why = match error.message() {
        Some(message) if !code.is_empty() => format!("{code}: {message}"),
        _ if !code.is_empty() => code.clone(),
        _ => DisplayErrorContext(error).to_string(),
    };
    match (status, code.as_str()) {
        (_, "NoSuchBucket" | "NoSuchKey" | "NoSuchVersion" | "NotFound") | (Some(404), "") => {
            BucketError::Missing(what)
        }
        (Some(412), _) => BucketError::Changed(what),
        (Some(403 | 409), _) => BucketError::Refused { what, why },
        (Some(400 | 405 | 501), _) => BucketError::Unable { what, why },
        _ => BucketError::Unknown { what, why },
    }
}

fn micros(time: Option<&aws_sdk_s3::primitives::DateTime>) -> UnixMicros {
    time.map_or(UnixMicros(0), |time| {
        UnixMicros(
            time.secs()
                .saturating_mul(SECOND)
                .saturating_add(i64::from(time.subsec_nanos() / 1_000)),
        )
    })
}

pub(super) fn bare(etag: Option<&str>) -> String {
    etag.unwrap_or_default().trim_matches('"').to_owned()
}

fn version(id: &ObjectId) -> Option<String> {
    Some(id.version.clone())
}

/// Percent-encodes what a header or a query cannot carry as it is.
pub(super) fn encode(text: &str, keep: &[u8]) -> String {
    let mut out = String::with_capacity(text.len());
    for byte in text.bytes() {
        if byte.is_ascii_alphanumeric() || keep.contains(&byte) {
            out.push(char::from(byte));
        } else {
            out.push_str(&format!("%{byte:02X}"));
        }
    }
    out
}

/// Tags as the header of a write carries them.
fn tag_header(tags: &Tags) -> String {
    let pairs: Vec<_> = tags
        .iter()
        .map(|(name, value)| format!("{}={}", encode(name, b"-_.~"), encode(value, b"-_.~")))
        .collect();
    pairs.join("&")
}

fn tagging(what: &ObjectId, tags: &Tags) -> Result<Tagging> {
    let wrong = |error: aws_sdk_s3::error::BuildError| BucketError::Unable {
        what: what.to_string(),
        why: error.to_string(),
    };
    let set = tags
        .iter()
        .map(|(name, value)| Tag::builder().key(name).value(value).build().map_err(wrong))
        .collect::<Result<Vec<_>>>()?;
    Tagging::builder()
        .set_tag_set(Some(set))
        .build()
        .map_err(wrong)
}

fn head_of(output: &HeadObjectOutput) -> Head {
    let locked = output.object_lock_mode().and_then(|mode| {
        let until = output.object_lock_retain_until_date()?;
        // What is not known to be weaker counts as the stronger one.
        let mode = match mode {
            ObjectLockMode::Governance => LockMode::Governance,
            _ => LockMode::Compliance,
        };
        Some((mode, micros(Some(until))))
    });
    Head {
        etag: bare(output.e_tag()),
        size: u64::try_from(output.content_length().unwrap_or(0)).unwrap_or(0),
        written: micros(output.last_modified()),
        legal_hold: output
            .object_lock_legal_hold_status()
            .is_some_and(|status| *status != ObjectLockLegalHoldStatus::Off),
        locked,
        encryption: output
            .server_side_encryption()
            .map(|kind| kind.as_str().to_owned())
            .or_else(|| output.sse_customer_algorithm().map(str::to_owned)),
        content_type: output.content_type().map(str::to_owned),
        headers: [
            ("cache-control", output.cache_control()),
            ("content-disposition", output.content_disposition()),
            ("content-encoding", output.content_encoding()),
            ("content-language", output.content_language()),
        ]
        .into_iter()
        .filter_map(|(name, value)| Some((name.to_owned(), value?.to_owned())))
        .collect(),
        metadata: output
            .metadata()
            .map(|all| all.iter().map(|(n, v)| (n.clone(), v.clone())).collect())
            .unwrap_or_default(),
    }
}

#[async_trait]
impl Buckets for S3 {
    async fn abilities(&self, bucket: &str) -> Result<Abilities> {
        let versioning = self
            .client
            .get_bucket_versioning()
            .bucket(bucket)
            .send()
            .await
            .map_err(|error| fault(&format!("s3://{bucket}"), &error))?;
        let lock = self
            .client
            .get_object_lock_configuration()
            .bucket(bucket)
            .send()
            .await;
        let object_lock = match lock {
            Ok(found) => found
                .object_lock_configuration()
                .and_then(|one| one.object_lock_enabled())
                .is_some_and(|state| *state == ObjectLockEnabled::Enabled),
            Err(error)
                if error.code() == Some("ObjectLockConfigurationNotFoundError")
                    || matches!(
                        error.raw_response().map(|r| r.status().as_u16()),
                        Some(404 | 405 | 501)
                    ) =>
            {
                false
            }
            Err(error) => return Err(fault(&format!("s3://{bucket}"), &error)),
        };
        Ok(Abilities {
            versions: versioning.status().is_some(),
            object_lock,
        })
    }

    async fn list(&self, bucket: &str, prefix: &str, from: Option<&Place>) -> Result<Listing> {
        let output = self
            .client
            .list_object_versions()
            .bucket(bucket)
            .set_prefix((!prefix.is_empty()).then(|| prefix.to_owned()))
            .set_key_marker(from.map(|place| place.key.clone()))
            .set_version_id_marker(from.and_then(|place| place.version.clone()))
            .send()
            .await
            .map_err(|error| fault(&format!("s3://{bucket}/{prefix}"), &error))?;
        let mut versions = Vec::new();
        let id = |key: Option<&str>, version: Option<&str>| {
            ObjectId::new(
                bucket,
                key.unwrap_or_default(),
                version.filter(|v| !v.is_empty()).unwrap_or(NO_VERSION),
            )
        };
        for one in output.versions() {
            versions.push(Listed {
                id: id(one.key(), one.version_id()),
                etag: bare(one.e_tag()),
                size: u64::try_from(one.size().unwrap_or(0)).unwrap_or(0),
                written: micros(one.last_modified()),
                latest: one.is_latest().unwrap_or(false),
                marker: false,
            });
        }
        for one in output.delete_markers() {
            versions.push(Listed {
                id: id(one.key(), one.version_id()),
                etag: String::new(),
                size: 0,
                written: micros(one.last_modified()),
                latest: one.is_latest().unwrap_or(false),
                marker: true,
            });
        }
        let next = if output.is_truncated().unwrap_or(false) {
            let key = output
                .next_key_marker()
                .ok_or_else(|| BucketError::Unknown {
                    what: format!("s3://{bucket}/{prefix}"),
                    why: "the listing goes on and does not say where".to_owned(),
                })?;
            let place = Place {
                key: key.to_owned(),
                version: output
                    .next_version_id_marker()
                    .filter(|v| !v.is_empty())
                    .map(str::to_owned),
            };
            if Some(&place) == from {
                return Err(BucketError::Unknown {
                    what: format!("s3://{bucket}/{prefix}"),
                    why: "the listing stands still".to_owned(),
                });
            }
            Some(place)
        } else {
            None
        };
        Ok(Listing { versions, next })
    }

    async fn head(&self, id: &ObjectId) -> Result<Option<Head>> {
        let output = self
            .client
            .head_object()
            .bucket(&id.bucket)
            .key(&id.key)
            .set_version_id(version(id))
            .send()
            .await;
        match output {
            Ok(output) => Ok(Some(head_of(&output))),
            // A 404 of HEAD has no body, so a missing bucket looks the same; both mean: it is not there.
            Err(error) => match fault(id, &error) {
                BucketError::Missing(_) => Ok(None),
                other => Err(other),
            },
        }
    }

    async fn get(&self, id: &ObjectId) -> Result<Chunks> {
        let output = self
            .client
            .get_object()
            .bucket(&id.bucket)
            .key(&id.key)
            .set_version_id(version(id))
            .send()
            .await
            .map_err(|error| fault(id, &error))?;
        let what = id.to_string();
        let stream = futures::stream::try_unfold(output.body, move |mut body| {
            let what = what.clone();
            async move {
                let next = body
                    .try_next()
                    .await
                    .map_err(|error| BucketError::Unknown {
                        what,
                        why: error.to_string(),
                    })?;
                Ok(next.map(|bytes| (bytes, body)))
            }
        });
        Ok(Box::pin(stream))
    }

    async fn put(&self, bucket: &str, key: &str, body: Bytes, tags: &Tags) -> Result<ObjectId> {
        let about = Description::default();
        self.write((bucket, key), body, tags, &about, None).await
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
        let etag = Some(format!("\"{}\"", head.etag));
        match self.write(place, body.clone(), tags, &about, etag).await {
            // radosgw compares with the ETag as it is, without the quotes of HTTP.
            Err(BucketError::Changed(_)) => {
                let etag = Some(head.etag.clone());
                self.write(place, body, tags, &about, etag).await
            }
            other => other,
        }
    }

    async fn put_as(
        &self,
        bucket: &str,
        key: &str,
        body: Bytes,
        tags: &Tags,
        about: &Description,
    ) -> Result<ObjectId> {
        self.write((bucket, key), body, tags, about, None).await
    }

    async fn copy_encrypted(
        &self,
        from: &ObjectId,
        bucket: &str,
        key: &str,
        tags: &Tags,
    ) -> Result<ObjectId> {
        // Not every store encrypts what it copies by itself: radosgw keeps the bytes as they are.
        let head = self.head(from).await?;
        let head = head.ok_or_else(|| BucketError::Missing(from.to_string()))?;
        let about = Description {
            encrypted: true,
            ..Description::from(&head)
        };
        if head.size <= PART {
            let body = self
                .get(from)
                .await?
                .try_collect::<Vec<_>>()
                .await?
                .concat();
            let place = (bucket, key);
            return self.write(place, body.into(), tags, &about, None).await;
        }
        let name = self.begin_parts(bucket, key, tags, &about).await?;
        let parts = Parts {
            bucket,
            key,
            name: &name,
        };
        let part = PART.max(head.size.div_ceil(MOST_PARTS));
        let part = usize::try_from(part).unwrap_or(usize::MAX);
        match self.in_parts(from, &parts, part).await {
            Ok(list) => self.finish_parts(&parts, &list).await,
            Err(error) => {
                // What led here is worth more than whether the parts could be dropped.
                let _ = self.drop_parts(&parts).await;
                Err(error)
            }
        }
    }

    async fn begin_parts(
        &self,
        bucket: &str,
        key: &str,
        tags: &Tags,
        about: &Description,
    ) -> Result<String> {
        let what = format!("s3://{bucket}/{key}");
        let header = |name: &str| about.headers.get(name).cloned();
        let mut request = self
            .client
            .create_multipart_upload()
            .bucket(bucket)
            .key(key)
            .set_content_type(about.content_type.clone())
            .set_cache_control(header("cache-control"))
            .set_content_disposition(header("content-disposition"))
            .set_content_encoding(header("content-encoding"))
            .set_content_language(header("content-language"))
            .set_metadata(Some(about.metadata.clone().into_iter().collect()))
            .set_tagging((!tags.is_empty()).then(|| tag_header(tags)));
        if about.encrypted {
            let (kind, kms_key) = self.encryption();
            request = request
                .server_side_encryption(kind)
                .set_ssekms_key_id(kms_key);
        }
        let output = request.send().await.map_err(|error| fault(&what, &error))?;
        output
            .upload_id()
            .map(str::to_owned)
            .ok_or_else(|| BucketError::Unknown {
                what,
                why: "the store gave the upload no name".to_owned(),
            })
    }

    async fn put_part(&self, parts: &Parts<'_>, number: i32, body: Bytes) -> Result<String> {
        let what = format!("s3://{}/{}", parts.bucket, parts.key);
        let output = self
            .client
            .upload_part()
            .bucket(parts.bucket)
            .key(parts.key)
            .upload_id(parts.name)
            .part_number(number)
            .body(ByteStream::from(body))
            .send()
            .await
            .map_err(|error| fault(&what, &error))?;
        Ok(bare(output.e_tag()))
    }

    async fn finish_parts(&self, parts: &Parts<'_>, list: &[(i32, String)]) -> Result<ObjectId> {
        let what = format!("s3://{}/{}", parts.bucket, parts.key);
        let list = list
            .iter()
            .map(|(number, etag)| {
                CompletedPart::builder()
                    .part_number(*number)
                    .e_tag(format!("\"{etag}\""))
                    .build()
            })
            .collect();
        let whole = CompletedMultipartUpload::builder()
            .set_parts(Some(list))
            .build();
        let output = self
            .client
            .complete_multipart_upload()
            .bucket(parts.bucket)
            .key(parts.key)
            .upload_id(parts.name)
            .multipart_upload(whole)
            .send()
            .await
            .map_err(|error| fault(&what, &error))?;
        match output.version_id() {
            Some(version) => Ok(ObjectId::new(parts.bucket, parts.key, version)),
            None => self.newest(parts.bucket, parts.key).await,
        }
    }

    async fn drop_parts(&self, parts: &Parts<'_>) -> Result<()> {
        self.client
            .abort_multipart_upload()
            .bucket(parts.bucket)
            .key(parts.key)
            .upload_id(parts.name)
            .send()
            .await
            .map_err(|error| fault(&format!("s3://{}/{}", parts.bucket, parts.key), &error))?;
        Ok(())
    }

    async fn copy(
        &self,
        from: &ObjectId,
        bucket: &str,
        key: &str,
        tags: &Tags,
    ) -> Result<ObjectId> {
        let source = format!(
            "{}/{}?versionId={}",
            encode(&from.bucket, b"-_.~"),
            encode(&from.key, b"-_.~/"),
            encode(&from.version, b"-_.~")
        );
        let output = self
            .client
            .copy_object()
            .copy_source(source)
            .bucket(bucket)
            .key(key)
            .metadata_directive(MetadataDirective::Copy)
            .tagging_directive(TaggingDirective::Replace)
            .set_tagging((!tags.is_empty()).then(|| tag_header(tags)))
            .send()
            .await
            .map_err(|error| fault(from, &error))?;
        match output.version_id() {
            Some(version) => Ok(ObjectId::new(bucket, key, version)),
            None => self.newest(bucket, key).await,
        }
    }

    async fn tags(&self, id: &ObjectId) -> Result<Tags> {
        let output = self
            .client
            .get_object_tagging()
            .bucket(&id.bucket)
            .key(&id.key)
            .set_version_id(version(id))
            .send()
            .await;
        match output {
            Ok(output) => Ok(output
                .tag_set()
                .iter()
                .map(|tag| (tag.key().to_owned(), tag.value().to_owned()))
                .collect()),
            Err(error) if error.code() == Some("NoSuchTagSet") => Ok(Tags::new()),
            Err(error) => Err(fault(id, &error)),
        }
    }

    async fn set_tags(&self, id: &ObjectId, tags: &Tags) -> Result<()> {
        self.client
            .put_object_tagging()
            .bucket(&id.bucket)
            .key(&id.key)
            .set_version_id(version(id))
            .tagging(tagging(id, tags)?)
            .send()
            .await
            .map_err(|error| fault(id, &error))?;
        Ok(())
    }

    async fn set_legal_hold(&self, id: &ObjectId, on: bool) -> Result<()> {
        let status = if on {
            ObjectLockLegalHoldStatus::On
        } else {
            ObjectLockLegalHoldStatus::Off
        };
        self.client
            .put_object_legal_hold()
            .bucket(&id.bucket)
            .key(&id.key)
            .set_version_id(version(id))
            .legal_hold(ObjectLockLegalHold::builder().status(status).build())
            .send()
            .await
            .map_err(|error| fault(id, &error))?;
        Ok(())
    }

    async fn delete(&self, id: &ObjectId) -> Result<()> {
        self.client
            .delete_object()
            .bucket(&id.bucket)
            .key(&id.key)
            .set_version_id(version(id))
            .send()
            .await
            .map_err(|error| fault(id, &error))?;
        Ok(())
    }
}
