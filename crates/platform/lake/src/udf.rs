//! Functions for the members of an event's JSON in SQL.

use std::sync::Arc;

use datafusion::arrow::array::{
    Array, ArrayRef, AsArray as _, BooleanArray, Decimal128Builder, Float64Builder,
    StringViewArray, StringViewBuilder,
};
use datafusion::arrow::compute::cast;
use datafusion::arrow::datatypes::DataType;
use datafusion::common::ScalarValue;
use datafusion::error::{DataFusionError, Result};
use datafusion::logical_expr::{
    ColumnarValue, ScalarFunctionArgs, ScalarUDF, ScalarUDFImpl, Signature, TypeSignature,
    Volatility,
};
use rust_decimal::Decimal;
use sealwright_terms::Phrase;
use sonic_rs::{JsonValueTrait as _, PointerNode};

/// Digits of `json_decimal`, before and after the point, as Arrow counts them.
const PRECISION: u8 = 38;
const SCALE: i8 = 12;

/// The functions that every session has.
pub(crate) fn all() -> Vec<ScalarUDF> {
    let mut functions: Vec<ScalarUDF> = [
        (Kind::Get, "json_get"),
        (Kind::Text, "json_text"),
        (Kind::Number, "json_number"),
        (Kind::Decimal, "json_decimal"),
    ]
    .into_iter()
    .map(|(kind, name)| {
        ScalarUDF::new_from_impl(Member {
            kind,
            name,
            signature: Signature::new(TypeSignature::String(2), Volatility::Immutable),
        })
    })
    .collect();
    functions.push(ScalarUDF::new_from_impl(Hex(Signature::any(
        1,
        Volatility::Immutable,
    ))));
    functions
}

/// Whether a text holds a phrase.
pub(crate) fn holds(phrase: Phrase) -> ScalarUDF {
    ScalarUDF::new_from_impl(Holds {
        phrase,
        signature: Signature::any(1, Volatility::Immutable),
    })
}

#[derive(Debug, PartialEq, Eq, Hash)]
struct Holds {
    phrase: Phrase,
    signature: Signature,
}

impl ScalarUDFImpl for Holds {
    fn name(&self) -> &'static str {
        "holds_phrase"
    }

    fn signature(&self) -> &Signature {
        &self.signature
    }

    fn return_type(&self, _: &[DataType]) -> Result<DataType> {
        Ok(DataType::Boolean)
    }

    fn invoke_with_args(&self, args: ScalarFunctionArgs) -> Result<ColumnarValue> {
        let [text] = args.args.as_slice() else {
            return Err(DataFusionError::Plan(
                "holds_phrase takes one argument".to_owned(),
            ));
        };
        let text = cast(&text.to_array(args.number_rows)?, &DataType::Utf8View)?;
        let found: BooleanArray = text
            .as_string_view()
            .iter()
            .map(|text| text.map(|text| self.phrase.is_in(&text.to_lowercase())))
            .collect();
        Ok(ColumnarValue::Array(Arc::new(found)))
    }
}

/// Lower-case hexadecimal digits of bytes: how digests are shown.
#[derive(Debug, PartialEq, Eq, Hash)]
struct Hex(Signature);

impl ScalarUDFImpl for Hex {
    fn name(&self) -> &'static str {
        "hex_text"
    }

    fn signature(&self) -> &Signature {
        &self.0
    }

    fn return_type(&self, _: &[DataType]) -> Result<DataType> {
        Ok(DataType::Utf8View)
    }

    fn invoke_with_args(&self, args: ScalarFunctionArgs) -> Result<ColumnarValue> {
        let [bytes] = args.args.as_slice() else {
            return Err(DataFusionError::Plan(
                "hex_text takes one argument".to_owned(),
            ));
        };
        let bytes = cast(&bytes.to_array(args.number_rows)?, &DataType::BinaryView)?;
        let text: StringViewArray = bytes
            .as_binary_view()
            .iter()
            .map(|b| b.map(hex::encode))
            .collect();
        Ok(ColumnarValue::Array(Arc::new(text)))
    }
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
enum Kind {
    Get,
    Text,
    Number,
    Decimal,
}

