//! Claims of todos that several agents share.

use crate::call::Call;
use crate::client::Client;
use crate::model::{ListedTodo, NewClaim, Release, Todo, TodoDeleted};
use crate::operation::Operation;
use crate::request::{Change, Create, CreateIfAny};

impl Client {
    /// Claims the next open todo, or the one that the claim names, and puts it in progress. Answers
    /// `None` if no todo is left to claim. Costs 1 credit, or nothing if it answers `None`.
    ///
    /// A todo that is named and held by another claim is the problem `conflict`, whose
    /// [`until`](crate::Problem::until) says until when.
    pub fn claim_todo(&self, claim: &NewClaim) -> CreateIfAny<'_, ListedTodo> {
        CreateIfAny::new(self, Call::new(Operation::ClaimTodo), claim)
    }

    /// Gives up a claim: the todo is open again. Costs 1 credit. If the claim does not stand, the
    /// error's code is `claim-lost`, and nothing is changed or charged.
    pub fn release_todo(&self, id: i64, release: &Release) -> Create<'_, Todo> {
        Create::new(self, Call::of_row(Operation::ReleaseTodo, id), release)
    }
}

impl Change<'_, TodoDeleted> {
    /// Deletes the todo only if your claim with this token stands. Otherwise the error's code is
    /// `claim-lost`, and nothing is deleted or charged.
    pub fn claim_token(self, token: i64) -> Self {
        self.with_query(vec![("claim_token", token.to_string())])
    }
}
