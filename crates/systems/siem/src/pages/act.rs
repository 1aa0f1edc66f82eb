//! What the buttons do.

use axum::body::Bytes;
use axum::extract::Path;
use axum::http::header;
use axum::response::{IntoResponse, Redirect, Response};
use sealwright_access::Action;
use sealwright_access::forms::Fields;
use sealwright_core::Problem;
use sealwright_core::clock::HOUR;
use sealwright_web::Flash;
use sealwright_web::component::Tone;

use super::alert::{Refused, find, refused};
use super::visit::{Answer, Refusal, Visit, shown};
use super::{rule, setting};
use crate::model::{Entity, Setting, Severity, SuppressionId, Verdict};
use crate::service::SiemError;
use crate::service::alert::Change;
use crate::service::incident;

fn fields(visit: &Visit, body: &Bytes) -> Result<Fields, Refusal> {
    if let Err(problem) = visit.by.require(Action::SiemWrite) {
        return Err(visit.problem(&problem));
    }
    Fields::parse(body).map_err(|error| visit.problem(&Problem::from(error)))
}

/// Without the revision that the visitor saw, a button could act on what nobody has read.
fn revision(visit: &Visit, fields: &Fields) -> Result<i64, Refusal> {
    fields
        .get("revision")
        .and_then(|text| text.parse().ok())
        .ok_or_else(|| visit.problem(&Problem::bad_request("the form lacks the revision")))
}

fn done(to: &str, text: &str) -> Response {
    let mut response = Redirect::to(to).into_response();
    if let Some(cookie) = Flash::new(Tone::Good, text).set_cookie() {
        response.headers_mut().append(header::SET_COOKIE, cookie);
    }
    response
}

