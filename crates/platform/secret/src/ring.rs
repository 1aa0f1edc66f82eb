//! Keys, sealing and opening.

use std::fmt;
use std::fs::{self, OpenOptions};
use std::io::Write as _;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use base64::Engine as _;
use base64::engine::general_purpose::{STANDARD, URL_SAFE_NO_PAD};
use chacha20poly1305::aead::{Aead as _, Payload};
use chacha20poly1305::{KeyInit as _, XChaCha20Poly1305, XNonce};
use secrecy::{ExposeSecret as _, SecretBox, SecretSlice};
use sha2::{Digest as _, Sha256};

const FORM: &str = "sealed1";
const NONCE: usize = 24;
const TAG: usize = 16;

/// The longest secret that is sealed or opened, in bytes.
pub const MOST_BYTES: usize = 64 * 1024;

/// Why a secret cannot be sealed or opened, or a key not be had.
#[derive(Debug, thiserror::Error)]
pub enum SecretError {
    /// A key is not 32 bytes of base64.
    #[error(
        "{place}: a key is 32 random bytes in base64, such as `openssl rand -base64 32` prints"
    )]
    Key {
        /// File and line, or the setting.
        place: String,
    },
    /// There is no key at all.
    #[error("{place}: holds no key")]
    NoKey {
        /// File, or the setting.
        place: String,
    },
    /// The key file could not be used.
    #[error("{}: {source}", path.display())]
    File {
        /// The file.
        path: PathBuf,
        /// What the operating system said.
        source: std::io::Error,
    },
    /// Others may read the key file.
    #[error("{}: is open to others (mode {mode:o}); run `chmod 600` on it", path.display())]
    Open {
        /// The file.
        path: PathBuf,
        /// Its mode.
        mode: u32,
    },
    /// The text has not the form of sealed text.
    #[error("this is not a sealed secret")]
    Form,
    /// Sealed with a key that the ring does not have.
    #[error(
        "this secret was sealed with the key {0}, which is not in the key file any more; put it back, or \
         give the secret again"
    )]
    UnknownKey(String),
    /// The seal does not hold: another context, or damage.
    #[error("the seal of this secret is broken: it was changed, or belongs to another place")]
    Broken,
    /// Over [`MOST_BYTES`].
    #[error("a secret has at most {MOST_BYTES} bytes")]
    TooLong,
    /// The operating system gave no random bytes.
    #[error("the system gave no random bytes")]
    Random,
}

type Result<T> = std::result::Result<T, SecretError>;

struct Key {
    id: String,
    bytes: SecretBox<[u8; 32]>,
}

impl Key {
    fn new(bytes: [u8; 32]) -> Self {
        // Eight hexadecimal digits of a hash say which key it is and nothing about it.
        let hash = Sha256::new()
            .chain_update(b"sealwright key id\n")
            .chain_update(bytes)
            .finalize();
        let id = hash[..4].iter().map(|b| format!("{b:02x}")).collect();
        Self {
            id,
            bytes: SecretBox::new(Box::new(bytes)),
        }
    }

    fn parse(text: &str, place: impl FnOnce() -> String) -> Result<Self> {
        match STANDARD.decode(text.trim()).map(<[u8; 32]>::try_from) {
            Ok(Ok(bytes)) => Ok(Self::new(bytes)),
            _ => Err(SecretError::Key { place: place() }),
        }
    }

    fn cipher(&self) -> XChaCha20Poly1305 {
        XChaCha20Poly1305::new(self.bytes.expose_secret().into())
    }
}

/// One or more keys: the first one seals, all of them open. Cheap to clone.
#[derive(Clone)]
pub struct KeyRing {
    keys: Arc<[Key]>,
}

impl fmt::Debug for KeyRing {
    /// The ids of the keys only.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_list()
            .entries(self.keys.iter().map(|key| &key.id))
            .finish()
    }
}

