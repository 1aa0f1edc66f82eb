//! What every store does, whatever its kind: in memory, in a folder, S3, Azure and Google. And what the ones that can do
//! less refuse, and how holds, quarantine and retention get on with them.

use std::sync::Arc;

use bytes::Bytes;
use futures::TryStreamExt as _;
use sealwright_core::clock::DAY;
use sealwright_core::{ManualClock, TenantScope, UnixMicros};
use sealwright_dlp::model::finding::ScanState;
use sealwright_dlp::model::hold::MatterScope;
use sealwright_dlp::model::object::{ObjectId, TAG_CATEGORY, address};
use sealwright_dlp::model::policy::{Original, PolicyAction};
use sealwright_dlp::model::quarantine::{QuarantineStep, TAG_QUARANTINE};
use sealwright_dlp::model::treatment::TreatmentStep;
use sealwright_dlp::service::DlpError;
use sealwright_dlp::service::bucket::folder::Folder;
use sealwright_dlp::service::bucket::{
    BucketError, Buckets, Description, Parts, Place, Stores, Tags,
};
use sealwright_dlp::service::hold::Deleted;
use sealwright_dlp::service::place::NewPlace;
use sealwright_dlp::service::treatment::NewTreatment;

use crate::emulators::{Rented, azure, google};
use crate::holds::matter;
use crate::memory::Memory;
use crate::s3::{bucket, store};
use crate::world::World;

const ALL: TenantScope = TenantScope::All;
const CARD: &str = "card 4111111111111111";

async fn text(store: &dyn Buckets, id: &ObjectId) -> String {
    let pieces: Vec<Bytes> = store.get(id).await.unwrap().try_collect().await.unwrap();
    String::from_utf8(pieces.concat()).unwrap()
}

async fn all(store: &dyn Buckets, bucket: &str, prefix: &str) -> Vec<(ObjectId, u64)> {
    let (mut all, mut from): (Vec<_>, Option<Place>) = (Vec::new(), None);
    loop {
        let page = store.list(bucket, prefix, from.as_ref()).await.unwrap();
        all.extend(page.versions.into_iter().map(|one| (one.id, one.size)));
        from = page.next;
        if from.is_none() {
            return all;
        }
    }
}

/// What the trait says, on two buckets of a store that are empty. Not every store heeds the `conditions` of writes.
async fn keeps_its_word(store: &dyn Buckets, one: &str, other: &str, conditions: bool) {
    let limits = store.limits(one);
    store.abilities(one).await.unwrap();
    let tags: Tags = [("team".to_owned(), "red & blue+".to_owned())].into();
    let keys = [
        "a b+c.txt",
        "empty",
        "größe/日本 %41&=?#.txt",
        "in/x'\"<>.txt",
    ];
    for key in keys {
        let body = if key == "empty" { "" } else { key };
        let id = store.put(one, key, Bytes::from(body), &tags).await.unwrap();
        assert_eq!(text(store, &id).await, body);
        assert_eq!(store.tags(&id).await.unwrap(), tags, "{key}");
        let head = store.head(&id).await.unwrap().unwrap();
        assert_eq!(head.size, body.len() as u64);
        assert!(!head.etag.is_empty() && !head.legal_hold && head.locked.is_none());
        let copy = store.copy(&id, other, key, &tags).await.unwrap();
        assert_eq!(text(store, &copy).await, body, "{key}");
        assert_eq!(store.tags(&copy).await.unwrap(), tags, "{key}");
        if limits.tags {
            store.set_tags(&copy, &Tags::new()).await.unwrap();
            assert_eq!(store.tags(&copy).await.unwrap(), Tags::new(), "{key}");
        } else {
            let refused = store.set_tags(&copy, &Tags::new()).await;
            assert!(matches!(refused, Err(BucketError::Unable { .. })));
        }
    }
    let listed = all(store, one, "").await;
    let names: Vec<_> = listed.iter().map(|(id, _)| id.key.as_str()).collect();
    assert_eq!(names, keys, "in the order of their bytes");
    for (id, size) in &listed {
        let body = text(store, id).await;
        assert_eq!(body.len() as u64, *size, "{id}");
        let head = store.head(id).await.unwrap().unwrap();
        assert_eq!(head.size, *size);
    }
    assert_eq!(all(store, one, "grö").await.len(), 1);
    // What is said of an object comes back, and goes with a copy.
    let about = Description {
        content_type: Some("text/csv".to_owned()),
        headers: [("content-disposition".to_owned(), "attachment".to_owned())].into(),
        ..Description::default()
    };
    let id = store
        .put_as(one, "told", Bytes::from("1"), &Tags::new(), &about)
        .await
        .unwrap();
    // Written over by who names what is there, and by nobody else.
    let head = store.head(&id).await.unwrap().unwrap();
    assert_eq!(Description::from(&head), about);
    let new = match conditions {
        true => {
            store
                .replace(&id, &head, Bytes::from("2"), &Tags::new())
                .await
        }
        false => {
            store
                .put_as(one, "told", Bytes::from("2"), &Tags::new(), &about)
                .await
        }
    };
    let new = new.unwrap();
    assert_eq!(text(store, &new).await, "2");
    let late = store
        .replace(&id, &head, Bytes::from("3"), &Tags::new())
        .await;
    assert!(matches!(late, Err(BucketError::Changed(_))), "{late:?}");
    assert_eq!(text(store, &new).await, "2");
    let after = store.head(&new).await.unwrap().unwrap();
    assert_eq!(Description::from(&after), about);
    // Gone is gone, and once more is no error.
    for _ in 0..2 {
        store.delete(&new).await.unwrap();
        assert_eq!(store.head(&new).await.unwrap(), None);
    }
    assert!(store.get(&new).await.is_err());
    assert!(matches!(
        store.tags(&new).await,
        Err(BucketError::Missing(_))
    ));
    let absent = format!("{one}-absent");
    assert!(store.list(&absent, "", None).await.is_err());
    assert!(store.abilities(&absent).await.is_err());
}

