//! Budgets: `/console/billing/budgets`.

use axum::body::Bytes;
use axum::extract::Path;
use axum::http::header;
use axum::response::{IntoResponse, Redirect};
use sealwright_access::forms::Fields;
use sealwright_access::{Action, Tenant};
use sealwright_core::{Problem, TenantScope};
use sealwright_money::Decimal;
use sealwright_web::chart::{Forecast, ForecastPoint, Kind, Point, TimeChart};
use sealwright_web::component::{
    Badge, Bar, Cell, Column, Empty, Field, Figure, Figures, Form, Panel, Row, Table, Tone,
};
use sealwright_web::{Crumb, Flash, Markup, Page, format};

use super::overview::utc;
use super::visit::{Answer, Refusal, Visit};
use crate::model::Span;
use crate::model::budget::{BudgetTerms, Crossing, Decision, Measure};
use crate::service::BillingError;
use crate::service::budget::{PROJECTION_LEVEL, Projection, Standing};
use crate::service::usage::{month_start, next_month};

/// Crossings that a page shows.
const CROSSINGS: u32 = 200;

fn tone(decision: Decision) -> Tone {
    match decision {
        Decision::Allow => Tone::Good,
        Decision::Throttle => Tone::Warn,
        Decision::Stop => Tone::Bad,
    }
}

fn decision(standing: &Standing) -> Decision {
    let terms = &standing.budget.terms;
    standing
        .used
        .as_ref()
        .map_or(terms.when_unknown, |used| terms.decide(*used))
}

fn measure(measure: &Measure) -> String {
    match measure {
        Measure::Amount => "rated usage".to_owned(),
        Measure::Meter(key) => key.clone(),
    }
}

fn amount(value: Decimal, unit: &str) -> String {
    format!("{} {unit}", format::decimal(value.normalize()))
}

fn share(standing: &Standing) -> Cell {
    match &standing.used {
        Ok(used) => {
            let percent = standing.budget.terms.percent(*used);
            let part = percent.checked_div(Decimal::ONE_HUNDRED);
            Cell::bar(&Bar::new(
                part.unwrap_or(Decimal::ONE),
                tone(decision(standing)),
            ))
        }
        Err(_) => Cell::unknown(),
    }
}

fn month(visit: &Visit) -> Span {
    Span {
        from: month_start(visit.now),
        to: next_month(visit.now),
    }
}

/// `GET /console/billing/budgets`.
pub(super) async fn list(visit: Visit) -> Answer {
    let scope = visit.scope()?;
    let budgets = &visit.pages.budgets;
    let mut standings = budgets
        .stand(scope)
        .await
        .map_err(|error| visit.refuse(error))?;
    standings.sort_by_key(|standing| {
        let used = standing.used.as_ref().ok();
        std::cmp::Reverse(used.map(|used| standing.budget.terms.percent(*used)))
    });
    let columns = vec![
        Column::text("tenant", "Tenant"),
        Column::text("measure", "Of"),
        Column::number("used", "Used"),
        Column::number("limit", "Limit"),
        Column::text("unit", "Unit"),
        Column::drawing("share", "Share"),
        Column::text("decision", "Callers are told"),
    ];
    let mut table = Table::new("budgets", "Budgets", &visit.url, columns).empty(
        Empty::new("No budget yet.", "Open a tenant's page here, or set one:")
            .command("sealwright billing budget set --tenant NAME --limit 500.00 --currency USD"),
    );
    for standing in &standings {
        let slug = visit.slug(standing.budget.tenant);
        let href = visit.to(&format!("/console/billing/budgets/{slug}"));
        let said = decision(standing);
        table.push(Row::new(vec![
            Cell::link(&slug, &href),
            Cell::text(&measure(&standing.budget.terms.measure)),
            standing
                .used
                .as_ref()
                .map_or_else(|_| Cell::unknown(), |used| Cell::decimal(*used)),
            Cell::decimal(standing.budget.terms.limit()),
            Cell::text(&standing.unit),
            share(standing),
            Cell::badge(&Badge::new(tone(said), said.name())),
        ]));
    }
    let rows = table.rows();
    let table = table.note(&format!("{rows} budgets, this UTC month"));
    let crossings = budgets
        .crossings(scope, month(&visit), CROSSINGS)
        .await
        .map_err(|error| visit.refuse(error))?;
    let crossed = crossing_table(&visit, &crossings, true);
    for table in [&table, &crossed] {
        if let Some(export) = table.export(&visit.url) {
            return Ok(export);
        }
    }
    let body = Markup::new().with(&table).with(&crossed);
    let mut chrome = visit.chrome(vec![Crumb::here("Budgets")]);
    if let Some(menu) = visit.menu() {
        chrome = chrome.tenants(menu);
    }
    Ok(Page::new("Budgets", chrome, &body).into_response())
}