impl KeyRing {
    /// Keys as text, separated by commas or white space, the first one sealing. `place` names where the
    /// text came from, for errors.
    ///
    /// # Errors
    /// [`SecretError::Key`], [`SecretError::NoKey`].
    pub fn parse(text: &str, place: &str) -> Result<Self> {
        let keys = text
            .split([',', ' ', '\t', '\n', '\r'])
            .filter(|part| !part.is_empty())
            .map(|part| Key::parse(part, || place.to_owned()))
            .collect::<Result<Vec<_>>>()?;
        if keys.is_empty() {
            return Err(SecretError::NoKey {
                place: place.to_owned(),
            });
        }
        Ok(Self { keys: keys.into() })
    }

    /// The keys of a file: one a line, `#` begins a comment. A file that is not there is made with one new
    /// key, mode 0600.
    ///
    /// # Errors
    /// When the file cannot be read or made, is open to others, or holds what is no key.
    pub fn file(path: &Path) -> Result<Self> {
        if !path.exists() {
            write(
                path,
                &format!(
                    "# Opens the secrets in the database. Back this file up apart from it.\n{}\n",
                    new_key()?
                ),
            )?;
        }
        check_mode(path)?;
        let text = fs::read_to_string(path).map_err(failed(path))?;
        let keys = text
            .lines()
            .enumerate()
            .map(|(at, line)| (at, line.split('#').next().unwrap_or_default().trim()))
            .filter(|(_, line)| !line.is_empty())
            .map(|(at, line)| Key::parse(line, || format!("{}:{}", path.display(), at + 1)))
            .collect::<Result<Vec<_>>>()?;
        if keys.is_empty() {
            return Err(SecretError::NoKey {
                place: path.display().to_string(),
            });
        }
        Ok(Self { keys: keys.into() })
    }

    /// Puts a new key first in a key file, before the ones that are there, which go on opening.
    ///
    /// # Errors
    /// As [`Self::file`].
    pub fn add_to_file(path: &Path) -> Result<Self> {
        Self::file(path)?;
        let old = fs::read_to_string(path).map_err(failed(path))?;
        write(path, &format!("{}\n{old}", new_key()?))?;
        Self::file(path)
    }

    /// Takes every key but the first out of a key file; what was sealed with them does not open any more.
    ///
    /// # Errors
    /// As [`Self::file`].
    pub fn keep_first_in_file(path: &Path) -> Result<Self> {
        let ring = Self::file(path)?;
        let first = ring
            .keys
            .first()
            .map(|key| STANDARD.encode(key.bytes.expose_secret()));
        write(
            path,
            &format!(
                "# Opens the secrets in the database. Back this file up apart from it.\n{}\n",
                first.unwrap_or_default()
            ),
        )?;
        Self::file(path)
    }

    /// A ring with one new key that is kept nowhere: for tests and for the demo.
    ///
    /// # Errors
    /// [`SecretError::Random`].
    pub fn ephemeral() -> Result<Self> {
        Self::parse(&new_key()?, "a new key")
    }

    /// The id of the key that seals.
    pub fn current(&self) -> &str {
        self.keys.first().map_or("", |key| key.id.as_str())
    }

    /// Seals `secret` for `context`, which names the place that it is kept at: table, row and column.
    ///
    /// # Errors
    /// [`SecretError::TooLong`], [`SecretError::Random`].
    pub fn seal(&self, context: &str, secret: &[u8]) -> Result<String> {
        if secret.len() > MOST_BYTES {
            return Err(SecretError::TooLong);
        }
        let key = self.keys.first().ok_or(SecretError::Random)?;
        let mut nonce = [0_u8; NONCE];
        getrandom::fill(&mut nonce).map_err(|_| SecretError::Random)?;
        let payload = Payload {
            msg: secret,
            aad: context.as_bytes(),
        };
        let sealed = key
            .cipher()
            .encrypt(&XNonce::from(nonce), payload)
            .map_err(|_| SecretError::TooLong)?;
        let mut bytes = nonce.to_vec();
        bytes.extend_from_slice(&sealed);
        Ok(format!(
            "{FORM}.{}.{}",
            key.id,
            URL_SAFE_NO_PAD.encode(bytes)
        ))
    }

