//! Standard Webhooks (specification 1.0): signing, and verifying for those who receive.
//!
//! Signed is `{id}.{timestamp}.{payload}`; the header `webhook-signature` holds one or more
//! `version,base64` separated by spaces, so that two secrets can be valid while one replaces the other.

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use ed25519_dalek::{Signature, Signer as _, SigningKey, Verifier as _, VerifyingKey};
use hmac::{Hmac, KeyInit as _, Mac as _};
use secrecy::{ExposeSecret as _, SecretSlice};
use sha2::Sha256;

/// How far a timestamp may be from the receiver's clock, in seconds, both ends included.
pub const TOLERANCE: i64 = 300;
/// Signatures of one header that are looked at.
const MOST_SIGNATURES: usize = 16;

/// Why a key is not one, or a webhook is not genuine.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum SignatureError {
    /// Not a key of the wanted form.
    #[error("{0}")]
    Key(&'static str),
    /// A header is missing.
    #[error("the header {0} is missing")]
    Missing(&'static str),
    /// `webhook-timestamp` is not an integer of seconds.
    #[error("webhook-timestamp is not a number of seconds")]
    Timestamp,
    /// Too old: perhaps sent again by somebody else.
    #[error("the webhook is older than {TOLERANCE} seconds")]
    TooOld,
    /// From the future.
    #[error("the webhook is more than {TOLERANCE} seconds ahead")]
    TooNew,
    /// `webhook-id` has a dot: the signed text could be split in another way.
    #[error("webhook-id holds a full stop")]
    Id,
    /// No signature is right.
    #[error("no signature of the webhook is right")]
    Wrong,
}

/// What signs.
pub enum SigningSecret {
    /// HMAC-SHA256: `whsec_` and the base64 of 24 to 64 bytes; the prefix may be left out.
    V1(SecretSlice<u8>),
    /// Ed25519: `whsk_` and the base64 of the 32-byte seed.
    V1a(Box<SigningKey>),
}

impl std::fmt::Debug for SigningSecret {
    /// The version only.
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(match self {
            Self::V1(_) => "SigningSecret::V1",
            Self::V1a(_) => "SigningSecret::V1a",
        })
    }
}

impl SigningSecret {
    /// Reads `whsec_…` (or bare base64) as `v1` and `whsk_…` as `v1a`.
    ///
    /// # Errors
    /// [`SignatureError::Key`], which does not show the text.
    pub fn parse(text: &str) -> Result<Self, SignatureError> {
        if let Some(seed) = text.strip_prefix("whsk_") {
            let seed: [u8; 32] = STANDARD
                .decode(seed)
                .ok()
                .and_then(|bytes| bytes.try_into().ok())
                .ok_or(SignatureError::Key(
                    "is not `whsk_` and the base64 of 32 bytes",
                ))?;
            return Ok(Self::V1a(Box::new(SigningKey::from_bytes(&seed))));
        }
        let wrong = SignatureError::Key("is not `whsec_` and the base64 of 24 to 64 bytes");
        let bytes = STANDARD
            .decode(text.strip_prefix("whsec_").unwrap_or(text))
            .map_err(|_| wrong.clone())?;
        if (24..=64).contains(&bytes.len()) {
            Ok(Self::V1(bytes.into()))
        } else {
            Err(wrong)
        }
    }

    /// The public key of a `v1a` secret: `whpk_…`.
    pub fn public_key(&self) -> Option<String> {
        match self {
            Self::V1(_) => None,
            Self::V1a(key) => Some(format!(
                "whpk_{}",
                STANDARD.encode(key.verifying_key().as_bytes())
            )),
        }
    }

    /// The signature of a webhook, with its version: `v1,…`. `timestamp` is in seconds since 1970.
    pub fn sign(&self, id: &str, timestamp: i64, payload: &[u8]) -> String {
        match self {
            Self::V1(secret) => {
                let mac = mac(secret, id, timestamp, payload);
                format!("v1,{}", STANDARD.encode(mac.finalize().into_bytes()))
            }
            Self::V1a(key) => {
                let signature = key.sign(&signed(id, timestamp, payload));
                format!("v1a,{}", STANDARD.encode(signature.to_bytes()))
            }
        }
    }
}

fn signed(id: &str, timestamp: i64, payload: &[u8]) -> Vec<u8> {
    let mut text = format!("{id}.{timestamp}.").into_bytes();
    text.extend_from_slice(payload);
    text
}

