//! What matches a search, and what of it is shown.

use proptest::prelude::*;
use unicode_normalization::UnicodeNormalization;
use unicode_segmentation::UnicodeSegmentation;

use super::excerpt::{EXCERPT_MAX_CHARS, excerpt};
use super::fold::fold_into;
use super::*;
use crate::model::sealed::Field;
use crate::model::todo::TodoStatus;

fn terms(text: &str) -> SearchTerms {
    SearchTerms::parse(text).unwrap()
}

fn folded(text: &str) -> String {
    let mut folded = String::new();
    fold_into(text, &mut folded);
    folded
}

/// Whether one text has all terms.
fn matches(wanted: &str, text: &str) -> bool {
    let wanted = terms(wanted);
    let found = wanted.find(text, &mut Scratch::default());
    found.is_some_and(|found| found.terms == wanted.all())
}

/// The part of a text that was found first.
fn first<'t>(wanted: &str, text: &'t str) -> Option<&'t str> {
    terms(wanted).find(text, &mut Scratch::default()).map(|found| &text[found.first])
}

#[test]
fn a_word_is_found_whole_and_in_any_case() {
    for (wanted, text) in [
        ("deploy", "Deploy the docs"),
        ("DOCS", "deploy the docs."),
        ("straße", "STRASSE 7"),
        ("STRASSE", "die Straße"),
        ("ὈΔΥΣΣΕΎΣ", "ὀδυσσεύς"),
        // Composed and decomposed.
        ("caf\u{e9}", "CAFE\u{301} au lait"),
        ("cafe\u{301}", "caf\u{c9}"),
        ("\u{1fb3}", "\u{3b1}\u{345}"),
        ("\u{212a}elvin", "kelvin"),
        ("can't", "We CAN'T go on"),
        ("v1.2.3", "release v1.2.3 today"),
        ("漢字", "これは漢字です"),
        ("on-call", "the on call rota"),
        ("session_id", "the field session_id"),
        ("0", "0 errors"),
    ] {
        assert!(matches(wanted, text), "{wanted} in {text}");
    }
    for (wanted, text) in [
        ("deploy", "Deployed the docs"),
        ("eploy", "Deploy"),
        ("cafe", "café"),
        ("session", "session_id"),
        ("on-call", "call on"),
        ("漢字", "漢の字"),
        ("a", ""),
    ] {
        assert!(!matches(wanted, text), "{wanted} in {text}");
    }
}

#[test]
fn a_prefix_is_found_at_the_beginning_of_words_only() {
    for (wanted, text) in
        [("dep*", "They deployed"), ("deploy*", "deploy"), ("on-ca*", "on calls"), ("ÜB*", "über")]
    {
        assert!(matches(wanted, text), "{wanted} in {text}");
    }
    for (wanted, text) in [("loy*", "deploy"), ("o-ca*", "on call"), ("on-ca*", "on a call")] {
        assert!(!matches(wanted, text), "{wanted} in {text}");
    }
}

#[test]
fn a_phrase_is_found_if_its_words_follow_each_other() {
    let phrase = "\"fix the login\"";
    assert!(matches(phrase, "Fix -- the\nLOGIN, then rest"));
    assert!(matches(phrase, "fix fix the login"));
    assert!(!matches(phrase, "fix login the"));
    assert!(!matches(phrase, "fix the old login"));
    // A star in a phrase has no meaning.
    assert!(!matches("\"fix the log*\"", "fix the login"));
}

#[test]
fn all_terms_must_be_found_in_any_order() {
    assert!(matches("login fix", "fix the login"));
    assert!(!matches("login fix page", "fix the login"));
    assert!(matches("a\"b c\"d*", "b c, then a and dd"));
}

#[test]
fn the_first_match_is_the_earliest_one_of_any_term() {
    assert_eq!(first("login fix", "the fix of the login"), Some("fix"));
    assert_eq!(first("\"the login\" absent", "the fix of the  LOGIN"), Some("the  LOGIN"));
    assert_eq!(first("lo*", "the logins"), Some("logins"));
    assert_eq!(first("absent", "the logins"), None);
}

