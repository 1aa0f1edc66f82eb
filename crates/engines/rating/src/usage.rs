//! Usage files: JSON, NDJSON and CSV.

use sealwright_money::{Decimal, MoneyError, exact};
use serde::{Deserialize, Serialize};

use crate::decimal_text;
use crate::document::{self, Format, Node, Value};
use crate::fields::{self, Fields, Report, Sign};
use crate::plan::Dimensions;
use crate::problem::{Position, Problems};

/// The largest usage file that is read.
pub const MAX_USAGE_BYTES: usize = 256 << 20;
const MAX_NAME: usize = 1_000;
const MAX_ROWS: usize = 5_000_000;
const MAX_COLUMNS: usize = 64;

/// A metered quantity.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Usage {
    /// The meter's key.
    pub meter: String,
    /// The quantity, in the meter's unit; the sum of the transactions where there are any.
    #[serde(with = "decimal_text")]
    pub quantity: Decimal,
    /// Region, model and the like.
    #[serde(default, skip_serializing_if = "Dimensions::is_empty")]
    pub dimensions: Dimensions,
    /// The single transactions, in their order, for percentage prices. When empty, the quantity
    /// is one transaction.
    #[serde(default, skip_serializing_if = "Vec::is_empty", with = "transactions")]
    pub transactions: Vec<Decimal>,
}

impl Usage {
    /// A quantity without dimensions.
    #[must_use]
    pub fn new(meter: &str, quantity: Decimal) -> Self {
        Self {
            meter: meter.to_owned(),
            quantity,
            dimensions: Dimensions::new(),
            transactions: Vec::new(),
        }
    }

    /// The same with a dimension added.
    #[must_use]
    pub fn with(mut self, name: &str, value: &str) -> Self {
        self.dimensions.insert(name.to_owned(), value.to_owned());
        self
    }
}

/// The notation of a usage file.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum UsageFormat {
    /// `{"usage": [{"meter", "quantity", "dimensions": {}}]}`, such an array by itself, or an
    /// object of meter and quantity.
    Json,
    /// One such item a line.
    Ndjson,
    /// A header with `meter` and `quantity`; all other columns are dimensions, empty ones absent.
    Csv,
}

impl UsageFormat {
    /// The format that a file's extension names: `.json`, `.ndjson`, `.jsonl`, `.csv`.
    #[must_use]
    pub fn of_name(name: &str) -> Option<Self> {
        match name.rsplit_once('.')?.1.to_ascii_lowercase().as_str() {
            "json" => Some(Self::Json),
            "ndjson" | "jsonl" => Some(Self::Ndjson),
            "csv" => Some(Self::Csv),
            _ => None,
        }
    }
}

/// Reads a usage file. `file` is used in messages only.
///
/// # Errors
/// The [`Problems`] found, each with its place.
pub fn parse_usage(file: &str, text: &str, format: UsageFormat) -> Result<Vec<Usage>, Problems> {
    let text = text.strip_prefix('\u{feff}').unwrap_or(text);
    let mut report = Report::new(file);
    let mut out = Vec::new();
    if text.len() > MAX_USAGE_BYTES {
        let message = format!(
            "the file has {} bytes: at most {MAX_USAGE_BYTES} are read",
            text.len()
        );
        report.error(Position { line: 1, column: 1 }, "too-large", message);
    } else {
        match format {
            UsageFormat::Json => {
                let root = document::parse(file, text, Format::Json, MAX_USAGE_BYTES)?;
                json(&root, &mut out, &mut report);
            }
            UsageFormat::Ndjson => ndjson(file, text, &mut out, &mut report)?,
            UsageFormat::Csv => csv_rows(text, &mut out, &mut report),
        }
    }
    if report.failed() {
        Err(Problems(report.finish()))
    } else {
        Ok(out)
    }
}

fn json(root: &Node, out: &mut Vec<Usage>, report: &mut Report) {
    let items = match &root.value {
        Value::Array(items) => items,
        Value::Table(entries) => {
            let list = entries
                .iter()
                .find(|(k, _)| k.name == "usage")
                .map(|(_, n)| &n.value);
            if let Some(Value::Array(_)) = list {
                let Some(mut f) = Fields::open(root, "the usage file", report) else {
                    return;
                };
                let items = f.array("usage", MAX_ROWS, report);
                f.finish(report);
                items
            } else {
                for (key, node) in entries {
                    if let Some(q) =
                        fields::number(node, &format!("`{}`", key.name), Sign::NotNegative, report)
                    {
                        out.push(Usage::new(&key.name, q));
                    }
                }
                return;
            }
        }
        _ => {
            report.error(root.at, "type", "usage must be an array or an object");
            return;
        }
    };
    out.extend(items.iter().filter_map(|node| item(node, report)));
}

fn ndjson(
    file: &str,
    text: &str,
    out: &mut Vec<Usage>,
    report: &mut Report,
) -> Result<(), Problems> {
    for (n, line) in text.lines().enumerate() {
        if line.trim().is_empty() {
            continue;
        }
        let number = u32::try_from(n + 1).unwrap_or(u32::MAX);
        let mut node =
            document::parse(file, line, Format::Json, MAX_USAGE_BYTES).map_err(|mut e| {
                for p in &mut e.0 {
                    p.at.line = number;
                }
                e
            })?;
        relocate(&mut node, number);
        out.extend(item(&node, report));
    }
    Ok(())
}

fn relocate(node: &mut Node, line: u32) {
    node.at.line = line;
    match &mut node.value {
        Value::Array(items) => items.iter_mut().for_each(|n| relocate(n, line)),
        Value::Table(entries) => {
            for (key, n) in entries {
                key.at.line = line;
                relocate(n, line);
            }
        }
        _ => {}
    }
}

