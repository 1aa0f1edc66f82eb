//! Every operation of the served OpenAPI document: without credentials, with another tenant's key, with bodies
//! and parameters that are wrong. What is added to the document is tried here without further work.

use std::collections::BTreeMap;

use serde_json::{Value, json};

use crate::support::{Answer, Place, Server, ago, ai, places};

/// What needs no credentials, on purpose.
const OPEN: [&str; 2] = ["GET /api/billing/health", "POST /api/access/sessions"];

/// Stands in acme's data wherever a text may be, and in nothing that another tenant may see.
const SECRET: &str = "zebra-of-acme";

/// An operation of the document.
struct Operation {
    method: String,
    path: String,
    /// Names of parameters by place.
    parameters: Vec<(String, String)>,
    /// Names of the query's parameters without which there is no answer.
    required: Vec<String>,
    /// Media types of the body, where it has one.
    media: Vec<String>,
    /// The members without which there is no answer, each with a value of its type.
    least: Value,
}

/// The members that a schema requires, each with a value of its type.
fn least(document: &Value, schema: &Value) -> Value {
    let schema = schema["$ref"]
        .as_str()
        .and_then(|at| document.pointer(at.trim_start_matches('#')))
        .unwrap_or(schema);
    if let Some(first) = schema["enum"].get(0) {
        return first.clone();
    }
    match schema["type"].as_str() {
        Some("string") => json!("x"),
        Some("integer" | "number") => json!(1),
        Some("boolean") => json!(false),
        Some("array") => json!([]),
        _ => {
            let required = schema["required"].as_array().into_iter().flatten();
            let members = required.filter_map(Value::as_str).map(|name| {
                (
                    name.to_owned(),
                    least(document, &schema["properties"][name]),
                )
            });
            Value::Object(members.collect())
        }
    }
}

impl Operation {
    fn name(&self) -> String {
        format!("{} {}", self.method, self.path)
    }

    /// The path with these values for its parameters.
    fn path(&self, value: impl Fn(&str) -> String) -> String {
        let mut path = self.path.clone();
        for (place, name) in &self.parameters {
            if place == "path" {
                path = path.replace(&format!("{{{name}}}"), &value(name));
            }
        }
        assert!(
            !path.contains('{'),
            "{}: an undocumented parameter",
            self.path
        );
        path
    }
}

async fn operations(server: &Server) -> Vec<Operation> {
    let document = server
        .send(server.request("GET", "/api/openapi.json"))
        .await
        .expect(200)
        .json();
    let mut operations = Vec::new();
    for (path, methods) in document["paths"].as_object().unwrap() {
        for (method, operation) in methods.as_object().unwrap() {
            let text = |value: &Value| value.as_str().unwrap_or_default().to_owned();
            let parameters = operation["parameters"].as_array().into_iter().flatten();
            let required = parameters
                .clone()
                .filter(|p| p["in"] == "query" && p["required"] == true)
                .map(|p| text(&p["name"]))
                .collect();
            let content = operation["requestBody"]["content"].as_object();
            operations.push(Operation {
                method: method.to_uppercase(),
                path: path.clone(),
                parameters: parameters
                    .map(|p| (text(&p["in"]), text(&p["name"])))
                    .collect(),
                required,
                least: content
                    .and_then(|c| c.values().next())
                    .map_or_else(|| json!({}), |c| least(&document, &c["schema"])),
                media: content
                    .map(|c| c.keys().cloned().collect())
                    .unwrap_or_default(),
            });
        }
    }
    assert!(operations.len() > 40, "{} operations", operations.len());
    operations
}

/// An installation with something of acme behind each kind of id.
pub(crate) struct World {
    pub(crate) place: Place,
    server: Server,
    all: String,
    globex: String,
    /// A key of acme's own for everything.
    pub(crate) own: String,
    /// Ids of what is acme's, by the name of the path parameter.
    pub(crate) ids: BTreeMap<&'static str, String>,
}

