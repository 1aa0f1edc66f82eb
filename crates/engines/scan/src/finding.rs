//! What was found, without saying it.

use std::fmt;
use std::sync::Arc;

use hmac::{Hmac, KeyInit, Mac};
use serde::{Serialize, Serializer};
use sha2::Sha256;

use crate::detector::{Class, Severity};

/// A found value. It shows nothing of itself in debug output; take it with [`Value::expose`].
#[derive(Clone, PartialEq, Eq)]
pub struct Value(Vec<u8>);

impl Value {
    pub(crate) fn new(bytes: &[u8]) -> Self {
        Self(bytes.to_vec())
    }

    /// The bytes themselves.
    #[must_use]
    pub fn expose(&self) -> &[u8] {
        &self.0
    }
}

impl fmt::Debug for Value {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "[{} bytes]", self.0.len())
    }
}

/// One place where something was found.
#[derive(Debug, Clone, Serialize)]
pub struct Finding {
    /// The file or object, as the caller named it.
    pub path: Arc<str>,
    /// The document inside the file, parts joined by `!`; the offsets count in it.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub inner: Option<Arc<str>>,
    /// Line of the first byte, from 1.
    pub line: u64,
    /// Column of the first byte, in bytes, from 1.
    pub column: u64,
    /// First byte.
    pub start: u64,
    /// Byte after the last one.
    pub end: u64,
    /// Id of the detector.
    pub detector: Arc<str>,
    /// What was found, for a person to read.
    pub title: Arc<str>,
    /// The kind of data.
    pub class: Class,
    /// The harm.
    pub severity: Severity,
    /// How sure it is, 0 to 1.
    #[serde(serialize_with = "two_decimals")]
    pub confidence: f32,
    /// Why it is that sure.
    pub reasons: Vec<String>,
    /// Keyed digest of detector and value: equal values have equal fingerprints under one key,
    /// and nothing follows from it without the key.
    pub fingerprint: Fingerprint,
    /// The value, kept only when the scanner was told to.
    #[serde(skip)]
    pub value: Option<Value>,
}

fn two_decimals<S: Serializer>(value: &f32, s: S) -> Result<S::Ok, S::Error> {
    s.serialize_f64((f64::from(*value) * 100.0).round() / 100.0)
}

/// The keyed digest of a value.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct Fingerprint(pub [u8; 16]);

impl fmt::Display for Fingerprint {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.iter().try_for_each(|b| write!(f, "{b:02x}"))
    }
}

impl Serialize for Fingerprint {
    fn serialize<S: Serializer>(&self, s: S) -> Result<S::Ok, S::Error> {
        s.collect_str(self)
    }
}

/// The key of fingerprints. One key a tenant keeps their fingerprints apart.
#[derive(Clone)]
pub struct FingerprintKey(Hmac<Sha256>);

impl fmt::Debug for FingerprintKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("FingerprintKey")
    }
}

impl FingerprintKey {
    /// A key from bytes of any length; 32 random ones are right.
    #[must_use]
    pub fn new(key: &[u8]) -> Self {
        // HMAC hashes longer keys and pads shorter ones itself (RFC 2104, section 2); doing the
        // first here makes the conversion below total.
        let mut block = [0_u8; 64];
        if key.len() > 64 {
            use sha2::Digest as _;
            block[..32].copy_from_slice(&Sha256::digest(key));
        } else {
            block[..key.len()].copy_from_slice(key);
        }
        Self(Hmac::<Sha256>::new(&block.into()))
    }

    /// The fingerprint of a value. Spaces and dashes do not count for data that is written with
    /// and without them, so that one card number has one fingerprint.
    #[must_use]
    pub fn fingerprint(&self, detector: &str, class: Class, value: &[u8]) -> Fingerprint {
        let mut mac = self.0.clone();
        mac.update(detector.as_bytes());
        mac.update(&[0]);
        if class == Class::Secret {
            mac.update(value);
        } else {
            let compact: Vec<u8> = value
                .iter()
                .filter(|b| !b" -\t\xa0".contains(b))
                .map(u8::to_ascii_uppercase)
                .collect();
            mac.update(&compact);
        }
        let full = mac.finalize().into_bytes();
        let mut out = [0; 16];
        out.copy_from_slice(&full[..16]);
        Fingerprint(out)
    }
}

/// What may be shown of a value: issuer digits and last four of a card number, the country of an
/// account, the kind of a token; otherwise nothing but the length.
#[must_use]
pub fn preview(detector: &str, class: Class, value: &[u8]) -> String {
    let compact: String = value
        .iter()
        .filter(|b| b.is_ascii_alphanumeric())
        .map(|b| *b as char)
        .collect();
    if detector == "payment_card" && compact.len() >= 12 {
        let (head, tail) = (&compact[..6], &compact[compact.len() - 4..]);
        return format!("{head}{}{tail}", "*".repeat(compact.len() - 10));
    }
    if detector == "iban" && compact.len() > 8 {
        let tail = &compact[compact.len() - 4..];
        return format!("{}{}{tail}", &compact[..2], "*".repeat(compact.len() - 6));
    }
    if class == Class::Secret && compact.len() >= 24 {
        let head: String = value.iter().take(4).map(|b| *b as char).collect();
        if head.is_ascii() && !head.contains(['\n', '\r']) {
            return format!("{head}{}", "*".repeat(8));
        }
    }
    "*".repeat(compact.len().clamp(3, 12))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn previews_hide() {
        let amex = preview("payment_card", Class::Financial, b"3782 822463 10005");
        assert_eq!(amex, "378282*****0005");
        assert_eq!(preview("us.ssn", Class::Pii, b"123-45-6789"), "*********");
    }

    #[test]
    fn fingerprints_need_the_key_and_ignore_spaces() {
        let (a, b) = (FingerprintKey::new(b"a"), FingerprintKey::new(b"b"));
        let f = |k: &FingerprintKey, v: &[u8]| k.fingerprint("payment_card", Class::Financial, v);
        assert_eq!(f(&a, b"4111 1111"), f(&a, b"41111111"));
        assert_ne!(f(&a, b"41111111"), f(&b, b"41111111"));
    }

    #[test]
    fn debug_shows_nothing() {
        assert_eq!(format!("{:?}", Value::new(b"hunter2")), "[7 bytes]");
    }
}
