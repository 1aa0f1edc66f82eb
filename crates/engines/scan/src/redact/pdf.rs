//! PDF: letters leave the content streams, strings leave the objects, and the file is written anew
//! from the objects that its last revision uses, so that no earlier one is left in it.

use std::collections::{BTreeMap, BTreeSet};

use lopdf::content::{Content, Operation};
use lopdf::{Dictionary, Document, Object, ObjectId, Stream, StringFormat, dictionary};

use super::{RedactError, Redacted, Redactor};
use crate::document::{self, Glyph, PdfReader};
use crate::finding::Finding;
use crate::scan::Source;

/// The font that placeholders are set in.
const FONT: &[u8] = b"SealwrightPlaceholder";
/// Most objects inside one another.
const DEPTH: u32 = 32;
/// Shortest value that is looked for wherever it stands.
const SHORTEST: usize = 5;

fn damaged(e: impl std::fmt::Display) -> RedactError {
    RedactError::Damaged {
        reason: e.to_string(),
    }
}

fn unsafe_to(what: &str) -> RedactError {
    RedactError::Unsupported {
        what: what.to_owned(),
    }
}

pub(super) fn redact(
    redactor: &Redactor<'_>,
    path: &str,
    bytes: &[u8],
) -> Result<Redacted, RedactError> {
    let mut document = document::pdf_load(bytes, redactor.limits.expanded).map_err(damaged)?;
    if document.is_encrypted() || document.was_encrypted() {
        return Err(unsafe_to("an encrypted PDF"));
    }
    // Only what the last revision uses is kept: pages that were removed and texts that were
    // replaced are in no object of the new file.
    document.prune_objects();
    let mut work = Work {
        redactor,
        source: Source::file(path),
        values: BTreeMap::new(),
        out: Redacted {
            bytes: Vec::new(),
            replaced: BTreeMap::new(),
        },
    };
    work.collect(&document);
    let font = document.add_object(dictionary! {
        "Type" => "Font", "Subtype" => "Type1", "BaseFont" => "Helvetica",
        "Encoding" => "WinAnsiEncoding",
    });
    work.pages(&mut document, font)?;
    work.forms(&mut document, font)?;
    work.attachments(&mut document)?;
    work.streams(&mut document)?;
    let ids: Vec<ObjectId> = document.objects.keys().copied().collect();
    for id in ids {
        if let Ok(object) = document.get_object_mut(id) {
            work.strings(object, 0);
        }
    }
    let mut trailer = Object::Dictionary(std::mem::take(&mut document.trailer));
    work.strings(&mut trailer, 0);
    if let Object::Dictionary(dict) = trailer {
        document.trailer = dict;
    }
    for key in [&b"Prev"[..], b"XRefStm"] {
        document.trailer.remove(key);
    }
    document.prune_objects();
    document.renumber_objects();
    document.save_to(&mut work.out.bytes).map_err(damaged)?;
    work.gone()?;
    Ok(work.out)
}

/// The codes that go, by operation and part, and the placeholder that the first one leaves.
type Gone = BTreeMap<(usize, usize), Vec<(Glyph, Option<String>)>>;

struct Work<'r, 's> {
    redactor: &'r Redactor<'s>,
    source: Source,
    /// Every value that was found, and what it is: it goes wherever else it stands.
    values: BTreeMap<Vec<u8>, Finding>,
    out: Redacted,
}

impl Work<'_, '_> {
    /// The values in the text of the whole document, of which a page may show only the half.
    fn collect(&mut self, document: &Document) {
        let mut reader = PdfReader::new(document, self.redactor.limits.expanded);
        reader.all();
        let text = reader.text.into_bytes();
        self.learn(&text);
    }

    fn learn(&mut self, text: &[u8]) -> Vec<Finding> {
        let found = self.redactor.scanner.scan(&self.source, text);
        for f in &found {
            let value = &text[f.start as usize..f.end as usize];
            if value.len() >= SHORTEST {
                self.values.insert(value.to_vec(), f.clone());
            }
        }
        found
    }

    /// Places in a text: what is found in it, and every value that was found elsewhere.
    fn places(&mut self, text: &[u8]) -> Vec<(usize, usize, Finding)> {
        let mut out: Vec<(usize, usize, Finding)> = self
            .learn(text)
            .into_iter()
            .map(|f| (f.start as usize, f.end as usize, f))
            .collect();
        for (value, f) in &self.values {
            for at in memchr::memmem::find_iter(text, value) {
                out.push((at, at + value.len(), f.clone()));
            }
        }
        out.sort_by_key(|p| (p.0, std::cmp::Reverse(p.1)));
        let mut end = 0;
        out.retain(|p| {
            let new = p.0 >= end;
            end = end.max(p.1);
            new
        });
        out
    }

