//! Bad input over HTTP: a clear located error, nothing half done, the neighbour unaffected, no panic.

use std::fmt::Write as _;
use std::io::Write as _;

use reqwest::RequestBuilder;
use serde_json::{Value, json};

use crate::support::{Answer, Place, Server, ago, ai, places, redacted};

const ONE: &str = "application/cloudevents+json";
const BATCH: &str = "application/cloudevents-batch+json";

/// An installation with a sender and its neighbour.
struct World {
    place: Place,
    server: Server,
    acme: String,
    globex: String,
    revoked: String,
    reader: String,
    all: String,
    neighbours: u64,
}

impl World {
    fn new(place: Place) -> Self {
        let acme = place.key("acme", "events:write,billing:read,billing:write,lake:read");
        let globex = place.key("globex", "events:write,billing:read");
        let reader = place.key("acme", "billing:read");
        let all = place.key_for_all("*");
        let made = place.json(&[
            "access",
            "key",
            "create",
            "--tenant",
            "acme",
            "--scope",
            "events:write",
        ]);
        place.ok(&["access", "key", "revoke", made["id"].as_str().unwrap()]);
        let server = Server::start(&place);
        Self {
            server,
            acme,
            globex,
            revoked: made["key"].as_str().unwrap().to_owned(),
            reader,
            all,
            neighbours: 0,
            place,
        }
    }

    /// The request's answer; in the same moment a neighbour's event is accepted.
    async fn beside_a_neighbour(&mut self, request: RequestBuilder) -> Answer {
        self.neighbours += 1;
        let id = format!("neighbour-{}", self.neighbours);
        let event = json!([ai(&id, &ago(60), "gpt-small", 1, 1)]);
        let (answer, neighbour) = tokio::join!(
            self.server.send(request),
            self.server.events(&self.globex, &event)
        );
        assert_eq!(neighbour.status, 202, "the neighbour: {}", neighbour.text());
        answer
    }

    fn events(&self, key: &str, media: &str, body: impl Into<reqwest::Body>) -> RequestBuilder {
        let request = self.server.request("POST", "/api/events").bearer_auth(key);
        request.header("content-type", media).body(body)
    }

    fn packed(&self, coding: &str, body: Vec<u8>) -> RequestBuilder {
        self.events(&self.acme, BATCH, body)
            .header("content-encoding", coding)
    }
}

fn usage(data: &str) -> String {
    let time = ago(60);
    format!(
        r#"{{"specversion":"1.0","id":"bad","source":"/s","type":"sealwright.usage.compute.v1","time":"{time}","data":{data}}}"#
    )
}

fn at(seconds_ago: i64) -> String {
    ai("bad", &ago(seconds_ago), "m", 1, 1).to_string()
}

fn with_data(data: &[u8]) -> Vec<u8> {
    let mut text = br#"{"specversion":"1.0","id":"bad","source":"/s","type":"t","data":"#.to_vec();
    text.extend_from_slice(data);
    text.push(b'}');
    text
}

fn gzip(bytes: &[u8], times: usize) -> Vec<u8> {
    let mut gzip = flate2::write::GzEncoder::new(Vec::new(), flate2::Compression::fast());
    for _ in 0..times {
        gzip.write_all(bytes).unwrap();
    }
    gzip.finish().unwrap()
}

/// How an answer reads: status, type, then where and what.
fn shown(answer: &Answer) -> String {
    let value: Value = serde_json::from_slice(&answer.body).unwrap_or_default();
    let mut text = format!("{} {}", answer.status, answer.problem());
    let error = &value["results"][0]["error"];
    if let (Some(code), Some(pointer)) = (error["code"].as_str(), error["pointer"].as_str()) {
        write!(text, " / {code} at `{pointer}`").unwrap();
    }
    for name in ["pointer", "byte", "line", "column"] {
        if !value[name].is_null() {
            write!(text, " {name}={}", value[name]).unwrap();
        }
    }
    write!(
        text,
        "\n    {}",
        value["detail"].as_str().unwrap_or_default()
    )
    .unwrap();
    for fault in value["faults"].as_array().into_iter().flatten() {
        write!(text, "\n    - {}", fault.as_str().unwrap_or_default()).unwrap();
    }
    redacted(&text)
}

