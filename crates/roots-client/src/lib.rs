//! A typed, asynchronous client of the Roots API.
//!
//! ```no_run
//! use roots_client::Client;
//! use roots_client::model::{NewTodo, TodoChange, TodoStatus};
//!
//! # async fn run() -> Result<(), Box<dyn std::error::Error>> {
//! let client = Client::new("http://127.0.0.1:8080", std::env::var("ROOTS_API_KEY")?)?;
//! let todo = NewTodo { title: "Deploy the docs".to_owned(), ..NewTodo::default() };
//! let todo = client.create_todo(&todo).await?;
//! let done = TodoChange { status: Some(TodoStatus::Done), ..TodoChange::default() };
//! client.update_todo(todo.value.todo_id, &done).if_match(&todo.etag.unwrap()).await?;
//! # Ok(())
//! # }
//! ```
//!
//! [`Client`] has a method for each operation of the API, named as in its OpenAPI document, and
//! [`model`] the structs that they send and answer. Fields that a newer server adds are ignored.
//!
//! # What the methods have in common
//!
//! - **Idempotency.** Each write of sessions, todos and activities carries an idempotency key of
//!   its own, and each repetition of it carries the same one, so a lost answer does and charges
//!   nothing twice. [`Create::idempotency_key`] sets one of yours.
//! - **Repetition.** A request is sent up to 5 times within 60 s
//!   ([`retry_within`](ClientBuilder::retry_within)), after growing waits that are no shorter than
//!   `Retry-After`. It is sent again after 429 and 503, the problem `still-in-flight`, and a broken
//!   connection. Nothing else is sent again, and neither is a write that may have been done, if its
//!   route takes no idempotency key: [`Operation::repeat`] tells.
//! - **Lists.** A method such as [`list_todos`](Client::list_todos) gets a page. One such as
//!   [`todos`](Client::todos) is a stream of all rows, page by page.
//! - **Headers.** A read or write of one resource answers a [`Tagged`] value: with its [`ETag`],
//!   its [`Charge`], and whether it is a replay. [`Read::if_none_match`] and [`Change::if_match`]
//!   make a request conditional.
//! - **Claims.** [`claim_todo`](Client::claim_todo) gives each todo of a shared list to one agent,
//!   and `None` if there is none to claim. Send the claim's token with each write of the todo.
//! - **Errors.** A refusal of the server is an [`Error::Refused`] with its [`Problem`].
//!   [`Error::code`] names its kind.
//! - **Events.** [`events`](Client::events) is a stream of what happens to the account. It opens
//!   itself again where it was cut.
//! - **Other endpoints.** [`Client::send_raw`] sends what has no method here, such as a message of
//!   MCP.
//! - **Secrets.** `Debug` shows neither keys nor recovery codes. The client follows no redirect, so
//!   the key goes to no other server.
//!
//! # TLS
//!
//! The client uses rustls with ring, and trusts the certificates that the system trusts. On Linux
//! `SSL_CERT_FILE` names a file of others.

mod answer;
mod api;
mod call;
mod client;
mod error;
mod events;
mod export;
mod idempotency;
pub mod model;
mod operation;
mod pages;
mod patch;
mod problem;
mod raw;
mod request;
mod retry;
mod secret;
mod time;

pub use answer::{Charge, ETag, Tagged};
pub use client::{BuildError, Client, ClientBuilder};
pub use error::Error;
pub use export::ExportedLine;
pub use idempotency::{IdempotencyKey, InvalidIdempotencyKey};
pub use operation::{Operation, Repeat};
pub use patch::Patch;
pub use problem::Problem;
pub use raw::{RawAnswer, RawRequest};
pub use request::{Change, Create, CreateIfAny, Read, ReadIfChanged};
pub use secret::{ApiKey, RecoveryCode};
pub use time::DateOrTime;