    fn pages(&mut self, document: &mut Document, font: ObjectId) -> Result<(), RedactError> {
        let pages: Vec<ObjectId> = document.get_pages().into_values().collect();
        for page in pages {
            let most = usize::try_from(self.redactor.limits.expanded).unwrap_or(usize::MAX);
            let data = document
                .get_page_content_with_limit(page, most)
                .map_err(damaged)?;
            let Some(data) = self.content(document, &data, |r| r.fonts(page))? else {
                continue;
            };
            let mut stream = Stream::new(Dictionary::new(), data);
            stream.compress().map_err(damaged)?;
            let content = document.add_object(stream);
            let resources = with_font(document, page_resources(document, page), font);
            let page = document
                .get_object_mut(page)
                .and_then(Object::as_dict_mut)
                .map_err(damaged)?;
            page.set("Contents", content);
            page.set("Resources", resources);
            // A small picture of the page as it was, and what other programs keep about it.
            page.remove(b"Thumb");
            page.remove(b"PieceInfo");
        }
        Ok(())
    }

    fn forms(&mut self, document: &mut Document, font: ObjectId) -> Result<(), RedactError> {
        let forms: Vec<ObjectId> = document
            .objects
            .iter()
            .filter(|(_, o)| subtype(o) == Some(b"Form"))
            .map(|(id, _)| *id)
            .collect();
        for id in forms {
            let stream = document
                .get_object(id)
                .and_then(Object::as_stream)
                .map_err(damaged)?;
            let data = self.plain(stream)?;
            let resources = stream
                .dict
                .get(b"Resources")
                .ok()
                .and_then(|r| document.dereference(r).ok())
                .and_then(|(_, r)| r.as_dict().ok())
                .cloned();
            let own = resources.clone().unwrap_or_default();
            let Some(data) = self.content(document, &data, |r| r.fonts_of(&own))? else {
                continue;
            };
            let resources = with_font(document, own, font);
            let stream = document
                .get_object_mut(id)
                .and_then(Object::as_stream_mut)
                .map_err(damaged)?;
            stream.set_plain_content(data);
            stream.compress().map_err(damaged)?;
            stream.dict.set("Resources", resources);
            stream.dict.remove(b"PieceInfo");
        }
        Ok(())
    }

