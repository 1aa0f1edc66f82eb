//! Tenants apart in PostgreSQL: the second lock behind the condition in each query.

use std::collections::BTreeMap;

use serde_json::{Value, json};

use crate::response::{trail, until};
use crate::routes::{least_calls, world};
use crate::support::{Place, Server, places};

/// Tables without a tenant's rows, each with the reason. A new table stands here, or has a policy.
const NO_TENANTS: &[(&str, &str)] = &[
    ("schema_migration", "which migrations were applied"),
    ("installation_claim", "what all processes agree on"),
    ("installation_process", "the installation's"),
    (
        "access_throttle",
        "digests of addresses and names, before it is known whose they are",
    ),
    (
        "access_request",
        "found by the id of who asked, which is of one tenant",
    ),
    ("consumer_cursor", "how far a consumer has read"),
    (
        "intake_block",
        "compressed events of several tenants in one row; only the consumers read it",
    ),
    ("intake_event_id", "digests of identities"),
    ("intake_head", "how long the log is"),
    ("job", "the installation's"),
    ("job_run", "the installation's"),
    ("ledger_key", "the installation's"),
    (
        "prometheus_source",
        "the installation's; tenants cannot ask for it",
    ),
    ("prometheus_window", "as its source"),
    ("prometheus_series", "as its source"),
    ("billing_meter", "the same for all tenants"),
    ("billing_price_book", "the same for all tenants"),
    ("siem_generation", "a counter"),
    ("siem_rule_file", "the same for all tenants"),
    ("dlp_clock", "the latest time that was seen"),
];

async fn connect(place: &Place) -> tokio_postgres::Client {
    let url = place.url.as_deref().expect("it is PostgreSQL");
    let (client, connection) = tokio_postgres::connect(url, tokio_postgres::NoTls)
        .await
        .expect("PostgreSQL answers");
    tokio::spawn(connection);
    client
}

async fn texts(client: &tokio_postgres::Client, query: &str) -> Vec<String> {
    let rows = client.query(query, &[]).await.expect("the query runs");
    rows.iter().map(|row| row.get(0)).collect()
}

async fn count(client: &tokio_postgres::Client, query: &str) -> i64 {
    let row = client.query_one(query, &[]).await.expect("the query runs");
    row.get(0)
}

#[tokio::test]
async fn every_table_has_a_policy_or_a_reason() {
    let Some(place) = Place::postgres().await else {
        return;
    };
    drop(Server::start(&place));
    let client = connect(&place).await;
    let all =
        "SELECT tablename::text FROM pg_tables WHERE schemaname = current_schema() ORDER BY 1";
    let all = texts(&client, all).await;
    let locked = "SELECT c.relname::text FROM pg_class c
                  WHERE c.relkind = 'r' AND c.relrowsecurity AND c.relforcerowsecurity
                    AND EXISTS (SELECT 1 FROM pg_policy p WHERE p.polrelid = c.oid AND p.polname = 'tenant')";
    let locked = texts(&client, locked).await;
    let with_tenant = "SELECT table_name::text FROM information_schema.columns
                       WHERE table_schema = current_schema() AND column_name = 'tenant_id'";
    let with_tenant = texts(&client, with_tenant).await;
    assert!(with_tenant.len() > 40, "{with_tenant:?}");
    for table in &all {
        let reason = NO_TENANTS.iter().any(|(name, _)| name == table);
        let policy = locked.contains(table);
        assert!(
            policy != reason,
            "{table}: write a policy `tenant` for it in its migration (docs/access.md), or say in this test why it needs none"
        );
        assert!(
            policy || !with_tenant.contains(table),
            "{table} has tenants and no policy"
        );
    }
    for (name, _) in NO_TENANTS {
        assert!(all.iter().any(|table| table == name), "{name} is not there");
    }
}