fn crossing_table(visit: &Visit, crossings: &[Crossing], tenants: bool) -> Table {
    let mut columns = vec![
        Column::time("crossed_at", "Crossed, UTC"),
        Column::text("measure", "Of"),
        Column::text("threshold", "Threshold"),
        Column::number("used", "Used then"),
        Column::number("limit", "Limit then"),
        Column::text("unit", "Unit"),
        Column::text("ledger", "Ledger"),
    ];
    if tenants {
        columns.insert(1, Column::text("tenant", "Tenant"));
    }
    let mut table = Table::new(
        "crossings",
        "Thresholds crossed this month",
        &visit.url,
        columns,
    )
    .empty(Empty::new(
        "No threshold was crossed this month.",
        "Each is told once a month, whatever comes late.",
    ));
    for crossing in crossings {
        let ledger = match &crossing.ledger_entry {
            Some(id) => Cell::id(id, &visit.to(&format!("/console/ledger/{id}"))),
            None => Cell::unknown(),
        };
        let mut cells = vec![
            Cell::time(crossing.crossed_at.timestamp(), &utc()),
            Cell::text(&measure(&crossing.measure)),
            Cell::text(&format!("{} %, {}", crossing.percent, crossing.kind.name())),
            number(&crossing.used),
            number(&crossing.limit),
            Cell::text(&crossing.unit),
            ledger,
        ];
        if tenants {
            cells.insert(1, Cell::text(&visit.slug(crossing.tenant)));
        }
        table.push(Row::new(cells));
    }
    let rows = table.rows();
    table.note(&format!("{rows} crossings"))
}

fn number(text: &str) -> Cell {
    text.parse::<Decimal>()
        .map_or_else(|_| Cell::text(text), Cell::decimal)
}

/// `GET /console/billing/budgets/{slug}`.
pub(super) async fn show(visit: Visit, Path(slug): Path<String>) -> Answer {
    let tenant = visit.tenant(&slug)?;
    page(&visit, &tenant, None).await
}

/// A form that was refused: what was typed, and why.
struct Refused {
    terms: Typed,
    why: String,
}

/// The form's fields as typed.
#[derive(Clone)]
struct Typed {
    limit: String,
    currency: String,
    alerts: String,
    throttle: String,
    stop: String,
    when_unknown: String,
}

impl Typed {
    fn of(terms: &BudgetTerms) -> Self {
        let alerts: Vec<String> = terms.alerts.iter().map(u32::to_string).collect();
        let percent = |value: Option<u32>| value.map_or_else(String::new, |v| v.to_string());
        Self {
            limit: terms.limit.clone(),
            currency: terms.currency.clone().unwrap_or_default(),
            alerts: alerts.join(", "),
            throttle: percent(terms.throttle),
            stop: percent(terms.stop),
            when_unknown: terms.when_unknown.name().to_owned(),
        }
    }

    fn terms(&self) -> Result<BudgetTerms, String> {
        let percent = |name: &str, text: &str| match text.trim() {
            "" => Ok(None),
            text => text
                .parse::<u32>()
                .map(Some)
                .map_err(|_| format!("`{name}` is not a whole percentage: {text}")),
        };
        let alerts: Result<Vec<u32>, String> = self
            .alerts
            .split(',')
            .filter(|part| !part.trim().is_empty())
            .map(|part| {
                part.trim()
                    .parse()
                    .map_err(|_| format!("`alerts` holds {part}; give whole percentages"))
            })
            .collect();
        Ok(BudgetTerms {
            measure: Measure::Amount,
            limit: self.limit.trim().to_owned(),
            currency: Some(self.currency.trim().to_uppercase()),
            alerts: alerts?,
            throttle: percent("throttle", &self.throttle)?,
            stop: percent("stop", &self.stop)?,
            when_unknown: self.when_unknown.parse()?,
        })
    }
}

