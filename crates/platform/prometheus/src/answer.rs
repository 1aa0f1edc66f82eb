//! What the server answers, read within limits.

use std::borrow::Cow;
use std::collections::BTreeMap;
use std::fmt;

use sealwright_money::exact;
use serde::de::{Error as _, IgnoredAny, SeqAccess, Visitor};
use serde::{Deserialize, Deserializer};

use crate::client::Limits;
use crate::error::{PullError, line};
use crate::increase::{Reading, Sample};

/// Moments that are read: up to the year 5138. What is beyond is no moment.
const LATEST_SECONDS: f64 = 1e11;

/// A series and its samples, in the order of time.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Series {
    pub(crate) labels: BTreeMap<String, String>,
    pub(crate) samples: Vec<Sample>,
    /// Native histograms, which are no numbers.
    pub(crate) histograms: bool,
}

#[derive(Deserialize)]
struct Envelope {
    status: String,
    #[serde(default)]
    data: Option<Data>,
    #[serde(default, rename = "errorType")]
    kind: Option<String>,
    #[serde(default)]
    error: Option<String>,
    #[serde(default)]
    warnings: Vec<String>,
}

#[derive(Deserialize)]
struct Data {
    #[serde(rename = "resultType")]
    kind: String,
    #[serde(deserialize_with = "few")]
    result: Vec<Found>,
}

/// As many series as are read at all: what a small text could swell to in memory is bounded by it.
const MOST_READ: usize = 200_000;
const TOO_MANY: &str = "too many series";

fn few<'de, D: Deserializer<'de>>(deserializer: D) -> Result<Vec<Found>, D::Error> {
    struct Few;
    impl<'de> Visitor<'de> for Few {
        type Value = Vec<Found>;

        fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
            f.write_str("series")
        }

        fn visit_seq<A: SeqAccess<'de>>(self, mut seq: A) -> Result<Vec<Found>, A::Error> {
            let mut found = Vec::new();
            while let Some(series) = seq.next_element()? {
                if found.len() == MOST_READ {
                    return Err(A::Error::custom(TOO_MANY));
                }
                found.push(series);
            }
            Ok(found)
        }
    }
    deserializer.deserialize_seq(Few)
}

#[derive(Deserialize)]
struct Found {
    metric: BTreeMap<String, String>,
    #[serde(default)]
    values: Vec<Sample>,
    #[serde(default)]
    value: Option<Sample>,
    #[serde(default)]
    histograms: Option<IgnoredAny>,
    #[serde(default)]
    histogram: Option<IgnoredAny>,
}

impl<'de> Deserialize<'de> for Sample {
    /// `[1435781451.781, "1"]`: seconds as a number, the value as text.
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct Pair;
        impl<'de> Visitor<'de> for Pair {
            type Value = Sample;

            fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str("a moment and a value")
            }

            fn visit_seq<A: SeqAccess<'de>>(self, mut seq: A) -> Result<Sample, A::Error> {
                let short = || A::Error::custom("a sample has a moment and a value");
                let seconds: f64 = seq.next_element()?.ok_or_else(short)?;
                let text: Text<'_> = seq.next_element()?.ok_or_else(short)?;
                if !seconds.is_finite() || seconds.abs() > LATEST_SECONDS {
                    return Err(A::Error::custom("a sample's moment is out of range"));
                }
                // The server keeps whole milliseconds; doubles hold them exactly far beyond this range.
                #[allow(clippy::cast_possible_truncation)]
                let at = (seconds * 1_000.0).round() as i64;
                let reading = exact::parse(&text.0).map_or(Reading::Unknown, Reading::Exact);
                Ok(Sample { at, reading })
            }
        }
        deserializer.deserialize_seq(Pair)
    }
}

#[derive(Deserialize)]
struct Text<'a>(#[serde(borrow)] Cow<'a, str>);

