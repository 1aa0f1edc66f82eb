//! Who may ask for parts of questions, and take them: processes that have the installation's secret.
//!
//! Both sides of a connection show the same raw public key (RFC 7250), which follows from the secret. There are no
//! certificates, names or dates to look after, and TLS 1.3 encrypts what is sent.

use std::sync::Arc;

use ed25519_dalek::SigningKey;
use rustls::client::AlwaysResolvesClientRawPublicKeys;
use rustls::client::danger::{HandshakeSignatureValid, ServerCertVerified, ServerCertVerifier};
use rustls::crypto::{CryptoProvider, verify_tls13_signature_with_raw_key};
use rustls::pki_types::{
    CertificateDer, PrivateKeyDer, PrivatePkcs8KeyDer, ServerName, SubjectPublicKeyInfoDer,
    UnixTime,
};
use rustls::server::AlwaysResolvesServerRawPublicKeys;
use rustls::server::danger::{ClientCertVerified, ClientCertVerifier};
use rustls::sign::CertifiedKey;
use rustls::version::TLS13;
use rustls::{
    CertificateError, ClientConfig, DigitallySignedStruct, DistinguishedName, Error, ServerConfig,
    SignatureScheme,
};
use tokio_rustls::{TlsAcceptor, TlsConnector};

use crate::error::{LakeError, Result};

/// PKCS #8 (RFC 8410, section 7) before the 32 bytes of an Ed25519 seed.
const PKCS8_PREFIX: [u8; 16] = [
    0x30, 0x2e, 0x02, 0x01, 0x00, 0x30, 0x05, 0x06, 0x03, 0x2b, 0x65, 0x70, 0x04, 0x22, 0x04, 0x20,
];
/// SubjectPublicKeyInfo (RFC 8410, section 4) before the 32 bytes of an Ed25519 public key.
const SPKI_PREFIX: [u8; 12] = [
    0x30, 0x2a, 0x30, 0x05, 0x06, 0x03, 0x2b, 0x65, 0x70, 0x03, 0x21, 0x00,
];

/// The one key of all processes.
#[derive(Debug)]
pub(super) struct Identity {
    provider: Arc<CryptoProvider>,
    key: Arc<CertifiedKey>,
}

impl Identity {
    /// The key that follows from a secret.
    pub(super) fn of(secret: &[u8; 32]) -> Result<Self> {
        let public = SigningKey::from_bytes(secret).verifying_key();
        let spki = [&SPKI_PREFIX[..], public.as_bytes()].concat();
        let private = [&PKCS8_PREFIX[..], secret].concat();
        let provider = Arc::new(rustls::crypto::ring::default_provider());
        let private = PrivateKeyDer::Pkcs8(PrivatePkcs8KeyDer::from(private));
        let key = provider.key_provider.load_private_key(private);
        let key = CertifiedKey::new(vec![CertificateDer::from(spki)], key.map_err(unusable)?);
        Ok(Self {
            provider,
            key: Arc::new(key),
        })
    }

    fn same(&self) -> Result<Arc<SameKey>> {
        let spki = self.key.end_entity_cert().map_err(unusable)?;
        Ok(Arc::new(SameKey {
            provider: Arc::clone(&self.provider),
            spki: spki.to_vec(),
        }))
    }

    /// For those who ask here.
    pub(super) fn acceptor(&self) -> Result<TlsAcceptor> {
        let mut config = ServerConfig::builder_with_provider(Arc::clone(&self.provider))
            .with_protocol_versions(&[&TLS13])
            .map_err(unusable)?
            .with_client_cert_verifier(self.same()?)
            .with_cert_resolver(Arc::new(AlwaysResolvesServerRawPublicKeys::new(
                Arc::clone(&self.key),
            )));
        config.alpn_protocols = vec![b"h2".to_vec()];
        Ok(TlsAcceptor::from(Arc::new(config)))
    }

    /// For asking others.
    pub(super) fn connector(&self) -> Result<TlsConnector> {
        let mut config = ClientConfig::builder_with_provider(Arc::clone(&self.provider))
            .with_protocol_versions(&[&TLS13])
            .map_err(unusable)?
            .dangerous()
            .with_custom_certificate_verifier(self.same()?)
            .with_client_cert_resolver(Arc::new(AlwaysResolvesClientRawPublicKeys::new(
                Arc::clone(&self.key),
            )));
        config.alpn_protocols = vec![b"h2".to_vec()];
        Ok(TlsConnector::from(Arc::new(config)))
    }
}

fn unusable(error: Error) -> LakeError {
    LakeError::Invalid(format!(
        "the key for shared questions cannot be used: {error}"
    ))
}

