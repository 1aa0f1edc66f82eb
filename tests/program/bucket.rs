//! An installation whose lake moves to a bucket and back, with the store that `SEALWRIGHT_TEST_S3_OTHER` names: that
//! one makes a bucket for whoever asks.

use serde_json::Value;

use crate::backup::{event, stored};
use crate::support::{Place, Server};

pub(crate) fn endpoint() -> Option<String> {
    let endpoint = std::env::var("SEALWRIGHT_TEST_S3_OTHER").ok();
    if endpoint.is_none() {
        eprintln!("skipped: S3 (SEALWRIGHT_TEST_S3_OTHER is not set)");
    }
    endpoint
}

pub(crate) async fn make_bucket(endpoint: &str) -> String {
    let name = format!("program-{:016x}", rand::random::<u64>());
    let made = reqwest::Client::new()
        .put(format!("{endpoint}/{name}"))
        .send()
        .await
        .expect("the store answers");
    assert!(made.status().is_success(), "{made:?}");
    name
}

pub(crate) fn set(place: &mut Place, key: &str, value: &str) {
    let name = format!("SEALWRIGHT__LAKE__{key}");
    place.settings.retain(|(set, _)| *set != name);
    place.settings.push((name, value.to_owned()));
}

/// Another process of the same installation: its own folder, with the first one's keys.
pub(crate) fn beside(first: &Place) -> Place {
    let mut place = Place::sqlite();
    place.url.clone_from(&first.url);
    place.settings.clone_from(&first.settings);
    std::fs::create_dir_all(place.data.join("keys")).unwrap();
    for key in first.files("keys", "") {
        std::fs::copy(&key, place.data.join("keys").join(key.file_name().unwrap())).unwrap();
    }
    place
}

async fn send(server: &Server, key: &str, ids: std::ops::Range<u32>) {
    let batch: Vec<Value> = ids.map(|n| event(&format!("b-{n}"))).collect();
    server.events(key, &Value::from(batch)).await.expect(202);
    server.caught_up().await;
}

pub(crate) fn in_bucket(place: &mut Place, endpoint: &str) {
    set(place, "S3_ENDPOINT", endpoint);
    set(place, "S3_ACCESS_KEY", "testaccess");
    set(place, "S3_SECRET_KEY", "testsecret");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn servers_of_one_database_share_a_bucket_and_take_over_from_each_other() {
    let Some(endpoint) = endpoint() else {
        return;
    };
    let Some(mut place) = Place::postgres().await else {
        return;
    };
    in_bucket(&mut place, &endpoint);
    let url = format!("s3://{}/lake", make_bucket(&endpoint).await);
    set(&mut place, "URL", &url);
    let acme = place.key("acme", "events:write,lake:read");
    let other = beside(&place);
    let first = Server::start(&place);
    let second = Server::start(&other);
    send(&second, &acme, 0..40).await;
    first.caught_up().await;
    for server in [&first, &second] {
        assert_eq!(stored(server, &acme).await.len(), 40);
    }
    let writes = |server: &Server| server.log().contains("this process writes the lake");
    assert!(writes(&first) && !writes(&second));
    // Told to stop, it gives the lake up.
    assert!(first.stop().success());
    send(&second, &acme, 40..70).await;
    assert!(writes(&second));
    let first = Server::start(&place);
    send(&first, &acme, 70..80).await;
    second.caught_up().await;
    for server in [&first, &second] {
        assert_eq!(stored(server, &acme).await.len(), 80);
    }
    assert!(!writes(&first));
    assert!(first.stop().success() && second.stop().success());
    other.ok(&["doctor"]);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_lake_moves_to_a_bucket_and_back_and_everything_goes_on() {
    let Some(endpoint) = endpoint() else {
        return;
    };
    let url = format!("s3://{}/lake", make_bucket(&endpoint).await);
    let mut place = Place::sqlite();
    let acme = place.key("acme", "events:write,lake:read");
    let server = Server::start(&place);
    send(&server, &acme, 0..50).await;
    assert!(server.stop().success());

    in_bucket(&mut place, &endpoint);
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
    in_bucket(&mut place, &endpoint);
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
