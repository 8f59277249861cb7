//! Admission: whether a command's principal may ask, and whether the request is a repeat.

use super::working_set::WorkingSet;

use crate::command::{Applied, AppliedRow, IdempotencyRecord, Refusal};
use crate::model::account::{AccountKind, AccountStatus, Role};
use crate::model::api_key::ApiKey;
use crate::model::bearer::KeyBearer;
use crate::model::id::{AccountId, ActorId};
use crate::model::idempotency::{Idempotency, IdempotencyMacs};
use crate::model::sign_in::SignIn;
use crate::model::time::Timestamp;

/// The account and the actor that the bearer of a key acts as.
pub(super) struct Scope {
    pub(super) account: AccountId,
    pub(super) actor: ActorId,
    pub(super) role: Role,
    pub(super) at: Timestamp,
}

impl Scope {
    pub(super) const fn of(bearer: KeyBearer, at: Timestamp) -> Self {
        let KeyBearer { account, actor, role, .. } = bearer;
        Self { account, actor, role, at }
    }

    /// Whether rows of that actor exist for this one.
    pub(super) fn reaches(&self, other: ActorId) -> bool {
        self.role.reaches(self.actor, other)
    }

    /// The caller may make rows that belong to that actor.
    pub(super) fn check_reach(&self, other: ActorId) -> Result<(), Refusal> {
        if self.reaches(other) { Ok(()) } else { Err(Refusal::OwnerOnly) }
    }
}

impl WorkingSet {
    /// Whether the bearer's key is in force as its command is decided. A sign-in is always looked
    /// at, since what ends it does not move the auth epoch.
    pub(super) fn admit(&self, bearer: KeyBearer) -> Result<(), Refusal> {
        let account = self.account(bearer.account).ok_or(Refusal::KeyNotInForce)?;
        if bearer.has_ended(self.decided_at) {
            return Err(Refusal::KeyNotInForce);
        }
        if let Some(id) = bearer.sign_in {
            let sign_in = self.sign_ins.get((account.id, id));
            let is_bearers = |sign_in: &SignIn| {
                sign_in.actor == bearer.actor
                    && sign_in.opener == bearer.key
                    && sign_in.in_force(self.decided_at)
            };
            if !sign_in.is_some_and(is_bearers) {
                return Err(Refusal::KeyNotInForce);
            }
        }
        if account.auth_epoch == bearer.auth_epoch {
            return Ok(());
        }
        let key = self.keys.get((account.id, bearer.key));
        let actor = self.actors.get((account.id, bearer.actor));
        let in_force = |key: &ApiKey| key.actor == bearer.actor && key.in_force(self.decided_at);
        let is_good = key.is_some_and(in_force) && actor.is_some_and(|actor| actor.is_active);
        if is_good { Ok(()) } else { Err(Refusal::KeyNotInForce) }
    }

    pub(super) fn check_not_suspended(&self, account: AccountId) -> Result<(), Refusal> {
        match self.account(account).map(|account| account.status) {
            Some(AccountStatus::Active) => Ok(()),
            _ => Err(Refusal::Suspended),
        }
    }

    /// Checks that the bearer belongs to an operator's account. Any of its actors may act as
    /// operator.
    pub(super) fn check_operator(&self, bearer: KeyBearer) -> Result<(), Refusal> {
        self.check_not_suspended(bearer.account)?;
        match self.account(bearer.account).map(|account| account.kind) {
            Some(AccountKind::Operator) => Ok(()),
            _ => Err(Refusal::OperatorOnly),
        }
    }

    /// Decides a request, or repeats the answer to one with the same idempotency key that was
    /// decided before.
    pub(super) fn decide_once(
        &mut self,
        bearer: KeyBearer,
        idempotency: Option<Idempotency>,
        at: Timestamp,
        decide: impl FnOnce(&mut Self) -> Result<Applied, Refusal>,
    ) -> Result<Applied, Refusal> {
        let Some(idempotency) = idempotency else { return decide(self) };
        if let Some(answered) = self.answered(&idempotency, bearer, at) {
            return answered;
        }
        let applied = decide(self)?;
        self.keep(idempotency.now, bearer, &applied, at);
        Ok(applied)
    }

    /// The answer to a request whose idempotency key was used before: the first success again,
    /// whatever has become of its row, or a refusal if the key belongs to another request, or if
    /// the answer had a secret. `None` for a new key.
    fn answered(
        &self,
        idempotency: &Idempotency,
        bearer: KeyBearer,
        at: Timestamp,
    ) -> Option<Result<Applied, Refusal>> {
        let find = |key| self.idempotency_records.get(&(bearer.account, bearer.actor, key));
        let mut kept = idempotency.all().filter_map(|named| Some((named, find(named.key)?)));
        let (named, kept) = kept.find(|(_, kept)| !kept.is_expired(at))?;
        if named.request != kept.request.request {
            return Some(Err(Refusal::KeyOfAnotherRequest));
        }
        if kept.row == AppliedRow::ShownOnce {
            return Some(Err(Refusal::ShownOnce));
        }
        let balance = self.account(bearer.account)?.balance;
        Some(Ok(Applied { row: kept.row.clone(), cost: kept.cost, balance, is_replay: true }))
    }

    /// Stores the answer to a request with a new idempotency key, if anything was done.
    fn keep(
        &mut self,
        request: IdempotencyMacs,
        bearer: KeyBearer,
        applied: &Applied,
        at: Timestamp,
    ) {
        let row = match &applied.row {
            // A repeat may find a todo.
            AppliedRow::NothingToClaim => return,
            AppliedRow::Key(_) => AppliedRow::ShownOnce,
            row => row.clone(),
        };
        let cost = applied.cost;
        let record = IdempotencyRecord { actor: bearer.actor, request, row, cost, created_at: at };
        let key = (bearer.account, bearer.actor, request.key);
        self.idempotency_records.insert(key, record.clone());
        self.write_set.idempotency_records.insert(key, record);
    }
}
