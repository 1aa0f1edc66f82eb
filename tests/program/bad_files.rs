//! Damaged files, a full disk, a folder that is in use: said clearly and where, and nothing half done.

use std::path::{Path, PathBuf};
use std::process::Command;
use std::time::Duration;

use serde_json::json;

use crate::support::{Place, Server, ago, ai, redacted};

/// Overwrites bytes of a file.
fn damage(file: &Path, offset: usize, bytes: &[u8]) {
    let mut content = std::fs::read(file).unwrap();
    content[offset..offset + bytes.len()].copy_from_slice(bytes);
    std::fs::write(file, content).unwrap();
}

#[test]
fn a_damaged_database_is_named() {
    const PAGE: usize = 4_096;
    for (name, at, bytes) in [
        ("the header", 0, 100),
        ("the schema", 100, 200),
        ("a page of a table", 3 * PAGE, 64),
    ] {
        let place = Place::sqlite();
        for tenant in ["acme", "globex"] {
            place.key(tenant, "events:write");
        }
        // A server that was told to stop leaves all of it in the main file.
        assert!(Server::start(&place).stop().success());
        let file = place.data.join("state.sqlite");
        place.ok(&["doctor"]);
        damage(&file, at, &vec![0xa5; bytes]);
        let doctor = place.run(&["doctor"]);
        assert_eq!(doctor.code, 1, "{name}: {doctor:?}");
        let line = doctor
            .out
            .lines()
            .find(|line| line.contains("database"))
            .unwrap();
        assert!(line.starts_with("wrong"), "{name}: {line}");
        assert!(
            line.contains("state.sqlite") || line.contains("page") || line.contains("Page"),
            "{name}: where? {line}"
        );
        // A server starts on it only if what it reads is whole.
        if let Err(log) = Server::try_start(&place) {
            assert!(log.contains("error: "), "{name}: {log}");
            assert!(log.contains("state.sqlite"), "{name}: {log}");
            assert!(!log.contains("panicked"), "{name}: {log}");
        } else {
            assert_eq!(
                name, "a page of a table",
                "a server started in spite of {name}"
            );
        }
    }
}

#[tokio::test]
async fn a_file_that_ends_early_is_named_and_what_is_no_part_of_the_lake_is_not_read() {
    let place = Place::sqlite();
    let key = place.key("acme", "events:write,billing:read,lake:read");
    let server = Server::start(&place);
    let batch: Vec<_> = (0..50)
        .map(|n| ai(&format!("e{n}"), &ago(60), "m", 1, 1))
        .collect();
    server.events(&key, &json!(batch)).await.expect(202);
    server.caught_up().await;
    assert!(server.stop().success());
    let count = [
        "lake",
        "query",
        "SELECT count(*) AS n, max(json) AS j FROM events",
    ];
    let before = place.ok(&count).out;
    let files = place.files("lake", ".parquet");
    let whole = std::fs::read(&files[0]).unwrap();

    // What a killed writer leaves behind is in the folder and not in the table's log.
    let beside = files[0].with_file_name("part-00000-half.zstd.parquet");
    std::fs::write(&beside, &whole[..whole.len() / 2]).unwrap();
    assert_eq!(place.ok(&count).out, before);

    std::fs::write(&files[0], &whole[..whole.len() / 2]).unwrap();
    let ran = place.run(&count);
    assert_eq!(ran.code, 2, "{ran:?}");
    let name = files[0].file_name().unwrap().to_string_lossy().into_owned();
    assert!(ran.err.contains(&name), "which file? {}", ran.err);
    let doctor = place.run(&["doctor"]);
    assert_eq!(doctor.code, 1, "{doctor:?}");
    assert!(doctor.out.contains(&name), "which file? {}", doctor.out);
    // Metering goes on, and the server answers a question with a problem.
    let server = Server::start(&place);
    let more = json!([ai("more", &ago(60), "m", 1, 1)]);
    server.events(&key, &more).await.expect(202);
    let question = json!({ "sql": "SELECT max(json) FROM events" });
    let answer = server.post(&key, "/api/lake/query", &question).await;
    assert!(
        answer.status >= 500 && !answer.problem().is_empty(),
        "{}",
        answer.text()
    );
    // The log is read by another thread.
    for _ in 0..200 {
        if server.log().contains(&name) {
            break;
        }
        tokio::time::sleep(Duration::from_millis(20)).await;
    }
    assert!(server.log().contains(&name), "which file? {}", server.log());
    let usage = format!("/api/billing/usage?meter=ai.requests&from={}", ago(86_400));
    for _ in 0..200 {
        let usage = server.get(&key, &usage).await.expect(200).json();
        if usage["items"][0]["quantity"] == "51" {
            return;
        }
        tokio::time::sleep(Duration::from_millis(20)).await;
    }
    panic!(
        "the event after the damage is not metered\n{}",
        server.log()
    );
}

