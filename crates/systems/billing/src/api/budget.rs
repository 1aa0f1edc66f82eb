//! `/api/billing/budgets`.

use axum::Json;
use axum::body::Bytes;
use axum::extract::{Path, State};
use axum::http::{HeaderMap, StatusCode, header};
use axum::response::{IntoResponse, Response};
use sealwright_access::{Action, Principal};
use sealwright_core::Problem;
use sealwright_money::{Decimal, exact};
use serde::{Deserialize, Serialize};
use utoipa::ToSchema;

use super::{BillingApi, input};
use crate::model::Span;
use crate::model::budget::{Budget, BudgetTerms, Crossing, Decision, Measure, ThresholdKind};
use crate::service::BillingError;
use crate::service::budget::{CheckedBudget, PROJECTION_LEVEL, Projection, Standing};
use crate::service::usage::{month_start, next_month};

/// Crossings that one answer shows.
const CROSSINGS: u32 = 200;

/// A budget as set.
#[derive(Debug, Serialize, ToSchema)]
pub(super) struct Set {
    /// The id.
    id: String,
    /// The tenant's slug.
    tenant: String,
    /// Its terms.
    terms: BudgetTerms,
    /// Grows with each change; the ETag.
    revision: i64,
    /// RFC 3339.
    updated_at: String,
    /// Who changed it last.
    updated_by: String,
}

impl Set {
    fn of(api: &BillingApi, budget: &Budget) -> Self {
        Self {
            id: budget.id.to_string(),
            tenant: slug(api, budget),
            terms: budget.terms.clone(),
            revision: budget.revision,
            updated_at: budget.updated_at.to_string(),
            updated_by: budget.updated_by.clone(),
        }
    }
}

fn slug(api: &BillingApi, budget: &Budget) -> String {
    api.directory
        .get(budget.tenant)
        .map_or_else(|| budget.tenant.to_string(), |tenant| tenant.slug.clone())
}

/// Where a budget will stand at the end of the month.
#[derive(Debug, Serialize, ToSchema)]
pub(super) struct Projected {
    /// The expected value at the end of the month, a decimal.
    end: String,
    /// The lower end of the interval.
    low: String,
    /// The upper end of the interval.
    high: String,
    /// The probability with which the truth lies in the interval, as the model has it.
    level: f64,
    /// Meters that were forecast, each with the number of known days behind it.
    forecast: std::collections::BTreeMap<String, usize>,
    /// Meters that were taken as they stand.
    held: Vec<String>,
}

impl Projected {
    fn of(projection: &Projection) -> Option<Self> {
        let end = projection.end()?;
        Some(Self {
            end: end.point.normalize().to_string(),
            low: end.low.normalize().to_string(),
            high: end.high.normalize().to_string(),
            level: PROJECTION_LEVEL,
            forecast: projection.forecast.clone(),
            held: projection.held.clone(),
        })
    }
}

/// A threshold that was crossed.
#[derive(Debug, Serialize, ToSchema)]
pub(super) struct Crossed {
    /// `alert`, `throttle` or `stop`.
    kind: ThresholdKind,
    /// In percent of the limit.
    percent: u32,
    /// `amount` or `meter:KEY`.
    #[schema(value_type = String)]
    measure: Measure,
    /// The first moment of the month, RFC 3339.
    month: String,
    /// What was used when it was found.
    used: String,
    /// The limit then.
    limit: String,
    /// The unit of both.
    unit: String,
    /// RFC 3339.
    crossed_at: String,
    /// Events below this offset of the log were counted.
    metered_through: u64,
    /// The ledger entry that records it.
    ledger_entry: Option<String>,
}

impl Crossed {
    fn of(crossing: &Crossing) -> Self {
        Self {
            kind: crossing.kind,
            percent: crossing.percent,
            measure: crossing.measure.clone(),
            month: crossing.month.to_string(),
            used: crossing.used.clone(),
            limit: crossing.limit.clone(),
            unit: crossing.unit.clone(),
            crossed_at: crossing.crossed_at.to_string(),
            metered_through: crossing.metered_through,
            ledger_entry: crossing.ledger_entry.clone(),
        }
    }
}

