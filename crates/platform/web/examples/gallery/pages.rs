//! The gallery's pages.

use axum::Router;
use axum::http::{HeaderMap, StatusCode};
use axum::response::{IntoResponse, Response};
use axum::routing::get;
use jiff::ToSpan;
use rust_decimal::Decimal;
use sealwright_web::chart::{Bars, Kind, Sparkline, TimeChart};
use sealwright_web::chrome::Action;
use sealwright_web::commands::{Command as Go, Commands};
use sealwright_web::component::{
    Badge, Bar, Cell, Chain, Column, Command, Definitions, Empty, Field, FieldKind, Figure,
    Figures, Form, Live, Pager, Panel, Row, Seal, SealState, Step, Table, Tone,
};
use sealwright_web::headers::{Policy, secure};
use sealwright_web::range::Preset;
use sealwright_web::{
    Chrome, Crumb, Flash, Fragment, Group, Markup, Nav, NavItem, Page, PageUrl, PlainPage,
    ProblemPage, TenantMenu, Theme, TimeRange, assets, theme,
};

use crate::data::{TENANTS, course, days, eur, forecast, now};

const TABS: [(&str, &str); 4] = [
    ("Overview", "/console/gallery"),
    ("One thing", "/console/gallery/alert"),
    ("Forms", "/console/gallery/forms"),
    ("Empty", "/console/gallery/empty"),
];

pub(crate) fn router() -> Router {
    let router = Router::new()
        .route("/console/gallery", get(overview))
        .route("/console/gallery/live", get(live))
        .route("/console/gallery/alert", get(alert))
        .route("/console/gallery/forms", get(forms))
        .route("/console/gallery/empty", get(empty))
        .route("/console/gallery/problem", get(problem))
        .route("/console/gallery/sign-in", get(sign_in))
        .route("/console/commands", get(commands))
        .merge(assets::router())
        .merge(theme::router());
    secure(router, Policy::default())
}

fn nav() -> Nav {
    Nav::new()
        .item(NavItem::new(Group::Top, "Today", "/console"))
        .item(NavItem::new(Group::Account, "Gallery", "/console/gallery"))
        .item(
            NavItem::new(Group::Protect, "SIEM", "/console/gallery/alert").count(3, "open alerts"),
        )
        .item(NavItem::new(
            Group::Protect,
            "DLP",
            "/console/gallery/empty",
        ))
        .item(NavItem::new(
            Group::Prove,
            "Evidence",
            "/console/gallery/problem",
        ))
        .item(NavItem::new(
            Group::Prove,
            "Ledger",
            "/console/gallery/ledger",
        ))
        .item(NavItem::new(
            Group::Customers,
            "Onboarding",
            "/console/gallery/forms",
        ))
}

fn chrome(url: &PageUrl, headers: &HeaderMap) -> Chrome {
    Chrome::new(url.clone(), nav())
        .user("Ada Example", "operator", "made-up-token")
        .theme(Theme::from_headers(headers))
        .tabs(&TABS)
        .flash(Flash::from_headers(headers))
}

fn chain() -> Chain {
    Chain::new()
        .step(Step::new(
            "Rated lines",
            Markup::new()
                .text("1,152 lines, price book ")
                .code("pb_2026-11")
                .text(" version 4"),
        ))
        .step(Step::new(
            "Metered events",
            Markup::new()
                .text("1,284,113,902 events, root ")
                .code("9f2c…e41b"),
        ))
        .step(Step::new(
            "Ledger",
            Markup::new()
                .text("entry ")
                .code("88,412,007")
                .text(" in checkpoint ")
                .code("88,412,640")
                .text(", 2 of 3 witnesses"),
        ))
        .events("/console/gallery?q=events")
        .file("/console/gallery/revenue-2026-11.proof", Some(41_200))
        .verify("sealwright verify revenue-2026-11.proof")
}

fn figures() -> Figures {
    Figures::new(vec![
        Figure::money("Usage revenue, month to date", eur(18_430_217))
            .seal(Seal::opens(
                "revenue",
                "usage revenue",
                "€ 184,302.17 usage revenue, 1 – 22 Nov 2026",
                chain(),
            ))
            .note("+6.2 % against 1 – 22 October"),
        Figure::money("Projected for November", eur(24_190_000))
            .note("80 % interval € 233,100 – € 249,800"),
        Figure::count("Events metered", 1_284_113_902, "")
            .seal(
                Seal::opens("events", "events metered", "1,284,113,902 events", chain())
                    .state(SealState::Pending),
            )
            .note("41 late, 0 rejected"),
        Figure::count("Tenants over 80 %", 3, "of 24")
            .note("1 stopped")
            .href("/console/gallery"),
        Figure::unknown("Intake now", "the source has been silent for 4 min"),
    ])
}

