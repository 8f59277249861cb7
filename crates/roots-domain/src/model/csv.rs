//! Cells of CSV files that people open in spreadsheets.

use std::borrow::Cow;

/// The first characters by which a spreadsheet takes a cell for a formula, or drops the first
/// character and takes the next for one (OWASP, "CSV Injection").
const BEGIN_FORMULAS: [char; 6] = ['=', '+', '-', '@', '\t', '\r'];

/// A cell of RFC 4180: quoted if it has to be. A text that a spreadsheet would run as a formula
/// gets a `'` before it, which spreadsheets do not show.
#[must_use]
pub fn csv_cell(text: &str) -> Cow<'_, str> {
    let is_formula = text.starts_with(BEGIN_FORMULAS);
    let needs_quotes = text.contains(['"', ',', '\r', '\n']) || text.trim() != text;
    let mark = if is_formula { "'" } else { "" };
    if needs_quotes {
        return format!("\"{mark}{}\"", text.replace('"', "\"\"")).into();
    }
    if is_formula { format!("{mark}{text}").into() } else { text.into() }
}

/// A line of cells, with its CRLF.
#[must_use]
pub fn csv_line<'a>(cells: impl IntoIterator<Item = &'a str>) -> String {
    let cells: Vec<_> = cells.into_iter().map(csv_cell).collect();
    let mut line = cells.join(",");
    line.push_str("\r\n");
    line
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    /// What a reader of RFC 4180 makes of a line.
    fn read(line: &str) -> Vec<String> {
        let (mut cells, mut cell, mut quoted) = (Vec::new(), String::new(), false);
        let mut rest = line.strip_suffix("\r\n").unwrap().chars().peekable();
        while let Some(one) = rest.next() {
            match one {
                '"' if quoted && rest.peek() == Some(&'"') => {
                    rest.next();
                    cell.push('"');
                }
                '"' => quoted = !quoted,
                ',' if !quoted => cells.push(std::mem::take(&mut cell)),
                other => cell.push(other),
            }
        }
        cells.push(cell);
        cells
    }

    #[test]
    fn a_cell_that_begins_a_formula_gets_an_apostrophe() {
        for (text, cell) in [
            ("", ""),
            ("plain", "plain"),
            ("=1+1", "'=1+1"),
            ("+1", "'+1"),
            ("-1", "'-1"),
            ("@SUM(A1)", "'@SUM(A1)"),
            ("\tx", "\"'\tx\""),
            ("\r=1", "\"'\r=1\""),
            ("a=1", "a=1"),
            ("a,b", "\"a,b\""),
            ("say \"no\"", "\"say \"\"no\"\"\""),
            ("=\"x\",1", "\"'=\"\"x\"\",1\""),
            (" =1", "\" =1\""),
        ] {
            assert_eq!(csv_cell(text), cell, "{text:?}");
        }
        assert_eq!(csv_line(["a", "=b", "c,d"]), "a,'=b,\"c,d\"\r\n");
    }

    proptest! {
        #[test]
        fn no_cell_begins_a_formula_and_every_text_can_be_read_back(
            texts in proptest::collection::vec("[-=+@\t\r\n\", a'é]{0,8}|.{0,12}", 1..5)
        ) {
            let cells = read(&csv_line(texts.iter().map(String::as_str)));
            prop_assert_eq!(cells.len(), texts.len());
            for (cell, text) in cells.iter().zip(&texts) {
                prop_assert!(!cell.starts_with(BEGIN_FORMULAS));
                prop_assert!(cell == text || cell.strip_prefix('\'') == Some(text));
            }
        }
    }
}
