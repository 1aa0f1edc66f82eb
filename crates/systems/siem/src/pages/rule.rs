//! Rules: `/console/siem/rules` and `/console/siem/rules/{id}`.

use std::collections::BTreeMap;

use axum::extract::Path;
use axum::http::StatusCode;
use axum::response::IntoResponse;
use sealwright_core::TenantScope;
use sealwright_core::clock::DAY;
use sealwright_web::component::{
    Badge, Cell, Column, Command, Definitions, Empty, Field, Form, Panel, Row, Table, Tone,
};
use sealwright_web::{Crumb, Markup, Page, format};

use super::alert::{Refused, encode};
use super::parts::{Columns, length, severity};
use super::visit::{Answer, Visit};
use crate::model::{RuleInfo, Setting, Severity};
use crate::service::retro::{Report, Span};

/// How far back alerts of a rule are counted on the list.
const COUNTED: i64 = 30 * DAY;
/// How far back a rule is tried on its page.
const TRIED: i64 = 7 * DAY;

fn state(rule: &RuleInfo) -> Badge {
    if !rule.unresolved.is_empty() {
        Badge::new(Tone::Warn, "needs values")
    } else if rule.internal {
        Badge::new(Tone::Neutral, "part of others")
    } else if rule.enabled {
        Badge::new(Tone::Good, "on")
    } else {
        Badge::new(Tone::Neutral, "off")
    }
}

/// `GET /console/siem/rules`.
pub(super) async fn list(visit: Visit) -> Answer {
    let scope = visit.scope()?;
    let siem = visit.siem();
    let refuse = |error| visit.refuse(error);
    let (mut rules, errors) = siem.rules.list(scope.tenant()).await.map_err(refuse)?;
    let since = visit.now.plus(-COUNTED);
    let counts: BTreeMap<String, (u64, u64)> = siem
        .alerts
        .by_rule(scope, since, visit.now.plus(1))
        .await
        .map_err(refuse)?
        .into_iter()
        .map(|(id, alerts, matches)| (id, (alerts, matches)))
        .collect();
    if let Some(words) = visit.url.get("q") {
        let words = words.to_lowercase();
        rules.retain(|rule| {
            let tags = rule.tags.join(" ");
            [&rule.id, &rule.title, &rule.kind, &tags]
                .iter()
                .any(|text| text.to_lowercase().contains(&words))
        });
    }
    rules.sort_by(|a, b| {
        (a.internal, std::cmp::Reverse(a.severity), &a.title).cmp(&(
            b.internal,
            std::cmp::Reverse(b.severity),
            &b.title,
        ))
    });
    let columns = vec![
        Column::text("title", "Rule"),
        Column::text("severity", "Severity"),
        Column::text("state", "State"),
        Column::text("kind", "Kind"),
        Column::number("alerts", "Alerts, 30 d"),
        Column::number("matches", "Matches, 30 d"),
        Column::text("tags", "ATT&CK"),
        Column::text("author", "Author"),
    ];
    let mut table = Table::new("rules", "Rules", &visit.url, columns)
        .filter("Filter rules")
        .note(&format!("{} rules", rules.len()))
        .empty(
            Empty::new("No rule here.", "Add Sigma rules from a file:")
                .command("sealwright siem rule add rules.yml"),
        );
    for rule in &rules {
        let (alerts, matches) = counts.get(&rule.id).copied().unwrap_or_default();
        let techniques: Vec<String> = rule
            .tags
            .iter()
            .filter_map(|tag| tag.strip_prefix("attack.t"))
            .map(|rest| format!("T{rest}"))
            .collect();
        let count = |n: u64| Cell::integer(i64::try_from(n).unwrap_or(i64::MAX));
        table.push(Row::new(vec![
            Cell::link(
                &rule.title,
                &visit.to(&format!("/console/siem/rules/{}", encode(&rule.id))),
            ),
            Cell::badge(&severity(rule.severity)),
            Cell::badge(&state(rule)),
            Cell::text(&rule.kind),
            count(alerts),
            count(matches),
            Cell::text(&techniques.join(", ")),
            Cell::text(rule.author.as_deref().unwrap_or("")),
        ]));
    }
    if let Some(export) = table.export(&visit.url) {
        return Ok(export);
    }
    let mut body = Markup::new();
    if !errors.is_empty() {
        let list = errors
            .iter()
            .take(20)
            .fold(Definitions::new(), |list, error| {
                list.item("Fault", error.as_str())
            });
        body = body.with(&Panel::new("What could not be loaded", &list).flush());
    }
    let body = body.with(&table);
    let chrome = visit.chrome(vec![Crumb::here("Rules")]);
    Ok(Page::new("Rules", chrome, &body).into_response())
}

/// `GET /console/siem/rules/{id}`.
pub(super) async fn show(visit: Visit, Path(id): Path<String>) -> Answer {
    page(&visit, &id, None).await
}

