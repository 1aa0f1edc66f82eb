//! The checks, one after the other; a failed one does not keep the others from saying what they see.

use std::collections::{BTreeMap, BTreeSet};

use sealwright_core::Digest;
use sealwright_ledger::EntryProof;
use sealwright_merkle::VerifierKey;
use sealwright_meter::{MeterDef, MeterSet};
use sealwright_rating::{Format, Line, Plan, parse_plan};
use serde::Serialize;
use serde_json::Value;

use super::bundle::{Bundle, EvidenceFile};
use super::evidence::{EvidenceEntry, evidence_root};
use super::remeter::{Remeter, RemeteredRow, digest_of, stated_time};
use crate::model::{INVOICE_SCHEMA, InvoiceDocument, Span};
use crate::service::invoice::rated;

/// Something that does not hold, and where.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Finding {
    /// The file of the bundle.
    pub file: &'static str,
    /// Where in it: a line, a byte range, a JSON Pointer.
    pub place: String,
    /// What does not hold.
    pub detail: String,
}

/// What was checked and what was found.
#[derive(Debug, Clone, Serialize)]
pub struct Report {
    /// Whether everything holds.
    pub verified: bool,
    /// The invoice's id and number.
    pub invoice: String,
    /// The total and its currency, as the document says.
    pub total: String,
    /// What holds, in words.
    pub checks: Vec<String>,
    /// What does not hold.
    pub findings: Vec<Finding>,
    /// Where the trust comes from: the key and whether the caller gave it.
    pub key: String,
}

struct Checker {
    checks: Vec<String>,
    findings: Vec<Finding>,
}

impl Checker {
    fn fail(&mut self, file: &'static str, place: impl Into<String>, detail: impl Into<String>) {
        // A changed file can break every line of it; the first hundred say enough.
        if self.findings.len() < 100 {
            self.findings.push(Finding {
                file,
                place: place.into(),
                detail: detail.into(),
            });
        }
    }
}

/// Checks an invoice against its bundle. `key` is the verifier key that the caller trusts; without it
/// the key inside of the proof is used, and the report says so.
pub fn verify_invoice(invoice: &[u8], bundle: &Bundle, key: Option<&VerifierKey>) -> Report {
    let mut checker = Checker {
        checks: Vec::new(),
        findings: Vec::new(),
    };
    let document = match read_document(invoice) {
        Ok(document) => document,
        Err((place, detail)) => {
            checker.fail("invoice.json", place, detail);
            return finish(checker, None, String::new());
        }
    };
    if bundle.invoice != invoice
        && read_document(&bundle.invoice)
            .ok()
            .is_none_or(|inner| inner != document)
    {
        checker.fail(
            "invoice.json",
            "",
            "is not the invoice that the bundle was made for",
        );
    }
    let digest = Digest::of(&document.canonical().unwrap_or_default());
    let key_words = ledger(&mut checker, bundle, &document, digest, key);
    let plan = price_book(&mut checker, bundle, &document);
    let meters = meters(&mut checker, bundle, &document);
    let events = events(&mut checker, bundle, &document);
    if let (Some(meters), Some(events)) = (&meters, &events) {
        usage(&mut checker, &document, meters, events);
    }
    if let Some(plan) = &plan {
        rating(&mut checker, &document, plan);
    }
    finish(checker, Some(&document), key_words)
}

fn finish(checker: Checker, document: Option<&InvoiceDocument>, key: String) -> Report {
    let Checker { checks, findings } = checker;
    Report {
        verified: findings.is_empty() && document.is_some(),
        invoice: document.map_or_else(String::new, |document| {
            document
                .number
                .clone()
                .unwrap_or_else(|| document.id.to_string())
        }),
        total: document.map_or_else(String::new, |document| {
            format!(
                "{} {}",
                document.rated.total,
                document.rated.currency.code()
            )
        }),
        checks,
        findings,
        key,
    }
}

