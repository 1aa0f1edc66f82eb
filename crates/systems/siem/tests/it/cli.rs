//! The commands that need nothing but files.

use std::io::Write as _;
use std::path::Path;

use clap::Parser;
use sealwright_siem::cli::{Output, SiemCommand, run_offline};

#[derive(Debug, Parser)]
#[command(name = "siem")]
struct Cli {
    #[arg(long, global = true)]
    json: bool,
    #[command(subcommand)]
    command: SiemCommand,
}

const RULES: &str = r"
title: Whoami
id: 6f3e2987-db24-4c78-a860-b4f4095a7095
name: whoami
status: test
author: A. Nalyst
date: 2026-01-01
level: low
tags: [attack.discovery, attack.t1033]
logsource: {product: windows, category: process_creation}
detection:
  selection: {Image|endswith: '\whoami.exe'}
  condition: selection
---
title: Whoami often
id: 11111111-db24-4c78-a860-b4f4095a7095
status: test
author: A. Nalyst
correlation:
  type: event_count
  rules: [whoami]
  group-by: [User]
  timespan: 5m
  condition: {gte: 2}
level: high
";

fn event(second: u32, user: &str) -> String {
    format!(
        r##"{{"Event":{{"System":{{"Channel":"Microsoft-Windows-Sysmon/Operational","EventID":1,"TimeCreated":{{"#attributes":{{"SystemTime":"2026-11-22T10:00:{second:02}Z"}}}}}},"EventData":{{"Image":"C:\\Windows\\System32\\whoami.exe","User":"{user}"}}}}}}"##
    )
}

pub(crate) fn run(folder: &Path, line: &str) -> (String, i32) {
    let words = std::iter::once("siem".to_owned()).chain(
        line.split_whitespace()
            .map(|word| word.replace("DIR", &folder.display().to_string())),
    );
    let cli = Cli::try_parse_from(words).unwrap();
    let (mut out, mut err) = (Vec::new(), Vec::new());
    let mut output = Output {
        out: &mut out,
        err: &mut err,
        json: cli.json,
    };
    let result = run_offline(&cli.command, &mut output);
    let code = match &result {
        Ok(true) => 0,
        Ok(false) => 1,
        Err(_) => 2,
    };
    let mut text = String::from_utf8(out).unwrap();
    text.push_str("-- stderr\n");
    text.push_str(&String::from_utf8(err).unwrap());
    if let Err(error) = result {
        text.push_str(&format!("error: {error}\n"));
    }
    let text = text.replace(&folder.display().to_string(), "DIR");
    // The seconds are the one thing that differs from run to run.
    let text = match text.split_once("\"seconds\":") {
        Some((before, after)) => {
            let rest = after.split_once('}').map_or("", |(_, rest)| rest);
            format!("{before}\"seconds\":S}}{rest}")
        }
        None => text,
    };
    (text, code)
}

fn folder() -> tempfile::TempDir {
    let folder = tempfile::tempdir().unwrap();
    let write = |name: &str, bytes: &[u8]| std::fs::write(folder.path().join(name), bytes).unwrap();
    write("rules.yml", RULES.as_bytes());
    let lines = [
        event(1, "ada"),
        event(2, "bob"),
        "not json".to_owned(),
        event(3, "ada"),
    ];
    let text = lines.join("\n");
    write("plain.ndjson", text.as_bytes());
    write(
        "list.json",
        format!("[{},{}]", event(4, "eve"), event(5, "eve")).as_bytes(),
    );
    write(
        "packed.ndjson.zst",
        &zstd::encode_all(text.as_bytes(), 3).unwrap(),
    );
    let mut gz = flate2::write::GzEncoder::new(Vec::new(), flate2::Compression::fast());
    gz.write_all(text.as_bytes()).unwrap();
    write("packed.ndjson.gz", &gz.finish().unwrap());
    write(
        "broken.yml",
        b"title: Broken\nlogsource: {product: windows}\ndetection:\n  a: {x|nope: 1}\n  condition: a and b\n",
    );
    folder
}

#[test]
fn rules_are_evaluated_over_files_of_every_packing() {
    let folder = folder();
    let (text, code) = run(
        folder.path(),
        "eval --rules DIR/rules.yml --events DIR/plain.ndjson DIR/list.json --json",
    );
    assert_eq!(code, 0, "{text}");
    insta::assert_snapshot!(text);
    let (plain, _) = run(
        folder.path(),
        "eval --rules DIR/rules.yml --events DIR/plain.ndjson --json",
    );
    for packing in ["packed.ndjson.zst", "packed.ndjson.gz"] {
        let line = format!("eval --rules DIR/rules.yml --events DIR/{packing} --json");
        let (packed, code) = run(folder.path(), &line);
        assert_eq!(code, 0);
        assert_eq!(packed.replace(packing, "plain.ndjson"), plain);
    }
    let (table, _) = run(
        folder.path(),
        "eval --rules DIR/rules.yml --events DIR/plain.ndjson",
    );
    insta::assert_snapshot!(table);
}

