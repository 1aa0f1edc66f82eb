//! An installation whose lake moves to a bucket and back, with the store that `SEALWRIGHT_TEST_S3_OTHER` names: that
//! one makes a bucket for whoever asks.

use serde_json::Value;

use crate::backup::{event, stored};
use crate::support::{Place, Server};

async fn make_bucket(endpoint: &str) -> String {
    let name = format!("program-{:016x}", rand::random::<u64>());
    let made = reqwest::Client::new()
        .put(format!("{endpoint}/{name}"))
        .send()
        .await
        .expect("the store answers");
    assert!(made.status().is_success(), "{made:?}");
    name
}

fn set(place: &mut Place, key: &str, value: &str) {
    let name = format!("SEALWRIGHT__LAKE__{key}");
    place.settings.retain(|(set, _)| *set != name);
    place.settings.push((name, value.to_owned()));
}

async fn send(server: &Server, key: &str, ids: std::ops::Range<u32>) {
    let batch: Vec<Value> = ids.map(|n| event(&format!("b-{n}"))).collect();
    server.events(key, &Value::from(batch)).await.expect(202);
    server.caught_up().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_lake_moves_to_a_bucket_and_back_and_everything_goes_on() {
    let Ok(endpoint) = std::env::var("SEALWRIGHT_TEST_S3_OTHER") else {
        eprintln!("skipped: S3 (SEALWRIGHT_TEST_S3_OTHER is not set)");
        return;
    };
    let url = format!("s3://{}/lake", make_bucket(&endpoint).await);
    let mut place = Place::sqlite();
    let acme = place.key("acme", "events:write,lake:read");
    let server = Server::start(&place);
    send(&server, &acme, 0..50).await;
    assert!(server.stop().success());

    set(&mut place, "S3_ENDPOINT", &endpoint);
    set(&mut place, "S3_ACCESS_KEY", "testaccess");
    set(&mut place, "S3_SECRET_KEY", "testsecret");
    // A bucket alone is not the lake.
    set(&mut place, "URL", &url);
    let empty = Server::try_start(&place).err().expect("no server on it");
    assert!(empty.contains("sealwright lake move"), "{empty}");
    set(&mut place, "URL", "");
    let moved = place.ok(&["lake", "move", "--to", &url, "--output", "json"]);
    assert_eq!(moved.json()["rows"], 50);
    assert!(
        moved.err.contains(&format!("lake.url = \"{url}\"")),
        "{}",
        moved.err
    );
    let before = place.data.join("lake/events");
    std::fs::rename(&before, place.folder.join("before")).unwrap();
    set(&mut place, "URL", &url);

    let server = Server::start(&place);
    assert_eq!(stored(&server, &acme).await.len(), 50);
    send(&server, &acme, 50..80).await;
    assert_eq!(stored(&server, &acme).await.len(), 80);
    // A command beside it reads, and another writer is told that there is one.
    assert_eq!(place.json(&["lake", "status"])["rows"], 80);
    // Killed, it goes on at once, and not after the time of its lease.
    server.kill();
    let server = Server::start(&place);
    assert!(server.start.as_secs() < 25, "{:?}", server.start);
    send(&server, &acme, 80..90).await;
    assert_eq!(stored(&server, &acme).await.len(), 90);
    let copy = place.folder.join("copy.tar").display().to_string();
    place.ok(&["backup", &copy]);
    assert!(server.stop().success());
    place.ok(&["doctor"]);
    let compacted = place.json(&["lake", "compact"]);
    assert!(compacted["vacuum"]["waiting"].is_number(), "{compacted}");

    // A backup is restored to a folder.
    let mut other = Place::sqlite();
    other.settings.clone_from(&place.settings);
    let refused = other.run(&["restore", &copy]);
    assert_eq!(refused.code, 2, "{refused:?}");
    assert!(refused.err.contains("lake.url"), "{refused:?}");
    other.settings.clear();
    other.ok(&["restore", &copy]);
    other.ok(&["doctor"]);
    assert_eq!(other.json(&["lake", "status"])["rows"], 90);

    // Back.
    let home = place.data.join("lake").display().to_string();
    let back = place.json(&["lake", "move", "--to", &home]);
    assert_eq!(back["rows"], 90);
    place.settings.clear();
    let server = Server::start(&place);
    send(&server, &acme, 90..95).await;
    assert_eq!(stored(&server, &acme).await.len(), 95);
    assert!(server.stop().success());
    place.ok(&["doctor"]);

    // What is wrong with a bucket is said at the start, with what to do and without the key.
    set(&mut place, "S3_ENDPOINT", &endpoint);
    set(&mut place, "S3_ACCESS_KEY", "testaccess");
    set(&mut place, "S3_SECRET_KEY", "not-to-be-shown");
    set(&mut place, "URL", "s3://nobody-made-this-one/lake");
    let missing = Server::try_start(&place).err().expect("no server on it");
    assert!(missing.contains("there is no such bucket"), "{missing}");
    assert!(!missing.contains("not-to-be-shown"), "{missing}");
    let shown = place.ok(&["config", "show"]);
    assert!(!shown.out.contains("not-to-be-shown"), "{}", shown.out);
    set(&mut place, "URL", "bucket");
    let wrong = Server::try_start(&place).err().expect("no server on it");
    assert!(wrong.contains("lake.url"), "{wrong}");
}
