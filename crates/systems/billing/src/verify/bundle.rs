//! What is handed out with an invoice so that anybody can check it: a ZIP file, or the same files in a
//! folder.

use std::io::{Cursor, Read, Write};
use std::path::Path;

use serde::{Deserialize, Serialize};
use zip::write::SimpleFileOptions;
use zip::{CompressionMethod, ZipArchive, ZipWriter};

use super::evidence::EvidenceEntry;

/// The names of the files, in the order in which they are written.
pub const FILES: [&str; 7] = [
    "README.txt",
    "invoice.json",
    "price-book.json",
    "meters.json",
    "evidence.json",
    "events.ndjson",
    "proof.json",
];

/// The most bytes that one file of a bundle may unpack to.
const MOST_BYTES: u64 = 4 << 30;

/// Why a bundle cannot be read or written.
#[derive(Debug, thiserror::Error)]
pub enum BundleError {
    /// A file is not there.
    #[error("the bundle has no {0}")]
    Missing(&'static str),
    /// A file is larger than any that this program writes.
    #[error("{0} unpacks to more than 4 GiB")]
    TooLarge(String),
    /// The file system, or the ZIP format.
    #[error("{file}: {detail}")]
    File {
        /// Which file.
        file: String,
        /// What is wrong.
        detail: String,
    },
}

/// `evidence.json`: which events stand behind which usage row.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
pub struct EvidenceFile {
    /// `sealwright.evidence/1`.
    pub schema: String,
    /// For each usage row of the invoice, in its order, the events in the order of the log.
    pub usage: Vec<Vec<EvidenceEntry>>,
}

/// The schema of [`EvidenceFile`].
pub const EVIDENCE_SCHEMA: &str = "sealwright.evidence/1";

/// The files of a bundle as bytes.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct Bundle {
    /// What this is and how to check it.
    pub readme: Vec<u8>,
    /// The invoice document.
    pub invoice: Vec<u8>,
    /// The price book in canonical form.
    pub price_book: Vec<u8>,
    /// The meter definitions.
    pub meters: Vec<u8>,
    /// [`EvidenceFile`].
    pub evidence: Vec<u8>,
    /// The events, one canonical JSON a line, in the order of the log.
    pub events: Vec<u8>,
    /// The ledger's proof of the finalisation.
    pub proof: Vec<u8>,
}

impl Bundle {
    fn parts(&self) -> [&Vec<u8>; 7] {
        [
            &self.readme,
            &self.invoice,
            &self.price_book,
            &self.meters,
            &self.evidence,
            &self.events,
            &self.proof,
        ]
    }

    fn from_parts(parts: [Vec<u8>; 7]) -> Self {
        let [readme, invoice, price_book, meters, evidence, events, proof] = parts;
        Self {
            readme,
            invoice,
            price_book,
            meters,
            evidence,
            events,
            proof,
        }
    }

    /// The ZIP file; the same bundle gives the same bytes.
    ///
    /// # Errors
    /// When memory cannot be had.
    pub fn to_zip(&self) -> Result<Vec<u8>, BundleError> {
        let fail = |detail: &dyn std::fmt::Display| BundleError::File {
            file: "bundle".to_owned(),
            detail: detail.to_string(),
        };
        let mut zip = ZipWriter::new(Cursor::new(Vec::new()));
        let options = SimpleFileOptions::default()
            .compression_method(CompressionMethod::Deflated)
            .last_modified_time(zip::DateTime::default())
            .large_file(self.events.len() > (u32::MAX / 2) as usize);
        for (name, bytes) in FILES.iter().zip(self.parts()) {
            zip.start_file(*name, options).map_err(|e| fail(&e))?;
            zip.write_all(bytes).map_err(|e| fail(&e))?;
        }
        Ok(zip.finish().map_err(|e| fail(&e))?.into_inner())
    }

    /// Reads a ZIP file.
    ///
    /// # Errors
    /// When it is none, or a file is missing or too large.
    pub fn from_zip(bytes: &[u8]) -> Result<Self, BundleError> {
        let fail = |file: &str, detail: &dyn std::fmt::Display| BundleError::File {
            file: file.to_owned(),
            detail: detail.to_string(),
        };
        let mut zip = ZipArchive::new(Cursor::new(bytes)).map_err(|e| fail("bundle", &e))?;
        let mut parts: [Vec<u8>; 7] = Default::default();
        for (part, name) in parts.iter_mut().zip(FILES) {
            let file = match zip.by_name(name) {
                Ok(file) => file,
                Err(zip::result::ZipError::FileNotFound) => {
                    return Err(BundleError::Missing(name));
                }
                Err(error) => return Err(fail(name, &error)),
            };
            let read = file
                .take(MOST_BYTES + 1)
                .read_to_end(part)
                .map_err(|e| fail(name, &e))?;
            if read as u64 > MOST_BYTES {
                return Err(BundleError::TooLarge(name.to_owned()));
            }
        }
        Ok(Self::from_parts(parts))
    }

    /// Reads a bundle from a path: a ZIP file, or a folder with the same files.
    ///
    /// # Errors
    /// See [`Bundle::from_zip`].
    pub fn read(path: &Path) -> Result<Self, BundleError> {
        let fail = |path: &Path, error: &std::io::Error| BundleError::File {
            file: path.display().to_string(),
            detail: error.to_string(),
        };
        if !path.is_dir() {
            let bytes = std::fs::read(path).map_err(|e| fail(path, &e))?;
            return Self::from_zip(&bytes);
        }
        let mut parts: [Vec<u8>; 7] = Default::default();
        for (part, name) in parts.iter_mut().zip(FILES) {
            let file = path.join(name);
            match std::fs::read(&file) {
                Ok(bytes) => *part = bytes,
                Err(error) if error.kind() == std::io::ErrorKind::NotFound => {
                    if name != "README.txt" {
                        return Err(BundleError::Missing(name));
                    }
                }
                Err(error) => return Err(fail(&file, &error)),
            }
        }
        Ok(Self::from_parts(parts))
    }

    /// Writes the files into a folder, which is made when it is not there.
    ///
    /// # Errors
    /// What the file system said.
    pub fn write_folder(&self, folder: &Path) -> Result<(), BundleError> {
        let fail = |path: &Path, error: &std::io::Error| BundleError::File {
            file: path.display().to_string(),
            detail: error.to_string(),
        };
        std::fs::create_dir_all(folder).map_err(|e| fail(folder, &e))?;
        for (name, bytes) in FILES.iter().zip(self.parts()) {
            let file = folder.join(name);
            std::fs::write(&file, bytes).map_err(|e| fail(&file, &e))?;
        }
        Ok(())
    }
}
