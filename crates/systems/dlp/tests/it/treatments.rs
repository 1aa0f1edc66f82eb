//! Objects that policies have redacted or encrypted: a version is written and read back, and the original goes as
//! the policy says, and never while it is held.

use sealwright_core::TenantScope;
use sealwright_dlp::jobs::{Enforced, enforce};
use sealwright_dlp::model::finding::{FindingState, Place, ScanState};
use sealwright_dlp::model::hold::{MatterScope, MatterStep};
use sealwright_dlp::model::object::ObjectId;
use sealwright_dlp::model::policy::{Original, PolicyAction, PolicyMode, PolicyScope};
use sealwright_dlp::model::treatment::{TAG_TREATMENT, Treatment, TreatmentStep};
use sealwright_dlp::service::policy::NewPolicy;
use sealwright_dlp::store::finding::FindingFilter;
use sealwright_scan::Severity;

use crate::holds::matter;
use crate::memory::Fault;
use crate::world::{World, worlds};

const ALL: TenantScope = TenantScope::All;
const CARD: &str = "4111111111111111";

/// Sets what is done about findings of every severity, first as a dry run.
async fn policy(world: &World, action: PolicyAction, original: Original) {
    for severity in [
        Severity::Critical,
        Severity::High,
        Severity::Medium,
        Severity::Low,
    ] {
        for mode in [PolicyMode::DryRun, PolicyMode::Enforce] {
            let new = NewPolicy {
                scope: PolicyScope {
                    tenant: Some(world.acme),
                    bucket: None,
                    class: None,
                    severity,
                },
                action,
                original,
                alert: true,
                mode,
            };
            world.dlp.policies.set(new, None, "user:a").await.unwrap();
        }
    }
}

async fn scan(world: &World, place: &Place) {
    let scan = world.dlp.scans.begin(ALL, place.id, "job").await.unwrap();
    let scan = world
        .dlp
        .scans
        .run(scan, "job", &mut |_| true)
        .await
        .unwrap();
    assert_eq!(scan.state, ScanState::Done, "{}", scan.problem);
}

async fn open(world: &World) -> Vec<ObjectId> {
    let filter = FindingFilter {
        state: Some(FindingState::Open),
        limit: 100,
        ..FindingFilter::default()
    };
    let found = world.dlp.findings.list(ALL, &filter).await.unwrap();
    found.into_iter().map(|one| one.object).collect()
}

fn text(world: &World, id: &ObjectId) -> Option<String> {
    let object = world.memory.object(id)?;
    Some(String::from_utf8(object.body.to_vec()).unwrap())
}

