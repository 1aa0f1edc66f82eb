//! A rule as a condition on terms.
//!
//! What terms can say of a rule is said exactly; of the rest, [`Condition::Within`] says for which events it may
//! hold. Held by a property test against the rules' own evaluator.

use std::ops::RangeInclusive;
use std::sync::Arc;

use sealwright_events::{Asked, Sieve};
use sealwright_sigma::Number;
use sealwright_sigma::fold::fold;
use sealwright_sigma::logsource::{CHANNEL, STATED};
use sealwright_sigma::model::{
    self, Compare, Item, Link, LogSource, Network, Rule, Selection, Test,
};
use sealwright_sigma::pattern::{Part, Pattern};
use sealwright_sigma::value::{Leaf, test_leaf};
use sealwright_terms::{Condition, Like, Order, Range};

use super::terms::{FIELDS, ODD_SOURCE, kept_entities, kept_field};

/// All rows, perhaps.
fn unknown() -> Condition {
    within(Condition::All(Vec::new()))
}

fn within(outer: Condition) -> Condition {
    Condition::Within(Box::new(outer))
}

/// For which events one of these rules matches.
pub(super) fn of_rules<'a>(rules: impl Iterator<Item = &'a Rule>) -> Condition {
    Condition::Any(rules.map(of_rule).collect())
}

/// What a retro-hunt asks of stored events, and what the answers mean.
pub(in crate::service) struct RuleSieve {
    /// What is asked.
    pub(in crate::service) sieve: Sieve,
    /// By condition, the rule that matches where it holds.
    pub(in crate::service) rules: Vec<usize>,
    /// The fields whose texts are asked for, and their places among the values.
    pub(in crate::service) fields: Vec<(String, usize)>,
    /// Kinds of entities, in their order, and their places among the values.
    pub(in crate::service) entities: Vec<(&'static str, usize)>,
}

/// What matters of events to rules: which of them match, whom an event is about when one of these raises an alert,
/// and the texts of the fields that correlations ask for. `asked` gives those of a rule, and whether it raises one.
pub(in crate::service) fn sieve_for<'a>(
    rules: impl Iterator<Item = &'a Rule>,
    asked: impl Fn(usize) -> (Vec<String>, bool),
) -> RuleSieve {
    let fields = Condition::Present(FIELDS.to_owned());
    let mut whole = vec![Condition::Not(Box::new(fields))];
    let mut conditions = Vec::new();
    let mut matching = Vec::new();
    let mut fields: Vec<(String, usize)> = Vec::new();
    let entities: Vec<(&str, usize)> = kept_entities().zip(0..).collect();
    let mut values: Vec<String> = kept_entities().map(str::to_owned).collect();
    for (i, rule) in rules.enumerate() {
        let (names, raises) = asked(i);
        let condition = of_rule(rule);
        let kept: Option<Vec<String>> = names.iter().map(|name| kept_field(name)).collect();
        let Some(kept) = kept else {
            whole.push(condition);
            continue;
        };
        let about = entities.iter().filter(|_| raises);
        let mut wanted: Vec<usize> = about.map(|(_, place)| *place).collect();
        for (field, name) in names.into_iter().zip(kept) {
            let place = values.iter().position(|other| *other == name);
            let place = place.unwrap_or_else(|| {
                values.push(name);
                fields.push((field, values.len() - 1));
                values.len() - 1
            });
            wanted.push(place);
        }
        matching.push(i);
        conditions.push(Asked {
            condition,
            values: wanted,
        });
    }
    RuleSieve {
        sieve: Sieve {
            conditions,
            values,
            whole: Condition::Any(whole),
        },
        rules: matching,
        fields,
        entities,
    }
}

fn of_rule(rule: &Rule) -> Condition {
    let holds = condition(&rule.condition, rule);
    Condition::All(vec![
        Condition::Present(FIELDS.to_owned()),
        for_source(&rule.logsource),
        if rule.extension == model::RuleExtension::default() {
            holds
        } else {
            within(holds)
        },
    ])
}

/// For which events rules of this log source are: for certain, those that state it, and those that state none and have no channel of
/// Windows, from which one would follow. Those that state another one are not among them, and the rest may be.
fn for_source(source: &LogSource) -> Condition {
    let present = |field: &str| Condition::Present(field.to_owned());
    let not = |condition| Condition::Not(Box::new(condition));
    let asked = STATED
        .into_iter()
        .zip([&source.product, &source.category, &source.service]);
    let fits = asked.filter_map(|(field, wanted)| {
        let wanted = wanted.clone()?;
        // Compared as a term, which is folded; only ASCII has one folding.
        let equal = Condition::Equal(field.to_owned(), wanted.clone());
        let channel = Condition::All(CHANNEL.map(present).into());
        let states = like(field, "", |term| !term.trim().is_empty());
        let may_be = like(field, "", move |term| {
            let stated = term.trim();
            !stated.is_ascii() || stated.eq_ignore_ascii_case(&wanted)
        });
        Some(Condition::Any(vec![
            Condition::All(vec![not(present(ODD_SOURCE)), equal]),
            Condition::All(vec![not(present(field)), not(channel)]),
            within(Condition::Any(vec![not(states), may_be])),
        ]))
    });
    Condition::All(fits.collect())
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
        Test::Number(number, written) => {
            let digits = !written.bytes().any(|b| b.is_ascii_alphabetic());
            Condition::Any(vec![
                if digits {
                    equal(written)
                } else {
                    within(equal(written))
                },
                within(numbers(field, Compare::Equal, *number)),
            ])
        }
        Test::Bool(value) => equal(if *value { "true" } else { "false" }),
        Test::Compare(compare, number) => numbers(field, *compare, *number),
        Test::Cidr(network) => addresses(field, *network),
        Test::Regex(_) | Test::Time { .. } | Test::FieldRef { .. } => within(present()),
        Test::Null => unknown(),
    }
}

/// Values that stand in a relation to a number.
fn numbers(field: &str, compare: Compare, number: Number) -> Condition {
    let of = Test::Compare(compare, number);
    // Integers that floats do not tell apart are compared as integers.
    if matches!(number, Number::Int(i) if i.unsigned_abs() >= 1 << f64::MANTISSA_DIGITS) {
        return like(field, "", move |term| test_leaf(&of, Leaf::Text(term)));
    }
    let key = Order::number(number.as_f64());
    let keys = match compare {
        Compare::Less => 0..=key - 1,
        Compare::LessEqual => 0..=key,
        Compare::Greater => key + 1..=u64::MAX,
        Compare::GreaterEqual => key..=u64::MAX,
        Compare::Equal => key..=key,
    };
    range(field, Order::Number, keys, of)
}

fn addresses(field: &str, network: Network) -> Condition {
    let (order, first) = Order::address(network.address);
    let kept: u8 = if network.address.is_ipv4() { 32 } else { 64 };
    let last = kept.checked_sub(network.prefix).map_or(first, |host| {
        first | 1_u64.checked_shl(host.into()).map_or(u64::MAX, |n| n - 1)
    });
    let of = Test::Cidr(network);
    let near = range(field, order, first..=last, of.clone());
    if network.prefix <= kept {
        return near;
    }
    let exact = like(field, "", move |term| test_leaf(&of, Leaf::Text(term)));
    Condition::All(vec![near, exact])
}

fn range(field: &str, order: Order, keys: RangeInclusive<u64>, of: Test) -> Condition {
    Condition::Range(Range {
        field: field.to_owned(),
        order,
        keys,
        test: Arc::new(move |term| test_leaf(&of, Leaf::Text(term))),
    })
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
