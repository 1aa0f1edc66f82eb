use rust_decimal::Decimal;
use sealwright_web::PageUrl;
use sealwright_web::component::{
    Bar, Cell, Chain, Column, Empty, Field, Form, Pager, Row, Seal, SealState, Step, Table, Tone,
};

fn lines(html: &str) -> String {
    html.replace("><", ">\n<")
}

fn table(address: &str) -> Table {
    let url = PageUrl::parse(address);
    let columns = vec![
        Column::text("name", "Name").sortable(),
        Column::money("spend", "Spend", "EUR").sortable(),
        Column::drawing("used", "Used"),
    ];
    Table::new("tenants", "Tenants", &url, columns)
}

fn filled(address: &str) -> Table {
    table(address)
        .row(Row::new(vec![
            Cell::link("<acme>", "/t/1"),
            Cell::decimal(Decimal::new(123_456, 2)),
            Cell::bar(&Bar::new(Decimal::new(106, 2), Tone::Bad)),
        ]))
        .row(Row::new(vec![
            Cell::text("globex"),
            Cell::unknown(),
            Cell::unknown(),
        ]))
        .note("2 rows")
        .filter("Filter tenants")
        .pager(Pager {
            previous: Some(String::new()),
            next: Some("c2".to_owned()),
        })
}

#[test]
fn a_table_keeps_its_state_in_the_address() {
    let html = filled("/t?tenant=x&q=a&sort=-spend&cursor=c1").to_string();
    insta::assert_snapshot!(lines(&html));
}

#[test]
fn sorting_turns_around_and_ignores_what_is_not_sortable() {
    assert_eq!(table("/t?sort=-spend").sort(), Some(("spend", true)));
    assert_eq!(table("/t?sort=used").sort(), None);
    let html = filled("/t?sort=-spend").to_string();
    assert!(html.contains("href=\"/t?sort=spend\""), "turned around");
    assert!(html.contains("aria-sort=\"descending\""));
}

#[test]
fn an_empty_table_says_what_to_do_and_a_filtered_one_how_to_go_back() {
    let empty =
        Empty::new("No tenant yet.", "Create one:").command("sealwright tenant create acme");
    let html = table("/t").empty(empty.clone()).to_string();
    assert!(html.contains("sealwright tenant create acme") && !html.contains("<table"));
    let html = table("/t?q=zz&sort=name").empty(empty).to_string();
    assert!(html.contains("Nothing matches “zz”.") && html.contains("href=\"/t?sort=name\""));
}

#[test]
fn the_seal_opens_the_chain() {
    let chain = Chain::new()
        .step(Step::new("Rated lines", "12 lines").href("/l"))
        .step(Step::new("Ledger", "entry 7"))
        .events("/e")
        .file("/p", Some(41_200))
        .verify("sealwright verify a.proof");
    let seal = Seal::opens("x", "revenue", "€ 1.00", chain);
    insta::assert_snapshot!(lines(&seal.to_string()));
}

#[test]
fn the_seal_says_its_state_in_words() {
    let seal = Seal::leads("spend", "/p").state(SealState::Broken);
    assert!(
        seal.to_string()
            .contains("aria-label=\"Proof of spend, does not match the ledger\"")
    );
}

#[test]
fn a_form_leads_to_its_errors_and_never_sends_a_password_back() {
    let form = Form::new("/f", "token", "Save")
        .field(
            Field::text("name", "Name")
                .required()
                .value("\"><script>")
                .error("too long"),
        )
        .field(
            Field::password("pw", "Password", "new-password")
                .required()
                .value("secret"),
        );
    let html = form.to_string();
    assert!(html.contains("href=\"#f-name\"") && html.contains("id=\"f-name\""));
    assert!(html.contains("aria-invalid=\"true\""));
    assert!(!html.contains("<script>") && !html.contains("secret"));
    assert!(html.contains("name=\"csrf\" value=\"token\""));
}
