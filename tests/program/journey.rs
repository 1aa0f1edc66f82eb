//! The way of a newcomer: from an empty folder to an invoice that a stranger verifies offline.

use std::io::{Read as _, Write as _};
use std::net::TcpStream;
use std::path::{Path, PathBuf};

use jiff::ToSpan as _;
use jiff::civil::Date;
use serde_json::{Value, json};

use crate::support::{Place, Ran, Server, ago, ai, places, repository, signal};

/// The first day of the month before this one, in UTC.
fn last_month() -> Date {
    let today = jiff::Timestamp::now()
        .to_zoned(jiff::tz::TimeZone::UTC)
        .date();
    today.first_of_month() - 1.month()
}

/// A finalised invoice of acme for the last month, and a running server.
struct Invoiced {
    server: Server,
    /// For all tenants.
    all: String,
    /// acme's own.
    acme: String,
    id: String,
    cookie: String,
    month: String,
}

async fn invoiced(place: &Place) -> Invoiced {
    // An empty folder: the first page, and the link that makes the owner.
    let server = Server::start(place);
    eprintln!("{}: listening after {:?}", place.name, server.start);
    let page = server
        .send(server.request("GET", "/login"))
        .await
        .expect(200);
    assert!(page.text().contains("<html"), "{}", page.text());
    let link = server.first_link().await;
    let welcome = server.send(server.request("GET", &link)).await.expect(200);
    assert!(welcome.text().contains("You become the owner"));
    let form = "email=owner%40example.com&password=correct+horse+battery+staple\
                &again=correct+horse+battery+staple";
    let accept = |link: &str| {
        let request = server.request("POST", link).body(form);
        request.header("content-type", "application/x-www-form-urlencoded")
    };
    let owner = server.send(accept(&link)).await.expect(303);
    let cookie = owner.headers["set-cookie"].to_str().unwrap();
    let cookie = cookie.split(';').next().unwrap().to_owned();
    let again = server.send(accept(&link)).await;
    assert!(
        (400..500).contains(&again.status),
        "the link works once: {}",
        again.status
    );
    signed_in(&server, &cookie).await;
    assert!(server.stop().success(), "told to stop, it ends well");

    // Scripts make keys with no server running.
    let all = place.key_for_all("*");
    let acme = place.key("acme", "events:write,billing:read");
    let month = last_month();
    let next = month + 1.month();
    let starter = repository()
        .join("examples/plans/starter.toml")
        .display()
        .to_string();
    place.ok(&["billing", "price-book", "publish", &starter]);
    place.ok(&["billing", "price-book", "publish", &starter]);
    place.ok(&[
        "billing",
        "subscription",
        "set",
        "--tenant",
        "acme",
        "--price-book",
        "starter",
        "--from",
        &month.to_string(),
    ]);
    // The last month is imported (events of any age), this month is sent.
    let lines: Vec<String> = (0..200)
        .map(|n| {
            let day = month + i64::from(n % month.days_in_month() as i32).days();
            let time = format!("{day}T10:00:00Z");
            ai(&format!("old-{n}"), &time, "gpt-large", 12_345, 678).to_string()
        })
        .collect();
    let file = place.file("october.ndjson", lines.join("\n"));
    place.ok(&["billing", "usage", "import", &file, "--tenant", "acme"]);

    let server = Server::start(place);
    let sent = json!([
        ai("new-1", &ago(0), "gpt-small", 10, 20),
        ai("new-2", &ago(0), "gpt-small", 30, 40)
    ]);
    server.events(&acme, &sent).await.expect(202);
    let twice = server.events(&acme, &sent).await.expect(202).json();
    assert_eq!(
        (&twice["accepted"], &twice["duplicates"]),
        (&json!(0), &json!(2))
    );
    server.caught_up().await;

    // Summaries over the API; the command gives the same below, when no server runs.
    let path =
        format!("/api/billing/usage?tenant=acme&meter=ai.input_tokens&from={month}&to={next}");
    let usage = server.get(&all, &path).await.expect(200).json();
    assert_eq!(usage["items"][0]["quantity"], "2469000", "{usage}");

    let month = month.strftime("%Y-%m").to_string();
    let wanted = json!({ "tenant": "acme", "month": month });
    let path = "/api/billing/invoices/generate";
    let drafted = server.post(&all, path, &wanted).await.expect(200).json();
    let draft = &drafted[0]["invoice"];
    assert_eq!(draft["state"], "draft", "{drafted}");
    // 49.00 + 2.469 M × 2.50 + 0.1356 M × 10.00 = 56.5285
    assert_eq!(draft["total"], "56.53", "{drafted}");
    let id = draft["id"].as_str().unwrap().to_owned();
    let path = format!("/api/billing/invoices/{id}");
    let stale = server
        .request("POST", &format!("{path}/finalise"))
        .bearer_auth(&all);
    let stale = server.send(stale.header("if-match", "\"99\"")).await;
    assert_eq!(stale.status, 412, "{}", stale.text());
    let final_ = server
        .post(&all, &format!("{path}/finalise"), &Value::Null)
        .await
        .expect(200);
    assert_eq!(final_.json()["state"], "finalised");
    // Generating again changes nothing that is finalised.
    let again = json!({ "tenant": "acme", "month": month, "finalise": true });
    let again = server
        .post(&all, "/api/billing/invoices/generate", &again)
        .await
        .expect(200);
    assert_eq!(
        again.json()[0]["invoice"]["digest"],
        final_.json()["digest"]
    );
    Invoiced {
        server,
        all,
        acme,
        id,
        cookie,
        month,
    }
}