/// `POST /console/siem/alerts/{id}/{action}`.
pub(super) async fn alert(
    visit: Visit,
    Path((id, action)): Path<(String, String)>,
    body: Bytes,
) -> Answer {
    let alert = find(&visit, &id).await?;
    let fields = fields(&visit, &body)?;
    let revision = revision(&visit, &fields)?;
    let text = |name: &str| fields.get(name).unwrap_or_default().to_owned();
    if action == "respond" {
        return respond(&visit, &alert, &fields).await;
    }
    if action == "suppress" {
        return suppress(&visit, &alert, &fields).await;
    }
    let (action, change, note, typed, words): (&'static str, Change, String, String, &str) =
        match action.as_str() {
            "acknowledge" => (
                "acknowledge",
                Change::Acknowledge,
                String::new(),
                String::new(),
                "is yours",
            ),
            "reopen" => (
                "reopen",
                Change::Reopen,
                String::new(),
                String::new(),
                "is open again",
            ),
            "close" => {
                let verdict: Verdict = text("verdict")
                    .parse()
                    .map_err(|why: String| visit.problem(&Problem::bad_request(why)))?;
                (
                    "close",
                    Change::Close(verdict),
                    text("note"),
                    text("note"),
                    "is closed",
                )
            }
            "assign" => {
                let owner = text("owner");
                (
                    "assign",
                    Change::Assign(Some(owner.clone())),
                    String::new(),
                    owner,
                    "is assigned",
                )
            }
            "note" => (
                "note",
                Change::Note,
                text("text"),
                text("text"),
                "has a new note",
            ),
            other => {
                return Err(visit.missing(&format!("An alert has no button {}.", shown(other))));
            }
        };
    let result = visit
        .siem()
        .alerts
        .change(
            visit.by.tenants,
            alert.id,
            Some(revision),
            &change,
            &note,
            &visit.actor(),
        )
        .await;
    match result {
        Ok(changed) => Ok(done(
            &format!("/console/siem/alerts/{}", changed.id),
            &format!("{} {words}.", changed.body.rule.title),
        )),
        Err(SiemError::Invalid(why)) => refused(&visit, &alert, action, typed, why).await,
        Err(error) => Err(visit.refuse(error)),
    }
}

async fn respond(visit: &Visit, alert: &crate::model::Alert, fields: &Fields) -> Answer {
    if let Err(problem) = visit.by.require(Action::AccessAdmin) {
        return Err(visit.problem(&problem));
    }
    let what = fields.get("what").unwrap_or_default();
    let (kind, target) = what.split_once(':').unwrap_or((what, ""));
    let how = fields.get("how").unwrap_or("dry-run");
    let hours: Option<i64> = fields.get("hours").and_then(|text| text.parse().ok());
    let siem = visit.siem();
    let entities = siem
        .alerts
        .entities(alert)
        .await
        .map_err(|error| visit.refuse(error))?;
    let wanted = crate::service::respond::Wanted {
        kind: kind.to_owned(),
        target: target.to_owned(),
        holds: hours.map(|hours| hours.saturating_mul(HOUR)),
        dry_run: how == "dry-run",
        approval: how == "approval",
    };
    match siem
        .respond
        .ask(alert, &entities, &wanted, &visit.actor())
        .await
    {
        Ok(_) => Ok(done(
            &format!("/console/siem/alerts/{}", alert.id),
            "The action is asked for; its state is below.",
        )),
        Err(SiemError::Invalid(why)) => refused(visit, alert, "respond", String::new(), why).await,
        Err(error) => Err(visit.refuse(error)),
    }
}

/// `POST /console/siem/actions/{id}/{step}`.
pub(super) async fn step(
    visit: Visit,
    Path((id, step)): Path<(String, String)>,
    body: Bytes,
) -> Answer {
    fields(&visit, &body)?;
    if let Err(problem) = visit.by.require(Action::AccessAdmin) {
        return Err(visit.problem(&problem));
    }
    let id = id
        .parse()
        .map_err(|_| visit.missing("There is no such action."))?;
    let (respond, actor, scope) = (&visit.siem().respond, visit.actor(), visit.by.tenants);
    let result = match step.as_str() {
        "approve" => respond.decide(scope, id, true, &actor).await,
        "refuse" => respond.decide(scope, id, false, &actor).await,
        "undo" => respond.undo(scope, id, &actor).await,
        other => {
            return Err(visit.missing(&format!("An action has no step {}.", shown(other))));
        }
    };
    let action = result.map_err(|error| visit.refuse(error))?;
    Ok(done(
        &format!("/console/siem/alerts/{}", action.alert),
        "The action goes on.",
    ))
}

async fn suppress(visit: &Visit, alert: &crate::model::Alert, fields: &Fields) -> Answer {
    let entity = fields.get("entity").and_then(|text| {
        let (kind, value) = text.split_once(':')?;
        Some(Entity {
            kind: kind.to_owned(),
            value: value.to_owned(),
        })
    });
    let hours: i64 = fields
        .get("length")
        .and_then(|text| text.parse().ok())
        .unwrap_or(24);
    let reason = fields.get("reason").unwrap_or_default().to_owned();
    let until = visit
        .now
        .plus(hours.clamp(1, 24 * 366).saturating_mul(HOUR));
    let made = visit
        .siem()
        .suppressions
        .of_alert(alert, entity, until, &reason, &visit.actor())
        .await;
    match made {
        Ok(_) => Ok(done(
            &format!("/console/siem/alerts/{}", alert.id),
            &format!("{} is suppressed until {until}.", alert.body.rule.title),
        )),
        Err(SiemError::Invalid(why)) => refused(visit, alert, "suppress", reason, why).await,
        Err(error) => Err(visit.refuse(error)),
    }
}

/// `POST /console/siem/incidents/{id}/{action}`.
pub(super) async fn incident(
    visit: Visit,
    Path((id, action)): Path<(String, String)>,
    body: Bytes,
) -> Answer {
    let there = super::incident::find(&visit, &id).await?;
    let fields = fields(&visit, &body)?;
    let revision = revision(&visit, &fields)?;
    let value = |name: &str| fields.get(name).unwrap_or_default().to_owned();
    let change = match action.as_str() {
        "close" => incident::Change::Close,
        "reopen" => incident::Change::Reopen,
        "assign" => incident::Change::Assign(Some(value("owner"))),
        "rename" => incident::Change::Rename(value("title")),
        "note" => incident::Change::Note,
        other => {
            return Err(visit.missing(&format!("An incident has no button {}.", shown(other))));
        }
    };
    let note = fields.get("text").unwrap_or_default();
    let changed = visit
        .siem()
        .incidents
        .change(
            visit.by.tenants,
            there.id,
            Some(revision),
            &change,
            note,
            &visit.actor(),
        )
        .await
        .map_err(|error| visit.refuse(error))?;
    Ok(done(
        &format!("/console/siem/incidents/{}", changed.id),
        "The incident is changed.",
    ))
}

/// `POST /console/siem/suppressions/{id}/end`.
pub(super) async fn end_suppression(visit: Visit, Path(id): Path<String>, body: Bytes) -> Answer {
    let fields = fields(&visit, &body)?;
    let revision = revision(&visit, &fields)?;
    let id: SuppressionId = id
        .parse()
        .map_err(|_| visit.missing("There is no such suppression."))?;
    visit
        .siem()
        .suppressions
        .end(visit.by.tenants, id, Some(revision), &visit.actor())
        .await
        .map_err(|error| visit.refuse(error))?;
    Ok(done(
        "/console/siem/suppressions",
        "The suppression has ended.",
    ))
}

/// `POST /console/siem/sources/{offset}/replay`.
pub(super) async fn replay(visit: Visit, Path(offset): Path<String>, body: Bytes) -> Answer {
    fields(&visit, &body)?;
    let offset: u64 = offset
        .parse()
        .map_err(|_| visit.missing("There is no such dead letter."))?;
    crate::api::replay_at(visit.siem(), visit.by.tenants, offset)
        .await
        .map_err(|problem| visit.problem(&problem))?;
    Ok(done("/console/siem/sources", "The event was evaluated."))
}

/// `POST /console/siem/rules/{id}`: what is set for the rule.
pub(super) async fn rule(visit: Visit, Path(id): Path<String>, body: Bytes) -> Answer {
    let scope = visit.scope()?;
    let fields = fields(&visit, &body)?;
    if scope.tenant().is_none()
        && let Err(problem) = visit.by.require_all_tenants()
    {
        return Err(visit.problem(&problem));
    }
    let revision = revision(&visit, &fields)?;
    let setting = match read(&fields) {
        Ok(setting) => setting,
        Err(why) => return again(&visit, &id, why).await,
    };
    let result = visit
        .siem()
        .rules
        .set(
            scope.tenant(),
            &id,
            Some(revision),
            |_| setting,
            &visit.actor(),
        )
        .await;
    match result {
        Ok(_) => {
            let to = visit
                .url
                .carry(&format!(
                    "/console/siem/rules/{}",
                    super::alert::encode(&id)
                ))
                .to_string();
            Ok(done(
                &to,
                "The setting is kept and holds from the next event on.",
            ))
        }
        Err(SiemError::Invalid(why)) => again(&visit, &id, why).await,
        Err(error) => Err(visit.refuse(error)),
    }
}

async fn again(visit: &Visit, id: &str, why: String) -> Answer {
    let refused = Refused {
        action: "rule",
        typed: String::new(),
        why,
    };
    rule::page(visit, id, Some(&refused)).await
}

fn read(fields: &Fields) -> Result<Setting, String> {
    let text = |name: &str| fields.filled(name);
    Ok(Setting {
        enabled: match text("enabled").as_deref() {
            Some("on") => Some(true),
            Some("off") => Some(false),
            _ => None,
        },
        severity: text("severity")
            .map(|s| s.parse::<Severity>())
            .transpose()?,
        threshold: text("threshold"),
        timespan: text("timespan"),
        exclude: setting::read_lines(fields.get("exclude").unwrap_or_default())?,
        placeholders: setting::read_lines(fields.get("placeholders").unwrap_or_default())?,
        tunables: setting::read_values(fields.get("tunables").unwrap_or_default())?,
        actions: {
            let lines: Vec<String> = fields
                .get("actions")
                .unwrap_or_default()
                .lines()
                .map(|line| line.trim().to_owned())
                .filter(|line| !line.is_empty())
                .collect();
            (!lines.is_empty()).then_some(lines)
        },
    })
}
