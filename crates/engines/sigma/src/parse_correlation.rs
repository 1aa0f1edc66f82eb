//! Correlation documents.

use crate::condition;
use crate::correlation::{Bound, Correlation, CorrelationKind, Travel};
use crate::error::{Error, Result};
use crate::parse::{meta, texts};
use crate::yaml::{Kind, Node, Number};

pub(crate) fn correlation(node: &Node) -> Result<Correlation> {
    let meta = meta(node)?;
    if let Some(ext) = node.get("x-sealwright") {
        for (key, _) in ext.as_map("`x-sealwright`")? {
            if !crate::annotations::KEYS.contains(&&*key.text) {
                return Err(Error::new(
                    key.at,
                    format!("`x-sealwright` has no `{}` beside a correlation", key.text),
                )
                .hint(format!("known are {}", crate::annotations::KEYS.join(", "))));
            }
        }
    }
    let Some(block) = node.get("correlation") else {
        return Err(Error::new(node.at, "there is no `correlation`"));
    };
    for (key, _) in block.as_map("`correlation`")? {
        const KNOWN: [&str; 9] = [
            "type",
            "rules",
            "aliases",
            "group-by",
            "timespan",
            "condition",
            "generate",
            "x-sealwright",
            "field",
        ];
        if !KNOWN.contains(&&*key.text) {
            return Err(
                Error::new(key.at, format!("a correlation has no `{}`", key.text))
                    .hint(format!("known are {}", KNOWN.join(", "))),
            );
        }
    }
    let Some(type_node) = block.get("type") else {
        return Err(Error::new(block.at, "there is no `type`"));
    };
    let type_name = type_node.scalar_text().unwrap_or_default();
    let mut rules = match block.get("rules") {
        Some(n) => texts(n, "rules")?,
        None => Vec::new(),
    };
    let group_by = block
        .get("group-by")
        .map_or(Ok(Vec::new()), |n| texts(n, "group-by"))?;
    let timespan = timespan(block)?;
    let condition = condition_block(block, &mut rules)?;
    if rules.is_empty() {
        return Err(Error::new(block.at, "there are no `rules` to correlate"));
    }
    for (i, r) in rules.iter().enumerate() {
        if rules[..i].contains(r) {
            return Err(Error::new(
                block.at,
                format!("the rule `{r}` is listed twice"),
            ));
        }
    }
    let kind = kind(&type_name, type_node, block, &condition)?;
    check(&kind, block, &condition, &rules)?;
    let mut bounds = condition.bounds;
    if matches!(kind, CorrelationKind::Temporal)
        && bounds.is_empty()
        && condition.expression.is_none()
    {
        let all = i64::try_from(rules.len()).unwrap_or(i64::MAX);
        bounds.push((Bound::Gte, Number::Int(all)));
    }
    let generate = node
        .get("generate")
        .or_else(|| block.get("generate"))
        .is_some_and(|n| matches!(n.kind, Kind::Bool(true)));
    Ok(Correlation {
        meta,
        kind,
        aliases: aliases(block, &rules)?,
        rules,
        group_by,
        timespan,
        bounds,
        fields: condition.fields,
        expression: condition.expression,
        generate,
        at: node.at,
    })
}

fn timespan(block: &Node) -> Result<i64> {
    let Some(n) = block.get("timespan") else {
        return Err(Error::new(block.at, "there is no `timespan`"));
    };
    let text = n.scalar_text().unwrap_or_default();
    crate::time::timespan(&text).ok_or_else(|| {
        Error::new(n.at, format!("`{text}` is not a timespan"))
            .hint("write a number and one of s, m, h, d, w, for example 90m")
    })
}

#[derive(Default)]
struct ConditionBlock {
    bounds: Vec<(Bound, Number)>,
    fields: Vec<String>,
    percentile: Option<f64>,
    expression: Option<crate::model::Condition>,
}

