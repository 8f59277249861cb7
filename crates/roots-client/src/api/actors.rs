//! Actors of the account.

use futures_util::Stream;

use crate::call::Call;
use crate::client::Client;
use crate::error::Error;
use crate::model::{
    Actor, ActorChange, ActorDeactivated, ActorPage, NewActor, Paging, Query, Whoami,
};
use crate::operation::Operation;
use crate::pages::{page, rows};

impl Client {
    /// The caller's account, actor and key.
    ///
    /// # Errors
    ///
    /// See [`Error`].
    pub async fn whoami(&self) -> Result<Whoami, Error> {
        self.send(&Call::new(Operation::Whoami)).await?.json()
    }

    /// A page of the account's actors, latest first.
    ///
    /// # Errors
    ///
    /// See [`Error`].
    pub async fn list_actors(&self, paging: &Paging) -> Result<ActorPage, Error> {
        page(self, Operation::ListActors, Query::new(), paging).await
    }

    /// All actors of the account, latest first, page by page as they are taken.
    pub fn actors(&self) -> impl Stream<Item = Result<Actor, Error>> {
        rows::<ActorPage>(self, Operation::ListActors, Query::new())
    }

    /// Adds a member, which has no key yet. Only the owner may. It is not repeated if its answer is
    /// lost: look before you do.
    ///
    /// # Errors
    ///
    /// See [`Error`].
    pub async fn add_actor(&self, actor: &NewActor) -> Result<Actor, Error> {
        self.send(&Call::new(Operation::AddActor).with_json(actor)?).await?.json()
    }

    /// One actor of the account.
    ///
    /// # Errors
    ///
    /// See [`Error`].
    pub async fn get_actor(&self, id: i64) -> Result<Actor, Error> {
        self.send(&Call::of_row(Operation::GetActor, id)).await?.json()
    }

    /// Renames, deactivates or reactivates an actor. Only the owner may.
    ///
    /// # Errors
    ///
    /// See [`Error`].
    pub async fn update_actor(&self, id: i64, change: &ActorChange) -> Result<Actor, Error> {
        self.send(&Call::of_row(Operation::UpdateActor, id).with_json(change)?).await?.json()
    }

    /// Ends an actor's keys for good and keeps its data. Only the owner may.
    ///
    /// # Errors
    ///
    /// See [`Error`].
    pub async fn deactivate_actor(&self, id: i64) -> Result<ActorDeactivated, Error> {
        self.send(&Call::of_row(Operation::DeactivateActor, id)).await?.json()
    }
}
