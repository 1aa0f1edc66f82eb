//! Secrets at rest: sealed with a key that comes from a file or the environment, and can be rotated.
//!
//! The library is RustCrypto's XChaCha20-Poly1305 (draft-irtf-cfrg-xchacha): nonces of 192 random bits need
//! no counter that a restored backup could set back. Sealed text is
//! `sealed1.<key id>.<base64url of nonce and ciphertext>`; the context that the caller names is associated
//! data.

mod ring;

pub use ring::{KeyRing, MOST_BYTES, SecretError};
