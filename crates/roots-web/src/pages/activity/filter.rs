//! The filters of activities, which stand in the address.

use maud::{Markup, html};
use roots_domain::model::Invalid;
use roots_domain::model::id::{ActorId, SessionId};
use roots_domain::model::search::SearchTerms;
use roots_domain::model::text::ActivityType;
use roots_domain::model::time::{TimeRange, Timestamp};
use roots_domain::model::zone::Zone;
use roots_domain::service::activities::ActivitySelection;
use roots_http_core::problem::Problem;
use roots_http_core::request::fields::{InvalidField, InvalidNoted};
use roots_http_core::request::query::{FromParams, Params, time};

use crate::agents::Agents;
use crate::query;
use crate::viewer::Viewer;

/// Which activities. Times are read in the viewer's zone, which only the page knows.
#[derive(Debug, Clone, Default)]
pub(crate) struct Filter {
    pub(super) agent: Option<ActorId>,
    pub(super) activity_type: Option<ActivityType>,
    pub(super) session: Option<SessionId>,
    pub(super) since: Option<String>,
    pub(super) until: Option<String>,
    /// The terms of a search, with the text that they were read from.
    pub(super) search: Option<(SearchTerms, String)>,
}

impl FromParams for Filter {
    fn from_params(params: &mut Params) -> Result<Self, InvalidNoted> {
        let agent = query::agent(params);
        let activity_type = query::optional(params, "type", |text| ActivityType::parse(text));
        let session = query::optional(params, "session", |text| {
            SessionId::parse(text).ok_or_else(|| Invalid::new("must be the id of a session"))
        });
        // Whether they are times is checked here; a date is a day of the viewer's zone.
        let moment = |text: &str| {
            let text = time(text.to_owned());
            Timestamp::parse(&text).map(|_| text)
        };
        let since = query::optional(params, "since", moment);
        let until = query::optional(params, "until", moment);
        let search = query::optional(params, "q", |text| {
            SearchTerms::parse(text).map(|terms| (terms, text.to_owned()))
        });
        Ok(Self {
            agent: agent?,
            activity_type: activity_type?,
            session: session?,
            since: since?,
            until: until?,
            search: search?,
        })
    }
}

impl Filter {
    /// When the activities happened.
    ///
    /// # Errors
    /// A time is invalid, or none of the viewer's zone.
    pub(super) fn range(&self, zone: &Zone) -> Result<TimeRange, Problem> {
        let read = |name: &str, text: Option<&String>, parse: Parse| {
            text.map(|text| parse(text, zone)).transpose().map_err(|invalid| {
                let field = InvalidField { field: name.to_owned(), message: invalid.to_string() };
                Problem::invalid_parameters(vec![field])
            })
        };
        Ok(TimeRange {
            since: read("since", self.since.as_ref(), Timestamp::parse_since)?,
            until: read("until", self.until.as_ref(), Timestamp::parse_until)?,
        })
    }

    /// What is selected of the activities that a viewer sees.
    ///
    /// # Errors
    /// As [`Self::range`].
    pub(super) fn selection(&self, viewer: &Viewer) -> Result<ActivitySelection, Problem> {
        Ok(ActivitySelection {
            scope: query::scope(self.agent, viewer.is_owner()),
            activity_type: self.activity_type.clone(),
            session: self.session,
            range: self.range(viewer.look.zone())?,
        })
    }

    /// Whether nothing is left out.
    pub(super) const fn is_open(&self) -> bool {
        self.agent.is_none()
            && self.activity_type.is_none()
            && self.session.is_none()
            && self.since.is_none()
            && self.until.is_none()
            && self.search.is_none()
    }

    /// A path with these filters, changed by `change`.
    pub(super) fn link(&self, path: &str, change: &[(&'static str, Option<String>)]) -> String {
        let own = [
            ("agent", self.agent.map(|id| id.to_string())),
            ("type", self.activity_type.as_ref().map(|one| one.as_str().to_owned())),
            ("session", self.session.map(|id| id.to_string())),
            ("since", self.since.clone()),
            ("until", self.until.clone()),
            ("q", self.search.as_ref().map(|(_, text)| text.clone())),
        ];
        let is_changed = |name: &str| change.iter().any(|(changed, _)| *changed == name);
        let mut params: Vec<_> = own.into_iter().filter(|(name, _)| !is_changed(name)).collect();
        params.extend(change.iter().cloned());
        query::link(path, &params)
    }

    /// The form with the filters. Owners may choose an agent.
    pub(super) fn form(&self, agents: &Agents, is_owner: bool) -> Markup {
        let activity_type = self.activity_type.as_ref().map(ActivityType::as_str);
        html! {
            form.filters action="/activity" role="search" {
                @if is_owner {
                    label { span { "Agent" } (agents.choice("agent", "All agents", self.agent)) }
                }
                label {
                    span { "Type" }
                    input name="type" value=[activity_type] autocomplete="off" size="10";
                }
                label {
                    span { "Session" }
                    input name="session" inputmode="numeric" size="6"
                        value=[self.session.map(|id| id.to_string())];
                }
                label {
                    span { "From" }
                    input name="since" type="date" value=[date(self.since.as_ref())];
                }
                label {
                    span { "To" }
                    input name="until" type="date" value=[date(self.until.as_ref())];
                }
                label {
                    span { "Text" }
                    input name="q" type="search" data-filter
                        value=[self.search.as_ref().map(|(_, text)| text)];
                }
                button { "Filter" }
                @if !self.is_open() { a.button href="/activity" { "Clear" } }
            }
        }
    }
}

type Parse = fn(&str, &Zone) -> Result<Timestamp, Invalid>;

/// The date of a time, for the field of a form.
fn date(text: Option<&String>) -> Option<&str> {
    text.and_then(|text| text.get(..10))
}
