//! Forecasts with intervals.
//!
//! Exponential smoothing in state-space form with additive error, damped trend and additive season
//! (Hyndman, Koehler, Ord, Snyder 2008, chapters 2, 3 and 6), chosen among its simpler relatives by AICc.

use serde::{Deserialize, Serialize};
use statrs::distribution::{ContinuousCDF, StudentsT};

use crate::ForecastError;
use crate::error::finite;

/// Known values without which nothing is forecast.
pub const SMALLEST_HISTORY: usize = 7;
/// The widest that a backtest may stretch an interval.
const MOST_STRETCH: f64 = 4.0;

const ALPHAS: &[f64] = &[0.02, 0.06, 0.12, 0.2, 0.3, 0.45, 0.6, 0.8, 0.95];
const BETAS: &[f64] = &[0.05, 0.15, 0.3];
const GAMMAS: &[f64] = &[0.01, 0.08, 0.2, 0.4];
const PHIS: &[f64] = &[0.85, 0.97];

/// A forecast value and where the truth will lie with the asked probability.
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize)]
pub struct Interval {
    /// The expected value.
    pub point: f64,
    /// The lower end.
    pub low: f64,
    /// The upper end.
    pub high: f64,
}

impl Interval {
    /// Cut off at zero, for what cannot be negative.
    #[must_use]
    pub fn not_negative(self) -> Self {
        Self {
            point: self.point.max(0.0),
            low: self.low.max(0.0),
            high: self.high.max(0.0),
        }
    }
}

/// How strongly new values move the parts of the state.
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize)]
struct Smoothing {
    level: f64,
    trend: f64,
    season: f64,
    damping: f64,
}

#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
struct State {
    level: f64,
    trend: f64,
    /// By slot of the season.
    season: Vec<f64>,
}

/// A fitted model of one series.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Model {
    smoothing: Smoothing,
    state: State,
    start: State,
    values: Vec<Option<f64>>,
    variance: f64,
    freedom: f64,
}

impl State {
    fn start(values: &[Option<f64>], season: usize) -> Self {
        let window = if season > 1 {
            2 * season
        } else {
            SMALLEST_HISTORY
        };
        let window = &values[..values.len().min(window)];
        let level = mean(window.iter().flatten().copied()).unwrap_or(0.0);
        let mut shape = vec![0.0; if season > 1 { season } else { 0 }];
        for (slot, place) in shape.iter_mut().enumerate() {
            let there = window.iter().skip(slot).step_by(season).flatten().copied();
            *place = mean(there).map_or(0.0, |mean| mean - level);
        }
        Self {
            level,
            trend: 0.0,
            season: shape,
        }
    }

    fn seasonal(&self, at: usize) -> f64 {
        if self.season.is_empty() {
            return 0.0;
        }
        self.season
            .get(at % self.season.len())
            .copied()
            .unwrap_or(0.0)
    }

    /// Goes one slot on; the error of the forecast for `at`, when its value is known.
    fn step(&mut self, at: usize, value: Option<f64>, by: Smoothing) -> Option<f64> {
        let carried = self.level + by.damping * self.trend;
        let error = value.map(|value| value - carried - self.seasonal(at));
        let moved = error.unwrap_or(0.0);
        self.level = carried + by.level * moved;
        self.trend = by.damping * self.trend + by.trend * moved;
        let slots = self.season.len();
        if slots > 0
            && let Some(place) = self.season.get_mut(at % slots)
        {
            *place += by.season * moved;
        }
        error
    }
}

impl Smoothing {
    /// How much an error moves the forecast `ahead` slots later.
    fn response(&self, ahead: usize, season: usize) -> f64 {
        let damped: f64 = (1..=ahead).map(|i| self.damping.powi(i as i32)).sum();
        let again = if season > 0 && ahead.is_multiple_of(season) {
            self.season
        } else {
            0.0
        };
        self.level + self.trend * damped + again
    }
}

/// What one pass over the values gives.
struct Fitted {
    smoothing: Smoothing,
    state: State,
    variance: f64,
    freedom: f64,
}

