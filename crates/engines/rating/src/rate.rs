//! Rating: a plan and usage into lines.

use std::collections::BTreeMap;

use sealwright_money::{Currency, Decimal, Money, MoneyError, exact};

use crate::discount::{Basis, Mode};
use crate::model::minimum;
use crate::model::proration::Share;
use crate::plan::{Dimensions, Plan, Price, key};
use crate::rated::{Line, LineKind, PlanRef, Rated, Unpriced};
use crate::usage::Usage;

/// What rating depends on besides the plan and the usage.
#[derive(Debug, Clone, Copy)]
pub struct Context {
    /// The share of the period for which fees and minimums are owed. Included quantities and
    /// prices are not prorated.
    pub share: Share,
}

impl Default for Context {
    fn default() -> Self {
        Self {
            share: Share::WHOLE,
        }
    }
}

/// Why usage could not be rated.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum RatingError {
    /// A quantity is below zero.
    #[error("usage of `{usage}` is negative ({quantity}): corrections are credited, not rated")]
    Negative {
        /// The meter with its dimensions.
        usage: String,
        /// The quantity.
        quantity: Decimal,
    },
    /// An amount does not fit.
    #[error("`{line}` cannot be rated: {source}")]
    Amount {
        /// The price or the part of the plan.
        line: String,
        /// What does not fit.
        source: MoneyError,
    },
}

/// Usage that is charged in one line.
#[derive(Default)]
struct Group {
    quantity: Decimal,
    transactions: Vec<Decimal>,
}

/// Rates a whole period.
///
/// # Errors
/// See [`RatingError`].
pub fn rate(plan: &Plan, usage: &[Usage]) -> Result<Rated, RatingError> {
    rate_with(plan, usage, Context::default())
}

/// Rates usage with a plan. The same plan and usage give the same bytes; the order of usage
/// matters to percentage prices only, which charge transactions in the order given.
///
/// # Errors
/// See [`RatingError`].
pub fn rate_with(plan: &Plan, usage: &[Usage], context: Context) -> Result<Rated, RatingError> {
    let currency = plan.book.currency;
    let (groups, unpriced) = group(plan, usage)?;
    let mut out = Lines {
        currency,
        lines: Vec::new(),
    };
    for fee in &plan.fees {
        let amount = context
            .share
            .of(fee.amount, currency)
            .map_err(amount_of(&fee.key))?;
        let title = fee.title.clone().unwrap_or_else(|| fee.key.clone());
        let mut line = plain(LineKind::Fee, title, "fee", amount.to_decimal(), amount);
        line.price = Some(fee.key.clone());
        out.lines.push(line);
    }
    let first_usage = out.lines.len();
    let mut left: Vec<Decimal> = plan.included.iter().map(|i| i.quantity).collect();
    for ((index, dimensions), group) in &groups {
        if let Some(price) = plan.book.prices.get(*index) {
            out.usage(plan, price, dimensions, group, &mut left, context)
                .map_err(amount_of(&key(&price.meter, dimensions)))?;
        }
    }
    out.plan_discount(plan, first_usage)
        .map_err(amount_of("volume_discount"))?;
    if let Some(minimum) = plan.minimum {
        out.true_up(minimum, first_usage, context)
            .map_err(amount_of("minimum"))?;
    }
    let total = out.sum(0).map_err(amount_of("total"))?;
    Ok(Rated {
        currency,
        total: total.amount(),
        lines: out.lines,
        warnings: warnings(plan, &unpriced),
        unpriced,
        plan: PlanRef {
            id: plan.book.id.clone(),
            version: plan.book.version,
            digest: plan.digest(),
        },
    })
}

fn amount_of(line: &str) -> impl Fn(MoneyError) -> RatingError + use<> {
    let line = line.to_owned();
    move |source| RatingError::Amount {
        line: line.clone(),
        source,
    }
}

type Groups = BTreeMap<(usize, Dimensions), Group>;