/// Each table as it is after real work of two tenants: without a scope nothing, in a scope nothing of others, whatever
/// the query's condition is.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn the_database_shows_a_tenant_its_own_rows_only() {
    let Some(place) = Place::postgres().await else {
        return;
    };
    let world = world(place).await;
    let client = connect(&world.place).await;
    let locked = "SELECT c.relname::text FROM pg_class c WHERE c.relkind = 'r' AND c.relrowsecurity ORDER BY 1";
    let locked = texts(&client, locked).await;
    let with_tenant = "SELECT table_name::text FROM information_schema.columns
                       WHERE table_schema = current_schema() AND column_name = 'tenant_id'";
    let with_tenant = texts(&client, with_tenant).await;
    let mut filled = 0;
    for table in &locked {
        let rows = format!("SELECT COUNT(*) FROM {table}");
        client
            .batch_execute("RESET sealwright.tenant")
            .await
            .unwrap();
        assert_eq!(count(&client, &rows).await, 0, "{table} without a scope");
        client
            .batch_execute("SET sealwright.tenant = '*'")
            .await
            .unwrap();
        let everything = count(&client, &rows).await;
        let acme = &world.ids["tenant"];
        client
            .batch_execute(&format!("SET sealwright.tenant = '{acme}'"))
            .await
            .unwrap();
        let own = count(&client, &rows).await;
        assert!(own <= everything, "{table}");
        filled += i64::from(own > 0);
        if with_tenant.contains(table) {
            let others = format!("{rows} WHERE tenant_id IS DISTINCT FROM '{acme}'");
            let general = i64::from(table == "siem_rule_setting");
            assert!(
                count(&client, &others).await <= general,
                "{table} shows others' rows"
            );
        }
        // A tenant of which nothing was ever heard.
        client
            .batch_execute("SET sealwright.tenant = 'ten_01990000-0000-7000-8000-000000000001'")
            .await
            .unwrap();
        assert_eq!(count(&client, &rows).await, 0, "{table} to a stranger");
    }
    assert!(filled >= 8, "only {filled} tables hold something of acme's");
}

/// What a tenant may do, it can do on both databases: a policy that is too narrow would show as another answer.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_tenants_own_key_gets_the_same_answers_from_both_databases() {
    let mut answers: Vec<(&str, BTreeMap<String, String>)> = Vec::new();
    for place in places().await {
        let name = place.name;
        let world = world(place).await;
        let own = world.own.clone();
        answers.push((name, least_calls(&world, &own).await));
    }
    let [(_, sqlite), (_, postgres)] = &answers[..] else {
        return;
    };
    let differ: Vec<_> = sqlite
        .iter()
        .filter(|(name, answer)| postgres[*name] != **answer)
        .map(|(name, answer)| format!("{name}: SQLite {answer}, PostgreSQL {}", postgres[name]))
        .collect();
    assert!(differ.is_empty(), "{differ:#?}");
}

