//! Erasure leaves no trace in any file.

use std::time::Duration;

use sealwright_events::HoldError;
use sealwright_lake::{CompactPolicy, Erasure, ErasureKey, ErasureReport, Lake, LakeError};

use crate::support::{
    DAY, NOW, Register, all, append, event, events, files, held, open, spec, tenant,
};

const SUBJECT: &str = "person-7d0f3c91@example.org";

/// Every byte under the folder, and every value that the Parquet files among them hold.
fn traces(folder: &std::path::Path, needle: &str) -> Vec<String> {
    traces_in(files(folder), needle)
}

/// The same of files that were read.
pub(crate) fn traces_in(files: Vec<(std::path::PathBuf, Vec<u8>)>, needle: &str) -> Vec<String> {
    use parquet::file::reader::{FileReader as _, SerializedFileReader};
    let mut found = Vec::new();
    for (path, bytes) in files {
        if bytes.windows(needle.len()).any(|w| w == needle.as_bytes()) {
            found.push(format!("{} (bytes)", path.display()));
        }
        if path.extension().is_some_and(|e| e == "parquet")
            && let Ok(reader) = SerializedFileReader::new(bytes::Bytes::from(bytes))
        {
            let metadata = format!("{:?}", reader.metadata());
            let rows = reader.get_row_iter(None).unwrap();
            if metadata.contains(needle) || rows.flatten().any(|r| r.to_string().contains(needle)) {
                found.push(format!("{} (values)", path.display()));
            }
        }
    }
    found
}

async fn erase(lake: &Lake, now: sealwright_core::UnixMicros, what: ErasureKey) -> ErasureReport {
    let erasure = Erasure {
        tenant: tenant(1),
        what,
    };
    lake.erase(now, &erasure, &Register::empty(), Duration::from_secs(5))
        .await
        .unwrap()
}