/// `json_get(json, 'data.model')` and its kin. A member that is not there, is null, or is not of the
/// kind asked for gives NULL.
#[derive(Debug, PartialEq, Eq, Hash)]
struct Member {
    kind: Kind,
    name: &'static str,
    signature: Signature,
}

impl ScalarUDFImpl for Member {
    fn name(&self) -> &str {
        self.name
    }

    fn signature(&self) -> &Signature {
        &self.signature
    }

    fn return_type(&self, _: &[DataType]) -> Result<DataType> {
        Ok(match self.kind {
            Kind::Get | Kind::Text => DataType::Utf8View,
            Kind::Number => DataType::Float64,
            Kind::Decimal => DataType::Decimal128(PRECISION, SCALE),
        })
    }

    fn invoke_with_args(&self, args: ScalarFunctionArgs) -> Result<ColumnarValue> {
        let [json, path] = args.args.as_slice() else {
            return Err(DataFusionError::Plan(format!(
                "{} takes the JSON and a path, such as {}(json, 'data.model')",
                self.name, self.name
            )));
        };
        let constant = matches!(
            (json, path),
            (ColumnarValue::Scalar(_), ColumnarValue::Scalar(_))
        );
        let rows = if constant { 1 } else { args.number_rows };
        let json = cast(&json.to_array(rows)?, &DataType::Utf8View)?;
        let path: Box<dyn Fn(usize) -> Option<Path>> = match path {
            ColumnarValue::Scalar(path) => {
                let path = text_of(path).map(|text| Path::parse(&text));
                Box::new(move |_| path.clone())
            }
            ColumnarValue::Array(paths) => {
                let paths = cast(paths, &DataType::Utf8View)?;
                Box::new(move |i| {
                    let paths = paths.as_string_view();
                    paths.is_valid(i).then(|| Path::parse(paths.value(i)))
                })
            }
        };
        let found = self.evaluate(json.as_string_view(), &path)?;
        Ok(if constant {
            ColumnarValue::Scalar(ScalarValue::try_from_array(&found, 0)?)
        } else {
            ColumnarValue::Array(found)
        })
    }
}

fn text_of(value: &ScalarValue) -> Option<String> {
    match value {
        ScalarValue::Utf8(text) | ScalarValue::Utf8View(text) | ScalarValue::LargeUtf8(text) => {
            text.clone()
        }
        _ => None,
    }
}

impl Member {
    fn evaluate(
        &self,
        json: &StringViewArray,
        path: &dyn Fn(usize) -> Option<Path>,
    ) -> Result<ArrayRef> {
        let value = |i: usize| {
            let path = path(i)?;
            json.is_valid(i).then(|| path.find(json.value(i))).flatten()
        };
        Ok(match self.kind {
            Kind::Get => {
                let mut out = StringViewBuilder::with_capacity(json.len());
                for i in 0..json.len() {
                    out.append_option(value(i).map(|v| v.as_raw_str().to_owned()));
                }
                Arc::new(out.finish())
            }
            Kind::Text => {
                let mut out = StringViewBuilder::with_capacity(json.len());
                for i in 0..json.len() {
                    match value(i) {
                        Some(v) if v.is_null() => out.append_null(),
                        Some(v) => out.append_value(v.as_str().unwrap_or(v.as_raw_str())),
                        None => out.append_null(),
                    }
                }
                Arc::new(out.finish())
            }
            Kind::Number => {
                let mut out = Float64Builder::with_capacity(json.len());
                for i in 0..json.len() {
                    out.append_option(value(i).and_then(|v| v.as_raw_str().parse().ok()));
                }
                Arc::new(out.finish())
            }
            Kind::Decimal => {
                let mut out = Decimal128Builder::with_capacity(json.len())
                    .with_precision_and_scale(PRECISION, SCALE)?;
                for i in 0..json.len() {
                    match value(i).filter(|v| v.is_number() || v.is_str()) {
                        Some(v) => out.append_value(exact(v.as_str().unwrap_or(v.as_raw_str()))?),
                        None => out.append_null(),
                    }
                }
                Arc::new(out.finish())
            }
        })
    }
}

