//! The index against looking at every row.

use std::collections::BTreeMap;
use std::sync::Arc;

use proptest::prelude::*;
use sealwright_terms::{
    Builder, Bytes, Condition, Damaged, LONGEST_TERM, Like, Order, Phrase, Range, RowSet, RowValue,
    Segment, Verdict,
};

#[derive(Debug, Clone)]
struct Row {
    time: i64,
    offset: u64,
    received: i64,
    fields: Vec<(&'static str, String)>,
    text: String,
}

fn number(term: &str) -> Option<f64> {
    term.parse().ok().filter(|number: &f64| !number.is_nan())
}

fn built(rows: &[Row]) -> Vec<u8> {
    let mut builder = Builder::new();
    for row in rows {
        assert!(builder.row(row.time, row.offset, row.received));
        for (field, term) in &row.fields {
            builder.term(field, term);
            if let Some(number) = number(term) {
                builder.ordered(field, Order::Number, Order::number(number));
            }
            builder.value(field, term);
        }
        builder.words(&row.text.to_lowercase());
    }
    builder.finish("v1")
}

/// What some rows have, by looking at them.
fn counted<'r>(rows: impl Iterator<Item = &'r Row>) -> Counts {
    let mut counts = Counts::new();
    for row in rows {
        let mut own: BTreeMap<&str, &String> = BTreeMap::new();
        for (name, value) in &row.fields {
            own.entry(name).or_insert(value);
        }
        for (name, value) in own {
            if value.len() > LONGEST_TERM {
                continue;
            }
            *counts.entry((name.to_owned(), value.clone())).or_insert(0) += 1;
        }
    }
    counts
}

type Counts = BTreeMap<(String, String), usize>;

fn values_of<B: Bytes>(segment: &Segment<B>, rows: &RowSet) -> Result<Counts, Damaged> {
    let mut counts = Counts::new();
    segment.count_values(
        rows,
        |_| true,
        |name, value, count| {
            let before = counts.insert((name.to_owned(), value.to_owned()), count);
            assert_eq!(before, None, "{name} {value} came twice");
        },
    )?;
    Ok(counts)
}

fn holds(row: &Row, condition: &Condition) -> bool {
    let terms = |field: &str| -> Vec<&str> {
        let own = row.fields.iter().filter(|(name, _)| *name == field);
        own.map(|(_, term)| term.as_str()).collect()
    };
    match condition {
        Condition::All(parts) => parts.iter().all(|part| holds(row, part)),
        Condition::Any(parts) => parts.iter().any(|part| holds(row, part)),
        Condition::Not(inner) => !holds(row, inner),
        Condition::Present(field) => !terms(field).is_empty(),
        Condition::Equal(field, term) => terms(field).contains(&term.as_str()),
        Condition::Like(like) => terms(&like.field).iter().any(|term| (like.test)(term)),
        Condition::Range(range) => terms(&range.field).iter().any(|term| (range.test)(term)),
        Condition::Phrase(phrase) => phrase.is_in(&row.text.to_lowercase()),
        // A test that terms know nothing of.
        Condition::Within(outer) => row.offset.is_multiple_of(2) && holds(row, outer),
    }
}

fn term() -> impl Strategy<Value = String> {
    prop_oneof![
        4 => "[ab]{1,3}",
        2 => "[a-cé0-9]{1,8}",
        1 => "-?[0-9]{1,3}(\\.[0-9])?",
        1 => Just("x".repeat(LONGEST_TERM)),
        1 => "[xy]{1,2}".prop_map(|s| s.repeat(LONGEST_TERM)),
    ]
}

fn row() -> impl Strategy<Value = Row> {
    let field = prop_oneof![Just("f"), Just("g"), Just("f.g")];
    let text = prop::collection::vec(
        prop_oneof![3 => "[abAB]{1,2}", 1 => "[ .,-]{1,2}", 1 => term()],
        0..8,
    );
    (
        prop_oneof![any::<i64>(), 0..1_000_i64],
        any::<u64>(),
        any::<i64>(),
        prop::collection::vec((field, term()), 0..4),
        text,
    )
        .prop_map(|(time, offset, received, fields, text)| Row {
            time,
            offset,
            received,
            fields,
            text: text.join(" "),
        })
}

fn range(field: &str, least: i32, most: i32) -> Condition {
    let (least, most) = (f64::from(least), f64::from(most));
    Condition::Range(Range {
        field: field.to_owned(),
        order: Order::Number,
        keys: Order::number(least)..=Order::number(most),
        test: Arc::new(move |term| number(term).is_some_and(|n| (least..=most).contains(&n))),
    })
}

