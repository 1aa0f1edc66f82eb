//! Blocks: a run of events as both logs keep it. Version 1: a table of tenants, then each event's
//! attributes and canonical text with lengths in front, the whole compressed by zstd.
//!
//! Digests are not kept: the text is, and they are computed from it when it is read.

use bytes::Bytes;
use sealwright_core::{Digest, Id, TenantId, UnixMicros};
use sealwright_events::StoredEvent;
use uuid::Uuid;

use crate::model::NewEvent;

const VERSION: u8 = 1;
/// A block ends behind the event that reaches one of these.
const BLOCK_EVENTS: usize = 4_096;
const BLOCK_BYTES: usize = 1 << 20;
/// No block is larger than this before compression: the last event may be as large as one may be.
const RAW_LIMIT: usize = 64 << 20;

/// A block before it is written.
#[derive(Debug)]
pub(crate) struct Block {
    /// Events in it.
    pub(crate) count: u32,
    /// Bytes before compression.
    pub(crate) raw_len: u32,
    /// Compressed.
    pub(crate) body: Vec<u8>,
}

fn put(mut value: u64, out: &mut Vec<u8>) {
    while value >= 0x80 {
        out.push((value as u8 & 0x7f) | 0x80);
        value >>= 7;
    }
    out.push(value as u8);
}

fn put_text(text: &str, out: &mut Vec<u8>) {
    put(text.len() as u64, out);
    out.extend_from_slice(text.as_bytes());
}

/// Makes blocks of `events`.
pub(crate) fn encode(
    events: &[&NewEvent],
    received_at: UnixMicros,
    compressor: &mut zstd::bulk::Compressor<'_>,
) -> std::io::Result<Vec<Block>> {
    let mut blocks = Vec::new();
    let mut rest = events;
    let mut raw = Vec::with_capacity(BLOCK_BYTES + BLOCK_BYTES / 4);
    while !rest.is_empty() {
        let mut tenants: Vec<TenantId> = Vec::new();
        raw.clear();
        let mut count = 0;
        for event in rest {
            if count == BLOCK_EVENTS || raw.len() >= BLOCK_BYTES {
                break;
            }
            let index = match tenants.iter().rposition(|t| *t == event.tenant) {
                Some(index) => index,
                None => {
                    tenants.push(event.tenant);
                    tenants.len() - 1
                }
            };
            put(index as u64, &mut raw);
            match event.event.time_micros() {
                None => raw.push(0),
                Some(time) => {
                    raw.push(1);
                    let delta = time.wrapping_sub(received_at.0);
                    put(((delta << 1) ^ (delta >> 63)) as u64, &mut raw);
                }
            }
            put_text(event.event.id(), &mut raw);
            put_text(event.event.source(), &mut raw);
            put_text(event.event.event_type(), &mut raw);
            match event.event.subject() {
                None => raw.push(0),
                Some(subject) => {
                    raw.push(1);
                    put_text(subject, &mut raw);
                }
            }
            put_text(event.event.json(), &mut raw);
            count += 1;
        }
        rest = &rest[count..];
        let mut head = vec![VERSION];
        put(tenants.len() as u64, &mut head);
        for tenant in &tenants {
            head.extend_from_slice(tenant.uuid().as_bytes());
        }
        let mut whole = head;
        whole.extend_from_slice(&raw);
        blocks.push(Block {
            count: count as u32,
            raw_len: whole.len() as u32,
            body: compressor.compress(&whole)?,
        });
    }
    Ok(blocks)
}

struct Reader {
    raw: Bytes,
    pos: usize,
}

impl Reader {
    fn take(&mut self, length: usize) -> Result<Bytes, String> {
        let end = self
            .pos
            .checked_add(length)
            .filter(|end| *end <= self.raw.len())
            .ok_or_else(|| format!("the block ends inside of a field at byte {}", self.pos))?;
        let part = self.raw.slice(self.pos..end);
        self.pos = end;
        Ok(part)
    }

    fn byte(&mut self) -> Result<u8, String> {
        self.take(1).map(|b| b[0])
    }

    fn number(&mut self) -> Result<u64, String> {
        let mut value = 0u64;
        for shift in (0..64).step_by(7) {
            let byte = self.byte()?;
            value |= u64::from(byte & 0x7f) << shift;
            if byte < 0x80 {
                return Ok(value);
            }
        }
        Err(format!("a number at byte {} does not end", self.pos))
    }

    fn bytes(&mut self) -> Result<Bytes, String> {
        let length = self.number()?;
        self.take(usize::try_from(length).unwrap_or(usize::MAX))
    }

    fn text(&mut self) -> Result<String, String> {
        let bytes = self.bytes()?;
        std::str::from_utf8(&bytes)
            .map(str::to_owned)
            .map_err(|_| format!("text before byte {} is not UTF-8", self.pos))
    }
}

/// Reads a block back; the error says what does not fit.
pub(crate) fn decode(
    body: &[u8],
    raw_len: usize,
    count: usize,
    first_offset: u64,
    received_at: UnixMicros,
) -> Result<Vec<StoredEvent>, String> {
    if raw_len > RAW_LIMIT {
        return Err(format!("the block claims {raw_len} bytes"));
    }
    let raw = zstd::bulk::decompress(body, raw_len).map_err(|e| format!("zstd: {e}"))?;
    if raw.len() != raw_len {
        return Err(format!("{} bytes instead of {raw_len}", raw.len()));
    }
    let mut reader = Reader {
        raw: Bytes::from(raw),
        pos: 0,
    };
    let version = reader.byte()?;
    if version != VERSION {
        return Err(format!("blocks of version {version} are not known"));
    }
    let tenants = reader.number()?;
    let mut table: Vec<TenantId> = Vec::new();
    for _ in 0..tenants {
        let mut bytes = [0; 16];
        bytes.copy_from_slice(&reader.take(16)?);
        table.push(Id::from_uuid(Uuid::from_bytes(bytes)));
    }
    let mut events = Vec::with_capacity(count.min(BLOCK_EVENTS));
    for i in 0..count {
        let index = reader.number()?;
        let tenant = usize::try_from(index)
            .ok()
            .and_then(|index| table.get(index))
            .ok_or_else(|| format!("event {i} names tenant {index} of {tenants}"))?;
        let time = match reader.byte()? {
            0 => received_at,
            _ => {
                let zigzag = reader.number()?;
                let delta = (zigzag >> 1) as i64 ^ -((zigzag & 1) as i64);
                UnixMicros(received_at.0.wrapping_add(delta))
            }
        };
        let (id, source, event_type) = (reader.text()?, reader.text()?, reader.text()?);
        let subject = match reader.byte()? {
            0 => None,
            _ => Some(reader.text()?),
        };
        let json = reader.bytes()?;
        events.push(StoredEvent {
            offset: first_offset + i as u64,
            tenant: *tenant,
            received_at,
            time,
            id,
            source,
            event_type,
            subject,
            digest: Digest::of(&json),
            json,
        });
    }
    if reader.pos != reader.raw.len() {
        return Err("there are bytes behind the last event".to_owned());
    }
    Ok(events)
}
