//! Holds and quarantine on a store in memory, with the state in both databases.

use std::sync::Arc;

use sealwright_core::clock::DAY;
use sealwright_core::{TenantScope, UnixMicros};
use sealwright_dlp::model::hold::{MatterScope, MatterState, MatterStep};
use sealwright_dlp::model::object::{Facts, TAG_HELD, TAG_PERSON};
use sealwright_dlp::model::quarantine::{QuarantineStep, TAG_QUARANTINE};
use sealwright_dlp::model::retention::Held;
use sealwright_dlp::service::DlpError;
use sealwright_dlp::service::bucket::Buckets as _;
use sealwright_dlp::service::hold::{Deleted, NewMatter};

use crate::memory::Fault;
use crate::world::{World, worlds};

pub(crate) fn matter(world: &World, scope: MatterScope) -> NewMatter {
    NewMatter {
        tenant: world.acme,
        name: "Globex v. Acme".to_owned(),
        reason: "notice of claim of 12 November".to_owned(),
        owner: "legal".to_owned(),
        custodian: "sales".to_owned(),
        scope,
    }
}

fn prefix(text: &str) -> MatterScope {
    MatterScope {
        prefix: Some(text.to_owned()),
        ..MatterScope::default()
    }
}

async fn release(world: &World, id: sealwright_dlp::model::hold::MatterId) {
    let holds = &world.holds;
    for (step, actor) in [
        (MatterStep::AskRelease, "user:a"),
        (MatterStep::Release, "user:b"),
    ] {
        holds
            .step(TenantScope::All, id, step, None, actor)
            .await
            .unwrap();
    }
    holds.unprotect("job:test").await.unwrap();
}

#[tokio::test]
async fn overlapping_matters_are_released_one_by_one() {
    for world in worlds().await {
        let (holds, memory) = (&world.holds, &world.memory);
        world.place("locked", "", "quarantine").await;
        let object = memory.write("locked", "a/x", "text", &[]);
        let first = holds
            .open(matter(&world, prefix("a/")), "user:a")
            .await
            .unwrap();
        let second = holds
            .open(matter(&world, prefix("a/x")), "user:a")
            .await
            .unwrap();
        let done = holds.protect(TenantScope::All, "job:test").await.unwrap();
        assert_eq!((done.object_lock, done.tag_only), (1, 0), "{done:?}");
        assert!(memory.object(&object).unwrap().legal_hold);
        release(&world, first.id).await;
        assert!(
            memory.object(&object).unwrap().legal_hold,
            "the second matter holds it"
        );
        let etag = memory.head(&object).await.unwrap().unwrap().etag;
        let why = serde_json::json!("test");
        let kept = holds
            .delete_unless_held(world.acme, &object, &etag, why.clone(), "user:a")
            .await
            .unwrap();
        assert_eq!(kept, Deleted::Kept(Held::Matters(vec![second.id])));
        release(&world, second.id).await;
        assert!(!memory.object(&object).unwrap().legal_hold);
        let gone = holds
            .delete_unless_held(world.acme, &object, &etag, why, "user:a")
            .await
            .unwrap();
        assert_eq!(gone, Deleted::Gone);
        assert!(memory.object(&object).is_none());
    }
}

/// What a matter is protected by passes to one that was opened later and was not walked for yet.
#[tokio::test]
async fn a_protection_outlives_no_matter() {
    for world in worlds().await {
        let (holds, memory) = (&world.holds, &world.memory);
        world.place("locked", "", "quarantine").await;
        let object = memory.write("locked", "a/x", "text", &[]);
        let open = || holds.open(matter(&world, prefix("a/")), "user:a");
        let first = open().await.unwrap();
        holds.protect(TenantScope::All, "job:test").await.unwrap();
        let second = open().await.unwrap();
        release(&world, first.id).await;
        assert!(memory.object(&object).unwrap().legal_hold);
        release(&world, second.id).await;
        assert!(!memory.object(&object).unwrap().legal_hold);
    }
}

