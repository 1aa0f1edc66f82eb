//! Check digits against numbers that python-stdnum has judged.

use crate::support;

#[test]
fn agrees_with_the_judged_numbers() {
    let Some(path) = support::shared("dlp/national-identifiers/identifiers.json") else {
        return;
    };
    let data = support::json(&path);
    let mut wrong = Vec::new();
    let mut seen = 0;
    for kind in data["kinds"].as_array().unwrap() {
        let name = kind["kind"].as_str().unwrap();
        for (list, expected) in [("valid", true), ("invalid", false)] {
            for item in kind[list].as_array().unwrap() {
                for form in ["value", "formatted"] {
                    if let Some(number) = item[form].as_str() {
                        seen += 1;
                        match sealwright_scan::validate::check(name, number) {
                            Some(got) if got == expected => {}
                            got => wrong.push(format!(
                                "{name} {number} {got:?} expected {expected} {}",
                                item["error"]
                            )),
                        }
                    }
                }
            }
        }
    }
    assert!(
        wrong.is_empty(),
        "{} of {seen}:\n{}",
        wrong.len(),
        wrong.join("\n")
    );
    assert!(seen > 2_000);
}