/// The series of a successful answer.
pub(crate) fn read(status: u16, body: &[u8], limits: Limits) -> Result<Vec<Series>, PullError> {
    let ok = (200..300).contains(&status);
    let envelope: Envelope = serde_json::from_slice(body).map_err(|error| {
        if ok && error.to_string().starts_with(TOO_MANY) {
            PullError::TooManySeries {
                found: MOST_READ + 1,
                most: limits.series,
            }
        } else if ok {
            // Where, and not what: the text is another's.
            PullError::Malformed(format!(
                "it is not JSON of Prometheus's form (line {}, column {})",
                error.line(),
                error.column()
            ))
        } else {
            PullError::Status(status)
        }
    })?;
    if envelope.status != "success" || !ok {
        let Some(message) = envelope.error else {
            return Err(PullError::Status(status));
        };
        return Err(PullError::Query {
            kind: line(envelope.kind.as_deref().unwrap_or("error"), 60),
            message: line(&message, 300),
        });
    }
    if let Some(first) = envelope.warnings.first() {
        return Err(PullError::Partial(line(first, 300)));
    }
    let data = envelope
        .data
        .ok_or_else(|| PullError::Malformed("it has no data".to_owned()))?;
    if data.kind != "matrix" && data.kind != "vector" {
        return Err(PullError::Malformed(format!(
            "it is a {} where series were asked for",
            line(&data.kind, 40)
        )));
    }
    if data.result.len() > limits.series {
        return Err(PullError::TooManySeries {
            found: data.result.len(),
            most: limits.series,
        });
    }
    let samples: usize = data.result.iter().map(|found| found.values.len()).sum();
    if samples > limits.samples {
        return Err(PullError::TooManySamples {
            found: samples,
            most: limits.samples,
        });
    }
    data.result.into_iter().map(series).collect()
}

fn series(found: Found) -> Result<Series, PullError> {
    let histograms = found.histograms.is_some() || found.histogram.is_some();
    let mut samples = found.values;
    samples.extend(found.value);
    let ordered = samples
        .windows(2)
        .all(|pair| matches!(pair, [a, b] if a.at < b.at));
    if !ordered {
        return Err(PullError::Malformed(
            "the samples of a series are not in the order of time".to_owned(),
        ));
    }
    Ok(Series {
        // An empty label is none.
        labels: found
            .metric
            .into_iter()
            .filter(|(_, value)| !value.is_empty())
            .collect(),
        samples,
        histograms,
    })
}

#[derive(Deserialize)]
struct Runtime {
    data: RuntimeData,
}

#[derive(Deserialize)]
struct RuntimeData {
    #[serde(rename = "storageRetention")]
    retention: String,
}

/// How long the server keeps samples, in microseconds, where it says so in a form that is known (`15d`,
/// `15d or 10GiB`).
pub(crate) fn retention(body: &[u8]) -> Option<i64> {
    let runtime: Runtime = serde_json::from_slice(body).ok()?;
    let text = runtime.data.retention;
    duration(text.split(" or ").next()?.trim())
}

