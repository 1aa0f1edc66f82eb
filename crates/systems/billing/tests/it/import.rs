//! Imports of usage files.

use std::collections::{BTreeMap, HashMap};
use std::io::Write as _;
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex};

use async_trait::async_trait;
use proptest::prelude::*;
use sealwright_billing::COMPONENT;
use sealwright_billing::service::import::{
    BATCH, ImportError, ImportReport, ImportRequest, Importer, Mapping, ParquetOpener,
};
use sealwright_cloudevents::Event;
use sealwright_core::{Digest, ManualClock, TenantId, UnixMicros};
use sealwright_events::{Admit, Appended, Catalogue, EventSink, SinkError};
use sealwright_meter::{Aggregate, MeterSet, floor_meters};
use sealwright_store::testing::{TestStore, sqlite};
use serde_json::{Map, Value, json};

/// A log in memory with the rules of the intake.
#[derive(Default)]
struct Log {
    known: Mutex<HashMap<(String, String), Digest>>,
    events: Mutex<Vec<Event>>,
    /// Batches until the log fails; `None`: it does not.
    fail_after: Mutex<Option<usize>>,
    largest: Mutex<usize>,
}

#[async_trait]
impl EventSink for Log {
    async fn append(&self, _: TenantId, events: &[Event]) -> Result<Appended, SinkError> {
        if let Some(left) = &mut *self.fail_after.lock().unwrap() {
            *left = left
                .checked_sub(1)
                .ok_or_else(|| SinkError::Failed("the disk is full".to_owned()))?;
        }
        let mut known = self.known.lock().unwrap();
        let key = |event: &Event| (event.source().to_owned(), event.id().to_owned());
        let digest = |event: &Event| Digest::of(event.json().as_bytes());
        let refused: Vec<_> = events
            .iter()
            .enumerate()
            .filter(|(_, event)| known.get(&key(event)).is_some_and(|d| *d != digest(event)))
            .map(|(index, _)| (index, "another event has this id".to_owned()))
            .collect();
        if !refused.is_empty() {
            return Err(SinkError::Refused(refused));
        }
        let mut done = Appended::default();
        let mut log = self.events.lock().unwrap();
        let mut largest = self.largest.lock().unwrap();
        *largest = (*largest).max(events.len());
        for event in events {
            if known.insert(key(event), digest(event)).is_none() {
                done.accepted += 1;
                log.push(event.clone());
            } else {
                done.duplicates += 1;
            }
        }
        Ok(done)
    }
}

struct World {
    store: TestStore,
    log: Arc<Log>,
    importer: Importer,
}

const TENANT: &str = "ten_0190b3c07f3e7c3b8a61c4a1f0e2d3b5";

impl World {
    async fn new() -> Self {
        Self::with(None).await
    }

    async fn with(parquet: Option<ParquetOpener>) -> Self {
        let store = sqlite().await.migrated(&[COMPONENT]).await;
        let log = Arc::new(Log::default());
        let now = UnixMicros::parse_rfc3339("2026-11-23T00:00:00Z").unwrap();
        let importer = Importer::new(
            store.store.clone(),
            Arc::new(ManualClock::new(now)),
            Arc::clone(&log) as Arc<dyn EventSink>,
            vec![Arc::new(Catalogue) as Arc<dyn Admit>],
            parquet,
        );
        Self {
            store,
            log,
            importer,
        }
    }

    fn file(&self, name: &str, bytes: &[u8]) -> PathBuf {
        let path = self.store.path().join(name);
        std::fs::write(&path, bytes).unwrap();
        path
    }

    async fn import(
        &self,
        file: &Path,
        mapping: Mapping,
        skip_bad: bool,
    ) -> Result<ImportReport, ImportError> {
        let request = ImportRequest {
            file: file.to_owned(),
            tenant: TENANT.parse().unwrap(),
            mapping,
            skip_bad,
        };
        self.importer.run(&request, None).await
    }

