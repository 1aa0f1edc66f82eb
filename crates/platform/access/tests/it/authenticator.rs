//! An authenticator in software, and the browser around it: what a browser would answer to what the server asked.

use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD as B64;
use p256::ecdsa::signature::Signer as _;
use p256::ecdsa::{Signature, SigningKey};
use serde_json::{Value, json};
use sha2::{Digest as _, Sha256};

const PRESENT: u8 = 0x01;
const VERIFIED: u8 = 0x04;
const ATTESTED: u8 = 0x40;

/// A passkey on a device. What a test wants to be wrong, it changes.
#[derive(Clone)]
pub(crate) struct Device {
    key: SigningKey,
    pub(crate) credential: Vec<u8>,
    pub(crate) handle: Vec<u8>,
    pub(crate) counter: u32,
    pub(crate) origin: String,
    pub(crate) domain: String,
    pub(crate) verified: bool,
}

impl Device {
    pub(crate) fn new(number: u8, origin: &str, domain: &str) -> Self {
        Self {
            key: SigningKey::from_slice(&[number.max(1); 32]).unwrap(),
            credential: vec![number; 32],
            handle: Vec::new(),
            counter: 1,
            origin: origin.to_owned(),
            domain: domain.to_owned(),
            verified: true,
        }
    }

    fn client_data(&self, kind: &str, options: &Value) -> Vec<u8> {
        // The order of members is given by section 5.8.1.1.
        let challenge = options["challenge"].as_str().unwrap();
        let origin = &self.origin;
        format!(
            r#"{{"type":"{kind}","challenge":"{challenge}","origin":"{origin}","crossOrigin":false}}"#
        )
        .into_bytes()
    }

    fn data(&self, more: u8) -> Vec<u8> {
        let mut data = Sha256::digest(self.domain.as_bytes()).to_vec();
        let verified = if self.verified { VERIFIED } else { 0 };
        data.push(PRESENT | verified | more);
        data.extend(self.counter.to_be_bytes());
        data
    }

    /// `navigator.credentials.create(…).toJSON()`.
    pub(crate) fn create(&mut self, options: &str) -> String {
        let options: Value = serde_json::from_str(options).unwrap();
        assert_eq!(options["rp"]["id"], self.domain);
        let selection = &options["authenticatorSelection"];
        assert_eq!(selection["userVerification"], "required");
        assert_eq!(selection["residentKey"], "required");
        // A device that does not know the extension makes a passkey all the same.
        assert_ne!(
            options["extensions"]["enforceCredentialProtectionPolicy"],
            true
        );
        self.handle = B64.decode(options["user"]["id"].as_str().unwrap()).unwrap();
        let client_data = self.client_data("webauthn.create", &options);
        let mut data = self.data(ATTESTED);
        data.extend([0; 16]);
        data.extend(u16::try_from(self.credential.len()).unwrap().to_be_bytes());
        data.extend(&self.credential);
        data.extend(self.cose_key());
        let mut object = b"\xa3\x63fmt\x64none\x67attStmt\xa0\x68authData\x58".to_vec();
        object.push(u8::try_from(data.len()).unwrap());
        object.extend(&data);
        let id = B64.encode(&self.credential);
        json!({
            "id": id, "rawId": id, "type": "public-key", "authenticatorAttachment": "platform",
            "clientExtensionResults": {},
            "response": {
                "clientDataJSON": B64.encode(client_data),
                "attestationObject": B64.encode(object),
                "authenticatorData": B64.encode(data),
                "transports": ["internal"],
            },
        })
        .to_string()
    }

    /// EC2, ES256, P-256 (RFC 9053 section 7.1.1).
    fn cose_key(&self) -> Vec<u8> {
        let point = self.key.verifying_key().to_encoded_point(false);
        let mut key = b"\xa5\x01\x02\x03\x26\x20\x01\x21\x58\x20".to_vec();
        key.extend(point.x().unwrap());
        key.extend(b"\x22\x58\x20");
        key.extend(point.y().unwrap());
        key
    }

    /// `navigator.credentials.get(…).toJSON()`.
    pub(crate) fn get(&mut self, options: &str) -> String {
        let options: Value = serde_json::from_str(options).unwrap();
        assert_eq!(options["userVerification"], "required");
        // Nobody says who asks: the passkey is found without a name.
        assert!(
            options["allowCredentials"]
                .as_array()
                .is_none_or(Vec::is_empty)
        );
        self.counter += 1;
        let client_data = self.client_data("webauthn.get", &options);
        let data = self.data(0);
        let mut signed = data.clone();
        signed.extend(Sha256::digest(&client_data));
        let signature: Signature = self.key.sign(&signed);
        let id = B64.encode(&self.credential);
        json!({
            "id": id, "rawId": id, "type": "public-key", "authenticatorAttachment": "platform",
            "clientExtensionResults": {},
            "response": {
                "clientDataJSON": B64.encode(client_data),
                "authenticatorData": B64.encode(data),
                "signature": B64.encode(signature.to_der()),
                "userHandle": B64.encode(&self.handle),
            },
        })
        .to_string()
    }
}
