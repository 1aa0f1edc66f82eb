//! Forms of what is set for rules.

use std::collections::BTreeMap;

use sealwright_web::component::{Field, Form};

use super::alert::{Refused, encode};
use super::visit::Visit;
use crate::model::{RuleInfo, Setting, Severity, tuned_value};

pub(super) fn form(
    visit: &Visit,
    rule: &RuleInfo,
    setting: Option<&Setting>,
    revision: i64,
    refused: Option<&Refused>,
) -> Form {
    let empty = Setting::default();
    let setting = setting.unwrap_or(&empty);
    let action = visit
        .url
        .carry(&format!("/console/siem/rules/{}", encode(&rule.id)))
        .to_string();
    let enabled = match setting.enabled {
        Some(true) => "on",
        Some(false) => "off",
        None => "",
    };
    let as_is = (String::new(), "as the rule says".to_owned());
    let mut severities = vec![as_is.clone()];
    severities.extend(
        Severity::ALL
            .iter()
            .map(|s| (s.name().to_owned(), s.name().to_owned())),
    );
    let severities: Vec<(&str, &str)> = severities
        .iter()
        .map(|(v, l)| (v.as_str(), l.as_str()))
        .collect();
    let mut form = Form::new(&action, visit.csrf(), "Keep the setting")
        .hidden("revision", &revision.to_string())
        .field(
            Field::select(
                "enabled",
                "Alerts",
                &[("", "as the rule says"), ("on", "on"), ("off", "off")],
            )
            .value(enabled),
        )
        .field(
            Field::select("severity", "Severity", &severities)
                .value(setting.severity.map_or("", Severity::name)),
        );
    if rule.threshold.is_some() {
        form = form.field(
            Field::text("threshold", "Threshold")
                .value(setting.threshold.as_deref().unwrap_or(""))
                .hint("A number; empty for what the rule says."),
        );
    }
    if rule.timespan.is_some() {
        form = form.field(
            Field::text("timespan", "Window")
                .value(setting.timespan.as_deref().unwrap_or(""))
                .hint("5m, 1h, 7d; empty for what the rule says."),
        );
    }
    let lines = |map: &BTreeMap<String, Vec<String>>| {
        let lines: Vec<String> = map
            .iter()
            .map(|(k, v)| format!("{k}: {}", v.join(", ")))
            .collect();
        lines.join("\n")
    };
    let area = |name: &str, label: &str, value: &str, hint: &str| {
        Field::new(
            name,
            label,
            sealwright_web::component::FieldKind::Text { rows: 3 },
        )
        .value(value)
        .hint(hint)
        .mono()
    };
    let mut exclude = area(
        "exclude",
        "Leave out",
        &lines(&setting.exclude),
        "A line for each field: user.name: backup, monitor_*",
    );
    if let Some(refused) = refused {
        exclude = exclude.error(&refused.why);
    }
    let actions = setting.actions.clone().unwrap_or_default().join("\n");
    form = form
        .field(exclude)
        .field(area(
            "actions",
            "Actions of its alerts",
            &actions,
            "A line for each: disable-user:approval, suspend-tenant:dry-run, block-address 1h:now",
        ))
        .field(area(
            "placeholders",
            "Values of placeholders",
            &lines(&setting.placeholders),
            "A line for each: allowed_domains: example.com, example.org",
        ));
    if !rule.tunables.is_empty() {
        let values: Vec<String> = setting
            .tunables
            .iter()
            .map(|(name, value)| format!("{name}: {value}"))
            .collect();
        let names: Vec<&str> = rule.tunables.iter().map(|t| t.name.as_str()).collect();
        form = form.field(area(
            "tunables",
            "Values of the rule",
            &values.join("\n"),
            &format!(
                "A line for each: {}: value. There are {}.",
                names[0],
                names.join(", ")
            ),
        ));
    }
    form
}

/// On or off, for a set of rules.
pub(super) fn set_form(visit: &Visit, id: &str, enabled: Option<bool>, revision: i64) -> Form {
    let action = visit
        .url
        .carry(&format!("/console/siem/rules/{}", encode(id)))
        .to_string();
    Form::new(&action, visit.csrf(), "Keep the setting")
        .hidden("revision", &revision.to_string())
        .field(
            Field::select(
                "enabled",
                "Alerts",
                &[("", "as each rule says"), ("on", "on"), ("off", "off")],
            )
            .value(match enabled {
                Some(true) => "on",
                Some(false) => "off",
                None => "",
            })
            .hint("What is set for one rule counts more."),
        )
}

/// `name: value` on each line, where the value is JSON or else a text.
pub(super) fn read_values(text: &str) -> Result<BTreeMap<String, serde_json::Value>, String> {
    let mut out = BTreeMap::new();
    for (number, line) in text.lines().enumerate() {
        let line = line.trim();
        if line.is_empty() {
            continue;
        }
        let (name, value) = line
            .split_once(':')
            .ok_or_else(|| format!("line {}: write `name: value`", number + 1))?;
        out.insert(name.trim().to_owned(), tuned_value(value));
    }
    Ok(out)
}

/// `key: a, b` on each line.
pub(super) fn read_lines(text: &str) -> Result<BTreeMap<String, Vec<String>>, String> {
    let mut out = BTreeMap::new();
    for (number, line) in text.lines().enumerate() {
        let line = line.trim();
        if line.is_empty() {
            continue;
        }
        let (key, values) = line
            .split_once(':')
            .ok_or_else(|| format!("line {}: write `name: value, value`", number + 1))?;
        let values: Vec<String> = values
            .split(',')
            .map(|value| value.trim().to_owned())
            .filter(|value| !value.is_empty())
            .collect();
        if values.is_empty() {
            return Err(format!(
                "line {}: `{}` has no value",
                number + 1,
                key.trim()
            ));
        }
        out.insert(key.trim().to_owned(), values);
    }
    Ok(out)
}
