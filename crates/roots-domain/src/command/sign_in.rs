//! What the bearer of an API key or a browser key does about sign-ins.

use crate::model::api_key::{KeyEpoch, LookupHash, Wrap};
use crate::model::id::{ActorId, SignInId};
use crate::model::sign_in::Stay;
use crate::model::text::Name;

/// A change of sign-ins. It costs nothing. Members, suspended accounts and keys in their grace may
/// ask for all of them.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum SignInAction {
    /// Take the next id, to make a browser key for. It stays unused if the sign-in fails.
    ReserveId,
    /// Sign in.
    Open(NewSignIn),
    /// End one: one of the caller's actor or, for the owner, any of the account.
    End(SignInId),
    /// End all of an actor.
    EndAll(ActorId),
}

/// A sign-in to begin.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct NewSignIn {
    /// Its reserved id.
    pub id: SignInId,
    /// The epoch of the account's key that it opens, or under which it was made.
    pub account_epoch: KeyEpoch,
    /// The epoch of the actor's key that it opens.
    pub epoch: KeyEpoch,
    /// The hash by which its browser key is looked up.
    pub lookup: LookupHash,
    /// What the browser calls itself, in short.
    pub label: Option<Name>,
    /// How long it may last.
    pub stay: Stay,
    /// The wraps that its browser key opens.
    pub wraps: Vec<Wrap>,
}