async fn signed_in(server: &Server, cookie: &str) {
    let request = server.request("GET", "/console").header("cookie", cookie);
    let page = server
        .send(request.header("accept", "text/html"))
        .await
        .expect(200);
    assert!(page.text().contains("owner@example.com"), "{}", page.text());
}

/// Unpacks a bundle into a folder.
fn unpack(bundle: &[u8], to: &Path) {
    let mut zip = zip::ZipArchive::new(std::io::Cursor::new(bundle)).unwrap();
    std::fs::create_dir_all(to).unwrap();
    for index in 0..zip.len() {
        let mut file = zip.by_index(index).unwrap();
        let mut bytes = Vec::new();
        file.read_to_end(&mut bytes).unwrap();
        std::fs::write(to.join(&*file.name().unwrap()), bytes).unwrap();
    }
}

/// Replaces the first `from` in a file of the folder, and verifies: what is said.
fn tampered(place: &Place, folder: &Path, file: &str, from: &str, to: &str, key: &str) -> Ran {
    let path = folder.join(file);
    let whole = std::fs::read_to_string(&path).unwrap();
    assert!(whole.contains(from), "{file} has no {from}");
    std::fs::write(&path, whole.replacen(from, to, 1)).unwrap();
    let ran = place.run(&["verify", &folder.display().to_string(), "--key", key]);
    std::fs::write(&path, whole).unwrap();
    assert_eq!(ran.code, 1, "{file}: {ran:?}");
    assert!(ran.out.contains("NOT verified"), "{ran:?}");
    ran
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn from_an_empty_folder_to_an_invoice_that_verifies() {
    for place in places().await {
        let made = invoiced(&place).await;
        let (server, id) = (&made.server, &made.id);
        let path = format!("/api/billing/invoices/{id}");
        let bundle = server
            .get(&made.all, &format!("{path}/bundle"))
            .await
            .expect(200)
            .body;
        for (format, begins) in [("json", "{"), ("csv", ""), ("pdf", "%PDF-")] {
            let document = format!("{path}/document?format={format}");
            let document = server.get(&made.acme, &document).await.expect(200);
            assert!(document.text().starts_with(begins), "{format}");
        }
        let before = server.get(&made.all, &path).await.expect(200).json();
        // A line opens to the events behind it.
        let evidence = server
            .get(&made.acme, &format!("{path}/usage/0"))
            .await
            .expect(200)
            .json();
        assert_eq!(
            evidence["items"].as_array().unwrap().len(),
            200,
            "{evidence}"
        );

        // A restart, by force, keeps everything.
        made.server.kill();
        let server = Server::start(&place);
        assert_eq!(
            server.get(&made.all, &path).await.expect(200).json(),
            before
        );
        signed_in(&server, &made.cookie).await;
        let usage = format!("/api/billing/usage?meter=ai.requests&from={}", ago(3_600));
        let usage = server.get(&made.acme, &usage).await.expect(200).json();
        assert_eq!(usage["items"][0]["quantity"], "2", "{usage}");
        assert!(server.stop().success());

        // Commands see the same.
        let shown = place.json(&[
            "billing",
            "usage",
            "show",
            "--meter",
            "ai.input_tokens",
            "--from",
            &made.month,
        ]);
        let quantities: Vec<&Value> = shown["items"]
            .as_array()
            .unwrap()
            .iter()
            .map(|i| &i["quantity"])
            .collect();
        assert_eq!(quantities, ["2469040"], "{shown}");
        let exported = place.folder.join("exported.zip").display().to_string();
        place.ok(&[
            "billing", "invoice", "export", id, "--format", "bundle", "--to", &exported,
        ]);
        assert!(
            std::fs::read(&exported).unwrap() == bundle,
            "the same bytes over API and command"
        );

        // A stranger has the bundle, a key from elsewhere, and nothing of ours.
        let key = place.json(&["ledger", "show"])["verifier_key"]
            .as_str()
            .unwrap()
            .to_owned();
        let stranger = Place::sqlite();
        let folder: PathBuf = stranger.folder.join("bundle");
        unpack(&bundle, &folder);
        let zip = stranger.file("acme.bundle.zip", &bundle);
        let said = stranger.ok(&["verify", &zip, "--key", &key]);
        assert!(said.out.contains("56.53 USD"), "{said:?}");
        stranger.ok(&["verify", &folder.display().to_string(), "--key", &key]);
        stranger.ok(&[
            "verify",
            &folder.join("invoice.json").display().to_string(),
            "--key",
            &key,
        ]);
        assert!(!stranger.data.exists(), "nothing was opened");
        // What was changed is named: an event, a price, a line, and a key that is another's.
        let ran = tampered(&stranger, &folder, "events.ndjson", "12345", "12346", &key);
        assert!(
            ran.out.contains("FAILS  events.ndjson line 1"),
            "{}",
            ran.out
        );
        let ran = tampered(
            &stranger,
            &folder,
            "price-book.json",
            "\"2.5\"",
            "\"2.4\"",
            &key,
        );
        assert!(ran.out.contains("FAILS  price-book.json"), "{}", ran.out);
        assert!(
            ran.out
                .contains("/rated/lines/1: `AI input tokens, gpt-large`")
                && ran.out.contains(r#""per_million":"2.4""#),
            "which price? {}",
            ran.out
        );
        let ran = tampered(&stranger, &folder, "invoice.json", "56.53", "56.54", &key);
        assert!(ran.out.contains("FAILS  invoice.json"), "{}", ran.out);
        let other = Place::sqlite();
        other.ok(&["access", "tenant", "create", "other"]);
        let wrong = other.json(&["ledger", "show"])["verifier_key"]
            .as_str()
            .unwrap()
            .to_owned();
        assert_eq!(stranger.run(&["verify", &zip, "--key", &wrong]).code, 1);

        ledger_answers(
            &place,
            &stranger,
            &key,
            before["ledger_entry"].as_str().unwrap(),
        );
    }
}

fn ledger_answers(place: &Place, stranger: &Place, key: &str, entry: &str) {
    place.ok(&["ledger", "verify"]);
    let proof = place
        .ok(&["ledger", "prove", entry, "--output", "json"])
        .out;
    let file = stranger.file("proof.json", &proof);
    let said = stranger.ok(&["verify", &file, "--key", key]).out;
    assert!(said.contains("billing.invoice"), "{said}");
    let mut changed: Value = serde_json::from_str(&proof).unwrap();
    changed["index"] = json!(changed["index"].as_u64().unwrap() ^ 1);
    let file = stranger.file("changed.json", changed.to_string());
    assert_eq!(stranger.run(&["verify", &file, "--key", key]).code, 1);
    // One flipped byte of the stored tree is found, in its file.
    let tiles = place.files("ledger/tile", "");
    let tile = tiles
        .iter()
        .find(|path| path.to_string_lossy().contains("entries"));
    let tile = tile.expect("a tile of entries");
    let mut bytes = std::fs::read(tile).unwrap();
    bytes[10] ^= 1;
    std::fs::write(tile, &bytes).unwrap();
    let ran = place.run(&["ledger", "verify", "--output", "json"]);
    assert_eq!(ran.code, 1, "{ran:?}");
    let name = tile
        .strip_prefix(place.data.join("ledger"))
        .unwrap()
        .display()
        .to_string();
    assert!(ran.out.contains(&name), "{name}: {}", ran.out);
}

/// Told to stop while a request is on its way, the server lets it end, and acknowledges it.
#[tokio::test]
async fn a_request_on_its_way_is_answered_before_the_end() {
    let place = Place::sqlite();
    let key = place.key("acme", "events:write,billing:read");
    let server = Server::start(&place);
    let body = json!([ai("last", &ago(60), "m", 1, 1)]).to_string();
    let (first, second) = body.split_at(20);
    let address = server.base.strip_prefix("http://").unwrap();
    let mut stream = TcpStream::connect(address).unwrap();
    let head = format!(
        "POST /api/events HTTP/1.1\r\nhost: {address}\r\nauthorization: Bearer {key}\r\n\
         content-type: application/cloudevents-batch+json\r\ncontent-length: {}\r\n\r\n{first}",
        body.len()
    );
    stream.write_all(head.as_bytes()).unwrap();
    // The server has begun with it.
    tokio::time::sleep(std::time::Duration::from_millis(200)).await;
    signal(server.child.id(), "TERM");
    tokio::time::sleep(std::time::Duration::from_millis(300)).await;
    stream.write_all(second.as_bytes()).unwrap();
    let mut answer = String::new();
    stream.read_to_string(&mut answer).unwrap();
    assert!(answer.starts_with("HTTP/1.1 202"), "{answer}");
    let mut server = server;
    assert!(server.child.wait().unwrap().success());
    let usage = place.json(&[
        "billing",
        "usage",
        "show",
        "--meter",
        "ai.requests",
        "--from",
        &ago(3_600),
    ]);
    // It was durable before it was acknowledged; a command meters what the server no longer could.
    place.ok(&["billing", "invoice", "list"]);
    drop(usage);
    let usage = place.json(&[
        "billing",
        "usage",
        "show",
        "--meter",
        "ai.requests",
        "--from",
        &ago(3_600),
    ]);
    assert_eq!(usage["items"][0]["quantity"], "1", "{usage}");
}
