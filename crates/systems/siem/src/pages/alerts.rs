//! The list of alerts: `/console/siem/alerts`.

use axum::response::IntoResponse;
use sealwright_web::component::{Figure, Figures, Pager};
use sealwright_web::{Crumb, Markup, Page};

use super::parts::alerts_table;
use super::visit::{Answer, Visit, shown};
use crate::model::{AlertId, AlertState, Entity, Severity};
use crate::store::alert::Filter;

/// Rows of a page.
const ROWS: u32 = 50;

/// `GET /console/siem/alerts`.
pub(super) async fn list(visit: Visit) -> Answer {
    let scope = visit.scope()?;
    let missing =
        |what: &str, text: &str| visit.missing(&format!("{what} {} is not one.", shown(text)));
    let state = match visit.url.get("state") {
        None => None,
        Some(text) => Some(
            text.parse::<AlertState>()
                .map_err(|_| missing("The state", text))?,
        ),
    };
    let severity = match visit.url.get("severity") {
        None => None,
        Some(text) => Some(
            text.parse::<Severity>()
                .map_err(|_| missing("The severity", text))?,
        ),
    };
    let after = match visit.url.get("cursor") {
        None => None,
        Some(text) => Some(
            text.parse::<AlertId>()
                .map_err(|_| missing("The cursor", text))?,
        ),
    };
    let entity = match visit.url.get("entity") {
        None => None,
        Some(text) => {
            let (kind, value) = text
                .split_once(':')
                .ok_or_else(|| missing("The entity", text))?;
            Some(Entity {
                kind: kind.to_owned(),
                value: value.to_owned(),
            })
        }
    };
    let rule = visit.url.get("rule").map(str::to_owned);
    let filter = Filter {
        state,
        severity,
        entity: entity.clone(),
        rule: rule.clone(),
        after,
        limit: ROWS + 1,
        ..Filter::default()
    };
    let siem = visit.siem();
    let refuse = |error| visit.refuse(error);
    let mut alerts = siem.alerts.list(scope, &filter).await.map_err(refuse)?;
    let more = alerts.len() > ROWS as usize;
    alerts.truncate(ROWS as usize);
    let mut title = match state {
        None => "Alerts".to_owned(),
        Some(state) => format!("Alerts, {state}"),
    };
    if let Some(entity) = &entity {
        title.push_str(&format!(", about {} {}", entity.kind, entity.value));
    }
    if let Some(rule) = &rule {
        title.push_str(&format!(", of rule {rule}"));
    }
    let next = alerts
        .last()
        .filter(|_| more)
        .map(|last| last.id.to_string());
    let table = alerts_table(&visit, "alerts", &title, &alerts).pager(Pager {
        previous: after.map(|_| String::new()),
        next,
    });
    if let Some(export) = table.export(&visit.url) {
        return Ok(export);
    }
    let ever = (
        sealwright_core::UnixMicros(i64::MIN / 2),
        sealwright_core::UnixMicros(i64::MAX / 2),
    );
    let counts = siem
        .alerts
        .counts(scope, ever.0, ever.1)
        .await
        .map_err(refuse)?;
    let url = visit.url.without_all(&["cursor", "state"]);
    let figures = AlertState::ALL
        .iter()
        .map(|of| {
            let here = counts.iter().filter(|(_, state, _)| state == of);
            let total: u64 = here.clone().map(|(.., n)| n).sum();
            let bad: u64 = here
                .filter(|(severity, ..)| *severity >= Severity::High)
                .map(|(.., n)| n)
                .sum();
            let chosen = state == Some(*of);
            let link = if chosen {
                url.to_string()
            } else {
                url.with("state", of.name()).to_string()
            };
            let mut label = of.name().to_owned();
            if let Some(first) = label.get_mut(..1) {
                first.make_ascii_uppercase();
            }
            if chosen {
                label.push_str(", shown below");
            }
            Figure::count(&label, i64::try_from(total).unwrap_or(i64::MAX), "")
                .href(&link)
                .note(format!("{bad} critical or high"))
        })
        .collect();
    let body = Markup::of(&Figures::new(figures)).with(&table);
    let chrome = visit.chrome(vec![Crumb::here("Alerts")]);
    Ok(Page::new("Alerts", chrome, &body).into_response())
}
