//! The streaming detector.

use serde::{Deserialize, Serialize};

use crate::error::finite;
use crate::tail::Tail;
use crate::{ForecastError, Severity};

/// The largest season, in slots: bounds the state at about 12 bytes a slot.
pub const LARGEST_SEASON: u32 = 2048;

/// Days in the month that false alarms are counted by.
const MONTH_DAYS: f64 = 30.0;
/// A seasonal profile is used when it makes the error of the plain level smaller than this part.
const SEASON_GAIN: f64 = 0.9;
/// The weight of a new value in its seasonal slot, once the slot is settled.
const SEASON_WEIGHT: f64 = 0.15;
/// How often a slot of the season was seen before its differences say something about later ones.
const SETTLED: u32 = 2;
/// Known values before anything is judged.
const WARM_UP: u64 = 168;

/// How often values come and after how many the pattern repeats.
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Cadence {
    /// Slots a day: 288 for values every five minutes, 24 for hours, 1 for days.
    pub per_day: u32,
    /// Slots after which the pattern repeats: 24 or 168 for hours, 7 for days; 0 for none.
    pub season: u32,
}

impl Cadence {
    /// Every hour, repeating by the hour of the week.
    pub const HOURLY: Self = Self {
        per_day: 24,
        season: 168,
    };
    /// Every five minutes, repeating by the time of the day.
    pub const FIVE_MINUTES: Self = Self {
        per_day: 288,
        season: 288,
    };
}

/// What a detector is told: how often values come, and how many false alarms are bearable.
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct DetectorConfig {
    /// The rhythm of the values.
    pub cadence: Cadence,
    /// Expected false alarms a series and 30 days, on a series whose behaviour does not change.
    pub false_alarms_a_month: f64,
}

impl DetectorConfig {
    /// One false alarm a month.
    pub const fn new(cadence: Cadence) -> Self {
        Self {
            cadence,
            false_alarms_a_month: 1.0,
        }
    }

    /// Whether the settings make sense.
    ///
    /// # Errors
    /// [`ForecastError::Setting`] names the first that does not.
    pub fn check(&self) -> Result<(), ForecastError> {
        let bad = |what, value, range| Err(ForecastError::Setting { what, value, range });
        if !(1..=86_400).contains(&self.cadence.per_day) {
            return bad("per_day", self.cadence.per_day.into(), "1 to 86,400");
        }
        if self.cadence.season > LARGEST_SEASON {
            return bad("season", self.cadence.season.into(), "0 to 2,048 slots");
        }
        let budget = self.false_alarms_a_month;
        if !(budget.is_finite() && (0.001..=1000.0).contains(&budget)) {
            return bad("false_alarms_a_month", budget, "0.001 to 1,000");
        }
        Ok(())
    }

    /// The weight of a new value in the short level, which has a half-life of half an hour: what lasts
    /// shorter than that is noise to this detector.
    fn short_weight(&self) -> f64 {
        let half_life = f64::from(self.cadence.per_day) / 48.0;
        1.0 - 0.5_f64.powf(1.0 / half_life)
    }

    /// The weight of a new value in the long level: a half-life of a week, at least 28 values.
    fn long_weight(&self) -> f64 {
        let half_life = (7.0 * f64::from(self.cadence.per_day)).max(28.0);
        1.0 - 0.5_f64.powf(1.0 / half_life)
    }

    /// Slots in which the memory of the last alarm fades to one half: half a day.
    fn fading(&self) -> f64 {
        (f64::from(self.cadence.per_day) / 2.0).max(1.0)
    }

    /// The surprise from which on it is an alarm, in nats: every value is a chance for a false alarm, and the budget
    /// divided by a month's chances is the probability that an alarm must stay below. Neighbours of a
    /// smoothed series are not independent, which only makes false alarms fewer.
    pub fn threshold(&self) -> f64 {
        let chances = MONTH_DAYS * f64::from(self.cadence.per_day);
        (chances / self.false_alarms_a_month)
            .ln()
            .max(-(0.05_f64.ln()))
    }
}

