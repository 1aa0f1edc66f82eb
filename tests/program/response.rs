//! From a log line of another product to an answer: OTLP and syslog in, the rules of the program fire, and what
//! is done about it holds.

use std::io::Write as _;
use std::net::TcpStream;
use std::time::{Duration, Instant};

use serde_json::{Value, json};

use crate::support::{Server, ago, ai, places};

/// Waits until the answer to a question is as wanted.
pub(crate) async fn until(
    server: &Server,
    key: &str,
    path: &str,
    wanted: impl Fn(&Value) -> bool,
) -> Value {
    let since = Instant::now();
    loop {
        let found = server.get(key, path).await.expect(200).json();
        if wanted(&found) {
            return found;
        }
        assert!(
            since.elapsed() < Duration::from_secs(60),
            "{path}: {found}\n{}",
            server.log()
        );
        tokio::time::sleep(Duration::from_millis(100)).await;
    }
}

/// A CloudTrail record as an OTLP log record whose body is its text.
pub(crate) fn trail(name: &str) -> Value {
    let record = json!({
        "eventVersion": "1.08", "eventTime": ago(0), "eventSource": "iam.amazonaws.com",
        "eventName": name, "awsRegion": "eu-central-1", "sourceIPAddress": "198.51.100.7",
        "userIdentity": {"type": "Root", "arn": "arn:aws:iam::1:root", "accountId": "1"},
    });
    json!({"resourceLogs": [{"scopeLogs": [{"logRecords": [{
        "observedTimeUnixNano": (jiff::Timestamp::now().as_microsecond() * 1_000).to_string(),
        "body": {"stringValue": record.to_string()},
    }]}]}]})
}

async fn logs(server: &Server, key: &str, body: &Value) -> u16 {
    server.post(key, "/v1/logs", body).await.status
}

/// What an alert's entities, rule and tenant are asked with.
fn alerts(tenant: &str) -> String {
    format!("/api/siem/alerts?tenant={tenant}")
}

#[tokio::test]
async fn an_attack_in_another_products_log_is_seen_and_answered() {
    for place in places().await {
        let all = place.key_for_all("*");
        let acme = place.key("acme", "events:write,siem:read");
        let other = place.key("other", "events:write,siem:read");
        let port = {
            // Free now; nobody else asks for one on this machine at the same moment.
            let free = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
            free.local_addr().unwrap()
        };
        let mut command = place.command();
        command.env("SEALWRIGHT__SYSLOG__LISTEN", format!("tcp:{port}=other"));
        // A source that is silent after its last event holds correlations back for this long.
        command.env("SEALWRIGHT__SIEM__LATENESS", "1s");
        command.env("SEALWRIGHT__SIEM__IDLE", "2s");
        command.args(["serve", "--listen", "127.0.0.1:0"]);
        let server = Server::of(command).unwrap();

        assert_eq!(logs(&server, &acme, &trail("CreateUser")).await, 200);
        let found = until(&server, &acme, &alerts("acme"), |found| {
            found["items"].as_array().is_some_and(|l| !l.is_empty())
        })
        .await;
        let root = found["items"]
            .as_array()
            .unwrap()
            .iter()
            .find(|alert| {
                alert["title"]
                    .as_str()
                    .unwrap()
                    .to_lowercase()
                    .contains("root")
            })
            .unwrap_or_else(|| panic!("{found}"))
            .clone();
        let nothing = server
            .get(&other, &alerts("other"))
            .await
            .expect(200)
            .json();
        assert_eq!(nothing["items"], json!([]));

        // The set is off for acme: the same again raises nothing that was not there.
        let off = json!({"enabled": false});
        let set = "/api/siem/rules/built-in/setting?tenant=acme";
        let request = server.request("PUT", set).bearer_auth(&all);
        let request = request.header("content-type", "application/json");
        server.send(request.body(off.to_string())).await.expect(200);

        // Evidence is kept, the tenant is held back, and let go again.
        let id = root["id"].as_str().unwrap();
        let act = |kind: &str| json!({"kind": kind, "hours": 1});
        let asked = format!("/api/siem/alerts/{id}/actions");
        for kind in ["preserve-evidence", "throttle-tenant"] {
            let answer = server.post(&all, &asked, &act(kind)).await;
            assert!((200..300).contains(&answer.status), "{}", answer.text());
        }
        let done = until(&server, &all, "/api/siem/actions", |found| {
            let list = found.as_array().unwrap();
            list.len() == 2 && list.iter().all(|a| a["state"] == "done")
        })
        .await;
        let evidence = format!("/api/siem/alerts/{id}/evidence");
        let kept = server.get(&acme, &evidence).await.expect(200).json();
        assert!(
            kept["events"][0]["event"]
                .as_str()
                .unwrap()
                .contains("CreateUser"),
            "{kept}"
        );
        server.get(&other, &evidence).await.expect(404);
        let one = |n: u32| json!([ai(&format!("e{n}"), &ago(0), "m", 1, 1)]);
        let mut statuses = Vec::new();
        for n in 0..70 {
            statuses.push(server.events(&acme, &one(n)).await.status);
        }
        assert!(statuses.contains(&429), "60 a minute: {statuses:?}");
        server.events(&other, &one(0)).await.expect(202);
        let throttle = done
            .as_array()
            .unwrap()
            .iter()
            .find(|a| a["kind"] == "throttle-tenant")
            .unwrap();
        let undo = format!(
            "/api/siem/actions/{}/undo",
            throttle["id"].as_str().unwrap()
        );
        let answer = server.post(&all, &undo, &Value::Null).await;
        assert!((200..300).contains(&answer.status), "{}", answer.text());
        until(&server, &all, "/api/siem/actions", |found| {
            let list = found.as_array().unwrap();
            list.iter().any(|a| a["state"] == "undone")
        })
        .await;
        server.events(&acme, &one(100)).await.expect(202);

        // Six failed logins over syslog: a correlation of the program, for the listener's tenant.
        let mut stream = TcpStream::connect(port).unwrap();
        for n in 0..6 {
            let text = format!(
                "<86>1 {} web1 sshd 8{n} - - Failed password for root from 198.51.100.9 port 5002{n} ssh2",
                jiff::Timestamp::now()
            );
            write!(stream, "{} {text}", text.len()).unwrap();
        }
        drop(stream);
        let found = until(&server, &other, &alerts("other"), |found| {
            found.to_string().contains("failed logins")
        })
        .await;
        assert!(found["items"][0]["id"].is_string(), "{found}");
        assert!(server.stop().success());
    }
}
