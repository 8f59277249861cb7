//! `roots keys`: API keys and the recovery code.

use clap::{Args, Subcommand};
use futures_util::TryStreamExt;
use roots_client::model::{Key, NewKey, NewKeyShown, Recovery, Rotation};
use roots_client::{Client, RecoveryCode};
use serde_json::json;

use super::key_text;
use super::login::read_secret;
use crate::connection::{
    Connection, KeySource, connect, normal, require_encryption, url_by_default,
};
use crate::credentials::Credentials;
use crate::dates::{self, When, shown};
use crate::error::CliError;
use crate::output::{
    KEY_LIST, KEY_REVOKED, KEY_SHOWN, Output, RECOVERED, RECOVERY_CODE, View, one_line, tell,
};
use crate::paging::{PagingArguments, tell_next};
use crate::question::ask;
use crate::values::seconds;

/// What to do with keys.
#[derive(Debug, Subcommand)]
pub(crate) enum KeysCommand {
    /// List keys, latest first: yours, or as the owner those of the account
    #[command(visible_alias = "ls")]
    List(PagingArguments),
    /// Make a key and print it; only the owner may
    ///
    /// Standard output is the key alone, so that it can be piped. It is shown only this once.
    Create(CreateArguments),
    /// After a leak: make a key that alone decrypts what is written from now on, and end the others
    ///
    /// A member's other keys end at once. The owner's other keys and the recovery code end when the
    /// new key is first used; the new code is told on standard error. Only the owner may renew.
    Renew(RenewArguments),
    /// Replace the key that you are using
    ///
    /// The old key stays valid until the new one is first used.
    Rotate(RotateArguments),
    /// Revoke a key, at once
    Revoke(RevokeArguments),
    /// Make a new recovery code and print it; all others end
    RecoveryCode(RecoveryCodeArguments),
    /// Exchange the recovery code for a new key of the owner; it needs no key
    ///
    /// The code is read from standard input or a hidden prompt. Standard output is the key alone.
    /// The owner's other keys end at once, and the new code is told on standard error.
    Recover(RecoverArguments),
}

/// A key to make.
#[derive(Debug, Args)]
pub(crate) struct CreateArguments {
    /// The actor that it will act for: you by default
    #[arg(long, value_name = "ID")]
    actor: Option<i64>,
    /// What it is for, such as `laptop`
    #[arg(long, short, value_name = "TEXT")]
    label: Option<String>,
    /// From when on it is refused, such as `90 days` or `2026-12-31`: never by default
    #[arg(long, value_name = "TIME", value_parser = dates::coming)]
    expires: Option<When>,
}

/// A key to renew.
#[derive(Debug, Args)]
pub(crate) struct RenewArguments {
    #[command(flatten)]
    key: CreateArguments,
    /// End the other keys without a question
    #[arg(long, short)]
    yes: bool,
}

/// How to rotate.
#[derive(Debug, Args)]
pub(crate) struct RotateArguments {
    /// What the new key is for: what the old one is for, by default
    #[arg(long, short, value_name = "TEXT")]
    label: Option<String>,
    /// How long the old key stays valid after the first use of the new one, such as `1h`: no longer
    /// by default
    #[arg(long, value_name = "TIME", value_parser = seconds)]
    grace: Option<u32>,
    /// Keep the new key where the login keeps the old one, and do not print it
    #[arg(long)]
    keep: bool,
}

/// A key to revoke.
#[derive(Debug, Args)]
pub(crate) struct RevokeArguments {
    /// The key
    id: i64,
    /// Revoke it without a question
    #[arg(long, short)]
    yes: bool,
}

/// A recovery code to make.
#[derive(Debug, Args)]
pub(crate) struct RecoveryCodeArguments {
    /// End the other codes without a question
    #[arg(long, short)]
    yes: bool,
}

/// Where to recover.
#[derive(Debug, Args)]
pub(crate) struct RecoverArguments {
    /// The server: `ROOTS_URL` or the last one by default
    url: Option<String>,
    /// The account that the code must belong to
    #[arg(long, value_name = "ID")]
    account: Option<i64>,
    /// Send the code to a server on another machine without encryption, if its URL is `http://`
    #[arg(long)]
    plain_http: bool,
}

