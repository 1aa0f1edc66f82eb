//! Rules: the list, and what can be done with them.

use axum::body::Bytes;
use axum::extract::Path;
use sealwright_core::Problem;
use sealwright_web::component::{
    Badge, Cell, Column, Empty, Field, FieldKind, Form, Panel, Row, Table, Tone,
};
use sealwright_web::{Crumb, Markup};

use super::{Answer, Refused, SEVERITIES, Visit, done, fault, is_field, severity_tone, typed};
use crate::error::NotifyError;
use crate::model::{Channel, Rule};
use crate::service::{NewRule, RuleChange};

pub(super) async fn list(visit: Visit) -> Answer {
    page(&visit, None).await
}

async fn page(visit: &Visit, refused: Refused<'_>) -> Answer {
    let service = visit.service();
    let refuse = |error| visit.refuse(error);
    let rules = service.rules(&visit.by).await.map_err(refuse)?;
    let channels = service
        .channels(&visit.by, None, Some(500))
        .await
        .map_err(refuse)?
        .items;
    let mut columns = vec![
        Column::text("name", "Name"),
        Column::text("topic", "Topic"),
        Column::text("severity", "From severity"),
        Column::text("about", "About"),
        Column::text("channels", "To"),
        Column::text("owner", "Owner"),
        Column::text("enabled", "State"),
    ];
    if visit.may_write() {
        columns.push(Column::text("act", "Change"));
    }
    let mut table = Table::new("rules", "Rules", &visit.url, columns).empty(
        Empty::new(
            "No rule yet: no message goes anywhere.",
            "Create one below, or with:",
        )
        .command("sealwright notify rule create --name everything --topic '*' --channel nch_…"),
    );
    for rule in &rules {
        table.push(row(visit, rule, &channels));
    }
    if let Some(export) = table.export(&visit.url) {
        return Ok(export);
    }
    let mut body = Markup::of(&table);
    if visit.may_write() {
        let panel = if channels.is_empty() {
            let text = Markup::new()
                .text("A rule sends to channels. ")
                .link("Create a channel first", "/console/notify/channels");
            Panel::new("New rule", &text)
        } else {
            Panel::new("New rule", &form(visit, &channels, refused)).note(
                "A message goes to each channel of each rule that matches it, once a channel.",
            )
        };
        body = body.with(&panel);
    }
    Ok(visit.show("Rules", vec![Crumb::here("Rules")], &body, refused))
}

fn row(visit: &Visit, rule: &Rule, channels: &[Channel]) -> Row {
    let names: Vec<_> = rule
        .channels
        .iter()
        .map(|id| {
            channels
                .iter()
                .find(|channel| channel.id == *id)
                .map_or_else(|| id.to_string(), |channel| channel.name.clone())
        })
        .collect();
    let badge = if rule.enabled {
        Badge::new(Tone::Good, "on")
    } else {
        Badge::new(Tone::Bad, "off")
    };
    let about = match rule.about_tenant {
        None => Cell::text("anything"),
        Some(tenant) => visit.owner(Some(tenant)),
    };
    let mut cells = vec![
        Cell::text(&rule.name),
        Cell::code(&rule.topic),
        Cell::badge(&Badge::new(
            severity_tone(rule.severity),
            rule.severity.as_str(),
        )),
        about,
        Cell::text(&names.join(", ")),
        visit.owner(rule.tenant_id),
        Cell::badge(&badge),
    ];
    if visit.may_write() {
        let (action, word) = if rule.enabled {
            ("disable", "Switch off")
        } else {
            ("enable", "Switch on")
        };
        let to = |action: &str| format!("/console/notify/rules/{}/{action}", rule.id);
        let switch = Form::new(&to(action), &visit.csrf, &format!("{word} {}", rule.name));
        let delete =
            Form::new(&to("delete"), &visit.csrf, &format!("Delete {}", rule.name)).danger();
        cells.push(Cell::markup(&Markup::of(&switch).with(&delete), ""));
    }
    Row::new(cells)
}

