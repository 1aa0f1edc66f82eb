//! Issues of a GitHub repository, by the REST API.
//!
//! An incident is one issue: the first message opens it, later ones are comments, a resolution closes it, a
//! new trigger opens it again. Markers in HTML comments make a repeated attempt find what the first one
//! did: of the incident (or the delivery) in the issue, of the delivery in each comment.

use reqwest::RequestBuilder;
use reqwest::header::{ACCEPT, AUTHORIZATION, CONTENT_TYPE};
use serde_json::{Value, json};
use url::Url;

use super::{Attempt, Outcome, Told, by_status, bytes, facts, missing};
use crate::egress::{Answer, Egress, EgressError, LITTLE};
use crate::message::Phase;
use crate::model::Target;

/// Bytes of a list of issues or comments that are read: 100 bodies of 64 KiB.
const LIST: usize = 8 * 1024 * 1024;
/// Pages of 100 issues that are searched for a marker, newest first.
const PAGES: u32 = 3;
/// The label by which our issues are found.
const LABEL: &str = "sealwright";

/// Text that GitHub does not take for markup, a mention or a reference.
fn escape(text: &str) -> String {
    let mut out = String::with_capacity(text.len() + 16);
    for c in text.chars() {
        match c {
            '&' => out.push_str("&amp;"),
            '<' => out.push_str("&lt;"),
            '>' => out.push_str("&gt;"),
            // A zero-width space after @ and # keeps them from mentioning and referring.
            '@' | '#' => {
                out.push(c);
                out.push('\u{200b}');
            }
            '\\' | '`' | '*' | '_' | '[' | ']' | '|' | '~' => {
                out.push('\\');
                out.push(c);
            }
            other => out.push(other),
        }
    }
    out
}

/// `--` would end the comment early; keys hold any text, so they are hashed.
fn marker(kind: &str, key: &str) -> String {
    let digest = sealwright_core::Digest::of(key.as_bytes());
    format!("<!-- sealwright:{kind}:{digest} -->")
}

fn issue_marker(told: &Told) -> String {
    match &told.message.incident {
        Some(incident) => marker("incident", incident),
        None => marker("delivery", &told.delivery.to_string()),
    }
}

fn text(told: &Told, marker: &str) -> String {
    let mut out = String::new();
    if !told.message.body.is_empty() {
        out.push_str(&escape(&told.message.body));
        out.push_str("\n\n");
    }
    out.push_str("| | |\n|---|---|\n");
    for (name, value) in facts(told) {
        out.push_str(&format!("| {} | {} |\n", escape(&name), escape(&value)));
    }
    if let Some(link) = &told.link {
        out.push_str(&format!("\n<{link}>\n"));
    }
    out.push_str(&format!("\n{marker}\n"));
    out
}

/// A new issue.
pub(super) fn issue(told: &Told, labels: &[String]) -> Value {
    let title = match &told.tenant {
        Some(tenant) => format!("{tenant}: {}", told.message.title),
        None => told.message.title.clone(),
    };
    let mut all = vec![LABEL.to_owned()];
    all.extend(labels.iter().cloned());
    json!({"title": title, "body": text(told, &issue_marker(told)), "labels": all})
}

/// A comment on an issue that is there.
pub(super) fn comment(told: &Told) -> Value {
    let word = match told.message.phase {
        Phase::Trigger => "Again",
        Phase::Acknowledge => "Acknowledged",
        Phase::Resolve => "Resolved",
    };
    let head = format!("**{word}: {}**\n\n", escape(&told.message.title));
    let marker = marker("delivery", &told.delivery.to_string());
    json!({"body": format!("{head}{}", text(told, &marker))})
}

struct Github<'a> {
    egress: &'a Egress,
    attempt: &'a Attempt<'a>,
    base: String,
    token: &'a str,
}

/// A step that did not succeed ends the attempt.
type Step<T> = Result<T, Outcome>;

