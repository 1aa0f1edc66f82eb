//! Rules: `/console/siem/rules` and `/console/siem/rules/{id}`.

use std::collections::BTreeMap;

use axum::extract::Path;
use axum::http::StatusCode;
use axum::response::IntoResponse;
use sealwright_core::TenantScope;
use sealwright_core::clock::DAY;
use sealwright_web::component::{
    Badge, Cell, Column, Command, Definitions, Empty, Panel, Row, Table, Tone,
};
use sealwright_web::{Crumb, Markup, Page, format};

use super::alert::{Refused, encode};
use super::parts::{Columns, length, severity};
use super::setting;
use super::visit::{Answer, Visit};
use crate::model::RuleInfo;
use crate::service::builtin;
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

/// Where a rule comes from.
fn source(rule: &RuleInfo) -> String {
    match (rule.floor, &rule.family) {
        (true, Some(family)) => format!("built-in, {family}"),
        (true, None) => "built-in".to_owned(),
        (false, _) => rule.file.clone(),
    }
}

/// Rules that are on and rules in all, by the set that they belong to.
fn counted(rules: &[RuleInfo]) -> BTreeMap<String, (i64, i64)> {
    let mut out: BTreeMap<String, (i64, i64)> = BTreeMap::new();
    for rule in rules.iter().filter(|rule| rule.floor && !rule.internal) {
        let family = builtin::family_of(&rule.file).map(builtin::set_id);
        for id in std::iter::once(builtin::BUILT_IN.to_owned()).chain(family) {
            let (on, all) = out.entry(id).or_default();
            *on += i64::from(rule.enabled);
            *all += 1;
        }
    }
    out
}

/// The rules that the program comes with, by family.
fn sets(visit: &Visit, counted: &BTreeMap<String, (i64, i64)>) -> Table {
    let columns = vec![
        Column::text("set", "Set"),
        Column::number("on", "Rules that are on"),
        Column::number("all", "Rules"),
    ];
    let mut table = Table::new(
        "sets",
        "Rules that come with the program",
        &visit.url,
        columns,
    )
    .empty(Empty::new("No rule comes with this program.", ""));
    for (id, (on, all)) in counted {
        table.push(Row::new(vec![
            Cell::link(
                id,
                &visit.to(&format!("/console/siem/rules/{}", encode(id))),
            ),
            Cell::integer(*on),
            Cell::integer(*all),
        ]));
    }
    table
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
    let rules_of_sets = counted(&rules);
    if let Some(words) = visit.url.get("q") {
        let words = words.to_lowercase();
        rules.retain(|rule| {
            let tags = rule.tags.join(" ");
            let (evidence, source) = (rule.evidence.join(" "), source(rule));
            [&rule.id, &rule.title, &rule.kind, &tags, &evidence, &source]
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
        Column::text("evidence", "Evidence for"),
        Column::text("source", "Source"),
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
            Cell::text(&rule.evidence.join(", ")),
            Cell::text(&source(rule)),
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
    let body = body.with(&sets(&visit, &rules_of_sets)).with(&table);
    let chrome = visit.chrome(vec![Crumb::here("Rules")]);
    Ok(Page::new("Rules", chrome, &body).into_response())
}

/// `GET /console/siem/rules/{id}`.
pub(super) async fn show(visit: Visit, Path(id): Path<String>) -> Answer {
    page(&visit, &id, None).await
}

/// A set of rules: what it holds, and whether it is on.
async fn set(visit: &Visit, id: &str) -> Answer {
    let scope = visit.scope()?;
    let siem = visit.siem();
    let refuse = |error| visit.refuse(error);
    let (rules, _) = siem.rules.list(scope.tenant()).await.map_err(refuse)?;
    let (on, all) = counted(&rules)
        .get(id)
        .copied()
        .ok_or_else(|| visit.missing("There is no such set of rules."))?;
    let kept = siem
        .rules
        .settings(visit.by.tenants, id)
        .await
        .map_err(refuse)?;
    let own = kept.iter().find(|k| k.tenant == scope.tenant());
    let facts = Definitions::new()
        .item("Rules", format::integer(all))
        .item("Of them on", format::integer(on));
    let left = Markup::of(&Panel::new("Set", &facts).flush());
    let mut right = Markup::new();
    if visit.may_write() {
        right = right.with(&Panel::new(
            &for_whom(visit, scope),
            &setting::set_form(
                visit,
                id,
                own.and_then(|k| k.setting.enabled),
                own.map_or(0, |k| k.revision),
            ),
        ));
    }
    let chrome = visit.chrome(vec![
        Crumb::link("Rules", &visit.to("/console/siem/rules")),
        Crumb::here(id),
    ]);
    Ok(Page::new(id, chrome, &Columns { left, right }).into_response())
}

fn for_whom(visit: &Visit, scope: TenantScope) -> String {
    match scope {
        TenantScope::One(tenant) => format!("Setting for {}", visit.siem().slug(tenant)),
        TenantScope::All => "Setting for all tenants".to_owned(),
    }
}

/// The page, with what the form was refused for.
pub(super) async fn page(visit: &Visit, id: &str, refused: Option<&Refused>) -> Answer {
    if builtin::is_set(id) {
        return set(visit, id).await;
    }
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
    if visit.may_write() && (!rule.internal || !rule.tunables.is_empty()) {
        right = right.with(&Panel::new(
            &for_whom(visit, scope),
            &setting::form(
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
        .item("Kind", rule.kind.as_str())
        .item("Source", source(rule));
    if let Some(threshold) = &rule.threshold {
        list = list.item("Threshold", threshold.as_str());
    }
    if let Some(seconds) = rule.timespan {
        list = list.item("Window", length(seconds * 1_000_000));
    }
    if !rule.group_by.is_empty() {
        list = list.item("Grouped by", Markup::new().code(&rule.group_by.join(", ")));
    }
    for part in &rule.parts {
        let href = format!("/console/siem/rules/{}", encode(part));
        list = list.item("Counts", Markup::new().link(part, &href));
    }
    for t in &rule.tunables {
        let value = format!("{}: {}", t.about, t.value);
        list = list.item(&format!("Value {}", t.name), value);
    }
    if !rule.evidence.is_empty() {
        list = list.item("Evidence for", rule.evidence.join(", "));
    }
    if !rule.asks.is_empty() {
        list = list.item("Asks for", rule.asks.join(", "));
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
