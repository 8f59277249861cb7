//! The frame of every page: the rail, the tabs of phones, and the head.

use maud::{DOCTYPE, Markup, html};
use roots_domain::model::time::Timestamp;
use roots_domain::service::operators;

use crate::assets::{ICON, SCRIPT, STYLE};
use crate::look::Look;
use crate::text;
use crate::viewer::Viewer;

/// A part of the site, as the rail lists it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Section {
    /// What happens now.
    Now,
    /// Sessions.
    Sessions,
    /// Todos.
    Todos,
    /// Activities.
    Activity,
    /// Agents.
    Agents,
    /// Credits.
    Credits,
    /// Keys and sign-ins.
    Access,
    /// The accounts of customers, for operators.
    Accounts,
}

impl Section {
    const ALL: [Self; 8] = [
        Self::Now,
        Self::Sessions,
        Self::Todos,
        Self::Activity,
        Self::Agents,
        Self::Credits,
        Self::Access,
        Self::Accounts,
    ];
    /// Those that have a tab of their own on phones.
    const TABS: [Self; 4] = [Self::Now, Self::Sessions, Self::Todos, Self::Credits];

    const fn name(self) -> &'static str {
        match self {
            Self::Now => "Now",
            Self::Sessions => "Sessions",
            Self::Todos => "Todos",
            Self::Activity => "Activity",
            Self::Agents => "Agents",
            Self::Credits => "Credits",
            Self::Access => "Access",
            Self::Accounts => "Accounts",
        }
    }

    /// Its path.
    pub(crate) const fn path(self) -> &'static str {
        match self {
            Self::Now => "/",
            Self::Sessions => "/sessions",
            Self::Todos => "/todos",
            Self::Activity => "/activity",
            Self::Agents => "/agents",
            Self::Credits => "/credits",
            Self::Access => "/access",
            Self::Accounts => "/accounts",
        }
    }

    /// The letter that leads to it after `g`.
    const fn letter(self) -> &'static str {
        match self {
            Self::Now => "n",
            Self::Sessions => "s",
            Self::Todos => "t",
            Self::Activity => "a",
            Self::Agents => "g",
            Self::Credits => "c",
            Self::Access => "k",
            Self::Accounts => "o",
        }
    }

    /// The one that a path belongs to.
    pub(crate) fn of_path(path: &str) -> Self {
        let is_of = |section: &Self| {
            let rest = path.strip_prefix(section.path());
            *section != Self::Now
                && rest.is_some_and(|it| it.is_empty() || it.starts_with(['/', '.']))
        };
        Self::ALL.into_iter().find(is_of).unwrap_or(Self::Now)
    }

    fn is_for(self, viewer: &Viewer) -> bool {
        self != Self::Accounts || operators::check(&viewer.bearer).is_ok()
    }
}

/// The frame for the page of an error.
#[derive(Clone)]
pub(crate) struct Framed {
    /// The person who looks at it.
    pub(crate) viewer: Viewer,
    /// The part of the site that was asked for.
    pub(crate) section: Section,
}

/// A page to put into the frame.
pub(crate) struct Frame<'a> {
    /// What stands in the title and above the page.
    pub(crate) title: &'a str,
    /// The part of the site that it belongs to.
    pub(crate) section: Section,
    /// What stands beside the title: filters and buttons.
    pub(crate) tools: Markup,
    /// When the next rule flips that the page shows: the script asks for the page again then, and
    /// at least each minute.
    pub(crate) next_change: Option<Timestamp>,
    /// The page. The script swaps each element in it that has `data-live` and an `id` when it
    /// differs from a newer answer, and the whole page when that has other such elements.
    pub(crate) content: Markup,
}

