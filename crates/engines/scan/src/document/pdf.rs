//! PDF (ISO 32000): the text of every page, form and note, the document's information, what is
//! attached, and what earlier revisions said.

use std::cell::Cell;
use std::collections::{BTreeMap, HashMap, HashSet};

use lopdf::content::{Content, Operation};
use lopdf::{DecompressError, Dictionary, Document, LoadOptions, Object, ObjectId, Stream};

use super::{Problem, Run};
use crate::decode::{Ratio, View};
use crate::scan::Source;

/// Most revisions that are looked at.
const REVISIONS: usize = 32;

/// Least that a stream of objects may unpack to, however many of them a file has.
const LEAST_STREAM: u64 = 64 << 10;

/// Reads the objects of a file. Streams of objects are unpacked at once, so all of them share `room`: a file
/// of a few megabytes could ask for a terabyte.
pub(crate) fn load(bytes: &[u8], room: u64) -> lopdf::Result<Document> {
    let streams = memchr::memmem::find_iter(bytes, b"/ObjStm").count() as u64;
    let each = (room / streams.max(1)).max(LEAST_STREAM);
    let each = usize::try_from(each).unwrap_or(usize::MAX);
    Document::load_mem_with_options(bytes, LoadOptions::with_max_decompressed_size(each))
}

fn too_large(error: &lopdf::Error) -> bool {
    matches!(
        error,
        lopdf::Error::Decompress(DecompressError::MemoryLimitExceeded { .. })
    )
}

pub(super) fn scan(run: &mut Run<'_>, source: &Source, bytes: &[u8], depth: u32) {
    let ends: Vec<usize> = memchr::memmem::find_iter(bytes, b"%%EOF")
        .map(|i| i + 5)
        .collect();
    let mut text = String::new();
    // Revisions repeat most of each other.
    let mut seen: HashSet<String> = HashSet::new();
    let mut room = run.allowance();
    let mut over = false;
    let mut read = false;
    let mut pictures = false;
    let mut attached = Vec::new();
    let earlier = ends.iter().rev().skip(1).take(REVISIONS).copied();
    for end in std::iter::once(bytes.len()).chain(earlier) {
        let mut document = match load(&bytes[..end], run.allowance()) {
            Ok(document) => document,
            Err(error) if too_large(&error) => {
                over = true;
                continue;
            }
            Err(lopdf::Error::Decryption(_) | lopdf::Error::InvalidPassword) => {
                run.problem(source, Problem::Encrypted);
                return;
            }
            Err(_) => continue,
        };
        if document.is_encrypted() && document.decrypt("").is_err() {
            run.problem(source, Problem::Encrypted);
            return;
        }
        read = true;
        let mut reader = Reader::new(&document, room);
        reader.all();
        pictures = pictures || reader.pictures && reader.letters < 4;
        for line in reader.text.lines() {
            if !line.is_empty() && !seen.contains(line) {
                text.push_str(line);
                text.push('\n');
                seen.insert(line.to_owned());
            }
        }
        if attached.is_empty() {
            attached = reader.attachments();
        }
        over |= reader.over.get();
        room = reader.room.get();
    }
    if over {
        run.problem(source, Problem::TooLarge);
    }
    if !read {
        if !over {
            run.problem(source, Problem::Corrupt);
        }
        run.strings_only(source, bytes);
        return;
    }
    run.expanded += text.len() as u64;
    let mut view = View::default();
    view.push(text.as_bytes(), 0, Ratio::Same);
    view.finish(text.len());
    run.looked = true;
    let inner = source.inside("text");
    run.view(&inner, text.as_bytes(), view, "pages");
    for (name, data) in attached {
        run.inner(source, &name, &data, depth);
    }
    if ends.last().is_none_or(|end| bytes.len() - end > 2_048) {
        // It does not end as a file of this form ends: cut off.
        run.problem(source, Problem::Corrupt);
    }
    if pictures {
        run.problem(source, Problem::NoText);
    }
}

