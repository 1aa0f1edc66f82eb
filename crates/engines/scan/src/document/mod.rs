//! Files of any form: what they are is told by their first bytes, what is inside is opened to a
//! limit, and every one ends as scanned, partly or unscannable, with the reason.

mod archive;
mod avro;
mod image;
mod kind;
mod mail;
mod markup;
mod office;
#[cfg(feature = "parquet")]
mod parquet;
mod pdf;
mod sqlite;
mod text;

use std::sync::Arc;

use serde::Serialize;

use crate::decode::{self, View};
use crate::engine::Scanner;
use crate::finding::Finding;
use crate::scan::Source;

pub use kind::Kind;
pub(crate) use kind::of as kind_of;
pub(crate) use office::{Cell, WORKBOOK, cells, shared_strings};
pub(crate) use pdf::{
    Fonts as PdfFonts, Glyph, Reader as PdfReader, decode_text as pdf_string, load as pdf_load,
};
pub(crate) use text::wide;

/// How far a file is opened.
#[derive(Debug, Clone)]
pub struct Limits {
    /// Containers inside one another.
    pub depth: u32,
    /// Bytes that all containers of a file may unpack to together.
    pub expanded: u64,
    /// Bytes of one document inside a container.
    pub entry: u64,
    /// Documents inside a file.
    pub entries: u32,
}

impl Default for Limits {
    fn default() -> Self {
        Self {
            depth: 8,
            expanded: 256 << 20,
            entry: 96 << 20,
            entries: 20_000,
        }
    }
}

/// How the scan of a file or of a document inside it ended.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
#[serde(tag = "state", rename_all = "lowercase")]
pub enum Outcome {
    /// Every byte of content was looked at.
    Scanned,
    /// Some of it could not be looked at.
    Partly {
        /// What, and why; several are joined by `; `.
        reason: String,
    },
    /// Nothing could be looked at.
    Unscannable {
        /// Why: `encrypted`, `corrupt: …`, …
        reason: String,
    },
}

/// What a file held.
#[derive(Debug, Clone)]
pub struct Report {
    /// What was found.
    pub findings: Vec<Finding>,
    /// How it ended.
    pub outcome: Outcome,
    /// What the file is.
    pub kind: Kind,
    /// Bytes looked at, those of documents inside included.
    pub bytes: u64,
    /// Documents looked at, the file itself included.
    pub documents: u64,
}

/// Scans a file.
#[must_use]
pub fn scan(scanner: &Scanner, path: &str, bytes: &[u8], limits: &Limits) -> Report {
    let mut run = Run {
        scanner,
        limits,
        findings: Vec::new(),
        problems: Vec::new(),
        expanded: 0,
        entries: 0,
        bytes: 0,
        documents: 0,
        looked: false,
    };
    let kind = run.document(&Source::file(path), bytes, 0);
    let outcome = run.outcome();
    let mut findings = run.findings;
    findings.sort_by(|a, b| (&a.inner, a.start, a.end).cmp(&(&b.inner, b.start, b.end)));
    Report {
        findings,
        outcome,
        kind,
        bytes: run.bytes,
        documents: run.documents,
    }
}

/// Why something was not looked at.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Problem {
    /// It needs a password.
    Encrypted,
    /// It is damaged or cut off.
    Corrupt,
    /// It would unpack to more than the limit.
    TooLarge,
    /// Containers are nested too deep.
    TooDeep,
    /// Too many documents.
    TooMany,
    /// Its form is not read.
    Unsupported,
    /// Only a picture of text.
    NoText,
}

impl Problem {
    fn words(self) -> &'static str {
        match self {
            Self::Encrypted => "encrypted",
            Self::Corrupt => "corrupt",
            Self::TooLarge => "over the expansion limit",
            Self::TooDeep => "nested too deep",
            Self::TooMany => "over the limit of documents",
            Self::Unsupported => "form not supported",
            Self::NoText => "no text layer (needs character recognition)",
        }
    }
}

/// One run over one file.
pub(crate) struct Run<'a> {
    scanner: &'a Scanner,
    limits: &'a Limits,
    findings: Vec<Finding>,
    /// Which inner document, and what is wrong with it.
    problems: Vec<(Option<Arc<str>>, Problem)>,
    expanded: u64,
    entries: u32,
    bytes: u64,
    documents: u64,
    /// Something was looked at.
    looked: bool,
}

