//! Usage files: the same file twice changes nothing, and a run that was killed is taken up.

use std::fmt::Write as _;
use std::process::Stdio;
use std::sync::Arc;
use std::time::Duration;

use parquet::data_type::{ByteArray, ByteArrayType, Int64Type};
use parquet::file::properties::WriterProperties;
use parquet::file::writer::SerializedFileWriter;
use parquet::schema::parser::parse_message_type;
use serde_json::Value;

use crate::support::{Place, ai, places};

const MAPPING: &str = r#"
type = "sealwright.usage.ai.v1"
source = "/import/FORMAT"
format = "FORMAT"

[time]
column = "at"

[data.input_tokens]
column = "read"
as = "number"

[data.output_tokens]
column = "written"
as = "number"

[data.model]
constant = "FORMAT"

[data.region]
constant = "eu-west-1"
"#;

fn mapping(place: &Place, format: &str) -> String {
    place.file(&format!("{format}.toml"), MAPPING.replace("FORMAT", format))
}

fn time(row: usize) -> String {
    format!("2025-03-{:02}T{:02}:30:00Z", row % 28 + 1, row % 24)
}

fn csv(rows: usize) -> String {
    let mut text = "at,read,written\n".to_owned();
    for row in 0..rows {
        writeln!(text, "{},{row},{}", time(row), 2 * row).unwrap();
    }
    text
}

fn ndjson(rows: usize) -> String {
    let line = |row| {
        format!(
            r#"{{"at":"{}","read":{row},"written":{}}}"#,
            time(row),
            2 * row
        )
    };
    (0..rows).map(line).collect::<Vec<_>>().join("\n")
}

fn cloud_events(rows: usize) -> String {
    let line = |row| {
        let id = format!("row-{row}");
        ai(&id, &time(row), "cloudevents", row as u64, 2 * row as u64).to_string()
    };
    (0..rows).map(line).collect::<Vec<_>>().join("\n")
}

fn parquet_file(rows: usize) -> Vec<u8> {
    let schema = "message rows { REQUIRED BYTE_ARRAY at (UTF8); REQUIRED INT64 read; REQUIRED INT64 written; }";
    let schema = Arc::new(parse_message_type(schema).unwrap());
    let properties = Arc::new(WriterProperties::builder().build());
    let mut bytes = Vec::new();
    let mut writer = SerializedFileWriter::new(&mut bytes, schema, properties).unwrap();
    let mut group = writer.next_row_group().unwrap();
    let times: Vec<ByteArray> = (0..rows).map(|row| time(row).into_bytes().into()).collect();
    let mut column = group.next_column().unwrap().unwrap();
    column
        .typed::<ByteArrayType>()
        .write_batch(&times, None, None)
        .unwrap();
    column.close().unwrap();
    for factor in [1, 2] {
        let numbers: Vec<i64> = (0..rows).map(|row| factor * row as i64).collect();
        let mut column = group.next_column().unwrap().unwrap();
        column
            .typed::<Int64Type>()
            .write_batch(&numbers, None, None)
            .unwrap();
        column.close().unwrap();
    }
    group.close().unwrap();
    writer.close().unwrap();
    bytes
}

/// Quantities of acme by model, as `meter model` → `quantity`.
fn sums(place: &Place) -> Vec<(String, String)> {
    let shown = place.json(&[
        "billing",
        "usage",
        "show",
        "--tenant",
        "acme",
        "--from",
        "2025-03",
        "--to",
        "2025-04",
        "--group-by",
        "model",
    ]);
    let text = |value: &Value| value.as_str().unwrap_or_default().to_owned();
    let rows = shown["items"].as_array().unwrap().iter().map(|item| {
        let name = format!(
            "{} {}",
            text(&item["meter"]),
            text(&item["dimensions"]["model"])
        );
        (name, text(&item["quantity"]))
    });
    let mut rows: Vec<_> = rows.collect();
    rows.sort();
    rows
}