/// Collects usage by price and line.
fn group(plan: &Plan, usage: &[Usage]) -> Result<(Groups, Vec<Unpriced>), RatingError> {
    let mut groups = Groups::new();
    let mut unpriced: BTreeMap<(&str, &Dimensions), Decimal> = BTreeMap::new();
    for item in usage {
        let fail = amount_of(&key(&item.meter, &item.dimensions));
        let values = if item.transactions.is_empty() {
            std::slice::from_ref(&item.quantity)
        } else {
            &item.transactions
        };
        if let Some(negative) = values.iter().find(|v| v.is_sign_negative() && !v.is_zero()) {
            let usage = key(&item.meter, &item.dimensions);
            return Err(RatingError::Negative {
                usage,
                quantity: *negative,
            });
        }
        let quantity = exact::sum(values.iter().copied()).map_err(&fail)?;
        let Some(index) = plan.book.price_for(&item.meter, &item.dimensions) else {
            let entry = unpriced.entry((&item.meter, &item.dimensions)).or_default();
            *entry = exact::add(*entry, quantity).map_err(&fail)?;
            continue;
        };
        let Some(price) = plan.book.prices.get(index) else {
            continue;
        };
        let mut dimensions = price.matches.clone();
        for name in &price.group_by {
            if let Some(value) = item.dimensions.get(name) {
                dimensions.insert(name.clone(), value.clone());
            }
        }
        let group = groups.entry((index, dimensions)).or_default();
        group.quantity = exact::add(group.quantity, quantity).map_err(&fail)?;
        if price.model.is_transactional() {
            group.transactions.extend_from_slice(values);
        }
    }
    let unpriced = unpriced
        .into_iter()
        .filter(|(_, quantity)| !quantity.is_zero())
        .map(|((meter, dimensions), quantity)| Unpriced {
            meter: meter.to_owned(),
            dimensions: dimensions.clone(),
            quantity: exact::normalise(quantity),
        })
        .collect();
    Ok((groups, unpriced))
}

fn warnings(plan: &Plan, unpriced: &[Unpriced]) -> Vec<String> {
    let mut out: Vec<String> = unpriced
        .iter()
        .map(|u| {
            let usage = key(&u.meter, &u.dimensions);
            format!(
                "{} of `{usage}` has no price in `{}` and is not in the total",
                u.quantity, plan.book.id
            )
        })
        .collect();
    if plan
        .volume_discount
        .as_ref()
        .is_some_and(|d| d.mode == Mode::Cliff)
    {
        out.push("the volume discount is a cliff: the total falls at each threshold".to_owned());
    }
    out
}

fn plain(kind: LineKind, title: String, model: &str, exact: Decimal, amount: Money) -> Line {
    Line {
        kind,
        meter: None,
        title,
        dimensions: Dimensions::new(),
        quantity: Decimal::ONE,
        included: Decimal::ZERO,
        unit: None,
        model: model.to_owned(),
        price: None,
        steps: Vec::new(),
        exact,
        amount: amount.amount(),
    }
}

struct Lines {
    currency: Currency,
    lines: Vec<Line>,
}

