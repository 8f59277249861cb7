//! Texts that agents wrote. They are hostile: all of it is escaped, nothing in it runs or loads,
//! its direction does not reach the words around it, and a long one is folded.

mod fold;
mod one_line;

use std::fmt;

use maud::{Markup, PreEscaped, html};
use pulldown_cmark::{CodeBlockKind, Event, Options, Parser, Tag, TagEnd, html::write_html_fmt};

use one_line::is_visible;
pub(crate) use one_line::{isolated, line, shown_or_blank, start_of};

/// How much of a text shows before the rest is folded, in characters.
const SHOWN_CHARS: usize = 4_000;
/// How deep quotes and lists may nest. Browsers cut deeper ones, and their tags are many times as
/// long as the characters that make them.
const DEPTH_MAX: usize = 12;
/// Most bytes of HTML for one byte of a text. An escaped character has up to six.
const HTML_TIMES: usize = 8;
/// Most bytes of HTML beside that. With the tags around it, a text has at most 1 KiB more.
const HTML_MORE_BYTES: usize = 700;
/// An excerpt looks at so many times the characters that it shows: the others may be marks.
const MARKS_PER_CHARACTER: usize = 4;

/// The beginning of a text in Markdown on one line, without its marks, cut after so many
/// characters. However long the text is, only its beginning is looked at.
pub(crate) fn excerpt(text: &str, chars: usize) -> Markup {
    let seen = text.char_indices().nth(chars.saturating_mul(MARKS_PER_CHARACTER));
    let (head, rest) = text.split_at(seen.map_or(text.len(), |(end, _)| end));
    let mut plain = String::new();
    for event in Parser::new_ext(head, Options::ENABLE_STRIKETHROUGH) {
        match event {
            Event::Text(text) | Event::Code(text) | Event::Html(text) | Event::InlineHtml(text) => {
                plain.push_str(&text);
            }
            Event::SoftBreak | Event::HardBreak | Event::Rule => plain.push(' '),
            Event::End(end) if !is_inline(end) => plain.push(' '),
            _ => {}
        }
    }
    plain.truncate(plain.trim_end().len());
    if !rest.is_empty() {
        plain.push('…');
    }
    if plain.chars().any(|it| is_visible(it) && it != '…') {
        start_of(&plain, chars)
    } else {
        // A text of marks alone is shown as it is: a link needs a name.
        start_of(head, chars)
    }
}

const fn is_inline(end: TagEnd) -> bool {
    matches!(
        end,
        TagEnd::Emphasis | TagEnd::Strong | TagEnd::Strikethrough | TagEnd::Link | TagEnd::Image
    )
}

/// A text in Markdown. After 4,000 characters the rest is folded. A text whose HTML would be too
/// long, as that of many references to one long link, is shown as it was written.
pub(crate) fn markdown(text: &str) -> Markup {
    rendered(text).unwrap_or_else(|| as_written(text))
}

fn rendered(text: &str) -> Option<Markup> {
    let mut left = HTML_TIMES * text.len() + HTML_MORE_BYTES;
    let Some(cut) = fold::cut(safe_events(text), SHOWN_CHARS) else {
        return Some(html! { div.md dir="auto" { (written(safe_events(text), &mut left)?) } });
    };
    let (shown, rest) = fold::halves(safe_events(text), &cut);
    Some(html! {
        div.md dir="auto" { (written(shown.into_iter(), &mut left)?) }
        details.fold {
            summary { "Show the other " (characters(cut.rest_chars)) }
            div.md dir="auto" { (written(rest, &mut left)?) }
        }
    })
}

/// A number of characters, in words.
fn characters(count: usize) -> String {
    if count == 1 { "1 character".to_owned() } else { format!("{count} characters") }
}

/// A text that is no Markdown, with its line breaks. After 4,000 characters the rest is folded.
pub(crate) fn as_written(text: &str) -> Markup {
    let end = text.char_indices().nth(SHOWN_CHARS).map_or(text.len(), |(end, _)| end);
    let (shown, rest) = text.split_at(end);
    html! {
        div.md.lines dir="auto" { (shown) }
        @if !rest.is_empty() {
            details.fold {
                summary { "Show the other " (characters(rest.chars().count())) }
                div.md.lines dir="auto" { (rest) }
            }
        }
    }
}

/// The events of a text, as they are safe to write.
fn safe_events(text: &str) -> impl Iterator<Item = Event<'_>> {
    let mut safe = Safe::default();
    Parser::new_ext(text, Options::ENABLE_STRIKETHROUGH).filter_map(move |event| safe.event(event))
}

