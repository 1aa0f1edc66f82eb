//! One or more events of each source, as they come out.

use std::net::IpAddr;

use sealwright_ecs::geo::Place;
use sealwright_ecs::{Context, Normaliser, validate};
use serde_json::{Value, json};

fn show(n: &Normaliser, event: Result<sealwright_ecs::Event, sealwright_ecs::Refusal>) -> String {
    let event = event.unwrap();
    let ecs: Value = serde_json::from_str(&event.json).unwrap();
    assert_eq!(validate(&ecs), [], "{}", event.json);
    format!("{}: {}", n.mapping(event.source).name, event.json)
}

fn context() -> Context<'static> {
    Context {
        received: 1_795_640_820_000_000,
        ..Context::default()
    }
}

#[test]
fn lines_of_logs() {
    let n = Normaliser::new(Vec::new()).unwrap();
    let lines = [
        "Nov 25 20:59:58 web1 sshd[812]: Failed password for invalid user admin from 8.8.4.4 port 50022 ssh2",
        "Nov 25 20:59:59 web1 sshd[812]: Accepted publickey for ada from 8.8.4.4 port 50023 ssh2: ED25519 SHA256:x",
        "<86>1 2026-11-25T21:00:00.123Z web1 sudo 99 - - ada : TTY=pts/0 ; PWD=/srv/ada ; USER=root ; COMMAND=/usr/bin/id",
        "Nov 25 21:00:01 web1 useradd[5]: new user: name=eve, UID=1001, GID=1001, home=/srv/eve",
        "Nov 25 21:00:02 web1 nginx: 8.8.8.8 - - [25/Nov/2026:21:00:02 +0000] \"GET /admin?x=1 HTTP/1.1\" 403 12 \"-\" \"curl/8\"",
        "just words",
    ];
    let shown: Vec<String> = lines
        .iter()
        .map(|l| show(&n, n.line(l, &context())))
        .collect();
    let hint = Context {
        hint: Some("nginx.access"),
        ..context()
    };
    let error = "2026/11/25 21:00:03 [error] 7#8: *1 open() \"/x\" failed (2: No such file), client: 8.8.8.8, server: a.example, request: \"GET /x HTTP/1.1\"";
    insta::assert_snapshot!(format!(
        "{}\n{}",
        shown.join("\n"),
        show(&n, n.line(error, &hint))
    ));
}