fn read_document(bytes: &[u8]) -> Result<InvoiceDocument, (String, String)> {
    let document: InvoiceDocument = serde_json::from_slice(bytes).map_err(|error| {
        (
            format!("{}:{}", error.line(), error.column()),
            format!("is no invoice: {error}"),
        )
    })?;
    if document.schema != INVOICE_SCHEMA {
        let detail = format!(
            "`{}` is not known; this program reads {INVOICE_SCHEMA}",
            document.schema
        );
        return Err(("/schema".to_owned(), detail));
    }
    Ok(document)
}

fn ledger(
    checker: &mut Checker,
    bundle: &Bundle,
    document: &InvoiceDocument,
    digest: Digest,
    key: Option<&VerifierKey>,
) -> String {
    const FILE: &str = "proof.json";
    let proof: EntryProof = match serde_json::from_slice(&bundle.proof) {
        Ok(proof) => proof,
        Err(error) => {
            checker.fail(
                FILE,
                format!("{}:{}", error.line(), error.column()),
                error.to_string(),
            );
            return String::new();
        }
    };
    let inner: Result<VerifierKey, _> = proof.verifier_key.parse();
    let (used, words) = match (key, &inner) {
        (Some(key), _) => (key.clone(), format!("{key} (given)")),
        (None, Ok(key)) => (
            key.clone(),
            format!("{key} (from the proof itself: compare it with the issuer's published key)"),
        ),
        (None, Err(error)) => {
            checker.fail(FILE, "/verifier_key", error.to_string());
            return String::new();
        }
    };
    let leaf = match proof.verify(&used) {
        Ok(leaf) => leaf,
        Err(error) => {
            checker.fail(
                FILE,
                "",
                format!("the ledger's proof does not hold: {error}"),
            );
            return words;
        }
    };
    if leaf.subject != document.id.to_string() || leaf.action != "billing.invoice.finalise" {
        let detail = format!(
            "proves `{}` of {}, not this invoice",
            leaf.action, leaf.subject
        );
        checker.fail(FILE, "/leaf", detail);
    } else if leaf.after != Some(digest) {
        let sealed = leaf
            .after
            .map_or_else(|| "none".to_owned(), |digest| digest.to_string());
        checker.fail(
            "invoice.json",
            "",
            format!(
                "was changed after it was sealed: its digest is {digest}, the ledger holds {sealed}"
            ),
        );
    } else {
        checker.checks.push(format!(
            "sealed {} as entry {} of the ledger {}, under a checkpoint of {} entries",
            leaf.time, proof.index, proof.origin, proof.tree_size
        ));
    }
    words
}

fn price_book(checker: &mut Checker, bundle: &Bundle, document: &InvoiceDocument) -> Option<Plan> {
    const FILE: &str = "price-book.json";
    let text = match std::str::from_utf8(&bundle.price_book) {
        Ok(text) => text,
        Err(error) => {
            checker.fail(
                FILE,
                format!("byte {}", error.valid_up_to()),
                "is not UTF-8",
            );
            return None;
        }
    };
    let plan = match parse_plan(FILE, text, Format::Json) {
        Ok(loaded) => loaded.plan,
        Err(faults) => {
            for fault in &faults.0 {
                checker.fail(FILE, "", fault.to_string());
            }
            return None;
        }
    };
    let digest = plan.digest();
    let digest = digest.strip_prefix("sha256:").unwrap_or(&digest);
    if digest == document.price_book.digest.to_string() {
        checker.checks.push(format!(
            "price book {} version {} is the one named",
            document.price_book.id, document.price_book.version
        ));
    } else {
        checker.fail(
            FILE,
            "",
            format!(
                "was changed: its digest is {digest}, the invoice names {}",
                document.price_book.digest
            ),
        );
    }
    Some(plan)
}

