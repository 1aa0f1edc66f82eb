//! `kill -9` while detecting: no alert is lost and none comes twice.
//!
//! The process that is killed is this test binary, started again with the name of the child test and
//! where to work.

use std::io::{BufRead as _, BufReader};
use std::process::{Command, Stdio};
use std::time::Duration;

use sealwright_core::{Id, TenantId};
use sealwright_events::{EventLog as _, ReadLimit, catch_up};
use sealwright_store::testing::{TestStore, sqlite};
use sealwright_store::{Store, StoreUrl};

use crate::support::{Memory, World, at, event, failure, key_made};

const STORE: &str = "SEALWRIGHT_TEST_KILL_SIEM";
const ROUNDS: u32 = 50;
const EVENTS: i64 = 4_000;

fn ends() -> (TenantId, TenantId) {
    let tenant = |n: u128| Id::from_uuid(uuid_of(n));
    (tenant(1), tenant(2))
}

fn uuid_of(n: u128) -> uuid::Uuid {
    uuid::Uuid::from_u128(0x0190_0000_0000_7000_8000_0000_0000_0000 | n)
}

/// The same events in each process.
fn fill(log: &Memory) {
    let (t, other) = ends();
    for second in 0..EVENTS {
        let tenant = if second % 5 == 0 { other } else { t };
        let user = format!("user-{}", second % 7);
        let data = match second % 97 {
            0 => key_made(&user),
            _ => failure(&user, &format!("198.51.100.{}", second % 11)),
        };
        log.push(event(tenant, "idp", second, second + second % 6, &data));
    }
}

async fn open(folder: &std::path::Path) -> TestStore {
    let url = StoreUrl::Sqlite(folder.join("state.sqlite"));
    let store = Store::open(&url).await.unwrap();
    let test = TestStore {
        store,
        name: "sqlite",
        url,
        folder: tempfile::tempdir_in(folder).unwrap(),
    };
    test.migrated(&[
        sealwright_events::COMPONENT,
        sealwright_ledger::COMPONENT,
        sealwright_siem::COMPONENT,
    ])
    .await
}

#[tokio::test]
async fn child_detects() {
    let Some(folder) = std::env::var_os(STORE) else {
        return;
    };
    let folder = std::path::PathBuf::from(folder);
    let test = open(&folder).await;
    let log = Memory::new();
    fill(&log);
    let world = World::start_in(&test, &folder.join("data"), log, ends()).await;
    // The mappings are read once a process; what is cut short is the work after it.
    sealwright_siem::service::normalise::normaliser().unwrap();
    println!("\nstarted");
    let limit = ReadLimit {
        events: 20,
        bytes: usize::MAX,
    };
    catch_up(world.log.as_ref(), &world.consumer, limit)
        .await
        .unwrap();
    println!("finished");
}

#[tokio::test]
async fn fifty_kills_lose_and_double_no_alert() {
    let calm = sqlite()
        .await
        .migrated(&[
            sealwright_events::COMPONENT,
            sealwright_ledger::COMPONENT,
            sealwright_siem::COMPONENT,
        ])
        .await;
    let log = Memory::new();
    fill(&log);
    let undisturbed = World::start(&calm, log, ends()).await;
    undisturbed.consume(10_000).await;
    undisturbed.settle(20_000).await;

    let folder = tempfile::tempdir().unwrap();
    let mut kills = 0;
    for round in 0..ROUNDS {
        let mut child = Command::new(std::env::current_exe().unwrap())
            .args([
                "kill::child_detects",
                "--exact",
                "--nocapture",
                "--test-threads=1",
            ])
            .env(STORE, folder.path())
            .stdout(Stdio::piped())
            .stderr(Stdio::null())
            .spawn()
            .unwrap();
        // In half of the rounds from the first batch on, in the others from the start of the process on,
        // so that opening and restoring are cut short too.
        if round % 2 == 0 {
            let out = BufReader::new(child.stdout.take().unwrap());
            let _ = out
                .lines()
                .map_while(Result::ok)
                .find(|line| line == "started");
        }
        std::thread::sleep(Duration::from_millis(u64::from(5 + round * 37 % 60)));
        if child.try_wait().unwrap().is_none() {
            kills += 1;
        }
        let _ = child.kill();
        child.wait().unwrap();
    }
    let test = open(folder.path()).await;
    let log = Memory::new();
    fill(&log);
    let last = World::start_in(&test, &folder.path().join("data"), log, ends()).await;
    let before = sealwright_events::cursor_of(&last.store, "siem-detection")
        .await
        .unwrap();
    last.consume(10_000).await;
    last.settle(20_000).await;
    assert!(
        kills > 10,
        "{kills} of {ROUNDS} were killed while they worked"
    );
    assert!(before > 0, "the killed ones got somewhere");
    let (t, other) = ends();
    for tenant in [t, other] {
        assert_eq!(undisturbed.told(tenant).await, last.told(tenant).await);
    }
    assert_eq!(
        last.log.head().await.unwrap(),
        u64::try_from(EVENTS).unwrap()
    );
    let _ = at(0);
}
