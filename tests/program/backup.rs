//! An installation is copied while it works, destroyed, and comes back.

use std::collections::{BTreeMap, BTreeSet};
use std::fs;
use std::io::Read as _;
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex};
use std::time::{Duration, Instant};

use jiff::ToSpan as _;
use serde_json::{Value, json};

use crate::support::{Place, Server, ago, ai, places, repository};

const TENANTS: [&str; 2] = ["acme", "globex"];

/// What each event of a tenant counts, so that totals follow from ids.
pub(crate) fn tokens(id: &str) -> u64 {
    id.bytes()
        .fold(7, |sum, byte| (sum * 31 + u64::from(byte)) % 9_973)
}

pub(crate) fn event(id: &str) -> Value {
    ai(id, &ago(3_600), "gpt-large", tokens(id), 1)
}

/// Sends batches until it is told to stop, and notes what was acknowledged.
async fn send(
    tenant: usize,
    key: String,
    base: String,
    acknowledged: Arc<Mutex<BTreeSet<String>>>,
    stop: Arc<AtomicBool>,
) -> BTreeMap<String, Value> {
    let client = reqwest::Client::new();
    let mut sent = BTreeMap::new();
    for batch in 0.. {
        if stop.load(Ordering::SeqCst) {
            break;
        }
        let ids: Vec<String> = (0..20)
            .map(|n| format!("{}-{batch}-{n}", TENANTS[tenant]))
            .collect();
        let events: Vec<Value> = ids.iter().map(|id| event(id)).collect();
        sent.extend(ids.iter().cloned().zip(events.iter().cloned()));
        let request = client
            .post(format!("{base}/api/events"))
            .bearer_auth(&key)
            .header("content-type", "application/cloudevents-batch+json")
            .body(Value::from(events).to_string());
        match request.send().await {
            Ok(answer) if answer.status() == 202 => acknowledged.lock().unwrap().extend(ids),
            _ => tokio::time::sleep(Duration::from_millis(5)).await,
        }
    }
    sent
}

/// Changes that the ledger records, until the server is gone.
async fn change(key: String, base: String, stop: Arc<AtomicBool>) {
    let client = reqwest::Client::new();
    for n in 0.. {
        if stop.load(Ordering::SeqCst) {
            break;
        }
        let request = client
            .post(format!("{base}/api/access/tenants"))
            .bearer_auth(&key)
            .header("content-type", "application/json")
            .body(json!({ "slug": format!("changed-{n}") }).to_string());
        let _ = request.send().await;
        tokio::time::sleep(Duration::from_millis(20)).await;
    }
}

/// The ids of the events that the lake of a server holds for a tenant.
pub(crate) async fn stored(server: &Server, key: &str) -> BTreeSet<String> {
    let question = json!({ "sql": "SELECT id FROM events WHERE type = 'sealwright.usage.ai.v1'" });
    let answer = server
        .post(key, "/api/lake/query", &question)
        .await
        .expect(200)
        .json();
    let rows = answer["rows"].as_array().expect("rows");
    let ids: Vec<String> = rows
        .iter()
        .map(|row| row[0].as_str().unwrap().to_owned())
        .collect();
    let set: BTreeSet<String> = ids.iter().cloned().collect();
    assert_eq!(set.len(), ids.len(), "each event once");
    set
}

/// Input tokens of the last two days, as metered.
pub(crate) async fn metered(server: &Server, key: &str) -> u64 {
    let path = format!(
        "/api/billing/usage?meter=ai.input_tokens&from={}",
        ago(2 * 86_400)
    );
    let usage = server.get(key, &path).await.expect(200).json();
    let quantities = usage["items"].as_array().expect("items").iter();
    quantities
        .map(|item| item["quantity"].as_str().unwrap().parse::<u64>().unwrap())
        .sum()
}