fn meters(checker: &mut Checker, bundle: &Bundle, document: &InvoiceDocument) -> Option<MeterSet> {
    const FILE: &str = "meters.json";
    let read = serde_json::from_slice::<Value>(&bundle.meters).and_then(|value| {
        let digest = Digest::of_json(&value);
        serde_json::from_value::<Vec<MeterDef>>(value).map(|definitions| (digest, definitions))
    });
    let (digest, definitions) = match read {
        Ok(read) => read,
        Err(error) => {
            checker.fail(
                FILE,
                format!("{}:{}", error.line(), error.column()),
                error.to_string(),
            );
            return None;
        }
    };
    if digest == document.meters_digest {
        checker
            .checks
            .push(format!("{} meters are the ones named", definitions.len()));
    } else {
        let detail = format!(
            "was changed: its digest is {digest}, the invoice names {}",
            document.meters_digest
        );
        checker.fail(FILE, "", detail);
    }
    match MeterSet::compile(&definitions) {
        Ok(set) => Some(set),
        Err(faults) => {
            for fault in faults {
                checker.fail(FILE, fault.meter, fault.message);
            }
            None
        }
    }
}

/// Events as they stand in the bundle, by offset.
type Events = BTreeMap<u64, (EvidenceEntry, Value)>;

fn events(checker: &mut Checker, bundle: &Bundle, document: &InvoiceDocument) -> Option<Events> {
    const FILE: &str = "events.ndjson";
    let evidence: EvidenceFile = match serde_json::from_slice(&bundle.evidence) {
        Ok(evidence) => evidence,
        Err(error) => {
            let place = format!("{}:{}", error.line(), error.column());
            checker.fail("evidence.json", place, error.to_string());
            return None;
        }
    };
    if evidence.usage.len() != document.usage.len() {
        let detail = format!(
            "lists events for {} usage rows, the invoice has {}",
            evidence.usage.len(),
            document.usage.len()
        );
        checker.fail("evidence.json", "/usage", detail);
        return None;
    }
    let mut wanted: BTreeSet<EvidenceEntry> = BTreeSet::new();
    let mut roots = 0;
    for (index, (entries, usage)) in evidence.usage.iter().zip(&document.usage).enumerate() {
        let root = evidence_root(entries);
        if usage.root == Some(root) && usage.events == entries.len() as u64 {
            roots += 1;
        } else {
            let detail = format!(
                "the events of usage row {index} ({}) do not give the root that the invoice names",
                usage.meter
            );
            checker.fail("evidence.json", format!("/usage/{index}"), detail);
        }
        wanted.extend(entries.iter().copied());
    }
    if roots == document.usage.len() {
        checker
            .checks
            .push(format!("{roots} usage rows name exactly these events"));
    }

    let mut found = Events::new();
    let mut wanted = wanted.into_iter();
    let mut start = 0;
    let mut number = 0;
    for line in bundle.events.split(|byte| *byte == b'\n') {
        let end = start + line.len();
        let place = format!("line {} (bytes {start} to {end})", number + 1);
        start = end + 1;
        if line.is_empty() {
            continue;
        }
        number += 1;
        let value: Option<Value> = serde_json::from_slice(line).ok();
        let name = value.as_ref().map_or_else(String::new, |value| {
            format!(" id {} of {}", value["id"], value["source"])
        });
        let Some(entry) = wanted.next() else {
            checker.fail(
                FILE,
                place,
                format!("the event{name} is not among those of the invoice"),
            );
            continue;
        };
        if digest_of(line) != entry.digest {
            let detail = format!(
                "the event{name} was changed, removed or moved: offset {} is expected here, with digest {}",
                entry.offset, entry.digest
            );
            checker.fail(FILE, place, detail);
        }
        let Some(value) = value else { continue };
        if stated_time(&value).is_some_and(|time| time != entry.time) {
            checker.fail(
                "evidence.json",
                format!("offset {}", entry.offset),
                "another time than the event's own",
            );
        }
        found.insert(entry.offset, (entry, value));
    }
    let missing = wanted.count();
    if missing > 0 {
        checker.fail(
            FILE,
            format!("after line {number}"),
            format!("{missing} events are missing"),
        );
    } else if !checker.findings.iter().any(|finding| finding.file == FILE) {
        checker
            .checks
            .push(format!("{number} events have the digests that were sealed"));
    }
    Some(found)
}

