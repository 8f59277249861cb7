//! Commands as plain values, for tests of the store. Their texts are not encrypted, but the store
//! can't tell.

use std::future::Future;
use std::sync::Arc;
use std::task::{Context, Poll, Waker};

use roots_domain::command::{
    Action, Applied, Charge, ClaimRequest, Command, Conditions, Resealed, ResourceAction, RowPatch,
    TransferAction,
};

use roots_domain::model::Patch;
use roots_domain::model::account::Role;
use roots_domain::model::activity::NewActivity;
use roots_domain::model::bearer::KeyBearer;
use roots_domain::model::claim::{ClaimToken, LeaseSeconds};
use roots_domain::model::id::{AccountId, ActivityId, ActorId, KeyId, SessionId, TodoId, Uid};
use roots_domain::model::import::{Import, ImportRow};
use roots_domain::model::sealed::Sealed;
use roots_domain::model::session::{SessionPatch, SessionStatusKind};
use roots_domain::model::time::Timestamp;
use roots_domain::model::todo::{NewTodo, NewTodos, Priority, TodoContent, TodoPatch, TodoStatus};
use roots_domain::port::clock::{Clock, Uids};
use roots_domain::port::store::{ApplyError, CommandStore};
use roots_domain::reference_model::ReferenceModel;
use roots_persistence::Store;
use tokio::task::JoinHandle;

use crate::ambient::{RandomUids, TestClock};
use crate::context::{TestContext, activity_type};

/// The result of applying a command.
pub type CommandResult = Result<Applied, ApplyError>;

/// Builds the commands of one actor.
#[derive(Debug, Clone, Copy)]
pub struct Issuer {
    /// The account.
    pub account: AccountId,
    /// The actor.
    pub actor: ActorId,
    /// The key that it uses.
    pub key: KeyId,
    /// The auth epoch under which the key was admitted.
    pub auth_epoch: i64,
    /// The time of its commands.
    pub at: Timestamp,
}

/// A text in the form that a store keeps, but not encrypted.
#[must_use]
pub fn text(plain: &str) -> Sealed {
    Sealed(plain.as_bytes().to_vec())
}

/// A new text for an existing row, different from the stored one.
#[must_use]
pub fn resealed(plain: &str) -> Resealed {
    Resealed { sealed: text(plain), same_as: None }
}

/// A uid that no other row has.
#[must_use]
pub fn uid() -> Uid {
    RandomUids.next()
}

impl Issuer {
    /// Creates an account with `credits` credits and returns the issuer of its owner.
    pub async fn new(store: &Store, credits: i64) -> Self {
        let context = TestContext::new(store.clone(), Arc::default());
        let caller = context.caller(credits).await;
        Self {
            account: caller.account.id,
            actor: caller.actor.id,
            key: caller.key,
            auth_epoch: caller.auth_epoch,
            at: context.clock.now(),
        }
    }

    /// An issuer for another actor of the same account. The store does not check the actor's row
    /// while the auth epoch matches the account's.
    #[must_use]
    pub const fn of_actor(self, id: i64) -> Self {
        Self { actor: ActorId(id), ..self }
    }

    /// The bearer of its key, with that role.
    #[must_use]
    pub const fn bearer(&self, role: Role) -> KeyBearer {
        KeyBearer {
            account: self.account,
            actor: self.actor,
            role,
            sign_in: None,
            key: self.key,
            auth_epoch: self.auth_epoch,
            ends_at: None,
        }
    }

    /// A reference model of its account, which started with `credits` credits. It judges leases by
    /// a new [`TestClock`], as a store of a test does whose clock was not moved.
    #[must_use]
    pub fn reference_model(&self, credits: i64) -> ReferenceModel {
        let model = ReferenceModel::new(self.account, self.auth_epoch, credits, self.at);
        ReferenceModel { shared_now: Some(TestClock::default().now()), ..model }
    }

    /// A command with the charge of a write.
    #[must_use]
    pub const fn command(&self, action: ResourceAction, endpoint: &'static str) -> Command {
        Command {
            action: Action::Resource(self.bearer(Role::Member), action),
            charge: Some(Charge::write(endpoint)),
            conditions: Conditions { if_match: None, idempotency: None },
            at: self.at,
        }
    }

