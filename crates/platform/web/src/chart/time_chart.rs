//! Values over time: stacked areas, lines or columns.

use std::collections::BTreeMap;

use askama::Template;
use askama::filters::HtmlSafe;
use jiff::tz::TimeZone;
use jiff::{Timestamp, ToSpan};
use rust_decimal::Decimal;
use rust_decimal::prelude::ToPrimitive;

use crate::chart::geometry::{WIDTH, area, line, n, pct, runs};
use crate::chart::scale::Scale;
use crate::chart::time_axis::time_ticks;
use crate::format;

/// How the values are drawn.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Kind {
    /// Areas on each other: parts of a whole.
    Stacked,
    /// Lines beside each other.
    Lines,
    /// Columns on each other, one stack for each moment.
    Columns,
}

/// A value at the start of its span; none is unknown.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Point {
    /// The start of the span it counts for.
    pub at: Timestamp,
    /// The value.
    pub value: Option<Decimal>,
}

/// A named course. Five have a colour of their own; put the rest together as "other".
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Series {
    /// Its name.
    pub name: String,
    /// Its values. A moment that another series has and this one lacks is unknown.
    pub points: Vec<Point>,
}

/// A forecast value with its interval.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct ForecastPoint {
    /// The start of the span it counts for.
    pub at: Timestamp,
    /// The expected value.
    pub mid: Decimal,
    /// The lower end of the interval.
    pub low: Decimal,
    /// The upper end of the interval.
    pub high: Decimal,
}

/// A forecast: dashed, with its interval behind it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Forecast {
    /// Its name, which says the interval: `Forecast, 80 % interval`.
    pub name: String,
    /// Its values.
    pub points: Vec<ForecastPoint>,
}

/// A moment worth a word, such as an anomaly.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Mark {
    /// When.
    pub at: Timestamp,
    /// What.
    pub text: String,
}

/// A value not to be crossed.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Limit {
    /// The value.
    pub value: Decimal,
    /// What it is.
    pub text: String,
}

/// A chart over time.
#[derive(Clone, Debug)]
pub struct TimeChart {
    id: String,
    title: String,
    unit: String,
    kind: Kind,
    from: Timestamp,
    to: Timestamp,
    zone: TimeZone,
    height: u32,
    series: Vec<Series>,
    forecast: Option<Forecast>,
    marks: Vec<Mark>,
    limits: Vec<Limit>,
}

/// Most moments that are drawn; a page asks for coarser spans before.
const MAX_MOMENTS: usize = 2_000;

impl TimeChart {
    /// A chart with an id (unique on the page), a title (`AI tokens by day`) and the unit of
    /// its values, over `[from, to)` in a zone.
    #[must_use]
    pub fn new(
        id: &str,
        title: &str,
        unit: &str,
        kind: Kind,
        (from, to): (Timestamp, Timestamp),
        zone: &TimeZone,
    ) -> Self {
        Self {
            id: id.to_owned(),
            title: title.to_owned(),
            unit: unit.to_owned(),
            kind,
            from,
            to,
            zone: zone.clone(),
            height: 200,
            series: Vec::new(),
            forecast: None,
            marks: Vec::new(),
            limits: Vec::new(),
        }
    }

    /// Adds a series.
    #[must_use]
    pub fn series(mut self, name: &str, points: Vec<Point>) -> Self {
        self.series.push(Series {
            name: name.to_owned(),
            points,
        });
        self
    }

    /// Adds a forecast of the total (or of the only line).
    #[must_use]
    pub fn forecast(mut self, forecast: Forecast) -> Self {
        self.forecast = Some(forecast);
        self
    }

    /// Marks a moment.
    #[must_use]
    pub fn mark(mut self, at: Timestamp, text: &str) -> Self {
        self.marks.push(Mark {
            at,
            text: text.to_owned(),
        });
        self
    }

    /// Draws a limit.
    #[must_use]
    pub fn limit(mut self, value: Decimal, text: &str) -> Self {
        self.limits.push(Limit {
            value,
            text: text.to_owned(),
        });
        self
    }

    /// Height of the plot in px.
    #[must_use]
    pub fn height(mut self, px: u32) -> Self {
        self.height = px.clamp(60, 600);
        self
    }

    fn x(&self, at: Timestamp) -> f64 {
        let span = (self.to.as_microsecond() - self.from.as_microsecond()).max(1);
        let part = at.as_microsecond() - self.from.as_microsecond();
        part.to_f64().unwrap_or(0.0) / span.to_f64().unwrap_or(1.0)
    }

