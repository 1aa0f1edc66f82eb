//! Looks for anomalies in the usage rows.
//!
//! Each evaluation reads the days and hours anew, so that late events are taken in: what a late event makes
//! ordinary is dismissed, what it makes extraordinary is found.

use std::collections::{BTreeMap, BTreeSet};

use sealwright_core::clock::{DAY, HOUR, MINUTE};
use sealwright_core::{Digest, TenantId, TenantScope, UnixMicros};
use sealwright_forecast::{Detector, Deviation, Finding, Judgement, Severity};
use sealwright_ledger::EntryDraft;
use serde::Serialize;
use serde_json::json;

use super::words::{Judged, by_rule, by_season};
use super::{AnomalyService, detector, digest, rows};
use crate::model::anomaly::{
    Anomaly, AnomalyBody, AnomalyId, AnomalySettings, AnomalyState, DetectorName, HistoryPoint,
};
use crate::model::{Grain, Span};
use crate::service::BillingError;
use crate::service::meter::adds_up;
use crate::service::usage::UsageQuery;

/// Whole days that are judged anew at each evaluation, for late events.
pub const LOOK_BACK_DAYS: i64 = 7;
/// Hours that are judged anew at each evaluation.
const LOOK_BACK_HOURS: i64 = 48;
/// Days of hours that the seasonal detector learns from.
const LEARN_DAYS: i64 = 70;
/// How long after its end an hour counts as complete.
const SETTLED: i64 = 10 * MINUTE;
/// Hours of history that an anomaly keeps: two weeks.
const KEPT_HOURS: usize = 336;

/// What an evaluation did.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize)]
pub struct Evaluated {
    /// Tenants that were looked at.
    pub tenants: u64,
    /// Series (a meter by day or by hour) that were looked at.
    pub series: u64,
    /// Anomalies that are new.
    pub found: u64,
    /// Open ones whose value or severity is another than before.
    pub updated: u64,
    /// Open ones that late events made ordinary.
    pub dismissed: u64,
}

/// A series: by slot, `None` where nothing is known.
struct Series {
    unit: String,
    values: Vec<Option<(f64, String)>>,
}

