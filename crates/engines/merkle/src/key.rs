//! Keys of signed notes, and their text forms (C2SP `signed-note`, `tlog-cosignature`).

use std::fmt;
use std::str::FromStr;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use ed25519_dalek::{Signature, Signer as _, SigningKey, VerifyingKey};
use sha2::{Digest as _, Sha256};

use crate::note::NoteSignature;

/// The longest key name that is accepted, in bytes.
pub const MAX_NAME_LEN: usize = 255;

/// How a key signs.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Algorithm {
    /// Ed25519 over the note text (type `0x01`).
    Ed25519,
    /// A witness's Ed25519 over the checkpoint and a time (type `0x04`).
    CosignatureV1,
}

impl Algorithm {
    const fn type_byte(self) -> u8 {
        match self {
            Self::Ed25519 => 0x01,
            Self::CosignatureV1 => 0x04,
        }
    }
}

/// Why a key's text was refused. The text itself is never repeated, as it may be a secret.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum KeyError {
    /// The name is empty, too long, or holds a space, a plus or a control character.
    #[error("a key name must have 1 to {MAX_NAME_LEN} bytes, no space, `+` or control character")]
    Name,
    /// The text is not of the form that its kind of key has.
    #[error("expected `{0}`")]
    Form(&'static str),
    /// The key id is not eight lower-case hexadecimal digits.
    #[error("the key id must be eight lower-case hexadecimal digits")]
    Id,
    /// The key id is not the one that name and key give.
    #[error("the key id is {got:08x}, but name and key give {expected:08x}; is the name right?")]
    IdMismatch {
        /// What the text says.
        got: u32,
        /// What the name and the key give.
        expected: u32,
    },
    /// The key material is not base64 of a type byte and 32 bytes.
    #[error("the key must be base64 of a type byte and 32 bytes")]
    Material,
    /// Another signature type than the ones supported.
    #[error("signature type {0:#04x} is not supported; 0x01 (Ed25519) and 0x04 (cosignature) are")]
    Unsupported(u8),
    /// The bytes are not a point that can verify anything.
    #[error("the 32 bytes are not a usable Ed25519 public key")]
    Point,
}

/// Checks a key name against the specification.
///
/// # Errors
/// [`KeyError::Name`].
pub fn check_name(name: &str) -> Result<(), KeyError> {
    let bad = |c: char| c.is_whitespace() || c == '+' || c.is_control();
    if name.is_empty() || name.len() > MAX_NAME_LEN || name.chars().any(bad) {
        return Err(KeyError::Name);
    }
    Ok(())
}

fn key_id(name: &str, algorithm: Algorithm, public: &[u8; 32]) -> u32 {
    let mut hasher = Sha256::new();
    hasher.update(name.as_bytes());
    hasher.update([b'\n', algorithm.type_byte()]);
    hasher.update(public);
    let hash = hasher.finalize();
    u32::from_be_bytes([hash[0], hash[1], hash[2], hash[3]])
}

/// `<name>+<id>+<base64>` cut into its parts. The base64 may itself hold a plus.
fn split_key<'a>(text: &'a str, form: &'static str) -> Result<(&'a str, u32, [u8; 33]), KeyError> {
    let mut parts = text.splitn(3, '+');
    let (Some(name), Some(id), Some(material)) = (parts.next(), parts.next(), parts.next()) else {
        return Err(KeyError::Form(form));
    };
    check_name(name)?;
    let is_lower_hex = |b: u8| b.is_ascii_digit() || (b'a'..=b'f').contains(&b);
    if id.len() != 8 || !id.bytes().all(is_lower_hex) {
        return Err(KeyError::Id);
    }
    let id = u32::from_str_radix(id, 16).map_err(|_| KeyError::Id)?;
    if material.len() > 64 {
        return Err(KeyError::Material);
    }
    let material = STANDARD.decode(material).map_err(|_| KeyError::Material)?;
    let material = material.try_into().map_err(|_| KeyError::Material)?;
    Ok((name, id, material))
}

