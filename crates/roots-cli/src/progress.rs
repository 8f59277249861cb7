//! How far an export or an import is: a bar, the rate and the time left, at a terminal.

use indicatif::{ProgressBar, ProgressStyle};

use crate::output::tell;

/// The bar of a file whose size is known.
const BYTES: &str =
    "{msg} [{bar:30}] {binary_bytes}/{binary_total_bytes}, {binary_bytes_per_sec}, {eta} left";
/// The bar of rows whose number is about known.
const ROWS: &str = "{msg} [{bar:30}] {pos}/{len} rows, {per_sec}, {eta} left";
/// What is shown of rows whose number is not known.
const COUNT: &str = "{msg} {spinner} {pos} rows, {per_sec}";

/// A bar on standard error. If that is no terminal, nothing of it is seen.
#[derive(Debug, Clone)]
pub(crate) struct Progress(ProgressBar);

impl Progress {
    /// Of this many bytes.
    pub(crate) fn of_bytes(what: &'static str, bytes: u64) -> Self {
        Self(styled(ProgressBar::new(bytes), BYTES).with_message(what))
    }

    /// Of rows, whose number is told later, if ever.
    pub(crate) fn of_rows(what: &'static str, is_seen: bool) -> Self {
        let bar = if is_seen { ProgressBar::no_length() } else { ProgressBar::hidden() };
        Self(styled(bar, COUNT).with_message(what))
    }

    /// Whether anybody sees it.
    pub(crate) fn is_seen(&self) -> bool {
        !self.0.is_hidden()
    }

    /// There are about this many rows.
    pub(crate) fn expect_rows(&self, rows: u64) {
        self.0.set_length(rows);
        self.0.set_style(style(ROWS));
    }

    /// So many more are done.
    pub(crate) fn add(&self, n: u64) {
        self.0.inc(n);
    }

    /// It begins again.
    pub(crate) fn restart(&self) {
        self.0.set_position(0);
        self.0.reset_eta();
    }

    /// Tells something without a mess of the bar.
    pub(crate) fn tell(&self, sentence: &str) {
        self.0.suspend(|| tell(sentence));
    }

    /// It is over, and the bar goes away.
    pub(crate) fn end(&self) {
        self.0.finish_and_clear();
    }
}

fn styled(bar: ProgressBar, template: &str) -> ProgressBar {
    bar.with_style(style(template))
}

/// The templates are constants, and a test reads them.
fn style(template: &str) -> ProgressStyle {
    let style = ProgressStyle::with_template(template);
    style.unwrap_or_else(|_| ProgressStyle::default_bar()).progress_chars("=> ")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_templates_can_be_read() {
        for template in [BYTES, ROWS, COUNT] {
            assert!(ProgressStyle::with_template(template).is_ok(), "{template}");
        }
    }
}
