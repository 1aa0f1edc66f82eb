//! `sealwright config show`.

use comfy_table::{Table, presets};

use crate::load::Loaded;
use crate::model::fields;

/// Every key with its value and source, secrets left out.
pub fn show_table(loaded: &Loaded) -> String {
    let mut table = Table::new();
    table.load_style(presets::NOTHING);
    table.set_header(["KEY", "VALUE", "SOURCE"]);
    for field in fields() {
        let value = loaded.shown.get(field.key).map_or("", String::as_str);
        let source = loaded.sources.get(field.key).map(ToString::to_string);
        let value = if value.is_empty() { "-" } else { value };
        table.add_row([field.key, value, source.as_deref().unwrap_or("default")]);
    }
    let lines: Vec<_> = table
        .lines()
        .map(|line| line.trim_end().to_owned())
        .collect();
    lines.join("\n")
}

/// The same as JSON: `{"section.key": {"value": …, "source": …}}`.
pub fn show_json(loaded: &Loaded) -> serde_json::Value {
    let mut members = serde_json::Map::new();
    for field in fields() {
        let value = loaded.shown.get(field.key).cloned();
        let source = loaded.sources.get(field.key).map(ToString::to_string);
        members.insert(
            field.key.to_owned(),
            serde_json::json!({"value": value, "source": source}),
        );
    }
    members.into()
}
