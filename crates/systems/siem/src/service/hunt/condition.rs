//! A rule as a condition on terms.
//!
//! What terms can say of a rule is said exactly; of the rest, [`Condition::Within`] says for which events it may
//! hold. Held by a property test against the rules' own evaluator.

use std::sync::Arc;

use sealwright_sigma::fold::fold;
use sealwright_sigma::model::{self, Item, Link, Rule, Selection, Test};
use sealwright_sigma::pattern::{Part, Pattern};
use sealwright_sigma::value::{Leaf, test_leaf};
use sealwright_terms::{Condition, Like};

use super::terms::FIELDS;

/// All rows, perhaps.
fn unknown() -> Condition {
    within(Condition::All(Vec::new()))
}

fn within(outer: Condition) -> Condition {
    Condition::Within(Box::new(outer))
}

/// For which events one of these rules matches.
pub(super) fn of_rules<'a>(rules: impl Iterator<Item = &'a Rule>) -> Condition {
    Condition::All(vec![
        Condition::Present(FIELDS.to_owned()),
        Condition::Any(rules.map(of_rule).collect()),
    ])
}

fn of_rule(rule: &Rule) -> Condition {
    let holds = condition(&rule.condition, rule);
    let source = &rule.logsource;
    let more = source.product.is_some()
        || source.category.is_some()
        || source.service.is_some()
        || rule.extension != model::RuleExtension::default();
    if more { within(holds) } else { holds }
}

fn condition(of: &model::Condition, rule: &Rule) -> Condition {
    match of {
        model::Condition::Id(i) => rule
            .detections
            .get(*i)
            .map_or_else(unknown, |(_, selected)| selection(selected)),
        model::Condition::And(parts) => {
            Condition::All(parts.iter().map(|c| condition(c, rule)).collect())
        }
        model::Condition::Or(parts) => {
            Condition::Any(parts.iter().map(|c| condition(c, rule)).collect())
        }
        model::Condition::Not(inner) => Condition::Not(Box::new(condition(inner, rule))),
    }
}

fn selection(of: &Selection) -> Condition {
    match of {
        Selection::Group(Link::All, parts) => Condition::All(parts.iter().map(selection).collect()),
        Selection::Group(Link::Any, parts) => Condition::Any(parts.iter().map(selection).collect()),
        Selection::Item(of) => item(of),
    }
}

fn item(item: &Item) -> Condition {
    // A value with a placeholder that nothing resolves is never evaluated, and what has no field is looked
    // for in all of them.
    let open = item.values.iter().any(|v| !v.placeholders.is_empty());
    let Some(field) = item.field.as_deref().filter(|_| !open) else {
        return unknown();
    };
    let asked = asked(field, item);
    // The time is read from the source's own field where there is one (`normalise::needs_ecs`).
    if field == "@timestamp" {
        within(asked)
    } else {
        asked
    }
}

fn asked(field: &str, item: &Item) -> Condition {
    let values = item.values.iter().map(|value| {
        let tests = value.tests.iter().map(|one| test(field, one));
        Condition::Any(tests.collect())
    });
    let joined = match item.link {
        Link::Any => Condition::Any(values.collect()),
        Link::All => Condition::All(values.collect()),
    };
    if !item.negated {
        return joined;
    }
    Condition::All(vec![
        Condition::Present(field.to_owned()),
        Condition::Not(Box::new(joined)),
    ])
}

fn test(field: &str, of: &Test) -> Condition {
    let present = || Condition::Present(field.to_owned());
    let equal = |text: &str| Condition::Equal(field.to_owned(), fold(text));
    match of {
        Test::Exists(true) => present(),
        Test::Exists(false) => Condition::Not(Box::new(present())),
        Test::Text { pattern, cased } => {
            let folded = text(field, pattern);
            if *cased { within(folded) } else { folded }
        }
        // Whether a term was a number or a text is not kept.
        Test::Number(_, written) => {
            let same = of.clone();
            let digits = !written.bytes().any(|b| b.is_ascii_alphabetic());
            Condition::Any(vec![
                if digits {
                    equal(written)
                } else {
                    within(equal(written))
                },
                within(like(field, "", move |term| {
                    test_leaf(&same, Leaf::Number(term))
                })),
            ])
        }
        Test::Bool(value) => equal(if *value { "true" } else { "false" }),
        Test::Compare(..) | Test::Cidr(_) => {
            let same = of.clone();
            like(field, "", move |term| test_leaf(&same, Leaf::Text(term)))
        }
        Test::Regex(_) | Test::Time { .. } | Test::FieldRef { .. } => within(present()),
        Test::Null => unknown(),
    }
}

fn text(field: &str, pattern: &Pattern) -> Condition {
    if let Some(literal) = pattern.as_literal() {
        return Condition::Equal(field.to_owned(), fold(literal));
    }
    let prefix = match pattern.parts().first() {
        Some(Part::Text(start)) => fold(start),
        _ => String::new(),
    };
    let pattern = pattern.clone();
    like(field, &prefix, move |term| pattern.matches(term, false))
}

fn like(
    field: &str,
    prefix: &str,
    test: impl Fn(&str) -> bool + Send + Sync + 'static,
) -> Condition {
    Condition::Like(Like {
        field: field.to_owned(),
        prefix: prefix.to_owned(),
        test: Arc::new(test),
    })
}
