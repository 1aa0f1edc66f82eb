//! Price books: `/console/billing/price-books`.

use axum::extract::Path;
use axum::response::IntoResponse;
use sealwright_core::TenantScope;
use sealwright_money::Decimal;
use sealwright_rating::{
    Basis, Dimensions, Format, Mode, Model, Plan, Price, VolumeDiscount, parse_plan,
};
use sealwright_web::component::{Cell, Column, Definitions, Empty, Panel, Row, Table};
use sealwright_web::{Crumb, Markup, Page, format};

use super::overview::utc;
use super::spend::book_href;
use super::visit::{Answer, Visit, shown};
use crate::model::{StoredPriceBook, Subscription};
use crate::service::price_book::plan_of;

/// `GET /console/billing/price-books`.
pub(super) async fn list(visit: Visit) -> Answer {
    let books = &visit.pages.books;
    let all = books.all().await.map_err(|error| visit.refuse(error))?;
    let subscriptions = books
        .subscriptions(visit.by.tenants)
        .await
        .map_err(|error| visit.refuse(error.into()))?;
    // A customer sees the price books that it is or was on, not what others pay.
    let everything = visit.by.tenants.tenant().is_none();
    let columns = vec![
        Column::text("id", "Price book"),
        Column::number("version", "Version"),
        Column::text("title", "Title"),
        Column::text("currency", "Currency"),
        Column::number("subscriptions", "Subscriptions"),
        Column::text("digest", "Digest"),
        Column::time("created_at", "Published, UTC"),
    ];
    let mut table = Table::new("price-books", "Price books", &visit.url, columns).empty(
        Empty::new("No price book yet.", "Write one, or start from an example.")
            .command("sealwright billing price-book publish examples/plans/starter.toml"),
    );
    for book in &all {
        let count = subscriptions.iter().filter(|s| is_on(s, book)).count();
        if !everything && count == 0 {
            continue;
        }
        table.push(Row::new(vec![
            Cell::link(&book.reference.id, &visit.to(&book_href(&book.reference))),
            Cell::integer(i64::from(book.reference.version)),
            Cell::text(&book.reference.title),
            Cell::text(&book.currency),
            Cell::integer(i64::try_from(count).unwrap_or(i64::MAX)),
            Cell::markup(
                &Markup::new().code(&book.reference.digest.short()),
                &book.reference.digest.to_string(),
            ),
            Cell::time(book.created_at.timestamp(), &utc()),
        ]));
    }
    let rows = table.rows();
    let table = table.note(&format!("{rows} versions; a version never changes"));
    if let Some(export) = table.export(&visit.url) {
        return Ok(export);
    }
    let chrome = visit.chrome(vec![Crumb::here("Price books")]);
    Ok(Page::new("Price books", chrome, &table).into_response())
}

fn is_on(subscription: &Subscription, book: &StoredPriceBook) -> bool {
    subscription.price_book_id == book.reference.id
        && subscription.price_book_version == book.reference.version
}

/// `GET /console/billing/price-books/{id}/{version}`.
pub(super) async fn show(visit: Visit, Path((id, version)): Path<(String, String)>) -> Answer {
    let missing = || {
        visit.missing(&format!(
            "There is no price book {} of this version.",
            shown(&id)
        ))
    };
    let version: u32 = version.parse().map_err(|_| missing())?;
    let books = &visit.pages.books;
    let book = match books.find(&id, Some(version)).await {
        Ok(book) => book,
        Err(crate::service::BillingError::NotFound(_)) => return Err(missing()),
        Err(error) => return Err(visit.refuse(error)),
    };
    let mut on: Vec<Subscription> = books
        .subscriptions(visit.by.tenants)
        .await
        .map_err(|error| visit.refuse(error.into()))?;
    on.retain(|subscription| is_on(subscription, &book));
    if matches!(visit.by.tenants, TenantScope::One(_)) && on.is_empty() {
        return Err(missing());
    }
    let plan = plan_of(&book).map_err(|error| visit.refuse(error))?;
    let tables = [prices(&visit, &plan), subscriptions(&visit, &on)];
    for table in &tables {
        if let Some(export) = table.export(&visit.url) {
            return Ok(export);
        }
    }
    let mut body = Markup::new();
    let warnings = warnings(&book);
    if !warnings.is_empty() {
        let list = warnings.iter().fold(Definitions::new(), |list, warning| {
            list.item("Warning", warning.as_str())
        });
        body = body.with(&Panel::new("What to know", &list).flush());
    }
    body = body
        .with(&tables[0])
        .with(&Panel::new("Beside the prices", &terms(&plan)).flush())
        .with(&tables[1])
        .with(&Panel::new("Identity", &identity(&book)).flush());
    let title = format!(
        "{} version {}",
        book.reference.title, book.reference.version
    );
    let chrome = visit
        .chrome(vec![
            Crumb::link("Price books", &visit.to("/console/billing/price-books")),
            Crumb::here(&format!(
                "{} v{}",
                book.reference.id, book.reference.version
            )),
        ])
        .lead(format!(
            "Amounts in {}. A version never changes; new prices are a new version.",
            book.currency
        ));
    Ok(Page::new(&title, chrome, &body).into_response())
}