fn condition_block(block: &Node, rules: &mut Vec<String>) -> Result<ConditionBlock> {
    let mut out = ConditionBlock::default();
    let Some(node) = block.get("condition") else {
        return Ok(out);
    };
    match &node.kind {
        Kind::Text(text) => {
            if rules.is_empty() {
                // Extended conditions may name their rules in the expression only.
                for word in text.split(|c: char| c.is_whitespace() || matches!(c, '(' | ')')) {
                    let operator = ["and", "or", "not", ""].contains(&&*word.to_ascii_lowercase());
                    if !operator && !rules.iter().any(|r| r == word) {
                        rules.push(word.to_owned());
                    }
                }
            }
            let names: Vec<&str> = rules.iter().map(String::as_str).collect();
            let parsed = condition::parse(text, &names).map_err(|f| {
                Error::new(node.at, format!("condition: {}", f.message)).hint(f.hint)
            })?;
            out.expression = Some(parsed);
        }
        Kind::Map(map) => {
            for (key, value) in map {
                match &*key.text {
                    "field" => out.fields = texts(value, "field")?,
                    "percentile" => {
                        let p = number(value)?.as_f64();
                        if !(0.0..=100.0).contains(&p) {
                            return Err(Error::new(value.at, "a percentile is between 0 and 100"));
                        }
                        out.percentile = Some(p);
                    }
                    other => {
                        let Some(bound) = Bound::from_name(other) else {
                            return Err(Error::new(
                                key.at,
                                format!("a condition has no `{other}`"),
                            )
                            .hint("known are gt, gte, lt, lte, eq, neq, field, percentile"));
                        };
                        out.bounds.push((bound, number(value)?));
                    }
                }
            }
        }
        _ => {
            return Err(Error::new(
                node.at,
                format!(
                    "a condition is a map or an expression, this is {}",
                    node.type_name()
                ),
            ));
        }
    }
    Ok(out)
}

fn number(node: &Node) -> Result<Number> {
    match &node.kind {
        Kind::Number(_, n) => Ok(*n),
        _ => Err(Error::new(
            node.at,
            format!("expected a number, this is {}", node.type_name()),
        )),
    }
}

fn kind(name: &str, at: &Node, block: &Node, c: &ConditionBlock) -> Result<CorrelationKind> {
    let ext = block.get("x-sealwright");
    let get = |key: &str| ext.and_then(|e| e.get(key));
    let text = |key: &str| get(key).and_then(Node::scalar_text);
    let span = |key: &str| -> Result<Option<i64>> {
        let Some(n) = get(key) else { return Ok(None) };
        let t = n.scalar_text().unwrap_or_default();
        crate::time::timespan(&t)
            .map(Some)
            .ok_or_else(|| Error::new(n.at, format!("`{t}` is not a timespan")))
    };
    let real = |key: &str, default: f64| -> Result<f64> {
        get(key).map_or(Ok(default), |n| number(n).map(Number::as_f64))
    };
    if let Some(ext) = ext {
        let known: &[&str] = match name {
            "x-first-seen" => &["learn"],
            "x-baseline" => &["history", "factor", "minimum"],
            "x-impossible-travel" => &[
                "latitude",
                "longitude",
                "radius",
                "device",
                "distance-km",
                "speed-kmh",
            ],
            _ => &[],
        };
        for (key, _) in ext.as_map("`x-sealwright`")? {
            if !known.contains(&&*key.text) {
                return Err(Error::new(
                    key.at,
                    format!("`{name}` has no parameter `{}`", key.text),
                )
                .hint(format!("known are: {}", known.join(", "))));
            }
        }
    }
    Ok(match name {
        "event_count" => CorrelationKind::EventCount,
        "value_count" => CorrelationKind::ValueCount,
        "value_sum" => CorrelationKind::ValueSum,
        "value_avg" => CorrelationKind::ValueAvg,
        "value_percentile" => CorrelationKind::ValuePercentile(c.percentile.unwrap_or(50.0)),
        "value_median" => CorrelationKind::ValueMedian,
        "temporal" | "temporal_extended" => CorrelationKind::Temporal,
        "temporal_ordered" | "temporal_ordered_extended" => CorrelationKind::TemporalOrdered,
        "x-absence" => CorrelationKind::Absence,
        "x-first-seen" => CorrelationKind::FirstSeen {
            learn: span("learn")?.unwrap_or(0),
        },
        "x-dormant" => CorrelationKind::Dormant,
        "x-changes" => CorrelationKind::Changes,
        "x-baseline" => CorrelationKind::Baseline {
            history: span("history")?.unwrap_or(7 * 86_400_000_000),
            factor: real("factor", 3.0)?,
            minimum: real("minimum", 1.0)?,
        },
        "x-impossible-travel" => CorrelationKind::ImpossibleTravel(Travel {
            latitude: text("latitude").unwrap_or_else(|| "source.geo.location.lat".to_owned()),
            longitude: text("longitude").unwrap_or_else(|| "source.geo.location.lon".to_owned()),
            radius: text("radius"),
            device: text("device"),
            distance_km: real("distance-km", 500.0)?,
            speed_kmh: real("speed-kmh", 900.0)?,
        }),
        other => {
            return Err(
                Error::new(at.at, format!("there is no correlation type `{other}`")).hint(
                    "known are event_count, value_count, value_sum, value_avg, value_percentile, \
                 value_median, temporal, temporal_ordered, and the additions x-absence, \
                 x-first-seen, x-dormant, x-changes, x-baseline, x-impossible-travel",
                ),
            );
        }
    })
}

