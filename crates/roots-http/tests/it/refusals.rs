//! What the core refuses, and what is not there.

use insta::assert_snapshot;
use roots_domain::command::{Action, Applied, AppliedRow, Refusal, SystemAction};
use roots_domain::model::id::{AccountId, ActorId, SessionId};
use roots_domain::model::time::Timestamp;
use roots_domain::model::todo::TodoStatus;
use roots_domain::port::store::ApplyError;
use roots_http::Signup;

use crate::fixture::{MockedApi, NEW_ACCOUNT, ask, delete, founding, get, patch, post};

macro_rules! refused {
    ($($name:ident: $refusal:expr, $ask:expr;)+) => {$(
        #[tokio::test]
        async fn $name() {
            let router = MockedApi::refusing($refusal).router();
            assert_snapshot!($ask.of(&router).await.told());
        }
    )+};
}

refused! {
    credits_that_do_not_suffice: Refusal::InsufficientCredits { balance: 0, cost: 1 },
        post("/api/v1/sessions", "{}");
    a_suspended_account: Refusal::Suspended, delete("/api/v1/todos/1");
    a_member_that_asks_for_what_is_the_owners: Refusal::OwnerOnly, delete("/api/v1/todos/1");
    a_key_in_grace: Refusal::KeyInGrace, ask("POST", "/api/v1/keys/rotate");
    a_suspended_accounts_rotation: Refusal::Suspended, ask("POST", "/api/v1/keys/rotate");
    the_last_key_of_the_owner: Refusal::LastOwnerKey, delete("/api/v1/keys/1");
    a_key_that_is_not_there: Refusal::NotFound("key"), delete("/api/v1/keys/9");
    an_owner_that_stays: Refusal::OwnerStays, delete("/api/v1/actors/1");
    an_actor_that_is_not_there: Refusal::NotFound("actor"),
        patch("/api/v1/actors/9", r#"{"is_active": false}"#);
    a_member_that_adds_an_actor: Refusal::OwnerOnly,
        post("/api/v1/actors", r#"{"name": "x", "actor_type": "human"}"#);
    a_key_for_nobody: Refusal::NoSuchActor(ActorId(9)), post("/api/v1/keys", r#"{"actor_id": 9}"#);
    a_key_for_an_inactive_actor: Refusal::ActorInactive(ActorId(1)),
        post("/api/v1/keys", r#"{"actor_id": 1}"#);
    a_key_too_many_of_the_account: Refusal::TooManyAccountKeys,
        post("/api/v1/keys", r#"{"actor_id": 1}"#);
    an_actor_too_many: Refusal::TooManyActors,
        post("/api/v1/actors", r#"{"name": "a", "actor_type": "agent"}"#);
    a_renewal_too_many: Refusal::TooManyRenewals {
        actor: ActorId(2),
        next_at: Timestamp::parse("2026-04-10T00:00:00Z").unwrap(),
        wait_seconds: 36_000,
    }, post("/api/v1/keys", r#"{"actor_id": 2, "renew": true}"#);
    a_key_too_many: Refusal::TooManyKeys(ActorId(1)), post("/api/v1/keys", r#"{"actor_id": 1}"#);
    a_key_born_expired: Refusal::ExpiryNotAhead,
        post("/api/v1/keys", r#"{"actor_id": 1, "expires_at": "2026-04-09"}"#);
    a_key_that_was_overtaken: Refusal::KeysRenewed(ActorId(1)),
        post("/api/v1/keys", r#"{"actor_id": 1}"#);
    a_code_that_has_ended_in_between: Refusal::CodeNotInForce,
        post("/api/v1/recover", r#"{"recovery_code": "00001-CODE"}"#).without_key();
    a_member_that_renews_the_code: Refusal::OwnerOnly, ask("POST", "/api/v1/recovery-code");
    a_session_that_is_not_there: Refusal::NotFound("session"), delete("/api/v1/sessions/1");
    a_link_to_no_session: Refusal::NoSuchSession(SessionId(7)),
        post("/api/v1/todos", r#"{"title": "x", "session_id": 7}"#);
    a_link_to_an_ended_session: Refusal::SessionEnded(SessionId(1)),
        post("/api/v1/activities", r#"{"description": "x", "session_id": 1}"#);
    an_ended_session_ended_again: Refusal::AlreadyEnded(SessionId(1)),
        patch("/api/v1/sessions/1", r#"{"status": "ended"}"#);
    an_ended_session_reopened: Refusal::CannotReopen(SessionId(1)),
        patch("/api/v1/sessions/1", r#"{"status": "active"}"#);
    a_step_that_there_is_not:
        Refusal::ForbiddenStep { from: TodoStatus::Done, to: TodoStatus::Cancelled },
        patch("/api/v1/todos/1", r#"{"status": "cancelled"}"#);
    a_note_without_a_change: Refusal::NoteWithoutChange,
        patch("/api/v1/todos/1", r#"{"note": "lost"}"#);
    a_code_that_is_not_the_accounts: Refusal::WrongRecoveryCode,
        delete("/api/v1/accounts/me").json(r#"{"recovery_code": "00001-CODE"}"#);
    the_last_operators_account: Refusal::LastOperator,
        delete("/api/v1/accounts/me").json(r#"{"recovery_code": "00001-CODE"}"#);
    an_import_of_what_the_account_has:
        Refusal::OwnExport,
        ask("POST", "/api/v1/import").header("content-type", "application/x-ndjson").body(
            r#"{"kind":"export","format":1,"source":"019d728c-2e80-7000-8000-0000000000aa"}"#,
        );
    too_many_kinds: Refusal::TooManyKinds,
        post("/api/v1/activities", r#"{"description": "x", "activity_type": "new"}"#);
}

#[tokio::test]
async fn codes_that_are_none_are_refused_alike() {
    let recover = async |body: &str| {
        // Anew each time, so that requests are named alike.
        let router = MockedApi::whole().router();
        post("/api/v1/recover", body).without_key().of(&router).await
    };
    let refused = recover(r#"{"recovery_code": "00001-USED"}"#).await.told();
    assert_snapshot!(refused);
    for body in [
        r#"{"recovery_code": "nonsense"}"#,
        r#"{"recovery_code": ""}"#,
        r#"{"recovery_code": "00001-CODE", "account_id": 2}"#,
        r#"{"recovery_code": "00001-USED", "account_id": 1}"#,
    ] {
        assert_eq!(recover(body).await.told(), refused, "{body}");
    }
    let agreeing = r#"{"recovery_code": "00001-CODE", "account_id": 1}"#;
    assert_eq!(recover(agreeing).await.status, 201);
    assert_eq!(recover(r#"{"recovery_code": 7, "account_id": 0}"#).await.status, 422);
}

#[tokio::test]
async fn signup_is_closed_unless_opened() {
    let mut api = MockedApi::whole();
    api.settings.signup = Signup::Closed;
    // Whatever else is wrong with the request does not matter.
    let answer = post("/api/v1/bootstrap?x=1", "[]").without_key().of(&api.router()).await;
    assert_snapshot!(answer.told());
}

#[tokio::test]
async fn a_reserved_account_that_is_taken_is_our_error() {
    let mut api = MockedApi::bare();
    api.settings.signup = Signup::Open { credits: 100 };
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
    assert_snapshot!(answer.told());
}

#[tokio::test]
async fn what_is_not_the_callers_is_not_there() {
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
    assert_snapshot!(get("/api/v1/todos/7").of(&router).await.told());
}