    /// What the predefined meters make of the log.
    fn metered(&self) -> BTreeMap<String, String> {
        let definitions = floor_meters();
        let set = MeterSet::compile(&definitions).unwrap();
        let mut totals: BTreeMap<usize, Aggregate> = BTreeMap::new();
        for event in self.log.events.lock().unwrap().iter() {
            let value: Value = serde_json::from_str(event.json()).unwrap();
            let (mut out, mut errors) = (Vec::new(), Vec::new());
            let time = event.time_micros().unwrap();
            set.contributions(event.event_type(), &value, time, &mut out, &mut errors);
            assert!(errors.is_empty(), "{errors:?}");
            for contribution in out {
                let def = &definitions[contribution.meter];
                totals
                    .entry(contribution.meter)
                    .or_insert_with(|| Aggregate::new(def.aggregation))
                    .add(&contribution.value)
                    .unwrap();
            }
        }
        totals
            .into_iter()
            .map(|(meter, total)| {
                let quantity = total.finish(0, i64::MAX).unwrap().unwrap().value;
                let key = definitions[meter].key.clone();
                (key, quantity.normalize().to_string())
            })
            .collect()
    }
}

fn repository() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("../../..")
}

fn example(name: &str) -> PathBuf {
    repository().join("examples/llm-traces").join(name)
}

fn mapping(name: &str) -> Mapping {
    let text = std::fs::read_to_string(example(name)).unwrap();
    Mapping::parse(name, &text).unwrap()
}

const CSV: &str = r#"
format = "csv"
type = "sealwright.usage.ai.v1"
[time]
column = "at"
[data.input_tokens]
column = "in"
as = "number"
[data.output_tokens]
column = "out"
as = "number"
[data.model]
column = "model"
[data.region]
constant = "eu-west-1"
"#;

fn csv() -> Mapping {
    Mapping::parse("m.toml", CSV).unwrap()
}

fn sums(world: &World, file: &Value) {
    let metered = world.metered();
    for (meter, name) in [
        ("ai.requests", "requests"),
        ("ai.input_tokens", "input_tokens"),
        ("ai.output_tokens", "output_tokens"),
    ] {
        assert_eq!(metered[meter], file[name].to_string(), "{meter}");
    }
}

#[tokio::test]
async fn the_samples_give_their_own_sums() {
    let text = std::fs::read_to_string(example("expected-sums.json")).unwrap();
    let expected: Value = serde_json::from_str(&text).unwrap();
    for (file, rules) in [
        ("azure-code-sample.csv.gz", "azure.toml"),
        ("azure-conv-sample.csv.gz", "azure.toml"),
        ("mooncake-sample.jsonl.gz", "mooncake.toml"),
    ] {
        let world = World::new().await;
        let report = world
            .import(&example(file), mapping(rules), false)
            .await
            .unwrap();
        assert_eq!(
            report.accepted,
            expected[file]["requests"].as_u64().unwrap()
        );
        sums(&world, &expected[file]);
        assert!(*world.log.largest.lock().unwrap() <= BATCH);
    }
}

#[tokio::test]
async fn the_whole_traces_give_the_expected_aggregates() {
    let folder = std::env::var_os("SEALWRIGHT_SHARED_DATA")
        .map_or_else(|| repository().join("../shared/data"), PathBuf::from)
        .join("billing/llm-traces");
    let Ok(text) = std::fs::read_to_string(folder.join("expected-aggregates.json")) else {
        let _ = writeln!(std::io::stderr(), "skipped: no data");
        return;
    };
    let expected: Value = serde_json::from_str(&text).unwrap();
    for (file, rules) in [
        ("AzureLLMInferenceTrace_code.csv.gz", "azure.toml"),
        ("AzureLLMInferenceTrace_conv.csv.gz", "azure.toml"),
        ("mooncake_conversation_trace.jsonl.gz", "mooncake.toml"),
        (
            "mooncake_conversation_trace.jsonl.gz",
            "mooncake-cached.toml",
        ),
    ] {
        let world = World::new().await;
        let report = world
            .import(&folder.join(file), mapping(rules), false)
            .await
            .unwrap();
        let about = &expected["files"][file];
        assert_eq!(report.accepted, about["requests"].as_u64().unwrap());
        if rules == "mooncake-cached.toml" {
            let metered = world.metered();
            let cached = about["cached_input_tokens"].as_u64().unwrap();
            let input = about["input_tokens"].as_u64().unwrap();
            assert_eq!(metered["ai.cached_input_tokens"], cached.to_string());
            assert_eq!(metered["ai.input_tokens"], (input - cached).to_string());
        } else {
            sums(&world, about);
            assert!(!world.metered().contains_key("ai.cached_input_tokens"));
        }
    }
}

