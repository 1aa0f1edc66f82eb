//! Passwords: Argon2id with the OWASP minimum of 19 MiB, two passes, one lane.

use std::sync::{Arc, OnceLock};

use argon2::password_hash::phc::PasswordHash;
use argon2::password_hash::{PasswordHasher as _, PasswordVerifier as _};
use argon2::{Algorithm, Argon2, Params, Version};
use tokio::sync::Semaphore;

use crate::AccessError;

/// NIST SP 800-63B-4: at least 15 characters where the password is the only factor; and a bound, so
/// that nobody makes the server hash a megabyte.
const SHORTEST: usize = 15;
const LONGEST_BYTES: usize = 1024;

/// Each hash takes 19 MiB and some tens of milliseconds of one core; more at once would let a flood of
/// sign-ins take the machine.
static RUNNING: Semaphore = Semaphore::const_new(2);

fn argon2() -> Result<Argon2<'static>, AccessError> {
    let params = Params::new(19_456, 2, 1, Some(32)).map_err(|_| AccessError::Hashing)?;
    Ok(Argon2::new(Algorithm::Argon2id, Version::V0x13, params))
}

/// Refuses passwords that are too short, too long, or the e-mail address itself.
pub(crate) fn check_new(password: &str, email: &str) -> Result<(), AccessError> {
    let length = password.chars().count();
    if length < SHORTEST {
        return Err(AccessError::Invalid {
            field: "password",
            detail: format!("has {length} characters; it needs at least {SHORTEST}"),
        });
    }
    if password.len() > LONGEST_BYTES {
        return Err(AccessError::Invalid {
            field: "password",
            detail: format!("is longer than {LONGEST_BYTES} bytes"),
        });
    }
    let distinct: std::collections::BTreeSet<char> = password.chars().collect();
    if password.eq_ignore_ascii_case(email) || distinct.len() < 4 {
        return Err(AccessError::Invalid {
            field: "password",
            detail:
                "is the e-mail address or a few characters repeated; take several unrelated words"
                    .to_owned(),
        });
    }
    Ok(())
}

async fn blocking<T: Send + 'static>(
    work: impl FnOnce() -> Result<T, AccessError> + Send + 'static,
) -> Result<T, AccessError> {
    let _permit = RUNNING.acquire().await.map_err(|_| AccessError::Hashing)?;
    tokio::task::spawn_blocking(work)
        .await
        .map_err(|_| AccessError::Hashing)?
}

/// The PHC string of a password.
pub(crate) async fn hash(password: &str) -> Result<String, AccessError> {
    let password = password.to_owned();
    blocking(move || {
        argon2()?
            .hash_password(password.as_bytes())
            .map(|hash| hash.to_string())
            .map_err(|_| AccessError::Hashing)
    })
    .await
}

/// Whether `password` belongs to `stored`. Where there is no user the same work is done on a hash of
/// nothing, so that the time of the answer tells nobody who has an account.
pub(crate) async fn verify(password: &str, stored: Option<&str>) -> Result<bool, AccessError> {
    static NOBODY: OnceLock<Arc<str>> = OnceLock::new();
    if password.len() > LONGEST_BYTES {
        return Ok(false);
    }
    let password = password.to_owned();
    let stored = stored.map(str::to_owned);
    blocking(move || {
        let argon2 = argon2()?;
        let known = stored.is_some();
        let text: Arc<str> = match stored {
            Some(text) => text.into(),
            None => match NOBODY.get() {
                Some(text) => Arc::clone(text),
                None => {
                    let made = argon2
                        .hash_password(&crate::secret::random()?)
                        .map_err(|_| AccessError::Hashing)?;
                    Arc::clone(NOBODY.get_or_init(|| made.to_string().into()))
                }
            },
        };
        let parsed = PasswordHash::new(&text).map_err(|_| AccessError::Hashing)?;
        let matches = argon2.verify_password(password.as_bytes(), &parsed).is_ok();
        Ok(known && matches)
    })
    .await
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::*;

    #[tokio::test]
    async fn hashes_verify_and_state_their_parameters() {
        let stored = hash("correct horse battery").await.unwrap();
        assert!(
            stored.starts_with("$argon2id$v=19$m=19456,t=2,p=1$"),
            "{stored}"
        );
        assert!(
            verify("correct horse battery", Some(&stored))
                .await
                .unwrap()
        );
        assert!(
            !verify("correct horse batterz", Some(&stored))
                .await
                .unwrap()
        );
        assert!(!verify("anything at all here", None).await.unwrap());
    }

    #[test]
    fn weak_ones_are_refused() {
        for bad in ["short", "aaaaaaaaaaaaaaaaaaaa", "someone@example.org"] {
            assert!(check_new(bad, "someone@example.org").is_err(), "{bad}");
        }
        assert!(check_new(&"x9y!".repeat(400), "a@b").is_err());
        assert!(check_new("correct horse battery", "a@b").is_ok());
    }
}