#[test]
fn a_search_has_1_to_8_terms_with_words_and_at_most_200_characters() {
    let error = |text: &str| SearchTerms::parse(text).unwrap_err().to_string();
    for blank in ["", " \n\t"] {
        assert_eq!(error(blank), "must have 1 to 8 terms");
    }
    assert_eq!(error("a b c d e f g h i"), "must have 1 to 8 terms");
    assert!(SearchTerms::parse("a b c d e f g \"h i j\"").is_ok());
    assert_eq!(error("fix \"the login"), "has a quote that is not closed");
    for wordless in ["*", "fix --", "\"\"", "\"a\"*", "fix \" . \""] {
        assert_eq!(error(wordless), "has a term without a letter or digit", "{wordless}");
    }
    assert!(SearchTerms::parse(&"é".repeat(200)).is_ok());
    assert_eq!(error(&"é".repeat(201)), "must have at most 200 characters");
}

#[test]
fn the_terms_of_an_item_may_be_spread_over_its_texts() {
    let wanted = terms("login bug");
    let mut scratch = Scratch::default();
    let mut item = ItemMatch::default();
    item.add(&wanted, Field::TodoTitle, "The login page", &mut scratch);
    item.add(&wanted, Field::TodoDescription, "Nothing here", &mut scratch);
    item.add(&wanted, Field::LogNote, "found the bug", &mut scratch);
    let first = (Field::TodoTitle, "The login page".to_owned());
    assert_eq!(item.whole(&wanted), Some(first));

    let mut item = ItemMatch::default();
    item.add(&wanted, Field::TodoTitle, "The login page", &mut scratch);
    item.add(&wanted, Field::LogNote, "a bug of the login", &mut scratch);
    item.add(&wanted, Field::LogNote, "the login has a bug", &mut scratch);
    let best = (Field::LogNote, "a bug of the login".to_owned());
    assert_eq!(item.whole(&wanted), Some(best));

    let mut item = ItemMatch::default();
    item.add(&wanted, Field::TodoTitle, "The login page", &mut scratch);
    assert_eq!(item.whole(&wanted), None);
}

#[test]
fn a_status_restricts_a_search_to_todos() {
    let open = Some(TodoStatus::Open);
    for kind in [None, Some(SearchKind::Todo)] {
        let kinds = SearchedKinds::new(kind, open).unwrap();
        let included = SearchKind::ALL.map(|kind| kinds.includes(kind));
        assert_eq!((included, kinds.status()), ([false, true, false], open));
    }
    for kind in [SearchKind::Session, SearchKind::Activity] {
        assert!(SearchedKinds::new(Some(kind), open).is_err());
        let kinds = SearchedKinds::new(Some(kind), None).unwrap();
        assert_eq!(
            SearchKind::ALL.map(|one| kinds.includes(one)),
            SearchKind::ALL.map(|one| one == kind)
        );
    }
    let kinds = SearchedKinds::new(None, None).unwrap();
    assert!(SearchKind::ALL.into_iter().all(|kind| kinds.includes(kind)));
}

#[test]
fn an_excerpt_is_the_middle_of_a_long_text_between_dots() {
    let text = format!("{}needle{}", "a".repeat(300), "b".repeat(300));
    let shown = excerpt(&text, 300..306);
    let expected = format!("…{}needle{}…", "a".repeat(96), "b".repeat(96));
    assert_eq!(shown, expected);
    // At either end, the other side gets the room.
    let start = excerpt(&text, 0..6);
    assert_eq!(start, format!("{}…", "a".repeat(198)));
    let end = excerpt(&text, 600..606);
    assert_eq!(end, format!("…{}", "b".repeat(198)));
    let short = "é".repeat(200);
    assert_eq!(excerpt(&short, 0..2), short);
}

#[test]
fn an_excerpt_never_cuts_a_grapheme() {
    let family = "👩‍👩‍👧‍👦";
    let text = format!("{}needle{}", family.repeat(60), family.repeat(60));
    let at = family.len() * 60;
    let shown = excerpt(&text, at..at + 6);
    let inner = shown.trim_matches('…');
    assert!(inner.graphemes(true).all(|one| one == family || one.len() == 1), "{shown}");
    assert!(shown.chars().count() <= EXCERPT_MAX_CHARS && inner.contains("needle"));
}

#[test]
fn an_excerpt_shows_the_start_of_a_grapheme_that_is_longer_than_it() {
    let long = format!("a{}", "\u{301}".repeat(500));
    let cut = format!("a{}…", "\u{301}".repeat(197));
    assert_eq!(excerpt(&long, 0..long.len()), cut);
    let text = format!("before {long} behind");
    assert_eq!(excerpt(&text, 7..7 + long.len()), format!("…{cut}"));
}

