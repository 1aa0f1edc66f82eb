//! `/s3/{bucket}/{key}`: writes of S3 through the gate. The credentials are those of this program; everything else is
//! as S3 has it.

use std::collections::BTreeMap;

use axum::Router;
use axum::body::Bytes;
use axum::extract::rejection::BytesRejection;
use axum::extract::{Path, Query, State};
use axum::http::{HeaderMap, HeaderName, HeaderValue, StatusCode, header};
use axum::response::{IntoResponse, Response};
use axum::routing::put;
use sealwright_access::forms::Fields;
use sealwright_access::{Action, Principal};
use sealwright_core::Problem;

use super::DlpApi;
use super::parts::{answer, listed};
use crate::service::bucket::Tags;
use crate::service::upload::{NewUpload, Taken};

/// The route, to be merged beside [`super::router`]. It is not part of the OpenAPI document: S3 describes it.
pub fn proxy() -> Router<DlpApi> {
    Router::new()
        .route("/s3/{bucket}/{*key}", put(write).post(parts).delete(abort))
        .layer(axum::extract::DefaultBodyLimit::max(
            crate::service::gate::MOST_BYTES + 1,
        ))
}

type Asked = Query<BTreeMap<String, String>>;
type Body = Result<Bytes, BytesRejection>;

fn body(body: Body) -> Result<Bytes, Problem> {
    body.map_err(|bad| {
        if bad.status() == StatusCode::PAYLOAD_TOO_LARGE {
            let most = crate::service::gate::MOST_BYTES >> 20;
            Problem::new(
                StatusCode::PAYLOAD_TOO_LARGE,
                "too-large",
                "Too large",
                format!("one piece has up to {most} MiB; send larger objects in parts"),
            )
        } else {
            Problem::bad_request(bad.body_text())
        }
    })
}

/// What the headers say of an object.
fn described(bucket: String, key: String, headers: &HeaderMap) -> Result<NewUpload, Problem> {
    let text = |name: &HeaderName| -> Result<Option<String>, Problem> {
        headers
            .get(name)
            .map(|value| {
                value
                    .to_str()
                    .map(str::to_owned)
                    .map_err(|_| Problem::bad_request(format!("{name} must be ASCII")))
            })
            .transpose()
    };
    let mut new = NewUpload {
        bucket,
        key,
        ..NewUpload::default()
    };
    new.about.content_type = text(&header::CONTENT_TYPE)?;
    for name in [
        header::CACHE_CONTROL,
        header::CONTENT_DISPOSITION,
        header::CONTENT_ENCODING,
        header::CONTENT_LANGUAGE,
    ] {
        if let Some(value) = text(&name)? {
            if value.contains("aws-chunked") {
                return Err(Problem::bad_request(
                    "the encoding aws-chunked belongs to S3's own signatures; send the bytes as they are",
                ));
            }
            new.about.headers.insert(name.as_str().to_owned(), value);
        }
    }
    for name in headers.keys() {
        if let Some(own) = name.as_str().strip_prefix("x-amz-meta-")
            && let Some(value) = text(name)?
        {
            new.about.metadata.insert(own.to_owned(), value);
        }
    }
    if let Some(line) = text(&HeaderName::from_static("x-amz-tagging"))? {
        new.tags = tags(&line)?;
    }
    Ok(new)
}

/// `a=b&c=d`, percent-encoded.
fn tags(line: &str) -> Result<Tags, Problem> {
    let given = Fields::parse(line.as_bytes()).map_err(|_| {
        Problem::bad_request("x-amz-tagging must be `name=value&name=value`, percent-encoded")
    })?;
    let tags: Tags = given
        .pairs()
        .map(|(name, value)| (name.to_owned(), value.to_owned()))
        .collect();
    if tags.len() > 9 {
        return Err(Problem::bad_request(
            "an object has up to 9 tags of its own",
        ));
    }
    Ok(tags)
}

fn quoted(etag: &str) -> HeaderValue {
    HeaderValue::from_str(&format!("\"{etag}\"")).unwrap_or(HeaderValue::from_static("\"\""))
}

