//! Laws of rating.

use proptest::prelude::*;
use sealwright_money::{Currency, Decimal, Money};
use sealwright_rating::model::proration;
use sealwright_rating::{Format, Plan, Rated, Usage, parse_plan, rate};

const REGIONS: [&str; 3] = ["us-east-1", "eu-west-1", "ap-southeast-1"];
const METERS: [&str; 8] = [
    "compute.hours",
    "storage.gb",
    "bandwidth.gb",
    "database.queries",
    "ai.input_tokens",
    "ai.output_tokens",
    "ai.cached_input_tokens",
    "unpriced.things",
];

fn plan() -> impl Strategy<Value = Plan> {
    prop::sample::select(vec!["starter.toml", "professional.toml", "enterprise.toml"]).prop_map(
        |name| {
            parse_plan(name, &crate::data::example(name), Format::Toml)
                .unwrap()
                .plan
        },
    )
}

fn usage() -> impl Strategy<Value = Vec<Usage>> {
    let item = (
        prop::sample::select(METERS.to_vec()),
        0i64..10_000_000_000,
        0u32..6,
        prop::sample::select(REGIONS.to_vec()),
        prop::sample::select(vec!["gpt-large", "gpt-small", "other"]),
    )
        .prop_map(|(meter, m, s, region, model)| {
            Usage::new(meter, Decimal::new(m, s))
                .with("region", region)
                .with("model", model)
        });
    prop::collection::vec(item, 0..30)
}

fn sum(rated: &Rated) -> Money {
    let amounts = rated
        .lines
        .iter()
        .map(|l| Money::parse(&l.amount, rated.currency).unwrap());
    Money::sum(rated.currency, amounts).unwrap()
}

proptest! {
    #[test]
    fn lines_sum_to_the_total(plan in plan(), usage in usage()) {
        let rated = rate(&plan, &usage).unwrap();
        prop_assert_eq!(sum(&rated).amount(), rated.total);
    }

    #[test]
    fn order_and_splitting_of_usage_do_not_matter(
        plan in plan(),
        usage in usage().prop_flat_map(|u| (Just(u.clone()), Just(u).prop_shuffle())),
    ) {
        let (given, mut shuffled) = usage;
        let want = serde_json::to_vec(&rate(&plan, &given).unwrap()).unwrap();
        prop_assert_eq!(&serde_json::to_vec(&rate(&plan, &shuffled).unwrap()).unwrap(), &want);
        let halves: Vec<Usage> = shuffled
            .iter_mut()
            .map(|u| {
                let mut other = u.clone();
                u.quantity /= Decimal::TWO;
                other.quantity -= u.quantity;
                other
            })
            .collect();
        shuffled.extend(halves);
        prop_assert_eq!(&serde_json::to_vec(&rate(&plan, &shuffled).unwrap()).unwrap(), &want);
    }

    #[test]
    fn marginal_discounts_never_make_more_usage_cheaper(
        plan in plan(),
        quantity in 0i64..100_000_000,
        more in 0i64..1_000_000,
    ) {
        let total = |q: i64| {
            let rated = rate(&plan, &[Usage::new("compute.hours", Decimal::new(q, 2)).with("region", "a")]).unwrap();
            sum(&rated).minor()
        };
        prop_assert!(total(quantity) <= total(quantity + more));
    }

    #[test]
    fn splitting_a_period_conserves_money(
        minor in -1_000_000_000i64..1_000_000_000,
        lengths in prop::collection::vec(1i64..2_700_000, 1..12),
    ) {
        let usd = Currency::from_code("USD").unwrap();
        let total = Money::from_minor(minor, usd);
        let parts = proration::split(total, &lengths).unwrap();
        prop_assert_eq!(Money::sum(usd, parts).unwrap(), total);
    }

    #[test]
    fn huge_quantities_are_rated_or_refused(plan in plan(), m in any::<i64>(), s in 0u32..=28) {
        for meter in METERS {
            let _ = rate(&plan, &[Usage::new(meter, Decimal::new(m, s))]);
        }
        let _ = rate(&plan, &[Usage::new("compute.hours", Decimal::MAX)]);
    }
}