#[tokio::test]
async fn times_are_those_of_the_rows() {
    let world = World::new().await;
    let file = example("azure-code-sample.csv.gz");
    world
        .import(&file, mapping("azure.toml"), false)
        .await
        .unwrap();
    let events = world.log.events.lock().unwrap();
    let value: Value = serde_json::from_str(events[0].json()).unwrap();
    assert_eq!(value["time"], "2023-11-16T18:17:03.97996Z");
    assert_eq!(
        value["data"],
        json!({"input_tokens": 4808, "output_tokens": 10, "model": "gpt-large", "region": "us-east-1"})
    );
}

#[tokio::test]
async fn the_same_file_twice_changes_nothing_under_any_name() {
    let world = World::new().await;
    let text = b"at,in,out,model\n2026-11-01T00:00:00Z,1,2,a\n2026-11-01T00:00:01Z,3,4,b\n";
    let first = world.file("a.csv", text);
    assert_eq!(
        world.import(&first, csv(), false).await.unwrap().accepted,
        2
    );
    let again = world.import(&first, csv(), false).await.unwrap();
    assert!(again.unchanged);
    let mut packed = flate2::write::GzEncoder::new(Vec::new(), flate2::Compression::fast());
    packed.write_all(text).unwrap();
    let other = world.file("renamed.csv.gz", &packed.finish().unwrap());
    assert!(world.import(&other, csv(), false).await.unwrap().unchanged);
    // Another mapping is another import, and still the same events.
    let more = Mapping::parse("m.toml", &format!("{CSV}\n# more")).unwrap();
    let third = world
        .import(
            &world.file("b.csv.zst", &zstd::encode_all(&text[..], 1).unwrap()),
            more,
            false,
        )
        .await
        .unwrap();
    assert_eq!((third.accepted, third.duplicates), (0, 2));
    assert_eq!(world.log.events.lock().unwrap().len(), 2);
}

#[tokio::test]
async fn a_broken_off_import_goes_on_where_it_ended() {
    let world = World::new().await;
    let file = example("azure-conv-sample.csv.gz");
    *world.log.fail_after.lock().unwrap() = Some(1);
    let error = world
        .import(&file, mapping("azure.toml"), false)
        .await
        .unwrap_err()
        .to_string();
    assert_eq!(
        error,
        "the disk is full; 1000 rows were imported, the same command goes on from there"
    );
    *world.log.fail_after.lock().unwrap() = None;
    let report = world
        .import(&file, mapping("azure.toml"), false)
        .await
        .unwrap();
    assert_eq!(
        (
            report.resumed_at,
            report.rows,
            report.accepted,
            report.duplicates
        ),
        (1_000, 2_152, 2_152, 0)
    );
    assert_eq!(world.metered()["ai.input_tokens"], "2456892");
}

#[tokio::test]
async fn bad_rows_refuse_the_file_or_are_left_out_and_listed() {
    let world = World::new().await;
    let text = "at,in,out,model\n\
        2026-11-01T00:00:00Z,1,2,a\n\
        2026-11-01T00:00:00Z,many,2,a\n\
        yesterday,1,2,a\n\
        2026-11-01T00:00:00Z,-1,2,a\n\
        2026-11-01T00:00:00Z,1,2\n\
        2026-11-01T00:00:00Z,1,2,\n\
        2027-11-01T00:00:00Z,1,2,a\n\
        2026-11-01T00:00:00Z,1e400,2,a\n\
        2026-11-02T00:00:00Z,5,6,a";
    let file = world.file("a.csv", text.as_bytes());
    let error = world.import(&file, csv(), false).await.unwrap_err();
    insta::assert_snapshot!(error.to_string());
    assert!(world.log.events.lock().unwrap().is_empty());
    let report = world.import(&file, csv(), true).await.unwrap();
    assert_eq!((report.rows, report.accepted, report.bad.count), (9, 2, 7));
}

#[tokio::test]
async fn other_events_under_the_same_ids_are_refused() {
    let world = World::new().await;
    let rules = format!("id = \"{{column:model}}\"\n{CSV}");
    let rules = Mapping::parse("m.toml", &rules).unwrap();
    let head = "at,in,out,model\n";
    let one = world.file(
        "a.csv",
        format!("{head}2026-11-01T00:00:00Z,1,2,a\n").as_bytes(),
    );
    world.import(&one, rules.clone(), false).await.unwrap();
    let two = format!("{head}2026-11-01T00:00:00Z,9,2,a\n2026-11-01T00:00:00Z,1,2,b\n");
    let two = world.file("b.csv", two.as_bytes());
    let error = world.import(&two, rules.clone(), false).await.unwrap_err();
    assert_eq!(
        error.to_string(),
        "1 row of b.csv cannot be imported\nb.csv:2:1: another event has this id\nhint: 0 rows before them were \
         imported; leave the rows out with --skip-bad, or give them other ids"
    );
    let report = world.import(&two, rules, true).await.unwrap();
    assert_eq!((report.accepted, report.bad.count), (1, 1));
}