#[test]
fn objects_of_sources() {
    let n = Normaliser::new(Vec::new()).unwrap();
    let events = [
        json!({"eventVersion": "1.08", "userIdentity": {"type": "Root", "principalId": "1", "arn": "arn:aws:iam::1:root", "accountId": "1"},
            "eventTime": "2026-11-25T21:00:00Z", "eventSource": "signin.amazonaws.com", "eventName": "ConsoleLogin", "awsRegion": "us-east-1",
            "sourceIPAddress": "8.8.8.8", "responseElements": {"ConsoleLogin": "Failure"}, "errorMessage": "Failed authentication"}),
        json!({"published": "2026-11-25T21:00:00.000Z", "eventType": "user.mfa.factor.deactivate", "actor": {"id": "1", "alternateId": "a@b.example", "type": "User"},
            "client": {"ipAddress": "8.8.8.8"}, "outcome": {"result": "SUCCESS"}, "target": [{"type": "AppUser", "id": "no"}, {"type": "User", "id": "u2", "alternateId": "e@b.example"}]}),
        json!({"CreationTime": "2026-11-25T21:00:00", "Id": "i", "Operation": "New-InboxRule", "Workload": "Exchange", "UserId": "a@b.example", "ClientIP": "[2a00:1::1]:443", "ResultStatus": "True",
            "Parameters": [{"Name": "ForwardTo", "Value": "x@evil.example"}]}),
        json!({"kind": "Event", "apiVersion": "audit.k8s.io/v1", "auditID": "a", "verb": "create", "requestURI": "/api/v1/namespaces/x/pods?dry=1", "user": {"username": "ada", "groups": ["system:masters"]},
            "sourceIPs": ["10.0.0.1"], "objectRef": {"resource": "pods", "namespace": "x", "name": "p"}, "responseStatus": {"code": 403}, "stageTimestamp": "2026-11-25T21:00:00.1Z",
            "annotations": {"authorization.k8s.io/decision": "forbid"}}),
        json!({"category": "kube-audit", "operationName": "x", "time": "2026-11-25T21:00:00Z", "resourceId": "/subscriptions/1",
            "properties": {"pod": "p", "log": "{\"kind\":\"Event\",\"auditID\":\"b\",\"verb\":\"delete\",\"requestURI\":\"/\",\"objectRef\":{\"resource\":\"secrets\"}}"}}),
        json!({"object": "chat.completion", "id": "c", "created": 1_795_640_400, "model": "gpt-x", "usage": {"prompt_tokens": 7, "completion_tokens": 5, "total_tokens": 12}}),
        json!({"starting_at": "2026-11-25T21:00:00Z", "uncached_input_tokens": 10, "output_tokens": 3, "model": "claude-x", "api_key_id": "k"}),
        json!({"Event": {"System": {"Provider": {"#attributes": {"Name": "Microsoft-Windows-Security-Auditing"}}, "EventID": 4625, "Channel": "Security", "Computer": "dc.example",
            "TimeCreated": {"#attributes": {"SystemTime": "2026-11-25T21:00:00.1234567Z"}}}, "EventData": {"TargetUserName": "ada", "TargetDomainName": "EX", "IpAddress": "8.8.8.8", "LogonType": 3}}}),
        json!({"specversion": "1.0", "id": "1", "source": "/api", "type": "sealwright.usage.ai.v1", "time": "2026-11-25T21:00:00Z", "subject": "ada",
            "data": {"model": "gpt-x", "region": "eu-west-1", "input_tokens": 100, "output_tokens": 50, "prompt": "Tell me of customer 7"}}),
        json!({"specversion": "1.0", "id": "2", "source": "/access", "type": "sealwright.audit.action.v1", "time": "2026-11-25T21:00:00Z",
            "data": {"actor_kind": "user", "actor": "usr_1", "action": "billing.invoice.export", "outcome": "success", "object": "inv_1", "address": "100.64.0.9"}}),
        json!({"specversion": "1.0", "id": "3", "source": "/app", "type": "com.example.login", "time": "2026-11-25T21:00:00Z",
            "data": {"event": {"category": "authentication", "type": ["start", "creation"], "outcome": "failure", "severity": "7"}, "user": {"id": 7}, "source.ip": "8.8.8.8", "shop": {"cart": 1}, "http": {"odd": true}}}),
        json!({"specversion": "1.0", "id": "4", "source": "/syslog", "type": "com.example.line", "data": "<34>Nov 25 21:00:00 h su: FAILED SU (to root) eve on pts/1"}),
        json!({"ip": "8.8.8.8", "what": "else"}),
    ];
    let shown: Vec<String> = events
        .iter()
        .map(|e| show(&n, n.normalise(&e.to_string(), &context())))
        .collect();
    insta::assert_snapshot!(shown.join("\n"));
}

#[test]
fn places_are_of_public_addresses_only() {
    let n = Normaliser::new(Vec::new()).unwrap();
    let look_up = |ip: IpAddr| {
        let asn = match ip.to_string().as_str() {
            "9.9.9.9" => Some(16509),
            "9.9.9.8" => Some(14593),
            _ => Some(3320),
        };
        Some(Place {
            country: Some("DE".to_owned()),
            position: Some((50.1, 8.7)),
            radius_km: Some(20.0),
            asn,
            ..Place::default()
        })
    };
    let context = Context {
        geo: Some(&look_up),
        tenant: Some("ten_1"),
        ..context()
    };
    let at = |ip: &str| -> Value {
        let event = json!({"event": {"action": "login"}, "source": {"ip": ip}, "sealwright": {"tenant": {"id": "ten_other"}}});
        serde_json::from_str(&n.normalise(&event.to_string(), &context).unwrap().json).unwrap()
    };
    let public = at("8.8.8.8");
    assert_eq!(
        public["source"]["geo"],
        json!({"country_iso_code": "DE", "location": {"lat": 50.1, "lon": 8.7}})
    );
    assert_eq!(public["source"]["as"]["number"], 3320);
    assert_eq!(
        public["sealwright"]["source"],
        json!({"class": "public", "radius_km": 20.0})
    );
    // Whose event it is, its sender does not say.
    assert_eq!(public["sealwright"]["tenant"]["id"], "ten_1");
    for (ip, class) in [
        ("9.9.9.9", "hosting"),
        ("9.9.9.8", "satellite"),
        ("10.0.0.1", "private"),
        ("100.64.0.1", "cgnat"),
    ] {
        let event = at(ip);
        assert_eq!(event["sealwright"]["source"]["class"], class);
        assert_eq!(event["source"].get("geo"), None, "{ip}");
    }
}
