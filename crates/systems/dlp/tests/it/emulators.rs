//! Stores that speak as Azure's and Google's do, which `cargo xtask test` starts.

use axum::Router;
use axum::body::Body;
use axum::extract::{Request, State};
use axum::http::{HeaderMap, HeaderValue, Method, StatusCode};
use axum::response::Response;
use object_store::ClientOptions;
use object_store::azure::{AzureAccessKey, AzureAuthorizer, AzureCredential};
use object_store::client::{
    HttpClient, HttpConnector as _, HttpRequest, HttpResponse, ReqwestConnector,
};
use sealwright_dlp::service::bucket::blob::{BlobOptions, Blobs};

/// The account of every emulator, which is no secret.
const ACCOUNT: &str = "devstoreaccount1";
const KEY: &str =
    "Eby8vdM02xNOcqFlqUwJPLlmEtlCDXJ1OUzFT50uSRZ6IFsuFq2UVErCz4I6tq/K1SZFPTOtr/KBHBeksoGMGw==";

/// A store, and two buckets of this test's own in it.
pub(crate) struct Rented {
    pub(crate) blobs: Blobs,
    pub(crate) bucket: String,
    pub(crate) other: String,
}

/// The client that object_store has, without one more library.
fn http() -> HttpClient {
    let options = ClientOptions::new().with_allow_http(true);
    ReqwestConnector::default().connect(&options).unwrap()
}

fn named(kind: &str) -> (String, String) {
    let mut random = [0; 6];
    getrandom::fill(&mut random).unwrap();
    let run = hex::encode(random);
    (format!("{kind}one-{run}"), format!("{kind}other-{run}"))
}

fn asked(variable: &str) -> Option<String> {
    let url = std::env::var(variable).ok();
    #[allow(clippy::print_stderr)]
    if url.is_none() {
        eprintln!("skipped: {variable} is not set");
    }
    url
}

pub(crate) async fn azure() -> Option<Rented> {
    let endpoint = asked("SEALWRIGHT_TEST_AZURE")?;
    let (bucket, other) = named("az://");
    for bucket in [&bucket, &other] {
        let name = bucket.trim_start_matches("az://");
        let mut request = http::Request::put(format!("{endpoint}/{name}?restype=container"))
            .header("content-length", "0")
            .body(Vec::new().into())
            .unwrap();
        let credential = AzureCredential::AccessKey(AzureAccessKey::try_new(KEY).unwrap());
        AzureAuthorizer::new(&credential, ACCOUNT).authorize(&mut request);
        assert_eq!(http().execute(request).await.unwrap().status(), 201);
    }
    let blobs = Blobs::new(BlobOptions::Azure {
        account: ACCOUNT.to_owned(),
        access_key: KEY.to_owned(),
        endpoint: Some(endpoint),
    });
    Some(Rented {
        blobs: blobs.unwrap(),
        bucket,
        other,
    })
}

pub(crate) async fn google() -> Option<Rented> {
    let url = asked("SEALWRIGHT_TEST_GCS")?;
    let (bucket, other) = named("gs://");
    for bucket in [&bucket, &other] {
        let name = bucket.trim_start_matches("gs://");
        let body = format!("{{\"name\":\"{name}\"}}").into_bytes();
        let request = http::Request::post(format!("{url}/storage/v1/b?project=test"))
            .header("content-type", "application/json")
            .body(body.into())
            .unwrap();
        assert_eq!(http().execute(request).await.unwrap().status(), 200);
    }
    let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
    let base = format!("http://{}", listener.local_addr().unwrap());
    let between = Router::new().fallback(pass).with_state((url, http()));
    tokio::spawn(async move { axum::serve(listener, between).await.unwrap() });
    let account = serde_json::json!({
        "gcs_base_url": base, "disable_oauth": true,
        "client_email": "", "private_key": "", "private_key_id": "",
    });
    let blobs = Blobs::new(BlobOptions::Google {
        service_account: account.to_string(),
    });
    Some(Rented {
        blobs: blobs.unwrap(),
        bucket,
        other,
    })
}

/// Stands before fake-gcs-server and adds what it lacks of Google's XML API: it takes a PUT only when it looks as if it
/// came from a signed URL, answers it with JSON and without an ETag, and asks for no condition.
async fn pass(State((url, http)): State<(String, HttpClient)>, request: Request) -> Response {
    let (parts, body) = request.into_parts();
    let body = axum::body::to_bytes(body, 1 << 30).await.unwrap();
    let path = parts.uri.path_and_query().unwrap().to_string();
    let condition = parts.headers.get("x-goog-if-generation-match");
    if let Some(wanted) = condition {
        let there = ask(&http, &url, &path).await;
        let now = there.headers().get("x-goog-generation").cloned();
        if now.unwrap_or(HeaderValue::from_static("0")) != *wanted {
            return status(StatusCode::PRECONDITION_FAILED);
        }
    }
    let writes = parts.method == Method::PUT;
    let asked = if writes {
        format!("{url}{path}?X-Goog-Algorithm=GOOG4-RSA-SHA256")
    } else {
        format!("{url}{path}")
    };
    let answer = send(&http, parts.method, asked, &parts.headers, &body).await;
    let mut given = Response::builder().status(answer.status());
    let headers = if writes && answer.status().is_success() {
        let there = ask(&http, &url, &path).await;
        there.headers().clone()
    } else {
        answer.headers().clone()
    };
    for (name, value) in &headers {
        if name != "transfer-encoding" && (name != "content-length" || !writes) {
            given = given.header(name, value);
        }
    }
    let body = if writes {
        Body::empty()
    } else {
        Body::from(answer.into_body().bytes().await.unwrap())
    };
    given.body(body).unwrap()
}

fn status(status: StatusCode) -> Response {
    Response::builder()
        .status(status)
        .body(Body::empty())
        .unwrap()
}

async fn ask(http: &HttpClient, url: &str, path: &str) -> HttpResponse {
    let url = format!("{url}{path}");
    send(http, Method::HEAD, url, &HeaderMap::new(), b"").await
}

async fn send(
    http: &HttpClient,
    method: Method,
    url: String,
    headers: &HeaderMap,
    body: &[u8],
) -> HttpResponse {
    let mut request: HttpRequest = http::Request::new(body.to_vec().into());
    *request.method_mut() = method;
    *request.uri_mut() = url.parse().unwrap();
    for (name, value) in headers {
        if name != "host" && name != "content-length" {
            request.headers_mut().insert(name, value.clone());
        }
    }
    http.execute(request).await.unwrap()
}
