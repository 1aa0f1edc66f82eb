//! A backup as files: in a folder, or one after another in a tar file.

use std::collections::BTreeMap;
use std::fs::{self, File, OpenOptions};
use std::io::{self, BufReader, BufWriter, Read, Write as _};
use std::path::{Component, Path, PathBuf};

use anyhow::{Context, Result, bail, ensure};
use sealwright_merkle::{SignerKey, VerifierKey};
use sha2::{Digest as _, Sha256};

use super::manifest::{MANIFEST, Manifest, SUMS};

/// The largest manifest or file of digests that is read, in bytes.
const MOST_SUMS: u64 = 1 << 30;

/// Whether a path names one file rather than a folder.
fn is_tar(path: &Path) -> bool {
    path.extension().is_some_and(|e| e == "tar")
}

/// A name with something behind it, in the same folder.
pub(super) fn beside(path: &Path, ending: &str) -> PathBuf {
    let mut name = path.as_os_str().to_owned();
    name.push(ending);
    PathBuf::from(name)
}

/// Counts and hashes what is read through it.
struct Hashing<R> {
    inner: R,
    hash: Sha256,
    count: u64,
}

impl<R: Read> Read for Hashing<R> {
    fn read(&mut self, to: &mut [u8]) -> io::Result<usize> {
        let read = self.inner.read(to)?;
        self.hash.update(to.get(..read).unwrap_or_default());
        self.count += read as u64;
        Ok(read)
    }
}

impl<R: Read> Hashing<R> {
    fn new(inner: R) -> Self {
        Self {
            inner,
            hash: Sha256::new(),
            count: 0,
        }
    }

    fn digest(self) -> String {
        hex::encode(self.hash.finalize())
    }
}

/// A new file that only its owner reads.
pub(crate) fn create(path: &Path) -> io::Result<File> {
    let mut options = OpenOptions::new();
    options.write(true).create_new(true);
    #[cfg(unix)]
    std::os::unix::fs::OpenOptionsExt::mode(&mut options, 0o600);
    options.open(path)
}

/// A folder that only its owner reads, and those above it.
pub(crate) fn create_folder(path: &Path) -> io::Result<()> {
    folder_builder().recursive(true).create(path)
}

/// A folder that only its owner reads, and that was not there.
pub(super) fn create_new_folder(path: &Path) -> io::Result<()> {
    folder_builder().create(path)
}

fn folder_builder() -> fs::DirBuilder {
    let mut builder = fs::DirBuilder::new();
    #[cfg(unix)]
    std::os::unix::fs::DirBuilderExt::mode(&mut builder, 0o700);
    builder
}

/// Writes a file below `root`, with its folders, and returns when it is on disk.
pub(super) fn put(root: &Path, name: &str, from: &mut dyn Read) -> Result<()> {
    let path = root.join(name);
    let mut write = || {
        if let Some(folder) = path.parent() {
            create_folder(folder)?;
        }
        let mut file = create(&path)?;
        io::copy(from, &mut file)?;
        file.sync_all()
    };
    write().with_context(|| path.display().to_string())
}

/// Makes the names in a folder and all below it durable.
pub(super) fn sync_folders(root: &Path) -> Result<()> {
    let failed = |path: &Path| path.display().to_string();
    for entry in fs::read_dir(root).with_context(|| failed(root))? {
        let entry = entry.with_context(|| failed(root))?;
        if entry.file_type()?.is_dir() {
            sync_folders(&entry.path())?;
        }
    }
    File::open(root)
        .and_then(|folder| folder.sync_all())
        .with_context(|| failed(root))
}

enum To {
    Folder,
    Tar(Box<tar::Builder<BufWriter<File>>>),
}

/// A backup that is being written, beside the place where it will stand.
pub(super) struct Sink {
    place: PathBuf,
    partial: PathBuf,
    to: To,
    sums: BTreeMap<String, String>,
    bytes: u64,
}

impl Sink {
    /// Begins a backup that will stand at `place`.
    pub(super) fn begin(place: &Path) -> Result<Self> {
        let empty = |path: &Path| fs::read_dir(path).is_ok_and(|mut dir| dir.next().is_none());
        if place.exists() && !(place.is_dir() && empty(place) && !is_tar(place)) {
            bail!(
                "{} is there already; a backup is never written over",
                place.display()
            );
        }
        let partial = beside(place, ".partial");
        if partial.exists() {
            bail!(
                "{} is there: another backup is being written, or one did not end; then remove it",
                partial.display()
            );
        }
        if let Some(folder) = place.parent().filter(|p| !p.as_os_str().is_empty()) {
            fs::create_dir_all(folder).with_context(|| folder.display().to_string())?;
        }
        let failed = || partial.display().to_string();
        let to = if is_tar(place) {
            let file = BufWriter::new(create(&partial).with_context(failed)?);
            To::Tar(Box::new(tar::Builder::new(file)))
        } else {
            create_folder(&partial).with_context(failed)?;
            To::Folder
        };
        Ok(Self {
            place: place.to_owned(),
            partial,
            to,
            sums: BTreeMap::new(),
            bytes: 0,
        })
    }