    /// Imports rows of a source, as an owner.
    #[must_use]
    pub fn import(&self, source: Uid, rows: Vec<ImportRow>) -> Command {
        let actors = std::iter::once((self.actor, self.actor)).collect();
        let action = TransferAction::Import(Import { source, actors, rows });
        Command::uncharged(Action::Transfer(self.bearer(Role::Owner), action), self.at)
    }

    /// Starts a session.
    #[must_use]
    pub fn start_session(&self) -> Command {
        self.command(
            ResourceAction::StartSession { actor: self.actor, uid: uid(), notes: None },
            "POST /sessions",
        )
    }

    /// Changes a session.
    #[must_use]
    pub const fn patch_session(&self, id: i64, patch: SessionPatch<Resealed>) -> Command {
        let row = RowPatch { id: SessionId(id), sealed_for: None, patch };
        self.command(ResourceAction::PatchSession(row), "PATCH /sessions/{id}")
    }

    /// Ends a session.
    #[must_use]
    pub const fn end_session(&self, id: i64) -> Command {
        let patch = SessionPatch { status: Some(SessionStatusKind::Ended), notes: Patch::Keep };
        self.patch_session(id, patch)
    }

    /// Deletes a session.
    #[must_use]
    pub const fn delete_session(&self, id: i64) -> Command {
        self.command(ResourceAction::DeleteSession(SessionId(id)), "DELETE /sessions/{id}")
    }

    /// Creates a todo.
    #[must_use]
    pub fn create_todo(&self, title: &str) -> Command {
        self.create_todo_as(title, 0, None)
    }

    /// Creates a todo of a priority, linked to a session.
    #[must_use]
    pub fn create_todo_as(&self, title: &str, priority: i64, session: Option<i64>) -> Command {
        let new = self.new_todo(title, priority, session);
        self.command(ResourceAction::CreateTodo { uid: uid(), new }, "POST /todos")
    }

    /// Creates several todos, each with a title, a priority and a link to a session.
    #[must_use]
    pub fn create_todos(&self, todos: &[(&str, i64, Option<i64>)]) -> Command {
        let new = todos
            .iter()
            .map(|(title, priority, session)| (uid(), self.new_todo(title, *priority, *session)));
        let new = NewTodos::new(new.collect()).expect("1 to 20 todos");
        let (action, endpoint) = (ResourceAction::CreateTodos(new), "POST /todos");
        let charge = Some(Charge::of(&action, endpoint));
        Command { charge, ..self.command(action, endpoint) }
    }

    fn new_todo(&self, title: &str, priority: i64, session: Option<i64>) -> NewTodo<Sealed> {
        NewTodo {
            actor: Some(self.actor),
            content: TodoContent {
                session: session.map(SessionId),
                title: text(title),
                description: None,
                priority: Priority::parse(priority).expect("a priority"),
                due_at: None,
            },
        }
    }

    /// Changes a todo.
    #[must_use]
    pub fn patch_todo(&self, id: i64, patch: TodoPatch<Resealed>) -> Command {
        let row = RowPatch { id: TodoId(id), sealed_for: None, patch };
        self.command(
            ResourceAction::PatchTodo { row, log_uid: uid(), claim_token: None },
            "PATCH /todos/{id}",
        )
    }

    /// Changes the status of a todo.
    #[must_use]
    pub fn step_todo(&self, id: i64, status: TodoStatus) -> Command {
        self.patch_todo(id, TodoPatch { status: Some(status), ..TodoPatch::EMPTY })
    }

    /// A claim of the next todo, of any priority, for the default lease.
    #[must_use]
    pub fn next_claim(&self) -> ClaimRequest {
        ClaimRequest {
            actor: self.actor,
            session: None,
            todo: None,
            min_priority: Priority::default(),
            lease: LeaseSeconds::default(),
            log_uids: [uid(), uid()],
            lapse_note: text("claim lapsed"),
        }
    }

    /// Claims a todo.
    #[must_use]
    pub const fn claim(&self, claim: ClaimRequest) -> Command {
        self.command(ResourceAction::ClaimTodo(claim), "POST /todos/claim")
    }

