//! What goes and what stays: the laws of the one decision.

use std::collections::BTreeMap;

use proptest::prelude::*;
use sealwright_core::clock::DAY;
use sealwright_core::{TenantId, UnixMicros};
use sealwright_dlp::model::hold::MatterId;
use sealwright_dlp::model::object::{Facts, ObjectId, TAG_CATEGORY, TAG_FROM, TAG_TIER};
use sealwright_dlp::model::retention::{
    Categories, Circumstances, Exception, GRACE, Held, NOTICE, Period, Verdict, judge,
};

fn at(text: &str) -> UnixMicros {
    UnixMicros::parse_rfc3339(text).unwrap()
}

fn object(tags: &[(&str, &str)], written: UnixMicros) -> Facts {
    Facts {
        id: ObjectId::new("b", "k", "v"),
        tenant: TenantId::new(UnixMicros(0)),
        written,
        tags: Some(
            tags.iter()
                .map(|(n, v)| ((*n).to_owned(), (*v).to_owned()))
                .collect(),
        ),
    }
}

fn about(now: UnixMicros) -> Circumstances {
    Circumstances {
        now,
        latest_seen: now,
        held: Held::No,
        exception: None,
        erasure: None,
        noticed: None,
        restore_verified: None,
        approved: false,
    }
}

#[test]
fn the_ten_categories_are_there_and_each_names_its_basis() {
    let categories = Categories::built_in().unwrap();
    let now = at("2026-11-25T00:00:00Z");
    let lines: Vec<String> = categories
        .all_at(now)
        .map(|one| {
            assert!(!one.basis.is_empty());
            let period = |p: Option<Period>| p.map_or("-".to_owned(), |p| p.to_string());
            let tiers: Vec<_> = one.tiers.iter().map(|(n, p)| format!("{n} {p}")).collect();
            format!(
                "{}: at least {}, archived after {}, at most {}{}",
                one.id,
                period(one.minimum),
                period(one.archive),
                period(one.maximum),
                tiers.join(", ")
            )
        })
        .collect();
    insta::assert_snapshot!(lines.join("\n"));
    assert_eq!(categories.all_at(at("2025-01-01T00:00:00Z")).count(), 0);
}

#[test]
fn an_object_goes_by_notice_grace_and_approval() {
    let categories = Categories::built_in().unwrap();
    let written = at("2025-11-25T00:00:00Z");
    let scan = object(&[(TAG_CATEGORY, "scan-results")], written);
    let due = at("2026-11-25T00:00:00Z");
    let verdict = |about: &Circumstances| judge(&scan, &categories, about).verdict;
    assert_eq!(verdict(&about(due.plus(-NOTICE - 1))), Verdict::Keep);
    let mut then = about(due.plus(-NOTICE));
    assert_eq!(verdict(&then), Verdict::Notify);
    then.noticed = Some(then.now);
    assert_eq!(verdict(&then), Verdict::Keep);
    then.now = due;
    then.latest_seen = due;
    assert_eq!(verdict(&then), Verdict::Wait);
    then.now = due.plus(GRACE);
    then.latest_seen = then.now;
    assert_eq!(verdict(&then), Verdict::Approve);
    then.approved = true;
    assert_eq!(verdict(&then), Verdict::Delete);
    then.latest_seen = then.now.plus(1);
    assert_eq!(
        verdict(&then),
        Verdict::Keep,
        "a clock moved back deletes nothing"
    );
    // Told late: the notice counts from then.
    then.latest_seen = then.now;
    then.noticed = Some(due);
    assert_eq!(verdict(&then), Verdict::Wait);
}

#[test]
fn an_erasure_request_waits_for_the_law_and_nothing_waits_for_it_else() {
    let categories = Categories::built_in().unwrap();
    let written = at("2020-03-01T00:00:00Z");
    let books = object(&[(TAG_CATEGORY, "financial")], written);
    let mut then = about(at("2026-11-25T00:00:00Z"));
    then.erasure = Some(at("2026-11-01T00:00:00Z"));
    then.approved = true;
    let judged = judge(&books, &categories, &then);
    assert_eq!(judged.verdict, Verdict::Keep);
    assert_eq!(judged.due, Some(at("2027-03-01T00:00:00Z")));
    assert!(
        judged.why[0].starts_with("the law demands it until 2027-03-01"),
        "{:?}",
        judged.why
    );
    then.now = at("2027-03-01T00:00:00Z");
    then.latest_seen = then.now;
    assert_eq!(judge(&books, &categories, &then).verdict, Verdict::Delete);
    then.held = Held::Matters(vec![MatterId::new(UnixMicros(0))]);
    let judged = judge(&books, &categories, &then);
    assert_eq!(judged.verdict, Verdict::Keep);
    assert!(judged.why[0].starts_with("legal hold: mat_"));
}