/// Writes events, and takes their length from `left`. `None` if it is not enough.
fn written<'a>(events: impl Iterator<Item = Event<'a>>, left: &mut usize) -> Option<Markup> {
    let mut written = Bounded { html: String::new(), most: *left };
    write_html_fmt(&mut written, named_links(events)).ok()?;
    *left -= written.html.len();
    Some(PreEscaped(written.html))
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

/// Gives each link without a text its address as its text: a link needs a name.
fn named_links<'a>(events: impl Iterator<Item = Event<'a>>) -> impl Iterator<Item = Event<'a>> {
    // The address of the open link, while nothing in it shows.
    let mut nameless = None;
    events.flat_map(move |event| {
        let mut name = None;
        match &event {
            Event::Start(Tag::Link { dest_url, .. }) => nameless = Some(dest_url.clone()),
            Event::End(TagEnd::Link) => name = nameless.take().map(Event::Text),
            Event::Text(text) | Event::Code(text) if text.chars().any(is_visible) => {
                nameless = None;
            }
            _ => {}
        }
        name.into_iter().chain(std::iter::once(event))
    })
}

/// Turns events into ones that are safe to write.
#[derive(Default)]
struct Safe {
    /// For each open tag, whether it is written.
    open: Vec<bool>,
    /// How many of them are.
    depth: usize,
    /// Whether a link is written that is open.
    is_in_link: bool,
}

