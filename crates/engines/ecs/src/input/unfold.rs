//! Records that hold several events.

use std::borrow::Cow;

use crate::Refusal;
use crate::json;

/// Most events that one record may hold.
pub const MAX_RECORDS: usize = 100_000;

/// The events within a record: members of a list; of `Records` (CloudTrail files), of `records`
/// (Azure diagnostics), of `value` beside `@odata.context` (Microsoft Graph), of `items` of kind
/// `…#reports#activities` and `events` of a Google Workspace activity (each with the rest of the
/// activity around it), of `data` of a list of OpenAI's or Anthropic's API. Anything else is one
/// event as it is. Records within records are unfolded too.
///
/// # Errors
/// When the text is no JSON, or holds more than [`MAX_RECORDS`].
pub fn unfold(record: &str) -> Result<Vec<Cow<'_, str>>, Refusal> {
    let text = record.trim();
    if text.starts_with('[') {
        // The list is checked as the only member of an object.
        json::check(&format!("{{\"l\":{text}}}"))?;
    } else {
        json::check(text)?;
    }
    let mut out = Vec::new();
    open(text, 0, &mut out)?;
    Ok(out)
}

fn open<'a>(text: &'a str, depth: usize, out: &mut Vec<Cow<'a, str>>) -> Result<(), Refusal> {
    if depth < 4
        && let Some(list) = inner(text)
    {
        for element in json::elements(list) {
            if out.len() >= MAX_RECORDS {
                return Err(Refusal::TooLarge(text.len()));
            }
            open(element, depth + 1, out)?;
        }
        return Ok(());
    }
    let activity = json::member(text, "kind")
        .and_then(json::string)
        .is_some_and(|k| k.ends_with("#reports#activity") || k == "audit#activity");
    if activity && let Some(events) = json::member(text, "events") {
        for event in json::elements(events) {
            out.push(Cow::Owned(activity_event(text, event)));
        }
        return Ok(());
    }
    if text.starts_with('{') {
        out.push(Cow::Borrowed(text));
        return Ok(());
    }
    Err(Refusal::NotAnObject)
}

fn inner(text: &str) -> Option<&str> {
    if text.starts_with('[') {
        return Some(text);
    }
    let mut members: Vec<(&str, &str)> = Vec::new();
    json::members(text, |k, v| members.push((k, v)));
    let get = |name: &str| members.iter().find(|(k, _)| *k == name).map(|(_, v)| *v);
    let list = |name: &str| get(name).filter(|v| v.starts_with('['));
    if members.len() == 1 {
        return list("Records").or_else(|| list("records"));
    }
    if get("@odata.context").is_some() {
        return list("value");
    }
    let kind = get("kind").and_then(json::string);
    if kind.is_some_and(|k| k.ends_with("#reports#activities")) {
        return list("items");
    }
    if get("has_more").is_some() {
        return list("data");
    }
    None
}

/// An activity with one of its events, and its parameters as an object.
fn activity_event(activity: &str, event: &str) -> String {
    let mut out = String::from("{");
    let mut put = |key: &str, value: &str| {
        if out.len() > 1 {
            out.push(',');
        }
        out.push('"');
        out.push_str(key);
        out.push_str("\":");
        out.push_str(value);
    };
    json::members(activity, |k, v| {
        if !matches!(k, "events" | "name" | "type" | "parameters") {
            put(k, v);
        }
    });
    json::members(event, |k, v| {
        if k != "parameters" {
            put(k, v);
            return;
        }
        let mut object = String::from("{");
        for parameter in json::elements(v) {
            let Some(name) = json::member(parameter, "name") else {
                continue;
            };
            let value = [
                "value",
                "boolValue",
                "intValue",
                "multiValue",
                "multiIntValue",
                "messageValue",
            ]
            .iter()
            .find_map(|n| json::member(parameter, n));
            if object.len() > 1 {
                object.push(',');
            }
            object.push_str(name);
            object.push(':');
            object.push_str(value.unwrap_or("null"));
        }
        object.push('}');
        put(k, &object);
    });
    out.push('}');
    out
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use super::unfold;

    #[test]
    fn records_open_and_others_stay() {
        assert_eq!(
            unfold(r#"{"Records":[{"a":1},{"b":2}]}"#).unwrap(),
            [r#"{"a":1}"#, r#"{"b":2}"#]
        );
        assert_eq!(unfold(r#"[{"a":1}]"#).unwrap(), [r#"{"a":1}"#]);
        assert_eq!(unfold(r#"{"records":1}"#).unwrap(), [r#"{"records":1}"#]);
        let activity = r#"{"kind":"admin#reports#activity","id":{"time":"t"},"events":[
            {"type":"T","name":"A","parameters":[{"name":"P","boolValue":true},{"name":"Q","multiValue":["x"]}]},
            {"name":"B"}]}"#;
        assert_eq!(
            unfold(activity).unwrap(),
            [
                r#"{"kind":"admin#reports#activity","id":{"time":"t"},"type":"T","name":"A","parameters":{"P":true,"Q":["x"]}}"#,
                r#"{"kind":"admin#reports#activity","id":{"time":"t"},"name":"B"}"#
            ]
        );
        assert!(unfold("[1]").is_err());
        assert!(unfold(&"[".repeat(10_000)).is_err());
    }
}
