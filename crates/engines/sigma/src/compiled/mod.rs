//! The compiled rule set.
//!
//! An event passes three sieves: its log source selects a *plan* (the rules that are for it);
//! the plan's hash tables and automata, shared by all of its rules, select *candidates*; only a
//! candidate's condition is evaluated, over predicates that all rules share and that are answered
//! at most once an event. That no rule is lost on the way is the over-approximation invariant of
//! the witness module; it is held by differential tests against [`crate::naive`].

use std::sync::{Arc, PoisonError, RwLock};

use rustc_hash::FxHashMap;

pub use crate::flat::FieldId;
use crate::flat::{FieldTable, Flat};
use crate::logsource::{self, EventSource};
use crate::model::{Rule, each_item};
use crate::scan::EventError;

mod literals;
mod plan;
mod pred;
mod witness;

use literals::Grams;
use plan::Plan;
use pred::{Builder, Expr, Pred};
use witness::{Atom, witness};

/// How events are read.
#[derive(Debug, Clone)]
pub struct Options {
    /// Read EVTX records as flat events.
    pub unwrap_windows: bool,
    /// Find out the log source of Windows events from `Channel` and `EventID`.
    pub derive_logsource: bool,
    /// Fields of the event that state its product, category and service; empty for none.
    pub source_fields: [String; 3],
    /// Fields with the time of the event; the first that holds a date counts.
    pub time_fields: Vec<String>,
    /// Fields beside those of the rules whose values are asked for ([`Matcher::texts`]).
    pub extra_fields: Vec<String>,
}

impl Default for Options {
    fn default() -> Self {
        Self {
            unwrap_windows: true,
            derive_logsource: true,
            source_fields: [const { String::new() }; 3],
            time_fields: [
                "@timestamp",
                "TimeCreated_SystemTime",
                "UtcTime",
                "eventTime",
                "published",
                "createdDateTime",
                "timestamp",
                "time",
                "EventTime",
            ]
            .map(str::to_owned)
            .to_vec(),
            extra_fields: Vec::new(),
        }
    }
}

/// A rule that cannot be evaluated, and why.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Unresolved {
    /// Index of the rule.
    pub rule: usize,
    /// Names of its unresolved placeholders.
    pub placeholders: Vec<String>,
}

struct Compiled {
    expr: Expr,
    atoms: Option<Box<[Atom]>>,
    active: bool,
    extended: bool,
}

/// A plan and the rules it may report.
#[derive(Clone)]
pub struct Route {
    plan: Arc<Plan>,
    /// Set when the plan has more rules than the log source admits.
    admitted: Option<Arc<[bool]>>,
}

/// Rules, ready to be matched. Shared between threads; each thread has its own [`Matcher`].
pub struct RuleSet {
    rules: Vec<Rule>,
    compiled: Vec<Compiled>,
    preds: Vec<Pred>,
    fields: FieldTable,
    grams: Grams,
    unresolved: Vec<Unresolved>,
    options: Options,
    source_ids: [Option<FieldId>; 3],
    channel_ids: [Option<FieldId>; 2],
    time_ids: Vec<FieldId>,
    needs_time: bool,
    has_keywords: bool,
    plans: RwLock<FxHashMap<Vec<u64>, Arc<Plan>>>,
}

/// Plans that are kept; a source that would need one more uses the plan of all rules.
const MAX_PLANS: usize = 256;
/// Log sources that a matcher remembers by the event's own statement.
const MAX_ROUTES: usize = 4096;

