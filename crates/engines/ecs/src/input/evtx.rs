//! Windows event logs (`.evtx`): each record becomes a line of JSON of the form
//! `{"Event":{"System":{…},"EventData":{…}}}`, which the mapping of Windows events reads.

use std::collections::VecDeque;
use std::io::{Read, Seek};
use std::sync::Arc;

use evtx::err::EvtxError;
use evtx::{EvtxParser, IntoIterChunks, ParserSettings};

/// What an EVTX file begins with.
pub const MAGIC: &[u8; 8] = b"ElfFile\0";

/// Why a file, or a part of it, cannot be read.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{0}")]
pub struct Unreadable(String);

impl From<EvtxError> for Unreadable {
    /// The error with what led to it: the outermost alone only says which record it was.
    fn from(error: EvtxError) -> Self {
        let mut text = error.to_string();
        let mut cause = std::error::Error::source(&error);
        while let Some(inner) = cause {
            let said = inner.to_string();
            if !text.contains(&said) {
                text.push_str(": ");
                text.push_str(&said);
            }
            cause = inner.source();
        }
        Self(text)
    }
}

/// The records of a file in the order in which they were written. What is wrong with a record or a chunk
/// (64 KiB) is an item of its own; the records beside it are read. One chunk is in memory at a time.
pub struct Records<T: Read + Seek> {
    chunks: IntoIterChunks<T>,
    settings: Arc<ParserSettings>,
    ready: VecDeque<Result<String, Unreadable>>,
}

impl<T: Read + Seek> std::fmt::Debug for Records<T> {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Records").finish_non_exhaustive()
    }
}

impl<T: Read + Seek> Records<T> {
    /// Reads the head of a file.
    ///
    /// # Errors
    /// It is no EVTX file.
    pub fn new(file: T) -> Result<Self, Unreadable> {
        let settings = ParserSettings::new().num_threads(1).indent(false);
        let parser = EvtxParser::from_read_seek(file)?;
        Ok(Self {
            chunks: parser.into_chunks(),
            settings: Arc::new(settings),
            ready: VecDeque::new(),
        })
    }
}

impl<T: Read + Seek> Iterator for Records<T> {
    type Item = Result<String, Unreadable>;

    fn next(&mut self) -> Option<Self::Item> {
        loop {
            if let Some(record) = self.ready.pop_front() {
                return Some(record);
            }
            let mut data = match self.chunks.next()? {
                Ok(data) => data,
                Err(error) => return Some(Err(error.into())),
            };
            // A log that was copied while Windows wrote it has such chunks, and good records in them.
            if !data.validate_checksum() {
                let number = data.number.unwrap_or_default();
                self.ready.push_back(Err(Unreadable(format!(
                    "chunk {number}: the checksum is that of other bytes; its records are read as they are"
                ))));
            }
            match data.parse(Arc::clone(&self.settings)) {
                Ok(mut chunk) => self.ready.extend(chunk.iter().map(|record| {
                    let json = record.and_then(evtx::EvtxRecord::into_json)?;
                    Ok(json.data)
                })),
                Err(error) => return Some(Err(Unreadable(error.to_string()))),
            }
        }
    }
}
