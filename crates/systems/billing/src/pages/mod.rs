//! The console's pages of billing, under `/console/billing`, and the page of the day.

mod act;
mod anomaly;
mod budget;
mod chart;
mod evidence;
mod invoice;
mod invoices;
mod meter;
mod overview;
mod price_book;
mod proof;
mod spend;
mod tenant;
mod today;
mod visit;

use std::sync::Arc;

use axum::Router;
use axum::routing::{get, post};
use sealwright_access::TenantDirectory;
use sealwright_core::Clock;
use sealwright_web::ChromeSource;

pub use today::{Notice, Notices};

use crate::service::anomaly::AnomalyService;
use crate::service::budget::BudgetService;
use crate::service::invoice::InvoiceService;
use crate::service::price_book::PriceBookService;
use crate::service::usage::UsageService;

/// What the pages need.
pub struct BillingPages {
    /// Usage and meters.
    pub usage: UsageService,
    /// Price books and subscriptions.
    pub books: PriceBookService,
    /// Invoices, and the ledger that they are sealed in.
    pub invoices: Arc<InvoiceService>,
    /// Budgets.
    pub budgets: Arc<BudgetService>,
    /// Anomalies.
    pub anomalies: AnomalyService,
    /// Tenants.
    pub directory: TenantDirectory,
    /// The present.
    pub clock: Arc<dyn Clock>,
    /// The frame.
    pub chrome: Arc<dyn ChromeSource>,
}

/// The pages of billing, as tabs.
const TABS: [(&str, &str); 7] = [
    ("Overview", "/console/billing"),
    ("Tenants", "/console/billing/tenants"),
    ("Meters", "/console/billing/meters"),
    ("Price books", "/console/billing/price-books"),
    ("Invoices", "/console/billing/invoices"),
    ("Budgets", "/console/billing/budgets"),
    ("Anomalies", "/console/billing/anomalies"),
];

impl BillingPages {
    /// The pages, to be merged into the server's router; `sealwright_access::http::authenticate`
    /// must be layered around them.
    pub fn router(self: Arc<Self>) -> Router {
        Router::new()
            .route("/console/billing", get(overview::overview))
            .route("/console/billing/tenants", get(overview::tenants))
            .route("/console/billing/tenants/{slug}", get(tenant::show))
            .route("/console/billing/meters", get(meter::list))
            .route("/console/billing/meters/{key}", get(meter::show))
            .route("/console/billing/price-books", get(price_book::list))
            .route(
                "/console/billing/price-books/{id}/{version}",
                get(price_book::show),
            )
            .route("/console/billing/invoices", get(invoices::list))
            .route("/console/billing/invoices/{id}", get(invoice::show))
            .route("/console/billing/invoices/{id}/{action}", post(act::act))
            .route(
                "/console/billing/invoices/{id}/usage/{row}",
                get(evidence::events),
            )
            .route(
                "/console/billing/invoices/{id}/usage/{row}/{offset}",
                get(evidence::event),
            )
            .route("/console/billing/budgets", get(budget::list))
            .route(
                "/console/billing/budgets/{slug}",
                get(budget::show).post(budget::set),
            )
            .route("/console/billing/anomalies", get(anomaly::list))
            .route("/console/billing/anomalies/{id}", get(anomaly::show))
            .route(
                "/console/billing/anomalies/{id}/{action}",
                post(anomaly::act),
            )
            .with_state(self)
    }

    /// The page of the day, `/console`: what needs attention, and what was done last. `notices` adds
    /// what other parts of the program have to say; `Arc::new(())` says nothing.
    pub fn today_router(self: Arc<Self>, notices: Arc<dyn Notices>) -> Router {
        Router::new()
            .route("/console", get(today::show))
            .with_state(today::Today {
                pages: self,
                notices,
            })
    }
}
