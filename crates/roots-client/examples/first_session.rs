//! An agent's work session: it starts, does a todo, says so, and ends.
//!
//! ```sh
//! ROOTS_URL=http://127.0.0.1:8080 ROOTS_API_KEY=… \
//!   cargo run -p roots-client --example first_session
//! ```
#![expect(clippy::print_stdout, reason = "an example shows what it did")]

use std::env;
use std::error::Error;

use futures_util::TryStreamExt;
use roots_client::model::{
    NewActivity, NewSession, NewTodo, SessionChange, SessionStatus, StatsFilter, TodoChange,
    TodoFilter, TodoStatus,
};
use roots_client::{Client, Patch};

#[tokio::main(flavor = "current_thread")]
async fn main() -> Result<(), Box<dyn Error>> {
    run(&Client::new(&env::var("ROOTS_URL")?, env::var("ROOTS_API_KEY")?)?).await
}

pub(crate) async fn run(client: &Client) -> Result<(), Box<dyn Error>> {
    let notes = Some("Starting morning review".to_owned());
    let session = client.start_session(&NewSession { notes, ..NewSession::default() }).await?;
    let session_id = session.value.session_id;

    let todo = NewTodo {
        title: "Deploy docs pages".to_owned(),
        session_id: Some(session_id),
        priority: Some(2),
        ..NewTodo::default()
    };
    let todo = client.create_todo(&todo).await?;

    // With the tag, the todo is done only if nobody has changed it meanwhile.
    let done = TodoChange { status: Some(TodoStatus::Done), ..TodoChange::default() };
    let change = client.update_todo(todo.value.todo_id, &done);
    let change = match &todo.etag {
        Some(tag) => change.if_match(tag),
        None => change,
    };
    if let Some(charge) = change.await?.charge {
        println!("done for {} credit; {} are left", charge.cost, charge.remaining);
    }

    let activity = NewActivity {
        description: "Deployed docs".to_owned(),
        activity_type: Some("deploy".to_owned()),
        session_id: Some(session_id),
        ..NewActivity::default()
    };
    client.log_activity(&activity).await?;

    let end = SessionChange {
        status: Some(SessionStatus::Ended),
        notes: Patch::Set("Finished morning review".to_owned()),
    };
    client.update_session(session_id, &end).await?;

    let open = TodoFilter { status: Some(TodoStatus::Open), ..TodoFilter::default() };
    let open: Vec<_> = client.todos(&open).try_collect().await?;
    let stats = client.get_activity_stats(&StatsFilter::default()).await?;
    println!("{} todos are open, {} activities logged", open.len(), stats.total_activities);
    Ok(())
}
