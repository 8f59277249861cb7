//! `roots actors`: the actors of the account.

use clap::builder::{PossibleValuesParser, TypedValueParser};
use clap::{Args, Subcommand};
use roots_client::model::{Actor, ActorChange, ActorPage, ActorType, NewActor};

use crate::connection::{Connection, connect};
use crate::dates::{shown, shown_short};
use crate::error::CliError;
use crate::output::{ACTOR, ACTOR_DEACTIVATED, ACTOR_LIST, Output, Table, View, one_line};
use crate::paging::{PagingArguments, tell_next};
use crate::question::ask;

/// What to do with actors.
#[derive(Debug, Subcommand)]
pub(crate) enum ActorsCommand {
    /// List the actors of the account, latest first
    #[command(visible_alias = "ls")]
    List(PagingArguments),
    /// Show an actor
    Show(ActorId),
    /// Add a member; make its key with `roots keys create`
    Add(AddArguments),
    /// Give an actor another name
    Rename(RenameArguments),
    /// End an actor's keys for good; its data stays
    Deactivate(DeactivateArguments),
    /// Let a deactivated actor have new keys
    Activate(ActorId),
}

/// An actor.
#[derive(Debug, Args)]
pub(crate) struct ActorId {
    /// The actor
    id: i64,
}

/// An actor to add.
#[derive(Debug, Args)]
pub(crate) struct AddArguments {
    /// Its name
    name: String,
    /// What it is
    #[arg(long = "type", short = 't', default_value = "agent", value_parser = actor_type())]
    actor_type: ActorType,
}

/// A new name for an actor.
#[derive(Debug, Args)]
pub(crate) struct RenameArguments {
    /// The actor
    id: i64,
    /// Its new name
    name: String,
}

/// An actor to deactivate.
#[derive(Debug, Args)]
pub(crate) struct DeactivateArguments {
    /// The actor
    id: i64,
    /// Deactivate it without a question
    #[arg(long, short)]
    yes: bool,
}

/// Works with actors.
///
/// # Errors
///
/// See [`CliError`].
pub(crate) async fn run(command: &ActorsCommand, output: &Output) -> Result<(), CliError> {
    let view = View::new(
        output,
        match command {
            ActorsCommand::List(_) => ACTOR_LIST,
            ActorsCommand::Deactivate(_) => ACTOR_DEACTIVATED,
            _ => ACTOR,
        },
    )?;
    let connection = connect()?;
    let client = &connection.client;
    match command {
        ActorsCommand::List(arguments) => {
            let page = client.list_actors(&arguments.paging()).await?;
            view.show(&page, || {
                tell_next(page.next_cursor.as_deref());
                list(&page)
            })
        }
        ActorsCommand::Show(ActorId { id }) => {
            let actor = client.get_actor(*id).await?;
            view.show(&actor, || details(&actor))
        }
        ActorsCommand::Add(arguments) => {
            let new = NewActor { name: arguments.name.clone(), actor_type: arguments.actor_type };
            let actor = client.add_actor(&new).await?;
            view.show(&actor, || {
                let id = actor.actor_id;
                format!(
                    "{line}\nMake its key: roots keys create --actor {id}",
                    line = in_short("Added", &actor)
                )
            })
        }
        ActorsCommand::Rename(arguments) => {
            let change =
                ActorChange { name: Some(arguments.name.clone()), ..ActorChange::default() };
            let actor = client.update_actor(arguments.id, &change).await?;
            view.show(&actor, || in_short("Renamed", &actor))
        }
        ActorsCommand::Deactivate(arguments) => deactivate(arguments, &connection, &view).await,
        ActorsCommand::Activate(ActorId { id }) => {
            let change = ActorChange { is_active: Some(true), ..ActorChange::default() };
            let actor = client.update_actor(*id, &change).await?;
            view.show(&actor, || {
                format!(
                    "{line}\nIts old keys stay invalid; make a new one: roots keys create --actor \
                     {id}",
                    line = in_short("Activated", &actor)
                )
            })
        }
    }
}

async fn deactivate(
    arguments: &DeactivateArguments,
    connection: &Connection,
    view: &View<'_>,
) -> Result<(), CliError> {
    let id = arguments.id;
    if !arguments.yes {
        let name = one_line(&connection.client.get_actor(id).await?.name);
        ask(
            &format!("Deactivate actor {id} ({name})? Its keys end for good."),
            &format!("roots actors deactivate {id} --yes"),
        )?;
    }
    let deactivated = connection.client.deactivate_actor(id).await?;
    view.show(&deactivated, || format!("Deactivated actor {id}"))
}

fn list(page: &ActorPage) -> String {
    let mut table = Table::new(&["ID", "NAME", "TYPE", "ROLE", "ACTIVE", "CREATED"]);
    for actor in &page.actors {
        table.row([
            actor.actor_id.to_string(),
            actor.name.clone(),
            actor.actor_type.to_string(),
            actor.role.to_string(),
            if actor.is_active { "yes" } else { "no" }.to_owned(),
            shown_short(actor.created_at),
        ]);
    }
    table.of_total(page.total)
}

fn details(actor: &Actor) -> String {
    [
        format!("Actor {id}: {name}", id = actor.actor_id, name = one_line(&actor.name)),
        format!("Type     {}", actor.actor_type),
        format!("Role     {}", actor.role),
        format!("Active   {}", if actor.is_active { "yes" } else { "no" }),
        format!("Created  {}", shown(actor.created_at)),
    ]
    .join("\n")
}

/// What was done to an actor, in a line.
fn in_short(done: &str, actor: &Actor) -> String {
    let Actor { actor_id, name, actor_type, role, .. } = actor;
    format!("{done} actor {actor_id}: {name} ({actor_type}, {role})", name = one_line(name))
}

/// Reads what an actor is.
fn actor_type() -> impl TypedValueParser<Value = ActorType> {
    let words = ActorType::ALL.iter().map(|kind| kind.as_str());
    PossibleValuesParser::new(words).map(|word| match word.as_str() {
        "human" => ActorType::Human,
        _ => ActorType::Agent,
    })
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn a_list_of_actors_is_a_table() {
        let page = serde_json::from_value(json!({
            "actors": [
                {
                    "actor_id": 2, "name": "laptop\u{1b}[2J", "actor_type": "agent",
                    "role": "member", "is_active": false, "created_at": "2026-04-09T10:00:00Z",
                },
                {
                    "actor_id": 1, "name": "Ada", "actor_type": "human", "role": "owner",
                    "is_active": true, "created_at": "2026-04-09T10:00:00Z",
                },
            ],
            "total": 12, "limit": 2, "offset": 0, "next_cursor": "c",
        }));
        let time = "2026-04-09T10:00:00Z".parse().unwrap();
        insta::assert_snapshot!(list(&page.unwrap()).replace(&shown_short(time), "TIME"), @"");
    }
}
