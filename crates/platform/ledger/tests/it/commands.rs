//! The commands and the HTTP routes.

use axum::body::Body;
use axum::http::{Request, StatusCode};
use clap::{CommandFactory as _, Parser};
use http_body_util::BodyExt as _;
use sealwright_core::TenantScope;
use sealwright_ledger::cli::{Database, LedgerCommand, run};
use sealwright_ledger::{EntryDraft, EntryProof, api};
use serde_json::{Value, json};
use tower::ServiceExt as _;

use crate::support::{ORIGIN, ledger, stores};

#[derive(Parser)]
struct Program {
    /// As the program's own global flags.
    #[arg(long, global = true)]
    data: Option<std::path::PathBuf>,
    #[arg(long, global = true, value_enum, default_value_t)]
    output: sealwright_ledger::cli::Output,
    #[command(subcommand)]
    command: LedgerCommand,
}

#[test]
fn the_command_line_is_sound() {
    Program::command().debug_assert();
}

async fn call(arguments: &[&str], store: Option<&sealwright_store::Store>) -> (bool, String) {
    let words = [&["ledger"], arguments].concat();
    let mut program = Program::try_parse_from(words).unwrap();
    program.command.common_mut().data = program.data.unwrap_or_default();
    program.command.common_mut().output = program.output;
    let mut out = Vec::new();
    let database = store.map_or(Database::Absent, Database::Open);
    let ok = run(&program.command, database, &mut out).await.unwrap();
    (ok, String::from_utf8(out).unwrap())
}

#[tokio::test]
async fn show_prove_and_verify_answer() {
    for store in stores().await {
        let ledger = ledger(&store).await;
        let mut ids = Vec::new();
        for n in 0..5 {
            let mut tx = store.begin().await.unwrap();
            let draft = EntryDraft::new("user:usr_1", "thing.changed", format!("thing_{n}"))
                .details(json!({"n": n}));
            ids.push(ledger.record(&mut tx, &draft).await.unwrap());
            tx.commit().await.unwrap();
        }
        ledger.sequence().await.unwrap();
        let data = store.path().join("data");
        let data = data.to_str().unwrap();

        let (ok, text) = call(&["show", "--data", data, "--output", "json"], None).await;
        let head: Value = serde_json::from_str(&text).unwrap();
        assert!(ok);
        assert_eq!(head["origin"], ORIGIN);
        assert_eq!(head["verifier_key"], ledger.verifier_key().to_string());
        assert_eq!(head["size"], 5);
        assert_eq!(
            head["root"],
            ledger.tree().checkpoint().unwrap().0.root.to_string()
        );
        assert!(head["checkpoint_time"].as_str().unwrap().ends_with('Z'));
        assert!(
            call(&["show", "--data", data], None)
                .await
                .1
                .contains(ORIGIN)
        );

        let id = ids[3].to_string();
        let (_, text) = call(&["prove", &id, "--data", data, "--output", "json"], None).await;
        let proof: EntryProof = serde_json::from_str(&text).unwrap();
        assert_eq!(proof.opening, None, "there was no database to open it");
        assert_eq!(
            proof.verify(ledger.verifier_key()).unwrap().subject,
            "thing_3"
        );
        let pool = Some(&store.store);
        let (_, text) = call(&["prove", "3", "--data", data, "--output", "json"], pool).await;
        let proof: EntryProof = serde_json::from_str(&text).unwrap();
        assert_eq!(
            proof.opening.as_ref().unwrap().private.details,
            json!({"n": 3})
        );
        let same = ledger.prove(TenantScope::All, ids[3]).await.unwrap();
        assert_eq!(proof, same);
        let (_, text) = call(&["prove", "3", "--data", data], None).await;
        assert!(text.starts_with("c2sp.org/tlog-proof@v1\nindex 3\n"));

        let (ok, text) = call(&["verify", "--data", data, "--output", "json"], pool).await;
        let report: Value = serde_json::from_str(&text).unwrap();
        assert!(ok);
        assert_eq!((&report["ok"], &report["rows"]), (&json!(true), &json!(5)));
        let tile = store.path().join("data/ledger/tile/0/000.p/5");
        let mut bytes = std::fs::read(&tile).unwrap();
        bytes[40] ^= 1;
        std::fs::write(&tile, &bytes).unwrap();
        let (ok, text) = call(&["verify", "--data", data, "--output", "json"], None).await;
        let report: Value = serde_json::from_str(&text).unwrap();
        assert!(!ok);
        assert_eq!(report["findings"][0]["file"], tile.display().to_string());
        assert_eq!(report["findings"][0]["offset"], 40);
        let (ok, text) = call(&["verify", "--data", data], None).await;
        assert!(!ok && text.contains("NOT verified: 1 problems"), "{text}");
        bytes[40] ^= 1;
        std::fs::write(&tile, &bytes).unwrap();

        for (arguments, says) in [
            (vec!["prove", "5", "--data", data], "5"),
            (vec!["prove", "inv_3", "--data", data], "inv_3"),
            (vec!["show", "--data", "nowhere"], "nowhere"),
            (
                vec!["show", "--data", data, "--key", "nonsense"],
                "verifier key",
            ),
        ] {
            let words = [vec!["ledger"], arguments].concat();
            let mut program = Program::try_parse_from(words).unwrap();
            program.command.common_mut().data = program.data.unwrap_or_default();
            program.command.common_mut().output = program.output;
            let error = run(&program.command, Database::Absent, &mut Vec::new())
                .await
                .unwrap_err();
            assert!(error.to_string().contains(says), "{error}");
        }
    }
}

