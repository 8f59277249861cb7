//! The endpoints for operators, and the audit log.

use std::collections::BTreeSet;

use insta::assert_snapshot;
use roots_domain::command::{Action, Charge, Operator, OperatorAction, Refusal};
use roots_domain::model::account::AccountKind;
use roots_domain::model::id::AccountId;
use roots_domain::model::text::Name;
use roots_domain::port::store::ApplyError;

use crate::fixture::{MockedApi, TestRequest, TestResponse, ask, get, post};

const GRANT: &str = r#"{"amount": 500, "note": "April"}"#;

fn of_operators() -> MockedApi {
    MockedApi::whole_of(AccountKind::Operator)
}

async fn answer(request: TestRequest) -> String {
    // Every actor of an operator account may call them.
    request.by_the_member().of(&of_operators().router()).await.summary()
}

#[tokio::test]
async fn accounts_are_listed() {
    assert_snapshot!(answer(get("/api/v1/accounts?limit=5")).await);
}

#[tokio::test]
async fn an_account_is_shown() {
    assert_snapshot!(answer(get("/api/v1/accounts/2")).await, @r#"
    200 OK

    {
      "account_id": 2,
      "name": "Acme",
      "account_type": "customer",
      "status": "suspended",
      "balance": 99,
      "actors": 3,
      "writes": 7,
      "last_write_at": "2026-04-09T13:30:00Z",
      "created_at": "2026-04-09T09:00:00Z"
    }
    "#);
}

#[tokio::test]
async fn an_unknown_account_is_404() {
    assert_snapshot!(answer(get("/api/v1/accounts/3")).await, @r#"
    404 Not Found

    {
      "type": "/docs/problems#not-found",
      "title": "Not found",
      "status": 404,
      "detail": "There is no such account.",
      "request_id": "019d728c-2e80-7000-8000-000000000001",
      "error": "There is no such account."
    }
    "#);
}

#[tokio::test]
async fn credits_are_granted() {
    assert_snapshot!(answer(post("/api/v1/accounts/2/credits", GRANT)).await, @r#"
    201 Created

    {"account_id": 2, "balance": 599}
    "#);
}

#[tokio::test]
async fn an_account_is_suspended() {
    assert_snapshot!(answer(ask("POST", "/api/v1/accounts/2/suspend")).await, @r#"
    200 OK

    {"status": "suspended", "account_id": 2}
    "#);
}

#[tokio::test]
async fn an_account_is_resumed() {
    assert_snapshot!(answer(ask("POST", "/api/v1/accounts/2/resume")).await, @r#"
    200 OK

    {"status": "active", "account_id": 2}
    "#);
}

#[tokio::test]
async fn every_error_of_a_grant_is_reported_at_once() {
    let answer =
        answer(post("/api/v1/accounts/2/credits", r#"{"amount": 0, "note": "", "ammount": 5}"#))
            .await;
    assert_snapshot!(answer, @r#"
    422 Unprocessable Entity

    {
      "type": "/docs/problems#invalid-body",
      "title": "Invalid body",
      "status": 422,
      "detail": "amount must be 1 to 1000000000; note must not be empty; ammount is not a known field: did you mean amount?",
      "request_id": "019d728c-2e80-7000-8000-000000000001",
      "error": "amount must be 1 to 1000000000; note must not be empty; ammount is not a known field: did you mean amount?",
      "errors": [
        {"field": "amount", "message": "must be 1 to 1000000000"},
        {"field": "note", "message": "must not be empty"},
        {"field": "ammount", "message": "is not a known field: did you mean amount?"}
      ]
    }
    "#);
}

#[tokio::test]
async fn a_members_read_of_the_audit_log_is_403() {
    assert_snapshot!(answer(get("/api/v1/audit")).await, @r#"
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
async fn the_audit_log_is_listed() {
    assert_snapshot!(get("/api/v1/audit?limit=5").of_the_whole_api().await.summary());
}

#[tokio::test]
async fn every_operation_on_accounts_is_the_same_403_to_a_customer() {
    let router = MockedApi::whole().router();
    let mut answers = Vec::new();
    // The answer reveals neither whether an account exists nor other errors of the request.
    for ask in [
        get("/api/v1/accounts"),
        get("/api/v1/accounts?limit=0"),
        get("/api/v1/accounts/1"),
        get("/api/v1/accounts/x"),
        post("/api/v1/accounts/2/credits", GRANT),
        post("/api/v1/accounts/9/credits", "[]"),
        ask("POST", "/api/v1/accounts/2/suspend"),
        ask("POST", "/api/v1/accounts/0/suspend"),
        ask("POST", "/api/v1/accounts/1/resume?x=1"),
    ] {
        let answer = ask.header("x-request-id", "a-test").of(&router).await;
        assert_eq!(answer.status, 403);
        answers.push(answer);
    }
    let texts: BTreeSet<_> = answers.iter().map(TestResponse::full_text).collect();
    assert_eq!(texts.len(), 1, "{texts:?}");
    assert_snapshot!(answers[0].summary(), @r#"
    403 Forbidden

    {
      "type": "/docs/problems#operator-only",
      "title": "Only operators may do this",
      "status": 403,
      "detail": "Only an operator's account may do this.",
      "request_id": "a-test",
      "error": "Only an operator's account may do this."
    }
    "#);
}

/// The answer to a grant that the store refuses.
async fn refused(refusal: Refusal) -> String {
    let mut api = of_operators();
    api.commands.checkpoint();
    api.commands.expect_apply().return_once(move |_| Err(ApplyError::Refused(refusal)));
    post("/api/v1/accounts/2/credits", GRANT).of(&api.router()).await.summary()
}

#[tokio::test]
async fn a_grant_to_an_account_that_was_not_found_is_404() {
    assert_snapshot!(refused(Refusal::NoSuchAccount(AccountId(2))).await, @r#"
    404 Not Found

    {
      "type": "/docs/problems#not-found",
      "title": "Not found",
      "status": 404,
      "detail": "There is no account 2.",
      "request_id": "019d728c-2e80-7000-8000-000000000001",
      "error": "There is no account 2."
    }
    "#);
}

#[tokio::test]
async fn an_operation_on_the_own_account_is_409() {
    assert_snapshot!(refused(Refusal::OwnAccount).await, @r#"
    409 Conflict

    {
      "type": "/docs/problems#conflict",
      "title": "The current state does not allow this",
      "status": 409,
      "detail": "An account can't suspend itself: another operator's account may.",
      "request_id": "019d728c-2e80-7000-8000-000000000001",
      "error": "An account can't suspend itself: another operator's account may."
    }
    "#);
}

#[tokio::test]
async fn a_grant_beyond_the_largest_balance_is_409() {
    assert_snapshot!(refused(Refusal::BalanceTooHigh).await, @r#"
    409 Conflict

    {
      "type": "/docs/problems#conflict",
      "title": "The current state does not allow this",
      "status": 409,
      "detail": "The balance would exceed the largest possible one.",
      "request_id": "019d728c-2e80-7000-8000-000000000001",
      "error": "The balance would exceed the largest possible one."
    }
    "#);
}

#[tokio::test]
async fn a_grant_by_a_suspended_operator_is_403() {
    assert_snapshot!(refused(Refusal::Suspended).await, @r#"
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
async fn a_grant_by_a_former_operator_is_403() {
    assert_snapshot!(refused(Refusal::OperatorOnly).await, @r#"
    403 Forbidden

    {
      "type": "/docs/problems#operator-only",
      "title": "Only operators may do this",
      "status": 403,
      "detail": "Only an operator's account may do this.",
      "request_id": "019d728c-2e80-7000-8000-000000000001",
      "error": "Only an operator's account may do this."
    }
    "#);
}

#[tokio::test]
async fn an_operators_key_that_has_ended_is_dropped_from_the_cache() {
    let mut api = of_operators();
    api.commands.checkpoint();
    api.commands.expect_apply().returning(|_| Err(ApplyError::Refused(Refusal::KeyNotInForce)));
    let router = api.router();
    for write in
        [post("/api/v1/accounts/2/credits", GRANT), post("/api/v1/accounts/2/suspend", "{}")]
    {
        assert_eq!(write.of(&router).await.status, 401);
    }
}

#[tokio::test]
async fn a_grant_costs_nothing_and_names_its_route() {
    let mut api = of_operators();
    api.commands.checkpoint();
    api.commands
        .expect_apply()
        .withf(|command| {
            let Action::Operate(Operator::Key(bearer), action) = &command.action else {
                return false;
            };
            let OperatorAction::GrantCredits { account, amount, note } = action else {
                return false;
            };
            let charge = Some(Charge { cost: 0, endpoint: "POST /accounts/{id}/credits" });
            let noted = note.as_ref().map(Name::as_str);
            (account.0, *amount, noted) == (2, 1_000_000_000, Some("April"))
                && bearer.account.0 == 1
                && command.charge == charge
        })
        .return_once(|_| Err(ApplyError::Refused(Refusal::OperatorOnly)));
    let most = r#"{"amount": 1000000000, "note": "April"}"#;
    let answer = post("/api/v1/accounts/2/credits", most).of(&api.router()).await;
    assert_eq!(answer.status, 403);
}