/// ETag, version, and what the gate said.
fn about(taken: &Taken) -> HeaderMap {
    let mut headers = HeaderMap::new();
    headers.insert(header::ETAG, quoted(&taken.etag));
    if let Ok(version) = HeaderValue::from_str(&taken.object.version) {
        headers.insert("x-amz-version-id", version);
    }
    let verdict = taken
        .verdict
        .map_or("unanswered", |verdict| verdict.as_str());
    headers.insert("x-sealwright-verdict", HeaderValue::from_static(verdict));
    headers
}

/// `PUT`: an object, or a part of one.
async fn write(
    State(api): State<DlpApi>,
    by: Principal,
    Path((bucket, key)): Path<(String, String)>,
    Query(asked): Asked,
    headers: HeaderMap,
    given: Body,
) -> Result<Response, Problem> {
    by.require(Action::DlpWrite)?;
    let bytes = body(given)?;
    let Some(upload) = asked.get("uploadId") else {
        let new = described(bucket, key, &headers)?;
        let taken = api
            .dlp
            .uploads
            .put(by.tenants, &new, bytes, &by.actor())
            .await?;
        return Ok((about(&taken), StatusCode::OK).into_response());
    };
    let number = asked
        .get("partNumber")
        .and_then(|text| text.parse().ok())
        .ok_or_else(|| Problem::bad_request("`partNumber` must be a number"))?;
    let etag = api
        .dlp
        .uploads
        .part(by.tenants, (upload, &bucket, &key), number, bytes)
        .await?;
    Ok(([(header::ETAG, quoted(&etag))], StatusCode::OK).into_response())
}

/// `POST`: begins an object in parts (`?uploads`), or finishes it (`?uploadId`).
async fn parts(
    State(api): State<DlpApi>,
    by: Principal,
    Path((bucket, key)): Path<(String, String)>,
    Query(asked): Asked,
    headers: HeaderMap,
    given: Body,
) -> Result<Response, Problem> {
    by.require(Action::DlpWrite)?;
    let bytes = body(given)?;
    let xml = [(header::CONTENT_TYPE, "application/xml")];
    if asked.contains_key("uploads") {
        let new = described(bucket, key, &headers)?;
        let one = api.dlp.uploads.begin(by.tenants, new, &by.actor()).await?;
        let id = one.id.to_string();
        let text = answer(
            "InitiateMultipartUploadResult",
            &[
                ("Bucket", one.bucket.as_str()),
                ("Key", one.key.as_str()),
                ("UploadId", id.as_str()),
            ],
        );
        return Ok((xml, text).into_response());
    }
    let upload = asked
        .get("uploadId")
        .ok_or_else(|| Problem::bad_request("give `uploads` or `uploadId`"))?;
    let list = listed(&bytes)?;
    let taken = api
        .dlp
        .uploads
        .finish(by.tenants, (upload, &bucket, &key), &list, &by.actor())
        .await?;
    let etag = format!("\"{}\"", taken.etag);
    let text = answer(
        "CompleteMultipartUploadResult",
        &[
            ("Bucket", bucket.as_str()),
            ("Key", key.as_str()),
            ("ETag", etag.as_str()),
        ],
    );
    Ok((about(&taken), xml, text).into_response())
}

/// `DELETE` with `uploadId`: forgets the parts. Objects are not deleted here.
async fn abort(
    State(api): State<DlpApi>,
    by: Principal,
    Path((bucket, key)): Path<(String, String)>,
    Query(asked): Asked,
) -> Result<StatusCode, Problem> {
    by.require(Action::DlpWrite)?;
    let upload = asked.get("uploadId").ok_or_else(|| {
        Problem::bad_request("only uploads in parts are given up here: `uploadId`")
    })?;
    api.dlp
        .uploads
        .abort(by.tenants, (upload, &bucket, &key))
        .await?;
    Ok(StatusCode::NO_CONTENT)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn tags_are_decoded() {
        let all = tags("team=red%20%26+blue&x=").unwrap();
        assert_eq!(all["team"], "red & blue");
        assert_eq!(all["x"], "");
        assert!(tags("a=%zz").is_err());
    }
}