/// The page, with what the form was refused for.
pub(super) async fn page(visit: &Visit, id: &str, refused: Option<&Refused>) -> Answer {
    let scope = visit.scope()?;
    let siem = visit.siem();
    let refuse = |error| visit.refuse(error);
    let (rule, text) = siem.rules.find(scope.tenant(), id).await.map_err(refuse)?;
    let kept = siem
        .rules
        .settings(visit.by.tenants, id)
        .await
        .map_err(refuse)?;
    let own = kept.iter().find(|k| k.tenant == scope.tenant());
    let mut left = Markup::of(&Panel::new("Rule", &facts(&rule)).flush());
    // Counting reads stored events: only where it is asked for, and for one tenant.
    let tried = visit.url.get("try").is_some();
    if let (true, Some(tenant)) = (tried, scope.tenant()) {
        let span = Span {
            tenant,
            from: Some(visit.now.plus(-TRIED)),
            to: visit.now,
        };
        let report = crate::api::try_rule(siem, span, None, Some(id))
            .await
            .map_err(refuse)?;
        left = left.with(&days(visit, id, &report));
    }
    left = left.with(
        &Panel::new("As it is written", &Command::new("The rule's file", &text))
            .note(rule.file.as_str()),
    );
    let mut right = Markup::new();
    if visit.may_write() && !rule.internal {
        right = right.with(&Panel::new(
            &match scope {
                TenantScope::One(tenant) => format!("Setting for {}", siem.slug(tenant)),
                TenantScope::All => "Setting for all tenants".to_owned(),
            },
            &form(
                visit,
                &rule,
                own.map(|k| &k.setting),
                own.map_or(0, |k| k.revision),
                refused,
            ),
        ));
    }
    let try_href = visit.url.without("try").with("try", "1").to_string();
    let hint = match scope.tenant() {
        Some(_) => Markup::new()
            .text("What it would have raised in the last 7 days, day by day, and what it costs: ")
            .link("count", &try_href),
        None => Markup::from("Choose a tenant above to count what the rule would have raised."),
    };
    right = right.with(&Panel::new("Before it is enabled", &hint));
    let alerts = visit
        .url
        .carry("/console/siem/alerts")
        .with("rule", id)
        .to_string();
    right = right.with(&Panel::new(
        "Alerts",
        &Markup::new().link("All alerts of this rule", &alerts),
    ));
    let chrome = visit
        .chrome(vec![
            Crumb::link("Rules", &visit.to("/console/siem/rules")),
            Crumb::here(&rule.title),
        ])
        .badge(severity(rule.severity))
        .lead(Markup::new().text(rule.description.as_deref().unwrap_or("").trim()));
    let answer = Page::new(&rule.title, chrome, &Columns { left, right });
    Ok(match refused {
        Some(_) => answer
            .status(StatusCode::UNPROCESSABLE_ENTITY)
            .into_response(),
        None => answer.into_response(),
    })
}

fn facts(rule: &RuleInfo) -> Definitions {
    let mut list = Definitions::new()
        .item("Id", Markup::new().code(&rule.id))
        .item("State", Markup::of(&state(rule)))
        .item("Kind", rule.kind.as_str());
    if let Some(threshold) = &rule.threshold {
        list = list.item("Threshold", threshold.as_str());
    }
    if let Some(seconds) = rule.timespan {
        list = list.item("Window", length(seconds * 1_000_000));
    }
    if !rule.group_by.is_empty() {
        list = list.item("Grouped by", Markup::new().code(&rule.group_by.join(", ")));
    }
    list = list.item("Author", rule.author.as_deref().unwrap_or("not named"));
    if let Some(license) = &rule.license {
        list = list.item("Licence", license.as_str());
    }
    if !rule.tags.is_empty() {
        list = list.item("Tags", rule.tags.join(", "));
    }
    for text in &rule.falsepositives {
        list = list.item("May also be", text.as_str());
    }
    for text in &rule.references {
        list = list.item("Read more", Markup::new().link(text, text));
    }
    if !rule.unresolved.is_empty() {
        list = list.item("Values are missing for", rule.unresolved.join(", "));
    }
    list.item(
        "Digest of its file",
        Markup::new().code(&rule.digest.to_string()),
    )
}

fn form(
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
    form.field(exclude)
        .field(area(
            "actions",
            "Actions of its alerts",
            &actions,
            "A line for each: disable-user:approval, suspend-tenant:dry-run, revoke-key:now",
        ))
        .field(area(
            "placeholders",
            "Values of placeholders",
            &lines(&setting.placeholders),
            "A line for each: allowed_domains: example.com, example.org",
        ))
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

fn days(visit: &Visit, id: &str, report: &Report) -> Table {
    let columns = vec![
        Column::text("day", "Day, UTC"),
        Column::number("matches", "Matches"),
    ];
    let cost = format!(
        "{} events in {:.1} s, {:.0} µs an event; {} alerts",
        format::integer(i64::try_from(report.events).unwrap_or(i64::MAX)),
        report.seconds,
        report.per_event,
        report.alerts.len()
    );
    let mut table = Table::new(
        "days",
        "What it would have raised, last 7 days",
        &visit.url,
        columns,
    )
    .note(&cost)
    .empty(Empty::new(
        "Nothing matches in the last 7 days.",
        cost.as_str(),
    ));
    for (day, rules) in &report.days {
        let n = rules.get(id).copied().unwrap_or(0);
        table.push(Row::new(vec![
            Cell::text(day),
            Cell::integer(i64::try_from(n).unwrap_or(i64::MAX)),
        ]));
    }
    table
}