/// A page for a viewer who is signed in. One that answers a form is not live: asked for again, its
/// address would show another page or none, and what it shows once would be gone.
pub(crate) fn page(viewer: &Viewer, frame: Frame<'_>) -> Markup {
    let badge = html! { span.live #live hidden { i {} span { "Live" } } };
    framed(viewer, frame, &badge, !viewer.is_answer)
}

/// The same that the script does not ask for again: what it tells is dear to find. It says so.
pub(crate) fn still_page(viewer: &Viewer, frame: Frame<'_>, why: &str) -> Markup {
    let badge = html! { span.live #live data-state="old" data-still { i {} span { (why) } } };
    framed(viewer, frame, &badge, false)
}

fn framed(viewer: &Viewer, frame: Frame<'_>, badge: &Markup, is_live: bool) -> Markup {
    let Frame { title, section, tools, next_change, content } = frame;
    let look = &viewer.look;
    // Rounded up: a page that is asked for too early would not know the flip any more.
    let next_change = next_change.map(|at| (at.micros() + 999) / 1_000);
    let version = viewer.version.filter(|_| !viewer.is_answer);
    document(
        look,
        title,
        &html! {
            a.skip href="#main" { "Skip to the content" }
            div.shell {
                (rail(viewer, section))
                main #main tabindex="-1" data-viewer=(viewer.mark()) data-now=(look.now.micros() / 1_000)
                    data-version=[version]
                    data-next-change=[next_change] {
                    div.top {
                        h1 { (text::line(title)) }
                        @if !viewer.is_answer { (badge) }
                        span.grow {}
                        div.tools #tools data-live[is_live] { (tools) }
                    }
                    (content)
                }
            }
            (tabs(viewer, section))
            p #told.vh role="status" aria-live="polite" {}
        },
    )
}

/// The page of an error for a viewer who is known. It is not live.
pub(crate) fn error(viewer: &Viewer, section: Section, title: &str, content: &Markup) -> Markup {
    document(
        &viewer.look,
        title,
        &html! {
            a.skip href="#main" { "Skip to the content" }
            div.shell {
                (rail(viewer, section))
                main #main tabindex="-1" {
                    div.top { h1 { (title) } }
                    section.card.error aria-label="What happened" { (content) }
                }
            }
            (tabs(viewer, section))
        },
    )
}

/// A page without the rail: to sign in, and for errors.
pub(crate) fn bare(look: &Look, title: &str, content: &Markup) -> Markup {
    document(
        look,
        title,
        &html! {
            main.bare #main {
                p.brand { (mark()) "Roots" }
                h1 { (title) }
                (content)
            }
        },
    )
}

fn document(look: &Look, title: &str, body: &Markup) -> Markup {
    html! {
        (DOCTYPE)
        html lang="en" data-theme=[look.theme.attribute()] {
            head {
                meta charset="utf-8";
                meta name="viewport" content="width=device-width, initial-scale=1";
                meta name="robots" content="noindex";
                title { (title) " · Roots" }
                link rel="icon" type="image/svg+xml" href=(ICON.path);
                link rel="stylesheet" href=(STYLE.path);
                script defer src=(SCRIPT.path) {}
            }
            body { (body) }
        }
    }
}

/// The icon of the site, in the colours of the theme.
fn mark() -> Markup {
    html! {
        svg width="20" height="20" viewBox="0 0 32 32" aria-hidden="true" {
            rect width="32" height="32" rx="7" {}
            path d="M16 5v12m0 0c0 6-4 8-7 9m7-9c0 6 4 8 7 9m-7-9c0 4-1 7-1 10m1-17c-3 0-6-1-7-4m7 1c3 0 6-1 7-4" {}
        }
    }
}

fn rail(viewer: &Viewer, here: Section) -> Markup {
    html! {
        nav.side aria-label="Main" {
            a.brand href="/" { (mark()) "Roots" }
            @for section in Section::ALL.into_iter().filter(|section| section.is_for(viewer)) {
                (link(section, here))
            }
            div.end {
                p.muted { (text::line(viewer.bearer.actor.name.as_str())) }
                @if viewer.look.is_zone_unknown() { p.muted { "Times are UTC." } }
                (theme_choice(viewer))
                button.quiet.keys type="button" { "Keys" }
                (sign_out())
            }
        }
    }
}

fn tabs(viewer: &Viewer, here: Section) -> Markup {
    let others = Section::ALL.into_iter().filter(|section| !Section::TABS.contains(section));
    html! {
        nav.tabs aria-label="Main, on phones" {
            @for section in Section::TABS { (link(section, here)) }
            details.more {
                summary aria-current=[(!Section::TABS.contains(&here)).then_some("true")] { "More" }
                div {
                    @for section in others.filter(|section| section.is_for(viewer)) {
                        (link(section, here))
                    }
                    @if viewer.look.is_zone_unknown() { p.muted { "Times are UTC." } }
                    (theme_choice(viewer))
                    (sign_out())
                }
            }
        }
    }
}

fn link(section: Section, here: Section) -> Markup {
    html! {
        a.item href=(section.path()) data-go=(section.letter())
            aria-current=[(section == here).then_some("page")] { span { (section.name()) } }
    }
}

/// The choice of the theme, which leads back to the page: not on one that answers a form.
fn theme_choice(viewer: &Viewer) -> Markup {
    let chosen = viewer.look.theme.attribute().unwrap_or("system");
    html! {
        @if !viewer.is_answer {
            form.theme method="post" action="/theme" aria-label="Theme" {
                @for (value, label) in [("system", "Auto"), ("light", "Light"), ("dark", "Dark")] {
                    button.quiet name="theme" value=(value) aria-pressed=(value == chosen) {
                        (label)
                    }
                }
            }
        }
    }
}

/// The form that signs out.
pub(crate) fn sign_out() -> Markup {
    html! {
        form method="post" action="/sign-out" { button.quiet { "Sign out" } }
    }
}