/// A letter of a text and the code of a content stream that shows it.
#[derive(Debug, Clone)]
pub(crate) struct Glyph {
    /// Where it stands in the text.
    pub text: std::ops::Range<usize>,
    /// Which operation of the stream shows it.
    pub operation: usize,
    /// Which part of the operation's array; 0 when it has none.
    pub part: usize,
    /// Which bytes of the string.
    pub code: std::ops::Range<usize>,
}

/// Collects the text of a document.
pub(crate) struct Reader<'d> {
    document: &'d Document,
    /// What was read so far.
    pub text: String,
    /// Where the letters of the last content stream stand; kept only when asked for.
    pub glyphs: Option<Vec<Glyph>>,
    /// Letters are written that are not drawn, as recognised text over a picture is.
    pub undrawn: bool,
    /// Letters that the text may have.
    budget: u64,
    /// Bytes that streams may still unpack to, all of them together.
    room: Cell<u64>,
    /// Something was not unpacked, or not kept, for want of room.
    over: Cell<bool>,
    pictures: bool,
    letters: usize,
}

impl<'d> Reader<'d> {
    pub(crate) fn new(document: &'d Document, budget: u64) -> Self {
        Self {
            document,
            text: String::new(),
            glyphs: None,
            undrawn: false,
            budget,
            room: Cell::new(budget),
            over: Cell::new(false),
            pictures: false,
            letters: 0,
        }
    }

    pub(crate) fn all(&mut self) {
        let document = self.document;
        // Texts in objects: information, titles, notes, fields of forms.
        for object in document.objects.values() {
            self.strings(object, 0);
        }
        for (_, page) in document.get_pages() {
            let content = self.page(page);
            let fonts = self.fonts(page);
            self.content(&content, &fonts);
            self.text.push('\n');
        }
        for object in document.objects.values() {
            let Ok(stream) = object.as_stream() else {
                continue;
            };
            match stream.dict.get(b"Subtype").and_then(Object::as_name) {
                Ok(b"Form") => {
                    if let Some(data) = self.open(stream) {
                        let fonts = stream
                            .dict
                            .get(b"Resources")
                            .ok()
                            .and_then(|r| document.dereference(r).ok())
                            .and_then(|(_, r)| r.as_dict().ok())
                            .map(|r| self.fonts_of(r))
                            .unwrap_or_default();
                        self.content(&data, &fonts);
                        self.text.push('\n');
                    }
                }
                Ok(b"Image") => self.pictures = true,
                Ok(b"XML") => {
                    if let Some(data) = self.open(stream) {
                        self.push(&String::from_utf8_lossy(&data));
                    }
                }
                _ => {}
            }
        }
    }

    fn push(&mut self, text: &str) {
        let room = usize::try_from(self.budget).unwrap_or(usize::MAX);
        if self.text.len() + text.len() <= room {
            self.text.push_str(text);
        } else {
            self.over.set(true);
        }
    }

    fn spend(&self, bytes: usize) {
        self.room.set(self.room.get().saturating_sub(bytes as u64));
    }

    /// What a stream unpacks to, within the room that is left for all of them.
    fn open(&self, stream: &Stream) -> Option<Vec<u8>> {
        let most = usize::try_from(self.room.get()).unwrap_or(usize::MAX);
        match stream.get_plain_content_with_limit(most) {
            Ok(data) => {
                self.spend(data.len());
                Some(data)
            }
            Err(error) => {
                if too_large(&error) {
                    self.over.set(true);
                }
                None
            }
        }
    }

    /// The streams of a page as one.
    fn page(&self, page: ObjectId) -> Vec<u8> {
        let most = usize::try_from(self.room.get()).unwrap_or(usize::MAX);
        match self.document.get_page_content_with_limit(page, most) {
            Ok(data) => {
                self.spend(data.len());
                data
            }
            Err(error) => {
                if too_large(&error) {
                    self.over.set(true);
                }
                Vec::new()
            }
        }
    }

