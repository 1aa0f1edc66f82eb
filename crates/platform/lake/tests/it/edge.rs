//! The commands and the HTTP interface.

use axum::Extension;
use axum::body::Body;
use axum::http::{Request, StatusCode};
use http_body_util::BodyExt as _;
use sealwright_core::{TenantId, TenantScope};
use sealwright_lake::Lake;
use sealwright_lake::QueryLimits;
use sealwright_lake::api::{Erased, LakeApi, LakeScope, router};
use sealwright_lake::cli::{
    EraseArgs, LakeCommand, Output, QueryArgs, RetainArgs, Told, erased, run,
};
use serde_json::{Value, json};
use tower::ServiceExt as _;

use crate::support::{NOW, append, events, open, tenant};

async fn command(
    lake: &Lake,
    command: LakeCommand,
    tenant: Option<TenantId>,
    output: Output,
) -> (Result<bool, String>, String, String) {
    let (mut out, mut err) = (Vec::new(), Vec::new());
    let register = crate::support::Register::empty();
    let told = Told {
        to: None,
        tenant,
        now: NOW,
        holds: Some(&register),
    };
    let answer = run(lake, &command, told, output, &mut out, &mut err).await;
    (
        answer.map_err(|e| e.to_string()),
        String::from_utf8(out).unwrap(),
        String::from_utf8(err).unwrap(),
    )
}

fn query(sql: &str, tenant: Option<&str>) -> LakeCommand {
    LakeCommand::Query(QueryArgs {
        sql: sql.to_owned(),
        tenant: tenant.map(str::to_owned),
        limit: 3,
        seconds: 30,
    })
}

#[tokio::test(flavor = "multi_thread")]
async fn commands_answer_in_each_form() {
    let folder = tempfile::tempdir().unwrap();
    let lake = open(folder.path()).await;
    append(&lake, &[&events(0..100)]).await;
    let sql =
        "SELECT \"offset\", subject, type AS \"type, quoted\" FROM events ORDER BY \"offset\"";
    let mut text = String::new();
    for output in [Output::Table, Output::Json, Output::Csv] {
        let (answer, out, err) = command(&lake, query(sql, None), None, output).await;
        assert_eq!(answer, Ok(true));
        assert!(err.starts_with("3 rows (cut at the limit);"), "{err}");
        text.push_str(&out.replace('\r', "\\r"));
    }
    insta::assert_snapshot!(text);
    let count = query("SELECT count(*) AS n FROM events", Some("acme"));
    let (_, out, _) = command(&lake, count.clone(), Some(tenant(1)), Output::Json).await;
    assert_eq!(out, "{\"n\":20}\n");
    let (answer, ..) = command(&lake, count, None, Output::Json).await;
    assert_eq!(answer, Err("there is no tenant `acme`".to_owned()));
    let (_, out, _) = command(&lake, LakeCommand::Status, None, Output::Json).await;
    let status: Value = serde_json::from_str(&out).unwrap();
    assert_eq!(
        (&status["rows"], &status["next_offset"]),
        (&json!(100), &json!(100))
    );
}