/// One pass: the criterion (AICc; the smaller the better) and what came out.
fn filtered(values: &[Option<f64>], start: &State, by: Smoothing) -> (f64, Fitted) {
    let mut state = start.clone();
    let (mut count, mut squares) = (0.0, 0.0);
    for (at, value) in values.iter().enumerate() {
        if let Some(error) = state.step(at, *value, by) {
            count += 1.0;
            squares += error * error;
        }
    }
    let trend = if by.trend > 0.0 { 2.0 } else { 0.0 };
    // The season's start is read off the data rather than fitted, so it counts half.
    let season = match start.season.len() {
        0 => 0.0,
        slots => 1.0 + slots as f64 / 2.0,
    };
    let parameters = 2.0 + trend + season;
    let size = start.level.abs().max(f64::MIN_POSITIVE);
    let error = (squares / count)
        .max(size * size * 1e-20)
        .max(f64::MIN_POSITIVE);
    let few = 2.0 * parameters * count / (count - parameters - 1.0).max(1.0);
    let freedom = (count - parameters).max(2.0);
    let fitted = Fitted {
        smoothing: by,
        state,
        variance: squares / freedom,
        freedom,
    };
    (count * error.ln() + few, fitted)
}

fn mean(values: impl Iterator<Item = f64>) -> Option<f64> {
    let (mut count, mut sum) = (0_u32, 0.0);
    for value in values {
        count += 1;
        sum += value;
    }
    (count > 0).then(|| sum / f64::from(count))
}

impl Model {
    /// Fits to `values`, oldest first, missing ones as `None`. `season` is the number of slots after which the
    /// pattern repeats (7 for days); 0 or 1 for none. A season is only considered with two of them in
    /// the history.
    ///
    /// Cost: about 250 passes over the values with a season, 60 without.
    ///
    /// # Errors
    /// [`ForecastError::TooFew`] below [`SMALLEST_HISTORY`] known values; [`ForecastError::NotFinite`].
    pub fn fit(values: &[Option<f64>], season: usize) -> Result<Self, ForecastError> {
        for value in values.iter().flatten() {
            finite(*value)?;
        }
        // What lies before the first known value is not part of the series.
        let first = values.iter().position(Option::is_some).unwrap_or(0);
        let known = values.iter().flatten().count();
        if known < SMALLEST_HISTORY {
            return Err(ForecastError::TooFew {
                known,
                needed: SMALLEST_HISTORY,
            });
        }
        let values = &values[first..];
        let mut best: Option<(f64, Fitted)> = None;
        let seasons: &[usize] = if season > 1 && known >= 2 * season {
            &[0, season]
        } else {
            &[0]
        };
        for &season in seasons {
            let start = State::start(values, season);
            for smoothing in candidates(season) {
                let (criterion, fitted) = filtered(values, &start, smoothing);
                if best.as_ref().is_none_or(|(least, _)| criterion < *least) {
                    best = Some((criterion, fitted));
                }
            }
        }
        let Some((_, fitted)) = best else {
            return Err(ForecastError::TooFew {
                known,
                needed: SMALLEST_HISTORY,
            });
        };
        Ok(Self {
            start: State::start(values, fitted.state.season.len()),
            values: values.to_vec(),
            smoothing: fitted.smoothing,
            state: fitted.state,
            variance: fitted.variance,
            freedom: fitted.freedom,
        })
    }

    /// Whether a season was found to help.
    pub fn seasonal(&self) -> bool {
        !self.state.season.is_empty()
    }

    /// Whether a trend was found to help.
    pub fn trending(&self) -> bool {
        self.smoothing.trend > 0.0
    }

    /// The next `ahead` slots, each with the interval that holds it with probability `level` (0.9 for 90 %).
    ///
    /// # Errors
    /// [`ForecastError::Setting`] for a level outside 0.5 to 0.999.
    pub fn forecast(&self, ahead: usize, level: f64) -> Result<Vec<Interval>, ForecastError> {
        let quantile = self.quantile(level)?;
        let points = self.points(&self.state, self.values.len(), ahead);
        let variances = self.variances(ahead);
        let stretch = self.stretch(ahead, |points, truths| {
            let terms = points.iter().zip(truths).zip(&variances);
            let sum: f64 = terms
                .map(|((point, truth), variance)| (truth - point).powi(2) / variance)
                .sum();
            sum / points.len() as f64
        });
        Ok(points
            .into_iter()
            .zip(&variances)
            .map(|(point, variance)| around(point, quantile * stretch * variance.sqrt()))
            .collect())
    }

