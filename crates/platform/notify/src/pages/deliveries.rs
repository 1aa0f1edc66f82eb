//! Deliveries: the list, one delivery, and sending it again.

use axum::extract::Path;
use axum::response::IntoResponse as _;
use sealwright_core::TenantId;
use sealwright_web::component::{
    Badge, Cell, Column, Definitions, Empty, Figure, Figures, Form, Pager, Panel, Row, Table, Tone,
};
use sealwright_web::{Crumb, Markup, Page};

use super::{Answer, Visit, done, severity_tone, time};
use crate::model::{Delivery, DeliveryFilter, DeliveryState};

/// A delivery's state as it is shown.
pub(super) fn state(state: DeliveryState) -> Badge {
    let tone = match state {
        DeliveryState::Sent | DeliveryState::Digested => Tone::Good,
        DeliveryState::Pending | DeliveryState::Sending => Tone::Info,
        DeliveryState::Held => Tone::Warn,
        DeliveryState::Dead => Tone::Bad,
    };
    Badge::new(tone, word(state))
}

const fn word(state: DeliveryState) -> &'static str {
    match state {
        DeliveryState::Pending => "waiting",
        DeliveryState::Sending => "sending",
        DeliveryState::Held => "held",
        DeliveryState::Sent => "sent",
        DeliveryState::Digested => "in a digest",
        DeliveryState::Dead => "dead letter",
    }
}

fn can_resend(state: DeliveryState) -> bool {
    !matches!(state, DeliveryState::Pending | DeliveryState::Sending)
}

fn resend_form(visit: &Visit, delivery: &Delivery) -> Form {
    let label = if delivery.state == DeliveryState::Held {
        "Send now"
    } else {
        "Resend"
    };
    let to = format!("/console/notify/deliveries/{}/resend", delivery.id);
    Form::new(&to, &visit.csrf, label)
}

pub(super) async fn list(visit: Visit) -> Answer {
    let service = visit.service();
    let refuse = |error| visit.refuse(error);
    let filter = DeliveryFilter {
        state: visit.url.get("state").and_then(|text| text.parse().ok()),
        channel: visit.url.get("channel").map(str::to_owned),
        message: None,
        cursor: visit.url.get("cursor").map(str::to_owned),
        limit: Some(100),
    };
    let found = service
        .deliveries(&visit.by, &filter)
        .await
        .map_err(refuse)?;
    let waiting = service.waiting(&visit.by).await.map_err(refuse)?;
    let count = |state: DeliveryState| {
        waiting
            .iter()
            .filter(|w| w.state == state)
            .map(|w| w.count)
            .sum::<i64>()
    };
    let link = |state: DeliveryState| format!("/console/notify/deliveries?state={state}");
    let figures = Figures::new(vec![
        Figure::count(
            "Waiting",
            count(DeliveryState::Pending) + count(DeliveryState::Sending),
            "",
        )
        .href(&link(DeliveryState::Pending)),
        Figure::count("Held by quiet hours", count(DeliveryState::Held), "")
            .href(&link(DeliveryState::Held)),
        Figure::count("Dead letters", count(DeliveryState::Dead), "")
            .href(&link(DeliveryState::Dead)),
    ]);
    let columns = vec![
        Column::text("title", "Message"),
        Column::text("severity", "Severity"),
        Column::text("channel", "Channel"),
        Column::text("state", "State"),
        Column::number("attempts", "Attempts"),
        Column::time("next_at", "Next, UTC"),
        Column::text("answer", "Last answer"),
        Column::time("created_at", "Time, UTC"),
    ];
    let title = filter.state.map_or_else(
        || "Deliveries, newest first".to_owned(),
        |state| format!("Deliveries, newest first: {}", word(state)),
    );
    let empty = if filter.state.is_some() {
        Empty::new(
            "None.",
            Markup::new().link("All deliveries", "/console/notify/deliveries"),
        )
    } else {
        Empty::new(
            "Nothing was sent yet.",
            "A message goes where rules send it. Create a channel, test it, then a rule:",
        )
        .command("sealwright notify channel create --name on-call slack")
    };
    let mut table = Table::new("deliveries", &title, &visit.url, columns)
        .pager(Pager {
            previous: filter.cursor.as_ref().map(|_| String::new()),
            next: found.next.clone(),
        })
        .empty(empty);
    for delivery in &found.items {
        table.push(row(delivery));
    }
    if let Some(export) = table.export(&visit.url) {
        return Ok(export);
    }
    let mut body = Markup::of(&figures);
    if filter.state.is_some() || filter.channel.is_some() {
        body = body.link("All deliveries", "/console/notify/deliveries");
    }
    let body = body.with(&table);
    Ok(visit.show("Deliveries", vec![Crumb::here("Deliveries")], &body, None))
}