fn usage(checker: &mut Checker, document: &InvoiceDocument, meters: &MeterSet, events: &Events) {
    let Some(span) = span_of(document) else {
        checker.fail(
            "invoice.json",
            "/period_from",
            "the period is not two RFC 3339 times",
        );
        return;
    };
    let mut remeter = Remeter::new(meters, span);
    for (entry, value) in events.values() {
        let event_type = value["type"].as_str().unwrap_or_default();
        if let Err(error) = remeter.add(*entry, event_type, value) {
            checker.fail(
                "events.ndjson",
                format!("offset {}", entry.offset),
                error.to_string(),
            );
        }
    }
    let rows: Vec<RemeteredRow> = match remeter.finish() {
        Ok(rows) => rows,
        Err(error) => {
            checker.fail("events.ndjson", "", error.to_string());
            return;
        }
    };
    let mut equal = 0;
    let mut left: BTreeMap<(String, crate::model::Dimensions), RemeteredRow> = rows
        .into_iter()
        .map(|row| ((row.meter.clone(), row.dimensions.clone()), row))
        .collect();
    for (index, entry) in document.usage.iter().enumerate() {
        let place = format!("/usage/{index}");
        let Some(row) = left.remove(&(entry.meter.clone(), entry.dimensions.clone())) else {
            checker.fail(
                "invoice.json",
                place,
                format!("no event gives usage of {}", entry.meter),
            );
            continue;
        };
        if row.quantity.to_string() == entry.quantity && row.unit == entry.unit {
            equal += 1;
        } else {
            let detail = format!(
                "{}: the invoice says {} {}, its events give {} {}",
                entry.meter, entry.quantity, entry.unit, row.quantity, row.unit
            );
            checker.fail("invoice.json", place, detail);
        }
    }
    for (meter, dimensions) in left.keys() {
        checker.fail(
            "invoice.json",
            "/usage",
            format!("usage of {meter} {dimensions:?} is left out"),
        );
    }
    if equal == document.usage.len() {
        checker.checks.push(format!(
            "metering the events again gives the same {equal} quantities"
        ));
    }
}

/// The period of a document.
fn span_of(document: &InvoiceDocument) -> Option<Span> {
    let time = |text: &str| sealwright_core::UnixMicros::parse_rfc3339(text).ok();
    Some(Span {
        from: time(&document.period_from)?,
        to: time(&document.period_to)?,
    })
}

fn rating(checker: &mut Checker, document: &InvoiceDocument, plan: &Plan) {
    let rated = match rated(plan, &document.usage, document.share.as_deref()) {
        Ok(rated) => rated,
        Err(error) => {
            checker.fail("invoice.json", "/usage", error.to_string());
            return;
        }
    };
    let before = checker.findings.len();
    let pairs = document.rated.lines.iter().zip(&rated.lines).enumerate();
    for (index, (said, computed)) in pairs {
        if said != computed {
            checker.fail(
                "invoice.json",
                format!("/rated/lines/{index}"),
                difference(said, computed),
            );
        }
    }
    if document.rated.lines.len() != rated.lines.len() {
        let detail = format!(
            "the invoice has {} lines, rating gives {}",
            document.rated.lines.len(),
            rated.lines.len()
        );
        checker.fail("invoice.json", "/rated/lines", detail);
    }
    if document.rated.total != rated.total || document.rated.currency != rated.currency {
        let detail = format!(
            "the invoice says {}, rating gives {}",
            document.rated.total, rated.total
        );
        checker.fail("invoice.json", "/rated/total", detail);
    }
    if checker.findings.len() == before {
        checker.checks.push(format!(
            "rating again gives the same {} lines and total",
            rated.lines.len()
        ));
    }
}

/// In words, which price or amount of a line differs.
fn difference(said: &Line, computed: &Line) -> String {
    let steps = said.steps.iter().zip(&computed.steps).find(|(a, b)| a != b);
    let text = |step: &sealwright_rating::Step| {
        serde_json::to_string(step).unwrap_or_else(|_| "a step".to_owned())
    };
    match steps {
        Some((a, b)) => format!(
            "`{}`: the invoice was priced {}, the price book gives {}",
            said.title,
            text(a),
            text(b)
        ),
        None => format!(
            "`{}`: the invoice says {} for {}, rating gives {} for {}",
            said.title, said.amount, said.quantity, computed.amount, computed.quantity
        ),
    }
}
