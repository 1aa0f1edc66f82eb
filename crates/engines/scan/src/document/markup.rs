//! Markup without its tags: XML, HTML, and rich text. Entities that the document declares are not
//! expanded, and nothing outside it is read.

use std::sync::LazyLock;

use crate::decode::{Ratio, View};
use crate::engine::regexes::Lazy;

/// Elements that begin a new line of text. In the vocabularies of office documents all others
/// only dress a run of text.
const BLOCKS: &[&[u8]] = &[
    b"w:p",
    b"w:tc",
    b"w:tr",
    b"w:br",
    b"w:tab",
    b"w:cr",
    b"w:comment",
    b"w:footnote",
    b"a:p",
    b"a:br",
    b"a:tc",
    b"a:tr",
    b"text:p",
    b"text:h",
    b"text:tab",
    b"text:line-break",
    b"text:list-item",
];

/// Elements outside those that only dress a run of text.
const INLINE: &[&[u8]] = &[
    b"b", b"i", b"u", b"s", b"em", b"strong", b"span", b"a", b"font", b"small", b"big", b"sub",
    b"sup", b"mark", b"code", b"tt", b"wbr", b"ins", b"del", b"abbr", b"r", b"t", b"rpr", b"sz",
    b"color", b"rfont", b"family", b"scheme", b"bdo", b"label", b"var", b"kbd", b"samp", b"q",
    b"cite", b"nobr",
];

fn breaks(name: &[u8]) -> bool {
    let office = name.starts_with(b"w:") || name.starts_with(b"a:") || name.starts_with(b"text:");
    if office {
        return BLOCKS.contains(&name);
    }
    !INLINE.iter().any(|n| name.eq_ignore_ascii_case(n))
}

/// The text between the tags, and the values of attributes that have entities in them.
pub(crate) fn views(bytes: &[u8]) -> Vec<View> {
    let mut text = View::default();
    let mut attributes = View::default();
    let mut i = 0;
    while i < bytes.len() {
        if bytes[i] != b'<' {
            let end = memchr::memchr(b'<', &bytes[i..]).map_or(bytes.len(), |n| i + n);
            decoded(&mut text, bytes, i, end);
            i = end;
            continue;
        }
        if bytes[i..].starts_with(b"<!--") {
            let end = find(bytes, i + 4, b"-->");
            text.push(b"\n", i, Ratio::Point);
            i = end;
        } else if bytes[i..].starts_with(b"<![CDATA[") {
            let end = find(bytes, i + 9, b"]]>");
            let stop = end.saturating_sub(3).max(i + 9).min(bytes.len());
            text.push(&bytes[i + 9..stop], i + 9, Ratio::Same);
            i = end;
        } else {
            let closing = bytes.get(i + 1) == Some(&b'/');
            let name_at = i + 1 + usize::from(closing);
            let name_len = bytes[name_at.min(bytes.len())..]
                .iter()
                .take(64)
                .take_while(|b| {
                    b.is_ascii_alphanumeric() || matches!(b, b':' | b'_' | b'-' | b'!' | b'?')
                })
                .count();
            if name_len == 0 {
                text.push(b"<", i, Ratio::Same);
                i += 1;
                continue;
            }
            let name = &bytes[name_at..name_at + name_len];
            let end = tag_end(bytes, name_at + name_len);
            let tag = &bytes[i..end];
            if memchr::memchr(b'&', tag).is_some() && !closing {
                decoded(&mut attributes, bytes, i, end);
                attributes.push(b"\n", end, Ratio::Point);
            }
            if breaks(name) {
                // An element's name is the name of the value after it.
                text.push(b"\n", i, Ratio::Point);
                if !closing
                    && !name.contains(&b':')
                    && name_len > 2
                    && name[0].is_ascii_alphabetic()
                {
                    text.push(name, name_at, Ratio::Same);
                    text.push(b": ", name_at + name_len, Ratio::Point);
                }
            }
            i = end;
        }
    }
    text.finish(bytes.len());
    attributes.finish(bytes.len());
    let mut out = vec![text];
    if !attributes.bytes.is_empty() {
        out.push(attributes);
    }
    out
}

/// What shows that a text has entities or dressing in it; one pass for all of them.
static DRESSED: LazyLock<Lazy> =
    LazyLock::new(|| Lazy::new("&#|</b>|</span>|</i>|&nbsp;|&commat;"));

/// A text that is no markup as a whole but has entities or dressing in it.
pub(crate) fn inline(bytes: &[u8]) -> Option<View> {
    DRESSED.is_match(bytes).then(|| views(bytes).swap_remove(0))
}

fn find(bytes: &[u8], from: usize, what: &[u8]) -> usize {
    let from = from.min(bytes.len());
    memchr::memmem::find(&bytes[from..], what).map_or(bytes.len(), |n| from + n + what.len())
}

