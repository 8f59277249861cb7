//! Rows that fit into a number of bytes: with shortened texts, and without the last ones if need
//! be. The texts are shortened as those of a brief are.

use roots_domain::model::Invalid;
use roots_domain::model::brief::{
    BriefText, TOKEN_BYTES, TOKENS_DEFAULT, TOKENS_MAX, TOKENS_MIN, TextLimits,
};
use roots_http_core::request::fields::InvalidNoted;
use roots_http_core::request::json::{Members, integer};
use serde::Serialize;
use serde_json::value::{RawValue, to_raw_value};

use crate::documents::{ListedTodoDocument, SearchResult};

/// Most bytes of a page beside its rows and the pointers to its shortened texts.
const BESIDE_BYTES: usize = 512;

/// Reads `max_tokens`, and returns the most bytes of the result.
///
/// # Errors
/// It is out of range.
pub(crate) fn max_bytes(members: &mut Members) -> Result<usize, InvalidNoted> {
    let read = |number: i64| {
        let tokens = u32::try_from(number).ok();
        tokens.filter(|tokens| (TOKENS_MIN..=TOKENS_MAX).contains(tokens)).ok_or_else(|| {
            Invalid::new(format!("must be an integer from {TOKENS_MIN} to {TOKENS_MAX}"))
        })
    };
    let tokens = members.optional("max_tokens", integer(read))?.unwrap_or(TOKENS_DEFAULT);
    Ok((tokens * TOKEN_BYTES) as usize)
}

/// A row whose texts can be shortened.
pub(crate) trait Row: Serialize {
    /// Shortens its texts, and names those that it shortened.
    fn shorten(&mut self, limits: TextLimits, cut: &mut Cut);
}

