//! What pictures say beside their pixels: text chunks, EXIF, XMP, comments.

use std::io::Read;

use super::kind::Kind;
use super::{Problem, Run};
use crate::decode::{Ratio, View};
use crate::scan::Source;

pub(super) fn scan(run: &mut Run<'_>, source: &Source, bytes: &[u8], kind: Kind) {
    let mut view = View::default();
    let whole = match kind {
        Kind::Png => png(bytes, &mut view),
        Kind::Jpeg => jpeg(bytes, &mut view),
        Kind::Tiff => {
            tiff(bytes, 0, &mut view);
            true
        }
        Kind::Webp => {
            webp(bytes, &mut view);
            true
        }
        _ => {
            let strings = super::text::strings(bytes);
            view.push(&strings.bytes, 0, Ratio::Point);
            true
        }
    };
    // XMP is text wherever it stands.
    if let Some(at) = memchr::memmem::find(bytes, b"<x:xmpmeta") {
        let end =
            memchr::memmem::find(&bytes[at..], b"</x:xmpmeta>").map_or(bytes.len(), |n| at + n);
        let text = super::markup::views(&bytes[at..end]).swap_remove(0);
        line(&mut view, "XMP", &text.bytes, at);
        line(&mut view, "XMP", &bytes[at..end], at);
    }
    view.finish(bytes.len());
    run.view(source, bytes, view, "image metadata");
    if !whole {
        run.problem(source, Problem::Corrupt);
    }
}

fn line(view: &mut View, name: &str, text: &[u8], at: usize) {
    view.push(name.as_bytes(), at, Ratio::Point);
    view.push(b": ", at, Ratio::Point);
    view.push(text, at, Ratio::Point);
    view.push(b"\n", at, Ratio::Point);
}

fn inflate(data: &[u8]) -> Vec<u8> {
    let mut out = Vec::new();
    // Whatever could be read before an error is text too.
    let _ = flate2::read::ZlibDecoder::new(data)
        .take(4 << 20)
        .read_to_end(&mut out);
    out
}

fn png(bytes: &[u8], view: &mut View) -> bool {
    let mut at = 8;
    while let Some(head) = bytes.get(at..at + 8) {
        let length = u32::from_be_bytes([head[0], head[1], head[2], head[3]]) as usize;
        let Some(data) = bytes.get(at + 8..at + 8 + length) else {
            return false;
        };
        let after = |n: usize| memchr::memchr(0, &data[n.min(data.len())..]).map(|i| n + i + 1);
        match &head[4..8] {
            b"tEXt" => {
                if let Some(n) = after(0) {
                    line(
                        view,
                        &String::from_utf8_lossy(&data[..n - 1]),
                        &data[n..],
                        at + 8 + n,
                    );
                }
            }
            b"zTXt" => {
                if let Some(n) = after(0) {
                    let text = inflate(data.get(n + 1..).unwrap_or_default());
                    line(
                        view,
                        &String::from_utf8_lossy(&data[..n - 1]),
                        &text,
                        at + 8 + n,
                    );
                }
            }
            b"iTXt" => {
                if let Some(n) = after(0) {
                    let packed = data.get(n) == Some(&1);
                    if let Some(text) = after(n + 2).and_then(after) {
                        let raw = &data[text..];
                        let text = if packed { inflate(raw) } else { raw.to_vec() };
                        line(
                            view,
                            &String::from_utf8_lossy(&data[..n - 1]),
                            &text,
                            at + 8 + n,
                        );
                    }
                }
            }
            b"eXIf" => tiff(data, at + 8, view),
            b"IEND" => return true,
            _ => {}
        }
        at += length + 12;
    }
    false
}

fn jpeg(bytes: &[u8], view: &mut View) -> bool {
    let mut at = 2;
    while let Some(head) = bytes.get(at..at + 4) {
        if head[0] != 0xff {
            return false;
        }
        if matches!(head[1], 0xd9 | 0xda) {
            return true;
        }
        let length = usize::from(u16::from_be_bytes([head[2], head[3]]));
        let Some(data) = bytes.get(at + 4..at + 2 + length.max(2)) else {
            return false;
        };
        match head[1] {
            0xe1 if data.starts_with(b"Exif\0\0") => tiff(&data[6..], at + 10, view),
            0xe1 | 0xed => {
                let strings = super::text::strings(data);
                line(view, "metadata", &strings.bytes, at + 4);
            }
            0xfe => line(view, "comment", data, at + 4),
            _ => {}
        }
        at += 2 + length.max(2);
    }
    false
}