    /// A content stream without the letters of values; `None` when it shows none.
    fn content(
        &mut self,
        document: &Document,
        data: &[u8],
        fonts: impl Fn(&PdfReader<'_>) -> crate::document::PdfFonts,
    ) -> Result<Option<Vec<u8>>, RedactError> {
        let content = Content::decode(data).map_err(damaged)?;
        let mut reader = PdfReader::new(document, self.redactor.limits.expanded);
        reader.glyphs = Some(Vec::new());
        let fonts = fonts(&reader);
        reader.operations(&content.operations, &fonts);
        let places = self.places(reader.text.as_bytes());
        if places.is_empty() {
            return Ok(None);
        }
        if reader.undrawn {
            return Err(unsafe_to("a PDF with undrawn text over a picture"));
        }
        let glyphs = reader.glyphs.unwrap_or_default();
        let text = reader.text.into_bytes();
        // Which codes go, by operation and part, and where a placeholder stands for them.
        let mut gone = Gone::new();
        for (start, end, finding) in places {
            let mut word = Some(
                String::from_utf8_lossy(&self.redactor.stand_in(
                    &text[start..end],
                    &finding,
                    false,
                ))
                .into_owned(),
            );
            let first = glyphs.partition_point(|g| g.text.end <= start);
            for glyph in glyphs[first..].iter().take_while(|g| g.text.start < end) {
                gone.entry((glyph.operation, glyph.part))
                    .or_default()
                    .push((glyph.clone(), word.take()));
            }
            self.out.count(&finding.detector);
        }
        let mut operations = Vec::with_capacity(content.operations.len() + 8);
        let mut font: Option<Vec<Object>> = None;
        for (index, mut operation) in content.operations.into_iter().enumerate() {
            if operation.operator == "Tf" {
                font = Some(operation.operands.clone());
            }
            if matches!(operation.operator.as_str(), "BDC" | "DP")
                && let Some(Object::Dictionary(dict)) = operation.operands.get_mut(1)
            {
                for key in [&b"ActualText"[..], b"Alt", b"E"] {
                    dict.remove(key);
                }
            }
            let touched = gone.range((index, 0)..(index + 1, 0)).next().is_some();
            if touched {
                without(operation, index, &gone, font.as_deref(), &mut operations);
            } else {
                operations.push(operation);
            }
        }
        Content { operations }.encode().map(Some).map_err(damaged)
    }

    fn attachments(&mut self, document: &mut Document) -> Result<(), RedactError> {
        let files: Vec<ObjectId> = document
            .objects
            .iter()
            .filter(|(_, o)| {
                o.as_stream().is_ok_and(|s| {
                    s.dict.has_type(b"EmbeddedFile") || s.dict.get(b"Params").is_ok()
                })
            })
            .map(|(id, _)| *id)
            .collect();
        for id in files {
            let stream = document
                .get_object_mut(id)
                .and_then(Object::as_stream_mut)
                .map_err(damaged)?;
            let data = self.plain(stream)?;
            let new = self.redactor.document("attachment", &data)?;
            if new.replaced.is_empty() {
                continue;
            }
            if let Ok(parameters) = stream.dict.get_mut(b"Params").and_then(Object::as_dict_mut) {
                parameters.remove(b"CheckSum");
                parameters.set("Size", new.bytes.len() as i64);
            }
            stream.set_plain_content(new.bytes);
            stream.compress().map_err(damaged)?;
            self.out.count_all(new.replaced);
        }
        Ok(())
    }

    /// Streams that are text by themselves: metadata, forms in XML, programs.
    fn streams(&mut self, document: &mut Document) -> Result<(), RedactError> {
        let shown: BTreeSet<ObjectId> = document
            .get_pages()
            .into_values()
            .flat_map(|p| document.get_page_contents(p))
            .collect();
        for (id, object) in &mut document.objects {
            let kind = subtype(object).map(<[u8]>::to_vec);
            let Ok(stream) = object.as_stream_mut() else {
                continue;
            };
            let kind = kind.unwrap_or_default();
            if shown.contains(id)
                || matches!(kind.as_slice(), b"Form" | b"Image")
                || stream.dict.has_type(b"EmbeddedFile")
                || stream.dict.get(b"Length1").is_ok()
                || stream.dict.get(b"FunctionType").is_ok()
            {
                continue;
            }
            let Ok(data) = self.plain(stream) else {
                continue;
            };
            let places = self.places(&data);
            if places.is_empty() {
                continue;
            }
            let borrowed = places.iter().map(|(s, e, f)| (*s, *e, f)).collect();
            let new = self
                .redactor
                .replace(&data, borrowed, true, &mut self.out.replaced);
            stream.set_plain_content(new);
            stream.compress().map_err(damaged)?;
        }
        Ok(())
    }

    fn plain(&self, stream: &Stream) -> Result<Vec<u8>, RedactError> {
        let most = usize::try_from(self.redactor.limits.entry).unwrap_or(usize::MAX);
        stream.get_plain_content_with_limit(most).map_err(damaged)
    }

    /// Strings outside of content streams.
    fn strings(&mut self, object: &mut Object, depth: u32) {
        if depth > DEPTH {
            return;
        }
        match object {
            Object::String(bytes, format) if bytes.len() > 3 => {
                let text = document::pdf_string(bytes).into_bytes();
                let places = self.places(&text);
                if places.is_empty() {
                    return;
                }
                let borrowed = places.iter().map(|(s, e, f)| (*s, *e, f)).collect();
                let new = self
                    .redactor
                    .replace(&text, borrowed, false, &mut self.out.replaced);
                *bytes = written(&new);
                *format = StringFormat::Literal;
            }
            Object::Array(list) => {
                for item in list {
                    self.strings(item, depth + 1);
                }
            }
            Object::Dictionary(dict) => self.dictionary(dict, depth),
            Object::Stream(stream) => self.dictionary(&mut stream.dict, depth),
            _ => {}
        }
    }

    fn dictionary(&mut self, dict: &mut Dictionary, depth: u32) {
        for (key, value) in dict.iter_mut() {
            if !matches!(key.as_slice(), b"ID" | b"CheckSum") {
                self.strings(value, depth + 1);
            }
        }
    }

    /// Looks for the values in every object of what was written.
    fn gone(&self) -> Result<(), RedactError> {
        let room = self.redactor.limits.expanded;
        let document = document::pdf_load(&self.out.bytes, room).map_err(damaged)?;
        let mut left = 0;
        for object in document.objects.values() {
            let Ok(stream) = object.as_stream() else {
                continue;
            };
            if subtype(object) == Some(b"Image") {
                continue;
            }
            let data = self
                .plain(stream)
                .unwrap_or_else(|_| stream.content.clone());
            left += self
                .values
                .keys()
                .filter(|v| memchr::memmem::find(&data, v).is_some())
                .count();
        }
        if left > 0 {
            return Err(RedactError::NotClean { left, rounds: 1 });
        }
        Ok(())
    }
}

/// Bytes of a text string: one byte a letter, or UTF-16 with a mark.
fn written(text: &[u8]) -> Vec<u8> {
    if text.is_ascii() {
        return text.to_vec();
    }
    let text = String::from_utf8_lossy(text);
    let mut out = vec![0xfe, 0xff];
    out.extend(text.encode_utf16().flat_map(u16::to_be_bytes));
    out
}

fn subtype(object: &Object) -> Option<&[u8]> {
    object
        .as_stream()
        .ok()?
        .dict
        .get(b"Subtype")
        .and_then(Object::as_name)
        .ok()
}

/// The resources that count for a page: its own, or those of the nearest node above it.
fn page_resources(document: &Document, page: ObjectId) -> Dictionary {
    let mut at = document.get_dictionary(page).ok();
    for _ in 0..DEPTH {
        let Some(node) = at else { break };
        if let Some(found) = node
            .get(b"Resources")
            .ok()
            .and_then(|r| document.dereference(r).ok())
            .and_then(|(_, r)| r.as_dict().ok())
        {
            return found.clone();
        }
        at = node
            .get(b"Parent")
            .and_then(Object::as_reference)
            .and_then(|p| document.get_dictionary(p))
            .ok();
    }
    Dictionary::new()
}

fn with_font(document: &Document, mut resources: Dictionary, font: ObjectId) -> Dictionary {
    let mut fonts = resources
        .get(b"Font")
        .ok()
        .and_then(|f| document.dereference(f).ok())
        .and_then(|(_, f)| f.as_dict().ok())
        .cloned()
        .unwrap_or_default();
    fonts.set(FONT, font);
    resources.set("Font", fonts);
    resources
}

/// An operation that shows text, in pieces without the codes that go.
fn without(
    operation: Operation,
    index: usize,
    gone: &Gone,
    font: Option<&[Object]>,
    out: &mut Vec<Operation>,
) {
    let parts = match (operation.operator.as_str(), operation.operands.as_slice()) {
        ("TJ", [Object::Array(parts), ..]) => parts.clone(),
        ("\"", [word, letter, string]) => {
            out.push(Operation::new("Tw", vec![word.clone()]));
            out.push(Operation::new("Tc", vec![letter.clone()]));
            out.push(Operation::new("T*", vec![]));
            vec![string.clone()]
        }
        ("'", [string]) => {
            out.push(Operation::new("T*", vec![]));
            vec![string.clone()]
        }
        (_, [.., string]) => vec![string.clone()],
        _ => return,
    };
    let mut kept: Vec<Object> = Vec::new();
    let flush = |kept: &mut Vec<Object>, out: &mut Vec<Operation>| {
        if !kept.is_empty() {
            let array = Object::Array(std::mem::take(kept));
            out.push(Operation::new("TJ", vec![array]));
        }
    };
    for (i, part) in parts.into_iter().enumerate() {
        let (Object::String(bytes, format), Some(codes)) = (&part, gone.get(&(index, i))) else {
            kept.push(part);
            continue;
        };
        let mut at = 0;
        for (glyph, word) in codes {
            if glyph.code.start > at {
                kept.push(Object::String(
                    bytes[at..glyph.code.start].to_vec(),
                    *format,
                ));
            }
            at = glyph.code.end.max(at);
            if let (Some(word), Some([_, size])) = (word, font) {
                flush(&mut kept, out);
                let own = Object::Name(FONT.to_vec());
                out.push(Operation::new("Tf", vec![own, size.clone()]));
                out.push(Operation::new(
                    "Tj",
                    vec![Object::string_literal(word.as_bytes())],
                ));
                out.push(Operation::new("Tf", font.unwrap_or_default().to_vec()));
            }
        }
        if at < bytes.len() {
            kept.push(Object::String(bytes[at..].to_vec(), *format));
        }
    }
    flush(&mut kept, out);
}
