//! The traces of real requests, imported as they are, give the published sums.

use std::path::{Path, PathBuf};

use serde_json::Value;

use crate::support::{Place, repository};

const MAPPINGS: [(&str, &str); 3] = [
    ("mooncake", "mooncake.toml"),
    ("code", "azure.toml"),
    ("conv", "azure.toml"),
];

/// Imports each file for a tenant of its own, and compares.
fn import(files: &Path, expected: &Value) {
    let place = Place::sqlite();
    let mappings = repository().join("examples/llm-traces");
    for (name, sums) in expected.as_object().expect("files") {
        let (tenant, mapping) = MAPPINGS
            .iter()
            .find(|(part, _)| name.contains(part))
            .expect("a mapping");
        place.ok(&["access", "tenant", "create", tenant]);
        let file = files.join(name).display().to_string();
        let mapping = mappings.join(mapping).display().to_string();
        let report = place.json(&[
            "billing",
            "usage",
            "import",
            &file,
            "--tenant",
            tenant,
            "--mapping",
            &mapping,
        ]);
        assert_eq!(report["accepted"], sums["requests"], "{name}: {report}");
        let shown = place.json(&[
            "billing", "usage", "show", "--tenant", tenant, "--from", "2023-01", "--to", "2026-01",
        ]);
        for (meter, sum) in [
            ("ai.requests", "requests"),
            ("ai.input_tokens", "input_tokens"),
            ("ai.output_tokens", "output_tokens"),
        ] {
            let item = shown["items"]
                .as_array()
                .unwrap()
                .iter()
                .find(|i| i["meter"] == meter);
            let quantity = &item.unwrap_or_else(|| panic!("{name}: no {meter}"))["quantity"];
            assert_eq!(
                quantity.as_str().unwrap(),
                sums[sum].to_string(),
                "{name}: {meter}"
            );
        }
    }
}

fn read(file: PathBuf) -> Value {
    serde_json::from_slice(&std::fs::read(file).unwrap()).unwrap()
}

#[test]
fn the_samples_give_their_sums() {
    let folder = repository().join("examples/llm-traces");
    import(&folder, &read(folder.join("expected-sums.json")));
}

/// The whole traces are not part of the repository: they are looked for beside it.
#[test]
fn the_whole_traces_give_the_published_sums() {
    let folder = repository().join("../shared/data/billing/llm-traces");
    if !folder.is_dir() {
        eprintln!(
            "skipped: the whole traces ({} is not there)",
            folder.display()
        );
        return;
    }
    import(
        &folder,
        &read(folder.join("expected-aggregates.json"))["files"],
    );
}

/// The worked example takes a while in a build without optimisation, and the browser checks run it too:
/// `SEALWRIGHT_TEST_DEMO=1` runs it here and verifies every invoice.
#[test]
fn every_invoice_of_the_demo_verifies() {
    if crate::support::setting("SEALWRIGHT_TEST_DEMO", 0) == 0 {
        eprintln!("skipped: the demo (SEALWRIGHT_TEST_DEMO=1 runs it)");
        return;
    }
    let place = Place::sqlite();
    let data = place.data.display().to_string();
    let said = place.ok(&["demo", "--once", "--data", &data]).out;
    let key = place.json(&["ledger", "show"])["verifier_key"]
        .as_str()
        .unwrap()
        .to_owned();
    let mut verified = 0;
    for state in ["finalised", "paid", "overdue"] {
        let list = place.json(&[
            "billing", "invoice", "list", "--state", state, "--limit", "500",
        ]);
        for invoice in list.as_array().expect("invoices") {
            let id = invoice["id"].as_str().unwrap();
            let file = place.folder.join(format!("{id}.zip")).display().to_string();
            place.ok(&[
                "billing", "invoice", "export", id, "--format", "bundle", "--to", &file,
            ]);
            place.ok(&["verify", &file, "--key", &key]);
            std::fs::remove_file(file).unwrap();
            verified += 1;
        }
    }
    assert!(verified >= 24, "{verified} invoices\n{said}");
    eprintln!("{verified} invoices verified\n{said}");
    place.ok(&["ledger", "verify"]);
    place.ok(&["doctor"]);
}