/// Works with keys.
///
/// # Errors
///
/// See [`CliError`].
pub(crate) async fn run(command: &KeysCommand, output: &Output) -> Result<(), CliError> {
    let view = View::new(
        output,
        match command {
            KeysCommand::List(_) => KEY_LIST,
            KeysCommand::Create(_) | KeysCommand::Renew(_) | KeysCommand::Rotate(_) => KEY_SHOWN,
            KeysCommand::Revoke(_) => KEY_REVOKED,
            KeysCommand::RecoveryCode(_) => RECOVERY_CODE,
            KeysCommand::Recover(_) => RECOVERED,
        },
    )?;
    if let KeysCommand::Recover(arguments) = command {
        return recover(arguments, &view).await;
    }
    let keys = Keys { connection: connect()?, view };
    match command {
        KeysCommand::List(arguments) => keys.list(arguments).await,
        KeysCommand::Create(arguments) => keys.create(arguments).await,
        KeysCommand::Renew(arguments) => keys.renew(arguments).await,
        KeysCommand::Rotate(arguments) => keys.rotate(arguments).await,
        KeysCommand::Revoke(arguments) => keys.revoke(arguments).await,
        KeysCommand::RecoveryCode(arguments) => keys.renew_recovery_code(arguments).await,
        KeysCommand::Recover(_) => Ok(()),
    }
}

/// The keys that the caller may manage.
struct Keys<'o> {
    connection: Connection,
    view: View<'o>,
}

