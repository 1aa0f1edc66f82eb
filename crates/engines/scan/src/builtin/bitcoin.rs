//! Bitcoin addresses of the old form: Base58 with a check of four bytes.

use sha2::{Digest, Sha256};

const ALPHABET: &[u8; 58] = b"123456789ABCDEFGHJKLMNPQRSTUVWXYZabcdefghijkmnopqrstuvwxyz";

/// Whether the token is an address of the main network (version 0 or 5).
pub(crate) fn valid(token: &[u8]) -> bool {
    if !matches!(token.first(), Some(b'1' | b'3')) {
        return false;
    }
    let mut number = [0_u8; 25];
    for b in token {
        let Some(mut carry) = ALPHABET.iter().position(|a| a == b) else {
            return false;
        };
        for digit in number.iter_mut().rev() {
            carry += usize::from(*digit) * 58;
            *digit = (carry & 0xff) as u8;
            carry >>= 8;
        }
        if carry != 0 {
            return false;
        }
    }
    if !matches!(number[0], 0 | 5) {
        return false;
    }
    let check = Sha256::digest(Sha256::digest(&number[..21]));
    check[..4] == number[21..]
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn addresses() {
        assert!(valid(b"16Yeky6GMjeNkAiNcBY7ZhrLoMSgg1BoyZ"));
        assert!(valid(b"3J98t1WpEZ73CNmQviecrnyiWrnqRhWNLy"));
        assert!(!valid(b"16Yeky6GMjeNkAiNcBY7ZhrLoMSgg1Boyz"));
    }
}
