//! Files of events, into the log.

use std::io::Write as _;
use std::path::Path;
use std::sync::{Arc, Mutex};

use async_trait::async_trait;
use clap::Parser;
use sealwright_access::{AccessPolicy, AccessService, NewTenant, Principal, Unrecorded};
use sealwright_cloudevents::Event;
use sealwright_core::TenantId;
use sealwright_events::{Appended, EventSink, SinkError};
use sealwright_siem::cli::{self, Output, SiemCommand};

use sealwright_store::testing::sqlite;

use crate::support::{World, worlds};

#[derive(Debug, Parser)]
struct Cli {
    #[command(subcommand)]
    command: SiemCommand,
}

/// Keeps events by source and id; refuses those of the type `bad`.
#[derive(Default)]
struct Kept(Mutex<Vec<Event>>);

#[async_trait]
impl EventSink for Kept {
    async fn append(&self, _tenant: TenantId, events: &[Event]) -> Result<Appended, SinkError> {
        let bad: Vec<(usize, String)> = events
            .iter()
            .enumerate()
            .filter(|(_, e)| e.event_type() == "bad")
            .map(|(i, _)| (i, "it is bad".to_owned()))
            .collect();
        if !bad.is_empty() {
            return Err(SinkError::Refused(bad));
        }
        let mut kept = self.0.lock().unwrap();
        let mut done = Appended::default();
        for event in events {
            let same = |e: &&Event| e.id() == event.id() && e.source() == event.source();
            if kept.iter().any(|e| same(&e)) {
                done.duplicates += 1;
            } else {
                kept.push(event.clone());
                done.accepted += 1;
            }
        }
        Ok(done)
    }
}

async fn import(world: &World, sink: &Arc<Kept>, folder: &Path, more: &str) -> (String, bool) {
    let dir = folder.display().to_string();
    let words = format!("siem import {dir} --tenant acme {more}");
    let cli = Cli::try_parse_from(words.split_whitespace()).unwrap();
    let mut siem = world.siem.clone();
    siem.sink = Some(Arc::clone(sink) as _);
    let (mut out, mut err) = (Vec::new(), Vec::new());
    let mut output = Output {
        out: &mut out,
        err: &mut err,
        json: true,
    };
    let good = cli::run(&siem, &cli.command, &mut output).await.unwrap();
    out.extend(err);
    (String::from_utf8(out).unwrap().replace(&dir, "DIR"), good)
}

#[tokio::test]
async fn lines_of_every_kind_become_events_and_again_the_same() {
    let (_store, mut world) = worlds().await.remove(0);
    let tenants = sqlite()
        .await
        .migrated(&[sealwright_access::COMPONENT])
        .await;
    let access = AccessService::new(
        tenants.store.clone(),
        Arc::new(world.clock.clone()),
        Arc::new(Unrecorded),
        AccessPolicy::default(),
    );
    let acme = NewTenant {
        slug: "acme".to_owned(),
        ..NewTenant::default()
    };
    access
        .create_tenant(&Principal::local(), acme)
        .await
        .unwrap();
    world.siem.directory = access.directory().clone();
    let folder = tempfile::tempdir().unwrap();
    let trail = r#"{"eventVersion":"1.08","eventTime":"2020-01-02T03:04:05Z","eventSource":"iam.amazonaws.com","eventName":"CreateUser","awsRegion":"x"}"#;
    let lines = [
        trail,
        trail,
        &format!("{{\"Records\":[{trail},{}]}}", trail.replace("CreateUser", "DeleteUser")),
        "<86>1 2026-11-18T00:00:00Z web1 sshd 8 - - Accepted password for ada from 192.0.2.7 port 5 ssh2",
        r#"{"specversion":"1.0","id":"own","source":"/own","type":"own.type","data":{"a":1}}"#,
        "",
        "{\"cut\":",
    ]
    .join("\n");
    let mut gz = flate2::write::GzEncoder::new(Vec::new(), flate2::Compression::fast());
    gz.write_all(lines.as_bytes()).unwrap();
    std::fs::write(folder.path().join("a.ndjson.gz"), gz.finish().unwrap()).unwrap();
    std::fs::write(folder.path().join("b.json"), "[{\"a\":1},\n{\"a\":2}]").unwrap();
    let sink = Arc::new(Kept::default());
    let (told, good) = import(&world, &sink, folder.path(), "").await;
    assert!(!good && told.contains("a.ndjson.gz:7:"), "{told}");
    assert!(
        told.contains("\"accepted\": 8") && told.contains("\"refused\": 1"),
        "{told}"
    );
    let kept = sink.0.lock().unwrap().clone();
    let shown: Vec<(&str, &str)> = kept.iter().map(|e| (e.event_type(), e.source())).collect();
    assert_eq!(
        shown,
        [
            ("aws.cloudtrail", "/import/a.ndjson.gz"),
            ("aws.cloudtrail", "/import/a.ndjson.gz"),
            ("aws.cloudtrail", "/import/a.ndjson.gz"),
            ("aws.cloudtrail", "/import/a.ndjson.gz"),
            ("system.auth", "/import/a.ndjson.gz"),
            ("own.type", "/own"),
            ("generic", "/import/b.json"),
            ("generic", "/import/b.json"),
        ]
    );
    assert!(
        kept[0].json().contains("\"time\":\"2020-01-02T03:04:05"),
        "{}",
        kept[0].json()
    );
    let (told, _) = import(&world, &sink, folder.path(), "").await;
    assert!(
        told.contains("\"accepted\": 0") && told.contains("\"duplicates\": 8"),
        "{told}"
    );
    std::fs::remove_file(folder.path().join("a.ndjson.gz")).unwrap();
    let (told, good) = import(&world, &sink, folder.path(), "--type bad --source /x").await;
    assert!(!good && told.contains("DIR/b.json:1: it is bad"), "{told}");
    assert!(told.contains("\"refused\": 2"), "{told}");
}
