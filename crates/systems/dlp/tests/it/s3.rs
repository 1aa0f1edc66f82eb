//! Against a real store (Ceph's radosgw, which `cargo xtask test` starts): versions, locks, holds, tags, and a
//! listing of more than a page.

use std::sync::Arc;

use aws_sdk_s3::types::{BucketVersioningStatus, VersioningConfiguration};
use bytes::Bytes;
use futures::TryStreamExt as _;
use sealwright_core::TenantScope;
use sealwright_dlp::model::finding::ScanState;
use sealwright_dlp::model::hold::{MatterScope, MatterStep};
use sealwright_dlp::model::object::ObjectId;
use sealwright_dlp::model::policy::{Original, PolicyAction};
use sealwright_dlp::model::quarantine::QuarantineStep;
use sealwright_dlp::model::treatment::TreatmentStep;
use sealwright_dlp::service::bucket::s3::{S3, S3Options};
use sealwright_dlp::service::bucket::{BucketError, Buckets, Tags};
use sealwright_dlp::service::hold::Deleted;
use sealwright_dlp::service::place::NewPlace;
use sealwright_dlp::service::treatment::NewTreatment;

use crate::holds::matter;
use crate::world::World;

const ALL: TenantScope = TenantScope::All;

/// The store, and the end of the names of this run's buckets.
pub(crate) fn store() -> Option<(S3, String)> {
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
        // The key service that the test store pretends to have.
        kms_key: Some("sealwright-test".to_owned()),
    });
    let mut random = [0; 6];
    getrandom::fill(&mut random).unwrap();
    Some((s3, hex::encode(random)))
}

