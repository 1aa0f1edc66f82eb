//! Laws: every proof verifies, and nothing else does.

use proptest::prelude::*;
use sealwright_merkle::{
    Frontier, Hash, Tile, TileKind, leaf_hash, prove_consistency, prove_inclusion, root_of_leaves,
    tree_root, verify_consistency, verify_inclusion,
};

use crate::memory::MemoryLog;

/// RFC 6962, section 2.1, word for word, as the reference.
fn mth(leaves: &[Hash]) -> Hash {
    match leaves {
        [] => sealwright_merkle::empty_root(),
        [one] => *one,
        _ => {
            let k = leaves.len().next_power_of_two() / 2;
            let (left, right) = leaves.split_at(k);
            sealwright_merkle::node_hash(&mth(left), &mth(right))
        }
    }
}

/// RFC 6962, section 2.1.1, word for word.
fn path(m: usize, leaves: &[Hash]) -> Vec<Hash> {
    if leaves.len() == 1 {
        return Vec::new();
    }
    let k = leaves.len().next_power_of_two() / 2;
    let (left, right) = leaves.split_at(k);
    let (mut proof, sibling) = if m < k {
        (path(m, left), mth(right))
    } else {
        (path(m - k, right), mth(left))
    };
    proof.push(sibling);
    proof
}

/// RFC 6962, section 2.1.2, word for word.
fn subproof(m: usize, leaves: &[Hash], known: bool) -> Vec<Hash> {
    if m == leaves.len() {
        return if known { Vec::new() } else { vec![mth(leaves)] };
    }
    let k = leaves.len().next_power_of_two() / 2;
    let (left, right) = leaves.split_at(k);
    let (mut proof, sibling) = if m <= k {
        (subproof(m, left, known), mth(right))
    } else {
        (subproof(m - k, right, false), mth(left))
    };
    proof.push(sibling);
    proof
}

#[test]
fn every_proof_of_every_small_tree_is_the_one_of_the_rfc() {
    let log = MemoryLog::of(&[1, 2, 5, 40, 66]);
    let leaves: Vec<_> = log.entries.iter().map(|e| leaf_hash(e)).collect();
    for size in 1..=66_usize {
        let mut source = log.hashes(size as u64);
        let root = tree_root(&mut source, size as u64).unwrap();
        assert_eq!(root, mth(&leaves[..size]), "size {size}");
        assert_eq!(root, root_of_leaves(leaves[..size].to_vec()));
        for index in 0..size {
            let proof = prove_inclusion(&mut source, index as u64, size as u64).unwrap();
            assert_eq!(proof, path(index, &leaves[..size]), "{index} of {size}");
            verify_inclusion(index as u64, size as u64, &leaves[index], &proof, &root).unwrap();
        }
        for old in 1..=size {
            let proof = prove_consistency(&mut source, old as u64, size as u64).unwrap();
            assert_eq!(
                proof,
                subproof(old, &leaves[..size], true),
                "{old} to {size}"
            );
            let old_root = mth(&leaves[..old]);
            verify_consistency(old as u64, size as u64, &old_root, &root, &proof).unwrap();
        }
    }
}