    /// Where something may be kept that is not part of the backup.
    pub(super) fn scratch(&self) -> PathBuf {
        beside(&self.place, ".scratch")
    }

    /// Adds a file of exactly `length` bytes.
    pub(super) fn add(&mut self, name: &str, length: u64, from: &mut dyn Read) -> Result<()> {
        let mut from = Hashing::new(from.take(length));
        match &mut self.to {
            To::Folder => put(&self.partial, name, &mut from)?,
            To::Tar(builder) => {
                let mut header = tar::Header::new_gnu();
                header.set_size(length);
                header.set_mode(0o600);
                header.set_entry_type(tar::EntryType::Regular);
                builder
                    .append_data(&mut header, name, &mut from)
                    .with_context(|| self.partial.display().to_string())?;
            }
        }
        ensure!(
            from.count == length,
            "{name} has {} bytes instead of {length}: it changed while it was copied",
            from.count
        );
        self.bytes += length;
        self.sums.insert(name.to_owned(), from.digest());
        Ok(())
    }

    /// Adds a file with this content.
    pub(super) fn add_bytes(&mut self, name: &str, mut bytes: &[u8]) -> Result<()> {
        let length = bytes.len() as u64;
        self.add(name, length, &mut bytes)
    }

    /// Adds the first `length` bytes of a file.
    pub(super) fn add_file(&mut self, name: &str, path: &Path, length: u64) -> Result<()> {
        let mut file = File::open(path).with_context(|| path.display().to_string())?;
        self.add(name, length, &mut file)
            .with_context(|| path.display().to_string())
    }

    /// Writes the digests and the manifest. The backup is whole then, and stands beside its place.
    pub(super) fn seal(mut self, mut manifest: Manifest, key: &SignerKey) -> Result<Sealed> {
        manifest.files = self.sums.len() as u64;
        manifest.bytes = self.bytes;
        let sums: String = self
            .sums
            .iter()
            .map(|(name, sum)| format!("{sum}  {name}\n"))
            .collect();
        manifest.sums = hex::encode(Sha256::digest(sums.as_bytes()));
        self.add_bytes(SUMS, sums.as_bytes())?;
        self.add_bytes(MANIFEST, manifest.sign(key)?.as_bytes())?;
        let failed = || self.partial.display().to_string();
        match self.to {
            To::Folder => sync_folders(&self.partial)?,
            To::Tar(builder) => {
                let file = builder.into_inner().with_context(failed)?;
                let file = file.into_inner().map_err(io::IntoInnerError::into_error);
                file.and_then(|mut file| {
                    file.flush()?;
                    file.sync_all()
                })
                .with_context(failed)?;
            }
        }
        Ok(Sealed {
            partial: self.partial,
            place: self.place,
        })
    }

    /// Takes away what was written.
    pub(super) fn give_up(place: &Path) {
        let partial = beside(place, ".partial");
        let _ = fs::remove_dir_all(&partial);
        let _ = fs::remove_file(&partial);
        let _ = fs::remove_dir_all(beside(place, ".scratch"));
    }
}

/// A whole backup that does not stand at its place yet.
pub(super) struct Sealed {
    pub(super) partial: PathBuf,
    place: PathBuf,
}

impl Sealed {
    /// Puts it at its place.
    pub(super) fn publish(self) -> Result<()> {
        if self.place.is_dir() {
            fs::remove_dir(&self.place).with_context(|| self.place.display().to_string())?;
        }
        fs::rename(&self.partial, &self.place).with_context(|| self.place.display().to_string())?;
        let folder = self.place.parent().filter(|p| !p.as_os_str().is_empty());
        let folder = folder.unwrap_or(Path::new("."));
        File::open(folder)
            .and_then(|folder| folder.sync_all())
            .with_context(|| folder.display().to_string())
    }
}

/// What is done with each file of a backup.
pub(super) type TakeFile<'a> = dyn FnMut(&str, &mut dyn Read) -> Result<()> + Send + 'a;

/// A backup as it is read once, from its start to its end.
struct Reading<'a, 'b> {
    take: &'a mut TakeFile<'b>,
    found: BTreeMap<String, String>,
    sums: Vec<u8>,
    manifest: Vec<u8>,
}