/// A finalised invoice of the last month: its id, and the bundle that was handed out.
pub(crate) async fn invoice(place: &Place, all: &str) -> (String, Vec<u8>) {
    let today = jiff::Timestamp::now().to_zoned(jiff::tz::TimeZone::UTC);
    let month = today.date().first_of_month() - 1.month();
    let plan = repository().join("examples/plans/starter.toml");
    place.ok(&[
        "billing",
        "price-book",
        "publish",
        &plan.display().to_string(),
    ]);
    let from = month.to_string();
    place.ok(&[
        "billing",
        "subscription",
        "set",
        "--tenant",
        "acme",
        "--price-book",
        "starter",
        "--from",
        &from,
    ]);
    let time = format!("{month}T10:00:00Z");
    let lines: Vec<String> = (0..50)
        .map(|n| ai(&format!("old-{n}"), &time, "gpt-large", 12_345, 678).to_string())
        .collect();
    let file = place.file("month.ndjson", lines.join("\n"));
    place.ok(&["billing", "usage", "import", &file, "--tenant", "acme"]);
    let server = Server::start(place);
    let wanted =
        json!({ "tenant": "acme", "month": month.strftime("%Y-%m").to_string(), "finalise": true });
    let path = "/api/billing/invoices/generate";
    let made = server.post(all, path, &wanted).await.expect(200).json();
    let id = made[0]["invoice"]["id"].as_str().expect("an id").to_owned();
    let bundle = bundle(&server, all, &id).await;
    assert!(server.stop().success());
    (id, bundle)
}

pub(crate) async fn bundle(server: &Server, all: &str, id: &str) -> Vec<u8> {
    let path = format!("/api/billing/invoices/{id}/bundle");
    server.get(all, &path).await.expect(200).body
}

/// The files of a bundle but the proof, which is renewed as the ledger grows.
pub(crate) fn documents(bundle: &[u8]) -> BTreeMap<String, Vec<u8>> {
    let mut zip = zip::ZipArchive::new(std::io::Cursor::new(bundle)).unwrap();
    let mut files = BTreeMap::new();
    for index in 0..zip.len() {
        let mut file = zip.by_index(index).unwrap();
        let name = file.name().unwrap().into_owned();
        let mut bytes = Vec::new();
        file.read_to_end(&mut bytes).unwrap();
        if !name.contains("proof") {
            files.insert(name, bytes);
        }
    }
    assert!(files.contains_key("invoice.json") && files.contains_key("events.ndjson"));
    files
}

