//! WebAuthn (Level 3) as the relying party: what is asked of browsers, and whether an answer holds. No database and no
//! sessions here.

use std::borrow::Borrow as _;
use std::fmt;

use sealwright_core::Digest;
use serde::Serialize;
use webauthn_rp::bin::{Decode as _, Encode as _};
use webauthn_rp::request::auth::AuthenticationVerificationOptions;
use webauthn_rp::request::register::{
    CredProtect, PublicKeyCredentialUserEntity, RegistrationVerificationOptions, UserHandle,
};
use webauthn_rp::request::{AsciiDomain, ExtensionInfo, PublicKeyCredentialDescriptor, RpId};
use webauthn_rp::response::auth::error::AuthCeremonyErr;
use webauthn_rp::response::register::{CompressedPubKey, DynamicState, StaticState};
use webauthn_rp::response::{AuthTransports, CredentialId, SentChallenge};
use webauthn_rp::{
    AuthenticatedCredential, DiscoverableAuthentication16, DiscoverableAuthenticationServerState,
    DiscoverableCredentialRequestOptions, PublicKeyCredentialCreationOptions, Registration,
    RegistrationServerState,
};

use crate::model::{User, UserId};

/// A user's handle is the UUID of its id: it says nothing about the person.
const HANDLE: usize = 16;
/// The longest name that browsers keep beside a passkey, in bytes.
const LONGEST_NAME: usize = 64;

type PublicKey = CompressedPubKey<[u8; 32], [u8; 32], [u8; 48], Vec<u8>>;

/// As whom passkeys know this installation: its origin, and the domain that they are bound to.
#[derive(Clone)]
pub struct RelyingParty {
    id: RpId,
    origin: String,
}

impl fmt::Debug for RelyingParty {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("RelyingParty")
            .field("id", &self.id.as_ref())
            .field("origin", &self.origin)
            .finish()
    }
}

/// What is sent to a browser, and what is kept until it answers.
pub(crate) struct Asked {
    /// JSON, for the browser.
    pub(crate) options: String,
    /// By which the answer is found again.
    pub(crate) challenge: Digest,
    pub(crate) state: Vec<u8>,
}

impl Asked {
    fn of(
        client: &impl Serialize,
        sent: &SentChallenge,
        state: Result<Vec<u8>, impl fmt::Display>,
    ) -> Result<Self, String> {
        Ok(Self {
            options: serde_json::to_string(client).map_err(|error| error.to_string())?,
            challenge: digest(sent.0),
            state: state.map_err(|error| error.to_string())?,
        })
    }
}

/// A credential as it is stored.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Credential {
    pub(crate) id: Vec<u8>,
    pub(crate) transports: u8,
    pub(crate) stable: Vec<u8>,
    pub(crate) changing: Vec<u8>,
}

/// A browser's answer to a registration, not yet verified.
pub(crate) struct Registered(Registration);

/// A browser's answer to a sign-in, not yet verified.
pub(crate) struct Presented(DiscoverableAuthentication16);

/// Why a sign-in was refused.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum NotAccepted {
    /// The counter did not go up: there may be a copy of the passkey.
    Counter,
    /// Anything else.
    Other(String),
}

fn digest(challenge: u128) -> Digest {
    Digest::of(&challenge.to_le_bytes())
}

fn other(error: impl fmt::Display) -> NotAccepted {
    NotAccepted::Other(error.to_string())
}

/// At most so many bytes, whole characters.
fn cut(text: &str, most: usize) -> &str {
    let end = (0..=most.min(text.len()))
        .rev()
        .find(|at| text.is_char_boundary(*at));
    text.get(..end.unwrap_or(0)).unwrap_or_default()
}

