//! The example sets of other scanners. What differs is listed with its reason in DIFFERENCES.md.

use std::collections::BTreeMap;

use sealwright_scan::{Class, Finding, FingerprintKey, Options, Scanner, Source, detector};

use crate::support;

fn scanner(only: impl Fn(Class) -> bool, min_confidence: f32) -> Scanner {
    let mut options = Options::new(FingerprintKey::new(b"test"));
    options.min_confidence = min_confidence;
    options.keep_values = true;
    let mut detectors = detector::builtin().unwrap();
    detectors.retain(|d| only(d.class));
    Scanner::new(detectors, options).unwrap()
}

fn show(list: &[String]) {
    for line in list {
        println!(
            "{}",
            line.replace('\n', "⏎")
                .chars()
                .take(240)
                .collect::<String>()
        );
    }
}

fn names(found: &[Finding]) -> String {
    found
        .iter()
        .map(|f| format!("{} {:.2}", f.detector, f.confidence))
        .collect::<Vec<_>>()
        .join(", ")
}

#[test]
fn gitleaks_examples() {
    let Some(path) = support::shared("dlp/gitleaks-rules/rules.json.zst") else {
        return;
    };
    let data = support::json(&path);
    let scanner = scanner(|c| c == Class::Secret, 0.5);
    let (mut positives, mut negatives) = ((0, Vec::new()), (0, Vec::new()));
    for rule in data["rules"].as_array().unwrap() {
        let id = rule["id"].as_str().unwrap();
        for (key, good) in [
            ("positives", true),
            ("made_positives", true),
            ("negatives", false),
        ] {
            for item in rule[key].as_array().unwrap() {
                let text = item["text"].as_str().unwrap();
                let path = item["path"].as_str().unwrap_or("file.txt");
                let found = scanner.scan(&Source::file(path), text.as_bytes());
                let side = if good { &mut positives } else { &mut negatives };
                side.0 += 1;
                if found.is_empty() == good {
                    side.1.push(format!("{id}: {} {text}", names(&found)));
                }
            }
        }
    }
    println!("positives missed {} of {}", positives.1.len(), positives.0);
    show(&positives.1);
    println!(
        "negatives reported {} of {}",
        negatives.1.len(),
        negatives.0
    );
    show(&negatives.1);
    assert!(positives.1.len() <= 10, "missed {}", positives.1.len());
    assert!(negatives.1.len() <= 48, "reported {}", negatives.1.len());
}

#[test]
fn kingfisher_examples() {
    let Some(path) = support::shared("dlp/kingfisher-rules/index.jsonl.zst") else {
        return;
    };
    let text = String::from_utf8(support::bytes(&path)).unwrap();
    let scanner = scanner(|c| c == Class::Secret, 0.5);
    let mut missed = Vec::new();
    let mut count = 0;
    for line in text.lines() {
        let rule: serde_json::Value = serde_json::from_str(line).unwrap();
        for example in rule["examples"].as_array().unwrap() {
            count += 1;
            let example = example.as_str().unwrap();
            if scanner
                .scan(&Source::file("file.txt"), example.as_bytes())
                .is_empty()
            {
                missed.push(format!("{}: {example}", rule["id"].as_str().unwrap()));
            }
        }
    }
    println!("missed {} of {count}", missed.len());
    show(&missed);
    assert!(missed.len() * 100 <= count * 13, "missed {}", missed.len());
}