#[tokio::test]
async fn the_static_tree_is_served_as_specified() {
    let folder = tempfile::tempdir().unwrap();
    let mut log = crate::support::open(&folder.path().join("ledger"));
    log.append(&crate::support::entries(0, 300)).unwrap();
    log.append(&crate::support::entries(300, 310)).unwrap();
    // As while an append is under way.
    let root = folder.path().join("ledger");
    std::fs::write(root.join("tile/0/001.p/60"), vec![0; 60 * 32]).unwrap();
    std::fs::write(folder.path().join("secret"), "x").unwrap();
    let router: axum::Router = api::routes(log.reader().clone());
    let get = async |path: &str| {
        let request = Request::get(path).body(Body::empty()).unwrap();
        let answer = router.clone().oneshot(request).await.unwrap();
        let header = |name: &str| {
            answer
                .headers()
                .get(name)
                .map(|v| v.to_str().unwrap().to_owned())
                .unwrap_or_default()
        };
        let (kind, cache) = (header("content-type"), header("cache-control"));
        let status = answer.status();
        let body = answer.into_body().collect().await.unwrap().to_bytes();
        (status, kind, cache, body)
    };
    let (status, kind, cache, body) = get("/ledger/checkpoint").await;
    assert_eq!(
        (status, kind.as_str()),
        (StatusCode::OK, "text/plain; charset=utf-8")
    );
    assert_eq!(cache, "public, max-age=2");
    assert_eq!(body, std::fs::read(root.join("checkpoint")).unwrap());
    for path in [
        "tile/0/000",
        "tile/0/001.p/54",
        "tile/0/001.p/44",
        "tile/1/000.p/1",
        "tile/entries/000",
    ] {
        let (status, kind, cache, body) = get(&format!("/ledger/{path}")).await;
        assert_eq!(
            (status, kind.as_str()),
            (StatusCode::OK, "application/octet-stream"),
            "{path}"
        );
        assert!(cache.contains("immutable"));
        assert_eq!(body, std::fs::read(root.join(path)).unwrap());
    }
    for path in [
        "tile/0/001.p/60",
        "tile/0/001.p/53",
        "tile/0/002",
        "tile/1/000",
        "tile/2/000.p/1",
        "tile/0/..%2f..%2f..%2fsecret",
        "tile/entries/%2e%2e/checkpoint",
        "tile/0/0000",
        "tile/64/000",
    ] {
        let (status, kind, _, _) = get(&format!("/ledger/{path}")).await;
        assert_eq!(status, StatusCode::NOT_FOUND, "{path}");
        assert_eq!(kind, "application/problem+json");
    }
}