#[tokio::test]
async fn each_kind_of_file_counts_once() {
    const ROWS: usize = 1_500;
    for place in places().await {
        place.ok(&["access", "tenant", "create", "acme"]);
        let mut expected = Vec::new();
        for (format, content) in [
            ("csv", csv(ROWS).into_bytes()),
            ("ndjson", ndjson(ROWS).into_bytes()),
            ("cloudevents", cloud_events(ROWS).into_bytes()),
            ("parquet", parquet_file(ROWS)),
        ] {
            let file = place.file(&format!("usage.{format}"), &content);
            let half = place.file(&format!("half.{format}"), &content[..content.len() / 2]);
            let mapping = mapping(&place, format);
            let import = |file: &str| {
                let mut args = vec![
                    "billing", "usage", "import", file, "--tenant", "acme", "--output", "json",
                ];
                if format != "cloudevents" {
                    args.extend(["--mapping", mapping.as_str()]);
                }
                place.run(&args)
            };
            // A file that ends in the middle of something is refused whole, by its name.
            let cut = import(&half);
            assert_eq!(cut.code, 2, "{format}: {cut:?}");
            assert!(
                cut.err.contains(&format!("half.{format}")),
                "{format}: {}",
                cut.err
            );
            assert_eq!(sums(&place), expected, "{format}: half a file");

            let first = import(&file);
            assert_eq!(first.code, 0, "{format}: {first:?}");
            assert_eq!(first.json()["accepted"], ROWS, "{format}: {first:?}");
            let total: usize = (0..ROWS).sum();
            for (meter, quantity) in [
                ("ai.input_tokens", total),
                ("ai.output_tokens", 2 * total),
                ("ai.requests", ROWS),
            ] {
                expected.push((format!("{meter} {format}"), quantity.to_string()));
            }
            expected.sort();
            assert_eq!(sums(&place), expected, "{format}");

            let again = import(&file);
            assert_eq!(again.code, 0, "{format}: {again:?}");
            assert_eq!(again.json()["unchanged"], true, "{format}: {again:?}");
            assert_eq!(sums(&place), expected, "{format}: twice");
        }
    }
}

#[tokio::test]
async fn a_killed_import_is_taken_up_where_it_ended() {
    const ROWS: usize = 30_000;
    let place = Place::sqlite();
    place.ok(&["access", "tenant", "create", "acme"]);
    let file = place.file("usage.csv", csv(ROWS));
    let mapping = mapping(&place, "csv");
    let args = [
        "billing",
        "usage",
        "import",
        file.as_str(),
        "--tenant",
        "acme",
        "--mapping",
        mapping.as_str(),
        "--output",
        "json",
    ];
    let mut kills = 0;
    for round in 1..=4u64 {
        let before = log_bytes(&place);
        let mut child = place
            .command()
            .args(args)
            .stdout(Stdio::null())
            .stderr(Stdio::null())
            .spawn()
            .unwrap();
        // As soon as it has stored something.
        while log_bytes(&place) == before && child.try_wait().unwrap().is_none() {
            tokio::time::sleep(Duration::from_millis(2)).await;
        }
        tokio::time::sleep(Duration::from_millis(5 * round)).await;
        kills += usize::from(child.try_wait().unwrap().is_none());
        child.kill().unwrap();
        child.wait().unwrap();
    }
    assert!(kills > 0, "it was never killed at work");
    let report = place.ok(&args).json();
    assert!(
        report["resumed_at"].as_u64().unwrap() > 0 || report["unchanged"] == true,
        "{report}"
    );
    let total: usize = (0..ROWS).sum();
    let expected = [
        ("ai.input_tokens csv", total),
        ("ai.output_tokens csv", 2 * total),
        ("ai.requests csv", ROWS),
    ];
    let expected = expected.map(|(name, quantity)| (name.to_owned(), quantity.to_string()));
    assert_eq!(sums(&place), expected);
}

fn log_bytes(place: &Place) -> u64 {
    let files = place.files("log", ".log");
    files
        .iter()
        .filter_map(|file| file.metadata().ok())
        .map(|meta| meta.len())
        .sum()
}