    /// Opens what [`Self::seal`] made for the same context.
    ///
    /// # Errors
    /// [`SecretError::Form`], [`SecretError::UnknownKey`], [`SecretError::Broken`].
    pub fn open(&self, context: &str, sealed: &str) -> Result<SecretSlice<u8>> {
        let (id, bytes) = split(sealed)?;
        let key = self
            .keys
            .iter()
            .find(|key| key.id == id)
            .ok_or_else(|| SecretError::UnknownKey(id.to_owned()))?;
        let (nonce, sealed) = bytes.split_at(NONCE);
        let nonce = <[u8; NONCE]>::try_from(nonce).map_err(|_| SecretError::Form)?;
        let payload = Payload {
            msg: sealed,
            aad: context.as_bytes(),
        };
        key.cipher()
            .decrypt(&XNonce::from(nonce), payload)
            .map(SecretSlice::from)
            .map_err(|_| SecretError::Broken)
    }

    /// Whether a key of this id is in the ring.
    pub fn holds(&self, id: &str) -> bool {
        self.keys.iter().any(|key| key.id == id)
    }

    /// The id of the key that `text` was sealed with; `None` when it is no sealed secret.
    pub fn sealed_with(text: &str) -> Option<&str> {
        split(text).ok().map(|(id, _)| id)
    }

    /// Whether `sealed` was sealed with the first key, so that a rotation has nothing to do with it.
    pub fn is_current(&self, sealed: &str) -> bool {
        split(sealed).is_ok_and(|(id, _)| id == self.current())
    }
}

fn split(sealed: &str) -> Result<(&str, Vec<u8>)> {
    if sealed.len() > 2 * MOST_BYTES {
        return Err(SecretError::TooLong);
    }
    let mut parts = sealed.split('.');
    let (Some(FORM), Some(id), Some(body), None) =
        (parts.next(), parts.next(), parts.next(), parts.next())
    else {
        return Err(SecretError::Form);
    };
    let good_id = id.len() == 8 && id.bytes().all(|b| b.is_ascii_hexdigit());
    let bytes = URL_SAFE_NO_PAD
        .decode(body)
        .map_err(|_| SecretError::Form)?;
    if !good_id || bytes.len() < NONCE + TAG {
        return Err(SecretError::Form);
    }
    Ok((id, bytes))
}

fn new_key() -> Result<String> {
    let mut bytes = [0_u8; 32];
    getrandom::fill(&mut bytes).map_err(|_| SecretError::Random)?;
    Ok(STANDARD.encode(bytes))
}

fn failed(path: &Path) -> impl FnOnce(std::io::Error) -> SecretError {
    let path = path.to_owned();
    move |source| SecretError::File { path, source }
}

#[cfg(unix)]
fn check_mode(path: &Path) -> Result<()> {
    use std::os::unix::fs::PermissionsExt as _;
    let mode = fs::metadata(path)
        .map_err(failed(path))?
        .permissions()
        .mode()
        & 0o777;
    if mode & 0o077 != 0 {
        return Err(SecretError::Open {
            path: path.to_owned(),
            mode,
        });
    }
    Ok(())
}

#[cfg(not(unix))]
fn check_mode(_path: &Path) -> Result<()> {
    Ok(())
}

