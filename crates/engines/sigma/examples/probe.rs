//! Times loading and matching: `probe RULES_DIR EVENTS.ndjson [k=v,…]`.
#![allow(clippy::print_stdout, clippy::unwrap_used, missing_docs)]
use sealwright_sigma::compiled::*;
use sealwright_sigma::logsource::EventSource;
use sealwright_sigma::model::Document;
use std::io::BufRead;
use std::sync::Arc;
fn walk(p: &std::path::Path, out: &mut Vec<std::path::PathBuf>) {
    if p.is_dir() {
        let mut l: Vec<_> = std::fs::read_dir(p)
            .unwrap()
            .map(|e| e.unwrap().path())
            .collect();
        l.sort();
        l.iter().for_each(|p| walk(p, out));
    } else if p.extension().is_some_and(|e| e == "yml") {
        out.push(p.to_owned());
    }
}
fn main() {
    let a: Vec<String> = std::env::args().collect();
    let t = std::time::Instant::now();
    let mut files = vec![];
    walk(a[1].as_ref(), &mut files);
    let mut rules = vec![];
    for f in files {
        let text = std::fs::read_to_string(&f).unwrap();
        for d in
            sealwright_sigma::parse("", &text, &Default::default(), &Default::default()).documents
        {
            if let Document::Rule(r) = d {
                rules.push(*r)
            }
        }
    }
    println!("parsed {} {:?}", rules.len(), t.elapsed());
    let mut o = Options::default();
    let given = a
        .get(3)
        .map(|g| EventSource::parse(g).unwrap())
        .unwrap_or_default();
    if a.get(4).is_some() {
        o.derive_logsource = false;
    }
    let set = Arc::new(RuleSet::new(rules, o));
    println!("compiled {:?} preds {}", t.elapsed(), set.predicates());
    let mut m = Matcher::new(set.clone(), given.clone());
    set.route(&given);
    println!("routed {:?}", t.elapsed());
    let t = std::time::Instant::now();
    let mut r = std::io::BufReader::with_capacity(1 << 20, std::fs::File::open(&a[2]).unwrap());
    let (mut line, mut n, mut hits) = (String::new(), 0, 0);
    let mut per = std::collections::BTreeMap::new();
    let mut events_by_rule: Vec<(usize, String)> = vec![];
    while {
        line.clear();
        r.read_line(&mut line).unwrap() > 0
    } {
        for i in m.matches(line.trim_end()).unwrap() {
            hits += 1;
            *per.entry(*i).or_insert(0) += 1;
            if a.get(5).is_some() {
                events_by_rule.push((n, set.rules()[*i].meta.id.clone().unwrap()));
            }
        }
        n += 1;
    }
    let e = t.elapsed();
    println!(
        "{n} events {hits} matches {e:?} {:.2} us/event, candidates/event {:.2}",
        e.as_secs_f64() * 1e6 / n as f64,
        m.candidates_total() as f64 / n as f64
    );
    if let Some(p) = a.get(5) {
        let s: String = events_by_rule
            .iter()
            .map(|(n, i)| format!("{n} {i}\n"))
            .collect();
        std::fs::write(p, s).unwrap();
    }
    let status = std::fs::read_to_string("/proc/self/status").unwrap();
    println!(
        "{}",
        status.lines().find(|l| l.starts_with("VmHWM")).unwrap()
    );
}
