//! Placeholders that hold their value, enciphered, and the way back.

use std::fmt;

use super::RedactError;
use super::office::{self, Parts};
use crate::document::{self, Kind, Limits};
use aes_siv::aead::KeyInit;
use aes_siv::siv::Aes256Siv;

/// The key of reversible redaction: 64 bytes for AES-SIV (RFC 5297), which needs no random
/// numbers: one value under one key always becomes the same token, so that equal values stay equal.
#[derive(Clone)]
pub struct RestoreKey([u8; 64]);

impl fmt::Debug for RestoreKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("RestoreKey")
    }
}

/// A text with its values back in place.
#[derive(Debug, Clone)]
pub struct Restored {
    /// The text.
    pub bytes: Vec<u8>,
    /// How many values came back.
    pub restored: u64,
    /// Tokens that this key does not open: made with another key, or altered. They stay.
    pub refused: u64,
}

impl RestoreKey {
    /// A key of 64 random bytes, kept apart from the fingerprint key.
    #[must_use]
    pub fn new(key: [u8; 64]) -> Self {
        Self(key)
    }

    /// `[us.ssn#…]`: the sealed value in base 32.
    pub(super) fn token(&self, detector: &str, value: &[u8]) -> String {
        let mut cipher = Aes256Siv::new(&self.0.into());
        // Encryption fails only for texts of more than 2^36 bytes.
        match cipher.encrypt([detector.as_bytes()], value) {
            Ok(sealed) => format!("[{detector}#{}]", base32(&sealed)),
            Err(_) => format!("[{detector}]"),
        }
    }

    fn open(&self, detector: &[u8], sealed: &[u8]) -> Option<Vec<u8>> {
        Aes256Siv::new(&self.0.into())
            .decrypt([detector], sealed)
            .ok()
    }
}

/// Brings the values of a text back that [`super::Redactor::reversible`] took out. Who restores what,
/// and why, belongs in the audit trail of the caller.
#[must_use]
pub fn restore(key: &RestoreKey, bytes: &[u8]) -> Restored {
    values(key, bytes, |value| value)
}

/// As [`restore`], also for office documents and archives: each of their parts is restored. What stands in
/// markup is written so that it is still markup.
///
/// # Errors
/// When the form is not one that reversible redaction writes, or it cannot be read.
pub fn restore_document(
    key: &RestoreKey,
    bytes: &[u8],
    limits: &Limits,
) -> Result<Restored, RedactError> {
    within(key, bytes, limits, limits.depth)
}

/// Whether reversible redaction writes this form.
pub(super) const fn is_reversible(kind: Kind) -> bool {
    matches!(
        kind,
        Kind::Text | Kind::Xml | Kind::Html | Kind::Rtf | Kind::Mail | Kind::Zip | Kind::Empty
    )
}

fn within(
    key: &RestoreKey,
    bytes: &[u8],
    limits: &Limits,
    depth: u32,
) -> Result<Restored, RedactError> {
    let kind = document::kind_of(bytes);
    match kind {
        Kind::Zip if depth > 0 => {}
        Kind::Xml | Kind::Html => return Ok(values(key, bytes, in_markup)),
        kind if is_reversible(kind) && kind != Kind::Zip => return Ok(restore(key, bytes)),
        kind => {
            return Err(RedactError::Unsupported {
                what: format!("values do not come back into {}: it", kind.as_str()),
            });
        }
    }
    let mut changed = Parts::new();
    let (mut restored, mut refused) = (0, 0);
    for (name, data) in office::read(bytes, limits)? {
        // Fonts and pictures hold no token.
        if !is_reversible(document::kind_of(&data)) {
            continue;
        }
        let part = within(key, &data, limits, depth - 1)?;
        refused += part.refused;
        if part.restored > 0 {
            restored += part.restored;
            changed.push((name, part.bytes));
        }
    }
    let bytes = if changed.is_empty() {
        bytes.to_vec()
    } else {
        office::write(bytes, &changed)?
    };
    Ok(Restored {
        bytes,
        restored,
        refused,
    })
}

/// A value as markup: what was written there escaped comes back as it was, what came from the text of a
/// workbook's cell is escaped.
fn in_markup(value: Vec<u8>) -> Vec<u8> {
    let mut out = Vec::with_capacity(value.len());
    for (at, b) in value.iter().enumerate() {
        match b {
            b'<' => out.extend_from_slice(b"&lt;"),
            b'>' => out.extend_from_slice(b"&gt;"),
            b'&' if !is_reference(&value[at + 1..]) => out.extend_from_slice(b"&amp;"),
            b => out.push(*b),
        }
    }
    out
}

