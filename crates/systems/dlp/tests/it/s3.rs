//! Against a real store (Ceph's radosgw, which `cargo xtask test` starts): versions, locks, holds, tags, and a
//! listing of more than a page.

use std::sync::Arc;

use aws_sdk_s3::types::{BucketVersioningStatus, VersioningConfiguration};
use bytes::Bytes;
use futures::TryStreamExt as _;
use sealwright_core::TenantScope;
use sealwright_dlp::model::finding::ScanState;
use sealwright_dlp::model::hold::MatterScope;
use sealwright_dlp::model::object::ObjectId;
use sealwright_dlp::model::quarantine::QuarantineStep;
use sealwright_dlp::service::bucket::s3::{S3, S3Options};
use sealwright_dlp::service::bucket::{BucketError, Buckets, Tags};
use sealwright_dlp::service::hold::Deleted;
use sealwright_dlp::service::place::NewPlace;

use crate::holds::matter;
use crate::world::World;

const ALL: TenantScope = TenantScope::All;

/// The store, and the end of the names of this run's buckets.
fn store() -> Option<(S3, String)> {
    let Ok(endpoint) = std::env::var("SEALWRIGHT_TEST_S3") else {
        #[allow(clippy::print_stderr)]
        {
            eprintln!("skipped: S3 (SEALWRIGHT_TEST_S3 is not set)");
        }
        return None;
    };
    let s3 = S3::new(&S3Options {
        endpoint: Some(endpoint),
        region: "us-east-1".to_owned(),
        access_key: "testaccess".to_owned(),
        secret_key: "testsecret".to_owned(),
    });
    let mut random = [0; 6];
    getrandom::fill(&mut random).unwrap();
    Some((s3, hex::encode(random)))
}

async fn bucket(s3: &S3, name: &str, lock: bool) {
    s3.client()
        .create_bucket()
        .bucket(name)
        .object_lock_enabled_for_bucket(lock)
        .send()
        .await
        .unwrap();
    if !lock {
        let on = VersioningConfiguration::builder()
            .status(BucketVersioningStatus::Enabled)
            .build();
        s3.client()
            .put_bucket_versioning()
            .bucket(name)
            .versioning_configuration(on)
            .send()
            .await
            .unwrap();
    }
}

