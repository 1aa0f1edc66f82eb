//! Laws that hold for every amount.

use proptest::prelude::*;
use sealwright_money::{Currency, Decimal, Money, MoneyError, allocate, exact};

fn currency() -> impl Strategy<Value = Currency> {
    prop::sample::select(vec!["USD", "EUR", "JPY", "KWD", "CLF"])
        .prop_map(|c| Currency::from_code(c).unwrap())
}

fn decimal() -> impl Strategy<Value = Decimal> {
    (any::<i64>(), 0u32..=18).prop_map(|(m, s)| Decimal::new(m, s))
}

proptest! {
    #[test]
    fn parts_sum_to_the_whole(
        minor in any::<i64>(),
        cur in currency(),
        weights in prop::collection::vec((0i64..1_000_000, 0u32..4), 1..40),
    ) {
        let total = Money::from_minor(minor, cur);
        let weights: Vec<Decimal> = weights.into_iter().map(|(m, s)| Decimal::new(m, s)).collect();
        if weights.iter().all(Decimal::is_zero) {
            prop_assert_eq!(allocate(total, &weights), Err(MoneyError::Weights));
            return Ok(());
        }
        let parts = allocate(total, &weights).unwrap();
        prop_assert_eq!(parts.len(), weights.len());
        prop_assert_eq!(Money::sum(cur, parts.iter().copied()).unwrap(), total);
        for (p, w) in parts.iter().zip(&weights) {
            prop_assert!(!w.is_zero() || p.is_zero());
            prop_assert!(p.minor().signum() * minor.signum() >= 0);
        }
    }

    #[test]
    fn parts_differ_from_the_exact_share_by_less_than_one_minor_unit(
        minor in -1_000_000i64..1_000_000,
        weights in prop::collection::vec(1i64..1000, 1..20),
    ) {
        let cur = Currency::from_code("USD").unwrap();
        let sum: i64 = weights.iter().sum();
        let decimals: Vec<Decimal> = weights.iter().map(|w| Decimal::from(*w)).collect();
        for (p, w) in allocate(Money::from_minor(minor, cur), &decimals).unwrap().iter().zip(&weights) {
            prop_assert!((p.minor() * sum - minor * w).abs() < sum);
        }
    }

    #[test]
    fn an_amount_survives_its_text(minor in any::<i64>(), cur in currency()) {
        let m = Money::from_minor(minor, cur);
        prop_assert_eq!(Money::parse(&m.amount(), cur).unwrap(), m);
        let json = serde_json::to_string(&m).unwrap();
        prop_assert_eq!(serde_json::from_str::<Money>(&json).unwrap(), m);
    }

    #[test]
    fn rounding_moves_at_most_half_a_minor_unit_and_is_odd(value in decimal(), cur in currency()) {
        let Ok(m) = Money::round(value, cur) else { return Ok(()) };
        let half = Decimal::new(5, cur.digits() + 1);
        prop_assert!((m.to_decimal() - value).abs() <= half);
        prop_assert_eq!(Money::round(-value, cur).unwrap(), m.checked_neg().unwrap());
    }

    #[test]
    fn exact_results_agree_with_the_library_where_it_does_not_round(a in decimal(), b in decimal()) {
        if let Ok(sum) = exact::add(a, b) {
            prop_assert_eq!(sum, a.checked_add(b).unwrap());
            prop_assert_eq!(exact::sub(sum, b).unwrap(), a);
        }
        if let Ok(product) = exact::mul(a, b) {
            prop_assert_eq!(product, a.checked_mul(b).unwrap());
        }
    }

    #[test]
    fn a_decimal_survives_its_text(d in decimal()) {
        prop_assert_eq!(exact::parse(&d.to_string()).unwrap(), d);
    }

    #[test]
    fn any_text_is_read_or_refused(text in "\\PC{0,60}") {
        let _ = exact::parse(&text);
        let _ = Currency::from_code(&text);
    }

    #[test]
    fn number_like_text_is_read_or_refused(text in "[-+]?[0-9]{0,40}\\.?[0-9]{0,40}([eE][-+]?[0-9]{0,20})?") {
        if let Ok(d) = exact::parse(&text) {
            prop_assert_eq!(exact::parse(&d.to_string()).unwrap(), d);
        }
    }
}
