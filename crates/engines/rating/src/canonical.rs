//! Canonical bytes and digests of plans.

use serde_json::Value;
use sha2::{Digest, Sha256};

use crate::plan::{Plan, PriceBook};

impl PriceBook {
    /// The book as canonical JSON: keys sorted by their bytes, no white space, decimals as
    /// normalised strings, fields without a value absent. Equal books have equal bytes, whatever
    /// notation they were read from.
    #[must_use]
    pub fn canonical_bytes(&self) -> Vec<u8> {
        bytes(serde_json::to_value(self))
    }

    /// `sha256:` and the hexadecimal SHA-256 of [`canonical_bytes`](Self::canonical_bytes).
    #[must_use]
    pub fn digest(&self) -> String {
        digest(&self.canonical_bytes())
    }
}

impl Plan {
    /// The plan as canonical JSON; it can be read again as a plan file.
    #[must_use]
    pub fn canonical_bytes(&self) -> Vec<u8> {
        bytes(serde_json::to_value(self))
    }

    /// `sha256:` and the hexadecimal SHA-256 of [`canonical_bytes`](Self::canonical_bytes).
    #[must_use]
    pub fn digest(&self) -> String {
        digest(&self.canonical_bytes())
    }
}

fn digest(bytes: &[u8]) -> String {
    format!("sha256:{}", hex::encode(Sha256::digest(bytes)))
}

/// Plans hold strings, integers, arrays and string-keyed objects only, which always serialise.
fn bytes(value: Result<Value, serde_json::Error>) -> Vec<u8> {
    let mut out = String::new();
    write(&value.unwrap_or(Value::Null), &mut out);
    out.into_bytes()
}

fn write(value: &Value, out: &mut String) {
    match value {
        Value::Array(items) => {
            out.push('[');
            for (i, item) in items.iter().enumerate() {
                if i > 0 {
                    out.push(',');
                }
                write(item, out);
            }
            out.push(']');
        }
        Value::Object(fields) => {
            let mut sorted: Vec<_> = fields.iter().collect();
            sorted.sort_by(|a, b| a.0.as_bytes().cmp(b.0.as_bytes()));
            out.push('{');
            for (i, (key, item)) in sorted.into_iter().enumerate() {
                if i > 0 {
                    out.push(',');
                }
                out.push_str(&Value::String(key.clone()).to_string());
                out.push(':');
                write(item, out);
            }
            out.push('}');
        }
        scalar => out.push_str(&scalar.to_string()),
    }
}