/// A budget with its utilisation.
#[derive(Debug, Serialize, ToSchema)]
pub(super) struct Utilised {
    #[serde(flatten)]
    budget: Set,
    /// RFC 3339, included.
    month_from: String,
    /// RFC 3339, excluded.
    month_to: String,
    /// What is used this month, a decimal; null when that is not known.
    used: Option<String>,
    /// The unit of limit and usage.
    unit: String,
    /// Used of the limit in percent, rounded down to a tenth; null when usage is not known.
    percent: Option<String>,
    /// What is left until the limit; null when usage is not known.
    headroom: Option<String>,
    /// What callers are told.
    decision: Decision,
    /// Why usage is not known.
    #[serde(skip_serializing_if = "Option::is_none")]
    unknown: Option<String>,
    /// Where it will stand at the end of the month; null when that cannot be told.
    projection: Option<Projected>,
    /// Why there is no projection.
    #[serde(skip_serializing_if = "Option::is_none")]
    projection_unknown: Option<String>,
}

impl Utilised {
    fn of(
        api: &BillingApi,
        standing: &Standing,
        projection: Result<Projection, BillingError>,
    ) -> Self {
        let terms = &standing.budget.terms;
        let used = standing.used.as_ref().ok().copied();
        let (projection, projection_unknown) = match projection {
            Ok(projection) => (Projected::of(&projection), None),
            Err(error) => (None, Some(error.to_string())),
        };
        Self {
            budget: Set::of(api, &standing.budget),
            month_from: standing.month.from.to_string(),
            month_to: standing.month.to.to_string(),
            used: used.map(text),
            unit: standing.unit.clone(),
            percent: used.map(|used| text(terms.percent(used))),
            headroom: used.map(|used| text(standing.left(used, 100))),
            decision: used.map_or(terms.when_unknown, |used| terms.decide(used)),
            unknown: standing.used.as_ref().err().cloned(),
            projection,
            projection_unknown,
        }
    }
}

fn text(value: Decimal) -> String {
    value.normalize().to_string()
}

/// All that is known of a tenant's budgets.
#[derive(Debug, Serialize, ToSchema)]
pub(super) struct TenantBudgets {
    /// The tenant's slug.
    tenant: String,
    /// Its budgets.
    budgets: Vec<Utilised>,
    /// What was crossed this month, newest first.
    crossings: Vec<Crossed>,
}

/// All budgets in reach. Needs `billing:read`.
#[utoipa::path(get, path = "/api/billing/budgets", tag = "billing",
    responses((status = 200, body = [Set])))]
pub(super) async fn list(
    State(api): State<BillingApi>,
    by: Principal,
) -> Result<Json<Vec<Set>>, Problem> {
    by.require(Action::BillingRead)?;
    let budgets = api.budgets.list(by.tenants).await?;
    Ok(Json(budgets.iter().map(|b| Set::of(&api, b)).collect()))
}

/// A tenant's budgets: utilisation, the month's projection with its interval, and what was crossed. Needs
/// `billing:read`.
#[utoipa::path(get, path = "/api/billing/budgets/{tenant}", tag = "billing",
    params(("tenant" = String, Path, description = "Slug or id")),
    responses((status = 200, body = TenantBudgets), (status = 404)))]
pub(super) async fn show(
    State(api): State<BillingApi>,
    by: Principal,
    Path(tenant): Path<String>,
) -> Result<Json<TenantBudgets>, Problem> {
    by.require(Action::BillingRead)?;
    let tenant = input::tenant(&by, &api.directory, &tenant)?;
    let scope = sealwright_core::TenantScope::One(tenant);
    let standings = api.budgets.stand(scope).await?;
    let now = api.clock.now();
    let month = Span {
        from: month_start(now),
        to: next_month(now),
    };
    let crossings = api.budgets.crossings(scope, month, CROSSINGS).await?;
    let mut budgets = Vec::new();
    for standing in &standings {
        let projection = api.budgets.project(&standing.budget).await;
        budgets.push(Utilised::of(&api, standing, projection));
    }
    Ok(Json(TenantBudgets {
        tenant: api
            .directory
            .get(tenant)
            .map_or_else(|| tenant.to_string(), |tenant| tenant.slug.clone()),
        budgets,
        crossings: crossings.iter().map(Crossed::of).collect(),
    }))
}

