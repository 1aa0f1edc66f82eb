//! A log written by another implementation, rebuilt byte for byte.

use std::path::Path;

use sealwright_merkle::{
    Checkpoint, EntryBundle, Hash, SignedNote, Tile, TileKind, VerifierKey, leaf_hash,
    prove_consistency, prove_inclusion, verify_consistency, verify_inclusion,
};

use crate::memory::MemoryLog;
use crate::shared;

struct Tessera {
    expected: serde_json::Value,
    key: VerifierKey,
    entries: Vec<Vec<u8>>,
}

fn load(folder: &Path) -> Tessera {
    let expected = shared::json(&folder.join("expected.json"));
    let key = expected["verifier_key"].as_str().unwrap().parse().unwrap();
    let entries = expected["entries_in_order"].as_array().unwrap();
    let entries = entries
        .iter()
        .map(|e| e.as_str().unwrap().as_bytes().to_vec())
        .collect();
    Tessera {
        expected,
        key,
        entries,
    }
}

#[test]
fn the_log_is_rebuilt_byte_for_byte() {
    let Some(folder) = shared::folder("ledger/tessera-log") else {
        return;
    };
    let tessera = load(&folder);
    let mut log = MemoryLog::default();
    for (i, entry) in tessera.entries.iter().enumerate() {
        log.grow(vec![entry.clone()]);
        let head = &tessera.expected["checkpoints"][i + 1];
        assert_eq!(head["size"], i + 1);
        assert_eq!(head["root_base64"], log.root().to_string());
        assert_eq!(
            tessera.expected["leaf_hashes_base64"][i],
            leaf_hash(entry).to_string()
        );
    }
    let mut stored = 0;
    for file in shared::files(&folder.join("log/tile")) {
        let path = file.strip_prefix(folder.join("log")).unwrap();
        let path = path.to_str().unwrap().replace('\\', "/");
        let bytes = std::fs::read(&file).unwrap();
        assert_eq!(log.files.get(&path), Some(&bytes), "{path}");
        let tile: Tile = path.parse().unwrap();
        if tile.kind == TileKind::Entries {
            let bundle = EntryBundle::parse(&bytes, tile.width).unwrap();
            assert!(bundle.iter().eq(tessera.entries.iter().take(bundle.len())));
        }
        stored += 1;
    }
    assert_eq!(stored, log.files.len());
    assert_eq!(stored, 30);
}

#[test]
fn every_checkpoint_opens_and_leads_to_the_next() {
    let Some(folder) = shared::folder("ledger/tessera-log") else {
        return;
    };
    let tessera = load(&folder);
    let log = MemoryLog::of(&[0]);
    let mut log = log;
    log.grow(tessera.entries.clone());
    let mut heads: Vec<(u64, Hash)> = Vec::new();
    for (size, head) in tessera.expected["checkpoints"]
        .as_array()
        .unwrap()
        .iter()
        .enumerate()
    {
        let file = folder.join(head["checkpoint"].as_str().unwrap());
        let bytes = std::fs::read(file).unwrap();
        let (checkpoint, note) = Checkpoint::open(&bytes, &tessera.key, &[]).unwrap();
        assert_eq!(checkpoint.size, size as u64);
        assert_eq!(checkpoint.origin, tessera.expected["origin"]);
        assert_eq!(
            note.to_string().into_bytes(),
            bytes,
            "a note is written as it was read"
        );
        heads.push((checkpoint.size, checkpoint.root));
    }
    assert_eq!(heads.len(), 16);
    for (new, new_root) in &heads[1..] {
        for (old, old_root) in heads[1..].iter().filter(|(old, _)| old <= new) {
            let proof = prove_consistency(&mut log.hashes(15), *old, *new).unwrap();
            verify_consistency(*old, *new, old_root, new_root, &proof).unwrap();
        }
        for index in 0..*new {
            let leaf = leaf_hash(&tessera.entries[index as usize]);
            let proof = prove_inclusion(&mut log.hashes(*new), index, *new).unwrap();
            verify_inclusion(index, *new, &leaf, &proof, new_root).unwrap();
        }
    }
}

#[test]
fn no_flipped_bit_of_a_checkpoint_passes() {
    let Some(folder) = shared::folder("ledger/tessera-log") else {
        return;
    };
    let tessera = load(&folder);
    let bytes = std::fs::read(folder.join("log/checkpoint.15")).unwrap();
    for at in 0..bytes.len() {
        for bit in 0..8 {
            let mut damaged = bytes.clone();
            damaged[at] ^= 1 << bit;
            assert!(
                Checkpoint::open(&damaged, &tessera.key, &[]).is_err(),
                "byte {at} bit {bit}"
            );
        }
    }
    assert!(SignedNote::parse(&bytes).is_ok());
}
