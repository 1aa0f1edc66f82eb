//! Questions to the server.

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use sealwright_core::UnixMicros;
use sealwright_core::clock::SECOND;
use sealwright_egress::{Answer, Egress, LITTLE};
use secrecy::{ExposeSecret as _, SecretString};
use url::Url;

use crate::answer::{self, Series};
use crate::error::PullError;
use crate::model::{CredentialKind, Definition, Kind};

/// A series counts as there for so long after a sample, as Prometheus itself has it (its default lookback). So
/// far before a window its first growth may begin.
pub(crate) const LOOKBACK: i64 = 5 * 60 * SECOND;

/// Bounds on an answer.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Limits {
    /// Its bytes.
    pub bytes: usize,
    /// Its series.
    pub series: usize,
    /// Its samples.
    pub samples: usize,
}

impl Default for Limits {
    fn default() -> Self {
        Self {
            bytes: 16 << 20,
            series: 10_000,
            samples: 500_000,
        }
    }
}

/// A server and what it is shown.
pub(crate) struct Client<'a> {
    pub(crate) egress: &'a Egress,
    pub(crate) base: &'a str,
    pub(crate) credential: Option<Header>,
    pub(crate) limits: Limits,
}

/// What goes into `Authorization`, and the secrets in it, which no error may repeat.
pub(crate) struct Header {
    value: SecretString,
    secrets: Vec<SecretString>,
}

impl Header {
    /// Of a token, or of a name and a password with a colon between them.
    pub(crate) fn new(kind: CredentialKind, secret: &str) -> Option<Self> {
        let (value, more) = match kind {
            CredentialKind::None => return None,
            CredentialKind::Bearer => (format!("Bearer {secret}"), None),
            CredentialKind::Basic => {
                let coded = STANDARD.encode(secret);
                let password = secret.split_once(':').map(|(_, password)| password);
                (
                    format!("Basic {coded}"),
                    Some([coded.clone(), password.unwrap_or_default().to_owned()]),
                )
            }
        };
        let secrets = more.into_iter().flatten().chain([secret.to_owned()]);
        Some(Self {
            value: value.into(),
            secrets: secrets
                .filter(|secret| !secret.is_empty())
                .map(SecretString::from)
                .collect(),
        })
    }

    /// The text without the secrets: a server may answer with what it was sent.
    pub(crate) fn clean(&self, text: &str) -> String {
        self.secrets.iter().fold(text.to_owned(), |text, secret| {
            text.replace(secret.expose_secret(), "********")
        })
    }
}

impl Client<'_> {
    fn url(&self, path: &str) -> Result<Url, PullError> {
        let base = self.base.trim_end_matches('/');
        Ok(self.egress.url(&format!("{base}{path}"))?)
    }

    /// The samples of the window that ends at `end`, and those shortly before it.
    pub(crate) async fn window(
        &self,
        definition: &Definition,
        end: UnixMicros,
        now: UnixMicros,
    ) -> Result<Vec<Series>, PullError> {
        let seconds = match definition.kind {
            // Both ends of a range are part of it up to Prometheus 2, only the later one from 3 on: more is asked
            // for than is needed, and what belongs to the window is decided here.
            Kind::Counter => (definition.interval() + LOOKBACK) / SECOND,
            Kind::Gauge => definition.interval() / SECOND,
            Kind::Expression => 0,
        };
        let query = match definition.kind {
            Kind::Expression => definition.expression.clone(),
            _ => format!("{}[{seconds}s]", definition.expression.trim()),
        };
        let form = form_urlencoded::Serializer::new(String::new())
            .append_pair("query", &query)
            .append_pair("time", &(end.0 / SECOND).to_string())
            .append_pair(
                "timeout",
                &format!("{}s", self.egress.timeout().as_secs().max(1)),
            )
            .finish();
        let request = self
            .egress
            .post(&self.url("/api/v1/query")?)?
            .header("content-type", "application/x-www-form-urlencoded")
            .body(form);
        let answer = self.send(request, self.limits.bytes, now).await?;
        answer::read(answer.status, &answer.body, self.limits)
    }

    /// How long the server keeps samples, in microseconds, where it says so: Prometheus does, others may not.
    pub(crate) async fn retention(&self, now: UnixMicros) -> Option<i64> {
        let url = self.url("/api/v1/status/runtimeinfo").ok()?;
        let request = self.egress.get(&url).ok()?;
        let answer = self.send(request, LITTLE, now).await.ok()?;
        answer::retention(&answer.body)
    }

    async fn send(
        &self,
        mut request: sealwright_egress::RequestBuilder,
        most: usize,
        now: UnixMicros,
    ) -> Result<Answer, PullError> {
        if let Some(header) = &self.credential {
            request = request.header("authorization", header.value.expose_secret());
        }
        // One byte more than is taken: a cut answer must not pass for a whole one.
        let answer = self
            .egress
            .send(request, most.saturating_add(1), now)
            .await?;
        if answer.body.len() > most {
            return Err(PullError::TooLong { most });
        }
        Ok(answer)
    }
}