/// The texts of a row that were shortened.
#[derive(Default)]
pub(crate) struct Cut(Vec<&'static str>);

impl Cut {
    fn shorten(&mut self, name: &'static str, text: &mut String, most_bytes: usize) {
        if text.len() > most_bytes {
            // What was cut before ends in `…` like a text that has one of its own.
            let shown = text.strip_suffix('…').filter(|_| self.0.contains(&name));
            let whole = shown.unwrap_or(text).to_owned();
            let room = BriefText::whole(whole).shortened(most_bytes);
            text.clear();
            text.push_str(room.as_str());
            if !self.0.contains(&name) {
                self.0.push(name);
            }
        }
    }
}

impl Row for ListedTodoDocument {
    fn shorten(&mut self, limits: TextLimits, cut: &mut Cut) {
        cut.shorten("title", &mut self.todo.title, limits.title);
        if let Some(description) = &mut self.todo.description {
            cut.shorten("description", description, limits.text);
        }
    }
}

impl Row for SearchResult {
    fn shorten(&mut self, limits: TextLimits, cut: &mut Cut) {
        cut.shorten("excerpt", &mut self.excerpt, limits.text);
        if let Some(title) = &mut self.title {
            cut.shorten("title", title, limits.title);
        }
    }
}

/// Rows as JSON, and JSON pointers to their shortened texts.
pub(crate) struct Fitted {
    pub(crate) rows: Vec<Box<RawValue>>,
    pub(crate) cut: Vec<String>,
}

/// The first rows of a list in at most `max_bytes` bytes, with the rest of its page. There is
/// always one, if there are any: so a list can be walked to its end.
pub(crate) fn fit<R: Row>(
    list: &str,
    rows: impl IntoIterator<Item = R>,
    max_bytes: usize,
) -> Result<Fitted, serde_json::Error> {
    let max_bytes = max_bytes - BESIDE_BYTES;
    let mut rows: Vec<_> = rows.into_iter().map(|row| (row, Cut::default())).collect();
    let mut written = Vec::new();
    for limits in TextLimits::of(max_bytes) {
        for (row, cut) in &mut rows {
            row.shorten(limits, cut);
        }
        written = rows.iter().map(|(row, _)| to_raw_value(row)).collect::<Result<Vec<_>, _>>()?;
        let pointers = rows.iter().map(|(_, cut)| cut).enumerate();
        let size = written
            .iter()
            .zip(pointers)
            .map(|(row, (place, cut))| row.get().len() + 1 + pointers_bytes(list, place, cut));
        if size.sum::<usize>() <= max_bytes {
            break;
        }
    }
    let (mut fitted, mut size) = (Fitted { rows: Vec::new(), cut: Vec::new() }, 0);
    for (place, ((mut row, mut cut), mut raw)) in rows.into_iter().zip(written).enumerate() {
        let mut bytes = raw.get().len() + 1 + pointers_bytes(list, place, &cut);
        if size + bytes > max_bytes {
            row.shorten(TextLimits::SHORT, &mut cut);
            raw = to_raw_value(&row)?;
            bytes = raw.get().len() + 1 + pointers_bytes(list, place, &cut);
        }
        if size + bytes > max_bytes && place > 0 {
            break;
        }
        size += bytes;
        fitted.rows.push(raw);
        fitted.cut.extend(cut.0.iter().map(|name| pointer(list, place, name)));
    }
    Ok(fitted)
}

fn pointer(list: &str, place: usize, name: &str) -> String {
    format!("/{list}/{place}/{name}")
}

/// The bytes of the pointers to a row's shortened texts, with quotes and commas.
fn pointers_bytes(list: &str, place: usize, cut: &Cut) -> usize {
    cut.0.iter().map(|name| pointer(list, place, name).len() + 3).sum()
}

#[cfg(test)]
mod tests {
    use serde_json::Value;

    use super::*;

    #[derive(Serialize)]
    struct Line(String);

    impl Row for Line {
        fn shorten(&mut self, limits: TextLimits, cut: &mut Cut) {
            cut.shorten("text", &mut self.0, limits.text);
        }
    }

    fn fitted(rows: &[String], max_bytes: usize) -> (Vec<String>, Vec<String>) {
        let lines = rows.iter().map(|text| Line(text.clone()));
        let Fitted { rows, cut } = fit("lines", lines, max_bytes).unwrap();
        let bytes: usize = rows.iter().map(|row| row.get().len() + 1).sum();
        let pointers: usize = cut.iter().map(|pointer| pointer.len() + 3).sum();
        assert!(bytes + pointers + BESIDE_BYTES <= max_bytes, "{bytes} + {pointers}");
        let text = |row: &RawValue| match serde_json::from_str(row.get()) {
            Ok(Value::String(text)) => text,
            other => unreachable!("{other:?}"),
        };
        (rows.iter().map(|row| text(row)).collect(), cut)
    }

    #[test]
    fn rows_that_fit_are_whole() {
        let rows = ["a".repeat(1_000), "b…".to_owned()];
        assert_eq!(fitted(&rows, 2_000), (rows.to_vec(), vec![]));
    }

    #[test]
    fn long_texts_are_shortened_before_rows_are_left_out() {
        let rows: Vec<_> = (0..8).map(|_| "é".repeat(1_000)).collect();
        let (shown, cut) = fitted(&rows, 2_000);
        assert_eq!(shown.len(), 8);
        assert!(shown.iter().all(|text| text.ends_with("é…")), "{shown:?}");
        let pointers: Vec<_> = (0..8).map(|place| format!("/lines/{place}/text")).collect();
        assert_eq!(cut, pointers);
    }

    #[test]
    fn rows_that_do_not_fit_are_left_out_from_the_end() {
        let rows: Vec<_> = (0..100).map(|_| "x".repeat(500)).collect();
        let (shown, _) = fitted(&rows, 2_000);
        assert!((10..100).contains(&shown.len()), "{}", shown.len());
    }

    #[test]
    fn one_row_is_always_shown() {
        let (shown, cut) = fitted(&["\u{1}".repeat(60_000)], 2_000);
        assert_eq!((shown.len(), cut.len()), (1, 1));
    }
}