/// What the detector says of one value.
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize)]
pub struct Finding {
    /// How unlikely the recent values are, in nats; `None` while too little is known to say.
    pub surprise: Option<f64>,
    /// As `surprise`, but zero where a recent greater one has not faded yet: alarms go by this.
    pub fresh: f64,
    /// What was expected of this value.
    pub expected: f64,
    /// The lowest value that would not have been an alarm; `None` while too little is known.
    pub low: Option<f64>,
    /// The highest value that would not have been an alarm; `None` while too little is known.
    pub high: Option<f64>,
    /// Whether the expectation has the season in it.
    pub seasonal: bool,
    /// How bad it is: at the threshold a warning, ten times rarer high, a hundred times rarer critical.
    pub severity: Option<Severity>,
}

/// Smoothed differences from one kind of expectation, and the tail of their sizes. Each kind has its own: sizes
/// from before a season was known say nothing about those after it.
#[derive(Debug, Clone, Copy, Default, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct Track {
    short: f64,
    tail: Tail,
}

impl Track {
    /// Takes in a difference; what of the smoothed one was there before.
    fn smooth(&mut self, off: f64, weight: f64) -> f64 {
        let carried = (1.0 - weight) * self.short;
        self.short = carried + weight * off;
        carried
    }
}

/// A streaming detector of one series: constant time a value, bounded state, serialisable at any point.
///
/// A long level (half-life a week) and, where it helps, a seasonal profile say what is expected. The
/// smoothed difference (half-life half an hour) is compared with the tail of all differences so far
/// ([`Tail`]); the threshold follows from the budget of false alarms. After an alarm only something
/// more surprising alarms again, until the first has faded: an incident is one alarm.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Detector {
    config: DetectorConfig,
    known: u64,
    last: Option<i64>,
    long: f64,
    spread: f64,
    plain: Track,
    in_season: Track,
    /// By slot of the season: deviation from the long level, and how often it was seen.
    profile: Vec<(f64, u32)>,
    compared: u64,
    plain_error: f64,
    season_error: f64,
    peak: f64,
    peak_at: i64,
}

impl Detector {
    /// A detector that has seen nothing.
    ///
    /// # Errors
    /// As [`DetectorConfig::check`].
    pub fn new(config: DetectorConfig) -> Result<Self, ForecastError> {
        config.check()?;
        let season = if config.cadence.season > 1 {
            config.cadence.season as usize
        } else {
            0
        };
        Ok(Self {
            config,
            known: 0,
            last: None,
            long: 0.0,
            spread: 0.0,
            plain: Track::default(),
            in_season: Track::default(),
            profile: vec![(0.0, 0); season],
            compared: 0,
            plain_error: 0.0,
            season_error: 0.0,
            peak: 0.0,
            peak_at: 0,
        })
    }

    /// What it was told.
    pub fn config(&self) -> &DetectorConfig {
        &self.config
    }

    /// How many values it has seen.
    pub fn known(&self) -> u64 {
        self.known
    }

    /// Whether the seasonal profile is in use.
    pub fn seasonal(&self) -> bool {
        self.compared > self.profile.len() as u64
            && self.in_season.tail.seen() > WARM_UP
            && self.season_error < SEASON_GAIN * self.plain_error
    }

