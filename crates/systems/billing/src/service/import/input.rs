//! A file's bytes: unpacked, hashed, counted, and never more than a row at a time.

use std::fs::File;
use std::io::{self, BufRead, BufReader, Read};
use std::path::Path;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, PoisonError};

use sealwright_core::Digest;
use sha2::{Digest as _, Sha256};

/// Bytes of one row at most.
pub const MAX_ROW_BYTES: u64 = 1 << 20;

/// Bytes of an unpacked file at most: 64 GiB.
pub const MAX_FILE_BYTES: u64 = 64 << 30;

/// The first bytes of a Parquet file.
const PARQUET: &[u8] = b"PAR1";

/// The SHA-256 of what was read so far, shared with the reader.
#[derive(Clone, Default)]
pub(super) struct Hasher(Arc<Mutex<Sha256>>);

impl Hasher {
    pub(super) fn digest(&self) -> Digest {
        let state = self
            .0
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
            .clone();
        Digest(state.finalize().into())
    }
}

struct Hashing<R> {
    inner: R,
    state: Hasher,
    left: u64,
}

impl<R: Read> Read for Hashing<R> {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        let count = self.inner.read(buffer)?;
        let Some(left) = self.left.checked_sub(count as u64) else {
            return Err(io::Error::other(format!(
                "the file has more than {} GiB unpacked",
                MAX_FILE_BYTES >> 30
            )));
        };
        self.left = left;
        let mut state = self.state.0.lock().unwrap_or_else(PoisonError::into_inner);
        state.update(&buffer[..count]);
        Ok(count)
    }
}

struct Counting<R> {
    inner: R,
    count: Arc<AtomicU64>,
}

impl<R: Read> Read for Counting<R> {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        let count = self.inner.read(buffer)?;
        self.count.fetch_add(count as u64, Ordering::Relaxed);
        Ok(count)
    }
}

/// The unpacked bytes of a file, with the place of the next one.
pub(super) struct Input {
    inner: BufReader<Box<dyn Read + Send>>,
    /// The line of the next byte, from 1.
    pub(super) line: u64,
    /// The column of the next byte, from 1, in bytes.
    pub(super) column: u64,
    left: u64,
}

/// A file that was opened.
pub(super) struct Opened {
    pub(super) input: Input,
    pub(super) hasher: Hasher,
    /// Bytes of the file, as it lies on disk.
    pub(super) size: u64,
    /// Bytes of the file that were read.
    pub(super) read: Arc<AtomicU64>,
    pub(super) parquet: bool,
}

/// Opens a file and unpacks it when it begins like gzip or zstd.
pub(super) fn open(path: &Path) -> io::Result<Opened> {
    let file = File::open(path)?;
    let meta = file.metadata()?;
    if meta.is_dir() {
        return Err(io::Error::other("this is a folder; name a file"));
    }
    let read = Arc::new(AtomicU64::new(0));
    let mut file = BufReader::new(Counting {
        inner: file,
        count: Arc::clone(&read),
    });
    let magic = file.fill_buf()?;
    let unpacked: Box<dyn Read + Send> = if magic.starts_with(&[0x1f, 0x8b]) {
        Box::new(flate2::bufread::MultiGzDecoder::new(file))
    } else if magic.starts_with(&[0x28, 0xb5, 0x2f, 0xfd]) {
        Box::new(zstd::stream::read::Decoder::with_buffer(file)?)
    } else {
        Box::new(file)
    };
    let hasher = Hasher::default();
    let mut input = Input {
        inner: BufReader::with_capacity(
            64 << 10,
            Box::new(Hashing {
                inner: unpacked,
                state: hasher.clone(),
                left: MAX_FILE_BYTES,
            }),
        ),
        line: 1,
        column: 1,
        left: MAX_ROW_BYTES,
    };
    let start = input.inner.fill_buf()?;
    let parquet = start.starts_with(PARQUET);
    if start.starts_with("\u{feff}".as_bytes()) {
        input.inner.consume(3);
    }
    Ok(Opened {
        input,
        hasher,
        size: meta.len(),
        read,
        parquet,
    })
}

impl Input {
    /// A new row begins here.
    pub(super) fn begin_row(&mut self) {
        self.left = MAX_ROW_BYTES;
    }

    /// The next byte, which stays.
    pub(super) fn peek(&mut self) -> io::Result<Option<u8>> {
        Ok(self.inner.fill_buf()?.first().copied())
    }

    /// Takes the next byte.
    pub(super) fn take(&mut self) -> io::Result<Option<u8>> {
        let mut byte = [0];
        Ok((self.read(&mut byte)? == 1).then_some(byte[0]))
    }

    /// Skips white space.
    pub(super) fn skip_space(&mut self) -> io::Result<()> {
        while matches!(self.peek()?, Some(b' ' | b'\t' | b'\r' | b'\n')) {
            self.left = MAX_ROW_BYTES;
            self.take()?;
        }
        Ok(())
    }

    /// Reads the rest of the line, without its end. `None` at the end of the file. A line that is too
    /// long is an error.
    pub(super) fn line(&mut self) -> io::Result<Option<Vec<u8>>> {
        let mut line = Vec::new();
        let limit = MAX_ROW_BYTES + 1;
        let count = (&mut self.inner).take(limit).read_until(b'\n', &mut line)?;
        if count == 0 {
            return Ok(None);
        }
        if line.last() == Some(&b'\n') {
            line.pop();
            if line.last() == Some(&b'\r') {
                line.pop();
            }
        } else if count as u64 == limit {
            return Err(too_long());
        }
        self.line += 1;
        self.column = 1;
        Ok(Some(line))
    }

    /// Reads what is left, so that all of the file is hashed.
    pub(super) fn drain(&mut self) -> io::Result<()> {
        io::copy(&mut self.inner, &mut io::sink())?;
        Ok(())
    }
}

fn too_long() -> io::Error {
    io::Error::new(
        io::ErrorKind::InvalidData,
        format!("a row has more than {MAX_ROW_BYTES} bytes (is a quote or a bracket not closed?)"),
    )
}

impl Read for Input {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        let there = self.inner.fill_buf()?;
        let count = there.len().min(buffer.len());
        let Some(left) = self.left.checked_sub(count as u64) else {
            return Err(too_long());
        };
        self.left = left;
        buffer[..count].copy_from_slice(&there[..count]);
        self.inner.consume(count);
        for byte in &buffer[..count] {
            if *byte == b'\n' {
                self.line += 1;
                self.column = 1;
            } else {
                self.column += 1;
            }
        }
        Ok(count)
    }
}