/// Calls each operation once, with the least body that it takes: the status and the kind of problem by name.
pub(crate) async fn least_calls(world: &World, key: &str) -> BTreeMap<String, String> {
    let mut answers = BTreeMap::new();
    for operation in operations(&world.server).await {
        let path = operation.path(|name| world.id(&operation, name));
        let answer = world.call(&operation, Some(key), &path).await;
        assert!(
            answer.status < 500,
            "{}: {}: {} {}",
            world.place.name,
            operation.name(),
            answer.status,
            answer.text()
        );
        let kind = if answer.status < 400 {
            String::new()
        } else {
            answer.problem()
        };
        answers.insert(operation.name(), format!("{} {kind}", answer.status));
    }
    answers
}

pub(crate) async fn world(place: Place) -> World {
    let all = place.key_for_all("*");
    let globex = place.key("globex", "*");
    place.ok(&[
        "access", "tenant", "create", "acme", "--name", SECRET, "--region", SECRET,
    ]);
    let made = place.json(&[
        "access",
        "key",
        "create",
        "--tenant",
        "acme",
        "--scope",
        "events:write",
        "--name",
        SECRET,
    ]);
    let user = place.json(&[
        "access",
        "user",
        "create",
        &format!("{SECRET}@example.com"),
        "--role",
        "member",
        "--tenant",
        "acme",
    ]);
    let book = crate::support::repository().join("examples/plans/starter.toml");
    place.ok(&[
        "billing",
        "price-book",
        "publish",
        &book.display().to_string(),
    ]);
    place.ok(&[
        "billing",
        "subscription",
        "set",
        "--tenant",
        "acme",
        "--price-book",
        "starter",
        "--from",
        "2025-03",
    ]);
    let event = ai("e1", "2025-03-01T00:00:00Z", SECRET, 1, 1).to_string();
    let file = place.file("march.ndjson", event);
    place.ok(&["billing", "usage", "import", &file, "--tenant", "acme"]);
    place.ok(&[
        "billing",
        "invoice",
        "generate",
        "--tenant",
        "acme",
        "--month",
        "2025-03",
        "--finalise",
    ]);
    let invoices = place.json(&["billing", "invoice", "list", "--tenant", "acme"]);
    let own = place.key("acme", "*");
    let server = Server::start(&place);
    let key = made["key"].as_str().unwrap();
    let event = json!([ai("e2", &ago(60), SECRET, 1, 1)]);
    server.events(key, &event).await.expect(202);
    server.caught_up().await;
    let run = json!({ "job": "lake.maintain" });
    let run = server
        .post(&all, "/api/jobs/runs", &run)
        .await
        .expect(202)
        .json();
    let tenants = server
        .get(&all, "/api/access/tenants")
        .await
        .expect(200)
        .json();
    let acme = tenants["items"]
        .as_array()
        .unwrap()
        .iter()
        .find(|t| t["slug"] == "acme")
        .unwrap();
    let text = |value: &Value| value.as_str().expect("an id").to_owned();
    let ids = BTreeMap::from([
        ("key", text(&made["id"])),
        ("user", text(&user["id"])),
        ("tenant", text(&acme["id"])),
        ("id", text(&invoices[0]["id"])),
        ("row", "0".to_owned()),
        ("run", text(&run["id"])),
        (
            "session",
            "ses_01990000-0000-7000-8000-000000000000".to_owned(),
        ),
    ]);
    World {
        place,
        server,
        all,
        globex,
        own,
        ids,
    }
}

impl World {
    /// The id of something that is acme's; a made-up one for parameters that `world` has nothing for.
    fn id(&self, operation: &Operation, name: &str) -> String {
        if operation.path.contains("price-books") {
            return "starter".to_owned();
        }
        let id = self.ids.get(name);
        id.cloned().unwrap_or_else(|| {
            eprintln!("note: {}: no {name} of acme's is tried", operation.path);
            "made-up".to_owned()
        })
    }

    /// Whether all ids in the path are of things that acme has.
    fn knows(&self, operation: &Operation) -> bool {
        let mut ids = operation
            .parameters
            .iter()
            .filter(|(place, _)| place == "path");
        ids.all(|(_, name)| self.ids.contains_key(name.as_str()))
    }