/// The detectors that stand for an entity of the peer.
const ENTITIES: &[(&str, &[&str])] = &[
    ("ABA_ROUTING_NUMBER", &["us.rtn"]),
    ("AU_ABN", &["au.abn"]),
    ("AU_ACN", &["au.acn"]),
    ("AU_MEDICARE", &["au.medicare"]),
    ("AU_TFN", &["au.tfn"]),
    ("CA_SIN", &["ca.sin"]),
    ("CREDIT_CARD", &["payment_card"]),
    ("CRYPTO", &["bitcoin_address", "bitcoin_segwit_address"]),
    ("DE_HEALTH_INSURANCE", &["de.kvnr"]),
    ("DE_ID_CARD", &["de.id_card"]),
    ("DE_LANR", &["de.lanr"]),
    ("DE_PASSPORT", &["de.passport"]),
    ("DE_SOCIAL_SECURITY", &["de.rvnr"]),
    ("DE_TAX_ID", &["de.idnr"]),
    ("DE_VAT_ID", &["eu_vat"]),
    ("DE_FUEHRERSCHEIN", &["de.driving_licence"]),
    ("EMAIL_ADDRESS", &["email"]),
    ("ES_NIE", &["es.nie"]),
    ("ES_NIF", &["es.dni"]),
    ("ES_PASSPORT", &["es.passport"]),
    ("FI_PERSONAL_IDENTITY_CODE", &["fi.hetu"]),
    ("IBAN_CODE", &["iban"]),
    ("IN_AADHAAR", &["in.aadhaar"]),
    ("IN_GSTIN", &["in.gstin"]),
    ("IN_PAN", &["in.pan"]),
    ("IN_PASSPORT", &["in.passport"]),
    ("IN_VOTER", &["in.voter"]),
    ("IP_ADDRESS", &["ip_address", "ipv6_address"]),
    ("IT_DRIVER_LICENSE", &["it.driving_licence"]),
    ("IT_FISCAL_CODE", &["it.codicefiscale"]),
    ("IT_IDENTITY_CARD", &["it.identity_card"]),
    ("IT_PASSPORT", &["it.passport"]),
    ("IT_VAT_CODE", &["it.iva"]),
    ("KR_BRN", &["kr.brn"]),
    ("KR_PASSPORT", &["kr.passport"]),
    ("KR_RRN", &["kr.rrn"]),
    ("MAC_ADDRESS", &["mac_address"]),
    ("MEDICAL_LICENSE", &["us.dea"]),
    ("NG_NIN", &["ng.nin"]),
    ("PHONE_NUMBER", &["phone", "phone.national", "phone.bare"]),
    ("PH_TIN", &["ph.tin"]),
    ("PL_PESEL", &["pl.pesel"]),
    ("SE_ORGANISATIONSNUMMER", &["se.orgnr"]),
    ("SE_PERSONNUMMER", &["se.personnummer"]),
    ("SG_NRIC_FIN", &["sg.nric"]),
    ("SG_UEN", &["sg.uen"]),
    ("TH_TNIN", &["th.pin"]),
    ("TR_NATIONAL_ID", &["tr.tckimlik"]),
    ("UK_DRIVING_LICENCE", &["gb.driving"]),
    ("UK_NHS", &["gb.nhs"]),
    ("UK_NINO", &["gb.nino"]),
    ("UK_PASSPORT", &["gb.passport"]),
    ("US_BANK_NUMBER", &["us.bank_account"]),
    ("US_DRIVER_LICENSE", &["us.driving_licence"]),
    ("US_ITIN", &["us.itin"]),
    ("US_MBI", &["us.mbi"]),
    ("US_NPI", &["us.npi"]),
    ("US_PASSPORT", &["us.passport"]),
    ("US_SSN", &["us.ssn"]),
    ("ZA_ID_NUMBER", &["za.idnr"]),
];

#[test]
fn presidio_cases() {
    let Some(path) = support::shared("dlp/presidio-recognisers/cases_half.json") else {
        return;
    };
    let data = support::json(&path);
    let mut by_entity: BTreeMap<&str, Scanner> = BTreeMap::new();
    for (entity, ids) in ENTITIES {
        let mut options = Options::new(FingerprintKey::new(b"test"));
        // One entity alone, without context: what stands there is taken for it.
        options.min_confidence = 0.0;
        options.overlaps = true;
        options.decode_depth = 0;
        let mut detectors = detector::builtin().unwrap();
        detectors.retain(|d| ids.contains(&d.id.as_str()));
        assert_eq!(detectors.len(), ids.len(), "{entity}");
        by_entity.insert(entity, Scanner::new(detectors, options).unwrap());
    }
    let (mut right, mut wrong, mut without) = (0, Vec::new(), 0);
    for case in data["cases"].as_array().unwrap() {
        let entity = case["entity"].as_str().unwrap();
        let Some(scanner) = by_entity.get(entity) else {
            without += 1;
            continue;
        };
        let Some(text) = case["text"].as_str() else {
            continue;
        };
        let mut places: Vec<(u64, u64)> = scanner
            .scan(&Source::file(""), text.as_bytes())
            .iter()
            .map(|f| (f.start, f.end))
            .collect();
        places.dedup();
        let good = match case["kind"].as_str().unwrap() {
            "count" => case["count"].as_u64().unwrap() as usize == places.len(),
            "spans" => {
                let offset = |n: u64| {
                    text.char_indices()
                        .nth(n as usize)
                        .map_or(text.len(), |(i, _)| i) as u64
                };
                let wanted: Vec<(u64, u64)> = case["spans"]
                    .as_array()
                    .unwrap()
                    .iter()
                    .map(|s| {
                        (
                            offset(s["start"].as_u64().unwrap()),
                            offset(s["end"].as_u64().unwrap()),
                        )
                    })
                    .collect();
                wanted == places
            }
            _ => continue,
        };
        if good {
            right += 1;
        } else {
            wrong.push(format!(
                "{entity}: {text:?} {} found {places:?}",
                case["spans"]
                    .to_string()
                    .chars()
                    .take(60)
                    .collect::<String>()
            ));
        }
    }
    println!(
        "right {right}, wrong {}, entities without a detector {without}",
        wrong.len()
    );
    show(&wrong);
    assert!(
        wrong.len() * 100 <= (right + wrong.len()) * 25,
        "{} wrong",
        wrong.len()
    );
}
