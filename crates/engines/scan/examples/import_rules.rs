//! Turns rule files of other scanners into detector files with examples on both sides.
//!
//! `import_rules <gitleaks rules.json.zst> <folder of Kingfisher's YAML files> <folder to write>`
//!
//! Rules of the second set that find nothing but what a rule of the first finds are left out and
//! noted there. Examples are completed to three on each side; every one is tried.
#![allow(clippy::print_stdout, clippy::unwrap_used)]

use std::collections::{BTreeMap, BTreeSet};
use std::path::Path;

use sealwright_scan::detector::{broken, unbroken};
use sealwright_scan::{Class, Detector, FingerprintKey, Options, Scanner, Source, import};

fn main() {
    let args: Vec<String> = std::env::args().collect();
    let [_, gitleaks, kingfisher, out] = &args[..] else {
        println!("usage: import_rules GITLEAKS.json.zst KINGFISHER_FOLDER OUT");
        return;
    };
    let first = from_gitleaks(Path::new(gitleaks));
    let mut second = from_kingfisher(Path::new(kingfisher));
    let mut taken: BTreeSet<String> = first.iter().map(|d| d.id.clone()).collect();
    for d in &mut second {
        let base = d.id.clone();
        let mut n = 2;
        while !taken.insert(d.id.clone()) {
            d.id = format!("{base}-{n}");
            n += 1;
        }
    }
    let (first, second) = without_doubles(first, second);
    write(&Path::new(out).join("gitleaks"), first, 60);
    write(&Path::new(out).join("kingfisher"), second, 60);
}

fn scanner(detectors: Vec<Detector>) -> Result<Scanner, String> {
    let mut options = Options::new(FingerprintKey::new(b"import"));
    options.min_confidence = 0.0;
    options.decode_depth = 0;
    options.keep_values = true;
    Scanner::new(detectors, options).map_err(|e| e.to_string())
}

fn fires(scanner: &Scanner, text: &str) -> Option<Vec<u8>> {
    let found = scanner.scan(&Source::file(""), text.as_bytes());
    found
        .first()
        .and_then(|f| f.value.as_ref())
        .map(|v| v.expose().to_vec())
}

fn from_gitleaks(path: &Path) -> Vec<Detector> {
    let text = zstd::decode_all(&std::fs::read(path).unwrap()[..]).unwrap();
    let json: serde_json::Value = serde_json::from_slice(&text).unwrap();
    let mut out = Vec::new();
    for rule in json["rules"].as_array().unwrap() {
        if rule["id"] == "generic-api-key" {
            continue;
        }
        let mut table = toml::Table::new();
        for key in [
            "id",
            "description",
            "regex",
            "path",
            "entropy",
            "secret_group",
            "keywords",
            "allowlists",
        ] {
            if let Some(v) = rule.get(key).filter(|v| !v.is_null()) {
                table.insert(key.to_owned(), to_toml(v));
            }
        }
        let mut doc = toml::Table::new();
        doc.insert("rules".to_owned(), toml::Value::Array(vec![table.into()]));
        let text = toml::to_string(&doc).unwrap();
        for mut d in import::gitleaks("gitleaks", &text).unwrap() {
            let list = |key: &str| -> Vec<String> {
                rule[key]
                    .as_array()
                    .map(|a| {
                        a.iter()
                            .filter(|&t| t["path"].is_null())
                            .map(|t| t["text"].as_str().unwrap().to_owned())
                            .collect()
                    })
                    .unwrap_or_default()
            };
            d.positives = list("positives");
            d.positives.extend(list("made_positives"));
            d.negatives = list("negatives");
            out.push(d);
        }
    }
    out
}

fn to_toml(v: &serde_json::Value) -> toml::Value {
    match v {
        serde_json::Value::String(s) => s.clone().into(),
        serde_json::Value::Number(n) => n
            .as_i64()
            .map_or_else(|| n.as_f64().unwrap().into(), Into::into),
        serde_json::Value::Array(a) => toml::Value::Array(a.iter().map(to_toml).collect()),
        serde_json::Value::Object(o) => toml::Value::Table(
            o.iter()
                .filter(|(_, v)| !v.is_null())
                .map(|(k, v)| (k.clone(), to_toml(v)))
                .collect(),
        ),
        serde_json::Value::Bool(b) => (*b).into(),
        serde_json::Value::Null => "".into(),
    }
}

fn from_kingfisher(folder: &Path) -> Vec<Detector> {
    let mut files: Vec<_> = std::fs::read_dir(folder)
        .unwrap()
        .map(|e| e.unwrap().path())
        .collect();
    files.sort();
    let mut out = Vec::new();
    for file in files {
        let name = file.file_name().unwrap().to_string_lossy().into_owned();
        if !(name.ends_with(".yml") || name.ends_with(".yaml")) || name.starts_with("generic") {
            continue;
        }
        match import::kingfisher(&name, &std::fs::read_to_string(&file).unwrap()) {
            Ok(list) => out.extend(list),
            Err(e) => println!("{e}"),
        }
    }
    out
}

