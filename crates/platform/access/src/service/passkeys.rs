//! Passkeys: adding them to one's own account, and signing in with one.

use sealwright_core::clock::MINUTE;
use sealwright_core::{Digest, TenantScope};
use sealwright_store::as_system;

use super::{AccessService, Change, Result, SignedIn, json, line, taken, users};
use crate::error::AccessError;
use crate::model::{Passkey, PasskeyId, Session, User, UserState};
use crate::principal::Principal;
use crate::relying_party::{NotAccepted, Presented, Registered, RelyingParty};
use crate::role::Action;
use crate::store;

/// A challenge is answered within this time.
const OPEN: i64 = 5 * MINUTE;
/// A passkey is added within this time of a sign-in: a browser that was left open must not become a lasting way in.
const FRESH: i64 = 15 * MINUTE;
/// The most passkeys of a user.
const MOST: i64 = 20;

const GONE: &str = "the request for it has expired or was answered before; try again";

fn refused(detail: impl Into<String>) -> AccessError {
    AccessError::Passkey(detail.into())
}

impl AccessService {
    /// As whom passkeys know this installation, or why there are none.
    ///
    /// # Errors
    /// Why passkeys cannot be used here.
    pub fn relying_party(&self) -> std::result::Result<&RelyingParty, &str> {
        self.relying_party.as_ref().as_ref().map_err(String::as_str)
    }

    fn passkeys_here(&self) -> Result<&RelyingParty> {
        self.relying_party()
            .map_err(|why| AccessError::Conflict(format!("there are no passkeys here: {why}")))
    }

    async fn oneself(&self, by: &Principal) -> Result<User> {
        let id = Self::user_id(by)?;
        self.user_in(by.tenants, &id.to_string()).await
    }

    /// The caller's own passkeys.
    ///
    /// # Errors
    /// [`AccessError::Conflict`] when the caller is not a user.
    pub async fn passkeys(&self, by: &Principal) -> Result<Vec<Passkey>> {
        let there = store::passkey::list(&self.store, Self::user_id(by)?).await?;
        Ok(there.into_iter().map(|(passkey, _)| passkey).collect())
    }

    /// What a browser is asked in order to make a passkey: `PublicKeyCredentialCreationOptionsJSON`.
    ///
    /// # Errors
    /// [`AccessError::Conflict`] when the sign-in is long ago, or where passkeys cannot be used.
    pub async fn ask_passkey(&self, by: &Principal, session: &Session) -> Result<String> {
        let party = self.passkeys_here()?;
        let user = self.oneself(by).await?;
        let now = self.now();
        if now.since(session.created_at) > FRESH {
            return Err(AccessError::Conflict(
                "a passkey is added within 15 minutes of signing in; sign out and in again"
                    .to_owned(),
            ));
        }
        let there = store::passkey::list(&self.store, user.id).await?;
        let there: Vec<_> = there
            .into_iter()
            .map(|(_, credential)| credential)
            .collect();
        let asked = party.ask_registration(&user, &there).map_err(refused)?;
        let asked_by = Digest::of(format!("user {}", user.id).as_bytes());
        let mut tx = self.store.begin().await?;
        store::passkey::insert_challenge(
            &mut tx,
            &asked,
            Some(user.id),
            asked_by,
            (now, now.plus(OPEN)),
        )
        .await?;
        tx.commit().await?;
        Ok(asked.options)
    }

