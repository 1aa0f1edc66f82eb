//! Texts of any length in bounded memory: chunks with an overlap.

use std::collections::HashSet;

use crate::engine::Scanner;
use crate::finding::Finding;
use crate::scan::Source;

/// Bytes that are looked at together.
const CHUNK: usize = 4 << 20;
/// Bytes at the end of a chunk that are looked at again with the next one; a value may be as long.
const OVERLAP: usize = 64 << 10;

/// Takes a text piece by piece and gives its findings, each once, placed in the whole text.
#[derive(Debug)]
pub struct StreamScanner<'s> {
    scanner: &'s Scanner,
    source: Source,
    buffer: Vec<u8>,
    /// Where the buffer begins in the whole.
    offset: u64,
    /// Line of the buffer's first byte, and how many bytes of that line came before it.
    line: u64,
    column: u64,
    /// What was reported from the bytes that the buffer still holds.
    reported: HashSet<(u64, u64, std::sync::Arc<str>)>,
}

impl<'s> StreamScanner<'s> {
    /// Begins a text.
    #[must_use]
    pub fn new(scanner: &'s Scanner, source: Source) -> Self {
        Self {
            scanner,
            source,
            buffer: Vec::new(),
            offset: 0,
            line: 1,
            column: 0,
            reported: HashSet::new(),
        }
    }

    /// Takes the next bytes; gives what is certain by now.
    pub fn push(&mut self, mut bytes: &[u8]) -> Vec<Finding> {
        let mut out = Vec::new();
        while !bytes.is_empty() {
            let take = bytes
                .len()
                .min(CHUNK + OVERLAP - self.buffer.len().min(CHUNK));
            self.buffer.extend_from_slice(&bytes[..take]);
            bytes = &bytes[take..];
            if self.buffer.len() >= CHUNK + OVERLAP {
                out.extend(self.look(false));
            }
        }
        out
    }

    /// Ends the text; gives the rest.
    pub fn finish(mut self) -> Vec<Finding> {
        self.look(true)
    }

    fn look(&mut self, last: bool) -> Vec<Finding> {
        // What begins in the overlap is left for the next chunk, which sees more of it.
        let sure = if last {
            self.buffer.len()
        } else {
            self.buffer.len() - OVERLAP / 2
        };
        let mut out = Vec::new();
        for mut f in self.scanner.scan(&self.source, &self.buffer) {
            if f.start as usize >= sure {
                continue;
            }
            if f.line == 1 {
                f.column += self.column;
            }
            f.line += self.line - 1;
            f.start += self.offset;
            f.end += self.offset;
            if self.reported.insert((f.start, f.end, f.detector.clone())) {
                out.push(f);
            }
        }
        if !last {
            let drop = self.buffer.len() - OVERLAP;
            let gone = &self.buffer[..drop];
            let lines = memchr::memchr_iter(b'\n', gone).count() as u64;
            self.column = match memchr::memrchr(b'\n', gone) {
                Some(i) => (drop - i - 1) as u64,
                None => self.column + drop as u64,
            };
            self.line += lines;
            self.offset += drop as u64;
            self.buffer.drain(..drop);
            let offset = self.offset;
            self.reported.retain(|(_, end, _)| *end > offset);
        }
        out
    }
}
