//! OTLP logs in their JSON form (OTLP 1.x, "JSON Protobuf Encoding") as events.
//! The binary form is read into this one by [`super::otlp_proto`].

use crate::Refusal;
use crate::json;
use crate::time;

/// Most records that one request may hold.
pub const MAX_RECORDS: usize = 100_000;

/// A log record.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Record {
    /// The record as one JSON object, see [`records`].
    pub json: String,
    /// When it was written or first seen, in microseconds since 1970 (UTC), if that is said.
    pub time: Option<i64>,
    /// `service.name` of its resource.
    pub service: Option<String>,
}

/// The log records of an export request as one JSON object each: see [`records`].
///
/// # Errors
/// When the text is no JSON object, or holds more than [`MAX_RECORDS`].
pub fn logs(request: &str, received: i64) -> Result<Vec<String>, Refusal> {
    Ok(records(request, received)?
        .into_iter()
        .map(|record| record.json)
        .collect())
}

/// The log records of an export request, each as one JSON object under names of ECS. A record whose
/// body is an object (a `kvlistValue`, or a text that holds one) is given out as that object, with
/// what OTLP says beside it under `otel`, so that its own source is recognised.
///
/// # Errors
/// When the text is no JSON object, or holds more than [`MAX_RECORDS`].
pub fn records(request: &str, received: i64) -> Result<Vec<Record>, Refusal> {
    json::check(request)?;
    let request = request.trim();
    let mut out = Vec::new();
    for resource_logs in children(request, "resourceLogs") {
        let resource = json::member(resource_logs, "resource").unwrap_or("{}");
        let resource = attributes(resource);
        let service = resource.iter().find(|(name, _)| name == "service.name");
        let service = service
            .and_then(|(_, value)| json::string(value))
            .map(std::borrow::Cow::into_owned);
        for scope_logs in children(resource_logs, "scopeLogs") {
            let scope = json::path(scope_logs, "scope.name").and_then(json::string);
            for record in children(scope_logs, "logRecords") {
                if out.len() >= MAX_RECORDS {
                    return Err(Refusal::TooLarge(request.len()));
                }
                let time = nanos(record, "timeUnixNano").or(nanos(record, "observedTimeUnixNano"));
                out.push(Record {
                    json: event(record, &resource, scope.as_deref(), time, received),
                    time,
                    service: service.clone(),
                });
            }
        }
    }
    Ok(out)
}

fn children<'a>(object: &'a str, name: &str) -> Vec<&'a str> {
    json::member(object, name)
        .map(json::elements)
        .unwrap_or_default()
}

/// An `AnyValue` as plain JSON.
fn plain(any: &str) -> String {
    let mut out = String::from("null");
    json::members(any, |kind, v| {
        out = match kind {
            "stringValue" | "boolValue" | "doubleValue" | "bytesValue" => v.to_owned(),
            // 64-bit numbers are written as texts.
            "intValue" => json::unquoted(v).to_owned(),
            "arrayValue" => {
                let list: Vec<String> = children(v, "values").into_iter().map(plain).collect();
                format!("[{}]", list.join(","))
            }
            "kvlistValue" => object(
                &children(v, "values")
                    .into_iter()
                    .filter_map(pair)
                    .collect::<Vec<_>>(),
            ),
            _ => return,
        };
    });
    // NaN and infinities come as texts, and a number must be one.
    if out.is_empty()
        || out.parse::<f64>().is_err() && out.starts_with(|c: char| c.is_ascii_digit())
    {
        return "null".to_owned();
    }
    out
}

fn pair(key_value: &str) -> Option<(String, String)> {
    let key = json::member(key_value, "key")
        .and_then(json::string)?
        .into_owned();
    Some((key, plain(json::member(key_value, "value").unwrap_or("{}"))))
}

fn object(pairs: &[(String, String)]) -> String {
    let mut out = String::from("{");
    for (i, (k, v)) in pairs.iter().enumerate() {
        if i > 0 {
            out.push(',');
        }
        json::quote(k, &mut out);
        out.push(':');
        out.push_str(v);
    }
    out.push('}');
    out
}

fn attributes(of: &str) -> Vec<(String, String)> {
    let mut out: Vec<(String, String)> = Vec::new();
    for (k, v) in children(of, "attributes").into_iter().filter_map(pair) {
        if !out.iter().any(|(o, _)| *o == k) {
            out.push((k, v));
        }
    }
    out
}

fn nanos(record: &str, name: &str) -> Option<i64> {
    let text = json::member(record, name).and_then(json::scalar)?;
    text.parse::<u64>()
        .ok()
        .filter(|n| *n > 0)
        .and_then(|n| i64::try_from(n / 1000).ok())
}

