//! One finding for one value: where detectors report the same bytes, the most telling one stays.

use super::{Hit, Scanner};
use crate::detector::Class;

/// Sorts by place and drops what another hit covers better.
pub(super) fn resolve(scanner: &Scanner, hits: &mut Vec<Hit>) {
    hits.sort_by_key(|a| (a.start, a.end, a.detector));
    hits.dedup_by(|a, b| (a.start, a.end, a.detector) == (b.start, b.end, b.detector));
    if scanner.options.overlaps {
        return;
    }
    let mut kept: Vec<Hit> = Vec::with_capacity(hits.len());
    'next: for hit in hits.drain(..) {
        // Hits are sorted by start: only the last few kept ones can overlap this one.
        let mut i = kept.len();
        while i > 0 {
            i -= 1;
            let other = &kept[i];
            if other.start + 70_000 < hit.start {
                break;
            }
            if other.end <= hit.start {
                continue;
            }
            if better(scanner, &hit, other) {
                kept.remove(i);
            } else {
                continue 'next;
            }
        }
        kept.push(hit);
    }
    *hits = kept;
}

/// Whether `a` says more than `b` about bytes that they share.
fn better(scanner: &Scanner, a: &Hit, b: &Hit) -> bool {
    let rank = |h: &Hit| {
        let d = &scanner.ready[h.detector as usize].detector;
        let kind = if d.generic {
            0
        } else if d.near {
            1
        } else {
            2
        };
        let secret = d.class == Class::Secret && kind == 2;
        // A named field beats everything about numbers; a token with a form of its own beats the
        // number or the address inside it.
        let sure = (h.confidence * 20.0) as i32;
        (
            i32::from(secret && h.end - h.start > 15),
            i32::from(h.why.field.is_some() && h.confidence >= 0.5),
            kind,
            sure,
            h.end - h.start,
            std::cmp::Reverse(h.detector),
        )
    };
    rank(a) > rank(b)
}
