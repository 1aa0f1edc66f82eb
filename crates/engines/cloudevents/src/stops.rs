//! How far a string's text goes on before something in it has to be looked at, eight bytes at a time.

const ONES: u64 = u64::from_ne_bytes([1; 8]);
const HIGH: u64 = u64::from_ne_bytes([0x80; 8]);

/// The high bit of each byte that is `wanted`. Behind the first of them other bytes may be marked too.
const fn equal(eight: u64, wanted: u8) -> u64 {
    let zero = eight ^ (ONES * wanted as u64);
    zero.wrapping_sub(ONES) & !zero & HIGH
}

/// The high bit of each byte below 0x20. Behind the first of them other bytes may be marked too.
const fn controls(eight: u64) -> u64 {
    eight.wrapping_sub(ONES * 0x20) & !eight & HIGH
}

/// How many bytes come before the first quote, backslash, control character or byte beyond ASCII.
pub(crate) fn plain(text: &[u8]) -> usize {
    let mut start = 0;
    for eight in text.chunks(8) {
        // What lacks is filled with quotes, at which the scan stops.
        let mut bytes = [b'"'; 8];
        match eight.first_chunk::<8>() {
            Some(whole) => bytes = *whole,
            None => bytes[..eight.len()].copy_from_slice(eight),
        }
        let eight = u64::from_le_bytes(bytes);
        let found = equal(eight, b'"') | equal(eight, b'\\') | controls(eight) | (eight & HIGH);
        if found != 0 {
            return start + found.trailing_zeros() as usize / 8;
        }
        start += 8;
    }
    start
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    proptest! {
        #[test]
        fn blocks_stop_where_bytes_do(
            text in prop::collection::vec(
                prop_oneof![4 => 0x20..0x7f_u8, 1 => any::<u8>(), 1 => Just(b'"'), 1 => Just(b'\\'), 1 => Just(0x21), 1 => Just(0x1f)],
                0..40,
            ),
        ) {
            let special = |b: &u8| matches!(b, b'"' | b'\\') || *b < 0x20 || *b >= 0x80;
            prop_assert_eq!(plain(&text), text.iter().position(special).unwrap_or(text.len()));
        }
    }
}