async fn text(s3: &S3, id: &ObjectId) -> String {
    let pieces: Vec<Bytes> = s3.get(id).await.unwrap().try_collect().await.unwrap();
    String::from_utf8(pieces.concat()).unwrap()
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn the_store_does_what_the_trait_says() {
    let Some((s3, run)) = store() else { return };
    let (plain, locked) = (format!("plain-{run}"), format!("locked-{run}"));
    bucket(&s3, &plain, false).await;
    bucket(&s3, &locked, true).await;
    assert!(s3.abilities(&locked).await.unwrap().object_lock);
    let abilities = s3.abilities(&plain).await.unwrap();
    assert!(abilities.versions && !abilities.object_lock);
    for key in ["a b+c.txt", "größe/日本 %41&=?.txt", "empty"] {
        let body = if key == "empty" { "" } else { key };
        let tags: Tags = [("team".to_owned(), "red & blue+".to_owned())].into();
        let id = s3.put(&plain, key, Bytes::from(body), &tags).await.unwrap();
        assert_eq!(text(&s3, &id).await, body);
        assert_eq!(s3.tags(&id).await.unwrap(), tags, "{key}");
        let copy = s3.copy(&id, &locked, key, &tags).await.unwrap();
        assert_eq!(text(&s3, &copy).await, body, "{key}");
        assert_eq!(s3.tags(&copy).await.unwrap(), tags, "{key}");
    }
    let id = s3
        .put(&locked, "held", Bytes::from("x"), &Tags::new())
        .await
        .unwrap();
    s3.set_legal_hold(&id, true).await.unwrap();
    assert!(s3.head(&id).await.unwrap().unwrap().legal_hold);
    assert!(matches!(
        s3.delete(&id).await,
        Err(BucketError::Refused { .. })
    ));
    assert!(s3.head(&id).await.unwrap().is_some());
    s3.set_legal_hold(&id, false).await.unwrap();
    s3.delete(&id).await.unwrap();
    assert_eq!(s3.head(&id).await.unwrap(), None);
    assert!(s3.list("absent-bucket", "", None).await.is_err());
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_bucket_of_many_keys_reconciles_and_a_held_object_survives() {
    let Some((s3, run)) = store() else { return };
    let (locked, away) = (format!("many-{run}"), format!("away-{run}"));
    bucket(&s3, &locked, true).await;
    bucket(&s3, &away, false).await;
    let world = World::over(Arc::new(s3.clone())).await;
    let put = |i: usize| {
        let (s3, locked) = (s3.clone(), locked.clone());
        async move {
            let body = if i.is_multiple_of(100) {
                "card 4111111111111111".to_owned()
            } else {
                String::new()
            };
            let key = format!("in/{i:04} ü+.txt");
            s3.put(&locked, &key, Bytes::from(body), &Tags::new()).await
        }
    };
    let ids: Vec<ObjectId> =
        futures::stream::StreamExt::buffered(futures::stream::iter((0..1_100).map(put)), 32)
            .try_collect()
            .await
            .unwrap();
    s3.client()
        .delete_object()
        .bucket(&locked)
        .key("in/0001 ü+.txt")
        .send()
        .await
        .unwrap();
    let new = NewPlace {
        tenant: world.acme,
        bucket: locked.clone(),
        prefix: "in/".to_owned(),
        quarantine: away.clone(),
        scheduled: true,
    };
    let place = world.dlp.places.add(new, "user:a").await.unwrap();
    let scans = &world.dlp.scans;
    let scan = scans.begin(ALL, place.id, "user:a").await.unwrap();
    let scan = scans.run(scan, "user:a", &mut |_| true).await.unwrap();
    assert_eq!(scan.state, ScanState::Done, "{}", scan.problem);
    assert_eq!((scan.counts.listed, scan.counts.markers), (1_101, 1));
    assert_eq!(scan.counts.findings, 11);
    // Held natively: neither we nor anybody else deletes it.
    let scope = MatterScope {
        prefix: Some("in/0100".to_owned()),
        ..MatterScope::default()
    };
    world
        .holds
        .open(matter(&world, scope), "user:a")
        .await
        .unwrap();
    let done = world.holds.protect(ALL, "job:test").await.unwrap();
    assert_eq!((done.object_lock, done.failed.len()), (1, 0), "{done:?}");
    assert!(matches!(
        s3.delete(&ids[100]).await,
        Err(BucketError::Refused { .. })
    ));
    let etag = s3.head(&ids[100]).await.unwrap().unwrap().etag;
    let kept = world
        .holds
        .delete_unless_held(
            world.acme,
            &ids[100],
            &etag,
            serde_json::Value::Null,
            "user:a",
        )
        .await
        .unwrap();
    assert!(matches!(kept, Deleted::Kept(_)));
    // What is not held goes into quarantine and comes back.
    let quarantine = &world.quarantine;
    let one = quarantine
        .want(&place, &ids[200], "critical", "user:a")
        .await
        .unwrap();
    let one = quarantine.advance(one, "user:a").await.unwrap();
    assert_eq!(one.step, QuarantineStep::Quarantined, "{}", one.problem);
    assert_eq!(s3.head(&ids[200]).await.unwrap(), None);
    assert_eq!(text(&s3, &one.copy).await, "card 4111111111111111");
    quarantine.ask_release(ALL, one.id, "user:a").await.unwrap();
    let one = quarantine.release(ALL, one.id, "user:b").await.unwrap();
    let one = quarantine.advance(one, "user:b").await.unwrap();
    assert_eq!(one.step, QuarantineStep::Released, "{}", one.problem);
    let back = ObjectId::new(&locked, &ids[200].key, &one.back_version);
    assert_eq!(text(&s3, &back).await, "card 4111111111111111");
}