#[tokio::test]
async fn a_release_takes_a_second_person_and_new_objects_are_held() {
    for world in worlds().await {
        let (holds, memory) = (&world.holds, &world.memory);
        world.place("plain", "", "").await;
        let scope = MatterScope {
            person: Some("p1".to_owned()),
            ..MatterScope::default()
        };
        let opened = holds.open(matter(&world, scope), "user:a").await.unwrap();
        let all = TenantScope::All;
        let asked = holds
            .step(all, opened.id, MatterStep::AskRelease, Some(1), "user:a")
            .await
            .unwrap();
        assert_eq!(asked.state, MatterState::ReleaseAsked);
        let same = holds
            .step(all, opened.id, MatterStep::Release, None, "user:a")
            .await;
        assert!(matches!(same, Err(DlpError::Conflict(_))), "{same:?}");
        let stale = holds
            .step(all, opened.id, MatterStep::Release, Some(1), "user:b")
            .await;
        assert!(
            matches!(stale, Err(DlpError::Stale { seen: 1 })),
            "{stale:?}"
        );
        let of_other = holds
            .step(
                TenantScope::One(world.globex),
                opened.id,
                MatterStep::Release,
                None,
                "user:b",
            )
            .await;
        assert!(matches!(of_other, Err(DlpError::NotFound(_))));
        // An object that comes after the opening: held at once, marked at the next walk.
        let object = memory.write("plain", "new key +ü", "text", &[(TAG_PERSON, "p1")]);
        let other = memory.write("plain", "other", "text", &[(TAG_PERSON, "p2")]);
        let facts = |id: &sealwright_dlp::model::object::ObjectId| Facts {
            id: id.clone(),
            tenant: world.acme,
            written: UnixMicros(0),
            tags: memory.object(id).map(|one| one.tags),
        };
        assert_eq!(
            holds.held(&facts(&object)).await,
            Held::Matters(vec![opened.id])
        );
        assert_eq!(holds.held(&facts(&other)).await, Held::No);
        let done = holds.protect(all, "job:test").await.unwrap();
        assert_eq!((done.object_lock, done.tag_only), (0, 1));
        assert!(memory.object(&object).unwrap().tags.contains_key(TAG_HELD));
        // Tags that change afterwards free nothing.
        memory
            .set_tags(&object, &[(TAG_PERSON.to_owned(), "p9".to_owned())].into())
            .await
            .unwrap();
        assert_eq!(
            holds.held(&facts(&object)).await,
            Held::Matters(vec![opened.id])
        );
        let recorded = world.recorded().await;
        assert!(
            recorded.contains(&"dlp.matter.open".to_owned()),
            "{recorded:?}"
        );
        assert!(recorded.contains(&"dlp.hold.place".to_owned()));
    }
}

#[tokio::test]
async fn an_error_is_no_no() {
    for world in worlds().await {
        let (holds, memory) = (&world.holds, &world.memory);
        world.place("locked", "", "").await;
        let object = memory.write("locked", "k", "text", &[]);
        let etag = memory.head(&object).await.unwrap().unwrap().etag;
        for calls in 0..4 {
            memory.fail_after(calls, Fault::Before);
            let result = holds
                .delete_unless_held(
                    world.acme,
                    &object,
                    &etag,
                    serde_json::Value::Null,
                    "user:a",
                )
                .await;
            assert!(
                !matches!(result, Ok(Deleted::Gone)),
                "call {calls}: {result:?}"
            );
            assert!(memory.object(&object).is_some(), "call {calls}");
        }
        memory.heal();
        // A store that takes a hold and drops it is found out.
        *memory.forgetful.lock().unwrap() = true;
        holds
            .open(matter(&world, prefix("")), "user:a")
            .await
            .unwrap();
        let done = holds.protect(TenantScope::All, "job:test").await.unwrap();
        assert_eq!(done.object_lock, 0);
        assert!(done.failed[0].contains("does not show it"), "{done:?}");
        // Held by the ledger all the same.
        let kept = holds
            .delete_unless_held(
                world.acme,
                &object,
                &etag,
                serde_json::Value::Null,
                "user:a",
            )
            .await
            .unwrap();
        assert!(matches!(kept, Deleted::Kept(Held::Matters(_))));
    }
}