fn tag_end(bytes: &[u8], from: usize) -> usize {
    let mut quote = 0;
    for (i, b) in bytes[from.min(bytes.len())..]
        .iter()
        .enumerate()
        .take(65_536)
    {
        match b {
            b'"' | b'\'' if quote == 0 => quote = *b,
            b if *b == quote => quote = 0,
            b'>' if quote == 0 => return from + i + 1,
            b'<' if quote == 0 && i > 0 => return from + i,
            _ => {}
        }
    }
    // A quote that is never closed: the tag ends at the next bracket all the same.
    memchr::memchr(b'>', &bytes[from.min(bytes.len())..]).map_or(bytes.len(), |n| from + n + 1)
}

/// Text with the entities of XML and the usual ones of HTML.
fn decoded(view: &mut View, bytes: &[u8], start: usize, end: usize) {
    let mut from = start;
    let mut buffer = [0_u8; 4];
    for at in memchr::memchr_iter(b'&', &bytes[start..end]).map(|n| start + n) {
        if at < from {
            continue;
        }
        let Some(length) = bytes[at..end.min(at + 12)].iter().position(|b| *b == b';') else {
            continue;
        };
        let name = &bytes[at + 1..at + length];
        let number = |t: &[u8], radix| {
            std::str::from_utf8(t)
                .ok()
                .and_then(|t| u32::from_str_radix(t, radix).ok())
        };
        let c = match name {
            [b'#', b'x' | b'X', rest @ ..] => number(rest, 16).and_then(char::from_u32),
            [b'#', rest @ ..] => number(rest, 10).and_then(char::from_u32),
            b"amp" => Some('&'),
            b"lt" => Some('<'),
            b"gt" => Some('>'),
            b"quot" => Some('"'),
            b"apos" => Some('\''),
            b"nbsp" => Some(' '),
            b"commat" => Some('@'),
            b"period" => Some('.'),
            b"plus" => Some('+'),
            b"lpar" => Some('('),
            b"rpar" => Some(')'),
            b"hyphen" | b"dash" => Some('-'),
            b"shy" | b"ZeroWidthSpace" => Some('\u{200b}'),
            _ => None,
        };
        let Some(c) = c else { continue };
        view.push(&bytes[from..at], from, Ratio::Same);
        let c = if c == '\u{a0}' { ' ' } else { c };
        if c != '\u{200b}' && c != '\u{ad}' {
            view.push(c.encode_utf8(&mut buffer).as_bytes(), at, Ratio::Point);
        }
        from = at + length + 1;
    }
    view.push(&bytes[from..end], from, Ratio::Same);
}

/// Rich text without its groups and control words.
pub(crate) fn rtf(bytes: &[u8]) -> View {
    let mut view = View::default();
    let mut i = 0;
    let mut buffer = [0_u8; 4];
    let mut skip_after_u = 0_usize;
    while i < bytes.len() {
        match bytes[i] {
            b'{' | b'}' | b'\r' | b'\n' => i += 1,
            b'\\' => {
                let next = bytes.get(i + 1).copied().unwrap_or(b' ');
                if next == b'\'' {
                    let hex = bytes
                        .get(i + 2..i + 4)
                        .and_then(|h| std::str::from_utf8(h).ok());
                    if let Some(b) = hex.and_then(|h| u8::from_str_radix(h, 16).ok()) {
                        if skip_after_u > 0 {
                            skip_after_u -= 1;
                        } else {
                            view.push(
                                (b as char).encode_utf8(&mut buffer).as_bytes(),
                                i,
                                Ratio::Point,
                            );
                        }
                    }
                    i += 4;
                } else if next.is_ascii_alphabetic() {
                    let word = bytes[i + 1..]
                        .iter()
                        .take(32)
                        .take_while(|b| b.is_ascii_alphabetic())
                        .count();
                    let name = &bytes[i + 1..i + 1 + word];
                    let mut end = i + 1 + word;
                    let number_at = end;
                    while end < bytes.len()
                        && (bytes[end].is_ascii_digit() || bytes[end] == b'-' && end == number_at)
                    {
                        end += 1;
                    }
                    let parameter = std::str::from_utf8(&bytes[number_at..end])
                        .ok()
                        .and_then(|t| t.parse::<i32>().ok());
                    if bytes.get(end) == Some(&b' ') {
                        end += 1;
                    }
                    match name {
                        b"par" | b"line" | b"cell" | b"row" | b"tab" | b"sect" | b"page" => {
                            view.push(b"\n", i, Ratio::Point);
                        }
                        b"u" => {
                            let code =
                                parameter.map_or(0, |p| if p < 0 { p + 65_536 } else { p }) as u32;
                            if let Some(c) = char::from_u32(code) {
                                view.push(c.encode_utf8(&mut buffer).as_bytes(), i, Ratio::Point);
                            }
                            // One character follows for readers that know no Unicode.
                            if bytes.get(end) == Some(&b'\\') {
                                skip_after_u = 1;
                            } else {
                                end += 1;
                            }
                        }
                        _ => {}
                    }
                    i = end;
                } else {
                    let c = match next {
                        b'~' => b' ',
                        b'_' => b'-',
                        b'-' | b'*' => 0,
                        c => c,
                    };
                    if c != 0 {
                        view.push(&[c], i, Ratio::Point);
                    }
                    i += 2;
                }
            }
            b => {
                view.push(&[b], i, Ratio::Same);
                i += 1;
            }
        }
    }
    view.finish(bytes.len());
    view
}
