//! The table of bad input, through the real router: a clear located error, nothing half done, the
//! neighbours unaffected, no panic.

use axum::http::StatusCode;
use sealwright_intake::FaultPoint;
use sealwright_intake::{FileLog, FileLogOptions};

use crate::http::{BATCH, ONE, one, send};
use crate::support::{FailAt, NOW, app_on, logs, small};

fn with_data(data: &[u8]) -> Vec<u8> {
    let mut text = one("bad", r#","data":"#).into_bytes();
    text.pop();
    text.extend_from_slice(data);
    text.push(b'}');
    text
}

#[tokio::test]
async fn each_is_refused_where_it_is_wrong() {
    let usage = |data: &str| {
        one("bad", &format!(r#","data":{data}"#))
            .replace("com.example.t", "sealwright.usage.compute.v1")
    };
    let at = |minutes: i64| {
        one(
            "bad",
            &format!(r#","time":"{}""#, NOW.plus(minutes * 60_000_000)),
        )
    };
    let deep = format!("{}{}", "[".repeat(10_000), "]".repeat(10_000));
    let cases: Vec<(&str, Vec<u8>, u16, &str, &str)> = vec![
        (
            "NaN",
            with_data(b"NaN"),
            422,
            "number-out-of-range",
            "/data",
        ),
        (
            "1e400",
            with_data(b"{\"n\":1e400}"),
            422,
            "number-out-of-range",
            "/data/n",
        ),
        (
            "negative",
            usage(r#"{"hours":-1,"region":"r"}"#).into(),
            422,
            "invalid-field",
            "/data/hours",
        ),
        ("ahead", at(6).into(), 422, "time-ahead", "/time"),
        (
            "behind",
            at(-36 * 24 * 60).into(),
            422,
            "time-behind",
            "/time",
        ),
        (
            "surrogate",
            with_data(br#""\ud800""#),
            400,
            "lone-surrogate",
            "/data",
        ),
        (
            "utf-8",
            with_data(b"\"\xff\""),
            400,
            "invalid-utf8",
            "/data",
        ),
        ("deep", with_data(deep.as_bytes()), 422, "too-deep", "/data"),
        (
            "large",
            with_data(format!("\"{}\"", "x".repeat(300_000)).as_bytes()),
            413,
            "too-large",
            "",
        ),
        (
            "duplicate",
            with_data(br#"{"a":1,"a":1}"#),
            400,
            "duplicate-member",
            "/data/a",
        ),
        (
            "no id",
            br#"{"specversion":"1.0","source":"/s","type":"t"}"#.to_vec(),
            422,
            "missing-attribute",
            "/id",
        ),
        ("not JSON", b"{".to_vec(), 400, "invalid-json", ""),
        ("empty", b"".to_vec(), 400, "invalid-json", ""),
    ];
    for test in logs().await {
        let app = app_on(test.log.clone());
        for (name, event, status, code, pointer) in &cases {
            let (got, headers, body) = send(&app, &[("content-type", ONE)], event.clone()).await;
            assert_eq!(got.as_u16(), *status, "{name}: {body}");
            assert_eq!(headers["content-type"], "application/problem+json");
            let result = &body["results"][0];
            assert_eq!(result["error"]["code"], *code, "{name}: {body}");
            assert_eq!(result["status"], "rejected");
            let located = result["error"]["pointer"].as_str().unwrap();
            assert!(located.starts_with(pointer), "{name}: {located}");
            // In a batch the neighbours have their own result, and nothing is stored.
            if *name == "not JSON" || *name == "empty" {
                continue;
            }
            let mut batch = format!("[{},", one("good", "")).into_bytes();
            batch.extend_from_slice(event);
            batch.extend_from_slice(format!(",{}]", one("fine", "")).as_bytes());
            let (got, _, body) = send(&app, &[("content-type", BATCH)], batch).await;
            assert!(got.is_client_error(), "{name}");
            let statuses: Vec<_> = (0..3).map(|i| &body["results"][i]["status"]).collect();
            assert_eq!(
                statuses,
                ["not_stored", "rejected", "not_stored"],
                "{name}: {body}"
            );
            assert_eq!(body["results"][1]["error"]["code"], *code, "{name}");
        }
        assert_eq!(test.log.head().await.unwrap(), 0, "nothing was stored");
        let good = at(5).replace("bad", "good");
        assert_eq!(send(&app, &[("content-type", ONE)], good).await.0, 202);
        let old = at(-35 * 24 * 60).replace("bad", "old");
        assert_eq!(send(&app, &[("content-type", ONE)], old).await.0, 202);
    }
}

#[tokio::test]
async fn bodies_are_refused_before_they_are_read_or_unpacked() {
    let test = logs().await.remove(0);
    let app = app_on(test.log.clone());
    let large = format!("\"{}\"", "x".repeat(10 << 20));
    let ten = with_data(large.as_bytes());
    assert_eq!(send(&app, &[("content-type", ONE)], ten).await.0, 413);
    let claimed = [("content-type", ONE), ("content-length", "99999999999")];
    assert_eq!(send(&app, &claimed, "x").await.0, 413);
    // As sent at most 8 MiB, whatever the header claims; unpacked at most 64 MiB.
    let nine = vec![b' '; 9 << 20];
    let (status, _, body) = send(&app, &[("content-type", BATCH)], nine).await;
    assert_eq!(status, 413);
    let detail = body["detail"].as_str().unwrap();
    assert!(detail.contains("more than 8388608 bytes"), "{detail}");

    let coded = |coding: &'static str| [("content-type", BATCH), ("content-encoding", coding)];
    use std::io::Write as _;
    let mut gzip = flate2::write::GzEncoder::new(Vec::new(), flate2::Compression::best());
    // 128 MiB in about 128 KiB.
    let zeros = vec![b' '; 1 << 20];
    for _ in 0..128 {
        gzip.write_all(&zeros).unwrap();
    }
    let bomb = gzip.finish().unwrap();
    let cut = bomb[..1000].to_vec();
    let start = std::time::Instant::now();
    assert_eq!(send(&app, &coded("gzip"), bomb).await.0, 413);
    assert!(start.elapsed().as_secs() < 10, "a bomb is refused early");
    for (megabytes, status) in [(65, 413), (9, 202)] {
        let mut text = vec![b' '; megabytes << 20];
        text.splice(0..1, format!("[{}", one("large", "")).into_bytes());
        text.push(b']');
        let packed = zstd::bulk::compress(&text, 1).unwrap();
        assert_eq!(send(&app, &coded("zstd"), packed).await.0, status);
    }
    let (status, _, body) = send(&app, &coded("gzip"), cut).await;
    assert_eq!(status, 400);
    assert!(body["detail"].as_str().unwrap().contains("gzip"), "{body}");
    assert_eq!(send(&app, &coded("zstd"), "junk").await.0, 400);
    assert_eq!(send(&app, &coded("br"), "x").await.0, 415);
    let many = format!("[{}]", vec!["{}"; 10_001].join(","));
    assert_eq!(send(&app, &[("content-type", BATCH)], many).await.0, 413);
    for media in [
        "application/json",
        "text/plain",
        "application/cloudevents+avro",
    ] {
        assert_eq!(
            send(&app, &[("content-type", media)], "{}").await.0,
            415,
            "{media}"
        );
    }
    assert_eq!(send(&app, &[], "{}").await.0, 415);
    let (status, _, body) = send(&app, &[("content-type", BATCH)], "{}").await;
    assert_eq!((status.as_u16(), body["byte"].as_u64()), (400, Some(0)));
    assert_eq!(
        test.log.head().await.unwrap(),
        1,
        "the one within the limits"
    );
}

#[tokio::test]
async fn a_full_disk_is_said_and_passes() {
    let folder = tempfile::tempdir().unwrap();
    let faults = FailAt::new(FaultPoint::HalfWritten, 1, std::io::ErrorKind::StorageFull);
    let options: FileLogOptions = small(faults);
    let log = FileLog::open(folder.path(), options).unwrap();
    let app = app_on(std::sync::Arc::new(log));
    let go = || send(&app, &[("content-type", ONE)], one("1", ""));
    let (status, headers, body) = go().await;
    assert_eq!(status, StatusCode::SERVICE_UNAVAILABLE);
    assert_eq!(body["type"], "urn:sealwright:problem:storage-full");
    assert!(headers.contains_key("retry-after"));
    let (status, _, body) = go().await;
    assert_eq!((status.as_u16(), body["accepted"].as_u64()), (202, Some(1)));
    assert_eq!(go().await.2["duplicates"], 1);
}