/// Writes the whole file beside its place and moves it there, so that a crash leaves the old or the new one.
fn write(path: &Path, text: &str) -> Result<()> {
    let folder = path.parent().unwrap_or(Path::new("."));
    fs::create_dir_all(folder).map_err(failed(folder))?;
    let next = path.with_extension("next");
    let _ = fs::remove_file(&next);
    let mut options = OpenOptions::new();
    options.write(true).create_new(true);
    #[cfg(unix)]
    std::os::unix::fs::OpenOptionsExt::mode(&mut options, 0o600);
    let put = || {
        let mut file = options.open(&next)?;
        file.write_all(text.as_bytes())?;
        file.sync_all()?;
        fs::rename(&next, path)?;
        fs::File::open(folder)?.sync_all()
    };
    put().map_err(failed(path))
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::*;
    use proptest::prelude::*;

    fn opened(ring: &KeyRing, context: &str, sealed: &str) -> Result<Vec<u8>> {
        Ok(ring.open(context, sealed)?.expose_secret().to_vec())
    }

    #[test]
    fn opens_only_in_its_own_place() {
        let ring = KeyRing::ephemeral().unwrap();
        let sealed = ring.seal("channel 1", b"token").unwrap();
        assert!(!sealed.contains("token"));
        assert_eq!(opened(&ring, "channel 1", &sealed).unwrap(), b"token");
        assert!(matches!(
            opened(&ring, "channel 2", &sealed),
            Err(SecretError::Broken)
        ));
        assert_ne!(
            sealed,
            ring.seal("channel 1", b"token").unwrap(),
            "nonces are random"
        );
        let other = KeyRing::ephemeral().unwrap();
        assert!(matches!(
            opened(&other, "channel 1", &sealed),
            Err(SecretError::UnknownKey(_))
        ));
    }

    #[test]
    fn every_changed_character_is_found() {
        let ring = KeyRing::ephemeral().unwrap();
        let sealed = ring.seal("c", b"0123456789abcdef").unwrap();
        for at in 0..sealed.len() {
            let mut bytes = sealed.clone().into_bytes();
            bytes[at] = if bytes[at] == b'A' { b'B' } else { b'A' };
            let changed = String::from_utf8(bytes).unwrap();
            assert!(opened(&ring, "c", &changed).is_err(), "at {at}");
        }
    }

    #[test]
    fn a_file_is_made_once_rotated_and_reduced() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("keys/secret.keys");
        let first = KeyRing::file(&path).unwrap();
        let sealed = first.seal("c", b"s").unwrap();
        assert_eq!(
            opened(&KeyRing::file(&path).unwrap(), "c", &sealed).unwrap(),
            b"s"
        );
        let both = KeyRing::add_to_file(&path).unwrap();
        assert_eq!(opened(&both, "c", &sealed).unwrap(), b"s");
        assert!(!both.is_current(&sealed));
        let again = both.seal("c", b"s").unwrap();
        assert!(both.is_current(&again));
        let last = KeyRing::keep_first_in_file(&path).unwrap();
        assert_eq!(opened(&last, "c", &again).unwrap(), b"s");
        assert!(opened(&last, "c", &sealed).is_err());
        let debug = format!("{last:?}");
        let text = fs::read_to_string(&path).unwrap();
        let key = text.lines().last().unwrap();
        assert!(!debug.contains(key) && debug.contains(last.current()));
    }

    #[cfg(unix)]
    #[test]
    fn a_file_that_others_may_read_is_refused() {
        use std::os::unix::fs::PermissionsExt as _;
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("secret.keys");
        KeyRing::file(&path).unwrap();
        let mode = fs::metadata(&path).unwrap().permissions().mode() & 0o777;
        assert_eq!(mode, 0o600);
        fs::set_permissions(&path, fs::Permissions::from_mode(0o640)).unwrap();
        let error = KeyRing::file(&path).unwrap_err().to_string();
        assert!(error.contains("mode 640"), "{error}");
    }

    #[test]
    fn a_bad_key_is_named_by_its_line_and_not_shown() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("secret.keys");
        write(&path, "# keys\n\nc2hvcnQ=\n").unwrap();
        let error = KeyRing::file(&path).unwrap_err().to_string();
        assert!(
            error.contains(":3:") && !error.contains("c2hvcnQ"),
            "{error}"
        );
        assert!(matches!(
            KeyRing::parse(" , ", "x"),
            Err(SecretError::NoKey { .. })
        ));
    }

    proptest! {
        #[test]
        fn arbitrary_text_never_opens_or_panics(text in "(sealed1\\.[0-9a-f]{8}\\.)?\\PC{0,80}") {
            let ring = KeyRing::ephemeral().unwrap();
            prop_assert!(opened(&ring, "c", &text).is_err());
        }

        #[test]
        fn what_is_sealed_opens(secret in proptest::collection::vec(any::<u8>(), 0..300), context in "\\PC{0,20}") {
            let ring = KeyRing::ephemeral().unwrap();
            let sealed = ring.seal(&context, &secret).unwrap();
            prop_assert_eq!(opened(&ring, &context, &sealed).unwrap(), secret);
        }
    }
}