/// What the rating engine says about the book, such as a cliff between tiers.
fn warnings(book: &StoredPriceBook) -> Vec<String> {
    parse_plan(&book.reference.id, &book.body, Format::Json)
        .map(|loaded| loaded.warnings.iter().map(|w| w.message.clone()).collect())
        .unwrap_or_default()
}

fn words(dimensions: &Dimensions, group_by: &[String]) -> String {
    let mut parts: Vec<String> = dimensions.iter().map(|(k, v)| format!("{k} {v}")).collect();
    if !group_by.is_empty() {
        parts.push(format!("each {}", group_by.join(" and ")));
    }
    if parts.is_empty() {
        "all".to_owned()
    } else {
        parts.join(", ")
    }
}

/// A row for each tier of each price.
fn prices(visit: &Visit, plan: &Plan) -> Table {
    let code = plan.book.currency.code();
    let columns = vec![
        Column::text("title", "What"),
        Column::text("meter", "Meter"),
        Column::text("of", "Usage of"),
        Column::text("model", "Model"),
        Column::text("range", "Quantity"),
        Column::money("price", "Price", code),
        Column::text("per", "For"),
        Column::money("flat", "And once", code),
    ];
    let mut table = Table::new("prices", "Prices", &visit.url, columns);
    for price in &plan.book.prices {
        for (i, tier) in tiers(price).into_iter().enumerate() {
            let first = |text: &str| {
                if i == 0 {
                    Cell::text(text)
                } else {
                    Cell::text("″")
                }
            };
            let title = price.title.as_deref().unwrap_or(&price.meter);
            table.push(Row::new(vec![
                if i == 0 {
                    Cell::text(title)
                } else {
                    Cell::markup(&Markup::from("″"), title)
                },
                if i == 0 {
                    Cell::link(
                        &price.meter,
                        &visit.to(&format!("/console/billing/meters/{}", price.meter)),
                    )
                } else {
                    Cell::markup(&Markup::from("″"), &price.meter)
                },
                first(&words(&price.matches, &price.group_by)),
                first(model_words(&price.model)),
                Cell::text(&tier.range),
                Cell::decimal(tier.price),
                Cell::text(&tier.per),
                if tier.flat.is_zero() {
                    Cell::text("none")
                } else {
                    Cell::decimal(tier.flat)
                },
            ]));
        }
    }
    table.note(&format!("{} prices", plan.book.prices.len()))
}

fn model_words(model: &Model) -> &'static str {
    match model {
        Model::Flat(_) => "fixed amount",
        Model::PerUnit(_) => "per unit",
        Model::Graduated(_) => "graduated: each unit at its tier's price",
        Model::Volume(_) => "volume: all units at one tier's price",
        Model::Package(_) => "per started package",
        Model::Percentage(_) => "percentage of each transaction",
        Model::GraduatedPercentage(_) => "percentage by running total",
        Model::PerMillion(_) => "per million",
    }
}

/// A row of the table of prices: a tier, or the whole of a model without tiers.
struct Shown {
    range: String,
    price: Decimal,
    per: String,
    flat: Decimal,
}

/// Ranges of tiers, from their upper bounds.
fn ranges(bounds: impl Iterator<Item = Option<Decimal>>) -> Vec<String> {
    let mut above = Decimal::ZERO;
    bounds
        .map(|up_to| {
            let text = match up_to {
                Some(bound) if above.is_zero() => format!("up to {}", format::decimal(bound)),
                Some(bound) => format!(
                    "above {} to {}",
                    format::decimal(above),
                    format::decimal(bound)
                ),
                None if above.is_zero() => "any".to_owned(),
                None => format!("above {}", format::decimal(above)),
            };
            above = up_to.unwrap_or(above);
            text
        })
        .collect()
}