/// `POST /console/billing/budgets/{slug}`: sets the budget in money.
pub(super) async fn set(visit: Visit, Path(slug): Path<String>, body: Bytes) -> Answer {
    let tenant = visit.tenant(&slug)?;
    if let Err(problem) = visit.by.require(Action::BillingWrite) {
        return Err(visit.problem(&problem));
    }
    let fields = Fields::parse(&body).map_err(|error| visit.problem(&Problem::from(error)))?;
    let text = |name: &str| fields.get(name).unwrap_or_default().to_owned();
    let revision = text("revision").parse::<i64>().map_err(|_| {
        visit.problem(&Problem::bad_request(
            "the form lacks the budget's revision",
        ))
    })?;
    let typed = Typed {
        limit: text("limit"),
        currency: text("currency"),
        alerts: text("alerts"),
        throttle: text("throttle"),
        stop: text("stop"),
        when_unknown: text("when_unknown"),
    };
    let done = match typed.terms() {
        Err(why) => Err(BillingError::Invalid(why)),
        Ok(terms) => {
            let budgets = &visit.pages.budgets;
            let actor = visit.actor();
            budgets.set(tenant.id, terms, Some(revision), &actor).await
        }
    };
    match done {
        Ok(_) => {
            let href = format!("/console/billing/budgets/{}", tenant.slug);
            let mut response = Redirect::to(&href).into_response();
            let flash = Flash::new(Tone::Good, "The budget is set and in force.");
            if let Some(cookie) = flash.set_cookie() {
                response.headers_mut().append(header::SET_COOKIE, cookie);
            }
            Ok(response)
        }
        Err(BillingError::Invalid(why)) => {
            let refused = Refused { terms: typed, why };
            page(&visit, &tenant, Some(&refused)).await
        }
        Err(error) => Err(visit.refuse(error)),
    }
}

async fn page(visit: &Visit, tenant: &Tenant, refused: Option<&Refused>) -> Answer {
    let scope = TenantScope::One(tenant.id);
    let budgets = &visit.pages.budgets;
    let refuse = |error| visit.refuse(error);
    let standings = budgets.stand(scope).await.map_err(refuse)?;
    let crossings = budgets.crossings(scope, month(visit), CROSSINGS).await;
    let crossed = crossing_table(visit, &crossings.map_err(refuse)?, false);
    if let Some(export) = crossed.export(&visit.url) {
        return Ok(export);
    }
    let mut body = Markup::new();
    if standings.is_empty() {
        body = body.with(
            &Empty::new(
                "This tenant has no budget: callers are told to go on.",
                "Set one below, or with a command:",
            )
            .command(&format!(
                "sealwright billing budget set --tenant {} --limit 500.00 --currency USD",
                tenant.slug
            )),
        );
    }
    for (index, standing) in standings.iter().enumerate() {
        let projection = budgets.project(&standing.budget).await;
        body = body.with(&figures(standing, &projection));
        body = body.with(&drawn(visit, index, standing, projection.ok()).await?);
    }
    body = body.with(&crossed);
    if visit.may(Action::BillingWrite) {
        let money = standings
            .iter()
            .find(|standing| standing.budget.terms.measure == Measure::Amount);
        body = body.with(&Panel::new(
            "Budget for rated usage",
            &form(visit, tenant, money, refused),
        ));
    }
    let chrome = visit
        .chrome(vec![
            Crumb::link("Budgets", &visit.to("/console/billing/budgets")),
            Crumb::here(&tenant.slug),
        ])
        .lead("Of this UTC month. Fees and minimums of the price book are not part of it.");
    Ok(Page::new(&tenant.name, chrome, &body).into_response())
}

fn figures(standing: &Standing, projection: &Result<Projection, BillingError>) -> Figures {
    let terms = &standing.budget.terms;
    let unit = &standing.unit;
    let name = measure(&terms.measure);
    let said = decision(standing);
    let used = match &standing.used {
        Ok(used) => Figure::new(
            &format!("Used, {name}"),
            &format::decimal(used.normalize()),
            unit,
        )
        .note(format!(
            "{} % of {}",
            format::decimal(terms.percent(*used)),
            amount(terms.limit(), unit)
        )),
        Err(why) => Figure::unknown(&format!("Used, {name}"), why.clone()),
    };
    let left = match &standing.used {
        Ok(used) => Figure::new(
            "Left until the limit",
            &format::decimal(standing.left(*used, 100).normalize()),
            unit,
        ),
        Err(_) => Figure::unknown("Left until the limit", "usage is not known"),
    };
    let end = match projection.as_ref().map(Projection::end) {
        Ok(Some(end)) => Figure::new(
            "By the end of the month",
            &format::decimal(end.point.round_dp(2).normalize()),
            unit,
        )
        .note(format!(
            "{:.0} % interval {} to {}",
            PROJECTION_LEVEL * 100.0,
            format::decimal(end.low.round_dp(2).normalize()),
            format::decimal(end.high.round_dp(2).normalize())
        )),
        Ok(None) => Figure::unknown("By the end of the month", "the month is over"),
        Err(error) => Figure::unknown("By the end of the month", error.to_string()),
    };
    let words = match said {
        Decision::Allow => "to go on",
        Decision::Throttle => "to slow down",
        Decision::Stop => "to stop",
    };
    Figures::new(vec![
        used,
        left,
        end,
        Figure::new("Callers are told", words, "").note(match &standing.used {
            Ok(_) => thresholds(terms),
            Err(_) => "the policy for unknown usage".to_owned(),
        }),
    ])
}

