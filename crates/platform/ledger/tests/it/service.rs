//! Entries in the caller's transaction, sequencing, proofs, scopes, erasure: on both stores.

use std::sync::Arc;

use sealwright_core::{Digest, SystemClock, TenantId, TenantScope, UnixMicros};
use sealwright_ledger::proof::EntryProofError;
use sealwright_ledger::verify::verify_with_store;
use sealwright_ledger::{EntryDraft, EntryFilter, EntryId, EntryProof, Erase, Ledger, LedgerError};
use sealwright_store::sql;
use sealwright_store::testing::TestStore;
use serde_json::json;
use tokio_util::sync::CancellationToken;

use crate::support::{ORIGIN, ledger, stores};

fn draft(n: u32) -> EntryDraft {
    EntryDraft::new(
        "user:usr_7",
        "billing.invoice.finalised",
        format!("inv_{n}"),
    )
    .after(Digest::of(&n.to_be_bytes()))
    .details(json!({"total": "12.30", "email": "somebody@example.org"}))
}

async fn record(store: &TestStore, ledger: &Ledger, draft: &EntryDraft) -> EntryId {
    let mut tx = store.begin().await.unwrap();
    let id = ledger.record(&mut tx, draft).await.unwrap();
    tx.commit().await.unwrap();
    id
}

#[tokio::test]
async fn an_entry_exists_if_and_only_if_its_change_does() {
    for store in stores().await {
        let ledger = ledger(&store).await;
        let mut tx = store.begin().await.unwrap();
        let dropped = ledger.record(&mut tx, &draft(1)).await.unwrap();
        tx.rollback().await.unwrap();
        let kept = record(&store, &ledger, &draft(2)).await;
        assert!(matches!(
            ledger.prove(TenantScope::All, kept).await,
            Err(LedgerError::Pending(_))
        ));
        assert_eq!(ledger.sequence().await.unwrap(), 1);
        assert_eq!(ledger.sequence().await.unwrap(), 0);
        assert!(matches!(
            ledger.entry(TenantScope::All, dropped).await,
            Err(LedgerError::NotFound(_))
        ));
        let row = ledger.entry(TenantScope::All, kept).await.unwrap();
        assert_eq!((row.index, ledger.size()), (Some(0), 1), "{}", store.name);
    }
}

#[tokio::test]
async fn indices_follow_the_order_of_commits_and_have_no_gaps() {
    for store in stores().await {
        let ledger = ledger(&store).await;
        let mut ids = Vec::new();
        for n in 0..700 {
            ids.push(record(&store, &ledger, &draft(n)).await);
            if n % 97 == 0 {
                ledger.sequence().await.unwrap();
            }
        }
        ledger.sequence().await.unwrap();
        for (n, id) in ids.iter().enumerate() {
            let row = ledger.entry(TenantScope::All, *id).await.unwrap();
            assert_eq!(row.index, Some(n as u64), "{}", store.name);
        }
        let report = verify_with_store(
            ledger.tree().root_folder(),
            ledger.verifier_key(),
            &store.store,
        )
        .await
        .unwrap();
        assert!(report.ok, "{:?}", report.findings);
        assert_eq!(report.rows, Some(700));
    }
}

#[tokio::test]
async fn many_writers_and_a_running_sequencer() {
    for store in stores().await {
        let ledger = Arc::new(ledger(&store).await);
        let stop = CancellationToken::new();
        let running = tokio::spawn({
            let (ledger, stop) = (Arc::clone(&ledger), stop.clone());
            async move { ledger.run(stop).await }
        });
        let mut writers = Vec::new();
        for writer in 0..8_u32 {
            let (ledger, pool) = (Arc::clone(&ledger), store.store.clone());
            writers.push(tokio::spawn(async move {
                let mut last = None;
                for n in 0..15 {
                    let mut tx = pool.begin().await.unwrap();
                    let id = ledger
                        .record(&mut tx, &draft(writer * 100 + n))
                        .await
                        .unwrap();
                    tx.commit().await.unwrap();
                    let place = ledger.wait_sequenced(id).await.unwrap();
                    assert!(place.index < place.tree_size);
                    assert!(
                        last < Some(place.index),
                        "one writer's entries keep their order"
                    );
                    last = Some(place.index);
                    let proof = ledger.prove(TenantScope::All, id).await.unwrap();
                    proof.verify(ledger.verifier_key()).unwrap();
                }
            }));
        }
        for writer in writers {
            writer.await.unwrap();
        }
        assert_eq!(ledger.size(), 120, "{}", store.name);
        stop.cancel();
        running.await.unwrap();
    }
}

