//! A small invoice for tests of what is made from one.

use sealwright_billing::model::{
    INVOICE_SCHEMA, InvoiceDocument, InvoiceId, InvoicedTenant, PriceBookRef, UsageEntry,
};
use sealwright_core::{Digest, TenantId};
use sealwright_rating::{Format, Usage, parse_plan, rate};

const PLAN: &str = r#"
id = "test"
version = 3
title = "Test plan"
currency = "EUR"

[[fees]]
key = "base"
title = "Base fee"
amount = "49.00"

[[prices]]
meter = "ai.input_tokens"
title = "AI input tokens"
unit_label = "token"
group_by = ["model"]
model = "per_million"
price_per_million = "2.50"

[[prices]]
meter = "database.queries"
title = "=Database queries, a title that is long enough to need a second line on the page"
model = "graduated"
tiers = [{ up_to = "1000", unit = "0.01" }, { unit = "0.005" }]
"#;

pub(crate) fn invoice() -> InvoiceDocument {
    let plan = parse_plan("plan.toml", PLAN, Format::Toml)
        .expect("the plan is valid")
        .plan;
    let usage = vec![
        Usage::new("ai.input_tokens", "1234567".parse().unwrap()).with("model", "medium"),
        Usage::new("database.queries", "15000".parse().unwrap()),
    ];
    let rated = rate(&plan, &usage).expect("it can be rated");
    let id: InvoiceId = "inv_0190b3c07f3e7c3b8a61c4a1f0e2d3b4".parse().unwrap();
    let tenant: TenantId = "ten_0190b3c07f3e7c3b8a61c4a1f0e2d3b5".parse().unwrap();
    InvoiceDocument {
        schema: INVOICE_SCHEMA.to_owned(),
        id,
        number: Some("ACME-2026-0001".to_owned()),
        tenant: InvoicedTenant {
            id: tenant,
            slug: "acme-corp".to_owned(),
            name: "Acme Corporation \u{4f60}".to_owned(),
        },
        period_from: "2026-10-01T00:00:00Z".to_owned(),
        period_to: "2026-11-01T00:00:00Z".to_owned(),
        share: None,
        issued_at: Some("2026-11-01T00:10:00Z".to_owned()),
        due_at: Some("2026-12-01T00:00:00Z".to_owned()),
        price_book: PriceBookRef {
            id: plan.book.id.clone(),
            version: plan.book.version,
            digest: plan.digest().trim_start_matches("sha256:").parse().unwrap(),
            title: "Test plan".to_owned(),
        },
        meters_digest: Digest::of(b"meters"),
        events_through: 100,
        events: 42,
        usage: vec![UsageEntry {
            meter: "ai.input_tokens".to_owned(),
            dimensions: [("model".to_owned(), "medium".to_owned())].into(),
            quantity: "1234567".to_owned(),
            unit: "token".to_owned(),
            events: 42,
            root: None,
        }],
        rated,
    }
}