fn tiers(price: &Price) -> Vec<Shown> {
    let unit = price.unit_label.as_deref().unwrap_or("unit");
    let one = |amount: Decimal, per: String, flat: Decimal| {
        vec![Shown {
            range: "any".to_owned(),
            price: amount,
            per,
            flat,
        }]
    };
    match &price.model {
        Model::Flat(m) => one(m.amount, "the period, when used".to_owned(), Decimal::ZERO),
        Model::PerUnit(m) if m.per == Decimal::ONE => one(m.unit, unit.to_owned(), Decimal::ZERO),
        Model::PerUnit(m) => one(
            m.unit,
            format!("{} × {unit}", format::decimal(m.per)),
            Decimal::ZERO,
        ),
        Model::PerMillion(m) => one(
            m.price_per_million,
            format!("1,000,000 × {unit}"),
            Decimal::ZERO,
        ),
        Model::Package(m) => {
            let size = format::decimal(m.package_size);
            let mut rows = one(
                m.package_price,
                format!("{size} × {unit}, begun"),
                Decimal::ZERO,
            );
            if let Some(row) = rows.first_mut().filter(|_| !m.free_units.is_zero()) {
                row.range = format!("above {}", format::decimal(m.free_units));
            }
            rows
        }
        Model::Percentage(m) => one(
            m.rate_percent,
            "% of a transaction".to_owned(),
            m.fixed_per_transaction,
        ),
        Model::Graduated(sealwright_rating::model::graduated::Graduated { tiers })
        | Model::Volume(sealwright_rating::model::volume::Volume { tiers }) => {
            ranges(tiers.iter().map(|tier| tier.up_to))
                .into_iter()
                .zip(tiers)
                .map(|(range, tier)| Shown {
                    range,
                    price: tier.unit,
                    per: unit.to_owned(),
                    flat: tier.flat,
                })
                .collect()
        }
        Model::GraduatedPercentage(m) => ranges(m.tiers.iter().map(|tier| tier.up_to))
            .into_iter()
            .zip(&m.tiers)
            .map(|(range, tier)| Shown {
                range,
                price: tier.rate_percent,
                per: "% of a transaction".to_owned(),
                flat: tier.flat,
            })
            .collect(),
    }
}

fn discount(discount: &VolumeDiscount) -> String {
    let basis = match discount.basis {
        Basis::Quantity => "of each line's quantity",
        Basis::Amount => "of the usage in money",
    };
    let mode = match discount.mode {
        Mode::Marginal => "off what lies above",
        Mode::Cliff => "off everything, once reached",
    };
    let steps: Vec<String> = discount
        .tiers
        .iter()
        .map(|tier| {
            format!(
                "{} % from {}",
                format::decimal(tier.rate_percent),
                format::decimal(tier.from)
            )
        })
        .collect();
    let meters = if discount.meters.is_empty() {
        "all meters".to_owned()
    } else {
        discount.meters.join(", ")
    };
    format!("{} {basis}, {mode}; {meters}", steps.join(", "))
}

fn terms(plan: &Plan) -> Definitions {
    let code = plan.book.currency.code();
    let mut terms = Definitions::new();
    for fee in &plan.fees {
        let title = fee.title.as_deref().unwrap_or(&fee.key);
        terms = terms.item(
            title,
            format!("{} {code} each period", format::decimal(fee.amount)),
        );
    }
    for included in &plan.included {
        terms = terms.item(
            "Included",
            Markup::new()
                .text(&format!("{} of ", format::decimal(included.quantity)))
                .code(&included.meter)
                .text(&if included.matches.is_empty() {
                    String::new()
                } else {
                    format!(", {}", words(&included.matches, &[]))
                }),
        );
    }
    if let Some(minimum) = plan.minimum {
        terms = terms.item(
            "Minimum",
            format!("{} {code} of usage each period", format::decimal(minimum)),
        );
    }
    match &plan.volume_discount {
        Some(found) => terms.item("Volume discount", discount(found)),
        None => terms.item("Volume discount", "none"),
    }
}

fn subscriptions(visit: &Visit, on: &[Subscription]) -> Table {
    let columns = vec![
        Column::text("tenant", "Tenant"),
        Column::time("from", "From, UTC"),
    ];
    let mut table = Table::new("subscriptions", "Subscriptions", &visit.url, columns).empty(
        Empty::new("No tenant is on this version.", "Put one on it:")
            .command("sealwright billing subscription set --tenant acme --price-book starter"),
    );
    let mut named: Vec<(String, &Subscription)> = on
        .iter()
        .map(|subscription| (visit.slug(subscription.tenant), subscription))
        .collect();
    named.sort_by(|a, b| (&a.0, a.1.from).cmp(&(&b.0, b.1.from)));
    for (slug, subscription) in named {
        table.push(Row::new(vec![
            Cell::link(
                &slug,
                &visit.to(&format!("/console/billing/tenants/{slug}")),
            ),
            Cell::time(subscription.from.timestamp(), &utc()),
        ]));
    }
    let rows = table.rows();
    table.note(&format!("{rows} rows"))
}

fn identity(book: &StoredPriceBook) -> Definitions {
    Definitions::new()
        .item(
            "Id and version",
            Markup::new().code(&format!(
                "{} v{}",
                book.reference.id, book.reference.version
            )),
        )
        .item(
            "Digest, SHA-256",
            Markup::new().code(&book.reference.digest.to_string()),
        )
        .item(
            "Published",
            format!(
                "{} UTC",
                format::moment(book.created_at.timestamp(), &utc())
            ),
        )
        .item("By", Markup::new().code(&book.created_by))
        .item(
            "In the ledger",
            Markup::new().link(
                "entries about this version",
                &sealwright_web::PageUrl::parse("/console/ledger")
                    .with(
                        "subject",
                        &format!("{} v{}", book.reference.id, book.reference.version),
                    )
                    .to_string(),
            ),
        )
        .item(
            "As a file",
            Markup::new().link(
                "canonical JSON",
                &format!(
                    "/api/billing/price-books/{}?version={}",
                    book.reference.id, book.reference.version
                ),
            ),
        )
}