fn row(delivery: &Delivery) -> Row {
    let answer = match (delivery.status, &delivery.answer) {
        (Some(status), Some(answer)) if !answer.is_empty() => format!("{status}: {answer}"),
        (Some(status), _) => status.to_string(),
        (None, answer) => answer.clone().unwrap_or_default(),
    };
    let short = crate::message::clip(answer.chars(), 80);
    Row::new(vec![
        Cell::link(
            &delivery.title,
            &format!("/console/notify/deliveries/{}", delivery.id),
        ),
        Cell::badge(&Badge::new(
            severity_tone(delivery.severity),
            delivery.severity.as_str(),
        )),
        Cell::link(
            &delivery.channel,
            &format!("/console/notify/channels/{}", delivery.channel_id),
        ),
        Cell::badge(&state(delivery.state)),
        Cell::integer(delivery.attempts),
        time(delivery.next_at),
        Cell::text(&short),
        time(Some(delivery.created_at)),
    ])
}

fn tenant_name(visit: &Visit, id: TenantId) -> String {
    visit
        .service()
        .directory()
        .get(id)
        .map_or_else(|| id.to_string(), |tenant| tenant.slug.clone())
}

pub(super) async fn one(visit: Visit, Path(id): Path<String>) -> Answer {
    let service = visit.service();
    let refuse = |error| visit.refuse(error);
    let delivery = service.delivery(&visit.by, &id).await.map_err(refuse)?;
    let message = service
        .message_of(&visit.by, &delivery)
        .await
        .map_err(refuse)?;
    let at = |at: sealwright_core::UnixMicros| at.to_string();
    let channel = Markup::new().link(
        &delivery.channel,
        &format!("/console/notify/channels/{}", delivery.channel_id),
    );
    let mut facts = Definitions::new()
        .item("Channel", channel)
        .item("Because of", delivery.cause.as_str())
        .item("Attempts", delivery.attempts.to_string().as_str());
    if let Some(next) = delivery.next_at {
        facts = facts.item("Next attempt", at(next).as_str());
    }
    if let Some(ended) = delivery.ended_at {
        facts = facts.item("Ended", at(ended).as_str());
    }
    if let Some(status) = delivery.status {
        facts = facts.item("Last status", status.to_string().as_str());
    }
    if let Some(answer) = delivery.answer.as_deref().filter(|text| !text.is_empty()) {
        facts = facts.item("Last answer", Markup::new().code(answer));
    }
    if let Some(digest) = &delivery.digest_id {
        let to = format!("/console/notify/deliveries/{digest}");
        facts = facts.item("Part of", Markup::new().link("a digest", &to));
    }
    facts = facts.item("Id", Markup::new().code(&delivery.id.to_string()));
    let mut about = Definitions::new()
        .item("Topic", Markup::new().code(&message.topic))
        .item("Severity", message.severity.as_str())
        .item("Phase", message.phase.as_str())
        .item("Time", at(message.created_at).as_str());
    if let Some(tenant) = message.tenant_id {
        about = about.item("Tenant", tenant_name(&visit, tenant).as_str());
    }
    if let Some(incident) = &message.incident {
        about = about.item("Incident", Markup::new().code(incident));
    }
    if !message.body.is_empty() {
        about = about.item("Text", message.body.as_str());
    }
    for fact in &message.fields {
        about = about.item(&fact.name, fact.value.as_str());
    }
    if let Some(link) = &message.link {
        about = about.item("Link", Markup::new().link(link, link));
    }
    let mut body = Markup::of(&Panel::new("Delivery", &facts));
    if visit.may_write() && can_resend(delivery.state) {
        let panel = Panel::new("Send again", &resend_form(&visit, &delivery))
            .note("It goes out under the same id, so that a program on the other side can tell.");
        body = body.with(&panel);
    }
    let body = body.with(&Panel::new("Message", &about));
    let way = vec![
        Crumb::link("Deliveries", "/console/notify/deliveries"),
        Crumb::id(&delivery.id.to_string()),
    ];
    let chrome = visit.chrome(way).badge(state(delivery.state));
    Ok(Page::new(&delivery.title, chrome, &body).into_response())
}

pub(super) async fn resend(visit: Visit, Path(id): Path<String>) -> Answer {
    let delivery = visit
        .service()
        .resend(&visit.by, &id)
        .await
        .map_err(|error| visit.refuse(error))?;
    let to = format!("/console/notify/deliveries/{}", delivery.id);
    Ok(done(
        &to,
        "It is in the queue again; load this page again to see how it went.",
    ))
}
