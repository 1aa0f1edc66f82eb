//! Sixty-four bytes at a time: which of them are of a kind, as the bits of a number.

/// Bytes of a block.
pub(crate) const BLOCK: usize = 64;

/// The block that begins at `at`, when it is there as a whole.
#[inline]
pub(crate) fn block(text: &[u8], at: usize) -> Option<&[u8; BLOCK]> {
    text.get(at..)?.first_chunk()
}

/// A bit for each byte, the first one lowest. `is` should be arithmetic without branches: then the bytes are
/// compared many at a time.
#[inline]
pub(crate) fn mask(block: &[u8; BLOCK], is: impl Fn(u8) -> bool) -> u64 {
    let each: [u8; BLOCK] = std::array::from_fn(|i| u8::from(is(block[i])));
    let (eights, _) = each.as_chunks::<8>();
    let mut bits = 0;
    for (i, eight) in eights.iter().enumerate() {
        // The product's highest byte has the lowest bits of all eight bytes.
        let gathered = u64::from_le_bytes(*eight).wrapping_mul(0x0102_0408_1020_4080) >> 56;
        bits |= gathered << (8 * i);
    }
    bits
}

/// A digit.
#[inline]
pub(crate) fn digit(b: u8) -> bool {
    b.wrapping_sub(b'0') < 10
}

/// A letter or a digit of ASCII.
#[inline]
pub(crate) fn alphanumeric(b: u8) -> bool {
    digit(b) | ((b | 0x20).wrapping_sub(b'a') < 26)
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::*;

    proptest::proptest! {
        #[test]
        fn a_bit_for_each_byte(bytes in proptest::collection::vec(proptest::num::u8::ANY, BLOCK)) {
            let bits = mask(block(&bytes, 0).unwrap(), alphanumeric);
            for (i, b) in bytes.iter().enumerate() {
                assert_eq!(bits >> i & 1 == 1, b.is_ascii_alphanumeric());
            }
            assert!(block(&bytes, 1).is_none());
        }
    }
}
