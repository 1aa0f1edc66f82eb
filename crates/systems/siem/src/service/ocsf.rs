//! Alerts as OCSF 1.3 detection findings (class 2004).

use serde_json::{Value, json};

use crate::model::{Alert, AlertEvent, AlertState, Verdict};

/// `status_id` of a finding.
const fn status(alert: &Alert) -> (u8, &'static str) {
    match (alert.state, alert.verdict) {
        (AlertState::Open, _) => (1, "New"),
        (AlertState::Acknowledged | AlertState::Reopened, _) => (2, "In Progress"),
        (AlertState::Closed, Some(Verdict::TruePositive) | None) => (4, "Resolved"),
        (AlertState::Closed, Some(_)) => (3, "Suppressed"),
    }
}

/// An alert as a detection finding.
pub fn finding(alert: &Alert, events: &[AlertEvent], tenant: &str, version: &str) -> Value {
    let (status_id, status) = status(alert);
    let milliseconds = |micros: i64| micros.div_euclid(1_000);
    let changed = alert.revision > 1;
    let (activity_id, activity) = match alert.state {
        AlertState::Closed => (3, "Close"),
        _ if changed => (2, "Update"),
        _ => (1, "Create"),
    };
    let attacks: Vec<Value> = alert
        .body
        .rule
        .tags
        .iter()
        .filter_map(|tag| tag.strip_prefix("attack."))
        .filter(|name| {
            let rest = name.strip_prefix('t');
            rest.is_some_and(|rest| rest.starts_with(|c: char| c.is_ascii_digit()))
        })
        .map(|name| json!({ "technique": { "uid": name.to_uppercase() }, "version": "ATT&CK" }))
        .collect();
    let observables: Vec<Value> = alert
        .body
        .entities
        .iter()
        .map(|entity| {
            let (type_id, name) = match entity.kind.as_str() {
                "user" => (4, "user.name"),
                "address" => (2, "src_endpoint.ip"),
                "host" => (1, "device.hostname"),
                _ => (99, "other"),
            };
            json!({ "type_id": type_id, "name": name, "value": entity.value })
        })
        .collect();
    let evidences: Vec<Value> = events
        .iter()
        .map(|event| {
            json!({ "data": {
                "source": event.source, "id": event.id, "type": event.event_type,
                "time": milliseconds(event.time.0), "sha256": event.digest, "fields": event.summary,
            }})
        })
        .collect();
    json!({
        "activity_id": activity_id,
        "activity_name": activity,
        "category_uid": 2,
        "category_name": "Findings",
        "class_uid": 2004,
        "class_name": "Detection Finding",
        "type_uid": 200_400 + activity_id,
        "time": milliseconds(alert.updated_at.0),
        "start_time": milliseconds(alert.first_at.0),
        "end_time": milliseconds(alert.last_at.0),
        "count": alert.matches,
        "severity_id": alert.severity.ocsf(),
        "severity": alert.severity.name(),
        "status_id": status_id,
        "status": status,
        "is_alert": true,
        "message": alert.body.rule.title,
        "metadata": {
            "version": "1.3.0",
            "uid": alert.id.to_string(),
            "tenant_uid": tenant,
            "product": { "name": "Sealwright", "version": version, "vendor_name": "Sealwright" },
        },
        "finding_info": {
            "uid": alert.id.to_string(),
            "title": alert.body.rule.title,
            "desc": alert.body.rule.description,
            "created_time": milliseconds(alert.created_at.0),
            "modified_time": milliseconds(alert.updated_at.0),
            "first_seen_time": milliseconds(alert.first_at.0),
            "last_seen_time": milliseconds(alert.last_at.0),
            "analytic": {
                "type_id": 1, "type": "Rule",
                "uid": alert.body.rule.id,
                "name": alert.body.rule.title,
                "category": alert.body.rule.kind,
            },
            "attacks": attacks,
            "related_events_count": alert.body.events_total,
        },
        "observables": observables,
        "evidences": evidences,
        "assignee": alert.owner.as_ref().map(|owner| json!({ "name": owner })),
        "verdict_id": match alert.verdict {
            Some(Verdict::TruePositive) => 2,
            Some(Verdict::FalsePositive) => 1,
            Some(Verdict::Benign) => 5,
            None => 0,
        },
        "unmapped": {
            "rule_author": alert.body.rule.author,
            "rule_license": alert.body.rule.license,
            "rule_sha256": alert.body.rule.digest,
            "ledger_entry": alert.ledger_entry,
            "sha256": alert.digest,
        },
    })
}
