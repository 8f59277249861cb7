//! Texts that agents wrote. They are hostile: all of it is escaped, nothing in it runs or loads,
//! its direction does not reach the words around it, and a long one is folded.

use std::fmt;

use maud::{Markup, PreEscaped, html};
use pulldown_cmark::{CodeBlockKind, Event, Options, Parser, Tag, TagEnd, html::write_html_fmt};

/// How much of a text shows before the rest is folded, in characters.
const SHOWN_CHARS: usize = 4_000;
/// How deep quotes and lists may nest. Browsers cut deeper ones, and their tags are many times as
/// long as the characters that make them.
const DEPTH_MAX: usize = 12;
/// Most bytes of HTML for one byte of a text. An escaped character has up to six.
const HTML_TIMES: usize = 8;
/// Most bytes of HTML beside that. A text is rendered in two parts: with what stands around them,
/// [`markdown`] has at most 1 KiB.
const HTML_MORE_BYTES: usize = 400;

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

/// A text whose HTML would be too long, as that of many references to one long link, is shown as it
/// was written.
fn rendered(text: &str) -> Markup {
    let mut safe = Safe::default();
    let events = Parser::new_ext(text, Options::ENABLE_STRIKETHROUGH);
    let most = HTML_TIMES * text.len() + HTML_MORE_BYTES;
    let mut written = Bounded { html: String::new(), most };
    match write_html_fmt(&mut written, events.filter_map(|event| safe.event(event))) {
        Ok(()) => PreEscaped(written.html),
        Err(fmt::Error) => html! { div.lines { (text) } },
    }
}

/// HTML up to a length. Writing more is an error.
struct Bounded {
    html: String,
    most: usize,
}

impl fmt::Write for Bounded {
    fn write_str(&mut self, part: &str) -> fmt::Result {
        if self.html.len() + part.len() > self.most {
            return Err(fmt::Error);
        }
        self.html.push_str(part);
        Ok(())
    }
}

/// Turns events into ones that are safe to write.
#[derive(Default)]
struct Safe {
    /// For each open tag, whether it is written.
    open: Vec<bool>,
    /// How many of them are.
    depth: usize,
}

