//! Writes of S3 through the gate: what is let through is there, what is held is not, and a value that is split over
//! parts is found.

use axum::body::Body;
use axum::http::{Request, StatusCode};
use sealwright_core::TenantScope;
use sealwright_core::clock::DAY;
use sealwright_dlp::model::object::ObjectId;
use sealwright_dlp::model::policy::{Original, PolicyAction, PolicyMode, PolicyScope};
use sealwright_dlp::model::quarantine::QuarantineStep;
use sealwright_dlp::service::policy::NewPolicy;
use sealwright_dlp::service::upload::{TAG_UNSCANNED, WhenDown};
use sealwright_scan::Severity;
use std::sync::atomic::Ordering;

use crate::world::{World, owner, person, worlds};

const ALL: TenantScope = TenantScope::All;
const CARD: &str = "4111111111111111";

async fn policy(world: &World, action: PolicyAction) {
    for mode in [PolicyMode::DryRun, PolicyMode::Enforce] {
        let new = NewPolicy {
            scope: PolicyScope {
                tenant: Some(world.acme),
                bucket: None,
                class: None,
                severity: Severity::Critical,
            },
            action,
            original: Original::Quarantine,
            alert: false,
            mode,
        };
        world.dlp.policies.set(new, None, "user:a").await.unwrap();
    }
}

async fn send(world: &World, method: &str, path: &str, body: &str) -> (StatusCode, String) {
    let request = Request::builder()
        .method(method)
        .uri(path)
        .header("content-type", "text/csv")
        .header("x-amz-tagging", "team=red")
        .body(Body::from(body.to_owned()))
        .unwrap();
    world.call(owner(), request).await
}

