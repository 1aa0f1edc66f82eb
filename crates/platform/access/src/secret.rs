//! Random tokens and the form of API keys.
//!
//! A key is `swk_`, 43 digits of base 62 (256 random bits) and, after an underscore, six digits with the
//! CRC-32 of what stands before it. A mistyped or cut key is so refused before the database is asked, and
//! secret scanners can tell a key from similar text.

use sealwright_core::Digest;
use subtle::ConstantTimeEq as _;

use crate::AccessError;

const BASE62: &[u8; 62] = b"0123456789ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz";
const PREFIX: &str = "swk_";
/// 62^43 > 2^256.
const BODY: usize = 43;
const CHECK: usize = 6;

/// 256 bits from the operating system.
pub(crate) fn random() -> Result<[u8; 32], AccessError> {
    let mut bytes = [0u8; 32];
    getrandom::fill(&mut bytes).map_err(|_| AccessError::Random)?;
    Ok(bytes)
}

fn base62(bytes: &[u8; 32]) -> String {
    // Long division of the 256-bit number by 62, least significant digit first.
    let mut number = *bytes;
    let mut digits = [b'0'; BODY];
    for digit in digits.iter_mut().rev() {
        let mut rest = 0u32;
        for byte in &mut number {
            let value = rest * 256 + u32::from(*byte);
            *byte = (value / 62) as u8;
            rest = value % 62;
        }
        *digit = BASE62[rest as usize];
    }
    digits.iter().map(|b| char::from(*b)).collect()
}

/// A token for sessions and links: 256 random bits in base 62.
pub(crate) fn token() -> Result<String, AccessError> {
    Ok(base62(&random()?))
}

/// Whether `text` has the form of a token (before the database is asked).
pub(crate) fn is_token(text: &str) -> bool {
    text.len() == BODY && text.bytes().all(|b| b.is_ascii_alphanumeric())
}

fn checksum(start: &str) -> String {
    let mut crc = crc32fast::hash(start.as_bytes());
    let mut digits = [b'0'; CHECK];
    for digit in digits.iter_mut().rev() {
        *digit = BASE62[(crc % 62) as usize];
        crc /= 62;
    }
    digits.iter().map(|b| char::from(*b)).collect()
}

/// A new API key.
pub(crate) fn api_key() -> Result<String, AccessError> {
    let start = format!("{PREFIX}{}", base62(&random()?));
    let check = checksum(&start);
    Ok(format!("{start}_{check}"))
}

/// The start of a key, to recognise it in lists: it gives away 24 of 256 bits.
pub(crate) fn hint(key: &str) -> String {
    key.chars().take(PREFIX.len() + 4).collect()
}

/// What is stored of a secret with 256 random bits; a slow hash adds nothing to such a secret.
pub(crate) fn hash(secret: &str) -> Digest {
    Digest::of(secret.as_bytes())
}

/// Compares without telling by its time where the difference is.
pub(crate) fn same(a: &str, b: &str) -> bool {
    a.as_bytes().ct_eq(b.as_bytes()).into()
}

/// The token that a form of the session with `token` must carry.
pub(crate) fn csrf(token: &str) -> String {
    Digest::of(format!("sealwright csrf {token}").as_bytes()).to_string()
}

/// Whether a text can be an API key.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum KeyForm {
    /// Right form and checksum.
    Good,
    /// The prefix is there, and length, digits or checksum are wrong: cut or mistyped.
    Damaged,
    /// Something else.
    Other,
}

/// Looks at the form of an API key only.
pub fn check_key_form(text: &str) -> KeyForm {
    let Some(rest) = text.strip_prefix(PREFIX) else {
        return KeyForm::Other;
    };
    let good = rest.is_ascii()
        && rest.len() == BODY + 1 + CHECK
        && rest.as_bytes()[BODY] == b'_'
        && rest[..BODY].bytes().all(|b| b.is_ascii_alphanumeric())
        && same(&rest[BODY + 1..], &checksum(&text[..PREFIX.len() + BODY]));
    if good {
        KeyForm::Good
    } else {
        KeyForm::Damaged
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn base62_is_positional() {
        let mut bytes = [0u8; 32];
        bytes[31] = 61;
        assert!(base62(&bytes).ends_with("00z"));
        bytes[31] = 62;
        assert!(base62(&bytes).ends_with("010"));
        assert_eq!(base62(&[0xff; 32]).len(), BODY);
        assert_ne!(
            base62(&[0xff; 32]).as_bytes()[0],
            b'0',
            "43 digits are needed"
        );
    }

    #[test]
    fn a_changed_character_is_found() {
        let key = api_key().unwrap();
        assert_eq!(check_key_form(&key), KeyForm::Good);
        for at in 4..key.len() {
            let mut bytes = key.clone().into_bytes();
            bytes[at] = if bytes[at] == b'a' { b'b' } else { b'a' };
            let changed = String::from_utf8(bytes).unwrap();
            assert_eq!(check_key_form(&changed), KeyForm::Damaged, "at {at}");
        }
        assert_eq!(check_key_form(&key[..30]), KeyForm::Damaged);
        assert_eq!(check_key_form("Bearer x"), KeyForm::Other);
    }

    proptest! {
        #[test]
        fn any_text_is_judged_without_panic(text in "(swk_)?\\PC{0,60}") {
            prop_assert_ne!(check_key_form(&text), KeyForm::Good);
        }
    }
}