#[test]
fn a_tree_of_three_tile_levels_proves_its_entries() {
    let log = MemoryLog::of(&[1, 300, 65_536, 66_000, 70_000]);
    let leaves: Vec<_> = log.entries.iter().map(|e| leaf_hash(e)).collect();
    let size = log.size();
    assert_eq!(log.root(), root_of_leaves(leaves.clone()));
    for index in [0, 1, 255, 256, 65_535, 65_536, 65_999, 69_999_u64] {
        let proof = prove_inclusion(&mut log.hashes(size), index, size).unwrap();
        assert_eq!(proof, path(index as usize, &leaves));
        verify_inclusion(index, size, &leaves[index as usize], &proof, &log.root()).unwrap();
    }
    for old in [1, 256, 300, 65_535, 65_536, 65_537, 69_999_u64] {
        let proof = prove_consistency(&mut log.hashes(size), old, size).unwrap();
        assert_eq!(proof, subproof(old as usize, &leaves, true));
    }
    let loaded = Frontier::load(&mut log.hashes(size), size).unwrap();
    assert_eq!(loaded.root(), log.root());
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 96, ..ProptestConfig::default() })]

    #[test]
    fn inclusion_holds_and_no_flipped_bit_does(
        size in 1_u64..900, place: prop::sample::Index, bit: prop::sample::Index,
    ) {
        let log = MemoryLog::of(&[size]);
        let index = place.index(size as usize) as u64;
        let leaf = leaf_hash(&log.entries[index as usize]);
        let root = log.root();
        let mut proof = prove_inclusion(&mut log.hashes(size), index, size).unwrap();
        prop_assert!(verify_inclusion(index, size, &leaf, &proof, &root).is_ok());
        prop_assert!(verify_inclusion(index ^ 1, size, &leaf, &proof, &root).is_err());
        let flip = bit.index((proof.len() + 2) * 256);
        let (mut leaf, mut root) = (leaf, root);
        let hash = match flip / 256 {
            0 => &mut leaf,
            1 => &mut root,
            n => &mut proof[n - 2],
        };
        hash.0[flip % 256 / 8] ^= 1 << (flip % 8);
        prop_assert!(verify_inclusion(index, size, &leaf, &proof, &root).is_err());
    }

    #[test]
    fn consistency_holds_and_no_flipped_bit_does(
        old in 1_u64..500, more in 1_u64..500, bit: prop::sample::Index,
    ) {
        let new = old + more;
        let log = MemoryLog::of(&[old, new]);
        let (old_root, new_root) = (MemoryLog::of(&[old]).root(), log.root());
        let proof = prove_consistency(&mut log.hashes(new), old, new).unwrap();
        prop_assert!(verify_consistency(old, new, &old_root, &new_root, &proof).is_ok());
        prop_assert!(verify_consistency(new, old, &new_root, &old_root, &proof).is_err());
        let (mut a, mut b, mut proof) = (old_root, new_root, proof);
        let flip = bit.index((proof.len() + 2) * 256);
        let hash = match flip / 256 {
            0 => &mut a,
            1 => &mut b,
            n => &mut proof[n - 2],
        };
        hash.0[flip % 256 / 8] ^= 1 << (flip % 8);
        prop_assert!(verify_consistency(old, new, &a, &b, &proof).is_err());
    }

    #[test]
    fn the_tree_does_not_depend_on_how_it_grew(
        steps in prop::collection::vec(1_u64..400, 1..8),
    ) {
        let sizes: Vec<u64> = steps
            .iter()
            .scan(0, |sum, step| { *sum += step; Some(*sum) })
            .collect();
        let stepwise = MemoryLog::of(&sizes);
        let size = stepwise.size();
        let at_once = MemoryLog::of(&[size]);
        prop_assert_eq!(stepwise.root(), at_once.root());
        for (path, bytes) in &at_once.files {
            prop_assert_eq!(stepwise.files.get(path), Some(bytes), "{}", path);
        }
        // And every checkpoint on the way has its tiles.
        for size in sizes {
            for tile in Tile::partials(size) {
                prop_assert!(stepwise.files.contains_key(&tile.path()));
            }
        }
    }

    #[test]
    fn proofs_of_the_wrong_length_are_refused(
        index: u64, size: u64, proof in prop::collection::vec(any::<[u8; 32]>(), 0..70),
        old: u64,
    ) {
        let proof: Vec<Hash> = proof.into_iter().map(Hash).collect();
        let root = Hash([7; 32]);
        prop_assert!(verify_inclusion(index, size, &root, &proof, &root).is_err() || size == 1);
        let same = old == size && proof.is_empty();
        prop_assert!(same || verify_consistency(old, size, &root, &root, &proof).is_err());
    }

    #[test]
    fn tile_paths_read_back(level in 0_u8..=63, index: u64, width in 1_u16..=256, entries: bool) {
        let kind = if entries { TileKind::Entries } else { TileKind::Hashes(level) };
        let tile = Tile { kind, index, width };
        prop_assert_eq!(tile.path().parse::<Tile>().unwrap(), tile);
    }
}
