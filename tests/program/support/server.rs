//! A running server, and requests to it.

use std::io::{BufRead as _, BufReader};
use std::process::{Child, Command, ExitStatus, Stdio};
use std::sync::{Arc, Mutex, mpsc};
use std::time::{Duration, Instant};

use reqwest::header::HeaderMap;
use serde_json::Value;

use super::place::Place;

/// A server on a place; it is killed when it is dropped, and must not have panicked.
pub(crate) struct Server {
    pub(crate) child: Child,
    /// `http://127.0.0.1:PORT`
    pub(crate) base: String,
    /// How long it took from the start of the process until it said where it listens.
    pub(crate) start: Duration,
    log: Arc<Mutex<String>>,
    client: reqwest::Client,
}

/// What a request was answered with.
#[derive(Debug)]
pub(crate) struct Answer {
    pub(crate) status: u16,
    pub(crate) headers: HeaderMap,
    pub(crate) body: Vec<u8>,
}

impl Answer {
    pub(crate) fn text(&self) -> String {
        String::from_utf8_lossy(&self.body).into_owned()
    }

    pub(crate) fn json(&self) -> Value {
        serde_json::from_slice(&self.body)
            .unwrap_or_else(|error| panic!("{error}: {} {}", self.status, self.text()))
    }

    /// The last part of the problem's type, and nothing where it is none.
    pub(crate) fn problem(&self) -> String {
        let value: Value = serde_json::from_slice(&self.body).unwrap_or_default();
        let kind = value["type"].as_str().unwrap_or_default();
        kind.trim_start_matches("urn:sealwright:problem:")
            .to_owned()
    }

    /// The answer, if it has this status.
    #[track_caller]
    pub(crate) fn expect(self, status: u16) -> Self {
        assert_eq!(self.status, status, "{}", self.text());
        self
    }
}

impl Server {
    /// Starts a server that listens on a free port, and waits until it does.
    pub(crate) fn start(place: &Place) -> Self {
        Self::try_start(place).unwrap_or_else(|log| panic!("{}: no server\n{log}", place.name))
    }

    /// As [`Server::start`]; what it said when it ended instead.
    pub(crate) fn try_start(place: &Place) -> Result<Self, String> {
        let mut command = place.command();
        command.args(["serve", "--listen", "127.0.0.1:0"]);
        Self::of(command)
    }

    /// Runs `command`, which ends in the program's `serve`.
    pub(crate) fn of(mut command: Command) -> Result<Self, String> {
        let began = Instant::now();
        let mut child = command
            .stdout(Stdio::null())
            .stderr(Stdio::piped())
            .spawn()
            .expect("the program starts");
        let stderr = child.stderr.take().expect("standard error");
        let log = Arc::new(Mutex::new(String::new()));
        let (said, hear) = mpsc::channel();
        let kept = Arc::clone(&log);
        std::thread::spawn(move || {
            for line in BufReader::new(stderr).lines().map_while(Result::ok) {
                if let Some(base) = line.strip_prefix("listening on ") {
                    let _ = said.send(base.to_owned());
                }
                let mut log = kept.lock().unwrap();
                log.push_str(&line);
                log.push('\n');
            }
        });
        match hear.recv_timeout(Duration::from_secs(60)) {
            Ok(base) => Ok(Self {
                child,
                base,
                start: began.elapsed(),
                log,
                client: reqwest::Client::builder()
                    .redirect(reqwest::redirect::Policy::none())
                    .build()
                    .expect("a client"),
            }),
            Err(_) => {
                let _ = child.kill();
                let _ = child.wait();
                Err(log.lock().unwrap().clone())
            }
        }
    }

    /// What it has written to standard error so far.
    pub(crate) fn log(&self) -> String {
        self.log.lock().unwrap().clone()
    }

    /// The link that makes the first owner, relative to the server.
    pub(crate) async fn first_link(&self) -> String {
        let since = Instant::now();
        loop {
            let log = self.log();
            if let Some((_, rest)) = log.split_once("first sign-in (once): ") {
                let link = rest.lines().next().unwrap_or_default();
                return link
                    .strip_prefix(&self.base)
                    .expect("our own link")
                    .to_owned();
            }
            assert!(since.elapsed() < Duration::from_secs(10), "no link:\n{log}");
            tokio::time::sleep(Duration::from_millis(10)).await;
        }
    }

    /// A request to be added to.
    pub(crate) fn request(&self, method: &str, path: &str) -> reqwest::RequestBuilder {
        let method = method.parse().expect("a method");
        self.client.request(method, format!("{}{path}", self.base))
    }

    /// Sends a request, which is answered.
    pub(crate) async fn send(&self, request: reqwest::RequestBuilder) -> Answer {
        self.try_send(request).await.expect("an answer")
    }

    /// Sends a request.
    pub(crate) async fn try_send(
        &self,
        request: reqwest::RequestBuilder,
    ) -> reqwest::Result<Answer> {
        let response = request.timeout(Duration::from_secs(60)).send().await?;
        Ok(Answer {
            status: response.status().as_u16(),
            headers: response.headers().clone(),
            body: response.bytes().await?.to_vec(),
        })
    }

    pub(crate) async fn get(&self, key: &str, path: &str) -> Answer {
        self.send(self.request("GET", path).bearer_auth(key)).await
    }

    pub(crate) async fn post(&self, key: &str, path: &str, body: &Value) -> Answer {
        let request = self.request("POST", path).bearer_auth(key);
        let request = request.header("content-type", "application/json");
        self.send(request.body(body.to_string())).await
    }

    /// Sends events as a JSON batch.
    pub(crate) async fn events(&self, key: &str, events: &Value) -> Answer {
        let request = self.request("POST", "/api/events").bearer_auth(key);
        let request = request.header("content-type", "application/cloudevents-batch+json");
        self.send(request.body(events.to_string())).await
    }

    /// Waits until all accepted events are metered and stored, and returns what `/health/ready` said.
    pub(crate) async fn caught_up(&self) -> Value {
        let since = Instant::now();
        loop {
            let ready = self.send(self.request("GET", "/health/ready")).await.json();
            let all = &ready["log_head"];
            if ready["metered_through"] == *all && ready["lake_next_offset"] == *all {
                return ready;
            }
            assert!(
                since.elapsed() < Duration::from_secs(60),
                "the consumers do not catch up: {ready}\n{}",
                self.log()
            );
            tokio::time::sleep(Duration::from_millis(20)).await;
        }
    }

    /// `kill -9`.
    pub(crate) fn kill(mut self) {
        self.child.kill().expect("it runs");
        self.child.wait().expect("it ended");
    }

    /// Tells it to stop, and waits until it has.
    pub(crate) fn stop(mut self) -> ExitStatus {
        signal(self.child.id(), "TERM");
        self.child.wait().expect("it ended")
    }

    /// Whether it still runs.
    pub(crate) fn runs(&mut self) -> bool {
        self.child.try_wait().expect("a child").is_none()
    }
}

impl Drop for Server {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
        if std::thread::panicking() {
            eprintln!("the server's log:\n{}", self.log());
        } else {
            assert!(!self.log().contains("panicked"), "{}", self.log());
        }
    }
}

/// Sends a signal by its name.
pub(crate) fn signal(process: u32, name: &str) {
    let told = Command::new("sh")
        .args(["-c", "kill -\"$1\" \"$0\"", &process.to_string(), name])
        .status();
    assert!(told.expect("a shell").success(), "kill -{name} {process}");
}
