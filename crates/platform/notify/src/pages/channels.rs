//! Channels: the list, one channel, and what can be done with it.

use axum::body::Bytes;
use axum::extract::Path;
use axum::http::{HeaderValue, header};
use axum::response::{IntoResponse as _, Response};
use sealwright_core::clock::DAY;
use sealwright_web::component::{
    Badge, Cell, Column, Command, Definitions, Empty, Form, Pager, Panel, Row, Table, Tone,
};
use sealwright_web::{Crumb, Markup, Page};

use super::{Answer, Refused, Visit, channel_form, done, is_field, severity_tone, time};
use crate::model::{Channel, ChannelKind, ChannelState, DeliveryFilter, Target};
use crate::service::ChannelChange;

const KINDS: [(ChannelKind, &str); 5] = [
    (ChannelKind::Slack, "Slack"),
    (ChannelKind::Pagerduty, "PagerDuty"),
    (ChannelKind::Email, "E-mail"),
    (ChannelKind::Github, "GitHub issues"),
    (ChannelKind::Webhook, "Webhook"),
];

fn kind_name(kind: ChannelKind) -> &'static str {
    KINDS
        .into_iter()
        .find(|(found, _)| *found == kind)
        .map_or("", |(_, name)| name)
}

fn state(channel: &Channel) -> Badge {
    let tone = match channel.state {
        ChannelState::Active => Tone::Good,
        ChannelState::Disabled | ChannelState::Deleted => Tone::Bad,
    };
    Badge::new(tone, channel.state.as_str())
}

fn quiet(channel: &Channel) -> String {
    let Some(quiet) = &channel.quiet else {
        return "none".to_owned();
    };
    let days: Vec<_> = quiet
        .days
        .iter()
        .map(|day| format!("{day:?}").to_lowercase())
        .collect();
    let days = if days.is_empty() {
        String::new()
    } else {
        format!(", and {}", days.join(", "))
    };
    format!("{} to {} {}{days}", quiet.from, quiet.to, quiet.zone)
}

pub(super) async fn list(visit: Visit) -> Answer {
    page(&visit, None).await
}

async fn page(visit: &Visit, refused: Refused<'_>) -> Answer {
    let found = visit
        .service()
        .channels(&visit.by, visit.url.get("cursor"), Some(100))
        .await
        .map_err(|error| visit.refuse(error))?;
    let columns = vec![
        Column::text("name", "Name"),
        Column::text("kind", "Kind"),
        Column::text("target", "Goes to"),
        Column::text("owner", "Owner"),
        Column::text("quiet", "Quiet hours"),
        Column::text("state", "State"),
    ];
    let mut table = Table::new("channels", "Channels", &visit.url, columns)
        .pager(Pager {
            previous: visit.url.get("cursor").map(|_| String::new()),
            next: found.next.clone(),
        })
        .empty(
            Empty::new("No channel yet.", "Create one below, or with:")
                .command("sealwright notify channel create --name on-call slack"),
        );
    for channel in &found.items {
        table.push(Row::new(vec![
            Cell::link(
                &channel.name,
                &format!("/console/notify/channels/{}", channel.id),
            ),
            Cell::text(kind_name(channel.target.kind())),
            Cell::text(&channel.target.shown()),
            visit.owner(channel.tenant_id),
            Cell::text(&quiet(channel)),
            Cell::badge(&state(channel)),
        ]));
    }
    if let Some(export) = table.export(&visit.url) {
        return Ok(export);
    }
    let mut body = Markup::of(&table);
    if visit.may_write() {
        let asked = refused
            .and_then(|(fields, _)| fields.get("kind"))
            .or_else(|| visit.url.get("kind"));
        let kind = channel_form::kind(asked);
        let mut kinds = Markup::new().text("Of another kind: ");
        let others = KINDS.into_iter().filter(|(other, _)| *other != kind);
        for (at, (other, name)) in others.enumerate() {
            if at > 0 {
                kinds = kinds.text(", ");
            }
            kinds = kinds.link(name, &format!("/console/notify/channels?kind={other}"));
        }
        let staff = visit.by.tenants.tenant().is_none();
        let form = channel_form::form(kind, &visit.csrf, refused, staff);
        let title = format!("New channel: {}", kind_name(kind));
        body = body.with(&Panel::new(&title, &form).note(kinds));
    }
    Ok(visit.show("Channels", vec![Crumb::here("Channels")], &body, refused))
}

/// A secret in the answer to the form that made it, and nowhere else.
fn shown_once(visit: &Visit, channel: &Channel, secret: &str) -> Response {
    let lead = format!(
        "{} has a signing secret. Keep it now: it is sealed and not shown again.",
        channel.name
    );
    let back = format!("/console/notify/channels/{}", channel.id);
    let body = Markup::of(&Command::new("Signing secret", secret)).link("To the channel", &back);
    let chrome = visit
        .chrome(vec![Crumb::here("Signing secret")])
        .lead(lead.as_str());
    let mut response = Page::new("Signing secret", chrome, &body).into_response();
    let headers = response.headers_mut();
    headers.insert(
        header::REFERRER_POLICY,
        HeaderValue::from_static("no-referrer"),
    );
    headers.insert(header::CACHE_CONTROL, HeaderValue::from_static("no-store"));
    response
}

pub(super) async fn create(visit: Visit, body: Bytes) -> Answer {
    let fields = visit.fields(&body)?;
    let made = match channel_form::read(&fields) {
        Ok(new) => visit.service().create_channel(&visit.by, new).await,
        Err(error) => Err(error),
    };
    match made {
        Ok(made) => match &made.secret {
            Some(secret) => Ok(shown_once(&visit, &made.channel, secret)),
            None => {
                let to = format!("/console/notify/channels/{}", made.channel.id);
                Ok(done(&to, "Created. Test it before a rule sends to it."))
            }
        },
        Err(error) if is_field(&error) => page(&visit, Some((&fields, &error))).await,
        Err(error) => Err(visit.refuse(error)),
    }
}

