//! What cannot be judged before its end is known, and must not wait for that in memory.

use std::fs::File;
use std::io::{self, Cursor, Read, Seek, Write};

/// Bytes that are moved at a time.
const BLOCK: usize = 256 << 10;

/// The next bytes of a stream, in a file without a name that goes with its last handle.
pub(super) struct Spill {
    file: Option<File>,
    /// Bytes in the file.
    kept: u64,
    /// Bytes that the file did not take.
    left: Vec<u8>,
    /// The stream's end was met.
    pub(super) ended: bool,
    /// Why the file took no more, when it did not.
    pub(super) refused: Option<io::Error>,
}

impl Spill {
    /// Puts at most `most` bytes aside, in the system's folder for temporary files. A file that cannot be made
    /// or is full is no error: nothing of the stream is lost, and [`Spill::refused`] says so.
    ///
    /// # Errors
    /// When the stream cannot be read.
    pub(super) fn of(from: &mut dyn Read, most: usize) -> io::Result<Self> {
        let mut spill = Self {
            file: None,
            kept: 0,
            left: Vec::new(),
            ended: false,
            refused: None,
        };
        let mut file = match tempfile::tempfile() {
            Ok(file) => file,
            Err(error) => {
                spill.refused = Some(error);
                return Ok(spill);
            }
        };
        spill.copy(from, &mut file, most as u64)?;
        spill.file = Some(file);
        Ok(spill)
    }

    fn copy(&mut self, from: &mut dyn Read, to: &mut impl Write, most: u64) -> io::Result<()> {
        let mut block = vec![0; BLOCK];
        while self.kept < most {
            let room = usize::try_from(most - self.kept).map_or(BLOCK, |n| n.min(BLOCK));
            let n = match from.read(&mut block[..room]) {
                Ok(0) => {
                    self.ended = true;
                    return Ok(());
                }
                Ok(n) => n,
                Err(error) if error.kind() == io::ErrorKind::Interrupted => continue,
                Err(error) => return Err(error),
            };
            if let Err(error) = to.write_all(&block[..n]) {
                // What the file took of them is not asked for again.
                block.truncate(n);
                self.left = block;
                self.refused = Some(error);
                return Ok(());
            }
            self.kept += n as u64;
        }
        Ok(())
    }

    /// Adds all that was put aside to `bytes`, taking no more memory than that.
    ///
    /// # Errors
    /// When the file cannot be read.
    pub(super) fn append_to(self, bytes: &mut Vec<u8>) -> io::Result<()> {
        bytes.reserve_exact(usize::try_from(self.kept).unwrap_or(0) + self.left.len());
        self.reader()?.read_to_end(bytes)?;
        Ok(())
    }

    /// What was put aside, from its beginning.
    ///
    /// # Errors
    /// When the file cannot be read.
    pub(super) fn reader(self) -> io::Result<impl Read> {
        let file: Box<dyn Read> = match self.file {
            Some(mut file) => {
                file.rewind()?;
                Box::new(file.take(self.kept))
            }
            None => Box::new(io::empty()),
        };
        Ok(file.chain(Cursor::new(self.left)))
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::*;

    /// A file of a small disk.
    struct Full(usize);

    impl Write for Full {
        fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
            let n = bytes.len().min(self.0);
            self.0 -= n;
            if n == 0 {
                return Err(io::ErrorKind::StorageFull.into());
            }
            Ok(n)
        }

        fn flush(&mut self) -> io::Result<()> {
            Ok(())
        }
    }

    fn stream(bytes: usize) -> Vec<u8> {
        (0..bytes).map(|i| (i % 251) as u8).collect()
    }

    #[test]
    fn gives_back_what_it_took_and_leaves_the_rest() {
        let all = stream(3 * BLOCK + 17);
        for most in [0, 1, BLOCK, 3 * BLOCK + 16, 3 * BLOCK + 17, 4 * BLOCK] {
            let mut from = all.as_slice();
            let spill = Spill::of(&mut from, most).unwrap();
            assert_eq!(spill.ended, most > all.len(), "{most}");
            assert!(spill.refused.is_none());
            let mut back = Vec::new();
            spill
                .reader()
                .unwrap()
                .chain(from)
                .read_to_end(&mut back)
                .unwrap();
            assert!(back == all, "{most}");
        }
        let mut bytes = b"head".to_vec();
        Spill::of(&mut all.as_slice(), usize::MAX)
            .unwrap()
            .append_to(&mut bytes)
            .unwrap();
        assert!(bytes[4..] == all);
    }

    #[test]
    fn a_full_disk_loses_nothing_of_the_stream() {
        let all = stream(3 * BLOCK);
        let mut from = all.as_slice();
        let mut spill = Spill::of(&mut io::empty(), 0).unwrap();
        spill
            .copy(&mut from, &mut Full(2 * BLOCK - 5), u64::MAX)
            .unwrap();
        assert!(!spill.ended);
        assert_eq!(
            spill.refused.as_ref().map(io::Error::kind),
            Some(io::ErrorKind::StorageFull)
        );
        assert_eq!(spill.kept, BLOCK as u64);
        let mut rest = spill.left;
        rest.extend_from_slice(from);
        assert!(rest == all[BLOCK..]);
    }
}