/// The disk is gone, and so is the database.
async fn destroy(place: &mut Place) {
    fs::remove_dir_all(&place.data).unwrap();
    if place.url.is_some() {
        let other = Place::postgres().await.expect("PostgreSQL");
        place.url = other.url.clone();
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn destroyed_under_load_it_comes_back_with_every_total_and_proof() {
    for mut place in places().await {
        let keys = TENANTS.map(|tenant| place.key(tenant, "events:write,billing:read,lake:read"));
        let all = place.key_for_all("*");
        let (id, handed_out) = invoice(&place, &all).await;
        let key = place.json(&["ledger", "show"])["verifier_key"]
            .as_str()
            .unwrap()
            .to_owned();
        let server = Server::start(&place);
        let (stop, acknowledged) = (
            Arc::new(AtomicBool::new(false)),
            Arc::new(Mutex::new(BTreeSet::new())),
        );
        let senders: Vec<_> = (0..TENANTS.len())
            .map(|n| {
                let (key, base) = (keys[n].clone(), server.base.clone());
                tokio::spawn(send(
                    n,
                    key,
                    base,
                    Arc::clone(&acknowledged),
                    Arc::clone(&stop),
                ))
            })
            .collect();
        let changes = tokio::spawn(change(all.clone(), server.base.clone(), Arc::clone(&stop)));
        let since = Instant::now();
        while acknowledged.lock().unwrap().len() < 200 {
            assert!(
                since.elapsed() < Duration::from_secs(120),
                "{}",
                server.log()
            );
            tokio::time::sleep(Duration::from_millis(50)).await;
        }

        // Two copies while events, usage, ledger entries and the lake move: a folder, and a file.
        let mut backups = Vec::new();
        for name in ["copy", "copy.tar"] {
            let before = acknowledged.lock().unwrap().clone();
            let to = place.folder.join(name);
            let made = place.ok(&["backup", &to.display().to_string()]);
            assert!(
                made.out.contains("everything that was accepted before"),
                "{made:?}"
            );
            backups.push((to, before));
        }
        // It is destroyed in the middle of it.
        server.kill();
        stop.store(true, Ordering::SeqCst);
        let mut sent = Vec::new();
        for sender in senders {
            sent.push(sender.await.unwrap());
        }
        changes.await.unwrap();

        for (backup, before) in &backups {
            let backup = backup.display().to_string();
            place.ok(&["backup", "verify", &backup, "--key", &key]);
            destroy(&mut place).await;
            let restored = place.json(&["restore", &backup]);
            assert_eq!(
                restored["manifest"]["ledger"]["verifier_key"], key,
                "{restored}"
            );
            place.ok(&["ledger", "verify"]);
            place.ok(&["doctor"]);

            let server = Server::start(&place);
            server.caught_up().await;
            for (n, tenant) in TENANTS.iter().enumerate() {
                let there = stored(&server, &keys[n]).await;
                let there: BTreeSet<_> = there
                    .into_iter()
                    .filter(|id| !id.starts_with("old-"))
                    .collect();
                let wanted = before.iter().filter(|id| id.starts_with(tenant));
                let lost: Vec<_> = wanted.filter(|id| !there.contains(*id)).collect();
                assert!(lost.is_empty(), "{}: lost {lost:?}", place.name);
                assert!(there.iter().all(|id| sent[n].contains_key(id)));
                let total: u64 = there.iter().map(|id| tokens(id)).sum();
                assert_eq!(metered(&server, &keys[n]).await, total, "{}", place.name);
                // Whoever sends everything again is metered once.
                let everything: Vec<Value> = sent[n].values().cloned().collect();
                let mut accepted = 0;
                for batch in everything.chunks(5_000) {
                    let answer = server.events(&keys[n], &Value::from(batch.to_vec())).await;
                    accepted += answer.expect(202).json()["accepted"].as_u64().unwrap();
                }
                assert_eq!(accepted as usize, sent[n].len() - there.len());
            }
            server.caught_up().await;
            for n in 0..TENANTS.len() {
                let total: u64 = sent[n].keys().map(|id| tokens(id)).sum();
                assert_eq!(metered(&server, &keys[n]).await, total, "{}", place.name);
            }
            // What was handed out is still proven, and what is handed out now is the same.
            let now = bundle(&server, &all, &id).await;
            assert_eq!(documents(&now), documents(&handed_out));
            assert!(server.stop().success());
            for (name, bytes) in [("then.zip", &handed_out), ("now.zip", &now)] {
                let file = place.file(name, bytes);
                place.ok(&["verify", &file, "--key", &key]);
            }
            place.ok(&["ledger", "verify"]);
            place.ok(&["doctor"]);
            // A second one into the same place is refused, and changes nothing.
            let again = place.run(&["restore", &backup]);
            assert_eq!(again.code, 2, "{again:?}");
            assert!(again.err.contains("is not empty"), "{again:?}");
            place.ok(&["ledger", "verify"]);
        }
    }
}

/// A small installation and its backup.
fn small(place: &Place, more: &[&str]) -> PathBuf {
    place.ok(&["access", "tenant", "create", "acme"]);
    let file = place.file("one.ndjson", event("one").to_string());
    place.ok(&["billing", "usage", "import", &file, "--tenant", "acme"]);
    let to = place.folder.join("copy");
    place.ok(&[&["backup", &to.display().to_string()], more].concat());
    to
}

fn all_files(folder: &Path) -> Vec<PathBuf> {
    let mut found = Vec::new();
    for entry in fs::read_dir(folder).unwrap().flatten() {
        if entry.path().is_dir() {
            found.extend(all_files(&entry.path()));
        } else {
            found.push(entry.path());
        }
    }
    found.sort();
    found
}

#[tokio::test]
async fn every_damaged_file_of_a_backup_is_named_and_nothing_is_restored() {
    let place = Place::sqlite();
    let copy = small(&place, &[]);
    let from = copy.display().to_string();
    let target = Place::sqlite();
    let refused = |what: &str, named: &str| {
        let ran = place.run(&["backup", "verify", &from]);
        assert_eq!(ran.code, 1, "{what}: {ran:?}");
        assert!(ran.out.contains(named), "{what}: {named}: {ran:?}");
        let ran = target.run(&["restore", &from]);
        assert_eq!(ran.code, 2, "{what}: {ran:?}");
        assert!(ran.err.contains(named), "{what}: {named}: {ran:?}");
        let left: Vec<_> = fs::read_dir(&target.folder).unwrap().flatten().collect();
        assert!(left.is_empty(), "{what}: {left:?}");
    };
    let files = all_files(&copy);
    assert!(files.len() > 10, "{files:?}");
    // One of each part, so that a run stays short.
    let mut parts = BTreeSet::new();
    for path in &files {
        let name = path.strip_prefix(&copy).unwrap().display().to_string();
        let part = name.split(['/', '.']).next().unwrap().to_owned();
        if !parts.insert(part) {
            continue;
        }
        let whole = fs::read(path).unwrap();
        let mut damaged = whole.clone();
        let middle = damaged.len() / 2;
        damaged[middle] ^= 1;
        fs::write(path, &damaged).unwrap();
        refused("flipped", &name);
        fs::write(path, &whole[..middle]).unwrap();
        refused("cut", &name);
        fs::remove_file(path).unwrap();
        refused("missing", &name);
        fs::write(path, &whole).unwrap();
    }
    for part in [
        "SHA256SUMS",
        "keys",
        "lake",
        "ledger",
        "log",
        "manifest",
        "state",
    ] {
        assert!(parts.contains(part), "{part}: {parts:?}");
    }
    let more = copy.join("log/more.log");
    fs::write(&more, "more").unwrap();
    refused("more", "log/more.log is not part of the backup");
    fs::remove_file(&more).unwrap();
    // Another's key is not the one that signed.
    let other = Place::sqlite();
    other.ok(&["access", "tenant", "create", "other"]);
    let other = other.json(&["ledger", "show"])["verifier_key"].clone();
    let ran = place.run(&["backup", "verify", &from, "--key", other.as_str().unwrap()]);
    assert_eq!(ran.code, 1, "{ran:?}");
    // And whole again, it is taken.
    place.ok(&["backup", "verify", &from]);
    target.ok(&["restore", &from]);
    target.ok(&["ledger", "verify"]);
}

#[tokio::test]
async fn a_file_that_is_cut_off_or_changed_is_refused() {
    let place = Place::sqlite();
    small(&place, &[]);
    let tar = place.folder.join("copy.tar");
    let from = tar.display().to_string();
    place.ok(&["backup", &from]);
    let whole = fs::read(&tar).unwrap();
    for cut in [0, 700, whole.len() / 2, whole.len() - 4_096] {
        fs::write(&tar, &whole[..cut]).unwrap();
        let ran = place.run(&["backup", "verify", &from]);
        assert_eq!(ran.code, 1, "{cut}: {ran:?}");
    }
    // A name that leads out of the folder.
    let mut builder = tar::Builder::new(Vec::new());
    let mut header = tar::Header::new_gnu();
    header.set_size(4);
    header.as_old_mut().name[..9].copy_from_slice(b"../../out");
    header.set_cksum();
    builder.append(&header, &b"bad\n"[..]).unwrap();
    fs::write(&tar, builder.into_inner().unwrap()).unwrap();
    let target = Place::sqlite();
    let ran = target.run(&["restore", &from]);
    assert_eq!(ran.code, 2, "{ran:?}");
    assert!(ran.err.contains("names the place"), "{ran:?}");
    assert!(!target.folder.join("out").exists());
}

#[tokio::test]
async fn a_backup_is_not_written_over_anything() {
    let place = Place::sqlite();
    let copy = small(&place, &[]);
    let from = copy.display().to_string();
    let ran = place.run(&["backup", &from]);
    assert_eq!(ran.code, 2, "{ran:?}");
    assert!(ran.err.contains("never written over"), "{ran:?}");
    place.ok(&["backup", "verify", &from]);
    // What did not end stays away from the name.
    let other = place.folder.join("other");
    fs::create_dir(place.folder.join("other.partial")).unwrap();
    let ran = place.run(&["backup", &other.display().to_string()]);
    assert_eq!(ran.code, 2, "{ran:?}");
    assert!(ran.err.contains("other.partial"), "{ran:?}");
    // Nothing to copy is no backup.
    let empty = Place::sqlite();
    let ran = empty.run(&["backup", &other.display().to_string()]);
    assert_eq!(ran.code, 2, "{ran:?}");
}

#[tokio::test]
async fn sealed_secrets_come_back_only_with_their_key() {
    let place = Place::sqlite();
    place.ok(&["access", "tenant", "create", "acme"]);
    let file = place.file("secret", "https://hooks.slack.com/services/T/B/secret\n");
    let mut add = place.command();
    add.args(["notify", "channel", "create", "--name", "ops", "slack"]);
    add.stdin(fs::File::open(file).unwrap());
    let added = add.output().unwrap();
    assert!(added.status.success(), "{added:?}");
    let secret_keys = place.data.join("keys/secret.keys");
    let kept = fs::read(&secret_keys).unwrap();

    let apart = place.folder.join("apart").display().to_string();
    let made = place.ok(&["backup", &apart]);
    assert!(
        made.err.contains("keys/secret.keys is not in the backup"),
        "{made:?}"
    );
    let hex = String::from_utf8(kept.clone()).unwrap();
    let key = hex.lines().find(|line| !line.starts_with('#')).unwrap();
    for file in all_files(Path::new(&apart)) {
        let bytes = fs::read(&file).unwrap();
        assert!(!String::from_utf8_lossy(&bytes).contains(key), "{file:?}");
    }
    let target = Place::sqlite();
    let ran = target.run(&["restore", &apart]);
    assert_eq!(ran.code, 2, "{ran:?}");
    assert!(ran.err.contains("--secret-keys"), "{ran:?}");
    assert!(!target.data.exists());
    // Another key does not open them.
    let other = Place::sqlite();
    other.ok(&["notify", "channel", "list"]);
    let wrong = other.data.join("keys/secret.keys").display().to_string();
    assert_eq!(
        target
            .run(&["restore", &apart, "--secret-keys", &wrong])
            .code,
        2
    );
    let file = target.file("kept.keys", &kept);
    target.ok(&["restore", &apart, "--secret-keys", &file]);
    assert_eq!(
        fs::read(target.data.join("keys/secret.keys")).unwrap(),
        kept
    );

    let with = place.folder.join("with").display().to_string();
    place.ok(&["backup", &with, "--with-secret-keys"]);
    let target = Place::sqlite();
    target.ok(&["restore", &with]);
    assert_eq!(
        fs::read(target.data.join("keys/secret.keys")).unwrap(),
        kept
    );
}

#[tokio::test]
async fn a_backup_of_the_one_database_is_not_restored_to_the_other() {
    let Some(server) = Place::postgres().await else {
        return;
    };
    let place = Place::sqlite();
    let from = small(&place, &[]).display().to_string();
    let ran = server.run(&["restore", &from]);
    assert_eq!(ran.code, 2, "{ran:?}");
    assert!(ran.err.contains("SQLite"), "{ran:?}");
    assert!(!server.data.exists());
    // And a database that holds something is not touched.
    let from = small(&server, &[]).display().to_string();
    fs::remove_dir_all(&server.data).unwrap();
    let ran = server.run(&["restore", &from]);
    assert_eq!(ran.code, 2, "{ran:?}");
    assert!(ran.err.contains("not empty"), "{ran:?}");
}

/// Killed at any moment, a restore leaves no installation, and the next attempt starts over.
#[tokio::test]
async fn an_interrupted_restore_leaves_nothing_to_start_on() {
    for mut place in places().await {
        let from = small(&place, &[]).display().to_string();
        let key = place.json(&["ledger", "show"])["verifier_key"].clone();
        destroy(&mut place).await;
        for pause in [5, 30, 60, 120, 250] {
            let mut child = place
                .command()
                .args(["restore", &from])
                .stdout(std::process::Stdio::null())
                .stderr(std::process::Stdio::null())
                .spawn()
                .unwrap();
            tokio::time::sleep(Duration::from_millis(pause)).await;
            child.kill().unwrap();
            child.wait().unwrap();
            if place.data.exists() {
                // In its place: then it is whole, or its database says that it is not.
                let ran = place.run(&["access", "tenant", "list"]);
                if ran.code == 0 {
                    break;
                }
                assert!(ran.err.contains("filled from a copy"), "{ran:?}");
                fs::remove_dir_all(&place.data).unwrap();
            }
        }
        if !place.data.exists() {
            place.ok(&["restore", &from]);
        }
        assert_eq!(place.json(&["ledger", "show"])["verifier_key"], key);
        place.ok(&["ledger", "verify"]);
        place.ok(&["doctor"]);
        let left: Vec<_> = fs::read_dir(&place.folder).unwrap().flatten().collect();
        let left: Vec<_> = left.iter().map(|entry| entry.file_name()).collect();
        let mut left: Vec<_> = left.iter().map(|name| name.to_string_lossy()).collect();
        left.sort();
        left.retain(|name| name != "data.lock");
        assert_eq!(left, ["copy", "data", "one.ndjson"], "{}", place.name);
    }
}
