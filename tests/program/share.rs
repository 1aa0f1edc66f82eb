//! Three servers of one database and one bucket, of which two are killed under load: totals are exact, and a question
//! that they answer together gives all rows or an error, never some.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::time::{Duration, Instant};

use serde_json::{Value, json};

use crate::backup::{event, metered, stored, tokens};
use crate::bucket::{beside, endpoint, in_bucket, make_bucket, set};
use crate::support::{Place, Server};

const BATCH: u32 = 20;

/// Sends batch after batch to whoever answers, each until it is acknowledged. The ids that were.
async fn send(bases: Vec<String>, key: String, stop: Arc<AtomicBool>) -> Vec<String> {
    let client = reqwest::Client::new();
    let mut acknowledged = Vec::new();
    for batch in 0_u32.. {
        if stop.load(Ordering::SeqCst) {
            break;
        }
        let ids: Vec<String> = (0..BATCH).map(|n| format!("n-{batch}-{n}")).collect();
        let events: Vec<Value> = ids.iter().map(|id| event(id)).collect();
        let body = Value::from(events).to_string();
        for attempt in 0_usize.. {
            assert!(attempt < 200, "nobody takes batch {batch}");
            let base = &bases[(batch as usize + attempt) % bases.len()];
            let request = client
                .post(format!("{base}/api/events"))
                .bearer_auth(&key)
                .header("content-type", "application/cloudevents-batch+json")
                .timeout(Duration::from_secs(10))
                .body(body.clone());
            match request.send().await {
                Ok(answer) if answer.status() == 202 => break,
                _ => tokio::time::sleep(Duration::from_millis(50)).await,
            }
        }
        acknowledged.extend(ids);
    }
    acknowledged
}

/// What the askers saw.
#[derive(Default)]
struct Seen {
    shared: AtomicU64,
    answers: AtomicU64,
    errors: AtomicU64,
}

/// Asks one server again and again. Offsets have no gaps, so as many rows as the highest of them says is all rows.
async fn ask(base: String, key: String, stop: Arc<AtomicBool>, seen: Arc<Seen>) {
    let client = reqwest::Client::new();
    let question = json!({
        "sql": "SELECT count(*), count(DISTINCT \"offset\"), max(\"offset\"), \
                sum(CASE WHEN type LIKE '%usage%' THEN 1 ELSE 0 END) FROM events"
    });
    let mut before = 0;
    while !stop.load(Ordering::SeqCst) {
        let request = client
            .post(format!("{base}/api/lake/query"))
            .bearer_auth(&key)
            .header("content-type", "application/json")
            .timeout(Duration::from_secs(60))
            .body(question.to_string());
        let answer = request.send().await.expect("the server answers");
        let status = answer.status().as_u16();
        let body = answer.bytes().await.expect("a body");
        let answer: Value = serde_json::from_slice(&body).expect("JSON");
        if status != 200 {
            // Clean: a problem that says what happened.
            assert!(
                answer["type"].is_string() && status == 503,
                "{status} {answer}"
            );
            seen.errors.fetch_add(1, Ordering::SeqCst);
            continue;
        }
        let number = |column: usize| answer["rows"][0][column].as_u64().unwrap_or_default();
        let (rows, distinct) = (number(0), number(1));
        assert_eq!(rows, distinct, "no row twice: {answer}");
        if rows > 0 {
            assert_eq!(rows, number(2) + 1, "no row missing: {answer}");
        }
        assert!(rows >= before, "no row lost: {before} then {answer}");
        before = rows;
        seen.answers.fetch_add(1, Ordering::SeqCst);
        if answer["processes"].as_u64() > Some(1) {
            seen.shared.fetch_add(1, Ordering::SeqCst);
        }
    }
}

async fn processes(server: &Server, key: &str) -> u64 {
    let question = json!({ "sql": "SELECT count(DISTINCT id) FROM events" });
    let answer = server.post(key, "/api/lake/query", &question).await;
    answer.expect(200).json()["processes"]
        .as_u64()
        .expect("a count")
}