    /// Adds the passkey that a browser made: `RegistrationResponseJSON`.
    ///
    /// # Errors
    /// [`AccessError::Passkey`] when the answer does not hold; [`AccessError::Taken`] for a passkey that is there.
    pub async fn add_passkey(&self, by: &Principal, name: &str, answer: &str) -> Result<Passkey> {
        let party = self.passkeys_here()?;
        let user = Self::user_id(by)?;
        let name = line("name", name, 100)?;
        let (answer, challenge) = Registered::read(answer).map_err(refused)?;
        let now = self.now();
        let mut tx = self.store.begin().await?;
        let state = store::passkey::take_challenge(&mut tx, challenge, Some(user), now).await?;
        // Used up, whatever comes of it.
        tx.commit().await?;
        let state = state.ok_or_else(|| refused(GONE))?;
        let credential = party
            .accept_registration(&state, &answer)
            .map_err(refused)?;
        let passkey = Passkey {
            id: PasskeyId::new(now),
            user_id: user,
            name,
            created_at: now,
            last_used_at: None,
        };
        let mut tx = self.store.begin().await?;
        tx.lock(&format!("access_passkey {user}")).await?;
        if store::passkey::count(&mut tx, user).await? >= MOST {
            return Err(AccessError::Conflict(format!(
                "there are {MOST} passkeys already; remove one first"
            )));
        }
        store::passkey::insert(&mut tx, &passkey, &credential)
            .await
            .map_err(|error| taken(error, "passkey", "this credential"))?;
        let change = Change {
            action: "access.passkey.add",
            tenant: by.tenants.tenant(),
            subject: passkey.id.to_string(),
            before: None,
            after: json(&passkey),
        };
        self.record(&mut tx, by, change).await?;
        tx.commit().await?;
        Ok(passkey)
    }

    /// Gives one of the caller's passkeys another name.
    ///
    /// # Errors
    /// [`AccessError::NotFound`], also for somebody else's.
    pub async fn rename_passkey(&self, by: &Principal, id: &str, name: &str) -> Result<Passkey> {
        let name = line("name", name, 100)?;
        let mut tx = self.store.begin().await?;
        let before = own(&mut tx, by, id).await?;
        let after = Passkey {
            name,
            ..before.clone()
        };
        store::passkey::rename(&mut tx, after.id, &after.name).await?;
        let change = Change {
            action: "access.passkey.rename",
            tenant: by.tenants.tenant(),
            subject: id.to_owned(),
            before: json(&before),
            after: json(&after),
        };
        self.record(&mut tx, by, change).await?;
        tx.commit().await?;
        Ok(after)
    }

    /// Removes one of the caller's passkeys: it no longer signs in.
    ///
    /// # Errors
    /// [`AccessError::NotFound`], also for somebody else's.
    pub async fn remove_passkey(&self, by: &Principal, id: &str) -> Result<Passkey> {
        let mut tx = self.store.begin().await?;
        let before = own(&mut tx, by, id).await?;
        store::passkey::delete(&mut tx, before.id).await?;
        let change = Change {
            action: "access.passkey.remove",
            tenant: by.tenants.tenant(),
            subject: id.to_owned(),
            before: json(&before),
            after: None,
        };
        self.record(&mut tx, by, change).await?;
        tx.commit().await?;
        Ok(before)
    }

    /// Removes all passkeys of a user, whose device was lost or is in other hands. How many there were.
    ///
    /// # Errors
    /// [`AccessError::NotFound`]; 403 for a user who may do more than the caller.
    pub async fn remove_passkeys_of(&self, by: &Principal, text: &str) -> Result<u64> {
        by.require(Action::AccessAdmin)?;
        let user = self.user_in(by.tenants, text).await?;
        by.require_no_less(users::who(&user.roles, user.tenant_id.is_none()), None)?;
        let there = store::passkey::list(&self.store, user.id).await?;
        let mut tx = self.store.begin().await?;
        for (passkey, _) in &there {
            store::passkey::delete(&mut tx, passkey.id).await?;
            let change = Change {
                action: "access.passkey.remove",
                tenant: user.tenant_id,
                subject: passkey.id.to_string(),
                before: json(passkey),
                after: None,
            };
            self.record(&mut tx, by, change).await?;
        }
        tx.commit().await?;
        Ok(there.len() as u64)
    }