/// The bad requests of issue 2, section 6, that are events.
fn bad_events(world: &World) -> Vec<(&'static str, RequestBuilder)> {
    let spaces = vec![b' '; 1 << 20];
    let bomb = gzip(&spaces, 80);
    assert!(bomb.len() < 1 << 20, "a bomb is small: {}", bomb.len());
    let cut = bomb[..bomb.len() / 2].to_vec();
    let deep = format!("{}{}", "[".repeat(10_000), "]".repeat(10_000));
    let ten = format!("\"{}\"", "x".repeat(10 << 20));
    let mut zstd_bomb = zstd::Encoder::new(Vec::new(), 1).unwrap();
    for _ in 0..80 {
        zstd_bomb.write_all(&spaces).unwrap();
    }
    let zstd_bomb = zstd_bomb.finish().unwrap();
    let named = |tenant: &str| {
        let mut event = ai("bad", &ago(60), "m", 1, 1);
        event["tenant"] = tenant.into();
        event.to_string()
    };
    let one = |body: Vec<u8>| world.events(&world.acme, ONE, body);
    let fine = at(60);
    let no_key = world.server.request("POST", "/api/events");
    let no_key = no_key.header("content-type", ONE).body(fine.clone());
    // The last character is part of the checksum.
    let mut mistyped = world.acme.clone();
    let last = mistyped.pop().unwrap();
    mistyped.push(if last == 'a' { 'b' } else { 'a' });
    vec![
        ("NaN", one(with_data(b"{\"n\":NaN}"))),
        ("1e400", one(with_data(b"{\"n\":1e400}"))),
        (
            "a negative count",
            one(usage(r#"{"hours":-1,"region":"r"}"#).into()),
        ),
        (
            "text instead of a number",
            one(usage(r#"{"hours":"1","region":"r"}"#).into()),
        ),
        (
            "a control character in a dimension",
            one(usage(r#"{"hours":1,"region":"a\u0000b"}"#).into()),
        ),
        ("six minutes ahead", one(at(-360).into())),
        ("36 days back", one(at(36 * 86_400).into())),
        ("a lone surrogate", one(with_data(br#""\ud800""#))),
        ("invalid UTF-8", one(with_data(b"\"\xff\""))),
        ("10,000 levels of nesting", one(with_data(deep.as_bytes()))),
        ("a body of 10 MB", one(with_data(ten.as_bytes()))),
        ("truncated gzip", world.packed("gzip", cut)),
        ("a gzip bomb", world.packed("gzip", bomb)),
        ("a zstd bomb", world.packed("zstd", zstd_bomb)),
        (
            "a coding that is not read",
            world.packed("br", b"[]".to_vec()),
        ),
        ("a JSON key twice", one(with_data(br#"{"a":1,"a":1}"#))),
        ("not JSON", one(b"{\"specversion\":".to_vec())),
        ("an empty body", one(Vec::new())),
        (
            "the wrong media type",
            world.events(&world.acme, "application/json", fine.clone()),
        ),
        (
            "an unknown tenant",
            world.events(&world.all, ONE, named("nobody")),
        ),
        (
            "another's tenant",
            world.events(&world.acme, ONE, named("globex")),
        ),
        ("no tenant", world.events(&world.all, ONE, fine.clone())),
        ("no key", no_key),
        (
            "a revoked key",
            world.events(&world.revoked, ONE, fine.clone()),
        ),
        ("a mistyped key", world.events(&mistyped, ONE, fine.clone())),
        ("a key that may not", world.events(&world.reader, ONE, fine)),
    ]
}

const GAP: &str = r#"
id = "gap"
version = 1
title = "Gap"
currency = "USD"
effective_from = 2025-01-01

[[prices]]
meter = "bandwidth.gb"
model = "graduated"
tiers = [
    { up_to = "100", unit = "0" },
    { up_to = "50", unit = "0.09" },
    { up_to = "10000", unit = "0.07" },
]
"#;

const OVERLAP: &str = r#"
id = "overlap"
version = 1
title = "Overlap"
currency = "USD"
effective_from = 2025-01-01

[[prices]]
meter = "ai.input_tokens"
match = { model = "gpt-large" }
model = "per_unit"
unit = "0.01"

[[prices]]
meter = "ai.input_tokens"
match = { region = "eu-west-1" }
model = "per_unit"
unit = "0.02"
"#;

/// The bad requests that are not events.
fn bad_requests(world: &World) -> Vec<(&'static str, RequestBuilder)> {
    let to = |method: &str, path: &str, media: &'static str| {
        let request = world.server.request(method, path).bearer_auth(&world.all);
        request.header("content-type", media)
    };
    let json = |path: &str, body: &'static str| to("POST", path, "application/json").body(body);
    let books =
        |body: &'static str| to("POST", "/api/billing/price-books", "application/toml").body(body);
    let deep = format!("{}{}", "[".repeat(10_000), "]".repeat(10_000));
    let ten = format!(r#"{{"slug":"{}"}}"#, "x".repeat(10 << 20));
    vec![
        ("tiers that go down", books(GAP)),
        ("prices that overlap", books(OVERLAP)),
        ("no price book", books("id = [")),
        (
            "a price book that is not UTF-8",
            to("POST", "/api/billing/price-books", "application/toml").body(vec![0xff]),
        ),
        (
            "an unknown member",
            json("/api/access/tenants", r#"{"slug":"x","colour":1}"#),
        ),
        (
            "NUL in a name",
            json("/api/access/tenants", r#"{"slug":"nul","name":"a\u0000b"}"#),
        ),
        (
            "nesting elsewhere",
            to("POST", "/api/access/tenants", "application/json").body(deep),
        ),
        (
            "10 MB elsewhere",
            to("POST", "/api/access/tenants", "application/json").body(ten),
        ),
        (
            "half a body",
            json("/api/billing/invoices/generate", r#"{"month":"#),
        ),
        (
            "no month",
            json("/api/billing/invoices/generate", r#"{"month":"2026-13"}"#),
        ),
        (
            "NUL in a question",
            to(
                "GET",
                "/api/billing/usage?tenant=%00&from=%00",
                "text/plain",
            ),
        ),
        (
            "NUL in an id",
            to("GET", "/api/billing/price-books/%00", "text/plain"),
        ),
        (
            "no UTF-8 in an id",
            to("GET", "/api/billing/price-books/%ff", "text/plain"),
        ),
        (
            "an unknown parameter",
            to("GET", "/api/billing/usage?colour=1", "text/plain"),
        ),
        (
            "a cursor of somebody else",
            to("GET", "/api/access/tenants?cursor=%00%ff", "text/plain"),
        ),
        (
            "a question that is no SQL",
            json("/api/lake/query", r#"{"sql":"SELECT\n nothing FROM"}"#),
        ),
        (
            "a question that writes",
            json("/api/lake/query", r#"{"sql":"DROP TABLE events"}"#),
        ),
        (
            "no such place",
            to("GET", "/api/billing/nothing", "text/plain"),
        ),
        (
            "no such method",
            to("PUT", "/api/billing/usage", "text/plain"),
        ),
    ]
}

async fn all_are_refused(place: Place) -> String {
    let mut world = World::new(place);
    let mut table = String::new();
    for (number, cases) in [bad_events, bad_requests].into_iter().enumerate() {
        for (name, request) in cases(&world) {
            let answer = world.beside_a_neighbour(request).await;
            assert!(
                (400..500).contains(&answer.status),
                "{name} ({number}): {} {}",
                answer.status,
                answer.text()
            );
            let kind = answer
                .headers
                .get("content-type")
                .map_or("", |v| v.to_str().unwrap());
            assert_eq!(
                kind,
                "application/problem+json",
                "{name}: {}",
                answer.text()
            );
            writeln!(table, "{name}\n    {}", shown(&answer)).unwrap();
        }
    }
    // Nothing of it was stored, and everything of the neighbour.
    let ready = world.server.caught_up().await;
    assert_eq!(ready["log_head"], world.neighbours);
    let own = world
        .server
        .get(&world.acme, "/api/billing/usage")
        .await
        .expect(200)
        .json();
    assert_eq!(own["items"], json!([]), "acme has no usage");
    let usage = format!("/api/billing/usage?meter=ai.requests&from={}", ago(86_400));
    let theirs = world
        .server
        .get(&world.globex, &usage)
        .await
        .expect(200)
        .json();
    assert_eq!(theirs["items"][0]["quantity"], world.neighbours.to_string());
    let books = world
        .server
        .get(&world.all, "/api/billing/price-books")
        .await
        .expect(200);
    assert_eq!(books.json(), json!([]), "no price book was published");
    let tenants = world
        .server
        .get(&world.all, "/api/access/tenants")
        .await
        .expect(200)
        .json();
    assert_eq!(tenants["items"].as_array().unwrap().len(), 2, "{tenants}");
    assert!(world.server.runs());
    assert!(world.server.stop().success());
    world.place.ok(&["ledger", "verify"]);
    table
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn each_bad_request_is_refused_where_it_is_wrong() {
    // Both databases give the same answers.
    for place in places().await {
        let name = place.name;
        let table = all_are_refused(place).await;
        insta::assert_snapshot!("refusals", table, name);
    }
}

/// Meters of the operator's own take their dimensions from events that nothing else checks: what a database
/// cannot hold must not stop the metering of everybody.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn no_event_stops_the_metering_of_others() {
    for place in places().await {
        let meters = place.file(
            "meters.toml",
            r#"
[[meters]]
key = "own.calls"
title = "Calls"
event_types = ["com.example.call"]
aggregation = "count"
unit = "call"
dimensions = { who = "data.who" }
"#,
        );
        place.ok(&["billing", "meter", "add", &meters]);
        let (acme, globex) = (
            place.key("acme", "events:write,billing:read"),
            place.key("globex", "events:write,billing:read"),
        );
        let server = Server::start(&place);
        let long = "é".repeat(60_000);
        for (id, who) in [
            ("nul", "a\u{0}b"),
            ("long", &long),
            ("line", "a\nb"),
            ("fine", "me"),
        ] {
            let event = json!([{
                "specversion": "1.0", "id": id, "source": "/s", "type": "com.example.call",
                "time": ago(60), "data": { "who": who },
            }]);
            let status = server.events(&acme, &event).await.status;
            assert!(status == 202 || status == 422, "{id}: {status}");
            let event = json!([ai(id, &ago(60), "gpt-small", 1, 1)]);
            server.events(&globex, &event).await.expect(202);
        }
        server.caught_up().await;
        let usage = format!("/api/billing/usage?from={}", ago(86_400));
        let theirs = server.get(&globex, &usage).await.expect(200).json();
        let requests = theirs["items"].as_array().unwrap().iter();
        let requests: Vec<&Value> = requests.filter(|i| i["meter"] == "ai.requests").collect();
        assert_eq!(requests[0]["quantity"], "4", "{}: {theirs}", place.name);
        let own = server.get(&acme, &usage).await.expect(200).json();
        assert_eq!(own["items"][0]["meter"], "own.calls", "{own}");
    }
}