fn condition() -> impl Strategy<Value = Condition> {
    let field =
        || prop_oneof![Just("f"), Just("g"), Just("f.g"), Just("h")].prop_map(str::to_owned);
    let leaf = prop_oneof![
        field().prop_map(Condition::Present),
        (field(), term()).prop_map(|(f, t)| Condition::Equal(f, t)),
        (field(), "[abx]{0,1}", "[abxy]").prop_map(|(field, prefix, end)| {
            let start = prefix.clone();
            Condition::Like(Like {
                field,
                prefix,
                test: Arc::new(move |t: &str| t.starts_with(&start) && t.ends_with(&end)),
            })
        }),
        ("\\*?", "[abAB]{1,2}([ .-][ab]{1,2})?", "\\*?")
            .prop_map(|(a, text, b)| Condition::Phrase(Phrase::new(&format!("{a}{text}{b}")))),
        term().prop_map(|t| Condition::Phrase(Phrase::new(&t))),
        (field(), -300..300_i32, 0..500_i32).prop_map(|(f, from, more)| range(
            &f,
            from,
            from + more
        )),
    ];
    leaf.prop_recursive(3, 16, 4, |inner| {
        prop_oneof![
            prop::collection::vec(inner.clone(), 0..4).prop_map(Condition::All),
            prop::collection::vec(inner.clone(), 0..4).prop_map(Condition::Any),
            inner.clone().prop_map(|c| Condition::Not(Box::new(c))),
            inner.prop_map(|c| Condition::Within(Box::new(c))),
        ]
    })
}

fn check(rows: &[Row], condition: &Condition, Verdict { yes, maybe }: &Verdict) {
    for (i, row) in rows.iter().enumerate() {
        let truth = holds(row, condition);
        assert!(
            !(yes.contains(i) && maybe.contains(i)),
            "row {i} is in both"
        );
        assert!(
            !yes.contains(i) || truth,
            "row {i} is said to hold: {row:?}"
        );
        assert!(
            yes.contains(i) || maybe.contains(i) || !truth,
            "row {i} is missing: {row:?}"
        );
    }
}

proptest! {
    #[test]
    fn what_is_certain_is_true(rows in prop::collection::vec(row(), 0..80), condition in condition()) {
        let bytes = built(&rows);
        let segment = Segment::open(bytes.as_slice()).unwrap();
        let verdict = condition.ask(&segment).unwrap();
        check(&rows, &condition, &verdict);
        for most in [0, 3, u64::MAX] {
            let rough = condition.roughly(&segment, most).unwrap();
            check(&rows, &condition, &rough);
            prop_assert!(most < u64::MAX || rough == verdict);
        }
        let (times, offsets, received) =
            (segment.times().unwrap(), segment.offsets().unwrap(), segment.received().unwrap());
        for (i, row) in rows.iter().enumerate() {
            prop_assert_eq!(
                (times.get(i), offsets.get(i), received.get(i)),
                (row.time, row.offset, row.received)
            );
        }
    }

    #[test]
    fn values_are_counted_of_the_rows_that_are_asked_for(
        rows in prop::collection::vec(row(), 0..80),
        asked in prop::collection::vec(any::<bool>(), 80),
    ) {
        let bytes = built(&rows);
        let segment = Segment::open(bytes.as_slice()).unwrap();
        let mut set = RowSet::none(rows.len());
        (0..rows.len()).filter(|i| asked[*i]).for_each(|i| set.insert(i));
        let of = rows.iter().enumerate().filter(|(i, _)| asked[*i]).map(|(_, row)| row);
        prop_assert_eq!(values_of(&segment, &set).unwrap(), counted(of));
        for name in ["f", "g", "f.g", "h"] {
            let values = segment.values(name, &set).unwrap();
            for row in set.iter() {
                let mut own = rows[row].fields.iter().filter(|(field, _)| *field == name);
                match (values.get(row), own.next()) {
                    (RowValue::None, None) => {}
                    (RowValue::Kept(value), Some((_, wanted))) => prop_assert_eq!(&**value, wanted.as_str()),
                    (RowValue::Unkept, Some((_, wanted))) => prop_assert!(wanted.len() > LONGEST_TERM),
                    (found, wanted) => prop_assert!(false, "{found:?} instead of {wanted:?}"),
                }
            }
        }
    }

    /// Several parts and blocks, with rows without a value between and behind.
    #[test]
    fn values_of_many_rows_are_counted(
        every in 1..40_usize,
        most in 1..9_000_usize,
        asked in prop::collection::vec(0..10_000_usize, 1..50),
    ) {
        let mut builder = Builder::new();
        let value = |i: usize| (i.is_multiple_of(every) && i < 9_500).then(|| format!("value {}", i * 7 % most));
        for i in 0..10_000 {
            builder.row(0, i as u64, 0);
            if let Some(value) = value(i) {
                builder.value("v", &value);
            }
        }
        let bytes = builder.finish("v1");
        let segment = Segment::open(bytes.as_slice()).unwrap();
        let mut few = RowSet::none(10_000);
        asked.iter().for_each(|row| few.insert(*row));
        for set in [RowSet::all(10_000), few] {
            let mut wanted = Counts::new();
            for value in set.iter().filter_map(value) {
                *wanted.entry(("v".to_owned(), value)).or_insert(0) += 1;
            }
            prop_assert_eq!(values_of(&segment, &set).unwrap(), wanted);
        }
    }

    /// Fields with many terms have orders; few tests of the others have so many rows.
    #[test]
    fn ranges_of_many_numbers_are_certain(
        numbers in prop::collection::vec((-400..400_i32, 0..10_u8), 600..3_000),
        from in -300..300_i32,
        more in 0..500_i32,
    ) {
        let one = |(i, (whole, part)): (usize, &(i32, u8))| Row {
            time: 0,
            offset: i as u64,
            received: 0,
            fields: vec![("f", format!("{whole}.{part}")), ("f", format!("{i}x"))],
            text: String::new(),
        };
        let rows: Vec<Row> = numbers.iter().enumerate().map(one).collect();
        let bytes = built(&rows);
        let segment = Segment::open(bytes.as_slice()).unwrap();
        let keys = Order::number(from.into())..=Order::number((from + more).into());
        prop_assert!(segment.within("f", Order::Number, &keys).unwrap().is_some());
        let condition = range("f", from, from + more);
        let found = condition.ask(&segment).unwrap();
        prop_assert!(found.maybe.is_empty());
        check(&rows, &condition, &found);
    }

    #[test]
    fn damage_gives_an_error_or_the_same_answer(
        rows in prop::collection::vec(row(), 1..40),
        condition in condition(),
        at in any::<prop::sample::Index>(),
        to in any::<u8>(),
        cut in prop::option::of(any::<prop::sample::Index>()),
    ) {
        let whole = built(&rows);
        let answer = condition.ask(&Segment::open(whole.as_slice()).unwrap()).unwrap();
        let mut bytes = whole.clone();
        let at = at.index(bytes.len());
        bytes[at] = to;
        if let Some(cut) = cut {
            bytes.truncate(cut.index(bytes.len()));
        }
        if let Ok(segment) = Segment::open(bytes.as_slice()) {
            if let Ok(found) = condition.ask(&segment) {
                prop_assert_eq!(found, answer);
            }
            let all = RowSet::all(rows.len());
            if segment.rows() == rows.len() && let Ok(counts) = values_of(&segment, &all) {
                prop_assert_eq!(counts, counted(rows.iter()));
            }
            if let Ok(times) = segment.times() {
                let same = rows.iter().enumerate().all(|(i, row)| times.get(i) == row.time);
                prop_assert!(same);
            }
        }
    }

    #[test]
    fn any_bytes_give_an_answer(bytes in prop::collection::vec(any::<u8>(), 0..200)) {
        let _ = Segment::open(bytes.as_slice());
    }
}

