//! Ed25519 as this crate verifies it, against Wycheproof.

use sealwright_merkle::VerifierKey;
use sealwright_merkle::key::Algorithm;

use crate::shared;

#[test]
fn ed25519_agrees_with_all_vectors() {
    let Some(folder) = shared::folder("ledger/wycheproof") else {
        return;
    };
    let file = shared::json(&folder.join("ed25519_test.json"));
    let (mut valid, mut invalid, mut textual) = (0, 0, 0);
    for group in file["testGroups"].as_array().unwrap() {
        let public = hex::decode(group["publicKey"]["pk"].as_str().unwrap()).unwrap();
        let key = VerifierKey::new("k", Algorithm::Ed25519, &public.try_into().unwrap());
        for test in group["tests"].as_array().unwrap() {
            let message = hex::decode(test["msg"].as_str().unwrap()).unwrap();
            let signature = hex::decode(test["sig"].as_str().unwrap()).unwrap();
            let wanted = test["result"] == "valid";
            let got = key
                .as_ref()
                .is_ok_and(|key| key.verify_bytes(&message, &signature));
            assert_eq!(got, wanted, "test {}: {}", test["tcId"], test["comment"]);
            if let (Ok(text), Ok(key)) = (std::str::from_utf8(&message), &key) {
                assert_eq!(key.verify(text, &signature), wanted);
                textual += 1;
            }
            if wanted { valid += 1 } else { invalid += 1 }
        }
    }
    assert_eq!((valid, invalid), (88, 63));
    assert!(textual > 50);
}
