//! What operators ask for, and the audit log.

use insta::assert_snapshot;
use roots_domain::command::{Action, Charge, Operator, OperatorAction, Refusal};
use roots_domain::model::account::AccountKind;
use roots_domain::model::id::AccountId;
use roots_domain::model::text::Name;
use roots_domain::port::store::ApplyError;

use crate::fixture::{MockedApi, TestRequest, ask, get, post};

const GRANT: &str = r#"{"amount": 500, "note": "April"}"#;

fn of_operators() -> MockedApi {
    MockedApi::whole_of(AccountKind::Operator)
}

async fn told(ask: TestRequest) -> String {
    // Any actor of theirs may.
    ask.by_the_member().of(&of_operators().router()).await.told()
}

macro_rules! answers {
    ($($name:ident: $ask:expr;)+) => {$(
        #[tokio::test]
        async fn $name() {
            assert_snapshot!(told($ask).await);
        }
    )+};
}

answers! {
    accounts_are_listed: get("/api/v1/accounts?limit=5");
    an_account_is_shown: get("/api/v1/accounts/2");
    an_account_that_is_not_there: get("/api/v1/accounts/3");
    credits_are_granted: post("/api/v1/accounts/2/credits", GRANT);
    an_account_is_suspended: ask("POST", "/api/v1/accounts/2/suspend");
    an_account_is_resumed: ask("POST", "/api/v1/accounts/2/resume");
    a_grant_is_judged_field_by_field:
        post("/api/v1/accounts/2/credits", r#"{"amount": 0, "note": "", "ammount": 5}"#);
    a_member_does_not_read_the_audit_trail: get("/api/v1/audit");
}

#[tokio::test]
async fn the_audit_trail_is_listed() {
    assert_snapshot!(get("/api/v1/audit?limit=5").of_the_whole_api().await.told());
}

#[tokio::test]
async fn customers_are_told_nothing_of_accounts() {
    let router = MockedApi::whole().router();
    let mut answers = Vec::new();
    // Not whether an account is there, nor what else is wrong with the request.
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
        answers.push(answer.told());
    }
    answers.dedup();
    assert_eq!(answers.len(), 1);
    assert_snapshot!("a_customer_is_no_operator", answers[0]);
}

#[tokio::test]
async fn what_the_store_refuses_is_told() {
    let account = AccountId(2);
    for (name, refusal) in [
        ("an_account_that_was_not_found", Refusal::NoSuchAccount(account)),
        ("an_account_that_would_suspend_itself", Refusal::OwnAccount),
        ("a_balance_beyond_counting", Refusal::BalanceTooHigh),
        ("a_suspended_operator", Refusal::Suspended),
        ("an_operator_no_more", Refusal::OperatorOnly),
    ] {
        let mut api = of_operators();
        api.commands.checkpoint();
        api.commands.expect_apply().return_once(move |_| Err(ApplyError::Refused(refusal)));
        let answer = post("/api/v1/accounts/2/credits", GRANT).of(&api.router()).await;
        assert_snapshot!(name, answer.told());
    }
}

#[tokio::test]
async fn a_key_that_has_ended_is_forgotten() {
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