#[tokio::test(flavor = "multi_thread")]
async fn keeping_and_erasing_by_command() {
    let folder = tempfile::tempdir().unwrap();
    let lake = open(folder.path()).await;
    append(&lake, &[&events(0..50), &events(50..100)]).await;
    let (answer, out, _) = command(&lake, LakeCommand::Compact, None, Output::Table).await;
    assert_eq!(answer, Ok(true), "{out}");
    assert!(out.contains("compact: files before"), "{out}");
    let retain = |apply| {
        LakeCommand::Retain(RetainArgs {
            days: None,
            streams: vec![("com.example".to_owned(), 1)],
            apply,
        })
    };
    assert!(!retain(false).writes() && retain(true).writes());
    let (_, plan, _) = command(&lake, retain(false), None, Output::Json).await;
    let plan: Value = serde_json::from_str(&plan).unwrap();
    assert!(plan["rows_removed"].as_u64().unwrap() > 0, "{plan}");
    assert_eq!(lake.status().rows, 100);
    command(&lake, retain(true), None, Output::Json)
        .await
        .0
        .unwrap();
    assert_eq!(json!(100 - lake.status().rows), plan["rows_removed"]);
    let erase = LakeCommand::Erase(EraseArgs {
        subject: "user-1".to_owned(),
        tenant: "acme".to_owned(),
        reason: "request 17".to_owned(),
    });
    assert_eq!(erase.tenant(), Some("acme"));
    let (answer, ..) = command(&lake, erase, Some(tenant(1)), Output::Json).await;
    answer.unwrap_err();
    let erasure = sealwright_lake::Erasure {
        tenant: tenant(1),
        what: sealwright_lake::ErasureKey::Subject("user-1".to_owned()),
    };
    let report = lake
        .erase(
            NOW,
            &erasure,
            &crate::support::Register::empty(),
            std::time::Duration::from_secs(1),
        )
        .await
        .unwrap();
    let open = !report.open_days.is_empty();
    let done = Erased {
        lake: report,
        log_cleared: true,
        ledger_entry: "led_1".to_owned(),
    };
    let say = |done: &Erased| {
        let (mut out, mut err) = (Vec::new(), Vec::new());
        let nothing_left = erased(done, Output::Json, &mut out, &mut err).unwrap();
        let text = |bytes| String::from_utf8(bytes).unwrap();
        (nothing_left, text(out), text(err))
    };
    let (nothing_left, out, err) = say(&done);
    assert_eq!((nothing_left, err.contains("has not ended")), (!open, open));
    let answer: Value = serde_json::from_str(&out).unwrap();
    assert_eq!(answer["ledger_entry"], "led_1");
    let (nothing_left, _, err) = say(&Erased {
        log_cleared: false,
        ..done
    });
    assert!(
        !nothing_left && err.contains("the log still holds"),
        "{err}"
    );
}

async fn post(lake: &Lake, scope: Option<TenantScope>, body: &str) -> (StatusCode, Value) {
    let api = LakeApi {
        lake: lake.clone(),
        most: QueryLimits::default(),
    };
    let (mut app, _) = router().with_state(api).split_for_parts();
    if let Some(scope) = scope {
        app = app.layer(Extension(LakeScope(scope)));
    }
    let request = Request::post("/api/lake/query")
        .header("content-type", "application/json")
        .body(Body::from(body.to_owned()))
        .unwrap();
    let response = app.oneshot(request).await.unwrap();
    let status = response.status();
    let body = response.into_body().collect().await.unwrap().to_bytes();
    (status, serde_json::from_slice(&body).unwrap())
}

#[tokio::test(flavor = "multi_thread")]
async fn http_queries_stay_in_their_scope() {
    let folder = tempfile::tempdir().unwrap();
    let lake = open(folder.path()).await;
    append(&lake, &[&events(0..100)]).await;
    let body = r#"{"sql": "SELECT count(*) AS n FROM events"}"#;
    let one = Some(TenantScope::One(tenant(1)));
    let (status, answer) = post(&lake, one, body).await;
    assert_eq!(
        (status, &answer["rows"]),
        (StatusCode::OK, &json!([[20]])),
        "{answer}"
    );
    assert_eq!(answer["columns"], json!([{"name": "n", "type": "Int64"}]));
    assert_eq!(
        post(&lake, Some(TenantScope::All), body).await.1["rows"],
        json!([[100]])
    );
    assert_eq!(post(&lake, None, body).await.0, StatusCode::UNAUTHORIZED);
    let (status, problem) = post(&lake, one, r#"{"sql": "SELECT\n nothing FROM events"}"#).await;
    assert_eq!(
        (status, &problem["line"]),
        (StatusCode::UNPROCESSABLE_ENTITY, &json!(2)),
        "{problem}"
    );
    for bad in [
        r#"{"sql": "SELECT 1", "limits": {"rows": 1000000}}"#,
        r#"{"sql": "SELECT 1", "unknown": 1}"#,
        r#"{"sql": 1}"#,
        "{",
    ] {
        assert_eq!(
            post(&lake, one, bad).await.0,
            StatusCode::UNPROCESSABLE_ENTITY,
            "{bad}"
        );
    }
}