fn usage_chart(range: &TimeRange) -> TimeChart {
    let from = range.from;
    TimeChart::new(
        "tokens",
        "AI tokens by day",
        "tokens",
        Kind::Stacked,
        (from, from + (30 * 24).hours()),
        &range.zone,
    )
    .series("large", days(from, 22, 52_000_000, 1, false))
    .series("medium", days(from, 22, 33_000_000, 2, false))
    .series("small", days(from, 22, 19_000_000, 3, false))
    .series("embedding", days(from, 22, 9_000_000, 4, false))
    .forecast(forecast(from, 21, 29, 118_000_000))
    .mark(
        from + (16 * 24).hours(),
        "anomaly: acme-corp ai.output_tokens +3.4σ",
    )
}

fn tenants(url: &PageUrl) -> Table {
    let mut table = Table::new(
        "tenants",
        "Tenants by spend",
        url,
        vec![
            Column::text("tenant", "Tenant").sortable(),
            Column::text("plan", "Plan").sortable(),
            Column::text("region", "Region"),
            Column::drawing("course", "30 days"),
            Column::money("spend", "Spend", "EUR").sortable(),
            Column::money("projected", "Projected", "EUR").sortable(),
            Column::drawing("used", "Budget used"),
            Column::text("state", "State"),
        ],
    )
    .filter("Filter tenants")
    .pager(Pager {
        previous: None,
        next: Some("made-up-cursor".to_owned()),
    });
    let wanted = url.get("q").unwrap_or_default();
    let mut rows: Vec<_> = TENANTS.iter().filter(|t| t.name.contains(wanted)).collect();
    match table.sort() {
        Some(("tenant", false)) => rows.sort_by_key(|t| t.name),
        Some(("tenant", true)) => rows.sort_by_key(|t| std::cmp::Reverse(t.name)),
        Some(("spend", false)) => rows.sort_by_key(|t| t.spend),
        _ => {}
    }
    for (i, t) in rows.iter().enumerate() {
        let (tone, words) = match t.used {
            None => (Tone::Neutral, "no usage since 20 Nov 04:00"),
            Some(u) if u >= 105 => (Tone::Bad, "stopped at 105 %"),
            Some(u) if u >= 90 => (Tone::Warn, "warning 90 %"),
            Some(u) if u >= 80 => (Tone::Warn, "warning 80 %"),
            Some(_) => (Tone::Good, "within budget"),
        };
        table.push(
            Row::new(vec![
                Cell::link(t.name, "/console/gallery/alert"),
                Cell::text(t.plan),
                Cell::code(t.region),
                Cell::spark(&Sparkline::new("Spend, 30 days", course(i as u64 + 1))),
                Cell::money(eur(t.spend)).sealed(&Seal::leads(
                    &format!("spend of {}", t.name),
                    "/console/gallery/alert",
                )),
                t.used
                    .map_or_else(Cell::unknown, |_| Cell::money(eur(t.spend * 107 / 100))),
                t.used.map_or_else(Cell::unknown, |u| {
                    Cell::bar(&Bar::new(Decimal::new(u, 2), tone))
                }),
                Cell::badge(&Badge::new(tone, words)),
            ])
            .selected(i == 0),
        );
    }
    let note = format!("{} of 24 rows", table.rows());
    table.note(&note)
}

async fn overview(url: PageUrl, headers: HeaderMap) -> Response {
    let range = match TimeRange::from_url(&url, now(), Preset::MonthToDate) {
        Ok(range) => range,
        Err(e) => {
            let page = ProblemPage::new(StatusCode::BAD_REQUEST, &e.to_string());
            return page.page(chrome(&url, &headers)).into_response();
        }
    };
    let table = tenants(&url);
    if let Some(export) = table.export(&url) {
        return export;
    }
    let body = Markup::new()
        .with(&Live::new(
            "figures",
            "/console/gallery/live",
            30,
            &figures(),
        ))
        .with(&usage_chart(&range))
        .with(&table)
        .with(&gaps(&range))
        .with(&columns(&range))
        .with(&Panel::new("Output tokens by model", &models()).note("1 – 22 Nov"));
    let menu = TenantMenu {
        tenants: TENANTS
            .iter()
            .map(|t| (format!("ten_{}", t.name), t.name.to_owned()))
            .collect(),
        chosen: url.get("tenant").map(str::to_owned),
        all: true,
    };
    let chrome = chrome(&url, &headers)
        .crumbs(vec![
            Crumb::link("Gallery", "/console/gallery"),
            Crumb::here("Overview"),
        ])
        .tenants(menu)
        .range(range);
    Page::new("Gallery overview", chrome, &body).into_response()
}