/// A public key with the name and id it signs under. Its text form is the *vkey*.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct VerifierKey {
    name: String,
    id: u32,
    algorithm: Algorithm,
    key: VerifyingKey,
}

impl VerifierKey {
    /// A key from its parts.
    ///
    /// # Errors
    /// When the name is not allowed or the bytes are not a usable public key. Keys of small
    /// order are refused, since a signature under them proves nothing.
    pub fn new(name: &str, algorithm: Algorithm, public: &[u8; 32]) -> Result<Self, KeyError> {
        check_name(name)?;
        let key = VerifyingKey::from_bytes(public).map_err(|_| KeyError::Point)?;
        if key.is_weak() {
            return Err(KeyError::Point);
        }
        Ok(Self {
            name: name.to_owned(),
            id: key_id(name, algorithm, public),
            algorithm,
            key,
        })
    }

    /// The key's name, for a log its origin.
    #[must_use]
    pub fn name(&self) -> &str {
        &self.name
    }

    /// The first four bytes of the hash over name, type and key.
    #[must_use]
    pub const fn id(&self) -> u32 {
        self.id
    }

    /// How the key signs.
    #[must_use]
    pub const fn algorithm(&self) -> Algorithm {
        self.algorithm
    }

    /// The 32 bytes of the public key (RFC 8032).
    #[must_use]
    pub fn public_bytes(&self) -> [u8; 32] {
        self.key.to_bytes()
    }

    /// Whether the signature carries this key's name and id.
    #[must_use]
    pub fn made(&self, signature: &NoteSignature) -> bool {
        signature.name == self.name && signature.key_id == self.id
    }

    /// Whether `signature` (the bytes after the key id) is this key's signature of the note text.
    /// Signatures are checked strictly: one note has one valid encoding for a signature.
    #[must_use]
    pub fn verify(&self, text: &str, signature: &[u8]) -> bool {
        match self.algorithm {
            Algorithm::Ed25519 => self.verify_bytes(text.as_bytes(), signature),
            Algorithm::CosignatureV1 => {
                let Some((time, signature)) = split_cosignature(signature) else {
                    return false;
                };
                let message = format!("cosignature/v1\ntime {time}\n{text}");
                self.verify_bytes(message.as_bytes(), signature)
            }
        }
    }

    /// Whether `signature` is a plain Ed25519 signature of `message` by this key, with no format
    /// around it (RFC 8032, checked strictly).
    #[must_use]
    pub fn verify_bytes(&self, message: &[u8], signature: &[u8]) -> bool {
        Signature::from_slice(signature)
            .is_ok_and(|signature| self.key.verify_strict(message, &signature).is_ok())
    }

    /// The time in a cosignature, as seconds since the epoch; `None` for other key types. Only
    /// meaningful after [`VerifierKey::verify`].
    #[must_use]
    pub fn cosignature_time(&self, signature: &[u8]) -> Option<u64> {
        match self.algorithm {
            Algorithm::Ed25519 => None,
            Algorithm::CosignatureV1 => split_cosignature(signature).map(|(time, _)| time),
        }
    }
}

/// Time and signature of a `timestamped_signature`; times beyond 2^63 - 1 are not allowed.
fn split_cosignature(signature: &[u8]) -> Option<(u64, &[u8])> {
    let (time, signature) = signature.split_first_chunk::<8>()?;
    let time = u64::from_be_bytes(*time);
    (time <= i64::MAX as u64).then_some((time, signature))
}

impl fmt::Display for VerifierKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let mut material = [0_u8; 33];
        material[0] = self.algorithm.type_byte();
        material[1..].copy_from_slice(&self.public_bytes());
        write!(
            f,
            "{}+{:08x}+{}",
            self.name,
            self.id,
            STANDARD.encode(material)
        )
    }
}

impl FromStr for VerifierKey {
    type Err = KeyError;