fn mac(secret: &SecretSlice<u8>, id: &str, timestamp: i64, payload: &[u8]) -> Hmac<Sha256> {
    // A key of any length is one to HMAC; `new_from_slice` has no other way to fail.
    let mut mac = Hmac::<Sha256>::new_from_slice(secret.expose_secret())
        .unwrap_or_else(|_| Hmac::<Sha256>::new(&Default::default()));
    mac.update(&signed(id, timestamp, payload));
    mac
}

/// What verifies.
pub enum VerifyingSecret {
    /// A shared secret.
    V1(SecretSlice<u8>),
    /// A public key.
    V1a(Box<VerifyingKey>),
}

impl std::fmt::Debug for VerifyingSecret {
    /// The version only.
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(match self {
            Self::V1(_) => "VerifyingSecret::V1",
            Self::V1a(_) => "VerifyingSecret::V1a",
        })
    }
}

impl VerifyingSecret {
    /// Reads `whsec_…` (or bare base64) and `whpk_…`.
    ///
    /// # Errors
    /// [`SignatureError::Key`].
    pub fn parse(text: &str) -> Result<Self, SignatureError> {
        if let Some(key) = text.strip_prefix("whpk_") {
            return STANDARD
                .decode(key)
                .ok()
                .and_then(|bytes| <[u8; 32]>::try_from(bytes).ok())
                .and_then(|bytes| VerifyingKey::from_bytes(&bytes).ok())
                .map(|key| Self::V1a(Box::new(key)))
                .ok_or(SignatureError::Key(
                    "is not `whpk_` and the base64 of a public key",
                ));
        }
        match SigningSecret::parse(text)? {
            SigningSecret::V1(secret) => Ok(Self::V1(secret)),
            SigningSecret::V1a(key) => Ok(Self::V1a(Box::new(key.verifying_key()))),
        }
    }

    fn holds(&self, signature: &str, id: &str, timestamp: i64, payload: &[u8]) -> bool {
        let Some((version, value)) = signature.split_once(',') else {
            return false;
        };
        let Ok(bytes) = STANDARD.decode(value) else {
            return false;
        };
        match self {
            Self::V1(secret) => {
                version == "v1"
                    && mac(secret, id, timestamp, payload)
                        .verify_slice(&bytes)
                        .is_ok()
            }
            Self::V1a(key) => {
                version == "v1a"
                    && Signature::from_slice(&bytes)
                        .is_ok_and(|s| key.verify(&signed(id, timestamp, payload), &s).is_ok())
            }
        }
    }
}

/// The three headers as they came; `None` for one that is missing.
#[derive(Debug, Clone, Copy, Default)]
pub struct WebhookHeaders<'a> {
    /// `webhook-id`.
    pub id: Option<&'a str>,
    /// `webhook-timestamp`.
    pub timestamp: Option<&'a str>,
    /// `webhook-signature`.
    pub signature: Option<&'a str>,
}

/// Whether a webhook is genuine and fresh: one right signature of one of the `secrets` is enough; `now` is in
/// seconds since 1970. What remains for the receiver is to take each `webhook-id` once.
///
/// # Errors
/// Why it is not.
pub fn verify(
    secrets: &[VerifyingSecret],
    headers: &WebhookHeaders<'_>,
    payload: &[u8],
    now: i64,
) -> Result<(), SignatureError> {
    let need = |value: Option<&'_ str>, name| {
        value
            .filter(|text| !text.is_empty())
            .map(str::to_owned)
            .ok_or(SignatureError::Missing(name))
    };
    let id = need(headers.id, "webhook-id")?;
    let timestamp = need(headers.timestamp, "webhook-timestamp")?;
    let signatures = need(headers.signature, "webhook-signature")?;
    let digits = timestamp.len() <= 18 && timestamp.bytes().all(|b| b.is_ascii_digit());
    let at: i64 = digits
        .then(|| timestamp.parse().ok())
        .flatten()
        .ok_or(SignatureError::Timestamp)?;
    if now.saturating_sub(at) > TOLERANCE {
        return Err(SignatureError::TooOld);
    }
    if at.saturating_sub(now) > TOLERANCE {
        return Err(SignatureError::TooNew);
    }
    if id.contains('.') {
        return Err(SignatureError::Id);
    }
    let right = signatures
        .split(' ')
        .take(MOST_SIGNATURES)
        .any(|signature| {
            secrets
                .iter()
                .any(|secret| secret.holds(signature, &id, at, payload))
        });
    if right {
        Ok(())
    } else {
        Err(SignatureError::Wrong)
    }
}