    /// Claims the next todo.
    #[must_use]
    pub fn claim_next(&self) -> Command {
        self.claim(self.next_claim())
    }

    /// Gives up a claim.
    #[must_use]
    pub fn release(&self, id: i64, token: i64) -> Command {
        let (id, claim_token) = (TodoId(id), ClaimToken(token));
        let action = ResourceAction::ReleaseTodo { id, claim_token, log_uid: uid() };
        self.command(action, "POST /todos/{id}/release")
    }

    /// Changes a todo with the token of a claim.
    #[must_use]
    pub fn patch_claimed(&self, id: i64, token: i64, patch: TodoPatch<Resealed>) -> Command {
        let row = RowPatch { id: TodoId(id), sealed_for: None, patch };
        let claim_token = Some(ClaimToken(token));
        let action = ResourceAction::PatchTodo { row, log_uid: uid(), claim_token };
        self.command(action, "PATCH /todos/{id}")
    }

    /// Deletes a todo.
    #[must_use]
    pub const fn delete_todo(&self, id: i64) -> Command {
        self.command(
            ResourceAction::DeleteTodo { id: TodoId(id), claim_token: None },
            "DELETE /todos/{id}",
        )
    }

    /// Logs an activity of a type.
    #[must_use]
    pub fn log_activity(&self, activity_type: &str) -> Command {
        self.log_activity_as(activity_type, None, None)
    }

    /// Logs an activity with a type, session and time.
    #[must_use]
    pub fn log_activity_as(
        &self,
        label: &str,
        session: Option<i64>,
        logged_at: Option<Timestamp>,
    ) -> Command {
        let new = NewActivity {
            actor: Some(self.actor),
            session: session.map(SessionId),
            activity_type: activity_type(label),
            description: text("what happened"),
            logged_at,
        };
        self.command(ResourceAction::LogActivity { uid: uid(), new }, "POST /activities")
    }

    /// Deletes an activity.
    #[must_use]
    pub const fn delete_activity(&self, id: i64) -> Command {
        self.command(ResourceAction::DeleteActivity(ActivityId(id)), "DELETE /activities/{id}")
    }
}

/// The call of a command that is in the store's queue, behind those begun before.
pub type UnderWay = JoinHandle<CommandResult>;

/// Gives a command to the store and does not wait for the answer.
#[must_use]
pub fn begin(store: &Store, command: Command) -> UnderWay {
    let store = store.clone();
    let mut call = Box::pin(async move { store.apply(command).await });
    // The first poll puts the command into the queue, so that commands queue up in the order of
    // calls.
    match call.as_mut().poll(&mut Context::from_waker(Waker::noop())) {
        Poll::Ready(answer) => tokio::spawn(async move { answer }),
        Poll::Pending => tokio::spawn(call),
    }
}

/// Gives commands to the store in order. If the first is blocked, all are queued before it is
/// answered.
#[must_use]
pub fn begin_all(store: &Store, commands: impl IntoIterator<Item = Command>) -> Vec<UnderWay> {
    commands.into_iter().map(|command| begin(store, command)).collect()
}

/// The answers, in the order of the calls.
pub async fn answers(calls: Vec<UnderWay>) -> Vec<CommandResult> {
    let mut answers = Vec::with_capacity(calls.len());
    for call in calls {
        answers.push(call.await.expect("a write that is answered"));
    }
    answers
}

/// Applies commands in order, as many at once as fit into a writer queue. The answers are in the
/// same order.
pub async fn apply_all(
    store: &Store,
    commands: impl IntoIterator<Item = Command>,
) -> Vec<CommandResult> {
    const AT_ONCE: usize = 128;
    let mut commands = commands.into_iter().peekable();
    let mut found = Vec::new();
    while commands.peek().is_some() {
        found.extend(answers(begin_all(store, commands.by_ref().take(AT_ONCE))).await);
    }
    found
}

/// Applies commands like [`apply_all`]; each must succeed.
pub async fn apply_each(store: &Store, commands: impl IntoIterator<Item = Command>) {
    for answer in apply_all(store, commands).await {
        answer.expect("a write that is applied");
    }
}
