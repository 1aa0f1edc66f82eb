use sealwright_core::UnixMicros;
use sealwright_store::{DataLock, Store, StoreError, StoreUrl};

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