impl RelyingParty {
    /// From the URL under which people reach the console.
    ///
    /// # Errors
    /// Why passkeys cannot be used there: browsers bind them to a domain reached over TLS, or to `localhost`.
    pub fn new(public_url: &str) -> Result<Self, String> {
        let wrong = |why: &str| Err(format!("{public_url} {why}"));
        let Ok(url) = url::Url::parse(public_url) else {
            return wrong("is no URL");
        };
        let Some(url::Host::Domain(domain)) = url.host() else {
            return wrong("names an address and no domain");
        };
        let local = domain == "localhost" || domain.ends_with(".localhost");
        if url.scheme() != "https" && !(local && url.scheme() == "http") {
            return wrong("is not reached over TLS");
        }
        match AsciiDomain::try_from(domain.to_owned()) {
            Ok(domain) => Ok(Self {
                id: RpId::Domain(domain),
                origin: url.origin().ascii_serialization(),
            }),
            Err(error) => wrong(&error.to_string()),
        }
    }

    /// The domain that passkeys are bound to.
    pub fn domain(&self) -> &str {
        self.id.as_ref()
    }

    /// Asks for a new passkey that can be found without a name and verifies its user, and that is none of `there`.
    pub(crate) fn ask_registration(
        &self,
        user: &User,
        there: &[Credential],
    ) -> Result<Asked, String> {
        let handle = handle(user.id);
        let name = cut(&user.email, LONGEST_NAME);
        let entity = PublicKeyCredentialUserEntity {
            name: name.try_into().or_else(|_| "user".try_into()).map_err(
                |error: webauthn_rp::request::register::error::UsernameErr| error.to_string(),
            )?,
            id: &handle,
            display_name: user.name.as_str().try_into().ok(),
        };
        let there = there.iter().filter_map(|credential| {
            Some(PublicKeyCredentialDescriptor {
                id: CredentialId::<Vec<u8>>::decode(credential.id.clone()).ok()?,
                transports: AuthTransports::decode(credential.transports).ok()?,
            })
        });
        let mut options =
            PublicKeyCredentialCreationOptions::passkey(&self.id, entity, there.collect());
        // Wished for, not insisted on: many devices do not know this extension and would make no passkey. That the
        // user is verified is insisted on at each sign-in.
        options.extensions.cred_protect =
            CredProtect::UserVerificationRequired(ExtensionInfo::AllowDontEnforceValue);
        let (server, client) = options
            .start_ceremony()
            .map_err(|error| error.to_string())?;
        Asked::of(&client, server.borrow(), server.encode())
    }

    /// Whether the answer to [`Self::ask_registration`] holds.
    pub(crate) fn accept_registration(
        &self,
        state: &[u8],
        answer: &Registered,
    ) -> Result<Credential, String> {
        let state =
            RegistrationServerState::<HANDLE>::decode(state).map_err(|error| error.to_string())?;
        let options = RegistrationVerificationOptions::<&str, &str> {
            allowed_origins: &[self.origin.as_str()],
            // Section 9: what nobody asked for must not make a registration fail.
            error_on_unsolicited_extensions: false,
            ..RegistrationVerificationOptions::default()
        };
        let made = state
            .verify(&self.id, &answer.0, &options)
            .map_err(|error| error.to_string())?;
        let Ok(stable) = made.static_state().encode();
        let Ok(changing) = made.dynamic_state().encode();
        let Ok(transports) = made.transports().encode();
        Ok(Credential {
            id: made.id().as_ref().to_vec(),
            transports,
            stable,
            changing: changing.to_vec(),
        })
    }

    /// Asks for any passkey of this domain, with its user verified.
    pub(crate) fn ask_sign_in(&self) -> Result<Asked, String> {
        let options = DiscoverableCredentialRequestOptions::passkey(&self.id);
        let (server, client) = options
            .start_ceremony()
            .map_err(|error| error.to_string())?;
        Asked::of(&client, server.borrow(), server.encode())
    }

