//! A tenant of the example runs into its budget while one watches: a gateway that asks before each request, usage that
//! goes on, and a program that is told by webhook.

use std::io::Write;
use std::net::Ipv4Addr;
use std::sync::Arc;
use std::time::Duration;

use anyhow::{Context, Result, bail};
use axum::Router;
use axum::body::Bytes;
use axum::extract::State;
use axum::http::{HeaderMap, StatusCode};
use axum::routing::post;
use sealwright_access::Principal;
use sealwright_billing::model::Span;
use sealwright_billing::model::budget::{BudgetTerms, Decision, Measure};
use sealwright_billing::service::usage::{UsageQuery, month_start, next_month};
use sealwright_cloudevents::{Limits, parse_event};
use sealwright_core::{Clock as _, SystemClock, TenantId, TenantScope};
use sealwright_intake::AppendOptions;
use sealwright_notify::signature::{VerifyingSecret, WebhookHeaders, verify};
use sealwright_notify::{Given, NewChannel, NewRule, NewTarget};
use serde_json::{Value, json};
use tokio::net::TcpListener;
use tokio::sync::mpsc;

use super::run::ACTOR;
use crate::installation::Installation;

/// What is limited.
const METER: &str = "ai.output_tokens";
/// Where the month's usage stands when one begins to watch, in percent of the limit, and by how much it grows each time.
const START: u64 = 77;
const STEP: u64 = 2;
const EVERY: Duration = Duration::from_secs(3);

/// Usage goes on until the gateway stops it; then webhooks are told of for as long as the demo runs.
pub(super) async fn play(
    installation: &Installation,
    tenant: TenantId,
    name: &str,
    out: &mut (dyn Write + Send),
) -> Result<()> {
    let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).await?;
    let url = format!("http://{}/budget", listener.local_addr()?);
    let secret = subscribe(installation, tenant, name, &url).await?;
    let mut told = receive(listener, secret);
    let limit = set_budget(installation, tenant).await?;
    writeln!(
        out,
        "{name} runs into its budget of {limit} output tokens a month: watch /console/billing/budgets"
    )?;
    out.flush()?;
    let clock = &installation.state.clock;
    let mut before = None;
    for number in 0_u64.. {
        let checked = installation
            .budgets
            .board()
            .check(tenant, clock.now(), |_| Default::default());
        let said = (checked.decision, checked.why.is_some());
        if before != Some(said) {
            let why = checked.why.as_deref();
            let why = why.map_or_else(String::new, |why| format!(", not knowing: {why}"));
            writeln!(
                out,
                "gateway: the check says {}{why}",
                checked.decision.name()
            )?;
            before = Some(said);
        }
        if checked.decision == Decision::Stop {
            break;
        }
        if number > 100 {
            bail!("the budget of {name} did not stop it: {checked:?}");
        }
        use_some(installation, tenant, number, limit * STEP / 100).await?;
        let until = tokio::time::Instant::now() + EVERY;
        while let Ok(Some(title)) = tokio::time::timeout_at(until, told.recv()).await {
            writeln!(out, "webhook: {title}")?;
        }
        out.flush()?;
    }
    // For as long as the demo runs: what the channel is told of must find somebody.
    while let Some(title) = told.recv().await {
        writeln!(out, "webhook: {title}")?;
        out.flush()?;
    }
    Ok(())
}

/// A limit of which the present month has used most already.
async fn set_budget(installation: &Installation, tenant: TenantId) -> Result<u64> {
    let now = installation.state.clock.now();
    let span = Span {
        from: month_start(now),
        to: next_month(now),
    };
    let query = UsageQuery {
        meter: Some(METER.to_owned()),
        ..UsageQuery::over(span)
    };
    let points = installation
        .state
        .usage
        .summary(TenantScope::One(tenant), &query)
        .await?;
    let quantity = points.first().and_then(|point| point.quantity.as_deref());
    // On the first day of a month there is little yet.
    let used: u64 = quantity.and_then(|text| text.parse().ok()).unwrap_or(0);
    let limit = (used * 100 / START).max(10_000);
    let terms = BudgetTerms::new(Measure::Meter(METER.to_owned()), &limit.to_string(), None);
    installation.budgets.set(tenant, terms, None, ACTOR).await?;
    if used * 100 < limit * START {
        use_some(installation, tenant, u64::MAX, limit * START / 100 - used).await?;
    }
    Ok(limit)
}