#[test]
fn without_normalising_records_are_taken_as_they_are() {
    let folder = folder();
    let (text, _) = run(
        folder.path(),
        "eval --rules DIR/rules.yml --events DIR/list.json --no-normalise --json",
    );
    assert!(text.contains("\"matches\":0"), "{text}");
    let (text, _) = run(
        folder.path(),
        "eval --rules DIR/rules.yml --events DIR/list.json --logsource product=linux --json",
    );
    assert!(text.contains("\"matches\":0"), "{text}");
}

#[test]
fn what_is_wrong_is_said_with_its_place() {
    let folder = folder();
    let (lint, code) = run(folder.path(), "lint DIR/broken.yml DIR/rules.yml");
    assert_eq!(code, 1);
    let (missing, code) = run(
        folder.path(),
        "eval --rules DIR/none.yml --events DIR/plain.ndjson",
    );
    assert_eq!(code, 2);
    let (nothing, code) = run(
        folder.path(),
        "eval --rules DIR/broken.yml --events DIR/plain.ndjson",
    );
    assert_eq!(code, 2);
    let (source, code) = run(
        folder.path(),
        "eval --rules DIR/rules.yml --events DIR/plain.ndjson --logsource vendor=x",
    );
    assert_eq!(code, 2);
    insta::assert_snapshot!([lint, missing, nothing, source].join("\n==\n"));
}

#[test]
fn rules_are_converted_as_a_whole_or_named() {
    let folder = folder();
    let mut all = String::new();
    for to in ["lucene", "eql", "esql", "spl"] {
        let (text, code) = run(folder.path(), &format!("convert --to {to} DIR/rules.yml"));
        all.push_str(&format!("== {to}, exit {code}\n{text}"));
    }
    insta::assert_snapshot!(all);
}

#[test]
fn an_event_is_explained() {
    let folder = folder();
    let (yes, code) = run(
        folder.path(),
        "explain --rule DIR/rules.yml --event DIR/list.json --index 1",
    );
    assert_eq!(code, 0, "{yes}");
    std::fs::write(
        folder.path().join("other.json"),
        event(1, "ada").replace("whoami.exe", "cmd.exe"),
    )
    .unwrap();
    let (no, code) = run(
        folder.path(),
        "explain --rule DIR/rules.yml --event DIR/other.json",
    );
    assert_eq!(code, 1, "{no}");
    let (beyond, code) = run(
        folder.path(),
        "explain --rule DIR/rules.yml --event DIR/list.json --index 7",
    );
    assert_eq!(code, 2);
    insta::assert_snapshot!([yes, no, beyond].join("\n==\n"));
}

/// Records of a real Windows event log; see beside it where it is from.
const LOG: &[u8] = include_bytes!("../../../../engines/ecs/tests/it/evtx/security.evtx");

const LOGON_FAILED: &str = r"
title: Logon failed
id: 22222222-db24-4c78-a860-b4f4095a7095
status: test
author: A. Nalyst
logsource: {product: windows, service: security}
detection:
  selection: {EventID: 4625, TargetUserName: Administrator}
  condition: selection
level: low
";

#[test]
fn a_windows_event_log_is_read_as_it_is_and_packed() {
    let folder = tempfile::tempdir().unwrap();
    let write = |name: &str, bytes: &[u8]| std::fs::write(folder.path().join(name), bytes).unwrap();
    write("failed.yml", LOGON_FAILED.as_bytes());
    write("security.evtx", LOG);
    write("security.evtx.zst", &zstd::encode_all(LOG, 3).unwrap());
    // A log is known by what it holds.
    write("without-ending", LOG);
    // The sixth record is damaged: the others are read.
    let mut damaged = LOG.to_vec();
    let records = LOG.windows(4).enumerate();
    let mut records = records.filter(|(_, four)| four == b"**\0\0");
    let (at, _) = records.nth(5).unwrap();
    damaged[at + 28..at + 64].fill(0xff);
    write("damaged.evtx", &damaged);
    for name in ["security.evtx", "security.evtx.zst", "without-ending"] {
        let (text, code) = run(
            folder.path(),
            &format!("eval --rules DIR/failed.yml --events DIR/{name} --json"),
        );
        assert_eq!(code, 0, "{text}");
        assert!(text.contains("\"event_index\":3"), "{text}");
        assert!(text.contains("\"events\":7"), "{text}");
        assert!(text.contains("\"matches\":1"), "{text}");
    }
    let (text, _) = run(
        folder.path(),
        "eval --rules DIR/failed.yml --events DIR/damaged.evtx --json",
    );
    assert!(
        text.contains("error: DIR/damaged.evtx: chunk 0: the checksum"),
        "{text}"
    );
    assert!(text.contains("record number 6: "), "{text}");
    assert!(text.contains("\"events\":6"), "{text}");
    let (text, code) = run(
        folder.path(),
        "eval --rules DIR/failed.yml --events DIR/security.evtx --no-normalise --json",
    );
    assert_eq!(code, 0, "{text}");
    // As it is, the fields have the names of the record.
    assert!(text.contains("\"matches\":0"), "{text}");
}
