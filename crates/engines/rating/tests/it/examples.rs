//! The rating cases of the shared data: totals, exact values and lines.

use jiff::civil::DateTime;
use sealwright_money::{Currency, Decimal, Money, allocate, exact};
use sealwright_rating::model::minimum;
use sealwright_rating::model::proration::{self, Share, Unit};
use sealwright_rating::model::time_weighted::{LevelChange, TimeWeighted};
use sealwright_rating::{Format, Step, Usage, parse_plan, rate};
use serde_json::{Map, Value, json};

fn dec(v: &Value) -> Decimal {
    exact::parse(v.as_str().unwrap()).unwrap()
}

/// A plan with one price that has the fields of the case.
fn rated(case: &Value, usage: Usage) -> sealwright_rating::Rated {
    let mut price: Map<String, Value> = case["input"].as_object().unwrap().clone();
    for field in ["quantity", "transactions", "minimum", "minimum_share"] {
        price.remove(field);
    }
    price.insert("meter".into(), json!("m"));
    let model = case["model"].as_str().unwrap();
    let model = if model == "minimum_commitment" {
        "graduated"
    } else {
        model
    };
    price.insert("model".into(), json!(model));
    let plan = json!({"id": "case", "version": 1, "currency": case["currency"], "prices": [price]});
    let plan = parse_plan("case.json", &plan.to_string(), Format::Json)
        .unwrap()
        .plan;
    rate(&plan, &[usage]).unwrap()
}

fn usage(case: &Value) -> Usage {
    let input = &case["input"];
    match input["transactions"].as_array() {
        Some(list) => {
            let transactions: Vec<Decimal> = list.iter().map(dec).collect();
            let sum = exact::sum(transactions.iter().copied()).unwrap();
            Usage {
                transactions,
                ..Usage::new("m", sum)
            }
        }
        None => Usage::new("m", dec(&input["quantity"])),
    }
}

/// Exact value, total and steps of one case, in the form of the file.
fn answer(case: &Value) -> (Decimal, String, Value) {
    let input = &case["input"];
    let currency = Currency::from_code(case["currency"].as_str().unwrap()).unwrap();
    assert_eq!(
        u64::from(currency.digits()),
        case["minor_units"].as_u64().unwrap()
    );
    match case["model"].as_str().unwrap() {
        "graduated" | "volume" | "package" | "percentage" | "graduated_percentage" => {
            let rated = rated(case, usage(case));
            assert_eq!(rated.lines.len(), 1);
            let line = &rated.lines[0];
            (line.exact, rated.total.clone(), steps(&line.steps))
        }
        "minimum_commitment" => {
            let amount = match input.get("usage_amount") {
                Some(amount) => Money::parse(amount.as_str().unwrap(), currency).unwrap(),
                None => Money::parse(&rated(case, usage(case)).total, currency).unwrap(),
            };
            let share: Share = input["minimum_share"].as_str().unwrap().parse().unwrap();
            let due = minimum::true_up(dec(&input["minimum"]), share, amount, currency).unwrap();
            assert_eq!(amount.amount(), case["expected"]["usage"]);
            assert_eq!(due.true_up.amount(), case["expected"]["true_up"]);
            assert_eq!(due.minimum_due.amount(), case["expected"]["minimum_due"]);
            (due.total.to_decimal(), due.total.amount(), Value::Null)
        }
        "proration" => {
            let zone = input["timezone"].as_str().unwrap();
            let at = |field: &str| {
                let t: DateTime = input[field].as_str().unwrap().parse().unwrap();
                t.in_tz(zone).unwrap()
            };
            let unit = if input["unit"] == "day" {
                Unit::Day
            } else {
                Unit::Second
            };
            let share = proration::remaining(
                &at("period_start"),
                &at("period_end"),
                &at("change_at"),
                unit,
            )
            .unwrap();
            let change = proration::change(
                dec(&input["old_price"]),
                dec(&input["new_price"]),
                share,
                currency,
            )
            .unwrap();
            let share = change.share.to_string();
            let lines = json!([
                {"kind": "credit_unused", "share": share, "amount": change.credit_unused.amount()},
                {"kind": "charge_remaining", "share": share, "amount": change.charge_remaining.amount()},
            ]);
            (change.net.to_decimal(), change.net.amount(), lines)
        }
        "split_largest_remainder" => {
            let total = Money::parse(input["total"].as_str().unwrap(), currency).unwrap();
            let weights: Vec<Decimal> = input["weights"]
                .as_array()
                .unwrap()
                .iter()
                .map(dec)
                .collect();
            let parts = allocate(total, &weights).unwrap();
            let texts: Vec<String> = parts.iter().map(|p| p.amount()).collect();
            assert_eq!(json!(texts), case["expected"]["parts"]);
            let sum = Money::sum(currency, parts).unwrap();
            (sum.to_decimal(), sum.amount(), Value::Null)
        }
        "per_million_tokens" => tokens(case, currency),
        "time_weighted_average" => {
            let us = |v: &Value| {
                v.as_str()
                    .unwrap()
                    .parse::<jiff::Timestamp>()
                    .unwrap()
                    .as_microsecond()
            };
            let changes: Vec<LevelChange> = input["level_changes"]
                .as_array()
                .unwrap()
                .iter()
                .map(|c| LevelChange {
                    at_us: us(&c["at"]),
                    level: dec(&c["level"]),
                })
                .collect();
            let tw = TimeWeighted::over(
                us(&input["period_start"]),
                us(&input["period_end"]),
                &changes,
            )
            .unwrap();
            assert_eq!(tw.average(20).unwrap(), dec(&case["expected"]["quantity"]));
            let price = tw.price(dec(&input["unit"]), 20).unwrap();
            (
                price,
                Money::round(price, currency).unwrap().amount(),
                Value::Null,
            )
        }
        "rounding_half_up" => {
            let amount = dec(&input["amount"]);
            (
                amount,
                Money::round(amount, currency).unwrap().amount(),
                Value::Null,
            )
        }
        other => panic!("no code for the model {other}"),
    }
}