/// A duration of Prometheus (`1d12h`), in microseconds.
fn duration(text: &str) -> Option<i64> {
    let (mut total, mut number, mut any) = (0_i64, 0_i64, false);
    let mut chars = text.chars().peekable();
    while let Some(c) = chars.next() {
        if let Some(digit) = c.to_digit(10) {
            number = number.checked_mul(10)?.checked_add(i64::from(digit))?;
            any = true;
            continue;
        }
        let millis = match c {
            'y' => 365 * 86_400_000,
            'w' => 7 * 86_400_000,
            'd' => 86_400_000,
            'h' => 3_600_000,
            'm' if chars.next_if_eq(&'s').is_some() => 1,
            'm' => 60_000,
            's' => 1_000,
            _ => return None,
        };
        if !any {
            return None;
        }
        total = total.checked_add(number.checked_mul(millis)?.checked_mul(1_000)?)?;
        (number, any) = (0, false);
    }
    (!any && total > 0).then_some(total)
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::*;
    use proptest::prelude::*;

    fn of(body: &str) -> Result<Vec<Series>, PullError> {
        read(200, body.as_bytes(), Limits::default())
    }

    #[test]
    fn values_are_what_the_text_says() {
        let body = r#"{"status":"success","data":{"resultType":"matrix","result":[
            {"metric":{"__name__":"a","b":"","c":"d"},"values":[[1435781451.781,"0.1"],[1435781452,"1e+21"],
             [1435781453,"NaN"],[1435781454,"+Inf"],[1435781455,"-0"],[1435781456,"1e-300"],[1435781457,"123456789012345678"]]}]}}"#;
        let found = of(body).unwrap();
        assert_eq!(
            found[0].labels.keys().collect::<Vec<_>>(),
            ["__name__", "c"]
        );
        let samples = &found[0].samples;
        assert_eq!(samples[0].at, 1_435_781_451_781);
        let exact = |text: &str| Reading::Exact(text.parse().unwrap());
        let readings: Vec<_> = samples.iter().map(|s| s.reading).collect();
        assert_eq!(readings[0], exact("0.1"));
        assert_eq!(readings[1], exact("1000000000000000000000"));
        assert_eq!(readings[2], Reading::Unknown);
        assert_eq!(readings[3], Reading::Unknown);
        assert_eq!(readings[4], exact("0"));
        assert_eq!(readings[5], Reading::Unknown);
        assert_eq!(readings[6], exact("123456789012345678"));
    }

    #[test]
    fn what_is_no_answer_is_named() {
        for (body, wanted) in [
            ("", "line"),
            ("<html>", "line"),
            (r#"{"status":"success"}"#, "no data"),
            (
                r#"{"status":"success","data":{"resultType":"scalar","result":[1,"2"]}}"#,
                "line",
            ),
            (
                r#"{"status":"success","data":{"resultType":"streams","result":[]}}"#,
                "streams",
            ),
            (
                r#"{"status":"success","data":{"resultType":"matrix","result":[{"metric":{},"values":[[2,"1"],[1,"1"]]}]}}"#,
                "order",
            ),
            (
                r#"{"status":"success","data":{"resultType":"matrix","result":[{"metric":{},"values":[[1e300,"1"]]}]}}"#,
                "line",
            ),
            (
                r#"{"status":"success","data":{"resultType":"matrix","result":[{"metric":{},"values":[[1]]}]}}"#,
                "line",
            ),
            (
                r#"{"status":"success","warnings":["one shard did not answer"],"data":{"resultType":"matrix","result":[]}}"#,
                "one shard",
            ),
            (
                r#"{"status":"error","errorType":"bad_data","error":"parse error\nhere"}"#,
                "bad_data",
            ),
        ] {
            let error = of(body).unwrap_err().to_string();
            assert!(error.contains(wanted), "{body}: {error}");
            assert!(!error.contains('\n'), "{error}");
        }
        assert!(matches!(
            read(502, b"<html>bad gateway", Limits::default()),
            Err(PullError::Status(502))
        ));
    }

    #[test]
    fn a_text_that_swells_is_not_read_to_its_end() {
        let series = "{\"metric\":{}},".repeat(MOST_READ + 1);
        let body =
            format!(r#"{{"status":"success","data":{{"resultType":"matrix","result":[{series}"#);
        assert!(matches!(
            of(&body),
            Err(PullError::TooManySeries { found, most: 10_000 }) if found == MOST_READ + 1
        ));
    }

    #[test]
    fn retentions_are_read() {
        let body = |text: &str| {
            format!(r#"{{"status":"success","data":{{"storageRetention":"{text}"}}}}"#)
        };
        let of = |text: &str| retention(body(text).as_bytes()).map(|micros| micros / 1_000_000);
        assert_eq!(of("15d"), Some(15 * 86_400));
        assert_eq!(of("1d12h or 10GiB"), Some(36 * 3_600));
        assert_eq!(of("90ms"), Some(0));
        for bad in ["", "forever", "10GiB", "15", "d"] {
            assert_eq!(of(bad), None, "{bad}");
        }
        assert_eq!(retention(b"{}"), None);
    }

    proptest! {
        #[test]
        fn arbitrary_bytes_never_panic(bytes in proptest::collection::vec(any::<u8>(), 0..200)) {
            let _ = read(200, &bytes, Limits::default());
            let _ = retention(&bytes);
        }

        #[test]
        fn arbitrary_values_never_panic(text in "\\PC{0,30}", at in any::<f64>()) {
            let body = serde_json::json!({"status":"success","data":{"resultType":"vector",
                "result":[{"metric":{}, "value":[at, text]}]}});
            let _ = read(200, body.to_string().as_bytes(), Limits::default());
        }
    }
}
