//! The signing key of the ledger: one file, readable by its owner only.

use std::fs::{self, OpenOptions};
use std::io::Write as _;
use std::path::Path;

use sealwright_merkle::SignerKey;

use crate::error::{LedgerError, Result};

/// The key file's place in the data folder.
pub const KEY_FILE: &str = "keys/ledger.key";

fn refuse(path: &Path, problem: impl Into<String>) -> LedgerError {
    LedgerError::Key {
        path: path.to_owned(),
        problem: problem.into(),
    }
}

/// Reads the key from `path`, or makes one for `origin` where there is no file. Without a
/// configured origin a new key gets `sealwright.local/<8 random hexadecimal digits>`, so that two
/// installations do not share a name.
///
/// The file holds the key in the note format that other tools write
/// (`PRIVATE+KEY+<origin>+<id>+<base64>`), mode 0600. Back it up: a ledger whose key is lost can
/// be verified for ever and not continued.
///
/// # Errors
/// When the file cannot be read or written, holds no key, is readable by others, or is of another
/// origin than the configured one.
pub fn load_or_create(path: &Path, origin: Option<&str>) -> Result<SignerKey> {
    if !path.exists() {
        create(path, origin)?;
    }
    let key = load(path)?;
    let name = key.verifier().name();
    match origin {
        Some(origin) if origin != name => Err(refuse(
            path,
            format!(
                "the key is of origin `{name}` and the configured origin is `{origin}`; an origin \
                 cannot change, so set it back or start a new data folder"
            ),
        )),
        _ => Ok(key),
    }
}

/// Reads the key.
///
/// # Errors
/// As [`load_or_create`].
pub fn load(path: &Path) -> Result<SignerKey> {
    let text = fs::read_to_string(path).map_err(LedgerError::file(path))?;
    check_mode(path)?;
    SignerKey::from_secret_text(text.trim_end()).map_err(|e| refuse(path, e.to_string()))
}

#[cfg(unix)]
fn check_mode(path: &Path) -> Result<()> {
    use std::os::unix::fs::PermissionsExt as _;
    let mode = fs::metadata(path)
        .map_err(LedgerError::file(path))?
        .permissions()
        .mode();
    if mode & 0o077 != 0 {
        let mode = mode & 0o777;
        let problem = format!("the key is open to others (mode {mode:o}); run `chmod 600` on it");
        return Err(refuse(path, problem));
    }
    Ok(())
}

#[cfg(not(unix))]
fn check_mode(_path: &Path) -> Result<()> {
    Ok(())
}

fn create(path: &Path, origin: Option<&str>) -> Result<()> {
    let mut random = [0_u8; 36];
    getrandom::fill(&mut random)
        .map_err(|e| refuse(path, format!("the system gave no random bytes: {e}")))?;
    let (seed, label) = random.split_at(32);
    let seed: [u8; 32] = seed
        .try_into()
        .map_err(|_| refuse(path, "no random bytes"))?;
    let origin = origin.map_or_else(
        || format!("sealwright.local/{}", hex::encode(label)),
        str::to_owned,
    );
    let key = SignerKey::from_seed(&origin, &seed)
        .map_err(|e| refuse(path, format!("the origin `{origin}` cannot be used: {e}")))?;
    let folder = path.parent().unwrap_or(Path::new("."));
    fs::create_dir_all(folder).map_err(LedgerError::file(folder))?;
    let next = path.with_extension("key.next");
    let mut options = OpenOptions::new();
    options.write(true).create(true).truncate(true);
    #[cfg(unix)]
    std::os::unix::fs::OpenOptionsExt::mode(&mut options, 0o600);
    // A file left by a crash may have other permissions, which opening would keep.
    match fs::remove_file(&next) {
        Err(e) if e.kind() != std::io::ErrorKind::NotFound => {
            return Err(LedgerError::File {
                path: next,
                source: e,
            });
        }
        _ => {}
    }
    let write = || {
        let mut file = options.open(&next)?;
        file.write_all(key.to_secret_text().as_bytes())?;
        file.write_all(b"\n")?;
        file.sync_all()?;
        fs::rename(&next, path)
    };
    write().map_err(LedgerError::file(path))?;
    crate::tree::sync_folder(folder)
}