fn thresholds(terms: &BudgetTerms) -> String {
    let one = |what: &str, percent: Option<u32>| match percent {
        Some(percent) => format!("{what} from {percent} %"),
        None => format!("{what} never"),
    };
    format!(
        "{}, {}",
        one("throttle", terms.throttle),
        one("stop", terms.stop)
    )
}

/// The month so far, its projection, and the limits.
async fn drawn(
    visit: &Visit,
    index: usize,
    standing: &Standing,
    projection: Option<Projection>,
) -> Result<TimeChart, Refusal> {
    let terms = &standing.budget.terms;
    let span = standing.month;
    let mut chart = TimeChart::new(
        &format!("budget-{index}"),
        &format!("{}, added up over the month", measure(&terms.measure)),
        &standing.unit,
        Kind::Lines,
        (span.from.timestamp(), span.to.timestamp()),
        &utc(),
    );
    // What cannot be rated is unknown, and the figures above say why.
    if let Ok(course) = visit.pages.budgets.course(&standing.budget).await {
        let points = course
            .into_iter()
            .map(|(day, value)| Point {
                at: day.timestamp(),
                value: Some(value),
            })
            .collect();
        chart = chart.series("Used", points);
    }
    if let Some(projection) = projection {
        chart = chart.forecast(Forecast {
            name: format!("Projection, {:.0} % interval", PROJECTION_LEVEL * 100.0),
            points: projection
                .days
                .iter()
                .map(|day| ForecastPoint {
                    at: day.day.timestamp(),
                    mid: day.point.round_dp(4),
                    low: day.low.round_dp(4),
                    high: day.high.round_dp(4),
                })
                .collect(),
        });
    }
    let bound = |percent: u32| {
        let part = terms.limit().checked_mul(Decimal::from(percent));
        part.and_then(|part| part.checked_div(Decimal::ONE_HUNDRED))
            .unwrap_or(terms.limit())
    };
    chart = chart.limit(terms.limit(), "limit");
    if let Some(stop) = terms.stop.filter(|stop| *stop != 100) {
        chart = chart.limit(bound(stop), &format!("stop, {stop} %"));
    }
    Ok(chart)
}

fn form(
    visit: &Visit,
    tenant: &Tenant,
    standing: Option<&Standing>,
    refused: Option<&Refused>,
) -> Form {
    let terms = standing.map(|standing| &standing.budget.terms);
    let typed = match (refused, terms) {
        (Some(refused), _) => refused.terms.clone(),
        (None, Some(terms)) => Typed::of(terms),
        (None, None) => Typed::of(&BudgetTerms::new(Measure::Amount, "", Some("USD"))),
    };
    let revision = standing.map_or(0, |standing| standing.budget.revision);
    let mut limit = Field::text("limit", "Limit a month")
        .value(&typed.limit)
        .hint("What usage may cost in a UTC calendar month, such as 500.00.")
        .required();
    if let Some(refused) = refused {
        limit = limit.error(&refused.why);
    }
    Form::new(
        &format!("/console/billing/budgets/{}", tenant.slug),
        visit.csrf(),
        if standing.is_some() {
            "Change the budget"
        } else {
            "Set the budget"
        },
    )
    .hidden("revision", &revision.to_string())
    .field(limit)
    .field(
        Field::text("currency", "Currency")
            .value(&typed.currency)
            .hint("The price book's currency (ISO 4217).")
            .required(),
    )
    .field(
        Field::text("alerts", "Tell people at, %")
            .value(&typed.alerts)
            .hint("Percentages of the limit, separated by commas."),
    )
    .field(
        Field::text("throttle", "Slow callers down from, %")
            .value(&typed.throttle)
            .hint("Empty for never."),
    )
    .field(
        Field::text("stop", "Stop callers from, %")
            .value(&typed.stop)
            .hint("Empty for never."),
    )
    .field(
        Field::select(
            "when_unknown",
            "While usage is unknown, callers are told",
            &[
                ("allow", "to go on"),
                ("throttle", "to slow down"),
                ("stop", "to stop"),
            ],
        )
        .value(&typed.when_unknown),
    )
}
