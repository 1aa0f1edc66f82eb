//! The systems of this program, wired: a new system is a line in each of these functions.

use std::sync::Arc;

use axum::Router;
use sealwright_billing::api::BillingApi;
use sealwright_billing::pages::BillingPages;
use sealwright_billing::service::import::{Importer, ParquetOpener, ParquetRows};
use sealwright_dlp::api::DlpApi;
use sealwright_dlp::pages::DlpPages;
use sealwright_events::{Admit, Catalogue};
use sealwright_ledger::pages::LedgerPages;
use sealwright_notify::pages::NotifyPages;
use sealwright_prometheus::pages::PrometheusPages;
use sealwright_siem::pages::SiemPages;
use sealwright_web::{ChromeSource, Nav};
use utoipa_axum::router::OpenApiRouter;

use crate::installation::{Installation, State};
use crate::sink::IntakeSink;

/// The HTTP interfaces of the systems.
pub(crate) fn api(installation: &Installation) -> OpenApiRouter {
    OpenApiRouter::new()
        .merge(sealwright_billing::api::router().with_state(billing(installation)))
        .merge(sealwright_siem::api::router().with_state(installation.siem.clone()))
        .merge(sealwright_dlp::api::router().with_state(dlp(installation)))
        .merge(
            sealwright_dlp::api::proxy()
                .with_state(dlp(installation))
                .into(),
        )
}

fn dlp(installation: &Installation) -> DlpApi {
    let state = &installation.state;
    DlpApi {
        dlp: state.dlp.clone(),
        directory: state.access.directory().clone(),
        clock: Arc::clone(&state.clock),
    }
}

/// What callers ask before each of their requests: answered from memory.
pub(crate) fn request_path(installation: &Installation) -> OpenApiRouter {
    sealwright_billing::api::check_router().with_state(billing(installation))
}

fn billing(installation: &Installation) -> BillingApi {
    let state = &installation.state;
    BillingApi {
        usage: state.usage.clone(),
        books: state.books.clone(),
        invoices: Arc::clone(&installation.invoices),
        budgets: Arc::clone(&installation.budgets),
        anomalies: state.anomalies.clone(),
        directory: state.access.directory().clone(),
        clock: Arc::clone(&state.clock),
    }
}

/// What billing's commands work with; with an installation also invoices and imports.
pub(crate) fn billing_services(
    state: &State,
    installation: Option<&Installation>,
) -> sealwright_billing::cli::Services {
    sealwright_billing::cli::Services {
        usage: state.usage.clone(),
        books: state.books.clone(),
        directory: state.access.directory().clone(),
        clock: Arc::clone(&state.clock),
        invoices: installation.map(|all| Arc::clone(&all.invoices)),
        budgets: installation.map(|all| Arc::clone(&all.budgets)),
        anomalies: state.anomalies.clone(),
        importer: installation.map(importer),
    }
}

fn importer(installation: &Installation) -> Importer {
    let state = &installation.state;
    let sink = Arc::new(IntakeSink(installation.intake.clone()));
    let checks: Vec<Arc<dyn Admit>> = vec![
        Arc::new(Catalogue),
        Arc::clone(&state.meters) as Arc<dyn Admit>,
    ];
    Importer::new(
        state.store.clone(),
        Arc::clone(&state.clock),
        sink,
        checks,
        Some(parquet()),
    )
}

/// Parquet files are read by the lake's library; an import sees rows of JSON.
fn parquet() -> ParquetOpener {
    Arc::new(|path: &std::path::Path| {
        let rows = sealwright_lake::read_parquet_rows(path).map_err(|error| error.to_string())?;
        Ok(Box::new(rows.map(|row| row.map_err(|error| error.to_string()))) as ParquetRows)
    })
}

/// The documents of the parts of the HTTP interface.
pub(crate) fn documents() -> Vec<utoipa::openapi::OpenApi> {
    vec![
        sealwright_billing::api::router().into_openapi(),
        sealwright_dlp::api::router().into_openapi(),
        sealwright_siem::api::router().into_openapi(),
        sealwright_billing::api::check_router().into_openapi(),
        sealwright_access::api::router().into_openapi(),
        sealwright_jobs::api::router().into_openapi(),
        sealwright_notify::api::router().into_openapi(),
        sealwright_prometheus::api::router().into_openapi(),
        sealwright_lake::api::router().into_openapi(),
        sealwright_lake::api::erasures().into_openapi(),
        sealwright_intake::api::openapi(),
    ]
}

/// The HTTP interfaces without anything behind them: for the reference.
pub(crate) fn openapi() -> utoipa::openapi::OpenApi {
    let mut parts = documents().into_iter();
    let mut whole = parts.next().unwrap_or_default();
    for part in parts {
        whole.merge(part);
    }
    whole.info.title = "Sealwright".to_owned();
    whole.info.version = env!("CARGO_PKG_VERSION").to_owned();
    whole.info.description = Some(
        "Every error is an RFC 9457 problem. Credentials: `Authorization: Bearer swk_…`."
            .to_owned(),
    );
    crate::openapi::complete(&mut whole);
    whole
}

/// The pages of the systems.
pub(crate) fn pages(installation: &Installation, nav: &Arc<Nav>) -> Router {
    let state = &installation.state;
    let chrome: Arc<dyn ChromeSource> = Arc::clone(nav) as _;
    let billing = Arc::new(BillingPages {
        usage: state.usage.clone(),
        books: state.books.clone(),
        invoices: Arc::clone(&installation.invoices),
        budgets: Arc::clone(&installation.budgets),
        anomalies: state.anomalies.clone(),
        directory: state.access.directory().clone(),
        clock: Arc::clone(&state.clock),
        chrome: Arc::clone(&chrome),
    });
    let siem = Arc::new(SiemPages {
        siem: installation.siem.clone(),
        chrome: Arc::clone(&chrome),
    });
    let dlp = Arc::new(DlpPages {
        dlp: state.dlp.clone(),
        directory: state.access.directory().clone(),
        clock: Arc::clone(&state.clock),
        chrome: Arc::clone(&chrome),
    });
    let ledger = Arc::new(LedgerPages {
        ledger: Arc::clone(&state.ledger),
        chrome: Arc::clone(&chrome),
    });
    let notify = Arc::new(NotifyPages {
        service: state.notify.clone(),
        chrome: Arc::clone(&chrome),
    });
    let prometheus = Arc::new(PrometheusPages {
        service: state.prometheus.clone(),
        chrome,
    });
    Router::new()
        .merge(Arc::clone(&billing).today_router(Arc::new(())))
        .merge(billing.router())
        .merge(dlp.router())
        .merge(siem.router())
        .merge(ledger.router())
        .merge(sealwright_notify::pages::router(notify))
        .merge(sealwright_prometheus::pages::router(prometheus))
}