fn check(kind: &CorrelationKind, block: &Node, c: &ConditionBlock, rules: &[String]) -> Result<()> {
    use CorrelationKind as K;
    let at = block.get("condition").unwrap_or(block).at;
    let refuse = |message: &str| Err(Error::new(at, message.to_owned()));
    let counts = matches!(
        kind,
        K::EventCount
            | K::ValueCount
            | K::ValueSum
            | K::ValueAvg
            | K::ValuePercentile(_)
            | K::ValueMedian
            | K::Changes
    );
    if counts && c.bounds.is_empty() {
        return refuse("the condition needs one of gt, gte, lt, lte, eq, neq");
    }
    if matches!(kind, K::ValueCount | K::FirstSeen { .. } | K::Changes) && c.fields.is_empty() {
        return refuse("the condition needs a `field`");
    }
    let one = matches!(
        kind,
        K::ValueSum | K::ValueAvg | K::ValuePercentile(_) | K::ValueMedian
    );
    if one && c.fields.len() != 1 {
        return refuse("the condition needs exactly one `field`");
    }
    if c.expression.is_some() && !matches!(kind, K::Temporal | K::TemporalOrdered) {
        return refuse("an expression is for temporal correlations only");
    }
    if matches!(kind, K::Absence) && rules.len() != 2 {
        return refuse(
            "`x-absence` needs two rules: the one that happened, the one that is missing",
        );
    }
    if let K::Baseline {
        history, factor, ..
    } = kind
        && (*factor <= 0.0 || *history <= 0)
    {
        return refuse("`x-baseline` needs a positive factor and history");
    }
    Ok(())
}

type Alias = (String, Vec<(String, String)>);

fn aliases(block: &Node, rules: &[String]) -> Result<Vec<Alias>> {
    let Some(node) = block.get("aliases") else {
        return Ok(Vec::new());
    };
    let mut out = Vec::new();
    for (alias, map) in node.as_map("`aliases`")? {
        let mut pairs = Vec::new();
        for (rule, field) in map.as_map("an alias")? {
            if !rules.contains(&rule.text) {
                return Err(Error::new(
                    rule.at,
                    format!(
                        "the alias `{}` names the rule `{}`, which is not correlated",
                        alias.text, rule.text
                    ),
                ));
            }
            let Some(field) = field.scalar_text() else {
                return Err(Error::new(field.at, "an alias maps to the name of a field"));
            };
            pairs.push((rule.text.clone(), field));
        }
        out.push((alias.text.clone(), pairs));
    }
    Ok(out)
}