    /// The sum of the next `ahead` slots with its interval: errors of neighbouring slots add up and are not
    /// independent, so this is not the sum of the single intervals.
    ///
    /// # Errors
    /// As [`Model::forecast`].
    pub fn total(&self, ahead: usize, level: f64) -> Result<Interval, ForecastError> {
        let quantile = self.quantile(level)?;
        let sum: f64 = self
            .points(&self.state, self.values.len(), ahead)
            .iter()
            .sum();
        let season = self.state.season.len();
        let (mut spread, mut variance) = (1.0, 0.0);
        for k in 0..ahead {
            if k > 0 {
                spread += self.smoothing.response(k, season);
            }
            variance += spread * spread;
        }
        let variance = variance * self.variance();
        let stretch = self.stretch(ahead, |points, truths| {
            let off: f64 = truths.iter().zip(points).map(|(t, p)| t - p).sum();
            off * off / variance
        });
        Ok(around(sum, quantile * stretch * variance.sqrt()))
    }

    fn quantile(&self, level: f64) -> Result<f64, ForecastError> {
        if !(0.5..=0.999).contains(&level) {
            return Err(ForecastError::Setting {
                what: "level",
                value: level,
                range: "0.5 to 0.999",
            });
        }
        StudentsT::new(0.0, 1.0, self.freedom)
            .map(|t| t.inverse_cdf(0.5 + level / 2.0))
            .map_err(|_| ForecastError::TooFew {
                known: self.values.len(),
                needed: SMALLEST_HISTORY,
            })
    }

    fn variance(&self) -> f64 {
        self.variance.max(f64::MIN_POSITIVE)
    }

    fn points(&self, state: &State, at: usize, ahead: usize) -> Vec<f64> {
        let (mut damped, mut power) = (0.0, 1.0);
        (0..ahead)
            .map(|k| {
                power *= self.smoothing.damping;
                damped += power;
                state.level + damped * state.trend + state.seasonal(at + k)
            })
            .collect()
    }

    /// The variance of the error of each of the next slots, as the model has it.
    fn variances(&self, ahead: usize) -> Vec<f64> {
        let season = self.state.season.len();
        let mut sum = 1.0;
        (0..ahead)
            .map(|k| {
                if k > 0 {
                    sum += self.smoothing.response(k, season).powi(2);
                }
                sum * self.variance()
            })
            .collect()
    }

    /// How much wider the intervals must be than the model says, by how it would have done so far: the root
    /// of the mean of `square` (a squared error over its variance) over all origins in the history that
    /// have `ahead` known values after them. At least 1: a lucky past narrows nothing.
    fn stretch(&self, ahead: usize, square: impl Fn(&[f64], &[f64]) -> f64) -> f64 {
        let season = self.state.season.len();
        let settled = (2 * season).max(SMALLEST_HISTORY);
        let mut state = self.start.clone();
        let (mut origins, mut sum) = (0_u32, 0.0);
        for (at, value) in self.values.iter().enumerate() {
            let next = self.values.get(at..at + ahead);
            if at >= settled
                && let Some(truths) =
                    next.and_then(|next| next.iter().copied().collect::<Option<Vec<f64>>>())
            {
                let mean = square(&self.points(&state, at, ahead), &truths);
                if mean.is_finite() {
                    origins += 1;
                    sum += mean;
                }
            }
            state.step(at, *value, self.smoothing);
        }
        if origins == 0 {
            return 1.0;
        }
        (sum / f64::from(origins)).sqrt().clamp(1.0, MOST_STRETCH)
    }
}

fn around(point: f64, half: f64) -> Interval {
    Interval {
        point,
        low: point - half,
        high: point + half,
    }
}

fn candidates(season: usize) -> Vec<Smoothing> {
    let gammas = if season > 1 { GAMMAS } else { &[0.0][..] };
    let mut all = Vec::new();
    for &level in ALPHAS {
        for &season in gammas {
            // The usual bounds: trend below level, season below what the level leaves.
            let season = season * (1.0 - level);
            all.push(Smoothing {
                level,
                trend: 0.0,
                season,
                damping: 0.0,
            });
            for &part in BETAS {
                for &damping in PHIS {
                    all.push(Smoothing {
                        level,
                        trend: part * level,
                        season,
                        damping,
                    });
                }
            }
        }
    }
    all
}
