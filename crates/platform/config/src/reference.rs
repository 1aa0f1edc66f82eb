//! `docs/reference/configuration.md`, generated.

use std::fmt::Write as _;

use crate::model::{SECTIONS, fields};

/// The reference page. `cargo xtask` writes it to `docs/reference/configuration.md` and checks that it
/// is up to date.
pub fn reference_markdown() -> String {
    let mut out = String::from(
        "# Configuration\n\n\
         <!-- Generated from crates/platform/config; do not edit. -->\n\n\
         Every key has a default: no file is needed to start. A value is taken from, the later one winning:\n\n\
         1. the default,\n\
         2. `sealwright.toml` in the current folder, or the file named by `--config`,\n\
         3. the environment: `SEALWRIGHT__SECTION__KEY`, e.g. `SEALWRIGHT__LISTEN__ADDRESS`,\n\
         4. flags.\n\n\
         `sealwright config show` prints every value and where it came from; secrets are left out. An unknown \
         key is an error. A length of time is a whole number and a unit: `ms`, `s`, `m`, `h`, `d` (24 hours), \
         `w`.\n",
    );
    for (section, doc) in SECTIONS {
        let _ = write!(
            out,
            "\n## `[{section}]`\n\n{}\n\n| key | takes | default | meaning |\n|---|---|---|---|\n",
            doc.trim()
        );
        let start = format!("{section}.");
        for field in fields()
            .iter()
            .filter(|field| field.key.starts_with(&start))
        {
            let default = if field.default.is_empty() {
                "none".to_owned()
            } else {
                format!("`{}`", field.default)
            };
            let _ = writeln!(
                out,
                "| `{}` | {} | {default} | {} |",
                &field.key[start.len()..],
                field.kind,
                field.doc.trim()
            );
        }
    }
    out
}
