//! How a viewer wants to see the pages: the theme, the time zone, and the time it is.

use std::convert::Infallible;

use axum::extract::FromRequestParts;
use axum::http::request::Parts;
use roots_domain::model::time::Timestamp;
use roots_domain::model::zone::Zone;

use crate::app::App;
use crate::cookie;

/// The theme that a viewer has chosen.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub(crate) enum Theme {
    /// That of the viewer's system.
    #[default]
    System,
    /// Light.
    Light,
    /// Dark.
    Dark,
}

impl Theme {
    /// The value of `data-theme`; none for that of the system.
    pub(crate) const fn attribute(self) -> Option<&'static str> {
        match self {
            Self::System => None,
            Self::Light => Some("light"),
            Self::Dark => Some("dark"),
        }
    }

    /// The theme of a `Cookie` header.
    pub(crate) fn of_cookie(header: &str) -> Self {
        match cookie::named(header, cookie::THEME) {
            Some("light") => Self::Light,
            Some("dark") => Self::Dark,
            _ => Self::System,
        }
    }
}

/// How a viewer wants to see the pages.
#[derive(Debug, Clone)]
pub(crate) struct Look {
    /// The theme.
    pub(crate) theme: Theme,
    /// The viewer's zone, if the script has told it.
    told_zone: Option<Zone>,
    /// When the request was read: all of a page is of that time.
    pub(crate) now: Timestamp,
}

impl Look {
    /// The look that a `Cookie` header asks for, at that time.
    pub(crate) fn of(cookies: &str, now: Timestamp) -> Self {
        let told_zone =
            cookie::named(cookies, cookie::ZONE).and_then(|name| Zone::parse(name).ok());
        Self { theme: Theme::of_cookie(cookies), told_zone, now }
    }

    /// The zone to show times in: UTC if none was told.
    pub(crate) fn zone(&self) -> &Zone {
        const UTC: &Zone = &Zone::UTC;
        self.told_zone.as_ref().unwrap_or(UTC)
    }

    /// Whether times are in UTC because no zone was told, which a page must say.
    pub(crate) const fn is_zone_unknown(&self) -> bool {
        self.told_zone.is_none()
    }
}

impl FromRequestParts<App> for Look {
    type Rejection = Infallible;

    async fn from_request_parts(parts: &mut Parts, app: &App) -> Result<Self, Infallible> {
        Ok(Self::of(cookie::header(&parts.headers), app.now()))
    }
}