    /// Strings outside of pages, a line each.
    fn strings(&mut self, object: &Object, depth: u32) {
        if depth > 16 {
            return;
        }
        match object {
            Object::String(bytes, _) if bytes.len() > 3 => {
                let text = decode_text(bytes);
                self.push(&text);
                self.push("\n");
            }
            Object::Array(list) => list.iter().for_each(|o| self.strings(o, depth + 1)),
            Object::Dictionary(dict) => self.dictionary(dict, depth),
            Object::Stream(stream) => self.dictionary(&stream.dict, depth),
            _ => {}
        }
    }

    fn dictionary(&mut self, dict: &Dictionary, depth: u32) {
        for (key, value) in dict.iter() {
            if !matches!(
                key.as_slice(),
                b"ID" | b"O" | b"U" | b"OE" | b"UE" | b"Perms" | b"CheckSum"
            ) {
                self.strings(value, depth + 1);
            }
        }
    }

    pub(crate) fn fonts(&self, page: ObjectId) -> Fonts {
        let fonts: BTreeMap<Vec<u8>, &Dictionary> =
            self.document.get_page_fonts(page).unwrap_or_default();
        fonts
            .into_iter()
            .map(|(name, font)| (name, self.cmap(font)))
            .collect()
    }

    pub(crate) fn fonts_of(&self, resources: &Dictionary) -> Fonts {
        let dict = resources
            .get(b"Font")
            .ok()
            .and_then(|f| self.document.dereference(f).ok());
        let Some(dict) = dict.and_then(|(_, d)| d.as_dict().ok()) else {
            return HashMap::new();
        };
        dict.iter()
            .filter_map(|(name, font)| {
                let (_, font) = self.document.dereference(font).ok()?;
                Some((name.clone(), self.cmap(font.as_dict().ok()?)))
            })
            .collect()
    }

    fn cmap(&self, font: &Dictionary) -> CMap {
        let wide = font
            .get(b"Subtype")
            .and_then(Object::as_name)
            .is_ok_and(|n| n == b"Type0");
        let data = font
            .get(b"ToUnicode")
            .ok()
            .and_then(|o| self.document.dereference(o).ok())
            .and_then(|(_, o)| o.as_stream().ok())
            .and_then(|s| self.open(s));
        data.map_or_else(
            || CMap {
                wide,
                map: HashMap::new(),
            },
            |d| CMap::parse(&d, wide),
        )
    }

    fn content(&mut self, data: &[u8], fonts: &Fonts) {
        if let Ok(content) = Content::decode(data) {
            self.operations(&content.operations, fonts);
        }
    }

    /// The text that the operations of a content stream show.
    pub(crate) fn operations(&mut self, operations: &[Operation], fonts: &Fonts) {
        let mut font = None;
        let mut line = Line::default();
        let mut hidden = false;
        let number = |o: Option<&Object>| o.and_then(|o| o.as_float().ok()).unwrap_or(0.0);
        for (index, operation) in operations.iter().enumerate() {
            let operands = &operation.operands;
            match operation.operator.as_str() {
                "Tf" => {
                    font = operands
                        .first()
                        .and_then(|o| o.as_name().ok())
                        .and_then(|n| fonts.get(n))
                }
                "Tr" => hidden = number(operands.first()) == 3.0,
                "BDC" | "DP" => {
                    // What a reader aloud says in place of the letters.
                    if let Some(Object::Dictionary(dict)) = operands.get(1) {
                        self.dictionary(dict, 0);
                    }
                }
                "TL" => line.leading = number(operands.first()),
                "BT" => line.to(0.0),
                "Td" => line.to(line.y + number(operands.get(1))),
                "TD" => {
                    line.leading = -number(operands.get(1));
                    line.to(line.y + number(operands.get(1)));
                }
                "Tm" => line.to(number(operands.get(5))),
                "T*" => line.to(line.y - line.leading),
                "Tj" | "'" | "\"" => {
                    if operation.operator != "Tj" {
                        line.to(line.y - line.leading.max(1.0));
                    }
                    self.push(line.gap());
                    self.undrawn |= hidden;
                    if let Some(Object::String(bytes, _)) = operands.last() {
                        self.show(bytes, font, index, 0);
                    }
                }
                "TJ" => {
                    self.push(line.gap());
                    if let Some(Object::Array(parts)) = operands.first() {
                        self.undrawn |= hidden;
                        for (i, part) in parts.iter().enumerate() {
                            match part {
                                Object::String(bytes, _) => self.show(bytes, font, index, i),
                                // A wide gap is a space.
                                number if number.as_float().is_ok_and(|n| n < -200.0) => {
                                    self.push(" ")
                                }
                                _ => {}
                            }
                        }
                    }
                }
                _ => {}
            }
        }
        self.push("\n");
    }

