//! Plans and erasures, from the first notice to the certificate.

use sealwright_core::clock::DAY;
use sealwright_core::{Clock as _, TenantScope};
use sealwright_dlp::model::hold::{MatterScope, MatterStep};
use sealwright_dlp::model::object::{TAG_CATEGORY, TAG_PERSON};
use sealwright_dlp::service::DlpError;
use sealwright_dlp::verify;

use crate::holds::matter;
use crate::world::worlds;

const ALL: TenantScope = TenantScope::All;

#[tokio::test]
async fn a_plan_is_read_approved_by_a_second_person_and_run() {
    for world in worlds().await {
        world.place("plain", "", "").await;
        let (retention, memory) = (&world.retention, &world.memory);
        let temporary = memory.write("plain", "tmp/1", "x", &[(TAG_CATEGORY, "temporary")]);
        let books = memory.write("plain", "books", "y", &[(TAG_CATEGORY, "financial")]);
        memory.write("plain", "unknown", "z", &[]);
        let start = world.clock.now();
        // What would go later is a question, not a deed.
        let later = start.plus(30 * DAY);
        let plan = retention
            .draft(world.acme, later, None, "user:a")
            .await
            .unwrap();
        assert_eq!((plan.seen, plan.uncategorised), (3, 1));
        let (_, items) = retention.plan(ALL, plan.id).await.unwrap();
        let verdicts: Vec<_> = items
            .iter()
            .map(|i| (i.id.key.as_str(), i.verdict.as_str()))
            .collect();
        assert_eq!(verdicts, [("books", "keep"), ("tmp/1", "notify")]);
        assert!(
            items[0].why[0].starts_with("the law demands it until 2033-11-25"),
            "{:?}",
            items[0].why
        );
        let early = retention.announce(ALL, plan.id, "user:a").await;
        assert!(matches!(early, Err(DlpError::Conflict(_))));
        // Told, waited, approved, run.
        let now = retention
            .draft(world.acme, start, None, "user:a")
            .await
            .unwrap();
        assert_eq!(retention.announce(ALL, now.id, "user:a").await.unwrap(), 1);
        world.clock.advance(31 * DAY);
        let plan = retention
            .draft(world.acme, world.clock.now(), None, "user:a")
            .await
            .unwrap();
        let unapproved = retention.apply(ALL, plan.id, "user:a").await;
        assert!(matches!(unapproved, Err(DlpError::Conflict(_))));
        let same = retention.approve(ALL, plan.id, "user:a").await;
        assert!(matches!(same, Err(DlpError::Conflict(_))));
        retention.approve(ALL, plan.id, "user:b").await.unwrap();
        // A clock that goes back deletes nothing.
        world.clock.advance(-2 * DAY);
        let back = retention.apply(ALL, plan.id, "user:b").await;
        assert!(
            back.unwrap_err()
                .to_string()
                .contains("nothing goes until it is right")
        );
        world.clock.advance(2 * DAY);
        let (_, done) = retention.apply(ALL, plan.id, "user:b").await.unwrap();
        assert_eq!((done.erased, done.kept), (1, 1));
        assert!(memory.object(&temporary).is_none());
        assert!(memory.object(&books).is_some());
        let recorded = world.recorded().await;
        assert!(
            recorded.contains(&"dlp.object.delete".to_owned()),
            "{recorded:?}"
        );
    }
}

#[tokio::test]
async fn a_matter_survives_an_expired_retention_and_an_erasure_and_then_a_certificate_tells() {
    for world in worlds().await {
        world.place("locked", "", "").await;
        let (retention, holds, memory) = (&world.retention, &world.holds, &world.memory);
        let tags = [(TAG_CATEGORY, "temporary"), (TAG_PERSON, "p1")];
        let old = memory.write("locked", "doc", "one", &tags);
        let new = memory.write("locked", "doc", "two", &tags);
        let marker = memory.delete_marker("locked", "doc");
        let scope = MatterScope {
            person: Some("p1".to_owned()),
            ..MatterScope::default()
        };
        let opened = holds.open(matter(&world, scope), "user:a").await.unwrap();
        holds.protect(ALL, "job:test").await.unwrap();
        world.clock.advance(400 * DAY);
        let request = retention
            .ask_erasure(world.acme, "p1", "GDPR article 17", "user:a")
            .await
            .unwrap();
        let plan = retention
            .draft(world.acme, world.clock.now(), Some(request.id), "user:a")
            .await
            .unwrap();
        retention.approve(ALL, plan.id, "user:b").await.unwrap();
        let (_, done) = retention.apply(ALL, plan.id, "user:b").await.unwrap();
        assert_eq!((done.erased, done.markers, done.kept), (0, 0, 3));
        let (_, items) = retention.plan(ALL, plan.id).await.unwrap();
        assert!(
            items
                .iter()
                .any(|i| i.result_why.starts_with("legal hold: mat_"))
        );
        let open = retention.close_erasure(ALL, request.id, "user:b").await;
        assert!(
            open.unwrap_err()
                .to_string()
                .contains("2 versions of the person's are still here")
        );
        for (step, actor) in [
            (MatterStep::AskRelease, "user:a"),
            (MatterStep::Release, "user:b"),
        ] {
            holds.step(ALL, opened.id, step, None, actor).await.unwrap();
        }
        holds.unprotect("job:test").await.unwrap();
        let plan = retention
            .draft(world.acme, world.clock.now(), Some(request.id), "user:a")
            .await
            .unwrap();
        retention.approve(ALL, plan.id, "user:b").await.unwrap();
        let (_, done) = retention.apply(ALL, plan.id, "user:b").await.unwrap();
        assert_eq!((done.erased, done.markers, done.kept), (2, 1, 0));
        for id in [&old, &new, &marker] {
            assert!(memory.object(id).is_none());
        }
        let closed = retention
            .close_erasure(ALL, request.id, "user:b")
            .await
            .unwrap();
        assert_eq!(closed.state, "closed");
        world.ledger.sequence().await.unwrap();
        let file = retention.certificate(ALL, request.id).await.unwrap();
        let bytes = serde_json::to_vec(&file).unwrap();
        let report = verify::certificate(&bytes, Some(world.ledger.verifier_key())).unwrap();
        assert!(report.verified, "{report:?}");
        assert_eq!((report.versions, report.key_given), (2, true));
        // One changed character, and it does not hold.
        let changed = String::from_utf8(bytes)
            .unwrap()
            .replace("\"doc\"", "\"dog\"");
        let report = verify::certificate(changed.as_bytes(), None).unwrap();
        assert!(!report.verified);
        // Another tenant's request is not there.
        let other = retention
            .erasure(TenantScope::One(world.globex), request.id)
            .await;
        assert!(matches!(other, Err(DlpError::NotFound(_))));
    }
}
