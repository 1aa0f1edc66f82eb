//! The checkpoint, and which of its bytes was changed.

use sealwright_merkle::{Checkpoint, VerifierKey};

/// The one byte whose change makes the note open again: its offset and what stood there. Only
/// characters that can stand in a checkpoint are tried, and a signature is only computed for
/// texts that have the right name, origin and form.
pub(super) fn repair(bytes: &[u8], key: &VerifierKey) -> Option<(usize, u8, Checkpoint)> {
    // A checkpoint has a few hundred bytes; anything longer is another kind of damage.
    if bytes.len() > 4_096 {
        return None;
    }
    let mut bytes = bytes.to_vec();
    for at in 0..bytes.len() {
        let is = bytes[at];
        for was in 0..=u8::MAX {
            if was == is {
                continue;
            }
            bytes[at] = was;
            if let Ok((checkpoint, _)) = Checkpoint::open(&bytes, key, &[]) {
                return Some((at, was, checkpoint));
            }
        }
        bytes[at] = is;
    }
    None
}
