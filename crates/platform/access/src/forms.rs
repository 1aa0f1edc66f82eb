//! The forms of the pages, read from `application/x-www-form-urlencoded` bodies.

use sealwright_core::Problem;

use crate::error::AccessError;
use crate::model::{NewKey, NewTenant, NewUser};
use crate::role::Role;
use crate::service::{Result, SignIn};

const MOST_FIELDS: usize = 200;

/// The fields of a form, in order; a name may come several times.
pub struct Fields(Vec<(String, String)>);

impl std::fmt::Debug for Fields {
    /// Names only: values may be passwords.
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_list()
            .entries(self.0.iter().map(|(name, _)| name))
            .finish()
    }
}

impl Fields {
    /// Reads a body.
    ///
    /// # Errors
    /// 400 for more than 200 fields, a bad `%` escape, or bytes that are not UTF-8.
    pub fn parse(body: &[u8]) -> Result<Self> {
        let bad = |detail: &str| AccessError::from(Problem::bad_request(detail));
        let mut fields = Vec::new();
        for pair in body.split(|b| *b == b'&').filter(|pair| !pair.is_empty()) {
            if fields.len() == MOST_FIELDS {
                return Err(bad("the form has more than 200 fields"));
            }
            let at = pair.iter().position(|b| *b == b'=').unwrap_or(pair.len());
            let (name, value) = (&pair[..at], pair.get(at + 1..).unwrap_or(&[]));
            let decode = |bytes| decode(bytes).ok_or_else(|| bad("the form has a bad escape"));
            fields.push((decode(name)?, decode(value)?));
        }
        Ok(Self(fields))
    }

    /// The first value of `name`.
    pub fn get(&self, name: &str) -> Option<&str> {
        self.0
            .iter()
            .find(|(found, _)| found == name)
            .map(|(_, value)| value.as_str())
    }

    /// Names and values, in order.
    pub fn pairs(&self) -> impl Iterator<Item = (&str, &str)> {
        self.0
            .iter()
            .map(|(name, value)| (name.as_str(), value.as_str()))
    }

    /// All values of `name`.
    pub fn all<'a>(&'a self, name: &'a str) -> impl Iterator<Item = &'a str> {
        self.0
            .iter()
            .filter(move |(found, _)| found == name)
            .map(|(_, value)| value.as_str())
    }

    /// The trimmed value of `name`, unless it is empty.
    pub fn filled(&self, name: &str) -> Option<String> {
        self.get(name)
            .map(str::trim)
            .filter(|text| !text.is_empty())
            .map(str::to_owned)
    }

    fn needed(&self, name: &'static str) -> Result<String> {
        self.filled(name).ok_or_else(|| AccessError::Invalid {
            field: name,
            detail: "is needed".to_owned(),
        })
    }

    /// The sign-in form: `email`, `password`.
    ///
    /// # Errors
    /// [`AccessError::Invalid`] for an empty field; likewise below.
    pub fn sign_in(&self, address: &str, agent: &str) -> Result<SignIn> {
        Ok(SignIn {
            email: self.needed("email")?,
            password: self.get("password").unwrap_or_default().to_owned(),
            address: address.to_owned(),
            agent: agent.to_owned(),
        })
    }

    /// The welcome form: `email`, `password` and `again`, which must be equal.
    ///
    /// # Errors
    /// See [`Self::sign_in`].
    pub fn welcome(&self) -> Result<(String, String)> {
        let password = self.get("password").unwrap_or_default();
        if self.get("again").is_some_and(|again| again != password) {
            return Err(AccessError::Invalid {
                field: "again",
                detail: "is not the same password".to_owned(),
            });
        }
        Ok((
            self.filled("email").unwrap_or_default(),
            password.to_owned(),
        ))
    }

    /// The form for a tenant: `slug`, `name`, `plan`, `region`.
    ///
    /// # Errors
    /// See [`Self::sign_in`].
    pub fn tenant(&self) -> Result<NewTenant> {
        Ok(NewTenant {
            slug: self.needed("slug")?,
            name: self.filled("name"),
            plan: self.filled("plan"),
            region: self.filled("region"),
        })
    }

    /// The form for a key: `tenant`, `name`, any number of `scope`, `expires_at`.
    ///
    /// # Errors
    /// See [`Self::sign_in`].
    pub fn key(&self) -> Result<NewKey> {
        Ok(NewKey {
            tenant: self.filled("tenant"),
            name: self.filled("name"),
            scopes: self.all("scope").map(str::to_owned).collect(),
            expires_at: self.filled("expires_at"),
        })
    }

    /// The form for a user: `email`, `name`, `tenant`, any number of `role`.
    ///
    /// # Errors
    /// See [`Self::sign_in`].
    pub fn user(&self) -> Result<NewUser> {
        let roles = self
            .all("role")
            .map(|text| {
                text.parse::<Role>().map_err(|detail| AccessError::Invalid {
                    field: "roles",
                    detail,
                })
            })
            .collect::<Result<_>>()?;
        Ok(NewUser {
            email: self.needed("email")?,
            name: self.filled("name"),
            tenant: self.filled("tenant"),
            roles,
            password: None,
        })
    }
}

fn decode(bytes: &[u8]) -> Option<String> {
    let mut out = Vec::with_capacity(bytes.len());
    let mut rest = bytes;
    while let Some((first, tail)) = rest.split_first() {
        rest = tail;
        match first {
            b'+' => out.push(b' '),
            b'%' => {
                let (hex, tail) = rest.split_at_checked(2)?;
                let digit = |b: u8| char::from(b).to_digit(16);
                out.push((digit(hex[0])? * 16 + digit(hex[1])?) as u8);
                rest = tail;
            }
            other => out.push(*other),
        }
    }
    String::from_utf8(out).ok()
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn reads_what_browsers_send() {
        let fields = Fields::parse(b"email=a%40b.c&name=A+B&scope=x&scope=%C3%A9&empty=").unwrap();
        assert_eq!(fields.get("email"), Some("a@b.c"));
        assert_eq!(fields.get("name"), Some("A B"));
        assert_eq!(fields.all("scope").collect::<Vec<_>>(), ["x", "é"]);
        assert_eq!(fields.filled("empty"), None);
        assert!(!format!("{fields:?}").contains("a@b.c"));
    }

    #[test]
    fn refuses_bad_escapes_and_floods() {
        for bad in [&b"a=%4"[..], b"a=%zz", b"a=%ff"] {
            assert!(Fields::parse(bad).is_err());
        }
        assert!(Fields::parse("a=1&".repeat(201).as_bytes()).is_err());
    }

    proptest! {
        #[test]
        fn arbitrary_bytes_never_panic(bytes in proptest::collection::vec(any::<u8>(), 0..200)) {
            let _ = Fields::parse(&bytes);
        }
    }
}
