//! The scanner of a command: detectors, threshold and the key of the fingerprints.

use std::fs::{File, OpenOptions};
use std::io::{self, Read as _, Write as _};
use std::path::{Path, PathBuf};

use sealwright_scan::{Detector, DetectorError, FingerprintKey, detector};

/// The largest file of detectors.
pub const MOST_DETECTOR_BYTES: u64 = 8 << 20;

/// Why detectors cannot be taken from a file.
#[derive(Debug, thiserror::Error)]
pub enum SetupError {
    /// It could not be read.
    #[error("{}: {why}", file.display())]
    File {
        /// The file.
        file: PathBuf,
        /// Why.
        why: String,
    },
    /// It is not what it has to be.
    #[error(transparent)]
    Detector(#[from] DetectorError),
    /// Two detectors have one name.
    #[error("{}: the detector `{id}` is defined twice", file.display())]
    Twice {
        /// The file.
        file: PathBuf,
        /// The name.
        id: String,
    },
}

/// Reads a text file of at most `most` bytes.
///
/// # Errors
/// When it cannot be read, is larger, or is not UTF-8.
pub fn read_text(file: &Path, most: u64) -> Result<String, SetupError> {
    let fail = |why: String| SetupError::File {
        file: file.to_owned(),
        why,
    };
    let mut bytes = Vec::new();
    File::open(file)
        .and_then(|open| open.take(most + 1).read_to_end(&mut bytes))
        .map_err(|error| fail(error.to_string()))?;
    if bytes.len() as u64 > most {
        return Err(fail(format!("more than {most} bytes")));
    }
    String::from_utf8(bytes).map_err(|error| {
        let at = error.utf8_error().valid_up_to();
        fail(format!("not UTF-8 from byte {at} on"))
    })
}

/// The detectors of a TOML file.
///
/// # Errors
/// What is wrong, with its place.
pub fn read_detectors(file: &Path) -> Result<Vec<Detector>, SetupError> {
    let text = read_text(file, MOST_DETECTOR_BYTES)?;
    let list = detector::parse(&file.display().to_string(), &text)?;
    let mut seen = std::collections::HashSet::new();
    for one in &list {
        if !seen.insert(one.id.as_str()) {
            return Err(SetupError::Twice {
                file: file.to_owned(),
                id: one.id.clone(),
            });
        }
    }
    Ok(list)
}

/// The detectors that come with the program (unless `own_only`) and those of `files`; one of a file takes the
/// place of one with the same name.
///
/// # Errors
/// What is wrong with a file, with its place.
pub fn detectors(files: &[PathBuf], own_only: bool) -> Result<Vec<Detector>, SetupError> {
    let mut all = if own_only {
        Vec::new()
    } else {
        detector::builtin()?
    };
    for file in files {
        let own = read_detectors(file)?;
        all.retain(|known| own.iter().all(|one| one.id != known.id));
        all.extend(own);
    }
    Ok(all)
}

/// Where the key of the fingerprints comes from.
#[derive(Debug)]
pub enum KeySource {
    /// A file that was there.
    File(PathBuf),
    /// A file that was made.
    Made(PathBuf),
    /// Nowhere: it is a random one for this run, and the text says why.
    Random(String),
}

const KEY_BYTES: usize = 32;

/// Takes the key from `file`, making it at the first use, readable by its owner only. Where that cannot be
/// done and `required` is not set, the key is a random one that nobody keeps: findings of this run then compare
/// with each other only.
///
/// # Errors
/// When a file that is required cannot be read or made, or holds something else.
pub fn key(file: Option<&Path>, required: bool) -> Result<(FingerprintKey, KeySource), SetupError> {
    let random = || {
        let mut bytes = [0; KEY_BYTES];
        getrandom::fill(&mut bytes).map(|()| bytes)
    };
    let Some(path) = file else {
        let bytes = random().map_err(|error| unusable(Path::new("random"), &error.to_string()))?;
        let why = "there is no home folder to keep one in".to_owned();
        return Ok((FingerprintKey::new(&bytes), KeySource::Random(why)));
    };
    let result = match read_key(path) {
        Ok(bytes) => {
            return Ok((
                FingerprintKey::new(&bytes),
                KeySource::File(path.to_owned()),
            ));
        }
        Err(error) if error.kind() == io::ErrorKind::NotFound => {
            let bytes = random().map_err(|error| unusable(path, &error.to_string()))?;
            make_key(path, &bytes).map(|()| bytes)
        }
        Err(error) => Err(error),
    };
    match result {
        Ok(bytes) => Ok((
            FingerprintKey::new(&bytes),
            KeySource::Made(path.to_owned()),
        )),
        // Another process was first.
        Err(error) if error.kind() == io::ErrorKind::AlreadyExists => {
            let bytes = read_key(path).map_err(|error| unusable(path, &error.to_string()))?;
            Ok((
                FingerprintKey::new(&bytes),
                KeySource::File(path.to_owned()),
            ))
        }
        Err(error) if required || error.kind() == io::ErrorKind::InvalidData => {
            Err(unusable(path, &error.to_string()))
        }
        Err(error) => {
            let bytes = random().map_err(|error| unusable(path, &error.to_string()))?;
            let why = format!("{}: {error}", path.display());
            Ok((FingerprintKey::new(&bytes), KeySource::Random(why)))
        }
    }
}

fn unusable(file: &Path, why: &str) -> SetupError {
    SetupError::File {
        file: file.to_owned(),
        why: why.to_owned(),
    }
}

fn read_key(path: &Path) -> io::Result<[u8; KEY_BYTES]> {
    let mut text = String::new();
    File::open(path)?.take(1_024).read_to_string(&mut text)?;
    let mut bytes = [0; KEY_BYTES];
    hex::decode_to_slice(text.trim(), &mut bytes).map_err(|_| {
        io::Error::new(
            io::ErrorKind::InvalidData,
            "not a key: it has to hold 64 hexadecimal digits",
        )
    })?;
    Ok(bytes)
}

fn make_key(path: &Path, bytes: &[u8; KEY_BYTES]) -> io::Result<()> {
    if let Some(folder) = path.parent() {
        std::fs::create_dir_all(folder)?;
    }
    let mut options = OpenOptions::new();
    options.write(true).create_new(true);
    #[cfg(unix)]
    {
        use std::os::unix::fs::OpenOptionsExt as _;
        options.mode(0o600);
    }
    let mut file = options.open(path)?;
    writeln!(file, "{}", hex::encode(bytes))?;
    file.sync_all()
}
