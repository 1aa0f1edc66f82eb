//! Against a real SMTP server: aiosmtpd, in a virtual environment that the test command makes.

use std::io::{BufRead as _, BufReader, Read as _};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};

use sealwright_notify::{DeliveryState, Given, MailTls, NewTarget, Phase, Severity};

use crate::support::{CANARY, message, staff, worlds};

/// A server that prints each mail as a line of JSON; it ends with the test.
struct Server {
    child: Child,
    port: u16,
    lines: std::sync::mpsc::Receiver<String>,
}

impl Drop for Server {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

fn python() -> Option<PathBuf> {
    let target = std::env::var_os("CARGO_TARGET_DIR").map_or_else(
        || Path::new(env!("CARGO_MANIFEST_DIR")).join("../../../target"),
        PathBuf::from,
    );
    let python = target.join("venv-smtp/bin/python");
    if python.is_file() {
        return Some(python);
    }
    eprintln!("skipped: aiosmtpd ({} is not there)", python.display());
    None
}

impl Server {
    fn start(python: &Path, mode: &str, folder: &Path) -> Self {
        let script = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/smtp_server.py");
        let mut child = Command::new(python)
            .arg(script)
            .arg(mode)
            .arg(folder)
            .stdout(Stdio::piped())
            // It prints a traceback for each connection that is refused, as some here are meant to be.
            .stderr(Stdio::null())
            .spawn()
            .unwrap();
        let mut out = BufReader::new(child.stdout.take().unwrap());
        let mut first = String::new();
        out.read_line(&mut first).unwrap();
        let port = first.trim().parse().unwrap_or_else(|_| {
            let mut rest = String::new();
            let _ = out.read_to_string(&mut rest);
            panic!("the SMTP server did not start: {first}{rest}")
        });
        let (sender, lines) = std::sync::mpsc::channel();
        std::thread::spawn(move || {
            for line in out.lines().map_while(Result::ok) {
                let _ = sender.send(line);
            }
        });
        Self { child, port, lines }
    }

