//! Why something is an anomaly, for people.

use sealwright_forecast::{Deviation, DeviationRule, Finding, Severity};

/// A quantity with four digits that mean something, grouped by thousands.
pub(in crate::service) fn number(value: f64) -> String {
    let size = value.abs();
    let decimals = match size {
        s if s >= 1000.0 || s == 0.0 => 0,
        s if s >= 100.0 => 1,
        s if s >= 10.0 => 2,
        s if s >= 0.001 => 3,
        _ => return format!("{value:.3e}"),
    };
    let text = format!("{value:.decimals$}");
    let (whole, rest) = text.split_once('.').unwrap_or((&text, ""));
    let digits = whole.trim_start_matches('-');
    let mut grouped = String::new();
    for (i, digit) in digits.chars().enumerate() {
        if i > 0 && (digits.len() - i).is_multiple_of(3) {
            grouped.push(',');
        }
        grouped.push(digit);
    }
    let sign = if whole.starts_with('-') { "-" } else { "" };
    let rest = rest.trim_end_matches('0');
    if rest.is_empty() {
        format!("{sign}{grouped}")
    } else {
        format!("{sign}{grouped}.{rest}")
    }
}

/// What the rule judged by.
pub(super) struct Judged {
    pub(super) value: f64,
    pub(super) mean: f64,
    pub(super) spread: f64,
    pub(super) known: usize,
    pub(super) deviation: Deviation,
    pub(super) severity: Severity,
    pub(super) partial: bool,
}

/// Why the rule says so.
pub(super) fn by_rule(rule: &DeviationRule, unit: &str, judged: &Judged) -> String {
    let what = if judged.partial {
        "The day is not over and has already"
    } else {
        "The day had"
    };
    let (known, window) = (judged.known, rule.window);
    let before = format!("the {known} known days of the {window} before it");
    match judged.deviation {
        Deviation::FromNothing => format!(
            "{what} {} {unit}; {before} were all zero.",
            number(judged.value)
        ),
        Deviation::Of(far) => {
            let from = match judged.severity {
                Severity::Warning => rule.warning,
                Severity::High => rule.high,
                Severity::Critical => rule.critical,
            };
            let side = if far > 0.0 { "above" } else { "below" };
            format!(
                "{what} {} {unit}; {before} average {} with a standard deviation of {}. It lies {:.1} \
                 deviations {side} the mean; {} begins at {from}.",
                number(judged.value),
                number(judged.mean),
                number(judged.spread),
                far.abs(),
                judged.severity,
            )
        }
    }
}

/// Why the seasonal detector says so.
pub(super) fn by_season(
    value: f64,
    unit: &str,
    finding: &Finding,
    known: u64,
    budget: f64,
) -> String {
    let usual = if finding.seasonal {
        "usual at this hour of the week"
    } else {
        "usual (hours of the week do not differ)"
    };
    let range = match (finding.low, finding.high) {
        (Some(low), Some(high)) if low > 0.0 => {
            format!("from {} to {}", number(low), number(high))
        }
        (_, Some(high)) => format!("up to {}", number(high)),
        _ => "unknown".to_owned(),
    };
    let odds = finding.surprise.unwrap_or(0.0).min(40.0).exp();
    let alarms = if (budget - 1.0).abs() < f64::EPSILON {
        "1 false alarm".to_owned()
    } else {
        format!("{budget} false alarms")
    };
    format!(
        "The hour had {} {unit}; {} is {usual}, and {range} would have been no alarm. By the \
         {known} hours before it, recent hours are this far off less than once in {} hours. The \
         detector may give {alarms} a month.",
        number(value),
        number(finding.expected),
        number(odds.round()),
    )
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn numbers_are_readable() {
        let words: Vec<String> = [0.0, 0.12345, 12.5, 123.46, 1234.5, -9_876_543.2, 1e-7]
            .map(number)
            .to_vec();
        assert_eq!(
            words,
            [
                "0",
                "0.123",
                "12.5",
                "123.5",
                "1,234",
                "-9,876,543",
                "1.000e-7"
            ]
        );
    }
}
