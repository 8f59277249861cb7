//! Tables.

use comfy_table::{ContentArrangement, Table as Comfy, presets};

use super::terminal::width;
use super::text::one_line;

/// A table of texts. At a terminal it is as wide as that, and long cells are wrapped. Elsewhere
/// each row is one line.
pub(crate) struct Table(Comfy);

impl Table {
    /// A table with these columns.
    pub(crate) fn new(columns: &[&str]) -> Self {
        let mut table = Comfy::new();
        table.load_style(presets::NOTHING);
        if let Some(width) = width() {
            table.set_content_arrangement(ContentArrangement::Dynamic).set_width(width);
        }
        table.set_header(columns.iter().copied());
        Self(table)
    }

    /// Adds a row.
    pub(crate) fn row<const N: usize>(&mut self, cells: [String; N]) {
        self.0.add_row(cells.map(|cell| one_line(&cell)));
    }

    /// The table, and how many of all rows it has: `20 of 233`.
    pub(crate) fn of_total(&self, total: i64) -> String {
        let rows = self.0.row_count();
        let count = format!("{rows} of {total}");
        if rows == 0 { count } else { format!("{table}\n{count}", table = self.text()) }
    }

    /// Whether it has no row.
    pub(crate) fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    /// The table alone.
    pub(crate) fn text(&self) -> String {
        // The first column needs no margin, and no line ends in blanks.
        let lines = self
            .0
            .lines()
            .map(|line| line.strip_prefix(' ').unwrap_or(&line).trim_end().to_owned());
        lines.collect::<Vec<_>>().join("\n")
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_table_says_how_many_of_all_rows_it_has() {
        let mut table = Table::new(&["ID", "TITLE"]);
        assert_eq!(table.of_total(0), "0 of 0");
        table.row(["7".to_owned(), "Deploy\nthe docs".to_owned()]);
        table.row(["12".to_owned(), "x".to_owned()]);
        assert_eq!(table.of_total(233), "ID  TITLE\n7   Deploy the docs\n12  x\n2 of 233");
    }
}