#[tokio::test]
async fn memory_keeps_its_word() {
    let memory = Memory::new(&ManualClock::new(UnixMicros(1_000_000)));
    memory.bucket("one", true, false);
    memory.bucket("other", true, false);
    keeps_its_word(&memory, "one", "other", true).await;
}

#[tokio::test]
async fn a_folder_keeps_its_word() {
    let root = tempfile::tempdir().unwrap();
    let clock = ManualClock::new(UnixMicros(1_000_000));
    let folder = Folder::new(root.path().to_owned(), Arc::new(clock));
    folder.make("one").unwrap();
    folder.make("other").unwrap();
    keeps_its_word(&folder, "one", "other", true).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn s3_keeps_its_word_and_its_locks() {
    let Some((s3, run)) = store() else { return };
    let (plain, locked) = (format!("plain-{run}"), format!("locked-{run}"));
    bucket(&s3, &plain, false).await;
    bucket(&s3, &locked, true).await;
    assert!(s3.abilities(&locked).await.unwrap().object_lock);
    let abilities = s3.abilities(&plain).await.unwrap();
    assert!(abilities.versions && !abilities.object_lock);
    // This radosgw refuses every condition on a bucket with versions.
    keeps_its_word(&s3, &plain, &locked, false).await;
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
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn azure_keeps_its_word() {
    let Some(rented) = azure().await else { return };
    keeps_its_word(&rented.blobs, &rented.bucket, &rented.other, true).await;
    refuses(&rented).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn google_keeps_its_word() {
    let Some(rented) = google().await else { return };
    keeps_its_word(&rented.blobs, &rented.bucket, &rented.other, true).await;
    refuses(&rented).await;
}

/// What is not reached of a store is refused, and what was written over is not taken for what was meant.
async fn refuses(rented: &Rented) {
    let (store, one) = (&rented.blobs, rented.bucket.as_str());
    let none = Tags::new();
    let id = store
        .put(one, "k", Bytes::from("old"), &none)
        .await
        .unwrap();
    let blind = store.put(one, "k", Bytes::from("new"), &none).await;
    assert!(matches!(blind, Err(BucketError::Changed(_))), "{blind:?}");
    assert_eq!(text(store, &id).await, "old");
    let head = store.head(&id).await.unwrap().unwrap();
    let new = store
        .replace(&id, &head, Bytes::from("new"), &none)
        .await
        .unwrap();
    assert_eq!(store.head(&id).await.unwrap(), None, "it was written over");
    assert!(store.get(&id).await.is_err());
    store.delete(&id).await.unwrap();
    assert_eq!(text(store, &new).await, "new", "another version stays");
    // A copy that was made before a crash is the copy; something else in its place stays.
    let copy = store.copy(&new, &rented.other, "c", &none).await.unwrap();
    let again = store.copy(&new, &rented.other, "c", &none).await.unwrap();
    assert_eq!(copy, again);
    store.delete(&copy).await.unwrap();
    store
        .put(&rented.other, "c", Bytes::from("theirs"), &none)
        .await
        .unwrap();
    let onto = store.copy(&new, &rented.other, "c", &none).await;
    assert!(matches!(onto, Err(BucketError::Changed(_))), "{onto:?}");
    let abilities = store.abilities(one).await.unwrap();
    assert!(!abilities.versions && !abilities.object_lock);
    let encrypted = Description {
        encrypted: true,
        ..Description::default()
    };
    let key = ObjectId::new(one, "a//b", "");
    let parts = Parts {
        bucket: one,
        key: "k",
        name: "u",
    };
    for (what, refused) in [
        ("a lock", store.set_legal_hold(&new, true).await),
        (
            "a key that cannot be named",
            store.head(&key).await.map(drop),
        ),
        (
            "encryption",
            store
                .put_as(one, "e", Bytes::new(), &none, &encrypted)
                .await
                .map(drop),
        ),
        (
            "a tag that is no metadata",
            store
                .put(
                    one,
                    "t",
                    Bytes::new(),
                    &[("ü".to_owned(), String::new())].into(),
                )
                .await
                .map(drop),
        ),
        (
            "parts",
            store
                .begin_parts(one, "k", &none, &encrypted)
                .await
                .map(drop),
        ),
    ] {
        assert!(matches!(refused, Err(BucketError::Unable { .. })), "{what}");
    }
    assert!(store.put_part(&parts, 1, Bytes::new()).await.is_err());
    let shown = format!("{store:?}");
    assert!(
        !shown.contains("Eby8") && !shown.contains("private"),
        "{shown}"
    );
}

/// The whole of it on a store that has no tags to set, no locks, no versions, and that may keep what is deleted.
async fn gets_on_with(rented: Rented) {
    let Rented {
        blobs,
        bucket,
        other,
    } = rented;
    // Beside it stands one in memory: the name of the bucket decides.
    let memory = Memory::new(&ManualClock::new(UnixMicros(1_000_000)));
    memory.bucket("plain", true, false);
    let beside = Arc::new(blobs.clone());
    let stores = Stores::new(Arc::new(memory));
    let stores = if bucket.starts_with("gs://") {
        stores.google(beside)
    } else {
        stores.azure(beside)
    };
    let world = World::over(Arc::new(stores.clone())).await;
    let now = sealwright_core::Clock::now(&sealwright_core::SystemClock);
    world
        .clock
        .set(now.max(sealwright_core::Clock::now(&world.clock)));
    let place = |bucket: &str, quarantine: &str| NewPlace {
        tenant: world.acme,
        bucket: bucket.to_owned(),
        prefix: "in/".to_owned(),
        quarantine: quarantine.to_owned(),
        scheduled: true,
    };
    let mixed = world
        .dlp
        .places
        .add(place(&bucket, "plain"), "user:a")
        .await;
    assert!(matches!(mixed, Err(DlpError::Invalid(_))), "{mixed:?}");
    let place = world.dlp.places.add(place(&bucket, &other), "user:a");
    let place = place.await.unwrap();
    let tags = Tags::from([(TAG_CATEGORY.to_owned(), "temporary".to_owned())]);
    let none = Tags::new();
    let mut ids = Vec::new();
    // More than a page.
    for i in 0..1_005 {
        let body = if i % 100 == 0 { CARD } else { "" };
        let key = format!("in/{i:04} ü+.txt");
        // A few have a category: plans look at those.
        let tags = if i % 100 == 0 { &tags } else { &none };
        let (blobs, bucket) = (&blobs, &bucket);
        ids.push(async move { blobs.put(bucket, &key, Bytes::from(body), tags).await });
    }
    let ids: Vec<ObjectId> = futures::stream::StreamExt::buffered(futures::stream::iter(ids), 16)
        .try_collect()
        .await
        .unwrap();
    // Scanned as a whole, and once more only what is new.
    for unchanged in [0, 1_005] {
        let scans = &world.dlp.scans;
        let scan = scans.begin(ALL, place.id, "user:a").await.unwrap();
        let scan = scans.run(scan, "user:a", &mut |_| true).await.unwrap();
        assert_eq!(scan.state, ScanState::Done, "{}", scan.problem);
        let counts = scan.counts;
        assert!(counts.reconciles());
        assert_eq!((counts.listed, counts.unchanged), (1_005, unchanged));
        assert_eq!(counts.scanned, 1_005 - unchanged);
    }
    // Held: the store shows nothing, and this program deletes nothing.
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
    assert_eq!((done.ledger_only, done.tag_only), (1, 0), "{done:?}");
    assert!(done.failed.is_empty() && done.object_lock == 0);
    let etag = &ids[100].version;
    let why = serde_json::Value::Null;
    let kept = world
        .holds
        .delete_unless_held(world.acme, &ids[100], etag, why, "user:a")
        .await
        .unwrap();
    assert!(matches!(kept, Deleted::Kept(_)), "{kept:?}");
    // Into quarantine, marked as it is written, and back; what is held stays.
    let quarantine = &world.quarantine;
    let one = quarantine
        .want(&place, &ids[100], "critical", "user:a")
        .await;
    let one = quarantine.advance(one.unwrap(), "user:a").await.unwrap();
    assert_eq!(one.step, QuarantineStep::Restricted, "{}", one.problem);
    assert_eq!(text(&blobs, &ids[100]).await, CARD);
    let one = quarantine
        .want(&place, &ids[200], "critical", "user:a")
        .await;
    let one = quarantine.advance(one.unwrap(), "user:a").await.unwrap();
    assert_eq!(one.step, QuarantineStep::Quarantined, "{}", one.problem);
    assert_eq!(blobs.head(&ids[200]).await.unwrap(), None);
    assert_eq!(text(&blobs, &one.copy).await, CARD);
    let marks = blobs.tags(&one.copy).await.unwrap();
    assert_eq!(marks[TAG_QUARANTINE], one.id.to_string());
    assert_eq!(marks[TAG_CATEGORY], "temporary");
    quarantine.ask_release(ALL, one.id, "user:a").await.unwrap();
    let one = quarantine.release(ALL, one.id, "user:b").await.unwrap();
    let one = quarantine.advance(one, "user:b").await.unwrap();
    assert_eq!(one.step, QuarantineStep::Released, "{}", one.problem);
    let back = ObjectId::new(&bucket, &ids[200].key, &one.back_version);
    assert_eq!(text(&blobs, &back).await, CARD);
    assert_eq!(blobs.tags(&back).await.unwrap(), tags);
    assert_eq!(blobs.head(&one.copy).await.unwrap(), None);
    // Not written anew where the original would be lost.
    let new = NewTreatment {
        source: ids[300].clone(),
        action: PolicyAction::Redact,
        original: Original::Keep,
        reason: "critical payment_card".to_owned(),
    };
    let treatments = &world.dlp.treatments;
    let one = treatments.want(&place, new, "user:a").await.unwrap();
    let one = treatments.advance(one, "user:a").await.unwrap();
    assert_eq!(one.step, TreatmentStep::Refused, "{}", one.problem);
    // Long over its time, and not erased: the plan says why.
    world.clock.advance(400 * DAY);
    let now = sealwright_core::Clock::now(&world.clock);
    let retention = &world.retention;
    let plan = retention
        .draft(world.acme, now, None, "user:a")
        .await
        .unwrap();
    retention.announce(ALL, plan.id, "user:a").await.unwrap();
    retention.approve(ALL, plan.id, "user:b").await.unwrap();
    retention.apply(ALL, plan.id, "job").await.unwrap();
    let (_, items) = retention.plan(ALL, plan.id).await.unwrap();
    assert_eq!(items.len(), 11);
    for item in &items {
        assert_ne!(item.result, "erased", "{}", item.id);
        let why = item.why.join(" ");
        let expected = if item.id.key.starts_with("in/0100") {
            "legal hold"
        } else {
            "soft delete"
        };
        assert!(why.contains(expected), "{}: {why}", item.id);
    }
    assert_eq!(all(&blobs, &bucket, "in/").await.len(), 1_005);
    // A name of another kind goes to another store.
    let id = stores.put("plain", "x", Bytes::from("y"), &none);
    let id = id.await.unwrap();
    assert!(stores.limits("plain").tags && !stores.limits(&bucket).tags);
    let over = stores.copy(&id, &bucket, "x", &Tags::new()).await;
    assert!(matches!(over, Err(BucketError::Unable { .. })), "{over:?}");
    assert_eq!(address(&bucket, "in/x"), format!("{bucket}/in/x"));
    let absent = if bucket.starts_with("gs://") {
        "az://c"
    } else {
        "gs://b"
    };
    let missing = stores.list(absent, "", None).await.unwrap_err().to_string();
    assert!(missing.contains("no store of this kind"), "{missing}");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn azure_is_scanned_held_and_quarantined_and_nothing_is_erased() {
    if let Some(rented) = azure().await {
        gets_on_with(rented).await;
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn google_is_scanned_held_and_quarantined_and_nothing_is_erased() {
    if let Some(rented) = google().await {
        gets_on_with(rented).await;
    }
}
