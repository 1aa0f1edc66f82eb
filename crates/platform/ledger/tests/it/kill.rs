//! `kill -9` while appending, a hundred times for the tree alone and for each store: what was
//! acknowledged is there, at its index, and no checkpoint contradicts an earlier one.
//!
//! The process that is killed is this test binary, started again with the name of the child test
//! and where to write.

use std::collections::BTreeMap;
use std::io::{BufRead as _, BufReader};
use std::path::Path;
use std::process::{Child, Command, Stdio};
use std::time::Duration;

use rand::SeedableRng as _;
use sealwright_core::SystemClock;
use sealwright_ledger::verify::verify_tree;
use sealwright_ledger::{EntryDraft, Ledger, TreeReader};
use sealwright_merkle::{Checkpoint, verify_consistency};
use sealwright_store::{Store, StoreUrl, sql};

use crate::support::{ORIGIN, key, open, signer, stores};

const TREE: &str = "SEALWRIGHT_TEST_KILL_TREE";
const DATA: &str = "SEALWRIGHT_TEST_KILL_DATA";
const STORE: &str = "SEALWRIGHT_TEST_KILL_STORE";
const ROUNDS: u32 = 100;

/// Starts this test binary again to run one child test, which prints `ack …` lines.
fn child(test: &str, environment: &[(&str, &str)]) -> Child {
    Command::new(std::env::current_exe().unwrap())
        .args([test, "--exact", "--nocapture", "--test-threads=1"])
        .envs(environment.iter().copied())
        .stdout(Stdio::piped())
        .stderr(Stdio::null())
        .spawn()
        .unwrap()
}

/// Kills the child after a random while and gives its acknowledgements. In half of the rounds the
/// while begins with the first acknowledgement, in the others with the process, so that starting
/// and recovering are cut short too.
fn kill_after(mut child: Child, working: bool, random: &mut impl rand::Rng) -> Vec<(String, u64)> {
    let out = BufReader::new(child.stdout.take().unwrap());
    let (first, started) = std::sync::mpsc::channel();
    let reader = std::thread::spawn(move || {
        let mut acks = Vec::new();
        for line in out.lines().map_while(Result::ok) {
            if let Some((name, index)) = line.strip_prefix("ack ").and_then(|l| l.split_once(' '))
                && let Ok(index) = index.parse()
            {
                acks.push((name.to_owned(), index));
                let _ = first.send(());
            }
        }
        acks
    });
    if working {
        let _ = started.recv_timeout(Duration::from_secs(20));
    }
    std::thread::sleep(Duration::from_micros(random.random_range(1_000..60_000)));
    child.kill().unwrap();
    child.wait().unwrap();
    reader.join().unwrap()
}

/// Checks the tree after a kill: sound, and a continuation of `last`.
fn check_tree(root: &Path, last: &mut Option<Checkpoint>) -> u64 {
    let reader = TreeReader::new(root, key());
    let Ok((now, _)) = reader.checkpoint() else {
        assert!(last.is_none(), "the checkpoint is gone");
        return 0;
    };
    if let Some(before) = last.as_ref().filter(|before| before.size > 0) {
        assert!(now.size >= before.size, "the tree shrank");
        let proof = reader.prove_growth(before.size, now.size).unwrap();
        verify_consistency(before.size, now.size, &before.root, &now.root, &proof).unwrap();
    }
    let size = now.size;
    *last = Some(now);
    size
}

#[test]
fn child_appends_to_a_tree() {
    let Some(root) = std::env::var_os(TREE) else {
        return;
    };
    let mut log = open(Path::new(&root));
    // The test harness has begun a line of its own.
    acknowledge("\n");
    let process = std::process::id();
    for batch in 0_u64.. {
        let entries: Vec<_> = (0..1 + batch % 60)
            .map(|i| format!("{process}-{batch}-{i}"))
            .collect();
        let indices = log.append(&entries).unwrap();
        let lines: Vec<_> = entries
            .iter()
            .zip(indices)
            .map(|(e, i)| format!("ack {e} {i}\n"))
            .collect();
        acknowledge(&lines.concat());
    }
}

/// One write, so that a kill cuts between lines at worst.
fn acknowledge(lines: &str) {
    use std::io::Write as _;
    let mut out = std::io::stdout().lock();
    out.write_all(lines.as_bytes()).unwrap();
    out.flush().unwrap();
}