/// Whether what follows an ampersand makes a reference of it: `amp;`, `#38;`.
fn is_reference(rest: &[u8]) -> bool {
    let name = rest
        .iter()
        .take(12)
        .take_while(|b| b.is_ascii_alphanumeric() || **b == b'#')
        .count();
    name > 0 && rest.get(name) == Some(&b';')
}

fn values(key: &RestoreKey, bytes: &[u8], write: impl Fn(Vec<u8>) -> Vec<u8>) -> Restored {
    let mut out = Restored {
        bytes: Vec::with_capacity(bytes.len()),
        restored: 0,
        refused: 0,
    };
    let mut at = 0;
    for open in memchr::memchr_iter(b'[', bytes) {
        if open < at {
            continue;
        }
        let Some((end, detector, sealed)) = token_at(bytes, open) else {
            continue;
        };
        match key.open(detector, &sealed) {
            Some(value) => {
                out.bytes.extend_from_slice(&bytes[at..open]);
                out.bytes.extend_from_slice(&write(value));
                out.restored += 1;
                at = end;
            }
            None => out.refused += 1,
        }
    }
    out.bytes.extend_from_slice(&bytes[at..]);
    out
}

/// A token at an opening bracket: its end, the detector and the sealed bytes.
fn token_at(bytes: &[u8], open: usize) -> Option<(usize, &[u8], Vec<u8>)> {
    let rest = &bytes[open + 1..];
    let hash = rest
        .iter()
        .take(129)
        .position(|b| !b.is_ascii_alphanumeric() && !matches!(b, b'.' | b'_' | b'-'))?;
    if rest[hash] != b'#' || hash == 0 {
        return None;
    }
    let body = &rest[hash + 1..];
    let length = body
        .iter()
        .take(1 << 20)
        .position(|b| !ALPHABET.contains(b))?;
    if body[length] != b']' || length < 26 {
        return None;
    }
    Some((
        open + 1 + hash + 1 + length + 1,
        &rest[..hash],
        unbase32(&body[..length])?,
    ))
}

/// Lower case without digits that could make a number of the token (RFC 4648 has 2 to 7).
const ALPHABET: &[u8; 32] = b"abcdefghijklmnopqrstuvwxyz234567";

fn base32(bytes: &[u8]) -> String {
    let mut out = String::with_capacity(bytes.len() * 8 / 5 + 1);
    let (mut buffer, mut bits) = (0_u32, 0);
    for b in bytes {
        buffer = buffer << 8 | u32::from(*b);
        bits += 8;
        while bits >= 5 {
            bits -= 5;
            out.push(ALPHABET[(buffer >> bits & 31) as usize] as char);
        }
        buffer &= (1 << bits) - 1;
    }
    if bits > 0 {
        out.push(ALPHABET[(buffer << (5 - bits) & 31) as usize] as char);
    }
    out
}

fn unbase32(text: &[u8]) -> Option<Vec<u8>> {
    let mut out = Vec::with_capacity(text.len() * 5 / 8);
    let (mut buffer, mut bits) = (0_u32, 0);
    for b in text {
        let five = ALPHABET.iter().position(|a| a == b)? as u32;
        buffer = buffer << 5 | five;
        bits += 5;
        if bits >= 8 {
            bits -= 8;
            out.push((buffer >> bits) as u8);
        }
        buffer &= (1 << bits) - 1;
    }
    Some(out)
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::*;

    #[test]
    fn values_come_back_with_their_key_only() {
        let (a, b) = (RestoreKey::new([7; 64]), RestoreKey::new([8; 64]));
        let token = a.token("us.ssn", b"457-55-5461");
        assert_eq!(token, a.token("us.ssn", b"457-55-5461"));
        assert!(!token.contains("457"));
        let text = format!("x [y] {token} z");
        let back = restore(&a, text.as_bytes());
        assert_eq!(back.bytes, b"x [y] 457-55-5461 z");
        assert_eq!((back.restored, back.refused), (1, 0));
        let other = restore(&b, text.as_bytes());
        assert_eq!(other.bytes, text.as_bytes());
        assert_eq!((other.restored, other.refused), (0, 1));
        // The kind is sealed with the value.
        let moved = text.replace("us.ssn", "ca.sin");
        assert_eq!(restore(&a, moved.as_bytes()).restored, 0);
    }

    #[test]
    fn base32_goes_both_ways() {
        for n in 0..40_u8 {
            let bytes: Vec<u8> = (0..n).map(|i| i.wrapping_mul(37) ^ n).collect();
            assert_eq!(unbase32(base32(&bytes).as_bytes()).unwrap(), bytes);
        }
    }
}
