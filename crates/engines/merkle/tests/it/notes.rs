//! Signed notes, keys, checkpoints and proofs as texts.

use sealwright_merkle::key::{Algorithm, KeyError};
use sealwright_merkle::note::VerifyError;
use sealwright_merkle::tlog_proof::TlogProofError;
use sealwright_merkle::{
    Checkpoint, Hash, NoteSignature, SignedNote, SignerKey, TlogProof, VerifierKey, leaf_hash,
    prove_inclusion,
};

use crate::memory::MemoryLog;

/// The key and the note that the specification gives as its example.
const SPEC_KEY: &str = "example.com/foo+530d903a+AekyeRrm56hApGFkyQR4ZCbV54Id2LKaANYcrnKv3U2k";
const SPEC_NOTE: &str = "This is an example message.\n\n\u{2014} example.com/foo Uw2QOkn8srV1yJGh2VYRlL1Tnagv1YEq6TfXppzi2ONncAlTgK7Ztg1ERYNZXsYjOBH3mFXmRKuwHjG1Yu72IneyaQM=\n";

fn signer(name: &str, seed: u8) -> SignerKey {
    SignerKey::from_seed(name, &[seed; 32]).unwrap()
}

#[test]
fn the_example_of_the_specification_verifies() {
    let key: VerifierKey = SPEC_KEY.parse().unwrap();
    assert_eq!(key.to_string(), SPEC_KEY);
    assert_eq!(key.id(), 0x530d_903a);
    let note = SignedNote::parse(SPEC_NOTE.as_bytes()).unwrap();
    assert_eq!(note.verify(std::slice::from_ref(&key)).unwrap(), vec![&key]);
    assert_eq!(note.text(), "This is an example message.\n");
    assert_eq!(note.to_string(), SPEC_NOTE);
}

#[test]
fn keys_read_back_and_say_what_is_wrong() {
    let key = signer("log.example/a", 1);
    let vkey = key.verifier().to_string();
    assert_eq!(&vkey.parse::<VerifierKey>().unwrap(), key.verifier());
    let secret = key.to_secret_text();
    let again = SignerKey::from_secret_text(&secret).unwrap();
    assert_eq!(again.verifier(), key.verifier());
    assert!(!format!("{key:?}").contains(secret.rsplit('+').next().unwrap()));

    let parse = |text: &str| text.parse::<VerifierKey>();
    assert_eq!(parse(""), Err(KeyError::Form("<name>+<key id>+<base64>")));
    assert_eq!(parse("+530d903a+AekyeRrm"), Err(KeyError::Name));
    assert_eq!(
        parse(&SPEC_KEY.replace("530d903a", "530D903A")),
        Err(KeyError::Id)
    );
    assert_eq!(
        parse(&SPEC_KEY.replace("530d903a", "530d903")),
        Err(KeyError::Id)
    );
    let wrong = parse(&SPEC_KEY.replace("example.com/foo", "example.com/bar"));
    assert!(matches!(wrong, Err(KeyError::IdMismatch { .. })));
    assert_eq!(
        parse(&SPEC_KEY[..SPEC_KEY.len() - 4]),
        Err(KeyError::Material)
    );
    let other = "a+00000000+AukyeRrm56hApGFkyQR4ZCbV54Id2LKaANYcrnKv3U2k";
    assert_eq!(parse(other), Err(KeyError::Unsupported(2)));
    // The neutral element: every signature could be made for it.
    let mut weak = [0; 32];
    weak[0] = 1;
    assert_eq!(
        VerifierKey::new("a", Algorithm::Ed25519, &weak),
        Err(KeyError::Point)
    );
    for name in ["", "a b", "a+b", "a\u{2003}b", "a\nb", &"n".repeat(256)] {
        assert_eq!(
            SignerKey::from_seed(name, &[1; 32]).unwrap_err(),
            KeyError::Name,
            "{name:?}"
        );
    }
    assert!(SignerKey::from_secret_text(&vkey).is_err());
    assert!(
        SignerKey::from_secret_text(&secret.replace("log.example/a", "log.example/b")).is_err()
    );
}

