//! The growth of a counter against a naive count, however time is cut.

use proptest::prelude::*;
use rust_decimal::Decimal;
use sealwright_prometheus::{Growth, Reading, Sample, Seen, Take, Window, increase, level};

/// A sample at a moment, in hundredths.
fn sample((at, hundredths): (i64, i64)) -> Sample {
    Sample {
        at,
        reading: Reading::Exact(Decimal::new(hundredths, 2)),
    }
}

/// What somebody with a pencil would count: every difference, and the whole value after a fall.
fn pencil(samples: &[Sample]) -> (Decimal, u32) {
    let (mut sum, mut falls) = (Decimal::ZERO, 0);
    let values: Vec<Decimal> = samples
        .iter()
        .filter_map(|sample| match sample.reading {
            Reading::Exact(value) => Some(value),
            Reading::Unknown => None,
        })
        .collect();
    for pair in values.windows(2) {
        if pair[1] >= pair[0] {
            sum += pair[1] - pair[0];
        } else {
            sum += pair[1];
            falls += 1;
        }
    }
    (sum, falls)
}

/// Steps of time and value; a step may be a restart, or say nothing.
fn history() -> impl Strategy<Value = Vec<Sample>> {
    let step = (1_i64..40, 0_i64..500, 0_u8..12);
    proptest::collection::vec(step, 0..60).prop_map(|steps| {
        let (mut at, mut value) = (0, 700);
        steps
            .into_iter()
            .map(|(pause, more, chance)| {
                at += pause;
                match chance {
                    0 => value = more,
                    1 => {
                        return Sample {
                            at,
                            reading: Reading::Unknown,
                        };
                    }
                    _ => value += more,
                }
                sample((at, value))
            })
            .collect()
    })
}

/// The growths of windows that follow each other, each with the samples that `seen` lets through.
fn walk(samples: &[Sample], cuts: &[i64], seen: impl Fn(&Sample, Window) -> bool) -> Vec<Growth> {
    let mut known: Option<Seen> = None;
    let mut growths = Vec::new();
    let mut start = cuts[0];
    for end in &cuts[1..] {
        let window = Window { start, end: *end };
        let there: Vec<Sample> = samples
            .iter()
            .filter(|sample| sample.at <= *end && seen(sample, window))
            .copied()
            .collect();
        let growth = increase(known, &there, window);
        known = growth.last;
        growths.push(growth);
        start = *end;
    }
    growths
}

fn total(growths: &[Growth]) -> (Decimal, u32) {
    let sum = growths.iter().filter_map(|growth| growth.amount).sum();
    (sum, growths.iter().map(|growth| growth.resets).sum())
}

/// Increasing ends of windows that hold all samples.
fn cuts() -> impl Strategy<Value = Vec<i64>> {
    proptest::collection::vec(1_i64..400, 1..12).prop_map(|lengths| {
        let mut at = -1;
        let mut cuts = vec![at];
        for length in lengths {
            at += length;
            cuts.push(at);
        }
        cuts.push(at.max(3_000));
        cuts
    })
}

proptest! {
    #[test]
    fn windows_add_up_to_what_a_pencil_counts(samples in history(), cuts in cuts()) {
        let growths = walk(&samples, &cuts, |_, _| true);
        prop_assert_eq!(total(&growths), pencil(&samples));
        let inside: u32 = growths.iter().map(|growth| growth.samples + growth.unreadable).sum();
        prop_assert_eq!(inside as usize, samples.len());
    }

    #[test]
    fn however_short_the_server_looks_back(samples in history(), cuts in cuts(), lookback in 0_i64..50) {
        // Only the samples of the window and a little before it are ever answered.
        let growths = walk(&samples, &cuts, |sample, window| sample.at > window.start - lookback);
        prop_assert_eq!(total(&growths), pencil(&samples));
    }

    #[test]
    fn what_comes_late_is_counted_once(samples in history(), cuts in cuts(), late in proptest::collection::vec(any::<bool>(), 60)) {
        // Some samples are not there yet when their window is asked for; a counter that only grows loses nothing.
        let mut value = 0;
        let rising: Vec<Sample> = samples.iter().map(|s| { value += 7; sample((s.at, value)) }).collect();
        let growths = walk(&rising, &cuts, |sample, window| {
            let index = rising.iter().position(|s| s.at == sample.at).unwrap();
            index == 0 || index + 1 == rising.len() || !late[index] || !window.holds(sample.at)
        });
        let (sum, resets) = total(&growths);
        prop_assert_eq!((sum, resets), pencil(&rising));
    }

    #[test]
    fn a_window_begins_where_the_one_before_ended(samples in history(), split in 1_i64..2_000) {
        let whole = increase(None, &samples, Window { start: -1, end: 3_000 });
        let first = increase(None, &samples, Window { start: -1, end: split });
        let second = increase(first.last, &samples, Window { start: split, end: 3_000 });
        let both = first.amount.unwrap_or_default() + second.amount.unwrap_or_default();
        prop_assert_eq!(both, whole.amount.unwrap_or_default());
        prop_assert_eq!(whole.last, second.last);
    }

    #[test]
    fn levels_are_of_the_window_alone(samples in history(), start in 0_i64..500, length in 1_i64..500) {
        let window = Window { start, end: start + length };
        let inside: Vec<Sample> = samples.iter().filter(|s| window.holds(s.at)).copied().collect();
        for take in Take::ALL {
            let level_of_all = level(&samples, window, *take);
            prop_assert_eq!(level_of_all, level(&inside, window, *take));
            let known: Vec<Decimal> = inside.iter().filter_map(|s| match s.reading {
                Reading::Exact(value) => Some(value),
                Reading::Unknown => None,
            }).collect();
            let whole = known.len() == inside.len() && !known.is_empty();
            match take {
                Take::Max if whole => prop_assert_eq!(level_of_all.amount, known.iter().max().copied()),
                Take::Min if whole => prop_assert_eq!(level_of_all.amount, known.iter().min().copied()),
                Take::Mean if whole => {
                    let count = Decimal::from(known.len());
                    let mean = level_of_all.amount.unwrap();
                    let sum: Decimal = known.iter().sum();
                    prop_assert!((mean * count - sum).abs() < Decimal::new(1, 20));
                }
                Take::Last => {
                    let last = inside.last().map(|s| s.reading);
                    let wanted = match last { Some(Reading::Exact(value)) => Some(value), _ => None };
                    prop_assert_eq!(level_of_all.amount, wanted);
                }
                _ => prop_assert_eq!(level_of_all.amount, None),
            }
        }
    }
}

#[test]
fn what_no_decimal_holds_is_unknown_and_not_rounded() {
    let exact = |text: &str| Reading::Exact(text.parse().unwrap());
    let samples = [
        Sample {
            at: 1,
            reading: exact("0.0000000000000000000000000001"),
        },
        Sample {
            at: 2,
            reading: exact("10000000000000000000000000000"),
        },
    ];
    let window = Window { start: 0, end: 10 };
    let growth = increase(None, &samples, window);
    assert_eq!(growth.amount, None);
    assert_eq!(growth.samples, 2);
    assert_eq!(growth.last.unwrap().at, 2, "it goes on from there");
}