fn form(visit: &Visit, channels: &[Channel], refused: Refused<'_>) -> Form {
    let line = |name: &str, key: &str, label: &str| {
        Field::text(name, label)
            .value(typed(refused, name))
            .error(&fault(refused, key))
    };
    let mut form = Form::new("/console/notify/rules", &visit.csrf, "Create rule")
        .field(line("name", "name", "Name").required())
        .field(
            line("topic", "topic", "Topic")
                .required()
                .mono()
                .hint("billing.budget, billing.* for all that begins so, or * for everything."),
        )
        .field(
            Field::select("severity", "From severity", &SEVERITIES)
                .value(typed(refused, "severity")),
        )
        .field(
            line("about", "about", "Only about tenant")
                .mono()
                .hint("Slug; empty for everything."),
        );
    if visit.by.tenants.tenant().is_none() {
        form = form.field(
            line("tenant", "tenant", "Owner")
                .mono()
                .hint("Slug of the tenant whose rule it is; empty for the installation. Its channels must have the same owner."),
        );
    }
    for (at, channel) in channels.iter().enumerate() {
        let name = format!("channel_{}", channel.id);
        let error = if at == 0 {
            fault(refused, "channels")
        } else {
            String::new()
        };
        let label = format!("To {} ({})", channel.name, channel.target.kind());
        form = form.field(
            Field::new(&name, &label, FieldKind::Check)
                .value(typed(refused, &name))
                .error(&error),
        );
    }
    form
}

pub(super) async fn create(visit: Visit, body: Bytes) -> Answer {
    let fields = visit.fields(&body)?;
    let all = visit
        .service()
        .channels(&visit.by, None, Some(500))
        .await
        .map_err(|error| visit.refuse(error))?
        .items;
    let channels = all
        .iter()
        .map(|channel| channel.id.to_string())
        .filter(|id| fields.get(&format!("channel_{id}")).is_some())
        .collect();
    let severity = fields
        .filled("severity")
        .map(|text| {
            text.parse().map_err(|detail| NotifyError::Invalid {
                field: "severity",
                detail,
            })
        })
        .transpose();
    let made = match severity {
        Ok(severity) => {
            let new = NewRule {
                name: fields.filled("name").unwrap_or_default(),
                tenant: fields.filled("tenant"),
                topic: fields.filled("topic").unwrap_or_default(),
                severity,
                about: fields.filled("about"),
                channels,
            };
            visit.service().create_rule(&visit.by, new).await
        }
        Err(error) => Err(error),
    };
    match made {
        Ok(rule) => Ok(done(
            "/console/notify/rules",
            &format!("Created {}.", rule.name),
        )),
        Err(error) if is_field(&error) => page(&visit, Some((&fields, &error))).await,
        Err(error) => Err(visit.refuse(error)),
    }
}

pub(super) async fn act(visit: Visit, Path((id, action)): Path<(String, String)>) -> Answer {
    let service = visit.service();
    let switch = |enabled| RuleChange {
        enabled: Some(enabled),
        ..RuleChange::default()
    };
    let (result, text) = match action.as_str() {
        "enable" => {
            let changed = service
                .change_rule(&visit.by, &id, None, switch(true))
                .await;
            (changed.map(|_| ()), "Switched on.")
        }
        "disable" => {
            let changed = service
                .change_rule(&visit.by, &id, None, switch(false))
                .await;
            (changed.map(|_| ()), "Switched off.")
        }
        "delete" => (service.delete_rule(&visit.by, &id).await, "Deleted."),
        _ => {
            let problem = Problem::not_found("there is nothing at this address");
            return Err(visit.problem(&problem));
        }
    };
    result.map_err(|error| visit.refuse(error))?;
    Ok(done("/console/notify/rules", text))
}
