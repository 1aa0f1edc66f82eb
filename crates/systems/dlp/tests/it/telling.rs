//! What people are told: by severity, and once.

use sealwright_core::TenantScope;
use sealwright_dlp::model::finding::ScanState;
use sealwright_dlp::model::hold::MatterScope;
use sealwright_dlp::model::policy::{Original, PolicyAction, PolicyMode, PolicyScope};
use sealwright_dlp::service::policy::NewPolicy;
use sealwright_scan::Severity;

use crate::holds::matter;
use crate::world::worlds;

const ALL: TenantScope = TenantScope::All;
const CARD: &str = "4111111111111111";
const MAIL: &str = "write to ada.lovelace@analytical-engines.org";

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_finding_is_told_once_with_its_severity_and_without_its_value() {
    for world in worlds().await {
        let place = world.place("plain", "", "").await;
        for i in 0..4 {
            let body = format!("card {CARD}, again {CARD}");
            world.memory.write("plain", &format!("k{i}"), &body, &[]);
        }
        // Of what the built-in rule only notes, nobody is told at once.
        world.memory.write("plain", "quiet", MAIL, &[]);
        let scans = &world.dlp.scans;
        // It breaks off after a page and is taken up, then all of it is looked at again.
        let scan = scans.begin(ALL, place.id, "job").await.unwrap();
        let scan = scans.run(scan, "job", &mut |_| false).await.unwrap();
        assert_eq!(scan.state, ScanState::Stopped);
        for _ in 0..2 {
            let scan = scans.begin(ALL, place.id, "job").await.unwrap();
            scans.run(scan, "job", &mut |_| true).await.unwrap();
        }
        let told = world.told().await;
        let found: Vec<_> = told.iter().filter(|one| one.0 == "dlp.finding").collect();
        assert_eq!(found.len(), 4, "{told:?}");
        for one in &found {
            assert_eq!(one.1, "critical");
            assert!(one.2.starts_with("2 findings in s3://plain/k"), "{one:?}");
        }
        let stopped = told.iter().filter(|one| one.0 == "dlp.scan").count();
        assert_eq!(stopped, 1, "{told:?}");
        let rows = world
            .store
            .store
            .fetch_all(sealwright_store::sql(
                "SELECT title, body, fields FROM notify_message",
            ))
            .await
            .unwrap();
        for row in rows {
            for column in ["title", "body", "fields"] {
                assert!(!row.text(column).unwrap().contains("411111"), "{column}");
            }
        }
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_scan_of_many_findings_is_told_as_a_number() {
    for world in worlds().await {
        let place = world.place("plain", "", "").await;
        for i in 0..60 {
            world
                .memory
                .write("plain", &format!("k{i:02}"), &format!("card {CARD}"), &[]);
        }
        let scan = world.dlp.scans.begin(ALL, place.id, "job").await.unwrap();
        world
            .dlp
            .scans
            .run(scan, "job", &mut |_| true)
            .await
            .unwrap();
        let told = world.told().await;
        assert_eq!(told.len(), 51, "fifty one by one, and the rest");
        assert!(
            told.iter()
                .any(|one| one.2 == "findings in 10 more objects of one scan"),
            "{told:?}"
        );
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn the_gate_tells_what_it_holds() {
    for world in worlds().await {
        for mode in [PolicyMode::DryRun, PolicyMode::Enforce] {
            let new = NewPolicy {
                scope: PolicyScope {
                    tenant: Some(world.acme),
                    bucket: None,
                    class: None,
                    severity: Severity::Critical,
                },
                action: PolicyAction::Quarantine,
                original: Original::Quarantine,
                alert: false,
                mode,
            };
            world.dlp.policies.set(new, None, "user:a").await.unwrap();
        }
        let gate = &world.dlp.gate;
        for (body, hold) in [(format!("card {CARD}"), true), ("clean".to_owned(), false)] {
            let answer = gate
                .look(world.acme, "a.txt", "", body.into(), "key:a")
                .await
                .unwrap();
            assert_eq!(answer.upload.verdict.as_str() == "hold", hold);
        }
        let told = world.told().await;
        assert_eq!(told.len(), 1, "{told:?}");
        assert_eq!(told[0].0, "dlp.upload");
        assert_eq!(told[0].2, "the gate says hold to a.txt");
    }
}

#[tokio::test]
async fn a_hold_that_the_store_drops_is_told_once() {
    for world in worlds().await {
        world.place("locked", "", "").await;
        world.memory.write("locked", "a", "x", &[]);
        *world.memory.forgetful.lock().unwrap() = true;
        let holds = &world.holds;
        holds
            .open(matter(&world, MatterScope::default()), "user:a")
            .await
            .unwrap();
        for _ in 0..2 {
            let done = holds.protect(ALL, "job").await.unwrap();
            assert_eq!(done.failed.len(), 1);
        }
        let told = world.told().await;
        assert_eq!(told.len(), 1, "{told:?}");
        assert_eq!(
            (told[0].0.as_str(), told[0].1.as_str()),
            ("dlp.hold", "error")
        );
    }
}
