//! What people are told: messages for the outbox, written in the transaction of what they tell, so that each is told
//! once.

use jiff::tz::TimeZone;
use sealwright_core::UnixMicros;
use sealwright_forecast::Severity;
use sealwright_notify::{Message, Phase, Severity as Told};

use super::anomaly::number;
use crate::model::Grain;
use crate::model::anomaly::{Anomaly, AnomalyState};
use crate::model::budget::{Crossing, Measure, ThresholdKind};

fn utc(at: UnixMicros, format: &str) -> String {
    at.timestamp()
        .to_zoned(TimeZone::UTC)
        .strftime(format)
        .to_string()
}

/// A threshold of a budget was crossed. All of a month are one incident: the next one makes it worse.
pub(super) fn crossed(crossing: &Crossing) -> Message {
    let month = utc(crossing.month, "%Y-%m");
    let what = match &crossing.measure {
        Measure::Amount => "the budget".to_owned(),
        Measure::Meter(key) => format!("the budget of {key}"),
    };
    let (severity, then) = match (crossing.kind, crossing.percent) {
        (ThresholdKind::Stop, _) => (
            Told::Critical,
            "Callers that ask before they do something are told to stop until the month ends or the limit is raised.",
        ),
        (ThresholdKind::Throttle, _) => (
            Told::Error,
            "Callers that ask before they do something are told to slow down.",
        ),
        (ThresholdKind::Alert, 100..) => (Told::Error, "All of it is used."),
        (ThresholdKind::Alert, _) => (Told::Warning, "Nothing is held back yet."),
    };
    Message::new(
        "billing.budget",
        severity,
        &format!("{} % of {what} for {month} is used", crossing.percent),
    )
    .for_tenant(crossing.tenant)
    .body(then)
    .field("Used", format!("{} {}", crossing.used, crossing.unit))
    .field("Limit", format!("{} {}", crossing.limit, crossing.unit))
    .field(
        "Threshold",
        format!("{}, {} %", crossing.kind.name(), crossing.percent),
    )
    .link(&format!("/console/billing/budgets/{}", crossing.tenant))
    .incident(&format!("{}/{month}", crossing.budget), Phase::Trigger)
    .once(&format!(
        "{}/{month}/{}/{}",
        crossing.budget,
        crossing.kind.name(),
        crossing.percent
    ))
}

/// An anomaly was found, or somebody has decided about it.
pub(super) fn anomaly(one: &Anomaly) -> Message {
    let severity = match one.severity {
        Severity::Warning => Told::Warning,
        Severity::High => Told::Error,
        Severity::Critical => Told::Critical,
    };
    let (phase, verb) = match one.state {
        AnomalyState::Open => (Phase::Trigger, "unusual"),
        AnomalyState::Acknowledged => (Phase::Acknowledge, "acknowledged: unusual"),
        AnomalyState::Dismissed => (Phase::Resolve, "dismissed: unusual"),
    };
    let when = match one.grain {
        Grain::Month => utc(one.at, "%Y-%m"),
        Grain::Day => utc(one.at, "%Y-%m-%d"),
        Grain::Hour => utc(one.at, "%Y-%m-%d %H:00 UTC"),
    };
    let message = Message::new(
        "billing.anomaly",
        severity,
        &format!("{verb} usage of {} on {when}", one.meter),
    )
    .for_tenant(one.tenant)
    .body(&one.body.why)
    .field("Value", format!("{} {}", one.body.value, one.body.unit))
    .field(
        "Expected",
        format!(
            "{} to {} {}",
            number(one.body.low),
            number(one.body.high),
            one.body.unit
        ),
    )
    .field("Found by", one.detector.name())
    .link(&format!("/console/billing/anomalies/{}", one.id))
    .incident(&one.id.to_string(), phase)
    .once(&format!("{}/{}", one.id, one.revision));
    match &one.body.note {
        Some(note) => message.field("Note", note),
        None => message,
    }
}
