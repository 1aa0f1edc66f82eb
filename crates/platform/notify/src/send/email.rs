//! Mail, by SMTP.

use std::time::{Duration, UNIX_EPOCH};

use lettre::message::header::{self, ContentType, HeaderName, HeaderValue};
use lettre::message::{Mailbox, Message as Mail};
use lettre::transport::smtp::authentication::Credentials;
use lettre::transport::smtp::client::{Certificate, Tls, TlsParameters};
use lettre::transport::smtp::extension::ClientId;
use lettre::{AsyncSmtpTransport, AsyncTransport as _, Tokio1Executor};
use sealwright_core::Digest;

use super::{Attempt, Outcome, Told, facts, missing};
use crate::egress::{Egress, EgressError};
use crate::message::Phase;
use crate::model::{MailTls, Target};

/// Why a mail cannot be made: its addresses were checked when they were given, so it is a fault of ours.
type Made<T> = Result<T, lettre::error::Error>;

/// `Precedence` and the like are for lists; this is what RFC 3834 has for programs.
#[derive(Clone)]
struct AutoSubmitted;

impl header::Header for AutoSubmitted {
    fn name() -> HeaderName {
        HeaderName::new_from_ascii_str("Auto-Submitted")
    }

    fn parse(_: &str) -> Result<Self, Box<dyn std::error::Error + Send + Sync>> {
        Ok(Self)
    }

    fn display(&self) -> HeaderValue {
        HeaderValue::new(Self::name(), "auto-generated".to_owned())
    }
}

fn subject(told: &Told) -> String {
    let message = &told.message;
    let word = match message.phase {
        Phase::Trigger => message.severity.as_str(),
        Phase::Acknowledge => "acknowledged",
        Phase::Resolve => "resolved",
    };
    match &told.tenant {
        Some(tenant) => format!("[{word}] {tenant}: {}", message.title),
        None => format!("[{word}] {}", message.title),
    }
}

fn body(told: &Told) -> String {
    let mut text = format!("{}\n", told.message.title);
    if !told.message.body.is_empty() {
        text.push_str(&format!("\n{}\n", told.message.body));
    }
    text.push('\n');
    for (name, value) in facts(told) {
        text.push_str(&format!("{name}: {value}\n"));
    }
    if let Some(link) = &told.link {
        text.push_str(&format!("\n{link}\n"));
    }
    text
}

/// The mail. Its `Message-ID` is the delivery's id, the same at each attempt, so that a mailbox can tell a
/// repetition; mails of one incident refer to one id and so make a thread.
pub(super) fn mail(told: &Told, from: &Mailbox, to: &[Mailbox]) -> Made<Mail> {
    let domain = from.email.domain();
    let at = u64::try_from(told.message.created_at.0).unwrap_or(0);
    let mut builder = Mail::builder()
        .message_id(Some(format!("<{}@{domain}>", told.delivery)))
        .date(UNIX_EPOCH + Duration::from_micros(at))
        .from(from.clone())
        .subject(subject(told))
        .header(AutoSubmitted)
        .header(ContentType::TEXT_PLAIN);
    for recipient in to {
        builder = builder.to(recipient.clone());
    }
    if let Some(incident) = &told.message.incident {
        let thread = Digest::of(incident.as_bytes()).to_string();
        builder = builder.references(format!("<incident.{}@{domain}>", &thread[..32]));
    }
    builder.body(body(told))
}

fn mailbox(text: &str) -> Result<Mailbox, Outcome> {
    text.parse().map_err(|_| Outcome::Refused {
        status: None,
        answer: "an address of the channel is not a mailbox".to_owned(),
    })
}

fn tls(egress: &Egress, host: &str, mode: MailTls) -> Result<Tls, EgressError> {
    if mode == MailTls::None {
        return Ok(Tls::None);
    }
    let failed = |error: lettre::transport::smtp::Error| EgressError::Failed(error.to_string());
    let mut parameters = TlsParameters::builder(host.to_owned());
    if let Some(pem) = egress.extra_roots() {
        parameters = parameters.add_root_certificate(Certificate::from_pem(pem).map_err(failed)?);
    }
    let parameters = parameters.build_rustls().map_err(failed)?;
    Ok(match mode {
        MailTls::Tls => Tls::Wrapper(parameters),
        // Required: a relay that offers no STARTTLS, or somebody between who hides it, gets nothing.
        MailTls::Starttls | MailTls::None => Tls::Required(parameters),
    })
}

pub(super) async fn send(egress: &Egress, attempt: &Attempt<'_>) -> Outcome {
    let Target::Email {
        host,
        port,
        tls: mode,
        username,
        from,
        to,
    } = &attempt.channel.target
    else {
        return missing("relay");
    };
    let made = mailbox(from).and_then(|from| {
        let to = to
            .iter()
            .map(|text| mailbox(text))
            .collect::<Result<Vec<_>, _>>()?;
        mail(attempt.told, &from, &to)
            .map(|mail| (mail, from))
            .map_err(|error| Outcome::Refused {
                status: None,
                answer: error.to_string(),
            })
    });
    let (mail, from) = match made {
        Ok(made) => made,
        Err(refused) => return refused,
    };
    // Resolved here and connected by address, so that the guard sees what is connected to.
    let address = match egress.address(host, *port).await {
        Ok(address) => address,
        Err(error) => return error.into(),
    };
    let tls = match tls(egress, host, *mode) {
        Ok(tls) => tls,
        Err(error) => return error.into(),
    };
    let mut transport =
        AsyncSmtpTransport::<Tokio1Executor>::builder_dangerous(address.ip().to_string())
            .port(address.port())
            .hello_name(ClientId::Domain(from.email.domain().to_owned()))
            .timeout(Some(egress.timeout()))
            .tls(tls);
    if let Some(username) = username {
        let Some(password) = attempt.secrets.get("password") else {
            return missing("password");
        };
        transport = transport.credentials(Credentials::new(username.clone(), password.to_owned()));
    }
    match transport.build::<Tokio1Executor>().send(mail).await {
        Ok(response) => Outcome::Sent {
            status: Some(i64::from(u16::from(response.code()))),
            answer: response.message().collect::<Vec<_>>().join(" "),
            reference: None,
        },
        Err(error) => {
            let status = error.status().map(|code| i64::from(u16::from(code)));
            let answer = chain(&error);
            if error.is_permanent() {
                Outcome::Refused { status, answer }
            } else {
                Outcome::Again {
                    status,
                    answer,
                    after: None,
                    block: false,
                }
            }
        }
    }
}

fn chain(error: &lettre::transport::smtp::Error) -> String {
    let mut text = error.to_string();
    let mut cause = std::error::Error::source(error);
    while let Some(inner) = cause {
        let part = inner.to_string();
        if !text.contains(&part) {
            text.push_str(": ");
            text.push_str(&part);
        }
        cause = inner.source();
    }
    text
}
