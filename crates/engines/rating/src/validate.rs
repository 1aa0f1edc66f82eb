//! What must hold across the fields of a plan, and what its author should know.

use std::collections::{HashMap, HashSet};

use crate::decode::Places;
use crate::discount::{Basis, Mode};
use crate::fields::Report;
use crate::model::Model;
use crate::plan::{Dimensions, Plan, Price, key};

pub(crate) fn check(plan: &Plan, places: &Places, report: &mut Report) {
    overlaps(plan, places, report);
    included(plan, places, report);
    discount(plan, places, report);
    for (price, at) in plan.book.prices.iter().zip(&places.prices) {
        let Model::Volume(volume) = &price.model else {
            continue;
        };
        for (bound, total, above) in volume.cliffs().unwrap_or_default() {
            let message = format!(
                "the total falls from {total} at {bound} units to {above} just above: choose `graduated` if more usage must not cost less"
            );
            report.warning(*at, "total-falls", message);
        }
    }
    let mut fees = HashSet::new();
    for (fee, at) in plan.fees.iter().zip(&places.fees) {
        if !fees.insert(&fee.key) {
            let message = format!("two fees have the key `{}`: give each its own", fee.key);
            report.error(*at, "duplicate-fee", message);
        }
    }
}

/// Two prices of a meter must never both be the most specific for the same usage.
fn overlaps(plan: &Plan, places: &Places, report: &mut Report) {
    let mut by_meter: HashMap<&str, Vec<usize>> = HashMap::new();
    for (i, price) in plan.book.prices.iter().enumerate() {
        by_meter.entry(&price.meter).or_default().push(i);
    }
    let prices = &plan.book.prices;
    for indexes in by_meter.values() {
        let exact: HashMap<&Dimensions, usize> = indexes
            .iter()
            .rev()
            .filter_map(|i| Some((&prices.get(*i)?.matches, *i)))
            .collect();
        let mut budget = 2_000_000_usize;
        for (n, i) in indexes.iter().enumerate() {
            let (Some(a), Some(at)) = (prices.get(*i), places.prices.get(*i)) else {
                continue;
            };
            if exact.get(&a.matches) != Some(i) {
                let message = format!(
                    "duplicate price for `{}`: remove one, or make its `match` differ",
                    a.key()
                );
                report.error(*at, "duplicate-price", message);
                continue;
            }
            for j in indexes.iter().take(n) {
                budget = budget.saturating_sub(1);
                if budget == 0 {
                    report.error(
                        *at,
                        "too-many",
                        format!("meter `{}` has too many prices to check", a.meter),
                    );
                    return;
                }
                let Some(b) = prices.get(*j) else { continue };
                if let Some(both) = ambiguous(a, b)
                    && !exact.contains_key(&both)
                {
                    let both = key(&a.meter, &both);
                    let message = format!(
                        "overlap: usage of `{both}` matches `{}` and `{}` equally well: add a price for `{both}`",
                        b.key(),
                        a.key()
                    );
                    report.error(*at, "prices-overlap", message);
                }
            }
        }
    }
}

/// The dimensions of usage that two different prices would match with equally many dimensions.
fn ambiguous(a: &Price, b: &Price) -> Option<Dimensions> {
    if a.matches.len() != b.matches.len() || a.matches == b.matches {
        return None;
    }
    let compatible = a
        .matches
        .iter()
        .all(|(k, v)| b.matches.get(k).is_none_or(|w| w == v));
    compatible.then(|| {
        a.matches
            .iter()
            .chain(&b.matches)
            .map(|(k, v)| (k.clone(), v.clone()))
            .collect()
    })
}

fn included(plan: &Plan, places: &Places, report: &mut Report) {
    for (item, at) in plan.included.iter().zip(&places.included) {
        let mut of_meter = plan
            .book
            .prices
            .iter()
            .filter(|p| p.meter == item.meter)
            .peekable();
        if of_meter.peek().is_none() {
            let message = format!(
                "no price for meter `{}`, of which a quantity is included",
                item.meter
            );
            report.error(*at, "included-unpriced", message);
            continue;
        }
        let reaches = |p: &Price| {
            item.matches.iter().all(|(k, v)| {
                p.matches
                    .get(k)
                    .map_or_else(|| p.group_by.contains(k), |w| w == v)
            })
        };
        let mut reached = of_meter.filter(|p| reaches(p)).peekable();
        if reached.peek().is_none() {
            let message = format!(
                "no line can have the dimensions `{}`: add them to `match` or `group_by` of a price",
                key(&item.meter, &item.matches)
            );
            report.error(*at, "included-unreached", message);
        }
        if reached.any(|p| p.model.is_transactional() || matches!(p.model, Model::Flat(_))) {
            let message = "a quantity can be included in prices by quantity only, not in flat or percentage prices";
            report.error(*at, "included-model", message);
        }
    }
}

fn discount(plan: &Plan, places: &Places, report: &mut Report) {
    let Some(discount) = &plan.volume_discount else {
        return;
    };
    let at = places.discount;
    for meter in &discount.meters {
        if !plan.book.prices.iter().any(|p| p.meter == *meter) {
            let message = format!("no price for meter `{meter}`, which the volume discount names");
            report.error(at, "discount-unpriced", message);
        }
    }
    if discount.basis == Basis::Quantity {
        for (price, at) in plan.book.prices.iter().zip(&places.prices) {
            if discount.covers(&price.meter) && !price.model.is_additive() {
                let message = format!(
                    "a volume discount by quantity needs a per_unit, per_million or graduated price, `{}` is {}: name the discounted meters in `volume_discount.meters`, or use `basis = \"amount\"`",
                    price.key(),
                    price.model.name()
                );
                report.error(*at, "discount-model", message);
            }
        }
    }
    if discount.mode == Mode::Cliff {
        report.warning(
            at,
            "cliff",
            "a cliff discount makes the total fall at each threshold: use `mode = \"marginal\"` if more usage must not cost less",
        );
    }
    if discount
        .tiers
        .windows(2)
        .any(|w| matches!(w, [a, b] if b.rate_percent < a.rate_percent))
    {
        report.warning(
            at,
            "rate-falls",
            "the discount falls at a higher threshold: check the rates",
        );
    }
}
