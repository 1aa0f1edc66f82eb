//! How unlikely a size is, learnt from the sizes before it.

use serde::{Deserialize, Serialize};

/// The part of values that counts as tail.
const PART: f64 = 0.05;
/// How many values the tail remembers, about; the newest weigh most.
const MEMORY: f64 = 4000.0;
/// The heaviest tail that is believed, as the shape of the generalised Pareto distribution. The method of
/// moments cannot see beyond one half.
const HEAVIEST: f64 = 0.4;

/// The upper tail of a stream of sizes: its 95 % quantile, and a generalised Pareto distribution of what
/// exceeds it (peaks over threshold), both followed with constant memory and time.
///
/// Nothing about the body of the distribution is assumed. Up to the quantile the empirical fraction is
/// all that is said; beyond it the fitted tail extrapolates, as extreme-value theory (Pickands, Balkema,
/// de Haan) says that tails of nearly all distributions can be.
#[derive(Debug, Clone, Copy, Default, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Tail {
    seen: u64,
    exceeding: u64,
    typical: f64,
    quantile: f64,
    mean: f64,
    square: f64,
}

impl Tail {
    /// How unlikely a value of this size or a larger one is, as the negative natural logarithm of its
    /// probability ("nats"): 3 for one in 20, 6.9 for one in 1,000. Zero while nothing is known and for
    /// whatever is not in the tail.
    pub fn surprise(&self, size: f64) -> f64 {
        let over = size - self.quantile;
        if over <= 0.0 || self.mean <= 0.0 {
            return 0.0;
        }
        let (shape, scale) = self.pareto();
        let z = over / scale;
        let beyond = if shape > 1e-3 {
            (shape * z).ln_1p() / shape
        } else {
            z
        };
        beyond - PART.ln()
    }

    /// The size that is `surprise` nats unlikely: the inverse of [`Tail::surprise`] in the tail.
    pub fn size_at(&self, surprise: f64) -> f64 {
        let beyond = (surprise + PART.ln()).max(0.0);
        let (shape, scale) = self.pareto();
        let z = if shape > 1e-3 {
            (shape * beyond).exp_m1() / shape
        } else {
            beyond
        };
        self.quantile + scale * z
    }

    /// Shape and scale by the method of moments.
    fn pareto(&self) -> (f64, f64) {
        let variance = self.square - self.mean * self.mean;
        let shape = if variance > 0.0 {
            (0.5 * (1.0 - self.mean * self.mean / variance)).clamp(0.0, HEAVIEST)
        } else {
            0.0
        };
        (shape, self.mean * (1.0 - shape))
    }

    /// Takes in a size.
    pub(crate) fn learn(&mut self, size: f64) {
        self.seen += 1;
        let gain = (1.0 / MEMORY).max(1.0 / (self.seen as f64 + 1.0));
        // The quantile moves in steps of the sizes' own scale (stochastic approximation).
        self.typical += gain * (size - self.typical);
        let step = 5.0 * gain * self.typical.max(f64::MIN_POSITIVE);
        if size > self.quantile {
            self.quantile += step * (1.0 - PART);
        } else {
            self.quantile = (self.quantile - step * PART).max(0.0);
        }
        let over = size - self.quantile;
        if over > 0.0 {
            self.exceeding += 1;
            let gain = (1.0 / (MEMORY * PART)).max(1.0 / self.exceeding as f64);
            self.mean += gain * (over - self.mean);
            self.square += gain * (over * over - self.square);
        }
    }

    /// How many sizes were taken in.
    pub fn seen(&self) -> u64 {
        self.seen
    }
}