impl Reading<'_, '_> {
    fn file(&mut self, name: &str, from: &mut dyn Read) -> Result<()> {
        safe(name)?;
        let mut from = Hashing::new(from);
        match name {
            MANIFEST => {
                (&mut from)
                    .take(MOST_SUMS)
                    .read_to_end(&mut self.manifest)?;
                return Ok(());
            }
            SUMS => {
                (&mut from).take(MOST_SUMS).read_to_end(&mut self.sums)?;
            }
            _ => (self.take)(name, &mut from)?,
        }
        // Also what nobody wanted is hashed.
        io::copy(&mut from, &mut io::sink()).with_context(|| name.to_owned())?;
        if self.found.insert(name.to_owned(), from.digest()).is_some() {
            bail!("{name} is in the backup twice");
        }
        Ok(())
    }

    /// Compares everything with what the manifest says.
    fn end(mut self, given: Option<&VerifierKey>) -> Result<Manifest> {
        ensure!(
            !self.manifest.is_empty(),
            "{MANIFEST} is missing: this is no backup"
        );
        let manifest = Manifest::open(&self.manifest, given).context(MANIFEST)?;
        let sums = self.found.remove(SUMS);
        let sums = sums.with_context(|| format!("{SUMS} is missing"))?;
        ensure!(
            sums == manifest.sums,
            "{SUMS} is damaged: it is not what {MANIFEST} names"
        );
        for line in String::from_utf8_lossy(&self.sums).lines() {
            let (sum, name) = line.split_once("  ").context(SUMS)?;
            match self.found.remove(name) {
                Some(found) if found == sum => {}
                Some(_) => bail!("{name} is damaged: its SHA-256 is not the one in {SUMS}"),
                None => bail!("{name} is missing"),
            }
        }
        match self.found.into_keys().next() {
            Some(name) => bail!("{name} is not part of the backup"),
            None => Ok(manifest),
        }
    }
}

/// A name that stays in the folder that it is put into.
fn safe(name: &str) -> Result<()> {
    let path = Path::new(name);
    let inside = path.components().all(|c| matches!(c, Component::Normal(_)));
    if name.is_empty() || !inside || name.contains('\\') {
        bail!(
            "a file of the backup names the place `{}`",
            name.escape_debug()
        );
    }
    Ok(())
}

/// Reads a whole backup: gives `take` each file but the manifest and the digests, and then says whether every
/// one was as it was written. `take` must not believe what it is given before that.
///
/// # Errors
/// Names the file that is damaged, missing, or not part of the backup.
pub(super) fn read(
    from: &Path,
    given: Option<&VerifierKey>,
    take: &mut TakeFile<'_>,
) -> Result<Manifest> {
    let mut reading = Reading {
        take,
        found: BTreeMap::new(),
        sums: Vec::new(),
        manifest: Vec::new(),
    };
    let mut whole = || {
        if from.is_dir() {
            folder(from, from, &mut reading)
        } else {
            tar_file(from, &mut reading)
        }
    };
    whole()
        .and_then(|()| reading.end(given))
        .with_context(|| format!("the backup {}", from.display()))
}

fn folder(root: &Path, at: &Path, reading: &mut Reading<'_, '_>) -> Result<()> {
    let failed = |path: &Path| path.display().to_string();
    let entries = fs::read_dir(at).with_context(|| failed(at))?;
    let mut paths = entries
        .map(|entry| entry.map(|e| e.path()))
        .collect::<io::Result<Vec<_>>>()
        .with_context(|| failed(at))?;
    paths.sort();
    for path in paths {
        let kind = fs::symlink_metadata(&path).with_context(|| failed(&path))?;
        if kind.is_dir() {
            folder(root, &path, reading)?;
            continue;
        }
        let name = path.strip_prefix(root).unwrap_or(&path);
        let name = name.to_str().with_context(|| failed(&path))?;
        ensure!(kind.is_file(), "{name} is no file");
        let mut file = File::open(&path).with_context(|| failed(&path))?;
        reading.file(name, &mut file)?;
    }
    Ok(())
}

fn tar_file(from: &Path, reading: &mut Reading<'_, '_>) -> Result<()> {
    let file = File::open(from)?;
    let mut archive = tar::Archive::new(BufReader::with_capacity(1 << 20, file));
    for entry in archive.entries()? {
        let mut entry = entry.context("it is cut off or no tar file")?;
        let name = String::from_utf8(entry.path_bytes().into_owned())
            .map_err(|_| anyhow::anyhow!("a file's name is not UTF-8"))?;
        ensure!(entry.header().entry_type().is_file(), "{name} is no file");
        reading.file(&name, &mut entry)?;
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::safe;

    #[test]
    fn names_stay_inside() {
        for good in [
            "manifest",
            "lake/events/stream=a.b/day=2026-11-26/x.parquet",
        ] {
            assert!(safe(good).is_ok(), "{good}");
        }
        for bad in ["", "/etc/passwd", "../x", "log/../../x", "a\\..\\b", "./x"] {
            assert!(safe(bad).is_err(), "{bad}");
        }
    }
}