#[tokio::test]
async fn a_proof_convinces_offline_and_no_changed_proof_does() {
    for store in stores().await {
        let ledger = ledger(&store).await;
        let mut ids = Vec::new();
        for n in 0..300 {
            ids.push(record(&store, &ledger, &draft(n)).await);
        }
        ledger.sequence().await.unwrap();
        let proof = ledger.prove(TenantScope::All, ids[150]).await.unwrap();
        let text = serde_json::to_string(&proof).unwrap();
        let proof: EntryProof = serde_json::from_str(&text).unwrap();
        let key = ledger.verifier_key();
        let leaf = proof.verify(key).unwrap();
        assert_eq!(leaf.subject, "inv_150");
        assert_eq!(leaf.after, Some(Digest::of(&150_u32.to_be_bytes())));
        assert_eq!(proof.opening.as_ref().unwrap().private.actor, "user:usr_7");

        let changed = |change: &dyn Fn(&mut EntryProof)| {
            let mut proof = proof.clone();
            change(&mut proof);
            proof.verify(key).unwrap_err()
        };
        let subject =
            |p: &mut EntryProof| p.leaf = p.leaf.take().map(|l| l.replace("inv_150", "inv_151"));
        assert!(matches!(changed(&subject), EntryProofError::Proof(_)));
        let total = |p: &mut EntryProof| {
            p.opening.as_mut().unwrap().private.details["total"] = json!("99.00");
        };
        assert_eq!(changed(&total), EntryProofError::Opening);
        assert_eq!(
            changed(&|p| p.index = 151),
            EntryProofError::Member("index")
        );
        assert_eq!(
            changed(&|p| p.tree_size += 1),
            EntryProofError::Member("tree_size")
        );
        assert_eq!(changed(&|p| p.version = 2), EntryProofError::Version(2));
        let index = |p: &mut EntryProof| {
            p.tlog_proof = p.tlog_proof.replace("index 150", "index 151");
        };
        assert!(matches!(changed(&index), EntryProofError::Proof(_)));
        let stranger = sealwright_merkle::SignerKey::from_seed(ORIGIN, &[1; 32]).unwrap();
        assert!(proof.verify(stranger.verifier()).is_err());
    }
}

#[tokio::test]
async fn another_tenants_entry_is_not_there() {
    for store in stores().await {
        let ledger = ledger(&store).await;
        let (mine, other) = (TenantId::new(UnixMicros(1)), TenantId::new(UnixMicros(2)));
        let id = record(&store, &ledger, &draft(1).tenant(mine)).await;
        let own = record(&store, &ledger, &draft(2)).await;
        let scope = TenantScope::One(other);
        assert!(matches!(
            ledger.entry(scope, id).await,
            Err(LedgerError::NotFound(_))
        ));
        assert!(matches!(
            ledger.prove(scope, id).await,
            Err(LedgerError::NotFound(_))
        ));
        assert!(
            ledger
                .entries(scope, &EntryFilter::default(), 10)
                .await
                .unwrap()
                .is_empty()
        );
        let mine = TenantScope::One(mine);
        assert_eq!(ledger.entry(mine, id).await.unwrap().id, id);
        assert!(
            ledger.entry(mine, own).await.is_err(),
            "the installation's own is not a tenant's"
        );
        let mut tx = store.begin().await.unwrap();
        assert_eq!(
            ledger
                .erase(&mut tx, scope, &Erase::Entry(id))
                .await
                .unwrap(),
            0
        );
        tx.commit().await.unwrap();
    }
}

#[tokio::test]
async fn lists_filter_and_page() {
    for store in stores().await {
        let ledger = ledger(&store).await;
        for n in 0..5 {
            record(&store, &ledger, &draft(n)).await;
        }
        let other = EntryDraft::new("job:clean-up", "billing.draft.removed", "inv_3");
        record(&store, &ledger, &other).await;
        let list = async |filter: EntryFilter| {
            ledger
                .entries(TenantScope::All, &filter, 100)
                .await
                .unwrap()
                .len()
        };
        let filter = EntryFilter::default();
        assert_eq!(list(filter.clone()).await, 6, "{}", store.name);
        let action = |text: &str| EntryFilter {
            action: Some(text.to_owned()),
            ..filter.clone()
        };
        assert_eq!(list(action("billing.")).await, 6);
        assert_eq!(list(action("billing.draft.")).await, 1);
        assert_eq!(list(action("billing.draft")).await, 0);
        assert_eq!(list(action("billing.draft.removed")).await, 1);
        assert_eq!(
            list(EntryFilter {
                subject: Some("inv_3".into()),
                ..filter.clone()
            })
            .await,
            2
        );
        assert_eq!(
            list(EntryFilter {
                actor: Some("user:usr_7".into()),
                ..filter.clone()
            })
            .await,
            5
        );
        let newest = ledger.entries(TenantScope::All, &filter, 2).await.unwrap();
        let next = EntryFilter {
            before: Some(newest[1].seq),
            ..filter.clone()
        };
        assert_eq!(list(next).await, 4);
    }
}

