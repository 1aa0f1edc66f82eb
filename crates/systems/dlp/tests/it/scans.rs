//! Scans of places: every version ends with an outcome, what is the same is not looked at again, and a scan
//! that broke off is taken up.

use axum::http::StatusCode;
use sealwright_core::TenantScope;
use sealwright_dlp::model::finding::{FindingState, Outcome, ScanState};
use sealwright_dlp::service::DlpError;
use sealwright_dlp::service::finding::FindingDecision;
use sealwright_dlp::store::finding::FindingFilter;
use sealwright_store::sql;

use crate::world::worlds;

const ALL: TenantScope = TenantScope::All;
const CARD: &str = "4111111111111111";

fn some() -> FindingFilter {
    FindingFilter {
        limit: 100,
        ..FindingFilter::default()
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_scan_reconciles_and_looks_only_at_what_is_new() {
    for world in worlds().await {
        let memory = &world.memory;
        let place = world.place("plain", "in/", "quarantine").await;
        memory.write("plain", "in/a b+ü.txt", &format!("card {CARD}"), &[]);
        memory.write("plain", "in/a b+ü.txt", "nothing any more", &[]);
        memory.write("plain", "in/empty", "", &[]);
        memory.write("plain", "in/locked.rar", "Rar!\u{1a}\u{7}\u{1}\u{0}", &[]);
        memory.delete_marker("plain", "in/gone");
        memory.write("plain", "outside", CARD, &[]);
        for i in 0..7 {
            memory.write("plain", &format!("in/n{i}"), "clean", &[]);
        }
        let scans = &world.dlp.scans;
        let scan = scans.begin(ALL, place.id, "user:a").await.unwrap();
        let scan = scans.run(scan, "user:a", &mut |_| true).await.unwrap();
        assert_eq!(scan.state, ScanState::Done, "{}", scan.problem);
        let counts = scan.counts;
        assert_eq!((counts.listed, counts.scanned), (12, 10), "{counts:?}");
        assert_eq!((counts.unscannable, counts.markers), (1, 1));
        assert_eq!(counts.findings, 1);
        assert!(counts.reconciles());
        let found = world.dlp.findings.list(ALL, &some()).await.unwrap();
        assert_eq!(found.len(), 1);
        assert_eq!(found[0].object.key, "in/a b+ü.txt");
        assert_eq!(
            (found[0].start, found[0].detector.as_str()),
            (5, "payment_card")
        );
        // Once more: nothing is read.
        memory.write("plain", "in/new", &format!("again {CARD}"), &[]);
        let scan = scans.begin(ALL, place.id, "user:a").await.unwrap();
        let scan = scans.run(scan, "user:a", &mut |_| true).await.unwrap();
        assert_eq!((scan.counts.unchanged, scan.counts.scanned), (11, 1));
        assert!(scan.counts.reconciles());
        let found = world.dlp.findings.list(ALL, &some()).await.unwrap();
        assert_eq!(found.len(), 2);
        assert_eq!(
            found[0].fingerprint, found[1].fingerprint,
            "one value, one fingerprint"
        );
        let not = world
            .dlp
            .findings
            .coverage(ALL, Some(Outcome::Unscannable), None, 10)
            .await
            .unwrap();
        assert_eq!(not[0].id.key, "in/locked.rar");
        assert!(!not[0].reason.is_empty());
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_scan_that_broke_off_is_taken_up_and_still_reconciles() {
    for world in worlds().await {
        let memory = &world.memory;
        let place = world.place("plain", "", "").await;
        for i in 0..20 {
            memory.write("plain", &format!("k{i:02}"), &format!("{CARD} {i}"), &[]);
        }
        let scans = &world.dlp.scans;
        let mut scan = scans.begin(ALL, place.id, "user:a").await.unwrap();
        let first = scan.id;
        let mut rounds = 0;
        loop {
            // The second page of each round cannot be listed.
            memory.fail_list_after(1);
            scan = scans.run(scan, "user:a", &mut |_| true).await.unwrap();
            memory.heal();
            if scan.state == ScanState::Done {
                break;
            }
            rounds += 1;
            assert!(rounds < 30, "{scan:?}");
            if rounds == 3 {
                scan = scans.begin(ALL, place.id, "user:a").await.unwrap();
                scan = scans.run(scan, "user:a", &mut |_| false).await.unwrap();
                assert_eq!(scan.problem, "it was asked to stop");
            }
            scan = scans.begin(ALL, place.id, "user:a").await.unwrap();
            assert_eq!(scan.id, first, "it is one scan");
        }
        assert!(rounds > 1);
        assert_eq!(scan.counts.listed, 20);
        assert!(scan.counts.reconciles(), "{:?}", scan.counts);
        let found = world.dlp.findings.list(ALL, &some()).await.unwrap();
        assert_eq!((found.len(), scan.counts.findings), (20, 20));
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn findings_are_decided_with_a_reason_and_an_end() {
    for world in worlds().await {
        let place = world.place("plain", "", "").await;
        world.memory.write(
            "plain",
            "k",
            &format!("card {CARD} of 5500005555555559"),
            &[],
        );
        let scans = &world.dlp.scans;
        let scan = scans.begin(ALL, place.id, "user:a").await.unwrap();
        scans.run(scan, "user:a", &mut |_| true).await.unwrap();
        let findings = &world.dlp.findings;
        let found = findings.list(ALL, &some()).await.unwrap();
        let one = &found[0];
        let decide = |state, note: &str, until| FindingDecision {
            state,
            owner: "team-red".to_owned(),
            note: note.to_owned(),
            until,
        };
        let bad = findings
            .decide(
                ALL,
                one.id,
                decide(FindingState::Accepted, "why", None),
                "user:a",
            )
            .await;
        assert!(matches!(bad, Err(DlpError::Invalid(_))));
        let bad = findings
            .decide(
                ALL,
                one.id,
                decide(FindingState::FalsePositive, " ", None),
                "user:a",
            )
            .await;
        assert!(matches!(bad, Err(DlpError::Invalid(_))));
        let of_other = findings
            .decide(
                TenantScope::One(world.globex),
                one.id,
                decide(FindingState::Resolved, "rotated", None),
                "user:a",
            )
            .await;
        assert!(matches!(of_other, Err(DlpError::NotFound(_))));
        let done = findings
            .decide(
                ALL,
                one.id,
                decide(FindingState::Resolved, "rotated", None),
                "user:a",
            )
            .await
            .unwrap();
        assert_eq!(done.state, FindingState::Resolved);
        // What is around it is shown with every value masked.
        let cut = findings.excerpt(&found[1]).await.unwrap().unwrap();
        let shown = format!("{}{}{}", cut.before, cut.masked, cut.after);
        assert!(
            !shown.contains("4111") && !shown.contains("5559"),
            "{shown}"
        );
        assert!(shown.contains("card ") && shown.contains(" of "));
    }
}

/// Values that are planted are in no table, whatever is done with them.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn no_value_is_in_the_state() {
    for world in worlds().await {
        let place = world.place("plain", "", "quarantine").await;
        let canary = "AKIAQYLPMN5HFIQR7XYA";
        world.memory.write(
            "plain",
            "k",
            &format!("aws_access_key_id = {canary}\n{CARD}"),
            &[],
        );
        let scans = &world.dlp.scans;
        let scan = scans.begin(ALL, place.id, "user:a").await.unwrap();
        let scan = scans.run(scan, "user:a", &mut |_| true).await.unwrap();
        assert!(scan.counts.findings >= 2, "{:?}", scan.counts);
        let body = axum::body::Bytes::from(format!("{canary} {CARD}"));
        let answer = world
            .dlp
            .gate
            .look(world.acme, "up.txt", "", body, "user:a")
            .await
            .unwrap();
        assert!(!answer.findings.is_empty());
        let (status, page) = world
            .get(crate::world::owner(), "/console/dlp/findings")
            .await;
        assert_eq!(status, StatusCode::OK);
        let mut all = page;
        let tables = [
            "dlp_scan",
            "dlp_object",
            "dlp_finding",
            "dlp_upload",
            "dlp_place",
            "dlp_key",
            "ledger_entry",
        ];
        for table in tables {
            let rows = world
                .store
                .fetch_all(sql(format!("SELECT * FROM {table}")))
                .await;
            all.push_str(&format!("{:?}", rows.unwrap()));
        }
        assert!(all.contains("aws"), "the tables were read");
        assert!(!all.contains(canary) && !all.contains(CARD));
        // Nor is it there as bytes in another form.
        assert!(!all.contains(&hex::encode(canary)) && !all.contains(&hex::encode(CARD)));
    }
}
