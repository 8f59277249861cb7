//! Texts that agents wrote. They are hostile: all of it is escaped, nothing in it runs or loads,
//! its direction does not reach the words around it, and a long one is folded.

use maud::{Markup, PreEscaped, html};
use pulldown_cmark::{CodeBlockKind, Event, Options, Parser, Tag, TagEnd, html::push_html};

/// How much of a text shows before the rest is folded, in characters.
const SHOWN_CHARS: usize = 4_000;
/// How deep quotes and lists may nest. Browsers cut deeper ones, and their tags are many times as
/// long as the characters that make them.
const DEPTH_MAX: usize = 12;

/// A short text on one line, such as a title or a name.
pub(crate) fn line(text: &str) -> Markup {
    html! { bdi { (text) } }
}

/// The beginning of a text on one line, cut after so many characters.
pub(crate) fn start_of(text: &str, chars: usize) -> Markup {
    let first = text.split_whitespace().collect::<Vec<_>>().join(" ");
    match first.char_indices().nth(chars) {
        Some((end, _)) => html! { bdi { (first[..end]) "…" } },
        None => line(&first),
    }
}

/// A text in Markdown. After 4,000 characters the rest is folded.
pub(crate) fn markdown(text: &str) -> Markup {
    let (shown, rest) = cut(text);
    html! {
        div.md dir="auto" { (rendered(shown)) }
        @if !rest.is_empty() {
            details.fold {
                summary { "Show the other " (rest.chars().count()) " characters" }
                div.md dir="auto" { (rendered(rest)) }
            }
        }
    }
}

/// Cuts a long text: before the last empty line of what shows, or the last blank.
fn cut(text: &str) -> (&str, &str) {
    let Some((end, _)) = text.char_indices().nth(SHOWN_CHARS) else { return (text, "") };
    let (head, _) = text.split_at(end);
    let at = head.rfind("\n\n").filter(|at| *at > end / 2);
    let at = at.or_else(|| head.rfind(char::is_whitespace).filter(|at| *at > end / 2));
    text.split_at(at.unwrap_or(end))
}

fn rendered(text: &str) -> Markup {
    let mut safe = Safe::default();
    let events = Parser::new_ext(text, Options::ENABLE_STRIKETHROUGH);
    let mut written = String::new();
    push_html(&mut written, events.filter_map(|event| safe.event(event)));
    PreEscaped(written)
}

/// Turns events into ones that are safe to write.
#[derive(Default)]
struct Safe {
    /// For each open tag, whether it is written.
    open: Vec<bool>,
}

impl Safe {
    fn event<'a>(&mut self, event: Event<'a>) -> Option<Event<'a>> {
        match event {
            Event::Start(tag) => {
                let depth = self.open.iter().filter(|is_written| **is_written).count();
                let tag = if depth < DEPTH_MAX { safe_tag(tag) } else { None };
                self.open.push(tag.is_some());
                tag.map(Event::Start)
            }
            Event::End(end) => {
                let is_written = self.open.pop().unwrap_or_default();
                is_written.then_some(Event::End(safe_end(end)))
            }
            Event::Html(text) | Event::InlineHtml(text) => Some(Event::Text(text)),
            Event::Text(_) | Event::Code(_) | Event::SoftBreak | Event::HardBreak | Event::Rule => {
                Some(event)
            }
            // None of their extensions is on.
            _ => None,
        }
    }
}

/// The tag to write instead of one; none if only its content is written. An image is a link to it,
/// so that nothing loads. A heading is bold: a text has no place in the outline of a page.
fn safe_tag(tag: Tag<'_>) -> Option<Tag<'_>> {
    match tag {
        Tag::Heading { .. } => Some(Tag::Strong),
        Tag::CodeBlock(_) => Some(Tag::CodeBlock(CodeBlockKind::Indented)),
        Tag::Link { link_type, dest_url, id, .. } | Tag::Image { link_type, dest_url, id, .. } => {
            let title = "".into();
            is_safe_link(&dest_url).then_some(Tag::Link { link_type, dest_url, title, id })
        }
        Tag::Paragraph
        | Tag::BlockQuote(_)
        | Tag::List(_)
        | Tag::Item
        | Tag::Emphasis
        | Tag::Strong
        | Tag::Strikethrough => Some(tag),
        _ => None,
    }
}

fn safe_end(end: TagEnd) -> TagEnd {
    match end {
        TagEnd::Heading(_) => TagEnd::Strong,
        TagEnd::Image => TagEnd::Link,
        end => end,
    }
}

/// Whether a link leads to the web or to a mailbox. Anything else could run a script or is none of
/// a browser's business.
fn is_safe_link(target: &str) -> bool {
    let (scheme, rest) = target.split_once(':').unwrap_or_default();
    match scheme.to_ascii_lowercase().as_str() {
        "http" | "https" => rest.starts_with("//"),
        "mailto" => !rest.is_empty(),
        _ => false,
    }
}