#[tokio::test]
async fn erasure_leaves_the_proof_and_takes_the_person() {
    for store in stores().await {
        let ledger = ledger(&store).await;
        let id = record(&store, &ledger, &draft(1)).await;
        let kept = record(&store, &ledger, &draft(2)).await;
        ledger.sequence().await.unwrap();
        let before = ledger.prove(TenantScope::All, id).await.unwrap();
        let mut tx = store.begin().await.unwrap();
        let subject = Erase::Subject("inv_1".to_owned());
        assert_eq!(
            ledger
                .erase(&mut tx, TenantScope::All, &subject)
                .await
                .unwrap(),
            1
        );
        assert_eq!(
            ledger
                .erase(&mut tx, TenantScope::All, &subject)
                .await
                .unwrap(),
            0
        );
        tx.commit().await.unwrap();
        let after = ledger.prove(TenantScope::All, id).await.unwrap();
        assert_eq!(after.opening, None);
        assert_eq!(after.verify(ledger.verifier_key()).unwrap().id, id);
        assert_eq!((after.leaf, after.index), (before.leaf, before.index));
        assert!(
            ledger
                .entry(TenantScope::All, kept)
                .await
                .unwrap()
                .opening
                .is_some()
        );
        let rows = store
            .fetch_one(sql(
                "SELECT COUNT(*) AS n FROM ledger_entry WHERE private LIKE '%somebody@example%'",
            ))
            .await
            .unwrap();
        assert_eq!(rows.int("n").unwrap(), 1);
        let root = ledger.tree().root_folder();
        let report = verify_with_store(root, ledger.verifier_key(), &store.store)
            .await
            .unwrap();
        assert!(report.ok, "{:?}", report.findings);
        let mut tx = store.begin().await.unwrap();
        let actor = Erase::Actor("user:usr_7".to_owned());
        assert_eq!(
            ledger
                .erase(&mut tx, TenantScope::All, &actor)
                .await
                .unwrap(),
            1
        );
        tx.commit().await.unwrap();
    }
}

#[tokio::test]
async fn changed_rows_are_named() {
    for store in stores().await {
        let ledger = ledger(&store).await;
        let mut ids = Vec::new();
        for n in 0..4 {
            ids.push(record(&store, &ledger, &draft(n)).await);
        }
        ledger.sequence().await.unwrap();
        let changes = [
            (
                "UPDATE ledger_entry SET private = $2 WHERE id = $1",
                "{\"actor\":\"a\",\"details\":{},\"tenant\":null}",
            ),
            (
                "UPDATE ledger_entry SET private = $2 WHERE id = $1",
                "no json",
            ),
            (
                "UPDATE ledger_entry SET private = NULL, salt = NULL, actor = $2 WHERE id = $1",
                "x",
            ),
        ];
        for ((text, value), id) in changes.into_iter().zip(&ids) {
            store
                .execute(sql(text).bind(*id).bind(value))
                .await
                .unwrap();
        }
        store
            .execute(
                sql("UPDATE ledger_entry SET leaf = $2 WHERE id = $1")
                    .bind(ids[3])
                    .bind(b"{}".to_vec()),
            )
            .await
            .unwrap();
        let root = ledger.tree().root_folder();
        let report = verify_with_store(root, ledger.verifier_key(), &store.store)
            .await
            .unwrap();
        let entries: Vec<_> = report.findings.iter().map(|f| f.entry).collect();
        assert_eq!(
            entries,
            [Some(0), Some(1), Some(2), Some(3)],
            "{:?}",
            report.findings
        );
        assert!(report.findings.iter().all(|f| f.file == "database"));
        assert_eq!(report.findings[3].offset, Some(1));
        store
            .execute(sql("DELETE FROM ledger_entry WHERE id = $1").bind(ids[2]))
            .await
            .unwrap();
        let report = verify_with_store(root, ledger.verifier_key(), &store.store)
            .await
            .unwrap();
        assert!(
            report.findings.iter().any(|f| f.problem.contains("no row")),
            "{report:?}"
        );
    }
}