    /// Takes in the value of a slot and judges it by those before. Slots are numbered by time, so that slot
    /// modulo season is the place in the pattern; slots that are never observed are missing values,
    /// and change nothing.
    ///
    /// # Errors
    /// When the value is not finite or the slot not after the last one; the detector is unchanged.
    pub fn observe(&mut self, slot: i64, value: f64) -> Result<Finding, ForecastError> {
        let value = finite(value)?;
        if let Some(last) = self.last
            && slot <= last
        {
            return Err(ForecastError::Backwards { slot, last });
        }
        if self.known == 0 {
            self.long = value;
        }
        self.last = Some(slot);
        self.known += 1;
        let place = self.place(slot);
        let season = place
            .and_then(|place| self.profile.get(place))
            .filter(|(_, seen)| *seen >= SETTLED)
            .map(|(deviation, _)| *deviation);
        let off = value - self.long;
        let seasonal = season.is_some() && self.seasonal();
        let base = if seasonal { season.unwrap_or(0.0) } else { 0.0 };
        let expected = self.long + base;
        if let Some(season) = season {
            self.compare(off, off - season);
        }

        let weight = self.config.short_weight();
        let plainly = self.plain.smooth(off, weight);
        let seasonally = season.map(|season| self.in_season.smooth(off - season, weight));
        let (track, carried) = match seasonally {
            Some(carried) if seasonal => (&self.in_season, carried),
            _ => (&self.plain, plainly),
        };
        let judged = track.tail.seen() >= WARM_UP;
        let surprise = judged.then(|| track.tail.surprise(track.short.abs()));
        let limit = track.tail.size_at(self.config.threshold());
        let bounds = judged.then(|| {
            // Which value would have put the short level at the limit.
            let low = expected + (-limit - carried) / weight;
            let high = expected + (limit - carried) / weight;
            (low, high)
        });
        let finding = Finding {
            surprise,
            fresh: self.fresh(slot, surprise.unwrap_or(0.0)),
            expected,
            low: bounds.map(|(low, _)| low),
            high: bounds.map(|(_, high)| high),
            seasonal,
            severity: None,
        };
        self.plain.tail.learn(self.plain.short.abs());
        if season.is_some() {
            self.in_season.tail.learn(self.in_season.short.abs());
        }
        // What the season explains does not move the level: else it would swing within each season.
        let unexplained = if seasonal { off - base } else { off };
        self.learn(off, unexplained, place);
        Ok(Finding {
            severity: self.severity(finding.fresh),
            ..finding
        })
    }

    fn place(&self, slot: i64) -> Option<usize> {
        let season = i64::try_from(self.profile.len()).ok().filter(|n| *n > 0)?;
        usize::try_from(slot.rem_euclid(season)).ok()
    }

    /// Follows which expectation errs less, with single outliers cut off.
    fn compare(&mut self, plain: f64, seasonal: f64) {
        self.compared += 1;
        let memory = 3.0 * self.profile.len() as f64;
        let gain = (1.0 / memory).max(1.0 / self.compared as f64);
        let most = 5.0 * self.spread;
        self.plain_error += gain * (plain.abs().min(most) - self.plain_error);
        self.season_error += gain * (seasonal.abs().min(most) - self.season_error);
    }

    /// The surprise if it exceeds what is left of the last one that did.
    fn fresh(&mut self, slot: i64, surprise: f64) -> f64 {
        let age = slot.saturating_sub(self.peak_at) as f64;
        let left = self.peak * 0.5_f64.powf(age / self.config.fading());
        if surprise > left {
            (self.peak, self.peak_at) = (surprise, slot);
            surprise
        } else {
            0.0
        }
    }

    fn severity(&self, fresh: f64) -> Option<Severity> {
        let ten = std::f64::consts::LN_10;
        let threshold = self.config.threshold();
        match fresh - threshold {
            over if over >= 2.0 * ten => Some(Severity::Critical),
            over if over >= ten => Some(Severity::High),
            over if over >= 0.0 => Some(Severity::Warning),
            _ => None,
        }
    }

    fn learn(&mut self, off: f64, unexplained: f64, place: Option<usize>) {
        let gain = self.config.long_weight().max(1.0 / self.known as f64);
        self.spread += gain * (off.abs() - self.spread);
        // The first season only finds the level: deviations from one that still drifts are no pattern.
        let pattern = place.filter(|_| self.known > self.profile.len() as u64);
        if let Some((deviation, seen)) = pattern.and_then(|place| self.profile.get_mut(place)) {
            *seen = seen.saturating_add(1);
            let gain = SEASON_WEIGHT.max(1.0 / f64::from(*seen));
            let most = 8.0 * self.spread;
            *deviation += gain * (off.clamp(-most, most) - *deviation);
        }
        self.long += gain * unexplained;
    }
}
