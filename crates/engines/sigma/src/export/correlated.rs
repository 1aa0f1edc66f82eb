//! Correlations as queries.

use super::{Exported, Language, Part, Unsupported, credit, dialect, no, outer, rule_condition};
use crate::correlation::{Bound, Correlation, CorrelationKind as K};
use crate::model::Rule;

pub(super) fn export(
    c: &Correlation,
    rules: &[&Rule],
    language: Language,
) -> Result<Exported, Unsupported> {
    if c.expression.is_some() || rules.len() != c.rules.len() {
        no(
            "chains, expressions",
            "only correlations of rules, without an expression",
        )?;
    }
    if !c.aliases.is_empty() && language != Language::Eql {
        no("aliases", "a field has one name for all rules")?;
    }
    let mut conditions = Vec::new();
    for r in rules {
        let mut d = dialect(language, r);
        if language == Language::Spl && !super::splunk::searchable(r) {
            no("re", "a correlation needs rules that are searches")?;
        }
        conditions.push(outer(&rule_condition(r, &mut *d)?).to_owned());
    }
    let (query, notes) = match language {
        Language::Lucene => (no("event_count", "Lucene has no aggregation")?, Vec::new()),
        Language::Eql => (eql(c, &conditions)?, Vec::new()),
        Language::Esql => (
            esql(c, &conditions)?,
            vec![
                "windows are fixed: a burst across the edge of two windows is not seen".to_owned(),
            ],
        ),
        Language::Spl => (
            spl(c, &conditions)?,
            vec!["put `index=…` in front".to_owned()],
        ),
    };
    Ok(Exported {
        query,
        credit: credit(&c.meta),
        notes,
    })
}

/// The row of [`super::table`] with the types that only this program has.
const ADDITIONS: &str =
    "x-absence, x-first-seen, x-dormant, x-changes, x-baseline, x-impossible-travel";

fn seconds(c: &Correlation) -> i64 {
    (c.timespan / 1_000_000).max(1)
}

fn bounds(c: &Correlation, equal: &str, joiner: &str) -> String {
    let all: Vec<String> = c
        .bounds
        .iter()
        .map(|(b, n)| {
            let sign = match b {
                Bound::Gt => ">",
                Bound::Gte => ">=",
                Bound::Lt => "<",
                Bound::Lte => "<=",
                Bound::Eq => equal,
                Bound::Neq => "!=",
            };
            format!("measure {sign} {}", n.as_f64())
        })
        .collect();
    all.join(joiner)
}

fn eql(c: &Correlation, conditions: &[String]) -> Part {
    if c.kind != K::TemporalOrdered {
        return no("event_count", "EQL has sequences only");
    }
    let mut out = format!("sequence with maxspan={}s", seconds(c));
    for (rule, condition) in c.rules.iter().zip(conditions) {
        let by: Vec<String> = c
            .group_by
            .iter()
            .map(|g| {
                let alias = c.aliases.iter().find(|(a, _)| a == g);
                let field = alias.and_then(|(_, l)| l.iter().find(|(r, _)| r == rule));
                field.map_or_else(|| g.clone(), |(_, f)| f.clone())
            })
            .collect();
        let by = if by.is_empty() {
            String::new()
        } else {
            format!(" by {}", by.join(", "))
        };
        out.push_str(&format!("\n  [any where {condition}]{by}"));
    }
    Ok(out)
}

fn either(conditions: &[String], joiner: &str) -> String {
    if let [one] = conditions {
        return one.clone();
    }
    conditions
        .iter()
        .map(|c| format!("({c})"))
        .collect::<Vec<_>>()
        .join(joiner)
}

fn esql(c: &Correlation, conditions: &[String]) -> Part {
    let field = || c.fields.first().cloned().unwrap_or_default();
    let measure = match &c.kind {
        K::EventCount => "COUNT(*)".to_owned(),
        K::ValueCount if c.fields.len() == 1 => format!("COUNT_DISTINCT({})", field()),
        K::ValueSum => format!("SUM({})", field()),
        K::ValueAvg => format!("AVG({})", field()),
        K::ValueMedian => format!("MEDIAN({})", field()),
        K::ValuePercentile(p) => format!("PERCENTILE({}, {p})", field()),
        K::Temporal => {
            let cases: Vec<String> = conditions
                .iter()
                .enumerate()
                .map(|(i, w)| format!("{w}, {i}"))
                .collect();
            format!("COUNT_DISTINCT(CASE({}))", cases.join(", "))
        }
        K::ValueCount => return no("several fields in value_count", "ES|QL counts one field"),
        K::TemporalOrdered => return no("temporal_ordered", "ES|QL knows no order"),
        _ => return no(ADDITIONS, "ES|QL does not know this correlation"),
    };
    let mut by = vec![format!(
        "window = DATE_TRUNC({} seconds, @timestamp)",
        seconds(c)
    )];
    by.extend(c.group_by.iter().cloned());
    Ok(format!(
        "FROM * | WHERE {} | STATS measure = {measure} BY {} | WHERE {}",
        either(conditions, " OR "),
        by.join(", "),
        bounds(c, "==", " AND ")
    ))
}

fn spl(c: &Correlation, conditions: &[String]) -> Part {
    if !c.immediate() {
        return no(
            "lt, lte, eq, neq in correlations",
            "`streamstats` judges at each event, not when the window has closed",
        );
    }
    let field = || format!("\"{}\"", c.fields.first().cloned().unwrap_or_default());
    let mut before = String::new();
    let measure = match &c.kind {
        K::EventCount => "count".to_owned(),
        K::ValueCount if c.fields.len() == 1 => format!("dc({})", field()),
        K::ValueSum => format!("sum({})", field()),
        K::ValueAvg => format!("avg({})", field()),
        K::ValueMedian => format!("median({})", field()),
        K::ValuePercentile(p) => format!("perc{p}({})", field()),
        K::Temporal => {
            // Each rule marks its events in a subsearch of its own kind.
            before = conditions
                .iter()
                .enumerate()
                .map(|(i, w)| {
                    if i == 0 {
                        format!("search {w} | eval rule=0")
                    } else {
                        format!(" | append [search {w} | eval rule={i}]")
                    }
                })
                .collect();
            "dc(rule)".to_owned()
        }
        K::ValueCount => return no("several fields in value_count", "`dc` counts one field"),
        K::TemporalOrdered => return no("temporal_ordered", "`streamstats` knows no order"),
        _ => return no(ADDITIONS, "SPL does not know this correlation"),
    };
    let source = if before.is_empty() {
        either(conditions, " OR ")
    } else {
        before
    };
    let by: Vec<String> = c.group_by.iter().map(|g| format!("\"{g}\"")).collect();
    let by = if by.is_empty() {
        String::new()
    } else {
        format!(" by {}", by.join(", "))
    };
    Ok(format!(
        "{source} | sort 0 _time | streamstats time_window={}s {measure} as measure{by} | where {}",
        seconds(c),
        bounds(c, "=", " AND ")
    ))
}