/// Sets a tenant's budget for a measure; the same terms again change nothing. `If-Match` holds the ETag of the
/// budget that is replaced (`"0"`: there is none). Needs `billing:write`.
#[utoipa::path(put, path = "/api/billing/budgets/{tenant}", tag = "billing",
    params(("tenant" = String, Path, description = "Slug or id")), request_body = BudgetTerms,
    responses((status = 200, body = Set), (status = 404), (status = 412), (status = 422)))]
pub(super) async fn put(
    State(api): State<BillingApi>,
    by: Principal,
    Path(tenant): Path<String>,
    headers: HeaderMap,
    body: Bytes,
) -> Result<Response, Problem> {
    by.require(Action::BillingWrite)?;
    let tenant = input::tenant(&by, &api.directory, &tenant)?;
    let terms: BudgetTerms = input::json(&body)?;
    let revision = input::if_match(&headers)?;
    let budget = api
        .budgets
        .set(tenant, terms, revision, &by.actor())
        .await?;
    let tag = format!("\"{}\"", budget.revision);
    Ok(([(header::ETAG, tag)], Json(Set::of(&api, &budget))).into_response())
}

/// Removes a tenant's budget. What was crossed stays on record. Needs `billing:write`.
#[utoipa::path(delete, path = "/api/billing/budgets/{tenant}/{measure}", tag = "billing",
    params(("tenant" = String, Path, description = "Slug or id"),
        ("measure" = String, Path, description = "`amount` or `meter:KEY`")),
    responses((status = 204), (status = 404), (status = 412)))]
pub(super) async fn remove(
    State(api): State<BillingApi>,
    by: Principal,
    Path((tenant, measure)): Path<(String, String)>,
    headers: HeaderMap,
) -> Result<StatusCode, Problem> {
    by.require(Action::BillingWrite)?;
    let tenant = input::tenant(&by, &api.directory, &tenant)?;
    let measure: Measure = measure.parse().map_err(Problem::bad_request)?;
    let revision = input::if_match(&headers)?;
    api.budgets
        .remove(tenant, &measure, revision, &by.actor())
        .await?;
    Ok(StatusCode::NO_CONTENT)
}

/// What a request would use, so that the answer holds for after it.
#[derive(Debug, Default, Deserialize, ToSchema)]
#[serde(deny_unknown_fields, default)]
pub(super) struct Check {
    /// Money that the request would cost, in the currency of the budget: a decimal.
    #[schema(example = "0.12")]
    amount: Option<String>,
    /// Quantities that it would use, by meter: decimals.
    quantities: std::collections::BTreeMap<String, String>,
}

/// The most quantities that one check may name.
const MOST_QUANTITIES: usize = 64;

/// One budget in the answer to a check.
#[derive(Debug, Serialize, ToSchema)]
pub(super) struct CheckedOne {
    /// `amount` or `meter:KEY`.
    #[schema(value_type = String)]
    measure: Measure,
    /// What this budget says.
    decision: Decision,
    /// What is used this month; null when that is not known.
    used: Option<String>,
    /// The limit.
    limit: String,
    /// The unit of both.
    unit: String,
    /// What is left until the limit; null when usage is not known.
    headroom: Option<String>,
    /// What is left until callers are told to stop; null when usage is not known, or for a budget that never
    /// stops.
    until_stop: Option<String>,
    /// Used of the limit in percent, rounded down to a tenth; null when usage is not known.
    percent: Option<String>,
    /// Why usage is not known.
    #[serde(skip_serializing_if = "Option::is_none")]
    unknown: Option<String>,
}

impl CheckedOne {
    fn of(checked: &CheckedBudget) -> Self {
        let standing = &checked.standing;
        let terms = &standing.budget.terms;
        let used = checked.used;
        Self {
            measure: terms.measure.clone(),
            decision: checked.decision,
            used: used.map(text),
            limit: terms.limit.clone(),
            unit: standing.unit.clone(),
            headroom: used.map(|used| text(standing.left(used, 100))),
            until_stop: used
                .zip(terms.stop)
                .map(|(used, stop)| text(standing.left(used, stop))),
            percent: used.map(|used| text(terms.percent(used))),
            unknown: checked.why.clone(),
        }
    }
}