#[tokio::test(flavor = "multi_thread")]
async fn a_subject_leaves_every_file() {
    let folder = tempfile::tempdir().unwrap();
    let lake = open(folder.path()).await;
    let wanted: Vec<_> = (0..300)
        .map(|n| {
            let mut s = spec(n);
            s.tenant = u128::from(n % 3);
            if n % 10 == 4 {
                s.subject = Some(SUBJECT.to_owned());
            }
            event(n, &s)
        })
        .collect();
    append(&lake, &wanted.chunks(60).collect::<Vec<_>>()).await;
    // Also what lies about: replaced files, and one that a crash left before its commit.
    lake.compact(NOW, CompactPolicy::default()).await.unwrap();
    let orphan = crate::support::data_files(folder.path())[0].clone();
    std::fs::copy(&orphan, orphan.with_file_name("part-left.parquet")).unwrap();
    assert!(!traces(folder.path(), SUBJECT).is_empty());

    let theirs = |e: &sealwright_events::StoredEvent| {
        e.tenant == tenant(1) && e.subject.as_deref() == Some(SUBJECT)
    };
    let today = NOW.floor_day();
    let report = erase(&lake, NOW, ErasureKey::Subject(SUBJECT.to_owned())).await;
    assert_eq!(report.open_days, ["2026-11-23"]);
    let closed = wanted
        .iter()
        .filter(|e| theirs(e) && e.time < today)
        .count();
    assert_eq!(report.rows, closed as u64);
    assert!(
        report.vacuum.files > 0 && report.log.files > 0,
        "{report:?}"
    );

    // After the day's end the same erasure takes the rest.
    let report = erase(
        &lake,
        NOW.plus(DAY),
        ErasureKey::Subject(SUBJECT.to_owned()),
    )
    .await;
    assert_eq!(report.open_days, [""; 0]);
    let expected: Vec<_> = wanted.iter().filter(|e| !theirs(e)).cloned().collect();
    assert_eq!(all(&lake).await, expected);

    // Other tenants have a subject of the same name. When they have erased it too, nothing is left.
    for n in [0, 2] {
        let erasure = Erasure {
            tenant: tenant(n),
            what: ErasureKey::Subject(SUBJECT.to_owned()),
        };
        lake.erase(NOW.plus(DAY), &erasure, &Register::empty(), Duration::ZERO)
            .await
            .unwrap();
    }
    assert_eq!(traces(folder.path(), SUBJECT), [""; 0]);
    assert_eq!(lake.next_offset(), 300);
    drop(lake);
    let lake = open(folder.path()).await;
    assert_eq!(
        all(&lake).await.len(),
        wanted
            .iter()
            .filter(|e| e.subject.as_deref() != Some(SUBJECT))
            .count()
    );
    append(&lake, &[&events(300..310)]).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn named_events_are_erased_and_their_neighbours_stay() {
    let folder = tempfile::tempdir().unwrap();
    let lake = open(folder.path()).await;
    let wanted = events(0..200);
    append(&lake, &[&wanted]).await;
    let later = NOW.plus(DAY);
    let mine: Vec<u64> = wanted
        .iter()
        .filter(|e| e.tenant == tenant(1))
        .map(|e| e.offset)
        .collect();
    let ids = ErasureKey::Ids {
        source: "/test".to_owned(),
        // The second is another tenant's.
        ids: [format!("id-{}", mine[0]), format!("id-{}", mine[1] + 1)].into(),
    };
    assert_eq!(erase(&lake, later, ids).await.rows, 1);
    let offsets = ErasureKey::Offsets([mine[2], mine[3], mine[3] + 1, 9_999].into());
    assert_eq!(erase(&lake, later, offsets).await.rows, 2);
    let gone = [mine[0], mine[2], mine[3]];
    let expected: Vec<_> = wanted
        .into_iter()
        .filter(|e| !gone.contains(&e.offset))
        .collect();
    assert_eq!(all(&lake).await, expected);
    for offset in gone {
        assert_eq!(traces(folder.path(), &format!("\"id-{offset}\"")), [""; 0]);
    }
    let nothing = erase(&lake, later, ErasureKey::Subject("nobody".to_owned())).await;
    assert_eq!((nothing.rows, nothing.files), (0, 0));
}

/// A hold on the subject, on the whole tenant, one that is opened while it works, and a register without an answer:
/// nothing goes. A hold on somebody else does not hinder.
#[tokio::test(flavor = "multi_thread")]
async fn what_is_held_is_not_erased() {
    let folder = tempfile::tempdir().unwrap();
    let lake = open(folder.path()).await;
    let wanted = events(0..200);
    append(&lake, &[&wanted]).await;
    let later = NOW.plus(DAY);
    let erasure = Erasure {
        tenant: tenant(1),
        what: ErasureKey::Subject("user-1".to_owned()),
    };
    let named = Erasure {
        tenant: tenant(1),
        what: ErasureKey::Offsets([6].into()),
    };
    let broken = || Err(HoldError("no answer".to_owned()));
    let theirs = || held(1, Some("user-1"));
    for (what, register, unknown) in [
        (&erasure, Register::holding(vec![theirs()]), false),
        (&erasure, Register::holding(vec![held(1, None)]), false),
        // Whose events these are is not known before they are read.
        (
            &named,
            Register::holding(vec![held(1, Some("user-9"))]),
            false,
        ),
        (&erasure, Register::saying(vec![broken()]), true),
        // Opened between the question and the first commit.
        (
            &erasure,
            Register::saying(vec![Ok(Vec::new()), Ok(vec![theirs()])]),
            false,
        ),
        (
            &erasure,
            Register::saying(vec![Ok(Vec::new()), broken()]),
            true,
        ),
    ] {
        let error = lake
            .erase(later, what, &register, Duration::ZERO)
            .await
            .unwrap_err();
        match error {
            LakeError::Held { .. } => assert!(!unknown, "{register:?}"),
            LakeError::HoldsUnknown { .. } => assert!(unknown, "{register:?}"),
            other => panic!("{other}"),
        }
        assert_eq!(all(&lake).await, wanted, "{register:?}");
    }
    let others = Register::holding(vec![held(1, Some("user-2")), held(2, None)]);
    let done = lake
        .erase(later, &erasure, &others, Duration::from_secs(5))
        .await
        .unwrap();
    assert!(done.rows > 0);
}