    fn mail(&self) -> serde_json::Value {
        let line = self
            .lines
            .recv_timeout(std::time::Duration::from_secs(10))
            .expect("a mail");
        serde_json::from_str(&line).unwrap()
    }
}

fn target(port: u16, tls: MailTls, username: Option<&str>, to: &str) -> NewTarget {
    NewTarget::Email {
        host: "localhost".to_owned(),
        port: Some(port),
        tls: Some(tls),
        username: username.map(str::to_owned),
        password: username.map(|_| Given::new(CANARY)),
        from: "Sealwright <alerts@sealwright.example>".to_owned(),
        to: vec![to.to_owned(), "zoe@acme.example".to_owned()],
    }
}

#[tokio::test]
async fn mail_reaches_a_real_server() {
    let Some(python) = python() else { return };
    for world in worlds().await {
        let server = Server::start(&python, "plain", &world.folder);
        world
            .everything_to(target(server.port, MailTls::None, None, "ops@acme.example"))
            .await;
        for phase in [Phase::Trigger, Phase::Resolve] {
            let told = message("billing.budget", Severity::Error)
                .about(world.acme)
                .incident("2026-11", phase);
            world.enqueue(&told).await;
            assert_eq!(world.drain().await, 1);
        }
        let all = world.deliveries().await;
        assert!(
            all.iter().all(|d| d.state == DeliveryState::Sent),
            "{all:?}"
        );
        let (first, second) = (server.mail(), server.mail());
        assert_eq!(
            first["to"],
            serde_json::json!(["ops@acme.example", "zoe@acme.example"])
        );
        assert_eq!(first["from"], "alerts@sealwright.example");
        let headers = &first["headers"];
        assert_eq!(
            headers["Subject"],
            "[error] acme: acme is at 90 % of its budget"
        );
        assert_eq!(headers["Auto-Submitted"], "auto-generated");
        assert_eq!(
            headers["Message-ID"],
            format!("<{}@sealwright.example>", all[0].id)
        );
        assert_eq!(
            headers["References"], second["headers"]["References"],
            "one thread"
        );
        assert!(
            first["body"]
                .as_str()
                .unwrap()
                .contains("https://sealwright.example/console/billing")
        );
        assert_eq!(
            second["headers"]["Subject"],
            "[resolved] acme: acme is at 90 % of its budget"
        );
    }
}

#[tokio::test]
async fn a_refused_recipient_is_a_dead_letter_and_a_busy_server_is_tried_again() {
    let Some(python) = python() else { return };
    for world in worlds().await {
        let server = Server::start(&python, "plain", &world.folder);
        for (to, state, status) in [
            ("nobody@acme.example", DeliveryState::Dead, Some(550)),
            ("busy@acme.example", DeliveryState::Pending, Some(451)),
        ] {
            let channel = world
                .channel(target(server.port, MailTls::None, None, to))
                .await;
            let test = world
                .service
                .test_channel(&staff(), &channel.id.to_string())
                .await
                .unwrap();
            world.drain().await;
            let ended = world
                .service
                .delivery(&staff(), &test.id.to_string())
                .await
                .unwrap();
            assert_eq!((ended.state, ended.status), (state, status), "{ended:?}");
        }
    }
}

/// STARTTLS with an authority of one's own, and the password only inside of it; a server without STARTTLS
/// gets nothing.
#[tokio::test]
async fn starttls_is_required_and_its_certificate_checked() {
    let Some(python) = python() else { return };
    for world in worlds().await {
        let server = Server::start(&python, "starttls", &world.folder);
        let channel = world
            .channel(target(
                server.port,
                MailTls::Starttls,
                Some("ops"),
                "ops@acme.example",
            ))
            .await;
        let id = channel.id.to_string();
        let pem = std::fs::read(world.folder.join("ca.pem")).unwrap();
        let trusting = world.with_roots(Some(pem));
        let tried = async |service: &sealwright_notify::NotifyService, id: &str| {
            let test = service.test_channel(&staff(), id).await.unwrap();
            let deliverer = sealwright_notify::Deliverer::new(service.clone(), "mail");
            deliverer.drain().await.unwrap();
            let id = test.id.to_string();
            service.delivery(&staff(), &id).await.unwrap()
        };
        let sent = tried(&trusting, &id).await;
        assert_eq!(sent.state, DeliveryState::Sent, "{sent:?}");
        let mail = server.mail();
        assert_eq!(mail["user"], "ops");
        assert_eq!(mail["password"], CANARY);
        assert_eq!(mail["tls"], true);
        let strange = tried(&world.with_roots(None), &id).await;
        assert_eq!(strange.state, DeliveryState::Pending, "{strange:?}");
        assert!(
            strange
                .answer
                .as_ref()
                .unwrap()
                .to_lowercase()
                .contains("certificate"),
            "{strange:?}"
        );

        // TLS from the first byte.
        let wrapped = Server::start(&python, "tls", &world.folder);
        let channel = world
            .channel(target(wrapped.port, MailTls::Tls, None, "ops@acme.example"))
            .await;
        let pem = std::fs::read(world.folder.join("ca.pem")).unwrap();
        let service = world.with_roots(Some(pem));
        let sent = tried(&service, &channel.id.to_string()).await;
        assert_eq!(sent.state, DeliveryState::Sent, "{sent:?}");
        assert_eq!(wrapped.mail()["from"], "alerts@sealwright.example");

        let plain = Server::start(&python, "plain", &world.folder);
        let channel = world
            .channel(target(
                plain.port,
                MailTls::Starttls,
                Some("ops"),
                "ops@acme.example",
            ))
            .await;
        let refused = tried(&trusting, &channel.id.to_string()).await;
        assert_ne!(refused.state, DeliveryState::Sent, "{refused:?}");
    }
}