fn webp(bytes: &[u8], view: &mut View) {
    let mut at = 12;
    while let Some(head) = bytes.get(at..at + 8) {
        let length = u32::from_le_bytes([head[4], head[5], head[6], head[7]]) as usize;
        let Some(data) = bytes.get(at + 8..at + 8 + length) else {
            return;
        };
        if &head[..4] == b"EXIF" {
            tiff(data.strip_prefix(b"Exif\0\0").unwrap_or(data), at + 8, view);
        }
        at += 8 + length + length % 2;
    }
}

/// A TIFF structure: its texts, and the position that it was taken at.
fn tiff(bytes: &[u8], base: usize, view: &mut View) {
    let little = bytes.starts_with(b"II");
    let u16_at = |at: usize| -> Option<u16> {
        let b = bytes.get(at..at + 2)?;
        Some(if little {
            u16::from_le_bytes([b[0], b[1]])
        } else {
            u16::from_be_bytes([b[0], b[1]])
        })
    };
    let u32_at = |at: usize| -> Option<u32> {
        let b = bytes.get(at..at + 4)?;
        Some(if little {
            u32::from_le_bytes([b[0], b[1], b[2], b[3]])
        } else {
            u32::from_be_bytes([b[0], b[1], b[2], b[3]])
        })
    };
    let mut directories: Vec<(usize, bool)> =
        u32_at(4).map(|o| (o as usize, false)).into_iter().collect();
    let mut seen = 0;
    let mut position: [Option<f64>; 2] = [None; 2];
    let mut sign = [1.0_f64; 2];
    let mut position_at = base;
    while let Some((directory, gps)) = directories.pop() {
        seen += 1;
        if seen > 32 {
            break;
        }
        let Some(count) = u16_at(directory) else {
            continue;
        };
        for i in 0..usize::from(count).min(512) {
            let entry = directory + 2 + i * 12;
            let (Some(tag), Some(kind), Some(n)) =
                (u16_at(entry), u16_at(entry + 2), u32_at(entry + 4))
            else {
                break;
            };
            let unit = match kind {
                1 | 2 | 6 | 7 => 1,
                3 | 8 => 2,
                4 | 9 => 4,
                5 | 10 | 12 => 8,
                _ => continue,
            };
            let length = (n as usize).saturating_mul(unit);
            let place = if length <= 4 {
                entry + 8
            } else {
                u32_at(entry + 8).unwrap_or(u32::MAX) as usize
            };
            let Some(data) = place
                .checked_add(length)
                .and_then(|end| bytes.get(place..end))
            else {
                continue;
            };
            match (gps, tag) {
                (false, 0x8769 | 0xa005) => {
                    directories.extend(u32_at(entry + 8).map(|o| (o as usize, false)))
                }
                (false, 0x8825) => {
                    directories.extend(u32_at(entry + 8).map(|o| (o as usize, true)))
                }
                (true, 1 | 3) => {
                    let axis = usize::from(tag == 3);
                    if matches!(data.first(), Some(b'S' | b'W')) {
                        sign[axis] = -1.0;
                    }
                }
                (true, 2 | 4) if length >= 24 => {
                    let rational = |i: usize| -> Option<f64> {
                        let (a, b) = (u32_at(place + i * 8)?, u32_at(place + i * 8 + 4)?);
                        (b != 0).then(|| f64::from(a) / f64::from(b))
                    };
                    if let (Some(d), Some(m), Some(s)) = (rational(0), rational(1), rational(2)) {
                        position[usize::from(tag == 4)] = Some(d + m / 60.0 + s / 3600.0);
                        position_at = base + place;
                    }
                }
                _ if kind == 2 || kind == 7 || (kind == 1 && length > 8) => {
                    let text = data
                        .strip_prefix(b"ASCII\0\0\0")
                        .or_else(|| data.strip_prefix(b"UNICODE\0"))
                        .unwrap_or(data);
                    if length > 3 {
                        let clean: Vec<u8> = text.iter().copied().filter(|b| *b != 0).collect();
                        if clean.len() < 65_536 {
                            line(view, &format!("tag {tag}"), &clean, base + place);
                        }
                    }
                }
                _ => {}
            }
        }
        if let Some(next) =
            u32_at(directory + 2 + usize::from(count) * 12).filter(|n| *n != 0 && !gps)
        {
            directories.push((next as usize, false));
        }
    }
    if let [Some(lat), Some(lon)] = position {
        let text = format!("{:.6}, {:.6}", lat * sign[0], lon * sign[1]);
        line(view, "GPS position", text.as_bytes(), position_at);
    }
}