impl Lines {
    fn usage(
        &mut self,
        plan: &Plan,
        price: &Price,
        dimensions: &Dimensions,
        group: &Group,
        left: &mut [Decimal],
        context: Context,
    ) -> Result<(), MoneyError> {
        let included = take_included(plan, &price.meter, dimensions, group.quantity, left)?;
        let billable = exact::sub(group.quantity, included)?;
        let charge = price.model.charge(billable, &group.transactions)?;
        let title = price.title.clone().unwrap_or_else(|| price.meter.clone());
        let first = self.lines.len();
        self.lines.push(Line {
            meter: Some(price.meter.clone()),
            dimensions: dimensions.clone(),
            quantity: exact::normalise(group.quantity),
            included,
            unit: price.unit_label.clone(),
            price: Some(price.key()),
            steps: charge.steps,
            ..plain(
                LineKind::Usage,
                title.clone(),
                price.model.name(),
                charge.exact,
                Money::round(charge.exact, self.currency)?,
            )
        });
        let attach = |mut line: Line| {
            line.meter = Some(price.meter.clone());
            line.dimensions = dimensions.clone();
            line.price = Some(price.key());
            line
        };
        let discount = plan
            .volume_discount
            .as_ref()
            .filter(|d| d.basis == Basis::Quantity && d.covers(&price.meter));
        if let Some(discount) = discount {
            let off = -discount.off_quantity(billable, &price.model)?;
            if !off.is_zero() {
                let amount = Money::round(off, self.currency)?;
                let title = format!("Volume discount: {title}");
                let line = plain(LineKind::Discount, title, "volume_discount", off, amount);
                self.lines.push(attach(line));
            }
        }
        if let Some(minimum) = price.minimum {
            let subtotal = self.sum(first)?;
            let due = minimum::true_up(minimum, context.share, subtotal, self.currency)?;
            if !due.true_up.is_zero() {
                let title = format!("Minimum: {title}");
                let exact = due.true_up.to_decimal();
                self.lines.push(attach(plain(
                    LineKind::Minimum,
                    title,
                    "minimum",
                    exact,
                    due.true_up,
                )));
            }
        }
        Ok(())
    }

    /// The discount by amount, over the covered usage lines.
    fn plan_discount(&mut self, plan: &Plan, first: usize) -> Result<(), MoneyError> {
        let Some(discount) = plan
            .volume_discount
            .as_ref()
            .filter(|d| d.basis == Basis::Amount)
        else {
            return Ok(());
        };
        let covered = self.lines.iter().skip(first).filter(|l| {
            l.kind == LineKind::Usage && l.meter.as_deref().is_some_and(|m| discount.covers(m))
        });
        let base = self.sum_of(covered)?;
        let off = -discount.off(base.to_decimal(), Ok)?;
        if !off.is_zero() {
            let amount = Money::round(off, self.currency)?;
            let title = "Volume discount".to_owned();
            self.lines.push(plain(
                LineKind::Discount,
                title,
                "volume_discount",
                off,
                amount,
            ));
        }
        Ok(())
    }

    fn true_up(
        &mut self,
        minimum: Decimal,
        first: usize,
        context: Context,
    ) -> Result<(), MoneyError> {
        let usage = self.sum(first)?;
        let due = minimum::true_up(minimum, context.share, usage, self.currency)?;
        if !due.true_up.is_zero() {
            let title = "Minimum commitment".to_owned();
            let exact = due.true_up.to_decimal();
            self.lines.push(plain(
                LineKind::Minimum,
                title,
                "minimum",
                exact,
                due.true_up,
            ));
        }
        Ok(())
    }

    /// The sum of the lines from `first` on.
    fn sum(&self, first: usize) -> Result<Money, MoneyError> {
        self.sum_of(self.lines.iter().skip(first))
    }

    fn sum_of<'a>(&self, lines: impl Iterator<Item = &'a Line>) -> Result<Money, MoneyError> {
        let mut total = Money::zero(self.currency);
        for line in lines {
            total = total.checked_add(Money::parse(&line.amount, self.currency)?)?;
        }
        Ok(total)
    }
}

/// Takes what the plan still includes for a line, at most its quantity.
fn take_included(
    plan: &Plan,
    meter: &str,
    dimensions: &Dimensions,
    quantity: Decimal,
    left: &mut [Decimal],
) -> Result<Decimal, MoneyError> {
    let mut taken = Decimal::ZERO;
    for (item, left) in plan.included.iter().zip(left) {
        let applies = item.meter == meter
            && item
                .matches
                .iter()
                .all(|(k, v)| dimensions.get(k) == Some(v));
        if applies {
            let part = exact::sub(quantity, taken)?.min(*left);
            taken = exact::add(taken, part)?;
            *left = exact::sub(*left, part)?;
        }
    }
    Ok(taken)
}