    async fn call(&self, operation: &Operation, key: Option<&str>, path: &str) -> Answer {
        let mut request = self.server.request(&operation.method, path);
        if let Some(key) = key {
            request = request.bearer_auth(key);
        }
        if let Some(media) = operation.media.first() {
            // Enough for what is asked for by an id, so that the id is looked at.
            let body = if operation.path.contains("/invoices/{") {
                r#"{"reason":"r","reference":"r"}"#.to_owned()
            } else if key.is_some() {
                operation.least.to_string()
            } else {
                // A sign-in with a name and a password would rightly answer 401.
                "{}".to_owned()
            };
            request = request.header("content-type", media).body(body);
        }
        if operation.method == "PATCH" {
            request = request.header("if-match", "*");
        }
        self.server.send(request).await
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn nothing_answers_without_credentials() {
    let world = world(Place::sqlite()).await;
    for operation in operations(&world.server).await {
        let path = operation.path(|name| world.id(&operation, name));
        let answer = world.call(&operation, None, &path).await;
        let name = operation.name();
        if OPEN.contains(&name.as_str()) {
            assert_ne!(answer.status, 401, "{name}");
            continue;
        }
        assert_eq!(answer.status, 401, "{name}: {}", answer.text());
        assert_eq!(answer.problem(), "unauthorized", "{name}");
        assert!(answer.headers.contains_key("www-authenticate"), "{name}");
        assert!(!answer.text().contains(SECRET), "{name}");
        let answer = world.call(&operation, Some("swk_nothing"), &path).await;
        assert_eq!(answer.status, 401, "{name}, a wrong key: {}", answer.text());
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn another_tenants_key_finds_nothing() {
    for place in places().await {
        let world = world(place).await;
        let before = world
            .server
            .get(&world.all, "/api/billing/invoices?tenant=acme")
            .await;
        for operation in operations(&world.server).await {
            let name = operation.name();
            // Prices are the operator's, and the same for all.
            let own = operation.path.contains("{") && !operation.path.contains("price-books");
            let path = operation.path(|name| world.id(&operation, name));
            let answer = world.call(&operation, Some(&world.globex), &path).await;
            let status = answer.status;
            assert!(
                !answer.text().contains(SECRET),
                "{name} shows another's: {}",
                answer.text()
            );
            assert!(status < 500, "{name}: {status} {}", answer.text());
            if own {
                // Jobs are the operator's; keys have no sessions; a tenant is changed by the operator.
                let elsewhere = ["/api/jobs/", "/api/access/sessions", "/api/access/tenants"];
                let elsewhere = elsewhere
                    .iter()
                    .any(|part| operation.path.starts_with(part));
                let expected: &[u16] = match (world.knows(&operation), elsewhere) {
                    (false, _) => &[400, 403, 404, 409, 412, 422, 428],
                    (true, true) => &[403, 404, 409],
                    (true, false) => &[404],
                };
                assert!(
                    expected.contains(&status),
                    "{name}: {status} {}",
                    answer.text()
                );
            }
            // Naming the tenant does not help.
            for (place, parameter) in &operation.parameters {
                if place == "query" && parameter == "tenant" {
                    let mut path = format!("{path}?tenant={}", world.ids["tenant"]);
                    for other in operation.required.iter().filter(|name| *name != "tenant") {
                        path.push_str(&format!("&{other}=x"));
                    }
                    let answer = world.call(&operation, Some(&world.globex), &path).await;
                    assert_eq!(answer.status, 404, "{name}?tenant: {}", answer.text());
                }
            }
        }
        let question = json!({ "sql": "SELECT * FROM events" });
        let answer = world
            .server
            .post(&world.globex, "/api/lake/query", &question)
            .await
            .expect(200);
        assert_eq!(answer.json()["rows"], json!([]));
        // And nothing of acme was changed by all this.
        let after = world
            .server
            .get(&world.all, "/api/billing/invoices?tenant=acme")
            .await;
        assert_eq!(after.json(), before.json());
        let key = format!("/api/access/keys/{}", world.ids["key"]);
        let key = world.server.get(&world.all, &key).await.expect(200).json();
        assert_eq!(key["revoked_at"], Value::Null, "{key}");
        drop(world.place);
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn wrong_bodies_and_parameters_are_the_senders_fault() {
    let bodies: [(&str, Vec<u8>); 9] = [
        ("half", b"{".to_vec()),
        ("array", b"[]".to_vec()),
        ("text", b"\"x\"".to_vec()),
        ("null", b"null".to_vec()),
        (
            "numbers",
            br#"{"slug":1,"month":2,"sql":3,"job":4,"name":5}"#.to_vec(),
        ),
        (
            "NUL",
            br#"{"slug":"\u0000","name":"\u0000","sql":"\u0000","job":"\u0000"}"#.to_vec(),
        ),
        ("UTF-8", b"{\"slug\":\"\xff\"}".to_vec()),
        ("deep", [b"[".repeat(20_000), b"]".repeat(20_000)].concat()),
        (
            "large",
            format!("{{\"slug\":\"{}\"}}", "x".repeat(3 << 20)).into_bytes(),
        ),
    ];
    let values = [
        "%00",
        "%ff",
        "%27%22%3B--",
        "..%2f..%2fetc",
        "-1",
        "18446744073709551616",
        "1e400",
        "NaN",
        "%F0%9F%A6%93",
        "",
        "2026-13-45",
        "inv_",
        "x,x,x,,,",
    ];
    let long = "x".repeat(5_000);
    for place in places().await {
        let store = place.name;
        let world = world(place).await;
        let fine = |name: &str, answer: &Answer| {
            assert!(
                answer.status < 500,
                "{store}: {name}: {} {}",
                answer.status,
                answer.text()
            );
            if answer.status >= 400 {
                let kind = answer
                    .headers
                    .get("content-type")
                    .map_or("", |v| v.to_str().unwrap());
                assert_eq!(
                    kind,
                    "application/problem+json",
                    "{store}: {name}: {}",
                    answer.text()
                );
            }
        };
        for operation in operations(&world.server).await {
            let name = operation.name();
            let path = operation.path(|name| world.id(&operation, name));
            for (body_name, body) in &bodies {
                for media in operation
                    .media
                    .iter()
                    .map(String::as_str)
                    .chain(["text/plain", "image/png"])
                {
                    if operation.media.is_empty() {
                        break;
                    }
                    let request = world
                        .server
                        .request(&operation.method, &path)
                        .bearer_auth(&world.all);
                    let request = request.header("content-type", media).body(body.clone());
                    let answer = world.server.send(request.header("if-match", "\"0\"")).await;
                    fine(&format!("{name}, {body_name} as {media}"), &answer);
                    // A batch of no events is one (CloudEvents JSON format, section 4).
                    if operation.path == "/api/events" && *body_name == "array" {
                        continue;
                    }
                    // Where other things than JSON are taken, any text may be one.
                    if operation.media != ["application/json"] && operation.path != "/api/events" {
                        continue;
                    }
                    assert!(
                        answer.status >= 300,
                        "{store}: {name} took {body_name}: {}",
                        answer.text()
                    );
                }
            }
            if operation.method != "GET" {
                continue;
            }
            for value in values.iter().copied().chain([long.as_str()]) {
                if operation
                    .parameters
                    .iter()
                    .any(|(place, _)| place == "path")
                    && !value.is_empty()
                {
                    let path = operation.path(|_| value.to_owned());
                    let answer = world.call(&operation, Some(&world.all), &path).await;
                    fine(&path, &answer);
                    assert!(answer.status >= 400, "{path}: {}", answer.text());
                }
                for (place, parameter) in &operation.parameters {
                    if place == "query" {
                        let path = format!("{path}?{parameter}={value}");
                        fine(
                            &path,
                            &world.call(&operation, Some(&world.all), &path).await,
                        );
                    }
                }
            }
        }
        assert!(
            !world.server.log().contains("ERROR"),
            "{store}: {}",
            world.server.log()
        );
    }
}
