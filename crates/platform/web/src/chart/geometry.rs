//! Paths in the stretched view box of a plot: 1000 wide, its height in px.

use std::fmt::Write as _;

/// Width of the view box that is stretched over the plot.
pub(super) const WIDTH: f64 = 1000.0;

/// A number for an attribute: at most two decimals, no trailing zeros, no minus zero.
pub(super) fn n(value: f64) -> String {
    let rounded = (value * 100.0).round() / 100.0;
    let rounded = if rounded == 0.0 { 0.0 } else { rounded };
    format!("{rounded}")
}

/// A share of the width as a percentage.
pub(super) fn pct(share: f64) -> String {
    format!("{}%", n(share * 100.0))
}

/// `M x y L x y …` through points in view box coordinates.
pub(super) fn line(points: &[(f64, f64)]) -> String {
    let mut d = String::new();
    for (i, (x, y)) in points.iter().enumerate() {
        // Writing into a String cannot fail.
        let _ = write!(d, "{}{} {}", if i == 0 { "M" } else { "L" }, n(*x), n(*y));
    }
    d
}

/// The area between a top and a bottom edge with the same places across.
pub(super) fn area(top: &[(f64, f64)], bottom: &[(f64, f64)]) -> String {
    let mut around = top.to_vec();
    around.extend(bottom.iter().rev());
    let mut d = line(&around);
    d.push('Z');
    d
}

/// The runs without a gap, as index ranges.
pub(super) fn runs<T>(values: &[Option<T>]) -> Vec<std::ops::Range<usize>> {
    let mut runs = Vec::new();
    let mut start = None;
    for (i, value) in values.iter().enumerate() {
        match (value.is_some(), start) {
            (true, None) => start = Some(i),
            (false, Some(s)) => {
                runs.push(s..i);
                start = None;
            }
            _ => {}
        }
    }
    runs.extend(start.map(|s| s..values.len()));
    runs
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn gaps_split_runs() {
        assert_eq!(runs(&[None, Some(1), Some(2), None, Some(3)]), [1..3, 4..5]);
        assert_eq!(runs::<i32>(&[]), Vec::<std::ops::Range<usize>>::new());
    }

    #[test]
    fn numbers_are_short() {
        assert_eq!(
            (n(-0.001), n(1.0), n(1.236)),
            ("0".into(), "1".into(), "1.24".into())
        );
        assert_eq!(
            area(&[(0.0, 1.0), (2.0, 3.0)], &[(0.0, 9.0), (2.0, 9.0)]),
            "M0 1L2 3L2 9L0 9Z"
        );
    }
}