    fn show(&mut self, bytes: &[u8], font: Option<&CMap>, operation: usize, part: usize) {
        let width = if font.is_some_and(|f| f.wide) { 2 } else { 1 };
        let mut at = 0;
        while at < bytes.len() {
            let code = at..(at + width).min(bytes.len());
            let from = self.text.len();
            let mut letter = String::new();
            match font {
                Some(font) => font.letter(&bytes[code.clone()], &mut letter),
                None => letter.push(bytes[at] as char),
            }
            self.letters += letter.trim().len();
            self.push(&letter);
            if let Some(glyphs) = &mut self.glyphs {
                glyphs.push(Glyph {
                    text: from..self.text.len(),
                    operation,
                    part,
                    code: code.clone(),
                });
            }
            at = code.end;
        }
    }
}

/// Where text goes next: pieces at one height are one line.
#[derive(Default)]
struct Line {
    y: f32,
    shown: Option<f32>,
    leading: f32,
    moved: bool,
}

impl Line {
    fn to(&mut self, y: f32) {
        self.y = y;
        self.moved = true;
    }

    /// What stands between the last piece and the next one.
    fn gap(&mut self) -> &'static str {
        let gap = match self.shown {
            None => "",
            Some(shown) if (shown - self.y).abs() > 0.5 => "\n",
            Some(_) if self.moved => " ",
            Some(_) => "",
        };
        self.shown = Some(self.y);
        self.moved = false;
        gap
    }
}

/// The fonts of a page or form, by name.
pub(crate) type Fonts = HashMap<Vec<u8>, CMap>;

/// A font's way from codes to letters.
pub(crate) struct CMap {
    wide: bool,
    map: HashMap<u32, String>,
}

