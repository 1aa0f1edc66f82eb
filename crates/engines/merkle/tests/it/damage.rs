//! Arbitrary bytes into every parser: an error or a value that writes back the same, no panic.

use proptest::prelude::*;
use sealwright_merkle::{
    Checkpoint, EntryBundle, Hash, SignedNote, SignerKey, Tile, TlogProof, VerifierKey, leaf_hash,
};

/// Texts near the real formats, so that the deep branches are reached.
fn near_miss() -> impl Strategy<Value = String> {
    let key = SignerKey::from_seed("log.example/a", &[1; 32]).unwrap();
    let note = Checkpoint::new("log.example/a", 7, leaf_hash(b"x"))
        .sign(&[&key])
        .unwrap()
        .to_string();
    let proof = format!(
        "c2sp.org/tlog-proof@v1\nextra eHg=\nindex 3\n{0}\n{0}\n\n{note}",
        leaf_hash(b"y")
    );
    let seeds = vec![
        note,
        proof,
        Checkpoint::new("a", 0, sealwright_merkle::empty_root()).to_string(),
        key.verifier().to_string(),
        key.to_secret_text(),
        "tile/0/x001/x234/067.p/8".to_owned(),
    ];
    let edits = prop::collection::vec((any::<prop::sample::Index>(), any::<u8>(), 0..4_u8), 0..4);
    (prop::sample::select(seeds), edits).prop_map(|(seed, edits)| {
        let mut bytes = seed.into_bytes();
        for (at, byte, edit) in edits {
            if bytes.is_empty() {
                break;
            }
            let at = at.index(bytes.len());
            match edit {
                0 => bytes[at] = byte,
                1 => bytes.insert(at, byte),
                2 => drop(bytes.remove(at)),
                _ => bytes.truncate(at),
            }
        }
        String::from_utf8_lossy(&bytes).into_owned()
    })
}

fn read_everything(text: &str) {
    if let Ok(note) = SignedNote::parse(text.as_bytes()) {
        assert_eq!(note.to_string(), text);
    }
    if let Ok(checkpoint) = text.parse::<Checkpoint>() {
        assert_eq!(checkpoint.to_string(), text);
    }
    if let Ok(proof) = text.parse::<TlogProof>() {
        assert_eq!(proof.to_string(), text);
    }
    if let Ok(key) = text.parse::<VerifierKey>() {
        assert_eq!(key.to_string(), text);
    }
    if let Ok(key) = SignerKey::from_secret_text(text) {
        assert_eq!(key.to_secret_text(), text);
    }
    if let Ok(tile) = text.parse::<Tile>() {
        assert_eq!(tile.path(), text);
    }
    if let Ok(hash) = text.parse::<Hash>() {
        assert_eq!(hash.to_string(), text);
    }
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 2_000, ..ProptestConfig::default() })]

    #[test]
    fn what_is_read_is_written_back_the_same(text in near_miss()) {
        read_everything(&text);
    }

    #[test]
    fn arbitrary_bytes_never_panic(bytes in prop::collection::vec(any::<u8>(), 0..400)) {
        let _ = SignedNote::parse(&bytes);
        read_everything(&String::from_utf8_lossy(&bytes));
    }

    #[test]
    fn arbitrary_bytes_are_a_bundle_or_not(
        bytes in prop::collection::vec(prop_oneof![Just(0_u8), Just(1), any::<u8>()], 0..300),
        width in 0_u16..=300,
    ) {
        if let Ok(bundle) = EntryBundle::parse(&bytes, width) {
            let mut again = Vec::new();
            for entry in bundle.iter() {
                sealwright_merkle::append_entry(&mut again, entry).unwrap();
            }
            prop_assert_eq!(&again, &bytes);
            prop_assert_eq!(bundle.len(), usize::from(width));
        }
    }
}