#[test]
fn backups_need_a_verified_restore_and_accounts_a_deletion() {
    let categories = Categories::built_in().unwrap();
    let written = at("2026-01-01T00:00:00Z");
    let daily = object(&[(TAG_CATEGORY, "backups"), (TAG_TIER, "daily")], written);
    let mut then = about(at("2026-11-25T00:00:00Z"));
    then.noticed = Some(at("2026-02-01T00:00:00Z"));
    then.approved = true;
    assert_eq!(judge(&daily, &categories, &then).verdict, Verdict::Wait);
    then.restore_verified = Some(written.plus(-1));
    assert_eq!(
        judge(&daily, &categories, &then).verdict,
        Verdict::Wait,
        "an older restore says nothing"
    );
    then.restore_verified = Some(written.plus(DAY));
    assert_eq!(judge(&daily, &categories, &then).verdict, Verdict::Delete);
    let account = object(&[(TAG_CATEGORY, "user-data")], written);
    assert_eq!(judge(&account, &categories, &then).verdict, Verdict::Keep);
    let ended = object(
        &[
            (TAG_CATEGORY, "user-data"),
            (TAG_FROM, "2026-06-01T00:00:00Z"),
        ],
        written,
    );
    assert_eq!(judge(&ended, &categories, &then).verdict, Verdict::Delete);
}

fn held() -> impl Strategy<Value = Held> {
    prop_oneof![
        3 => Just(Held::No),
        1 => Just(Held::Matters(vec![MatterId::new(UnixMicros(0))])),
        1 => Just(Held::Store("locked".to_owned())),
        1 => Just(Held::Unknown("503".to_owned())),
    ]
}

fn tags() -> impl Strategy<Value = Option<BTreeMap<String, String>>> {
    let category = prop_oneof![
        Just("audit-logs"),
        Just("access-logs"),
        Just("user-data"),
        Just("financial"),
        Just("scan-results"),
        Just("backups"),
        Just("temporary"),
        Just("nonsense"),
    ];
    let tier = prop::option::of(prop_oneof![Just("daily"), Just("annual"), Just("x")]);
    let from = prop::option::of(prop_oneof![Just("2025-01-01T00:00:00Z"), Just("soon")]);
    let some = (prop::option::of(category), tier, from).prop_map(|(category, tier, from)| {
        let mut tags = BTreeMap::new();
        for (name, value) in [(TAG_CATEGORY, category), (TAG_TIER, tier), (TAG_FROM, from)] {
            if let Some(value) = value {
                tags.insert(name.to_owned(), value.to_owned());
            }
        }
        tags
    });
    prop_oneof![1 => Just(None), 9 => some.prop_map(Some)]
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(4_000))]

    /// Whatever is asked and approved: what is held, unknown, demanded by law, excepted or seen by a clock
    /// that went back stays; and what goes was either asked for by the person, or told in time.
    #[test]
    fn nothing_goes_that_must_stay(
        tags in tags(),
        written in 0_i64..9_000, now in 0_i64..9_000, seen in -40_i64..3,
        held in held(), excepted in prop::option::weighted(0.2, -20_i64..20),
        erasure in prop::option::of(0_i64..9_000), noticed in prop::option::of(0_i64..9_000),
        restored in prop::option::of(0_i64..9_000), approved: bool,
    ) {
        let categories = Categories::built_in().unwrap();
        let base = at("2010-01-01T00:00:00Z");
        let day = |n: i64| base.plus(n * DAY);
        let now = day(now + 5_844);
        let facts = Facts { tags, ..object(&[], day(written)) };
        let about = Circumstances {
            now,
            latest_seen: now.plus(seen * DAY),
            held: held.clone(),
            exception: excepted.map(|n| Exception { why: "dispute".to_owned(), until: now.plus(n * DAY) }),
            erasure: erasure.map(day),
            noticed: noticed.map(day),
            restore_verified: restored.map(day),
            approved,
        };
        let judged = judge(&facts, &categories, &about);
        prop_assert!(judged.verdict == Verdict::Archive || !judged.why.is_empty());
        if judged.verdict == Verdict::Delete {
            prop_assert_eq!(&held, &Held::No);
            prop_assert!(about.latest_seen <= now);
            prop_assert!(about.exception.is_none_or(|one| one.until <= now));
            prop_assert!(approved);
            let tags = facts.tags.clone().unwrap();
            let category = categories.at(&tags[TAG_CATEGORY], now).unwrap();
            if let Some(minimum) = category.minimum {
                prop_assert!(minimum.after(facts.written) <= now);
            }
            if about.erasure.is_none() {
                prop_assert!(about.noticed.unwrap().plus(NOTICE) <= now);
                prop_assert!(judged.due.unwrap() <= now);
            }
            if category.restore_first {
                prop_assert!(about.restore_verified.unwrap() >= facts.written);
            }
        }
        // A hold changes nothing but that.
        if held != Held::No {
            prop_assert!(!matches!(judged.verdict, Verdict::Delete | Verdict::Approve));
        }
    }

    #[test]
    fn periods_read_or_are_refused(text in "\\PC{0,8}") {
        let _ = Period::parse(&text);
        let _ = Categories::parse(&text);
    }
}