#[tokio::test]
async fn a_crash_at_any_call_leaves_a_readable_copy_and_is_taken_up() {
    // The number of calls to the store is the same for both databases; one of them is enough here.
    let world = worlds().await.remove(0);
    let place = world.place("plain", "", "quarantine").await;
    let (quarantine, memory) = (&world.quarantine, &world.memory);
    let mut crashes = 0;
    for fault in [Fault::Before, Fault::After] {
        for calls in 0..60 {
            let body = format!("secret {fault:?} {calls}");
            let object = memory.write("plain", "k", &body, &[("team", "red")]);
            let one = quarantine
                .want(&place, &object, "critical", "job:test")
                .await
                .unwrap();
            memory.fail_after(calls, fault);
            let result = quarantine.advance(one.clone(), "job:test").await;
            memory.heal();
            let copies = |bucket: &str| {
                memory
                    .all(bucket)
                    .into_iter()
                    .filter(|(_, object)| object.body == body.as_bytes())
                    .count()
            };
            assert!(copies("plain") + copies("quarantine") > 0, "call {calls}");
            // A call that fails may also leave it waiting, as when it is not certain that nothing holds it.
            let done = result.is_ok_and(|one| !one.step.is_under_way());
            if !done {
                crashes += 1;
                let (_, waiting) = quarantine.resume("job:test").await.unwrap();
                assert!(waiting.is_empty(), "{waiting:?}");
            }
            let after = quarantine.find(TenantScope::All, one.id).await.unwrap();
            assert_eq!(after.step, QuarantineStep::Quarantined, "call {calls}");
            assert_eq!(copies("plain"), 0);
            let copy = memory.object(&after.copy).unwrap();
            assert_eq!(copy.tags["team"], "red");
            assert_eq!(copy.tags[TAG_QUARANTINE], one.id.to_string());
            // And back again, with a crash at the same call.
            let all = TenantScope::All;
            quarantine.ask_release(all, one.id, "user:a").await.unwrap();
            let same = quarantine.release(all, one.id, "user:a").await;
            assert!(matches!(same, Err(DlpError::Conflict(_))));
            let back = quarantine.release(all, one.id, "user:b").await.unwrap();
            memory.fail_after(calls, fault);
            let result = quarantine.advance(back, "job:test").await;
            memory.heal();
            assert!(copies("plain") + copies("quarantine") > 0, "call {calls}");
            let back = result.is_ok_and(|one| !one.step.is_under_way());
            if !back {
                crashes += 1;
                let (_, waiting) = quarantine.resume("job:test").await.unwrap();
                assert!(waiting.is_empty(), "{waiting:?}");
            }
            let after = quarantine.find(all, one.id).await.unwrap();
            assert_eq!(after.step, QuarantineStep::Released);
            assert_eq!(
                copies("quarantine"),
                0,
                "call {calls}: nothing is left behind"
            );
            let newest = memory.all("plain");
            assert_eq!(newest[0].1.body, body.as_bytes());
            assert_eq!(newest[0].1.tags["team"], "red");
            if done && back {
                break;
            }
        }
    }
    assert!(crashes > 20, "{crashes}");
}

#[tokio::test]
async fn what_is_held_is_copied_with_its_hold_and_stays_until_it_is_free() {
    for world in worlds().await {
        let place = world.place("locked", "", "quarantine").await;
        let (quarantine, holds, memory) = (&world.quarantine, &world.holds, &world.memory);
        let object = memory.write("locked", "k", "text", &[]);
        let opened = holds
            .open(matter(&world, prefix("k")), "user:a")
            .await
            .unwrap();
        holds.protect(TenantScope::All, "job:test").await.unwrap();
        let one = quarantine
            .want(&place, &object, "critical", "job:test")
            .await
            .unwrap();
        let waiting = quarantine.advance(one, "job:test").await.unwrap();
        assert_eq!(waiting.step, QuarantineStep::Restricted);
        assert!(
            waiting.problem.contains("stays until nothing holds it"),
            "{}",
            waiting.problem
        );
        assert!(memory.object(&object).is_some());
        let copy = memory.object(&waiting.copy).unwrap();
        assert!(copy.tags.contains_key(TAG_HELD), "the copy is held too");
        release(&world, opened.id).await;
        world.clock.advance(DAY);
        let (ended, waiting) = quarantine.resume("job:test").await.unwrap();
        assert_eq!((ended, waiting.len()), (1, 0), "{waiting:?}");
        assert!(memory.object(&object).is_none());
        let _ = Arc::clone(memory);
    }
}