#[test]
fn a_tree_survives_a_hundred_kills() {
    let folder = tempfile::tempdir().unwrap();
    let root = folder.path().join("ledger");
    let mut random = rand::rngs::StdRng::seed_from_u64(1);
    let mut acknowledged: BTreeMap<u64, String> = BTreeMap::new();
    let mut last = None;
    // On a slow machine more rounds, so that kills meet as many appends as on a fast one.
    let mut round = 0;
    while round < ROUNDS || (acknowledged.len() <= 1_000 && round < 10 * ROUNDS) {
        let child = child(
            "kill::child_appends_to_a_tree",
            &[(TREE, root.to_str().unwrap())],
        );
        for (entry, index) in kill_after(child, round % 2 == 0, &mut random) {
            let twin = acknowledged.insert(index, entry);
            assert_eq!(twin, None, "index {index} was given twice");
        }
        let size = check_tree(&root, &mut last);
        assert!(
            acknowledged
                .keys()
                .next_back()
                .is_none_or(|index| *index < size)
        );
        round += 1;
    }
    let log = open(&root);
    let mut expected = acknowledged.iter();
    let mut next = expected.next();
    log.reader()
        .scan(0, log.size(), |index, entry| {
            if let Some((_, text)) = next.filter(|(at, _)| **at == index) {
                assert_eq!(entry, text.as_bytes(), "entry {index}");
                next = expected.next();
            }
            true
        })
        .unwrap();
    assert_eq!(next, None, "an acknowledged entry is not in the tree");
    assert!(
        acknowledged.len() > 1_000,
        "only {} were acknowledged",
        acknowledged.len()
    );
    drop(log);
    let report = verify_tree(&root, &key()).unwrap();
    assert!(report.ok, "{:?}", report.findings);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn child_records_entries() {
    let (Ok(data), Ok(url)) = (std::env::var(DATA), std::env::var(STORE)) else {
        return;
    };
    let url: StoreUrl = url.parse().unwrap();
    let store = Store::open(&url).await.unwrap();
    let ledger = Ledger::open(
        Path::new(&data),
        Some(ORIGIN),
        store.clone(),
        std::sync::Arc::new(SystemClock),
    )
    .await
    .unwrap();
    acknowledge("\n");
    let ledger = std::sync::Arc::new(ledger);
    let stop = tokio_util::sync::CancellationToken::new();
    let running = std::sync::Arc::clone(&ledger);
    tokio::spawn(async move { running.run(stop).await });
    let mut writers = Vec::new();
    for writer in 0..4 {
        let (ledger, store) = (std::sync::Arc::clone(&ledger), store.clone());
        writers.push(tokio::spawn(async move {
            for n in 0.. {
                let mut tx = store.begin().await.unwrap();
                let subject = format!("thing-{writer}-{n}");
                let draft = EntryDraft::new("user:usr_1", "thing.changed", subject);
                let id = ledger.record(&mut tx, &draft).await.unwrap();
                if n % 7 == 3 {
                    tx.rollback().await.unwrap();
                    continue;
                }
                tx.commit().await.unwrap();
                let place = ledger.wait_sequenced(id).await.unwrap();
                acknowledge(&format!("ack {id} {}\n", place.index));
            }
        }));
    }
    for writer in writers {
        writer.await.unwrap();
    }
}

#[tokio::test]
async fn a_ledger_survives_a_hundred_kills_on_both_stores() {
    for store in stores().await {
        let data = store.path().join("data");
        std::fs::create_dir_all(data.join("keys")).unwrap();
        let file = data.join("keys/ledger.key");
        std::fs::write(&file, signer().to_secret_text()).unwrap();
        #[cfg(unix)]
        std::fs::set_permissions(&file, std::os::unix::fs::PermissionsExt::from_mode(0o600))
            .unwrap();
        let url = match &store.url {
            StoreUrl::Sqlite(path) => format!("sqlite:{}", path.display()),
            StoreUrl::Postgres(url) => url.clone(),
        };
        let root = data.join("ledger");
        let mut random = rand::rngs::StdRng::seed_from_u64(2);
        let mut acknowledged: BTreeMap<String, u64> = BTreeMap::new();
        let mut last = None;
        for round in 0..ROUNDS {
            let environment = [(DATA, data.to_str().unwrap()), (STORE, url.as_str())];
            let child = child("kill::child_records_entries", &environment);
            for (id, index) in kill_after(child, round % 2 == 0, &mut random) {
                assert_eq!(acknowledged.insert(id, index), None);
            }
            check_tree(&root, &mut last);
        }
        let ledger = Ledger::open(
            &data,
            Some(ORIGIN),
            store.store.clone(),
            std::sync::Arc::new(SystemClock),
        )
        .await
        .unwrap();
        ledger.sequence().await.unwrap();
        let report = sealwright_ledger::verify::verify_with_store(&root, &key(), &store.store)
            .await
            .unwrap();
        assert!(report.ok, "{}: {:?}", store.name, report.findings);
        assert_eq!(report.rows, Some(report.size));
        for (id, index) in &acknowledged {
            let row = ledger
                .entry(sealwright_core::TenantScope::All, id.parse().unwrap())
                .await
                .unwrap();
            assert_eq!(row.index, Some(*index), "{}", store.name);
        }
        let rows = store
            .fetch_one(sql("SELECT COUNT(*) AS n FROM ledger_entry"))
            .await
            .unwrap();
        assert_eq!(u64::try_from(rows.int("n").unwrap()).unwrap(), report.size);
        assert!(
            acknowledged.len() > 200,
            "{}: {}",
            store.name,
            acknowledged.len()
        );
    }
}
