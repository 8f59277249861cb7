//! The operations of the API: where each is, and what may be repeated.

use reqwest::Method;

/// Whether a request that may have reached the server is sent again.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Repeat {
    /// Done twice, it leaves what it leaves when it is done once. Reads are so, and writes such as
    /// a revocation.
    Safe,
    /// The route takes an `Idempotency-Key`. Each write carries one, and every repetition carries
    /// the same.
    WithKey,
    /// Done twice, it would do more than once, and the route takes no `Idempotency-Key`. It is
    /// repeated only if the server did nothing.
    Never,
}

macro_rules! operations {
    ($($name:ident: $id:literal $method:ident $path:literal $repeat:ident $access:ident;)+) => {
        /// An operation of the API, as the OpenAPI document names it.
        #[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
        #[non_exhaustive]
        pub enum Operation {
            $(
                #[doc = concat!("`", stringify!($method), " ", $path, "`")]
                $name,
            )+
        }

        impl Operation {
            /// All of them, in the order of the document.
            pub const ALL: &[Self] = &[$(Self::$name),+];

            /// Its `operationId`.
            #[must_use]
            pub const fn id(self) -> &'static str {
                match self { $(Self::$name => $id,)+ }
            }

            /// Its method.
            #[must_use]
            pub fn method(self) -> Method {
                match self { $(Self::$name => Method::$method,)+ }
            }

            /// Its path from the root of the server. `{id}` stands for the id of a row.
            #[must_use]
            pub const fn path(self) -> &'static str {
                match self { $(Self::$name => $path,)+ }
            }

            /// Whether its request may be sent again.
            #[must_use]
            pub const fn repeat(self) -> Repeat {
                match self { $(Self::$name => Repeat::$repeat,)+ }
            }

            /// Whether it takes an API key. The client sends its key to no other.
            #[must_use]
            pub const fn takes_api_key(self) -> bool {
                match self { $(Self::$name => operations!(@takes $access),)+ }
            }
        }
    };
    (@takes private) => { true };
    (@takes public) => { false };
}

operations! {
    Health: "health" GET "/health" Safe public;
    Ready: "ready" GET "/ready" Safe public;
    Problems: "problems" GET "/docs/problems" Safe public;
    ListSessions: "listSessions" GET "/api/v1/sessions" Safe private;
    StartSession: "startSession" POST "/api/v1/sessions" WithKey private;
    GetSession: "getSession" GET "/api/v1/sessions/{id}" Safe private;
    DeleteSession: "deleteSession" DELETE "/api/v1/sessions/{id}" WithKey private;
    UpdateSession: "updateSession" PATCH "/api/v1/sessions/{id}" WithKey private;
    ListTodos: "listTodos" GET "/api/v1/todos" Safe private;
    CreateTodo: "createTodo" POST "/api/v1/todos" WithKey private;
    GetTodoStats: "getTodoStats" GET "/api/v1/todos/stats" Safe private;
    GetTodo: "getTodo" GET "/api/v1/todos/{id}" Safe private;
    DeleteTodo: "deleteTodo" DELETE "/api/v1/todos/{id}" WithKey private;
    UpdateTodo: "updateTodo" PATCH "/api/v1/todos/{id}" WithKey private;
    GetTodoLogs: "getTodoLogs" GET "/api/v1/todos/{id}/logs" Safe private;
    ClaimTodo: "claimTodo" POST "/api/v1/todos/claim" WithKey private;
    ReleaseTodo: "releaseTodo" POST "/api/v1/todos/{id}/release" WithKey private;
    ListActivities: "listActivities" GET "/api/v1/activities" Safe private;
    LogActivity: "logActivity" POST "/api/v1/activities" WithKey private;
    GetActivityStats: "getActivityStats" GET "/api/v1/activities/stats" Safe private;
    GetActivity: "getActivity" GET "/api/v1/activities/{id}" Safe private;
    DeleteActivity: "deleteActivity" DELETE "/api/v1/activities/{id}" WithKey private;
    Brief: "brief" GET "/api/v1/brief" Safe private;
    Search: "search" POST "/api/v1/search" Safe private;
    ListActors: "listActors" GET "/api/v1/actors" Safe private;
    AddActor: "addActor" POST "/api/v1/actors" Never private;
    GetActor: "getActor" GET "/api/v1/actors/{id}" Safe private;
    DeactivateActor: "deactivateActor" DELETE "/api/v1/actors/{id}" Safe private;
    UpdateActor: "updateActor" PATCH "/api/v1/actors/{id}" Safe private;
    ListKeys: "listKeys" GET "/api/v1/keys" Safe private;
    AddKey: "addKey" POST "/api/v1/keys" Never private;
    RotateKey: "rotateKey" POST "/api/v1/keys/rotate" Safe private;
    RevokeKey: "revokeKey" DELETE "/api/v1/keys/{id}" Safe private;
    Whoami: "whoami" GET "/api/v1/whoami" Safe private;
    GetCredits: "getCredits" GET "/api/v1/credits" Safe private;
    GetCreditStats: "getCreditStats" GET "/api/v1/credits/stats" Safe private;
    ListLedger: "listLedger" GET "/api/v1/credits/ledger" Safe private;
    RenewRecoveryCode: "renewRecoveryCode" POST "/api/v1/recovery-code" Safe private;
    Events: "events" GET "/api/v1/events" Safe private;
    ListAudit: "listAudit" GET "/api/v1/audit" Safe private;
    ListAccounts: "listAccounts" GET "/api/v1/accounts" Safe private;
    GetAccount: "getAccount" GET "/api/v1/accounts/{id}" Safe private;
    GrantCredits: "grantCredits" POST "/api/v1/accounts/{id}/credits" WithKey private;
    SuspendAccount: "suspendAccount" POST "/api/v1/accounts/{id}/suspend" Safe private;
    ResumeAccount: "resumeAccount" POST "/api/v1/accounts/{id}/resume" Safe private;
    GetUsage: "getUsage" GET "/api/v1/usage" Safe private;
    GetUsageHistory: "getUsageHistory" GET "/api/v1/usage/history" Safe private;
    Bootstrap: "bootstrap" POST "/api/v1/bootstrap" Never public;
    Recover: "recover" POST "/api/v1/recover" Safe public;
    Export: "export" GET "/api/v1/export" Safe private;
    Import: "import" POST "/api/v1/import" Never private;
    EraseAccount: "eraseAccount" DELETE "/api/v1/accounts/me" Never private;
    Openapi: "openapi" GET "/api/v1/openapi.json" Safe public;
}