impl Safe {
    fn event<'a>(&mut self, event: Event<'a>) -> Option<Event<'a>> {
        match event {
            Event::Start(tag) => {
                let tag = if self.depth < DEPTH_MAX { safe_tag(tag) } else { None };
                self.open.push(tag.is_some());
                self.depth += usize::from(tag.is_some());
                tag.map(Event::Start)
            }
            Event::End(end) => {
                let is_written = self.open.pop().unwrap_or_default();
                self.depth -= usize::from(is_written);
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

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn shown(text: &str) -> String {
        markdown(text).into_string()
    }

    #[test]
    fn markdown_is_shown_and_html_is_text() {
        let text = shown("# Title\n\n**bold** `code`\n\n- one\n- two\n\n<b data-x=x>raw</b>");
        for part in
            ["<strong>Title</strong>", "<strong>bold</strong>", "<code>code</code>", "<li>one</li>"]
        {
            assert!(text.contains(part), "{part}: {text}");
        }
        assert!(text.contains("&lt;b data-x=x&gt;"), "{text}");
        assert!(!text.contains("<h1") && !text.contains("<b "), "{text}");
    }

    #[test]
    fn only_links_to_the_web_and_to_mailboxes_are_links_and_images_are_links() {
        let text = shown(
            "[a](https://a.example) [b](HTTP://b.example) <mailto:c@d.example> ![e](https://e.example/x.png)",
        );
        assert_eq!(text.matches("<a href=").count(), 4, "{text}");
        assert!(!text.contains("<img"), "{text}");
        for bad in [
            "[x](javascript:alert(1))",
            "[x](JaVaScRiPt:alert(1))",
            "[x](data:text/html,x)",
            "[x](vbscript:x)",
            "[x](//evil.example)",
            "[x](/sign-out)",
            "[x](http:x)",
            "![x](file:///etc/passwd)",
            "<javascript:alert(1)>",
            "[x]: javascript:alert(1)\n\n[x]",
        ] {
            let text = shown(bad);
            assert!(!text.contains("<a "), "{bad}: {text}");
            assert!(text.contains('x') || text.contains("alert"), "{bad}: {text}");
        }
    }

    #[test]
    fn a_long_text_is_folded_and_loses_nothing() {
        let text = "word ".repeat(2_000);
        let folded = shown(&text);
        assert!(folded.contains("Show the other 60"), "{}", &folded[folded.len() - 100..]);
        assert_eq!(folded.matches("word").count(), 2_000);
        let whole = "é".repeat(SHOWN_CHARS);
        assert!(!shown(&whole).contains("<details"));
        assert!(shown(&(whole + "é")).contains("Show the other 1 characters"));
    }

    #[test]
    fn quotes_and_lists_nest_to_a_bounded_depth() {
        for deep in [">".repeat(60_000), "- ".repeat(30_000)] {
            let text = shown(&deep[..4_000]);
            assert!(text.len() < 10 * 4_000, "{}", text.len());
            assert!(
                text.matches("<blockquote>").count() + text.matches("<ul>").count() <= DEPTH_MAX
            );
        }
    }

    #[test]
    fn what_would_become_many_times_as_long_is_shown_as_it_was_written() {
        let link = format!("[a]: http://e.x/{}\n\n", "\"".repeat(500));
        let text = link.clone() + &"[a]".repeat(160);
        let long = shown(&text);
        assert!(long.len() <= 8 * text.len() + 1_024, "{}", long.len());
        assert!(long.contains("http://e.x/&quot;&quot;") && long.ends_with("[a][a]</div></div>"));
        let usual = shown(&(link + "See [a]."));
        assert!(usual.contains("See <a href=\"http://e.x/"), "{usual}");
    }

    #[test]
    fn a_line_is_isolated_and_its_start_is_cut() {
        assert_eq!(line("<a>\u{202e}").into_string(), "<bdi>&lt;a&gt;\u{202e}</bdi>");
        assert_eq!(start_of("ab  c\nd", 4).into_string(), "<bdi>ab c…</bdi>");
        assert_eq!(start_of("ab", 4).into_string(), "<bdi>ab</bdi>");
    }

    /// What hostile texts are made of.
    fn piece() -> impl Strategy<Value = String> {
        let known = [
            "<script>",
            "</script>",
            "<",
            ">",
            "\"",
            "'",
            "&",
            "&lt;",
            "[",
            "](",
            ")",
            "!",
            "javascript:",
            "JAVASCRIPT&colon;",
            "java\tscript:",
            "data:",
            "http://x",
            "\n",
            "\n\n",
            "> ",
            "- ",
            "`",
            "```",
            "    ",
            "<!--",
            "-->",
            "<![CDATA[",
            "<?",
            "<img src=x onerror=alert(1)>",
            "\u{202e}",
            "\\",
            "#",
            "<a href=",
            "[a]: ",
            "[a]",
            "<http://x&&&>",
            "\u{0}",
            "<svg onload=",
            concat!("sty", "le="),
            "</bdi>",
            "</div>",
            "~~",
            "|",
        ];
        prop_oneof![
            prop::sample::select(known.to_vec()).prop_map(str::to_owned),
            any::<char>().prop_map(String::from),
            "[a-z<>&\"'()\\[\\]!]{0,6}",
        ]
    }

    /// The tags that may stand in a shown text, each with its attributes.
    fn is_known_tag(tag: &str) -> bool {
        const PLAIN: [&str; 22] = [
            "p",
            "/p",
            "strong",
            "/strong",
            "em",
            "/em",
            "del",
            "/del",
            "code",
            "/code",
            "pre",
            "/pre",
            "ul",
            "/ul",
            "ol",
            "/ol",
            "li",
            "/li",
            "blockquote",
            "/blockquote",
            "/a",
            "br /",
        ];
        let is_safe_href = |rest: &str| {
            let href = rest.strip_suffix('"').unwrap_or_default().to_ascii_lowercase();
            !href.contains('"')
                && ["http://", "https://", "mailto:"].iter().any(|it| href.starts_with(it))
        };
        PLAIN.contains(&tag)
            || matches!(tag, "hr /" | "div class=\"lines\"" | "/div")
            || tag.strip_prefix("ol start=\"").is_some_and(|rest| rest.ends_with('"'))
            || tag.strip_prefix("a href=\"").is_some_and(is_safe_href)
    }

    proptest! {
        #[test]
        fn html_is_at_most_eight_times_as_long_as_its_text(
            link in 0..300_usize,
            pieces in prop::collection::vec(piece(), 0..10),
            times in 1..200_usize,
        ) {
            let target = "\"".repeat(link);
            let text = format!("[a]: http://x/{target}\n\n{}", pieces.concat().repeat(times));
            let html = shown(&text);
            prop_assert!(html.len() <= 8 * text.len() + 1_024, "{} of {text:?}", html.len());
        }

        #[test]
        fn no_text_makes_a_tag_of_its_own(pieces in prop::collection::vec(piece(), 0..40)) {
            let text = pieces.concat();
            let html = rendered(&text).into_string();
            for tag in html.split('<').skip(1) {
                let tag = tag.split('>').next().unwrap_or_default();
                prop_assert!(is_known_tag(tag), "{tag:?} of {text:?}");
            }
            let line = line(&text).into_string();
            prop_assert_eq!(line.matches('<').count(), 2);
        }
    }
}
