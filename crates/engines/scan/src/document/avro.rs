//! Avro object container files (Avro 1.11, "Object Container Files"): the text in their blocks.

use std::io::Read;

use super::{Problem, Run};
use crate::decode::{Ratio, View};
use crate::scan::Source;

/// A zig-zag number; how many bytes it took.
fn long(bytes: &[u8]) -> Option<(i64, usize)> {
    let mut n = 0_u64;
    for (i, b) in bytes.iter().take(10).enumerate() {
        n |= u64::from(b & 0x7f) << (7 * i as u32);
        if b & 0x80 == 0 {
            return Some(((n >> 1) as i64 ^ -((n & 1) as i64), i + 1));
        }
    }
    None
}

fn sized(bytes: &[u8]) -> Option<(&[u8], usize)> {
    let (n, used) = long(bytes)?;
    let n = usize::try_from(n).ok()?;
    Some((bytes.get(used..used.checked_add(n)?)?, used + n))
}

pub(super) fn scan(run: &mut Run<'_>, source: &Source, bytes: &[u8]) {
    if blocks(run, source, bytes).is_none() {
        run.problem(source, Problem::Corrupt);
    }
}

fn blocks(run: &mut Run<'_>, source: &Source, bytes: &[u8]) -> Option<()> {
    let mut at = 4;
    let mut codec = b"null".to_vec();
    loop {
        let (count, used) = long(bytes.get(at..)?)?;
        at += used;
        if count == 0 {
            break;
        }
        let mut count = count;
        if count < 0 {
            at += long(bytes.get(at..)?)?.1;
            count = -count;
        }
        for _ in 0..count.min(1_000) {
            let (key, used) = sized(bytes.get(at..)?)?;
            at += used;
            let (value, used) = sized(bytes.get(at..)?)?;
            at += used;
            if key == b"avro.codec" {
                codec = value.to_vec();
            }
        }
    }
    at += 16;
    let mut number = 0;
    while at < bytes.len() {
        let (_, used) = long(bytes.get(at..)?)?;
        at += used;
        let (data, used) = sized(bytes.get(at..)?)?;
        let place = at;
        at += used + 16;
        let allowance = run.allowance();
        let mut plain = Vec::new();
        match &codec[..] {
            b"null" | b"" => plain = data.to_vec(),
            b"deflate" => {
                flate2::read::DeflateDecoder::new(data)
                    .take(allowance)
                    .read_to_end(&mut plain)
                    .ok()?;
            }
            b"snappy" => {
                let packed = data.get(..data.len().checked_sub(4)?)?;
                if snap::raw::decompress_len(packed).ok()? as u64 > allowance {
                    run.problem(source, Problem::TooLarge);
                    return Some(());
                }
                plain = snap::raw::Decoder::new().decompress_vec(packed).ok()?;
            }
            b"zstandard" => {
                ruzstd::decoding::StreamingDecoder::new(data)
                    .ok()?
                    .take(allowance)
                    .read_to_end(&mut plain)
                    .ok()?;
            }
            b"bzip2" => {
                bzip2::read::BzDecoder::new(data)
                    .take(allowance)
                    .read_to_end(&mut plain)
                    .ok()?;
            }
            b"xz" => {
                lzma_rust2::XzReader::new(data, true)
                    .take(allowance)
                    .read_to_end(&mut plain)
                    .ok()?;
            }
            _ => {
                run.problem(source, Problem::Unsupported);
                return Some(());
            }
        }
        number += 1;
        run.expanded += plain.len() as u64;
        run.bytes += plain.len() as u64;
        // Values stand one after another with their lengths between them.
        let text = super::text::strings(&short_strings(&plain));
        let mut view = View::default();
        view.push(&text.bytes, place, Ratio::Point);
        view.finish(at.min(bytes.len()));
        run.view(source, bytes, view, &format!("block {number}"));
    }
    Some(())
}

/// Puts a line break in place of each length that a string follows.
fn short_strings(plain: &[u8]) -> Vec<u8> {
    let mut out = plain.to_vec();
    let mut i = 0;
    while i < plain.len() {
        if let Some((n, used)) = long(&plain[i..])
            && (4..4_096).contains(&n)
            && let Some(text) = plain.get(i + used..i + used + n as usize)
            && std::str::from_utf8(text).is_ok()
            && text.iter().all(|b| *b >= 0x20)
        {
            out[i..i + used].fill(0);
            i += used + n as usize;
            continue;
        }
        i += 1;
    }
    out
}