/// Tokens of several meters, each a price of its own in a plan; rounded once at the end as the
/// case asks, and once per line by the plan, which must agree here.
fn tokens(case: &Value, currency: Currency) -> (Decimal, String, Value) {
    let prices: Vec<Value> = case["input"]["price_per_million"]
        .as_object()
        .unwrap()
        .iter()
        .map(|(m, p)| json!({"meter": m, "model": "per_million", "price_per_million": p}))
        .collect();
    let plan = json!({"id": "t", "version": 1, "currency": case["currency"], "prices": prices});
    let plan = parse_plan("t.json", &plan.to_string(), Format::Json)
        .unwrap()
        .plan;
    let usage: Vec<Usage> = case["input"]["usage"]
        .as_object()
        .unwrap()
        .iter()
        .map(|(m, q)| Usage::new(m, dec(q)))
        .collect();
    let rated = rate(&plan, &usage).unwrap();
    let exact = exact::sum(rated.lines.iter().map(|l| l.exact)).unwrap();
    let total = Money::round(exact, currency).unwrap();
    assert_eq!(rated.total, total.amount());
    let lines: Vec<Value> = rated
        .lines
        .iter()
        .map(|l| {
            let Step::PerMillion {
                units,
                per_million,
                amount,
            } = &l.steps[0]
            else {
                panic!()
            };
            json!({"meter": l.meter, "tokens": units, "per_million": per_million, "amount": amount})
        })
        .collect();
    (exact, total.amount(), json!(lines))
}

fn steps(steps: &[Step]) -> Value {
    serde_json::to_value(steps).unwrap()
}

/// Equal, where strings that are numbers are equal when the numbers are.
fn same(ours: &Value, expected: &Value) -> bool {
    match (ours, expected) {
        (Value::Array(a), Value::Array(b)) => {
            a.len() == b.len() && a.iter().zip(b).all(|(a, b)| same(a, b))
        }
        (Value::Object(a), Value::Object(b)) => {
            a.len() == b.len() && b.iter().all(|(k, v)| a.get(k).is_some_and(|w| same(w, v)))
        }
        (Value::String(a), Value::String(b)) => match (exact::parse(a), exact::parse(b)) {
            (Ok(a), Ok(b)) => a == b,
            _ => a == b,
        },
        _ => ours == expected,
    }
}

#[test]
fn all_cases_give_the_stated_result() {
    let Some(path) = crate::data::shared("billing/rating-examples/examples.json") else {
        eprintln!("skipped: no data");
        return;
    };
    let file: Value = serde_json::from_str(&std::fs::read_to_string(path).unwrap()).unwrap();
    let cases = file["examples"].as_array().unwrap();
    assert_eq!(cases.len() as u64, file["count"].as_u64().unwrap());
    let mut compared = 0;
    for case in cases {
        let id = case["id"].as_str().unwrap();
        let expected = &case["expected"];
        let (exact, total, lines) = answer(case);
        assert_eq!(exact, dec(&expected["exact"]), "{id}: exact");
        assert_eq!(total, expected["total"].as_str().unwrap(), "{id}: total");
        if let Some(want) = expected.get("lines") {
            assert!(
                same(&lines, want),
                "{id}: lines\nours: {lines}\nwant: {want}"
            );
            compared += 1;
        }
    }
    assert!(compared > 40, "only {compared} cases have lines");
}
