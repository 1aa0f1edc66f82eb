//! Whether an event is as ECS says.

use std::net::IpAddr;

use serde_json::Value;

use crate::schema::{Field, Kind, schema};
use crate::time;

/// Where and how an event differs from the schema.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Problem {
    /// The field, with dots.
    pub field: String,
    /// What is wrong.
    pub detail: String,
}

impl std::fmt::Display for Problem {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "{}: {}", self.field, self.detail)
    }
}

/// Checks an event: required fields, names, types, lists, allowed values, and that every value of
/// `event.type` goes with a value of `event.category`. Names under roots that neither ECS nor this
/// program has are free.
pub fn validate(event: &Value) -> Vec<Problem> {
    let mut out = Vec::new();
    let Value::Object(root) = event else {
        out.push(Problem {
            field: String::new(),
            detail: "an event is an object".to_owned(),
        });
        return out;
    };
    for (name, value) in root {
        let first = name.split('.').next().unwrap_or(name);
        if schema().is_root(first) {
            check(name, value, &mut out);
        }
    }
    for required in ["@timestamp", "ecs.version"] {
        if at(event, required).is_none() {
            out.push(Problem {
                field: required.to_owned(),
                detail: "is required".to_owned(),
            });
        }
    }
    pairs(event, &mut out);
    out
}

fn at<'a>(event: &'a Value, path: &str) -> Option<&'a Value> {
    if let Some(v) = event.get(path) {
        return Some(v);
    }
    path.split('.').try_fold(event, |v, part| v.get(part))
}

fn check(name: &str, value: &Value, out: &mut Vec<Problem>) {
    let mut problem = |detail: String| {
        out.push(Problem {
            field: name.to_owned(),
            detail,
        })
    };
    match (schema().field(name), value) {
        (Some(f), Value::Object(members)) if f.kind == Kind::Object && f.parent => {
            for (k, v) in members {
                check(&format!("{name}.{k}"), v, out);
            }
        }
        (Some(f), Value::Array(list)) if f.kind == Kind::Object && f.parent && !f.list => {
            for v in list.iter().filter_map(Value::as_object) {
                for (k, v) in v {
                    check(&format!("{name}.{k}"), v, out);
                }
            }
        }
        (Some(f), Value::Array(list)) if f.list || f.kind == Kind::Object => {
            for v in list {
                if let Some(detail) = wrong(f, v) {
                    problem(detail);
                }
            }
        }
        (Some(_), Value::Array(_)) => problem("is a list, ECS has one value".to_owned()),
        (Some(f), _) if f.list => problem("is not a list".to_owned()),
        (Some(f), v) => {
            if let Some(detail) = wrong(f, v) {
                problem(detail);
            }
        }
        (None, Value::Object(members)) => {
            if members.is_empty() {
                problem("is not in the schema".to_owned());
            }
            for (k, v) in members {
                check(&format!("{name}.{k}"), v, out);
            }
        }
        (None, _) => problem("is not in the schema".to_owned()),
    }
}

fn wrong(field: &Field, value: &Value) -> Option<String> {
    let fits = match field.kind {
        Kind::Keyword => {
            let Some(text) = value.as_str() else {
                return Some(format!("{value} is no text"));
            };
            if !field.allowed.is_empty() && !field.allowed.iter().any(|a| &**a == text) {
                return Some(format!(
                    "`{text}` is not one of {}",
                    field.allowed.join(", ")
                ));
            }
            true
        }
        Kind::Long => value.as_i64().is_some(),
        Kind::Float => value.as_f64().is_some_and(f64::is_finite),
        Kind::Boolean => value.is_boolean(),
        Kind::Date => value
            .as_str()
            .is_some_and(|t| t.len() >= 20 && time::instant(t, 0).is_some()),
        Kind::Ip => value.as_str().is_some_and(|t| t.parse::<IpAddr>().is_ok()),
        Kind::GeoPoint => {
            let number = |k: &str, max: f64| {
                value
                    .get(k)
                    .and_then(Value::as_f64)
                    .is_some_and(|n| n.abs() <= max)
            };
            number("lat", 90.0) && number("lon", 180.0)
        }
        Kind::Object => value.is_object(),
    };
    (!fits).then(|| format!("{value} is no {:?}", field.kind))
}

fn texts(value: Option<&Value>) -> Vec<&str> {
    match value {
        Some(Value::Array(l)) => l.iter().filter_map(Value::as_str).collect(),
        Some(Value::String(s)) => vec![s],
        _ => Vec::new(),
    }
}

fn pairs(event: &Value, out: &mut Vec<Problem>) {
    let categories = texts(at(event, "event.category"));
    if categories.is_empty() {
        return;
    }
    for t in texts(at(event, "event.type")) {
        let fits = categories
            .iter()
            .any(|c| schema().types_of(c).iter().any(|k| &**k == t));
        if !fits {
            out.push(Problem {
                field: "event.type".to_owned(),
                detail: format!("`{t}` does not go with {}", categories.join(", ")),
            });
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    #[test]
    fn each_kind_of_fault_is_named() {
        let good = json!({"@timestamp": "2026-11-25T21:07:00.000Z", "ecs": {"version": "9.5.0-dev"},
            "event": {"category": ["iam"], "type": ["user", "creation"], "outcome": "success"},
            "source": {"ip": "1.2.3.4", "geo": {"location": {"lat": 1, "lon": 2}}},
            "labels": {"anything": "x"}, "mine": {"free": [1, {}]}});
        assert_eq!(validate(&good), []);
        for (path, value) in [
            ("event", json!({"category": "iam"})),
            ("event", json!({"category": ["iam"], "type": ["start"]})),
            ("event", json!({"outcome": "fine"})),
            ("event", json!({"colour": "red"})),
            ("event", json!({"action": ["a"]})),
            ("source", json!({"ip": "localhost"})),
            ("source", json!({"port": "80"})),
            (
                "source",
                json!({"geo": {"location": {"lat": 91, "lon": 0}}}),
            ),
            ("ecs", json!({})),
            ("@timestamp", json!("yesterday")),
            ("labels", json!("text")),
        ] {
            let mut bad = good.clone();
            bad[path] = value;
            assert!(!validate(&bad).is_empty(), "{path}: {}", bad[path]);
        }
    }
}