#[test]
fn several_signatures_are_each_checked() {
    let (a, b, c) = (signer("a", 1), signer("b", 2), signer("c", 3));
    let note = SignedNote::sign("hello\n\nworld\n", &[&a, &b]).unwrap();
    let note = SignedNote::parse(note.to_string().as_bytes()).unwrap();
    assert_eq!(note.text(), "hello\n\nworld\n");
    let keys = [
        c.verifier().clone(),
        b.verifier().clone(),
        a.verifier().clone(),
    ];
    let signers = note.verify(&keys).unwrap();
    assert_eq!(signers, vec![a.verifier(), b.verifier()]);
    let stranger = note.verify(std::slice::from_ref(c.verifier()));
    assert!(matches!(stranger, Err(VerifyError::NoKnownSigner { .. })));
    // A bad signature under a known name and id spoils the note, even beside a good one.
    let forged = NoteSignature {
        signature: vec![9; 64],
        ..b.sign("hello\n")
    };
    let mut spoiled = SignedNote::sign("hello\n", &[&a]).unwrap();
    spoiled.add(forged).unwrap();
    let both = [a.verifier().clone(), b.verifier().clone()];
    assert!(matches!(
        spoiled.verify(&both),
        Err(VerifyError::Invalid { .. })
    ));
    assert!(
        spoiled.verify(&both[..1]).is_ok(),
        "signatures by unknown keys are ignored"
    );
    // The same name with another key is another key.
    let other = signer("a", 9);
    assert!(
        spoiled
            .verify(std::slice::from_ref(other.verifier()))
            .is_err()
    );
}

#[test]
fn notes_are_read_strictly() {
    let good = SPEC_NOTE;
    let cases: Vec<(String, usize)> = vec![
        (String::new(), 1),
        (good.trim_end().to_owned(), 3),
        (format!("{good}\n"), 1),
        (format!("{good}x\n"), 4),
        (good.replace('\u{2014}', "-"), 3),
        (good.replace("\u{2014} ", "\u{2014}  "), 3),
        (good.replace("example.com/foo ", "example.com/foo  "), 3),
        (good.replace("example.com/foo ", "example.com+foo "), 3),
        (good.replace("aQM=", "aQM"), 3),
        (good.replace("aQM=", "aQN="), 3),
        (good.replace("message", "mess\tage"), 1),
        (good.replace("message", "mess\rage"), 1),
        ("\n\n\u{2014} a AAAAAAA=\n".to_owned(), 1),
        ("text\n\u{2014} a AAAAAAA=\n".to_owned(), 1),
        ("text\n\n\u{2014} a AAAAAA==\n".to_owned(), 3),
    ];
    for (text, line) in cases {
        let error = SignedNote::parse(text.as_bytes()).expect_err(&text);
        // A trailing empty line moves the split, so only the refusal is certain there.
        if !text.ends_with("\n\n") {
            assert_eq!(error.line, line, "{text:?}: {error}");
        }
    }
    let mut bytes = good.as_bytes().to_vec();
    bytes[3] = 0xff;
    assert_eq!(SignedNote::parse(&bytes).unwrap_err().line, 1);
    let many = format!("t\n\n{}", "\u{2014} a AAAAAAA=\n".repeat(101));
    assert_eq!(SignedNote::parse(many.as_bytes()).unwrap_err().line, 103);
    let sixteen = format!("t\n\n{}", "\u{2014} a AAAAAAA=\n".repeat(16));
    assert_eq!(
        SignedNote::parse(sixteen.as_bytes())
            .unwrap()
            .signatures()
            .len(),
        16
    );
    assert!(SignedNote::parse(&vec![b'a'; 1_000_001]).is_err());
    let a = signer("a", 1);
    assert!(SignedNote::sign("", &[&a]).is_err());
    assert!(SignedNote::sign("no newline", &[&a]).is_err());
    assert!(SignedNote::sign("a\n", &[]).is_err());
}

#[test]
fn checkpoints_are_read_strictly() {
    let root = leaf_hash(b"x");
    let good = Checkpoint::new("log.example/a", 7, root).to_string();
    assert_eq!(
        good.parse::<Checkpoint>().unwrap(),
        Checkpoint::new("log.example/a", 7, root)
    );
    let with_extension = format!("{good}extra line\n").parse::<Checkpoint>().unwrap();
    assert_eq!(with_extension.extensions, vec!["extra line"]);
    let cases = [
        (good.trim_end().to_owned(), 3),
        (good.replace("log.example/a", ""), 1),
        (good.replace("\n7\n", "\n07\n"), 2),
        (good.replace("\n7\n", "\n-7\n"), 2),
        (good.replace("\n7\n", "\n18446744073709551616\n"), 2),
        (good.replace("\n7\n", "\n0\n"), 3),
        (good.replace('=', ""), 3),
        (format!("{good}\n"), 4),
        ("a\n1\n".to_owned(), 3),
        ("a\n".to_owned(), 2),
        (String::new(), 1),
    ];
    for (text, line) in cases {
        let error = text.parse::<Checkpoint>().expect_err(&text);
        assert_eq!(error.line, line, "{text:?}: {error}");
    }
    let key = signer("log.example/a", 1);
    assert!(
        Checkpoint::new("two\nlines", 7, root)
            .sign(&[&key])
            .is_err()
    );
    // Signed by the right key, for another origin.
    let foreign = Checkpoint::new("log.example/b", 7, root)
        .sign(&[&key])
        .unwrap()
        .to_string();
    assert!(Checkpoint::open(foreign.as_bytes(), key.verifier(), &[]).is_err());
}

