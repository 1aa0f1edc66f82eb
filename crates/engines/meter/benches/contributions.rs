//! Contributions of AI usage events: four meters, two dimensions each, aggregated.
#![allow(clippy::unwrap_used, missing_docs)]

use std::collections::HashMap;
use std::hint::black_box;

use criterion::{Criterion, Throughput, criterion_group, criterion_main};
use sealwright_meter::{Aggregate, EventRef, MeterSet, floor_meters};
use serde_json::json;

fn contributions(c: &mut Criterion) {
    let set = MeterSet::compile(&floor_meters()).unwrap();
    let data: Vec<_> = (0..1000)
        .map(|i| json!({"model": (["a", "b", "c"][i % 3]), "region": "eu-west-1", "input_tokens": i * 7, "output_tokens": i}))
        .collect();
    let mut group = c.benchmark_group("meter");
    group.throughput(Throughput::Elements(data.len() as u64));
    group.bench_function("contributions", |b| {
        let mut errors = Vec::new();
        b.iter(|| {
            for data in &data {
                let mut out = Vec::with_capacity(4);
                let event = EventRef {
                    id: "1",
                    source: "/s",
                    data: Some(data),
                    ..EventRef::default()
                };
                set.contributions("sealwright.usage.ai.v1", &event, 0, &mut out, &mut errors);
                black_box(&out);
            }
        });
        assert!(errors.is_empty());
    });
    group.bench_function("contributions and aggregates", |b| {
        b.iter(|| {
            let mut errors = Vec::new();
            let mut sums: HashMap<(usize, String), Aggregate> = HashMap::new();
            for data in &data {
                let mut out = Vec::with_capacity(4);
                let event = EventRef {
                    id: "1",
                    source: "/s",
                    data: Some(data),
                    ..EventRef::default()
                };
                set.contributions("sealwright.usage.ai.v1", &event, 0, &mut out, &mut errors);
                for item in &out {
                    let dims = item.dimensions.iter().map(|(k, v)| (*k, v.as_ref()));
                    let key = (item.meter, sealwright_meter::canonical_dimensions(dims));
                    let def = set.def(item.meter).unwrap();
                    let sum = sums
                        .entry(key)
                        .or_insert_with(|| Aggregate::new(def.aggregation));
                    sum.add(&item.value).unwrap();
                }
            }
            black_box(sums)
        });
    });
}

criterion_group!(benches, contributions);
criterion_main!(benches);
