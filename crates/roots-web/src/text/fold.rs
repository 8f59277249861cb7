//! Folding a long text. It is cut between its events, so that the rest means what it meant: a block
//! of code that is cut goes on as code, and a list with the number that comes next.

use std::iter;

use pulldown_cmark::{CowStr, Event, Tag};

/// Where a text is cut.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Cut {
    /// How many events show whole.
    events: usize,
    /// How many bytes show of the event after them.
    bytes: usize,
    /// How many characters show.
    shown_chars: usize,
    /// How many characters are folded.
    pub(super) rest_chars: usize,
}

/// Where to cut a text so that at most so many characters show: after a block, or else a line of
/// code, or else a blank, if that shows more than half of them. `None` if all of it shows.
pub(super) fn cut<'a>(events: impl Iterator<Item = Event<'a>>, most: usize) -> Option<Cut> {
    let (mut chars, mut depth, mut starts) = (0, 0_usize, 0);
    let mut is_at_line = false;
    let mut after_block = None;
    let mut cut = None;
    for (index, event) in events.enumerate() {
        let next = chars + chars_of(&event);
        if cut.is_none() && next > most {
            let whole = Cut { events: index - starts, bytes: 0, shown_chars: chars, rest_chars: 0 };
            let after_line = Some(whole).filter(|_| is_at_line && chars > most / 2);
            let within = || within(&event, index, most, whole);
            cut = after_block.or(after_line).or_else(|| Some(within()));
        }
        chars = next;
        is_at_line = matches!(&event, Event::Text(text) if text.ends_with('\n'));
        match event {
            Event::Start(_) => (depth, starts) = (depth + 1, starts + 1),
            Event::End(_) => {
                (depth, starts) = (depth.saturating_sub(1), 0);
                if depth == 0 && chars > most / 2 {
                    let (events, shown_chars) = (index + 1, chars);
                    after_block = Some(Cut { events, bytes: 0, shown_chars, rest_chars: 0 });
                }
            }
            _ => starts = 0,
        }
    }
    cut.map(|cut| Cut { rest_chars: chars - cut.shown_chars, ..cut })
}

/// The cut within an event that is too long; before it, and before the tags that open for it, if
/// nothing of it fits.
fn within(event: &Event<'_>, index: usize, most: usize, whole: Cut) -> Cut {
    let (Event::Text(text) | Event::Code(text)) = event else { return whole };
    let fits = most - whole.shown_chars;
    let end = text.char_indices().nth(fits).map_or(text.len(), |(end, _)| end);
    let head = &text[..end];
    let shown = |head: &str| whole.shown_chars + head.chars().count();
    let after = |is_end: fn(char) -> bool| {
        let end = head.char_indices().rfind(|(_, char)| is_end(*char));
        let head = end.map(|(at, char)| &head[..at + char.len_utf8()]);
        head.filter(|head| shown(head) > most / 2)
    };
    let after_line = after(|char| char == '\n');
    let head = after_line.or_else(|| after(char::is_whitespace)).unwrap_or(head);
    match head.len() {
        0 => whole,
        bytes => Cut { events: index, bytes, shown_chars: shown(head), ..whole },
    }
}

/// How many characters an event shows.
fn chars_of(event: &Event<'_>) -> usize {
    match event {
        Event::Text(text) | Event::Code(text) => text.chars().count(),
        Event::SoftBreak | Event::HardBreak => 1,
        _ => 0,
    }
}

/// What shows, and the rest. The tags that are open at the cut end in the one and begin again in
/// the other.
pub(super) fn halves<'a>(
    mut events: impl Iterator<Item = Event<'a>>,
    cut: &Cut,
) -> (Vec<Event<'a>>, impl Iterator<Item = Event<'a>>) {
    let mut shown: Vec<_> = events.by_ref().take(cut.events).collect();
    let mut tail = None;
    if cut.bytes > 0
        && let Some(event) = events.next()
    {
        let (head, rest) = split(event, cut.bytes);
        shown.push(head);
        tail = Some(rest);
    }
    let open = open_at_end(&shown);
    shown.extend(open.iter().rev().map(|tag| Event::End(tag.to_end())));
    (shown, open.into_iter().map(Event::Start).chain(tail).chain(events))
}

fn split(event: Event<'_>, at: usize) -> (Event<'_>, Event<'_>) {
    let both = |text: CowStr<'_>| {
        let (head, rest) = text.split_at(at);
        (CowStr::from(head.to_owned()), CowStr::from(rest.to_owned()))
    };
    match event {
        Event::Text(text) => {
            let (head, rest) = both(text);
            (Event::Text(head), Event::Text(rest))
        }
        Event::Code(text) => {
            let (head, rest) = both(text);
            (Event::Code(head), Event::Code(rest))
        }
        event => (event, Event::Text("".into())),
    }
}

