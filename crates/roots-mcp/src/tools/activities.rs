//! Activities.

use roots_domain::model::activity::Activity;
use roots_domain::model::brief::WAITING_TYPES;
use roots_domain::model::text::{ActivityText, ActivityType};
use roots_domain::model::time::Timestamp;
use roots_domain::service::activities::ActivityDraft;
use roots_http_core::problem::Problem;
use roots_http_core::request::fields::InvalidNoted;
use roots_http_core::request::json::{FromMembers, Members, actor_id, session_id, text};

use serde::Serialize;

use super::call::{Answer, Call, request_id};
use crate::documents::ActivityDocument;

struct NewActivity {
    draft: ActivityDraft,
    request_id: Option<String>,
}

impl FromMembers for NewActivity {
    fn from_members(members: &mut Members) -> Result<Self, InvalidNoted> {
        let description = members.required("description", text(ActivityText::parse));
        let activity_type = members.optional("activity_type", text(ActivityType::parse));
        let session = members.optional("session_id", session_id);
        let logged_at = members.optional("logged_at", text(|at| Timestamp::parse(&at)));
        let actor = members.optional("actor_id", actor_id);
        let request_id = request_id(members);
        let draft = ActivityDraft {
            actor: actor?,
            session: session?,
            activity_type: activity_type?.unwrap_or_default(),
            description: description?,
            logged_at: logged_at?,
        };
        Ok(Self { draft, request_id: request_id? })
    }
}

/// What an agent hears that asks a person, but names no session.
const NOBODY_SEES: &str =
    "Without a session_id, no brief shows that you wait. Log it again with your session_id.";

/// An activity that was logged.
#[derive(Serialize)]
struct LoggedActivity {
    #[serde(flatten)]
    activity: ActivityDocument,
    #[serde(skip_serializing_if = "Option::is_none")]
    warning: Option<&'static str>,
}

impl From<Activity> for LoggedActivity {
    fn from(activity: Activity) -> Self {
        let waits = WAITING_TYPES.contains(&activity.activity_type.as_str());
        let warning = (waits && activity.session.is_none()).then_some(NOBODY_SEES);
        Self { activity: activity.into(), warning }
    }
}

/// Logs an activity.
pub(super) async fn log_activity(call: Call) -> Result<Answer, Problem> {
    let NewActivity { draft, request_id } = call.read()?;
    let preconditions = call.preconditions("log_activity", request_id);
    let logged = call.services.activities.log(&call.bearer, draft, preconditions).await;
    call.settle(logged, LoggedActivity::from)
}