#[test]
fn a_witness_cosignature_is_checked_with_its_time() {
    use ed25519_dalek::Signer as _;
    let log = signer("log.example/a", 1);
    let secret = ed25519_dalek::SigningKey::from_bytes(&[5; 32]);
    let witness = VerifierKey::new(
        "w.example",
        Algorithm::CosignatureV1,
        &secret.verifying_key().to_bytes(),
    )
    .unwrap();
    assert_eq!(witness.to_string().parse::<VerifierKey>().unwrap(), witness);
    let mut note = Checkpoint::new("log.example/a", 1, leaf_hash(b"x"))
        .sign(&[&log])
        .unwrap();
    let time = 1_679_315_147_u64;
    let message = format!("cosignature/v1\ntime {time}\n{}", note.text());
    let mut signature = time.to_be_bytes().to_vec();
    signature.extend_from_slice(&secret.sign(message.as_bytes()).to_bytes());
    let line = |signature: Vec<u8>| NoteSignature {
        name: witness.name().to_owned(),
        key_id: witness.id(),
        signature,
    };
    let mut backdated = note.clone();
    note.add(line(signature.clone())).unwrap();
    let bytes = note.to_string();
    let known = std::slice::from_ref(&witness);
    Checkpoint::open(bytes.as_bytes(), log.verifier(), known).unwrap();
    assert_eq!(witness.cosignature_time(&signature), Some(time));
    signature[7] ^= 1;
    backdated.add(line(signature)).unwrap();
    let bytes = backdated.to_string();
    assert!(Checkpoint::open(bytes.as_bytes(), log.verifier(), known).is_err());
    assert!(Checkpoint::open(bytes.as_bytes(), log.verifier(), &[]).is_ok());
}

fn proof_of(index: u64, size: u64, key: &SignerKey, extra: Option<Vec<u8>>) -> (TlogProof, Hash) {
    let log = MemoryLog::of(&[size]);
    let checkpoint = Checkpoint::new(key.verifier().name(), size, log.root());
    let proof = TlogProof {
        extra,
        index,
        proof: prove_inclusion(&mut log.hashes(size), index, size).unwrap(),
        checkpoint: checkpoint.sign(&[key]).unwrap(),
    };
    (proof, leaf_hash(&log.entries[index as usize]))
}

#[test]
fn a_proof_verifies_offline_and_reads_back() {
    let key = signer("log.example/a", 1);
    for (index, size, extra) in [(0, 1, None), (5, 9, Some(b"x".to_vec())), (299, 300, None)] {
        let (proof, leaf) = proof_of(index, size, &key, extra);
        let text = proof.to_string();
        let again: TlogProof = text.parse().unwrap();
        assert_eq!(again, proof);
        assert_eq!(again.verify(&leaf, key.verifier(), &[]).unwrap().size, size);
        let other = leaf_hash(b"another entry");
        let wrong = again.verify(&other, key.verifier(), &[]);
        assert!(matches!(wrong, Err(TlogProofError::Inclusion(_))));
        assert!(
            again
                .verify(&leaf, signer("log.example/a", 2).verifier(), &[])
                .is_err()
        );
    }
}

#[test]
fn proofs_are_read_strictly() {
    let key = signer("log.example/a", 1);
    let good = proof_of(5, 9, &key, None).0.to_string();
    let hash = leaf_hash(b"x").to_string();
    let cases = [
        (good.replace("proof@v1", "proof@v2"), 1),
        (good.replace("index 5", "index 05"), 2),
        (good.replace("index 5", "index  5"), 2),
        (good.replace("index 5\n", "extra !\nindex 5\n"), 2),
        (good.replace("index 5\n", "index 5\nnot a hash\n"), 3),
        (
            good.replace(
                "index 5\n",
                &format!("index 5\n{}", format!("{hash}\n").repeat(65)),
            ),
            67,
        ),
        (good.replace("\n\nlog.example", "\nlog.example"), 7),
        (good.replace("\n9\n", "\n09\n"), 9),
        (String::new(), 1),
    ];
    for (text, line) in cases {
        let error = text.parse::<TlogProof>().expect_err(&text);
        assert_eq!(error.line, line, "{text}: {error}");
    }
}