#[tokio::test]
async fn json_parquet_and_cloudevents_are_read() {
    let object =
        json!({"at": "2026-11-01T00:00:00Z", "usage": {"in": 7}, "gb": "12345678901234567890.125"});
    let rules = |format: &str| {
        let text = format!(
            "format = \"{format}\"\ntype = \"acme.x\"\nsubject = \"u{{column:usage.in}}\"\n\
             [time]\ncolumn = \"at\"\n[data.\"deep.gb\"]\ncolumn = \"gb\"\nas = \"number\"\n\
             [data.n]\ncolumn = \"usage.in\"\n[data.no]\ncolumn = \"no\"\noptional = true\n"
        );
        Mapping::parse("m.toml", &text).unwrap()
    };
    let row = object.as_object().unwrap().clone();
    let parquet: ParquetOpener = Arc::new(move |_| {
        Ok(Box::new(
            vec![Ok::<Map<String, Value>, String>(row.clone())].into_iter(),
        ))
    });
    for (format, bytes) in [
        ("json", format!("\u{feff} [\n{object},\n{object} ]\n")),
        ("ndjson", format!("{object}\n\n{object}")),
        ("parquet", "PAR1".to_owned()),
    ] {
        let world = World::with(Some(Arc::clone(&parquet))).await;
        let file = world.file("a", bytes.as_bytes());
        world.import(&file, rules(format), false).await.unwrap();
        let events = world.log.events.lock().unwrap();
        assert_eq!(events.len(), if format == "parquet" { 1 } else { 2 });
        assert_eq!(events[0].subject(), Some("u7"));
        assert!(
            events[0]
                .json()
                .starts_with(r#"{"data":{"deep":{"gb":12345678901234567890.125},"n":7},"#),
            "{}",
            events[0].json()
        );
    }
    let event = json!({"specversion": "1.0", "id": "1", "source": "/a", "type": "acme.x",
        "time": "2020-01-01T00:00:00Z"});
    let mut second = event.clone();
    second["id"] = "2".into();
    for bytes in [
        format!("[{event},{second}]"),
        format!("{event}\n{second}\n"),
    ] {
        let world = World::new().await;
        let file = world.file("a.json", bytes.as_bytes());
        let report = world
            .import(&file, Mapping::cloud_events(), false)
            .await
            .unwrap();
        assert_eq!(report.accepted, 2);
    }
}

#[tokio::test]
async fn rows_can_be_left_out_by_rule() {
    let world = World::new().await;
    let rules = format!(
        "{CSV}\n[[skip]]\ncolumn = \"model\"\nequals = \"test\"\n[[skip]]\ncolumn = \"in\"\nempty = true\n"
    );
    let text = b"at,in,out,model\nx,1,2,test\nx,,,\n2026-11-01T00:00:00Z,1,2,a\n";
    let file = world.file("a.csv", text);
    let report = world
        .import(&file, Mapping::parse("m.toml", &rules).unwrap(), false)
        .await
        .unwrap();
    assert_eq!((report.rows, report.skipped, report.accepted), (3, 2, 1));
}

#[tokio::test]
async fn damaged_files_are_located() {
    let world = World::new().await;
    let json = Mapping::parse(
        "m",
        "format = \"json\"\ntype = \"a\"\n[time]\ncolumn = \"t\"",
    )
    .unwrap();
    let lines = Mapping::parse(
        "m",
        "format = \"ndjson\"\ntype = \"a\"\n[time]\ncolumn = \"t\"",
    )
    .unwrap();
    let mut packed = std::fs::read(example("azure-code-sample.csv.gz")).unwrap();
    packed.truncate(packed.len() / 2);
    let huge = format!("at,in,out,model\n\"{}", "x".repeat(2 << 20));
    let cases: Vec<(&str, Vec<u8>, Mapping)> = vec![
        ("cut.csv.gz", packed, mapping("azure.toml")),
        ("quote.csv", huge.into_bytes(), csv()),
        ("missing.csv", b"at,in\n".to_vec(), csv()),
        ("twice.csv", b"at,at\n".to_vec(), csv()),
        ("empty.csv", Vec::new(), csv()),
        (
            "utf8.csv",
            b"at,in,out,model\n2026-11-01T00:00:00Z,1,2,\xff\n".to_vec(),
            csv(),
        ),
        ("a.parquet", b"PAR1....PAR1".to_vec(), csv()),
        ("open.json", b"[{\"t\": 1}".to_vec(), json.clone()),
        (
            "after.json",
            b"[{\"t\": \"2026-11-01T00:00:00Z\"}] x".to_vec(),
            json.clone(),
        ),
        ("scalar.json", b"[\n  1]".to_vec(), json.clone()),
        ("object.json", b"{}".to_vec(), json),
        ("twice.ndjson", b"{\"t\": 1,\n".to_vec(), lines.clone()),
        (
            "keys.ndjson",
            b"\n{\"t\": 1, \"t\": 2}\n".to_vec(),
            lines.clone(),
        ),
        (
            "deep.ndjson",
            format!("{{\"t\":{}", "[".repeat(10_000)).into_bytes(),
            lines,
        ),
        (
            "event.ndjson",
            b"{\"specversion\":\"1.0\",\"id\":\"\"}".to_vec(),
            Mapping::cloud_events(),
        ),
    ];
    let mut text = String::new();
    for (name, bytes, rules) in cases {
        let error = world
            .import(&world.file(name, &bytes), rules, false)
            .await
            .unwrap_err();
        text.push_str(&format!(
            "{name}\n    {}\n",
            error.to_string().replace('\n', "\n    ")
        ));
    }
    insta::assert_snapshot!(text);
    assert!(world.log.events.lock().unwrap().is_empty());
}

#[test]
fn faults_of_mappings_are_located() {
    let time = "[time]\ncolumn = \"t\"\n";
    let cases = [
        "format = \"xml\"".to_owned(),
        "format = \"csv\"\ntyp = \"a\"".to_owned(),
        "format = \"csv\"".to_owned(),
        "format = \"csv\"\ntype = \"a\"".to_owned(),
        format!("format = \"csv\"\ntype = \"a\"\nid = \"{{rows}}\"\n{time}"),
        format!("format = \"csv\"\ntype = \"a\"\n{time}format = \"iso\""),
        format!("format = \"csv\"\ntype = \"a\"\n{time}format = \"%Y\"\nzone = \"Mars/Base\""),
        format!("format = \"csv\"\ntype = \"a\"\n{time}[data.x]\ncolumn = \"a\"\nconstant = 1"),
        format!("format = \"csv\"\ntype = \"a\"\n{time}[data.x]\nconstant = 1.5"),
        format!("format = \"csv\"\ntype = \"a\"\n{time}[[skip]]\ncolumn = \"a\""),
        "format = \"cloudevents\"\ntype = \"a\"".to_owned(),
    ];
    let mut text = String::new();
    for case in cases {
        let error = Mapping::parse("m.toml", &case).unwrap_err();
        text.push_str(&format!("{error}\n"));
    }
    insta::assert_snapshot!(text);
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(48))]

    #[test]
    fn no_bytes_make_it_panic(
        bytes in proptest::collection::vec(any::<u8>(), 0..400),
        text in "[\\[{\"t:,a0-9.\\]}\n]{0,80}",
        format in prop_oneof!["csv", "ndjson", "json", "cloudevents"],
    ) {
        let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
        runtime.block_on(async {
            let world = World::new().await;
            let rules = if format == "cloudevents" {
                Mapping::cloud_events()
            } else {
                let text = format!("format = \"{format}\"\ntype = \"a\"\n[time]\ncolumn = \"t\"\nformat = \"s\"");
                Mapping::parse("m", &text).unwrap()
            };
            for bytes in [bytes, text.into_bytes()] {
                let file = world.file("a", &bytes);
                let _ = world.import(&file, rules.clone(), true).await;
            }
        });
    }

    #[test]
    fn no_mapping_makes_it_panic(text in "(format|type|data|time|[\\[\\]=\"{}\\.a-z\n ]){0,40}") {
        let _ = Mapping::parse("m", &text);
    }
}
