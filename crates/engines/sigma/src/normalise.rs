//! Windows event records as flat events, for callers that hold JSON values.
//!
//! [`crate::flat::Flat`] does the same while it scans; both must agree.

use serde_json::{Map, Value};

/// The flat form of an EVTX record: `Event.System.X` and `Event.EventData.X` become `X`, an
/// attribute `A` of an element `X` becomes `X_A`, `Event.UserData.Y.X` becomes `X`; spaces
/// in names of event data are left out (rules specification, "Field Usage" 3). Anything else is returned as it is.
pub fn windows(event: &Value) -> Value {
    let Some(root) = event.as_object() else {
        return event.clone();
    };
    let mut out = Map::new();
    for (key, value) in root {
        match value.as_object() {
            Some(record) if key == "Event" => {
                for (section, content) in record {
                    match (section.as_str(), content.as_object()) {
                        ("System", Some(c)) => data(c, false, &mut out),
                        ("EventData", Some(c)) => data(c, true, &mut out),
                        ("UserData", Some(c)) => {
                            for (name, inner) in c {
                                match inner.as_object() {
                                    Some(inner) if name != "#attributes" => {
                                        data(inner, true, &mut out)
                                    }
                                    _ => {
                                        out.insert(name.clone(), inner.clone());
                                    }
                                }
                            }
                        }
                        _ => {
                            out.insert(section.clone(), content.clone());
                        }
                    }
                }
            }
            _ => {
                out.insert(key.clone(), value.clone());
            }
        }
    }
    Value::Object(out)
}

fn data(content: &Map<String, Value>, strip: bool, out: &mut Map<String, Value>) {
    for (name, value) in content {
        let name = if strip {
            name.replace(' ', "")
        } else {
            name.clone()
        };
        match value.as_object() {
            Some(o) => element(&name, o, out),
            None => {
                out.insert(name, value.clone());
            }
        }
    }
}

fn element(name: &str, content: &Map<String, Value>, out: &mut Map<String, Value>) {
    for (key, value) in content {
        match (key.as_str(), value.as_object()) {
            ("#text", _) => {
                out.insert(name.to_owned(), value.clone());
            }
            ("#attributes", Some(attributes)) => element(name, attributes, out),
            _ => {
                out.insert(format!("{name}_{key}"), value.clone());
            }
        }
    }
}