/// Takes the other side for one of ours when its key is ours.
#[derive(Debug)]
struct SameKey {
    provider: Arc<CryptoProvider>,
    spki: Vec<u8>,
}

impl SameKey {
    fn check(&self, shown: &CertificateDer<'_>) -> Result<(), Error> {
        // Public on both sides: nothing is learnt from how long it takes.
        if shown.as_ref() == self.spki {
            Ok(())
        } else {
            Err(CertificateError::ApplicationVerificationFailure.into())
        }
    }

    fn signed(
        &self,
        message: &[u8],
        key: &CertificateDer<'_>,
        signature: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, Error> {
        verify_tls13_signature_with_raw_key(
            message,
            &SubjectPublicKeyInfoDer::from(key.as_ref()),
            signature,
            &self.provider.signature_verification_algorithms,
        )
    }

    fn schemes(&self) -> Vec<SignatureScheme> {
        let algorithms = self.provider.signature_verification_algorithms;
        algorithms.supported_schemes()
    }
}

fn only_tls13() -> Result<HandshakeSignatureValid, Error> {
    Err(Error::General("TLS 1.3 only".to_owned()))
}

impl ServerCertVerifier for SameKey {
    fn verify_server_cert(
        &self,
        end_entity: &CertificateDer<'_>,
        _: &[CertificateDer<'_>],
        _: &ServerName<'_>,
        _: &[u8],
        _: UnixTime,
    ) -> Result<ServerCertVerified, Error> {
        self.check(end_entity)
            .map(|()| ServerCertVerified::assertion())
    }

    fn verify_tls12_signature(
        &self,
        _: &[u8],
        _: &CertificateDer<'_>,
        _: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, Error> {
        only_tls13()
    }

    fn verify_tls13_signature(
        &self,
        message: &[u8],
        key: &CertificateDer<'_>,
        signature: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, Error> {
        self.signed(message, key, signature)
    }

    fn supported_verify_schemes(&self) -> Vec<SignatureScheme> {
        self.schemes()
    }

    fn requires_raw_public_keys(&self) -> bool {
        true
    }
}

impl ClientCertVerifier for SameKey {
    fn root_hint_subjects(&self) -> &[DistinguishedName] {
        &[]
    }

    fn verify_client_cert(
        &self,
        end_entity: &CertificateDer<'_>,
        _: &[CertificateDer<'_>],
        _: UnixTime,
    ) -> Result<ClientCertVerified, Error> {
        self.check(end_entity)
            .map(|()| ClientCertVerified::assertion())
    }

    fn verify_tls12_signature(
        &self,
        _: &[u8],
        _: &CertificateDer<'_>,
        _: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, Error> {
        only_tls13()
    }

    fn verify_tls13_signature(
        &self,
        message: &[u8],
        key: &CertificateDer<'_>,
        signature: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, Error> {
        self.signed(message, key, signature)
    }

    fn supported_verify_schemes(&self) -> Vec<SignatureScheme> {
        self.schemes()
    }

    fn requires_raw_public_keys(&self) -> bool {
        true
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::*;

    async fn meet(here: &[u8; 32], there: &[u8; 32]) -> (bool, bool) {
        let (a, b) = tokio::io::duplex(1 << 16);
        let acceptor = Identity::of(here).unwrap().acceptor().unwrap();
        let connector = Identity::of(there).unwrap().connector().unwrap();
        let name = ServerName::try_from("sealwright.invalid").unwrap();
        let serving = tokio::spawn(async move { acceptor.accept(a).await.is_ok() });
        // Kept until the other side is done: it has something to say after that.
        let asked = connector.connect(name, b).await;
        (serving.await.unwrap(), asked.is_ok())
    }

    #[tokio::test]
    async fn only_those_with_the_same_secret_meet() {
        assert_eq!(meet(&[7; 32], &[7; 32]).await, (true, true));
        assert_eq!(meet(&[7; 32], &[8; 32]).await, (false, false));
    }

    #[tokio::test]
    async fn who_shows_no_key_is_refused() {
        let (a, b) = tokio::io::duplex(1 << 16);
        let identity = Identity::of(&[7; 32]).unwrap();
        let acceptor = identity.acceptor().unwrap();
        let config = ClientConfig::builder_with_provider(Arc::clone(&identity.provider))
            .with_protocol_versions(&[&TLS13])
            .unwrap()
            .dangerous()
            .with_custom_certificate_verifier(identity.same().unwrap())
            .with_no_client_auth();
        let connector = TlsConnector::from(Arc::new(config));
        let name = ServerName::try_from("sealwright.invalid").unwrap();
        let asking = tokio::spawn(async move { connector.connect(name, b).await });
        assert!(acceptor.accept(a).await.is_err());
        drop(asking.await);
    }
}
