//! Streams of any length: every finding once, in its place, in the order of the items.

use std::sync::Arc;

use sealwright_dlp::service::files::{self, Body, Effort, Event, Item, Progress};
use sealwright_scan::document::Outcome;
use sealwright_scan::{FingerprintKey, Options, Scanner};

const CARD: &str = "4111111111111111";

/// Small sizes, so that the test is quick.
const EFFORT: Effort = Effort {
    threads: 2,
    text: 64 << 10,
    document: 1 << 20,
};

fn scanner() -> Scanner {
    let detectors = sealwright_scan::detector::builtin()
        .unwrap()
        .into_iter()
        .filter(|one| one.id == "payment_card")
        .collect();
    Scanner::new(detectors, Options::new(FingerprintKey::new(b"test"))).unwrap()
}

#[test]
fn a_long_text_is_read_in_pieces_and_gives_each_finding_once() {
    let folder = tempfile::tempdir().unwrap();
    let mut text = Vec::new();
    let mut wanted = Vec::new();
    while text.len() < 9 << 20 {
        // A little short of the size of the pieces, so that the values wander over their ends.
        text.resize(text.len() + 1_048_571, b'.');
        text.push(b' ');
        wanted.push(text.len() as u64);
        text.extend_from_slice(CARD.as_bytes());
        text.push(b'\n');
    }
    let path = folder.path().join("long.txt");
    std::fs::write(&path, &text).unwrap();
    let item: Item = Item {
        name: "long.txt".into(),
        note: None,
        body: Body::File(path),
    };
    let progress = Progress::default();
    let (mut found, mut ended) = (Vec::new(), None);
    files::scan(&scanner(), [item].into_iter(), EFFORT, &progress, |event| {
        match event {
            Event::Found { findings, .. } => found.extend(findings),
            Event::End { report, .. } => ended = Some(report),
            Event::Unreadable { why, .. } => panic!("{why}"),
            Event::Skipped { .. } => panic!("nothing is skipped"),
        }
        Ok(())
    })
    .unwrap();
    let places: Vec<u64> = found.iter().map(|finding| finding.start).collect();
    assert_eq!(places, wanted);
    let lines: Vec<u64> = found.iter().map(|finding| finding.line).collect();
    assert_eq!(lines, (1..=wanted.len() as u64).collect::<Vec<_>>());
    let report = ended.unwrap();
    assert_eq!(report.outcome, Outcome::Scanned);
    assert_eq!(report.bytes, text.len() as u64);
}

#[test]
fn a_large_archive_is_partly_looked_at_and_says_so() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("large.zip");
    let mut bytes = b"PK\x03\x04".to_vec();
    bytes.resize(2 << 20, 0);
    std::fs::write(&path, &bytes).unwrap();
    drop(bytes);
    let item: Item = Item {
        name: "large.zip".into(),
        note: None,
        body: Body::File(path),
    };
    let mut outcome = None;
    files::scan(
        &scanner(),
        [item].into_iter(),
        EFFORT,
        &Progress::default(),
        |event| {
            if let Event::End { report, .. } = event {
                outcome = Some(report.outcome);
            }
            Ok(())
        },
    )
    .unwrap();
    match outcome {
        Some(Outcome::Partly { reason }) => assert!(reason.contains("1 MiB"), "{reason}"),
        other => panic!("{other:?}"),
    }
}

/// What becomes of bytes of which nobody says beforehand how many come.
fn unannounced(
    bytes: Vec<u8>,
) -> (
    Vec<sealwright_scan::Finding>,
    sealwright_scan::document::Report,
) {
    let size = bytes.len() as u64;
    let item: Item = Item {
        name: "upload".into(),
        note: None,
        body: Body::Stream(Box::new(std::io::Cursor::new(bytes))),
    };
    let (mut found, mut ended) = (Vec::new(), None);
    let progress = Progress::default();
    files::scan(&scanner(), [item].into_iter(), EFFORT, &progress, |event| {
        match event {
            Event::Found { findings, .. } => found.extend(findings),
            Event::End { report, .. } => ended = Some(report),
            other => panic!("{other:?}"),
        }
        Ok(())
    })
    .unwrap();
    let report = ended.unwrap();
    let read = progress.bytes.load(std::sync::atomic::Ordering::Relaxed);
    assert_eq!(read, size, "every byte is counted once");
    (found, report)
}

#[test]
fn an_archive_of_unknown_size_is_put_aside_and_opened_when_its_end_is_met() {
    let mut archive = zip::ZipWriter::new(std::io::Cursor::new(Vec::new()));
    let plain =
        zip::write::SimpleFileOptions::default().compression_method(zip::CompressionMethod::Stored);
    archive.start_file("padding.bin", plain).unwrap();
    std::io::Write::write_all(&mut archive, &vec![b'.'; 300 << 10]).unwrap();
    let packed = zip::write::SimpleFileOptions::default();
    archive.start_file("paid.txt", packed).unwrap();
    std::io::Write::write_all(&mut archive, format!("paid with {CARD}\n").as_bytes()).unwrap();
    let (found, report) = unannounced(archive.finish().unwrap().into_inner());
    assert_eq!(report.outcome, Outcome::Scanned);
    assert_eq!(found.len(), 1);
    assert_eq!(found[0].inner.as_deref(), Some("paid.txt"));
}

#[test]
fn an_archive_of_unknown_size_that_is_too_large_loses_no_byte() {
    let mut bytes = b"PK\x03\x04\n".to_vec();
    let mut wanted = Vec::new();
    // Around the end of the head, of what is put aside and of what follows.
    for at in [40_000, 65_530, 500_000, (1 << 20) - 8, 3 << 20] {
        bytes.resize(at, b'.');
        bytes.push(b' ');
        wanted.push(bytes.len() as u64);
        bytes.extend_from_slice(CARD.as_bytes());
        bytes.push(b'\n');
    }
    let size = bytes.len() as u64;
    let (found, report) = unannounced(bytes);
    let places: Vec<u64> = found.iter().map(|finding| finding.start).collect();
    assert_eq!(places, wanted);
    assert_eq!(report.bytes, size);
    match report.outcome {
        Outcome::Partly { reason } => assert!(reason.contains("1 MiB"), "{reason}"),
        other => panic!("{other:?}"),
    }
}

#[test]
fn a_sink_that_fails_ends_the_scan() {
    let items = (0..10_000).map(|i| Item::<files::Origin> {
        name: Arc::from(format!("{i}")),
        note: None,
        body: Body::Bytes(CARD.into()),
    });
    let mut given = 0;
    let result = files::scan(&scanner(), items, EFFORT, &Progress::default(), |_| {
        given += 1;
        if given == 10 {
            return Err(std::io::Error::other("full"));
        }
        Ok(())
    });
    assert_eq!(result.unwrap_err().to_string(), "full");
    assert_eq!(given, 10);
}