fn gaps(range: &TimeRange) -> TimeChart {
    let from = range.from;
    let span = (from, from + (22 * 24).hours());
    TimeChart::new(
        "latency",
        "Request time, 95th percentile",
        "ms",
        Kind::Lines,
        span,
        &range.zone,
    )
    .series("us-east-1", days(from, 22, 380, 11, true))
    .series("eu-west-1", days(from, 22, 290, 12, false))
    .limit(Decimal::from(500), "objective 500 ms")
    .height(140)
}

fn columns(range: &TimeRange) -> TimeChart {
    let from = range.from;
    let span = (from, from + (22 * 24).hours());
    TimeChart::new(
        "spend",
        "Spend by day",
        "EUR",
        Kind::Columns,
        span,
        &range.zone,
    )
    .series("compute", days(from, 22, 4_100, 21, false))
    .series("AI", days(from, 22, 3_300, 22, true))
    .height(140)
}

fn models() -> Bars {
    Bars::new("Output tokens by model", "Model", "tokens")
        .bar("large-2026", Some(Decimal::from(812_411_900)))
        .href("/console/gallery?q=large")
        .bar("medium-2026", Some(Decimal::from(391_002_118)))
        .bar("small-2026", Some(Decimal::from(80_699_884)))
        .state(Badge::new(Tone::Warn, "deprecated"))
        .bar("embedding-3", None)
}

async fn live() -> Fragment {
    Fragment::new(&figures())
}

async fn alert(url: PageUrl, headers: HeaderMap) -> Page {
    let utc = jiff::tz::TimeZone::UTC;
    let at = |s: i64| Cell::time(now() + s.seconds(), &utc);
    let mut events = Table::new(
        "events",
        "Events",
        &url,
        vec![
            Column::time("time", "Time, UTC"),
            Column::text("source", "Source"),
            Column::text("user", "User"),
            Column::text("address", "Address"),
            Column::text("outcome", "Outcome"),
        ],
    )
    .note("24 events");
    for (s, user, tone, outcome) in [
        (-68, "user-1042", Tone::Bad, "failure"),
        (-64, "user-0311", Tone::Bad, "failure"),
        (-61, "user-2207", Tone::Bad, "failure"),
        (-27, "user-1042", Tone::Warn, "success"),
    ] {
        events.push(Row::new(vec![
            at(s),
            Cell::text("okta"),
            Cell::text(user),
            Cell::code("185.220.101.7"),
            Cell::badge(&Badge::new(tone, outcome)),
        ]));
    }
    let matched = Definitions::new()
        .item(
            "event.category",
            Markup::new().code("authentication").text(", 23 failures"),
        )
        .item(
            "distinct user.name",
            Markup::new()
                .strong("11")
                .text(" of at least 10 within 5 min"),
        )
        .item(
            "followed by",
            "a success from the same address within 15 min",
        )
        .unknown("country of the address");
    let response = Definitions::new()
        .item(
            "Address blocked for 24 h",
            Markup::of(&Badge::new(Tone::Good, "done 02:14:43")),
        )
        .item(
            "Keys suspended",
            Markup::of(&Badge::new(Tone::Warn, "waits for approval")),
        );
    let body = Columns {
        left: Markup::new()
            .with(
                &Panel::new("What matched", &matched)
                    .note("rule auth-005 v3")
                    .flush(),
            )
            .with(&events),
        right: Markup::new()
            .with(
                &Panel::new("Response", &response)
                    .note("undo until 02:44")
                    .flush(),
            )
            .with(&Panel::new("Proof", &chain())),
    };
    let chrome = chrome(&url, &headers)
        .crumbs(vec![
            Crumb::link("Gallery", "/console/gallery"),
            Crumb::link("Alerts", "/console/gallery/alert"),
            Crumb::id("alr_01JD7QK3M9ZC4T5E6R7Q8W9X7Q"),
        ])
        .badge(Badge::new(Tone::Bad, "critical"))
        .seal(Seal::opens(
            "alert",
            "this alert",
            "Password spraying, then a success",
            chain(),
        ))
        .lead(
            Markup::new()
                .text("11 accounts from one address in 3 min 12 s, one of them opened. Tenant ")
                .link("globex", "/console/gallery?tenant=ten_globex")
                .text(" · first 02:11:30 · last 02:14:42 · answer due in 11 min (P0)"),
        )
        .action(Action::post("Assign", "/console/gallery/alert"))
        .action(Action::link("Suppress…", "/console/gallery/forms"))
        .action(
            Action::post("Acknowledge", "/console/gallery/alert")
                .field("id", "a")
                .primary(),
        );
    Page::new("Password spraying, then a success", chrome, &body)
}

#[derive(askama::Template)]
#[template(
    source = r#"<div class="columns-2"><div class="stack">{{ left }}</div><div class="stack">{{ right }}</div></div>"#,
    ext = "html"
)]
struct Columns {
    left: Markup,
    right: Markup,
}