async fn use_some(
    installation: &Installation,
    tenant: TenantId,
    number: u64,
    tokens: u64,
) -> Result<()> {
    let now = installation.state.clock.now();
    let text = json!({
        "specversion": "1.0",
        "id": format!("burst-{number}-{}", now.0),
        "source": "/demo/gateway",
        "type": "sealwright.usage.ai.v1",
        "time": now.to_string(),
        "data": {"input_tokens": tokens / 4, "output_tokens": tokens, "model": "gpt-large", "region": "eu-west-1"},
    });
    let event = parse_event(text.to_string().as_bytes(), &Limits::default())?;
    let options = AppendOptions {
        accept_history: false,
    };
    let receipt = installation
        .intake
        .append_events(tenant, &[event], options)
        .await?;
    if receipt.accepted != 1 {
        bail!("usage of the example was refused: {receipt:?}");
    }
    Ok(())
}

/// The channel and the rule by which crossings of this tenant's budget reach the receiver; what its webhooks are signed
/// with.
async fn subscribe(
    installation: &Installation,
    tenant: TenantId,
    name: &str,
    url: &str,
) -> Result<VerifyingSecret> {
    let by = Principal::system("demo");
    let created = installation
        .state
        .notify
        .create_channel(
            &by,
            NewChannel {
                name: format!("Budget of {name}"),
                tenant: None,
                target: NewTarget::Webhook {
                    url: Given::new(url),
                    signature: None,
                    secret: None,
                },
                quiet: None,
                per_minute: None,
            },
        )
        .await?;
    let rule = NewRule {
        name: format!("Budget of {name}"),
        tenant: None,
        topic: "billing.budget".to_owned(),
        severity: None,
        about: Some(tenant.to_string()),
        channels: vec![created.channel.id.to_string()],
    };
    installation.state.notify.create_rule(&by, rule).await?;
    let secret = created.secret.context("a webhook without a secret")?;
    Ok(VerifyingSecret::parse(&secret)?)
}

struct Receiver {
    secret: VerifyingSecret,
    told: mpsc::UnboundedSender<String>,
}

/// A program that takes webhooks, as the owner of the gateway would have one: the titles of what it was told with a
/// right signature.
fn receive(listener: TcpListener, secret: VerifyingSecret) -> mpsc::UnboundedReceiver<String> {
    let (told, titles) = mpsc::unbounded_channel();
    let router = Router::new()
        .route("/budget", post(take))
        .with_state(Arc::new(Receiver { secret, told }));
    tokio::spawn(async move { axum::serve(listener, router).await });
    titles
}

async fn take(
    State(receiver): State<Arc<Receiver>>,
    headers: HeaderMap,
    body: Bytes,
) -> StatusCode {
    let header = |name| headers.get(name).and_then(|value| value.to_str().ok());
    let headers = WebhookHeaders {
        id: header("webhook-id"),
        timestamp: header("webhook-timestamp"),
        signature: header("webhook-signature"),
    };
    let now = SystemClock.now().0.div_euclid(1_000_000);
    let secrets = std::slice::from_ref(&receiver.secret);
    if let Err(error) = verify(secrets, &headers, &body, now) {
        tracing::warn!(%error, "a webhook that is not genuine");
        return StatusCode::UNAUTHORIZED;
    }
    let told: Option<Value> = serde_json::from_slice(&body).ok();
    let title = told
        .as_ref()
        .and_then(|told| told.pointer("/data/title")?.as_str())
        .unwrap_or("without a title");
    // Nobody listens any more when the demo ends.
    let _ = receiver.told.send(title.to_owned());
    StatusCode::NO_CONTENT
}