impl Run<'_> {
    fn outcome(&self) -> Outcome {
        if self.problems.is_empty() {
            return Outcome::Scanned;
        }
        let mut words: Vec<String> = Vec::new();
        for (inner, problem) in &self.problems {
            let text = match (inner, problem) {
                (Some(name), Problem::Encrypted) => format!("entry {name} is encrypted"),
                (Some(name), _) if *problem != Problem::TooLarge => {
                    format!("entry {name}: {}", problem.words())
                }
                _ => problem.words().to_owned(),
            };
            if !words.contains(&text) {
                words.push(text);
            }
            if words.len() > 8 {
                words.push("and more".to_owned());
                break;
            }
        }
        if self.looked
            || self
                .problems
                .iter()
                .any(|(_, p)| matches!(p, Problem::NoText))
        {
            return Outcome::Partly {
                reason: words.join("; "),
            };
        }
        let reason = self
            .problems
            .first()
            .map_or_else(String::new, |(_, p)| p.words().to_owned());
        Outcome::Unscannable { reason }
    }

    fn problem(&mut self, source: &Source, problem: Problem) {
        if self.problems.len() < 1_000 {
            self.problems.push((source.inner.clone(), problem));
        }
    }

    /// Room for `more` unpacked bytes; says so in the outcome when there is none.
    fn room(&mut self, source: &Source, more: u64) -> bool {
        if self.expanded.saturating_add(more) > self.limits.expanded {
            self.problem(source, Problem::TooLarge);
            return false;
        }
        true
    }

    /// Bytes that one entry may still unpack to.
    fn allowance(&self) -> u64 {
        self.limits
            .entry
            .min(self.limits.expanded.saturating_sub(self.expanded))
    }

    /// Looks at a document inside another.
    fn inner(&mut self, outer: &Source, name: &str, bytes: &[u8], depth: u32) {
        let source = outer.inside(name);
        self.entries += 1;
        self.expanded += bytes.len() as u64;
        if self.entries > self.limits.entries {
            self.problem(&source, Problem::TooMany);
        } else if depth >= self.limits.depth {
            self.problem(&source, Problem::TooDeep);
        } else {
            self.document(&source, bytes, depth + 1);
        }
    }

    fn document(&mut self, source: &Source, bytes: &[u8], depth: u32) -> Kind {
        let kind = kind::of(bytes);
        self.bytes += bytes.len() as u64;
        self.documents += 1;
        match kind {
            Kind::Zip => archive::zip(self, source, bytes, depth),
            Kind::Tar => archive::tar(self, source, bytes, depth),
            Kind::Gzip | Kind::Bzip2 | Kind::Xz | Kind::Zstd | Kind::Lzma => {
                archive::stream(self, source, bytes, kind, depth);
            }
            Kind::SevenZip => archive::seven_zip(self, source, bytes, depth),
            Kind::Pdf => pdf::scan(self, source, bytes, depth),
            Kind::Png | Kind::Jpeg | Kind::Tiff | Kind::Gif | Kind::Webp => {
                image::scan(self, source, bytes, kind);
            }
            Kind::Avro => avro::scan(self, source, bytes),
            Kind::Sqlite => sqlite::scan(self, source, bytes),
            Kind::Parquet => {
                #[cfg(feature = "parquet")]
                parquet::scan(self, source, bytes);
                #[cfg(not(feature = "parquet"))]
                self.raw_only(source, bytes, Problem::Unsupported);
            }
            Kind::OldOffice => {
                // Encrypted new documents are kept in the old container too.
                let encrypted = text::utf16_in(bytes, "EncryptedPackage");
                if encrypted {
                    self.problem(source, Problem::Encrypted);
                } else {
                    self.strings(source, bytes);
                    self.problem(source, Problem::Unsupported);
                }
            }
            Kind::Rar => {
                self.problem(source, Problem::Unsupported);
            }
            Kind::Mail => mail::scan(self, source, bytes, depth),
            Kind::Rtf => {
                self.raw(source, bytes);
                let view = markup::rtf(bytes);
                self.view(source, bytes, view, "rich text");
            }
            Kind::Utf16Le | Kind::Utf16Be | Kind::Utf32Le | Kind::Utf32Be => {
                let view = text::wide(bytes, kind);
                self.text_view(source, bytes, view, kind.as_str());
            }
            Kind::Xml | Kind::Html => {
                self.raw(source, bytes);
                for view in markup::views(bytes) {
                    self.view(source, bytes, view, kind.as_str());
                }
            }
            Kind::Binary => self.strings(source, bytes),
            Kind::Text | Kind::Empty => self.plain(source, bytes),
        }
        kind
    }

    /// Text that may have escapes of programs in it.
    fn plain(&mut self, source: &Source, bytes: &[u8]) {
        self.raw(source, bytes);
        if let Some(view) = text::unescaped(bytes) {
            self.view(source, bytes, view, "escapes");
        }
        if let Some(view) = markup::inline(bytes) {
            self.view(source, bytes, view, "markup");
        }
    }

    /// The bytes as they are, and what is encoded in them.
    fn raw(&mut self, source: &Source, bytes: &[u8]) {
        self.looked = true;
        let found = self.scanner.scan(source, bytes);
        self.findings.extend(found);
    }

    #[cfg_attr(feature = "parquet", allow(dead_code))]
    fn raw_only(&mut self, source: &Source, bytes: &[u8], problem: Problem) {
        self.strings(source, bytes);
        self.problem(source, problem);
    }

    /// A form that is not text: what stands in it in plain letters, and in wide ones.
    fn strings(&mut self, source: &Source, bytes: &[u8]) {
        self.looked = true;
        let view = text::strings(bytes);
        let hits = self.scanner.hits(&source.path, &view.bytes);
        let found = self
            .scanner
            .findings(source, bytes, &hits, Some((&view, "binary")));
        self.findings.extend(found);
    }

    /// As [`Self::strings`], for a file that could not be read in its own form: what is found is
    /// reported, but the file does not count as looked at.
    fn strings_only(&mut self, source: &Source, bytes: &[u8]) {
        let looked = self.looked;
        self.strings(source, bytes);
        self.looked = looked;
    }

    /// A text made of the document: findings that the document itself has not shown yet.
    fn view(&mut self, source: &Source, bytes: &[u8], view: View, how: &str) {
        self.looked = true;
        let found = decode::through(self.scanner, source, bytes, view, how);
        let from = self.findings.len();
        let same = |f: &Finding| f.inner == source.inner;
        let first = self.findings.iter().position(same).unwrap_or(from);
        let mut own = self.findings.split_off(first);
        decode::merge(&mut own, found);
        self.findings.extend(own);
    }

    /// A view that is the document: its own markup and escapes are opened too.
    fn text_view(&mut self, source: &Source, bytes: &[u8], view: View, how: &str) {
        self.view(source, bytes, view, how);
    }
}