async fn only(world: &World) -> Treatment {
    let mut all = world.dlp.treatments.list(ALL, 10).await.unwrap();
    assert_eq!(all.len(), 1, "{all:?}");
    all.remove(0)
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_a_policy_redacts_scans_clean_and_the_original_goes_as_it_says() {
    for original in Original::ALL {
        for world in worlds().await {
            let place = world.place("plain", "", "quarantine").await;
            let body = format!("id,card\n7,{CARD}\n");
            let tags = [("team", "red")];
            let source = world.memory.write("plain", "in/a b+ü.csv", &body, &tags);
            policy(&world, PolicyAction::Redact, original).await;
            scan(&world, &place).await;
            let done = enforce(&world.dlp, &place, "job").await.unwrap();
            assert_eq!((done.redacted, done.waiting), (1, 0), "{done:?}");
            let one = only(&world).await;
            assert_eq!(one.step, TreatmentStep::Done, "{}", one.problem);
            assert_eq!(one.replaced["payment_card"], 1);
            let new = world.memory.newest(&source).unwrap();
            assert_eq!(new.version, one.new_version);
            assert_eq!(new.body, "id,card\n7,[payment_card]\n");
            assert_eq!(new.tags["team"], "red");
            assert_eq!(new.tags[TAG_TREATMENT], one.id.to_string());
            let copies = world.memory.all("quarantine").len();
            let (stays, away) = (text(&world, &source), open(&world).await);
            match original {
                Original::Keep => {
                    assert_eq!((stays, copies), (Some(body), 0));
                    assert_eq!(
                        away,
                        std::slice::from_ref(&source),
                        "it is still there to be found"
                    );
                }
                Original::Quarantine => assert_eq!((stays, copies, away.len()), (None, 1, 0)),
                Original::Erase => assert_eq!((stays, copies, away.len()), (None, 0, 0)),
            }
            // The next scan finds nothing in what was written, and nothing is treated twice.
            scan(&world, &place).await;
            let again = enforce(&world.dlp, &place, "job").await.unwrap();
            assert_eq!(again, Enforced::default());
            assert_eq!(only(&world).await.new_version, one.new_version);
            let recorded = world.recorded().await;
            for action in ["wanted", "written", "verified", "done"] {
                let action = format!("dlp.treatment.{action}");
                assert_eq!(
                    recorded.iter().filter(|one| **one == action).count(),
                    1,
                    "{action}"
                );
            }
            let told = world.told().await;
            let treated = told.iter().filter(|one| one.0 == "dlp.treatment");
            assert_eq!(treated.count(), 1, "{told:?}");
        }
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_held_original_stays_until_it_is_released() {
    for world in worlds().await {
        let place = world.place("plain", "", "").await;
        let source = world
            .memory
            .write("plain", "a", &format!("card {CARD}"), &[]);
        let matter = world
            .holds
            .open(matter(&world, MatterScope::default()), "user:a")
            .await
            .unwrap();
        policy(&world, PolicyAction::Redact, Original::Erase).await;
        scan(&world, &place).await;
        let done = enforce(&world.dlp, &place, "job").await.unwrap();
        assert_eq!((done.redacted, done.waiting), (0, 1), "{done:?}");
        let one = only(&world).await;
        assert_eq!(one.step, TreatmentStep::Verified);
        assert!(
            one.problem.contains("until nothing holds it"),
            "{}",
            one.problem
        );
        assert!(text(&world, &source).is_some());
        let newest = world.memory.newest(&source).unwrap();
        assert_eq!(newest.body, "card [payment_card]");
        for (step, actor) in [
            (MatterStep::AskRelease, "user:a"),
            (MatterStep::Release, "user:b"),
        ] {
            let holds = &world.holds;
            holds.step(ALL, matter.id, step, None, actor).await.unwrap();
        }
        world.holds.unprotect("job").await.unwrap();
        assert_eq!(world.dlp.treatments.resume("job").await.unwrap().0, 1);
        assert_eq!(text(&world, &source), None);
        assert_eq!(only(&world).await.step, TreatmentStep::Done);
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn encryption_is_written_and_asked_for() {
    for world in worlds().await {
        let place = world.place("plain", "", "").await;
        let source = world
            .memory
            .write("plain", "a", &format!("card {CARD}"), &[]);
        policy(&world, PolicyAction::Encrypt, Original::Erase).await;
        scan(&world, &place).await;
        *world.memory.forgetful.lock().unwrap() = true;
        let done = enforce(&world.dlp, &place, "job").await.unwrap();
        assert_eq!((done.encrypted, done.waiting), (0, 1), "{done:?}");
        let one = only(&world).await;
        assert!(one.problem.contains("does not show it"), "{}", one.problem);
        assert!(
            text(&world, &source).is_some(),
            "nothing goes before it is certain"
        );
        // A store that does what it says; what was written before is not it.
        let stale = one.written();
        let stale = world.memory.object(&stale).unwrap();
        assert!(!stale.encrypted);
        *world.memory.forgetful.lock().unwrap() = false;
        let (_, waiting) = world.dlp.treatments.resume("job").await.unwrap();
        assert_eq!(waiting.len(), 1, "it does not become true by waiting");
        let source = world
            .memory
            .write("plain", "b", &format!("card {CARD}"), &[]);
        scan(&world, &place).await;
        let done = enforce(&world.dlp, &place, "job").await.unwrap();
        // What was written in vain before has the number in it too.
        assert_eq!(done.encrypted, 2, "{done:?}");
        let newest = world.memory.newest(&source).unwrap();
        assert!(newest.encrypted);
        assert_eq!(newest.body, format!("card {CARD}"));
        assert_eq!(text(&world, &source), None);
        // What is encrypted is not written again.
        scan(&world, &place).await;
        enforce(&world.dlp, &place, "job").await.unwrap();
        assert_eq!(
            world.memory.newest(&source).unwrap().version,
            newest.version
        );
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_cannot_be_written_anew_is_left_and_said() {
    for world in worlds().await {
        world.memory.bucket("flat", false, false);
        let place = world.place("plain", "", "").await;
        let flat = world.place("flat", "", "").await;
        let body = format!("card {CARD}");
        // No versions; a form that is not written; an older version; one that is gone under a marker.
        let one = world.memory.write("flat", "a", &body, &[]);
        let old = world.memory.write("plain", "old", &body, &[]);
        world.memory.write("plain", "old", "clean", &[]);
        let gone = world.memory.write("plain", "gone", &body, &[]);
        world.memory.delete_marker("plain", "gone");
        policy(&world, PolicyAction::Redact, Original::Erase).await;
        for place in [&place, &flat] {
            scan(&world, place).await;
            enforce(&world.dlp, place, "job").await.unwrap();
        }
        let all = world.dlp.treatments.list(ALL, 10).await.unwrap();
        for (id, step) in [
            (&one, TreatmentStep::Refused),
            (&old, TreatmentStep::Superseded),
            (&gone, TreatmentStep::Superseded),
        ] {
            let treated = all.iter().find(|one| one.source == *id).unwrap();
            assert_eq!(treated.step, step, "{}", treated.problem);
            assert_eq!(text(&world, id).unwrap(), body, "it is as it was");
            assert!(treated.new_version.is_empty());
        }
        assert_eq!(world.memory.newest(&old).unwrap().body, "clean");
        assert!(
            world.memory.newest(&gone).is_none(),
            "the marker still hides it"
        );
    }
}

/// Whichever call to the store fails, before it did something or after: in the end one version was written, it is
/// clean, and until then there was always one to read.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_crash_at_any_call_leaves_one_clean_version() {
    for fault in [Fault::Before, Fault::After] {
        for calls in 0..24 {
            let world = World::sqlite().await;
            let place = world.place("plain", "", "quarantine").await;
            let source = world
                .memory
                .write("plain", "a", &format!("card {CARD}"), &[]);
            policy(&world, PolicyAction::Redact, Original::Quarantine).await;
            scan(&world, &place).await;
            world.memory.fail_after(calls, fault);
            let _ = enforce(&world.dlp, &place, "job").await.unwrap();
            assert!(world.memory.newest(&source).is_some(), "{fault:?} {calls}");
            world.memory.heal();
            enforce(&world.dlp, &place, "job").await.unwrap();
            world.dlp.treatments.resume("job").await.unwrap();
            world.quarantine.resume("job").await.unwrap();
            let one = only(&world).await;
            assert_eq!(
                one.step,
                TreatmentStep::Done,
                "{fault:?} {calls}: {}",
                one.problem
            );
            let left = world.memory.all("plain");
            assert_eq!(left.len(), 1, "{fault:?} {calls}: {left:?}");
            assert_eq!(left[0].1.body, "card [payment_card]");
            let copies = world.memory.all("quarantine");
            assert!(
                copies
                    .iter()
                    .any(|(_, one)| one.body == format!("card {CARD}")),
                "{fault:?} {calls}"
            );
        }
    }
}
