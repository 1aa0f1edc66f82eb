#![allow(clippy::unwrap_used, missing_docs)]
use std::path::{Path, PathBuf};

use proptest::prelude::*;
use sealwright_config::{
    Inputs, Length, Loaded, LogFormat, Source, fields, reference_markdown, show_json, show_table,
};

fn from_text(text: &str) -> Result<Loaded, String> {
    Loaded::from_text(Path::new("sealwright.toml"), text).map_err(|e| e.to_string())
}

fn error(text: &str) -> String {
    from_text(text).unwrap_err()
}

fn env(name: &str, value: &str) -> (String, String) {
    (name.to_owned(), value.to_owned())
}

#[test]
fn the_defaults_are_a_whole_configuration() {
    let config = Loaded::defaults().unwrap().config;
    assert_eq!(config.listen.address.to_string(), "127.0.0.1:3010");
    assert_eq!(config.data.folder, PathBuf::from("./sealwright-data"));
    assert_eq!(config.intake.late, "35d".parse::<Length>().unwrap());
    assert_eq!(config.telemetry.format, LogFormat::Auto);
    assert_eq!(config.billing.invoice_due_days, 30);
    assert!(config.store.url.is_empty());
}

#[test]
fn the_later_source_wins_and_is_remembered() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("s.toml");
    std::fs::write(
        &path,
        "# mine\n[listen]\naddress = \"0.0.0.0:1\"\ntls_in_front = true\n[jobs]\nworkers = 3\n",
    )
    .unwrap();
    let inputs = Inputs {
        file: Some(path.clone()),
        env: vec![
            env("SEALWRIGHT__LISTEN__ADDRESS", "0.0.0.0:2"),
            env("SEALWRIGHT__JOBS__WORKERS", "4"),
            env("PATH", "/bin"),
            env("SEALWRIGHT_TEST_POSTGRES", "other"),
        ],
        flags: vec![(
            "--listen".into(),
            "listen.address".into(),
            "0.0.0.0:3".into(),
        )],
    };
    let loaded = Loaded::read(&inputs).unwrap();
    assert_eq!(loaded.config.listen.address.port(), 3);
    assert_eq!(loaded.config.jobs.workers, 4);
    assert!(loaded.config.listen.tls_in_front);
    assert_eq!(
        loaded.sources["listen.address"],
        Source::Flag("--listen".into())
    );
    assert_eq!(
        loaded.sources["jobs.workers"].to_string(),
        "$SEALWRIGHT__JOBS__WORKERS"
    );
    assert_eq!(
        loaded.sources["listen.tls_in_front"],
        Source::File {
            path,
            line: 4,
            column: 1
        }
    );
    assert_eq!(loaded.sources["data.folder"], Source::Default);
}

#[test]
fn errors_have_a_place_and_a_hint() {
    insta::assert_snapshot!(error("[listen]\nadress = \"x\""), @"sealwright.toml:2:1: unknown key `listen.adress`; did you mean `listen.address`?");
    insta::assert_snapshot!(error("[telemtry]\nfilter = \"x\""), @"sealwright.toml:2:1: unknown key `telemtry.filter`; did you mean `telemetry.filter`?");
    insta::assert_snapshot!(error("[zzz]\n"), @"sealwright.toml:1:2: unknown key `zzz`");
    insta::assert_snapshot!(error("[listen]\naddress = 3010"), @"sealwright.toml:2:1: `listen.address` is `3010`; it takes an address and port");
    insta::assert_snapshot!(error("[access]\nsession_idle = \"8\""), @"sealwright.toml:2:1: `access.session_idle` is `8`; it takes a length of time (30s, 15m, 8h, 7d)");
    insta::assert_snapshot!(error("[access]\nsession_idle = \"8d\""), @"sealwright.toml:2:1: `access.session_idle` must be over 0 and at most access.session_absolute");
    insta::assert_snapshot!(error("[intake]\nlate = \"40d\""), @"default: `intake.dedup` is shorter than intake.late: an event could come again after it was forgotten");
    insta::assert_snapshot!(error("[jobs]\nworkers = [1]"), @"sealwright.toml:2:1: `jobs.workers` takes one value (a whole number), not a list or table");
    assert!(
        error("[jobs\n").starts_with("sealwright.toml:1:"),
        "{}",
        error("[jobs\n")
    );
    let inputs = Inputs {
        env: vec![env("SEALWRIGHT__JOBS__WORKER", "4")],
        ..Inputs::default()
    };
    let text = Loaded::read(&inputs).unwrap_err().to_string();
    insta::assert_snapshot!(text, @"$SEALWRIGHT__JOBS__WORKER: unknown key `jobs.worker`; did you mean `jobs.workers`?");
    let inputs = Inputs {
        file: Some("/nonexistent/s.toml".into()),
        ..Inputs::default()
    };
    assert!(
        Loaded::read(&inputs)
            .unwrap_err()
            .to_string()
            .starts_with("/nonexistent/s.toml: ")
    );
}

#[test]
fn secrets_never_show() {
    let text = "[store]\nurl = \"postgres://u:hunter2@db/x\"";
    let loaded = from_text(text).unwrap();
    assert_eq!(
        loaded.config.store.url.expose(),
        "postgres://u:hunter2@db/x"
    );
    for shown in [
        format!("{loaded:?}"),
        show_table(&loaded),
        show_json(&loaded).to_string(),
        error("[store]\nurl = \"mysql://u:hunter2@db/x\""),
    ] {
        assert!(!shown.contains("hunter2"), "{shown}");
    }
    assert_eq!(show_json(&loaded)["store.url"]["value"], "********");
}

#[test]
fn the_reference_names_every_key() {
    let page = reference_markdown();
    for field in fields() {
        let (section, key) = field.key.split_once('.').unwrap();
        assert!(page.contains(&format!("## `[{section}]`")), "{section}");
        assert!(page.contains(&format!("| `{key}` |")), "{key}");
        assert!(!field.doc.trim().is_empty(), "{key}");
    }
}

proptest! {
    #[test]
    fn arbitrary_text_never_panics(text in "\\PC{0,80}") {
        let _ = from_text(&text);
    }

    #[test]
    fn near_toml_never_panics(text in "(\\[[a-z.\"]{0,8}\\]\\n|[a-z_]{1,8} ?= ?[\"0-9a-zé.\\[\\]{}]{0,8}\\n){0,6}") {
        let _ = from_text(&text);
    }
}