impl RuleSet {
    /// Compiles rules. Those with unresolved placeholders are kept, named and never matched.
    pub fn new(rules: Vec<Rule>, options: Options) -> Self {
        let mut fields = FieldTable::default();
        let mut builder = Builder::default();
        let mut unresolved = Vec::new();
        let mut compiled = Vec::with_capacity(rules.len());
        for (i, rule) in rules.iter().enumerate() {
            let mut names = Vec::new();
            for (_, s) in &rule.detections {
                each_item(s, &mut |item| {
                    names.extend(
                        item.values
                            .iter()
                            .flat_map(|v| v.placeholders.iter().cloned()),
                    );
                });
            }
            names.sort_unstable();
            names.dedup();
            let expr = builder.rule(rule, &mut fields);
            if let Some(o) = &rule.extension.older_than {
                fields.intern(&o.field);
            }
            let active = names.is_empty();
            if !active {
                unresolved.push(Unresolved {
                    rule: i,
                    placeholders: names,
                });
            }
            let extended = rule.extension.hours.is_some() || rule.extension.older_than.is_some();
            compiled.push(Compiled {
                expr,
                atoms: None,
                active,
                extended,
            });
        }
        for c in &mut compiled {
            c.atoms = witness(&c.expr, &builder.preds).map(|w| w.atoms.into());
        }
        let atoms = compiled
            .iter()
            .flat_map(|c| c.atoms.iter().flat_map(|a| a.iter()));
        let grams = Grams::new(atoms.filter_map(|a| match a {
            Atom::Literal(_, t) | Atom::Keyword(t) => Some(&**t),
            _ => None,
        }));
        let source_ids = [0, 1, 2]
            .map(|i| Some(&options.source_fields[i]).filter(|n| !n.is_empty()))
            .map(|n| n.map(|n| fields.intern(n)));
        let channel_ids = if options.derive_logsource {
            logsource::CHANNEL.map(|n| Some(fields.intern(n)))
        } else {
            [None; 2]
        };
        let time_ids = options
            .time_fields
            .iter()
            .map(|n| fields.intern(n))
            .collect();
        for name in &options.extra_fields {
            fields.intern(name);
        }
        let needs_time = compiled.iter().any(|c| c.extended);
        let has_keywords = builder
            .preds
            .iter()
            .any(|p| p.scope == pred::Scope::Keyword);
        Self {
            rules,
            compiled,
            preds: builder.preds,
            fields,
            grams,
            unresolved,
            options,
            source_ids,
            channel_ids,
            time_ids,
            needs_time,
            has_keywords,
            plans: RwLock::default(),
        }
    }

    /// The rules, by index.
    pub fn rules(&self) -> &[Rule] {
        &self.rules
    }

    /// Rules that are never matched.
    pub fn unresolved(&self) -> &[Unresolved] {
        &self.unresolved
    }

    /// The id of a field that some rule or the options name.
    pub fn field(&self, name: &str) -> Option<FieldId> {
        self.fields.get(name)
    }

    /// The names of all fields that rules or the options ask for.
    pub fn field_names(&self) -> &[Box<str>] {
        self.fields.names()
    }

    /// Number of distinct predicates.
    pub fn predicates(&self) -> usize {
        self.preds.len()
    }

    /// The route of a log source. Building a plan takes milliseconds, and is done once for every
    /// set of rules that a log source can select.
    pub fn route(&self, source: &EventSource) -> Route {
        let admitted: Vec<bool> = self
            .rules
            .iter()
            .zip(&self.compiled)
            .map(|(r, c)| c.active && source.admits(&r.logsource))
            .collect();
        if let Some(plan) = self.plan(&admitted) {
            return Route {
                plan,
                admitted: None,
            };
        }
        let all: Vec<bool> = self.compiled.iter().map(|c| c.active).collect();
        let plan = self.plan(&all).unwrap_or_else(|| self.build(&all));
        Route {
            plan,
            admitted: Some(admitted.into()),
        }
    }

    fn plan(&self, admitted: &[bool]) -> Option<Arc<Plan>> {
        let key: Vec<u64> = admitted
            .chunks(64)
            .map(|c| {
                c.iter()
                    .enumerate()
                    .fold(0, |bits, (i, a)| bits | u64::from(*a) << i)
            })
            .collect();
        if let Some(plan) = self
            .plans
            .read()
            .unwrap_or_else(PoisonError::into_inner)
            .get(&key)
        {
            return Some(Arc::clone(plan));
        }
        let mut plans = self.plans.write().unwrap_or_else(PoisonError::into_inner);
        if plans.len() >= MAX_PLANS {
            return None;
        }
        Some(Arc::clone(
            plans.entry(key).or_insert_with(|| self.build(admitted)),
        ))
    }