fn newest(world: &World, key: &str) -> Option<(String, crate::memory::Object)> {
    let object = world.memory.newest(&ObjectId::new("plain", key, ""))?;
    Some((String::from_utf8(object.body.to_vec()).unwrap(), object))
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn an_upload_is_written_held_redacted_or_encrypted() {
    for world in worlds().await {
        world.place("plain", "in/", "quarantine").await;
        let (status, _) = send(&world, "PUT", "/s3/plain/in/a%20b%2B%C3%BC.csv", "clean").await;
        assert_eq!(status, StatusCode::OK);
        let (body, object) = newest(&world, "in/a b+ü.csv").unwrap();
        assert_eq!(
            (body.as_str(), object.tags["team"].as_str()),
            ("clean", "red")
        );
        let card = format!("card {CARD}");
        for action in [
            PolicyAction::Redact,
            PolicyAction::Encrypt,
            PolicyAction::Quarantine,
        ] {
            policy(&world, action).await;
            let (status, answer) = send(&world, "PUT", "/s3/plain/in/card.csv", &card).await;
            let there = newest(&world, "in/card.csv");
            match action {
                PolicyAction::Redact => {
                    assert_eq!(status, StatusCode::OK, "{answer}");
                    assert_eq!(there.unwrap().0, "card [payment_card]");
                }
                PolicyAction::Encrypt => {
                    assert_eq!(status, StatusCode::OK, "{answer}");
                    let (body, object) = there.unwrap();
                    assert!(object.encrypted && body == card);
                }
                _ => {
                    assert_eq!(status, StatusCode::FORBIDDEN, "{answer}");
                    assert!(
                        answer.contains("the gate holds the upload upl_"),
                        "{answer}"
                    );
                    assert!(!answer.contains(CARD));
                    assert!(
                        there.unwrap().1.encrypted,
                        "what was there before is as it was"
                    );
                }
            }
        }
        // What was held waits for a second person, and then goes to its place.
        let quarantine = &world.quarantine;
        let held = quarantine.list(ALL, 10).await.unwrap().remove(0);
        assert_eq!(held.step, QuarantineStep::Quarantined);
        quarantine
            .ask_release(ALL, held.id, "user:a")
            .await
            .unwrap();
        let one = quarantine.release(ALL, held.id, "user:b").await.unwrap();
        let one = quarantine.advance(one, "user:b").await.unwrap();
        assert_eq!(one.step, QuarantineStep::Released, "{}", one.problem);
        let (body, object) = newest(&world, "in/card.csv").unwrap();
        assert_eq!((body, object.encrypted), (card, false));
        assert_eq!(object.tags["team"], "red");
        assert!(world.memory.all("quarantine").is_empty());
        // Outside of every place, and for another tenant's credentials, there is nothing.
        let (status, _) = send(&world, "PUT", "/s3/plain/elsewhere", "x").await;
        assert_eq!(status, StatusCode::NOT_FOUND);
        let theirs = person(
            sealwright_access::Role::Operator,
            TenantScope::One(world.globex),
        );
        let request = Request::put("/s3/plain/in/a")
            .body(Body::from("x"))
            .unwrap();
        assert_eq!(world.call(theirs, request).await.0, StatusCode::NOT_FOUND);
    }
}

async fn begin(world: &World, key: &str) -> String {
    let (status, answer) = send(world, "POST", &format!("/s3/plain/{key}?uploads"), "").await;
    assert_eq!(status, StatusCode::OK, "{answer}");
    let (_, rest) = answer.split_once("<UploadId>").unwrap();
    rest.split_once('<').unwrap().0.to_owned()
}

/// Sends the parts and asks for their end.
async fn multipart(world: &World, key: &str, parts: &[&str]) -> (StatusCode, String) {
    let upload = begin(world, key).await;
    let mut list = String::from("<CompleteMultipartUpload>");
    for (number, part) in (1..).zip(parts) {
        let path = format!("/s3/plain/{key}?partNumber={number}&uploadId={upload}");
        let request = Request::put(path)
            .body(Body::from((*part).to_owned()))
            .unwrap();
        let (status, answer) = world.call(owner(), request).await;
        assert_eq!(status, StatusCode::OK, "{answer}");
        let etag = sealwright_core::Digest::of(part.as_bytes()).short();
        list.push_str(&format!(
            "<Part><PartNumber>{number}</PartNumber><ETag>\"{etag}\"</ETag></Part>"
        ));
    }
    list.push_str("</CompleteMultipartUpload>");
    send(
        world,
        "POST",
        &format!("/s3/plain/{key}?uploadId={upload}"),
        &list,
    )
    .await
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_value_that_is_split_over_parts_is_found() {
    for world in worlds().await {
        world.place("plain", "", "quarantine").await;
        let (status, answer) = multipart(&world, "clean", &["one ", "two"]).await;
        assert_eq!(status, StatusCode::OK, "{answer}");
        assert!(answer.contains("<Key>clean</Key>"), "{answer}");
        assert_eq!(newest(&world, "clean").unwrap().0, "one two");
        assert!(
            world.memory.all("quarantine").is_empty(),
            "nothing stays aside"
        );
        let (a, b) = CARD.split_at(7);
        let split = [&format!("card {a}"), b];
        policy(&world, PolicyAction::Redact).await;
        let (status, _) = multipart(&world, "split", &split).await;
        assert_eq!(status, StatusCode::OK);
        assert_eq!(newest(&world, "split").unwrap().0, "card [payment_card]");
        policy(&world, PolicyAction::Quarantine).await;
        let (status, answer) = multipart(&world, "held", &split).await;
        assert_eq!(status, StatusCode::FORBIDDEN, "{answer}");
        assert!(newest(&world, "held").is_none());
        let held = world.quarantine.list(ALL, 10).await.unwrap().remove(0);
        assert_eq!(held.step, QuarantineStep::Quarantined);
        let copy = world.memory.object(&held.copy).unwrap();
        assert_eq!(copy.body, format!("card {CARD}"));
        // Given up, or forgotten: nothing is left of it.
        let upload = begin(&world, "never").await;
        let path = format!("/s3/plain/never?uploadId={upload}");
        assert_eq!(
            send(&world, "DELETE", &path, "").await.0,
            StatusCode::NO_CONTENT
        );
        assert_eq!(
            send(&world, "DELETE", &path, "").await.0,
            StatusCode::NOT_FOUND
        );
        begin(&world, "forgotten").await;
        assert_eq!(world.dlp.uploads.sweep().await.unwrap(), 0);
        world.clock.advance(8 * DAY);
        assert_eq!(world.dlp.uploads.sweep().await.unwrap(), 1);
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_gate_that_is_down_does_what_was_chosen_and_the_ledger_says_so() {
    for down in WhenDown::ALL {
        for world in World::when_down(down).await {
            world.place("plain", "", "quarantine").await;
            world.seal.broken.store(true, Ordering::Relaxed);
            let (status, answer) = send(&world, "PUT", "/s3/plain/a", "text").await;
            let (parts, _) = multipart(&world, "b", &["te", "xt"]).await;
            let recorded = world.recorded().await;
            let unanswered = "dlp.upload.unanswered".to_owned();
            assert_eq!(recorded.iter().filter(|one| **one == unanswered).count(), 2);
            match down {
                WhenDown::Refuse => {
                    assert_eq!(status, StatusCode::SERVICE_UNAVAILABLE, "{answer}");
                    assert_eq!(parts, StatusCode::SERVICE_UNAVAILABLE);
                    assert!(newest(&world, "a").is_none() && newest(&world, "b").is_none());
                    assert!(recorded.contains(&"dlp.upload.refuse".to_owned()));
                }
                WhenDown::Pass => {
                    assert_eq!(
                        (status, parts),
                        (StatusCode::OK, StatusCode::OK),
                        "{answer}"
                    );
                    for key in ["a", "b"] {
                        let (body, object) = newest(&world, key).unwrap();
                        assert_eq!(body, "text");
                        assert!(object.tags.contains_key(TAG_UNSCANNED), "{key}");
                    }
                    assert!(recorded.contains(&"dlp.upload.let-through".to_owned()));
                }
            }
            let told = world.told().await;
            assert_eq!(told.len(), 1, "once an hour: {told:?}");
            assert_eq!(told[0].1, "critical");
        }
    }
}