#[tokio::test]
async fn columns_that_contradict_the_leaf_or_the_private_part_are_named() {
    for store in stores().await {
        let ledger = ledger(&store).await;
        let id = record(&store, &ledger, &draft(0)).await;
        ledger.sequence().await.unwrap();
        let root = ledger.tree().root_folder();
        for column in ["action", "subject", "actor", "tenant_id", "recorded_at"] {
            let was = store
                .fetch_one(sql("SELECT * FROM ledger_entry WHERE id = $1").bind(id))
                .await
                .unwrap();
            let set = async |value: sealwright_store::Sql| {
                store.execute(value.bind(id)).await.unwrap();
            };
            let text = format!("UPDATE ledger_entry SET {column} = $1 WHERE id = $2");
            let restore = if column == "recorded_at" {
                set(sql(text.clone()).bind(1_i64)).await;
                sql(text).bind(was.int(column).unwrap())
            } else {
                set(sql(text.clone()).bind("another")).await;
                sql(text).bind(was.opt_text(column).unwrap())
            };
            let report = verify_with_store(root, ledger.verifier_key(), &store.store)
                .await
                .unwrap();
            let [finding] = report.findings.as_slice() else {
                panic!("{column}: {:?}", report.findings);
            };
            assert_eq!(
                (finding.file.as_str(), finding.entry),
                ("database", Some(0))
            );
            assert!(finding.problem.contains(column), "{finding:?}");
            set(restore).await;
        }
        let report = verify_with_store(root, ledger.verifier_key(), &store.store)
            .await
            .unwrap();
        assert!(report.ok, "{:?}", report.findings);
    }
}

async fn reopen(store: &TestStore, folder: &str) -> Result<Ledger, LedgerError> {
    let data = store.path().join(folder);
    Ledger::open(
        &data,
        Some(ORIGIN),
        store.store.clone(),
        Arc::new(SystemClock),
    )
    .await
}

#[tokio::test]
async fn a_lost_tree_is_made_again_and_a_lost_database_is_not_ignored() {
    for store in stores().await {
        let first = ledger(&store).await;
        for n in 0..600 {
            record(&store, &first, &draft(n)).await;
        }
        first.sequence().await.unwrap();
        let (root, head) = (
            first.tree().root_folder().to_owned(),
            first.tree().checkpoint().unwrap().0,
        );
        drop(first);
        // The tree is lost: the database makes the same one again.
        std::fs::rename(&root, root.with_extension("lost")).unwrap();
        let again = reopen(&store, "data").await.unwrap();
        again.sequence().await.unwrap();
        assert_eq!(again.tree().checkpoint().unwrap().0, head, "{}", store.name);
        drop(again);
        // Another key may not continue this database.
        let stranger = reopen(&store, "elsewhere").await;
        assert!(
            matches!(stranger, Err(LedgerError::Key { .. })),
            "{stranger:?}"
        );
        // A database that is older than the tree is refused, and so is one that differs.
        store
            .execute(
                sql("UPDATE ledger_entry SET leaf = $1 WHERE leaf_index = 599").bind(vec![1_u8]),
            )
            .await
            .unwrap();
        let differs = reopen(&store, "data").await;
        assert!(
            matches!(differs, Err(LedgerError::Disagree(_))),
            "{differs:?}"
        );
        store
            .execute(sql("DELETE FROM ledger_entry WHERE leaf_index >= 590"))
            .await
            .unwrap();
        let older = reopen(&store, "data").await.unwrap_err().to_string();
        assert!(older.contains("older backup"), "{older}");
    }
}

#[tokio::test]
async fn two_processes_write_the_same_tree() {
    for store in stores().await {
        let one = ledger(&store).await;
        let other_data = store.path().join("other");
        std::fs::create_dir_all(other_data.join("keys")).unwrap();
        std::fs::copy(
            store.path().join("data/keys/ledger.key"),
            other_data.join("keys/ledger.key"),
        )
        .unwrap();
        let two = reopen(&store, "other").await.unwrap();
        for n in 0..50 {
            let id = record(&store, &one, &draft(n)).await;
            let (a, b) = tokio::join!(one.sequence(), two.sequence());
            a.unwrap();
            b.unwrap();
            let row = one.entry(TenantScope::All, id).await.unwrap();
            assert_eq!(row.index, Some(u64::from(n)));
        }
        one.sequence().await.unwrap();
        two.sequence().await.unwrap();
        let heads = (
            one.tree().checkpoint().unwrap().0,
            two.tree().checkpoint().unwrap().0,
        );
        assert_eq!(heads.0, heads.1, "{}", store.name);
        assert_eq!(heads.0.size, 50);
    }
}
