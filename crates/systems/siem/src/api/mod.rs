//! HTTP: `/api/siem/{alerts,incidents,suppressions,rules,rule-files,sources,dead-letters,hunt,retro,actions}`.

mod action;
mod alert;
mod hunt;
mod incident;
mod input;
mod rule;
mod source;
mod suppression;

use std::sync::Arc;

pub use action::ActionAnswer;
pub use alert::{AlertSummary, WholeAlert, whole};
pub use hunt::{HitAnswer, HuntAnswer, run as try_rule};
pub use incident::IncidentSummary;
use sealwright_access::TenantDirectory;
use sealwright_core::{Clock, TenantId};
use sealwright_events::{EventSink, History};
pub use source::replay_at;
pub use suppression::SuppressionSummary;
use utoipa_axum::router::OpenApiRouter;
use utoipa_axum::routes;

use crate::consume::Detection;
use crate::service::alert::AlertService;
use crate::service::detect::Terms;
use crate::service::hunt::Hunter;
use crate::service::incident::IncidentService;
use crate::service::respond::RespondService;
use crate::service::rule::RuleService;
use crate::service::source::SourceService;
use crate::service::suppression::SuppressionService;
use crate::service::vanish::FieldService;

/// Everything that interfaces of detection work with.
#[derive(Clone)]
pub struct Siem {
    /// Alerts.
    pub alerts: AlertService,
    /// Incidents.
    pub incidents: IncidentService,
    /// Suppressions.
    pub suppressions: SuppressionService,
    /// Response.
    pub respond: RespondService,
    /// Rules.
    pub rules: RuleService,
    /// Sources.
    pub sources: SourceService,
    /// Fields of sources.
    pub fields: FieldService,
    /// Hunting.
    pub hunter: Hunter,
    /// Where imported events go, if anywhere.
    pub sink: Option<Arc<dyn EventSink>>,
    /// Stored events.
    pub history: Arc<dyn History>,
    /// The consumer, for replaying dead letters.
    pub detection: Arc<Detection>,
    /// Times and bounds.
    pub terms: Terms,
    /// Tenants.
    pub directory: TenantDirectory,
    /// The present.
    pub clock: Arc<dyn Clock>,
}

impl std::fmt::Debug for Siem {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Siem").finish_non_exhaustive()
    }
}

impl Siem {
    /// How people call a tenant.
    pub fn slug(&self, id: TenantId) -> String {
        self.directory
            .get(id)
            .map_or_else(|| id.to_string(), |tenant| tenant.slug.clone())
    }
}

/// The routes, to be merged into the server's router; `sealwright_access::http::authenticate` must be
/// layered around them.
pub fn router() -> OpenApiRouter<Siem> {
    OpenApiRouter::new()
        .routes(routes!(alert::list))
        .routes(routes!(alert::show))
        .routes(routes!(alert::ocsf))
        .routes(routes!(alert::evidence))
        .routes(routes!(alert::acknowledge))
        .routes(routes!(alert::close))
        .routes(routes!(alert::reopen))
        .routes(routes!(alert::assign))
        .routes(routes!(alert::note))
        .routes(routes!(action::list))
        .routes(routes!(action::ask))
        .routes(routes!(action::step))
        .routes(routes!(incident::list))
        .routes(routes!(incident::show))
        .routes(routes!(incident::change))
        .routes(routes!(suppression::list, suppression::create))
        .routes(routes!(suppression::end))
        .routes(routes!(rule::list))
        .routes(routes!(rule::show))
        .routes(routes!(rule::set))
        .routes(routes!(rule::put_file, rule::remove_file))
        .routes(routes!(source::list))
        .routes(routes!(source::late))
        .routes(routes!(source::dead_letters))
        .routes(routes!(source::replay))
        .routes(routes!(hunt::hunt))
        .routes(routes!(hunt::retro))
}
