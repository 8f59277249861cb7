//! `roots log`: activities.

use clap::Args;
use roots_client::model::{Activity, NewActivity};

use crate::connection::connect;
use crate::dates::{self, When};
use crate::error::CliError;
use crate::output::{ACTIVITY, Output, View, tell};
use crate::session_link::{SessionChoice, SessionLink};
use crate::text_source;
use crate::work_tree::WorkTree;

/// An activity to log.
#[derive(Debug, Args)]
pub(crate) struct LogArguments {
    /// What happened; `-` reads it from standard input, and without it your editor opens
    text: Option<String>,
    /// The category, such as `deploy`: `general` by default
    ///
    /// While you wait for a person, log `question` or `blocked` in a session. The next
    /// activity of the session ends the wait.
    #[arg(long = "type", short = 't', value_name = "TYPE")]
    activity_type: Option<String>,
    /// When it happened, such as `2h` ago or `yesterday 17:00`: now by default
    #[arg(long, value_name = "TIME", value_parser = dates::past)]
    at: Option<When>,
    /// The actor that it will belong to; only an owner may name another
    #[arg(long, value_name = "ID")]
    actor: Option<i64>,
    #[command(flatten)]
    session: SessionChoice,
}

/// Logs an activity.
///
/// # Errors
///
/// See [`CliError`].
pub(crate) async fn log(arguments: &LogArguments, output: &Output) -> Result<(), CliError> {
    let view = View::new(output, ACTIVITY)?;
    let connection = connect()?;
    let tree = WorkTree::current(&connection)?;
    let description = text_source::required(arguments.text.as_deref(), "")?;
    let link = SessionLink { connection: &connection, tree: &tree };
    let activity = NewActivity {
        description,
        activity_type: arguments.activity_type.clone(),
        session_id: None,
        logged_at: arguments.at.as_ref().map(|at| at.start().into()),
        actor_id: arguments.actor,
    };
    let logged = link
        .write_linked(&arguments.session, async |session_id| {
            let activity = NewActivity { session_id, ..activity.clone() };
            connection.client.log_activity(&activity).await
        })
        .await?;
    if is_unseen_wait(&logged.value) {
        tell(
            "This activity has no session, so nobody will see that you wait for a person. Start a \
             session with `roots start`, and log the activity again.",
        );
    }
    view.show(&logged.value, || told(&logged.value, arguments.at.as_ref()))
}

/// Whether it says that its author waits for a person, and no brief shows it: only sessions wait.
fn is_unseen_wait(activity: &Activity) -> bool {
    activity.session_id.is_none()
        && matches!(activity.activity_type.as_str(), "question" | "blocked")
}

/// What was logged, in a line.
fn told(activity: &Activity, at: Option<&When>) -> String {
    let Activity { activity_id, activity_type, session_id, .. } = activity;
    let session = session_id.map(|id| format!(" in session {id}")).unwrap_or_default();
    let at = at.map(|at| format!(", at {at}")).unwrap_or_default();
    format!("Logged activity {activity_id} ({activity_type}){session}{at}")
}