#[test]
fn a_price_book_with_faults_is_refused_with_every_place() {
    let place = Place::sqlite();
    let file = place.file(
        "book.toml",
        r#"id = "faults"
version = 1
title = "Faults"
currency = "USD"
effective_from = 2025-01-01

[[prices]]
meter = "bandwidth.gb"
model = "graduated"
tiers = [
    { up_to = "100", unit = "0" },
    { up_to = "50", unit = "0.09" },
]

[[prices]]
meter = "ai.input_tokens"
match = { model = "gpt-large" }
model = "per_unit"
unit = "0.01"

[[prices]]
meter = "ai.input_tokens"
match = { region = "eu-west-1" }
model = "per_unit"
unit = "-0.02"
"#,
    );
    let check = place.run(&["billing", "price-book", "check", &file]);
    assert_eq!(check.code, 1, "{check:?}");
    let publish = place.run(&["billing", "price-book", "publish", &file]);
    assert_ne!(publish.code, 0);
    let said = format!(
        "{}{}\npublish:\n{}{}",
        check.out, check.err, publish.out, publish.err
    );
    insta::assert_snapshot!(
        "price_book",
        redacted(&said).replace("FOLDER/", ""),
        "check, publish"
    );
    assert_eq!(place.json(&["billing", "price-book", "list"]), json!([]));
}

#[tokio::test]
async fn one_process_at_a_time_has_a_data_folder() {
    let place = Place::sqlite();
    let server = Server::start(&place);
    let holder = format!("process {}", server.child.id());
    for args in [
        &["access", "tenant", "list"][..],
        &["billing", "invoice", "list"],
        &["serve", "--listen", "127.0.0.1:0"],
        &["jobs", "list"],
    ] {
        let ran = place.run(args);
        assert_eq!(ran.code, 2, "{args:?}: {ran:?}");
        assert!(ran.err.contains(&holder), "{args:?}: {}", ran.err);
        assert!(ran.err.contains("in use"), "{args:?}: {}", ran.err);
    }
    // It does not keep anybody out for ever, however it ends.
    server.kill();
    place.ok(&["access", "tenant", "list"]);
}

/// A file system of a few megabytes on the data folder.
struct Small(PathBuf);

impl Small {
    fn mount(folder: &Path) -> Option<Self> {
        std::fs::create_dir_all(folder).unwrap();
        let mounted = Command::new("mount")
            .args(["-t", "tmpfs", "-o", "size=192m", "tmpfs"])
            .arg(folder)
            .output();
        match mounted {
            Ok(output) if output.status.success() => Some(Self(folder.to_owned())),
            Ok(output) => {
                eprintln!(
                    "skipped: a full disk ({})",
                    String::from_utf8_lossy(&output.stderr).trim()
                );
                None
            }
            Err(error) => {
                eprintln!("skipped: a full disk (mount: {error})");
                None
            }
        }
    }
}

impl Drop for Small {
    fn drop(&mut self) {
        let _ = Command::new("umount")
            .args(["--lazy"])
            .arg(&self.0)
            .status();
    }
}

/// Writes until nothing more fits.
fn fill(file: &Path) {
    use std::io::Write as _;
    let mut ballast = std::fs::File::create(file).unwrap();
    let mut size = 1 << 20;
    while size > 0 {
        if ballast.write_all(&vec![1; size]).is_err() {
            size /= 2;
        }
    }
}

#[tokio::test]
async fn a_full_disk_refuses_what_it_cannot_keep_and_needs_no_restart() {
    let place = Place::sqlite();
    let Some(_small) = Small::mount(&place.data) else {
        return;
    };
    let key = place.key("acme", "events:write,billing:read");
    let mut server = Server::start(&place);
    let event = |n: usize| json!([ai(&format!("e{n}"), &ago(60), "m", 1, 1)]);
    server.events(&key, &event(0)).await.expect(202);
    server.caught_up().await;
    let ballast = place.data.join("ballast");
    fill(&ballast);
    // What still fits is accepted and durable; what does not is refused.
    let (mut accepted, mut refused) = (1, Vec::new());
    for n in 1..200 {
        let mut batch: Vec<_> = Vec::new();
        for part in 0..200 {
            let mut event = ai(&format!("e{n}-{part}"), &ago(60), "m", 1, 1);
            // Does not pack well.
            event["data"]["note"] = (0..8)
                .map(|_| format!("{:016x}", rand::random::<u64>()))
                .collect();
            batch.push(event);
        }
        let answer = server.events(&key, &json!(batch)).await;
        match answer.status {
            202 => accepted += 200,
            503 => {
                assert_eq!(answer.problem(), "storage-full", "{}", answer.text());
                assert!(answer.headers.contains_key("retry-after"));
                refused.push(batch);
            }
            other => panic!("{other}: {}", answer.text()),
        }
        if refused.len() == 3 {
            break;
        }
    }
    assert_eq!(refused.len(), 3, "the disk was never full");
    let usage = format!("/api/billing/usage?meter=ai.requests&from={}", ago(86_400));
    server.get(&key, &usage).await.expect(200);
    assert!(server.runs());
    std::fs::remove_file(&ballast).unwrap();
    for batch in &refused {
        let answer = server.events(&key, &json!(batch)).await.expect(202).json();
        assert_eq!(
            answer["accepted"], 200,
            "nothing of it was kept before: {answer}"
        );
        accepted += 200;
    }
    let ready = server.caught_up().await;
    assert_eq!(ready["log_head"], accepted);
    let usage = server.get(&key, &usage).await.expect(200).json();
    assert_eq!(usage["items"][0]["quantity"], accepted.to_string());
    assert!(server.stop().success());
    place.ok(&["ledger", "verify"]);
}