impl Keys<'_> {
    async fn list(&self, arguments: &PagingArguments) -> Result<(), CliError> {
        let page = self.connection.client.list_keys(&arguments.paging()).await?;
        self.view.show(&page, || {
            tell_next(page.next_cursor.as_deref());
            key_text::list(&page, &self.connection.api_key)
        })
    }

    async fn create(&self, arguments: &CreateArguments) -> Result<(), CliError> {
        let new = self.new_key(arguments, None).await?;
        let made = self.connection.client.add_key(&new).await?;
        self.show(&made, "Pipe it into `roots login` where it is to be used.")
    }

    async fn renew(&self, arguments: &RenewArguments) -> Result<(), CliError> {
        let new = self.new_key(&arguments.key, Some(true)).await?;
        if !arguments.yes {
            let actor = self.connection.client.get_actor(new.actor_id).await?;
            let name = one_line(&actor.name);
            ask(
                &format!(
                    "Renew the key of actor {id} ({name})? Its other keys end.",
                    id = new.actor_id
                ),
                "roots keys renew --yes",
            )?;
        }
        let made = self.connection.client.add_key(&new).await?;
        let advice = match &made.recovery_code {
            Some(code) => format!(
                "The other keys and the old recovery code end when the key is first used. The new \
                 recovery code, which is shown only this once:\n{}",
                code.expose()
            ),
            None => "The actor's other keys have ended.".to_owned(),
        };
        self.show(&made, &advice)
    }

    async fn new_key(
        &self,
        arguments: &CreateArguments,
        renew: Option<bool>,
    ) -> Result<NewKey, CliError> {
        let actor_id = match arguments.actor {
            Some(id) => id,
            None => self.connection.client.whoami().await?.actor_id,
        };
        Ok(NewKey {
            actor_id,
            label: arguments.label.clone(),
            expires_at: arguments.expires.as_ref().map(|time| time.start().into()),
            renew,
        })
    }

    async fn rotate(&self, arguments: &RotateArguments) -> Result<(), CliError> {
        let Connection { client, key_source, .. } = &self.connection;
        if arguments.keep && *key_source == KeySource::Environment {
            return Err(CliError::Usage(
                "--keep: the key comes from ROOTS_API_KEY, not from a login; leave --keep out and \
                 set the variable to the key that is printed"
                    .to_owned(),
            ));
        }
        let rotation = Rotation { label: arguments.label.clone(), grace_seconds: arguments.grace };
        let made = client.rotate_key(&rotation).await?;
        if arguments.keep {
            return self.keep(&made);
        }
        self.show(
            &made,
            "The old key stays valid until this one is first used: `roots login` keeps it.",
        )
    }

    /// Keeps a rotated key in place of the old one. Until it is first used, the old one stays
    /// valid, so nothing is lost if it can't be kept.
    fn keep(&self, made: &NewKeyShown) -> Result<(), CliError> {
        let Connection { url, key_source, .. } = &self.connection;
        let may_use_keyring = *key_source == KeySource::Keyring;
        Credentials::read()?.keep(url, &made.api_key, may_use_keyring)?;
        let document = json!({
            "key_id": made.key_id,
            "actor_id": made.actor_id,
            "key_prefix": made.key_prefix,
            "label": made.label,
            "created_at": made.created_at,
            "expires_at": made.expires_at,
        });
        self.view.show(&document, || {
            format!(
                "Kept key {id}, which replaces the old one when it is first used",
                id = made.key_id
            )
        })
    }

    async fn revoke(&self, arguments: &RevokeArguments) -> Result<(), CliError> {
        let Connection { client, api_key, .. } = &self.connection;
        let id = arguments.id;
        if !arguments.yes {
            let key = find(client, id).await?;
            let question = format!(
                "Revoke key {id} ({about})?{own}",
                about = key_text::about(&key),
                own = if key_text::is_own(&key, api_key) { " You are using it now." } else { "" }
            );
            ask(&question, &format!("roots keys revoke {id} --yes"))?;
        }
        let revoked = client.revoke_key(id).await?;
        self.view.show(&revoked, || format!("Revoked key {id}"))
    }

    async fn renew_recovery_code(&self, arguments: &RecoveryCodeArguments) -> Result<(), CliError> {
        if !arguments.yes {
            ask(
                "Make a new recovery code? All other codes of the account end.",
                "roots keys recovery-code --yes",
            )?;
        }
        let renewed = self.connection.client.renew_recovery_code().await?;
        tell("This is the account's only recovery code now. It is shown only this once.");
        self.view.show(&renewed, || renewed.recovery_code.expose().to_owned())
    }

    /// Shows a new key, and what to do with it.
    fn show(&self, made: &NewKeyShown, advice: &str) -> Result<(), CliError> {
        let NewKeyShown { key_id, actor_id, .. } = made;
        let label = made.label.as_deref().map(|label| format!(" ({})", one_line(label)));
        let end = made.expires_at.map(|time| format!(", valid until {}", shown(time)));
        tell(&format!(
            "Key {key_id}{label} of actor {actor_id}{end}. It is shown only this once. {advice}",
            label = label.unwrap_or_default(),
            end = end.unwrap_or_default()
        ));
        let written = self.view.show(made, || made.api_key.expose().to_owned());
        if written.is_err() {
            tell(&format!("Nobody has read the key: `roots keys revoke {key_id}` ends it."));
        }
        written
    }
}

/// The key with this id.
async fn find(client: &Client, id: i64) -> Result<Key, CliError> {
    let mut keys = Box::pin(client.keys());
    while let Some(key) = keys.try_next().await? {
        if key.key_id == id {
            return Ok(key);
        }
    }
    Err(CliError::NotThere(format!("there is no key {id}; `roots keys list` shows the keys")))
}

/// Exchanges a recovery code for a key of the owner.
async fn recover(arguments: &RecoverArguments, view: &View<'_>) -> Result<(), CliError> {
    let url = match &arguments.url {
        Some(url) => normal(url),
        None => url_by_default(&Credentials::read()?),
    };
    if !arguments.plain_http {
        require_encryption(&url)?;
    }
    let code = read_secret(&format!("Recovery code for {url}"), "code")?;
    let recovery =
        Recovery { recovery_code: RecoveryCode::from(code), account_id: arguments.account };
    let client = Client::builder(&url).build()?;
    let recovered = client.recover(&recovery).await?;
    tell(&format!(
        "Key {key_id} of actor {actor_id}. It is shown only this once: `roots login` keeps it. The \
         old recovery code ends when the key is first used. The new recovery code, which is shown \
         only this once:\n{code}",
        key_id = recovered.key_id,
        actor_id = recovered.actor_id,
        code = recovered.recovery_code.expose()
    ));
    view.show(&recovered, || recovered.api_key.expose().to_owned())
}
