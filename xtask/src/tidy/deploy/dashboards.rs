//! Dashboards: each panel says what it shows, in which unit, and asks for what there is.

use std::collections::BTreeSet;

use serde_json::Value;

use super::metrics::{Metrics, expression};
use super::{Findings, Text};

/// The data source is whatever the reader's Grafana has, not one of ours.
const SOURCE: &str = "${datasource}";

pub(super) fn check(texts: &[Text], metrics: &Metrics, findings: &mut Findings) {
    let mut uids = BTreeSet::new();
    for file in texts
        .iter()
        .filter(|file| file.is_in("deploy/grafana/") && file.ends(".json"))
    {
        let board: Value = match serde_json::from_str(&file.text) {
            Ok(board) => board,
            Err(error) => {
                findings.push(format!("{}: {error}", file.name));
                continue;
            }
        };
        let uid = text(&board, "/uid");
        if uid.is_empty() || !uids.insert(uid.to_owned()) {
            findings.push(format!("{}: has no uid of its own: `{uid}`", file.name));
        }
        variables(file, &board, metrics, findings);
        let mut ids = BTreeSet::new();
        for panel in list(&board, "/panels") {
            let place = format!("{}: panel `{}`", file.name, text(panel, "/title"));
            if !ids.insert(panel["id"].to_string()) {
                findings.push(format!("{place}: its id is another panel's, too"));
            }
            if text(panel, "/type") != "row" {
                look(&place, panel, metrics, findings);
            }
        }
    }
}

fn variables(file: &Text, board: &Value, metrics: &Metrics, findings: &mut Findings) {
    let variables = list(board, "/templating/list");
    if !variables
        .iter()
        .any(|variable| variable["type"] == "datasource" && variable["name"] == "datasource")
    {
        findings.push(format!("{}: has no variable `datasource`", file.name));
    }
    for variable in variables {
        let query = text(variable, "/query/query");
        let place = format!("{}: variable `{}`", file.name, text(variable, "/name"));
        if variable["type"] == "query" && text(variable, "/datasource/uid") != SOURCE {
            findings.push(format!("{place}: its data source is not {SOURCE}"));
        }
        expression(&place, query, "", metrics, findings);
    }
}

fn look(place: &str, panel: &Value, metrics: &Metrics, findings: &mut Findings) {
    for (field, at) in [
        ("title", "/title"),
        ("description", "/description"),
        ("unit", "/fieldConfig/defaults/unit"),
    ] {
        if text(panel, at).is_empty() {
            findings.push(format!("{place}: has no {field}"));
        }
    }
    let targets = list(panel, "/targets");
    if targets.is_empty() {
        findings.push(format!("{place}: asks for nothing"));
    }
    for part in std::iter::once(panel).chain(targets) {
        if text(part, "/datasource/uid") != SOURCE {
            findings.push(format!("{place}: its data source is not {SOURCE}"));
        }
    }
    for target in targets {
        let legend = text(target, "/legendFormat");
        expression(place, text(target, "/expr"), legend, metrics, findings);
    }
}

fn text<'v>(value: &'v Value, at: &str) -> &'v str {
    value
        .pointer(at)
        .and_then(Value::as_str)
        .unwrap_or_default()
}

fn list<'v>(value: &'v Value, at: &str) -> &'v [Value] {
    value
        .pointer(at)
        .and_then(Value::as_array)
        .map_or(&[], Vec::as_slice)
}