async fn forms(url: PageUrl, headers: HeaderMap) -> Page {
    let form = Form::new("/console/gallery/forms", "made-up-token", "Create the key")
        .field(
            Field::text("name", "Name")
                .required()
                .value("importer")
                .hint("What uses the key."),
        )
        .field(
            Field::select(
                "role",
                "Role",
                &[("operator", "Operator"), ("auditor", "Auditor")],
            )
            .required()
            .value("auditor"),
        )
        .field(
            Field::new("until", "Ends on", FieldKind::Line("date"))
                .value("2025-01-01")
                .error("lies in the past; choose a day after 22 Nov 2026"),
        )
        .field(
            Field::new("mapping", "Mapping", FieldKind::Text { rows: 4 })
                .mono()
                .value("time = \"TIMESTAMP\"\nmodel = \"Model\"")
                .hint("TOML: which column is what."),
        )
        .field(Field::new(
            "file",
            "File",
            FieldKind::File {
                accept: ".csv,.json".to_owned(),
            },
        ))
        .field(Field::new("tell", "Tell the tenant", FieldKind::Check).value("on"))
        .cancel("/console/gallery");
    let body = Markup::new()
        .with(&Panel::new("A new key", &form))
        .with(&Panel::new(
            "By command",
            &Command::new(
                "Command that creates a key",
                "sealwright access key create --tenant acme --scope events:write --output json",
            ),
        ));
    let chrome = chrome(&url, &headers)
        .crumbs(vec![
            Crumb::link("Gallery", "/console/gallery"),
            Crumb::here("Forms"),
        ])
        .flash(Some(Flash::new(Tone::Good, "The key importer was ended.")))
        .flash(Some(Flash::new(
            Tone::Warn,
            "The budget of globex stands at 91 %.",
        )));
    Page::new("Forms", chrome, &body).status(StatusCode::UNPROCESSABLE_ENTITY)
}

async fn empty(url: PageUrl, headers: HeaderMap) -> Page {
    let table = Table::new(
        "invoices",
        "Invoices",
        &url,
        vec![Column::text("id", "Invoice")],
    )
    .empty(
        Empty::new(
            "No invoice yet.",
            "Generate the invoices of a month that has ended:",
        )
        .command("sealwright billing invoices generate --month 2026-10"),
    );
    let range = TimeRange::preset(Preset::Week, now(), jiff::tz::TimeZone::UTC).unwrap();
    let span = (range.from, range.to);
    let chart = TimeChart::new(
        "none",
        "Usage by hour",
        "requests",
        Kind::Lines,
        span,
        &range.zone,
    )
    .series("requests", Vec::new());
    let broken = Figures::new(vec![
        Figure::money("Invoiced", eur(0)),
        Figure::money("Invoice inv_7", eur(1_250)).seal(
            Seal::opens("inv7", "invoice inv_7", "€ 12.50, line 3", chain())
                .state(SealState::Broken),
        ),
    ]);
    let body = Markup::new().with(&broken).with(&table).with(&chart);
    let chrome = chrome(&url, &headers)
        .crumbs(vec![
            Crumb::link("Gallery", "/console/gallery"),
            Crumb::here("Empty"),
        ])
        .lead("What pages say before anything has happened.");
    Page::new("Empty", chrome, &body)
}

async fn problem(url: PageUrl, headers: HeaderMap) -> Page {
    ProblemPage::new(
        StatusCode::NOT_FOUND,
        "There is no invoice inv_01JD7Q here.",
    )
    .reference("req_01JD7QK3M9")
    .page(chrome(&url, &headers).crumbs(vec![Crumb::here("Nothing here")]))
}

async fn sign_in(headers: HeaderMap) -> PlainPage {
    let form = Form::new("/console/login", "", "Sign in")
        .field(
            Field::text("user", "E-mail")
                .required()
                .autocomplete("username"),
        )
        .field(Field::password("password", "Password", "current-password").required());
    PlainPage::new(
        "Sign in",
        Theme::from_headers(&headers),
        "To the console of this installation.",
        &form,
    )
}

async fn commands(url: PageUrl, headers: HeaderMap) -> Response {
    let chrome = chrome(&url, &headers).crumbs(vec![Crumb::here("Go to")]);
    let more = [
        Go::new("Gallery", "Overview", "/console/gallery"),
        Go::new("Gallery", "Forms", "/console/gallery/forms"),
        Go::new("Gallery", "One thing", "/console/gallery/alert"),
    ];
    let list = Commands::new(&chrome, &more);
    if Fragment::asked(&headers) {
        return Fragment::new(&list).into_response();
    }
    Page::new("Go to", chrome, &list).into_response()
}