fn item(node: &Node, report: &mut Report) -> Option<Usage> {
    let mut f = Fields::open(node, "a usage item", report)?;
    let meter = f.need_text("meter", MAX_NAME, report);
    let mut transactions = Vec::new();
    let has_transactions = f.take("transactions").is_some();
    for t in f.array("transactions", MAX_ROWS, report) {
        transactions.extend(fields::number(
            t,
            "a transaction",
            Sign::NotNegative,
            report,
        ));
    }
    let quantity = if has_transactions {
        let given = f.number("quantity", Sign::NotNegative, report);
        let sum = exact::sum(transactions.iter().copied())
            .map_err(|e| report.error(node.at, "out-of-range", e.to_string()))
            .ok();
        if given.is_some() && given != sum {
            report.error(
                f.place("quantity"),
                "quantity",
                "`quantity` is not the sum of `transactions`: leave it out",
            );
        }
        sum
    } else {
        f.need_number("quantity", Sign::NotNegative, report)
    };
    let dimensions = dimensions(&mut f, report);
    f.finish(report);
    Some(Usage {
        meter: meter?,
        quantity: quantity?,
        dimensions,
        transactions,
    })
}

/// Dimension values are strings; numbers and booleans count as their text.
fn dimensions(f: &mut Fields<'_>, report: &mut Report) -> Dimensions {
    let mut out = Dimensions::new();
    let Some(node) = f.take("dimensions") else {
        return out;
    };
    let Value::Table(entries) = &node.value else {
        report.error(node.at, "type", "`dimensions` must be an object");
        return out;
    };
    if entries.len() > MAX_COLUMNS {
        report.error(
            node.at,
            "too-many",
            format!("at most {MAX_COLUMNS} dimensions are allowed"),
        );
        return out;
    }
    for (key, value) in entries {
        let text = match &value.value {
            Value::Null => continue,
            Value::Number(n) => n.clone(),
            Value::Bool(b) => b.to_string(),
            _ => match fields::text(value, &format!("`{}`", key.name), MAX_NAME, report) {
                Some(text) => text,
                None => continue,
            },
        };
        out.insert(key.name.clone(), text);
    }
    out
}

fn csv_rows(text: &str, out: &mut Vec<Usage>, report: &mut Report) {
    let mut reader = csv::ReaderBuilder::new()
        .trim(csv::Trim::All)
        .from_reader(text.as_bytes());
    let start = Position { line: 1, column: 1 };
    let header = match reader.headers() {
        Ok(header) => header.clone(),
        Err(e) => return report.error(start, "syntax", e.to_string()),
    };
    let column = |name: &str| header.iter().position(|h| h == name);
    let (Some(meter), Some(quantity)) = (column("meter"), column("quantity")) else {
        return report.error(
            start,
            "missing-field",
            "the header needs the columns `meter` and `quantity`",
        );
    };
    if header.len() > MAX_COLUMNS {
        return report.error(
            start,
            "too-many",
            format!("at most {MAX_COLUMNS} columns are allowed"),
        );
    }
    if let Some((_, name)) = header
        .iter()
        .enumerate()
        .find(|(i, h)| column(h) != Some(*i))
    {
        return report.error(
            start,
            "duplicate-column",
            format!("two columns are called `{name}`"),
        );
    }
    for row in reader.records() {
        let row = match row {
            Ok(row) => row,
            Err(e) => {
                let line = e.position().map_or(1, csv::Position::line);
                let at = Position {
                    line: u32::try_from(line).unwrap_or(u32::MAX),
                    column: 1,
                };
                report.error(at, "syntax", e.to_string());
                continue;
            }
        };
        let line = row.position().map_or(1, csv::Position::line);
        // Columns in messages are fields here, as their characters cannot be known after unquoting.
        let place = |field: usize| Position {
            line: u32::try_from(line).unwrap_or(u32::MAX),
            column: u32::try_from(field + 1).unwrap_or(u32::MAX),
        };
        let name = row.get(meter).unwrap_or("");
        if name.is_empty() || name.len() > MAX_NAME {
            report.error(place(meter), "text", "the meter is empty or too long");
            continue;
        }
        let raw = row.get(quantity).unwrap_or("");
        let number = match exact::parse(raw) {
            Ok(d) if d.is_sign_negative() => {
                report.error(
                    place(quantity),
                    "negative",
                    "the quantity must not be negative",
                );
                continue;
            }
            Ok(d) => d,
            Err(e) => {
                let code = if matches!(e, MoneyError::OutOfRange(_)) {
                    "out-of-range"
                } else {
                    "not-a-number"
                };
                report.error(place(quantity), code, format!("the quantity: {e}"));
                continue;
            }
        };
        let mut item = Usage::new(name, number);
        for (i, (key, value)) in header.iter().zip(&row).enumerate() {
            if i != meter && i != quantity && !value.is_empty() && !key.is_empty() {
                item = item.with(key, value);
            }
        }
        out.push(item);
    }
}

mod transactions {
    use sealwright_money::{Decimal, exact};
    use serde::{Deserialize, Deserializer, Serializer};

    pub(super) fn serialize<S: Serializer>(items: &[Decimal], s: S) -> Result<S::Ok, S::Error> {
        s.collect_seq(items.iter().map(|d| exact::normalise(*d).to_string()))
    }

    pub(super) fn deserialize<'de, D: Deserializer<'de>>(d: D) -> Result<Vec<Decimal>, D::Error> {
        let texts = Vec::<String>::deserialize(d)?;
        texts
            .iter()
            .map(|t| exact::parse(t).map_err(serde::de::Error::custom))
            .collect()
    }
}
