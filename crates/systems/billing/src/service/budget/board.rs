//! What the request path is answered from: memory.

use std::collections::HashMap;
use std::sync::{Arc, PoisonError, RwLock};

use sealwright_core::clock::SECOND;
use sealwright_core::{TenantId, UnixMicros};
use sealwright_money::Decimal;

use crate::model::Span;
use crate::model::budget::{Budget, Decision};

/// What holds for all budgets of an installation.
#[derive(Debug, Clone, Copy)]
pub struct BoardPolicy {
    /// Usage older than this (in microseconds) is not taken for the present usage.
    pub stale_after: i64,
    /// What callers are told before the budgets were read for the first time.
    pub when_unread: Decision,
}

impl Default for BoardPolicy {
    fn default() -> Self {
        Self {
            stale_after: 10 * SECOND,
            when_unread: Decision::Allow,
        }
    }
}

/// How a budget stood when it was evaluated.
#[derive(Debug, Clone)]
pub struct Standing {
    /// The budget.
    pub budget: Budget,
    /// The month that was looked at.
    pub month: Span,
    /// What was used of it, or why that is not known.
    pub used: Result<Decimal, String>,
    /// The unit of limit and usage.
    pub unit: String,
    /// When.
    pub at: UnixMicros,
}

impl Standing {
    /// What is left until `percent` of the limit; never below zero.
    pub fn left(&self, used: Decimal, percent: u32) -> Decimal {
        let limit = self.budget.terms.limit();
        limit
            .checked_mul(Decimal::from(percent))
            .and_then(|bound| bound.checked_div(Decimal::ONE_HUNDRED))
            .and_then(|bound| bound.checked_sub(used))
            .unwrap_or(Decimal::ZERO)
            .max(Decimal::ZERO)
    }
}

/// One budget in an answer.
#[derive(Debug, Clone)]
pub struct CheckedBudget {
    /// How it stands.
    pub standing: Arc<Standing>,
    /// What it says.
    pub decision: Decision,
    /// What is used of it; `None` when that is not known, with the reason beside it.
    pub used: Option<Decimal>,
    /// Why it is not known.
    pub why: Option<String>,
}

/// What a caller is told.
#[derive(Debug, Clone)]
pub struct Checked {
    /// The strictest of its budgets.
    pub decision: Decision,
    /// Whether all that it rests on is known. When not, the decision is a policy and no knowledge.
    pub known: bool,
    /// Why not.
    pub why: Option<String>,
    /// Its budgets, the strictest and fullest first.
    pub budgets: Vec<CheckedBudget>,
    /// All events that were acknowledged until this moment are counted.
    pub as_of: Option<UnixMicros>,
    /// Events below this offset of the log are counted.
    pub metered_through: u64,
}

#[derive(Debug, Default)]
struct Inner {
    read: bool,
    as_of: Option<UnixMicros>,
    metered_through: u64,
    tenants: HashMap<TenantId, Vec<Arc<Standing>>>,
}

/// How all budgets stand, in memory.
#[derive(Debug)]
pub struct Board {
    policy: BoardPolicy,
    inner: RwLock<Inner>,
}

impl Board {
    pub(super) fn new(policy: BoardPolicy) -> Self {
        Self {
            policy,
            inner: RwLock::default(),
        }
    }

    /// Replaces what is known of a tenant; of all tenants when it is `None`.
    pub(super) fn put(&self, tenant: Option<TenantId>, standings: Vec<Standing>) {
        let mut inner = self.inner.write().unwrap_or_else(PoisonError::into_inner);
        match tenant {
            Some(tenant) => {
                inner.tenants.remove(&tenant);
            }
            None => {
                inner.tenants.clear();
                inner.read = true;
            }
        }
        for standing in standings {
            let of = inner.tenants.entry(standing.budget.tenant).or_default();
            of.push(Arc::new(standing));
        }
    }

    pub(super) fn counted(&self, as_of: Option<UnixMicros>, metered_through: u64) {
        let mut inner = self.inner.write().unwrap_or_else(PoisonError::into_inner);
        inner.as_of = inner.as_of.max(as_of);
        inner.metered_through = inner.metered_through.max(metered_through);
    }

    /// Whether all budgets were read once.
    pub fn read(&self) -> bool {
        let inner = self.inner.read().unwrap_or_else(PoisonError::into_inner);
        inner.read
    }

    /// How a tenant's budgets stand.
    pub fn standings(&self, tenant: TenantId) -> Vec<Arc<Standing>> {
        let inner = self.inner.read().unwrap_or_else(PoisonError::into_inner);
        inner.tenants.get(&tenant).cloned().unwrap_or_default()
    }

    /// What a tenant may do now. `more` is what the request would use of each budget in its unit, on top of
    /// what is used. Cost: a map look-up and a few decimals; nothing is awaited.
    pub fn check(
        &self,
        tenant: TenantId,
        now: UnixMicros,
        more: impl Fn(&Budget) -> Decimal,
    ) -> Checked {
        let (read, as_of, metered_through, standings) = {
            let inner = self.inner.read().unwrap_or_else(PoisonError::into_inner);
            (
                inner.read,
                inner.as_of,
                inner.metered_through,
                inner.tenants.get(&tenant).cloned().unwrap_or_default(),
            )
        };
        if !read {
            return Checked {
                decision: self.policy.when_unread,
                known: false,
                why: Some("the budgets have not been read yet".to_owned()),
                budgets: Vec::new(),
                as_of,
                metered_through,
            };
        }
        let stale = as_of.is_none_or(|at| now.since(at) > self.policy.stale_after);
        let mut budgets: Vec<CheckedBudget> = standings
            .into_iter()
            .map(|standing| {
                let why = match &standing.used {
                    Err(why) => Some(why.clone()),
                    Ok(_) if stale => Some(match as_of {
                        Some(at) => format!("events since {at} may not be counted yet"),
                        None => "events have not been counted yet".to_owned(),
                    }),
                    Ok(_) if !standing.month.contains(now) => {
                        Some("the usage of this month has not been added up yet".to_owned())
                    }
                    Ok(_) => None,
                };
                let terms = &standing.budget.terms;
                let used = standing
                    .used
                    .as_ref()
                    .ok()
                    .copied()
                    .filter(|_| why.is_none());
                let decision = match used {
                    Some(used) => {
                        let sum = used.checked_add(more(&standing.budget));
                        terms.decide(sum.unwrap_or(Decimal::MAX))
                    }
                    None => terms.when_unknown,
                };
                CheckedBudget {
                    decision,
                    used,
                    why,
                    standing,
                }
            })
            .collect();
        budgets.sort_by(|a, b| {
            let share =
                |one: &CheckedBudget| one.used.map(|used| one.standing.budget.terms.percent(used));
            (b.decision, share(b)).cmp(&(a.decision, share(a)))
        });
        Checked {
            decision: budgets.first().map_or(Decision::Allow, |b| b.decision),
            known: budgets.iter().all(|budget| budget.why.is_none()),
            why: budgets.iter().find_map(|budget| budget.why.clone()),
            budgets,
            as_of,
            metered_through,
        }
    }
}