    fn view(&self) -> View<'_> {
        let mut table: BTreeMap<Timestamp, Vec<Option<Decimal>>> = BTreeMap::new();
        for (i, series) in self.series.iter().enumerate() {
            for point in &series.points {
                if point.at >= self.from && point.at < self.to && table.len() < MAX_MOMENTS {
                    let row = table
                        .entry(point.at)
                        .or_insert_with(|| vec![None; self.series.len()]);
                    row[i] = point.value;
                }
            }
        }
        let moments: Vec<Timestamp> = table.keys().copied().collect();
        let values: Vec<Vec<Option<Decimal>>> = table.into_values().collect();
        let scale = self.scale(&values);
        View {
            chart: self,
            moments,
            values,
            scale,
        }
    }

    fn scale(&self, values: &[Vec<Option<Decimal>>]) -> Scale {
        let stacked = self.kind != Kind::Lines;
        let mut all: Vec<f64> = Vec::new();
        for row in values {
            let known = row.iter().flatten().filter_map(Decimal::to_f64);
            if stacked {
                all.push(known.sum())
            } else {
                all.extend(known)
            }
        }
        let forecast = self.forecast.iter().flat_map(|f| &f.points);
        all.extend(
            forecast
                .flat_map(|p| [p.low, p.high])
                .filter_map(|v| v.to_f64()),
        );
        all.extend(self.limits.iter().filter_map(|l| l.value.to_f64()));
        let low = all.iter().copied().fold(0.0, f64::min);
        let high = all.iter().copied().fold(0.0, f64::max);
        Scale::new(low, high, 3)
    }
}

impl std::fmt::Display for TimeChart {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        self.view().fmt(f)
    }
}

impl HtmlSafe for TimeChart {}

/// A chart with its geometry worked out.
#[derive(Template)]
#[template(path = "chart/time.html")]
struct View<'a> {
    chart: &'a TimeChart,
    moments: Vec<Timestamp>,
    values: Vec<Vec<Option<Decimal>>>,
    scale: Scale,
}

/// A drawn piece: a path with its class.
struct Piece {
    class: String,
    d: String,
}

/// A label of an axis.
struct Label {
    place: String,
    text: String,
    anchor: &'static str,
    minor: bool,
}

/// A strip over one moment with words for the pointer.
struct Strip {
    x: String,
    width: String,
    unknown: bool,
    words: String,
}

