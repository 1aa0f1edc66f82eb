use jiff::tz::TimeZone;
use jiff::{Timestamp, ToSpan};
use rust_decimal::Decimal;
use sealwright_web::chart::{Bars, Forecast, ForecastPoint, Kind, Point, Sparkline, TimeChart};
use sealwright_web::component::{Badge, Tone};

fn start() -> Timestamp {
    "2026-11-01T00:00:00Z".parse().unwrap()
}

fn at(day: i64) -> Timestamp {
    start() + (24 * day).hours()
}

fn points(values: &[Option<i64>]) -> Vec<Point> {
    (0..)
        .zip(values)
        .map(|(d, v)| Point {
            at: at(d),
            value: v.map(Decimal::from),
        })
        .collect()
}

fn chart(kind: Kind) -> TimeChart {
    TimeChart::new(
        "c",
        "Requests by day",
        "requests",
        kind,
        (start(), at(8)),
        &TimeZone::UTC,
    )
    .series(
        "eu",
        points(&[Some(10), Some(20), None, Some(30), Some(40)]),
    )
    .series("us", points(&[Some(5), Some(5), Some(5), Some(0), Some(5)]))
    .height(100)
}

/// Tags on lines of their own, so that a change can be read.
fn lines(html: &str) -> String {
    html.replace("><", ">\n<")
}

#[test]
fn stacked_areas_with_a_gap_a_forecast_and_a_mark() {
    let forecast = Forecast {
        name: "Forecast, 80 % interval".to_owned(),
        points: (4..8)
            .map(|d| ForecastPoint {
                at: at(d),
                mid: Decimal::from(45 + d),
                low: Decimal::from(45),
                high: Decimal::from(45 + 2 * d),
            })
            .collect(),
    };
    let chart = chart(Kind::Stacked)
        .forecast(forecast)
        .mark(at(3), "anomaly: eu +3.1σ")
        .limit(Decimal::from(55), "budget");
    insta::assert_snapshot!(lines(&chart.to_string()));
}

#[test]
fn lines_break_at_what_is_unknown() {
    let html = chart(Kind::Lines).to_string();
    let eu = html.matches("class=\"line s1\"").count();
    let us = html.matches("class=\"line s2\"").count();
    assert_eq!((eu, us), (2, 1), "two pieces around the gap, one without");
}

#[test]
fn unknown_is_written_and_zero_is_a_number() {
    let html = chart(Kind::Columns).to_string();
    assert!(html.contains("eu: unknown\nus: 5"), "words of the gap");
    assert!(html.contains("<td class=\"num\">0</td>"), "zero stays zero");
    assert!(html.contains("unknown at 1 of 5 moments"));
    // Four stacks are drawn of five moments: the total of the third is unknown.
    let path = html
        .split("class=\"solid s1\" d=\"")
        .nth(1)
        .unwrap()
        .split('"')
        .next()
        .unwrap();
    assert_eq!(path.matches('Z').count(), 4);
}

#[test]
fn nothing_known_says_so() {
    let empty = TimeChart::new("e", "T", "u", Kind::Lines, (start(), at(8)), &TimeZone::UTC)
        .series("a", points(&[None, None]));
    let html = empty.to_string();
    assert!(html.contains("Nothing is known for this span of time."));
    assert!(!html.contains("<path"));
}

#[test]
fn points_outside_the_span_are_not_drawn() {
    let html = TimeChart::new("o", "T", "u", Kind::Lines, (at(1), at(2)), &TimeZone::UTC)
        .series("a", points(&[Some(1), Some(2), Some(3)]))
        .to_string();
    assert_eq!(html.matches("<th scope=\"row\"").count(), 1);
}

#[test]
fn sparkline() {
    let values = [Some(3), None, Some(1), Some(9), Some(4)].map(|v| v.map(Decimal::from));
    insta::assert_snapshot!(lines(&Sparkline::new("Spend", values.to_vec()).to_string()));
    assert_eq!(
        Sparkline::new("Spend", vec![None]).to_string(),
        "<span class=\"unknown\">unknown</span>"
    );
}

#[test]
fn bars_share_a_scale() {
    let bars = Bars::new("Tokens by model", "Model", "tokens")
        .bar("large", Some(Decimal::from(200)))
        .bar("small", Some(Decimal::from(50)))
        .state(Badge::new(Tone::Warn, "deprecated"))
        .bar("lost", None);
    insta::assert_snapshot!(lines(&bars.to_string()));
}