impl Github<'_> {
    fn url(&self, path: &str) -> Step<Url> {
        Ok(self.egress.url(&format!("{}{path}", self.base))?)
    }

    async fn call(
        &self,
        request: Result<RequestBuilder, EgressError>,
        most: usize,
    ) -> Step<Answer> {
        let request = request?
            .header(AUTHORIZATION, format!("Bearer {}", self.token))
            .header(ACCEPT, "application/vnd.github+json")
            .header("x-github-api-version", "2022-11-28");
        let answer = self.egress.send(request, most, self.attempt.now).await?;
        match answer.status {
            200..=299 => Ok(answer),
            _ if answer.rate_limited => Err(Outcome::Again {
                status: Some(i64::from(answer.status)),
                answer: answer.text(),
                after: answer.retry_after,
                block: true,
            }),
            _ => Err(by_status(&answer)),
        }
    }

    async fn list(&self, path: &str) -> Step<Vec<Value>> {
        let answer = self.call(self.egress.get(&self.url(path)?), LIST).await?;
        serde_json::from_slice(&answer.body).map_err(|_| Outcome::Again {
            status: Some(i64::from(answer.status)),
            answer: "the answer is not a list of JSON".to_owned(),
            after: None,
            block: false,
        })
    }

    /// The issue that a message belongs to, if it is there.
    async fn find(&self) -> Step<Option<i64>> {
        if let Some(number) = self
            .attempt
            .reference
            .as_deref()
            .and_then(|t| t.parse().ok())
        {
            return Ok(Some(number));
        }
        let marker = issue_marker(self.attempt.told);
        for page in 1..=PAGES {
            let path = format!(
                "/issues?labels={LABEL}&state=all&sort=created&direction=desc&per_page=100&page={page}"
            );
            let issues = self.list(&path).await?;
            let found = issues
                .iter()
                .find(|issue| {
                    issue["body"]
                        .as_str()
                        .is_some_and(|body| body.contains(&marker))
                })
                .and_then(|issue| issue["number"].as_i64());
            if found.is_some() || issues.len() < 100 {
                return Ok(found);
            }
        }
        Ok(None)
    }

    async fn commented(&self, number: i64) -> Step<bool> {
        let marker = marker("delivery", &self.attempt.told.delivery.to_string());
        let since = self.attempt.told.message.created_at.floor_hour();
        let path = format!("/issues/{number}/comments?per_page=100&since={since}");
        let comments = self.list(&path).await?;
        Ok(comments.iter().any(|comment| {
            comment["body"]
                .as_str()
                .is_some_and(|b| b.contains(&marker))
        }))
    }

    async fn write(
        &self,
        request: Result<RequestBuilder, EgressError>,
        body: &Value,
    ) -> Step<Answer> {
        let request = request.map(|r| r.header(CONTENT_TYPE, "application/json").body(bytes(body)));
        self.call(request, LITTLE).await
    }

    /// Opens an issue.
    async fn open(&self, labels: &[String]) -> Step<Outcome> {
        let told = self.attempt.told;
        let answer = self
            .write(
                self.egress.post(&self.url("/issues")?),
                &issue(told, labels),
            )
            .await?;
        // The answer repeats the issue and may be cut: the number is looked for at its beginning.
        let number = number_of(&answer.text());
        if told.message.phase == Phase::Resolve
            && let Some(number) = number
        {
            self.set_state(number, "closed").await?;
        }
        Ok(sent(&answer, number))
    }

    async fn tell(&self, labels: &[String]) -> Step<Outcome> {
        let told = self.attempt.told;
        let Some(number) = self.find().await? else {
            return self.open(labels).await;
        };
        if told.message.incident.is_none() {
            return Ok(Outcome::Sent {
                status: Some(200),
                answer: format!("issue {number} was there from an attempt before"),
                reference: None,
            });
        }
        let commented = match self.commented(number).await {
            // Somebody deleted the issue that is remembered.
            Err(Outcome::Refused {
                status: Some(404 | 410),
                ..
            }) if self.attempt.reference.is_some() => return self.open(labels).await,
            other => other?,
        };
        let mut status = Some(200);
        if !commented {
            let path = format!("/issues/{number}/comments");
            let answer = self
                .write(self.egress.post(&self.url(&path)?), &comment(told))
                .await?;
            status = Some(i64::from(answer.status));
        }
        match told.message.phase {
            Phase::Trigger => self.set_state(number, "open").await?,
            Phase::Resolve => self.set_state(number, "closed").await?,
            Phase::Acknowledge => {}
        }
        Ok(Outcome::Sent {
            status,
            answer: format!("issue {number}"),
            reference: Some(number.to_string()),
        })
    }

    async fn set_state(&self, number: i64, state: &str) -> Step<()> {
        let body = match state {
            "closed" => json!({"state": "closed", "state_reason": "completed"}),
            _ => json!({"state": state}),
        };
        let url = self.url(&format!("/issues/{number}"))?;
        self.write(self.egress.patch(&url), &body).await?;
        Ok(())
    }
}

fn sent(answer: &Answer, number: Option<i64>) -> Outcome {
    Outcome::Sent {
        status: Some(i64::from(answer.status)),
        answer: number.map_or_else(|| "issue opened".to_owned(), |n| format!("issue {n}")),
        reference: number.map(|n| n.to_string()),
    }
}

/// The issue's number in the answer to its making, which may be cut.
fn number_of(text: &str) -> Option<i64> {
    if let Ok(value) = serde_json::from_str::<Value>(text) {
        return value["number"].as_i64();
    }
    let rest = text.split("\"number\":").nth(1)?.trim_start();
    let end = rest
        .find(|c: char| !c.is_ascii_digit())
        .unwrap_or(rest.len());
    rest[..end].parse().ok()
}

pub(super) async fn send(egress: &Egress, attempt: &Attempt<'_>) -> Outcome {
    let Target::Github {
        repository,
        labels,
        api_url,
    } = &attempt.channel.target
    else {
        return missing("repository");
    };
    let Some(token) = attempt.secrets.get("token") else {
        return missing("token");
    };
    let github = Github {
        egress,
        attempt,
        base: format!("{}/repos/{repository}", api_url.trim_end_matches('/')),
        token,
    };
    match github.tell(labels).await {
        Ok(outcome) | Err(outcome) => outcome,
    }
}