/// Waits until so many processes answer together.
async fn together(server: &Server, key: &str, count: u64) {
    let since = Instant::now();
    while processes(server, key).await != count {
        let waited = since.elapsed();
        assert!(
            waited < Duration::from_secs(90),
            "{count} do not answer\n{}",
            server.log()
        );
        tokio::time::sleep(Duration::from_millis(200)).await;
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn three_servers_lose_two_under_load_and_totals_are_exact() {
    let Some(endpoint) = endpoint() else {
        return;
    };
    let Some(mut place) = Place::postgres().await else {
        return;
    };
    in_bucket(&mut place, &endpoint);
    let url = format!("s3://{}/lake", make_bucket(&endpoint).await);
    set(&mut place, "URL", &url);
    set(&mut place, "SHARE_LISTEN", "127.0.0.1:0");
    set(&mut place, "SHARE_BYTES", "1");
    let acme = place.key("acme", "events:write,lake:read,billing:read");
    let all = place.key_for_all("lake:read");
    let (second, third) = (beside(&place), beside(&place));
    let first = Server::start(&place);
    let (second, third) = (Server::start(&second), Server::start(&third));
    let writes = |server: &Server| server.log().contains("this process writes the lake");
    assert!(writes(&first));
    let warm: Vec<Value> = (0..50).map(|n| event(&format!("w-{n}"))).collect();
    second.events(&acme, &Value::from(warm)).await.expect(202);
    second.caught_up().await;
    together(&second, &all, 3).await;

    let stop = Arc::new(AtomicBool::new(false));
    let seen = Arc::new(Seen::default());
    let bases = [&first, &second, &third].map(|server| server.base.clone());
    let sending = tokio::spawn(send(bases.to_vec(), acme.clone(), Arc::clone(&stop)));
    let asking: Vec<_> = (0..2)
        .map(|_| {
            let (base, key) = (second.base.clone(), all.clone());
            tokio::spawn(ask(base, key, Arc::clone(&stop), Arc::clone(&seen)))
        })
        .collect();
    tokio::time::sleep(Duration::from_secs(3)).await;
    third.kill();
    tokio::time::sleep(Duration::from_secs(3)).await;
    assert!(seen.shared.load(Ordering::SeqCst) > 0);
    // The one that writes the lake: another takes over when its lease is over.
    first.kill();
    together(&second, &all, 1).await;
    let since = Instant::now();
    while !writes(&second) {
        assert!(
            since.elapsed() < Duration::from_secs(60),
            "{}",
            second.log()
        );
        tokio::time::sleep(Duration::from_millis(200)).await;
    }
    tokio::time::sleep(Duration::from_secs(2)).await;
    stop.store(true, Ordering::SeqCst);
    let mut ids = sending.await.unwrap();
    for one in asking {
        one.await.unwrap();
    }
    ids.extend((0..50).map(|n| format!("w-{n}")));
    second.caught_up().await;
    let found = stored(&second, &acme).await;
    assert_eq!(found.len(), ids.len());
    assert!(ids.iter().all(|id| found.contains(id)));
    let expected: u64 = ids.iter().map(|id| tokens(id)).sum();
    assert_eq!(metered(&second, &acme).await, expected);
    let answers = seen.answers.load(Ordering::SeqCst);
    assert!(answers > 10, "{answers} answers");
    eprintln!(
        "{} events; {answers} answers, {} of them shared, {} errors",
        ids.len(),
        seen.shared.load(Ordering::SeqCst),
        seen.errors.load(Ordering::SeqCst),
    );
    // They come back, and are asked again.
    let back = Server::start(&place);
    together(&back, &all, 2).await;
    assert!(back.stop().success() && second.stop().success());
    place.ok(&["doctor"]);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_cannot_be_shared_is_said_at_the_start() {
    let mut place = Place::sqlite();
    set(&mut place, "SHARE_LISTEN", "127.0.0.1:0");
    let refused = Server::try_start(&place).err().expect("no server on it");
    assert!(refused.contains("store.url"), "{refused}");
    set(&mut place, "SHARE_LISTEN", "somewhere");
    let refused = Server::try_start(&place).err().expect("no server on it");
    assert!(refused.contains("ADDRESS:PORT"), "{refused}");
}
