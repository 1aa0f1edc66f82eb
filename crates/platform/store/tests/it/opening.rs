use sealwright_core::UnixMicros;
use sealwright_store::{DataLock, Process, Store, StoreError, StoreUrl};

#[test]
fn urls_are_read_and_shown_without_passwords() {
    assert_eq!(
        "sqlite:a/b".parse::<StoreUrl>().unwrap(),
        StoreUrl::Sqlite("a/b".into())
    );
    let url: StoreUrl = "postgres://me:secret@host:5432/db".parse().unwrap();
    assert_eq!(format!("{url:?}"), "postgres://host:5432/db");
    assert!("mysql://x".parse::<StoreUrl>().is_err());
    assert!("sqlite:".parse::<StoreUrl>().is_err());
}

#[test]
fn a_second_holder_is_refused_and_told_who_holds() {
    let folder = tempfile::tempdir().unwrap();
    let first = DataLock::take(folder.path(), UnixMicros(0)).unwrap();
    let error = DataLock::take(folder.path(), UnixMicros(0)).unwrap_err();
    let StoreError::InUse { holder, .. } = &error else {
        panic!("{error}")
    };
    assert!(holder.contains(&std::process::id().to_string()), "{holder}");
    drop(first);
    DataLock::take(folder.path(), UnixMicros(0)).unwrap();
}

#[test]
fn two_data_folders_do_not_share_a_sqlite_file() {
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("elsewhere.sqlite");
    let first = DataLock::take_file(&file, UnixMicros(0)).unwrap();
    assert_eq!(first.held(), file);
    let error = DataLock::take_file(&file, UnixMicros(0)).unwrap_err();
    assert!(
        error.to_string().contains("elsewhere.sqlite is in use"),
        "{error}"
    );
    // Another file beside it is another state.
    DataLock::take_file(&folder.path().join("other.sqlite"), UnixMicros(0)).unwrap();
    drop(first);
    DataLock::take_file(&file, UnixMicros(0)).unwrap();
}

#[tokio::test]
async fn the_first_claim_stays() {
    for store in sealwright_store::testing::both().await {
        let store = store.migrated(&[sealwright_store::COMPONENT]).await;
        let now = UnixMicros(1);
        assert_eq!(store.claim("lake", "a", now).await.unwrap(), "a");
        assert_eq!(
            store.claim("lake", "b", now).await.unwrap(),
            "a",
            "{}",
            store.name
        );
        assert_eq!(store.claim("other", "b", now).await.unwrap(), "b");
        assert_eq!(store.shared(), store.name == "postgres");
        assert_eq!(store.url.shared(), store.shared());
    }
}

#[tokio::test]
async fn processes_say_that_they_are_there_until_they_go() {
    for store in sealwright_store::testing::both().await {
        let store = store.migrated(&[sealwright_store::COMPONENT]).await;
        let day = 24 * 3_600 * 1_000_000;
        let process = |address: &str, seen: i64| Process {
            address: address.to_owned(),
            name: format!("host of {address}"),
            version: "1.0.0".to_owned(),
            seen_at: UnixMicros(seen),
        };
        for (address, seen) in [("b:1", 5), ("a:1", 10), ("b:1", 11)] {
            store.announce(&process(address, seen)).await.unwrap();
        }
        let all = store.processes(UnixMicros(0)).await.unwrap();
        assert_eq!(all, [process("a:1", 10), process("b:1", 11)]);
        let late = store.processes(UnixMicros(11)).await.unwrap();
        assert_eq!(late, [process("b:1", 11)]);
        store.announce(&process("c:1", day + 11)).await.unwrap();
        store.depart("c:1").await.unwrap();
        let left = store.processes(UnixMicros(0)).await.unwrap();
        assert_eq!(left, [process("b:1", 11)], "{}", store.name);
    }
}

#[tokio::test]
async fn a_file_that_is_no_database_is_called_damaged() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("state.sqlite");
    std::fs::write(&path, vec![0x42; 8192]).unwrap();
    let error = Store::open(&StoreUrl::Sqlite(path.clone()))
        .await
        .unwrap_err();
    let StoreError::Corrupt { what, .. } = &error else {
        panic!("{error:?}")
    };
    assert_eq!(what, &path.display().to_string());
    assert!(error.to_string().contains("doctor"), "{error}");
    assert_eq!(
        std::fs::read(&path).unwrap(),
        vec![0x42; 8192],
        "the file is left as it was"
    );
}

#[tokio::test]
async fn a_server_that_is_not_there_is_an_error_and_not_a_hang() {
    let url = StoreUrl::Postgres("postgres://nobody@127.0.0.1:1/none".to_owned());
    assert!(Store::open(&url).await.is_err());
}

#[tokio::test]
async fn a_transaction_that_a_full_disk_ended_holds_up_no_other() {
    let folder = tempfile::tempdir().unwrap();
    let url = StoreUrl::Sqlite(folder.path().join("state.sqlite"));
    let store = Store::open(&url).await.unwrap();
    let run = |text: &'static str| store.execute(sealwright_store::sql(text));
    run("CREATE TABLE t (bytes BLOB)").await.unwrap();
    for _ in 0..3 {
        let mut tx = store.begin().await.unwrap();
        // No more pages than there are: what SQLite says then is what it says of a full disk.
        let limit = sealwright_store::sql("PRAGMA max_page_count = 1");
        tx.execute(limit).await.unwrap();
        let large = sealwright_store::sql("INSERT INTO t VALUES (zeroblob(1000000))");
        let error = tx.execute(large).await.unwrap_err();
        assert!(matches!(error, StoreError::DiskFull), "{error}");
        drop(tx);
        run("INSERT INTO t VALUES (x'00')").await.unwrap();
    }
    let rows = store
        .fetch_all(sealwright_store::sql("SELECT * FROM t"))
        .await;
    assert_eq!(rows.unwrap().len(), 3);
}
