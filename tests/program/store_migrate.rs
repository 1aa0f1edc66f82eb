//! An installation moves from SQLite to PostgreSQL and back, and nothing that it says changes.

use std::collections::BTreeMap;
use std::fs;

use serde_json::{Value, json};

use crate::backup::{bundle, documents, event, invoice, metered, stored, tokens};
use crate::support::{Place, Server, sql};

/// Everything that is compared before and after a move.
#[derive(Debug, PartialEq)]
struct Said {
    head: Value,
    stored: usize,
    metered: u64,
    documents: BTreeMap<String, Vec<u8>>,
}

async fn said(place: &Place, all: &str, acme: &str, id: &str, key: &str) -> Said {
    place.ok(&["ledger", "verify"]);
    place.ok(&["doctor"]);
    let server = Server::start(place);
    let ready = server.caught_up().await;
    let bundle = bundle(&server, all, id).await;
    let said = Said {
        head: ready["log_head"].clone(),
        stored: stored(&server, acme).await.len(),
        metered: metered(&server, acme).await,
        documents: documents(&bundle),
    };
    assert!(server.stop().success());
    let file = place.file("bundle.zip", &bundle);
    place.ok(&["verify", &file, "--key", key]);
    said
}

/// Sends events again, and one that is new.
async fn send(place: &Place, acme: &str, sent: &mut Vec<Value>, more: &str) {
    let server = Server::start(place);
    let known = sent.len();
    sent.push(event(more));
    let told = server.events(acme, &Value::from(sent.clone())).await;
    let told = told.expect(202).json();
    let wanted = (json!(1), json!(known));
    assert_eq!(
        (told["accepted"].clone(), told["duplicates"].clone()),
        wanted,
        "{}: {told}",
        place.name
    );
    server.caught_up().await;
    assert!(server.stop().success());
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn to_postgresql_and_back_with_every_total_and_proof() {
    let Some(mut other) = Place::postgres().await else {
        return;
    };
    let url = other.url.take().unwrap();
    let mut place = Place::sqlite();
    let acme = place.key("acme", "events:write,billing:read,lake:read");
    let all = place.key_for_all("*");
    let (id, _) = invoice(&place, &all).await;
    let key = place.json(&["ledger", "show"])["verifier_key"].clone();
    let key = key.as_str().unwrap().to_owned();
    let ids: Vec<String> = (0..300).map(|n| format!("moved-{n}")).collect();
    let mut sent: Vec<Value> = ids.iter().map(|id| event(id)).collect();
    let server = Server::start(&place);
    for batch in sent.chunks(100) {
        let batch = Value::from(batch.to_vec());
        server.events(&acme, &batch).await.expect(202);
    }
    server.caught_up().await;
    // Not while it is written to.
    let busy = place.run(&["store", "migrate", "--to", &url]);
    assert_eq!(busy.code, 2, "{busy:?}");
    assert!(
        busy.err.contains("in use by another sealwright process"),
        "{busy:?}"
    );
    // A subject is erased, also from the log, and still recognised.
    let erasure = json!({ "tenant": "acme", "subject": "user-9", "reason": "asked" });
    let erased = server.post(&all, "/api/lake/erasures", &erasure).await;
    assert_eq!(erased.expect(200).json()["log_cleared"], true);
    assert!(server.stop().success());
    assert!(
        !place.files("log", ".ids").is_empty(),
        "identities are kept"
    );
    let before = said(&place, &all, &acme, &id, &key).await;
    assert_eq!(before.metered, ids.iter().map(|id| tokens(id)).sum::<u64>());

    // What was interrupted is refused as a database, and the next attempt starts over.
    sql(
        &url,
        "CREATE TABLE store_import (began_at BIGINT NOT NULL); CREATE TABLE half (n BIGINT)",
    )
    .await;
    other.url = Some(url.clone());
    let half = Server::try_start(&other).err().expect("no server on it");
    assert!(half.contains("filled from a copy"), "{half}");
    other.url = None;
    let moved = place.json(&["store", "migrate", "--to", &url]);
    assert_eq!(moved["verified"], true, "{moved}");
    assert_eq!(moved["events"]["next"], before.head, "{moved}");
    let again = place.run(&["store", "migrate", "--to", &url]);
    assert_eq!(again.code, 2, "{again:?}");
    assert!(again.err.contains("is not empty"), "{again:?}");
    // The source is as it was. No server is started on it: the ledger would go on in two ways.
    place.ok(&["ledger", "verify"]);
    place.ok(&["doctor"]);

    place.url = Some(url.clone());
    assert_eq!(said(&place, &all, &acme, &id, &key).await, before);
    send(&place, &acme, &mut sent, "on-postgres").await;
    let after = said(&place, &all, &acme, &id, &key).await;
    assert_eq!(after.metered, before.metered + tokens("on-postgres"));

    // Back: the old files are in the way until somebody moves them.
    let home = format!("sqlite:{}", place.data.join("state.sqlite").display());
    let full = place.run(&["store", "migrate", "--to", &home]);
    assert_eq!(full.code, 2, "{full:?}");
    assert!(full.err.contains("move it away"), "{full:?}");
    fs::rename(place.data.join("log"), place.folder.join("old-log")).unwrap();
    for name in ["state.sqlite", "state.sqlite-wal", "state.sqlite-shm"] {
        let _ = fs::remove_file(place.data.join(name));
    }
    let server = Server::start(&place);
    let busy = place.run(&["store", "migrate", "--to", &home]);
    assert_eq!(busy.code, 2, "{busy:?}");
    assert!(server.stop().success());
    let moved = place.json(&["store", "migrate", "--to", &home]);
    assert_eq!(moved["verified"], true, "{moved}");
    place.url = None;
    assert_eq!(said(&place, &all, &acme, &id, &key).await, after);
    send(&place, &acme, &mut sent, "home").await;
}