/// The number as a count of 10⁻¹²; an error where that would round it or does not fit.
fn exact(text: &str) -> Result<i128> {
    let refuse = || {
        DataFusionError::Execution(format!(
            "json_decimal cannot hold {} exactly: it has 26 digits before and 12 after the point; \
             json_number gives the nearest binary number",
            text.chars().take(60).collect::<String>()
        ))
    };
    let decimal = Decimal::from_str_exact(text)
        .or_else(|_| Decimal::from_scientific(text))
        .map_err(|_| refuse())?
        .normalize();
    let missing = SCALE as u32;
    let scale = decimal.scale();
    if scale > missing {
        return Err(refuse());
    }
    decimal
        .mantissa()
        .checked_mul(10_i128.pow(missing - scale))
        .filter(|v| v.unsigned_abs() < 10_u128.pow(u32::from(PRECISION)))
        .ok_or_else(refuse)
}

/// Where in the JSON: `data.model`, `data.items.0.sku`, or a JSON Pointer (RFC 6901) `/data/model`,
/// which can name keys with dots.
#[derive(Debug, Clone)]
struct Path {
    nodes: Vec<PointerNode>,
    /// The same with numbers as keys, where there are numbers.
    keys: Option<Vec<PointerNode>>,
}

impl Path {
    fn parse(text: &str) -> Self {
        let segments: Vec<String> = match text.strip_prefix('/') {
            Some(pointer) => pointer
                .split('/')
                .map(|s| s.replace("~1", "/").replace("~0", "~"))
                .collect(),
            None if text.is_empty() => Vec::new(),
            None => text.split('.').map(str::to_owned).collect(),
        };
        let key = |s: &String| PointerNode::Key(s.clone().into());
        let nodes: Vec<PointerNode> = segments
            .iter()
            .map(|s| s.parse().map_or_else(|_| key(s), PointerNode::Index))
            .collect();
        let numbers = nodes.iter().any(|n| matches!(n, PointerNode::Index(_)));
        Self {
            keys: numbers.then(|| segments.iter().map(key).collect()),
            nodes,
        }
    }

    fn find<'a>(&self, json: &'a str) -> Option<sonic_rs::LazyValue<'a>> {
        sonic_rs::get(json, &self.nodes)
            .or_else(|e| {
                self.keys
                    .as_ref()
                    .map_or(Err(e), |keys| sonic_rs::get(json, keys))
            })
            .ok()
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::*;
    use proptest::prelude::*;

    fn find(json: &str, path: &str) -> Option<String> {
        Path::parse(path)
            .find(json)
            .map(|v| v.as_raw_str().to_owned())
    }

    #[test]
    fn paths_find_members() {
        let json = r#"{"a.b":1,"data":{"model":"m\"1","items":[{"sku":"x"},2],"7":"seven"}}"#;
        for (path, value) in [
            ("data.model", Some(r#""m\"1""#)),
            ("data.items.0.sku", Some(r#""x""#)),
            ("data.items.1", Some("2")),
            ("data.7", Some(r#""seven""#)),
            ("/a.b", Some("1")),
            ("a.b", None),
            ("data.nothing", None),
            ("data.items.9", None),
        ] {
            assert_eq!(find(json, path).as_deref(), value, "{path}");
        }
    }

    #[test]
    fn decimals_are_exact_or_refused() {
        assert_eq!(exact("0.1").unwrap(), 100_000_000_000);
        assert_eq!(exact("-1.5e3").unwrap(), -1_500_000_000_000_000);
        assert_eq!(exact("7.000000000000000").unwrap(), 7_000_000_000_000);
        assert!(exact("0.0000000000001").is_err());
        assert!(exact("1e400").is_err());
        assert!(exact("NaN").is_err());
    }

    proptest! {
        #[test]
        fn arbitrary_text_never_panics(json in "\\PC{0,64}", path in "\\PC{0,16}") {
            let _ = find(&json, &path);
            let _ = exact(&json);
        }
    }
}
