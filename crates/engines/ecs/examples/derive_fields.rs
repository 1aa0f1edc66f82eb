//! Writes `data/ecs/fields.tsv` (or with a second argument `categories`, `categories.tsv`) from
//! Elastic's `ecs_flat.yml` to standard output.
#![allow(clippy::print_stdout, clippy::unwrap_used, missing_docs)]

use std::collections::BTreeMap;

#[derive(serde::Deserialize)]
struct Field {
    #[serde(rename = "type")]
    kind: String,
    #[serde(default)]
    normalize: Vec<String>,
    #[serde(default)]
    allowed_values: Vec<Allowed>,
}

#[derive(serde::Deserialize)]
struct Allowed {
    name: String,
    #[serde(default)]
    expected_event_types: Vec<String>,
}

fn main() {
    let mut arguments = std::env::args().skip(1);
    let path = arguments.next().expect("the path of ecs_flat.yml");
    let text = std::fs::read_to_string(path).unwrap();
    let fields: BTreeMap<String, Field> = serde_saphyr::from_str(&text).unwrap();
    if arguments.next().as_deref() == Some("categories") {
        println!(
            "# Category of event.category and the values of event.type that go with it. Source and licence: fields.tsv."
        );
        for a in &fields["event.category"].allowed_values {
            println!("{}\t{}", a.name, a.expected_event_types.join("|"));
        }
        return;
    }
    println!(
        "# Derived from Elastic Common Schema 9.5.0-dev (elastic/ecs b85f7573f0b4), Apache-2.0, see LICENSE.txt and NOTICE.txt.\n\
         # Changed: only name, type, whether a list (+) and allowed values, which are joined by |."
    );
    for (name, f) in &fields {
        let list = if f.normalize.iter().any(|n| n == "array") {
            "+"
        } else {
            ""
        };
        let allowed: Vec<&str> = f.allowed_values.iter().map(|a| a.name.as_str()).collect();
        println!("{name}\t{}\t{list}\t{}", f.kind, allowed.join("|"));
    }
}