    /// Whether the answer to [`Self::ask_sign_in`] holds for the stored credential of `user`. Gives what changed of it.
    pub(crate) fn accept_sign_in(
        &self,
        state: &[u8],
        answer: &Presented,
        user: UserId,
        stored: &Credential,
    ) -> Result<Vec<u8>, NotAccepted> {
        let state = DiscoverableAuthenticationServerState::decode(state).map_err(other)?;
        let handle = handle(user);
        let stable = StaticState::<PublicKey>::decode(&stored.stable).map_err(other)?;
        let changing = <[u8; 7]>::try_from(stored.changing.as_slice()).map_err(other)?;
        let changing = DynamicState::decode(changing).map_err(other)?;
        let id = CredentialId::<&[u8]>::decode(&stored.id).map_err(other)?;
        let mut credential =
            AuthenticatedCredential::new(id, &handle, stable, changing).map_err(other)?;
        let options = AuthenticationVerificationOptions::<&str, &str> {
            allowed_origins: &[self.origin.as_str()],
            error_on_unsolicited_extensions: false,
            ..AuthenticationVerificationOptions::default()
        };
        match state.verify(&self.id, &answer.0, &mut credential, &options) {
            Ok(_) => {
                let Ok(changed) = credential.dynamic_state().encode();
                Ok(changed.to_vec())
            }
            Err(AuthCeremonyErr::SignatureCounter) => Err(NotAccepted::Counter),
            Err(error) => Err(other(error)),
        }
    }
}

fn handle(user: UserId) -> UserHandle<HANDLE> {
    let Ok(handle) = UserHandle::decode(*user.uuid().as_bytes());
    handle
}

impl Registered {
    /// Reads `PublicKeyCredential.toJSON()`.
    pub(crate) fn read(json: &str) -> Result<(Self, Digest), String> {
        let read = Registration::from_json_relaxed(json.as_bytes());
        let answer = read.map_err(|error| error.to_string())?;
        let sent = answer
            .challenge_relaxed()
            .map_err(|error| error.to_string())?;
        Ok((Self(answer), digest(sent.0)))
    }
}

impl Presented {
    /// Reads `PublicKeyCredential.toJSON()`.
    pub(crate) fn read(json: &str) -> Result<(Self, Digest), String> {
        let read = DiscoverableAuthentication16::from_json_relaxed(json.as_bytes());
        let answer = read.map_err(|error| error.to_string())?;
        let sent = answer
            .challenge_relaxed()
            .map_err(|error| error.to_string())?;
        Ok((Self(answer), digest(sent.0)))
    }

    /// The credential that it says it is.
    pub(crate) fn credential(&self) -> Vec<u8> {
        self.0.raw_id().as_ref().to_vec()
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn passkeys_need_a_domain_over_tls_or_localhost() {
        for (url, domain) in [
            ("https://bill.example.com", "bill.example.com"),
            ("https://bill.example.com:8443/console", "bill.example.com"),
            ("http://localhost:3010", "localhost"),
        ] {
            assert_eq!(RelyingParty::new(url).unwrap().domain(), domain);
        }
        let party = RelyingParty::new("https://Bill.Example.com:443/x").unwrap();
        assert_eq!(party.origin, "https://bill.example.com");
        for url in [
            "http://127.0.0.1:3010",
            "https://[::1]:3010",
            "http://bill.example.com",
            "bill.example.com",
            "",
        ] {
            assert!(RelyingParty::new(url).is_err(), "{url}");
        }
    }

    #[test]
    fn names_are_cut_at_characters() {
        assert_eq!(cut("añb", 2), "a");
        assert_eq!(cut("añb", 3), "añ");
        assert_eq!(cut("", 3), "");
    }

    proptest! {
        #[test]
        fn any_answer_is_read_or_refused(text in "[ -~\\x00-\\x1f]{0,200}") {
            let _ = Registered::read(&text);
            let _ = Presented::read(&text);
        }

        #[test]
        fn any_members_are_read_or_refused(
            id in "[A-Za-z0-9_-]{0,40}",
            data in "[A-Za-z0-9_-]{0,60}",
            object in "[A-Za-z0-9_-]{0,200}",
        ) {
            let json = format!(
                r#"{{"id":"{id}","rawId":"{id}","type":"public-key","clientExtensionResults":{{}},
                "response":{{"clientDataJSON":"{data}","attestationObject":"{object}","transports":[],
                "authenticatorData":"{object}","signature":"{data}","userHandle":"{id}"}}}}"#
            );
            let _ = Registered::read(&json);
            let _ = Presented::read(&json);
        }
    }
}