/// The tags that are open after these events, as they begin again: a numbered list with the number
/// of the item that is cut, or of the next one.
fn open_at_end<'a>(events: &[Event<'a>]) -> Vec<Tag<'a>> {
    // Each with the items that have begun in it.
    let mut open: Vec<(Tag<'a>, u64)> = Vec::new();
    for event in events {
        match event {
            Event::Start(tag) => {
                if let Some((_, items)) = open.last_mut() {
                    *items += 1;
                }
                open.push((tag.clone(), 0));
            }
            Event::End(_) => drop(open.pop()),
            _ => {}
        }
    }
    let inner = open.iter().skip(1).map(|_| 1).chain(iter::once(0)).collect::<Vec<u64>>();
    let again = |((tag, items), is_cut): ((Tag<'a>, u64), u64)| match tag {
        Tag::List(Some(first)) => Tag::List(Some(first.saturating_add(items - is_cut))),
        tag => tag,
    };
    open.into_iter().zip(inner).map(again).collect()
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;
    use pulldown_cmark::{Parser, TagEnd};

    use super::*;

    /// Each character with the tags that it stands in.
    fn meaning<'a>(events: impl Iterator<Item = Event<'a>>) -> Vec<(char, Vec<TagEnd>)> {
        let (mut open, mut found) = (Vec::new(), Vec::new());
        for event in events {
            match event {
                Event::Start(tag) => open.push(tag.to_end()),
                Event::End(end) => assert_eq!(open.pop(), Some(end)),
                Event::Text(text) | Event::Code(text) => {
                    found.extend(text.chars().map(|char| (char, open.clone())));
                }
                _ => found.push(('\n', open.clone())),
            }
        }
        assert_eq!(open, []);
        found
    }

    fn halves_of(text: &str, most: usize) -> Option<(Vec<Event<'_>>, Vec<Event<'_>>)> {
        let cut = cut(Parser::new(text), most)?;
        let (shown, rest) = halves(Parser::new(text), &cut);
        Some((shown, rest.collect()))
    }

    #[test]
    fn a_list_goes_on_with_the_number_that_comes_next() {
        let (shown, rest) = halves_of("7. one\n8. two three four\n9. five", 9).unwrap();
        assert_eq!(meaning(shown.into_iter()).len(), 7);
        assert_eq!(rest[0], Event::Start(Tag::List(Some(8))));
        let (_, rest) = halves_of("7. one\n8. two\n9. three", 3).unwrap();
        assert_eq!(rest[..2], [Event::Start(Tag::List(Some(8))), Event::Start(Tag::Item)]);
    }

    #[test]
    fn a_text_is_cut_after_a_block_or_else_a_blank() {
        let of = |text: &str| {
            let (shown, _) = halves_of(text, 10).unwrap();
            meaning(shown.into_iter()).into_iter().map(|(char, _)| char).collect::<String>()
        };
        assert_eq!(of("one two\n\nthree four"), "one two");
        assert_eq!(of("one two three"), "one two ");
        assert_eq!(of("onetwothreefour"), "onetwothre");
        assert_eq!(of("a onetwothreefour"), "a onetwoth");
        assert!(halves_of("onetwothre", 10).is_none());
    }

    fn piece() -> impl Strategy<Value = String> {
        let known = [
            "\n",
            "\n\n",
            "> ",
            "- ",
            "1. ",
            "`",
            "```\n",
            "    ",
            "**",
            "_",
            "[",
            "](http://x)",
            "![",
            "# ",
            "\\",
            " ",
            "&amp;",
            "  \n",
            "---\n",
        ];
        prop_oneof![
            prop::sample::select(known.to_vec()).prop_map(str::to_owned),
            "[a-z\u{e9}\u{202e} ]{1,12}",
        ]
    }

    proptest! {
        #[test]
        fn each_character_of_a_folded_text_means_what_it_meant(
            pieces in prop::collection::vec(piece(), 0..60),
            most in 1_usize..40,
        ) {
            let text = pieces.concat();
            let whole = meaning(Parser::new(&text));
            let Some(cut) = cut(Parser::new(&text), most) else {
                return Ok(());
            };
            let (shown, rest) = halves(Parser::new(&text), &cut);
            let shown = meaning(shown.into_iter());
            prop_assert!(0 < cut.shown_chars && cut.shown_chars <= most, "{cut:?} of {text:?}");
            prop_assert!(cut.rest_chars > 0);
            let both: Vec<_> = shown.into_iter().chain(meaning(rest)).collect();
            prop_assert_eq!(both, whole, "{:?}", text);
        }
    }
}
