//! The proof vectors of transparency-dev/merkle: 98 of inclusion, 98 of consistency.

use std::path::Path;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use sealwright_merkle::{Hash, leaf_hash, verify_consistency, verify_inclusion};
use serde_json::Value;

use crate::shared;

/// Whether a value can be a [`Hash`] at all. Some vectors use an empty text, which this crate
/// refuses when it is read.
fn is_hash(value: &Value) -> bool {
    value
        .as_str()
        .is_some_and(|text| text.parse::<Hash>().is_ok())
}

/// Some consistency vectors use short texts as roots ("don't care 1"). A [`Hash`] always has 32 bytes, so
/// those are mapped to the hash of their bytes: equal texts stay equal, others stay different.
fn hash(value: &Value) -> Hash {
    let bytes = STANDARD.decode(value.as_str().unwrap()).unwrap();
    Hash::from_slice(&bytes).unwrap_or_else(|| leaf_hash(&bytes))
}

fn proof(value: &Value) -> Vec<Hash> {
    match value {
        Value::Null => Vec::new(),
        Value::Array(hashes) => hashes.iter().map(hash).collect(),
        _ => panic!("a proof must be null or a list"),
    }
}

fn number(value: &Value) -> u64 {
    value.to_string().parse().unwrap()
}

fn inclusion_holds(case: &Value) -> bool {
    let (root, leaf) = (hash(&case["root"]), hash(&case["leafHash"]));
    if !is_hash(&case["root"]) || !is_hash(&case["leafHash"]) {
        return false;
    }
    let (index, size) = (number(&case["leafIdx"]), number(&case["treeSize"]));
    verify_inclusion(index, size, &leaf, &proof(&case["proof"]), &root).is_ok()
}

fn consistency_holds(case: &Value) -> bool {
    let (old_root, new_root) = (hash(&case["root1"]), hash(&case["root2"]));
    let (old, new) = (number(&case["size1"]), number(&case["size2"]));
    verify_consistency(old, new, &old_root, &new_root, &proof(&case["proof"])).is_ok()
}

fn run(folder: &Path, holds: fn(&Value) -> bool) -> (usize, usize) {
    let (mut accepted, mut refused) = (0, 0);
    for file in shared::files(folder) {
        let case = shared::json(&file);
        let wanted = !case["wantErr"].as_bool().unwrap();
        assert_eq!(holds(&case), wanted, "{}", file.display());
        if wanted { accepted += 1 } else { refused += 1 }
    }
    (accepted, refused)
}

#[test]
fn all_196_vectors_give_the_expected_answer() {
    let Some(folder) = shared::folder("ledger/merkle-vectors") else {
        return;
    };
    let (inclusion, bad_inclusion) = run(&folder.join("inclusion"), inclusion_holds);
    let (consistency, bad_consistency) = run(&folder.join("consistency"), consistency_holds);
    assert_eq!(inclusion + bad_inclusion, 98);
    assert_eq!(consistency + bad_consistency, 98);
    assert_eq!(bad_inclusion + bad_consistency, 184);
}