    fn build(&self, admitted: &[bool]) -> Arc<Plan> {
        let rules = self
            .compiled
            .iter()
            .zip(admitted)
            .enumerate()
            .filter(|(_, (_, a))| **a);
        Arc::new(Plan::build(
            rules.map(|(i, (c, _))| (u32::try_from(i).unwrap_or(u32::MAX), c.atoms.as_deref())),
            &self.grams,
        ))
    }
}

/// Matches events against a [`RuleSet`], reusing its memory.
pub struct Matcher {
    rules: Arc<RuleSet>,
    given: EventSource,
    flat: Flat,
    fixed: Option<Route>,
    routes: FxHashMap<Box<str>, Route>,
    route_key: String,
    epoch: u32,
    answers: Vec<u32>,
    marks: Vec<u32>,
    candidates: Vec<u32>,
    matched: Vec<usize>,
    candidates_total: u64,
}

impl Matcher {
    /// A matcher for events of which `given` is known; what is unknown there is found out from
    /// the event as far as the options say.
    pub fn new(rules: Arc<RuleSet>, given: EventSource) -> Self {
        let auto = rules.options.derive_logsource || rules.source_ids.iter().any(Option::is_some);
        let fixed = (!auto).then(|| rules.route(&given));
        Self {
            answers: vec![0; rules.preds.len()],
            marks: vec![0; rules.rules.len()],
            rules,
            given,
            flat: Flat::default(),
            fixed,
            routes: FxHashMap::default(),
            route_key: String::new(),
            epoch: 0,
            candidates: Vec::new(),
            matched: Vec::new(),
            candidates_total: 0,
        }
    }

    /// The rule set.
    pub fn rule_set(&self) -> &Arc<RuleSet> {
        &self.rules
    }

    /// The rules that match an event, by index, in rising order.
    ///
    /// # Errors
    /// When the event is no JSON object or is nested too deeply.
    pub fn matches(&mut self, json: &str) -> Result<&[usize], EventError> {
        self.matches_at(json, None)
    }

    /// The same with the time of the event (microseconds, UTC) given; without it the time is read
    /// from the fields of [`Options::time_fields`].
    ///
    /// # Errors
    /// When the event is no JSON object or is nested too deeply.
    pub fn matches_at(&mut self, json: &str, time: Option<i64>) -> Result<&[usize], EventError> {
        self.matched.clear();
        let rules = Arc::clone(&self.rules);
        // Which plan applies is known after reading, so keywords of any rule decide.
        self.flat.read(
            json,
            &rules.fields,
            rules.has_keywords,
            rules.options.unwrap_windows,
        )?;
        let route = self.route(json);
        if self.epoch >= u32::MAX / 2 - 1 {
            self.epoch = 0;
            self.answers.fill(0);
            self.marks.fill(0);
        }
        self.epoch += 1;
        let epoch = self.epoch;
        self.candidates.clear();
        let (marks, candidates) = (&mut self.marks, &mut self.candidates);
        let admitted = route.admitted.as_deref();
        route.plan.candidates(&mut self.flat, json, |rule| {
            let mark = &mut marks[rule as usize];
            if *mark != epoch {
                *mark = epoch;
                if admitted.is_none_or(|a| a[rule as usize]) {
                    candidates.push(rule);
                }
            }
        });
        self.candidates.sort_unstable();
        self.candidates_total += self.candidates.len() as u64;
        let time = match time {
            None if rules.needs_time => self.time(json),
            given => given,
        };
        for i in 0..self.candidates.len() {
            let index = self.candidates[i] as usize;
            let c = &rules.compiled[index];
            let mut eval = Eval {
                preds: &rules.preds,
                answers: &mut self.answers,
                flat: &mut self.flat,
                epoch,
                json,
            };
            if eval.expr(&c.expr) && (!c.extended || self.extension(index, json, time)) {
                self.matched.push(index);
            }
        }
        Ok(&self.matched)
    }

    fn extension(&mut self, rule: usize, json: &str, time: Option<i64>) -> bool {
        let rules = Arc::clone(&self.rules);
        let ext = &rules.rules[rule].extension;
        let Some(now) = time else { return false };
        if ext.hours.as_ref().is_some_and(|h| !h.allows(now)) {
            return false;
        }
        let Some(old) = &ext.older_than else {
            return true;
        };
        let Some(field) = rules.fields.get(&old.field) else {
            return false;
        };
        self.flat
            .texts(json, field)
            .iter()
            .filter_map(|t| crate::time::instant(t))
            .any(|then| now.saturating_sub(then) >= old.age)
    }