impl View<'_> {
    fn empty(&self) -> bool {
        self.values.iter().flatten().all(Option::is_none) && self.chart.forecast.is_none()
    }

    fn height(&self) -> f64 {
        f64::from(self.chart.height)
    }

    /// The colour of a series: five of their own, then grey.
    fn class(i: usize) -> String {
        format!("s{}", (i + 1).min(6))
    }

    fn y(&self, value: f64) -> f64 {
        (1.0 - self.scale.share(value)) * self.height()
    }

    fn yd(&self, value: Decimal) -> f64 {
        self.y(value.to_f64().unwrap_or(0.0))
    }

    fn vx(&self, at: Timestamp) -> f64 {
        self.chart.x(at) * WIDTH
    }

    fn grid(&self) -> Vec<Label> {
        let labels = self.scale.labels();
        self.scale
            .ticks
            .iter()
            .zip(labels)
            .map(|(tick, text)| Label {
                place: n(self.y(*tick)),
                text,
                anchor: "end",
                minor: false,
            })
            .collect()
    }

    fn axis(&self) -> Vec<Label> {
        let chart = self.chart;
        time_ticks(chart.from, chart.to, &chart.zone, 7)
            .into_iter()
            .enumerate()
            .map(|(i, tick)| {
                let x = chart.x(tick.at);
                let anchor = match x {
                    x if x < 0.03 => "start",
                    x if x > 0.95 => "end",
                    _ => "middle",
                };
                Label {
                    place: pct(x),
                    text: tick.label,
                    anchor,
                    minor: i % 2 == 1,
                }
            })
            .collect()
    }

    /// Stacked bounds of each series at each moment, in px; a moment at which any part is
    /// unknown has no stack, because its total is unknown.
    fn stack(&self) -> Vec<Option<Vec<(f64, f64)>>> {
        self.values
            .iter()
            .map(|row| {
                let mut base = 0.0;
                row.iter()
                    .map(|value| {
                        let bottom = base;
                        base += (*value)?.to_f64()?;
                        Some((self.y(bottom), self.y(base)))
                    })
                    .collect()
            })
            .collect()
    }

    /// Half the distance between moments, as a share of the width: how wide a column may be.
    fn slot(&self) -> f64 {
        let xs: Vec<f64> = self.moments.iter().map(|m| self.chart.x(*m)).collect();
        let closest = xs.windows(2).map(|w| w[1] - w[0]).fold(1.0, f64::min);
        closest.clamp(0.000_5, 1.0)
    }

    fn pieces(&self) -> Vec<Piece> {
        match self.chart.kind {
            Kind::Stacked => self.areas(),
            Kind::Lines => self.lines(),
            Kind::Columns => self.columns(),
        }
    }

    fn areas(&self) -> Vec<Piece> {
        let stack = self.stack();
        let mut pieces = Vec::new();
        for run in runs(&stack) {
            for i in 0..self.chart.series.len() {
                let mut top = Vec::new();
                let mut bottom = Vec::new();
                for (moment, at) in stack[run.clone()].iter().zip(&self.moments[run.clone()]) {
                    let Some((low, high)) = moment.as_ref().and_then(|m| m.get(i)) else {
                        continue;
                    };
                    top.push((self.vx(*at), *high));
                    bottom.push((self.vx(*at), *low));
                }
                if let [(x, y)] = top[..] {
                    // A single moment between gaps has no width; it is drawn one hair wide.
                    top.push((x + 2.0, y));
                    bottom.push((x + 2.0, bottom[0].1));
                }
                let class = Self::class(i);
                pieces.push(Piece {
                    class: format!("fill {class}"),
                    d: area(&top, &bottom),
                });
                pieces.push(Piece {
                    class: format!("line {class}"),
                    d: line(&top),
                });
            }
        }
        pieces
    }

    fn lines(&self) -> Vec<Piece> {
        let mut pieces = Vec::new();
        for i in 0..self.chart.series.len() {
            let column: Vec<Option<f64>> = self
                .values
                .iter()
                .map(|row| row[i].and_then(|v| v.to_f64()))
                .collect();
            for run in runs(&column) {
                let mut points: Vec<(f64, f64)> = run
                    .filter_map(|k| Some((self.vx(self.moments[k]), self.y(column[k]?))))
                    .collect();
                if let [(x, y)] = points[..] {
                    points.push((x + 2.0, y));
                }
                let class = format!("line {}", Self::class(i));
                pieces.push(Piece {
                    class,
                    d: line(&points),
                });
            }
        }
        pieces
    }

    fn columns(&self) -> Vec<Piece> {
        let width = self.slot() * WIDTH;
        let pad = width * 0.12;
        let mut pieces = Vec::new();
        let stack = self.stack();
        for i in 0..self.chart.series.len() {
            let d: String = stack
                .iter()
                .zip(&self.moments)
                .filter_map(|(moment, at)| {
                    let (low, high) = *moment.as_ref()?.get(i)?;
                    let (left, right) = (self.vx(*at) + pad, self.vx(*at) + width - pad);
                    Some(area(
                        &[(left, high), (right, high)],
                        &[(left, low), (right, low)],
                    ))
                })
                .collect();
            pieces.push(Piece {
                class: format!("solid {}", Self::class(i)),
                d,
            });
        }
        pieces
    }

    fn forecast_pieces(&self) -> Vec<Piece> {
        let Some(forecast) = &self.chart.forecast else {
            return Vec::new();
        };
        let edge = |value: fn(&ForecastPoint) -> Decimal| -> Vec<(f64, f64)> {
            let inside = forecast
                .points
                .iter()
                .filter(|p| p.at >= self.chart.from && p.at <= self.chart.to);
            inside.map(|p| (self.vx(p.at), self.yd(value(p)))).collect()
        };
        let (mid, low, high) = (edge(|p| p.mid), edge(|p| p.low), edge(|p| p.high));
        vec![
            Piece {
                class: "interval".to_owned(),
                d: area(&high, &low),
            },
            Piece {
                class: "forecast".to_owned(),
                d: line(&mid),
            },
        ]
    }

    fn strips(&self) -> Vec<Strip> {
        let width = self.slot();
        // Areas and lines stand at the moment, columns after it.
        let shift = if self.chart.kind == Kind::Columns {
            0.0
        } else {
            width / 2.0
        };
        self.moments
            .iter()
            .zip(&self.values)
            .map(|(at, row)| {
                let left = (self.chart.x(*at) - shift).max(0.0);
                let right = (self.chart.x(*at) - shift + width).min(1.0);
                let mut words = self.moment(*at);
                for (series, value) in self.chart.series.iter().zip(row) {
                    let value = value.map_or_else(
                        || "unknown".to_owned(),
                        |v| format!("{}{}{}", format::decimal(v), format::NBSP, self.chart.unit),
                    );
                    words.push_str(&format!("\n{}: {value}", series.name));
                }
                Strip {
                    x: pct(left),
                    width: pct((right - left).max(0.0)),
                    unknown: row.iter().any(Option::is_none),
                    words,
                }
            })
            .collect()
    }

    /// Marks with the side on which their words have room, one under the other.
    fn marks(&self) -> Vec<(Label, f64)> {
        self.chart
            .marks
            .iter()
            .filter(|m| m.at >= self.chart.from && m.at < self.chart.to)
            .enumerate()
            .map(|(i, m)| {
                let x = self.chart.x(m.at);
                let anchor = if x > 0.5 { "end" } else { "start" };
                let line = (i % 4).to_f64().unwrap_or(0.0);
                (
                    Label {
                        place: pct(x),
                        text: m.text.clone(),
                        anchor,
                        minor: false,
                    },
                    line * 14.0 + 10.0,
                )
            })
            .collect()
    }

    fn limits(&self) -> Vec<(String, String, &str)> {
        self.chart
            .limits
            .iter()
            .map(|l| {
                let y = self.yd(l.value);
                // The words stand above the line, or below it at the very top.
                (
                    n(y),
                    n(if y < 14.0 { y + 12.0 } else { y - 4.0 }),
                    l.text.as_str(),
                )
            })
            .collect()
    }

    fn moment(&self, at: Timestamp) -> String {
        let midnight = |t: &Timestamp| {
            let z = t.to_zoned(self.chart.zone.clone());
            z.hour() == 0 && z.minute() == 0
        };
        if self.moments.iter().all(midnight) {
            format::day(at, &self.chart.zone)
        } else {
            format::minute(at, &self.chart.zone)
        }
    }

    /// What somebody who does not see the drawing is told first.
    fn description(&self) -> String {
        let chart = self.chart;
        let names: Vec<&str> = chart.series.iter().map(|s| s.name.as_str()).collect();
        let total: Vec<Decimal> = self
            .values
            .iter()
            .filter_map(|row| row.iter().copied().sum::<Option<Decimal>>())
            .collect();
        let unknown = self.values.len() - total.len();
        // The end is not included: the last day is the one before it.
        let last = chart.to.checked_sub(1.microsecond()).unwrap_or(chart.to);
        let mut text = format!(
            "{} of {} from {} to {}, in {}",
            match chart.kind {
                Kind::Stacked => "Stacked areas",
                Kind::Lines => "Lines",
                Kind::Columns => "Columns",
            },
            names.join(", "),
            format::day(chart.from, &chart.zone),
            format::day(last, &chart.zone),
            chart.unit
        );
        if chart.kind != Kind::Lines
            && let (Some(low), Some(high)) = (total.iter().min(), total.iter().max())
        {
            text.push_str(&format!(
                "; total between {} and {}",
                format::decimal(*low),
                format::decimal(*high)
            ));
        }
        if unknown > 0 {
            text.push_str(&format!(
                "; unknown at {unknown} of {} moments",
                self.values.len()
            ));
        }
        for mark in &chart.marks {
            text.push_str(&format!("; {} at {}", mark.text, self.moment(mark.at)));
        }
        text.push('.');
        text
    }

    fn rows(&self) -> Vec<(String, Vec<Option<String>>)> {
        self.moments
            .iter()
            .zip(&self.values)
            .map(|(at, row)| {
                (
                    self.moment(*at),
                    row.iter().map(|v| v.map(format::decimal)).collect(),
                )
            })
            .collect()
    }

    fn forecast_rows(&self) -> Vec<(String, String, String, String)> {
        let points = self.chart.forecast.iter().flat_map(|f| &f.points);
        points
            .map(|p| {
                let [mid, low, high] = [p.mid, p.low, p.high].map(format::decimal);
                (self.moment(p.at), mid, low, high)
            })
            .collect()
    }

    fn any_unknown(&self) -> bool {
        self.values.iter().flatten().any(Option::is_none)
    }
}
