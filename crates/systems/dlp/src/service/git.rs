//! The history of a git repository: every version of every file that any branch or tag reaches, once.

use std::collections::HashSet;
use std::io::{self, BufRead as _, BufReader, Read as _, Write as _};
use std::path::{Path, PathBuf};
use std::process::{Child, ChildStdout, Command, Stdio};
use std::sync::Arc;

use super::files::{Body, Commit, Item};

/// Versions larger than this are named as unscannable.
const MOST_BYTES: u64 = 100 << 20;

/// Why a history cannot be read.
#[derive(Debug, thiserror::Error)]
pub enum GitError {
    /// The command could not be run.
    #[error(
        "the command `git` could not be run: {0}\nhint: install git, or scan the folder without --git"
    )]
    Command(io::Error),
    /// It said no.
    #[error("{}: {said}", repository.display())]
    Refused {
        /// The repository.
        repository: PathBuf,
        /// What git said.
        said: String,
    },
}

/// A version of a file: the blob, and the oldest commit that has it.
struct Version {
    blob: String,
    path: Vec<u8>,
    commit: Arc<Commit>,
}

/// Reads the history. The versions come oldest first.
///
/// # Errors
/// When there is no git, or no repository at `repository`.
pub fn history(repository: &Path) -> Result<impl Iterator<Item = Item> + Send + use<>, GitError> {
    let versions = versions(repository)?;
    let mut reader = Blobs::open(repository)?;
    let root = repository.to_owned();
    Ok(versions.into_iter().map(move |version| {
        let path = String::from_utf8_lossy(&version.path);
        let name = root.join(path.as_ref()).to_string_lossy().into();
        let body = match reader.read(&version.blob) {
            Ok(Ok(bytes)) => Body::Bytes(bytes),
            Ok(Err(why)) => Body::Missing(why),
            Err(error) => Body::Missing(format!("git: {error}")),
        };
        Item {
            name,
            note: Some(version.commit),
            body,
        }
    }))
}

fn git(repository: &Path) -> Command {
    let mut command = Command::new("git");
    command.arg("-C").arg(repository);
    // Settings of a hostile repository must not start programs.
    command.args([
        "-c",
        "core.fsmonitor=false",
        "-c",
        "core.hooksPath=/dev/null",
    ]);
    command
}

fn versions(repository: &Path) -> Result<Vec<Version>, GitError> {
    let output = git(repository)
        .args([
            "log",
            "--all",
            "--reverse",
            "--topo-order",
            "--root",
            "-m",
            "--raw",
            "-z",
            "--no-abbrev",
            "--no-renames",
            "--no-textconv",
            "--no-ext-diff",
            "--format=%x01%H%x02%an <%ae>%x02%aI",
        ])
        .stdin(Stdio::null())
        .output()
        .map_err(GitError::Command)?;
    if !output.status.success() {
        return Err(GitError::Refused {
            repository: repository.to_owned(),
            said: String::from_utf8_lossy(&output.stderr).trim().to_owned(),
        });
    }
    Ok(parse(&output.stdout))
}

/// Reads what `git log --raw -z` writes: after each commit's line, for each file a record
/// `:modes old new status` and the path, with NUL between everything.
fn parse(log: &[u8]) -> Vec<Version> {
    let mut seen = HashSet::new();
    let mut out = Vec::new();
    let mut commit = Arc::new(Commit {
        commit: String::new(),
        author: String::new(),
        date: String::new(),
    });
    let mut fields = log.split(|b| *b == 0);
    while let Some(field) = fields.next() {
        let field = field.strip_prefix(b"\n").unwrap_or(field);
        if let Some(head) = field.strip_prefix(b"\x01") {
            let mut parts = head.split(|b| *b == 2);
            let mut text = || {
                String::from_utf8_lossy(parts.next().unwrap_or_default())
                    .trim()
                    .to_owned()
            };
            commit = Arc::new(Commit {
                commit: text(),
                author: text(),
                date: text(),
            });
            continue;
        }
        if !field.starts_with(b":") {
            continue;
        }
        let words: Vec<&[u8]> = field.split(|b| *b == b' ').collect();
        let path = fields.next().unwrap_or_default();
        // Links, and commits of other repositories, have no text of their own.
        let (Some(mode), Some(blob)) = (words.get(1), words.get(3)) else {
            continue;
        };
        if !mode.starts_with(b"100") || blob.iter().all(|b| *b == b'0') {
            continue;
        }
        let blob = String::from_utf8_lossy(blob).into_owned();
        if seen.insert(blob.clone()) {
            out.push(Version {
                blob,
                path: path.to_owned(),
                commit: Arc::clone(&commit),
            });
        }
    }
    out
}

/// A running `git cat-file --batch`.
struct Blobs {
    child: Child,
    out: BufReader<ChildStdout>,
}

impl Blobs {
    fn open(repository: &Path) -> Result<Self, GitError> {
        let mut child = git(repository)
            .args(["cat-file", "--batch"])
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .stderr(Stdio::null())
            .spawn()
            .map_err(GitError::Command)?;
        let Some(out) = child.stdout.take() else {
            return Err(GitError::Command(io::Error::other("no output")));
        };
        Ok(Self {
            child,
            out: BufReader::new(out),
        })
    }

    /// The bytes of a blob, or why they are not read.
    fn read(&mut self, blob: &str) -> io::Result<Result<Vec<u8>, String>> {
        let Some(input) = self.child.stdin.as_mut() else {
            return Err(io::Error::other("no input"));
        };
        writeln!(input, "{blob}")?;
        input.flush()?;
        let mut head = String::new();
        self.out.by_ref().take(1_024).read_line(&mut head)?;
        let size = head
            .trim_end()
            .rsplit(' ')
            .next()
            .and_then(|size| size.parse::<u64>().ok());
        let Some(size) = size else {
            return Ok(Err(format!("git: {}", head.trim_end())));
        };
        if size > MOST_BYTES {
            io::copy(&mut self.out.by_ref().take(size + 1), &mut io::sink())?;
            return Ok(Err(format!(
                "a version of {size} bytes, more than {MOST_BYTES}"
            )));
        }
        let mut bytes = Vec::with_capacity(usize::try_from(size).unwrap_or(0));
        self.out.by_ref().take(size).read_to_end(&mut bytes)?;
        if bytes.len() as u64 != size {
            return Err(io::Error::from(io::ErrorKind::UnexpectedEof));
        }
        let mut end = [0];
        self.out.read_exact(&mut end)?;
        Ok(Ok(bytes))
    }
}

impl Drop for Blobs {
    fn drop(&mut self) {
        // Without input it ends by itself.
        drop(self.child.stdin.take());
        let _ = self.child.wait();
    }
}
