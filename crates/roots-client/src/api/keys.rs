//! API keys and the recovery code.

use futures_util::Stream;

use crate::call::Call;
use crate::client::Client;
use crate::error::Error;
use crate::model::{
    Key, KeyPage, KeyRevoked, NewKey, NewKeyShown, Paging, Query, Recovered, Recovery,
    RecoveryCodeRenewed, Rotation,
};
use crate::operation::Operation;
use crate::pages::{page, rows};

impl Client {
    /// A page of keys, latest first, ended ones included: for the owner those of the account, for a
    /// member its own.
    ///
    /// # Errors
    ///
    /// See [`Error`].
    pub async fn list_keys(&self, paging: &Paging) -> Result<KeyPage, Error> {
        page(self, Operation::ListKeys, Query::new(), paging).await
    }

    /// All keys, latest first, page by page as they are taken.
    pub fn keys(&self) -> impl Stream<Item = Result<Key, Error>> {
        rows::<KeyPage>(self, Operation::ListKeys, Query::new())
    }

    /// Makes a key for any actor. Only the owner may. It is not repeated if its answer is lost: the
    /// list then shows a key that nobody has seen, to revoke.
    ///
    /// # Errors
    ///
    /// See [`Error`].
    pub async fn add_key(&self, key: &NewKey) -> Result<NewKeyShown, Error> {
        self.send(&Call::new(Operation::AddKey).with_json(key)?).await?.json()
    }

    /// Replaces the key of this client, which stays valid until the new one is first used. The
    /// client goes on with the old one: make another client with the new key.
    ///
    /// # Errors
    ///
    /// See [`Error`].
    pub async fn rotate_key(&self, rotation: &Rotation) -> Result<NewKeyShown, Error> {
        self.send(&Call::new(Operation::RotateKey).with_json(rotation)?).await?.json()
    }

    /// Revokes a key, at once.
    ///
    /// # Errors
    ///
    /// See [`Error`].
    pub async fn revoke_key(&self, id: i64) -> Result<KeyRevoked, Error> {
        self.send(&Call::of_row(Operation::RevokeKey, id)).await?.json()
    }

    /// Makes a new recovery code and ends all others. Only the owner may.
    ///
    /// # Errors
    ///
    /// See [`Error`].
    pub async fn renew_recovery_code(&self) -> Result<RecoveryCodeRenewed, Error> {
        self.send(&Call::new(Operation::RenewRecoveryCode)).await?.json()
    }

    /// Exchanges a recovery code for a new key of the owner. It needs no key.
    ///
    /// # Errors
    ///
    /// See [`Error`].
    pub async fn recover(&self, recovery: &Recovery) -> Result<Recovered, Error> {
        self.send(&Call::new(Operation::Recover).with_json(recovery)?).await?.json()
    }
}
