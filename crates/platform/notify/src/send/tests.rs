//! What each kind of channel is sent, as people and programs there see it.
#![allow(clippy::unwrap_used)]

use lettre::message::Mailbox;
use sealwright_core::{TenantId, UnixMicros};
use serde_json::Value;

use super::{Told, email, github, pagerduty, slack, webhook};
use crate::message::{Audience, Fact, MessageId, Phase, Severity};
use crate::model::{DeliveryId, StoredMessage};

const UUID: &str = "019ab8e5a7c07000800000000000000";

fn told(phase: Phase) -> Told {
    let fact = |name: &str, value: &str| Fact {
        name: name.to_owned(),
        value: value.to_owned(),
    };
    let id: MessageId = format!("msg_{UUID}1").parse().unwrap();
    let delivery: DeliveryId = format!("dlv_{UUID}2").parse().unwrap();
    let tenant: TenantId = format!("ten_{UUID}3").parse().unwrap();
    Told {
        delivery,
        message: StoredMessage {
            id,
            tenant_id: Some(tenant),
            audience: Audience::Staff,
            topic: "billing.budget".to_owned(),
            severity: Severity::Error,
            incident: Some(format!("billing.budget:{tenant}:2026-11")),
            phase,
            title: "acme is at 90 % of its budget <!channel> @everyone".to_owned(),
            body: "Used 900.00 of 1,000.00 USD.\nSee #1 & [the page](http://evil.example)."
                .to_owned(),
            fields: vec![
                fact("Used", "900.00 USD"),
                fact("Meter | kind", "*all* <b>"),
            ],
            link: Some("/console/billing".to_owned()),
            deliveries: Some(1),
            created_at: UnixMicros::parse_rfc3339("2026-11-25T12:00:00Z").unwrap(),
        },
        tenant: Some("acme".to_owned()),
        link: Some("https://sealwright.example/console/billing".to_owned()),
    }
}

fn mailboxes() -> (Mailbox, Vec<Mailbox>) {
    let to = ["ops@acme.example", "Zoë <zoe@acme.example>"];
    (
        "Sealwright <alerts@sealwright.example>".parse().unwrap(),
        to.iter().map(|text| text.parse().unwrap()).collect(),
    )
}

fn mail(told: &Told) -> String {
    let (from, to) = mailboxes();
    let bytes = email::mail(told, &from, &to).unwrap().formatted();
    String::from_utf8(bytes).unwrap().replace("\r\n", "\n")
}

fn all(told: &Told) -> Vec<(&'static str, Value)> {
    vec![
        ("slack", slack::payload(told)),
        ("pagerduty", pagerduty::payload(told)),
        ("webhook", webhook::payload(told)),
        ("github_issue", github::issue(told, &["billing".to_owned()])),
        ("github_comment", github::comment(told)),
    ]
}

#[test]
fn payloads_of_a_trigger() {
    let told = told(Phase::Trigger);
    for (name, payload) in all(&told) {
        insta::assert_json_snapshot!(format!("trigger_{name}"), payload);
    }
    insta::assert_snapshot!("trigger_mail", mail(&told));
}

#[test]
fn payloads_of_a_resolution() {
    let told = told(Phase::Resolve);
    for (name, payload) in all(&told) {
        insta::assert_json_snapshot!(format!("resolve_{name}"), payload);
    }
    insta::assert_snapshot!("resolve_mail", mail(&told));
}

#[test]
fn a_message_of_no_incident_is_one_of_its_own_to_pagerduty() {
    let mut told = told(Phase::Trigger);
    told.message.incident = None;
    assert_eq!(
        pagerduty::payload(&told)["dedup_key"],
        format!("msg_{UUID}1")
    );
    assert!(!mail(&told).contains("References:"));
}

#[test]
fn the_limits_of_block_kit_hold() {
    let mut told = told(Phase::Trigger);
    told.message.title = "t".repeat(200);
    told.message.body = "b".repeat(8_000);
    told.message.fields = (0..40)
        .map(|n| Fact {
            name: format!("n{n}"),
            value: "&".repeat(1_000),
        })
        .collect();
    let payload = slack::payload(&told);
    let blocks = payload["blocks"].as_array().unwrap();
    let length = |value: &Value| value.as_str().unwrap().chars().count();
    assert!(length(&blocks[0]["text"]["text"]) <= 150);
    assert!(length(&blocks[1]["text"]["text"]) <= 3_000);
    let fields = blocks[2]["fields"].as_array().unwrap();
    assert_eq!(fields.len(), 10);
    assert!(fields.iter().all(|field| length(&field["text"]) <= 2_000));
}
