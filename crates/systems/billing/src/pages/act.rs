//! What the buttons of an invoice do.

use axum::body::Bytes;
use axum::extract::Path;
use axum::http::header;
use axum::response::{IntoResponse, Redirect};
use sealwright_access::Action;
use sealwright_access::forms::Fields;
use sealwright_core::Problem;
use sealwright_web::Flash;
use sealwright_web::component::Tone;

use super::invoice::{Refused, find, page};
use super::invoices::name;
use super::visit::{Answer, Visit, shown};
use crate::service::BillingError;

/// `POST /console/billing/invoices/{id}/{action}`.
pub(super) async fn act(
    visit: Visit,
    Path((id, action)): Path<(String, String)>,
    body: Bytes,
) -> Answer {
    let invoice = find(&visit, &id).await?;
    if let Err(problem) = visit.by.require(Action::BillingWrite) {
        return Err(visit.problem(&problem));
    }
    let fields = Fields::parse(&body).map_err(|error| visit.problem(&Problem::from(error)))?;
    // Without the revision that the visitor saw, a button could act on what nobody has read.
    let revision = fields
        .get("revision")
        .and_then(|text| text.parse::<i64>().ok())
        .ok_or_else(|| {
            visit.problem(&Problem::bad_request(
                "the form lacks the invoice's revision",
            ))
        })?;
    let text = |name: &str| fields.get(name).unwrap_or_default().to_owned();
    let service = &visit.pages.invoices;
    let (scope, actor, key) = (visit.by.tenants, visit.actor(), invoice.document.id);
    let (action, typed, result) = match action.as_str() {
        "finalise" => (
            "finalise",
            String::new(),
            service.finalise(scope, key, Some(revision), &actor).await,
        ),
        "pay" => {
            let typed = text("reference");
            let result = service
                .pay(scope, key, Some(revision), &typed, &actor)
                .await;
            ("pay", typed, result)
        }
        "void" => {
            let typed = text("reason");
            let result = service
                .void(scope, key, Some(revision), &typed, &actor)
                .await;
            ("void", typed, result)
        }
        other => {
            return Err(visit.missing(&format!("An invoice has no button {}.", shown(other))));
        }
    };
    match result {
        Ok(changed) => {
            let done = match action {
                "finalise" => "is finalised and sealed in the ledger",
                "pay" => "is marked as paid",
                _ => "is void",
            };
            let mut response =
                Redirect::to(&format!("/console/billing/invoices/{key}")).into_response();
            let flash = Flash::new(Tone::Good, &format!("{} {done}.", name(&changed)));
            if let Some(cookie) = flash.set_cookie() {
                response.headers_mut().append(header::SET_COOKIE, cookie);
            }
            Ok(response)
        }
        Err(error @ (BillingError::Invalid(_) | BillingError::NotReady(_))) => {
            let why = error.to_string();
            let refused = Refused { action, typed, why };
            page(&visit, &invoice, Some(&refused)).await
        }
        Err(error) => Err(visit.refuse(error)),
    }
}