    fn route(&mut self, json: &str) -> Route {
        if let Some(r) = &self.fixed {
            return r.clone();
        }
        self.route_key.clear();
        let rules = Arc::clone(&self.rules);
        for id in rules.source_ids.iter().chain(&rules.channel_ids).flatten() {
            let key = &mut self.route_key;
            self.flat.each_text(json, *id, |text| {
                // An absurdly long name is none that a rule set knows.
                key.push_str(text.get(..256).unwrap_or(text));
                key.push('\u{1}');
            });
            self.route_key.push('\0');
        }
        if let Some(r) = self.routes.get(self.route_key.as_str()) {
            return r.clone();
        }
        let source = self.source(json);
        let route = rules.route(&source);
        if self.routes.len() >= MAX_ROUTES {
            self.routes.clear();
        }
        self.routes
            .insert(self.route_key.as_str().into(), route.clone());
        route
    }

    /// The log source of the event that was read last: what was given, then what the event says,
    /// then what follows from its channel.
    fn source(&mut self, json: &str) -> EventSource {
        let rules = Arc::clone(&self.rules);
        let mut stated = EventSource::UNKNOWN;
        for (id, slot) in rules.source_ids.iter().zip([
            &mut stated.product,
            &mut stated.category,
            &mut stated.service,
        ]) {
            let Some(id) = id else { continue };
            let texts = self.flat.texts(json, *id);
            if texts.iter().any(|t| !t.trim().is_empty()) {
                *slot = Some(texts.iter().map(|t| t.trim().to_lowercase()).collect());
            }
        }
        let source = self.given.clone().or(stated);
        let mut get = |id: Option<FieldId>| {
            id.and_then(|id| self.flat.text(json, id))
                .map(str::to_owned)
        };
        let channel = get(rules.channel_ids[0]);
        let id = get(rules.channel_ids[1]);
        match (channel, id) {
            (Some(channel), Some(id))
                if source
                    .product
                    .as_ref()
                    .is_none_or(|p| p.contains(&"windows".to_owned())) =>
            {
                source.or(logsource::windows(&channel, &id))
            }
            _ => source,
        }
    }

    /// The time of the event that was read last, in microseconds UTC.
    pub fn time(&mut self, json: &str) -> Option<i64> {
        let rules = Arc::clone(&self.rules);
        rules
            .time_ids
            .iter()
            .find_map(|id| self.flat.text(json, *id).and_then(crate::time::instant))
    }

    /// The texts of a field of the event that was read last.
    pub fn texts(&mut self, json: &str, field: FieldId) -> Vec<String> {
        self.flat.texts(json, field)
    }

    /// The fields that the event that was read last has, of those that rules or the options ask for: ids into
    /// [`RuleSet::field_names`].
    pub fn seen(&self) -> &[FieldId] {
        self.flat.touched()
    }

    /// How many conditions were evaluated so far.
    pub fn candidates_total(&self) -> u64 {
        self.candidates_total
    }
}

struct Eval<'a> {
    preds: &'a [Pred],
    answers: &'a mut [u32],
    flat: &'a mut Flat,
    epoch: u32,
    json: &'a str,
}

impl Eval<'_> {
    fn expr(&mut self, e: &Expr) -> bool {
        match e {
            Expr::Pred(p) => self.pred(*p),
            Expr::And(l) => l.iter().all(|e| self.expr(e)),
            Expr::Or(l) => l.iter().any(|e| self.expr(e)),
            Expr::Not(e) => !self.expr(e),
        }
    }

    fn pred(&mut self, p: u32) -> bool {
        let slot = self.answers[p as usize];
        if slot >> 1 == self.epoch {
            return slot & 1 == 1;
        }
        let answer = pred::holds(&self.preds[p as usize], self.flat, self.json);
        self.answers[p as usize] = self.epoch << 1 | u32::from(answer);
        answer
    }
}
