//! The refusals of the domain, and ids that do not exist.

use insta::assert_snapshot;
use roots_domain::command::{Action, Applied, AppliedRow, Refusal, SystemAction};
use roots_domain::model::id::{AccountId, ActorId, SessionId};
use roots_domain::model::time::Timestamp;
use roots_domain::model::todo::TodoStatus;
use roots_domain::port::store::ApplyError;
use roots_http::Signup;

use crate::fixture::{
    MockedApi, NEW_ACCOUNT, TestRequest, ask, delete, founding, get, patch, post,
};

/// The answer to a request whose command the store refuses.
async fn refused(refusal: Refusal, request: TestRequest) -> String {
    request.of(&MockedApi::refusing(refusal).router()).await.summary()
}

#[tokio::test]
async fn a_write_without_enough_credits_is_402() {
    let answer = refused(
        Refusal::InsufficientCredits { balance: 0, cost: 1 },
        post("/api/v1/sessions", "{}"),
    )
    .await;
    assert_snapshot!(answer, @r#"
    402 Payment Required

    {
      "type": "/docs/problems#insufficient-credits",
      "title": "Insufficient credits",
      "status": 402,
      "detail": "The balance of 0 credits does not cover the cost of 1.",
      "request_id": "019d728c-2e80-7000-8000-000000000001",
      "error": "The balance of 0 credits does not cover the cost of 1.",
      "balance": 0,
      "cost": 1
    }
    "#);
}

#[tokio::test]
async fn a_write_of_a_suspended_account_is_403() {
    assert_snapshot!(refused(Refusal::Suspended, delete("/api/v1/todos/1")).await, @r#"
    403 Forbidden

    {
      "type": "/docs/problems#account-suspended",
      "title": "The account is suspended",
      "status": 403,
      "detail": "This account is suspended: it is read-only.",
      "request_id": "019d728c-2e80-7000-8000-000000000001",
      "error": "This account is suspended: it is read-only."
    }
    "#);
}

#[tokio::test]
async fn a_members_owner_only_request_is_403() {
    assert_snapshot!(refused(Refusal::OwnerOnly, delete("/api/v1/todos/1")).await, @r#"
    403 Forbidden

    {
      "type": "/docs/problems#owner-only",
      "title": "Only the owner may do this",
      "status": 403,
      "detail": "Only the account's owner may do this: a member reads and writes only its own data.",
      "request_id": "019d728c-2e80-7000-8000-000000000001",
      "error": "Only the account's owner may do this: a member reads and writes only its own data."
    }
    "#);
}

#[tokio::test]
async fn a_rotation_by_a_key_in_grace_is_403() {
    assert_snapshot!(refused(Refusal::KeyInGrace, ask("POST", "/api/v1/keys/rotate")).await, @r#"
    403 Forbidden

    {
      "type": "/docs/problems#key-in-grace",
      "title": "A key in its grace period can't manage keys",
      "status": 403,
      "detail": "This key was rotated and is in its grace period: it can't manage actors or keys.",
      "request_id": "019d728c-2e80-7000-8000-000000000001",
      "error": "This key was rotated and is in its grace period: it can't manage actors or keys."
    }
    "#);
}

#[tokio::test]
async fn a_rotation_in_a_suspended_account_is_403() {
    assert_snapshot!(refused(Refusal::Suspended, ask("POST", "/api/v1/keys/rotate")).await, @r#"
    403 Forbidden

    {
      "type": "/docs/problems#account-suspended",
      "title": "The account is suspended",
      "status": 403,
      "detail": "This account is suspended: it is read-only.",
      "request_id": "019d728c-2e80-7000-8000-000000000001",
      "error": "This account is suspended: it is read-only."
    }
    "#);
}

#[tokio::test]
async fn revoking_the_owners_last_key_is_409() {
    assert_snapshot!(refused(Refusal::LastOwnerKey, delete("/api/v1/keys/1")).await, @r#"
    409 Conflict

    {
      "type": "/docs/problems#conflict",
      "title": "The current state does not allow this",
      "status": 409,
      "detail": "This is the last key in force of the account's owner: rotate it instead.",
      "request_id": "019d728c-2e80-7000-8000-000000000001",
      "error": "This is the last key in force of the account's owner: rotate it instead."
    }
    "#);
}

#[tokio::test]
async fn revoking_an_unknown_key_is_404() {
    assert_snapshot!(refused(Refusal::NotFound("key"), delete("/api/v1/keys/9")).await, @r#"
    404 Not Found

    {
      "type": "/docs/problems#not-found",
      "title": "Not found",
      "status": 404,
      "detail": "There is no such key.",
      "request_id": "019d728c-2e80-7000-8000-000000000001",
      "error": "There is no such key."
    }
    "#);
}

#[tokio::test]
async fn deactivating_the_owner_is_409() {
    assert_snapshot!(refused(Refusal::OwnerStays, delete("/api/v1/actors/1")).await, @r#"
    409 Conflict

    {
      "type": "/docs/problems#conflict",
      "title": "The current state does not allow this",
      "status": 409,
      "detail": "The owner of an account can't be deactivated.",
      "request_id": "019d728c-2e80-7000-8000-000000000001",
      "error": "The owner of an account can't be deactivated."
    }
    "#);
}

#[tokio::test]
async fn changing_an_unknown_actor_is_404() {
    let answer =
        refused(Refusal::NotFound("actor"), patch("/api/v1/actors/9", r#"{"is_active": false}"#))
            .await;
    assert_snapshot!(answer, @r#"
    404 Not Found

    {
      "type": "/docs/problems#not-found",
      "title": "Not found",
      "status": 404,
      "detail": "There is no such actor.",
      "request_id": "019d728c-2e80-7000-8000-000000000001",
      "error": "There is no such actor."
    }
    "#);
}

#[tokio::test]
async fn adding_an_actor_as_a_member_is_403() {
    let answer = refused(
        Refusal::OwnerOnly,
        post("/api/v1/actors", r#"{"name": "x", "actor_type": "human"}"#),
    )
    .await;
    assert_snapshot!(answer, @r#"
    403 Forbidden

    {
      "type": "/docs/problems#owner-only",
      "title": "Only the owner may do this",
      "status": 403,
      "detail": "Only the account's owner may do this: a member reads and writes only its own data.",
      "request_id": "019d728c-2e80-7000-8000-000000000001",
      "error": "Only the account's owner may do this: a member reads and writes only its own data."
    }
    "#);
}

#[tokio::test]
async fn a_key_for_an_unknown_actor_is_422() {
    let answer =
        refused(Refusal::NoSuchActor(ActorId(9)), post("/api/v1/keys", r#"{"actor_id": 9}"#)).await;
    assert_snapshot!(answer, @r#"
    422 Unprocessable Entity

    {
      "type": "/docs/problems#invalid-body",
      "title": "Invalid body",
      "status": 422,
      "detail": "There is no actor 9.",
      "request_id": "019d728c-2e80-7000-8000-000000000001",
      "error": "There is no actor 9.",
      "errors": [{"field": "actor_id", "message": "There is no actor 9."}]
    }
    "#);
}

#[tokio::test]
async fn a_key_for_an_inactive_actor_is_409() {
    let answer =
        refused(Refusal::ActorInactive(ActorId(1)), post("/api/v1/keys", r#"{"actor_id": 1}"#))
            .await;
    assert_snapshot!(answer, @r#"
    409 Conflict

    {
      "type": "/docs/problems#conflict",
      "title": "The current state does not allow this",
      "status": 409,
      "detail": "Actor 1 is deactivated: activate it first.",
      "request_id": "019d728c-2e80-7000-8000-000000000001",
      "error": "Actor 1 is deactivated: activate it first."
    }
    "#);
}

#[tokio::test]
async fn a_key_over_the_limit_of_the_account_is_409() {
    let answer =
        refused(Refusal::TooManyAccountKeys, post("/api/v1/keys", r#"{"actor_id": 1}"#)).await;
    assert_snapshot!(answer, @r#"
    409 Conflict

    {
      "type": "/docs/problems#conflict",
      "title": "The current state does not allow this",
      "status": 409,
      "detail": "This account has 50000 keys, the maximum, and none of them has ended: revoke some first.",
      "request_id": "019d728c-2e80-7000-8000-000000000001",
      "error": "This account has 50000 keys, the maximum, and none of them has ended: revoke some first."
    }
    "#);
}

#[tokio::test]
async fn an_actor_over_the_limit_is_409() {
    let answer = refused(
        Refusal::TooManyActors,
        post("/api/v1/actors", r#"{"name": "a", "actor_type": "agent"}"#),
    )
    .await;
    assert_snapshot!(answer, @r#"
    409 Conflict

    {
      "type": "/docs/problems#conflict",
      "title": "The current state does not allow this",
      "status": 409,
      "detail": "This account has 10000 actors, deactivated ones included. That is the maximum: activate one of them instead.",
      "request_id": "019d728c-2e80-7000-8000-000000000001",
      "error": "This account has 10000 actors, deactivated ones included. That is the maximum: activate one of them instead."
    }
    "#);
}

#[tokio::test]
async fn a_renewal_over_the_daily_limit_is_429() {
    let answer = refused(
        Refusal::TooManyRenewals {
            actor: ActorId(2),
            next_at: Timestamp::parse("2026-04-10T00:00:00Z").unwrap(),
            wait_seconds: 36_000,
        },
        post("/api/v1/keys", r#"{"actor_id": 2, "renew": true}"#),
    )
    .await;
    assert_snapshot!(answer, @r#"
    429 Too Many Requests
    retry-after: 36000

    {
      "type": "/docs/problems#too-many-requests",
      "title": "Too many requests",
      "status": 429,
      "detail": "The key of actor 2 was renewed 24 times today (UTC), the maximum: the next renewal is possible from 2026-04-10T00:00:00Z on.",
      "request_id": "019d728c-2e80-7000-8000-000000000001",
      "error": "The key of actor 2 was renewed 24 times today (UTC), the maximum: the next renewal is possible from 2026-04-10T00:00:00Z on."
    }
    "#);
}

#[tokio::test]
async fn a_key_over_the_limit_of_its_actor_is_409() {
    let answer =
        refused(Refusal::TooManyKeys(ActorId(1)), post("/api/v1/keys", r#"{"actor_id": 1}"#)).await;
    assert_snapshot!(answer, @r#"
    409 Conflict

    {
      "type": "/docs/problems#conflict",
      "title": "The current state does not allow this",
      "status": 409,
      "detail": "Actor 1 has 1000 valid keys, the maximum: revoke some first.",
      "request_id": "019d728c-2e80-7000-8000-000000000001",
      "error": "Actor 1 has 1000 valid keys, the maximum: revoke some first."
    }
    "#);
}

#[tokio::test]
async fn a_key_that_is_already_expired_is_422() {
    let answer = refused(
        Refusal::ExpiryNotAhead,
        post("/api/v1/keys", r#"{"actor_id": 1, "expires_at": "2026-04-09"}"#),
    )
    .await;
    assert_snapshot!(answer, @r#"
    422 Unprocessable Entity

    {
      "type": "/docs/problems#invalid-body",
      "title": "Invalid body",
      "status": 422,
      "detail": "The expiry must be in the future.",
      "request_id": "019d728c-2e80-7000-8000-000000000001",
      "error": "The expiry must be in the future.",
      "errors": [{"field": "expires_at", "message": "The expiry must be in the future."}]
    }
    "#);
}

#[tokio::test]
async fn a_key_overtaken_by_a_renewal_is_409() {
    let answer =
        refused(Refusal::KeysRenewed(ActorId(1)), post("/api/v1/keys", r#"{"actor_id": 1}"#)).await;
    assert_snapshot!(answer, @r#"
    409 Conflict

    {
      "type": "/docs/problems#conflict",
      "title": "The current state does not allow this",
      "status": 409,
      "detail": "The keys of actor 1 were renewed meanwhile: try again.",
      "request_id": "019d728c-2e80-7000-8000-000000000001",
      "error": "The keys of actor 1 were renewed meanwhile: try again."
    }
    "#);
}

#[tokio::test]
async fn a_recovery_by_a_code_that_has_just_ended_is_401() {
    let answer = refused(
        Refusal::CodeNotInForce,
        post("/api/v1/recover", r#"{"recovery_code": "00001-CODE"}"#).without_key(),
    )
    .await;
    assert_snapshot!(answer, @r#"
    401 Unauthorized
    cache-control: no-store
    www-authenticate: Bearer realm="roots"

    {
      "type": "/docs/problems#invalid-recovery-code",
      "title": "Invalid recovery code",
      "status": 401,
      "detail": "The recovery code is not valid.",
      "request_id": "019d728c-2e80-7000-8000-000000000001",
      "error": "The recovery code is not valid."
    }
    "#);
}

#[tokio::test]
async fn renewing_the_recovery_code_as_a_member_is_403() {
    assert_snapshot!(refused(Refusal::OwnerOnly, ask("POST", "/api/v1/recovery-code")).await, @r#"
    403 Forbidden

    {
      "type": "/docs/problems#owner-only",
      "title": "Only the owner may do this",
      "status": 403,
      "detail": "Only the account's owner may do this: a member reads and writes only its own data.",
      "request_id": "019d728c-2e80-7000-8000-000000000001",
      "error": "Only the account's owner may do this: a member reads and writes only its own data."
    }
    "#);
}

#[tokio::test]
async fn deleting_an_unknown_session_is_404() {
    assert_snapshot!(refused(Refusal::NotFound("session"), delete("/api/v1/sessions/1")).await, @r#"
    404 Not Found

    {
      "type": "/docs/problems#not-found",
      "title": "Not found",
      "status": 404,
      "detail": "There is no such session.",
      "request_id": "019d728c-2e80-7000-8000-000000000001",
      "error": "There is no such session."
    }
    "#);
}

#[tokio::test]
async fn a_link_to_an_unknown_session_is_422() {
    let answer = refused(
        Refusal::NoSuchSession(SessionId(7)),
        post("/api/v1/todos", r#"{"title": "x", "session_id": 7}"#),
    )
    .await;
    assert_snapshot!(answer, @r#"
    422 Unprocessable Entity

    {
      "type": "/docs/problems#invalid-body",
      "title": "Invalid body",
      "status": 422,
      "detail": "There is no session 7.",
      "request_id": "019d728c-2e80-7000-8000-000000000001",
      "error": "There is no session 7.",
      "errors": [{"field": "session_id", "message": "There is no session 7."}]
    }
    "#);
}

#[tokio::test]
async fn a_link_to_an_ended_session_is_409() {
    let answer = refused(
        Refusal::SessionEnded(SessionId(1)),
        post("/api/v1/activities", r#"{"description": "x", "session_id": 1}"#),
    )
    .await;
    assert_snapshot!(answer, @r#"
    409 Conflict

    {
      "type": "/docs/problems#conflict",
      "title": "The current state does not allow this",
      "status": 409,
      "detail": "Session 1 has ended: only an active session can be linked to.",
      "request_id": "019d728c-2e80-7000-8000-000000000001",
      "error": "Session 1 has ended: only an active session can be linked to."
    }
    "#);
}

#[tokio::test]
async fn ending_an_ended_session_is_409() {
    let answer = refused(
        Refusal::AlreadyEnded(SessionId(1)),
        patch("/api/v1/sessions/1", r#"{"status": "ended"}"#),
    )
    .await;
    assert_snapshot!(answer, @r#"
    409 Conflict

    {
      "type": "/docs/problems#conflict",
      "title": "The current state does not allow this",
      "status": 409,
      "detail": "Session 1 has already ended.",
      "request_id": "019d728c-2e80-7000-8000-000000000001",
      "error": "Session 1 has already ended."
    }
    "#);
}

#[tokio::test]
async fn reopening_an_ended_session_is_409() {
    let answer = refused(
        Refusal::CannotReopen(SessionId(1)),
        patch("/api/v1/sessions/1", r#"{"status": "active"}"#),
    )
    .await;
    assert_snapshot!(answer, @r#"
    409 Conflict

    {
      "type": "/docs/problems#conflict",
      "title": "The current state does not allow this",
      "status": 409,
      "detail": "Session 1 has ended and can't be reopened: start a new one.",
      "request_id": "019d728c-2e80-7000-8000-000000000001",
      "error": "Session 1 has ended and can't be reopened: start a new one."
    }
    "#);
}

#[tokio::test]
async fn a_forbidden_change_of_status_is_409() {
    let answer = refused(
        Refusal::ForbiddenStep { from: TodoStatus::Done, to: TodoStatus::Cancelled },
        patch("/api/v1/todos/1", r#"{"status": "cancelled"}"#),
    )
    .await;
    assert_snapshot!(answer, @r#"
    409 Conflict

    {
      "type": "/docs/problems#conflict",
      "title": "The current state does not allow this",
      "status": 409,
      "detail": "A todo can't go from done to cancelled; it can go to open or in_progress.",
      "request_id": "019d728c-2e80-7000-8000-000000000001",
      "error": "A todo can't go from done to cancelled; it can go to open or in_progress."
    }
    "#);
}

#[tokio::test]
async fn a_note_without_a_change_of_status_is_422() {
    let answer =
        refused(Refusal::NoteWithoutChange, patch("/api/v1/todos/1", r#"{"note": "lost"}"#)).await;
    assert_snapshot!(answer, @r#"
    422 Unprocessable Entity

    {
      "type": "/docs/problems#invalid-body",
      "title": "Invalid body",
      "status": 422,
      "detail": "A note needs a change of status, and this patch does not change it.",
      "request_id": "019d728c-2e80-7000-8000-000000000001",
      "error": "A note needs a change of status, and this patch does not change it.",
      "errors": [
        {
          "field": "note",
          "message": "A note needs a change of status, and this patch does not change it."
        }
      ]
    }
    "#);
}

#[tokio::test]
async fn an_erasure_by_a_wrong_code_is_403() {
    let answer = refused(
        Refusal::WrongRecoveryCode,
        delete("/api/v1/accounts/me").json(r#"{"recovery_code": "00001-CODE"}"#),
    )
    .await;
    assert_snapshot!(answer, @r#"
    403 Forbidden
    cache-control: no-store
    vary: authorization
    vary: x-api-key

    {
      "type": "/docs/problems#wrong-recovery-code",
      "title": "Not the recovery code of this account",
      "status": 403,
      "detail": "This is not the recovery code of this account.",
      "request_id": "019d728c-2e80-7000-8000-000000000001",
      "error": "This is not the recovery code of this account."
    }
    "#);
}

#[tokio::test]
async fn erasing_the_last_operators_account_is_409() {
    let answer = refused(
        Refusal::LastOperator,
        delete("/api/v1/accounts/me").json(r#"{"recovery_code": "00001-CODE"}"#),
    )
    .await;
    assert_snapshot!(answer, @r#"
    409 Conflict
    cache-control: no-store
    vary: authorization
    vary: x-api-key

    {
      "type": "/docs/problems#conflict",
      "title": "The current state does not allow this",
      "status": 409,
      "detail": "This is the last operator's account: make another one first.",
      "request_id": "019d728c-2e80-7000-8000-000000000001",
      "error": "This is the last operator's account: make another one first."
    }
    "#);
}

#[tokio::test]
async fn importing_the_accounts_own_export_is_422() {
    let answer = refused(
        Refusal::OwnExport,
        ask("POST", "/api/v1/import").header("content-type", "application/x-ndjson").body(
            r#"{"kind":"export","format":1,"source":"019d728c-2e80-7000-8000-0000000000aa"}"#,
        ),
    )
    .await;
    assert_snapshot!(answer, @r#"
    422 Unprocessable Entity
    cache-control: no-store
    vary: authorization
    vary: x-api-key

    {
      "type": "/docs/problems#invalid-body",
      "title": "Invalid body",
      "status": 422,
      "detail": "This is an export of this account: importing it would duplicate everything.",
      "request_id": "019d728c-2e80-7000-8000-000000000001",
      "error": "This is an export of this account: importing it would duplicate everything.",
      "errors": [
        {
          "field": "source",
          "message": "This is an export of this account: importing it would duplicate everything."
        }
      ]
    }
    "#);
}

#[tokio::test]
async fn an_activity_type_over_the_limit_is_422() {
    let answer = refused(
        Refusal::TooManyActivityTypes,
        post("/api/v1/activities", r#"{"description": "x", "activity_type": "new"}"#),
    )
    .await;
    assert_snapshot!(answer, @r#"
    422 Unprocessable Entity

    {
      "type": "/docs/problems#invalid-body",
      "title": "Invalid body",
      "status": 422,
      "detail": "An actor may have at most 1000 activity types.",
      "request_id": "019d728c-2e80-7000-8000-000000000001",
      "error": "An actor may have at most 1000 activity types.",
      "errors": [
        {"field": "activity_type", "message": "An actor may have at most 1000 activity types."}
      ]
    }
    "#);
}

#[tokio::test]
async fn every_invalid_recovery_code_is_the_same_401() {
    let recover = async |body: &str| {
        // A new API each time, so that the request ids are the same.
        let router = MockedApi::whole().router();
        post("/api/v1/recover", body).without_key().of(&router).await
    };
    let refused = recover(r#"{"recovery_code": "00001-USED"}"#).await;
    assert_snapshot!(refused.summary(), @r#"
    401 Unauthorized
    cache-control: no-store
    www-authenticate: Bearer realm="roots"

    {
      "type": "/docs/problems#invalid-recovery-code",
      "title": "Invalid recovery code",
      "status": 401,
      "detail": "The recovery code is not valid.",
      "request_id": "019d728c-2e80-7000-8000-000000000001",
      "error": "The recovery code is not valid."
    }
    "#);
    for body in [
        r#"{"recovery_code": "nonsense"}"#,
        r#"{"recovery_code": ""}"#,
        r#"{"recovery_code": "00001-CODE", "account_id": 2}"#,
        r#"{"recovery_code": "00001-USED", "account_id": 1}"#,
    ] {
        assert_eq!(recover(body).await.full_text(), refused.full_text(), "{body}");
    }
    let agreeing = r#"{"recovery_code": "00001-CODE", "account_id": 1}"#;
    assert_eq!(recover(agreeing).await.status, 201);
    assert_eq!(recover(r#"{"recovery_code": 7, "account_id": 0}"#).await.status, 422);
}

#[tokio::test]
async fn a_signup_while_signups_are_closed_is_403() {
    let mut api = MockedApi::whole();
    api.signup = Signup::Closed;
    // The other errors of the request do not matter.
    let answer = post("/api/v1/bootstrap?x=1", "[]").without_key().of(&api.router()).await;
    assert_snapshot!(answer.summary(), @r#"
    403 Forbidden
    cache-control: no-store

    {
      "type": "/docs/problems#signup-closed",
      "title": "Sign-up is closed",
      "status": 403,
      "detail": "Sign-up is closed: ask the operator of this service for an account.",
      "request_id": "019d728c-2e80-7000-8000-000000000001",
      "error": "Sign-up is closed: ask the operator of this service for an account."
    }
    "#);
}

#[tokio::test]
async fn a_reserved_account_id_that_is_taken_is_500() {
    let mut api = MockedApi::bare();
    api.signup = Signup::Open { credits: 100 };
    api.locksmith.expect_found().returning(|_, _, _, _| Ok(founding()));
    api.commands.expect_apply().returning(|command| match command.action {
        Action::System(SystemAction::ReserveAccount) => Ok(Applied {
            row: AppliedRow::Reserved(AccountId(2)),
            cost: 0,
            balance: 0,
            is_replay: false,
        }),
        _ => Err(ApplyError::Refused(Refusal::AccountExists(AccountId(2)))),
    });
    let answer = post("/api/v1/bootstrap", NEW_ACCOUNT).without_key().of(&api.router()).await;
    assert_snapshot!(answer.summary(), @r#"
    500 Internal Server Error
    cache-control: no-store

    {
      "type": "/docs/problems#internal-error",
      "title": "Internal error",
      "status": 500,
      "detail": "The server failed; the log has the cause under this request_id.",
      "request_id": "019d728c-2e80-7000-8000-000000000001",
      "error": "The server failed; the log has the cause under this request_id."
    }
    "#);
}

#[tokio::test]
async fn an_unknown_or_malformed_id_is_404() {
    let router = MockedApi::whole().router();
    for kind in ["sessions", "todos", "activities"] {
        for id in ["7", "0", "-1", "01", "x", "1.0", "%FF", "9223372036854775808"] {
            let answer = get(&format!("/api/v1/{kind}/{id}")).of(&router).await;
            assert_eq!(answer.status, 404, "{kind} {id}");
            assert!(answer.header("content-type").starts_with("application/problem+json"));
        }
    }
    for id in ["7", "x"] {
        assert_eq!(get(&format!("/api/v1/todos/{id}/logs")).of(&router).await.status, 404);
    }
    for ask in [
        delete("/api/v1/sessions/x"),
        delete("/api/v1/todos/0"),
        delete("/api/v1/activities/-1"),
        patch("/api/v1/sessions/x", "{}"),
        patch("/api/v1/todos/1.5", r#"{"title": "x"}"#),
    ] {
        assert_eq!(ask.of(&router).await.status, 404);
    }
    assert_snapshot!(get("/api/v1/todos/7").of(&router).await.summary(), @r#"
    404 Not Found

    {
      "type": "/docs/problems#not-found",
      "title": "Not found",
      "status": 404,
      "detail": "There is no such todo.",
      "request_id": "019d728c-2e80-7000-8000-000000000020",
      "error": "There is no such todo."
    }
    "#);
}
