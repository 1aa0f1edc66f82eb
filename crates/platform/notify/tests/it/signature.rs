use sealwright_notify::signature::{
    SignatureError, SigningSecret, TOLERANCE, VerifyingSecret, WebhookHeaders, verify,
};
use serde_json::Value;

fn vectors() -> Value {
    let packed = include_bytes!("../data/standard-webhooks.json.zst");
    serde_json::from_slice(&zstd::decode_all(&packed[..]).unwrap()).unwrap()
}

fn text<'a>(value: &'a Value, name: &str) -> &'a str {
    value[name].as_str().unwrap()
}

#[test]
fn every_known_answer_of_v1_is_reproduced() {
    let vectors = vectors();
    let cases = vectors["sign"].as_array().unwrap();
    assert!(cases.len() >= 9);
    for case in cases {
        let secret = SigningSecret::parse(text(case, "secret")).unwrap();
        let signed = secret.sign(
            text(case, "id"),
            case["timestamp"].as_i64().unwrap(),
            text(case, "payload").as_bytes(),
        );
        assert_eq!(signed, text(case, "signature"), "{}", case["name"]);
    }
}

#[test]
fn every_verdict_on_received_webhooks_is_reproduced() {
    let vectors = vectors();
    let cases = vectors["verify"].as_array().unwrap();
    assert!(cases.len() >= 24);
    for case in cases {
        let secret = VerifyingSecret::parse(text(case, "secret")).unwrap();
        let header = |name: &str| case["headers"][name].as_str();
        let headers = WebhookHeaders {
            id: header("webhook-id"),
            timestamp: header("webhook-timestamp"),
            signature: header("webhook-signature"),
        };
        let now = case["now"].as_i64().unwrap();
        let verdict = verify(&[secret], &headers, text(case, "payload").as_bytes(), now);
        assert_eq!(
            verdict.is_ok(),
            case["valid"].as_bool().unwrap(),
            "{}: {verdict:?} ({})",
            case["name"],
            case["why"]
        );
    }
    assert_eq!(vectors["scheme"]["tolerance_seconds"], TOLERANCE);
}

#[test]
fn ed25519_signs_as_known_and_verifies_with_the_public_key_alone() {
    let vectors = vectors();
    let cases = vectors["sign_ed25519"].as_array().unwrap();
    assert!(!cases.is_empty());
    for case in cases {
        let secret =
            SigningSecret::parse(&format!("whsk_{}", text(case, "private_seed_b64"))).unwrap();
        assert_eq!(secret.public_key().as_deref(), case["public_key"].as_str());
        let (id, at) = (text(case, "id"), case["timestamp"].as_i64().unwrap());
        let payload = text(case, "payload").as_bytes();
        let signature = secret.sign(id, at, payload);
        assert_eq!(signature, text(case, "signature"));
        let stamp = at.to_string();
        let headers = WebhookHeaders {
            id: Some(id),
            timestamp: Some(&stamp),
            signature: Some(&signature),
        };
        let public = || [VerifyingSecret::parse(text(case, "public_key")).unwrap()];
        assert_eq!(verify(&public(), &headers, payload, at), Ok(()));
        assert_eq!(
            verify(&public(), &headers, b"{}", at),
            Err(SignatureError::Wrong)
        );
    }
}

#[test]
fn two_secrets_are_right_while_one_replaces_the_other() {
    let old = "whsec_AAECAwQFBgcICQoLDA0ODxAREhMUFRYX";
    let new = "whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw";
    let sign = |secret: &str| SigningSecret::parse(secret).unwrap().sign("m", 7, b"x");
    let both = format!("{} {}", sign(new), sign(old));
    let headers = WebhookHeaders {
        id: Some("m"),
        timestamp: Some("7"),
        signature: Some(&both),
    };
    for secret in [old, new] {
        let secret = [VerifyingSecret::parse(secret).unwrap()];
        assert_eq!(verify(&secret, &headers, b"x", 7), Ok(()));
    }
    let third = VerifyingSecret::parse("whsec_//////////////////////////////////////////8=");
    assert_eq!(
        verify(&[third.unwrap()], &headers, b"x", 7),
        Err(SignatureError::Wrong)
    );
}

#[test]
fn keys_of_the_wrong_form_are_refused_and_not_shown() {
    let short = "whsec_c2hvcnQtc2VjcmV0";
    for bad in ["", "whsec_", short, "whsec_%%%", "whsk_AAAA", "whpk_AAAA"] {
        assert!(VerifyingSecret::parse(bad).is_err(), "{bad}");
    }
    let error = SigningSecret::parse(short).unwrap_err().to_string();
    assert!(!error.contains("c2hvcnQ"), "{error}");
    let secret = SigningSecret::parse("whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw").unwrap();
    assert!(!format!("{secret:?}").contains("MfKQ"));
}

proptest::proptest! {
    #[test]
    fn any_headers_are_judged_without_panic(
        id in "\\PC{0,20}", timestamp in "\\PC{0,22}", signature in "(v1,)?\\PC{0,60}", now in proptest::prelude::any::<i64>(),
    ) {
        let secret = [VerifyingSecret::parse("whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw").unwrap()];
        let headers = WebhookHeaders {
            id: Some(&id), timestamp: Some(&timestamp), signature: Some(&signature),
        };
        let verdict = verify(&secret, &headers, b"[]", now);
        proptest::prop_assert!(verdict.is_err());
    }
}
