//! The example plans, and what plans do.

use sealwright_rating::{
    Format, LineKind, Plan, Problems, Severity, Usage, parse_plan, parse_usage, rate,
};

use crate::data::example;

fn load(name: &str) -> Plan {
    let loaded = parse_plan(name, &example(name), Format::of_name(name).unwrap())
        .unwrap_or_else(|p: Problems| panic!("{p}"));
    assert!(loaded.warnings.is_empty(), "{:?}", loaded.warnings);
    loaded.plan
}

fn toml(text: &str) -> Plan {
    let text = format!("id = 'p'\nversion = 1\ncurrency = 'USD'\n{text}");
    parse_plan("p.toml", &text, Format::Toml)
        .unwrap_or_else(|p: Problems| panic!("{p}"))
        .plan
}

fn use_of(meter: &str, quantity: &str) -> Usage {
    Usage::new(meter, sealwright_money::exact::parse(quantity).unwrap())
}

#[test]
fn one_plan_in_three_notations_is_one_plan() {
    let toml = load("starter.toml");
    assert_eq!(toml, load("starter.json"));
    assert_eq!(toml, load("starter.yaml"));
    assert_eq!(toml.digest(), load("starter.yaml").digest());
    assert_ne!(toml.digest(), load("professional.toml").digest());
}

#[test]
fn the_example_plans_rate_the_example_usage() {
    let usage = parse_usage(
        "usage-march.json",
        &example("usage-march.json"),
        sealwright_rating::UsageFormat::Json,
    )
    .unwrap();
    for name in ["starter.toml", "professional.toml", "enterprise.toml"] {
        let rated = rate(&load(name), &usage).unwrap();
        assert!(rated.unpriced.is_empty());
        insta::assert_snapshot!(name, serde_json::to_string_pretty(&rated).unwrap());
    }
}

#[test]
fn canonical_bytes_are_a_plan_file() {
    for name in ["starter.toml", "professional.toml", "enterprise.toml"] {
        let plan = load(name);
        let bytes = String::from_utf8(plan.canonical_bytes()).unwrap();
        let again = parse_plan("canonical.json", &bytes, Format::Json)
            .unwrap()
            .plan;
        assert_eq!(plan, again);
        assert_eq!(bytes.as_bytes(), again.canonical_bytes());
    }
}

#[test]
fn the_most_specific_price_applies() {
    let plan = toml(
        "[[prices]]\nmeter='t'\nmodel='per_unit'\nunit='1'\n\
         [[prices]]\nmeter='t'\nmatch={model='a'}\nmodel='per_unit'\nunit='2'\n\
         [[prices]]\nmeter='t'\nmatch={model='a',region='eu'}\nmodel='per_unit'\nunit='3'\n",
    );
    let usage = [
        use_of("t", "10").with("model", "b").with("region", "eu"),
        use_of("t", "10").with("model", "a").with("region", "us"),
        use_of("t", "10").with("model", "a").with("region", "eu"),
        use_of("t", "5"),
    ];
    let rated = rate(&plan, &usage).unwrap();
    let amounts: Vec<&str> = rated.lines.iter().map(|l| l.amount.as_str()).collect();
    assert_eq!(amounts, ["15.00", "20.00", "30.00"]);
    assert_eq!(rated.total, "65.00");
}

#[test]
fn usage_without_a_price_is_reported_and_not_charged() {
    let plan = toml("[[prices]]\nmeter='t'\nmodel='per_unit'\nunit='1'\n");
    let rated = rate(
        &plan,
        &[
            use_of("x", "7").with("region", "eu"),
            use_of("x", "1").with("region", "eu"),
        ],
    )
    .unwrap();
    assert_eq!(rated.total, "0.00");
    assert_eq!(rated.unpriced.len(), 1);
    assert_eq!(rated.unpriced[0].quantity.to_string(), "8");
    assert_eq!(
        rated.warnings,
        ["8 of `x{region=eu}` has no price in `p` and is not in the total"]
    );
}