/// What a caller is told.
#[derive(Debug, Serialize, ToSchema)]
pub(super) struct CheckAnswer {
    /// `allow`, `throttle` or `stop`: the strictest of the budgets.
    decision: Decision,
    /// Whether all usage that it rests on is known. When false, `decision` is the policy for unknown usage.
    known: bool,
    /// Why it is not known.
    #[serde(skip_serializing_if = "Option::is_none")]
    unknown: Option<String>,
    /// The deciding budget's usage; null when there is no budget or usage is not known.
    used: Option<String>,
    /// The deciding budget's limit; null when there is no budget.
    limit: Option<String>,
    /// What is left until that limit.
    headroom: Option<String>,
    /// The unit of these.
    unit: Option<String>,
    /// All events that were acknowledged until this moment are counted, RFC 3339; null before the first count.
    as_of: Option<String>,
    /// Events below this offset of the log are counted.
    metered_through: u64,
    /// Every budget of the tenant, the deciding one first.
    budgets: Vec<CheckedOne>,
}

/// Whether a tenant may go on, for the request path. Answered from memory; an event is counted within a second of
/// its acknowledgement. An empty body asks about now, a body about after the request that it describes. A tenant
/// without a budget may go on. Needs `billing:read`.
#[utoipa::path(post, path = "/api/billing/budgets/{tenant}/check", tag = "billing",
    params(("tenant" = String, Path, description = "Slug or id")), request_body = Check,
    responses((status = 200, body = CheckAnswer), (status = 400), (status = 404)))]
pub(super) async fn check(
    State(api): State<BillingApi>,
    by: Principal,
    Path(tenant): Path<String>,
    body: Bytes,
) -> Result<Json<CheckAnswer>, Problem> {
    by.require(Action::BillingRead)?;
    let tenant = input::tenant(&by, &api.directory, &tenant)?;
    let wanted: Check = if body.is_empty() {
        Check::default()
    } else {
        input::json(&body)?
    };
    if wanted.quantities.len() > MOST_QUANTITIES {
        return Err(Problem::bad_request(format!(
            "`quantities` has more than {MOST_QUANTITIES} meters"
        )));
    }
    let amount = positive("amount", wanted.amount.as_deref())?;
    let mut quantities = std::collections::BTreeMap::new();
    for (meter, text) in &wanted.quantities {
        quantities.insert(meter.as_str(), positive("quantities", Some(text))?);
    }
    let checked = api
        .budgets
        .board()
        .check(tenant, api.clock.now(), |budget| {
            match &budget.terms.measure {
                Measure::Amount => amount,
                Measure::Meter(key) => quantities
                    .get(key.as_str())
                    .copied()
                    .unwrap_or(Decimal::ZERO),
            }
        });
    let budgets: Vec<CheckedOne> = checked.budgets.iter().map(CheckedOne::of).collect();
    let first = budgets.first();
    Ok(Json(CheckAnswer {
        decision: checked.decision,
        known: checked.known,
        unknown: checked.why,
        used: first.and_then(|budget| budget.used.clone()),
        limit: first.map(|budget| budget.limit.clone()),
        headroom: first.and_then(|budget| budget.headroom.clone()),
        unit: first.map(|budget| budget.unit.clone()),
        as_of: checked.as_of.map(|at| at.to_string()),
        metered_through: checked.metered_through,
        budgets,
    }))
}

fn positive(name: &str, text: Option<&str>) -> Result<Decimal, Problem> {
    let Some(text) = text else {
        return Ok(Decimal::ZERO);
    };
    let value =
        exact::parse(text).map_err(|error| Problem::bad_request(format!("`{name}`: {error}")))?;
    if value < Decimal::ZERO {
        return Err(Problem::bad_request(format!(
            "`{name}` is {value}; a request uses zero or more"
        )));
    }
    Ok(value)
}