/// Counts the bytes that are read.
struct Counted<'a>(&'a [u8], std::cell::Cell<usize>);

impl Bytes for Counted<'_> {
    fn size(&self) -> u64 {
        self.0.len() as u64
    }

    fn read(&self, at: u64, len: usize) -> std::io::Result<std::borrow::Cow<'_, [u8]>> {
        self.1.set(self.1.get() + len);
        self.0.read(at, len)
    }
}

#[test]
fn a_full_segment_is_asked_by_reading_little_of_it() {
    let mut builder = Builder::new();
    for i in 0..65_536_u64 {
        assert!(builder.row(i.cast_signed(), i, 0));
        builder.term(
            "id",
            &format!("{:016x}", i.wrapping_mul(0x9e37_79b9_7f4a_7c15)),
        );
        builder.term("parity", if i % 2 == 0 { "even" } else { "odd" });
        builder.term("all", "same");
        builder.term("third", &(i / 20_000).to_string());
        builder.value("who", &format!("user-{}", i % 20_000));
    }
    assert!(!builder.row(0, 0, 0), "it is full");
    let bytes = builder.finish("v1");
    let counted = Counted(&bytes, std::cell::Cell::default());
    let segment = Segment::open(&counted).unwrap();
    let one = segment
        .equal("id", &format!("{:016x}", 0x9e37_79b9_7f4a_7c15_u64))
        .unwrap();
    assert_eq!(one.iter().collect::<Vec<_>>(), [1]);
    assert_eq!(segment.equal("parity", "odd").unwrap().count(), 32_768);
    assert_eq!(segment.equal("all", "same").unwrap().count(), 65_536);
    assert_eq!(segment.equal("third", "1").unwrap().count(), 20_000);
    assert_eq!(segment.equal("third", "9").unwrap().count(), 0);
    let mut some = RowSet::none(65_536);
    [7, 20_007, 60_000].iter().for_each(|row| some.insert(*row));
    let values = values_of(&segment, &some).unwrap();
    assert_eq!(
        values,
        [("user-7", 2), ("user-0", 1)]
            .map(|(value, count)| (("who".to_owned(), value.to_owned()), count))
            .into()
    );
    assert!(
        counted.1.get() < bytes.len() / 10,
        "{} of {} bytes were read",
        counted.1.get(),
        bytes.len()
    );
}