impl CMap {
    fn parse(data: &[u8], wide: bool) -> Self {
        let text = String::from_utf8_lossy(data);
        let mut map = HashMap::new();
        let mut mode = "";
        let spaced = text
            .replace('<', " <")
            .replace('>', "> ")
            .replace('[', " [ ")
            .replace(']', " ] ");
        let tokens: Vec<&str> = spaced.split_whitespace().collect();
        let code = |t: &str| {
            t.strip_prefix('<')
                .and_then(|t| t.strip_suffix('>'))
                .and_then(|t| u32::from_str_radix(t, 16).ok())
        };
        let letters = |t: &str| -> Option<String> {
            let hex = t.strip_prefix('<')?.strip_suffix('>')?;
            let units: Vec<u16> = hex
                .as_bytes()
                .chunks(4)
                .filter_map(|c| {
                    std::str::from_utf8(c)
                        .ok()
                        .and_then(|c| u16::from_str_radix(c, 16).ok())
                })
                .collect();
            Some(String::from_utf16_lossy(&units))
        };
        let mut i = 0;
        while i < tokens.len() && map.len() < 70_000 {
            match tokens[i] {
                "beginbfchar" => mode = "char",
                "beginbfrange" => mode = "range",
                "endbfchar" | "endbfrange" => mode = "",
                from if mode == "char" => {
                    if let (Some(c), Some(l)) =
                        (code(from), tokens.get(i + 1).and_then(|t| letters(t)))
                    {
                        map.insert(c, l);
                        i += 1;
                    }
                }
                from if mode == "range" => {
                    if let (Some(a), Some(b)) =
                        (code(from), tokens.get(i + 1).and_then(|t| code(t)))
                    {
                        if tokens.get(i + 2) == Some(&"[") {
                            i += 3;
                            let mut c = a;
                            while i < tokens.len() && tokens[i] != "]" {
                                if let Some(l) = letters(tokens[i]) {
                                    map.insert(c, l);
                                }
                                c = c.wrapping_add(1);
                                i += 1;
                            }
                        } else if let Some(first) = tokens.get(i + 2).and_then(|t| code(t)) {
                            for n in 0..=b.saturating_sub(a).min(65_535) {
                                if let Some(l) = char::from_u32(first + n) {
                                    map.insert(a + n, l.to_string());
                                }
                            }
                            i += 2;
                        }
                    }
                }
                _ => {}
            }
            i += 1;
        }
        Self { wide, map }
    }

    /// The letters of one code.
    fn letter(&self, code: &[u8], out: &mut String) {
        let number = code.iter().fold(0, |n, b| n << 8 | u32::from(*b));
        match self.map.get(&number) {
            Some(letters) => out.push_str(letters),
            None if self.wide => out.extend(char::from_u32(number).filter(|c| !c.is_control())),
            None => out.extend(char::from_u32(number)),
        }
    }
}

/// A text string: UTF-16 or UTF-8 with a mark, else one byte a letter.
pub(crate) fn decode_text(bytes: &[u8]) -> String {
    if let Some(rest) = bytes.strip_prefix(b"\xfe\xff") {
        let units: Vec<u16> = rest
            .chunks_exact(2)
            .map(|p| u16::from_be_bytes([p[0], p[1]]))
            .collect();
        return String::from_utf16_lossy(&units);
    }
    if let Some(rest) = bytes.strip_prefix(b"\xef\xbb\xbf") {
        return String::from_utf8_lossy(rest).into_owned();
    }
    bytes.iter().map(|b| *b as char).collect()
}

impl Reader<'_> {
    /// What is attached, by name.
    fn attachments(&self) -> Vec<(String, Vec<u8>)> {
        let document = self.document;
        let mut out = Vec::new();
        for object in document.objects.values() {
            let Ok(dict) = object.as_dict() else { continue };
            let Some(files) = dict
                .get(b"EF")
                .ok()
                .and_then(|f| document.dereference(f).ok())
                .and_then(|(_, f)| f.as_dict().ok())
            else {
                continue;
            };
            let name = [&b"UF"[..], b"F"]
                .iter()
                .find_map(|k| dict.get(k).ok().and_then(|n| n.as_str().ok()))
                .map_or_else(|| "attachment".to_owned(), decode_text);
            let stream = [&b"F"[..], b"UF"]
                .iter()
                .find_map(|k| files.get(k).ok().and_then(|o| document.dereference(o).ok()));
            if let Some(stream) = stream.and_then(|(_, o)| o.as_stream().ok()) {
                if out.iter().any(|(n, _)| *n == name) {
                    continue;
                }
                // One without a filter is its own content.
                let most = usize::try_from(self.room.get()).unwrap_or(usize::MAX);
                match stream.get_plain_content_with_limit(most) {
                    Ok(data) => {
                        self.spend(data.len());
                        out.push((name, data));
                    }
                    Err(error) if too_large(&error) => self.over.set(true),
                    Err(_) => out.push((name, stream.content.clone())),
                }
            }
        }
        out
    }
}