    /// What a browser is asked in order to sign in: `PublicKeyCredentialRequestOptionsJSON`.
    ///
    /// # Errors
    /// [`AccessError::Conflict`] where passkeys cannot be used.
    pub async fn ask_sign_in(&self, address: &str) -> Result<String> {
        let party = self.passkeys_here()?;
        let asked = party.ask_sign_in().map_err(refused)?;
        let asked_by = Digest::of(format!("address {address}").as_bytes());
        let now = self.now();
        // Nobody is known yet.
        as_system(async {
            let mut tx = self.store.begin().await?;
            store::passkey::insert_challenge(
                &mut tx,
                &asked,
                None,
                asked_by,
                (now, now.plus(OPEN)),
            )
            .await?;
            Ok::<_, AccessError>(tx.commit().await?)
        })
        .await?;
        Ok(asked.options)
    }

    /// Signs in with a passkey: `AuthenticationResponseJSON`.
    ///
    /// # Errors
    /// [`AccessError::Passkey`] when the answer does not hold.
    pub async fn sign_in_by_passkey(
        &self,
        answer: &str,
        address: &str,
        agent: &str,
    ) -> Result<SignedIn> {
        // Whose passkey it is, is found by it.
        as_system(self.passkey_of_anybody(answer, address, agent)).await
    }

    async fn passkey_of_anybody(
        &self,
        answer: &str,
        address: &str,
        agent: &str,
    ) -> Result<SignedIn> {
        let party = self.passkeys_here()?;
        let (answer, challenge) = Presented::read(answer).map_err(refused)?;
        let now = self.now();
        let mut tx = self.store.begin().await?;
        let state = store::passkey::take_challenge(&mut tx, challenge, None, now).await?;
        tx.commit().await?;
        let state = state.ok_or_else(|| refused(GONE))?;
        let unknown = || refused("it is not known here");
        let (passkey, stored) = store::passkey::find_credential(&self.store, &answer.credential())
            .await?
            .ok_or_else(unknown)?;
        let user = self
            .user_in(TenantScope::All, &passkey.user_id.to_string())
            .await
            .map_err(|_| unknown())?;
        let changed = match party.accept_sign_in(&state, &answer, user.id, &stored) {
            Ok(changed) => changed,
            Err(NotAccepted::Counter) => return Err(self.copied(&user, &passkey).await?),
            Err(NotAccepted::Other(why)) => return Err(refused(why)),
        };
        if user.state != UserState::Active {
            return Err(unknown());
        }
        if let Some(tenant) = user.tenant_id {
            self.require_active(tenant).await?;
            self.admits(tenant, address.parse().ok())?;
        }
        let mut tx = self.store.begin().await?;
        let noted =
            store::passkey::note_use(&mut tx, passkey.id, &stored.changing, &changed, now).await?;
        if noted == 0 {
            return Err(refused(
                "it was used or removed at the same moment; try again",
            ));
        }
        tx.commit().await?;
        self.start_session(user, address, agent).await
    }

    /// A counter that did not go up is recorded: the passkey may have been copied.
    async fn copied(&self, user: &User, passkey: &Passkey) -> Result<AccessError> {
        tracing::warn!(user = %user.id, passkey = %passkey.id, "a passkey's signature counter did not go up");
        let mut tx = self.store.begin().await?;
        let change = Change {
            action: "access.passkey.refuse",
            tenant: user.tenant_id,
            subject: passkey.id.to_string(),
            before: None,
            after: json(&serde_json::json!({"why": "its signature counter did not go up"})),
        };
        let by = users::principal(user, &self.policies);
        self.record(&mut tx, &by, change).await?;
        tx.commit().await?;
        Ok(refused(
            "its signature counter did not go up, so there may be a copy of it; remove it and add another",
        ))
    }
}

async fn own(tx: &mut sealwright_store::Tx, by: &Principal, id: &str) -> Result<Passkey> {
    let unknown = || AccessError::not_found("passkey", id);
    let user = AccessService::user_id(by)?;
    let id: PasskeyId = id.parse().map_err(|_| unknown())?;
    store::passkey::find(tx, user, id)
        .await?
        .ok_or_else(unknown)
}