pub(crate) async fn bucket(s3: &S3, name: &str, lock: bool) {
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

pub(crate) async fn text(s3: &S3, id: &ObjectId) -> String {
    let pieces: Vec<Bytes> = s3.get(id).await.unwrap().try_collect().await.unwrap();
    String::from_utf8(pieces.concat()).unwrap()
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_bucket_of_many_keys_reconciles_and_a_held_object_survives() {
    let Some((s3, run)) = store() else { return };
    // More than a page of the listing; `SEALWRIGHT_TEST_OBJECTS` asks for more.
    let objects: usize = std::env::var("SEALWRIGHT_TEST_OBJECTS")
        .ok()
        .and_then(|text| text.parse().ok())
        .unwrap_or(1_100);
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
            let key = format!("in/{i:05} ü+.txt");
            s3.put(&locked, &key, Bytes::from(body), &Tags::new()).await
        }
    };
    let ids: Vec<ObjectId> =
        futures::stream::StreamExt::buffered(futures::stream::iter((0..objects).map(put)), 32)
            .try_collect()
            .await
            .unwrap();
    s3.client()
        .delete_object()
        .bucket(&locked)
        .key("in/00001 ü+.txt")
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
    // A second version of one key: all versions are looked at.
    s3.put(
        &locked,
        "in/00002 ü+.txt",
        Bytes::from("second"),
        &Tags::new(),
    )
    .await
    .unwrap();
    let listed = i64::try_from(objects).unwrap() + 2;
    let scans = &world.dlp.scans;
    // It breaks off after its first page, and is taken up there.
    let scan = scans.begin(ALL, place.id, "user:a").await.unwrap();
    let first = scan.id;
    let scan = scans.run(scan, "user:a", &mut |_| false).await.unwrap();
    assert_eq!(scan.state, ScanState::Stopped);
    assert!(scan.counts.listed < listed, "{:?}", scan.counts);
    for again in [false, true] {
        let begun = std::time::Instant::now();
        let scan = scans.begin(ALL, place.id, "user:a").await.unwrap();
        assert_eq!(scan.id == first, !again, "it is the scan that broke off");
        let scan = scans.run(scan, "user:a", &mut |_| true).await.unwrap();
        assert_eq!(scan.state, ScanState::Done, "{}", scan.problem);
        let counts = scan.counts;
        assert!(counts.reconciles());
        assert_eq!((counts.listed, counts.markers), (listed, 1), "{counts:?}");
        if again {
            assert_eq!(counts.unchanged, listed - 1, "{counts:?}");
        } else {
            assert_eq!(counts.scanned, listed - 1, "{counts:?}");
            assert_eq!(
                counts.findings,
                i64::try_from(objects.div_ceil(100)).unwrap()
            );
        }
        #[allow(clippy::print_stderr)]
        {
            eprintln!("{:.1} s: {counts:?}", begun.elapsed().as_secs_f64());
        }
    }
    // Held natively: neither we nor anybody else deletes it.
    let scope = MatterScope {
        prefix: Some("in/00100".to_owned()),
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

/// Redaction and encryption on a real store: the new version is read back, and the original goes as the policy says.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn objects_are_redacted_and_encrypted_in_place() {
    let Some((s3, run)) = store() else { return };
    let (plain, away) = (format!("treat-{run}"), format!("taken-{run}"));
    bucket(&s3, &plain, false).await;
    bucket(&s3, &away, false).await;
    let world = World::over(Arc::new(s3.clone())).await;
    let new = NewPlace {
        tenant: world.acme,
        bucket: plain.clone(),
        prefix: String::new(),
        quarantine: away.clone(),
        scheduled: true,
    };
    let place = world.dlp.places.add(new, "user:a").await.unwrap();
    for (action, original) in [
        (PolicyAction::Redact, Original::Quarantine),
        (PolicyAction::Encrypt, Original::Erase),
        (PolicyAction::Redact, Original::Keep),
    ] {
        let key = format!("{action} {original}/größe a+b.csv");
        let body = "id,card\n7,4111111111111111\n";
        s3.client()
            .put_object()
            .bucket(&plain)
            .key(&key)
            .content_type("text/csv")
            .content_disposition("attachment")
            .metadata("origin", "upload")
            .tagging("team=red")
            .body(bytes::Bytes::from(body).into())
            .send()
            .await
            .unwrap();
        let listed = s3.list(&plain, &key, None).await.unwrap();
        let source = listed.versions[0].id.clone();
        let new = NewTreatment {
            source: source.clone(),
            action,
            original,
            reason: "critical payment_card".to_owned(),
        };
        let treatments = &world.dlp.treatments;
        let one = treatments.want(&place, new, "user:a").await.unwrap();
        let one = treatments.advance(one, "user:a").await.unwrap();
        assert_eq!(one.step, TreatmentStep::Done, "{key}: {}", one.problem);
        let written = one.written();
        let head = s3.head(&written).await.unwrap().unwrap();
        assert_eq!(head.content_type.as_deref(), Some("text/csv"), "{key}");
        assert_eq!(head.headers["content-disposition"], "attachment");
        assert_eq!(head.metadata["origin"], "upload");
        assert_eq!(s3.tags(&written).await.unwrap()["team"], "red");
        let now = text(&s3, &written).await;
        if action == PolicyAction::Encrypt {
            assert_eq!(head.encryption.as_deref(), Some("aws:kms"));
            assert_eq!(now, body);
        } else {
            assert_eq!(now, "id,card\n7,[payment_card]\n");
        }
        let latest = s3.list(&plain, &key, None).await.unwrap();
        let latest = latest.versions.iter().find(|one| one.latest).unwrap();
        assert_eq!(latest.id, written, "{key}");
        let left = s3.head(&source).await.unwrap().is_some();
        assert_eq!(left, original == Original::Keep, "{key}");
    }
    // What has more than one part is written in parts.
    let large = Bytes::from(vec![b'7'; (16 << 20) + 5]);
    let source = s3.put(&plain, "large", large, &Tags::new()).await.unwrap();
    let new = NewTreatment {
        source,
        action: PolicyAction::Encrypt,
        original: Original::Keep,
        reason: "critical payment_card".to_owned(),
    };
    let treatments = &world.dlp.treatments;
    let one = treatments.want(&place, new, "user:a").await.unwrap();
    let one = treatments.advance(one, "user:a").await.unwrap();
    assert_eq!(one.step, TreatmentStep::Done, "{}", one.problem);
    let head = s3.head(&one.written()).await.unwrap().unwrap();
    assert_eq!(head.size, (16 << 20) + 5);
    assert_eq!(head.encryption.as_deref(), Some("aws:kms"));
    // Whoever wrote the key meanwhile is not written over.
    let key = "busy.csv";
    let tags = Tags::new();
    let old = s3.put(&plain, key, Bytes::from("card 4111111111111111"), &tags);
    let old = old.await.unwrap();
    let head = s3.head(&old).await.unwrap().unwrap();
    s3.put(&plain, key, Bytes::from("newer"), &tags)
        .await
        .unwrap();
    let late = s3
        .replace(&old, &head, Bytes::from("redacted"), &tags)
        .await;
    assert!(matches!(late, Err(BucketError::Changed(_))), "{late:?}");
}

/// A store may copy a legal hold with the other attributes: a version that comes back from quarantine is held by
/// matters only.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_hold_that_was_released_does_not_come_back_with_a_copy() {
    let Some((s3, run)) = store() else { return };
    let (locked, away) = (format!("back-{run}"), format!("gone-{run}"));
    bucket(&s3, &locked, true).await;
    bucket(&s3, &away, false).await;
    let world = World::over(Arc::new(s3.clone())).await;
    let new = NewPlace {
        tenant: world.acme,
        bucket: locked.clone(),
        prefix: String::new(),
        quarantine: away,
        scheduled: true,
    };
    let place = world.dlp.places.add(new, "user:a").await.unwrap();
    let none = Tags::new();
    let id = s3.put(&locked, "k", Bytes::from("x"), &none);
    let id = id.await.unwrap();
    let (holds, quarantine) = (&world.holds, &world.quarantine);
    let opened = holds.open(matter(&world, MatterScope::default()), "user:a");
    let opened = opened.await.unwrap().id;
    holds.protect(ALL, "job:test").await.unwrap();
    let one = quarantine.want(&place, &id, "critical", "user:a").await;
    let one = quarantine.advance(one.unwrap(), "user:a").await.unwrap();
    assert_eq!(one.step, QuarantineStep::Restricted, "it is held");
    for (step, actor) in [
        (MatterStep::AskRelease, "user:a"),
        (MatterStep::Release, "user:b"),
    ] {
        holds.step(ALL, opened, step, None, actor).await.unwrap();
    }
    holds.unprotect("job:test").await.unwrap();
    let one = quarantine.advance(one, "user:a").await.unwrap();
    assert_eq!(one.step, QuarantineStep::Quarantined, "{}", one.problem);
    quarantine.ask_release(ALL, one.id, "user:a").await.unwrap();
    let one = quarantine.release(ALL, one.id, "user:b").await.unwrap();
    let one = quarantine.advance(one, "user:b").await.unwrap();
    assert_eq!(one.step, QuarantineStep::Released, "{}", one.problem);
    let back = ObjectId::new(&locked, "k", &one.back_version);
    assert!(!s3.head(&back).await.unwrap().unwrap().legal_hold);
    s3.delete(&back).await.unwrap();
}