/// Texts with what is hard: cases that change the length, marks, words without blanks.
fn hard_text() -> impl Strategy<Value = String> {
    let piece = prop_oneof![
        4 => "[a-eA-E ]{1,6}".prop_map(String::from),
        2 => "\\PC{1,4}".prop_map(String::from),
        2 => prop::sample::select(vec![
            "ß", "ẞ", "İ", "ı", "ŉ", "ǰ", "ΐ", "ﬁ", "ς", "\u{301}", "\u{345}", "e\u{301}", "é",
            "\u{212a}", "\u{1f80}", "각", "\u{1100}\u{1161}\u{11a8}", "漢字", "カタカナ", "ไทย",
            "can't", "1.5", "a_b", "\r\n", "\n\u{301}", "👩‍👩‍👧‍👦", "\u{fb2c}", "…",
        ]).prop_map(String::from),
    ];
    prop::collection::vec(piece, 0..12).prop_map(|pieces| pieces.concat())
}

/// The words of a text, folded as a whole by the book.
fn words_by_the_book(text: &str) -> Vec<String> {
    use caseless::Caseless;
    let fold = |word: &str| word.nfd().default_case_fold().nfc().collect::<String>();
    text.unicode_words().map(fold).collect()
}

proptest! {
    #[test]
    fn folding_in_pieces_equals_folding_the_whole_text(text in hard_text()) {
        use caseless::Caseless;
        let whole: String = text.nfd().default_case_fold().nfc().collect();
        prop_assert_eq!(folded(&text), whole);
    }

    #[test]
    fn a_text_matches_if_and_only_if_it_has_every_word(
        text in hard_text(), wanted in hard_text(), index: prop::sample::Index, own: bool,
    ) {
        let of_text = words_by_the_book(&text);
        // Half of the words are from the text itself, so that some are found.
        let word = if own && !of_text.is_empty() {
            text.unicode_words().nth(index.index(of_text.len())).unwrap().to_owned()
        } else {
            wanted
        };
        prop_assume!(!word.contains(['"', '*']) && !word.contains(char::is_whitespace));
        let Ok(parsed) = SearchTerms::parse(&word) else { return Ok(()) };
        let sought = words_by_the_book(&word);
        let expected = of_text.windows(sought.len()).any(|window| window == sought);
        let found = parsed.find(&text, &mut Scratch::default());
        prop_assert_eq!(found.is_some(), expected);
        if let Some(found) = found {
            prop_assert_eq!(words_by_the_book(&text[found.first]), sought);
        }
    }

    #[test]
    fn a_prefix_matches_if_and_only_if_a_word_begins_with_it(
        text in hard_text(), wanted in "[a-eA-Eéß]{1,3}",
    ) {
        let sought = words_by_the_book(&wanted).concat();
        let expected = words_by_the_book(&text).iter().any(|word| word.starts_with(&sought));
        prop_assert_eq!(matches(&format!("{wanted}*"), &text), expected);
    }

    #[test]
    fn scratch_memory_keeps_nothing_from_one_text_to_the_next(
        texts in prop::collection::vec(hard_text(), 1..6), wanted in "[a-e]{1,2}[*]?",
    ) {
        let wanted = terms(&wanted);
        let mut scratch = Scratch::default();
        for text in texts {
            let alone = wanted.find(&text, &mut Scratch::default());
            prop_assert_eq!(wanted.find(&text, &mut scratch), alone);
        }
    }

    #[test]
    fn an_excerpt_is_a_part_of_its_text_of_at_most_200_characters(
        texts in prop::collection::vec(hard_text(), 0..40), index: prop::sample::Index,
    ) {
        let text = texts.concat();
        let words: Vec<_> = text.unicode_word_indices().collect();
        prop_assume!(!words.is_empty());
        let (at, word) = words[index.index(words.len())];
        let shown = excerpt(&text, at..at + word.len());
        prop_assert!(shown.chars().count() <= EXCERPT_MAX_CHARS);
        let inner = shown.strip_prefix('…').unwrap_or(&shown);
        let inner = inner.strip_suffix('…').unwrap_or(inner);
        prop_assert!(text.contains(inner) && !inner.is_empty());
        // Any word that fits is shown whole.
        if word.chars().count() < 100 {
            prop_assert!(inner.contains(word), "{} in {}", word, shown);
        }
    }

    #[test]
    fn any_text_is_parsed_or_refused(text in "\\PC{0,220}") {
        if let Ok(parsed) = SearchTerms::parse(&text) {
            prop_assert!((1..=8).contains(&parsed.all().count()));
        }
    }
}
