//! What the lake is told of the matters: what stays, and nothing when it is not certain.

use sealwright_core::clock::{DAY, HOUR};
use sealwright_core::{Clock as _, TenantScope};
use sealwright_dlp::model::hold::{MatterScope, MatterStep};
use sealwright_events::HoldRegister as _;

use crate::holds::matter;
use crate::world::worlds;

#[tokio::test]
async fn a_matter_without_a_bucket_holds_stored_events() {
    for world in worlds().await {
        let register = &world.dlp.register;
        assert!(register.ask().await.unwrap().events.is_empty());
        let now = world.clock.now();
        let person = MatterScope {
            person: Some("p1".to_owned()),
            from: Some(now.plus(-DAY)),
            ..MatterScope::default()
        };
        let held = world
            .holds
            .open(matter(&world, person), "user:a")
            .await
            .unwrap();
        // A matter about objects holds no events.
        for scope in [
            MatterScope {
                buckets: vec!["plain".to_owned()],
                ..MatterScope::default()
            },
            MatterScope {
                prefix: Some("a/".to_owned()),
                ..MatterScope::default()
            },
        ] {
            world
                .holds
                .open(matter(&world, scope), "user:a")
                .await
                .unwrap();
        }
        let events = register.ask().await.unwrap().events;
        assert_eq!(events.len(), 1, "{events:?}");
        assert_eq!(events[0].by, held.id.to_string());
        assert!(events[0].covers(world.acme, Some("p1"), now));
        assert!(!events[0].covers(world.acme, Some("p2"), now));
        assert!(!events[0].covers(world.acme, None, now));
        assert!(!events[0].covers(world.acme, Some("p1"), now.plus(-2 * DAY)));
        assert!(!events[0].covers(world.globex, Some("p1"), now));
        for (step, actor) in [
            (MatterStep::AskRelease, "user:a"),
            (MatterStep::Release, "user:b"),
        ] {
            // It holds until it is released, and not only until somebody asks.
            assert_eq!(register.ask().await.unwrap().events.len(), 1);
            let holds = &world.holds;
            holds
                .step(TenantScope::All, held.id, step, None, actor)
                .await
                .unwrap();
        }
        assert!(register.ask().await.unwrap().events.is_empty());
    }
}

#[tokio::test]
async fn a_clock_that_went_back_gets_no_answer() {
    for world in worlds().await {
        let register = &world.dlp.register;
        register.ask().await.unwrap();
        let now = world.clock.now();
        world.clock.set(now.plus(-HOUR));
        let error = register.ask().await.unwrap_err();
        assert!(error.to_string().contains("it has shown"), "{error}");
        world.clock.set(now);
        register.ask().await.unwrap();
    }
}

/// While an answer is kept, a matter cannot be opened: what was certain stays so until the deletion is over.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn nobody_opens_a_matter_beside_an_answer() {
    for world in worlds().await {
        let answer = world.dlp.register.ask().await.unwrap();
        let holds = world.holds.clone();
        let new = matter(&world, MatterScope::default());
        let opening = tokio::spawn(async move { holds.open(new, "user:a").await });
        tokio::time::sleep(std::time::Duration::from_millis(200)).await;
        assert!(!opening.is_finished());
        drop(answer);
        opening.await.unwrap().unwrap();
        assert_eq!(world.dlp.register.ask().await.unwrap().events.len(), 1);
    }
}