    fn from_str(text: &str) -> Result<Self, KeyError> {
        let (name, id, material) = split_key(text, "<name>+<key id>+<base64>")?;
        let algorithm = match material[0] {
            0x01 => Algorithm::Ed25519,
            0x04 => Algorithm::CosignatureV1,
            other => return Err(KeyError::Unsupported(other)),
        };
        let mut public = [0; 32];
        public.copy_from_slice(&material[1..]);
        let key = Self::new(name, algorithm, &public)?;
        if key.id != id {
            return Err(KeyError::IdMismatch {
                got: id,
                expected: key.id,
            });
        }
        Ok(key)
    }
}

impl serde::Serialize for VerifierKey {
    fn serialize<S: serde::Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_str(self)
    }
}

/// A private Ed25519 key with its name. Debug output shows the public half only; the secret is
/// wiped from memory when the key is dropped.
pub struct SignerKey {
    key: SigningKey,
    verifier: VerifierKey,
}

impl fmt::Debug for SignerKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_tuple("SignerKey")
            .field(&self.verifier.to_string())
            .finish()
    }
}

impl SignerKey {
    /// A key from a name and a 32-byte seed, which must come from a cryptographic random source.
    ///
    /// # Errors
    /// [`KeyError::Name`].
    pub fn from_seed(name: &str, seed: &[u8; 32]) -> Result<Self, KeyError> {
        let key = SigningKey::from_bytes(seed);
        let verifier = VerifierKey::new(name, Algorithm::Ed25519, &key.verifying_key().to_bytes())?;
        Ok(Self { key, verifier })
    }

    /// The public half.
    #[must_use]
    pub const fn verifier(&self) -> &VerifierKey {
        &self.verifier
    }

    /// Signs a note text. The text must be valid as [`crate::SignedNote`] checks it.
    #[must_use]
    pub fn sign(&self, text: &str) -> NoteSignature {
        NoteSignature {
            name: self.verifier.name.clone(),
            key_id: self.verifier.id,
            signature: self.key.sign(text.as_bytes()).to_bytes().to_vec(),
        }
    }

    /// 32 secret bytes for another purpose, which follow from this key and say nothing about it
    /// (HMAC-SHA-256 of the purpose, keyed with the seed).
    #[must_use]
    pub fn derive(&self, purpose: &str) -> [u8; 32] {
        use hmac::{KeyInit as _, Mac as _};
        // The key as one block (RFC 2104, section 2): zeros behind it.
        let mut block = hmac::digest::Key::<hmac::Hmac<sha2::Sha256>>::default();
        block[..32].copy_from_slice(self.key.as_bytes());
        let mut mac = hmac::Hmac::<sha2::Sha256>::new(&block);
        mac.update(purpose.as_bytes());
        mac.finalize().into_bytes().into()
    }

    /// The secret text form, `PRIVATE+KEY+<name>+<key id>+<base64>`, as other note tools write
    /// it. Keep it out of logs.
    #[must_use]
    pub fn to_secret_text(&self) -> String {
        let mut material = [0_u8; 33];
        material[0] = Algorithm::Ed25519.type_byte();
        material[1..].copy_from_slice(self.key.as_bytes());
        format!(
            "PRIVATE+KEY+{}+{:08x}+{}",
            self.verifier.name,
            self.verifier.id,
            STANDARD.encode(material)
        )
    }

    /// Reads the secret text form.
    ///
    /// # Errors
    /// [`KeyError`]; it never repeats the text.
    pub fn from_secret_text(text: &str) -> Result<Self, KeyError> {
        const FORM: &str = "PRIVATE+KEY+<name>+<key id>+<base64>";
        let rest = text
            .strip_prefix("PRIVATE+KEY+")
            .ok_or(KeyError::Form(FORM))?;
        let (name, id, material) = split_key(rest, FORM)?;
        if material[0] != Algorithm::Ed25519.type_byte() {
            return Err(KeyError::Unsupported(material[0]));
        }
        let mut seed = [0; 32];
        seed.copy_from_slice(&material[1..]);
        let key = Self::from_seed(name, &seed)?;
        if key.verifier.id != id {
            return Err(KeyError::IdMismatch {
                got: id,
                expected: key.verifier.id,
            });
        }
        Ok(key)
    }
}