/// Leaves out detectors of `second` whose every example a detector of `first` with a form of its
/// own finds at the same value.
fn without_doubles(
    mut first: Vec<Detector>,
    second: Vec<Detector>,
) -> (Vec<Detector>, Vec<Detector>) {
    let alone: Vec<Option<Scanner>> = first
        .iter()
        .map(|d| scanner(vec![d.clone()]).ok())
        .collect();
    let mut kept = Vec::new();
    for d in second {
        let own = match scanner(vec![d.clone()]) {
            Ok(s) => s,
            Err(e) => {
                println!("left out: {e}");
                continue;
            }
        };
        let values: Vec<(String, Vec<u8>)> = d
            .positives
            .iter()
            .filter_map(|p| fires(&own, p).map(|v| (p.clone(), v)))
            .collect();
        let double = alone.iter().enumerate().find(|(i, s)| {
            let Some(s) = s else { return false };
            // Only a rule with the same fixed characters is the same rule.
            first[*i].confidence > 0.8
                && !d.near
                && !values.is_empty()
                && values.len() == d.positives.len()
                && values
                    .iter()
                    .all(|(text, value)| fires(s, text).is_some_and(|v| v == *value))
        });
        match double.map(|(i, _)| i) {
            Some(i) => {
                println!("{} is {}", d.id, first[i].id);
                first[i].also.extend(d.also);
                let n = first[i].positives.len();
                if n < 6 {
                    first[i].positives.extend(d.positives);
                }
            }
            None => kept.push(d),
        }
    }
    (first, kept)
}

fn complete(d: &mut Detector) -> Result<(), String> {
    let alone = scanner(vec![d.clone()])?;
    let given = d.positives.len();
    let mut positives: Vec<String> = Vec::new();
    let mut values = Vec::new();
    for p in &d.positives {
        let p = unbroken(p);
        if let Some(v) = fires(&alone, &p)
            && !positives.contains(&p)
        {
            positives.push(p);
            values.push(v);
        }
    }
    if positives.is_empty() {
        return Err(format!("{}: none of {given} positives is found", d.id));
    }
    if positives.len() < given {
        println!("{}: {} of {given} positives", d.id, positives.len());
    }
    // The shortest say the most.
    let seeds: Vec<(String, Vec<u8>)> = positives.iter().cloned().zip(values).collect();
    let wraps: [fn(&str) -> String; 4] = [
        |p| format!("# settings\n{p}\n"),
        |p| format!("first line\n  {p}\nlast line\n"),
        |p| format!("value:\n{p} \n"),
        |p| format!("\n\n{p}\n\n"),
    ];
    for wrap in wraps {
        if positives.len() >= 3 {
            break;
        }
        let text = wrap(&seeds[0].0);
        if fires(&alone, &text).is_some() {
            positives.push(text);
        }
    }
    if positives.len() > 5 {
        // Different secrets first.
        let mut seen = BTreeSet::new();
        let distinct: Vec<String> = seeds
            .iter()
            .filter(|(_, v)| seen.insert(v.clone()))
            .map(|(p, _)| p.clone())
            .take(3)
            .collect();
        let mut all = distinct;
        for p in positives {
            if all.len() < 5 && !all.contains(&p) {
                all.push(p);
            }
        }
        positives = all;
    }
    let mut negatives: Vec<String> = Vec::new();
    for n in &d.negatives {
        let n = unbroken(n);
        if fires(&alone, &n).is_none() && !negatives.contains(&n) {
            negatives.push(n);
        } else {
            println!("{}: negative found or double", d.id);
        }
    }
    negatives.truncate(8);
    for (text, value) in &seeds {
        let value = String::from_utf8_lossy(value).into_owned();
        let half: String = value.chars().take(value.chars().count() / 2).collect();
        let made = [
            text.replace(&value, &half),
            text.replace(&value, "${SECRET}"),
            text.replace(&value, &"x".repeat(value.len())),
            text.replace(&value, "changeme"),
            text.replace(&value, ""),
            text.replace(&value, "see the vault"),
        ];
        for m in made {
            if negatives.len() < 3
                && fires(&alone, &m).is_none()
                && !negatives.contains(&m)
                && m.len() > 3
            {
                negatives.push(m);
            }
        }
    }
    if positives.len() < 3 || negatives.len() < 3 {
        println!(
            "{}: {} positives, {} negatives",
            d.id,
            positives.len(),
            negatives.len()
        );
    }
    d.positives = positives.iter().map(|p| broken(p)).collect();
    d.negatives = negatives.iter().map(|n| broken(n)).collect();
    Ok(())
}

fn write(folder: &Path, detectors: Vec<Detector>, per_file: usize) {
    std::fs::create_dir_all(folder).unwrap();
    let mut by_letter: BTreeMap<String, Vec<Detector>> = BTreeMap::new();
    let mut count = 0;
    for mut d in detectors {
        assert_eq!(d.class, Class::Secret);
        if let Err(e) = complete(&mut d) {
            println!("left out: {e}");
            continue;
        }
        d.title = d.title.trim().to_owned();
        count += 1;
        let letter = d.id.chars().next().unwrap();
        let list = by_letter.entry(letter.to_string()).or_default();
        list.push(d);
    }
    for (letter, list) in by_letter {
        for (i, chunk) in list.chunks(per_file).enumerate() {
            let text = toml::to_string(&BTreeMap::from([("detector", chunk)])).unwrap();
            let suffix = if i == 0 {
                String::new()
            } else {
                format!("-{}", i + 1)
            };
            std::fs::write(folder.join(format!("{letter}{suffix}.toml")), text).unwrap();
        }
    }
    println!("{}: {count}", folder.display());
}
