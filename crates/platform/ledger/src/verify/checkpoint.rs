//! Which byte of a checkpoint was changed.

use sealwright_merkle::{Checkpoint, VerifierKey};

/// Longer files are another kind of damage; a checkpoint has a few hundred bytes.
const MAX_REPAIR: usize = 4_096;

/// The characters that can stand in a checkpoint's signature.
const BASE64: &[u8] = b"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/=";

/// The one byte whose change makes the note open again: its offset and what stood there, and the
/// checkpoint that it then is. `guess` is what the tiles say the checkpoint should be.
pub(super) fn repair(
    bytes: &[u8],
    key: &VerifierKey,
    guess: Option<&Checkpoint>,
) -> Option<(usize, u8, Checkpoint)> {
    if bytes.len() > MAX_REPAIR {
        return None;
    }
    let opens = |at: usize, was: u8| {
        let mut copy = bytes.to_vec();
        copy[at] = was;
        let (checkpoint, _) = Checkpoint::open(&copy, key, &[]).ok()?;
        Some((at, was, checkpoint))
    };
    // Everything before the signature's bytes is known, given the tree: the damage is where the
    // file differs from that.
    let known = guess.map(|guess| format!("{guess}\n\u{2014} {} ", key.name()).into_bytes());
    let known = known.unwrap_or_default();
    if let Some(at) = known.iter().zip(bytes).position(|(a, b)| a != b)
        && let Some(found) = opens(at, known[at])
    {
        return Some(found);
    }
    // Otherwise each byte of the signature is tried, and, should the guess have been wrong, each
    // of the text. Only what can be parsed costs a signature check.
    let order = (known.len().min(bytes.len())..bytes.len()).chain(0..known.len().min(bytes.len()));
    for at in order {
        let others = BASE64
            .iter()
            .copied()
            .chain((b' '..=b'~').filter(|b| !BASE64.contains(b)));
        for was in others.chain([b'\n']).filter(|was| *was != bytes[at]) {
            if let Some(found) = opens(at, was) {
                return Some(found);
            }
        }
    }
    None
}