impl Safe {
    fn event<'a>(&mut self, event: Event<'a>) -> Option<Event<'a>> {
        match event {
            Event::Start(tag) => {
                let tag = if self.depth < DEPTH_MAX { safe_tag(tag) } else { None };
                // Of an image in a link, only its text is written: no link is within another.
                let tag = tag.filter(|tag| !(self.is_in_link && matches!(tag, Tag::Link { .. })));
                self.is_in_link |= matches!(tag, Some(Tag::Link { .. }));
                self.open.push(tag.is_some());
                self.depth += usize::from(tag.is_some());
                tag.map(Event::Start)
            }
            Event::End(end) => {
                let is_written = self.open.pop().unwrap_or_default();
                self.depth -= usize::from(is_written);
                let end = safe_end(end);
                self.is_in_link &= !(is_written && end == TagEnd::Link);
                is_written.then_some(Event::End(end))
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
    fn a_short_text_in_which_nothing_shows_has_a_stand_in() {
        let blank = "<bdi>(blank)</bdi>";
        for text in
            ["", " ", "\u{200b}\u{200d}", "\u{a0}\u{3000}\t", "\u{2800}", "\u{feff}\u{2067}"]
        {
            let shown = [line(text), start_of(text, 100), excerpt(text, 100)];
            assert_eq!(shown.map(Markup::into_string), [blank; 3], "{text:?}");
        }
        assert_eq!(line("\u{200b}a").into_string(), "<bdi>\u{200b}a</bdi>");
        // However long it is: the mark of what is left out shows.
        let cut = start_of(&"\u{200b}".repeat(200), 100).into_string();
        assert!(cut.ends_with("…</bdi>"), "{cut}");
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

    /// The links that stand in another one or have no text.
    fn bad_links(html: &str) -> Vec<String> {
        let mut bad = Vec::new();
        for link in html.split("<a href=").skip(1) {
            let (inside, _) = link.split_once("</a>").unwrap_or((link, ""));
            let (_, inside) = inside.split_once('>').unwrap_or_default();
            let mut texts = inside.split('<').map(|it| it.split_once('>').map_or(it, |(_, it)| it));
            if !link.contains("</a>") || !texts.any(|text| text.chars().any(is_visible)) {
                bad.push(link.to_owned());
            }
        }
        bad
    }

    #[test]
    fn an_image_in_a_link_is_its_text_and_a_link_without_a_text_shows_its_address() {
        let link = |name: &str| format!("<p><a href=\"http://b\">{name}</a></p>\n");
        for (text, name) in [
            ("[![i](http://a/x)](http://b)", "i"),
            ("![[i](http://a/x)](http://b)", "i"),
            ("[a ![i](http://a/x) b](http://b)", "a i b"),
            ("[![](http://a/x)](http://b)", "http://b"),
            ("[](http://b)", "http://b"),
            ("[ ](http://b)", " http://b"),
            ("![](http://b)", "http://b"),
            ("[*![](http://a)*](http://b)", "<em></em>http://b"),
            ("[&#8203;](http://b)", "\u{200b}http://b"),
        ] {
            let html = written(safe_events(text), &mut 1_000).unwrap().into_string();
            assert_eq!(html, link(name), "{text}");
        }
        // The link around it is none, so the image may be one.
        let html = shown("[![i](http://a/x)](javascript:x)");
        assert!(html.contains("<a href=\"http://a/x\">i</a>"), "{html}");
        assert_eq!(
            bad_links("<a href=\"x\"><a href=\"y\">z</a></a><a href=\"x\"><b> </b></a>").len(),
            2
        );
    }

    #[test]
    fn a_block_of_code_that_is_cut_goes_on_as_code() {
        let line = "    let it = *vec[0]; # not a heading\n";
        let text = format!("Before\n\n```\n{}```\n\nAfter", line.repeat(300));
        let html = shown(&text);
        let (head, rest) = html.split_once("<details").unwrap();
        assert!(head.contains("<p>Before</p>\n<pre><code>    let it"), "{head}");
        assert!(head.contains("# not a heading\n</code></pre>"), "{head}");
        assert!(rest.contains("<pre><code>    let it"), "{rest}");
        assert!(rest.contains("</code></pre>\n<p>After</p>"), "{rest}");
        assert_eq!(html.matches("*vec[0]; # not a heading\n").count(), 300);
    }

    #[test]
    fn a_long_text_is_folded_and_loses_nothing() {
        let text = "word ".repeat(2_000);
        let folded = shown(&text);
        assert!(folded.contains("Show the other 5999 characters"), "{folded}");
        assert_eq!(folded.matches("word").count(), 2_000);
        let whole = "é".repeat(SHOWN_CHARS);
        assert!(!shown(&whole).contains("<details"));
        assert!(shown(&(whole + "é")).contains("Show the other 1 character<"));
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
        assert!(long.contains("http://e.x/&quot;&quot;") && long.ends_with("[a][a]</div>"));
        let usual = shown(&(link + "See [a]."));
        assert!(usual.contains("See <a href=\"http://e.x/"), "{usual}");
    }

    #[test]
    fn an_excerpt_has_the_words_of_a_markdown_text_without_its_marks() {
        for (text, plain) in [
            ("# Plan\n\nUse **bold** and `code`.", "Plan Use bold and code."),
            ("- one\n- two\n\n> three", "one two three"),
            ("[a link](https://a.example) ![an image](x.png)", "a link an image"),
            ("<b>raw</b> a*b* ~~no~~ 2 * 3", "&lt;b&gt;raw&lt;/b&gt; ab no 2 * 3"),
            ("```rust\nlet x = 1;\n```\nafter", "let x = 1; after"),
            ("one\ntwo  \nthree", "one two three"),
            // Marks alone stay as they are.
            ("---", "---"),
            ("#", "#"),
            ("[](https://a.example)", "[](https://a.example)"),
        ] {
            assert_eq!(excerpt(text, 60).into_string(), format!("<bdi>{plain}</bdi>"), "{text}");
        }
        assert_eq!(excerpt("**abc** def", 5).into_string(), "<bdi>abc d…</bdi>");
    }

    #[test]
    fn an_excerpt_looks_at_the_beginning_of_a_long_text_alone() {
        let text = format!("{}end", "# \n".repeat(20_000));
        let shown = excerpt(&text, 100).into_string();
        assert!(shown.len() < 500 && !shown.contains("end"), "{shown}");
        assert_eq!(
            excerpt(&"é".repeat(9), 8).into_string(),
            format!("<bdi>{}…</bdi>", "é".repeat(8))
        );
        let cut = format!("a{}b", "*".repeat(40));
        assert!(excerpt(&cut, 10).into_string().ends_with("…</bdi>"));
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
            || tag == "hr /"
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
            let html = shown(&text);
            let (_, html) = html.split_once("dir=\"auto\">").unwrap();
            let html = html.strip_suffix("</div>").unwrap();
            for tag in html.split('<').skip(1) {
                let tag = tag.split('>').next().unwrap_or_default();
                prop_assert!(is_known_tag(tag), "{tag:?} of {text:?}");
            }
            prop_assert_eq!(bad_links(html), Vec::<String>::new(), "{}", text);
            let line = line(&text).into_string();
            prop_assert_eq!(line.matches('<').count(), 2);
            let excerpt = excerpt(&text, 40).into_string();
            prop_assert_eq!(excerpt.matches('<').count(), 2, "{}", excerpt);
            prop_assert!(excerpt.chars().count() < 300, "{}", excerpt);
        }
    }
}