type Key = (String, &'static str, UnixMicros, DetectorName);

struct Found {
    meter: String,
    grain: Grain,
    at: UnixMicros,
    detector: DetectorName,
    severity: Severity,
    body: AnomalyBody,
}

impl AnomalyService {
    /// Evaluates the tenants of a scope.
    ///
    /// Cost: two indexed reads of a tenant's usage (about 40 days and 70 days of it), and a pass over the hours
    /// of each meter.
    ///
    /// # Errors
    /// From the state; tenants before the failing one stay evaluated.
    pub async fn evaluate(
        &self,
        scope: TenantScope,
        actor: &str,
    ) -> Result<Evaluated, BillingError> {
        let mut done = Evaluated::default();
        for tenant in self.directory.all() {
            if scope.allows(tenant.id) {
                self.evaluate_tenant(tenant.id, actor, &mut done).await?;
            }
        }
        Ok(done)
    }

    async fn evaluate_tenant(
        &self,
        tenant: TenantId,
        actor: &str,
        done: &mut Evaluated,
    ) -> Result<(), BillingError> {
        let settings = self.settings(tenant).await?;
        if !settings.enabled {
            return Ok(());
        }
        done.tenants += 1;
        let now = self.clock.now();
        let today = now.floor_day();
        let mut found = Vec::new();
        let mut looked: BTreeSet<(String, &'static str)> = BTreeSet::new();
        let days = LOOK_BACK_DAYS + i64::try_from(settings.rule.window).unwrap_or(366);
        let span = Span {
            from: today.plus(-days * DAY),
            to: today.plus(DAY),
        };
        for (meter, series) in self.series(tenant, span, Grain::Day, DAY).await? {
            looked.insert((meter.clone(), "day"));
            self.judge_days(&settings, &meter, &series, span, &mut found)?;
        }
        let hours = Span {
            from: today.plus(-LEARN_DAYS * DAY),
            to: now.plus(-SETTLED).floor_hour(),
        };
        if settings.seasonal && hours.from < hours.to {
            for (meter, series) in self.series(tenant, hours, Grain::Hour, HOUR).await? {
                looked.insert((meter.clone(), "hour"));
                judge_hours(&settings, &meter, &series, hours, &mut found)?;
            }
        }
        done.series += looked.len() as u64;
        let since = today.plus(-LOOK_BACK_DAYS * DAY);
        self.keep(tenant, (since, now), &looked, found, actor, done)
            .await
    }

    /// The values of each meter. Where values add up, a slot without any is zero if the tenant sent something
    /// else that day, and unknown if it sent nothing: a silent source is not the same as no usage.
    async fn series(
        &self,
        tenant: TenantId,
        span: Span,
        grain: Grain,
        step: i64,
    ) -> Result<BTreeMap<String, Series>, BillingError> {
        let query = UsageQuery {
            grain: Some(grain),
            ..UsageQuery::over(span)
        };
        let scope = TenantScope::One(tenant);
        let points = self.usage.summary(scope, &query).await?;
        let length = usize::try_from(span.to.since(span.from) / step).unwrap_or(0);
        let mut heard: BTreeSet<UnixMicros> = BTreeSet::new();
        let mut all: BTreeMap<String, Series> = BTreeMap::new();
        for point in points {
            let Some(text) = point.quantity else { continue };
            let Ok(value) = text.parse::<f64>() else {
                continue;
            };
            heard.insert(point.from.floor_day());
            let series = all.entry(point.meter).or_insert_with(|| Series {
                unit: point.unit,
                values: vec![None; length],
            });
            let place = usize::try_from(point.from.since(span.from) / step).unwrap_or(usize::MAX);
            if let Some(slot) = series.values.get_mut(place) {
                *slot = Some((value, text));
            }
        }
        let meters = self.usage.meters().current();
        for (meter, series) in &mut all {
            let sums = meters
                .definition(meter)
                .is_some_and(|def| adds_up(def.aggregation));
            if !sums {
                continue;
            }
            let first = series.values.iter().position(Option::is_some);
            for (place, slot) in series.values.iter_mut().enumerate() {
                let at = span.from.plus(i64::try_from(place).unwrap_or(0) * step);
                if slot.is_none()
                    && first.is_some_and(|first| place > first)
                    && heard.contains(&at.floor_day())
                {
                    *slot = Some((0.0, "0".to_owned()));
                }
            }
        }
        Ok(all)
    }

    fn judge_days(
        &self,
        settings: &AnomalySettings,
        meter: &str,
        series: &Series,
        span: Span,
        found: &mut Vec<Found>,
    ) -> Result<(), BillingError> {
        let rule = &settings.rule;
        let values: Vec<Option<f64>> = series
            .values
            .iter()
            .map(|slot| slot.as_ref().map(|(value, _)| *value))
            .collect();
        let last = values.len().saturating_sub(1);
        let sums = self
            .usage
            .meters()
            .current()
            .definition(meter)
            .is_some_and(|def| adds_up(def.aggregation));
        for (place, value) in values.iter().enumerate().skip(rule.window) {
            let partial = place == last;
            // Of a day that is not over only a sum can be told, and only that it is too high already.
            if partial && !sums {
                continue;
            }
            let judged = rule
                .judge(&values[..place], *value)
                .map_err(|error| BillingError::Invalid(error.to_string()))?;
            let (
                Judgement::Known {
                    mean,
                    spread,
                    known,
                    deviation,
                    low,
                    high,
                    severity: Some(severity),
                },
                Some(value),
                Some(Some((_, exact))),
            ) = (judged, *value, series.values.get(place))
            else {
                continue;
            };
            if partial && value <= high {
                continue;
            }
            let at = span.from.plus(i64::try_from(place).unwrap_or(0) * DAY);
            let from = place.saturating_sub(rule.window);
            let words = Judged {
                value,
                mean,
                spread,
                known,
                deviation,
                severity,
                partial,
            };
            found.push(Found {
                meter: meter.to_owned(),
                grain: Grain::Day,
                at,
                detector: DetectorName::DeviationRule,
                severity,
                body: AnomalyBody {
                    value: exact.clone(),
                    unit: series.unit.clone(),
                    partial,
                    expected: mean,
                    low,
                    high,
                    deviation: match deviation {
                        Deviation::Of(far) => Some(far),
                        Deviation::FromNothing => None,
                    },
                    why: by_rule(rule, &series.unit, &words),
                    history: history(series, from..place, span.from, DAY),
                    settings: *settings,
                    note: None,
                },
            });
        }
        Ok(())
    }

    /// Keeps what was found; what was open, was looked at again and is not found any more, is dismissed.
    async fn keep(
        &self,
        tenant: TenantId,
        span: (UnixMicros, UnixMicros),
        looked: &BTreeSet<(String, &'static str)>,
        found: Vec<Found>,
        actor: &str,
        done: &mut Evaluated,
    ) -> Result<(), BillingError> {
        let mut tx = self.store.begin().await?;
        let there = rows::between(&mut tx, tenant, span).await?;
        tx.rollback().await?;
        let mut there: BTreeMap<Key, Anomaly> = there
            .into_iter()
            .map(|anomaly| {
                (
                    key(&anomaly.meter, anomaly.grain, anomaly.at, anomaly.detector),
                    anomaly,
                )
            })
            .collect();
        for one in found {
            let key = key(&one.meter, one.grain, one.at, one.detector);
            match there.remove(&key) {
                None => {
                    if self.open(tenant, one, actor).await? {
                        done.found += 1;
                    }
                }
                Some(before)
                    if before.state == AnomalyState::Open
                        && (before.body.value != one.body.value
                            || before.severity != one.severity) =>
                {
                    let after = Anomaly {
                        severity: one.severity,
                        body: one.body,
                        ..before.clone()
                    };
                    self.change(&before, after, "update", actor).await?;
                    done.updated += 1;
                }
                Some(_) => {}
            }
        }
        // Hours are looked at again for two days, days for a week.
        let hours_from = span.1.plus(-LOOK_BACK_HOURS * HOUR);
        for ((meter, grain, at, _), before) in there {
            let again = match grain {
                "hour" => at >= hours_from,
                _ => true,
            };
            if before.state == AnomalyState::Open && again && looked.contains(&(meter, grain)) {
                let mut after = before.clone();
                after.state = AnomalyState::Dismissed;
                after.body.note = Some("With usage that came late it is as expected.".to_owned());
                self.change(&before, after, "dismiss", actor).await?;
                done.dismissed += 1;
            }
        }
        Ok(())
    }

    async fn open(
        &self,
        tenant: TenantId,
        found: Found,
        actor: &str,
    ) -> Result<bool, BillingError> {
        let now = self.clock.now();
        let mut anomaly = Anomaly {
            id: AnomalyId::new(now),
            tenant,
            meter: found.meter,
            grain: found.grain,
            at: found.at,
            detector: found.detector,
            severity: found.severity,
            state: AnomalyState::Open,
            revision: 1,
            body: found.body,
            found_at: now,
            updated_at: now,
            updated_by: actor.to_owned(),
            ledger_entry: None,
        };
        let entry = EntryDraft::new(actor, "billing.anomaly.find", anomaly.id.to_string())
            .tenant(tenant)
            .after(digest(&anomaly))
            .details(json!({
                "meter": anomaly.meter, "at": anomaly.at.to_string(),
                "severity": anomaly.severity, "detector": anomaly.detector,
                "value": anomaly.body.value,
                "settings": Digest::of_json(&json!(anomaly.body.settings)),
            }));
        let mut tx = self.store.begin().await?;
        let entry = self.ledger.record(&mut tx, &entry).await?;
        anomaly.ledger_entry = Some(entry.to_string());
        if !rows::insert(&mut tx, &anomaly).await? {
            // Another process found it first.
            tx.rollback().await?;
            return Ok(false);
        }
        self.tell(&mut tx, &anomaly).await?;
        tx.commit().await?;
        self.ledger.nudge();
        Ok(true)
    }
}

fn key(meter: &str, grain: Grain, at: UnixMicros, detector: DetectorName) -> Key {
    let grain = match grain {
        Grain::Hour => "hour",
        Grain::Day => "day",
        Grain::Month => "month",
    };
    (meter.to_owned(), grain, at, detector)
}

fn history(
    series: &Series,
    places: std::ops::Range<usize>,
    from: UnixMicros,
    step: i64,
) -> Vec<HistoryPoint> {
    places
        .filter_map(|place| {
            let slot = series.values.get(place)?;
            Some(HistoryPoint {
                at: from.plus(i64::try_from(place).ok()? * step),
                value: slot.as_ref().map(|(_, text)| text.clone()),
            })
        })
        .collect()
}

fn judge_hours(
    settings: &AnomalySettings,
    meter: &str,
    series: &Series,
    span: Span,
    found: &mut Vec<Found>,
) -> Result<(), BillingError> {
    let invalid =
        |error: sealwright_forecast::ForecastError| BillingError::Invalid(error.to_string());
    let mut streaming = Detector::new(detector(settings)).map_err(invalid)?;
    let judged_from = span.to.plus(-LOOK_BACK_HOURS * HOUR);
    for (place, slot) in series.values.iter().enumerate() {
        let Some((value, exact)) = slot else { continue };
        let at = span.from.plus(i64::try_from(place).unwrap_or(0) * HOUR);
        let known = streaming.known();
        let finding: Finding = streaming.observe(at.0 / HOUR, *value).map_err(invalid)?;
        let (Some(severity), true) = (finding.severity, at >= judged_from) else {
            continue;
        };
        let from = place.saturating_sub(KEPT_HOURS);
        found.push(Found {
            meter: meter.to_owned(),
            grain: Grain::Hour,
            at,
            detector: DetectorName::Seasonal,
            severity,
            body: AnomalyBody {
                value: exact.clone(),
                unit: series.unit.clone(),
                partial: false,
                expected: finding.expected,
                low: finding.low.unwrap_or(finding.expected),
                high: finding.high.unwrap_or(finding.expected),
                deviation: finding.surprise,
                why: by_season(
                    *value,
                    &series.unit,
                    &finding,
                    known,
                    settings.false_alarms_a_month,
                ),
                history: history(series, from..place, span.from, HOUR),
                settings: *settings,
                note: None,
            },
        });
    }
    Ok(())
}