pub(super) async fn one(visit: Visit, Path(id): Path<String>) -> Answer {
    let channel = visit
        .service()
        .channel(&visit.by, &id)
        .await
        .map_err(|error| visit.refuse(error))?;
    let filter = DeliveryFilter {
        channel: Some(channel.id.to_string()),
        limit: Some(10),
        ..DeliveryFilter::default()
    };
    let recent = visit
        .service()
        .deliveries(&visit.by, &filter)
        .await
        .map_err(|error| visit.refuse(error))?;
    let mut facts = Definitions::new()
        .item("Kind", kind_name(channel.target.kind()))
        .item("Goes to", channel.target.shown().as_str());
    if let Target::Webhook {
        signature,
        public_key,
        ..
    } = &channel.target
    {
        facts = facts.item("Signature", signature.as_str());
        if let Some(key) = public_key {
            facts = facts.item("Public key", Markup::new().code(key));
        }
    }
    facts = facts
        .item("Quiet hours", quiet(&channel).as_str())
        .item(
            "At most",
            channel
                .per_minute
                .map_or_else(
                    || "as fast as it takes them".to_owned(),
                    |n| format!("{n} a minute"),
                )
                .as_str(),
        )
        .item("Id", Markup::new().code(&channel.id.to_string()));
    if !channel.state_reason.is_empty() {
        facts = facts.item("Why not active", channel.state_reason.as_str());
    }
    let columns = vec![
        Column::text("title", "Message"),
        Column::text("severity", "Severity"),
        Column::text("state", "State"),
        Column::time("created_at", "Time, UTC"),
    ];
    let mut table = Table::new("recent", "Last deliveries", &visit.url, columns)
        .without_exports()
        .empty(Empty::new(
            "Nothing was sent to it yet.",
            "Test it, or let a rule send to it.",
        ));
    for delivery in &recent.items {
        table.push(Row::new(vec![
            Cell::link(
                &delivery.title,
                &format!("/console/notify/deliveries/{}", delivery.id),
            ),
            Cell::badge(&Badge::new(
                severity_tone(delivery.severity),
                delivery.severity.as_str(),
            )),
            Cell::badge(&super::deliveries::state(delivery.state)),
            time(Some(delivery.created_at)),
        ]));
    }
    let mut body = Markup::of(&facts);
    if visit.may_write() {
        body = body.with(&actions(&visit, &channel));
    }
    let body = body.with(&table);
    let way = vec![
        Crumb::link("Channels", "/console/notify/channels"),
        Crumb::here(&channel.name),
    ];
    let page = Page::new(
        &channel.name,
        visit.chrome(way).badge(state(&channel)),
        &body,
    );
    Ok(page.into_response())
}

fn actions(visit: &Visit, channel: &Channel) -> Panel {
    let form = |action: &str, label: &str| {
        let to = format!("/console/notify/channels/{}/{action}", channel.id);
        Form::new(&to, &visit.csrf, label)
    };
    let mut body = Markup::new();
    if channel.state == ChannelState::Active {
        body = body.with(&form("test", "Send a test message"));
        body = body.with(&form("disable", "Switch off").danger());
    } else {
        body = body.with(&form("enable", "Switch on"));
    }
    if channel.target.kind() == ChannelKind::Webhook {
        body = body.with(&form("rotate", "New signing secret"));
    }
    body = body.with(&form("delete", "Delete").danger());
    let panel = Panel::new("What can be done", &body);
    if channel.target.kind() == ChannelKind::Webhook {
        panel.note("A new signing secret and the one before it both sign for a day.")
    } else {
        panel
    }
}

pub(super) async fn act(visit: Visit, Path((id, action)): Path<(String, String)>) -> Answer {
    let service = visit.service();
    let here = format!("/console/notify/channels/{id}");
    let switch = |state| ChannelChange {
        state: Some(state),
        ..ChannelChange::default()
    };
    let refuse = |error| visit.refuse(error);
    match action.as_str() {
        "test" => {
            let test = service.test_channel(&visit.by, &id).await.map_err(refuse)?;
            let to = format!("/console/notify/deliveries/{}", test.id);
            Ok(done(
                &to,
                "A test message is on its way; load this page again to see how it went.",
            ))
        }
        "enable" => {
            let change = switch(ChannelState::Active);
            service
                .change_channel(&visit.by, &id, None, change)
                .await
                .map_err(refuse)?;
            Ok(done(&here, "Switched on."))
        }
        "disable" => {
            let change = switch(ChannelState::Disabled);
            service
                .change_channel(&visit.by, &id, None, change)
                .await
                .map_err(refuse)?;
            Ok(done(
                &here,
                "Switched off. What was waiting for it is given up and can be resent.",
            ))
        }
        "rotate" => {
            let rotated = service
                .rotate_secret(&visit.by, &id, None, DAY)
                .await
                .map_err(refuse)?;
            Ok(match &rotated.secret {
                Some(secret) => shown_once(&visit, &rotated.channel, secret),
                None => done(&here, "Rotated."),
            })
        }
        "delete" => {
            service
                .delete_channel(&visit.by, &id)
                .await
                .map_err(refuse)?;
            Ok(done(
                "/console/notify/channels",
                "Deleted, with its secrets.",
            ))
        }
        _ => Err(visit.problem(&sealwright_core::Problem::not_found(
            "there is nothing at this address",
        ))),
    }
}
