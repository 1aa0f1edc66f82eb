//! Events as clients write them, and texts without what differs from run to run.

use jiff::{SignedDuration, Timestamp};
use regex::Regex;
use serde_json::{Value, json};

/// A time before now, RFC 3339.
pub(crate) fn ago(seconds: i64) -> String {
    (Timestamp::now() - SignedDuration::from_secs(seconds)).to_string()
}

/// A request to a model.
pub(crate) fn ai(id: &str, time: &str, model: &str, input: u64, output: u64) -> Value {
    json!({
        "specversion": "1.0", "id": id, "source": "/gateway", "type": "sealwright.usage.ai.v1",
        "time": time, "subject": "user-1",
        "data": { "model": model, "region": "eu-west-1", "input_tokens": input, "output_tokens": output },
    })
}

/// Times, digests, ids, folders and process numbers become words.
pub(crate) fn redacted(text: &str) -> String {
    let rules = [
        (r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d(\.\d+)?Z", "TIME"),
        (r"\b[0-9a-f]{64}\b", "DIGEST"),
        (
            r"\b(ten|inv|evt|led|key|usr|ses|run)_[0-9A-Za-z-]+",
            "${1}_ID",
        ),
        (r"/[^\s`':]*/\.tmp[0-9A-Za-z]+", "FOLDER"),
        (r"127\.0\.0\.1:\d+", "127.0.0.1:PORT"),
        (r"process \d+", "process N"),
    ];
    let visible = |c: char| match c {
        '\n' => c.to_string(),
        c if c.is_control() => c.escape_default().to_string(),
        c => c.to_string(),
    };
    let mut text: String = text.chars().map(visible).collect();
    for (rule, word) in rules {
        let rule = Regex::new(rule).expect("a rule");
        text = rule.replace_all(&text, word).into_owned();
    }
    text
}