#[test]
fn tiers_run_over_all_usage_of_a_price_unless_it_groups() {
    let tiers = "tiers=[{up_to='10',unit='1'},{unit='0.5'}]\n";
    let usage = [
        use_of("t", "10").with("r", "a"),
        use_of("t", "10").with("r", "b"),
    ];
    let one = toml(&format!(
        "[[prices]]\nmeter='t'\nmodel='graduated'\n{tiers}"
    ));
    assert_eq!(rate(&one, &usage).unwrap().total, "15.00");
    let grouped = toml(&format!(
        "[[prices]]\nmeter='t'\ngroup_by=['r']\nmodel='graduated'\n{tiers}"
    ));
    assert_eq!(rate(&grouped, &usage).unwrap().total, "20.00");
}

#[test]
fn a_discount_by_quantity_takes_each_rate_off_its_units() {
    let tiers = "tiers=[{from='1000',rate_percent='5'},{from='5000',rate_percent='10'},{from='10000',rate_percent='15'}]\n";
    let price = "[[prices]]\nmeter='t'\nmodel='per_unit'\nunit='1'\n";
    let marginal = toml(&format!(
        "{price}[volume_discount]\nbasis='quantity'\n{tiers}"
    ));
    let rated = rate(&marginal, &[use_of("t", "12000")]).unwrap();
    assert_eq!(rated.lines[1].kind, LineKind::Discount);
    assert_eq!(rated.lines[1].amount, "-1000.00");
    assert_eq!(rated.total, "11000.00");
    assert!(rated.warnings.is_empty());
    let cliff = toml(&format!(
        "{price}[volume_discount]\nbasis='quantity'\nmode='cliff'\n{tiers}"
    ));
    let rated = rate(&cliff, &[use_of("t", "12000")]).unwrap();
    assert_eq!(rated.total, "10200.00");
    assert_eq!(rated.warnings.len(), 1);
}

#[test]
fn included_quantities_are_taken_in_line_order() {
    let plan = toml(
        "[[included]]\nmeter='t'\nquantity='15'\n\
         [[prices]]\nmeter='t'\nmatch={model='a'}\nmodel='per_unit'\nunit='2'\n\
         [[prices]]\nmeter='t'\nmodel='per_unit'\nunit='1'\n",
    );
    let rated = rate(
        &plan,
        &[use_of("t", "10"), use_of("t", "10").with("model", "a")],
    )
    .unwrap();
    let included: Vec<String> = rated.lines.iter().map(|l| l.included.to_string()).collect();
    assert_eq!(included, ["10", "5"]);
    assert_eq!(rated.total, "5.00");
}

#[test]
fn minimums_are_trued_up_after_discounts() {
    let plan = toml(
        "minimum='100'\n[[fees]]\nkey='f'\namount='9'\n[[prices]]\nmeter='t'\nminimum='20'\nmodel='per_unit'\nunit='1'\n",
    );
    let rated = rate(&plan, &[use_of("t", "5")]).unwrap();
    let lines: Vec<(LineKind, &str)> = rated
        .lines
        .iter()
        .map(|l| (l.kind, l.amount.as_str()))
        .collect();
    assert_eq!(
        lines,
        [
            (LineKind::Fee, "9.00"),
            (LineKind::Usage, "5.00"),
            (LineKind::Minimum, "15.00"),
            (LineKind::Minimum, "80.00")
        ]
    );
    assert_eq!(rated.total, "109.00");
}

#[test]
fn a_cliff_and_falling_volume_tiers_warn() {
    let text = "id='p'\nversion=1\ncurrency='USD'\n[[prices]]\nmeter='v'\nmodel='volume'\ntiers=[{up_to='20',unit='2'},{unit='1'}]\n[volume_discount]\nbasis='amount'\nmode='cliff'\ntiers=[{from='1000',rate_percent='5'}]\n";
    let loaded = parse_plan("p.toml", text, Format::Toml).unwrap();
    let codes: Vec<(&str, Severity)> = loaded
        .warnings
        .iter()
        .map(|w| (w.code, w.severity))
        .collect();
    assert_eq!(
        codes,
        [
            ("total-falls", Severity::Warning),
            ("cliff", Severity::Warning)
        ]
    );
}

#[test]
fn a_result_survives_its_json() {
    let rated = rate(
        &load("enterprise.toml"),
        &[use_of("compute.hours", "7000").with("region", "eu-west-1")],
    )
    .unwrap();
    let json = serde_json::to_string(&rated).unwrap();
    let again: sealwright_rating::Rated = serde_json::from_str(&json).unwrap();
    assert_eq!(rated, again);
    assert_eq!(json, serde_json::to_string(&again).unwrap());
}
