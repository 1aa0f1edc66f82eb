use axum::Router;
use axum::body::Body;
use axum::http::{HeaderMap, Request, StatusCode, header};
use http_body_util::BodyExt as _;
use sealwright_web::headers::{Policy, secure};
use sealwright_web::{assets, theme};
use tower::ServiceExt as _;

pub(crate) async fn call(
    router: Router,
    request: Request<Body>,
) -> (StatusCode, HeaderMap, String) {
    let response = router.oneshot(request).await.unwrap();
    let (parts, body) = response.into_parts();
    let bytes = body.collect().await.unwrap().to_bytes();
    (
        parts.status,
        parts.headers,
        String::from_utf8_lossy(&bytes).into_owned(),
    )
}

fn get(path: &str) -> Request<Body> {
    Request::get(path).body(Body::empty()).unwrap()
}

fn text<'a>(headers: &'a HeaderMap, name: &str) -> &'a str {
    headers.get(name).map_or("", |v| v.to_str().unwrap())
}

#[tokio::test]
async fn an_asset_with_its_version_is_kept_for_a_year() {
    let (status, headers, _) = call(assets::router(), get(&assets::href("tokens.css"))).await;
    assert_eq!(status, StatusCode::OK);
    assert_eq!(text(&headers, "content-type"), "text/css; charset=utf-8");
    assert_eq!(
        text(&headers, "cache-control"),
        "public, max-age=31536000, immutable"
    );
    assert_eq!(text(&headers, "x-content-type-options"), "nosniff");
}

#[tokio::test]
async fn an_asset_of_another_version_is_asked_for_again() {
    for path in [
        "/assets/tokens.css",
        "/assets/tokens.css?v=0000000000000000",
    ] {
        let (_, headers, _) = call(assets::router(), get(path)).await;
        assert_eq!(text(&headers, "cache-control"), "no-cache", "{path}");
        let etag = text(&headers, "etag").to_owned();
        let again = Request::get(path)
            .header(header::IF_NONE_MATCH, etag)
            .body(Body::empty());
        let (status, _, body) = call(assets::router(), again.unwrap()).await;
        assert_eq!((status, body.len()), (StatusCode::NOT_MODIFIED, 0));
    }
}

#[tokio::test]
async fn only_assets_are_served() {
    for path in ["/assets/..%2FCargo.toml", "/assets/missing.css", "/assets/"] {
        let (status, _, _) = call(assets::router(), get(path)).await;
        assert_eq!(status, StatusCode::NOT_FOUND, "{path}");
    }
}

#[tokio::test]
async fn hsts_is_only_said_over_tls() {
    let headers = async |tls| {
        let router = secure(assets::router(), Policy { tls });
        call(router, get("/assets/missing.css")).await.1
    };
    let plain = headers(false).await;
    assert!(!plain.contains_key(header::STRICT_TRANSPORT_SECURITY));
    assert!(text(&plain, "content-security-policy").contains("frame-ancestors 'none'"));
    assert!(!text(&plain, "content-security-policy").contains("unsafe"));
    assert!(
        headers(true)
            .await
            .contains_key(header::STRICT_TRANSPORT_SECURITY)
    );
}

#[tokio::test]
async fn the_theme_is_remembered_and_leads_back_only_here() {
    let choose = async |body: &'static str| {
        let request = Request::post("/console/theme")
            .body(Body::from(body))
            .map(|mut r| {
                let kind = header::HeaderValue::from_static("application/x-www-form-urlencoded");
                r.headers_mut().insert(header::CONTENT_TYPE, kind);
                r
            });
        call(theme::router(), request.unwrap()).await
    };
    let (status, headers, _) = choose("theme=dark&back=%2Fconsole%2Fbilling%3Fa%3Db").await;
    assert_eq!(status, StatusCode::SEE_OTHER);
    assert_eq!(text(&headers, "location"), "/console/billing?a=b");
    assert!(text(&headers, "set-cookie").starts_with("sw_theme=dark;"));
    let (_, headers, _) = choose("theme=dark&back=%2F%2Fevil.example").await;
    assert_eq!(text(&headers, "location"), "/console");
    assert_eq!(choose("theme=pink").await.0, StatusCode::BAD_REQUEST);
}
