//! What was done about an alert, and what can be: panels of its page.

use sealwright_access::Action as May;
use sealwright_web::Markup;
use sealwright_web::component::{Badge, Cell, Column, Empty, Field, Form, Panel, Row, Table, Tone};

use super::alert::{Refused, act_href};
use super::parts::length;
use super::visit::{Visit, utc};
use crate::model::{Action, ActionState, Alert, Entity};

fn badge(action: &Action) -> Badge {
    let tone = match action.state {
        ActionState::Done if action.dry_run => Tone::Info,
        ActionState::Done => Tone::Good,
        ActionState::WaitsForApproval | ActionState::Due | ActionState::UndoDue => Tone::Warn,
        ActionState::Failed => Tone::Bad,
        ActionState::Refused | ActionState::Undone | ActionState::Expired => Tone::Neutral,
    };
    let text = if action.dry_run && action.state == ActionState::Done {
        "dry run".to_owned()
    } else {
        action.state.name().replace('-', " ")
    };
    Badge::new(tone, &text)
}

/// The actions of an alert, and the form that asks for one.
pub(super) fn panels(
    visit: &Visit,
    alert: &Alert,
    entities: &[Entity],
    actions: &[Action],
    refused: Option<&Refused>,
) -> Markup {
    let columns = vec![
        Column::text("action", "Action"),
        Column::text("state", "State"),
        Column::text("detail", "Detail"),
        Column::text("step", "Step"),
    ];
    let may = visit.may_write() && visit.by.may(May::AccessAdmin);
    let mut table = Table::new("response", "Response", &visit.url, columns)
        .without_exports()
        .empty(Empty::new(
            "Nothing was done about it.",
            "What this program controls can be done from here, for a time.",
        ));
    for action in actions {
        let button = |step: &str, label: &str| {
            let href = format!("/console/siem/actions/{}/{step}", action.id);
            Form::new(&href, visit.csrf(), label)
        };
        let steps = match action.state {
            ActionState::WaitsForApproval if may => {
                Markup::of(&button("approve", "Approve")).with(&button("refuse", "Refuse"))
            }
            ActionState::Done if may && !action.undo.is_empty() => {
                Markup::of(&button("undo", "Undo"))
            }
            ActionState::Done if !action.dry_run && action.kind == "preserve-evidence" => {
                Markup::new().link("Evidence", &act_href(alert, "evidence"))
            }
            _ => Markup::new(),
        };
        let mut detail = action.detail.clone();
        if let Some(at) = action
            .expires_at
            .filter(|_| action.state == ActionState::Done)
        {
            detail.push_str(&format!(", undone in {}", length(at.since(visit.now))));
        }
        if let Some(at) = action.done_at {
            let at = sealwright_web::format::moment(at.timestamp(), &utc());
            detail.push_str(&format!(" ({at})"));
        }
        table.push(Row::new(vec![
            Cell::text(&format!(
                "{} {}",
                action.kind.replace('-', " "),
                shown(visit, action)
            )),
            Cell::badge(&badge(action)),
            Cell::text(&detail),
            Cell::markup(&steps, action.state.name()),
        ]));
    }
    let mut markup = Markup::of(&table);
    if !may {
        return markup;
    }
    let mut choices: Vec<(String, String)> = Vec::new();
    for kind in visit.siem().respond.kinds() {
        if kind.target == "tenant" {
            let words = format!("{} ({})", kind.about, visit.siem().slug(alert.tenant));
            choices.push((kind.name.to_owned(), words));
        }
        if kind.target == "alert" {
            choices.push((kind.name.to_owned(), kind.about.to_owned()));
        }
        for entity in entities.iter().filter(|e| e.kind == kind.target) {
            choices.push((
                format!("{}:{}", kind.name, entity.value),
                format!("{} ({})", kind.about, entity.value),
            ));
        }
    }
    if choices.is_empty() {
        return markup;
    }
    let choices: Vec<(&str, &str)> = choices
        .iter()
        .map(|(v, l)| (v.as_str(), l.as_str()))
        .collect();
    let mut what = Field::select("what", "What", &choices);
    if let Some(refused) = refused.filter(|r| r.action == "respond") {
        what = what.error(&refused.why);
    }
    let form = Form::new(&act_href(alert, "respond"), visit.csrf(), "Ask for it")
        .hidden("revision", &alert.revision.to_string())
        .field(what)
        .field(Field::select(
            "hours",
            "For",
            &[
                ("1", "an hour"),
                ("24", "a day"),
                ("168", "a week"),
                ("", "until it is undone"),
            ],
        ))
        .field(Field::select(
            "how",
            "How",
            &[
                ("dry-run", "only say what would be done"),
                ("approval", "after somebody else has approved it"),
                ("now", "now"),
            ],
        ));
    markup = markup.with(&Panel::new("Act", &form));
    markup
}

fn shown(visit: &Visit, action: &Action) -> String {
    if action.target == action.tenant.to_string() {
        visit.siem().slug(action.tenant)
    } else if action.target == action.alert.to_string() {
        String::new()
    } else {
        action.target.clone()
    }
}