/// The work of a tenant's own people, each step with what it changes: a policy that is too narrow would stop it.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_tenant_does_its_work_under_both_locks() {
    for place in places().await {
        let name = place.name;
        let key = place.key("acme", "*");
        let server = Server::start(&place);
        let work = async |method: &str, path: &str, body: Value| -> Value {
            let request = server.request(method, path).bearer_auth(&key);
            let request = request.header("content-type", "application/json");
            let request = match method {
                "PATCH" | "PUT" if path.contains("budgets") => request.header("if-match", "\"0\""),
                "PATCH" | "DELETE" | "PUT" => request.header("if-match", "*"),
                _ => request,
            };
            let answer = server.send(request.body(body.to_string())).await;
            let good = (200..300).contains(&answer.status);
            assert!(
                good,
                "{name}: {method} {path}: {} {}",
                answer.status,
                answer.text()
            );
            serde_json::from_slice(&answer.body).unwrap_or(Value::Null)
        };
        let text = |value: &Value| value.as_str().expect("an id").to_owned();

        let user = json!({"email": "ada@acme.example", "roles": ["member"], "tenant": "acme"});
        let user = text(&work("POST", "/api/access/users", user).await["id"]);
        work(
            "POST",
            &format!("/api/access/users/{user}/link"),
            Value::Null,
        )
        .await;
        work(
            "PATCH",
            &format!("/api/access/users/{user}"),
            json!({"name": "Ada"}),
        )
        .await;
        let new = json!({"scopes": ["events:write"], "tenant": "acme"});
        let made = text(&work("POST", "/api/access/keys", new).await["id"]);
        work(
            "POST",
            &format!("/api/access/keys/{made}/rotate"),
            Value::Null,
        )
        .await;

        let limit = json!({"measure": "meter:database.queries", "limit": "1000"});
        work("PUT", "/api/billing/budgets/acme", limit).await;
        work(
            "DELETE",
            "/api/billing/budgets/acme/meter:database.queries",
            Value::Null,
        )
        .await;
        let alarms = json!({"false_alarms_a_month": 0.5});
        work("PUT", "/api/billing/anomaly-settings/acme", alarms).await;

        let hook = json!({"name": "hook", "tenant": "acme",
            "target": {"kind": "webhook", "url": "https://hooks.example/x"}});
        let hook = text(&work("POST", "/api/notify/channels", hook).await["channel"]["id"]);
        let rule = json!({"name": "all", "tenant": "acme", "topic": "*", "channels": [hook]});
        let rule = text(&work("POST", "/api/notify/rules", rule).await["id"]);
        work(
            "PATCH",
            &format!("/api/notify/rules/{rule}"),
            json!({"enabled": false}),
        )
        .await;
        work("DELETE", &format!("/api/notify/rules/{rule}"), Value::Null).await;

        let policy = json!({"tenant": "acme", "severity": "critical", "action": "quarantine",
            "alert": true, "mode": "dry-run"});
        work("PUT", "/api/dlp/policies", policy).await;
        let hold = json!({"tenant": "acme", "name": "Case", "reason": "r", "owner": "o",
            "custodian": "c"});
        work("POST", "/api/dlp/holds", hold).await;

        // An alert of its own, from a record that its key sends, and all that is done to one.
        work("POST", "/v1/logs", trail("CreateUser")).await;
        let found = until(&server, &key, "/api/siem/alerts", |found| {
            found["items"].as_array().is_some_and(|l| !l.is_empty())
        })
        .await;
        let alert = text(&found["items"][0]["id"]);
        let on = |step: &str| format!("/api/siem/alerts/{alert}/{step}");
        work("POST", &on("acknowledge"), json!({"note": "seen"})).await;
        work("POST", &on("assign"), json!({"owner": "ada"})).await;
        work("POST", &on("notes"), json!({"note": "looked at"})).await;
        work(
            "POST",
            &on("actions"),
            json!({"kind": "preserve-evidence", "hours": 1}),
        )
        .await;
        let until_ = (jiff::Timestamp::now() + jiff::SignedDuration::from_hours(1)).to_string();
        let quiet = json!({"alert": alert, "until": until_, "reason": "known"});
        let quiet = text(&work("POST", "/api/siem/suppressions", quiet).await["id"]);
        work(
            "POST",
            &format!("/api/siem/suppressions/{quiet}/end"),
            json!({}),
        )
        .await;
        work(
            "POST",
            &on("close"),
            json!({"verdict": "true-positive", "note": "done"}),
        )
        .await;
        work(
            "PUT",
            "/api/siem/rules/built-in/setting?tenant=acme",
            json!({"enabled": false}),
        )
        .await;
        let seen = server
            .get(&key, &format!("/api/siem/alerts/{alert}"))
            .await
            .expect(200);
        assert!(
            seen.text().contains("looked at"),
            "its history: {}",
            seen.text()
        );

        // And what is in memory for all tenants is whole, whoever made it be read again.
        let other = server
            .get(&key, "/api/access/keys")
            .await
            .expect(200)
            .json();
        assert_eq!(other["items"].as_array().map(Vec::len), Some(3), "{other}");
    }
}