fn event(
    record: &str,
    resource: &[(String, String)],
    scope: Option<&str>,
    time: Option<i64>,
    received: i64,
) -> String {
    let body = json::member(record, "body").map(plain).unwrap_or_default();
    let nested = json::string(&body)
        .filter(|t| t.trim_start().starts_with('{') && json::check(t).is_ok())
        .map(|t| t.trim().to_owned());
    let attributes = attributes(record);
    let mut members: Vec<(String, String)> = Vec::new();
    let mut stamp = String::from("\"");
    time::format(time.unwrap_or(received), &mut stamp);
    stamp.push('"');
    let object_body = nested.or_else(|| body.starts_with('{').then(|| body.clone()));
    if let Some(own) = object_body {
        let beside = [
            ("time".to_owned(), stamp),
            ("attributes".to_owned(), object(&attributes)),
            ("resource".to_owned(), object(resource)),
        ];
        let inner = own
            .trim()
            .strip_prefix('{')
            .and_then(|o| o.strip_suffix('}'))
            .unwrap_or_default()
            .trim();
        let comma = if inner.is_empty() { "" } else { "," };
        return format!("{{{inner}{comma}\"otel\":{}}}", object(&beside));
    }
    if time.is_some() {
        members.push(("@timestamp".to_owned(), stamp));
    }
    if body != "null" && !body.is_empty() {
        let text = if body.starts_with('"') {
            body
        } else {
            let mut quoted = String::new();
            json::quote(&body, &mut quoted);
            quoted
        };
        members.push(("message".to_owned(), text));
    }
    let mut level = json::member(record, "severityText")
        .and_then(json::string)
        .unwrap_or_default()
        .to_lowercase();
    if level.is_empty() {
        let number = json::member(record, "severityNumber")
            .and_then(json::scalar)
            .and_then(|n| n.parse::<u8>().ok());
        level = match number {
            Some(1..=4) => "trace",
            Some(5..=8) => "debug",
            Some(9..=12) => "info",
            Some(13..=16) => "warn",
            Some(17..=20) => "error",
            Some(21..=24) => "fatal",
            _ => "",
        }
        .to_owned();
    }
    let mut put = |name: &str, value: &str| {
        if !value.is_empty() {
            let mut quoted = String::new();
            json::quote(value, &mut quoted);
            members.push((name.to_owned(), quoted));
        }
    };
    put("log.level", &level);
    put("log.logger", scope.unwrap_or_default());
    for (from, to) in [
        ("traceId", "trace.id"),
        ("spanId", "span.id"),
        ("eventName", "event.action"),
    ] {
        put(
            to,
            &json::member(record, from)
                .and_then(json::string)
                .unwrap_or_default(),
        );
    }
    for (k, v) in attributes.iter().chain(resource) {
        // Where OTel's name differs from that of ECS (ecs_flat, `otel`).
        let name = match k.as_str() {
            "client.address" => "client.address",
            "host.arch" => "host.architecture",
            "exception.message" => "error.message",
            "exception.stacktrace" => "error.stack_trace",
            "exception.type" => "error.type",
            "http.request.method_original" => "http.request.method",
            "deployment.environment.name" => "service.environment",
            "service.instance.id" => "service.node.name",
            "k8s.namespace.name" => "orchestrator.namespace",
            other => other,
        };
        if !members.iter().any(|(n, _)| n == name) {
            members.push((name.to_owned(), v.clone()));
        }
    }
    object(&members)
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use super::logs;

    #[test]
    fn records_become_events() {
        let request = r#"{"resourceLogs":[{"resource":{"attributes":[{"key":"service.name","value":{"stringValue":"api"}}]},
            "scopeLogs":[{"scope":{"name":"s"},"logRecords":[
              {"timeUnixNano":"1795640820000000000","severityNumber":17,"body":{"stringValue":"broken"},
               "attributes":[{"key":"user.id","value":{"intValue":"7"}},{"key":"x","value":{"arrayValue":{"values":[{"boolValue":true}]}}}],
               "traceId":"5b8efff798038103d269b633813fc60c"},
              {"body":{"kvlistValue":{"values":[{"key":"eventName","value":{"stringValue":"A"}}]}}},
              {"body":{"stringValue":"{\"a\":1}"}}]}]}]}"#;
        let events = logs(request, 0).unwrap();
        assert_eq!(
            events[0],
            r#"{"@timestamp":"2026-11-25T21:07:00.000Z","message":"broken","log.level":"error","log.logger":"s","trace.id":"5b8efff798038103d269b633813fc60c","user.id":7,"x":[true],"service.name":"api"}"#
        );
        assert!(
            events[1].starts_with(r#"{"eventName":"A","otel":{"#),
            "{}",
            events[1]
        );
        assert!(events[2].starts_with(r#"{"a":1,"otel":{"#));
        for e in &events {
            serde_json::from_str::<serde_json::Value>(e).unwrap();
        }
        assert!(logs("[]", 0).is_err());
    }
}
